//! Socket Mode on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Addressed, Channel as _, Clock as _, Connection, ErrorKind, Event, EventKind, Events as _,
    Frame, Proof, Received, Result,
};
use channel_slack::Slack;
use channel_testkit::FakePeer;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::conformance::press;
use crate::fake::{APP_TOKEN, BOT, DIRECT, Fake, GROUP, direct, envelope, grouped};

pub(crate) type Stream = BoxStream<'static, Result<Received>>;

fn slack(fake: &Fake) -> Slack {
    fake.builder().app_token(APP_TOKEN).build().unwrap()
}

/// The next event, news left out.
pub(crate) async fn next(stream: &mut Stream) -> Received {
    loop {
        let received = stream.next().await.unwrap().unwrap();
        if !matches!(received.event().unwrap().kind, EventKind::Connection(_)) {
            return received;
        }
    }
}

async fn news(stream: &mut Stream) -> Connection {
    let received = stream.next().await.unwrap().unwrap();
    match &received.event().unwrap().kind {
        EventKind::Connection(news) => news.clone(),
        other => panic!("{other:?}"),
    }
}

fn acked(fake: &Fake) -> Vec<String> {
    fake.state.lock().unwrap().acked.clone()
}

async fn ready(fake: &Fake) -> (Slack, Stream) {
    fake.serve();
    let slack = slack(fake);
    let mut stream = slack.events();
    assert_eq!(news(&mut stream).await, Connection::Ready);
    (slack, stream)
}

/// Lets the fake read what was written.
async fn settle(fake: &Fake) {
    fake.transport.clock.sleep(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn an_envelope_is_acknowledged_after_its_event_and_not_before() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            let envelope_id =
                fake.push("events_api", envelope(1, direct("1700000000.000100", "hi")));
            let received = next(&mut stream).await;
            assert_eq!(received.message().unwrap().proof(), Proof::Asserted);
            settle(&fake).await;
            assert!(acked(&fake).is_empty());
            // Nobody polls the stream meanwhile.
            received.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(acked(&fake), [envelope_id]);
            fake.push("events_api", envelope(2, direct("1700000000.000200", "no")));
            next(&mut stream).await.nak().await.unwrap();
            settle(&fake).await;
            assert_eq!(acked(&fake).len(), 1, "what was refused stays with slack");
        })
        .await;
}

#[tokio::test]
async fn commands_and_presses_come_over_the_socket_too() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            fake.push(
                "slash_commands",
                json!({"command": "/kit", "text": "hey", "team_id": "T1", "channel_id": GROUP,
            "user_id": "U1", "user_name": "ada", "api_app_id": "A1", "trigger_id": "5.6.7",
            "is_enterprise_install": "false", "response_url": "https://hooks.slack.com/x"}),
            );
            let command = next(&mut stream).await;
            let message = command.message().unwrap();
            assert_eq!(
                (message.text.as_str(), message.addressed),
                ("/kit hey", Addressed::Command)
            );
            use channel_core::InboundMessage as _;
            let native = message.native::<channel_slack::SlackMessage>().unwrap();
            assert_eq!(native.text(), "/kit hey");
            command.ack().await.unwrap();

            let mut two = press("3.0", DIRECT, "1700000000.000100", "a");
            let mut second = two["actions"][0].clone();
            second["action_id"] = json!("other");
            two["actions"].as_array_mut().unwrap().push(second);
            let id = fake.push("interactive", two);
            let first = next(&mut stream).await;
            let second = next(&mut stream).await;
            first.ack().await.unwrap();
            settle(&fake).await;
            assert!(
                !acked(&fake).contains(&id),
                "one of two presses is not safe yet"
            );
            second.ack().await.unwrap();
            settle(&fake).await;
            assert!(acked(&fake).contains(&id));

            fake.push("telepathy", json!({"thought": "?"}));
            let unknown = next(&mut stream).await;
            assert_eq!(unknown.event().unwrap().name(), "unknown");
            unknown.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(acked(&fake).len(), 3);
        })
        .await;
}

fn latest(fake: &Fake) -> Arc<FakePeer> {
    Arc::clone(fake.state.lock().unwrap().peers.last().unwrap())
}

#[tokio::test]
async fn pain_24_the_new_socket_is_open_before_the_old_one_closes() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            let old = latest(&fake);
            old.send_json(&json!({"type": "disconnect", "reason": "warning", "debug_info": {}}));
            assert_eq!(news(&mut stream).await, Connection::Alive);
            assert_eq!(fake.state.lock().unwrap().peers.len(), 2, "both are open");
            // What the old one still brings is acknowledged there.
            let late = json!({"envelope_id": "e-late", "type": "events_api",
            "payload": envelope(9, direct("1700000000.000900", "late"))});
            old.send_json(&late);
            let received = next(&mut stream).await;
            assert_eq!(received.message().unwrap().text, "late");
            received.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(acked(&fake), ["e-late"]);
            fake.push(
                "events_api",
                envelope(10, direct("1700000000.001000", "new")),
            );
            next(&mut stream).await.ack().await.unwrap();
            fake.transport.clock.sleep(Duration::from_secs(1)).await;
            // The old one is closed in the end, without a loss.
            for _ in 0..5 {
                assert_eq!(news(&mut stream).await, Connection::Alive);
            }
            assert!(old.client_is_gone());
            assert_eq!(fake.calls("apps.connections.open").len(), 2);
        })
        .await;
}

