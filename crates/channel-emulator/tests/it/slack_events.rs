//! Events, interactions and commands over HTTP, and what their answers do.

use std::time::Duration;

use channel_emulator::slack::{NewApp, Post, Target};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::line_api::exchange;
use crate::slack_api::{Hook, Note, PATIENCE, SECRET, World, quick};

async fn delivered(world: &World, count: usize) {
    world
        .wait_for(PATIENCE, |slack| {
            (slack.deliveries().len() >= count).then_some(())
        })
        .await
        .unwrap();
}

fn is_signed(note: &Note, secret: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{}:", note.header("x-slack-request-timestamp")).as_bytes());
    mac.update(&note.body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    note.header("x-slack-signature") == format!("v0={hex}")
}

#[tokio::test]
async fn a_direct_message_is_one_signed_event() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let ts = world.say(&world.direct, &world.ada, "a < b").unwrap();
    delivered(&world, 1).await;
    let note = hook.notes().pop().unwrap();
    assert!(is_signed(&note, SECRET));
    assert_eq!(note.header("x-slack-request-timestamp"), "1700000000");
    assert_eq!(note.header("x-slack-retry-num"), "");
    let envelope = note.json();
    assert_eq!(envelope["type"], "event_callback");
    assert_eq!(envelope["api_app_id"], world.app);
    assert_eq!(envelope["authorizations"][0]["user_id"], world.bot.bot_user);
    let event = &envelope["event"];
    assert_eq!(
        (
            &event["type"],
            &event["channel_type"],
            &event["ts"],
            &event["text"]
        ),
        (
            &json!("message"),
            &json!("im"),
            &json!(ts),
            &json!("a &lt; b")
        )
    );
    let section = &event["blocks"][0]["elements"][0]["elements"][0];
    assert_eq!(section["text"], "a < b");
}

#[tokio::test]
async fn a_mention_comes_twice_with_different_ids() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let text = format!("<@{}> hi", world.bot.bot_user);
    world
        .say(&world.general, &world.ada, text.as_str())
        .unwrap();
    delivered(&world, 2).await;
    let events: Vec<Value> = hook.notes().iter().map(Note::json).collect();
    assert_eq!(events[0]["event"]["type"], "app_mention");
    assert_eq!(events[1]["event"]["type"], "message");
    assert_eq!(events[0]["event"]["ts"], events[1]["event"]["ts"]);
    assert_ne!(events[0]["event_id"], events[1]["event_id"]);
    assert!(events[0]["event"].get("channel_type").is_none());
}

#[tokio::test]
async fn a_refused_event_comes_again_with_number_and_reason() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    hook.answer(500, "");
    hook.answer(404, "");
    world.say(&world.direct, &world.ada, "hello").unwrap();
    delivered(&world, 3).await;
    let notes = hook.notes();
    let ids: Vec<Value> = notes
        .iter()
        .map(|note| note.json()["event_id"].clone())
        .collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2]);
    let numbers: Vec<&str> = notes
        .iter()
        .map(|note| note.header("x-slack-retry-num"))
        .collect();
    assert_eq!(numbers, ["", "1", "2"]);
    assert_eq!(notes[1].header("x-slack-retry-reason"), "http_error");
    assert_eq!(world.acknowledged(&world.app), 1);
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout_and_three_retries_are_the_end() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    for _ in 0..5 {
        hook.answer(500, "");
    }
    world.say(&world.direct, &world.ada, "hello").unwrap();
    delivered(&world, 4).await;
    world.say(&world.direct, &world.ada, "next").unwrap();
    delivered(&world, 6).await;
    assert_eq!(world.deliveries()[3].attempt, 3);
    assert_eq!(world.deliveries()[4].attempt, 0);
    // Nobody listens: the platform cannot connect.
    let world = World::with(
        quick(),
        NewApp::new("Kit", SECRET).urls("http://127.0.0.1:9/x", "http://127.0.0.1:9/x"),
    )
    .await;
    world.say(&world.direct, &world.ada, "hello").unwrap();
    delivered(&world, 1).await;
    assert_eq!(
        world.deliveries()[0].error.as_deref(),
        Some("connection_failed")
    );
}

#[tokio::test]
async fn wrong_signatures_and_duplicates_can_be_asked_for() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    world.faults().wrong_signatures(1);
    world.say(&world.direct, &world.ada, "forged").unwrap();
    delivered(&world, 1).await;
    world.faults().duplicate_deliveries(1);
    world.say(&world.direct, &world.ada, "twice").unwrap();
    delivered(&world, 3).await;
    let notes = hook.notes();
    assert!(!is_signed(&notes[0], SECRET));
    assert!(is_signed(&notes[1], SECRET) && notes[1].body == notes[2].body);
}

