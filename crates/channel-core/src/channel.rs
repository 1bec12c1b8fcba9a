//! The channel and its abilities.
//!
//! [`Channel`] is small and every channel has all of it. What only some platforms can do
//! is a trait of its own behind an accessor whose only default is `None`: a channel
//! cannot pretend, and a caller has nothing to call.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::account::MessageRef;
use crate::answer::Accepted;
use crate::attachment::Attachment;
use crate::card::Card;
use crate::content::Body;
use crate::error::{Rejection, Result};
use crate::event::{Action, Received};
use crate::id::MessageId;
use crate::info::{ChannelInfo, Identity};
use crate::message::Message;
use crate::outbound::{Destination, OutboundMessage, Receipt, Target};
use crate::server::SocketServer;

/// A connection to one chat platform.
#[async_trait]
pub trait Channel: fmt::Debug + Send + Sync + 'static {
    /// Identity and limits; never does I/O.
    fn info(&self) -> &ChannelInfo;

    /// Sends one message; long content may become several platform messages.
    ///
    /// An empty body without attachments is a no-op that returns an empty receipt.
    ///
    /// # Errors
    ///
    /// Sorted by [`ErrorKind`](crate::ErrorKind). `Uncertain` means that it may have
    /// arrived: the connection broke after the request had left.
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt>;

    /// Asks the platform who the bot is; proves that the credentials work.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` if the platform does not accept the credentials.
    async fn probe(&self) -> Result<Identity>;

    /// Receives over HTTP.
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        None
    }
    /// Receives over its own connection.
    fn as_events(&self) -> Option<&dyn Events> {
        None
    }
    /// Receives over websockets that clients open.
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        None
    }
    /// Changes messages that it has sent.
    fn as_edit(&self) -> Option<&dyn Edit> {
        None
    }
    /// Deletes messages.
    fn as_delete(&self) -> Option<&dyn Delete> {
        None
    }
    /// Reacts to messages.
    fn as_react(&self) -> Option<&dyn React> {
        None
    }
    /// Shows that an answer is being written.
    fn as_typing(&self) -> Option<&dyn Typing> {
        None
    }
    /// Downloads files that came with messages.
    fn as_media(&self) -> Option<&dyn Media> {
        None
    }
    /// Shows an answer while it is being written.
    fn as_stream(&self) -> Option<&dyn Stream> {
        None
    }
    /// Answers presses of buttons.
    fn as_actions(&self) -> Option<&dyn Actions> {
        None
    }
    /// Publishes a menu of commands.
    fn as_commands(&self) -> Option<&dyn Commands> {
        None
    }
    /// Sends a message part by part.
    fn as_parts(&self) -> Option<&dyn Parts> {
        None
    }
    /// Shows cards in the platform's own form.
    fn as_cards(&self) -> Option<&dyn Cards> {
        None
    }
    /// Reads what was written in a chat.
    fn as_history(&self) -> Option<&dyn History> {
        None
    }
}

/// A path that a channel serves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The absolute path, such as `/telegram/webhook`.
    pub path: String,
    /// The method.
    pub method: http::Method,
    /// The largest body, in bytes; a larger one is answered with 413 unread.
    pub max_body: usize,
}

impl Route {
    /// A `POST` route.
    #[must_use]
    pub fn post(path: impl Into<String>, max_body: usize) -> Self {
        Self {
            path: path.into(),
            method: http::Method::POST,
            max_body,
        }
    }

    /// A `GET` route; takes no body.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            method: http::Method::GET,
            max_body: 0,
        }
    }
}

/// Receives over HTTP. Pure: bytes and time in, answer and events out.
pub trait Webhook: Send + Sync {
    /// The paths to serve.
    fn routes(&self) -> &[Route];

    /// Verifies and decodes one request.
    ///
    /// Verification happens inside, so an unverified event cannot exist. The answer is
    /// sent only after the events are safe.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] knows its HTTP answer and says nothing to the sender about why.
    fn receive(
        &self,
        request: &http::Request<Bytes>,
        now: SystemTime,
    ) -> Result<Accepted, Rejection>;
}

/// Receives over a connection that the channel keeps itself.
#[async_trait]
pub trait Events: Send + Sync {
    /// The events, for ever.
    ///
    /// The stream reconnects by itself while the cause is retryable; each loss shows as a
    /// [`Connection`](crate::Connection) event. It yields an error and ends only where
    /// going on is pointless, such as a revoked token. It proves life at least every
    /// 90 s. One stream is live at a time; a new one goes on where the acknowledgements
    /// of the last one ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream stops receiving. Events that were not acknowledged are
    /// delivered again by the next stream.
    fn events(&self) -> BoxStream<'static, Result<Received>>;

    /// Hands back the cursor that was kept with the last recorded event, once, before the
    /// first stream. A channel whose platform remembers where it goes on has none.
    fn resume(&self, cursor: &str) {
        let _ = cursor;
    }

    /// Tells the platform what has been acknowledged, before the process ends.
    ///
    /// Call it after the stream is dropped and the last event is acknowledged.
    ///
    /// # Errors
    ///
    /// If the platform cannot be told; it will deliver the last events again.
    async fn close(&self) -> Result<()>;
}

/// Changes messages that it has sent.
#[async_trait]
pub trait Edit: Send + Sync {
    /// Replaces the content of a message; the content must fit into one message.
    ///
    /// # Errors
    ///
    /// `NotFound` if the message is gone or too old, `Invalid` if the content does not
    /// fit. An edit that changes nothing succeeds.
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()>;
}

/// Deletes messages.
#[async_trait]
pub trait Delete: Send + Sync {
    /// Deletes one message.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is gone already, `Forbidden` if the platform does not let us.
    async fn delete(&self, target: &MessageRef) -> Result<()>;
}

