//! Each type of frame, and each refusal.

use std::time::Duration;

use channel_core::{Actions as _, Button, EventKind, OutboundMessage, Proof, React as _, Target};
use serde_json::{Value, json};

use crate::world::{Client, World, ack, codes, message, now, types};

const SECOND: Duration = Duration::from_secs(1);

/// Sends a message and lets the application take it.
fn say(world: &mut World, client: &Client, id: &str, text: &str) {
    client.send(&message(id, text));
    assert!(world.event().is_some());
    assert_eq!(types(&client.frames()), ["ack"]);
}

#[test]
fn anything_but_hello_comes_too_early() {
    for frame in [
        message("m-01", "hi"),
        json!({"v":1,"type":"ping","id":"p"}),
        json!({"v":1,"type":"?"}),
    ] {
        let mut world = World::new();
        let socket = world.connect();
        socket.send(&frame);
        world.settle();
        let frames = socket.frames();
        assert_eq!(codes(&frames), ["hello_required"]);
        assert_eq!(frames[0]["fatal"], true);
        assert_eq!(socket.closed(), Some(4400));
        assert!(socket.is_over());
    }
}

#[test]
fn a_second_hello_is_refused_and_the_session_goes_on() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let hello = json!({"v":1,"type":"hello","id":"h-9","client_id":"web-2"});
    let frames = world.ask(&ada, &hello);
    assert_eq!(codes(&frames), ["already_open"]);
    assert_eq!(frames[0]["of"], "h-9");
    assert_eq!(
        types(&world.ask(&ada, &json!({"v":1,"type":"ping","id":"p-1"}))),
        ["pong"]
    );
}

#[test]
fn another_version_ends_the_connection() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let frames = world.ask(&ada, &json!({"v":2,"type":"ping"}));
    assert_eq!(codes(&frames), ["unsupported_version"]);
    assert_eq!(frames[0]["supported"], json!([1]));
    assert_eq!(ada.closed(), Some(4400));
}

#[test]
fn a_hello_that_does_not_come_closes_with_4408() {
    let mut world = World::new();
    let socket = world.connect();
    world.advance(9 * SECOND);
    assert_eq!(socket.closed(), None);
    world.advance(SECOND);
    assert_eq!(socket.closed(), Some(4408));
}

#[test]
fn three_bad_frames_in_a_minute_end_the_connection_and_no_other() {
    let mut world = World::new();
    let (ada, bob) = (world.join("web-1"), world.join("web-2"));
    let bad = |world: &mut World| {
        ada.send_text("{not json");
        world.settle();
        ada.frames()
    };
    for _ in 0..2 {
        let frames = bad(&mut world);
        assert_eq!(codes(&frames), ["bad_frame"]);
        assert_eq!(
            (frames[0]["fatal"].as_bool(), frames[0].get("of")),
            (Some(false), None)
        );
    }
    world.advance(61 * SECOND);
    for _ in 0..2 {
        assert_eq!(codes(&bad(&mut world)), ["bad_frame"]);
    }
    assert_eq!(bad(&mut world)[0]["fatal"], true);
    assert_eq!(ada.closed(), Some(4400));
    assert_eq!(
        types(&world.ask(&bob, &json!({"v":1,"type":"ping"}))),
        ["pong"]
    );
}

#[test]
fn binary_frames_close_with_1003() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send_frame(channel_core::Frame::Binary(bytes::Bytes::from_static(
        b"{}",
    )));
    world.settle();
    assert_eq!(ada.closed(), Some(1003));
}

