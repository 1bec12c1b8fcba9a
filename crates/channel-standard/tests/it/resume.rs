//! What survives a lost connection, and what does not.

use std::time::Duration;

use channel_core::{OutboundMessage, Target};
use serde_json::{Value, json};

use crate::world::{World, ack, codes, message, now, types};

const SECOND: Duration = Duration::from_secs(1);

fn to_ada(text: &str) -> OutboundMessage {
    OutboundMessage::new(Target::chat("web-1/default"), text)
}

fn texts(frames: &[Value]) -> Vec<&str> {
    let messages = frames.iter().filter(|frame| frame["type"] == "message");
    messages
        .map(|frame| frame["text"].as_str().unwrap())
        .collect()
}

#[test]
fn a_send_to_a_client_that_is_away_is_accepted_and_waits() {
    let mut world = World::new();
    let cursor = {
        let ada = world.connect();
        let hello = json!({"v":1,"type":"hello","client_id":"web-1"});
        let welcome = world.ask(&ada, &hello).remove(0);
        welcome["resume"]["default"]["cursor"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    world.settle();
    assert_eq!(world.send(&to_ada("while you were away")).len(), 1);
    let (_ada, frames) = world.rejoin("web-1", &cursor);
    assert_eq!(frames[0]["resume"]["default"]["state"], "ok");
    assert_eq!(texts(&frames), ["while you were away"]);
}

#[test]
fn a_thousand_frames_are_replayed_through_a_queue_of_two_hundred() {
    let mut world = World::new();
    world.send(&to_ada("0"));
    let (first, frames) = world.rejoin("web-1", "");
    let cursor = frames[1]["cursor"].as_str().unwrap().to_owned();
    first.leave();
    world.settle();
    for number in 1..=999 {
        world.send(&to_ada(&number.to_string()));
    }
    let socket = world.connect();
    socket.stall(10);
    let hello = json!({
        "v":1,"type":"hello","client_id":"web-1","resume":{"default":cursor},
    });
    let mut frames = world.ask(&socket, &hello);
    // Live frames that come in meanwhile are not numbered among the replayed ones.
    world.send(&to_ada("live"));
    for _ in 0..200 {
        world.settle();
        frames.extend(socket.frames());
    }
    assert_eq!(socket.closed(), None);
    let seen = texts(&frames);
    assert_eq!(seen.len(), 1000);
    assert_eq!((seen[0], seen[998], seen[999]), ("1", "999", "live"));
    let end = frames
        .iter()
        .position(|frame| frame["of"] == "resume")
        .unwrap();
    assert_eq!(end, 1000, "welcome and 999 frames come first");
    assert_eq!(frames.last().unwrap().get("replay"), None);
}

#[test]
fn frames_expire_and_are_counted_as_undelivered() {
    let mut world = World::with(|builder| builder.configure(|config| config.resume_window = 100));
    world.send(&to_ada("old"));
    world.advance(60 * SECOND);
    world.send(&to_ada("new"));
    assert_eq!(world.channel.health().oldest_unacked, Some(60 * SECOND));
    world.advance(60 * SECOND);
    let (_ada, frames) = world.rejoin("web-1", "c0.1");
    assert_eq!(texts(&frames), ["new"]);
    assert_eq!(world.channel.health().undelivered, 1);
}

#[test]
fn an_acknowledged_frame_is_delivered() {
    let mut world = World::new();
    let ada = world.join("web-1");
    world.send(&to_ada("hi"));
    let cursor = ada.frames()[0]["cursor"].clone();
    assert!(world.channel.health().oldest_unacked.is_some());
    let ack = json!({"v":1,"type":"ack","conversation":"default","cursor":cursor});
    assert!(world.ask(&ada, &ack).is_empty());
    assert_eq!(world.channel.health().oldest_unacked, None);
}

#[test]
fn only_the_newest_frames_are_kept() {
    let mut world = World::with(|builder| builder.configure(|config| config.resume_limit = 3));
    let first = {
        world.send(&to_ada("1"));
        let (_ada, frames) = world.rejoin("web-1", "");
        frames[1]["cursor"].as_str().unwrap().to_owned()
    };
    world.settle();
    for number in 2..=6 {
        world.send(&to_ada(&number.to_string()));
    }
    let (_ada, frames) = world.rejoin("web-1", &first);
    assert_eq!(frames[0]["resume"]["default"]["state"], "gap");
    assert_eq!(texts(&frames), ["4", "5", "6"]);
}

#[test]
fn a_client_cannot_push_out_the_histories_of_others() {
    let mut world = World::new();
    world.send(&to_ada("keep me"));
    for number in 0..1000 {
        let chat = format!("web-2/c{number}");
        world.send(&OutboundMessage::new(Target::chat(chat), "x"));
    }
    let (_ada, frames) = world.rejoin("web-1", "");
    assert_eq!(texts(&frames), ["keep me"]);
}

#[test]
fn an_unacknowledged_event_comes_again_with_the_next_stream() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "a"));
    ada.send(&message("m-02", "b"));
    let (first, second) = (world.received().unwrap(), world.received().unwrap());
    ack(second);
    drop(first);
    world.settle();
    assert_eq!(
        types(&ada.frames()),
        ["ack"],
        "no word about the dropped one"
    );
    assert!(world.received().is_none());
    world.restart_events();
    let again = world.event().unwrap();
    assert_eq!(again.message().unwrap().id.as_str(), "m-01");
    assert_eq!(ada.frames()[0]["of"], "m-01");
    assert!(world.event().is_none());
}

