//! Whatever somebody posts to the routes of Slack, signed or not, is an event, an answer or a refusal.

#![no_main]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Channel as _, Clock, Error, Event, EventKind, HttpClient, HttpError, HttpRequest,
    InboundMessage as _, OutboundMessage, Random, Result, SocketConnector, SocketRequest, Transport,
    Webhook as _,
};
use channel_slack::{Lifecycle, Slack, SlackMessage};
use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;

const SECRET: &str = "secret";
const NOW: u64 = 1_700_000_000;
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fuzz_target!(|data: &[u8]| {
    // Events, commands and forms as they are; an interaction as the payload of its form.
    posted("/slack/events", JSON, data);
    posted("/slack/commands", FORM, data);
    let mut payload = b"payload=".to_vec();
    payload.extend(
        data.iter()
            .flat_map(|byte| format!("%{byte:02X}").into_bytes()),
    );
    posted("/slack/interactions", FORM, &payload);
    headed(data);
});

fn channel() -> Slack {
    let world = || Arc::new(World);
    Slack::builder()
        .bot_token("xoxb-TEST")
        .signing_secret(SECRET)
        .transport(Transport::new(world(), world(), world(), world()))
        .build()
        .expect("the settings are right")
}

fn sign(timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key is one");
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A body with the right signature.
fn posted(path: &str, kind: &str, body: &[u8]) {
    let channel = channel();
    let request = Request::post(path)
        .header("content-type", kind)
        .header("x-slack-request-timestamp", NOW.to_string())
        .header("x-slack-signature", sign(&NOW.to_string(), body))
        .body(Bytes::copy_from_slice(body))
        .expect("the request is right");
    if let Ok(accepted) = channel.receive(&request, now()) {
        for event in &accepted.events {
            look(&channel, event);
        }
    }
}

/// Signature, timestamp and body are all of the attacker's making: nothing may pass.
fn headed(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (signature, timestamp, body) = (part(), part(), part());
    let request = Request::post("/slack/events")
        .header("content-type", JSON)
        .header("x-slack-signature", signature)
        .header("x-slack-request-timestamp", timestamp)
        .body(Bytes::copy_from_slice(body));
    // Not every line is a header.
    if let Ok(request) = request {
        assert!(channel().receive(&request, now()).is_err());
    }
}

/// Asks an event everything that can be asked, and answers it.
fn look(channel: &Slack, event: &Event) {
    let _ = (event.name(), event.sender(), event.conversation());
    let _ = Lifecycle::of(event);
    let answer = match &event.kind {
        EventKind::Message(message) | EventKind::Edited(message) => {
            let _ = (message.content(), message.command(), message.attachments());
            if let Ok(native) = message.native::<SlackMessage>() {
                assert_eq!(native.id(), message.id);
                assert_eq!(native.text(), message.text);
                let _ = (native.content(), native.attachments(), native.addressed());
                let _ = (native.team_id(), native.event_id(), native.blocks());
            }
            message.reply(message.text.as_str())
        }
        EventKind::Action(action) => OutboundMessage::new(action.return_address.clone(), "answer"),
        _ => return,
    };
    let _ = channel.send(&answer).now_or_never();
}

/// Nobody answers; time stands still.
#[derive(Debug)]
struct World;

#[async_trait]
impl HttpClient for World {
    async fn execute(&self, _request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        std::future::pending().await
    }
}

#[async_trait]
impl SocketConnector for World {
    async fn connect(&self, _request: SocketRequest) -> Result<BoxSocket> {
        Err(Error::config("there are no sockets here"))
    }
}

impl Clock for World {
    fn now(&self) -> SystemTime {
        now()
    }
    fn elapsed(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn sleep(&self, _duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl Random for World {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
