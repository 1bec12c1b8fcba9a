//! Requests, whichever way they are made.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Accepted, Actions as _, Addressed, Answer, ChatKind, Event, EventKind, MemberState, Proof,
    Webhook as _,
};
use channel_feishu::{Feishu, Mode};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::fake::{
    ADA, APP, BOT, DIRECT, ENCRYPT, Fake, GROUP, VERIFICATION, direct, envelope, mention, message,
    press, seal, signed_at,
};

fn post(path: &str, body: &Value) -> Request<Bytes> {
    Request::post(path)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .unwrap()
}

fn body(accepted: &Accepted) -> Value {
    match &accepted.answer {
        Answer::Now(response) => serde_json::from_slice(response.body()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn only(fake: &Fake, channel: &Feishu, kind: &str, event: Value) -> Event {
    let request = fake.event(&envelope(1, kind, event));
    let mut accepted = channel.receive(&request, fake.now()).unwrap();
    assert_eq!(accepted.events.len(), 1);
    accepted.events.pop().unwrap()
}

/// A channel with a token and no key.
fn token_only(fake: &Fake) -> Feishu {
    let builder = fake.builder().mode(Mode::Webhook);
    builder.verification_token(VERIFICATION).build().unwrap()
}

#[test]
fn the_challenge_is_answered_on_both_routes_in_every_form() {
    let fake = Fake::new();
    let challenge =
        json!({"challenge": "c0ffee-0001", "token": VERIFICATION, "type": "url_verification"});
    let sealed = json!({"encrypt": seal(ENCRYPT, &challenge.to_string())});
    let key_only = fake
        .builder()
        .mode(Mode::Webhook)
        .encrypt_key(ENCRYPT)
        .build()
        .unwrap();
    for path in ["/feishu/events", "/feishu/callback"] {
        for (channel, request) in [
            (token_only(&fake), post(path, &challenge)),
            (fake.channel(), post(path, &challenge)),
            (fake.channel(), post(path, &sealed)),
            (fake.channel(), fake.signed(path, &challenge.to_string())),
            (key_only.clone(), post(path, &sealed)),
        ] {
            let accepted = channel.receive(&request, fake.now()).unwrap();
            assert_eq!(body(&accepted), json!({"challenge": "c0ffee-0001"}));
            assert!(accepted.events.is_empty());
        }
        // In the clear, without token and signature, anybody can ask.
        let bare = json!({"challenge": "x", "type": "url_verification"});
        for channel in [token_only(&fake), fake.channel(), key_only.clone()] {
            let rejection = channel.receive(&post(path, &bare), fake.now()).unwrap_err();
            assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
        }
    }
}

#[test]
fn the_vector_of_the_sdks_is_a_challenge() {
    let fake = Fake::new();
    let sealed = json!({"encrypt": "AAECAwQFBgcICQoLDA0OD6oRSW79wpcl20n/nx/Wym4R2q6uEcM8jpZr6KJ6Unt7U/PutRMvfFOtES9FvYabyZ5RoaqukQBBmip+8YTJCQBqaS7aaM7jkln3jfEdWEHiX1oCBrvq5lfFhLHJyWc5Yw=="});
    let accepted = fake
        .channel()
        .receive(&post("/feishu/events", &sealed), fake.now());
    assert_eq!(
        body(&accepted.unwrap()),
        json!({"challenge": "c0ffee-0001"})
    );
}

#[test]
fn a_token_or_a_signature_is_always_needed() {
    let fake = Fake::new();
    let event = envelope(1, "im.message.receive_v1", direct("om_1", "hi"));
    let accepted = token_only(&fake).receive(&post("/feishu/events", &event), fake.now());
    assert_eq!(accepted.unwrap().events.len(), 1);
    let mut other = event.clone();
    other["header"]["token"] = json!("vt-synthetic-0002");
    let mut without = event.clone();
    without["header"].as_object_mut().unwrap().remove("token");
    let mut foreign = event.clone();
    foreign["header"]["app_id"] = json!("cli_0000000000000002");
    let sealed = json!({"encrypt": seal(ENCRYPT, &event.to_string())});
    for (channel, body) in [
        (token_only(&fake), &other),
        (token_only(&fake), &without),
        (token_only(&fake), &foreign),
        // With a key everything is signed.
        (fake.channel(), &event),
        (fake.channel(), &sealed),
    ] {
        let rejection = channel
            .receive(&post("/feishu/events", body), fake.now())
            .unwrap_err();
        assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
        assert!(rejection.response().body().is_empty());
    }
    // A signature alone does not make up for a wrong token.
    let request = fake.signed("/feishu/events", &other.to_string());
    assert!(fake.channel().receive(&request, fake.now()).is_err());
    // What is signed need not be sealed.
    let plain = Bytes::from(event.to_string());
    let request = signed_at("/feishu/events", plain, "1767225600", ENCRYPT);
    assert_eq!(
        fake.channel()
            .receive(&request, fake.now())
            .unwrap()
            .events
            .len(),
        1
    );
}

#[test]
fn messages_are_read_with_all_that_they_say() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        use channel_core::Channel as _;
        channel.probe().await.unwrap();
    });
    let event = only(
        &fake,
        &channel,
        "im.message.receive_v1",
        direct("om_7", "hello"),
    );
    assert_eq!(event.id.as_str(), "message:om_7");
    let said = event.message().unwrap();
    assert_eq!(
        (said.text.as_str(), said.addressed),
        ("hello", Addressed::Direct)
    );
    assert_eq!(
        (said.chat.kind, said.proof()),
        (ChatKind::Direct, Proof::Verified)
    );
    assert_eq!(said.sender.account.sender.as_str(), ADA);
    assert!(said.sent_at.is_some());

    let event = only(
        &fake,
        &channel,
        "im.message.receive_v1",
        mention("om_8", "/help me"),
    );
    let said = event.message().unwrap();
    assert_eq!(
        (said.text.as_str(), said.addressed),
        ("/help me", Addressed::Mention)
    );

    // A reply is no thread (hermes-agent#20548).
    let mut reply = message("om_9", GROUP, "text", json!({"text": "why?"}));
    reply["message"]["root_id"] = json!("om_r");
    reply["message"]["parent_id"] = json!("om_p");
    let event = only(&fake, &channel, "im.message.receive_v1", reply);
    let said = event.message().unwrap();
    assert_eq!(
        (said.thread.as_ref(), said.addressed),
        (None, Addressed::No)
    );
    assert_eq!(said.reply_to.as_ref().unwrap().id.as_str(), "om_p");
}

