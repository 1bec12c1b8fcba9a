//! The group bot (<https://developer.work.weixin.qq.com/document/path/99110>).

mod config;
mod outbound;
mod webhooks;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    Accepted, Attachment, Channel, ChannelInfo, Identity, Media, OutboundMessage, Parts, Proof,
    Receipt, Rejection, Result, Route, Webhook, async_trait,
};
use http::Request;

pub use config::{WecomBotBuilder, WecomBotConfig};

use crate::api::Api;
use crate::door::{Door, Opened};
use crate::inbound::{self, Frame, ReplyContext};
use crate::{media, wire};

/// A WeCom group bot: writes through the webhook of its group, and, where the corp has the
/// callback, hears what mentions it.
///
/// Cheap to clone; clones share memory. Made by [`WecomBot::builder`] or
/// [`WecomBot::from_env`].
#[derive(Clone)]
pub struct WecomBot {
    shared: Arc<Shared>,
}

/// Everything behind a [`WecomBot`].
#[derive(Debug)]
struct Shared {
    info: ChannelInfo,
    config: WecomBotConfig,
    door: Option<Door>,
    api: Api,
    webhooks: webhooks::Webhooks,
}

impl Shared {
    /// The server that was configured; WeCom's own needs no mention.
    fn configured(&self) -> &str {
        self.config
            .webhook_url
            .as_ref()
            .map_or("", |url| url.expose())
    }
}

impl fmt::Debug for WecomBot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomBot")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for WecomBot {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        // WeCom tells a group bot nothing about itself, and a test message would be seen.
        let id = self.shared.info.id.as_str();
        let name = self.shared.config.name.as_deref().unwrap_or(id);
        Ok(Identity::new(id, name).with_username(name))
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        // Fails closed: without a token anybody could write messages.
        self.shared.door.is_some().then_some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        Some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
}

impl Webhook for WecomBot {
    fn routes(&self) -> &[Route] {
        self.shared.door.as_ref().map_or(&[], |door| &door.routes)
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        let shared = &self.shared;
        let door = shared.door.as_ref().ok_or(Rejection::unauthorized("off"))?;
        let plain = match door.open(request, now)? {
            Opened::Challenge(accepted) => return Ok(accepted),
            Opened::Message { plain, .. } => plain,
        };
        let item = wire::bot::read(&plain);
        let frame = Frame {
            channel: &shared.info.id,
            corp: shared.config.corp_id.as_deref(),
            name: shared.config.name.as_deref(),
            proof: Proof::Verified,
        };
        let url = item.url.clone();
        let url = url.filter(|url| webhooks::is_webhook(url.expose(), shared.configured()));
        if let (Some(url), Some(place)) = (&url, &item.place) {
            shared.webhooks.learn(&place.chat, url.clone());
        }
        let reply = ReplyContext {
            url: url.map(|url| url.expose().to_owned()),
            ..ReplyContext::default()
        };
        Ok(Accepted::ok(vec![inbound::event(
            &frame, item, &reply, plain,
        )]))
    }
}

#[async_trait]
impl Media for WecomBot {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        let max = max_bytes.min(self.shared.info.limits.download_bytes);
        let configured = self.shared.configured();
        media::download(&self.shared.api, configured, None, attachment, max).await
    }
}

#[async_trait]
impl Parts for WecomBot {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::plan(&self.shared, message).map(|parts| parts.len())
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}