#[test]
fn request_errors_name_the_frame_and_leave_the_connection_open() {
    let mut world = World::new();
    let ada = world.join("web-1");
    say(&mut world, &ada, "m-own", "mine");
    let long = "ü".repeat(32_769);
    let many: Vec<Value> = (0..17).map(|_| json!({"url":"https://e.x/a"})).collect();
    let with =
        |attachment: Value| json!({"v":1,"type":"message","id":"m-1","attachments":[attachment]});
    let cases = [
        ("unknown_type", json!({"v":1,"type":"teleport","id":"m-1"})),
        ("empty_message", message("m-1", "")),
        ("text_too_long", message("m-1", &long)),
        (
            "too_many_attachments",
            json!({"v":1,"type":"message","id":"m-1","attachments":many}),
        ),
        ("invalid_media", with(json!({}))),
        ("invalid_media", with(json!({"data":"?"}))),
        (
            "invalid_media",
            with(json!({"data":"aGk=","url":"https://e.x/a"})),
        ),
        ("invalid_media", with(json!({"url":"http://e.x/a"}))),
        ("invalid_media", with(json!({"url":"file:///etc/passwd"}))),
        ("invalid_media", with(json!({"media_id":"never-uploaded"}))),
        (
            "unknown_message",
            json!({"v":1,"type":"edit","id":"m-1","rev":1,"text":"x"}),
        ),
        ("unknown_message", json!({"v":1,"type":"delete","id":"m-1"})),
        (
            "unknown_message",
            json!({"v":1,"type":"reaction","id":"m-1","target":"m-x","emoji":"👀"}),
        ),
        (
            "unknown_message",
            json!({"v":1,"type":"action","id":"m-1","message":"s-9","button":"b0-0"}),
        ),
        (
            "unknown_button",
            json!({"v":1,"type":"action","id":"m-1","message":"m-own","button":"b0-0"}),
        ),
        (
            "forbidden",
            json!({"v":1,"type":"message","id":"m-1","conversation":"room:x","text":"hi"}),
        ),
        (
            "invalid_id",
            json!({"v":1,"type":"message","id":"m-1","text":"hi","thread":"a b"}),
        ),
    ];
    for (code, frame) in cases {
        world.advance(SECOND);
        let frames = world.ask(&ada, &frame);
        assert_eq!(codes(&frames), [code], "{frame}");
        assert_eq!(frames[0]["of"], "m-1");
        assert_eq!(frames[0]["fatal"], false);
    }
    for id in [
        json!("a b"),
        json!(""),
        json!(null),
        json!("x".repeat(65)),
        json!("ü"),
    ] {
        world.advance(SECOND);
        let frames = world.ask(&ada, &json!({"v":1,"type":"message","id":id,"text":"hi"}));
        assert_eq!(codes(&frames), ["invalid_id"]);
        assert_eq!(frames[0].get("of"), None, "an invalid id is not repeated");
    }
    assert!(world.event().is_none());
    assert_eq!(ada.closed(), None);
}

#[test]
fn a_client_edits_and_deletes_its_own_messages_only() {
    let mut world = World::new();
    let (ada, phone) = (world.join("web-1"), world.join("web-1"));
    say(&mut world, &ada, "m-01", "one");
    let bots = world.send(&OutboundMessage::new(Target::chat("web-1/default"), "mine"));
    phone.frames();
    ada.frames();

    let edit = |id: &str, rev: u64, text: &str| json!({"v":1,"type":"edit","id":id,"rev":rev,"text":text,"format":"markdown","final":true});
    assert_eq!(
        codes(&world.ask(&ada, &edit(&bots[0], 1, "x"))),
        ["not_owner"]
    );
    assert_eq!(
        codes(&world.ask(&ada, &json!({"v":1,"type":"delete","id":bots[0]}))),
        ["not_owner"]
    );

    ada.send(&edit("m-01", 2, "two"));
    let event = world.event().unwrap();
    assert_eq!(event.id.as_str(), "web-1/default/m-01/edit/2");
    let EventKind::Edited(edited) = event.kind else {
        panic!("not an edit")
    };
    assert_eq!((edited.text.as_str(), edited.id.as_str()), ("two", "m-01"));
    let native: channel_standard::StandardMessage = edited.native().unwrap();
    assert_eq!(channel_core::InboundMessage::text(&native), "two");
    assert_eq!(types(&ada.frames()), ["ack"]);
    let mirrored = phone.frames();
    assert_eq!(
        (&mirrored[0]["type"], &mirrored[0]["rev"]),
        (&json!("edit"), &json!(2))
    );

    let late = world.ask(&ada, &edit("m-01", 1, "late"));
    assert_eq!(late[0]["status"], "superseded");
    assert_eq!(
        world.ask(&ada, &edit("m-01", 2, "two"))[0]["duplicate"],
        true
    );
    assert_eq!(
        codes(&world.ask(&ada, &edit("m-01", 2, "other"))),
        ["id_conflict"]
    );
    assert!(world.event().is_none());

    ada.send(&json!({"v":1,"type":"delete","id":"m-01"}));
    let event = world.event().unwrap();
    let EventKind::Deleted(deleted) = event.kind else {
        panic!("not a deletion")
    };
    assert_eq!(deleted.messages[0].id.as_str(), "m-01");
    assert_eq!(types(&phone.frames()), ["delete"]);
    ada.frames();
    assert_eq!(
        codes(&world.ask(&ada, &edit("m-01", 9, "gone"))),
        ["unknown_message"]
    );
}

