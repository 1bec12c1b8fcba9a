//! The AI bot by callback.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Button, Card, Cards as _, Channel as _, EventKind, Media as _, Stream as _,
};
use channel_emulator::wecom::{NewBot, Post, PostKind, Via};
use channel_wecom::WecomAibot;

use super::{ADA, Callbacks, PNG, World};
use crate::sealing::{KEY, TOKEN};

const BOT: &str = "aib1";
const SECOND: Duration = Duration::from_secs(1);

async fn open(world: &World) -> (WecomAibot, Callbacks) {
    let channel = WecomAibot::builder()
        .callback(TOKEN, KEY)
        .api_base(world.server.api_base())
        .welcome("welcome!")
        .transport(world.transport())
        .build()
        .unwrap();
    world.bot(&NewBot::ai(BOT));
    let callbacks = world.serve(BOT, Arc::new(channel.clone())).await;
    (channel, callbacks)
}

/// How many refreshes of streams have been answered.
fn polls(world: &World) -> usize {
    let tries = world.deliveries();
    let polls = tries.iter().filter(|one| one.topic == "stream");
    polls.filter(|one| one.status == Some(200)).count()
}

/// Lets a second pass in which the platform has asked again.
async fn pass(world: &World) {
    world.clock.advance(SECOND);
    let before = polls(world);
    let asked = world.wait_for(super::PATIENCE, |_| (polls(world) > before).then_some(()));
    asked.await.unwrap();
}

/// Waits until the request that brought a message is over and the stream has begun.
async fn begun(world: &World) {
    let begun = world.wait_for(super::PATIENCE, |wecom| {
        // The first request is held for a second.
        world.clock.advance(SECOND);
        (!wecom.sent(BOT).is_empty()).then_some(())
    });
    begun.await.unwrap();
}

#[tokio::test]
async fn a_quick_answer_is_the_answer_to_the_callback() {
    let world = World::new().await;
    let (channel, mut callbacks) = open(&world).await;
    assert!(world.check(BOT).await.unwrap());
    world.say(BOT, ADA, "hello").unwrap();
    let message = callbacks.message().await;
    channel.send(&message.reply("echo: hello")).await.unwrap();
    let sent = world.shown(BOT, |sent| sent.is_finished).await;
    assert_eq!(sent.body["stream"]["content"], "echo: hello");
    assert_eq!((sent.via, polls(&world)), (Via::Passive, 0));
}

#[tokio::test]
async fn a_three_minute_answer_streams_to_its_end_through_polls() {
    let world = World::new().await;
    let (channel, mut callbacks) = open(&world).await;
    world.say(BOT, ADA, "count to 180").unwrap();
    let message = callbacks.message().await;
    let mut growing = channel.stream(&message.reply("").to).await.unwrap();
    growing.show(&Body::plain("1")).await.unwrap();
    let mut text = "1".to_owned();
    world.shown(BOT, |_| true).await;
    for number in 2..=180 {
        text.push_str(&format!(" {number}"));
        growing.show(&Body::plain(text.as_str())).await.unwrap();
        pass(&world).await;
    }
    let shown = &world.sent(BOT)[0];
    assert!(!shown.is_finished);
    let so_far = shown.body["stream"]["content"].as_str().unwrap();
    assert!(
        text.starts_with(so_far) && so_far.len() > text.len() / 2,
        "{so_far}"
    );
    let receipt = growing.finish(message.reply(text.as_str())).await.unwrap();
    assert_eq!(receipt.messages.len(), 1);
    let shown = world.shown(BOT, |sent| sent.is_finished).await;
    assert_eq!(shown.body["stream"]["content"], text);
    assert_eq!(world.sent(BOT).len(), 1);
    assert!(polls(&world) >= 179, "{}", polls(&world));
    assert_eq!(world.count("aibot/response"), 0);
}

#[tokio::test]
async fn an_answer_after_the_limit_comes_by_response_url_whole() {
    let world = World::new().await;
    let (channel, mut callbacks) = open(&world).await;
    world.say(BOT, ADA, "think").unwrap();
    let message = callbacks.message().await;
    let mut growing = channel.stream(&message.reply("").to).await.unwrap();
    growing.show(&Body::plain("so far")).await.unwrap();
    world.shown(BOT, |_| true).await;
    // Past the six minutes in which the platform asks.
    world.clock.advance(Duration::from_secs(200));
    pass(&world).await;
    world.clock.advance(Duration::from_secs(200));
    world.shown(BOT, |sent| sent.is_finished).await;
    let whole = format!("so far {}", "and further ".repeat(200))
        .trim_end()
        .to_owned();
    growing.finish(message.reply(whole.as_str())).await.unwrap();
    let late = world.shown(BOT, |sent| sent.via == Via::ResponseUrl).await;
    assert_eq!(late.body["markdown"]["content"], whole);
    assert_eq!(
        (world.sent(BOT).len(), world.count("aibot/response")),
        (2, 1)
    );
    let first = &world.sent(BOT)[0];
    assert_eq!(first.body["stream"]["content"], "so far");
}

#[tokio::test]
async fn a_message_that_is_delivered_twice_has_one_stream() {
    let world = World::new().await;
    let (channel, mut callbacks) = open(&world).await;
    world.faults().duplicate_deliveries(1);
    world.say(BOT, ADA, "hello").unwrap();
    let first = callbacks.event().await;
    begun(&world).await;
    let second = callbacks.event().await;
    assert_eq!(first.id, second.id);
    let message = first.message().unwrap();
    channel.send(&message.reply("once")).await.unwrap();
    let shown = world.shown(BOT, |sent| sent.is_finished).await;
    assert_eq!(shown.body["stream"]["content"], "once");
    assert_eq!(world.sent(BOT).len(), 1);
}

#[tokio::test]
async fn people_are_greeted_and_their_files_read() {
    let world = World::new().await;
    let (channel, mut callbacks) = open(&world).await;
    world.open(BOT, ADA).unwrap();
    let greeting = world.shown(BOT, |_| true).await;
    assert_eq!(greeting.body["text"]["content"], "welcome!");
    callbacks.event().await;
    world
        .say(BOT, ADA, Post::media(PostKind::Image, "image/png", PNG))
        .unwrap();
    let message = callbacks.message().await;
    let picture = channel.download(&message.attachments[0], 1000).await;
    assert_eq!(picture.unwrap(), PNG);
    channel.send(&message.reply("seen")).await.unwrap();
    world.shown(BOT, |sent| sent.is_finished).await;
}

#[tokio::test]
async fn a_pressed_card_changes_in_the_answer_to_the_press() {
    let world = World::new().await;
    let (channel, mut callbacks) = open(&world).await;
    world.say(BOT, ADA, "deploy").unwrap();
    let message = callbacks.message().await;
    let buttons = [Button::press("Yes", "y"), Button::press("No", "n")];
    let receipt = channel
        .send(&message.reply("Deploy?").buttons(buttons))
        .await
        .unwrap();
    let sent = world
        .shown(BOT, |sent| sent.body["template_card"].is_object())
        .await;
    let key = sent.body["template_card"]["button_list"][1]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    world.press(BOT, ADA, ADA, &sent.id, &key, &[]).unwrap();
    let EventKind::Action(action) = callbacks.event().await.kind else {
        panic!("not a press");
    };
    assert_eq!(action.value, "n");
    channel
        .update_card(receipt.first().unwrap(), &Card::new("Cancelled"))
        .await
        .unwrap();
    let changed = world
        .shown(BOT, |sent| sent.body.to_string().contains("Cancelled"))
        .await;
    assert_eq!(changed.id, sent.id);
}
