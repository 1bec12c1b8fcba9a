//! Whatever is posted to LINE's webhook is refused, or is events: a signature that is
//! claimed on the first line, and a body behind it.

#![no_main]

mod world;

use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use channel_core::{Channel as _, Event, EventKind, InboundMessage as _, Rejection, Webhook as _};
use channel_line::{Line, LineMessage};
use futures_util::FutureExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;

use world::{World, transport};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (claimed, body) = data.split_at(end.map_or(0, |end| end + 1));
    forged(claimed.trim_ascii_end(), body);
    posted(body);
    let mut callback = br#"{"destination":"U00000000000000000000000000000000","events":["#.to_vec();
    callback.extend_from_slice(body);
    callback.extend_from_slice(b"]}");
    posted(&callback);
});

/// Two channels: one takes events of any age, the other those of the last day.
fn channels() -> &'static [Line; 2] {
    static CHANNELS: OnceLock<[Line; 2]> = OnceLock::new();
    CHANNELS.get_or_init(|| {
        [0, 86_400].map(|age| {
            Line::builder()
                .channel_secret(SECRET)
                .channel_access_token("token")
                .max_age_seconds(age)
                .transport(transport(&Arc::new(World::default())))
                .build()
                .expect("the settings are right")
        })
    })
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("it is a key");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn receive(channel: &Line, claimed: &[u8], body: &[u8]) -> Result<Vec<Event>, Rejection> {
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = http::Method::POST;
    if let Ok(value) = HeaderValue::from_bytes(claimed) {
        request.headers_mut().append("x-line-signature", value);
    }
    let accepted = channel.receive(&request, UNIX_EPOCH)?;
    Ok(accepted.events)
}

/// Only one signature is the right one, and it has one spelling.
fn forged(claimed: &[u8], body: &[u8]) {
    if claimed == signature(body).as_bytes() {
        return;
    }
    for channel in channels() {
        let refused = receive(channel, claimed, body).expect_err("the signature is another");
        assert_eq!(refused.status().as_u16(), 401);
    }
}

/// What is signed is taken, or is no callback at all.
fn posted(body: &[u8]) {
    let claimed = signature(body);
    for channel in channels() {
        if let Ok(events) = receive(channel, claimed.as_bytes(), body) {
            let again = receive(channel, claimed.as_bytes(), body).map(|events| ids(&events));
            assert_eq!(again.ok(), Some(ids(&events)), "a redelivery has other ids");
            events.iter().for_each(|event| look(channel, event));
        }
    }
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

/// Asks an event everything that can be asked, and answers it.
fn look(channel: &Line, event: &Event) {
    let _ = (event.name(), event.sender(), event.conversation());
    if let EventKind::Action(action) = &event.kind {
        let _ = channel
            .as_actions()
            .map(|actions| actions.answer_action(action, None).now_or_never());
    }
    let Some(message) = event.message() else {
        return;
    };
    let _ = (message.content(), message.command(), message.attachments());
    let native = message.native::<LineMessage>().expect("it was read before");
    assert_eq!(native.id(), message.id);
    assert_eq!(native.text(), message.text);
    let _ = (native.content(), native.attachments(), native.sticker());
    let answer = message.reply(message.text.as_str());
    let _ = channel.send(&answer).now_or_never();
}