/// Reacts to messages.
#[async_trait]
pub trait React: Send + Sync {
    /// Adds a reaction.
    ///
    /// # Errors
    ///
    /// `Invalid` if the platform does not have the emoji.
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()>;

    /// Takes a reaction back.
    ///
    /// # Errors
    ///
    /// `NotFound` if the message is gone.
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()>;
}

/// Shows that an answer is being written.
#[async_trait]
pub trait Typing: Send + Sync {
    /// Shows it once; it ends by itself after [`lasts`](Self::lasts), or when a message
    /// is sent.
    ///
    /// # Errors
    ///
    /// As for any call; nothing is lost if it fails.
    async fn start_typing(&self, to: &Destination) -> Result<()>;

    /// How long the sign stays.
    fn lasts(&self) -> Duration;
}

/// Downloads files that came with messages.
#[async_trait]
pub trait Media: Send + Sync {
    /// Fetches a file of at most `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// `Invalid` if the file is larger, `NotFound` if it is gone.
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes>;
}

/// Shows an answer while it is being written.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Opens a streamed reply; nothing is shown before the first words.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>>;

    /// Goes on with an answer of which another stream, perhaps of a process that died, has
    /// shown these messages: the end edits them. `None` if it cannot be gone on with.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        let _ = (to, shown);
        Ok(None)
    }
}

/// A reply that grows.
#[async_trait]
pub trait ReplyStream: Send {
    /// Shows the whole text so far.
    ///
    /// Previews are throttled to what the platform allows: one that comes too early is
    /// skipped, and the next takes its place. A failing preview is not an error, because
    /// [`finish`](Self::finish) makes up for it.
    ///
    /// # Errors
    ///
    /// Only where going on is pointless: blocked, chat gone, token revoked.
    async fn show(&mut self, body: &Body) -> Result<()>;

    /// The messages that hold the answer so far: what the end is going to edit, and what would
    /// stay behind without one. `None` where nothing stays, or nothing could be named.
    fn shown(&self) -> Option<Receipt> {
        None
    }

    /// Shows the final message and ends the stream; never throttled away.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt>;
}

/// Answers presses of buttons.
#[async_trait]
pub trait Actions: Send + Sync {
    /// Tells the platform that the press has arrived, with a short notice if any.
    ///
    /// # Errors
    ///
    /// `NotFound` if the press is too old to be answered.
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()>;
}

/// A command in the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandInfo {
    /// The word, without slash.
    pub name: String,
    /// What it does, in a few words.
    pub description: String,
}

impl CommandInfo {
    /// Describes a command.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
        }
    }
}

/// Publishes a menu of commands.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Replaces the menu.
    ///
    /// # Errors
    ///
    /// `Invalid` if a name or description breaks the platform's rules.
    async fn publish_commands(&self, commands: &[CommandInfo]) -> Result<()>;
}

/// Sends a message part by part, so that what was interrupted goes on where it stopped.
///
/// [`Channel::send`] does the same as sending every part in order.
#[async_trait]
pub trait Parts: Send + Sync {
    /// How many platform messages a message becomes; 0 for an empty one.
    ///
    /// Pure, and the same for the same message: a plan that was stored before a crash still
    /// fits after it.
    ///
    /// # Errors
    ///
    /// `Invalid` if the message breaks the platform's rules whatever happens.
    fn parts(&self, message: &OutboundMessage) -> Result<usize>;

    /// Sends one part; `part` counts from 0. The message's key, if it has one, belongs to
    /// this part alone: where the platform takes keys, give each part its own.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`]; `Invalid` if there is no such part.
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt>;
}

/// Shows cards in the platform's own form: [`OutboundMessage::card`] is sent natively.
///
/// A channel without this sends [`OutboundMessage::without_card`].
#[async_trait]
pub trait Cards: Send + Sync {
    /// Replaces a card that was sent.
    ///
    /// # Errors
    ///
    /// As for [`Edit::edit`].
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()>;
}

/// Reads what was written in a chat.
#[async_trait]
pub trait History: Send + Sync {
    /// The last messages of a chat or thread, newest first: at most `limit`, and only those
    /// before `before` if it is given.
    ///
    /// # Errors
    ///
    /// `Forbidden` if the bot may not read the chat, `NotFound` if there is none.
    async fn history(
        &self,
        of: &Target,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>>;

    /// Looks for a message of the bot's own that was sent under this key: it tells whether a
    /// send whose answer was lost has arrived. `None` if it has not, or cannot be told.
    ///
    /// # Errors
    ///
    /// As for [`history`](Self::history).
    async fn find(&self, sent: &OutboundMessage) -> Result<Option<MessageRef>>;
}

/// A shared channel is a channel.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<C: Channel + ?Sized> Channel for std::sync::Arc<C> {
    fn info(&self) -> &ChannelInfo {
        (**self).info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        (**self).send(message).await
    }
    async fn probe(&self) -> Result<Identity> {
        (**self).probe().await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        (**self).as_webhook()
    }
    fn as_events(&self) -> Option<&dyn Events> {
        (**self).as_events()
    }
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        (**self).as_socket_server()
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        (**self).as_edit()
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        (**self).as_delete()
    }
    fn as_react(&self) -> Option<&dyn React> {
        (**self).as_react()
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        (**self).as_typing()
    }
    fn as_media(&self) -> Option<&dyn Media> {
        (**self).as_media()
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        (**self).as_stream()
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        (**self).as_actions()
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        (**self).as_commands()
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        (**self).as_parts()
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        (**self).as_cards()
    }
    fn as_history(&self) -> Option<&dyn History> {
        (**self).as_history()
    }
}
