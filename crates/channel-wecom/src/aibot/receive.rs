//! What comes in, and what the request is answered with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Accepted, Answer, Held, Proof, Rejection, Result};
use channel_wechat_crypto::Sealed;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::sessions::{ended, running};
use super::{Shared, outbound};
use crate::card::set;
use crate::door::Opened;
use crate::inbound::{self, Frame, ReplyContext};
use crate::wire::{self, Item, What};

/// How long the first request of a message is kept open for a quick answer. The platform
/// waits for 5 s (<https://developer.work.weixin.qq.com/document/path/101031>), but shows
/// nothing meanwhile.
const HOLD_MESSAGE: Duration = Duration::from_secs(1);
/// How long that of a press is kept open: the card can change in its answer only.
const HOLD_PRESS: Duration = Duration::from_secs(4);
/// What a stream ends with that nobody knows: another process began it, or it is old.
const UNKNOWN_STREAM: &str = "This answer is no longer available. Please ask again.";

/// <https://developer.work.weixin.qq.com/document/path/101033>
#[derive(Serialize)]
struct Envelope<'a> {
    encrypt: &'a str,
    msgsignature: &'a str,
    timestamp: u64,
    nonce: &'a str,
}

pub(super) fn receive(
    shared: &Shared,
    request: &Request<Bytes>,
    now: SystemTime,
) -> Result<Accepted, Rejection> {
    let (plain, nonce) = match shared.door.open(request, now)? {
        Opened::Challenge(accepted) => return Ok(accepted),
        Opened::Message { plain, nonce } => (plain, nonce),
    };
    let item = wire::aibot::read(&plain);
    let sealer = Sealer {
        cipher: shared.door.cipher.clone(),
        transport: shared.api.transport.clone(),
        nonce,
    };
    let elapsed = shared.api.transport.clock.elapsed();
    let mut reply = ReplyContext {
        at: item.at.unwrap_or_else(|| seconds(now)),
        ..ReplyContext::default()
    };
    let answer = match &item.what {
        What::Refresh(id) => {
            let state = shared.sessions.ask(id, elapsed);
            let state = state.unwrap_or_else(|| ended(id, UNKNOWN_STREAM));
            // Not an event: nobody has said anything.
            return Ok(Accepted::with(
                Vec::new(),
                Answer::Now(sealer.answer(&state)),
            ));
        }
        What::Said { .. } => {
            let id = stream_id(&item.key);
            let url = item.url.as_ref().map(|url| url.expose().to_owned());
            reply.url = url.filter(|url| outbound::is_response_url(url, &shared.base));
            reply.request = Some(id.clone());
            match shared.sessions.open(&id, reply.url.is_some(), elapsed) {
                Some(state) => Answer::Now(sealer.answer(&state)),
                None => Answer::Held(hold_message(shared, &id, sealer)),
            }
        }
        What::Pressed {
            task: Some(task), ..
        } => {
            reply.request = Some(item.key.clone());
            // A card's own address for a late answer, as for a message.
            let url = item.url.as_ref().map(|url| url.expose().to_owned());
            reply.url = url.filter(|url| outbound::is_response_url(url, &shared.base));
            Answer::Held(hold_press(shared, &item, task, sealer))
        }
        What::Entered => match &shared.config.welcome {
            Some(words) => {
                let welcome = json!({"msgtype": "text", "text": {"content": words}});
                Answer::Now(sealer.answer(&welcome))
            }
            None => Answer::Now(Response::new(Bytes::new())),
        },
        _ => Answer::Now(Response::new(Bytes::new())),
    };
    let frame = Frame {
        channel: &shared.info.id,
        corp: shared.config.corp_id.as_deref(),
        name: shared.config.name.as_deref(),
        proof: Proof::Verified,
    };
    let event = inbound::event(&frame, item, &reply, plain);
    Ok(Accepted::with(vec![event], answer))
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The same for a message that comes again.
fn stream_id(message: &str) -> String {
    wire::digest([b"stream".as_slice(), message.as_bytes()])
}

fn hold_message(shared: &Shared, id: &str, sealer: Sealer) -> Held {
    let first = shared.sessions.first(id);
    let otherwise = sealer.answer(&running(id, ""));
    let reply = async move {
        let state = first.state(&*sealer.transport.clock).await;
        Some(sealer.answer(&state))
    };
    Held::new(Box::pin(reply), HOLD_MESSAGE, otherwise)
}

fn hold_press(shared: &Shared, item: &Item, task: &str, sealer: Sealer) -> Held {
    let open = shared.presses.open(&item.key, task);
    let user = item.place.as_ref().map(|place| place.user.clone());
    let reply = async move {
        let card = open.change().await;
        let mut change = json!({"response_type": "update_template_card", "template_card": card});
        set(&mut change, "userids", user.map(|user| json!([user])));
        Some(sealer.answer(&change))
    };
    Held::new(Box::pin(reply), HOLD_PRESS, Response::new(Bytes::new()))
}

/// Encrypts answers to one request.
struct Sealer {
    cipher: channel_wechat_crypto::MessageCipher,
    transport: channel_core::Transport,
    nonce: String,
}

impl Sealer {
    fn answer(&self, answer: &Value) -> Response<Bytes> {
        let mut random = [0; 16];
        self.transport.random.fill(&mut random);
        let now = self.transport.clock.now();
        let text = answer.to_string();
        let sealed = self.cipher.seal(text.as_bytes(), now, &self.nonce, random);
        // Answers are bounded before they get here; an empty one means "nothing to say".
        let body = sealed.map(|sealed| envelope(&sealed)).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

fn envelope(sealed: &Sealed) -> Vec<u8> {
    let envelope = Envelope {
        encrypt: &sealed.encrypt,
        msgsignature: &sealed.signature,
        timestamp: sealed.timestamp,
        nonce: &sealed.nonce,
    };
    serde_json::to_vec(&envelope).unwrap_or_default()
}
