//! Hello, message, acknowledgement, answer.

use channel_core::{Addressed, ChatKind, EventKind, InboundMessage as _, Proof};
use channel_standard::StandardMessage;
use serde_json::json;

use crate::world::{World, ack, message, types};

#[test]
fn a_client_says_hello_and_is_welcome() {
    let mut world = World::new();
    let socket = world.connect();
    let hello = json!({
        "v":1,"type":"hello","id":"h-1","client_id":"web-1","name":"Ada",
        "user_agent":"demo/1.0","caps":["edit","markdown"],
    });
    let welcome = world.ask(&socket, &hello).remove(0);
    assert_eq!(welcome["v"], 1);
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["id"], "h-1");
    assert_eq!(welcome["client_id"], "web-1");
    assert_eq!(welcome["verified"], false);
    assert_eq!(welcome["heartbeat"], 30);
    assert_eq!(welcome["max_frame_bytes"], 1_048_576);
    assert_eq!(welcome["bot"], json!({"id":"bot","name":"Bot"}));
    assert_eq!(welcome["resume"]["default"]["state"], "new");
}

#[test]
fn a_message_becomes_an_event_and_is_acknowledged_when_the_application_has_it() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let frame = json!({
        "v":1,"type":"message","id":"m-01","conversation":"default","text":"hi **there**",
        "format":"markdown","reply_to":"s-41","thread":"t1","meta":{"k":"v"},
    });
    assert!(
        world.ask(&ada, &frame).is_empty(),
        "nothing is acknowledged yet"
    );
    let received = world.received().expect("an event");
    world.settle();
    assert!(ada.frames().is_empty(), "taken is not stored");

    let event = received.event().expect("still there").clone();
    assert_eq!(event.id.as_str(), "web-1/default/m-01");
    assert_eq!(event.channel.as_str(), "standard");
    let EventKind::Message(it) = &event.kind else {
        panic!("not a message");
    };
    assert_eq!(it.chat.id.as_str(), "web-1/default");
    assert_eq!(it.chat.kind, ChatKind::Direct);
    assert_eq!(it.sender.account.to_string(), "standard:web-1");
    assert_eq!(it.sender.proof, Proof::Claimed);
    assert_eq!(it.text, "hi **there**");
    assert_eq!(it.content().to_plain(), "hi there");
    assert_eq!(it.addressed, Addressed::Direct);
    assert_eq!(it.thread.as_ref().expect("a thread").as_str(), "t1");
    let native: StandardMessage = it.native().expect("the native message");
    assert_eq!(native.text(), it.text);
    assert_eq!(native.chat(), it.chat.id);
    assert_eq!(native.sent_at(), it.sent_at);
    assert_eq!(native.reply_to(), it.reply_to);
    assert_eq!(native.meta(), Some(r#"{"k":"v"}"#));
    assert!(native.is_markdown() && !native.is_verified());

    ack(received);
    world.settle();
    let answer = ada.frames().remove(0);
    assert_eq!(
        answer,
        json!({
            "v":1,"type":"ack","of":"m-01","conversation":"default","status":"accepted",
            "duplicate":false,"ts":"2026-01-01T00:00:00Z",
        })
    );
}

#[test]
fn pain_34_an_answer_comes_back_in_the_same_conversation_and_thread() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let frame =
        json!({"v":1,"type":"message","id":"m-01","conversation":"work","thread":"t1","text":"hi"});
    world.ask(&ada, &frame);
    let event = world.event().expect("an event");
    let inbound = event.message().expect("a message");
    let ids = world.send(&inbound.reply(format!("echo: {}", inbound.text)));
    let frames = ada.frames();
    assert_eq!(types(&frames), ["ack", "message"]);
    let answer = &frames[1];
    assert_eq!(answer["id"], ids[0].as_str());
    assert!(ids[0].starts_with("s-"), "{ids:?}");
    assert_eq!(answer["text"], "echo: hi");
    assert_eq!(answer["format"], "plain");
    assert_eq!(answer["conversation"], "work");
    assert_eq!(answer["thread"], "t1");
    assert_eq!(answer["in_reply_to"], "m-01");
    assert_eq!(
        answer["from"],
        json!({"id":"bot","name":"Bot","kind":"bot"})
    );
    assert_eq!(answer["final"], true);
    assert_eq!(answer["attachments"], json!([]));
    let (seq, cursor) = (&answer["seq"], answer["cursor"].as_str().expect("a cursor"));
    assert!(cursor.ends_with(&format!(".{seq}")), "{cursor}");
}

#[test]
fn two_conversations_of_a_client_do_not_share_events_or_numbers() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let mut other = message("m-01", "b");
    other["conversation"] = json!("other");
    world.ask(&ada, &message("m-01", "a"));
    world.ask(&ada, &other);
    let first = world.event().expect("the first");
    let second = world.event().expect("the second");
    assert_ne!(first.id, second.id);
    assert_ne!(first.conversation(), second.conversation());
}

#[test]
fn a_reply_knows_whether_it_quotes_the_bot() {
    let mut world = World::with(|builder| builder.room("team", ["web-1"]));
    let ada = world.join("web-1");
    let say = |id: &str, quoted: &str| json!({"v":1,"type":"message","id":id,"conversation":"room:team","text":"hi","reply_to":quoted});
    let target = channel_core::Target::chat("room:team");
    let bots = world.send(&channel_core::OutboundMessage::new(target, "hello"));
    for (id, quoted, mine) in [("m-1", bots[0].as_str(), true), ("m-2", "m-1", false)] {
        ada.send(&say(id, quoted));
        let event = world.event().unwrap();
        let it = event.message().unwrap();
        assert_eq!(it.reply_to.as_ref().unwrap().mine, mine);
        assert_eq!(it.addressed.is_to_me(), mine);
        let native: StandardMessage = it.native().unwrap();
        assert_eq!(native.reply_to(), it.reply_to);
        assert_eq!(native.addressed(), it.addressed);
    }
}
