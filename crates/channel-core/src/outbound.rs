//! Messages that go out.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::account::MessageRef;
use crate::attachment::Upload;
use crate::binding::Bound;
use crate::card::Card;
use crate::content::{Body, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChannelId, ChatId, IdempotencyKey, MessageId, ThreadId};

/// A chat, and a thread in it, that we address on our own account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Target {
    /// The chat.
    pub chat: ChatId,
    /// The thread inside the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadId>,
}

impl Target {
    /// A chat.
    #[must_use]
    pub fn chat(chat: impl Into<ChatId>) -> Self {
        Self {
            chat: chat.into(),
            thread: None,
        }
    }

    /// A thread in that chat.
    #[must_use]
    pub fn thread(mut self, thread: impl Into<ThreadId>) -> Self {
        self.thread = Some(thread.into());
        self
    }
}

/// Where an answer to an inbound event goes.
///
/// Opaque and serialisable: reply tokens, windows, thread ids ride inside it, so they
/// cannot be forgotten and survive a restart. Only adapters make one. `Debug` does not
/// show what rides inside: a reply token is a secret while it lasts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    channel: ChannelId,
    target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<Box<str>>,
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("channel", &self.channel)
            .field("target", &self.target)
            .field("message", &self.message)
            .field("context", &self.context.as_ref().map(|_| "***"))
            .finish()
    }
}

impl ReplyTo {
    /// An answer into a chat of a channel.
    #[must_use]
    pub const fn new(channel: ChannelId, target: Target) -> Self {
        Self {
            channel,
            target,
            message: None,
            context: None,
        }
    }

    /// Quotes a message of that chat.
    #[must_use]
    pub fn quoting(mut self, message: MessageId) -> Self {
        self.message = Some(message);
        self
    }

    /// Answers into the chat without quoting a message.
    #[must_use]
    pub fn without_quote(mut self) -> Self {
        self.message = None;
        self
    }

    /// Adds what the adapter needs besides, such as a reply token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the context cannot be written as JSON.
    pub fn with_context(mut self, context: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_string(context).map_err(|source| {
            Error::new(ErrorKind::Invalid, "the reply context is not plain data")
                .with_source(source)
        })?;
        self.context = Some(text.into_boxed_str());
        Ok(self)
    }

    /// The same with JSON that the adapter has written itself, where every message brings one and
    /// serde's way would be felt.
    #[must_use]
    pub fn with_written_context(mut self, json: impl Into<Box<str>>) -> Self {
        self.context = Some(json.into());
        self
    }

    /// Reads the adapter's context back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the context was made by something else.
    pub fn context<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.context
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| {
                Error::new(
                    ErrorKind::Invalid,
                    "the reply context is of another adapter",
                )
            })
    }

    /// The channel that the inbound event came through.
    #[must_use]
    pub const fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// The chat and thread.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The message to quote.
    #[must_use]
    pub const fn message(&self) -> Option<&MessageId> {
        self.message.as_ref()
    }
}

/// Where a message goes: an answer, or a chat addressed on our own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Destination {
    /// The answer to an inbound event.
    Reply(ReplyTo),
    /// A chat.
    Chat(Target),
}

impl Destination {
    /// The chat and thread.
    #[must_use]
    pub const fn target(&self) -> &Target {
        match self {
            Self::Reply(reply) => reply.target(),
            Self::Chat(target) => target,
        }
    }

    /// The message to quote.
    #[must_use]
    pub const fn quoted(&self) -> Option<&MessageId> {
        match self {
            Self::Reply(reply) => reply.message(),
            Self::Chat(_) => None,
        }
    }
}

impl From<ReplyTo> for Destination {
    fn from(reply: ReplyTo) -> Self {
        Self::Reply(reply)
    }
}

impl From<Target> for Destination {
    fn from(target: Target) -> Self {
        Self::Chat(target)
    }
}