#[test]
fn a_dropped_event_is_taken_again_when_its_client_repeats_it() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "a"));
    drop(world.received().unwrap());
    ada.leave();
    world.settle();
    let ada = world.join("web-1");
    assert!(world.ask(&ada, &message("m-01", "a")).is_empty());
    let event = world.event().unwrap();
    assert_eq!(event.id.as_str(), "web-1/default/m-01");
    let answer = ada.frames().remove(0);
    assert_eq!(
        (&answer["of"], &answer["duplicate"]),
        (&json!("m-01"), &json!(false))
    );
}

#[test]
fn an_event_that_is_refused_is_answered_busy_and_may_be_sent_again() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "a"));
    now(world.received().unwrap().nak()).unwrap();
    world.settle();
    let refusal = ada.frames().remove(0);
    assert_eq!(
        (&refusal["code"], &refusal["of"]),
        (&json!("busy"), &json!("m-01"))
    );
    assert!(refusal["retry_after"].as_f64().unwrap() > 0.0);
    ada.send(&message("m-01", "a"));
    assert!(world.event().is_some());
    assert_eq!(types(&ada.frames()), ["ack"]);
}

#[test]
fn a_full_queue_is_answered_busy_and_nothing_is_acknowledged() {
    let mut world = World::with(|builder| builder.configure(|config| config.event_queue = 2));
    let ada = world.join("web-1");
    for id in ["m-1", "m-2", "m-3"] {
        ada.send(&message(id, "x"));
    }
    world.settle();
    let frames = ada.frames();
    assert_eq!(codes(&frames), ["busy"]);
    assert_eq!(frames[0]["of"], "m-3");
    assert!(world.event().is_some());
    ada.frames();
    ada.send(&message("m-3", "x"));
    world.settle();
    assert!(ada.frames().is_empty(), "there is room again");
    assert!(world.event().is_some());
    assert_eq!(world.event().unwrap().message().unwrap().id.as_str(), "m-3");
}

#[test]
fn a_new_stream_ends_the_old_one() {
    use channel_core::Events as _;
    use futures_util::{FutureExt as _, StreamExt as _};
    let world = World::new();
    let mut old = world.channel.events();
    assert!(now(old.next()).is_some());
    assert!(old.next().now_or_never().is_none());
    let _new = world.channel.events();
    assert!(now(old.next()).is_none());
}

#[test]
fn acknowledging_on_delivery_can_be_configured() {
    let mut world = World::with(|builder| {
        builder.configure(|config| config.ack_after = channel_standard::AckAfter::Delivered)
    });
    let ada = world.join("web-1");
    ada.send(&message("m-01", "a"));
    let received = world.received().unwrap();
    world.settle();
    assert_eq!(types(&ada.frames()), ["ack"]);
    ack(received);
    world.settle();
    assert!(ada.frames().is_empty());
}
