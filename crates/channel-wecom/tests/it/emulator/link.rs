//! The AI bot over its own connection.

use std::time::Duration;

use channel_core::{
    Body, Button, Card, Channel as _, Connection, ErrorKind, Event, EventKind, Events as _,
    Media as _, Message, OutboundMessage, Received, Stream as _, Target, Upload,
};
use channel_emulator::wecom::{NewBot, Post, Via};
use channel_wecom::WecomAibotLink;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::{ADA, PATIENCE, PNG, World, is_whole, many_words};

const BOT: &str = "aib2";

fn channel(world: &World) -> WecomAibotLink {
    WecomAibotLink::builder()
        .bot_id(BOT)
        .secret("link-secret")
        .ws_url(world.server.link_url())
        .welcome("welcome!")
        .transport(world.transport())
        .build()
        .unwrap()
}

/// What the channel hears. A task of its own listens, as a runtime does: the connection moves while somebody looks.
struct Inbox(mpsc::UnboundedReceiver<channel_core::Result<Received>>);

impl Inbox {
    fn open(channel: &WecomAibotLink) -> Self {
        let (heard, inbox) = mpsc::unbounded_channel();
        let mut events = channel.events();
        tokio::spawn(async move {
            while let Some(received) = events.next().await {
                if heard.send(received).is_err() {
                    return;
                }
            }
        });
        Self(inbox)
    }

    async fn next(&mut self) -> Option<channel_core::Result<Received>> {
        tokio::time::timeout(PATIENCE, self.0.recv()).await.unwrap()
    }

    async fn event(&mut self) -> Event {
        loop {
            let mut received = self.next().await.unwrap().unwrap();
            let event = received.take().unwrap();
            received.ack().await.unwrap();
            if !matches!(event.kind, EventKind::Connection(_)) {
                return event;
            }
        }
    }

    async fn ready(&mut self) {
        loop {
            let received = self.next().await.unwrap().unwrap();
            if matches!(
                &received.event().unwrap().kind,
                EventKind::Connection(Connection::Ready)
            ) {
                return;
            }
        }
    }

    async fn message(&mut self) -> Message {
        self.event().await.message().unwrap().clone()
    }
}

async fn connected() -> (World, WecomAibotLink, Inbox) {
    let world = World::new().await;
    world.bot(&NewBot::link(BOT, "link-secret"));
    let channel = channel(&world);
    let mut inbox = Inbox::open(&channel);
    inbox.ready().await;
    (world, channel, inbox)
}

#[tokio::test]
async fn a_connected_bot_hears_and_answers() {
    let (world, channel, mut inbox) = connected().await;
    assert_eq!(channel.probe().await.unwrap().id, BOT);
    world.say(BOT, ADA, "hello 你好").unwrap();
    let message = inbox.message().await;
    assert_eq!(message.text, "hello 你好");
    channel.send(&message.reply("hi")).await.unwrap();
    let sent = world.shown(BOT, |sent| sent.is_finished).await;
    assert_eq!(
        (sent.via, &sent.body["stream"]["content"]),
        (Via::Respond, &"hi".into())
    );
    let chat = world.group("Team", &[BOT], &[ADA]).unwrap();
    world.post(BOT, &chat, ADA, "all").unwrap();
    let message = inbox.message().await;
    assert_eq!(
        (message.text.as_str(), message.chat.id.as_str()),
        ("all", chat.as_str())
    );
    channel.send(&message.reply("here")).await.unwrap();
    world.shown(BOT, |sent| sent.chat == chat).await;
    assert_eq!(world.count("aibot_subscribe"), 1);
}

