//! The group bot.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Body, Channel as _, ErrorKind, Media as _, OutboundMessage, Target, Upload};
use channel_emulator::wecom::{NewBot, Post, Via, WecomConfig};
use channel_wecom::WecomBot;

use super::{ADA, PNG, World, is_whole, many_words};
use crate::sealing::{KEY, TOKEN};

fn channel(world: &World, key: &str) -> WecomBot {
    let url = format!("{}/cgi-bin/webhook/send?key={key}", world.server.api_base());
    let builder = WecomBot::builder().webhook_url(url).callback(TOKEN, KEY);
    builder
        .name("Kit")
        .transport(world.transport())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_group_bot_hears_its_group_and_answers_there() {
    for format in ["", "?robot_callback_format=json"] {
        let world = World::new().await;
        let bot = world.bot(&NewBot::group("key-1"));
        let chat = world.group("Team", &[&bot], &[ADA]).unwrap();
        let channel = channel(&world, "key-1");
        let mut callbacks = world.serve(&bot, Arc::new(channel.clone())).await;
        let url = format!("{}{format}", callbacks.url);
        world.set_callback(&bot, &url, TOKEN, KEY).unwrap();
        assert!(world.check(&bot).await.unwrap());
        world.post(&bot, &chat, ADA, "hello").unwrap();
        let message = callbacks.message().await;
        assert_eq!(message.text, "hello");
        assert!(message.addressed.is_to_me());
        channel
            .send(&message.reply(Body::markdown("**hi** there")))
            .await
            .unwrap();
        let sent = world.shown(&bot, |_| true).await;
        assert_eq!(
            (sent.chat.as_str(), sent.via),
            (chat.as_str(), Via::Webhook)
        );
        let kind = sent.body["msgtype"].as_str().unwrap();
        assert_eq!(sent.body[kind]["content"], "**hi** there", "{}", sent.body);
    }
}

#[tokio::test]
async fn a_group_bot_sends_pictures_and_files_and_fetches_them() {
    let world = World::new().await;
    let bot = world.bot(&NewBot::group("key-1"));
    let chat = world.group("Team", &[&bot], &[ADA]).unwrap();
    let channel = channel(&world, "key-1");
    let mut callbacks = world.serve(&bot, Arc::new(channel.clone())).await;
    let message = OutboundMessage::new(Target::chat(chat.as_str()), "look")
        .attach(Upload::image("a.png", PNG))
        .attach(Upload::file("a.txt", "hello world"));
    channel.send(&message).await.unwrap();
    let kinds: Vec<_> = world
        .sent(&bot)
        .iter()
        .map(|sent| sent.body["msgtype"].clone())
        .collect();
    assert_eq!(kinds, ["text", "image", "file"]);
    world
        .post(&bot, &chat, ADA, Post::mixed("look", "image/png", PNG))
        .unwrap();
    let message = callbacks.message().await;
    let file = &message.attachments[0];
    assert_eq!(channel.download(file, 1000).await.unwrap(), PNG);
}

#[tokio::test]
async fn a_group_bot_that_says_too_much_is_told_to_wait() {
    let world = World::new().await;
    let bot = world.bot(&NewBot::group("key-1"));
    let chat = world.group("Team", &[&bot], &[ADA]).unwrap();
    let channel = channel(&world, "key-1");
    let hello = OutboundMessage::new(Target::chat(chat.as_str()), "hello");
    for _ in 0..20 {
        channel.send(&hello).await.unwrap();
    }
    let refused = channel.send(&hello).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    world.advance(Duration::from_secs(60));
    channel.send(&hello).await.unwrap();
    assert_eq!(world.sent(&bot).len(), 21);
}

#[tokio::test]
async fn a_key_that_is_not_known_is_an_error_without_the_key() {
    let world = World::new().await;
    let channel = channel(&world, "key-canary-unknown");
    let hello = OutboundMessage::new(Target::chat("wrC1"), "hello");
    let error = channel.send(&hello).await.unwrap_err();
    assert!(!error.kind().is_retryable(), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn long_words_of_a_group_bot_arrive_whole_in_parts() {
    let world = World::with(WecomConfig::default().without_rates()).await;
    let bot = world.bot(&NewBot::group("key-1"));
    let chat = world.group("Team", &[&bot], &[ADA]).unwrap();
    let channel = channel(&world, "key-1");
    let words = many_words(2000);
    for body in [Body::plain(words.as_str()), Body::markdown(words.as_str())] {
        let before = world.sent(&bot).len();
        let message = OutboundMessage::new(Target::chat(chat.as_str()), body);
        channel.send(&message).await.unwrap();
        assert!(is_whole(&world.sent(&bot).split_off(before), &words));
    }
}