#[tokio::test]
async fn edits_deletions_reactions_files_and_membership_are_events() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let ts = world
        .say(
            &world.general,
            &world.ada,
            Post::text("see").file("a.png", &b"png"[..]),
        )
        .unwrap();
    world.edit(&world.general, &world.ada, &ts, "look").unwrap();
    world
        .react(&world.general, &world.ada, &ts, "eyes", true)
        .unwrap();
    world.unsay(&world.general, &world.ada, &ts).unwrap();
    world.kick(&world.general, &world.bot.bot_user).unwrap();
    world
        .invite(&world.general, &world.bot.bot_user, &world.ada)
        .unwrap();
    let events = world.events(&world.app);
    let kinds: Vec<(&str, &str)> = events
        .iter()
        .map(|e| {
            (
                e["event"]["type"].as_str().unwrap(),
                e["event"]["subtype"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("message", "file_share"),
            ("message", "message_changed"),
            ("reaction_added", ""),
            ("message", "message_deleted"),
            ("member_left_channel", ""),
            ("member_joined_channel", ""),
        ]
    );
    assert_eq!(events[0]["event"]["files"][0]["mimetype"], "image/png");
    assert_eq!(events[1]["event"]["message"]["ts"], ts);
    assert_eq!(events[1]["event"]["message"]["edited"]["user"], world.ada);
    assert_eq!(events[2]["event"]["item"]["ts"], ts);
    assert_eq!(events[3]["event"]["deleted_ts"], ts);
    assert_eq!(events[5]["event"]["inviter"], world.ada);
}

#[tokio::test]
async fn only_what_an_app_has_subscribed_to_and_where_it_is_installed() {
    let mut app = NewApp::new("Kit", SECRET);
    app.events = Some(["message.im".to_owned()].into());
    let world = World::with(quick(), app).await;
    world
        .say(&world.general, &world.ada, "not for the bot")
        .unwrap();
    world.say(&world.direct, &world.ada, "for the bot").unwrap();
    assert_eq!(world.events(&world.app).len(), 1);
    world.uninstall(&world.app, &world.team);
    assert!(world.direct(&world.app, &world.ada).is_err());
    let other = world.workspace("Other");
    let bea = world.user(&other, "Bea").unwrap();
    let second = world.install(&world.app, &other, "xoxb-other").unwrap();
    let direct = world.direct(&world.app, &bea).unwrap();
    world.say(&direct, &bea, "hi").unwrap();
    let last = world.events(&world.app).pop().unwrap();
    assert_eq!(
        (&last["team_id"], &last["authorizations"][0]["user_id"]),
        (&json!(other), &json!(second.bot_user))
    );
}

async fn buttons(world: &World) -> String {
    let button = |id: &str| {
        json!({"type": "button", "action_id": id, "value": id,
        "text": {"type": "plain_text", "text": id}})
    };
    let blocks =
        json!([{"type": "actions", "block_id": "b1", "elements": [button("yes"), button("no")]}]);
    let params = json!({"channel": world.general, "text": "Run it?", "blocks": blocks});
    let answer = world.ok("chat.postMessage", params).await;
    answer["ts"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_press_carries_the_message_and_a_response_url() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let ts = buttons(&world).await;
    let number = world.press(&world.general, &world.ada, &ts, "yes").unwrap();
    assert_eq!(world.settled(number).await.error, None);
    let notes = hook.notes();
    let press = notes
        .iter()
        .find(|note| note.field("payload").contains("block_actions"))
        .unwrap();
    assert!(is_signed(press, SECRET));
    assert_eq!(
        press.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let payload: Value = serde_json::from_str(&press.field("payload")).unwrap();
    assert_eq!(payload["actions"][0]["action_id"], "yes");
    assert_eq!(payload["actions"][0]["block_id"], "b1");
    assert_eq!(payload["container"]["message_ts"], ts);
    assert_eq!(payload["message"]["text"], "Run it?");

    let base = world.server.base_url();
    let path = payload["response_url"]
        .as_str()
        .unwrap()
        .strip_prefix(&base)
        .unwrap()
        .to_owned();
    let respond = async |body: Value| {
        exchange(&base, Method::POST, &path, &[], &body.to_string())
            .await
            .unwrap()
    };
    let answered = respond(json!({"text": "only you"})).await;
    assert_eq!((answered.status, &answered.body[..]), (200, &b"ok"[..]));
    assert_eq!(world.ephemerals(&world.general)[0].text, "only you");
    respond(json!({"text": "all", "response_type": "in_channel"})).await;
    respond(json!({"text": "done", "replace_original": true})).await;
    let shown = world.history(&world.general);
    assert_eq!(
        (shown[0].text.as_str(), &shown[0].blocks),
        ("done", &Value::Null)
    );
    assert_eq!(shown[1].text, "all");
    assert_eq!(respond(json!({})).await.status, 400);
    respond(json!({"delete_original": true})).await;
    assert_eq!(world.history(&world.general).len(), 1);
    let spent = respond(json!({"text": "a sixth time"})).await;
    assert_eq!(
        (spent.status, spent.json()["error"].clone()),
        (404, json!("used_url"))
    );
}

#[tokio::test]
async fn a_response_url_lives_for_half_an_hour() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let number = world
        .command(&world.app, &world.general, &world.ada, "/kit", "hey")
        .unwrap();
    let payload = world.settled(number).await.payload;
    world.advance(Duration::from_secs(1801));
    let base = world.server.base_url();
    let path = payload["response_url"]
        .as_str()
        .unwrap()
        .strip_prefix(&base)
        .unwrap();
    let late = exchange(&base, Method::POST, path, &[], r#"{"text":"late"}"#)
        .await
        .unwrap();
    assert_eq!(late.json()["error"], "expired_url");
}

#[tokio::test]
async fn a_command_is_a_form_and_its_answer_is_shown() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    hook.answer(200, "just you");
    hook.answer(500, "");
    hook.answer(200, r#"{"response_type":"in_channel","text":"everybody"}"#);
    let mut settled = Vec::new();
    for _ in 0..3 {
        let number = world
            .command(&world.app, &world.general, &world.ada, "/kit", "a b")
            .unwrap();
        settled.push(world.settled(number).await);
    }
    let note = &hook.notes()[0];
    assert_eq!(
        (note.field("command"), note.field("text")),
        ("/kit".to_owned(), "a b".to_owned())
    );
    assert_eq!(note.field("channel_id"), world.general);
    assert_eq!(note.field("channel_name"), "general");
    assert_eq!(world.ephemerals(&world.general)[0].text, "just you");
    assert!(
        world
            .history(&world.general)
            .iter()
            .any(|message| message.text == "everybody")
    );
    assert_eq!(settled[1].error.as_deref(), Some("http_error"));
    // A command is not repeated.
    let commands = world
        .deliveries()
        .into_iter()
        .filter(|one| one.target == Target::Commands);
    assert_eq!(commands.count(), 3);
}

#[tokio::test]
async fn modals_open_by_trigger_and_answer_to_submission() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let text = |text: &str| json!({"type": "plain_text", "text": text});
    let view = |title: &str| {
        json!({"type": "modal", "callback_id": "cb", "title": text(title),
        "submit": text("Go"), "blocks": [{"type": "input", "block_id": "b", "label": text("Name"),
            "element": {"type": "plain_text_input", "action_id": "a"}}]})
    };
    let number = world.shortcut(&world.app, &world.ada, "start").unwrap();
    let trigger = world.settled(number).await.payload["trigger_id"].clone();
    let open = json!({"trigger_id": trigger, "view": view("One")});
    let opened = world.ok("views.open", open.clone()).await;
    assert_eq!(
        world.refusal("views.open", open).await,
        "exchanged_trigger_id"
    );
    assert_eq!(
        world
            .refusal(
                "views.open",
                json!({"trigger_id": "1.2.3", "view": view("x")})
            )
            .await,
        "invalid_trigger_id"
    );
    let number = world.shortcut(&world.app, &world.ada, "start").unwrap();
    let trigger = world.settled(number).await.payload["trigger_id"].clone();
    world.advance(Duration::from_secs(4));
    let late = json!({"trigger_id": trigger, "view": view("x")});
    assert_eq!(
        world.refusal("views.open", late).await,
        "expired_trigger_id"
    );

    let id = opened["view"]["id"].as_str().unwrap().to_owned();
    let hash = opened["view"]["hash"].clone();
    let update = json!({"view_id": id, "hash": hash, "view": view("Two")});
    world.ok("views.update", update.clone()).await;
    assert_eq!(world.refusal("views.update", update).await, "hash_conflict");
    let values = json!({"b": {"a": {"type": "plain_text_input", "value": "Ada"}}});
    hook.answer(
        200,
        r#"{"response_action":"errors","errors":{"b":"too short"}}"#,
    );
    let number = world.submit(&id, &values).unwrap();
    let done = world.settled(number).await;
    assert_eq!(done.payload["view"]["state"]["values"], values);
    assert_eq!(world.views(&world.ada).len(), 1);
    hook.answer(
        200,
        &json!({"response_action": "update", "view": view("Three")}).to_string(),
    );
    let number = world.submit(&id, &values).unwrap();
    world.settled(number).await;
    assert_eq!(world.views(&world.ada)[0]["title"]["text"], "Three");
    let number = world.submit(&id, &values).unwrap();
    world.settled(number).await;
    assert!(world.views(&world.ada).is_empty());
    let home = json!({"user_id": world.ada, "view": {"type": "home", "blocks": []}});
    assert_eq!(
        world.refusal("views.publish", home).await,
        "invalid_arguments"
    );
    let home =
        json!({"user_id": world.ada, "view": {"type": "home", "blocks": [{"type": "divider"}]}});
    world.ok("views.publish", home).await;
    assert_eq!(world.views(&world.ada)[0]["type"], "home");
}
