//! Delivery to webhooks. <https://core.telegram.org/bots/api#setwebhook>

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use channel_emulator::Server;
use channel_emulator::telegram::TelegramConfig;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::api::{ADA, BOT, DIRECT, PATIENCE, World};

/// What the webhook was sent: the secret and the update.
type Received = Arc<Mutex<Vec<(Option<String>, Value)>>>;

/// A webhook that accepts one secret and answers with `body`.
async fn webhook(secret: &'static str, body: &'static str) -> (Server, Received) {
    let received = Received::default();
    let handler =
        async move |State(received): State<Received>, headers: HeaderMap, update: String| {
            let given = headers
                .get("x-telegram-bot-api-secret-token")
                .map(|value| value.to_str().unwrap().to_owned());
            let accepted = given.as_deref() == Some(secret);
            received
                .lock()
                .unwrap()
                .push((given, serde_json::from_str(&update).unwrap()));
            if accepted {
                (StatusCode::OK, body)
            } else {
                (StatusCode::UNAUTHORIZED, "")
            }
        };
    let router = Router::new()
        .fallback(handler)
        .with_state(Arc::clone(&received));
    (
        Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), router)
            .await
            .unwrap(),
        received,
    )
}

async fn world() -> World {
    let retry = Duration::from_millis(5);
    World::with(TelegramConfig::default().webhook_retry(retry, retry)).await
}

#[tokio::test]
async fn delivers_with_the_secret_and_forgets_what_was_accepted() {
    let world = world().await;
    let (server, received) = webhook("s3cret_TOKEN-1", "").await;
    world.private_text(BOT, ADA, "before the webhook").unwrap();
    let params = json!({"url": server.base_url(), "secret_token": "s3cret_TOKEN-1"});
    world.result("setWebhook", params).await;
    world
        .wait_for(PATIENCE, |view| view.pending(BOT).is_empty().then_some(()))
        .await
        .unwrap();
    world.private_text(BOT, ADA, "after it").unwrap();
    world
        .wait_for(PATIENCE, |view| {
            (view.deliveries().count() == 2 && view.pending(BOT).is_empty()).then_some(())
        })
        .await
        .unwrap();
    let received = received.lock().unwrap();
    let texts: Vec<_> = received
        .iter()
        .map(|(_, update)| update["message"]["text"].clone())
        .collect();
    assert_eq!(texts, ["before the webhook", "after it"]);
    assert!(
        received
            .iter()
            .all(|(secret, _)| secret.as_deref() == Some("s3cret_TOKEN-1"))
    );
}

#[tokio::test]
async fn tries_a_refused_update_again_under_the_same_id() {
    let world = world().await;
    let (server, received) = webhook("right", "").await;
    world
        .result(
            "setWebhook",
            json!({"url": server.base_url(), "secret_token": "wrong"}),
        )
        .await;
    world.private_text(BOT, ADA, "hello").unwrap();
    world
        .wait_for(PATIENCE, |view| {
            view.deliveries()
                .any(|delivery| delivery.attempt >= 3)
                .then_some(())
        })
        .await
        .unwrap();
    let info = world.result("getWebhookInfo", json!({})).await;
    assert_eq!(info["pending_update_count"], 1);
    assert_eq!(
        info["last_error_message"],
        "Wrong response from the webhook: 401"
    );
    assert_eq!(info["last_error_date"], 1_700_000_000);
    world
        .result(
            "setWebhook",
            json!({"url": server.base_url(), "secret_token": "right"}),
        )
        .await;
    world
        .wait_for(PATIENCE, |view| view.pending(BOT).is_empty().then_some(()))
        .await
        .unwrap();
    let received = received.lock().unwrap();
    let first = &received[0].1["update_id"];
    assert!(
        received.len() >= 4
            && received
                .iter()
                .all(|(_, update)| &update["update_id"] == first)
    );
}

#[tokio::test]
async fn a_webhook_that_is_down_gets_its_updates_later() {
    let world = world().await;
    let (server, _) = webhook("s", "").await;
    let address = server.address();
    drop(server);
    world
        .result(
            "setWebhook",
            json!({"url": format!("http://{address}/"), "secret_token": "s"}),
        )
        .await;
    world.private_text(BOT, ADA, "hello").unwrap();
    let failed = world
        .wait_for(PATIENCE, |view| view.deliveries().next().cloned())
        .await
        .unwrap();
    assert_eq!(failed.status, None);
    assert!(failed.error.is_some());
    world.result("deleteWebhook", json!({})).await;
    assert_eq!(
        world.result("getUpdates", json!({})).await[0]["message"]["text"],
        "hello"
    );
}

