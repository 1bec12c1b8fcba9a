//! Stream mode over a bare websocket: tickets, frames, acknowledgements, and every way in which a connection can die.

use std::time::Duration;

use channel_emulator::dingtalk::{Delivery, DingtalkConfig, Fault, NewApp};
use serde_json::{Value, json};

use crate::dingtalk::{ADA, APP, MESSAGES, SECRET, World, data, refusal};
use crate::line_api::PATIENCE;

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(3600);

/// Redelivery and heartbeats that a test need not wait for.
fn quick() -> DingtalkConfig {
    DingtalkConfig::default().redelivery(SHORT, 10)
}

fn errors(world: &World) -> Vec<(u32, Option<&'static str>)> {
    let entry = |delivery: &Delivery| (delivery.attempt, delivery.error);
    world.deliveries().iter().map(entry).collect()
}

#[tokio::test]
async fn a_ticket_opens_one_connection_and_not_for_long() {
    let world = World::new().await;
    let opened = world.ticket(&[("CALLBACK", MESSAGES)]).await.json();
    let first = world.dial(&opened).await;
    assert!(first.is_ok());
    assert_eq!(world.dial(&opened).await.err(), Some(401));
    let opened = world.ticket(&[("CALLBACK", MESSAGES)]).await.json();
    world.advance(Duration::from_secs(90));
    assert_eq!(world.dial(&opened).await.err(), Some(401));
    assert_eq!(world.connections(APP), 1);
}

#[tokio::test]
async fn who_may_not_connect_is_told_in_the_platforms_words() {
    let world = World::new().await;
    let open = async |body: Value| world.send("/v1.0/gateway/connections/open", &body).await;
    let topics = json!([{"type": "CALLBACK", "topic": MESSAGES}]);
    let wrong = open(json!({"clientId": APP, "clientSecret": "no", "subscriptions": topics})).await;
    assert_eq!(refusal(&wrong), (401, "authFailed".to_owned()));
    let none = open(json!({"clientId": "x", "clientSecret": "s", "subscriptions": topics})).await;
    assert_eq!(refusal(&none), (401, "authFailed".to_owned()));
    let invalid = (400, "invalidParameter.param.invalid".to_owned());
    let bare = open(json!({"clientId": APP, "clientSecret": SECRET})).await;
    assert_eq!(refusal(&bare), invalid);
    let odd = json!([{"type": "SYSTEM", "topic": "*"}]);
    let odd = open(json!({"clientId": APP, "clientSecret": SECRET, "subscriptions": odd})).await;
    assert_eq!(refusal(&odd), invalid);
    world.set_webhook(APP, Some("http://127.0.0.1:9/")).unwrap();
    let other = world.ticket(&[("CALLBACK", MESSAGES)]).await;
    let code = "subscription.notPermitted".to_owned();
    assert_eq!(refusal(&other), (400, code));
    world.disable(APP, true).unwrap();
    let off = world.ticket(&[("EVENT", "*")]).await;
    assert_eq!(refusal(&off), (403, "unauthorizedClient".to_owned()));
}

#[tokio::test]
async fn who_does_not_ask_for_json_gets_xml() {
    let world = World::new().await;
    let topics = json!([{"type": "EVENT", "topic": "*"}]);
    let body = json!({"clientId": APP, "clientSecret": SECRET, "subscriptions": topics});
    let base = world.server.api_base();
    let path = "/v1.0/gateway/connections/open";
    let headers = [("accept", "*/*")];
    let answer =
        crate::line_api::exchange(&base, http::Method::POST, path, &headers, &body.to_string())
            .await
            .unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("<endpoint>ws://") && text.contains("<ticket>"));
}

