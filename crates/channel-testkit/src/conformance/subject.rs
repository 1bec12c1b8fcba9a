//! What an adapter brings to the suite.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{Channel, Clock, Message, MessageId, MessageRef, SenderId, Target, ThreadId};
use http::Request;
use http::header::HeaderName;

use crate::failure::Failure;

/// An adapter under test: makes channels that talk to a fake of their platform.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A fresh channel and the fresh platform that it talks to. Each check gets its own.
    async fn start(&self) -> Setup;

    /// The clock that the channels run on.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Whether time passes as fast as the test likes. Checks that wait for minutes are
    /// ignored where it does not.
    fn has_virtual_time(&self) -> bool {
        true
    }
}

/// A channel and its platform.
#[non_exhaustive]
pub struct Setup {
    /// The channel under test.
    pub channel: Arc<dyn Channel>,
    /// What it talks to.
    pub platform: Box<dyn FakePlatform>,
}

impl Setup {
    /// Puts the two together.
    #[must_use]
    pub fn new(channel: Arc<dyn Channel>, platform: impl FakePlatform + 'static) -> Self {
        Self {
            channel,
            platform: Box::new(platform),
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

/// An optional ability of a channel, named after its accessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each is the trait of that name in channel-core"
)]
pub enum Ability {
    Webhook,
    Events,
    SocketServer,
    Edit,
    Delete,
    React,
    Typing,
    Media,
    Stream,
    Actions,
    Commands,
    Parts,
    Cards,
    History,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Webhook,
        Self::Events,
        Self::SocketServer,
        Self::Edit,
        Self::Delete,
        Self::React,
        Self::Typing,
        Self::Media,
        Self::Stream,
        Self::Actions,
        Self::Commands,
        Self::Parts,
        Self::Cards,
        Self::History,
    ];

    /// Whether a channel has it.
    #[must_use]
    pub fn is_offered_by(self, channel: &dyn Channel) -> bool {
        match self {
            Self::Webhook => channel.as_webhook().is_some(),
            Self::Events => channel.as_events().is_some(),
            Self::SocketServer => channel.as_socket_server().is_some(),
            Self::Edit => channel.as_edit().is_some(),
            Self::Delete => channel.as_delete().is_some(),
            Self::React => channel.as_react().is_some(),
            Self::Typing => channel.as_typing().is_some(),
            Self::Media => channel.as_media().is_some(),
            Self::Stream => channel.as_stream().is_some(),
            Self::Actions => channel.as_actions().is_some(),
            Self::Commands => channel.as_commands().is_some(),
            Self::Parts => channel.as_parts().is_some(),
            Self::Cards => channel.as_cards().is_some(),
            Self::History => channel.as_history().is_some(),
        }
    }
}

/// Where something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a direct chat with a user.
    Direct,
    /// In a thread of a group that the bot is in, where the platform has threads; in such
    /// a way that the bot gets to see it, so with a mention if need be.
    Thread,
}

/// What the suite asks a fake platform to let happen.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// A user writes.
    Text {
        /// Where.
        place: Place,
        /// The words.
        text: &'a str,
    },
    /// A user sends a file, in the direct chat.
    File {
        /// Its name.
        name: &'a str,
        /// Its content.
        bytes: &'a [u8],
    },
    /// A user presses the button that carries this value, under a message of the bot.
    Press {
        /// The message.
        message: &'a MessageRef,
        /// The value.
        value: &'a str,
    },
    /// The platform echoes a message of the bot itself, in the direct chat.
    OwnText {
        /// The words.
        text: &'a str,
    },
    /// An event of a kind that the platform's documentation does not have yet.
    Unknown,
    /// A payload that is properly addressed and signed, and is not what the documentation
    /// says: wrong types, missing fields, or no JSON at all.
    Malformed,
    /// The platform delivers its last event once more, as it does when it has seen no
    /// acknowledgement.
    Again,
}

/// What has happened.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Happened {
    /// The request that the platform makes, where it delivers by webhook. `None` where the
    /// channel's own connection brings the event.
    pub request: Option<Request<Bytes>>,
    /// The message that was written, where one was.
    pub message: Option<MessageId>,
    /// Who wrote or pressed.
    pub sender: Option<SenderId>,
}

