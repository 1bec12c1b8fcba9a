//! The edge cases that the protocol's own page lists.

use std::time::Duration;

use channel_core::{Events as _, OutboundMessage, Target};
use futures_util::FutureExt as _;
use http::Request;
use serde_json::json;

use crate::world::{TOKEN, World, bearer, codes, message, types};

const SECOND: Duration = Duration::from_secs(1);

fn to_ada(text: &str) -> OutboundMessage {
    OutboundMessage::new(Target::chat("web-1/default"), text)
}

#[test]
fn a_message_sent_twice_is_acknowledged_twice_and_happens_once() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "hi"));
    assert!(world.event().is_some());
    let again = world.ask(&ada, &message("m-01", "hi"));
    assert_eq!(types(&again), ["ack", "ack"]);
    assert_eq!(again[0]["duplicate"], false);
    assert_eq!(again[1]["duplicate"], true);
    assert_eq!(again[0]["of"], again[1]["of"]);
    assert!(world.event().is_none());
}

#[test]
fn an_id_that_is_used_for_something_else_is_a_conflict() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "hi"));
    assert!(world.event().is_some());
    ada.frames();
    let others = [
        message("m-01", "ho"),
        json!({"v":1,"type":"message","id":"m-01","text":"hi","thread":"t"}),
        json!({"v":1,"type":"message","id":"m-01","text":"hi","reply_to":"m-00"}),
        json!({"v":1,"type":"message","id":"m-01","text":"hi","format":"markdown"}),
    ];
    for other in others {
        assert_eq!(codes(&world.ask(&ada, &other)), ["id_conflict"]);
    }
    assert!(world.event().is_none());
    // A conversation that is not named is the default one, and meta is not content.
    let same = json!({"v":1,"type":"message","id":"m-01","text":"hi","meta":{"k":1}});
    assert_eq!(world.ask(&ada, &same)[0]["duplicate"], true);
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed_and_then_live_frames() {
    let mut world = World::new();
    let ada = world.join("web-1");
    for number in 1..=3 {
        world.send(&to_ada(&number.to_string()));
    }
    let cursor = ada.frames()[2]["cursor"].as_str().unwrap().to_owned();
    ada.leave();
    world.settle();
    world.send(&to_ada("4"));
    world.send(&to_ada("5"));

    let (ada, frames) = world.rejoin("web-1", &cursor);
    assert_eq!(types(&frames), ["welcome", "message", "message", "ack"]);
    let resumed = &frames[0]["resume"]["default"];
    assert_eq!(
        (&resumed["state"], &resumed["replaying"]),
        (&json!("ok"), &json!(2))
    );
    for (frame, text) in frames[1..3].iter().zip(["4", "5"]) {
        assert_eq!(
            (&frame["text"], &frame["replay"]),
            (&json!(text), &json!(true))
        );
    }
    assert_eq!(frames[3]["of"], "resume");
    assert_eq!(frames[3]["cursor"], resumed["cursor"]);
    assert_eq!(frames[3]["cursor"], frames[2]["cursor"]);

    world.send(&to_ada("6"));
    let live = ada.frames();
    assert_eq!(
        (live[0]["text"].as_str(), live[0].get("replay")),
        (Some("6"), None)
    );
}

#[test]
fn an_unknown_cursor_is_a_gap_that_tells_the_oldest_frame() {
    let mut world = World::new();
    world.send(&to_ada("1"));
    world.send(&to_ada("2"));
    for cursor in ["c0.9", "", "nonsense", "c0", "c1.x"] {
        let (_, frames) = world.rejoin("web-1", cursor);
        assert_eq!(
            types(&frames),
            ["welcome", "message", "message", "ack"],
            "{cursor}"
        );
        let resumed = &frames[0]["resume"]["default"];
        assert_eq!(resumed["state"], "gap");
        assert_eq!(resumed["oldest"], frames[1]["cursor"]);
    }
}

