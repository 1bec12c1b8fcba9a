//! The control API: the same powers over HTTP.

use base64::Engine as _;
use channel_emulator::telegram::{Telegram, TelegramConfig};
use http::Method;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::api::{ADA, BOT, World, png};

async fn control(world: &World, path: &str, body: Value) -> Value {
    let path = format!("/_control/telegram/{path}");
    let (status, answer) = world
        .send(Method::POST, &path, "application/json", body.to_string())
        .await;
    assert_eq!(status, 200, "{path} {answer}");
    answer
}

async fn read(world: &World, path: &str) -> Value {
    let (status, answer) = world
        .send(Method::GET, &format!("/_control/telegram/{path}"), "", "")
        .await;
    assert_eq!(status, 200, "{path}");
    answer
}

#[tokio::test]
async fn plays_a_whole_talk() {
    let world = World::new().await;
    control(
        &world,
        "bots",
        json!({"token": "9:NEW", "username": "new_bot"}),
    )
    .await;
    control(&world, "users", json!({"id": 8, "first_name": "Bo"})).await;
    let text = json!({"action": "post", "bot": 9, "chat": 8, "user": 8, "post": {"text": "hello"}});
    assert_eq!(
        control(&world, "actions", text).await,
        json!({"message_id": 1})
    );
    let photo = base64::engine::general_purpose::STANDARD.encode(png(4, 4));
    let photo = json!({"text": "look", "file": {"kind": "photo", "base64": photo}});
    control(
        &world,
        "actions",
        json!({"action": "post", "bot": 9, "chat": 8, "user": 8, "post": photo}),
    )
    .await;
    let pending = read(&world, "bots/9/pending").await;
    assert_eq!(pending[0]["message"]["text"], "hello");
    assert_eq!(pending[1]["message"]["photo"][1]["width"], 4);
    let history = read(&world, "bots/9/history/8").await;
    assert_eq!(history[0]["author"], json!({"user": 8}));
}

#[tokio::test]
async fn sets_faults_and_time_and_shows_the_ledger() {
    let world = World::started().await;
    let fault =
        json!({"method": "getMe", "fault": {"fault": "too_many_requests", "retry_after": 3}});
    control(&world, "faults", fault).await;
    assert_eq!(world.refusal("getMe", json!({})).await.0, 429);
    let calls = read(&world, "calls?method=getme&wait_ms=1000").await;
    assert_eq!(calls[0]["status"], 429);
    let after = calls[0]["number"].as_u64().unwrap();
    assert_eq!(
        read(&world, &format!("calls?method=getme&after={after}")).await,
        json!([])
    );
    control(&world, "clock", json!({"advance_ms": 5000})).await;
    let sent = world
        .result("sendMessage", json!({"chat_id": ADA, "text": "x"}))
        .await;
    assert_eq!(sent["date"], 1_700_000_005);
    assert_eq!(
        read(&world, &format!("bots/{BOT}/sent")).await[0]["text"],
        "x"
    );
    assert_eq!(read(&world, &format!("bots/{BOT}/listening")).await, false);
}

#[tokio::test]
async fn refuses_what_makes_no_sense_and_what_a_web_page_could_send() {
    let world = World::new().await;
    let post = async |kind: &str, body: &str| {
        world
            .send(
                Method::POST,
                "/_control/telegram/actions",
                kind,
                body.to_owned(),
            )
            .await
            .0
    };
    assert_eq!(
        post("application/json", r#"{"action":"revoke_all"}"#).await,
        422
    );
    assert_eq!(
        post(
            "application/json",
            r#"{"action":"migrate","chat":-1,"by":42}"#
        )
        .await,
        400
    );
    assert_eq!(
        post("text/plain", r#"{"action":"revoke","bot":123456}"#).await,
        415
    );
    assert_eq!(world.call("getMe", json!({})).await.0, 200);
}

#[tokio::test]
async fn lives_behind_a_foreign_router() {
    let telegram = Telegram::new(TelegramConfig::default());
    telegram.add_bot("9:NEW", "new_bot").unwrap();
    let router = axum::Router::new().nest("/telegram", telegram.router());
    let request = http::Request::get("/telegram/bot9:NEW/getMe")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
}
