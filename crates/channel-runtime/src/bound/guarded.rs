//! The last look before a message leaves.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{
    Actions, Body, Cards, Channel, ChannelInfo, Commands, Delete, Destination, Edit, Events,
    History, Hold, Identity, Media, MessageRef, OutboundMessage, Parts, Policy, React, Receipt,
    ReplyStream, Result, SocketServer, Stream, Typing, Webhook,
};

use super::{hold, missing};

/// A channel that sends a message which is for a binding only while that holds.
///
/// It stands below everything that keeps messages and tries them again, so that each attempt
/// asks, and is over before the binding is taken back.
pub(crate) struct Guarded {
    inner: Arc<dyn Channel>,
    policy: Arc<dyn Policy>,
}

impl Guarded {
    pub(crate) fn new(inner: Arc<dyn Channel>, policy: Arc<dyn Policy>) -> Self {
        Self { inner, policy }
    }

    async fn hold(&self, message: &OutboundMessage) -> Result<Option<Hold>> {
        match &message.bound {
            Some(bound) => hold(self.policy.as_ref(), bound).await.map(Some),
            None => Ok(None),
        }
    }

    fn guard(&self, inner: Box<dyn ReplyStream>) -> Box<dyn ReplyStream> {
        Box::new(GuardedStream {
            inner,
            policy: Arc::clone(&self.policy),
        })
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Channel for Guarded {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        let _hold = self.hold(message).await?;
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
        self.inner.as_parts().is_some().then_some(self as _)
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        self.inner.as_cards()
    }
    fn as_history(&self) -> Option<&dyn History> {
        self.inner.as_history()
    }
}

#[async_trait]
impl Edit for Guarded {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        let edit = self.inner.as_edit().ok_or_else(missing)?;
        let _hold = self.hold(message).await?;
        edit.edit(target, message).await
    }
}

#[async_trait]
impl Parts for Guarded {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        let parts = self.inner.as_parts().ok_or_else(missing)?;
        parts.parts(message)
    }

    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        let parts = self.inner.as_parts().ok_or_else(missing)?;
        let _hold = self.hold(message).await?;
        parts.send_part(message, part).await
    }
}

#[async_trait]
impl Stream for Guarded {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        let stream = self.inner.as_stream().ok_or_else(missing)?;
        Ok(self.guard(stream.stream(to).await?))
    }

    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        let stream = self.inner.as_stream().ok_or_else(missing)?;
        let resumed = stream.resume(to, shown).await?;
        Ok(resumed.map(|resumed| self.guard(resumed)))
    }
}

/// A growing reply whose end names the binding that it is for.
struct GuardedStream {
    inner: Box<dyn ReplyStream>,
    policy: Arc<dyn Policy>,
}

#[async_trait]
impl ReplyStream for GuardedStream {
    async fn show(&mut self, body: &Body) -> Result<()> {
        self.inner.show(body).await
    }
    fn shown(&self) -> Option<Receipt> {
        self.inner.shown()
    }
    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let _hold = match &message.bound {
            Some(bound) => Some(hold(self.policy.as_ref(), bound).await?),
            None => None,
        };
        self.inner.finish(message).await
    }
}