#[test]
fn a_slow_reader_is_closed_and_gets_everything_on_its_return() {
    let mut world = World::new();
    let ada = world.join("web-1");
    world.send(&to_ada("0"));
    let cursor = ada.frames()[0]["cursor"].as_str().unwrap().to_owned();
    ada.stall(0);
    for number in 1..=300 {
        world.send(&to_ada(&number.to_string()));
    }
    assert!(ada.raw().is_empty());
    // It reads again before the write timeout, and learns why it is closed.
    ada.stall(usize::MAX);
    world.settle();
    assert_eq!(ada.closed(), Some(4508));

    let (_ada, frames) = world.rejoin("web-1", &cursor);
    let texts: Vec<String> = frames
        .iter()
        .filter(|frame| frame["type"] == "message")
        .map(|frame| frame["text"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (1..=300).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);
}

#[test]
fn a_reader_that_never_reads_again_is_given_up_after_the_write_timeout() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.stall(0);
    ada.mute();
    world.send(&to_ada("1"));
    world.advance(9 * SECOND);
    assert!(!ada.is_over());
    world.advance(4 * SECOND);
    assert!(ada.is_over());
    assert_eq!(world.channel.health().connections, 0);
}

#[test]
fn a_client_that_answers_no_ping_is_closed_within_a_second_of_the_read_timeout() {
    let mut world = World::new();
    let (silent, lively) = (world.join("web-1"), world.join("web-2"));
    silent.mute();
    world.advance(59 * SECOND);
    assert_eq!(silent.closed(), None);
    world.advance(2 * SECOND);
    assert_eq!(silent.closed(), Some(4408));
    world.advance(600 * SECOND);
    assert_eq!(lively.closed(), None, "pongs keep a connection alive");
}

#[test]
fn the_hundred_and_first_connection_is_refused() {
    let mut world = World::new();
    let mut open: Vec<_> = (0..100).map(|_| world.connect()).collect();
    let refused = world.upgrade(&bearer(TOKEN)).unwrap_err();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");
    // Wrong credentials are judged before the number of connections.
    assert_eq!(world.upgrade(&bearer("wrong")).unwrap_err().status(), 401);
    open.pop();
    world.settle();
    assert!(world.upgrade(&bearer(TOKEN)).is_ok());
}

#[test]
fn an_upgrade_that_is_never_completed_frees_its_place() {
    let world = World::with(|builder| builder.configure(|config| config.max_connections = 1));
    let upgrade = world.upgrade(&bearer(TOKEN)).unwrap();
    assert!(world.upgrade(&bearer(TOKEN)).is_err());
    drop(upgrade);
    assert!(world.upgrade(&bearer(TOKEN)).is_ok());
}

#[test]
fn a_wrong_origin_is_refused_and_none_at_all_is_not() {
    let world = World::with(|builder| builder.allow_origin("https://app.example"));
    let with_origin = |origin: &str| {
        let mut request = bearer(TOKEN);
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        request
    };
    assert!(world.upgrade(&bearer(TOKEN)).is_ok());
    assert!(
        world
            .upgrade(&with_origin("https://app.example:443"))
            .is_ok()
    );
    for origin in ["https://evil.example", "null", "http://app.example"] {
        assert_eq!(
            world.upgrade(&with_origin(origin)).unwrap_err().status(),
            403
        );
    }
    // The origin is judged first: a wrong token changes nothing.
    let mut both = bearer("wrong");
    both.headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(world.upgrade(&both).unwrap_err().status(), 403);
}

#[test]
fn a_token_in_the_query_counts_only_where_it_is_allowed() {
    let request = |query: &str| {
        Request::get(format!("/standard/ws?{query}"))
            .body(())
            .unwrap()
    };
    let closed = World::new();
    let refused = closed
        .upgrade(&request("token=tok-standard-0001"))
        .unwrap_err();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    let open = World::with(|builder| builder.configure(|config| config.allow_token_query = true));
    assert!(
        open.upgrade(&request("a=b&token=tok%2Dstandard-0001"))
            .is_ok()
    );
    assert_eq!(
        open.upgrade(&request("token=wrong")).unwrap_err().status(),
        401
    );
}

