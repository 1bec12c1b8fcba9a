//! Sends that fail, or have to wait.

use std::time::Duration;

use channel_core::{
    Channel as _, Delete as _, ErrorKind, HttpErrorKind, MessageRef, OutboundMessage, ReplyTo,
    Target, Upload,
};
use channel_telegram::{Pacing, Telegram};
use channel_testkit::{Failure, Reply};
use serde_json::json;

use crate::fake::{ADA, Fake, TOKEN};
use crate::outbound::to_ada;

#[test]
fn pain_15_a_part_that_fails_ends_the_send_and_nothing_is_forgotten() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.builder().pacing(Pacing::off()).build().unwrap();
        let long = to_ada("word ".repeat(3000));
        for (failure, kind) in [
            (Failure::LostAnswer, ErrorKind::Uncertain),
            (Failure::ServerError, ErrorKind::Uncertain),
            (
                Failure::RateLimited(Duration::from_secs(600)),
                ErrorKind::Uncertain,
            ),
            (Failure::Blocked, ErrorKind::Forbidden),
        ] {
            fake.state.lock().unwrap().failure = Some((2, failure));
            let error = channel.send(&long).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!error.kind().is_retryable());
            assert_eq!(error.delivered().unwrap().messages.len(), 2, "{failure:?}");
            assert!(error.to_string().contains("part 3 of 4"), "{error}");
            fake.state.lock().unwrap().failure = None;
            fake.transport.clock.advance(Duration::from_secs(600));
        }
        // The first part itself: the plain error, as for any send.
        fake.state.lock().unwrap().failure =
            Some((0, Failure::RateLimited(Duration::from_secs(600))));
        let error = fake.channel().send(&long).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
        assert!(error.delivered().is_none());
    });
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let fake = Fake::new();
    fake.run(async {
        fake.refuse("sendPhoto", 400, "Bad Request: IMAGE_PROCESS_FAILED");
        let message = to_ada("")
            .attach(Upload::image("a.jpg", "not a picture"))
            .attach(Upload::file("b", "b"));
        let error = fake.channel().send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.delivered().unwrap().messages.len(), 1);
        assert_eq!(fake.sent()[0].files[0].0, "b");
    });
}

#[test]
fn pain_14_a_send_whose_answer_is_lost_is_uncertain_and_not_repeated() {
    let fake = Fake::new();
    fake.run(async {
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        let error = fake.channel().send(&to_ada("hello")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
        assert_eq!(fake.texts(), ["hello"]);
        let path = format!("/bot{TOKEN}/sendMessage");
        fake.transport.http.once(&path, Reply::Hang);
        let error = fake.channel().send(&to_ada("hello")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
    });
}

#[test]
fn pain_13_a_request_that_never_left_is_known_not_to_have_arrived() {
    let fake = Fake::new();
    fake.run(async {
        let path = format!("/bot{TOKEN}/sendMessage");
        fake.transport
            .http
            .once(&path, Reply::Unsent(HttpErrorKind::Connect));
        let error = fake.channel().send(&to_ada("hello")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.kind().is_retryable());
    });
}

#[test]
fn a_short_flood_wait_is_kept_and_a_long_one_is_told() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let flood = |seconds: u64| {
            let text = "Too Many Requests: retry after N";
            fake.refuse_with("sendMessage", 429, text, json!({ "retry_after": seconds }));
        };
        flood(3);
        let before = fake.now();
        channel.send(&to_ada("patient")).await.unwrap();
        assert_eq!(fake.now() - before, Duration::from_secs(3));
        flood(30);
        let error = channel.send(&to_ada("told")).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        // Until then nothing is sent there, and others are not held up.
        let calls = fake.transport.http.count();
        let error = channel.send(&to_ada("too early")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(fake.transport.http.count(), calls);
        channel
            .send(&OutboundMessage::new(Target::chat("43"), "other chat"))
            .await
            .unwrap();
        fake.transport.clock.advance(Duration::from_secs(30));
        channel.send(&to_ada("in time")).await.unwrap();
    });
}

#[test]
fn a_chat_that_refuses_is_left_alone_for_an_hour() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        for (code, description, kind) in [
            (
                403,
                "Forbidden: bot was blocked by the user",
                ErrorKind::Forbidden,
            ),
            (400, "Bad Request: chat not found", ErrorKind::NotFound),
        ] {
            fake.refuse("sendMessage", code, description);
            assert_eq!(channel.send(&to_ada("x")).await.unwrap_err().kind(), kind);
            let calls = fake.transport.http.count();
            assert_eq!(channel.send(&to_ada("x")).await.unwrap_err().kind(), kind);
            assert_eq!(fake.transport.http.count(), calls, "without the network");
            fake.transport.clock.advance(Duration::from_secs(3600));
            channel.send(&to_ada("x")).await.unwrap();
        }
        // Whoever writes again is not dead.
        fake.refuse("sendMessage", 403, "Forbidden: bot was blocked by the user");
        channel.send(&to_ada("x")).await.unwrap_err();
        fake.text("I am back");
        let mut stream = channel_core::Events::events(&channel);
        crate::cursor::next(&mut stream).await.ack().await.unwrap();
        channel.send(&to_ada("x")).await.unwrap();
    });
}