#[test]
fn other_events_are_what_they_are() {
    let fake = Fake::new();
    let channel = fake.channel();
    let recalled = json!({"message_id": "om_1", "chat_id": DIRECT, "recall_time": "1700000001000"});
    let event = only(&fake, &channel, "im.message.recalled_v1", recalled);
    let EventKind::Deleted(deleted) = &event.kind else {
        panic!("{event:?}");
    };
    assert_eq!(deleted.messages[0].id.as_str(), "om_1");

    let reacted = json!({"message_id": "om_1", "reaction_type": {"emoji_type": "THUMBSUP"},
        "operator_type": "user", "user_id": {"open_id": ADA}, "action_time": "1"});
    let event = only(
        &fake,
        &channel,
        "im.message.reaction.created_v1",
        reacted.clone(),
    );
    let EventKind::Reaction(reaction) = &event.kind else {
        panic!("{event:?}");
    };
    assert_eq!(reaction.added, ["\u{1f44d}"]);
    let event = only(&fake, &channel, "im.message.reaction.deleted_v1", reacted);
    assert!(matches!(&event.kind, EventKind::Reaction(it) if it.removed == ["\u{1f44d}"]));

    let added =
        json!({"chat_id": GROUP, "operator_id": {"open_id": ADA}, "external": false, "name": "g"});
    for (kind, state) in [
        ("added", MemberState::Joined),
        ("deleted", MemberState::Removed),
    ] {
        let kind = format!("im.chat.member.bot.{kind}_v1");
        let event = only(&fake, &channel, &kind, added.clone());
        let EventKind::Membership(membership) = &event.kind else {
            panic!("{event:?}");
        };
        assert!(membership.is_me && membership.state == state);
        assert_eq!(membership.chat.title.as_deref(), Some("g"));
    }
    let people = json!({"chat_id": GROUP, "users": [{"name": "a", "user_id": {"open_id": "ou_7"}},
        {"name": "b", "user_id": {"open_id": "ou_8"}}]});
    let request = fake.event(&envelope(5, "im.chat.member.user.added_v1", people));
    let events = channel.receive(&request, fake.now()).unwrap().events;
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["ev5:0", "ev5:1"]);

    for (kind, body) in [
        ("im.chat.disbanded_v1", json!({})),
        ("im.message.receive_v1", json!([])),
    ] {
        assert_eq!(only(&fake, &channel, kind, body).name(), "unknown");
    }
    let old = json!({"uuid": "u1", "token": VERIFICATION, "ts": "1", "type": "event_callback",
        "event": {"type": "message"}});
    let request = fake.signed("/feishu/events", &old.to_string());
    let events = channel.receive(&request, fake.now()).unwrap().events;
    assert_eq!((events[0].id.as_str(), events[0].name()), ("u1", "unknown"));
}

