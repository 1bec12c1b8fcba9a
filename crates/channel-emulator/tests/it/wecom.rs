//! WeCom over HTTP. What its callbacks and passive replies look like is certified by other people's libraries.

use std::time::Duration;

use channel_emulator::wecom::{Fault, NewBot, Outcome, Via, WecomConfig};
use http::Method;
use serde_json::json;

use crate::wecom_api::{ADA, APP, CORP, KEY, PATIENCE, SECRET, World};

#[tokio::test]
async fn a_webhook_key_is_the_whole_credential() {
    let world = World::new().await;
    let chat = world.group("Team", &[&world.group_bot], &[ADA]).unwrap();
    let hello = json!({"msgtype": "text", "text": {"content": "hello"}});
    let path = format!("/cgi-bin/webhook/send?key={KEY}");
    assert_eq!(world.post(&path, hello.clone()).await["errcode"], 0);
    let wrong = world
        .post("/cgi-bin/webhook/send?key=nonsense", hello)
        .await;
    assert_eq!(wrong["errcode"], 93000);
    assert!(!wrong["errmsg"].as_str().unwrap().contains("nonsense"));
    let sent = world.sent(&world.group_bot);
    assert_eq!(
        (sent.len(), &sent[0].chat, sent[0].via),
        (1, &chat, Via::Webhook)
    );
}

#[tokio::test]
async fn sizes_count_in_bytes() {
    let world = World::new().await;
    let path = format!("/cgi-bin/webhook/send?key={KEY}");
    for (kind, limit) in [("text", 2048), ("markdown", 4096), ("markdown_v2", 4096)] {
        let long = |bytes: usize| json!({"msgtype": kind, kind: {"content": "x".repeat(bytes)}});
        assert_eq!(world.post(&path, long(limit)).await["errcode"], 0, "{kind}");
        let refused = world.post(&path, long(limit + 1)).await;
        assert_eq!(refused["errcode"], 40058, "{kind}");
        let words = refused["errmsg"].as_str().unwrap();
        assert!(
            words.starts_with(&format!("{kind}.content exceed max length {limit}.")),
            "{words}"
        );
    }
    let empty = json!({"msgtype": "text", "text": {"content": ""}});
    assert_eq!(world.post(&path, empty).await["errcode"], 44004);
    let unknown = json!({"msgtype": "hologram", "hologram": {}});
    assert_eq!(world.post(&path, unknown).await["errcode"], 40008);
    let (status, body) = world.send(Method::POST, &path, "{").await;
    assert_eq!((status, &body["errcode"]), (200, &json!(47001)));
}

#[tokio::test]
async fn the_twenty_first_message_of_a_minute_waits() {
    let world = World::new().await;
    let path = format!("/cgi-bin/webhook/send?key={KEY}");
    let hello = json!({"msgtype": "text", "text": {"content": "hello"}});
    for _ in 0..20 {
        assert_eq!(world.post(&path, hello.clone()).await["errcode"], 0);
    }
    assert_eq!(world.post(&path, hello.clone()).await["errcode"], 45009);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.post(&path, hello).await["errcode"], 0);
}

#[tokio::test]
async fn a_token_lives_two_hours_and_belongs_to_one_app() {
    let world = World::new().await;
    world
        .add_bot(&NewBot::app(CORP, "other-secret", 1_000_003))
        .unwrap();
    let token = world.token().await;
    assert_eq!(world.token().await, token);
    let send = |token: &str, agent: u64| {
        let body =
            json!({"touser": ADA, "msgtype": "text", "agentid": agent, "text": {"content": "x"}});
        let path = format!("/cgi-bin/message/send?access_token={token}");
        let world = &world;
        async move { world.post(&path, body).await["errcode"].clone() }
    };
    assert_eq!(send(&token, 1_000_002).await, 0);
    assert_eq!(send(&token, 1_000_003).await, 301_002);
    assert_eq!(send("", 1_000_002).await, 41001);
    assert_eq!(send("nonsense", 1_000_002).await, 40014);
    world.advance(Duration::from_secs(7199));
    assert_eq!(send(&token, 1_000_002).await, 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(send(&token, 1_000_002).await, 42001);
    let fresh = world.token().await;
    assert_ne!(fresh, token);
    assert_eq!(send(&fresh, 1_000_002).await, 0);
    world.revoke_token(APP);
    assert_eq!(send(&fresh, 1_000_002).await, 40014);
}

#[tokio::test]
async fn too_many_token_requests_are_refused_where_asked() {
    let world = World::with(WecomConfig::default().token_rate(2)).await;
    let path = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}");
    for wanted in [0, 0, 45009] {
        assert_eq!(world.get(&path).await["errcode"], wanted);
    }
    let calls = world.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.bot == APP && call.method == "gettoken")
    );
}

#[tokio::test]
async fn a_callback_that_nobody_answers_is_tried_four_times() {
    let config = WecomConfig::default().callback_retry(Duration::from_millis(5), 3);
    let world = World::with(config).await;
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    world
        .set_callback(APP, "http://127.0.0.1:1/", "token", key)
        .unwrap();
    let id = world.say(APP, ADA, "hello").unwrap();
    let tries = world
        .wait_for(PATIENCE, |wecom| {
            let tries = wecom.deliveries();
            (tries.len() == 4).then_some(tries)
        })
        .await
        .unwrap();
    assert!(tries.iter().all(|one| one.id == id && one.status.is_none()));
    assert_eq!(world.events(APP)[0]["Content"], "hello");
    assert!(
        world
            .set_callback(APP, "http://127.0.0.1:1/", "token", "short")
            .is_err()
    );
}

#[tokio::test]
async fn calls_fail_on_demand() {
    let world = World::new().await;
    let path = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}");
    world
        .faults()
        .next("gettoken", 1, Fault::Refuse { errcode: -1 });
    assert_eq!(world.get(&path).await["errcode"], -1);
    world
        .faults()
        .next("gettoken", 1, Fault::ServerError { status: 502 });
    assert_eq!(world.send(Method::GET, &path, "").await.0, 502);
    assert_eq!(world.get(&path).await["errcode"], 0);
    let outcomes: Vec<_> = world
        .calls()
        .iter()
        .map(|call| (call.outcome, call.errcode))
        .collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::Answered, Some(-1)),
            (Outcome::Answered, None),
            (Outcome::Answered, Some(0))
        ]
    );
}

#[tokio::test]
async fn the_control_api_does_what_a_test_does() {
    let world = World::new().await;
    let control = |path: &str| format!("/_control/wecom/{path}");
    let added = json!({"product": "ai", "id": "aib1", "name": "Ai"});
    assert_eq!(world.post(&control("bots"), added).await["bot"], "aib1");
    world
        .post(&control("users"), json!({"id": "Bob", "name": "Bob"}))
        .await;
    let group = json!({"name": "Team", "bots": ["aib1"], "members": [ADA, "Bob"]});
    let chat = world.post(&control("groups"), group).await["chat"].clone();
    let post = json!({"action": "post", "bot": "aib1", "chat": chat, "user": "Bob", "post": {"text": "hi"}});
    assert!(world.post(&control("actions"), post).await["message"].is_string());
    let events = world.get(&control("bots/aib1/events")).await;
    assert_eq!(events[0]["text"]["content"], "@Ai hi");
    assert_eq!(events[0]["chatid"], chat);
    let stranger = json!({"action": "post", "bot": "aib1", "user": "Eve", "post": {"text": "hi"}});
    let (status, _) = world
        .send(Method::POST, &control("actions"), &stranger.to_string())
        .await;
    assert_eq!(status, 400);
}
