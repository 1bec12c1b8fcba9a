//! Tokens, bodies, rates, profiles and faults.

use std::time::Duration;

use channel_emulator::line::{Fault, LineConfig, NewBot, Outcome};
use http::Method;
use serde_json::json;

use crate::line_api::{KEY, SECRET, TOKEN, World, exchange};

const PUSH: &str = "/v2/bot/message/push";

#[tokio::test]
async fn wants_a_bearer_token_it_knows() {
    let world = World::new().await;
    let info = async |header: &str| {
        let headers = [("authorization", header)];
        world.send(Method::GET, "/v2/bot/info", &headers, "").await
    };
    assert_eq!(info(&format!("Bearer {TOKEN}")).await.status, 200);
    for header in ["", "Bearer nonsense", TOKEN, &format!("Basic {TOKEN}")] {
        let answer = info(header).await;
        assert_eq!(answer.status, 401, "{header}");
        assert!(
            answer
                .message()
                .starts_with("Authentication failed due to the following reason: ")
        );
        assert!(answer.headers.contains_key("x-line-request-id"));
    }
    world.revoke_token(&world.bot);
    assert_eq!(info(&format!("Bearer {TOKEN}")).await.status, 401);
}

#[tokio::test]
async fn wants_json_of_a_bounded_size_on_paths_it_knows() {
    let world = World::new().await;
    let call = async |path: &str, kind: &str, body: &str| {
        let headers = [("content-type", kind)];
        world.send(Method::POST, path, &headers, body).await
    };
    assert_eq!(call(PUSH, "text/plain", "{}").await.status, 415);
    let broken = call(PUSH, "application/json", "{\"to\": ").await;
    assert!(
        broken
            .message()
            .starts_with("The request body could not be parsed as JSON (line: 1, column: ")
    );
    assert_eq!(
        call(PUSH, "application/json; charset=UTF-8", "[]")
            .await
            .status,
        400
    );
    let large = format!("{{\"to\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    assert_eq!(call(PUSH, "application/json", &large).await.status, 413);
    assert_eq!(
        call("/v2/bot/nonsense", "application/json", "{}")
            .await
            .status,
        404
    );
    assert_eq!(world.get(PUSH).await.status, 405);
    let empty = call(PUSH, "application/json", "{}").await;
    assert_eq!(empty.properties(), ["to", "messages"]);
}

#[tokio::test]
async fn a_rate_counts_per_endpoint_and_second() {
    let config = LineConfig::default().rate(2);
    let world = World::with(config, NewBot::new(SECRET, TOKEN, "Kit")).await;
    for expected in [200, 200, 429] {
        let answer = world.get("/v2/bot/info").await;
        assert_eq!(answer.status, expected);
    }
    assert_eq!(world.get("/v2/bot/message/quota").await.status, 200);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.get("/v2/bot/info").await.status, 200);
}

#[tokio::test]
async fn loading_is_for_people_and_ends_with_the_next_message() {
    let world = World::new().await;
    let group = world
        .group("Team", Some(&world.bot), &[&world.ada])
        .unwrap();
    let start = async |chat: &str, seconds: u64| {
        let body = json!({"chatId": chat, "loadingSeconds": seconds});
        world.post("/v2/bot/chat/loading/start", body).await.status
    };
    for seconds in [0, 4, 7, 65] {
        assert_eq!(start(&world.ada, seconds).await, 400, "{seconds}");
    }
    assert_eq!(start(&group, 5).await, 400);
    assert_eq!(start(&world.ada, 5).await, 202);
    assert_eq!(world.loadings(&world.bot).len(), 1);
    world.push(json!({"type": "text", "text": "done"})).await;
    assert!(world.loadings(&world.bot).is_empty());
    assert_eq!(start(&world.ada, 5).await, 202);
    world.advance(Duration::from_secs(5));
    assert!(world.loadings(&world.bot).is_empty());
}

#[tokio::test]
async fn profiles_are_for_friends_and_members() {
    let world = World::new().await;
    let profile = format!("/v2/bot/profile/{}", world.ada);
    assert_eq!(world.get(&profile).await.status, 404);
    world.follow(&world.bot, &world.ada).unwrap();
    assert_eq!(world.get(&profile).await.json()["displayName"], "Ada");
    world.unfollow(&world.bot, &world.ada).unwrap();
    assert_eq!(world.get(&profile).await.status, 404);
    assert_eq!(world.get("/v2/bot/profile/ada").await.status, 400);
    let group = world
        .group("Team", Some(&world.bot), &[&world.ada])
        .unwrap();
    let member = format!("/v2/bot/group/{group}/member/{}", world.ada);
    assert_eq!(world.get(&member).await.json()["displayName"], "Ada");
    let summary = world
        .get(&format!("/v2/bot/group/{group}/summary"))
        .await
        .json();
    assert_eq!(
        (&summary["groupId"], &summary["groupName"]),
        (&json!(group), &json!("Team"))
    );
    let count = world
        .get(&format!("/v2/bot/group/{group}/members/count"))
        .await
        .json();
    assert_eq!(count, json!({"count": 1}));
    let ids = world
        .get(&format!("/v2/bot/group/{group}/members/ids"))
        .await;
    assert_eq!(
        (ids.status, ids.message()),
        (
            403,
            "Access to this API is not available for your account".into()
        )
    );
    let leave = format!("/v2/bot/group/{group}/leave");
    assert_eq!(world.send(Method::POST, &leave, &[], "").await.status, 200);
    assert_eq!(world.get(&member).await.status, 404);
}

