//! Whatever Telegram, or somebody in its place, answers to a poll or posts to the webhook
//! is an event or an error.

#![no_main]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Channel as _, Clock, Error, Event, Events as _, HttpClient, HttpError, HttpRequest,
    InboundMessage as _, Random, Result, SocketConnector, SocketRequest, Transport, Webhook as _,
};
use channel_telegram::{Telegram, TelegramBuilder, TelegramMessage};
use futures_core::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "secret";

fuzz_target!(|data: &[u8]| {
    posted(data);
    polled(data.to_vec());
    let mut batch = br#"{"ok":true,"result":["#.to_vec();
    batch.extend_from_slice(data);
    batch.extend_from_slice(b"]}");
    polled(batch);
});

fn builder() -> TelegramBuilder {
    Telegram::builder().token("42:TEST").username("kit_bot")
}

fn posted(data: &[u8]) {
    let world = Arc::new(World::default());
    let channel = builder()
        .webhook_secret(SECRET)
        .transport(transport(&world))
        .build()
        .expect("the settings are right");
    let request = Request::post("/telegram/webhook")
        .header("content-type", "application/json")
        .header("x-telegram-bot-api-secret-token", SECRET)
        .body(Bytes::copy_from_slice(data))
        .expect("the request is right");
    if let Ok(accepted) = channel.receive(&request, UNIX_EPOCH) {
        accepted
            .events
            .iter()
            .for_each(|event| look(&channel, event));
    }
}

fn polled(answer: Vec<u8>) {
    let world = Arc::new(World::default());
    *world.answer.lock().expect("nobody panics with it") = Some(answer.into());
    let channel = builder()
        .transport(transport(&world))
        .build()
        .expect("the settings are right");
    let mut stream = channel.events();
    // Ends where the stream waits for the next poll, or for time to pass.
    while let Some(Some(Ok(mut received))) = stream.next().now_or_never() {
        if let Some(event) = received.take() {
            look(&channel, &event);
        }
        let _ = received.ack().now_or_never();
    }
}

/// Asks an event everything that can be asked, and answers it.
fn look(channel: &Telegram, event: &Event) {
    let _ = (event.name(), event.sender(), event.conversation());
    let Some(message) = event.message() else {
        return;
    };
    let _ = (message.content(), message.command(), message.attachments());
    if let Ok(native) = message.native::<TelegramMessage>() {
        assert_eq!(native.id(), message.id);
        assert_eq!(native.text(), message.text);
        let _ = (native.content(), native.attachments(), native.addressed());
    }
    let answer = message.reply(message.text.as_str());
    let _ = channel.send(&answer).now_or_never();
}

/// One answer, and then nothing more; time stands still.
#[derive(Debug, Default)]
struct World {
    answer: Mutex<Option<Bytes>>,
}

fn transport(world: &Arc<World>) -> Transport {
    let world = || Arc::clone(world);
    Transport::new(world(), world(), world(), world())
}

#[async_trait]
impl HttpClient for World {
    async fn execute(&self, _request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let answer = self.answer.lock().expect("nobody panics with it").take();
        match answer {
            Some(answer) => Ok(Response::new(answer)),
            None => std::future::pending().await,
        }
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
        UNIX_EPOCH
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
