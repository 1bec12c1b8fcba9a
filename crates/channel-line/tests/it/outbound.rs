//! Sending: by reply token while it works, pushed under a key afterwards.

use channel_core::{
    Button, Channel as _, Error, ErrorKind, Message, OutboundMessage, Parts as _, ReplyTo, Target,
    Upload,
};
use channel_line::{Line, LostReply};
use channel_testkit::Failure;
use serde_json::json;

use crate::fake::{ADA, Fake, GROUP, group, person};

fn question(fake: &Fake, channel: &Line) -> Message {
    fake.deliver_message(channel, fake.text("a question"))
}

fn key_of(fake: &Fake, push: usize) -> String {
    let calls = fake.calls("/message/push");
    calls[push].header("x-line-retry-key").unwrap().to_owned()
}

#[test]
fn a_reply_within_the_window_uses_its_token_once() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        fake.advance(49);
        assert_eq!(
            channel.explain(&question.reply("").to),
            "reply, the first choice"
        );
        channel.send(&question.reply("one")).await.unwrap();
        let why = channel.explain(&question.reply("").to);
        assert_eq!(why, "push, because for reply it is used up");
        channel.send(&question.reply("two")).await.unwrap();
    });
    let [reply] = &*fake.calls("/message/reply") else {
        panic!("one reply")
    };
    assert!(reply.header("x-line-retry-key").is_none());
    assert_eq!(fake.texts(), ["one", "two"]);
    assert_eq!(
        fake.sent().iter().map(|it| it.pushed).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(key_of(&fake, 0).len() == 36);
}

#[test]
fn a_late_reply_is_pushed_with_a_key() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        fake.advance(50);
        let why = channel.explain(&question.reply("").to);
        assert_eq!(why, "push, because for reply its window has passed");
        channel.send(&question.reply("late")).await.unwrap();
    });
    assert!(fake.calls("/message/reply").is_empty());
    assert_eq!(fake.calls("/message/push")[0].json()["to"], ADA);
    assert_eq!(key_of(&fake, 0).len(), 36);
}

#[test]
fn a_token_that_line_refuses_is_not_tried_again() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        fake.refuse("/message/reply", 400, "Invalid reply token");
        channel.send(&question.reply("one")).await.unwrap();
        channel.send(&question.reply("two")).await.unwrap();
    });
    assert_eq!(fake.calls("/message/reply").len(), 1);
    assert_eq!(fake.texts(), ["one", "two"]);
}

#[test]
fn a_token_outlives_a_refusal_of_the_message() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        fake.refuse("/message/reply", 400, "The request body has 1 error(s)");
        let error = channel.send(&question.reply("one")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        channel.send(&question.reply("two")).await.unwrap();
    });
    assert!(!fake.sent()[0].pushed);
}

#[test]
fn a_lost_response_to_a_push_is_resolved_by_the_key() {
    for done in [true, false] {
        let fake = Fake::new();
        let channel = fake.channel();
        fake.run(async {
            fake.lose("/message/push", done);
            let message = OutboundMessage::new(Target::chat(ADA), "once");
            let receipt = channel.send(&message).await.unwrap();
            // The receipt names what the first attempt has made.
            assert_eq!(receipt.first().unwrap().id.as_str(), fake.sent()[0].id);
        });
        assert_eq!(fake.texts(), ["once"]);
        assert_eq!(fake.calls("/message/push").len(), 2);
        assert_eq!(key_of(&fake, 0), key_of(&fake, 1));
    }
}

#[test]
fn a_server_error_is_tried_again_under_the_same_key_and_a_few_times_only() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        for _ in 0..2 {
            fake.refuse("/message/push", 500, "Internal server error");
        }
        let message = OutboundMessage::new(Target::chat(ADA), "once");
        channel.send(&message).await.unwrap();
        assert_eq!(fake.texts(), ["once"]);
        fake.state.lock().unwrap().failure = Some(Failure::ServerError);
        let error = channel.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
        assert_eq!(error.code(), Some("500"));
    });
    let keys: Vec<_> = (0..6).map(|push| key_of(&fake, push)).collect();
    assert_eq!(fake.calls("/message/push").len(), 6);
    assert!(keys[..3].iter().all(|key| *key == keys[0]));
    assert!(keys[3..].iter().all(|key| *key == keys[3]));
    assert_ne!(keys[0], keys[3], "a new message needs a new key");
}

