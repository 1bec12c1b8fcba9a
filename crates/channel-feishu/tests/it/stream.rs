//! Answers that grow.

use std::time::Duration;

use channel_core::{Body, Button, Clock as _, ErrorKind, OutboundMessage, Stream as _, Target};
use channel_testkit::Failure;
use serde_json::json;

use crate::fake::{DIRECT, Fake};
use crate::look::look;

fn to(body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(DIRECT), body)
}

fn seen(fake: &Fake) -> Vec<String> {
    let state = fake.state.lock().unwrap();
    let all = state.sent.iter();
    all.map(|sent| look(&sent.kind, &state.seen(sent)).0)
        .collect()
}

async fn pause(fake: &Fake) {
    fake.transport.clock.sleep(Duration::from_millis(500)).await;
}

#[test]
fn an_answer_grows_in_one_card_and_ends_in_it() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        assert!(fake.sent().is_empty());
        let mut text = String::new();
        for word in ["one", "one two", "one two three"] {
            word.clone_into(&mut text);
            stream.show(&text.as_str().into()).await.unwrap();
            assert_eq!(seen(&fake), [word]);
            pause(&fake).await;
        }
        let created = fake.calls("POST", "/open-apis/cardkit/v1/cards")[0].json();
        let card: serde_json::Value =
            serde_json::from_str(created["data"].as_str().unwrap()).unwrap();
        assert_eq!(card["config"]["streaming_mode"], true);
        assert_eq!(fake.sent()[0].content["type"], "card");
        let last = to("one two three four").buttons([Button::press("A", "a")]);
        let receipt = stream.finish(last).await.unwrap();
        assert_eq!(receipt.messages.len(), 1);
        assert_eq!(seen(&fake), ["one two three four"]);
        let calls = fake.calls("PUT", "/open-apis/cardkit/v1/cards");
        let sequences: Vec<_> = calls
            .iter()
            .map(|call| call.json()["sequence"].as_u64().unwrap())
            .collect();
        assert_eq!(sequences, [1, 2, 3]);
        let whole = calls.last().unwrap().json();
        let whole: serde_json::Value =
            serde_json::from_str(whole["card"]["data"].as_str().unwrap()).unwrap();
        assert_eq!(whole["config"]["streaming_mode"], false);
    });
}

#[test]
fn previews_are_spaced_out_and_never_pinged_from() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        for n in 0..100 {
            stream
                .show(&format!("{n} <at id=all></at>").as_str().into())
                .await
                .unwrap();
        }
        assert_eq!(fake.calls("PUT", "/open-apis/cardkit").len(), 0);
        let card = fake.calls("POST", "/open-apis/cardkit/v1/cards")[0].text();
        assert!(!card.contains("<at"), "{card}");
        stream.finish(to("done")).await.unwrap();
        assert_eq!(seen(&fake), ["done"]);
    });
}

#[test]
fn without_the_permission_for_growing_cards_a_card_is_replaced() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        fake.refuse("POST /open-apis/cardkit", 400, 99_991_672);
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        for text in ["one", "one two"] {
            stream.show(&text.into()).await.unwrap();
            assert_eq!(seen(&fake), [text]);
            pause(&fake).await;
        }
        stream
            .finish(to(Body::markdown("one two **three**")))
            .await
            .unwrap();
        assert_eq!(seen(&fake), ["one two three"]);
        assert_eq!(fake.sent().len(), 1);
    });
}

#[test]
fn pain_18_a_card_that_feishu_has_closed_ends_all_the_same() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"one".into()).await.unwrap();
        fake.transport.clock.sleep(Duration::from_secs(700)).await;
        stream.show(&"one two".into()).await.unwrap();
        fake.refuse("PUT /open-apis/cardkit/v1/cards", 400, 200_740);
        stream.finish(to("one two three")).await.unwrap();
        assert_eq!(fake.calls("PATCH", "/open-apis/im/v1/messages").len(), 1);
        assert_eq!(
            look("interactive", &fake.sent()[0].content).0,
            "one two three"
        );
    });
}

#[test]
fn pain_16_previews_that_fail_leave_one_answer() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        for failure in [
            Failure::RateLimited(Duration::from_secs(1)),
            Failure::ServerError,
            Failure::LostAnswer,
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
                .filter(|it| *it == "one two three")
                .count();
            assert_eq!(whole, 1, "{failure:?}: {shown:?}");
            assert!(
                shown.len() - before <= 2,
                "at most one preview that cannot be named"
            );
        }
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        fake.state.lock().unwrap().failure = Some((0, Failure::Blocked));
        let error = stream.show(&"one".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    });
}

#[test]
fn a_long_end_goes_on_in_messages_of_its_own() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"word".into()).await.unwrap();
        let text = "word ".repeat(2000);
        let receipt = stream.finish(to(text.as_str())).await.unwrap();
        let shown = seen(&fake);
        assert_eq!(receipt.messages.len(), shown.len());
        let words: usize = shown.iter().map(|it| it.matches("word").count()).sum();
        assert_eq!(words, 2000);
        let mut stream = channel.stream(&Target::chat(DIRECT).into()).await.unwrap();
        stream.show(&"x".into()).await.unwrap();
        stream.finish(to("")).await.unwrap();
        assert_eq!(
            seen(&fake).len(),
            shown.len(),
            "nothing to say leaves nothing"
        );
        assert_eq!(
            fake.state.lock().unwrap().config["PingInterval"],
            json!(120)
        );
    });
}