/// Why a message is sent; the reply-visibility rules go by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// The answer itself.
    #[default]
    Reply,
    /// Thoughts on the way to an answer.
    Reasoning,
    /// What a tool did.
    Tool,
    /// A notice of the application.
    System,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ButtonAction {
    /// Sends this value back as an [`Action`](crate::Action).
    Press(String),
    /// Opens an address.
    Open(String),
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Button {
    /// The words on it.
    pub label: String,
    /// What it does.
    pub action: ButtonAction,
}

impl Button {
    /// A button that sends `value` back.
    #[must_use]
    pub fn press(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            action: ButtonAction::Press(value.into()),
        }
    }

    /// A button that opens an address.
    #[must_use]
    pub fn open(label: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            action: ButtonAction::Open(url.into()),
        }
    }
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutboundMessage {
    /// Where it goes.
    pub to: Destination,
    /// What it says.
    pub body: Body,
    /// The files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Upload>,
    /// Rows of buttons under it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Vec<Button>>,
    /// A card below the words; see [`without_card`](Self::without_card).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<Card>>,
    /// Why it is sent.
    #[serde(default)]
    pub purpose: Purpose,
    /// Delivers without a sound, where the platform can.
    #[serde(default)]
    pub silent: bool,
    /// Makes a repeated send recognisable; the same for each attempt of one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IdempotencyKey>,
    /// Whose account it is for, where it answers one: every attempt asks whether the binding
    /// still holds, and after that was taken back nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Box<Bound>>,
    /// Holds a secret: it goes past every store, so a crash may lose it. Never stored itself.
    #[serde(skip)]
    pub confidential: bool,
}

impl OutboundMessage {
    /// A message with words.
    #[must_use]
    pub fn new(to: impl Into<Destination>, body: impl Into<Body>) -> Self {
        Self {
            to: to.into(),
            body: body.into(),
            attachments: Vec::new(),
            buttons: Vec::new(),
            card: None,
            purpose: Purpose::Reply,
            silent: false,
            key: None,
            bound: None,
            confidential: false,
        }
    }

    /// Sends it only while a binding holds.
    #[must_use]
    pub fn bound(mut self, bound: Bound) -> Self {
        self.bound = Some(Box::new(bound));
        self
    }

    /// Keeps it out of every store: it is sent at most once, and a crash may lose it.
    #[must_use]
    pub const fn confidential(mut self) -> Self {
        self.confidential = true;
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn attach(mut self, upload: Upload) -> Self {
        self.attachments.push(upload);
        self
    }

    /// Adds a row of buttons.
    #[must_use]
    pub fn buttons(mut self, row: impl IntoIterator<Item = Button>) -> Self {
        self.buttons.push(row.into_iter().collect());
        self
    }

    /// Adds a card.
    #[must_use]
    pub fn card(mut self, card: Card) -> Self {
        self.card = Some(Box::new(card));
        self
    }

    /// The message with its card turned into rich text and buttons, for a channel without
    /// [`Cards`](crate::Cards): each such channel sends this, so that a card is never lost.
    #[must_use]
    pub fn without_card(&self) -> Cow<'_, Self> {
        let Some(card) = &self.card else {
            return Cow::Borrowed(self);
        };
        let mut content = match &self.body {
            Body::Content(content) => content.clone(),
            Body::Plain(text) | Body::Markdown(text) => Content::plain(text.as_str()),
        };
        content.blocks.extend(card.to_content().blocks);
        let mut message = self.clone();
        message.body = Body::Content(content);
        message.buttons.extend(card.to_buttons());
        message.card = None;
        Cow::Owned(message)
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty() && self.attachments.is_empty() && self.card.is_none()
    }

    /// Says why it is sent.
    #[must_use]
    pub const fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Delivers without a sound, where the platform can.
    #[must_use]
    pub const fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Sets the key under which repeated sends count as one.
    #[must_use]
    pub fn key(mut self, key: impl Into<IdempotencyKey>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// What the platform returned: every message that one send created, part by part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The messages, in the order in which they were created.
    pub messages: Vec<MessageRef>,
}

impl Receipt {
    /// A receipt for these messages.
    #[must_use]
    pub const fn new(messages: Vec<MessageRef>) -> Self {
        Self { messages }
    }

    /// The first message created.
    #[must_use]
    pub fn first(&self) -> Option<&MessageRef> {
        self.messages.first()
    }

    /// The last message created.
    #[must_use]
    pub fn last(&self) -> Option<&MessageRef> {
        self.messages.last()
    }
}