#[test]
fn the_same_key_makes_the_same_retry_key_in_another_process() {
    let keys: Vec<_> = (0..2)
        .map(|before| {
            let fake = Fake::new();
            let channel = fake.channel();
            fake.run(async {
                // So that no random numbers are the same by chance.
                for _ in 0..before {
                    let other = OutboundMessage::new(Target::chat(ADA), "another");
                    channel.send(&other).await.unwrap();
                }
                let message = OutboundMessage::new(Target::chat(ADA), "once").key("event/0");
                channel.send_part(&message, 0).await.unwrap();
            });
            key_of(&fake, before)
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn a_clock_of_lines_that_is_ahead_makes_no_token_last_longer() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let mut event = fake.text("from the future");
        event["timestamp"] = json!(fake.milliseconds() + 59_000);
        let question = fake.deliver_message(&channel, event);
        fake.advance(51);
        channel.send(&question.reply("late")).await.unwrap();
    });
    assert!(fake.calls("/message/reply").is_empty() && fake.sent()[0].pushed);
}

#[test]
fn a_lost_reply_that_did_not_arrive_is_sent_with_the_same_token() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        fake.lose("/message/reply", false);
        channel.send(&question.reply("once")).await.unwrap();
    });
    assert_eq!(fake.texts(), ["once"]);
    assert!(fake.calls("/message/push").is_empty());
}

#[test]
fn a_lost_reply_that_may_have_arrived_is_held_and_never_doubled() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        let answer = question.reply("once").key("event/0");
        fake.lose("/message/reply", true);
        for _ in 0..3 {
            let error = channel.send_part(&answer, 0).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Uncertain);
            fake.advance(30);
        }
        // Other answers go out all the same.
        channel.send(&question.reply("another")).await.unwrap();
    });
    assert_eq!(fake.texts(), ["once", "another"]);
}

#[test]
fn a_lost_reply_is_pushed_where_the_bot_wants_that() {
    let fake = Fake::new();
    let channel = fake.builder().lost_reply(LostReply::Push).build().unwrap();
    fake.run(async {
        let question = question(&fake, &channel);
        fake.lose("/message/reply", true);
        channel.send(&question.reply("twice")).await.unwrap();
    });
    assert_eq!(fake.texts(), ["twice", "twice"]);
    assert!(fake.sent()[1].pushed);
}

#[test]
fn a_call_that_never_left_uses_nothing_up() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        let unsent = channel_testkit::Reply::Unsent(channel_core::HttpErrorKind::Connect);
        fake.transport.http.once("/v2/bot/message/reply", unsent);
        let error = channel.send(&question.reply("one")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        channel.send(&question.reply("one")).await.unwrap();
    });
    assert!(!fake.sent()[0].pushed);
}

/// Twelve texts: three calls.
fn long() -> String {
    "word ".repeat(11_500)
}

#[test]
fn one_call_carries_five_messages_and_the_first_takes_the_token() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = question(&fake, &channel);
        let answer = question.reply(long());
        assert_eq!(channel.parts(&answer).unwrap(), 3);
        let receipt = channel.send(&answer).await.unwrap();
        assert_eq!(receipt.messages.len(), 12);
    });
    let sizes = |path: &str| -> Vec<usize> {
        let calls = fake.calls(path);
        calls
            .iter()
            .map(|it| it.json()["messages"].as_array().unwrap().len())
            .collect()
    };
    assert_eq!(sizes("/message/reply"), [5]);
    assert_eq!(sizes("/message/push"), [5, 2]);
    assert_ne!(
        key_of(&fake, 0),
        key_of(&fake, 1),
        "each call has its own key"
    );
    let quoted: Vec<_> = fake
        .sent()
        .iter()
        .map(|it| it.message["quoteToken"].clone())
        .collect();
    assert_eq!(quoted[0], "qt-1");
    assert!(
        quoted[1..].iter().all(serde_json::Value::is_null),
        "the first message quotes"
    );
}

#[test]
fn a_message_that_breaks_off_names_what_has_arrived_and_goes_on_there() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let message = OutboundMessage::new(Target::chat(ADA), long()).key("long");
        assert_eq!(
            channel.send_part(&message, 0).await.unwrap().messages.len(),
            5
        );
        fake.refuse("/message/push", 403, "Forbidden");
        let error = channel.send_part(&message, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        for part in [1, 2] {
            channel.send_part(&message, part).await.unwrap();
        }
        assert_eq!(fake.sent().len(), 12);
        let error = channel.send_part(&message, 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    });
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let message = OutboundMessage::new(Target::chat(ADA), long());
        let question = question(&fake, &channel);
        fake.refuse("/message/push", 403, "Forbidden");
        let error = channel.send(&question.reply(long())).await.unwrap_err();
        let named: Vec<_> = error
            .delivered()
            .unwrap()
            .messages
            .iter()
            .map(|it| it.id.as_str().to_owned())
            .collect();
        let shown: Vec<_> = fake.sent().iter().map(|it| it.id.clone()).collect();
        assert_eq!(named, shown);
        assert_eq!((named.len(), error.kind()), (5, ErrorKind::Forbidden));
        // A pause in the middle is waited for.
        fake.state.lock().unwrap().sent.clear();
        fake.refuse("/message/reply", 400, "x");
        fake.refuse("/message/push", 429, "slow down");
        let error: Error = channel.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        channel.send(&message).await.unwrap();
        assert_eq!(fake.sent().len(), 12);
    });
}