#[test]
fn a_growing_text_of_a_client_reaches_its_other_devices_and_not_the_application() {
    let mut world = World::new();
    let (ada, phone) = (world.join("web-1"), world.join("web-1"));
    say(&mut world, &ada, "m-01", "h");
    phone.frames();
    let edit = json!({"v":1,"type":"edit","id":"m-01","rev":1,"text":"he","final":false});
    assert!(world.ask(&ada, &edit).is_empty());
    assert_eq!(phone.frames()[0]["text"], "he");
    assert!(world.event().is_none());
}

#[test]
fn reactions_are_events_and_repeatable_without_an_id() {
    let mut world = World::new();
    let (ada, phone) = (world.join("web-1"), world.join("web-1"));
    let bots = world.send(&OutboundMessage::new(Target::chat("web-1/default"), "mine"));
    ada.frames();
    phone.frames();
    for remove in [false, true, false] {
        let frame = json!({"v":1,"type":"reaction","target":bots[0],"emoji":"👀","remove":remove});
        ada.send(&frame);
        let EventKind::Reaction(reaction) = world.event().unwrap().kind else {
            panic!("other")
        };
        let changed = if remove {
            &reaction.removed
        } else {
            &reaction.added
        };
        assert_eq!(changed, &["👀"]);
        assert_eq!(ada.frames()[0]["of"], bots[0].as_str());
        assert_eq!(phone.frames()[0]["remove"], remove);
    }
    let once = json!({"v":1,"type":"reaction","id":"r-1","target":bots[0],"emoji":"👀"});
    ada.send(&once);
    assert!(world.event().is_some());
    ada.frames();
    assert_eq!(world.ask(&ada, &once)[0]["duplicate"], true);
}

#[test]
fn a_press_carries_the_value_that_the_button_was_sent_with() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let offer = OutboundMessage::new(Target::chat("web-1/default"), "which?")
        .buttons([
            Button::press("A", "va"),
            Button::open("Help", "https://e.x"),
        ])
        .buttons([Button::press("B", "vb")]);
    let id = world.send(&offer).remove(0);
    let shown = ada.frames().remove(0);
    assert_eq!(
        shown["buttons"][1][0],
        json!({"id":"b1-0","label":"B","value":"vb"})
    );
    assert_eq!(
        shown["buttons"][0][1],
        json!({"id":"b0-1","label":"Help","url":"https://e.x"})
    );

    let press = |id: &str, message: &str, button: &str, value: &str| json!({"v":1,"type":"action","id":id,"message":message,"button":button,"value":value});
    for wrong in [
        press("a-0", &id, "b1-0", "va"),
        press("a-0", &id, "b0-1", ""),
        press("a-0", &id, "b9-9", "va"),
    ] {
        assert_eq!(codes(&world.ask(&ada, &wrong)), ["unknown_button"]);
    }
    ada.send(&press("a-01", &id, "b1-0", "vb"));
    let received = world.received().unwrap();
    let EventKind::Action(action) = received.event().unwrap().kind.clone() else {
        panic!("other")
    };
    assert_eq!(
        (
            action.value.as_str(),
            action.message.as_ref().unwrap().as_str()
        ),
        ("vb", id.as_str())
    );
    assert_eq!(action.sender.proof, Proof::Claimed);

    // Storing it is no answer; the application gives the one answer.
    ack(received);
    world.settle();
    assert!(ada.frames().is_empty());
    now(world.channel.answer_action(&action, Some("done"))).unwrap();
    world.settle();
    let answers = ada.frames();
    assert_eq!(types(&answers), ["ack"]);
    assert_eq!(
        (&answers[0]["of"], &answers[0]["notice"]),
        (&json!("a-01"), &json!("done"))
    );
    now(world.channel.answer_action(&action, None)).unwrap();
    world.settle();
    assert!(ada.frames().is_empty());

    // An application that answers no press leaves it to the client to ask again.
    ada.send(&press("a-02", &id, "b0-0", "va"));
    assert!(world.event().is_some());
    assert!(ada.frames().is_empty());
    let again = world.ask(&ada, &press("a-02", &id, "b0-0", "va"));
    assert_eq!(
        (&again[0]["type"], &again[0]["duplicate"]),
        (&json!("ack"), &json!(true))
    );
    let mut other = action;
    other.id = "web-1/default/never".into();
    let error = now(world.channel.answer_action(&other, None)).unwrap_err();
    assert_eq!(error.kind(), channel_core::ErrorKind::NotFound);
}

