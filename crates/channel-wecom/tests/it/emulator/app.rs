//! The custom app.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Button, Card, Cards as _, Channel as _, ErrorKind, EventKind, Media as _,
    OutboundMessage, Target, Upload,
};
use channel_emulator::wecom::{Fault, NewBot, Outcome, Post, PostKind, WecomConfig};
use channel_wecom::WecomApp;
use futures_util::future::join_all;

use super::{ADA, PNG, World, is_whole, many_words};
use crate::sealing::{KEY, TOKEN};

pub(super) const CORP: &str = "wwcorp00000000001";

fn channel(world: &World, secret: &str, agent: u64) -> WecomApp {
    WecomApp::builder()
        .id(format!("app-{agent}"))
        .corp_id(CORP)
        .corp_secret(secret)
        .agent_id(agent)
        .callback(TOKEN, KEY)
        .api_base(world.server.api_base())
        .transport(world.transport())
        .build()
        .unwrap()
}

/// An app that the platform knows.
fn app(world: &World, secret: &str, agent: u64) -> (String, WecomApp) {
    let bot = world.bot(&NewBot::app(CORP, secret, agent));
    (bot, channel(world, secret, agent))
}

fn to_ada(words: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(ADA), words)
}

#[tokio::test]
async fn an_app_is_checked_hears_and_answers() {
    let world = World::new().await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    assert_eq!(channel.probe().await.unwrap().name, "Kit");
    let mut callbacks = world.serve(&bot, Arc::new(channel.clone())).await;
    assert!(world.check(&bot).await.unwrap());
    world.faults().wrong_signatures(1);
    assert!(!world.check(&bot).await.unwrap());
    world.say(&bot, ADA, "hello ]]> 你好").unwrap();
    let message = callbacks.message().await;
    assert_eq!(message.text, "hello ]]> 你好");
    channel.send(&message.reply("hi")).await.unwrap();
    let sent = world.shown(&bot, |_| true).await;
    assert_eq!(
        (sent.chat.as_str(), &sent.body["text"]["content"]),
        (ADA, &"hi".into())
    );
    assert_eq!(world.count("gettoken"), 1);
}

#[tokio::test]
async fn an_app_exchanges_files() {
    let world = World::new().await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    let mut callbacks = world.serve(&bot, Arc::new(channel.clone())).await;
    world
        .say(&bot, ADA, Post::media(PostKind::Image, "image/png", PNG))
        .unwrap();
    let message = callbacks.message().await;
    let picture = channel.download(&message.attachments[0], 1000).await;
    assert_eq!(picture.unwrap(), PNG);
    let reply = message
        .reply("")
        .attach(Upload::file("a.txt", "hello world"));
    channel.send(&reply).await.unwrap();
    let sent = world.shown(&bot, |_| true).await;
    let id = sent.body["file"]["media_id"].as_str().unwrap().to_owned();
    let (kind, name, bytes) = world.media(&id).unwrap();
    assert_eq!(
        (kind.as_str(), name.as_str(), &bytes[..]),
        ("file", "a.txt", &b"hello world"[..])
    );
}

#[tokio::test]
async fn forged_and_stale_callbacks_of_an_app_reach_nobody() {
    let world = World::new().await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    let mut callbacks = world.serve(&bot, Arc::new(channel)).await;
    world.faults().wrong_signatures(4);
    world.say(&bot, ADA, "forged").unwrap();
    let refused = |count: usize| {
        world.wait_for(super::PATIENCE, move |wecom| {
            let tries = wecom.deliveries();
            let refused = tries.iter().filter(|one| one.status == Some(401)).count();
            (refused >= count).then_some(())
        })
    };
    refused(4).await.unwrap();
    world.faults().stale_signatures(4);
    world.say(&bot, ADA, "stale").unwrap();
    refused(8).await.unwrap();
    assert!(callbacks.is_empty());
    world.say(&bot, ADA, "real").unwrap();
    assert_eq!(callbacks.message().await.text, "real");
}

#[tokio::test]
async fn a_pressed_card_of_an_app_changes_once() {
    let world = World::new().await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    let mut callbacks = world.serve(&bot, Arc::new(channel.clone())).await;
    let card = Card::new("Deploy?").actions([Button::press("Yes", "y"), Button::press("No", "n")]);
    let receipt = channel.send(&to_ada("").card(card)).await.unwrap();
    let sent = world
        .shown(&bot, |sent| sent.body["msgtype"] == "template_card")
        .await;
    let key = sent.body["template_card"]["button_list"][0]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    world.press(&bot, ADA, ADA, &sent.id, &key, &[]).unwrap();
    let EventKind::Action(action) = callbacks.event().await.kind else {
        panic!("not a press");
    };
    assert_eq!(action.value, "y");
    let at = receipt.first().unwrap();
    channel.update_card(at, &Card::new("Done")).await.unwrap();
    let shown = world
        .shown(&bot, |sent| sent.body.to_string().contains("Done"))
        .await;
    assert_eq!(shown.id, sent.id);
}

