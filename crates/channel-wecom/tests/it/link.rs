//! The AI bot over its own connection.

use std::time::Duration;

use channel_core::{
    Actions as _, Body, Button, Card, Channel as _, Clock as _, Connection, Error, ErrorKind,
    EventKind, Events as _, Media as _, Message, OutboundMessage, Received, Stream as _, Target,
    Upload,
};
use channel_testkit::Reply;
use channel_wechat_crypto::AesKey;
use channel_wecom::WecomAibotLink;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::future::join;
use http::StatusCode;
use serde_json::{Value, json};

use crate::switch::{BOT, SECRET, Switch, Tasks};

type Stream = BoxStream<'static, Result<Received, Error>>;

pub(crate) fn text(id: &str, words: &str) -> Value {
    json!({"msgid": id, "aibotid": BOT, "chattype": "single", "from": {"userid": "zhangsan"},
        "msgtype": "text", "text": {"content": words}})
}

/// Runs a test with a connected bot.
fn with<T>(test: impl AsyncFnOnce(&Switch, &WecomAibotLink, &mut Stream) -> T) -> T {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    let bot = switch.builder().welcome("welcome!").build().unwrap();
    let clock = switch.fake.clock.clone();
    clock.block_on(tasks.beside(async {
        let mut events = bot.events();
        assert_eq!(news(&mut events).await, Connection::Ready);
        test(&switch, &bot, &mut events).await
    }))
}

async fn news(events: &mut Stream) -> Connection {
    loop {
        let received = events.next().await.unwrap().unwrap();
        if let EventKind::Connection(news) = &received.event().unwrap().kind {
            return news.clone();
        }
    }
}

/// The next event that is not about the connection; acknowledged.
async fn event(events: &mut Stream) -> EventKind {
    loop {
        let mut received = events.next().await.unwrap().unwrap();
        let kind = received.take().unwrap().kind;
        received.ack().await.unwrap();
        if !matches!(kind, EventKind::Connection(_)) {
            return kind;
        }
    }
}

