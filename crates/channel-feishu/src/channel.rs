//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Card, Cards, Channel, ChannelInfo, Delete, Destination, Edit,
    Error, ErrorKind, History, Identity, Media, Message, MessageId, MessageRef, OutboundMessage,
    Parts, React, Receipt, ReplyStream, Result, Stream, Target, Typing, Webhook, async_trait,
};
#[cfg(feature = "net")]
use channel_core::{Events, Received};
#[cfg(feature = "net")]
use futures_core::stream::BoxStream;

#[cfg(feature = "net")]
use crate::config::Mode;
use crate::shared::Shared;
use crate::{PLATFORM, change, history, limits, media, outbound, presses, render, stream, typing};

/// An app of Feishu or Lark.
///
/// Cheap to clone; clones share connection, token and memory. Made by [`Feishu::builder`] or
/// [`Feishu::from_env`].
#[derive(Clone)]
pub struct Feishu {
    pub(crate) shared: Arc<Shared>,
}

impl Feishu {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Shares the card of a chat (`oc_...`) or of a person (`ou_...`).
    ///
    /// # Errors
    ///
    /// As for [`Channel::send`].
    pub async fn share(&self, to: impl Into<Destination>, whom: &str) -> Result<MessageRef> {
        outbound::share(&self.shared, &to.into(), whom).await
    }
}

impl fmt::Debug for Feishu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feishu")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Feishu {
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
        // Fails closed: a webhook without a secret would believe anybody.
        self.shared.config.can_verify().then_some(self)
    }
    #[cfg(feature = "net")]
    fn as_events(&self) -> Option<&dyn Events> {
        (self.shared.config.mode == Mode::Websocket).then_some(self)
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
impl Events for Feishu {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        crate::events::stream(Arc::clone(&self.shared))
    }
    async fn close(&self) -> Result<()> {
        crate::events::close(&self.shared).await;
        Ok(())
    }
}

#[async_trait]
impl Edit for Feishu {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        change::edit(&self.shared, target, message).await
    }
}

#[async_trait]
impl Delete for Feishu {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        change::delete(&self.shared, target).await
    }
}

#[async_trait]
impl React for Feishu {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, true).await
    }
    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        change::react(&self.shared, target, emoji, false).await
    }
}

#[async_trait]
impl Typing for Feishu {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        typing::start(&self.shared, to).await
    }
    fn lasts(&self) -> Duration {
        limits::TYPING
    }
}

#[async_trait]
impl Media for Feishu {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        media::download(&self.shared, attachment, max_bytes).await
    }
}

#[async_trait]
impl Stream for Feishu {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        stream::open(&self.shared, to)
    }
}

#[async_trait]
impl Actions for Feishu {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let said = notice.filter(|notice| !render::is_blank(notice));
        let answer = match said {
            Some(notice) => presses::toast(&render::cut(notice, limits::TOAST)),
            None => serde_json::json!({}),
        };
        let is_open = {
            let now = self.shared.elapsed();
            self.shared.presses.answer(action.id.as_str(), answer, now)
        };
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
impl Parts for Feishu {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::count(message)
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}

#[async_trait]
impl Cards for Feishu {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        change::update_card(&self.shared, target, card).await
    }
}

#[async_trait]
impl History for Feishu {
    async fn history(
        &self,
        of: &Target,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        history::history(&self.shared, of, before, limit).await
    }
    /// Feishu does not tell under which key a message was sent; it recognises the key itself.
    async fn find(&self, _: &OutboundMessage) -> Result<Option<MessageRef>> {
        Ok(None)
    }
}