#[tokio::test]
async fn a_message_is_pushed_once_when_it_is_acknowledged() {
    let world = World::with(quick(), NewApp::default()).await;
    let mut stream = world.connect().await;
    let id = world.say(APP, ADA, "hi").unwrap();
    let frame = stream.next().await.unwrap();
    assert_eq!(
        (&frame["type"], &frame["specVersion"]),
        (&json!("CALLBACK"), &json!("1.0"))
    );
    let headers = &frame["headers"];
    assert_eq!(headers["topic"], MESSAGES);
    assert_eq!(headers["contentType"], "application/json");
    for name in ["appId", "connectionId", "messageId", "time"] {
        assert!(headers[name].is_string(), "{name}");
    }
    assert_eq!(data(&frame)["msgId"], json!(id));
    stream.fine(&frame).await;
    world.deliveries_reach(1).await;
    let delivery = &world.deliveries()[0];
    assert_eq!((delivery.attempt, delivery.status), (1, Some(200)));
    assert_eq!(delivery.id, id);
    assert_eq!(world.pending(APP), 0);
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_under_another_message_id() {
    let world = World::with(quick(), NewApp::default()).await;
    let mut stream = world.connect().await;
    world.say(APP, ADA, "hi").unwrap();
    let first = stream.next().await.unwrap();
    let second = stream.next().await.unwrap();
    assert_eq!(data(&first), data(&second));
    assert_ne!(
        first["headers"]["messageId"],
        second["headers"]["messageId"]
    );
    // An answer to the first push is too late, one with a wrong code is none.
    stream.fine(&first).await;
    stream.ack(&second, 500, &json!({})).await;
    let third = stream.next().await.unwrap();
    stream.fine(&third).await;
    world.deliveries_reach(3).await;
    let expected = [(1, Some("timeout")), (2, Some("refused")), (3, None)];
    assert_eq!(errors(&world), expected);
}

#[tokio::test]
async fn the_platform_gives_up_after_so_many_pushes() {
    let config = DingtalkConfig::default().redelivery(SHORT, 3);
    let world = World::with(config, NewApp::default()).await;
    let mut stream = world.connect().await;
    world.say(APP, ADA, "hi").unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap();
    }
    world.deliveries_reach(3).await;
    assert_eq!(errors(&world)[2], (3, Some("given_up")));
    assert_eq!(world.pending(APP), 0);
}

#[tokio::test]
async fn an_event_that_shall_come_later_comes_again() {
    let world = World::with(quick(), NewApp::default()).await;
    let mut stream = world.connect().await;
    let id = world.event(APP, "chat_disband", json!({"k": "v"}));
    let first = stream.next().await.unwrap();
    let headers = &first["headers"];
    assert_eq!(first["type"], "EVENT");
    assert_eq!(
        (&headers["eventId"], &headers["eventType"]),
        (&json!(id), &json!("chat_disband"))
    );
    for name in ["eventCorpId", "eventBornTime", "eventUnifiedAppId"] {
        assert!(headers[name].is_string(), "{name}");
    }
    stream.ack(&first, 200, &json!({"status": "LATER"})).await;
    let second = stream.next().await.unwrap();
    assert_eq!(second["headers"]["eventId"], json!(id));
    stream
        .ack(&second, 200, &json!({"status": "SUCCESS"}))
        .await;
    world.deliveries_reach(2).await;
    assert_eq!(errors(&world), [(1, Some("later")), (2, None)]);
}

#[tokio::test]
async fn only_what_a_connection_subscribes_to_goes_to_it() {
    let world = World::new().await;
    let opened = world.ticket(&[("EVENT", "*")]).await.json();
    let mut stream = world.dial(&opened).await.unwrap();
    world.say(APP, ADA, "hi").unwrap();
    world.event(APP, "chat_disband", json!({}));
    assert_eq!(stream.next().await.unwrap()["type"], "EVENT");
    let mut other = world.connect().await;
    assert_eq!(other.next().await.unwrap()["headers"]["topic"], MESSAGES);
}

#[tokio::test]
async fn several_connections_share_the_load() {
    let world = World::new().await;
    let mut streams = [world.connect().await, world.connect().await];
    for number in 0..40 {
        world.say(APP, ADA, number.to_string().as_str()).unwrap();
    }
    let mut counts = [0, 0];
    for _ in 0..40 {
        let [first, second] = &mut streams;
        tokio::select! {
            frame = first.next() => { first.fine(&frame.unwrap()).await; counts[0] += 1; }
            frame = second.next() => { second.fine(&frame.unwrap()).await; counts[1] += 1; }
        }
    }
    world.deliveries_reach(40).await;
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    assert_eq!(world.pending(APP), 0);
}