#[tokio::test]
async fn a_hundred_sends_at_once_fetch_one_token_and_refresh_it_once() {
    let world = World::with(WecomConfig::default().without_rates().token_rate(2)).await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    let storm = || {
        join_all((0..100).map(|number| {
            let channel = channel.clone();
            async move { channel.send(&to_ada(number.to_string())).await }
        }))
    };
    assert!(storm().await.iter().all(Result::is_ok));
    assert_eq!(world.count("gettoken"), 1);
    // It expires before its time, as when the console resets it: every send is refused once.
    world.expire_token(&bot);
    let sent = storm().await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(world.count("gettoken"), 2);
    assert_eq!(world.sent(&bot).len(), 200);
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end() {
    let world = World::new().await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    channel.send(&to_ada("one")).await.unwrap();
    world.clock.advance(Duration::from_secs(6899));
    channel.send(&to_ada("two")).await.unwrap();
    assert_eq!(world.count("gettoken"), 1);
    // The platform gives the same token while it lives, so it is asked again until it has ended.
    world.clock.advance(Duration::from_secs(301));
    channel.send(&to_ada("three")).await.unwrap();
    let refused = world
        .calls()
        .iter()
        .filter(|call| call.errcode != Some(0))
        .count();
    assert_eq!((refused, world.sent(&bot).len()), (0, 3));
}

#[tokio::test]
async fn a_token_that_is_refused_again_ends_the_send() {
    let world = World::new().await;
    let (_, channel) = app(&world, "secret-1", 1_000_002);
    world
        .faults()
        .next("message/send", 10, Fault::Refuse { errcode: 40014 });
    let error = channel.send(&to_ada("hello")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(
        (world.count("gettoken"), world.count("message/send")),
        (2, 2)
    );
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_and_a_partly_unknown_crowd_is_told() {
    let world = World::new().await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    world.faults().next("message/send", 1, Fault::LoseAnswer);
    let error = channel.send(&to_ada("lost")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    assert_eq!(world.sent(&bot).len(), 1);
    let lost = world
        .calls()
        .into_iter()
        .find(|call| call.method == "message/send")
        .unwrap();
    assert_eq!(lost.outcome, Outcome::AnswerLost);
    let nobody = OutboundMessage::new(Target::chat("NoBody"), "hello");
    let error = channel.send(&nobody).await.unwrap_err();
    assert!(!error.kind().is_retryable(), "{error}");
}

#[tokio::test]
async fn two_apps_in_one_process_see_neither_tokens_nor_events_of_each_other() {
    let world = World::new().await;
    let (one, first) = app(&world, "secret-1", 1_000_002);
    let (two, second) = app(&world, "secret-2", 1_000_003);
    let mut of_first = world.serve(&one, Arc::new(first.clone())).await;
    let mut of_second = world.serve(&two, Arc::new(second.clone())).await;
    for (bot, callbacks, channel, words) in [
        (&one, &mut of_first, &first, "to the first"),
        (&two, &mut of_second, &second, "to the second"),
    ] {
        world.say(bot, ADA, words).unwrap();
        let message = callbacks.message().await;
        assert_eq!(message.text, words);
        channel.send(&message.reply(words)).await.unwrap();
        let sent = world.shown(bot, |_| true).await;
        assert_eq!(sent.body["text"]["content"], words);
    }
    assert!(of_first.is_empty() && of_second.is_empty());
    // The platform knows whose token each call had: none had that of the other.
    let calls = world.calls();
    assert!(
        calls.iter().all(|call| call.errcode == Some(0)),
        "{calls:?}"
    );
    for bot in [&one, &two] {
        let own = |method: &str| {
            let own = calls.iter().filter(|call| call.bot == **bot);
            own.filter(|call| call.method == method).count()
        };
        assert_eq!((own("gettoken"), own("message/send")), (1, 1));
    }
}

#[tokio::test]
async fn long_words_of_an_app_arrive_whole_in_parts() {
    let world = World::with(WecomConfig::default().without_rates()).await;
    let (bot, channel) = app(&world, "secret-1", 1_000_002);
    // The platform cuts what is over 2048 bytes without a word, so not a byte may be over.
    let words = many_words(2000);
    let receipt = channel.send(&to_ada(words.as_str())).await.unwrap();
    let sent = world.sent(&bot);
    assert_eq!(sent.len(), receipt.messages.len());
    assert!(is_whole(&sent, &words));
}
