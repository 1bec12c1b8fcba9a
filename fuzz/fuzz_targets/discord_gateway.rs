//! Whatever the gateway says, or somebody signs as Discord, is an event or an error, and what
//! becomes an event can be stored and read back.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Clock, Error, ErrorKind, Event, EventKind, HttpClient, HttpError, HttpErrorKind,
    HttpRequest, InboundMessage as _, NativeMessage as _, Random, Raw, Result, SocketConnector,
    SocketRequest, Transport, Webhook as _,
};
use channel_discord::{Discord, DiscordMessage, read_frame};
use ed25519_dalek::{Signer as _, SigningKey};
use futures_core::future::BoxFuture;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));
static DISCORD: LazyLock<Discord> = LazyLock::new(|| {
    let nothing = Arc::new(Nothing);
    let transport = Transport::new(
        nothing.clone(),
        nothing.clone(),
        nothing.clone(),
        nothing.clone(),
    );
    let key: String = KEY
        .verifying_key()
        .to_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    Discord::builder()
        .public_key(key)
        .transport(transport)
        .build()
        .expect("the settings are right")
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let payload = match read_frame(text) {
        Some((_, _, _, payload)) => payload,
        None => text,
    };
    let raw = Raw::new(Bytes::copy_from_slice(payload.as_bytes()));
    if let Ok(message) = DiscordMessage::from_raw(&raw) {
        assert!(message.id().as_str().bytes().all(|b| b.is_ascii_digit()));
        let _ = (message.content(), message.attachments(), message.sent_at());
    }
    posted(text);
});

fn posted(text: &str) {
    let signed = [b"0".as_slice(), text.as_bytes()].concat();
    let signature = KEY.sign(&signed).to_bytes();
    let signature: String = signature.iter().map(|b| format!("{b:02x}")).collect();
    let request = Request::post("/discord/interactions")
        .header("x-signature-timestamp", "0")
        .header("x-signature-ed25519", signature)
        .body(Bytes::copy_from_slice(text.as_bytes()))
        .expect("the request is right");
    match DISCORD.receive(&request, UNIX_EPOCH) {
        Ok(accepted) => accepted.events.iter().for_each(look),
        Err(rejection) => assert!(rejection.status().is_client_error()),
    }
}

fn look(event: &Event) {
    assert!(!event.id.as_str().is_empty());
    if let EventKind::Message(message) = &event.kind {
        let native: DiscordMessage = message.native().expect("the payload can be read back");
        assert_eq!(native.text(), message.text);
    }
}

/// A world without network and time.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl HttpClient for Nothing {
    async fn execute(&self, _: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        Err(HttpError::unsent(HttpErrorKind::Connect))
    }
}

#[async_trait]
impl SocketConnector for Nothing {
    async fn connect(&self, _: SocketRequest) -> Result<BoxSocket> {
        Err(Error::new(ErrorKind::Unavailable, "nothing"))
    }
}

impl Clock for Nothing {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH
    }
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl Random for Nothing {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