#[test]
fn typing_reaches_other_devices_but_never_its_sender() {
    let mut world = World::with(|builder| builder.room("team", ["web-1", "web-2"]));
    let (ada, phone, bob) = (
        world.join("web-1"),
        world.join("web-1"),
        world.join("web-2"),
    );
    let typing = |conversation: &str, ttl: u64| json!({"v":1,"type":"typing","conversation":conversation,"state":"start","ttl":ttl});
    assert!(world.ask(&ada, &typing("default", 600)).is_empty());
    assert_eq!(phone.frames()[0]["ttl"], 60);
    assert!(bob.frames().is_empty());
    world.ask(&ada, &typing("room:team", 5));
    assert_eq!(bob.frames()[0]["from"]["id"], "web-1");
    assert!(world.event().is_none());
}

#[test]
fn other_devices_see_what_one_of_them_says() {
    let mut world = World::new();
    let (ada, phone) = (world.join("web-1"), world.join("web-1"));
    ada.send(&message("m-01", "hi"));
    assert!(world.event().is_some());
    let mirrored = phone.frames().remove(0);
    assert_eq!(
        (&mirrored["id"], &mirrored["text"]),
        (&json!("m-01"), &json!("hi"))
    );
    assert_eq!(mirrored["from"]["kind"], "user");
    assert_eq!(types(&ada.frames()), ["ack"]);
}

#[test]
fn a_room_is_a_group_that_only_its_members_are_in() {
    let mut world = World::with(|builder| builder.room("team", ["web-1", "web-2"]));
    let (ada, bob, eve) = (
        world.join("web-1"),
        world.join("web-2"),
        world.join("web-3"),
    );
    let say = |id: &str, text: &str| json!({"v":1,"type":"message","id":id,"conversation":"room:team","text":text});
    assert_eq!(codes(&world.ask(&eve, &say("m-1", "hi"))), ["forbidden"]);
    assert_eq!(eve.closed(), None);
    let cases = [
        ("hello all", channel_core::Addressed::No),
        ("mail bot@example.org", channel_core::Addressed::No),
        ("hey @Botany", channel_core::Addressed::No),
        ("hey @BOT, listen", channel_core::Addressed::Mention),
        ("/status now", channel_core::Addressed::Command),
        ("/status@bot now", channel_core::Addressed::Command),
        ("/status@other now", channel_core::Addressed::No),
    ];
    for (number, (text, addressed)) in cases.into_iter().enumerate() {
        world.advance(SECOND);
        world.ask(&ada, &say(&format!("m-{number}"), text));
        let event = world.event().unwrap();
        let it = event.message().unwrap();
        assert_eq!(it.addressed, addressed, "{text}");
        assert_eq!(it.chat.id.as_str(), "room:team");
        assert_eq!(it.chat.kind, channel_core::ChatKind::Group);
        assert_eq!(it.sender.account.sender.as_str(), "web-1");
        assert_eq!(bob.frames()[0]["text"], text);
    }
    let mut hidden = say("m-x", "quietly");
    hidden["meta"] = json!({"mention":true});
    world.ask(&ada, &hidden);
    let event = world.event().unwrap();
    let it = event.message().unwrap();
    assert_eq!(it.addressed, channel_core::Addressed::Mention);
    ada.frames();
    bob.frames();
    world.send(&it.reply("hi team"));
    assert_eq!(ada.frames()[0]["conversation"], "room:team");
    assert_eq!(bob.frames()[0]["in_reply_to"], "m-x");
    assert!(eve.frames().is_empty());
}

#[test]
fn the_bots_reactions_are_stored_and_need_a_known_message() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "hi"));
    let event = world.event().unwrap();
    let at = event.message().unwrap().at();
    ada.frames();
    now(world.channel.react(&at, "👀")).unwrap();
    now(world.channel.unreact(&at, "👀")).unwrap();
    world.settle();
    let frames = ada.frames();
    assert_eq!(types(&frames), ["reaction", "reaction"]);
    assert_eq!(
        (&frames[0]["target"], &frames[0]["remove"]),
        (&json!("m-01"), &json!(false))
    );
    assert_eq!(frames[1]["remove"], true);
    assert!(frames[1]["seq"].as_u64() > frames[0]["seq"].as_u64());
    let mut gone = at;
    gone.id = "m-99".into();
    assert!(now(world.channel.react(&gone, "👀")).is_err());
}