#[tokio::test]
async fn who_does_not_answer_pings_is_cut_off_and_who_does_is_not() {
    let wait = Duration::from_millis(400);
    let config = DingtalkConfig::default().heartbeat(SHORT, LONG, wait);
    let world = World::with(config, NewApp::default()).await;
    let mut stream = world.connect().await;
    let mut answered = 0;
    let mut echo = async |times| {
        while answered < times {
            let frame = stream.any().await.unwrap();
            assert_eq!(frame["headers"]["topic"], "ping");
            assert!(data(&frame)["opaque"].is_string());
            stream.ack(&frame, 200, &data(&frame)).await;
            answered += 1;
        }
    };
    echo(10).await;
    world
        .wait_for(PATIENCE, |dingtalk| {
            (dingtalk.pongs(APP) >= 10).then_some(())
        })
        .await
        .unwrap();
    // An answer with something else in it is none.
    let ping = stream.any().await.unwrap();
    stream.ack(&ping, 200, &json!({"opaque": "x"})).await;
    assert!(stream.any().await.is_none());
    assert_eq!(world.connections(APP), 0);
}

#[tokio::test]
async fn keepalives_come_without_being_answered() {
    let config = DingtalkConfig::default().heartbeat(LONG, SHORT, LONG);
    let world = World::with(config, NewApp::default()).await;
    let mut stream = world.connect().await;
    for _ in 0..2 {
        let frame = stream.any().await.unwrap();
        assert_eq!(frame["headers"]["topic"], "KEEPALIVE");
    }
}

#[tokio::test]
async fn after_the_disconnect_notice_nothing_is_pushed_and_the_connection_ends() {
    let world = World::with(quick().drain_grace(SHORT), NewApp::default()).await;
    let mut old = world.connect().await;
    world.say(APP, ADA, "before").unwrap();
    let before = old.next().await.unwrap();
    world.drain(APP);
    world.say(APP, ADA, "after").unwrap();
    assert_eq!(world.connections(APP), 0);
    let notice = old.any().await.unwrap();
    assert_eq!(notice["headers"]["topic"], "disconnect");
    assert!(data(&notice)["reason"].is_string());
    // What was pushed before can still be acknowledged.
    old.fine(&before).await;
    let mut new = world.connect().await;
    let frame = new.next().await.unwrap();
    assert_eq!(data(&frame)["text"]["content"], "after");
    assert!(old.any().await.is_none());
}

#[tokio::test]
async fn an_acknowledgement_counts_on_its_own_connection_alone() {
    let world = World::with(quick(), NewApp::default()).await;
    let mut first = world.connect().await;
    world.say(APP, ADA, "hi").unwrap();
    let frame = first.next().await.unwrap();
    let mut second = world.connect().await;
    second.fine(&frame).await;
    world.deliveries_reach(1).await;
    assert_eq!(errors(&world), [(1, Some("timeout"))]);
}

#[tokio::test]
async fn a_half_open_connection_is_pushed_to_until_the_platform_notices() {
    let config = quick().heartbeat(SHORT, LONG, SHORT * 4);
    let world = World::with(config, NewApp::default()).await;
    let mut dead = world.connect().await;
    world.stall(APP);
    world.say(APP, ADA, "hi").unwrap();
    world.deliveries_reach(1).await;
    assert_eq!(errors(&world)[0], (1, Some("timeout")));
    assert!(dead.any().await.is_none());
    let mut alive = world.connect().await;
    assert_eq!(data(&alive.next().await.unwrap())["text"]["content"], "hi");
}

#[tokio::test]
async fn a_silent_platform_sends_nothing_and_brings_everything_afterwards() {
    let config = quick().heartbeat(SHORT, SHORT, LONG);
    let world = World::with(config, NewApp::default()).await;
    let mut stream = world.connect().await;
    world.faults().silent(true);
    world.say(APP, ADA, "hi").unwrap();
    world.deliveries_reach(2).await;
    world.faults().silent(false);
    // Nothing of the time of silence is in the way.
    let frame = stream.next().await.unwrap();
    assert_eq!(data(&frame)["text"]["content"], "hi");
    assert!(world.deliveries().len() >= 2);
}

