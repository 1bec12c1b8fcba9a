//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Card, Cards, Channel, ChannelInfo, Delete, Destination, Edit,
    History, Identity, Media, Message, MessageId, MessageRef, OutboundMessage, Parts, React,
    Receipt, ReplyStream, Result, Stream, Target, Typing, Webhook, async_trait,
};
#[cfg(feature = "net")]
use channel_core::{Events, Received};
#[cfg(feature = "net")]
use futures_core::stream::BoxStream;

use crate::error::invalid;
use crate::shared::Shared;
use crate::{change, history, limits, media, outbound, stream, typing};

/// A Slack app.
///
/// Cheap to clone; clones share connection, limits and memory. Made by [`Slack::builder`]
/// or [`Slack::from_env`].
#[derive(Clone)]
pub struct Slack {
    pub(crate) shared: Arc<Shared>,
}

impl Slack {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn has_socket(&self) -> bool {
        cfg!(feature = "net") && self.shared.config.app_token.is_some()
    }

    /// Asks Slack who the bot is in one of many workspaces.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` if the app is not installed there.
    pub async fn probe_workspace(&self, workspace: &str) -> Result<Identity> {
        self.shared.identify(Some(workspace)).await
    }

    /// Says which way an answer would take now, and why: by the `response_url` of a slash
    /// command, or posted. Sends nothing and uses nothing up.
    #[must_use]
    pub fn explain(&self, to: &Destination) -> String {
        outbound::explain(&self.shared, to)
    }
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Slack {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        if self.shared.is_many() {
            // The app itself has no token that could be asked.
            return Err(invalid(
                "the channel serves many workspaces: probe one by probe_workspace",
                "get identity",
            ));
        }
        self.shared.identify(None).await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        // Fails closed: a webhook without a secret would believe anybody. Slack delivers by
        // one way at a time.
        let is_hooked = self.shared.verifier.is_some() && !self.has_socket();
        is_hooked.then_some(self)
    }
    #[cfg(feature = "net")]
    fn as_events(&self) -> Option<&dyn Events> {
        self.has_socket().then_some(self)
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
impl Events for Slack {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        crate::events::stream(Arc::clone(&self.shared))
    }
    async fn close(&self) -> Result<()> {
        crate::events::close(&self.shared).await;
        Ok(())
    }
}

#[async_trait]
impl Edit for Slack {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        change::edit(&self.shared, target, message).await
    }
}

#[async_trait]
impl Delete for Slack {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        change::delete(&self.shared, target).await
    }
}

#[async_trait]
impl React for Slack {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, true).await
    }
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, false).await
    }
}

#[async_trait]
impl Typing for Slack {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        typing::start(&self.shared, to).await
    }
    fn lasts(&self) -> Duration {
        limits::STATUS
    }
}

#[async_trait]
impl Media for Slack {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        media::download(&self.shared, attachment, max_bytes).await
    }
}

#[async_trait]
impl Stream for Slack {
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
impl Actions for Slack {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        outbound::answer_action(&self.shared, action, notice).await
    }
}

#[async_trait]
impl Parts for Slack {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::count(&self.shared, message)
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}

#[async_trait]
impl Cards for Slack {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        change::update_card(&self.shared, target, card).await
    }
}

#[async_trait]
impl History for Slack {
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
