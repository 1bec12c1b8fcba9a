//! The AI bot over its own connection
//! (<https://developer.work.weixin.qq.com/document/path/101463>).

mod calls;
mod config;
mod dial;
mod events;
mod frame;
mod outbound;
mod pump;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Card, Channel, ChannelInfo, Destination, Error, ErrorKind, Event,
    EventId, EventKind, Events, Identity, Media, OutboundMessage, Parts, Proof, Raw, Receipt,
    Received, ReplyStream, Result, Stream, Unknown, async_trait, timeout,
};
use futures_core::stream::BoxStream;
use serde_json::{Value, json};

pub use config::{WecomAibotLinkBuilder, WecomAibotLinkConfig};

use self::frame::Inbound;
use self::pump::{Outcome, Pump};
use crate::aibot::presses::Presses;
use crate::api::{Api, Call};
use crate::inbound::{self, Frame, ReplyContext};
use crate::wire::{self, What};
use crate::{PLATFORM, card, media, render};

/// How long [`probe`](Channel::probe) waits for the subscription.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// A WeCom AI bot that keeps a connection open: no public address is needed, and it may
/// write first to whoever has spoken with it.
///
/// WeCom lets one connection of a bot live. Cheap to clone; clones share it. Made by
/// [`WecomAibotLink::builder`] or [`WecomAibotLink::from_env`].
#[derive(Clone)]
pub struct WecomAibotLink {
    shared: Arc<Shared>,
}

/// Everything behind a [`WecomAibotLink`].
#[derive(Debug)]
struct Shared {
    info: ChannelInfo,
    config: WecomAibotLinkConfig,
    pump: Arc<Pump>,
    api: Api,
    cards: Presses,
}

impl fmt::Debug for WecomAibotLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomAibotLink")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for WecomAibotLink {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        let shared = &self.shared;
        let clock = &*shared.pump.transport.clock;
        let on = |error: Error| error.on(PLATFORM, "get identity");
        let ready = timeout(clock, READY_WITHIN, shared.pump.ready()).await;
        ready
            .unwrap_or_else(|_| {
                let message = "the connection is not open";
                Err(Error::new(ErrorKind::Unavailable, message))
            })
            .map_err(on)?;
        let id = shared.config.bot_id.as_str();
        let name = shared.config.name.as_deref().unwrap_or(id);
        Ok(Identity::new(id, name).with_username(name))
    }
    fn as_events(&self) -> Option<&dyn Events> {
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
}

#[async_trait]
impl Events for WecomAibotLink {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        events::stream(Arc::clone(&self.shared))
    }
    async fn close(&self) -> Result<()> {
        self.shared.pump.close().await;
        Ok(())
    }
}

#[async_trait]
impl Media for WecomAibotLink {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        let shared = &self.shared;
        let max = max_bytes.min(shared.info.limits.download_bytes);
        let configured = shared.config.ws_url.as_deref().unwrap_or_default();
        media::download(&shared.api, configured, None, attachment, max).await
    }
}

#[async_trait]
impl Stream for WecomAibotLink {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        stream::open(&self.shared, to)
    }
}

#[async_trait]
impl Actions for WecomAibotLink {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let Some(notice) = notice.filter(|notice| !notice.trim().is_empty()) else {
            return Ok(());
        };
        let task = action.message.as_ref().map_or("", |task| task.as_str());
        let card = self.shared.cards.noted(task, &render::cut(notice, 10));
        self.change(action, card).await
    }
}

#[async_trait]
impl Parts for WecomAibotLink {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::plan(&self.shared, message).map(|parts| parts.len())
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}

impl WecomAibotLink {
    /// Replaces the card that was pressed, within 5 s of the press: WeCom knows no later
    /// way, which is why this is not [`Cards`](channel_core::Cards).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the press is too old, [`ErrorKind::Unsupported`] if WeCom
    /// has no form for the card.
    pub async fn answer_with_card(&self, action: &Action, card: &Card) -> Result<()> {
        let task = action.message.as_ref().map_or("", |task| task.as_str());
        self.change(action, card::for_update(card, task)?).await
    }

    async fn change(&self, action: &Action, card: Value) -> Result<()> {
        let call = Call::once("answer action");
        let request = outbound::request_of(&action.return_address.clone().into())?;
        let request = request.ok_or_else(|| {
            let message = "the press is not one of this channel";
            Error::new(ErrorKind::NotFound, message).on(PLATFORM, call.operation)
        })?;
        let body = json!({"response_type": "update_template_card", "template_card": card});
        let command = "aibot_respond_update_msg";
        let within = calls::ANSWERED_WITHIN;
        calls::call(&self.shared.pump, call, command, &request, body, within).await?;
        Ok(())
    }
}

/// Makes an event of a frame that brings something.
fn read(
    info: &ChannelInfo,
    config: &WecomAibotLinkConfig,
    command: &str,
    inbound: &Inbound,
    now: SystemTime,
) -> Outcome {
    if !matches!(command, "aibot_msg_callback" | "aibot_event_callback") {
        let raw = Raw::new(inbound.body.clone());
        let unknown = EventKind::Unknown(Box::new(Unknown::new(command, raw)));
        let id = format!("frame-{}", wire::short(&inbound.request));
        let event = Event::new(EventId::from(id), info.id.clone(), unknown);
        return Outcome::Event(Box::new(event), None);
    }
    let item = wire::aibot::read(&inbound.body);
    let mut answer = None;
    match &item.what {
        What::Disconnected => return Outcome::TakenOver,
        What::Entered => {
            answer = config.welcome.as_ref().map(|words| {
                let body = json!({"msgtype": "text", "text": {"content": words}});
                frame::write("aibot_respond_welcome_msg", &inbound.request, Some(body))
            });
        }
        _ => {}
    }
    let reply = ReplyContext {
        request: (!inbound.request.is_empty()).then(|| inbound.request.clone()),
        at: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        ..ReplyContext::default()
    };
    let frame = Frame {
        channel: &info.id,
        corp: config.corp_id.as_deref(),
        name: config.name.as_deref(),
        // Nothing is signed: the connection that we opened vouches for it.
        proof: Proof::Asserted,
    };
    let event = inbound::event(&frame, item, &reply, inbound.body.clone());
    Outcome::Event(Box::new(event), answer)
}