#[tokio::test]
async fn ten_thousand_messages_during_twenty_refreshes_all_arrive() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            let mut seen = std::collections::HashSet::new();
            for number in 0..10_000 {
                if number % 500 == 250 {
                    latest(&fake)
                        .send_json(&json!({"type": "disconnect", "reason": "refresh_requested"}));
                }
                fake.push(
                    "events_api",
                    envelope(number, direct(&format!("1700000000.{number:06}"), "x")),
                );
                let received = next(&mut stream).await;
                let id = received.event().unwrap().id.clone();
                received.ack().await.unwrap();
                seen.insert(id);
                if number % 50 == 0 {
                    settle(&fake).await;
                }
            }
            while seen.len() < 10_000 {
                let received = next(&mut stream).await;
                seen.insert(received.event().unwrap().id.clone());
                received.ack().await.unwrap();
            }
            fake.transport.clock.sleep(Duration::from_secs(1)).await;
            assert!(fake.state.lock().unwrap().queue.is_empty());
            assert_eq!(fake.calls("apps.connections.open").len(), 21);
        })
        .await;
}

#[tokio::test]
async fn a_broken_socket_is_replaced_and_half_open_ones_are_noticed() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            latest(&fake).hang();
            let before = fake.transport.clock.elapsed();
            assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
            assert!(fake.transport.clock.elapsed() - before <= Duration::from_secs(90));
            assert_eq!(news(&mut stream).await, Connection::Ready);
            latest(&fake).close(1000, "bye");
            assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
            assert_eq!(news(&mut stream).await, Connection::Ready);
            // A gap of events is told only where slack has given up repeating them.
            fake.refuse("apps.connections.open", "internal_error");
            latest(&fake).cut();
            assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
            assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
            assert_eq!(news(&mut stream).await, Connection::Ready);
        })
        .await;
}

#[tokio::test]
async fn what_waiting_cannot_mend_ends_the_stream() {
    for (method, code, kind) in [
        (
            "apps.connections.open",
            "invalid_auth",
            ErrorKind::Unauthenticated,
        ),
        ("auth.test", "account_inactive", ErrorKind::Unauthenticated),
    ] {
        let fake = Fake::new();
        fake.transport
            .clock
            .clone()
            .drive(async {
                fake.serve();
                fake.refuse(method, code);
                let mut stream = slack(&fake).events();
                let error = stream.next().await.unwrap().unwrap_err();
                assert_eq!(error.kind(), kind, "{error}");
                assert!(stream.next().await.is_none());
            })
            .await;
    }
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            latest(&fake).send_json(&json!({"type": "disconnect", "reason": "link_disabled"}));
            let error = stream.next().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(stream.next().await.is_none());
            assert_eq!(fake.calls("apps.connections.open").len(), 1, "no loop");
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
            let (_slack, mut stream) = ready(&fake).await;
            let mut bare = envelope(1, grouped("1700000000.000100", &format!("<@{BOT}> hi")));
            bare["authorizations"] = json!([]);
            fake.push("events_api", bare);
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
async fn frames_that_are_nothing_do_no_harm() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_slack, mut stream) = ready(&fake).await;
            let peer = latest(&fake);
            let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
            for text in [
                "",
                "{",
                "null",
                "[]",
                "{}",
                &deep,
                "{\"type\":5}",
                "{\"type\":\"events_api\"}",
                "{\"envelope_id\":\"\",\"type\":\"events_api\"}",
                "{\"envelope_id\":\"a b\",\"type\":\"x\"}",
            ] {
                peer.send_text(text);
            }
            peer.send(Frame::Binary("\u{0}".into()));
            // These can be told apart, so they are kept.
            let broken = [
                "null",
                "5",
                "[]",
                "{}",
                "{\"type\":\"event_callback\"}",
                "\"x\"",
            ];
            for (n, payload) in broken.iter().enumerate() {
                for kind in ["events_api", "slash_commands", "interactive"] {
                    peer.send_text(format!(
                        "{{\"envelope_id\":\"b{n}\",\"type\":\"{kind}\",\"payload\":{payload}}}"
                    ));
                }
            }
            fake.push(
                "events_api",
                envelope(1, direct("1700000000.000100", "after")),
            );
            let mut kept = 0;
            loop {
                let received = next(&mut stream).await;
                let event: &Event = received.event().unwrap();
                if event.message().is_some() {
                    break;
                }
                assert_eq!(event.name(), "unknown");
                kept += 1;
                received.ack().await.unwrap();
            }
            assert_eq!(kept, broken.len() * 3);
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
            let (slack, mut stream) = ready(&fake).await;
            fake.push("events_api", envelope(1, direct("1700000000.000100", "hi")));
            let received = next(&mut stream).await;
            drop(stream);
            received.ack().await.unwrap();
            slack.as_events().unwrap().close().await.unwrap();
            settle(&fake).await;
            assert!(fake.state.lock().unwrap().queue.is_empty());
            let mut first = slack.events();
            assert_eq!(news(&mut first).await, Connection::Ready);
            let mut second = slack.events();
            assert_eq!(news(&mut second).await, Connection::Ready);
            assert!(first.next().await.is_none());
        })
        .await;
}

/// A channel that is dropped without being closed leaves no connection behind, which the
/// platform would go on to deliver to.
#[tokio::test]
async fn a_dropped_channel_leaves_no_connection() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, stream) = ready(&fake).await;
            drop(stream);
            assert_eq!(fake.transport.crowd.members(), 1, "answers may be due");
            drop(channel);
            assert_eq!(fake.transport.crowd.members(), 0);
            // Nor while a connection is being opened.
            let (channel, mut stream) = ready(&fake).await;
            latest(&fake).cut();
            while !matches!(news(&mut stream).await, Connection::Lost { .. }) {}
            drop((stream, channel));
            assert_eq!(fake.transport.crowd.members(), 0);
        })
        .await;
}