async fn message(events: &mut Stream) -> Message {
    match event(events).await {
        EventKind::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_comes_in_and_a_reply_goes_out() {
    with(async |switch, bot, events| {
        let request = switch.push("aibot_msg_callback", text("m1", "hi"));
        let message = message(events).await;
        assert_eq!(message.text, "hi");
        bot.send(&message.reply("echo: *hi*")).await.unwrap();
        let sent = switch.sent();
        assert_eq!(sent[0].body["stream"]["finish"], true);
        assert_eq!(sent[0].markdown(), "echo: \\*hi\\*");
        let frame = &switch.frames("aibot_respond_msg")[0];
        assert_eq!(frame["headers"]["req_id"], request);
    });
}

#[test]
fn sending_needs_nobody_who_listens() {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    let bot = switch.builder().build().unwrap();
    let clock = switch.fake.clock.clone();
    let send = async {
        let identity = bot.probe().await.unwrap();
        assert_eq!(identity.id, BOT);
        bot.send(&OutboundMessage::new(Target::chat("zhangsan"), "x"))
            .await
    };
    clock.block_on(tasks.beside(send)).unwrap();
    assert_eq!(switch.sent()[0].body["chatid"], "zhangsan");
    assert_eq!(switch.frames("aibot_subscribe").len(), 1);
}

#[test]
fn a_message_to_a_group_that_mentions_the_bot_is_for_the_bot() {
    with(async |switch, _, events| {
        let mut body = text("m1", "@Bot hi");
        body["chattype"] = json!("group");
        body["chatid"] = json!("wrC1");
        switch.push("aibot_msg_callback", body);
        let message = message(events).await;
        assert_eq!(
            (message.text.as_str(), message.chat.id.as_str()),
            ("hi", "wrC1")
        );
        assert!(message.addressed.is_to_me());
    });
}

#[test]
fn pings_prove_life() {
    with(async |switch, _, events| {
        for _ in 0..3 {
            assert_eq!(news(events).await, Connection::Alive);
        }
        let elapsed = switch.fake.clock.elapsed();
        assert_eq!(elapsed, Duration::from_secs(90));
        let ids: Vec<_> = switch
            .frames("ping")
            .iter()
            .map(|it| it["headers"]["req_id"].to_string())
            .collect();
        assert_eq!(ids.len(), 3);
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    });
}

#[test]
fn pain_21_a_connection_that_answers_no_ping_is_replaced() {
    with(async |switch, _, events| {
        switch.state.lock().unwrap().is_deaf = true;
        let before = switch.fake.clock.elapsed();
        assert!(matches!(news(events).await, Connection::Lost { .. }));
        let silence = switch.fake.clock.elapsed() - before;
        assert!(silence <= Duration::from_secs(66), "{silence:?}");
        switch.state.lock().unwrap().is_deaf = false;
        assert_eq!(news(events).await, Connection::Ready);
        assert!(matches!(news(events).await, Connection::Gap { .. }));
    });
}

#[test]
fn a_machine_that_slept_connects_anew_and_does_not_fight_itself() {
    with(async |switch, bot, events| {
        switch.fake.clock.jump_forward(Duration::from_secs(3600));
        assert!(matches!(news(events).await, Connection::Lost { .. }));
        assert_eq!(news(events).await, Connection::Ready);
        assert!(matches!(news(events).await, Connection::Gap { .. }));
        assert_eq!(news(events).await, Connection::Alive);
        bot.send(&OutboundMessage::new(Target::chat("u"), "x"))
            .await
            .unwrap();
        assert_eq!(switch.frames("aibot_subscribe").len(), 2);
    });
}

#[test]
fn pain_another_connection_ends_this_one_without_a_fight() {
    with(async |switch, bot, events| {
        let event = json!({"msgid": "d1", "aibotid": BOT, "create_time": 1, "msgtype": "event",
            "event": {"eventtype": "disconnected_event"}});
        switch.push("aibot_event_callback", event);
        let error = loop {
            match events.next().await.unwrap() {
                Ok(received) => assert!(received.message().is_none()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("another connection"), "{error}");
        assert!(events.next().await.is_none());
        // Neither a new stream nor a send begins it again.
        let again = bot.events().next().await.unwrap();
        assert_eq!(again.unwrap_err().kind(), ErrorKind::Config);
        let send = bot
            .send(&OutboundMessage::new(Target::chat("u"), "x"))
            .await;
        assert_eq!(send.unwrap_err().kind(), ErrorKind::Config);
        switch.fake.clock.sleep(Duration::from_secs(600)).await;
        assert_eq!(switch.fake.sockets.attempts(), 1);
    });
}

#[test]
fn two_bots_with_one_id_end_in_one() {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    let (first, second) = (
        switch.builder().build().unwrap(),
        switch.builder().build().unwrap(),
    );
    switch.fake.clock.block_on(tasks.beside(async {
        let mut one = first.events();
        assert_eq!(news(&mut one).await, Connection::Ready);
        let mut two = second.events();
        assert_eq!(news(&mut two).await, Connection::Ready);
        assert!(one.next().await.unwrap().is_err());
        for _ in 0..5 {
            assert_eq!(news(&mut two).await, Connection::Alive);
        }
    }));
    assert_eq!(switch.frames("aibot_subscribe").len(), 2);
}

#[test]
fn wrong_credentials_end_after_five_attempts() {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    let bot = switch.builder().secret("wrong").build().unwrap();
    let error = switch.fake.clock.block_on(tasks.beside(async {
        let probed = bot.probe().await.unwrap_err();
        assert_eq!(probed.kind(), ErrorKind::Unauthenticated);
        let mut events = bot.events();
        loop {
            match events.next().await.unwrap() {
                Ok(received) => {
                    let kind = &received.event().unwrap().kind;
                    assert!(matches!(
                        kind,
                        EventKind::Connection(Connection::Lost { .. })
                    ));
                }
                Err(error) => break error,
            }
        }
    }));
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(switch.frames("aibot_subscribe").len(), 5);
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn a_busy_platform_is_asked_again_for_ever() {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    for _ in 0..8 {
        switch.refuse("aibot_subscribe", -1);
    }
    let bot = switch.builder().build().unwrap();
    switch.fake.clock.block_on(tasks.beside(async {
        let mut events = bot.events();
        while news(&mut events).await != Connection::Ready {}
    }));
    assert_eq!(switch.frames("aibot_subscribe").len(), 9);
}

#[test]
fn answers_to_one_message_go_one_after_the_other() {
    with(async |switch, bot, events| {
        switch.push("aibot_msg_callback", text("m1", "hi"));
        let message = message(events).await;
        let (one, two) = (message.reply("one"), message.reply("two"));
        let (a, b) = join(bot.send(&one), bot.send(&two)).await;
        assert!(a.is_ok() && b.is_ok());
        let words: Vec<_> = switch
            .sent()
            .iter()
            .map(|it| it.markdown().to_owned())
            .collect();
        assert_eq!(words, ["one", "two"]);
    });
}

#[test]
fn an_answer_that_comes_too_late_is_pushed() {
    for code in [846_605, 846_608] {
        with(async |switch, bot, events| {
            switch.push("aibot_msg_callback", text("m1", "hi"));
            let message = message(events).await;
            switch.refuse("aibot_respond_msg", code);
            bot.send(&message.reply("late")).await.unwrap();
            let sent = switch.sent();
            assert_eq!(sent[0].body["msgtype"], "markdown");
            assert_eq!(sent[0].body["chatid"], "zhangsan");
        });
    }
}

#[test]
fn a_stream_shows_all_of_itself_and_ends() {
    with(async |switch, bot, events| {
        switch.push("aibot_msg_callback", text("m1", "hi"));
        let message = message(events).await;
        let mut growing = bot
            .stream(&message.return_address.clone().into())
            .await
            .unwrap();
        for number in 1..=10 {
            growing
                .show(&Body::plain("x".repeat(number)))
                .await
                .unwrap();
            switch.fake.clock.sleep(Duration::from_secs(1)).await;
        }
        let receipt = growing.finish(message.reply("the end")).await.unwrap();
        let sent = switch.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            sent[0].body["stream"],
            json!({"id": sent[0].id, "finish": true, "content": "the end"})
        );
        assert_eq!(receipt.first().unwrap().id.as_str(), sent[0].id);
        // 30 frames a minute are allowed.
        assert_eq!(switch.frames("aibot_respond_msg").len(), 5);
    });
}

#[test]
fn pain_a_stream_over_six_minutes_ends_as_a_message() {
    with(async |switch, bot, events| {
        switch.push("aibot_msg_callback", text("m1", "hi"));
        let message = message(events).await;
        let mut growing = bot
            .stream(&message.return_address.clone().into())
            .await
            .unwrap();
        growing.show(&Body::plain("so far")).await.unwrap();
        switch.fake.clock.sleep(Duration::from_secs(400)).await;
        growing
            .show(&Body::plain("so far and further"))
            .await
            .unwrap();
        // The platform has ended the stream by itself.
        switch.refuse("aibot_respond_msg", 846_608);
        growing.finish(message.reply("the end")).await.unwrap();
        let sent = switch.sent();
        assert_eq!(sent[0].markdown(), "so far");
        assert_eq!(
            (sent[1].body["msgtype"].as_str(), sent[1].markdown()),
            (Some("markdown"), "the end")
        );
    });
}

#[test]
fn pain_a_connection_that_the_platform_forgot_is_opened_anew() {
    with(async |switch, bot, events| {
        switch.refuse("aibot_send_msg", 846_609);
        let message = OutboundMessage::new(Target::chat("u"), "x");
        let error = bot.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        bot.send(&message).await.unwrap();
        assert_eq!(switch.frames("aibot_subscribe").len(), 2);
        assert!(matches!(news(events).await, Connection::Lost { .. }));
    });
}

#[test]
fn an_answer_that_is_lost_with_its_connection_is_uncertain() {
    with(async |switch, bot, _| {
        switch.state.lock().unwrap().failure = Some((0, channel_testkit::Failure::LostAnswer));
        let message = OutboundMessage::new(Target::chat("u"), "x");
        let cut = async {
            switch.fake.clock.sleep(Duration::from_secs(1)).await;
            switch.cut();
        };
        let (sent, ()) = join(bot.send(&message), cut).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Uncertain);
        assert_eq!(switch.fake.clock.elapsed(), Duration::from_secs(1));
        switch.state.lock().unwrap().failure = None;
        // What has not left is sent once there is a connection again.
        bot.send(&message).await.unwrap();
        assert_eq!(switch.sent().len(), 2);
    });
}

#[test]
fn without_a_connection_a_send_gives_up() {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    for _ in 0..100 {
        switch.fake.sockets.refuse(ErrorKind::Unavailable);
    }
    let bot = switch.builder().build().unwrap();
    let message = OutboundMessage::new(Target::chat("u"), "x");
    let clock = switch.fake.clock.clone();
    let error = clock
        .block_on(tasks.beside(bot.send(&message)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        clock.elapsed() <= Duration::from_secs(16),
        "{:?}",
        clock.elapsed()
    );
}

#[test]
fn people_are_greeted_when_they_open_the_chat() {
    with(async |switch, _, events| {
        let mut body = text("e1", "");
        body["msgtype"] = json!("event");
        body["event"] = json!({"eventtype": "enter_chat"});
        let request = switch.push("aibot_event_callback", body);
        assert!(matches!(event(events).await, EventKind::Unknown(_)));
        assert_eq!(news(events).await, Connection::Alive);
        let frame = &switch.frames("aibot_respond_welcome_msg")[0];
        assert_eq!(frame["headers"]["req_id"], request);
        assert_eq!(frame["body"]["text"]["content"], "welcome!");
    });
}

#[test]
fn files_go_up_in_chunks() {
    with(async |switch, bot, _| {
        let bytes: Vec<u8> = (0..1_300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let message = OutboundMessage::new(Target::chat("u"), "")
            .attach(Upload::file("big.bin", bytes.clone()));
        bot.send(&message).await.unwrap();
        let file = switch.sent()[0].file.clone().unwrap();
        assert_eq!(
            (file.0.as_str(), file.1.as_ref()),
            ("big.bin", bytes.as_slice())
        );
        let chunks = switch.frames("aibot_upload_media_chunk");
        let indexes: Vec<_> = chunks
            .iter()
            .map(|it| it["body"]["chunk_index"].as_u64().unwrap())
            .collect();
        assert_eq!(indexes, [0, 1, 2]);
        let init = &switch.frames("aibot_upload_media_init")[0]["body"];
        assert_eq!(init["md5"].as_str().unwrap().len(), 32);
    });
}

#[test]
fn files_are_decrypted_with_their_own_keys() {
    with(async |switch, bot, events| {
        let key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
        let sealed = AesKey::from_base64(&key.into())
            .unwrap()
            .seal_file(b"content")
            .unwrap();
        switch.fake.http.get("/media", move |_| {
            Reply::bytes(StatusCode::OK, sealed.clone())
        });
        let mut body = text("m1", "");
        body["msgtype"] = json!("mixed");
        body["mixed"] = json!({"msg_item": [{"msgtype": "text", "text": {"content": "see "}},
            {"msgtype": "image", "image": {"url": "https://cos.example/media?a=1", "aeskey": format!("{key}=")}}]});
        switch.push("aibot_msg_callback", body);
        let message = message(events).await;
        assert_eq!(message.text, "see ");
        let file = &message.attachments[0];
        assert_eq!(bot.download(file, 7).await.unwrap(), "content");
        assert_eq!(
            bot.download(file, 6).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert!(switch.fake.http.requests()[0].guarded);
    });
}

#[test]
fn a_press_is_answered_with_the_card_that_was_pressed() {
    with(async |switch, bot, events| {
        let message = OutboundMessage::new(Target::chat("zhangsan"), "choose")
            .buttons([Button::press("A", "a"), Button::press("B", "b")]);
        let receipt = bot.send(&message).await.unwrap();
        let task = receipt.first().unwrap().id.to_string();
        let mut body = text("p1", "");
        body["msgtype"] = json!("event");
        body["event"] = json!({"eventtype": "template_card_event", "template_card_event":
            {"card_type": "button_interaction", "event_key": "b", "task_id": task}});
        let request = switch.push("aibot_event_callback", body);
        let EventKind::Action(action) = event(events).await else {
            panic!()
        };
        assert_eq!(action.value, "b");
        bot.answer_action(&action, Some("noted")).await.unwrap();
        bot.answer_with_card(&action, &Card::new("Done"))
            .await
            .unwrap();
        let updates = switch.frames("aibot_respond_update_msg");
        assert_eq!(updates[0]["headers"]["req_id"], request);
        let card = &updates[0]["body"]["template_card"];
        assert_eq!(
            (&card["task_id"], &card["main_title"]["title"]),
            (&json!(task), &json!("choose"))
        );
        assert_eq!(card["button_list"][0]["text"], "noted");
        assert_eq!(
            updates[1]["body"]["template_card"]["main_title"]["title"],
            "Done"
        );
    });
}

#[test]
fn frames_that_make_no_sense_cost_nobody_anything() {
    with(async |switch, bot, events| {
        for bad in [
            "",
            "x",
            "[]",
            "{}",
            "null",
            "{\"cmd\":5}",
            "{\"cmd\":\"aibot_msg_callback\"}",
            "{\"headers\":{\"req_id\":\"nobody\"},\"errcode\":1}",
            "{\"cmd\":\"aibot_msg_callback\",\"headers\":{},\"body\":[1]}",
        ] {
            switch.raw(bad);
        }
        switch.raw(&"[".repeat(100_000));
        switch.raw("{\"cmd\":\"something_new\",\"headers\":{\"req_id\":\"r\"},\"body\":{\"a\":1}}");
        switch.raw("\u{1}{\"cmd\":\"aibot_msg_callback\",\"headers\":{\"req_id\":\"r2\"},\"body\":{\"msgid\":\"m\",\"from\":{\"userid\":\"u\"},\"msgtype\":\"text\",\"text\":{\"content\":\"a\u{2}b\"}}}");
        let mut names = Vec::new();
        let words = loop {
            match event(events).await {
                EventKind::Unknown(unknown) => names.push(unknown.name),
                EventKind::Message(message) => break message.text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(words, "ab");
        assert!(names.contains(&"something_new".to_owned()), "{names:?}");
        bot.send(&OutboundMessage::new(Target::chat("u"), "x"))
            .await
            .unwrap();
    });
}

#[test]
fn settings_are_checked_when_the_channel_is_built() {
    let tasks = Tasks::default();
    let switch = Switch::new(&tasks);
    let bad =
        |builder: channel_wecom::WecomAibotLinkBuilder| builder.build().unwrap_err().to_string();
    assert!(bad(switch.builder().bot_id(" ")).contains("bot_id"));
    assert!(bad(switch.builder().secret("")).contains("secret"));
    for url in ["http://x", "ws://", "wss://u@x", "x"] {
        assert!(
            bad(switch.builder().ws_url(url)).contains("ws_url"),
            "{url}"
        );
    }
    assert!(switch.builder().ws_url("ws://127.0.0.1:9").build().is_ok());
    let shown = format!(
        "{:?} {:?}",
        switch.builder(),
        switch.builder().build().unwrap()
    );
    assert!(!shown.contains(SECRET), "{shown}");
}