#[tokio::test]
async fn a_growing_answer_over_the_connection_ends_whole() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, "count").unwrap();
    let message = inbox.message().await;
    let mut growing = channel.stream(&message.reply("").to).await.unwrap();
    let mut text = "0".to_owned();
    for number in 1..=60 {
        text.push_str(&format!(" {number}"));
        growing.show(&Body::plain(text.as_str())).await.unwrap();
        world.clock.advance(Duration::from_secs(3));
    }
    growing.finish(message.reply(text.as_str())).await.unwrap();
    let sent = world.shown(BOT, |sent| sent.is_finished).await;
    assert_eq!(sent.body["stream"]["content"], text);
    let refused: Vec<_> = world
        .calls()
        .into_iter()
        .filter(|call| call.errcode != Some(0))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(world.sent(BOT).len(), 1);
}

#[tokio::test]
async fn the_end_of_an_expired_stream_comes_as_a_message_of_its_own() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, "think").unwrap();
    let message = inbox.message().await;
    let mut growing = channel.stream(&message.reply("").to).await.unwrap();
    growing.show(&Body::plain("so far")).await.unwrap();
    world.shown(BOT, |_| true).await;
    let _time = world.flow();
    pings(&world, 13).await;
    growing
        .finish(message.reply("so far and further"))
        .await
        .unwrap();
    let late = world.shown(BOT, |sent| sent.is_finished).await;
    assert!(late.body.to_string().contains("so far and further"));
    let first = &world.sent(BOT)[0];
    assert_eq!(first.body["stream"]["content"], "so far");
}

/// Waits for so many pings: there is one each 30 s.
async fn pings(world: &World, count: usize) {
    let pinged = world.wait_for(PATIENCE, |_| (world.count("ping") >= count).then_some(()));
    pinged.await.unwrap();
}

#[tokio::test]
async fn people_are_greeted_over_the_connection() {
    let (world, _channel, mut inbox) = connected().await;
    world.open(BOT, ADA).unwrap();
    let sent = world.shown(BOT, |_| true).await;
    assert_eq!(
        (sent.via, &sent.body["text"]["content"]),
        (Via::Welcome, &"welcome!".into())
    );
    inbox.event().await;
}

#[tokio::test]
async fn files_go_both_ways_over_the_connection() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, Post::file("报告.bin", PNG)).unwrap();
    let message = inbox.message().await;
    let file = &message.attachments[0];
    assert_eq!(channel.download(file, 1000).await.unwrap(), PNG);
    let long: Vec<u8> = b"\x89PNG\r\n\x1a\n"
        .iter()
        .copied()
        .chain((0..1_500_000_u32).map(|n| n.to_le_bytes()[0]))
        .collect();
    let reply = message
        .reply("look")
        .attach(Upload::image("a.png", long.clone()));
    channel.send(&reply).await.unwrap();
    let sent = world
        .shown(BOT, |sent| sent.body["msgtype"] == "image")
        .await;
    let id = sent.body["image"]["media_id"].as_str().unwrap().to_owned();
    assert_eq!(world.media(&id).unwrap().2, long);
    assert_eq!(world.count("aibot_upload_media_chunk"), 3);
}

#[tokio::test]
async fn a_push_goes_to_whoever_has_spoken() {
    let (world, channel, mut inbox) = connected().await;
    let news = OutboundMessage::new(Target::chat(ADA), Body::markdown("**news**"));
    let refused = channel.send(&news).await.unwrap_err();
    assert!(!refused.kind().is_retryable(), "{refused}");
    world.say(BOT, ADA, "hi").unwrap();
    inbox.message().await;
    channel.send(&news).await.unwrap();
    let sent = world.shown(BOT, |sent| sent.via == Via::Push).await;
    assert_eq!(sent.body["markdown"]["content"], "**news**");
}

#[tokio::test]
async fn a_pressed_card_changes_over_the_connection() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, "deploy").unwrap();
    let message = inbox.message().await;
    let buttons = [Button::press("Yes", "y")];
    channel
        .send(&message.reply("Deploy?").buttons(buttons))
        .await
        .unwrap();
    let sent = world
        .shown(BOT, |sent| sent.body["template_card"].is_object())
        .await;
    let key = sent.body["template_card"]["button_list"][0]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    world.press(BOT, ADA, ADA, &sent.id, &key, &[]).unwrap();
    let EventKind::Action(action) = inbox.event().await.kind else {
        panic!("not a press");
    };
    channel
        .answer_with_card(&action, &Card::new("Done"))
        .await
        .unwrap();
    world
        .shown(BOT, |sent| sent.body.to_string().contains("Done"))
        .await;
}