#[test]
fn answers_to_another_account_are_refused() {
    let fake = Fake::new();
    let channel = fake.channel();
    let other = fake.builder().id("line-2").build().unwrap();
    let question = question(&fake, &channel);
    let error = fake.run(other.send(&question.reply("x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(fake.sent().is_empty());
    let foreign = ReplyTo::new("line".into(), Target::chat(ADA));
    let foreign = foreign.with_context(&[1, 2]).unwrap();
    let error = fake.run(channel.send(&OutboundMessage::new(foreign, "x")));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_chat_that_is_gone_is_left_alone_until_it_speaks_or_an_hour_has_passed() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let message = OutboundMessage::new(Target::chat(ADA), "hello");
        fake.refuse("/message/push", 400, "Failed to send messages");
        for _ in 0..3 {
            let error = channel.send(&message).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        assert_eq!(fake.calls("/message/push").len(), 1);
        fake.advance(3600);
        channel.send(&message).await.unwrap();
        fake.refuse("/message/push", 400, "Failed to send messages");
        channel.send(&message).await.unwrap_err();
        question(&fake, &channel);
        channel.send(&message).await.unwrap();
    });
}

#[test]
fn what_is_no_chat_of_line_is_refused_before_the_network() {
    let fake = Fake::new();
    let channel = fake.channel();
    for chat in ["", "42", "@name", "Ux/../y", "U1?x", "X11"] {
        let message = OutboundMessage::new(Target::chat(chat), "x");
        let error = fake.run(channel.send(&message)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{chat}");
    }
    assert_eq!(fake.transport.http.count(), 0);
}

#[test]
fn silence_and_places_are_passed_on() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let message = OutboundMessage::new(Target::chat(GROUP).thread("7"), "x").silent();
        channel.send(&message).await.unwrap();
        let room = json!({"type": "room", "roomId": "R1", "userId": ADA});
        let question = fake.message(room, json!({"type": "text", "text": "x"}));
        let question = fake.deliver_message(&channel, question);
        channel.send(&question.reply("y")).await.unwrap();
    });
    let push = &fake.calls("/message/push")[0].json();
    assert_eq!(
        (&push["to"], &push["notificationDisabled"]),
        (&json!(GROUP), &json!(true))
    );
    assert_eq!(fake.sent()[1].chat, "R1");
}

#[test]
fn an_answer_may_be_about_a_press_or_a_newcomer() {
    let fake = Fake::new();
    let channel = fake.channel();
    let press = fake.event(
        person(),
        json!({"type": "postback", "postback": {"data": "a"}}),
    );
    let joined =
        json!({"type": "memberJoined", "joined": {"members": [{"type": "user", "userId": "U9"}]}});
    let joined = fake.event(group(), joined);
    for event in [press, joined] {
        let to = match fake.deliver(&channel, event).kind {
            channel_core::EventKind::Action(action) => action.return_address,
            channel_core::EventKind::Membership(change) => change.return_address,
            other => panic!("{other:?}"),
        };
        let answer = OutboundMessage::new(to, "hello").buttons([Button::press("a", "b")]);
        fake.run(channel.send(&answer)).unwrap();
    }
    assert!(fake.sent().iter().all(|it| !it.pushed));
    assert_eq!(fake.sent()[1].chat, GROUP);
}

#[test]
fn a_message_without_anything_to_show_is_no_call() {
    let fake = Fake::new();
    let channel = fake.channel();
    for text in ["", "  \n "] {
        let message = OutboundMessage::new(Target::chat(ADA), text);
        assert!(
            fake.run(channel.send(&message))
                .unwrap()
                .messages
                .is_empty()
        );
        assert_eq!(channel.parts(&message).unwrap(), 0);
    }
    let file = OutboundMessage::new(Target::chat(ADA), "").attach(Upload::file("a", "b"));
    assert_eq!(channel.parts(&file).unwrap(), 1);
    assert_eq!(fake.transport.http.count(), 0);
}
