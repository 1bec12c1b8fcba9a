//! The AI bot by callback (<https://developer.work.weixin.qq.com/document/path/101039>).

mod config;
mod outbound;
pub(crate) mod presses;
mod receive;
mod sessions;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    Accepted, Action, Actions, Attachment, Card, Cards, Channel, ChannelInfo, Destination, Error,
    ErrorKind, Identity, Media, MessageRef, OutboundMessage, Receipt, Rejection, ReplyLedger,
    ReplyStream, Result, Route, Stream, Webhook, async_trait,
};
use http::Request;

pub use config::{WecomAibotBuilder, WecomAibotConfig};

use crate::api::Api;
use crate::door::Door;
use crate::inbound::ReplyContext;
use crate::{PLATFORM, card, media, render};

/// A WeCom AI bot that is reached by callback: it answers whoever writes to it or mentions
/// it, and cannot begin a conversation.
///
/// Cheap to clone; clones share the answers under way. Made by [`WecomAibot::builder`] or
/// [`WecomAibot::from_env`].
#[derive(Clone)]
pub struct WecomAibot {
    shared: Arc<Shared>,
}

/// Everything behind a [`WecomAibot`].
#[derive(Debug)]
struct Shared {
    info: ChannelInfo,
    config: WecomAibotConfig,
    base: String,
    door: Door,
    api: Api,
    sessions: sessions::Sessions,
    presses: presses::Presses,
    ledger: ReplyLedger,
}

impl fmt::Debug for WecomAibot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomAibot")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

impl WecomAibot {
    /// Which ways an answer to a message still has, and why not the others; for logs.
    #[must_use]
    pub fn explain(&self, to: &Destination) -> String {
        outbound::explain(&self.shared, to)
    }
}

#[async_trait]
impl Channel for WecomAibot {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        // There is nobody to ask: the callback is all that this bot has.
        let id = self.shared.info.id.as_str();
        let name = self.shared.config.name.as_deref().unwrap_or(id);
        Ok(Identity::new(id, name).with_username(name))
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
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
    fn as_cards(&self) -> Option<&dyn Cards> {
        Some(self)
    }
}

impl Webhook for WecomAibot {
    fn routes(&self) -> &[Route] {
        &self.shared.door.routes
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        receive::receive(&self.shared, request, now)
    }
}

#[async_trait]
impl Media for WecomAibot {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        let shared = &self.shared;
        let max = max_bytes.min(shared.info.limits.download_bytes);
        let key = shared.door.cipher.key();
        media::download(&shared.api, &shared.base, Some(key), attachment, max).await
    }
}

#[async_trait]
impl Stream for WecomAibot {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        stream::open(&self.shared, to)
    }
}

fn unanswered() -> Error {
    let message = "nobody waits for an answer to the press any more";
    Error::new(ErrorKind::NotFound, message).on(PLATFORM, "answer action")
}

#[async_trait]
impl Actions for WecomAibot {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let Some(notice) = notice.filter(|notice| !notice.trim().is_empty()) else {
            return Ok(());
        };
        let presses = &self.shared.presses;
        let context: Option<ReplyContext> = action.return_address.context()?;
        let press = context.and_then(|context| context.request);
        let press = press.ok_or_else(unanswered)?;
        let task = presses.task_of(&press).ok_or_else(unanswered)?;
        let card = presses.noted(&task, &render::cut(notice, 10));
        presses
            .answer(&press, card)
            .then_some(())
            .ok_or_else(unanswered)
    }
}

#[async_trait]
impl Cards for WecomAibot {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        let task = target.id.as_str();
        let template = card::for_update(card, task)?;
        self.shared
            .presses
            .update(task, template)
            .then_some(())
            .ok_or_else(unanswered)
    }
}
