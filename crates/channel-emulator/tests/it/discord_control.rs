//! The control API.

use http::Method;
use serde_json::{Value, json};

use crate::discord_api::{INTENTS, World};
use crate::line_api::exchange;

async fn control(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let path = format!("/_control/discord/{path}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = exchange(&world.server.base_url(), method, &path, &[], &body)
        .await
        .unwrap();
    (answer.status, answer.json())
}

#[tokio::test]
async fn does_what_the_methods_do() {
    let world = World::new().await;
    let post = async |path: &str, body: Value| control(&world, Method::POST, path, body).await;
    let get = async |path: &str| control(&world, Method::GET, path, Value::Null).await.1;
    let (_, made) = post(
        "bots",
        json!({"token": "second", "name": "second", "id": "77"}),
    )
    .await;
    assert_eq!(made, json!({"bot": "77"}));
    let (status, refused) = post("bots", json!({"token": "second", "name": "third"})).await;
    assert_eq!((status, refused["error"].is_string()), (400, true));
    let ada = post("users", json!({"name": "Bob", "id": 42})).await.1;
    assert_eq!(ada, json!({"user": "42"}));
    let guild = post(
        "guilds",
        json!({"name": "G", "bots": ["77"], "members": [42]}),
    )
    .await
    .1;
    let channel = guild["channel"].as_str().unwrap();
    let said = post(
        "actions",
        json!({"action": "post", "channel": channel, "user": "42", "post": {"text": "hi"}}),
    )
    .await;
    let message = said.1["message"].as_str().unwrap();
    post("actions", json!({"action": "react", "channel": channel, "message": message, "user": 42, "emoji": "🔥"})).await;
    let history = get(&format!("channels/{channel}/history")).await;
    assert_eq!(
        (&history[0]["text"], &history[0]["reactions"][0]["by"]),
        (&json!("hi"), &json!(["42"]))
    );
    let unknown = post(
        "actions",
        json!({"action": "edit", "channel": channel, "message": "1", "text": "x"}),
    )
    .await;
    assert_eq!(unknown.0, 400);
}

#[tokio::test]
async fn sets_faults_and_shows_the_ledger_and_the_connections() {
    let world = World::new().await;
    let (mut line, _) = world.ready().await;
    let connections = control(
        &world,
        Method::GET,
        &format!("connections?bot={}", world.bot),
        Value::Null,
    )
    .await
    .1;
    assert_eq!(
        (&connections[0]["how"], &connections[0]["intents"]),
        (&json!("identify"), &json!(INTENTS))
    );
    let fault = json!({"fault": {"fault": "refuse", "status": 400, "code": 1, "message": "no"}, "duplicate_dispatches": 1});
    assert_eq!(control(&world, Method::POST, "faults", fault).await.0, 200);
    assert_eq!(world.refused(json!({"content": "x"})).await, (400, 1));
    world.post(world.general, world.ada, "a").unwrap();
    assert_eq!(
        line.event("MESSAGE_CREATE").await,
        line.event("MESSAGE_CREATE").await
    );
    let calls = control(
        &world,
        Method::GET,
        &format!("calls?bot={}", world.bot),
        Value::Null,
    )
    .await
    .1;
    assert_eq!(
        (&calls[0]["status"], &calls[0]["outcome"]),
        (&json!(400), &json!("answered"))
    );
    let cut = json!({"action": "close", "bot": world.bot.to_string(), "code": 4009});
    assert_eq!(
        control(&world, Method::POST, "actions", cut).await.1,
        json!({"connections": 1})
    );
    assert_eq!(line.closed().await, Some(4009));
    let nonsense = json!({"fault": {"fault": "nonsense"}});
    assert_eq!(
        control(&world, Method::POST, "faults", nonsense).await.0,
        400
    );
}