#[tokio::test]
async fn the_webhook_address_is_read_and_set() {
    let world = World::new().await;
    let path = "/v2/bot/channel/webhook/endpoint";
    assert_eq!(world.get(path).await.status, 404);
    let set = async |url: &str| {
        let body = json!({"endpoint": url}).to_string();
        world.send(Method::PUT, path, &[], &body).await.status
    };
    for url in ["http://example.test/", "ftp://127.0.0.1/", "nonsense"] {
        assert_eq!(set(url).await, 400, "{url}");
    }
    assert_eq!(set("https://example.test/hook").await, 200);
    let now = world.get(path).await.json();
    assert_eq!(
        now,
        json!({"endpoint": "https://example.test/hook", "active": true})
    );
}

#[tokio::test]
async fn messages_are_marked_as_read_where_that_is_manual() {
    let mut bot = NewBot::new(SECRET, TOKEN, "Kit");
    bot.manual_read = true;
    let world = World::with(LineConfig::default(), bot).await;
    let id = world.say(&world.bot, &world.ada, "hello").unwrap();
    let event = world.events(&world.bot).pop().unwrap();
    let body = json!({"markAsReadToken": event["message"]["markAsReadToken"]});
    let path = "/v2/bot/chat/markAsRead";
    assert_eq!(world.post(path, body).await.status, 200);
    assert_eq!(world.reads(), [id]);
    assert_eq!(
        world
            .post(path, json!({"markAsReadToken": "x"}))
            .await
            .status,
        400
    );
    assert_eq!(
        world.get("/v2/bot/info").await.json()["markAsReadMode"],
        "manual"
    );
}

#[tokio::test]
async fn a_lost_answer_is_found_by_its_retry_key() {
    let world = World::new().await;
    world.faults().next("push", 1, Fault::LoseAnswer);
    let body = json!({"to": world.ada, "messages": [{"type": "text", "text": "hi"}]}).to_string();
    let headers = [("x-line-retry-key", KEY)];
    let base = world.server.api_base();
    let lost = exchange(&base, Method::POST, PUSH, &headers, &body).await;
    assert!(lost.is_none());
    assert_eq!(world.push_with(KEY, "hi").await.status, 409);
    assert_eq!(world.sent(&world.bot).len(), 1);
    let outcomes: Vec<_> = world.calls().iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, [Outcome::AnswerLost, Outcome::Answered]);
}

#[tokio::test]
async fn calls_fail_on_demand() {
    let world = World::new().await;
    world.faults().next("push", 1, Fault::TooManyRequests);
    world.faults().next("push", 1, Fault::MonthlyLimit);
    world
        .faults()
        .next("push", 1, Fault::ServerError { status: 502 });
    world.faults().next("push", 1, Fault::FailAfter);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let answer = world.push_with(KEY, "hi").await;
        seen.push((answer.status, answer.message()));
    }
    assert_eq!(
        seen[0],
        (
            429,
            "The API rate limit has been exceeded. Try again later.".into()
        )
    );
    assert_eq!(
        seen[1],
        (429, "You have reached your monthly limit.".into())
    );
    assert_eq!(seen[2], (502, String::new()));
    assert_eq!(seen[3].0, 500);
    assert_eq!(seen[4].0, 409);
}

#[tokio::test]
async fn neither_a_dropped_nor_a_hanging_call_is_executed() {
    let world = World::new().await;
    let base = world.server.api_base();
    let body = json!({"to": world.ada, "messages": [{"type": "text", "text": "hi"}]}).to_string();
    world.faults().any(1, Fault::DropBefore);
    let dropped = exchange(&base, Method::POST, PUSH, &[], &body).await;
    assert!(dropped.is_none());
    world.faults().any(1, Fault::Hang);
    let hanging = exchange(&base, Method::POST, PUSH, &[], &body);
    tokio::time::timeout(Duration::from_millis(50), hanging)
        .await
        .err()
        .unwrap();
    assert!(world.sent(&world.bot).is_empty());
    let outcomes: Vec<_> = world.calls().iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes.first(), Some(&Outcome::Dropped));
    world.faults().clear();
    assert_eq!(world.push_with(KEY, "hi").await.status, 200);
}
