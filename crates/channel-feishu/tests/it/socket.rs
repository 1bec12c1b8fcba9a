//! The long connection on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Actions as _, Addressed, Channel as _, Clock as _, Connection, EventKind, Events as _, Proof,
    Received, Result,
};
use channel_feishu::Feishu;
use channel_testkit::FakePeer;
use channel_testkit::drill::leaves_nothing;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, Wire, direct, envelope, mention, press};

pub(crate) type Stream = BoxStream<'static, Result<Received>>;

/// The next event, news left out.
pub(crate) async fn next(stream: &mut Stream) -> Received {
    loop {
        let received = stream.next().await.unwrap().unwrap();
        if !matches!(received.event().unwrap().kind, EventKind::Connection(_)) {
            return received;
        }
    }
}

pub(crate) async fn news(stream: &mut Stream) -> Connection {
    let received = stream.next().await.unwrap().unwrap();
    match &received.event().unwrap().kind {
        EventKind::Connection(news) => news.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn ready(fake: &Fake) -> (Feishu, Stream) {
    fake.serve();
    let channel = fake.linked();
    let mut stream = channel.events();
    assert_eq!(news(&mut stream).await, Connection::Ready);
    settle(fake).await;
    (channel, stream)
}

pub(crate) fn latest(fake: &Fake) -> Arc<FakePeer> {
    Arc::clone(fake.state.lock().unwrap().peers.last().unwrap())
}

/// Lets the fake read what was written.
pub(crate) async fn settle(fake: &Fake) {
    fake.transport.clock.sleep(Duration::from_millis(1)).await;
}

fn answers(fake: &Fake) -> Vec<(String, Value)> {
    fake.state.lock().unwrap().answered.clone()
}

fn text(id: &str, words: &str) -> Value {
    envelope(1, "im.message.receive_v1", direct(id, words))
}

#[tokio::test]
async fn a_frame_is_answered_after_its_event_is_safe_and_not_before() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready(&fake).await;
            let first = fake.push("event", &text("om_1", "hi"));
            let received = next(&mut stream).await;
            assert_eq!(received.message().unwrap().proof(), Proof::Asserted);
            settle(&fake).await;
            assert!(answers(&fake).is_empty());
            let answer = received.message().unwrap().reply("hello");
            channel.send(&answer).await.unwrap();
            // Nobody polls the stream meanwhile.
            received.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(answers(&fake), [(first, json!({"code": 200}))]);
            let sent = fake.sent();
            assert_eq!(sent[0].parent.as_deref(), Some("om_1"));
            assert_eq!(sent[0].content, json!({"text": "hello"}));

            let second = fake.push("event", &text("om_2", "no"));
            next(&mut stream).await.nak().await.unwrap();
            settle(&fake).await;
            assert_eq!(answers(&fake)[1], (second, json!({"code": 500})));
            // Feishu sends it again, and it is the same event.
            fake.redeliver();
            let again = next(&mut stream).await;
            assert_eq!(again.event().unwrap().id.as_str(), "message:om_2");
            drop(again);
            settle(&fake).await;
            assert_eq!(answers(&fake).len(), 2, "what is dropped is not answered");
        })
        .await;
}

#[tokio::test]
async fn unknown_events_and_undecodable_ones_are_kept_and_answered() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            fake.push("event", &envelope(1, "telepathy_v1", json!({})));
            fake.push("event", &json!("not an envelope"));
            fake.push("event", &json!({"header": {}}));
            fake.push("riddle", &json!({}));
            for _ in 0..4 {
                let received = next(&mut stream).await;
                assert_eq!(received.event().unwrap().name(), "unknown");
                received.ack().await.unwrap();
            }
            settle(&fake).await;
            assert!(answers(&fake).iter().all(|(_, it)| it["code"] == 200));
            assert_eq!(answers(&fake).len(), 4);
            // What is no frame at all does no harm.
            let peer = latest(&fake);
            for bytes in [&b""[..], b"\xff", b"\x08", b"{}"] {
                peer.send_binary(bytes.to_vec());
            }
            peer.send_text("text");
            fake.push("event", &text("om_1", "after"));
            assert_eq!(next(&mut stream).await.message().unwrap().text, "after");
        })
        .await;
}