fn held(accepted: Accepted) -> channel_core::Held {
    match accepted.answer {
        Answer::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_press_is_answered_by_what_is_said_about_it() {
    let fake = Fake::new();
    let channel = fake.channel();
    let value = json!({"kit": "yes", "direct": true});
    let press = |token: &str| {
        let event = press(token, DIRECT, "om_9", &value);
        let text = envelope(fake.id(), "card.action.trigger", event).to_string();
        channel
            .receive(&fake.signed("/feishu/callback", &text), fake.now())
            .unwrap()
    };
    let accepted = press("c-1");
    let EventKind::Action(action) = accepted.events[0].kind.clone() else {
        panic!("{accepted:?}");
    };
    assert_eq!(
        (action.value.as_str(), action.chat.kind),
        ("yes", ChatKind::Direct)
    );
    assert_eq!(action.message.as_ref().unwrap().as_str(), "om_9");
    fake.run(async {
        channel.answer_action(&action, Some("noted")).await.unwrap();
        let response = held(accepted).reply.await.unwrap();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body, json!({"toast": {"type": "info", "content": "noted"}}));
        // Once it is answered, it is too late; without words that is nobody's loss.
        assert!(channel.answer_action(&action, Some("again")).await.is_err());
        channel.answer_action(&action, None).await.unwrap();
    });
    let late = held(press("c-2"));
    assert!(late.deadline < Duration::from_secs(3));
    assert_eq!(late.otherwise.body(), "{}");
}

#[test]
fn a_card_of_version_1_is_signed_in_its_own_way() {
    let fake = Fake::new();
    let channel = fake.channel();
    let old = json!({"open_id": ADA, "open_message_id": "om_1", "open_chat_id": GROUP,
        "tenant_key": "tk", "token": "c-old", "action": {"value": {"k": "v"}, "tag": "button"}});
    let request = |secret: &str, path: &str| {
        use sha1::Digest as _;
        let text = format!("1767225600nonce0001{secret}{old}");
        Request::post(path)
            .header("x-lark-request-timestamp", "1767225600")
            .header("x-lark-request-nonce", "nonce0001")
            .header("x-lark-signature", hex::encode(sha1::Sha1::digest(text)))
            .body(Bytes::from(old.to_string()))
            .unwrap()
    };
    let good = request(VERIFICATION, "/feishu/callback");
    let accepted = channel.receive(&good, fake.now()).unwrap();
    let EventKind::Action(action) = &accepted.events[0].kind else {
        panic!("{accepted:?}");
    };
    assert_eq!(action.value, r#"{"k":"v"}"#);
    for bad in [
        request("another", "/feishu/callback"),
        request(ENCRYPT, "/feishu/callback"),
        // Events are never signed so.
        request(VERIFICATION, "/feishu/events"),
    ] {
        assert!(channel.receive(&bad, fake.now()).is_err());
    }
}

#[test]
fn pain_35_two_apps_live_in_one_process() {
    let fake = Fake::new();
    let one = fake.channel();
    let two = fake
        .builder()
        .id("second")
        .app("cli_0000000000000002", "s")
        .mode(Mode::Webhook)
        .encrypt_key("another key")
        .paths("/two/events", "/two/callback")
        .build()
        .unwrap();
    let mut event = envelope(1, "im.message.receive_v1", direct("om_1", "hi"));
    let request = fake.event(&event);
    assert_eq!(
        one.receive(&request, fake.now()).unwrap().events[0]
            .channel
            .as_str(),
        "feishu"
    );
    assert!(two.receive(&request, fake.now()).is_err());
    event["header"]["app_id"] = json!("cli_0000000000000002");
    let sealed = json!({"encrypt": seal("another key", &event.to_string())}).to_string();
    let request = signed_at("/two/events", sealed.into(), "1767225600", "another key");
    assert_eq!(
        two.receive(&request, fake.now()).unwrap().events[0]
            .channel
            .as_str(),
        "second"
    );
    assert!(one.receive(&request, fake.now()).is_err());
    assert_ne!(APP, "cli_0000000000000002");
    assert_ne!(BOT, ADA);
}
