//! Answers that grow.

use std::time::Duration;

use channel_core::{
    Body, Button, Channel as _, Clock as _, ErrorKind, OutboundMessage, Stream as _, Target,
};
use channel_testkit::Failure;
use serde_json::{Value, json};

use crate::conformance::card;
use crate::fake::{DIRECT, Fake};

fn to(body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(DIRECT), body)
}

fn seen(fake: &Fake) -> Vec<String> {
    let words = |sent: &crate::fake::Sent| match sent.kind.as_str() {
        "card" => card(&sent.content).0,
        _ => crate::conformance::words(&sent.content),
    };
    fake.sent().iter().map(words).collect()
}

fn flow(fake: &Fake) -> Value {
    fake.sent()[0].content["flowStatus"].clone()
}

async fn pause(fake: &Fake) {
    fake.transport.clock.sleep(Duration::from_millis(600)).await;
}

#[test]
fn an_answer_grows_in_one_card_and_ends_in_it() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        assert!(fake.sent().is_empty() && stream.shown().is_none());
        for word in ["one", "one two", "one two three"] {
            stream.show(&word.into()).await.unwrap();
            assert_eq!(seen(&fake), [word]);
            assert_eq!(flow(&fake), "2");
            pause(&fake).await;
        }
        let shown = stream.shown().unwrap();
        let last = to("one two three four").buttons([Button::press("A", "a")]);
        let receipt = stream.finish(last).await.unwrap();
        assert_eq!(receipt, shown);
        assert_eq!(
            (seen(&fake), flow(&fake)),
            (vec!["one two three four".to_owned()], json!("3"))
        );
        let buttons = card(&fake.sent()[0].content).1;
        assert_eq!(buttons, [("A".to_owned(), "a".to_owned())]);
        let calls = fake.calls("PUT", "/v1.0/card/streaming");
        let ends: Vec<_> = calls
            .iter()
            .map(|call| call.json()["isFinalize"].clone())
            .collect();
        assert_eq!(ends, [false, false, true]);
        let mut guids: Vec<_> = calls
            .iter()
            .map(|call| call.json()["guid"].to_string())
            .collect();
        guids.dedup();
        assert_eq!(guids.len(), 3);
    });
}

#[test]
fn without_a_template_there_is_nothing_to_grow_in() {
    let fake = Fake::new();
    assert!(fake.linked().as_stream().is_none() && fake.channel().as_stream().is_none());
}

#[test]
fn previews_are_spaced_out_for_all_streams_together() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        let to = Target::chat(DIRECT).into();
        let mut streams = Vec::new();
        for _ in 0..100 {
            streams.push(channel.stream(&to).await.unwrap());
        }
        for stream in &mut streams {
            stream.show(&"one".into()).await.unwrap();
        }
        assert!(fake.sent().len() <= 21, "{}", fake.sent().len());
        let mut one = channel.stream(&to).await.unwrap();
        for n in 0..100 {
            one.show(&n.to_string().as_str().into()).await.unwrap();
        }
        assert!(fake.calls("PUT", "/v1.0/card/streaming").is_empty());
    });
}

#[test]
fn pain_16_previews_that_fail_leave_one_answer() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        for failure in [
            Failure::RateLimited(Duration::from_secs(1)),
            Failure::ServerError,
            Failure::LostAnswer,
            Failure::Blocked,
        ] {
            let before = seen(&fake).len();
            fake.state.lock().unwrap().failure = Some((0, failure));
            let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
            stream.show(&"one".into()).await.unwrap();
            fake.state.lock().unwrap().failure = None;
            pause(&fake).await;
            stream.show(&"one two".into()).await.unwrap();
            pause(&fake).await;
            stream.finish(to("one two three")).await.unwrap();
            let shown = seen(&fake);
            let whole = shown
                .iter()
                .skip(before)
                .filter(|it| *it == "one two three");
            assert_eq!(whole.count(), 1, "{failure:?}: {shown:?}");
            assert!(
                shown.len() - before <= 2,
                "at most one card that cannot be named"
            );
        }
    });
}

