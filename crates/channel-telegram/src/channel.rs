//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Channel, ChannelInfo, CommandInfo, Commands, Delete, Destination,
    Edit, Events, Identity, Media, MessageRef, OutboundMessage, Parts, React, Receipt, Received,
    ReplyStream, Result, Stream, Typing, Webhook, async_trait,
};
use futures_core::stream::BoxStream;

use crate::client::Method;
use crate::shared::Shared;
use crate::{change, events, media, outbound, plan, stream};

/// A Telegram bot.
///
/// Cheap to clone; clones share connection, cursor and memory. Made by
/// [`Telegram::builder`] or [`Telegram::from_env`].
#[derive(Clone)]
pub struct Telegram {
    pub(crate) shared: Arc<Shared>,
}

impl Telegram {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn has_webhook(&self) -> bool {
        self.shared.config.webhook_secret.is_some()
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Telegram {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        let identity = self.shared.identify().await;
        identity.map_err(|failure| failure.into_error(Method::GetMe))
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        // Fails closed: a webhook without a secret would believe anybody.
        self.has_webhook().then_some(self)
    }
    fn as_events(&self) -> Option<&dyn Events> {
        // Telegram delivers by one way at a time.
        (!self.has_webhook()).then_some(self)
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        Some(self)
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        Some(self)
    }
    fn as_react(&self) -> Option<&dyn React> {
        Some(self)
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        Some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        Some(self)
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        Some(self)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        Some(self)
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        Some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
}

#[async_trait]
impl Events for Telegram {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        events::stream(Arc::clone(&self.shared))
    }
    async fn close(&self) -> Result<()> {
        events::confirm(&self.shared).await
    }
}

#[async_trait]
impl Edit for Telegram {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        change::edit(&self.shared, target, message).await
    }
}

#[async_trait]
impl Delete for Telegram {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        change::delete(&self.shared, target).await
    }
}

#[async_trait]
impl React for Telegram {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, Some(emoji)).await
    }
    async fn unreact(&self, target: &MessageRef, _emoji: &str) -> Result<()> {
        // A bot has one reaction, so the one to take back is the one it has.
        change::react(&self.shared, target, None).await
    }
}

#[async_trait]
impl Typing for Telegram {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        change::start_typing(&self.shared, to).await
    }
    fn lasts(&self) -> Duration {
        // https://core.telegram.org/bots/api#sendchataction
        Duration::from_secs(5)
    }
}

#[async_trait]
impl Media for Telegram {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        media::download(&self.shared, attachment, max_bytes).await
    }
}

#[async_trait]
impl Stream for Telegram {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        stream::open(&self.shared, to)
    }

    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        stream::resume(&self.shared, to, shown).map(Some)
    }
}

#[async_trait]
impl Actions for Telegram {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        change::answer(&self.shared, action, notice).await
    }
}

#[async_trait]
impl Commands for Telegram {
    async fn publish_commands(&self, commands: &[CommandInfo]) -> Result<()> {
        change::publish_commands(&self.shared, commands).await
    }
}

#[async_trait]
impl Parts for Telegram {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        plan::count(&self.shared, message)
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}
