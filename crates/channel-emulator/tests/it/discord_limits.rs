//! Buckets, the global limit, the budget of invalid requests, and faults of calls.

use std::time::Duration;

use channel_emulator::discord::{DiscordConfig, Fault, Outcome};
use http::Method;
use serde_json::{Value, json};

use crate::discord_api::{AGENT, TOKEN, World};
use crate::line_api::exchange;

const SEND: &str = "POST /channels/{channel}/messages";

#[tokio::test]
async fn a_bucket_tells_its_quota_and_refuses_what_is_beyond() {
    let world = World::new().await;
    let header = |answer: &crate::line_api::Answered, name: &str| {
        answer.headers[name].to_str().unwrap().to_owned()
    };
    for left in (0..5).rev() {
        let answer = world.write(json!({"content": "x"})).await;
        assert_eq!(answer.status, 200);
        assert_eq!(header(&answer, "x-ratelimit-limit"), "5");
        assert_eq!(header(&answer, "x-ratelimit-remaining"), left.to_string());
        assert_eq!(header(&answer, "x-ratelimit-reset-after"), "5.000");
        assert_eq!(header(&answer, "x-ratelimit-reset"), "1790000005.000");
    }
    world.advance(Duration::from_millis(4600));
    let answer = world.write(json!({"content": "x"})).await;
    assert_eq!(answer.status, 429);
    let body =
        json!({"message": "You are being rate limited.", "retry_after": 0.4, "global": false});
    assert_eq!(answer.json(), body);
    assert_eq!(
        (
            header(&answer, "retry-after"),
            header(&answer, "x-ratelimit-scope")
        ),
        ("1".into(), "user".into())
    );
    let direct = world.direct(world.bot, world.ada).unwrap();
    let path = format!("/channels/{direct}/messages");
    let other = world
        .call(Method::POST, &path, &json!({"content": "x"}))
        .await;
    assert_eq!(other.status, 200, "another channel has a bucket of its own");
    assert_eq!(
        header(&other, "x-ratelimit-bucket"),
        header(&answer, "x-ratelimit-bucket")
    );
    world.advance(Duration::from_millis(400));
    assert_eq!(world.write(json!({"content": "x"})).await.status, 200);
}

#[tokio::test]
async fn a_bot_has_a_global_limit_and_an_address_a_budget() {
    let world = World::with(DiscordConfig::default().budgets(3, 4)).await;
    let me = async || world.call(Method::GET, "/users/@me", &Value::Null).await;
    for _ in 0..3 {
        assert_eq!(me().await.status, 200);
    }
    let refused = me().await;
    assert_eq!(
        (refused.status, &refused.json()["global"]),
        (429, &json!(true))
    );
    assert_eq!(refused.headers["x-ratelimit-global"], "true");
    assert_eq!(refused.headers["x-ratelimit-scope"], "global");
    world.advance(Duration::from_secs(1));
    let shared = Fault::TooManyRequests {
        retry_after_ms: 10,
        global: false,
        shared: true,
    };
    world.faults().next("GET /users/@me", 1, shared);
    assert_eq!(me().await.headers["x-ratelimit-scope"], "shared");
    assert_eq!(
        world.invalid_requests(),
        1,
        "a shared limit is not the caller's fault"
    );
    for _ in 0..3 {
        let wrong = world
            .send(
                Method::GET,
                "/users/@me",
                &[("authorization", "Bot wrong")],
                "",
            )
            .await;
        assert_eq!(wrong.status, 401);
    }
    let banned = me().await;
    assert_eq!(banned.status, 429);
    assert!(!banned.headers.contains_key("via") && banned.headers.contains_key("retry-after"));
    assert_eq!(banned.json(), Value::Null, "it is a page");
    world.advance(Duration::from_secs(600));
    assert_eq!(me().await.status, 200);
}

#[tokio::test]
async fn slow_mode_holds_bots_without_a_permission() {
    let world = World::new().await;
    let path = format!("/channels/{}", world.general);
    world
        .call(Method::PATCH, &path, &json!({"rate_limit_per_user": 10}))
        .await;
    world.deny(world.bot, world.general, 1 << 13).unwrap();
    assert_eq!(world.write(json!({"content": "x"})).await.status, 200);
    let refused = world.write(json!({"content": "x"})).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (429, &json!(20016))
    );
    assert_eq!(refused.json()["retry_after"], 10.0);
    world.advance(Duration::from_secs(10));
    assert_eq!(world.write(json!({"content": "x"})).await.status, 200);
}

#[tokio::test]
async fn calls_fail_on_demand_and_the_ledger_tells() {
    let world = World::new().await;
    let text = || json!({"content": "x"});
    let refuse = Fault::Refuse {
        status: 403,
        code: 50001,
        message: "Missing Access".into(),
    };
    world.faults().next(SEND, 1, refuse);
    assert_eq!(world.refused(text()).await, (403, 50001));
    world
        .faults()
        .next(SEND, 1, Fault::ServerError { status: 503 });
    assert_eq!(world.write(text()).await.status, 503);
    world.faults().next(SEND, 1, Fault::Delay { ms: 1 });
    assert_eq!(world.write(text()).await.status, 200);
    let (base, bearer) = (world.server.base_url(), format!("Bot {TOKEN}"));
    let headers = [("authorization", bearer.as_str()), ("user-agent", AGENT)];
    let path = format!("/api/v10{}", world.messages());
    for (fault, outcome, count) in [
        (Fault::DropBefore, Outcome::Dropped, 1),
        (Fault::LoseAnswer, Outcome::AnswerLost, 2),
    ] {
        world.faults().next_any(1, fault);
        let answer = exchange(&base, Method::POST, &path, &headers, "{\"content\":\"x\"}").await;
        assert!(answer.is_none());
        assert_eq!(world.calls().last().unwrap().outcome, outcome);
        assert_eq!(world.sent(world.bot).len(), count);
    }
    let calls = world.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.method == SEND && call.bot == Some(world.bot))
    );
    assert_eq!(
        calls.last().unwrap().answer.as_ref().unwrap()["content"],
        "x"
    );
    assert!(!format!("{calls:?}").contains(TOKEN));
}