#[test]
fn pain_18_a_card_is_finished_whatever_it_takes() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"one".into()).await.unwrap();
        for _ in 0..2 {
            fake.refuse("PUT /v1.0/card/streaming", 502, json!({}));
        }
        fake.refuse(
            "PUT /v1.0/card/instances",
            403,
            json!({"code": "Forbidden.AccessDenied.QpsLimit"}),
        );
        stream.finish(to("one two")).await.unwrap();
        assert_eq!(
            (seen(&fake), flow(&fake)),
            (vec!["one two".to_owned()], json!("3"))
        );
        // A stream that the server has closed is made up for by an update.
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"three".into()).await.unwrap();
        fake.refuse(
            "PUT /v1.0/card/streaming",
            400,
            json!({"code": "param.closed"}),
        );
        stream.finish(to("three four")).await.unwrap();
        assert_eq!(seen(&fake)[1], "three four");
        // Nothing to say still ends the wheel.
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"five".into()).await.unwrap();
        stream.finish(to("")).await.unwrap();
        assert_eq!(fake.sent()[2].content["flowStatus"], "3");
    });
}

/// DingTalk answers nothing but an unknown error where the template has no such variable.
#[test]
fn a_wrong_variable_stops_the_wheel_and_the_words_go_out_beside_the_card() {
    let fake = Fake::new();
    let builder = fake.builder().card_template(crate::fake::TEMPLATE);
    let channel = builder.card_template_key("wrong").build().unwrap();
    let ((), logs) = fake.run(channel_testkit::capture_tracing(async {
        let unknown = json!({"code": "unknownError", "message": "unknown error"});
        fake.state.lock().unwrap().down = Some(("PUT /v1.0/card/streaming", 500, unknown));
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        for word in ["one", "one two"] {
            stream.show(&word.into()).await.unwrap();
            pause(&fake).await;
        }
        let last = to("one two three").buttons([Button::press("A", "a")]);
        let receipt = stream.finish(last).await.unwrap();
        assert_eq!(flow(&fake), "3", "the wheel has stopped");
        let sent = fake.sent();
        let ids: Vec<_> = sent.iter().map(|sent| sent.id.as_str()).collect();
        let told: Vec<_> = receipt.messages.iter().map(|at| at.id.as_str()).collect();
        assert_eq!(ids, told);
        let (card, beside) = sent.split_first().unwrap();
        assert!(card.kind == "card" && beside.iter().all(|sent| sent.kind != "card"));
        let words = beside
            .iter()
            .map(|sent| crate::conformance::words(&sent.content));
        let words = words.collect::<Vec<_>>().join("\n");
        assert!(
            words.contains("one two three") && words.contains('A'),
            "{words}"
        );
        // An outage is none: the next answer is whole again.
        fake.state.lock().unwrap().down = None;
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"four".into()).await.unwrap();
        let receipt = stream.finish(to("four five")).await.unwrap();
        assert_eq!(receipt.messages.len(), 1);
    }));
    assert!(
        logs.contains("set card_template_key to the name of the variable"),
        "{logs}"
    );
}

#[test]
fn an_answer_is_gone_on_with_after_a_restart() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        let to_direct = Target::chat(DIRECT).into();
        let mut stream = channel.stream(&to_direct).await.unwrap();
        stream.show(&"one".into()).await.unwrap();
        let shown = stream.shown().unwrap();
        drop(stream);
        let later = fake.carded();
        let stream = later.resume(&to_direct, &shown).await.unwrap().unwrap();
        stream.finish(to("one two")).await.unwrap();
        assert_eq!(seen(&fake), ["one two"]);
        let plain = later.send(&to("x")).await.unwrap();
        assert!(later.resume(&to_direct, &plain).await.unwrap().is_none());
    });
}

#[test]
fn a_failed_end_says_what_is_there() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"word".into()).await.unwrap();
        let at = stream.shown().unwrap();
        fake.state.lock().unwrap().failure = Some((0, Failure::Blocked));
        let error = stream
            .finish(to("word ".repeat(2000).as_str()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.delivered(), Some(&at));
    });
}
