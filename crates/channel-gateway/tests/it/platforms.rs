//! The emulated platforms on the demo's page.
use http::StatusCode;
use serde_json::{Value, json};

use channel_gateway::demo::{Demo, DemoConfig};

use crate::demo::{Feed, post, says, start, started};

const PLATFORMS: [&str; 6] = ["line", "slack", "discord", "feishu", "wecom", "dingtalk"];

/// Whether the bot has said hello on a platform.
fn is_greeting(news: &Value, platform: &str) -> bool {
    let is_hello = |one: &Value| {
        let text = one.pointer("/message/text").and_then(Value::as_str);
        let is_mine = one.pointer("/message/mine") == Some(&Value::Bool(true));
        !is_mine && text.is_some_and(|text| text.contains("one small bot"))
    };
    let messages = news.get("messages").and_then(Value::as_array);
    news.get("channel").and_then(Value::as_str) == Some(platform)
        && messages.is_some_and(|all| all.iter().any(is_hello))
}

#[tokio::test]
async fn every_platform_answers_what_is_typed_and_its_way_is_told() {
    let demo = start().await;
    let start = started(&demo).await;
    let platforms = start["platforms"].as_array().unwrap();
    let names: Vec<&str> = platforms
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(names, PLATFORMS);
    for platform in names {
        let is_promised = |one: &Value| one["channel"] == platform;
        assert!(
            start["guarantees"]
                .as_array()
                .unwrap()
                .iter()
                .any(is_promised)
        );
        let mut feed = Feed::open(&demo, "guest-1").await;
        feed.find("platform", |news| is_greeting(news, platform))
            .await;
        let path = format!("/api/platform/{platform}/message");
        let answer = post(&demo, &path, &json!({"text": "hello <&> all"})).await;
        assert_eq!(answer.status(), StatusCode::OK, "{platform}");
        let has = |news: &Value, found: &dyn Fn(&Value) -> bool| {
            let all = news["messages"].as_array().unwrap();
            news["channel"] == platform && all.iter().any(|one| found(&one["message"]))
        };
        let is_echo = |message: &Value| {
            let text = message["text"].as_str().unwrap().replace('\\', "");
            text == "echo: hello <&> all" && message["mine"] == false
        };
        feed.find("platform", |news| has(news, &is_echo)).await;
        let mut feed = Feed::open(&demo, "guest-1").await;
        let is_trace = |trace: &Value| {
            let text = &trace["event"]["kind"]["message"]["text"];
            trace["channel"] == platform && text == "hello <&> all" && !trace["done"].is_null()
        };
        let trace = feed.find("trace", is_trace).await;
        assert_eq!(trace["verdict"]["reason"], "allowlist", "{platform}");
        assert!(trace["done"]["error"].is_null(), "{platform}: {trace}");
        let native = trace["native"]["text"].as_str().unwrap();
        assert!(native.contains("hello"), "{platform}: {native}");
        let call = &trace["calls"][0];
        let sent = call["exchanges"][0]["request"]["text"].as_str().unwrap();
        assert!(sent.contains("echo: hello"), "{platform}: {call}");
        let address = call["exchanges"][0]["address"].as_str().unwrap();
        let query = address.split_once('?').map_or("", |(_, query)| query);
        assert!(
            query.is_empty() || query == "session=<token>",
            "{platform}: {address}"
        );
        let headers = call["exchanges"][0]["request_headers"].as_array().unwrap();
        let tokens = headers.iter().filter(|pair| {
            let name = pair[0].as_str().unwrap();
            name == "authorization" || name.ends_with("token")
        });
        assert!(
            tokens.into_iter().all(|pair| pair[1] == "<token>"),
            "{platform}"
        );
    }
    let missing = post(
        &demo,
        "/api/platform/icq/message",
        &json!({"text": "hello"}),
    )
    .await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    demo.stop().await;
}

#[tokio::test]
async fn a_pressed_button_is_answered_on_every_platform() {
    let demo = start().await;
    for platform in PLATFORMS {
        let mut feed = Feed::open(&demo, "guest-1").await;
        feed.find("platform", |news| is_greeting(news, platform))
            .await;
        let path = format!("/api/platform/{platform}");
        post(
            &demo,
            &format!("{path}/message"),
            &json!({"text": "/buttons"}),
        )
        .await;
        let with_buttons = |news: &Value| {
            let all = news["messages"].as_array().unwrap();
            let found = all
                .iter()
                .find(|one| one["message"]["buttons"][1]["label"] == "Coffee");
            found.map(|one| one["message"].clone())
        };
        let is_asked = |news: &Value| news["channel"] == platform && with_buttons(news).is_some();
        let question = with_buttons(&feed.find("platform", is_asked).await).unwrap();
        let press = json!({"message": question["id"], "value": question["buttons"][1]["value"]});
        let pressed = post(&demo, &format!("{path}/press"), &press).await;
        assert_eq!(pressed.status(), StatusCode::OK, "{platform}");
        let is_answer = |news: &Value| {
            let mut all = news["messages"].as_array().unwrap().iter();
            news["channel"] == platform && all.any(|one| says(&one["message"], "pressed Coffee"))
        };
        feed.find("platform", is_answer).await;
    }
    demo.stop().await;
}

#[tokio::test]
async fn who_finds_no_room_is_told_in_the_words_of_the_settings() {
    const FULL: &str = "Come back later.";
    let config = DemoConfig::default().capacity(1).tell_when_full(FULL);
    let demo = Demo::start(config).await.unwrap();
    // One of the two finds the only place taken, be it by a connection that listens or by the
    // other one, which is handled for as long as that.
    for text in ["/sleep 120", "hello"] {
        post(&demo, "/api/platform/line/message", &json!({"text": text})).await;
    }
    let is_told = |news: &Value| {
        let mut all = news["messages"].as_array().unwrap().iter();
        news["channel"] == "line" && all.any(|one| says(&one["message"], FULL))
    };
    // A reader who comes later sees what was said before.
    let mut feed = Feed::open(&demo, "guest-1").await;
    feed.find("platform", is_told).await;
    demo.stop().await;
}