#[tokio::test]
async fn frames_can_come_twice_or_out_of_order() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    world.faults().duplicate_frames(1);
    world.say(APP, ADA, "twice").unwrap();
    let (first, second) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    assert_eq!(data(&first)["msgId"], data(&second)["msgId"]);
    assert_ne!(
        first["headers"]["messageId"],
        second["headers"]["messageId"]
    );
    world.faults().reorder_frames(1);
    world.say(APP, ADA, "one").unwrap();
    world.say(APP, ADA, "two").unwrap();
    let mut texts = Vec::new();
    for _ in 0..2 {
        let frame = stream.next().await.unwrap();
        texts.push(data(&frame)["text"]["content"].clone());
    }
    assert_eq!(texts, ["two", "one"]);
}

#[tokio::test]
async fn without_a_connection_messages_wait_or_are_lost_on_demand() {
    let world = World::new().await;
    world.say(APP, ADA, "waits").unwrap();
    let mut stream = world.connect().await;
    let frame = stream.next().await.unwrap();
    assert_eq!(data(&frame)["text"]["content"], "waits");
    stream.fine(&frame).await;
    world.deliveries_reach(1).await;
    world.cut(APP);
    assert!(stream.any().await.is_none());
    world.faults().lossy(true);
    world.say(APP, ADA, "lost").unwrap();
    world.deliveries_reach(2).await;
    assert_eq!(errors(&world)[1], (1, Some("lost")));
    assert_eq!(world.pending(APP), 0);
}

#[tokio::test]
async fn a_ticket_can_be_refused_and_a_greeting_be_short() {
    let world = World::new().await;
    let refuse = Fault::Refuse {
        status: 401,
        code: "invalidTicket".to_owned(),
        message: "no".to_owned(),
    };
    world.faults().next("connect", 1, refuse);
    let opened = world.ticket(&[("EVENT", "*")]).await.json();
    assert_eq!(world.dial(&opened).await.err(), Some(401));
    world.faults().unregistered(true);
    let opened = world.ticket(&[("EVENT", "*")]).await.json();
    let mut stream = world.dial(&opened).await.unwrap();
    assert_eq!(stream.any().await.unwrap()["headers"]["topic"], "CONNECTED");
    world.event(APP, "x", json!({}));
    assert_eq!(stream.any().await.unwrap()["type"], "EVENT");
    world.close(APP);
    assert!(stream.any().await.is_none());
}

#[tokio::test]
async fn what_is_no_acknowledgement_does_no_harm() {
    let world = World::with(quick(), NewApp::default()).await;
    let mut stream = world.connect().await;
    for odd in [json!(null), json!([]), json!({"headers": 1, "code": "x"})] {
        stream.send(&odd).await;
    }
    world.say(APP, ADA, "hi").unwrap();
    let frame = stream.next().await.unwrap();
    stream.fine(&frame).await;
    world.deliveries_reach(1).await;
    assert_eq!(errors(&world), [(1, None)]);
}

#[tokio::test]
async fn two_thousand_numbered_messages_survive_cuts_and_drains() {
    let config = quick().redelivery(SHORT * 20, 100).drain_grace(SHORT);
    let world = World::with(config, NewApp::default()).await;
    let mut seen = std::collections::BTreeSet::new();
    let mut stream = world.connect().await;
    let mut sent = 0_usize;
    while seen.len() < 2_000 {
        while sent < 2_000 && sent < seen.len() + 100 {
            world.say(APP, ADA, sent.to_string().as_str()).unwrap();
            sent += 1;
            match sent % 500 {
                200 => world.cut(APP),
                400 => world.drain(APP),
                _ => {}
            }
        }
        let Ok(Some(frame)) = tokio::time::timeout(SHORT, stream.next()).await else {
            // Nothing more comes over this connection.
            if world.connections(APP) == 0 {
                stream = world.connect().await;
            }
            continue;
        };
        seen.insert(data(&frame)["text"]["content"].to_string());
        stream.fine(&frame).await;
    }
    assert_eq!(sent, 2_000);
}
