//! Answers that grow.

use std::time::Duration;

use channel_core::{
    Body, Button, Channel as _, Clock as _, Destination, OutboundMessage, ReplyStream, Stream as _,
    Target, Webhook as _,
};
use channel_slack::Slack;
use serde_json::json;

use crate::fake::{BOT, DIRECT, Fake, GROUP, ROOT, grouped};
use crate::look::look;

async fn show(fake: &Fake, stream: &mut dyn ReplyStream, text: &str) {
    stream.show(&Body::markdown(text)).await.unwrap();
    fake.transport.clock.sleep(Duration::from_secs(2)).await;
}

fn thread() -> Destination {
    Target::chat(DIRECT).thread(ROOT).into()
}

fn done(text: &str) -> OutboundMessage {
    OutboundMessage::new(thread(), Body::markdown(text))
}

fn counts(fake: &Fake) -> [usize; 5] {
    [
        "chat.startStream",
        "chat.appendStream",
        "chat.stopStream",
        "chat.update",
        "chat.postMessage",
    ]
    .map(|method| fake.calls(method).len())
}

#[test]
fn a_thread_gets_slacks_own_stream() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let mut stream = slack.stream(&thread()).await.unwrap();
        for text in ["one", "one two", "one two three"] {
            show(&fake, stream.as_mut(), text).await;
        }
        let receipt = stream.finish(done("one two three four")).await.unwrap();
        assert_eq!(receipt.messages.len(), 1);
    });
    assert_eq!(counts(&fake), [1, 2, 1, 0, 0]);
    assert_eq!(
        fake.calls("chat.appendStream")[0].json()["markdown_text"],
        " two"
    );
    assert_eq!(fake.last("chat.stopStream")["markdown_text"], " four");
    assert_eq!(fake.last("chat.startStream")["thread_ts"], ROOT);
    assert_eq!(look(&fake.sent()[0]).0, "one two three four");
}

#[test]
fn pain_18_a_stream_is_left_before_slack_ends_it_and_nothing_is_lost() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let mut stream = slack.stream(&thread()).await.unwrap();
        let mut text = String::new();
        for n in 0..200 {
            text.push_str(&format!("w{n} "));
            show(&fake, stream.as_mut(), &text).await;
        }
        stream.finish(done(text.trim_end())).await.unwrap();
        let sent = fake.sent();
        assert_eq!(sent.len(), 1, "one message from the first word to the last");
        assert_eq!(look(&sent[0]).0, text.trim_end());
    });
    let [starts, _, stops, updates, posts] = counts(&fake);
    assert_eq!((starts, stops, posts), (1, 1, 0));
    assert!(updates > 50);
    let stop = fake.calls("chat.stopStream")[0].at;
    assert!(stop <= Duration::from_secs(245), "{stop:?}");
}

#[test]
fn a_stream_that_slack_has_ended_goes_on_by_edits() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let mut stream = slack.stream(&thread()).await.unwrap();
        show(&fake, stream.as_mut(), "one").await;
        fake.refuse("chat.appendStream", "message_not_in_streaming_state");
        show(&fake, stream.as_mut(), "one two").await;
        stream.finish(done("one two three")).await.unwrap();
    });
    assert_eq!(fake.sent().len(), 1);
    assert_eq!(look(&fake.sent()[0]).0, "one two three");
}

#[test]
fn what_changes_behind_the_start_or_has_buttons_ends_by_an_edit() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        for end in [
            done("another text"),
            done("one").buttons([Button::press("A", "a")]),
        ] {
            let mut stream = slack.stream(&thread()).await.unwrap();
            show(&fake, stream.as_mut(), "one").await;
            let receipt = stream.finish(end).await.unwrap();
            assert_eq!(receipt.messages.len(), 1);
        }
    });
    assert_eq!(look(&fake.sent()[0]).0, "another text");
    assert_eq!(
        look(&fake.sent()[1]),
        ("one".to_owned(), vec!["A".to_owned()])
    );
}

#[test]
fn nobody_is_called_by_a_stream() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let mut stream = slack.stream(&thread()).await.unwrap();
        show(&fake, stream.as_mut(), "hello").await;
        show(&fake, stream.as_mut(), "hello <!channel>").await;
        stream.finish(done("hello <!channel>")).await.unwrap();
    });
    let streams = ["chat.startStream", "chat.appendStream", "chat.stopStream"];
    for call in streams.iter().flat_map(|method| fake.calls(method)) {
        assert!(!call.text().contains("<!channel>"));
    }
    assert!(
        fake.last("chat.update")["text"]
            .as_str()
            .unwrap()
            .contains("&lt;!channel&gt;")
    );
}

#[test]
fn where_slack_does_not_stream_edits_do() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        // Not in a thread; refused; switched off; in a group, where the reader is not known.
        let mut stream = slack.stream(&Target::chat(DIRECT).into()).await.unwrap();
        show(&fake, stream.as_mut(), "one").await;
        fake.refuse("chat.startStream", "unknown_method");
        let mut refused = slack.stream(&thread()).await.unwrap();
        show(&fake, refused.as_mut(), "one").await;
        let off = fake.builder().native_streams(false).build().unwrap();
        let mut off = off.stream(&thread()).await.unwrap();
        show(&fake, off.as_mut(), "one").await;
        let mut group = slack
            .stream(&Target::chat(GROUP).thread(ROOT).into())
            .await
            .unwrap();
        show(&fake, group.as_mut(), "one").await;
        for stream in [stream, refused, off, group] {
            stream.finish(done("one two")).await.unwrap();
        }
    });
    assert_eq!(counts(&fake), [1, 0, 0, 4, 4]);
}

async fn mentioned(fake: &Fake, slack: &Slack) -> Destination {
    let mut inner = grouped("1700000000.000900", &format!("<@{BOT}> hi"));
    inner["thread_ts"] = json!(ROOT);
    let event = slack
        .receive(&fake.event(inner), fake.now())
        .unwrap()
        .events
        .remove(0);
    event.message().unwrap().return_address.clone().into()
}

#[test]
fn in_a_group_slack_is_told_who_reads() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let to = mentioned(&fake, &slack).await;
        let mut stream = slack.stream(&to).await.unwrap();
        show(&fake, stream.as_mut(), "one").await;
        stream
            .finish(OutboundMessage::new(to, "one"))
            .await
            .unwrap();
    });
    let started = fake.last("chat.startStream");
    assert_eq!(
        (&started["recipient_user_id"], &started["recipient_team_id"]),
        (&json!("U1"), &json!("T1"))
    );
    assert_eq!(
        slack.info().limits.edit_pause_group,
        Duration::from_millis(1200)
    );
}
