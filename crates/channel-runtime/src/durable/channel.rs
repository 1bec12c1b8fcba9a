//! A channel whose sends go through the outbox.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use channel_core::{
    Actions, Body, Cards, Channel, ChannelInfo, ChatId, ChatKind, Commands, Delete, Destination,
    Edit, Event, EventId, EventKind, Events, History, IdempotencyKey, Identity, Media,
    OutboundMessage, Parts, React, Receipt, ReplyStream, Result, SocketServer, Stream, Typing,
    Webhook,
};
use channel_delivery::{Outbox, Previews, Seq, Worker};

use super::Durable;

/// A channel as a handler gets it: what is sent is on record before the first byte leaves.
///
/// The n-th message that an attempt sends has the same key as the n-th message of any other
/// attempt at the same event, so that an attempt after a crash does not say again what has
/// been said.
pub(crate) struct DurableChannel {
    inner: Arc<dyn Channel>,
    outbox: Outbox,
    answers: Option<Answers>,
    sent: AtomicU32,
}

/// The event that is answered.
struct Answers {
    seq: Seq,
    event: EventId,
    worker: Worker,
    /// The chat of his own in which somebody wrote, until the outbox has heard of it.
    heard: Mutex<Option<ChatId>>,
}

/// Where somebody writes to the bot alone: a sign that it may write there.
pub(crate) fn own_chat(event: &Event) -> Option<ChatId> {
    let chat = match &event.kind {
        EventKind::Message(message) => &message.chat,
        EventKind::Action(action) => &action.chat,
        _ => return None,
    };
    (chat.kind == ChatKind::Direct).then(|| chat.id.clone())
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
        durable: &Durable,
        seq: Seq,
        event: EventId,
        own_chat: Option<ChatId>,
    ) -> Self {
        let answers = Answers {
            seq,
            event,
            worker: durable.worker.clone(),
            heard: Mutex::new(own_chat),
        };
        Self {
            inner,
            outbox: durable.outbox.clone(),
            answers: Some(answers),
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
        self.answers.as_ref().map(|answers| answers.seq)
    }

    /// Tells the outbox once that somebody has written from his own chat. A store that does
    /// not answer leaves it as it was.
    async fn hear(&self) {
        let heard = self.answers.as_ref().and_then(|answers| {
            let mut heard = answers.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.take()
        });
        if let Some(chat) = heard {
            let heard = self.outbox.heard_from(&self.inner.info().id, &chat);
            if let Err(error) = heard.await {
                tracing::debug!(%error, "a chat that may want us again is not looked up");
            }
        }
    }

    /// Gives a message its key, unless it has one.
    fn keyed(&self, mut message: OutboundMessage) -> OutboundMessage {
        if let (None, Some(Answers { event, .. })) = (&message.key, &self.answers) {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            message.key = Some(IdempotencyKey::from(format!("{event}/{number}")));
        }
        message
    }

    /// Whether an attempt before has come to the end of the answer that has this key. Better
    /// no previews than those of an answer that stands there already, so a store that does
    /// not answer counts as yes.
    async fn is_planned(&self, key: Option<&IdempotencyKey>) -> bool {
        let (Some(answers), Some(key)) = (&self.answers, key) else {
            return false;
        };
        let before = Seq::new(answers.seq.number().saturating_sub(1));
        match answers.worker.store().journal(Some(before), 1).await {
            Ok(entries) => entries
                .iter()
                .filter(|entry| entry.event.seq == answers.seq)
                .flat_map(|entry| &entry.deliveries)
                .any(|stored| stored.delivery.key == *key),
            Err(error) => {
                tracing::debug!(%error, "an answer grows unseen");
                true
            }
        }
    }

    /// What shows the answer while it grows; `None` if only its final form is to be sent.
    async fn previews(&self, to: &Destination, key: Option<&IdempotencyKey>) -> Option<Previews> {
        if self.is_planned(key).await {
            return None;
        }
        let opened = self.outbox.previews(&self.inner.info().id, to, key).await;
        if let Err(error) = &opened {
            tracing::debug!(%error, "an answer grows unseen");
        }
        opened.ok()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Channel for DurableChannel {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        if message.confidential {
            return self.inner.send(message).await;
        }
        self.hear().await;
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
        if self.inner.as_stream().is_none() {
            return Err(channel_core::Error::new(
                channel_core::ErrorKind::Unsupported,
                "the channel cannot stream",
            ));
        }
        // The key is taken when the stream opens, so that it does not depend on what else
        // is sent while it grows. A stream that cannot be opened has one too, and ends as a
        // message: were it an error, what the handler says instead would have the next key,
        // and would be said besides this by an attempt that can open it.
        self.hear().await;
        let key = self.keyed(OutboundMessage::new(to.clone(), "")).key;
        Ok(Box::new(DurableStream {
            previews: self.previews(to, key.as_ref()).await,
            channel: Arc::clone(&self.inner),
            outbox: self.outbox.clone(),
            answers: self.seq(),
            key,
        }))
    }
}

/// A growing reply whose final form is on record before it is shown.
struct DurableStream {
    /// `None` if it is not shown while it grows.
    previews: Option<Previews>,
    channel: Arc<dyn Channel>,
    outbox: Outbox,
    answers: Option<Seq>,
    key: Option<IdempotencyKey>,
}

#[async_trait]
impl ReplyStream for DurableStream {
    async fn show(&mut self, body: &Body) -> Result<()> {
        match &mut self.previews {
            Some(previews) => previews.show(body).await,
            None => Ok(()),
        }
    }

    async fn finish(self: Box<Self>, mut message: OutboundMessage) -> Result<Receipt> {
        if message.key.is_none() {
            message.key = self.key;
        }
        let channel = &self.channel.info().id;
        self.outbox
            .finish_previews(self.previews, channel, message, self.answers)
            .await
    }
}
