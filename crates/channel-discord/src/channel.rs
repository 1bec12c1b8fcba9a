//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Card, Cards, Channel, ChannelInfo, CommandInfo, Commands, Delete,
    Destination, Edit, History, Identity, Media, Message, MessageId, MessageRef, OutboundMessage,
    Parts, React, Receipt, ReplyStream, Result, Stream, Target, Typing, Webhook, async_trait,
};
#[cfg(feature = "net")]
use channel_core::{Events, Received};
#[cfg(feature = "net")]
use futures_core::stream::BoxStream;

use crate::shared::Shared;
use crate::{change, commands, history, limits, media, outbound, stream};

/// A Discord app.
///
/// Cheap to clone; clones share connections, limits and memory. Made by
/// [`Discord::builder`] or [`Discord::from_env`].
#[derive(Clone)]
pub struct Discord {
    pub(crate) shared: Arc<Shared>,
}

impl Discord {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How many events have come by the gateway that Discord documents and nobody has asked
    /// for: they are counted and not handed on.
    #[must_use]
    pub fn ignored_events(&self) -> u64 {
        self.shared.ignored()
    }
}

impl fmt::Debug for Discord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discord")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Discord {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        self.shared.identify().await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        // Fails closed: an endpoint without a key would believe anybody.
        self.shared.verifier.is_some().then_some(self)
    }
    #[cfg(feature = "net")]
    fn as_events(&self) -> Option<&dyn Events> {
        let config = &self.shared.config;
        (config.gateway && config.bot_token.is_some()).then_some(self)
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
    fn as_cards(&self) -> Option<&dyn Cards> {
        Some(self)
    }
    fn as_history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

#[cfg(feature = "net")]
#[async_trait]
impl Events for Discord {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        crate::gateway::stream(Arc::clone(&self.shared))
    }
    fn resume(&self, cursor: &str) {
        self.shared.link.restore(cursor);
    }
    async fn close(&self) -> Result<()> {
        // The session stays for whoever resumes it; Discord ends it soon if nobody does.
        Ok(())
    }
}

#[async_trait]
impl Edit for Discord {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        change::edit(&self.shared, target, message).await
    }
}

#[async_trait]
impl Delete for Discord {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        change::delete(&self.shared, target).await
    }
}

#[async_trait]
impl React for Discord {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, true).await
    }
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, false).await
    }
}

#[async_trait]
impl Typing for Discord {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        change::typing(&self.shared, to).await
    }
    fn lasts(&self) -> Duration {
        limits::TYPING
    }
}

#[async_trait]
impl Media for Discord {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        media::download(&self.shared, attachment, max_bytes).await
    }
}

#[async_trait]
impl Stream for Discord {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        stream::open(&self.shared, to)
    }
}

#[async_trait]
impl Actions for Discord {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        outbound::answer_action(&self.shared, action, notice).await
    }
}

#[async_trait]
impl Commands for Discord {
    async fn publish_commands(&self, commands: &[CommandInfo]) -> Result<()> {
        commands::publish(&self.shared, commands).await
    }
}

#[async_trait]
impl Parts for Discord {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::count(message)
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}

#[async_trait]
impl Cards for Discord {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        change::update_card(&self.shared, target, card).await
    }
}

#[async_trait]
impl History for Discord {
    async fn history(
        &self,
        of: &Target,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        history::history(&self.shared, of, before, limit).await
    }
    async fn find(&self, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
        history::find(&self.shared, sent).await
    }
}