impl Happened {
    /// Something that the channel's own connection brings.
    #[must_use]
    pub fn queued() -> Self {
        Self::default()
    }

    /// Something that a webhook request brings.
    #[must_use]
    pub fn requested(request: Request<Bytes>) -> Self {
        Self {
            request: Some(request),
            ..Self::default()
        }
    }

    /// Names the message.
    #[must_use]
    pub fn message(mut self, id: impl Into<MessageId>) -> Self {
        self.message = Some(id.into());
        self
    }

    /// Names the sender.
    #[must_use]
    pub fn sender(mut self, id: impl Into<SenderId>) -> Self {
        self.sender = Some(id.into());
        self
    }
}

/// A message of the bot as people see it on the platform.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Shown {
    /// Its chat and id.
    pub at: MessageRef,
    /// The thread inside the chat.
    pub thread: Option<ThreadId>,
    /// The words, without markup and escapes.
    pub text: String,
    /// What the platform counts against its limit, where that is not `text`.
    pub counted: Option<String>,
    /// The files: name and content.
    pub files: Vec<(String, Bytes)>,
    /// The labels of the buttons, and of the options to choose from.
    pub buttons: Vec<String>,
}

impl Shown {
    /// A message with words.
    #[must_use]
    pub fn new(at: MessageRef, thread: Option<ThreadId>, text: impl Into<String>) -> Self {
        Self {
            at,
            thread,
            text: text.into(),
            counted: None,
            files: Vec::new(),
            buttons: Vec::new(),
        }
    }

    /// Sets what the platform counts against its limit.
    #[must_use]
    pub fn counted(mut self, text: impl Into<String>) -> Self {
        self.counted = Some(text.into());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.files.push((name.into(), bytes.into()));
        self
    }

    /// Adds a button.
    #[must_use]
    pub fn button(mut self, label: impl Into<String>) -> Self {
        self.buttons.push(label.into());
        self
    }
}

/// A header or query parameter that takes part in a signature.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SignaturePart {
    /// A header.
    Header(HeaderName),
    /// A query parameter.
    Query(String),
}

/// How a platform signs its webhook requests.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Signing {
    /// Where the signature is, and the timestamp and nonce if they are signed with it.
    pub parts: Vec<SignaturePart>,
    /// Whether the body is signed.
    pub covers_body: bool,
    /// How old a request may be, where requests age.
    pub valid_for: Option<Duration>,
}

impl Signing {
    /// A signature in a header, over nothing: a shared secret.
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Self {
            parts: vec![SignaturePart::Header(name)],
            ..Self::default()
        }
    }

    /// A signature in a query parameter.
    #[must_use]
    pub fn query(name: impl Into<String>) -> Self {
        Self {
            parts: vec![SignaturePart::Query(name.into())],
            ..Self::default()
        }
    }

    /// Adds a header without which, or with another value, a request is to be refused.
    #[must_use]
    pub fn and_header(mut self, name: HeaderName) -> Self {
        self.parts.push(SignaturePart::Header(name));
        self
    }

    /// Adds a query parameter without which, or with another value, a request is to be
    /// refused.
    #[must_use]
    pub fn and_query(mut self, name: impl Into<String>) -> Self {
        self.parts.push(SignaturePart::Query(name.into()));
        self
    }

    /// Says that the body is signed.
    #[must_use]
    pub const fn over_body(mut self) -> Self {
        self.covers_body = true;
        self
    }

    /// Says that requests age.
    #[must_use]
    pub const fn valid_for(mut self, span: Duration) -> Self {
        self.valid_for = Some(span);
        self
    }
}

/// A platform's check of who serves a webhook.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Challenge {
    /// What it asks.
    pub request: Request<Bytes>,
    /// The body that it wants as the answer.
    pub answer: Bytes,
}

impl Challenge {
    /// A request and its answer.
    #[must_use]
    pub fn new(request: Request<Bytes>, answer: impl Into<Bytes>) -> Self {
        Self {
            request,
            answer: answer.into(),
        }
    }
}

