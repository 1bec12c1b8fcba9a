//! Whatever Telegram, or somebody in its place, answers to a poll or posts to the webhook
//! is an event or an error.

#![no_main]

mod world;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use channel_core::{Channel as _, Event, Events as _, InboundMessage as _, Webhook as _};
use channel_telegram::{Telegram, TelegramBuilder, TelegramMessage};
use futures_util::{FutureExt as _, StreamExt as _};
use http::Request;
use libfuzzer_sys::fuzz_target;

use world::{World, transport};

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
