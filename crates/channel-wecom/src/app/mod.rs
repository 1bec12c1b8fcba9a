//! The custom app (<https://developer.work.weixin.qq.com/document/path/90226>).

mod cards;
mod config;
mod outbound;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    Accepted, Action, Actions, Attachment, Card, Cards, Channel, ChannelInfo, Identity, Media,
    MessageRef, OutboundMessage, Parts, Proof, Receipt, Rejection, Result, Route, Secret, Webhook,
    async_trait,
};
use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use config::{WecomAppBuilder, WecomAppConfig};

use crate::api::{Api, Call, Payload};
use crate::door::{Door, Opened};
use crate::error::{Fault, Reason};
use crate::inbound::{self, Frame, ReplyContext};
use crate::token::Token;
use crate::wire;

/// A WeCom custom app: one-to-one chats with the members of a corp.
///
/// Cheap to clone; clones share token and memory. Made by [`WecomApp::builder`] or
/// [`WecomApp::from_env`].
#[derive(Clone)]
pub struct WecomApp {
    shared: Arc<Shared>,
}

/// Everything behind a [`WecomApp`].
#[derive(Debug)]
struct Shared {
    info: ChannelInfo,
    config: WecomAppConfig,
    base: String,
    door: Option<Door>,
    api: Api,
    token: Token,
    sent_cards: cards::SentCards,
}

impl fmt::Debug for WecomApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomApp")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for WecomApp {
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
        // Fails closed: without a token anybody could write messages.
        self.shared.door.is_some().then_some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
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
}

impl Webhook for WecomApp {
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
        let read = wire::app::read(&plain);
        if read
            .agent
            .is_some_and(|agent| agent != shared.config.agent_id)
        {
            // The same token was given to two apps.
            return Err(Rejection::unauthorized("agent"));
        }
        let frame = Frame {
            channel: &shared.info.id,
            corp: Some(&shared.config.corp_id),
            name: None,
            proof: Proof::Verified,
        };
        let event = inbound::event(&frame, read.item, &ReplyContext::default(), plain);
        Ok(Accepted::ok(vec![event]))
    }
}

#[async_trait]
impl Media for WecomApp {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        outbound::download(&self.shared, attachment, max_bytes).await
    }
}

#[async_trait]
impl Actions for WecomApp {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        cards::answer(&self.shared, action, notice).await
    }
}

#[async_trait]
impl Cards for WecomApp {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        cards::update(&self.shared, target, card).await
    }
}

#[async_trait]
impl Parts for WecomApp {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        outbound::plan(&self.shared, message).map(|parts| parts.len())
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}

impl Shared {
    /// An address of the API that carries the token.
    fn address(&self, path: &str, token: &Secret, query: &[(&str, &str)]) -> Secret {
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut address = format!(
            "{}/cgi-bin/{path}?access_token={}",
            self.base,
            escape(token.expose())
        );
        for (name, value) in query {
            address.push_str(&format!("&{name}={}", escape(value)));
        }
        Secret::new(address)
    }

    /// Makes a call with the token; with a new one, once, if WeCom does not take it.
    async fn with_token<T, F>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        call: impl Fn(Secret) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let token = self.token.get(&self.api).await?;
        let first = call(self.address(path, &token, query)).await;
        match first {
            Err(fault) if fault.reason == Reason::Token => {
                self.token.drop_token(&token).await;
                let token = self.token.get(&self.api).await?;
                call(self.address(path, &token, query)).await
            }
            first => first,
        }
    }

    async fn post<T: DeserializeOwned + Send>(
        &self,
        call: Call,
        path: &str,
        query: &[(&str, &str)],
        payload: &Payload,
    ) -> Result<T, Fault> {
        let post =
            |address: Secret| async move { self.api.post(call, &address, payload.clone()).await };
        self.with_token(path, query, post).await
    }

    async fn identify(&self) -> Result<Identity> {
        #[derive(Deserialize)]
        struct Agent {
            #[serde(default)]
            name: String,
        }
        let agent = self.config.agent_id.to_string();
        let call = Call::repeatable("get identity");
        let get = |address: Secret| async move { self.api.get::<Agent>(call, &address).await };
        let query = [("agentid", agent.as_str())];
        let found = self.with_token("agent/get", &query, get).await?;
        Ok(Identity::new(agent, found.name))
    }
}
