//! A channel whose sends go through the outbox.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use channel_core::{
    Actions, Body, Cards, Channel, ChannelInfo, Commands, Delete, Destination, Edit, EventId,
    Events, History, IdempotencyKey, Identity, Media, OutboundMessage, Parts, React, Receipt,
    ReplyStream, Result, SocketServer, Stream, Typing, Webhook,
};
use channel_delivery::{Outbox, Seq};

/// A channel as a handler gets it: what is sent is on record before the first byte leaves.
///
/// The n-th message that an attempt sends has the same key as the n-th message of any other
/// attempt at the same event, so that an attempt after a crash does not say again what has
/// been said.
pub(crate) struct DurableChannel {
    inner: Arc<dyn Channel>,
    outbox: Outbox,
    answers: Option<(Seq, EventId)>,
    sent: AtomicU32,
}

impl fmt::Debug for DurableChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DurableChannel").field(&self.inner).finish()
    }
}

impl DurableChannel {
    /// Sends in answer to an event.
    pub(crate) fn answering(
        inner: Arc<dyn Channel>,
        outbox: Outbox,
        seq: Seq,
        event: EventId,
    ) -> Self {
        Self {
            inner,
            outbox,
            answers: Some((seq, event)),
            sent: AtomicU32::new(0),
        }
    }

    /// Sends on the application's own account.
    pub(crate) fn unasked(inner: Arc<dyn Channel>, outbox: Outbox) -> Self {
        Self {
            inner,
            outbox,
            answers: None,
            sent: AtomicU32::new(0),
        }
    }

    fn seq(&self) -> Option<Seq> {
        self.answers.as_ref().map(|(seq, _)| *seq)
    }

    /// Gives a message its key, unless it has one.
    fn keyed(&self, mut message: OutboundMessage) -> OutboundMessage {
        if let (None, Some((_, event))) = (&message.key, &self.answers) {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            message.key = Some(IdempotencyKey::from(format!("{event}/{number}")));
        }
        message
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Channel for DurableChannel {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        let message = self.keyed(message.clone());
        self.outbox
            .send(&self.inner.info().id, message, self.seq())
            .await
    }
    async fn probe(&self) -> Result<Identity> {
        self.inner.probe().await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        self.inner.as_webhook()
    }
    fn as_events(&self) -> Option<&dyn Events> {
        self.inner.as_events()
    }
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        self.inner.as_socket_server()
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        self.inner.as_edit()
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        self.inner.as_delete()
    }
    fn as_react(&self) -> Option<&dyn React> {
        self.inner.as_react()
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        self.inner.as_typing()
    }
    fn as_media(&self) -> Option<&dyn Media> {
        self.inner.as_media()
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        self.inner.as_stream().is_some().then_some(self as _)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        self.inner.as_actions()
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        self.inner.as_commands()
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        // The outbox sends the parts; sending them one by one beside it would go past it.
        None
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        self.inner.as_cards()
    }
    fn as_history(&self) -> Option<&dyn History> {
        self.inner.as_history()
    }
}

#[async_trait]
impl Stream for DurableChannel {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        let Some(ability) = self.inner.as_stream() else {
            return Err(channel_core::Error::new(
                channel_core::ErrorKind::Unsupported,
                "the channel cannot stream",
            ));
        };
        // The key is taken when the stream opens, so that it does not depend on what else
        // is sent while it grows.
        let key = self.keyed(OutboundMessage::new(to.clone(), "")).key;
        Ok(Box::new(DurableStream {
            inner: ability.stream(to).await?,
            channel: Arc::clone(&self.inner),
            outbox: self.outbox.clone(),
            answers: self.seq(),
            key,
        }))
    }
}

/// A growing reply whose final form is on record before it is shown.
struct DurableStream {
    inner: Box<dyn ReplyStream>,
    channel: Arc<dyn Channel>,
    outbox: Outbox,
    answers: Option<Seq>,
    key: Option<IdempotencyKey>,
}

#[async_trait]
impl ReplyStream for DurableStream {
    async fn show(&mut self, body: &Body) -> Result<()> {
        self.inner.show(body).await
    }

    async fn finish(self: Box<Self>, mut message: OutboundMessage) -> Result<Receipt> {
        if message.key.is_none() {
            message.key = self.key;
        }
        self.outbox
            .finish_stream(self.inner, &self.channel.info().id, message, self.answers)
            .await
    }
}
