//! What each webhook event becomes.

use channel_core::{
    Addressed, AttachmentKind, Body, Channel as _, ChatKind, Event, EventKind, InboundMessage as _,
    Inline, MemberState, Membership, OutboundMessage, Proof, SenderKind,
};
use channel_line::LineMessage;
use serde_json::{Value, json};

use crate::fake::{ADA, BOT, Fake, GROUP, callback, group, person, request};

fn one(event: impl Fn(&Fake) -> Value) -> Event {
    let fake = Fake::new();
    let channel = fake.channel();
    let event = event(&fake);
    fake.deliver(&channel, event)
}

fn message(source: Value, fields: Value) -> channel_core::Message {
    match one(|fake| fake.message(source.clone(), fields.clone())).kind {
        EventKind::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn membership(source: Value, fields: Value) -> Membership {
    match one(|fake| fake.event(source.clone(), fields.clone())).kind {
        EventKind::Membership(membership) => *membership,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_of_a_person() {
    let fake = Fake::new();
    let channel = fake.channel();
    let text = fake.text("hello");
    let event = fake.deliver(&channel, text.clone());
    assert_eq!(event.id.as_str(), text["webhookEventId"].as_str().unwrap());
    let message = event.message().unwrap();
    assert_eq!(message.chat.id.as_str(), ADA);
    assert_eq!(message.chat.kind, ChatKind::Direct);
    assert_eq!(message.sender.account.to_string(), format!("line:{ADA}"));
    assert_eq!(message.sender.proof, Proof::Verified);
    assert_eq!(message.addressed, Addressed::Direct);
    assert!(message.sent_at.is_some() && message.formatted.is_none());
    // The payload is a slice of the request, byte for byte.
    assert_eq!(
        serde_json::from_slice::<Value>(message.raw.as_slice()).unwrap(),
        text
    );
}

#[test]
fn a_reply_token_is_never_shown() {
    let message = message(person(), json!({"type": "text", "text": "x"}));
    let token = serde_json::from_slice::<Value>(message.raw.as_slice()).unwrap();
    let token = token["replyToken"].as_str().unwrap().to_owned();
    assert!(!format!("{message:?}").contains(&token));
    // It survives storage all the same.
    assert!(
        serde_json::to_string(&message.return_address)
            .unwrap()
            .contains(&token)
    );
}

#[test]
fn mentions_commands_and_quotes_in_a_group() {
    let said = |text: &str, fields: Value| {
        let mut all = json!({"type": "text", "text": text});
        all.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        message(group(), all)
    };
    let mention = |mentionee: Value| json!({"mention": {"mentionees": [mentionee]}});
    let cases = [
        (said("hi", json!({})), Addressed::No),
        (
            said(
                "@Bot hi",
                mention(
                    json!({"index": 0, "length": 4, "type": "user", "userId": BOT, "isSelf": true}),
                ),
            ),
            Addressed::Mention,
        ),
        (
            said(
                "@Bot hi",
                mention(json!({"index": 0, "length": 4, "type": "user", "isSelf": true})),
            ),
            Addressed::Mention,
        ),
        // Before LINE marked mentions of the bot.
        (
            said(
                "@Bot hi",
                mention(json!({"index": 0, "length": 4, "type": "user", "userId": BOT})),
            ),
            Addressed::Mention,
        ),
        (
            said(
                "@Ben hi",
                mention(
                    json!({"index": 0, "length": 4, "type": "user", "userId": "U9", "isSelf": false}),
                ),
            ),
            Addressed::No,
        ),
        // Everybody is nobody in particular.
        (
            said(
                "@All hi",
                mention(json!({"index": 0, "length": 4, "type": "all"})),
            ),
            Addressed::No,
        ),
        (said("/help me", json!({})), Addressed::Command),
        (said("5 / 3", json!({})), Addressed::No),
    ];
    for (message, addressed) in cases {
        assert_eq!(message.addressed, addressed, "{}", message.text);
        assert_eq!(message.chat.id.as_str(), GROUP);
        assert_eq!(message.sender.account.sender.as_str(), ADA);
    }
}

#[test]
fn a_quote_of_the_bots_own_message_is_meant_for_it() {
    let fake = Fake::new();
    let channel = fake.channel();
    let question = fake.deliver_message(
        &channel,
        fake.message(group(), json!({"type": "text", "text": "/x"})),
    );
    let sent = fake
        .run(channel.send(&question.reply("an answer")))
        .unwrap();
    let quoting = |id: &str| {
        let fields = json!({"type": "text", "text": "why?", "quotedMessageId": id});
        fake.deliver_message(&channel, fake.message(group(), fields))
    };
    let mine = quoting(sent.first().unwrap().id.as_str());
    assert_eq!(mine.addressed, Addressed::Reply);
    assert!(mine.reply_to.unwrap().mine);
    let other = quoting("52");
    assert_eq!(
        (other.addressed, other.reply_to.unwrap().mine),
        (Addressed::No, false)
    );
}

#[test]
fn somebody_unknown_in_a_group_is_the_group() {
    let source = json!({"type": "group", "groupId": GROUP});
    let message = message(source, json!({"type": "text", "text": "hi"}));
    assert_eq!(message.sender.kind, SenderKind::Chat);
    assert_eq!(message.sender.account.sender.as_str(), GROUP);
}

#[test]
fn files_name_where_they_are() {
    let line = json!({"contentProvider": {"type": "line"}});
    let outside = json!({"contentProvider": {"type": "external", "originalContentUrl": "https://x.example/a.m4a"}});
    let cases = [
        ("image", line.clone(), AttachmentKind::Image, None),
        ("video", line, AttachmentKind::Video, None),
        (
            "audio",
            outside,
            AttachmentKind::Audio,
            Some("https://x.example/a.m4a"),
        ),
        (
            "file",
            json!({"fileName": "a.txt", "fileSize": 2138}),
            AttachmentKind::File,
            None,
        ),
        (
            "sticker",
            json!({"packageId": "446", "stickerId": "1988", "keywords": ["ok"]}),
            AttachmentKind::Sticker,
            Some("sticker:446/1988"),
        ),
    ];
    for (name, mut fields, kind, id) in cases {
        fields["type"] = json!(name);
        let message = message(person(), fields);
        let [attachment] = &*message.attachments else {
            panic!("{name}")
        };
        assert_eq!(attachment.kind, kind);
        assert_eq!(attachment.id.as_str(), id.unwrap_or(message.id.as_str()));
        if name == "file" {
            assert_eq!(attachment.name.as_deref(), Some("a.txt"));
            assert_eq!(attachment.bytes, Some(2138));
        }
    }
}

#[test]
fn pictures_sent_together_are_an_album() {
    let fields = json!({"type": "image", "contentProvider": {"type": "line"}, "imageSet": {"id": "S", "total": 2}});
    assert_eq!(message(person(), fields).album.as_deref(), Some("S"));
}

#[test]
fn a_place_and_a_sticker_have_their_native_form() {
    let place = json!({"type": "location", "title": "t", "address": "a", "latitude": 35.68, "longitude": 139.7});
    let message = message(person(), place);
    assert_eq!(message.text, "t\na\n35.68, 139.7");
    let native = message.native::<LineMessage>().unwrap();
    let location = native.location().unwrap();
    assert_eq!(
        (location.latitude, location.title.as_deref()),
        (35.68, Some("t"))
    );
    assert!(native.sticker().is_none());
    let fields = json!({"type": "sticker", "packageId": "446", "stickerId": "1988", "text": "Hey", "keywords": ["ok"]});
    let message = self::message(person(), fields);
    assert_eq!(message.text, "Hey");
    let sticker = message.native::<LineMessage>().unwrap().sticker().unwrap();
    assert_eq!(
        (sticker.sticker.as_str(), sticker.keywords.len()),
        ("1988", 1)
    );
}

#[test]
fn emojis_and_mentions_are_formatting() {
    let text = "🍎 @Ada (love)";
    let fields = json!({"type": "text", "text": text,
        "emojis": [{"index": 8, "length": 6, "productId": "5ac", "emojiId": "001"}],
        "mention": {"mentionees": [{"index": 3, "length": 4, "type": "user", "userId": "U9"}]}});
    let message = message(group(), fields);
    let content = message.content().into_owned();
    let channel_core::Block::Paragraph(inlines) = &content.blocks[0] else {
        panic!("{content:?}")
    };
    assert_eq!(
        inlines[1],
        Inline::Mention {
            id: Some("U9".into()),
            name: "@Ada".to_owned()
        }
    );
    assert_eq!(
        inlines[3],
        Inline::Emoji {
            id: "5ac/001".to_owned(),
            fallback: "(love)".to_owned()
        }
    );
    assert_eq!(
        message
            .native::<LineMessage>()
            .unwrap()
            .content()
            .into_owned(),
        content
    );
}

#[test]
fn a_press_carries_its_value_and_what_was_chosen() {
    let postback = json!({"type": "postback", "postback": {"data": "a=1", "params": {"datetime": "2026-01-01T10:00"}}});
    let event = one(|fake| fake.event(person(), postback.clone()));
    let EventKind::Action(action) = event.kind else {
        panic!("no action")
    };
    assert_eq!(action.value, "a=1");
    assert_eq!(
        action.fields,
        [("datetime".to_owned(), "2026-01-01T10:00".to_owned())]
    );
    assert_eq!(action.return_address.target().chat.as_str(), ADA);
}

#[test]
fn people_and_the_bot_come_and_go() {
    let follow = membership(
        person(),
        json!({"type": "follow", "follow": {"isUnblocked": false}}),
    );
    assert_eq!((follow.state, follow.is_me), (MemberState::Joined, false));
    assert_eq!(follow.member.account.sender.as_str(), ADA);
    let unfollow = membership(person(), json!({"type": "unfollow"}));
    assert_eq!(unfollow.state, MemberState::Removed);
    let join = membership(group(), json!({"type": "join"}));
    assert_eq!((join.state, join.is_me), (MemberState::Joined, true));
    assert_eq!(join.member.account.sender.as_str(), BOT);
    let leave = membership(group(), json!({"type": "leave"}));
    assert_eq!((leave.state, leave.is_me), (MemberState::Left, true));
    let left =
        json!({"type": "memberLeft", "left": {"members": [{"type": "user", "userId": "U9"}]}});
    let left = membership(group(), left);
    assert_eq!(
        (left.state, left.member.account.sender.as_str()),
        (MemberState::Left, "U9")
    );
}

#[test]
fn each_of_several_newcomers_is_an_event() {
    let fake = Fake::new();
    let channel = fake.channel();
    let members = json!([{"type": "user", "userId": "U7"}, {"type": "user", "userId": "U8"}]);
    let event = fake.event(
        group(),
        json!({"type": "memberJoined", "joined": {"members": members}}),
    );
    let events = fake
        .receive(&channel, &callback(std::slice::from_ref(&event)))
        .unwrap();
    let again = fake
        .receive(&channel, &callback(std::slice::from_ref(&event)))
        .unwrap();
    let ids = |events: &[Event]| {
        events
            .iter()
            .map(|it| it.id.to_string())
            .collect::<Vec<_>>()
    };
    let first = event["webhookEventId"].as_str().unwrap();
    assert_eq!(ids(&events), [first.to_owned(), format!("{first}/1")]);
    assert_eq!(ids(&events), ids(&again));
    let who: Vec<_> = events
        .iter()
        .map(|it| it.sender().unwrap().account.sender.to_string())
        .collect();
    assert_eq!(who, ["U7", "U8"]);
}

#[test]
fn an_unsent_message_is_deleted() {
    let event = one(|fake| {
        fake.event(
            group(),
            json!({"type": "unsend", "unsend": {"messageId": "53"}}),
        )
    });
    let EventKind::Deleted(deleted) = event.kind else {
        panic!("not deleted")
    };
    assert_eq!(
        (
            deleted.messages[0].chat.as_str(),
            deleted.messages[0].id.as_str()
        ),
        (GROUP, "53")
    );
}

#[test]
fn other_events_are_kept_as_they_came() {
    for name in [
        "videoPlayComplete",
        "beacon",
        "accountLink",
        "membership",
        "module",
        "activated",
        "deactivated",
        "botSuspended",
        "botResumed",
        "delivery",
        "things",
        "telepathy",
    ] {
        let event = one(|fake| fake.event(person(), json!({"type": name})));
        let EventKind::Unknown(unknown) = event.kind else {
            panic!("{name}")
        };
        assert_eq!(unknown.name, name);
        assert!(!unknown.raw.is_empty());
    }
    // Account events come without a source, and messages of a new kind without what is known.
    let bare = json!({"type": "botSuspended", "mode": "active", "timestamp": 1, "webhookEventId": "01K", "deliveryContext": {"isRedelivery": true}});
    assert_eq!(one(|_| bare.clone()).name(), "unknown");
    assert_eq!(
        one(|fake| fake.message(person(), json!({"type": "hologram"}))).name(),
        "unknown"
    );
}

#[test]
fn what_another_service_answers_is_not_answered_here() {
    let fake = Fake::new();
    let channel = fake.channel();
    let standby = |mut event: Value| {
        event["mode"] = json!("standby");
        fake.deliver(&channel, event)
    };
    for event in [
        fake.text("hello"),
        fake.event(
            person(),
            json!({"type": "postback", "postback": {"data": "a"}}),
        ),
    ] {
        let EventKind::Unknown(unknown) = standby(event).kind else {
            panic!("it could be answered")
        };
        assert_eq!(unknown.name, "standby");
    }
    // Duties remain: what was unsent has to be deleted here too.
    assert_eq!(
        standby(fake.event(
            person(),
            json!({"type": "unsend", "unsend": {"messageId": "5"}})
        ))
        .name(),
        "deleted"
    );
    let EventKind::Membership(follow) =
        standby(fake.event(person(), json!({"type": "follow"}))).kind
    else {
        panic!("no membership")
    };
    let greeting = OutboundMessage::new(follow.return_address, Body::plain("hi"));
    let error = fake.run(channel.send(&greeting)).unwrap_err();
    assert_eq!(error.kind(), channel_core::ErrorKind::Forbidden);
    assert!(fake.sent().is_empty());
}

#[test]
fn an_event_that_is_too_old_or_from_the_future_is_refused_alone() {
    let fake = Fake::new();
    let channel = fake.channel();
    let now = i64::try_from(fake.milliseconds()).unwrap();
    let aged = |seconds: i64, redelivered: bool| {
        let mut event = fake.text(&format!("{seconds}"));
        event["timestamp"] = json!(now - seconds * 1000);
        event["deliveryContext"]["isRedelivery"] = json!(redelivered);
        event
    };
    let batch = [
        aged(301, false),
        aged(300, false),
        aged(-60, false),
        aged(-61, false),
        aged(86_400, false),
        aged(86_400, true),
        aged(0, false),
    ];
    let texts = |channel: &channel_line::Line| -> Vec<String> {
        let events = fake.receive(channel, &callback(&batch)).unwrap();
        events
            .iter()
            .map(|it| it.message().unwrap().text.clone())
            .collect()
    };
    // What LINE declares to be delivered again is for the deduplication to judge.
    assert_eq!(texts(&channel), ["300", "-60", "86400", "0"]);
    let patient = fake.builder().max_age_seconds(0).build().unwrap();
    assert_eq!(texts(&patient).len(), 7);
}

#[test]
fn one_bad_event_costs_its_siblings_nothing() {
    let fake = Fake::new();
    let channel = fake.channel();
    let good = |text: &str| fake.text(text).to_string();
    let deep = format!(
        "{{\"type\":\"x\",\"a\":{}1{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    let long = json!({"type": "message", "timestamp": 1, "webhookEventId": "01K", "message": {"id": "1", "type": "text", "text": "x".repeat(70_000)}}).to_string();
    let bad = [
        "null",
        "7",
        "[]",
        "{}",
        "\"x\"",
        &*deep,
        &*long,
        r#"{"type":7}"#,
        r#"{"type":"message"}"#,
        r#"{"type":"message","timestamp":1,"timestamp":2}"#,
        r#"{"type":"message","timestamp":"x"}"#,
        r#"{"type":"message","timestamp":1,"webhookEventId":"01K","source":{"type":"user","userId":"U1"},"message":{"id":5}}"#,
    ];
    for bad in bad {
        let events = format!("[{},{bad},{}]", good("before"), good("after"));
        let body = format!(r#"{{"destination":"{BOT}","events":{events}}}"#);
        let events = fake.receive(&channel, &request(body)).unwrap();
        let names: Vec<_> = events.iter().map(Event::name).collect();
        assert_eq!(names, ["message", "unknown", "message"], "{bad}");
        assert!(!events[1].id.as_str().is_empty());
    }
}

#[test]
fn bodies_that_are_no_callback_are_refused() {
    let fake = Fake::new();
    let channel = fake.channel();
    let many = format!(r#"{{"events":[{}1]}}"#, "1,".repeat(100));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"events":{}}"#,
        r#"{"events":null}"#,
        r#"{"events":[],"events":[]}"#,
        &many,
    ] {
        let rejection = fake
            .receive(&channel, &request(body.to_owned()))
            .unwrap_err();
        assert_eq!(rejection.status().as_u16(), 400, "{body}");
    }
    let rejection = fake
        .receive(&channel, &request(&b"{\"events\":[\"\xff\"]}"[..]))
        .unwrap_err();
    assert_eq!(rejection.status().as_u16(), 400);
    let rejection = fake
        .receive(&channel, &request(vec![b' '; (1 << 20) + 1]))
        .unwrap_err();
    assert_eq!(rejection.status().as_u16(), 413);
}

#[test]
fn the_console_may_verify_with_nothing_at_all() {
    let fake = Fake::new();
    let channel = fake.channel();
    assert!(fake.receive(&channel, &callback(&[])).unwrap().is_empty());
}
