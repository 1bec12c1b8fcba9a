//! Answers that grow.

use std::time::Duration;

use channel_core::{
    Body, Button, ErrorKind, HttpErrorKind, OutboundMessage, ReplyTo, Stream as _, Target,
    TextUnit, Upload,
};
use channel_testkit::{Failure, Reply};
use serde_json::json;

use crate::fake::{ADA, Fake, TOKEN};

fn to(chat: i64) -> Target {
    Target::chat(chat)
}

fn message(chat: i64, body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(to(chat), body)
}

#[test]
fn previews_are_throttled_and_the_end_is_not() {
    for (chat, previews) in [(ADA, 5), (-100_i64, 2)] {
        let fake = Fake::new();
        fake.run(async {
            let channel = fake
                .builder()
                .api_base("http://127.0.0.1:1")
                .build()
                .unwrap();
            let mut stream = channel.stream(&to(chat).into()).await.unwrap();
            stream.show(&Body::plain("")).await.unwrap();
            assert_eq!(
                fake.transport.http.count(),
                0,
                "nothing before the first words"
            );
            let mut text = String::new();
            for n in 0..100 {
                text.push_str(&format!("{n} "));
                stream.show(&Body::plain(text.clone())).await.unwrap();
                fake.transport.clock.advance(Duration::from_millis(50));
            }
            let receipt = stream
                .finish(message(chat, format!("{text}end")))
                .await
                .unwrap();
            assert_eq!(fake.texts(), [format!("{text}end")]);
            assert_eq!(receipt.messages.len(), 1);
            assert_eq!(fake.transport.http.count(), previews + 1, "chat {chat}");
        });
    }
}

#[test]
fn a_stream_without_previews_is_a_plain_send() {
    let fake = Fake::new();
    fake.run(async {
        let stream = fake.channel().stream(&to(ADA).into()).await.unwrap();
        let end = message(ADA, "end").attach(Upload::file("f", "f"));
        assert_eq!(stream.finish(end).await.unwrap().messages.len(), 1);
        assert_eq!(fake.calls("sendDocument").len(), 1);
    });
}

#[test]
fn an_answer_that_outgrows_one_message_goes_on_in_the_next() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake
            .builder()
            .api_base("http://127.0.0.1:1")
            .build()
            .unwrap();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        let mut text = String::new();
        for _ in 0..12 {
            text.push_str(&"lorem ipsum ".repeat(100));
            stream.show(&Body::plain(text.clone())).await.unwrap();
            fake.transport.clock.advance(Duration::from_secs(1));
        }
        let end = message(ADA, text.clone()).buttons([Button::press("A", "a")]);
        let receipt = stream.finish(end).await.unwrap();
        let texts = fake.texts();
        assert_eq!(receipt.messages.len(), texts.len());
        assert!(texts.len() >= 4);
        assert!(
            texts
                .iter()
                .all(|text| TextUnit::Utf16.measure(text) <= 4096)
        );
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(squeeze(&texts.concat()), squeeze(&text));
        assert!(fake.last("editMessageText")["reply_markup"].is_object());
    });
}

#[test]
fn pain_16_flood_control_in_the_middle_leaves_one_whole_answer() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        stream.show(&Body::plain("half an")).await.unwrap();
        fake.transport.clock.advance(Duration::from_secs(2));
        let text = "Too Many Requests: retry after 20";
        fake.refuse_with("editMessageText", 429, text, json!({"retry_after": 20}));
        stream.show(&Body::plain("half an ans")).await.unwrap();
        let calls = fake.transport.http.count();
        fake.transport.clock.advance(Duration::from_secs(2));
        stream.show(&Body::plain("half an answ")).await.unwrap();
        assert_eq!(
            fake.transport.http.count(),
            calls,
            "previews keep out of the way"
        );
        let before = fake.now();
        stream.finish(message(ADA, "a whole answer")).await.unwrap();
        assert!(
            fake.now() - before >= Duration::from_secs(17),
            "the end waits for its turn"
        );
        assert_eq!(fake.texts(), ["a whole answer"]);
    });
}

#[test]
fn a_failing_preview_is_made_up_for_by_the_end() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        stream.show(&Body::plain("a")).await.unwrap();
        for failure in [Failure::ServerError, Failure::LostAnswer] {
            fake.transport.clock.advance(Duration::from_secs(2));
            fake.state.lock().unwrap().failure = Some((0, failure));
            stream.show(&Body::plain("a b")).await.unwrap();
        }
        fake.state.lock().unwrap().failure = None;
        let path = format!("/bot{TOKEN}/editMessageText");
        fake.transport
            .http
            .once(&path, Reply::Sent(HttpErrorKind::Interrupted));
        stream.finish(message(ADA, "a b c")).await.unwrap();
        assert_eq!(fake.texts(), ["a b c"]);
    });
}