#[test]
fn a_group_that_has_moved_is_found_again() {
    let fake = Fake::new();
    fake.run(async {
        let new = -1_001_234_567_890_i64;
        let channel = fake.channel();
        let text = "Bad Request: group chat was upgraded to a supergroup chat";
        let to_group = || OutboundMessage::new(Target::chat("-5"), "hello");
        fake.refuse_with("sendMessage", 400, text, json!({"migrate_to_chat_id": new}));
        let receipt = channel.send(&to_group()).await.unwrap();
        assert_eq!(receipt.messages[0].chat.as_i64(), Some(new));
        channel.send(&to_group()).await.unwrap();
        assert_eq!(
            fake.calls("sendMessage").len(),
            3,
            "the second send goes straight there"
        );
        // The new home refuses too: the error still tells where it is.
        let other = fake.channel();
        fake.refuse_with("sendMessage", 400, text, json!({"migrate_to_chat_id": new}));
        fake.refuse(
            "sendMessage",
            403,
            "Forbidden: bot was kicked from the supergroup chat",
        );
        let error = other.send(&to_group()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.moved_to().unwrap().as_i64(), Some(new));
    });
}

#[test]
fn a_message_of_a_group_that_has_moved_is_not_looked_for_in_the_new_one() {
    let fake = Fake::new();
    fake.run(async {
        let new = -1_001_234_567_890_i64;
        let channel = fake.channel();
        let text = "Bad Request: group chat was upgraded to a supergroup chat";
        let old = MessageRef::new("-5".into(), 7_i64.into());
        // Ids begin anew there: the same number is somebody else's message.
        for _ in 0..2 {
            fake.refuse_with(
                "deleteMessage",
                400,
                text,
                json!({"migrate_to_chat_id": new}),
            );
            let error = channel.delete(&old).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.moved_to().unwrap().as_i64(), Some(new));
            assert_eq!(fake.last("deleteMessage")["chat_id"], -5);
        }
        assert_eq!(fake.calls("deleteMessage").len(), 2);
        let to_group = OutboundMessage::new(Target::chat("-5"), "hello");
        channel.send(&to_group).await.unwrap();
        assert_eq!(fake.last("sendMessage")["chat_id"], new, "it is remembered");
    });
}

#[test]
fn a_wait_without_end_does_no_harm() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        for parameters in [json!({"retry_after": u64::MAX}), json!({})] {
            let text = "Too Many Requests: retry after 18446744073709551615";
            fake.refuse_with("sendMessage", 429, text, parameters);
            let error = channel.send(&to_ada("x")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            assert!(error.retry_after().unwrap() <= Duration::from_secs(86_400));
            fake.transport.clock.advance(Duration::from_secs(86_400));
        }
    });
}

#[test]
fn pain_35_two_bots_in_one_process_share_nothing() {
    let fake = Fake::new();
    fake.run(async {
        let first = fake.channel();
        let second = Telegram::builder()
            .id("second")
            .token("77:OTHER")
            .transport(fake.transport.transport())
            .build()
            .unwrap();
        fake.refuse("sendMessage", 403, "Forbidden: bot was blocked by the user");
        first.send(&to_ada("x")).await.unwrap_err();
        second.send(&to_ada("x")).await.unwrap();
        assert_eq!(second.info().id.as_str(), "second");
    });
}

#[test]
fn pacing_spaces_out_what_would_flood() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let before = fake.now();
        for n in 0..8 {
            channel.send(&to_ada(format!("{n}"))).await.unwrap();
        }
        assert_eq!(
            fake.now() - before,
            Duration::from_secs(3),
            "five at once, then one a second"
        );
    });
}

#[test]
fn a_member_who_cannot_be_reached_does_not_cost_the_group() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let group = Target::chat("-1001234567890");
        let reply = ReplyTo::new("telegram".into(), group.clone())
            .with_context(&json!({"receiver": ADA}))
            .unwrap();
        for (code, description) in [
            (400, "Bad Request: user not found"),
            (400, "Bad Request: PEER_ID_INVALID"),
            (403, "Forbidden: bot was blocked by the user"),
            (403, "Forbidden: user is deactivated"),
            (
                403,
                "Forbidden: bot can't initiate conversation with a user",
            ),
        ] {
            fake.refuse("sendMessage", code, description);
            let only_for_ada = OutboundMessage::new(reply.clone(), "psst");
            channel.send(&only_for_ada).await.unwrap_err();
            let to_all = OutboundMessage::new(group.clone(), "hello");
            channel.send(&to_all).await.expect(description);
        }
        // What is the chat's own still counts.
        fake.refuse(
            "sendMessage",
            403,
            "Forbidden: bot was kicked from the supergroup chat",
        );
        let to_all = OutboundMessage::new(group, "hello");
        channel.send(&to_all).await.unwrap_err();
        channel.send(&to_all).await.unwrap_err();
        assert_eq!(fake.calls("sendMessage").len(), 11);
    });
}

#[test]
fn a_message_that_follows_its_group_quotes_nothing_there() {
    let fake = Fake::new();
    fake.run(async {
        let new = -1_001_234_567_890_i64;
        let text = "Bad Request: group chat was upgraded to a supergroup chat";
        let reply = ReplyTo::new("telegram".into(), Target::chat("-5")).quoting("9".into());
        for method in ["sendMessage", "sendDocument"] {
            let channel = fake.channel();
            let mut message = OutboundMessage::new(reply.clone(), "hello");
            if method == "sendDocument" {
                message = message.attach(Upload::file("f", "f"));
            }
            fake.refuse_with(method, 400, text, json!({"migrate_to_chat_id": new}));
            // The first finds out, the second knows. Ids begin anew there.
            for _ in 0..2 {
                channel.send(&message).await.unwrap();
                let fields = fake.last(method);
                assert!(fields["reply_parameters"].is_null(), "{method}: {fields}");
            }
            let first = &fake.calls(method)[0];
            assert!(first.text().contains("reply_parameters"));
        }
    });
}
