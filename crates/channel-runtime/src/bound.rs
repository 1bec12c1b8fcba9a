//! Channels that answer an owner for as long as the account is theirs.

mod guarded;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{
    Action, Actions, Body, Bound, Card, Cards, Channel, ChannelInfo, Commands, Delete, Destination,
    Edit, Error, ErrorKind, Events, History, Hold, Identity, Media, MessageRef, NotBound,
    OutboundMessage, Parts, Policy, React, Receipt, ReplyStream, Result, SocketServer, Stream,
    Typing, Webhook,
};

pub(crate) use guarded::Guarded;

/// A channel as the handler of an event of a bound account gets it: whatever leaves names the
/// binding that it is for, so that [`Guarded`] can ask before each attempt. What cannot name
/// it is held to the same here. The handler hears at once that the binding is gone.
pub(crate) struct BoundChannel {
    inner: Arc<dyn Channel>,
    guard: Guard,
}

/// Asks whether the binding still holds.
#[derive(Clone)]
struct Guard {
    policy: Arc<dyn Policy>,
    bound: Arc<Bound>,
}

impl Guard {
    async fn hold(&self) -> Result<Hold> {
        hold(self.policy.as_ref(), &self.bound).await
    }

    fn stamp(&self, message: &OutboundMessage) -> OutboundMessage {
        message.clone().bound(Bound::clone(&self.bound))
    }
}

async fn hold(policy: &dyn Policy, bound: &Bound) -> Result<Hold> {
    policy.hold(bound).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::Forbidden,
            "the account is not connected any more",
        )
        .with_source(NotBound)
    })
}

fn missing() -> Error {
    Error::new(ErrorKind::Unsupported, "the channel has no such ability")
}

impl BoundChannel {
    pub(crate) fn new(inner: Arc<dyn Channel>, policy: Arc<dyn Policy>, bound: Bound) -> Self {
        let bound = Arc::new(bound);
        Self {
            inner,
            guard: Guard { policy, bound },
        }
    }
}

impl fmt::Debug for BoundChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundChannel").field(&self.inner).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Channel for BoundChannel {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        // Not held while it waits for its turn: the attempt holds it.
        drop(self.guard.hold().await?);
        self.inner.send(&self.guard.stamp(message)).await
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
        self.inner.as_edit().is_some().then_some(self as _)
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        self.inner.as_delete()
    }
    fn as_react(&self) -> Option<&dyn React> {
        self.inner.as_react().is_some().then_some(self as _)
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
        self.inner.as_actions().is_some().then_some(self as _)
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        self.inner.as_commands()
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        // Parts one by one would go past the guard.
        None
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        self.inner.as_cards().is_some().then_some(self as _)
    }
    fn as_history(&self) -> Option<&dyn History> {
        self.inner.as_history()
    }
}

#[async_trait]
impl Edit for BoundChannel {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        let edit = self.inner.as_edit().ok_or_else(missing)?;
        edit.edit(target, &self.guard.stamp(message)).await
    }
}

#[async_trait]
impl React for BoundChannel {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        let react = self.inner.as_react().ok_or_else(missing)?;
        let _hold = self.guard.hold().await?;
        react.react(target, emoji).await
    }

    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        let react = self.inner.as_react().ok_or_else(missing)?;
        react.unreact(target, emoji).await
    }
}

#[async_trait]
impl Cards for BoundChannel {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        let cards = self.inner.as_cards().ok_or_else(missing)?;
        let _hold = self.guard.hold().await?;
        cards.update_card(target, card).await
    }
}

#[async_trait]
impl Actions for BoundChannel {
    /// Without words a press is answered whatever has become of the binding: a button must not
    /// hang.
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let actions = self.inner.as_actions().ok_or_else(missing)?;
        let _hold = match notice {
            Some(_) => Some(self.guard.hold().await?),
            None => None,
        };
        actions.answer_action(action, notice).await
    }
}

#[async_trait]
impl Stream for BoundChannel {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        drop(self.guard.hold().await?);
        let stream = self.inner.as_stream().ok_or_else(missing)?;
        Ok(Box::new(BoundStream {
            inner: stream.stream(to).await?,
            guard: self.guard.clone(),
        }))
    }
}

/// A growing reply that stops growing when the binding is taken back.
struct BoundStream {
    inner: Box<dyn ReplyStream>,
    guard: Guard,
}

#[async_trait]
impl ReplyStream for BoundStream {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let _hold = self.guard.hold().await?;
        self.inner.show(body).await
    }
    fn shown(&self) -> Option<Receipt> {
        self.inner.shown()
    }
    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        drop(self.guard.hold().await?);
        self.inner.finish(self.guard.stamp(&message)).await
    }
}