#[tokio::test]
async fn an_event_in_pieces_is_one_event_answered_once() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let whole = text("om_1", &"long ".repeat(100)).to_string();
            let pieces: Vec<_> = whole.as_bytes().chunks(64).collect();
            let peer = latest(&fake);
            let last = pieces.len() - 1;
            for seq in (0..pieces.len()).rev() {
                let wire = Wire::data("event", "m-pieces", (pieces.len(), seq), pieces[seq]);
                peer.send(wire.frame());
                if seq == last {
                    // Twice the same piece is one.
                    peer.send(wire.frame());
                }
            }
            let received = next(&mut stream).await;
            assert!(received.message().unwrap().text.starts_with("long long"));
            received.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(
                answers(&fake),
                [("m-pieces".to_owned(), json!({"code": 200}))]
            );
        })
        .await;
}

#[tokio::test]
async fn presses_come_as_event_and_as_card_and_are_answered_alike() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready(&fake).await;
            for (number, kind) in (1..).zip(["event", "card"]) {
                let token = format!("c-{number}");
                let event = press(&token, DIRECT, "om_9", &json!({"kit": "yes"}));
                let id = fake.push(kind, &envelope(number, "card.action.trigger", event));
                let received = next(&mut stream).await;
                let EventKind::Action(action) = received.event().unwrap().kind.clone() else {
                    panic!("{received:?}");
                };
                assert_eq!(action.value, "yes");
                received.ack().await.unwrap();
                settle(&fake).await;
                assert!(!answers(&fake).iter().any(|(known, _)| *known == id));
                channel.answer_action(&action, Some("noted")).await.unwrap();
                settle(&fake).await;
                let (known, answer) = answers(&fake).pop().unwrap();
                assert_eq!((known, &answer["code"]), (id, &json!(200)));
                let data = answer["data"].as_str().unwrap();
                use base64::Engine as _;
                let data = base64::engine::general_purpose::STANDARD
                    .decode(data)
                    .unwrap();
                let data: Value = serde_json::from_slice(&data).unwrap();
                assert_eq!(data["toast"]["content"], "noted");
            }
            // A press that nobody says anything about is answered in time.
            let event = press("c-9", DIRECT, "om_9", &json!({"kit": "no"}));
            fake.push("event", &envelope(9, "card.action.trigger", event));
            let before = fake.elapsed();
            let received = next(&mut stream).await;
            received.ack().await.unwrap();
            let poll = async {
                loop {
                    let _ = stream.next().await;
                }
            };
            let answered = async {
                while answers(&fake).len() < 3 {
                    fake.transport.clock.sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! { () = poll => {}, () = answered => {} }
            assert!(fake.elapsed() - before < Duration::from_secs(3));
        })
        .await;
}

#[tokio::test]
async fn the_bot_knows_its_name_before_the_first_event() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let event = envelope(1, "im.message.receive_v1", mention("om_group1", "hi"));
            fake.push("event", &event);
            let received = next(&mut stream).await;
            let message = received.message().unwrap();
            assert_eq!(
                (message.text.as_str(), message.addressed),
                ("hi", Addressed::Mention)
            );
        })
        .await;
}

#[tokio::test]
async fn a_second_stream_takes_over_and_close_leaves_nothing_unsaid() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready(&fake).await;
            fake.push("event", &text("om_1", "hi"));
            let received = next(&mut stream).await;
            drop(stream);
            received.ack().await.unwrap();
            channel.as_events().unwrap().close().await.unwrap();
            settle(&fake).await;
            assert!(fake.state.lock().unwrap().queue.is_empty());
            let mut first = channel.events();
            assert_eq!(news(&mut first).await, Connection::Ready);
            let mut second = channel.events();
            assert_eq!(news(&mut second).await, Connection::Ready);
            assert!(first.next().await.is_none());
        })
        .await;
}

#[tokio::test]
async fn a_dropped_channel_leaves_no_connection() {
    let fake = Fake::new();
    let crowd = &fake.transport.crowd;
    let drill = leaves_nothing(crowd, 1, || ready(&fake), || latest(&fake).cut());
    fake.transport.clock.drive(drill).await;
}