#[test]
fn a_preview_that_may_have_arrived_is_not_sent_twice() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        for n in 0..5 {
            stream
                .show(&Body::plain(format!("part {n}")))
                .await
                .unwrap();
            fake.transport.clock.advance(Duration::from_secs(2));
        }
        assert_eq!(fake.texts().len(), 1);
        fake.state.lock().unwrap().failure = None;
        stream.finish(message(ADA, "the end")).await.unwrap();
        assert_eq!(fake.texts().last().unwrap(), "the end");
    });
}

#[test]
fn a_preview_that_somebody_deleted_comes_back_at_the_end() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        stream.show(&Body::plain("a")).await.unwrap();
        fake.state.lock().unwrap().sent.clear();
        stream.finish(message(ADA, "a b")).await.unwrap();
        assert_eq!(fake.texts(), ["a b"]);
    });
}

#[test]
fn a_shorter_end_takes_surplus_messages_back() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        stream
            .show(&Body::plain("word ".repeat(1500)))
            .await
            .unwrap();
        assert_eq!(fake.texts().len(), 2);
        let receipt = stream
            .finish(message(ADA, "sorry, in short: no"))
            .await
            .unwrap();
        assert_eq!(fake.texts(), ["sorry, in short: no"]);
        assert_eq!(receipt.messages.len(), 1);
    });
}

#[test]
fn a_blocked_bot_stops_writing() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        fake.state.lock().unwrap().failure = Some((0, Failure::Blocked));
        let error = stream.show(&Body::plain("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    });
}

#[test]
fn drafts_leave_one_message() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.builder().drafts(true).build().unwrap();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        stream.show(&Body::markdown("**a**")).await.unwrap();
        let draft = fake.last("sendMessageDraft");
        assert_eq!(
            (&draft["text"], &draft["chat_id"]),
            (&json!("a"), &json!(ADA))
        );
        assert_ne!(draft["draft_id"], 0);
        assert_eq!(draft["entities"][0]["type"], "bold");
        stream.finish(message(ADA, "a b")).await.unwrap();
        assert_eq!(fake.texts(), ["a b"]);
        // Groups have no drafts.
        let mut stream = channel.stream(&to(-5).into()).await.unwrap();
        stream.show(&Body::plain("a")).await.unwrap();
        assert_eq!(fake.calls("sendMessageDraft").len(), 1);
    });
}

#[test]
fn a_business_chat_has_no_drafts() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.builder().drafts(true).build().unwrap();
        let to = Target::chat("business:bc:42");
        let mut stream = channel.stream(&to.into()).await.unwrap();
        stream.show(&Body::plain("a")).await.unwrap();
        assert_eq!(fake.calls("sendMessageDraft").len(), 0);
        assert_eq!(fake.last("sendMessage")["business_connection_id"], "bc");
    });
}

#[test]
fn an_answer_that_only_one_member_sees_comes_at_once_and_whole() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let context = json!({"receiver": ADA});
        let reply = ReplyTo::new("telegram".into(), to(-5))
            .with_context(&context)
            .unwrap();
        let mut stream = channel.stream(&reply.clone().into()).await.unwrap();
        stream.show(&Body::plain("a")).await.unwrap();
        fake.transport.clock.advance(Duration::from_secs(10));
        stream.show(&Body::plain("a b")).await.unwrap();
        stream
            .finish(OutboundMessage::new(reply, "a b c"))
            .await
            .unwrap();
        // Such a message has no number by which it could be edited.
        assert_eq!(fake.texts(), ["a b c"]);
        assert_eq!(fake.calls("editMessageText").len(), 0);
    });
}

#[test]
fn a_preview_whose_answer_was_lost_is_replaced_by_the_end() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
        stream.show(&Body::plain("a")).await.unwrap();
        fake.transport.clock.advance(Duration::from_secs(10));
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        stream.show(&Body::plain("a b")).await.unwrap();
        fake.state.lock().unwrap().failure = None;
        assert_eq!(fake.texts(), ["a b"]);
        stream.finish(message(ADA, "a")).await.unwrap();
        assert_eq!(fake.texts(), ["a"]);
    });
}

#[test]
fn a_silent_end_is_silent_though_its_preview_is_gone() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        for silent in [true, false] {
            let mut stream = channel.stream(&to(ADA).into()).await.unwrap();
            stream.show(&Body::plain("a")).await.unwrap();
            fake.state.lock().unwrap().sent.clear();
            let mut end = message(ADA, "a b");
            end.silent = silent;
            stream.finish(end).await.unwrap();
            assert_eq!(fake.texts(), ["a b"]);
            let is_silent = fake.last("sendMessage")["disable_notification"] == true;
            assert_eq!(is_silent, silent);
            fake.transport.clock.advance(Duration::from_secs(60));
        }
    });
}
