//! Menus with options of the app's own, dialogs that refuse, and signs that end by themselves.

use std::time::Duration;

use channel_emulator::slack::{ActionError, Target};
use serde_json::{Value, json};

use crate::slack_api::{Hook, PATIENCE, World};

fn text(text: &str) -> Value {
    json!({"type": "plain_text", "text": text})
}

fn menu(least: Option<u64>) -> Value {
    let mut menu =
        json!({"type": "external_select", "action_id": "city", "placeholder": text("Which?")});
    if let Some(least) = least {
        menu["min_query_length"] = json!(least);
    }
    menu
}

fn view(title: &str) -> Value {
    json!({"type": "modal", "callback_id": "cb", "title": text(title), "submit": text("Go"), "blocks": [
        {"type": "input", "block_id": "b", "label": text("City"), "element": menu(Some(0))},
        {"type": "section", "block_id": "s", "text": text("words")}]})
}

async fn open(world: &World) -> String {
    let number = world.shortcut(&world.app, &world.ada, "start").unwrap();
    let trigger = world.settled(number).await.payload["trigger_id"].clone();
    let open = json!({"trigger_id": trigger, "view": view("One")});
    let opened = world.ok("views.open", open).await;
    opened["view"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_menu_asks_its_app_and_judges_what_it_offers() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let blocks = json!([{"type": "actions", "block_id": "row", "elements": [menu(None)]}]);
    let posted = json!({"channel": world.direct, "text": "which?", "blocks": blocks});
    let posted = world.ok("chat.postMessage", posted).await;
    let ts = posted["ts"].as_str().unwrap();
    // The event of that has its answer before the first one of the list.
    let delivered = world.wait_for(PATIENCE, |slack| {
        (!slack.deliveries().is_empty()).then_some(())
    });
    delivered.await.unwrap();
    let ask = |typed: &str| world.suggest(&world.direct, &world.ada, ts, "city", typed);
    assert!(matches!(ask("be"), Err(ActionError::Invalid(_))));
    let other = world.suggest(&world.direct, &world.ada, ts, "other", "bern");
    assert!(matches!(other, Err(ActionError::NoSuchAction)));
    let option = |n: usize| json!({"text": text(&format!("City {n}")), "value": n.to_string()});
    let some = |count: usize| (0..count).map(option).collect::<Value>();
    let group = |label: &str, count: usize| json!({"label": text(label), "options": some(count)});
    let long = json!({"text": text(&"x".repeat(76)), "value": "1"});
    let heavy = json!({"text": text("x"), "value": "v".repeat(151)});
    for (answer, error) in [
        (json!({"options": some(100)}), None),
        (json!({"options": []}), None),
        (
            json!({"option_groups": [group("A", 100), group("B", 1)]}),
            None,
        ),
        (json!({"options": some(101)}), Some("invalid_options")),
        (json!({"options": [long]}), Some("invalid_options")),
        (json!({"options": [heavy]}), Some("invalid_options")),
        (
            json!({"option_groups": [group("A", 0)]}),
            Some("invalid_options"),
        ),
        (
            json!({"option_groups": [group(&"x".repeat(76), 1)]}),
            Some("invalid_options"),
        ),
        (json!({}), Some("invalid_options")),
    ] {
        hook.answer(200, &answer.to_string());
        let done = world.settled(ask("ber").unwrap()).await;
        assert_eq!(done.error.as_deref(), error, "{answer}");
        assert_eq!(done.answer, answer);
        assert_eq!(
            (
                &done.payload["action_id"],
                &done.payload["block_id"],
                &done.payload["value"]
            ),
            (&json!("city"), &json!("row"), &json!("ber"))
        );
        assert!(done.payload.get("trigger_id").is_none());
    }
    let id = open(&world).await;
    hook.answer(200, &json!({"options": some(1)}).to_string());
    let done = world
        .settled(world.suggest_in_view(&id, "city", "").unwrap())
        .await;
    assert_eq!(done.error, None);
    assert_eq!(done.payload["view"]["callback_id"], "cb");
    let asked = world
        .deliveries()
        .into_iter()
        .filter(|one| one.target == Target::Options);
    assert_eq!(asked.count(), 10);
}

#[tokio::test]
async fn only_inputs_of_the_dialog_have_errors_and_three_dialogs_lie_over_each_other() {
    let hook = Hook::new().await;
    let world = World::hooked(&hook).await;
    let id = open(&world).await;
    let submit = async |view: &str, answer: Value| {
        hook.answer(200, &answer.to_string());
        world
            .settled(world.submit(view, &json!({})).unwrap())
            .await
            .error
    };
    let wrong = Some("invalid_response_action".to_owned());
    for errors in [
        json!({}),
        json!({"b": ""}),
        json!({"b": 5}),
        json!({"s": "no input"}),
        json!({"b": "wrong", "unknown": "wrong"}),
    ] {
        let answer = json!({"response_action": "errors", "errors": errors});
        assert_eq!(submit(&id, answer).await, wrong, "{errors}");
    }
    let answer = json!({"response_action": "errors", "errors": {"b": "wrong"}});
    assert_eq!(submit(&id, answer).await, None);
    assert_eq!(world.views(&world.ada).len(), 1, "it is still open");
    let push = json!({"response_action": "push", "view": view("Next")});
    for shown in [2, 3] {
        assert_eq!(submit(&id, push.clone()).await, None);
        assert_eq!(world.views(&world.ada).len(), shown);
    }
    assert_eq!(
        submit(&id, push).await,
        Some("push_limit_reached".to_owned())
    );
    assert_eq!(submit(&id, json!({"response_action": "clear"})).await, None);
    assert!(world.views(&world.ada).is_empty());
}

#[tokio::test]
async fn a_status_ends_with_the_next_message_of_the_app_or_after_two_minutes() {
    let world = World::new().await;
    let root = world.say(&world.direct, &world.ada, "hello").unwrap();
    let set = json!({"channel_id": world.direct, "thread_ts": root, "status": "is typing..."});
    let shown = || world.status(&world.direct, &root);
    world.ok("assistant.threads.setStatus", set.clone()).await;
    assert_eq!(shown().as_deref(), Some("is typing..."));
    let elsewhere = json!({"channel": world.direct, "text": "no thread"});
    world.ok("chat.postMessage", elsewhere).await;
    assert!(shown().is_some());
    let answer = json!({"channel": world.direct, "thread_ts": root, "text": "hi"});
    world.ok("chat.postMessage", answer).await;
    assert_eq!(shown(), None);
    world.ok("assistant.threads.setStatus", set).await;
    world.advance(Duration::from_secs(119));
    assert!(shown().is_some());
    world.advance(Duration::from_secs(1));
    assert_eq!(shown(), None);
}
