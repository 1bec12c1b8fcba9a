//! A channel that answers an owner for as long as the account is theirs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{
    Actions, Body, Bound, Cards, Channel, ChannelInfo, Commands, Delete, Destination, Edit, Error,
    ErrorKind, Events, History, Identity, Media, MessageRef, OutboundMessage, Parts, Policy, React,
    Receipt, ReplyStream, Result, SocketServer, Stream, Typing, Webhook,
};

/// A channel as the handler of an event of a bound account gets it: words go out while the
/// binding holds, and none after it was taken back.
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
    async fn check(&self) -> Result<()> {
        if self.policy.still_holds(&self.bound).await {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            "the account is not connected any more",
        ))
    }
}

impl BoundChannel {
    pub(crate) fn new(inner: Arc<dyn Channel>, policy: Arc<dyn Policy>, bound: Bound) -> Self {
        let bound = Arc::new(bound);
        Self {
            inner,
            guard: Guard { policy, bound },
        }
    }

    fn missing() -> Error {
        Error::new(ErrorKind::Unsupported, "the channel has no such ability")
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
        self.guard.check().await?;
        self.inner.send(message).await
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
        // Parts one by one would go past the guard.
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
impl Edit for BoundChannel {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        self.guard.check().await?;
        let edit = self.inner.as_edit().ok_or_else(Self::missing)?;
        edit.edit(target, message).await
    }
}

#[async_trait]
impl Stream for BoundChannel {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        self.guard.check().await?;
        let stream = self.inner.as_stream().ok_or_else(Self::missing)?;
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
        self.guard.check().await?;
        self.inner.show(body).await
    }
    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        self.guard.check().await?;
        self.inner.finish(message).await
    }
}
