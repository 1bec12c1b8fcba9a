//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Card, Cards, Channel, ChannelInfo, Delete, Destination, Error,
    ErrorKind, Identity, Media, MessageRef, OutboundMessage, Parts, React, Receipt, ReplyStream,
    Result, Stream, Typing, Webhook, async_trait,
};
#[cfg(feature = "net")]
use channel_core::{Events, Received};
#[cfg(feature = "net")]
use futures_core::stream::BoxStream;

use crate::config::Mode;
use crate::shared::Shared;
use crate::{PLATFORM, card, change, limits, media, outbound, presses, render, stream, typing};

/// A robot of a DingTalk app.
///
/// Cheap to clone; clones share connection, tokens and memory. Made by [`DingTalk::builder`] or
/// [`DingTalk::from_env`].
#[derive(Clone)]
pub struct DingTalk {
    pub(crate) shared: Arc<Shared>,
}

impl DingTalk {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Says in a sentence which way an answer would take now, and why. Sends nothing.
    #[must_use]
    pub fn explain_way(&self, to: &Destination) -> String {
        outbound::explain(&self.shared, to)
    }
}

impl fmt::Debug for DingTalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DingTalk")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for DingTalk {
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
        (self.shared.config.mode == Mode::Webhook).then_some(self)
    }
    #[cfg(feature = "net")]
    fn as_events(&self) -> Option<&dyn Events> {
        (self.shared.config.mode == Mode::Stream).then_some(self)
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
        // Nothing but cards can be changed after it was sent.
        self.has_cards().then_some(self)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        self.shared.config.has_presses().then_some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        self.has_cards().then_some(self)
    }
}

impl DingTalk {
    fn has_cards(&self) -> bool {
        self.shared.config.card_template_id.is_some()
    }
}

#[cfg(feature = "net")]
#[async_trait]
impl Events for DingTalk {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        crate::events::stream(Arc::clone(&self.shared))
    }
    async fn close(&self) -> Result<()> {
        crate::events::close(&self.shared).await;
        Ok(())
    }
}

#[async_trait]
impl Delete for DingTalk {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        change::recall(&self.shared, target).await
    }
}

#[async_trait]
impl React for DingTalk {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, true).await
    }
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, false).await
    }
}

#[async_trait]
impl Typing for DingTalk {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        typing::start(&self.shared, to).await
    }
    fn lasts(&self) -> Duration {
        limits::TYPING
    }
}

#[async_trait]
impl Media for DingTalk {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        media::fetch(&self.shared, &attachment.id, max_bytes).await
    }
}

#[async_trait]
impl Stream for DingTalk {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        stream::open(&self.shared, to)
    }
    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        stream::resume(&self.shared, to, shown)
    }
}

#[async_trait]
impl Actions for DingTalk {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let said = notice.filter(|notice| !render::is_blank(notice));
        let answer = presses::answer(said.map(|notice| render::cut(notice, limits::NOTICE)));
        let now = self.shared.elapsed();
        let is_open = self.shared.presses.answer(action.id.as_str(), answer, now);
        // Without words there is nothing that anybody misses.
        if is_open || said.is_none() {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::NotFound, "the press is too old to be answered")
                .on(PLATFORM, "answer action"),
        )
    }
}

#[async_trait]
impl Parts for DingTalk {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::count(&self.shared, message)
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}

#[async_trait]
impl Cards for DingTalk {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        card::update(&self.shared, target, card).await
    }
}
