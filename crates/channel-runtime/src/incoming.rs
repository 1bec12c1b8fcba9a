//! What a handler is given.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use channel_core::{
    Action, Attachment, Authorized, Body, Channel, Destination, Error, ErrorKind, Message,
    OutboundMessage, Receipt, ReplyStream, Result,
};

/// An authorised message or action, together with the channel that it came through.
///
/// Reads like the [`Message`] or [`Action`] itself.
pub struct Incoming<T> {
    subject: Authorized<T>,
    channel: Arc<dyn Channel>,
    /// Where somebody wants to know whether it was answered.
    answered: Option<Arc<AtomicBool>>,
}

impl<T: Send + Sync> Incoming<T> {
    pub(crate) const fn new(
        subject: Authorized<T>,
        channel: Arc<dyn Channel>,
        answered: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self {
            subject,
            channel,
            answered,
        }
    }

    /// The verdict's proof, for functions that ask for one.
    #[must_use]
    pub const fn authorized(&self) -> &Authorized<T> {
        &self.subject
    }

    /// The channel, for what is not offered here.
    #[must_use]
    pub const fn channel(&self) -> &Arc<dyn Channel> {
        &self.channel
    }

    /// Sends a message through the same channel.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    pub async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        self.channel.send(message).await
    }

    async fn stream_to(&self, to: Destination) -> Result<StreamingReply> {
        let native = match self.channel.as_stream() {
            Some(ability) => Some(ability.stream(&to).await?),
            None => None,
        };
        Ok(StreamingReply {
            native,
            channel: Arc::clone(&self.channel),
            to,
        })
    }
}

impl Incoming<Message> {
    /// Answers in the same thread, quoting the message.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    pub async fn reply(&self, body: impl Into<Body> + Send) -> Result<Receipt> {
        self.channel.send(&self.subject.reply(body)).await
    }

    /// The answer that [`reply`](Self::reply) would send, for adding files and buttons
    /// before it goes to [`send`](Self::send).
    #[must_use]
    pub fn compose(&self, body: impl Into<Body>) -> OutboundMessage {
        self.subject.reply(body)
    }

    /// Opens a reply that grows while it is being written.
    ///
    /// On a channel without that ability only the final text is sent.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    pub async fn stream(&self) -> Result<StreamingReply> {
        self.stream_to(self.subject.return_address.clone().into())
            .await
    }

    /// Fetches a file of the message, of at most `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the channel has no files, else as for
    /// [`Media::download`](channel_core::Media::download).
    pub async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        match self.channel.as_media() {
            Some(media) => media.download(attachment, max_bytes).await,
            None => Err(self.cannot("download files")),
        }
    }

    /// Reacts to the message.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the channel has no reactions, else as for
    /// [`React::react`](channel_core::React::react).
    pub async fn react(&self, emoji: &str) -> Result<()> {
        match self.channel.as_react() {
            Some(react) => react.react(&self.subject.at(), emoji).await,
            None => Err(self.cannot("react")),
        }
    }

    fn cannot(&self, what: &'static str) -> Error {
        Error::new(ErrorKind::Unsupported, "the platform has no such thing")
            .on(self.channel.info().platform.clone(), what)
    }
}

impl Incoming<Action> {
    /// Answers into the chat of the button.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    pub async fn reply(&self, body: impl Into<Body> + Send) -> Result<Receipt> {
        let message = OutboundMessage::new(self.subject.return_address.clone(), body);
        self.channel.send(&message).await
    }

    /// Shows a short notice to whoever pressed.
    ///
    /// A press that the handler does not answer is answered without a notice after the
    /// handler has returned.
    ///
    /// # Errors
    ///
    /// `NotFound` if the press is too old to be answered.
    pub async fn notice(&self, text: &str) -> Result<()> {
        if let Some(answered) = &self.answered {
            answered.store(true, Ordering::Relaxed);
        }
        match self.channel.as_actions() {
            Some(actions) => actions.answer_action(&self.subject, Some(text)).await,
            None => Ok(()),
        }
    }
}

impl<T> Deref for Incoming<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.subject
    }
}

impl<T: fmt::Debug> fmt::Debug for Incoming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("subject", &self.subject)
            .field("channel", &self.channel.info().id)
            .finish_non_exhaustive()
    }
}

/// A reply that grows while it is being written.
pub struct StreamingReply {
    native: Option<Box<dyn ReplyStream>>,
    channel: Arc<dyn Channel>,
    to: Destination,
}

impl StreamingReply {
    /// Shows the whole text so far; throttled to what the platform allows.
    ///
    /// # Errors
    ///
    /// Only where going on is pointless.
    pub async fn show(&mut self, body: impl Into<Body> + Send) -> Result<()> {
        match &mut self.native {
            Some(stream) => stream.show(&body.into()).await,
            None => Ok(()),
        }
    }

    /// Shows the final text and ends the reply.
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    pub async fn finish(self, body: impl Into<Body> + Send) -> Result<Receipt> {
        let message = OutboundMessage::new(self.to, body);
        match self.native {
            Some(stream) => stream.finish(message).await,
            None => self.channel.send(&message).await,
        }
    }
}

impl fmt::Debug for StreamingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingReply")
            .field("to", self.to.target())
            .field("native", &self.native.is_some())
            .finish_non_exhaustive()
    }
}