/// A fake platform, as the suite needs it.
///
/// Only the first four methods have to be written. All others say "not offered" by
/// default, and the checks that need them are reported as ignored.
#[async_trait]
pub trait FakePlatform: Send + Sync {
    /// The abilities that the adapter is meant to have: all of them, and no other.
    fn claims(&self) -> Vec<Ability>;

    /// Every secret of the channel's configuration.
    fn secrets(&self) -> Vec<String>;

    /// Where the bot can write; `None` for a thread where the platform has none.
    fn place(&self, place: Place) -> Option<Target>;

    /// What the bot has sent and not deleted, oldest first, as it reads now.
    async fn shown(&self) -> Vec<Shown>;

    /// Lets something happen; `None` if the platform cannot.
    async fn happen(&self, _what: Happening<'_>) -> Option<Happened> {
        None
    }

    /// Fails all calls after the next `calls` calls that send a message, or none any
    /// more; `false` if the fake cannot.
    async fn fail(&self, _calls: usize, _failure: Option<Failure>) -> bool {
        false
    }

    /// Breaks the channel's connection; `false` if the fake cannot.
    async fn disconnect(&self) -> bool {
        false
    }

    /// How many calls the platform has got.
    fn calls(&self) -> Option<u64> {
        None
    }

    /// Whether events that were not acknowledged come again. Say no only where the
    /// platform sends each event once and keeps nothing.
    fn redelivers(&self) -> bool {
        true
    }

    /// How webhook requests are signed.
    fn signing(&self) -> Option<Signing> {
        None
    }

    /// The check of who serves the webhook.
    fn challenge(&self) -> Option<Challenge> {
        None
    }

    /// Decodes the native type of a message as it came and after storage, and says how
    /// the two differ, if they do.
    fn native(&self, _came: &Message, _stored: &Message) -> Option<Result<(), String>> {
        None
    }

    /// An emoji that the platform takes as a reaction.
    fn emoji(&self) -> &str {
        "\u{1f44d}"
    }

    /// The bot's reactions to a message.
    async fn reactions(&self, _to: &MessageRef) -> Option<Vec<String>> {
        None
    }

    /// How often the bot has shown that it writes.
    async fn typing(&self) -> Option<usize> {
        None
    }

    /// How many presses the bot has answered.
    async fn answered(&self) -> Option<usize> {
        None
    }

    /// The names of the commands that the bot has published.
    async fn commands(&self) -> Option<Vec<String>> {
        None
    }

    /// Whether [`Shown::files`] holds what the bot has sent.
    fn shows_files(&self) -> bool {
        false
    }

    /// Whether [`Shown::buttons`] holds what the bot has sent.
    fn shows_buttons(&self) -> bool {
        false
    }
}

/// A subject whose channels are wrapped: the suite behind a decorator.
///
/// ```
/// # use std::sync::Arc;
/// # use channel_testkit::conformance::{Decorated, Subject};
/// # fn of(subject: impl Subject) -> impl Subject {
/// Decorated::new(subject, |channel| Arc::new(channel)) // a decorator of yours
/// # }
/// ```
pub struct Decorated<S, F> {
    subject: S,
    decorate: F,
}

impl<S, F> Decorated<S, F>
where
    S: Subject,
    F: Fn(Arc<dyn Channel>) -> Arc<dyn Channel> + Send + Sync,
{
    /// Wraps each channel of a subject.
    #[must_use]
    pub const fn new(subject: S, decorate: F) -> Self {
        Self { subject, decorate }
    }
}

impl<S, F> fmt::Debug for Decorated<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decorated").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S, F> Subject for Decorated<S, F>
where
    S: Subject,
    F: Fn(Arc<dyn Channel>) -> Arc<dyn Channel> + Send + Sync,
{
    async fn start(&self) -> Setup {
        let mut setup = self.subject.start().await;
        setup.channel = (self.decorate)(setup.channel);
        setup
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.subject.clock()
    }

    fn has_virtual_time(&self) -> bool {
        self.subject.has_virtual_time()
    }
}