#[tokio::test]
async fn a_second_connection_ends_the_first_without_a_fight() {
    let (world, first, mut of_first) = connected().await;
    let second = channel(&world);
    let mut of_second = Inbox::open(&second);
    of_second.ready().await;
    // The first one's stream ends with an error that says why, and then is over.
    let error = loop {
        match of_first.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("ended without a word"),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(of_first.next().await.is_none());
    // However long it takes, and whatever is asked of it, it does not come back.
    let time = world.flow();
    pings(&world, 6).await;
    drop(time);
    let hello = OutboundMessage::new(Target::chat(ADA), "x");
    assert!(first.send(&hello).await.is_err());
    world.say(BOT, ADA, "who hears?").unwrap();
    assert_eq!(of_second.message().await.text, "who hears?");
    assert_eq!(world.count("aibot_subscribe"), 2);
}

#[tokio::test]
async fn a_lost_connection_comes_back_and_late_answers_are_pushed() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, "before").unwrap();
    let before = inbox.message().await;
    world.drop_link(BOT);
    let _time = world.flow();
    inbox.ready().await;
    channel.send(&before.reply("late")).await.unwrap();
    let late = world.shown(BOT, |_| true).await;
    assert_eq!(late.via, Via::Push);
    assert!(late.body.to_string().contains("late"));
    world.say(BOT, ADA, "after").unwrap();
    assert_eq!(inbox.message().await.text, "after");
}

#[tokio::test]
async fn frames_with_control_characters_and_frames_twice_are_read_once() {
    let (world, _channel, mut inbox) = connected().await;
    world.faults().noisy_frames(1);
    world.faults().duplicate_deliveries(1);
    world.say(BOT, ADA, "noise").unwrap();
    let first = inbox.event().await;
    let second = inbox.event().await;
    // The id is the same: whoever keeps an inbox sees the second one off.
    assert_eq!(
        (first.message().unwrap().text.as_str(), &first.id),
        ("noise", &second.id)
    );
}

#[tokio::test]
async fn wrong_credentials_end_the_connection_with_an_error() {
    let world = World::new().await;
    world.bot(&NewBot::link(BOT, "another-secret"));
    let mut inbox = Inbox::open(&channel(&world));
    let error = loop {
        // Each attempt waits longer than the one before.
        world.clock.advance(Duration::from_secs(10));
        let next = tokio::time::timeout(Duration::from_millis(20), inbox.0.recv()).await;
        match next {
            Ok(Some(Err(error))) => break error,
            Ok(None) => panic!("ended without a word"),
            _ => assert!(world.count("aibot_subscribe") <= 5),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert_eq!(world.count("aibot_subscribe"), 5);
}

#[tokio::test]
async fn long_words_over_the_connection_arrive_whole_in_parts() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, "tell").unwrap();
    let message = inbox.message().await;
    let words = many_words(8000);
    channel.send(&message.reply(words.as_str())).await.unwrap();
    let sent = world.sent(BOT);
    assert!(sent.len() > 1 && is_whole(&sent, &words));
}

#[tokio::test]
async fn a_conversation_that_has_had_its_thirty_messages_is_told_to_wait() {
    let (world, channel, mut inbox) = connected().await;
    world.say(BOT, ADA, "hi").unwrap();
    inbox.message().await;
    let news = OutboundMessage::new(Target::chat(ADA), "news");
    for _ in 0..30 {
        channel.send(&news).await.unwrap();
    }
    let refused = channel.send(&news).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert_eq!(world.sent(BOT).len(), 30);
    world.advance(Duration::from_secs(60));
    channel.send(&news).await.unwrap();
}