#[tokio::test]
async fn executes_a_call_in_the_answer() {
    let world = world().await;
    let (server, _) = webhook(
        "s",
        r#"{"method":"sendMessage","chat_id":42,"text":"from the answer"}"#,
    )
    .await;
    world
        .result(
            "setWebhook",
            json!({"url": server.base_url(), "secret_token": "s"}),
        )
        .await;
    world.private_text(BOT, ADA, "hello").unwrap();
    let sent = world
        .wait_for(PATIENCE, |view| view.sent(BOT).pop())
        .await
        .unwrap();
    assert_eq!(
        (sent.place, sent.text.as_deref()),
        (DIRECT, Some("from the answer"))
    );
    assert!(
        world
            .calls()
            .iter()
            .any(|call| call.method == "sendMessage" && call.in_webhook_reply)
    );
}

#[tokio::test]
async fn can_deliver_an_update_twice() {
    let world = world().await;
    let (server, received) = webhook("s", "").await;
    world.faults().duplicate_updates(1);
    world
        .result(
            "setWebhook",
            json!({"url": server.base_url(), "secret_token": "s"}),
        )
        .await;
    world.private_text(BOT, ADA, "hello").unwrap();
    world
        .wait_for(PATIENCE, |view| {
            (view.deliveries().count() == 2).then_some(())
        })
        .await
        .unwrap();
    let received = received.lock().unwrap();
    assert_eq!(received[0].1, received[1].1);
}

#[tokio::test]
async fn checks_address_and_secret() {
    let world = World::new().await;
    let set = async |params: Value| world.call("setWebhook", params).await.1;
    for url in [
        "http://example.test/",
        "https://example.test:8080/",
        "ftp://127.0.0.1/",
        "nonsense",
    ] {
        let answer = set(json!({ "url": url })).await;
        assert!(
            answer["description"]
                .as_str()
                .unwrap()
                .starts_with("Bad Request: bad webhook: "),
            "{url} {answer}"
        );
    }
    for url in [
        "https://example.test/",
        "https://example.test:8443/x",
        "http://localhost:1/",
        "http://[::1]:1/",
    ] {
        assert_eq!(set(json!({ "url": url })).await["ok"], true, "{url}");
    }
    for secret in ["with space", "ümlaut", "dot.", &"x".repeat(257)] {
        let answer = set(json!({"url": "https://example.test/", "secret_token": secret})).await;
        assert_eq!(answer["error_code"], 400, "{secret}");
    }
    let longest = "aZ0_-".repeat(51) + "x";
    assert_eq!(
        set(json!({"url": "https://example.test/", "secret_token": longest})).await["ok"],
        true
    );
    let info = world.result("getWebhookInfo", json!({})).await;
    assert_eq!(
        (&info["url"], &info["max_connections"]),
        (&json!("https://example.test/"), &json!(40))
    );
    assert_eq!(set(json!({"url": ""})).await["ok"], true);
    assert_eq!(world.result("getWebhookInfo", json!({})).await["url"], "");
}

#[tokio::test]
async fn pending_updates_can_be_dropped() {
    let world = World::new().await;
    world.private_text(BOT, ADA, "old").unwrap();
    world
        .result("deleteWebhook", json!({"drop_pending_updates": true}))
        .await;
    assert!(world.updates_pending(BOT).is_empty());
}

#[tokio::test]
async fn never_connects_to_another_machine() {
    let world = world().await;
    world
        .result("setWebhook", json!({"url": "https://203.0.113.9/hook"}))
        .await;
    world.private_text(BOT, ADA, "hello").unwrap();
    let failed = world
        .wait_for(PATIENCE, |view| view.deliveries().next().cloned())
        .await
        .unwrap();
    assert!(failed.error.is_some());
    let photo = json!({"chat_id": ADA, "photo": "http://203.0.113.9/p.png"});
    assert_eq!(
        world.refusal("sendPhoto", photo).await.1,
        "Bad Request: failed to get HTTP URL content"
    );
}