#[test]
fn two_credentials_that_differ_are_refused() {
    let world = World::new();
    let mut request = bearer(TOKEN);
    let offer = "channel-kit.v1, bearer.b3RoZXI";
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offer.parse().unwrap());
    assert_eq!(world.upgrade(&request).unwrap_err().status(), 401);
}

#[test]
fn a_frame_of_one_byte_too_much_closes_with_1009() {
    let mut world = World::new();
    let (ada, bob) = (world.join("web-1"), world.join("web-2"));
    let frame = |size: usize| {
        let head = r#"{"v":1,"type":"ping","id":"p","pad":""#;
        format!("{head}{}\"}}", "x".repeat(size - head.len() - 2))
    };
    ada.send_text(&frame(1 << 20));
    world.settle();
    assert_eq!(types(&ada.frames()), ["pong"]);
    ada.send_text(&frame((1 << 20) + 1));
    world.settle();
    assert_eq!(ada.closed(), Some(1009));
    assert_eq!(bob.closed(), None);
}

#[test]
fn previews_are_coalesced_and_the_final_text_arrives() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let to = Target::chat("web-1/default").into();
    let channel = world.channel.clone();
    let mut stream = crate::world::now(channel_core::Stream::stream(&channel, &to)).unwrap();
    ada.stall(0);
    for words in 1..=100 {
        let body = "w ".repeat(words).into();
        crate::world::now(stream.show(&body)).unwrap();
        world.advance(Duration::from_millis(40));
    }
    let message = OutboundMessage::new(to, "the end");
    let receipt = crate::world::now(stream.finish(message)).unwrap();
    ada.stall(usize::MAX);
    world.settle();
    let frames = ada.frames();
    // One frame was on its way when the client stopped reading.
    assert_eq!(types(&frames), ["message", "edit"]);
    assert_eq!(frames[0]["final"], false);
    let last = &frames[1];
    assert_eq!(
        (&last["final"], &last["text"]),
        (&json!(true), &json!("the end"))
    );
    assert_eq!(last["id"], receipt.first().unwrap().id.as_str());
    assert_eq!(last["rev"], 100);
}

#[test]
fn closing_the_channel_tells_clients_to_come_back() {
    let mut world = World::new();
    let (ada, bob) = (world.join("web-1"), world.connect());
    let channel = world.channel.clone();
    let mut closing = Box::pin(async move { channel.close().await });
    assert!(
        (&mut closing).now_or_never().is_none(),
        "clients have yet to answer"
    );
    world.settle();
    assert_eq!((ada.closed(), bob.closed()), (Some(1001), Some(1001)));
    closing.now_or_never().unwrap().unwrap();
    assert_eq!(world.upgrade(&bearer(TOKEN)).unwrap_err().status(), 503);
    world.restart_events();
    assert!(world.upgrade(&bearer(TOKEN)).is_ok());
}

#[test]
fn rotating_the_token_closes_old_connections() {
    let mut world = World::with(|builder| builder.client_token("web-2", "own"));
    let (ada, bob) = (world.join("web-1"), world.connect_with("own"));
    world.channel.rotate_token(&"new".into()).unwrap();
    world.settle();
    assert_eq!((ada.closed(), bob.closed()), (Some(4401), None));
    assert_eq!(world.upgrade(&bearer(TOKEN)).unwrap_err().status(), 401);
    assert!(world.upgrade(&bearer("new")).is_ok());
    assert!(world.channel.rotate_token(&"".into()).is_err());
    assert!(world.channel.rotate_token(&"own".into()).is_err());
}
