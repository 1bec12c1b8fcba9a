//! Replying, pushing and the rules for messages.

use std::time::Duration;

use channel_emulator::line::{LineConfig, NewBot, Via};
use http::Method;
use serde_json::{Value, json};

use crate::line_api::{KEY, SECRET, TOKEN, World};

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[tokio::test]
async fn a_reply_token_works_once() {
    let world = World::new().await;
    let token = world.token("hello");
    let first = world.reply(&token, "hi").await;
    assert_eq!(first.status, 200);
    let sent = &first.json()["sentMessages"][0];
    assert!(sent["id"].is_string() && sent["quoteToken"].is_string());
    let second = world.reply(&token, "again").await;
    assert_eq!(
        (second.status, second.message()),
        (400, "Invalid reply token".into())
    );
    let history = world.history(&world.bot, &world.ada);
    assert_eq!(history.len(), 2);
    assert_eq!(
        (history[1].text(), history[1].via),
        (Some("hi"), Via::Reply)
    );
}

#[tokio::test]
async fn a_reply_token_ends_after_its_window_and_belongs_to_one_account() {
    let world = World::new().await;
    let token = world.token("hello");
    world.advance(Duration::from_secs(60));
    let other = NewBot::new(SECRET, "another-token", "Other");
    world.add_bot(&other).unwrap();
    let body = json!({"replyToken": token, "messages": [text("hi")]}).to_string();
    let foreign = [("authorization", "Bearer another-token")];
    let path = "/v2/bot/message/reply";
    let answer = world.send(Method::POST, path, &foreign, &body).await;
    assert_eq!(answer.message(), "Invalid reply token");
    world.advance(Duration::from_millis(1));
    assert_eq!(
        world.reply(&token, "late").await.message(),
        "Invalid reply token"
    );
    let fresh = world.token("again");
    world.advance(Duration::from_secs(60));
    assert_eq!(world.reply(&fresh, "in time").await.status, 200);
}

#[tokio::test]
async fn a_refused_body_leaves_the_reply_token_alone() {
    let world = World::new().await;
    let token = world.token("hello");
    assert_eq!(world.reply(&token, "").await.status, 400);
    assert_eq!(world.reply(&token, "hi").await.status, 200);
}

#[tokio::test]
async fn a_retry_key_is_accepted_once_and_answers_with_the_first_request() {
    let world = World::new().await;
    let first = world.push_with(KEY, "hi").await;
    assert_eq!(first.status, 200);
    let second = world.push_with(&KEY.to_uppercase(), "hi").await;
    assert_eq!(second.status, 409);
    assert_eq!(second.message(), "The retry key is already accepted");
    assert_eq!(second.json()["sentMessages"], first.json()["sentMessages"]);
    assert_eq!(
        second.headers["x-line-accepted-request-id"],
        first.headers["x-line-request-id"]
    );
    assert_ne!(
        second.headers["x-line-request-id"],
        first.headers["x-line-request-id"]
    );
    assert_eq!(world.sent(&world.bot).len(), 1);
    world.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(world.push_with(KEY, "hi").await.status, 200);
}

#[tokio::test]
async fn a_retry_key_of_a_refused_push_can_be_used_again() {
    let world = World::new().await;
    assert_eq!(world.push_with(KEY, "").await.status, 400);
    assert_eq!(world.push_with(KEY, "hi").await.status, 200);
}

#[tokio::test]
async fn a_retry_key_is_a_uuid_and_not_for_replies() {
    let world = World::new().await;
    for key in [
        "nonsense",
        "123e4567e89b12d3a456426614174000",
        &format!("{KEY}0"),
    ] {
        assert_eq!(world.push_with(key, "hi").await.status, 400, "{key}");
    }
    let body = json!({"replyToken": world.token("x"), "messages": [text("hi")]}).to_string();
    let headers = [("x-line-retry-key", KEY)];
    let path = "/v2/bot/message/reply";
    assert_eq!(
        world.send(Method::POST, path, &headers, &body).await.status,
        400
    );
    assert!(world.sent(&world.bot).is_empty());
}

#[tokio::test]
async fn takes_one_to_five_messages_of_up_to_5000_utf_16_units() {
    let world = World::new().await;
    let push = async |messages: Value| {
        let body = json!({"to": world.ada, "messages": messages});
        world.post("/v2/bot/message/push", body).await
    };
    assert_eq!(push(json!(vec![text("a"); 5])).await.status, 200);
    for count in [0, 6] {
        let answer = push(json!(vec![text("a"); count])).await;
        assert_eq!(
            (answer.status, answer.properties()),
            (400, vec!["messages".to_owned()])
        );
    }
    // An apple is two units.
    assert_eq!(push(json!([text(&"🍎".repeat(2500))])).await.status, 200);
    let long = push(json!([
        text("fine"),
        text(&format!("{}a", "🍎".repeat(2500)))
    ]))
    .await;
    assert_eq!(long.message(), "The request body has 1 error(s)");
    assert_eq!(long.properties(), ["messages[1].text"]);
    let several = push(json!([text(""), {"type": "carousel"}])).await;
    assert_eq!(
        several.properties(),
        ["messages[0].text", "messages[1].type"]
    );
    assert_eq!(world.sent(&world.bot).len(), 6);
}

#[tokio::test]
async fn names_the_property_that_breaks_a_rule() {
    let world = World::new().await;
    let items = |count: usize| {
        let action = json!({"type": "message", "label": "a", "text": "b"});
        json!({"items": vec![json!({"type": "action", "action": action}); count]})
    };
    let postback =
        |label: &str, data: &str| json!({"type": "postback", "label": label, "data": data});
    let buttons = |text: &str, title: Option<&str>, actions: Vec<Value>| {
        let mut template = json!({"type": "buttons", "text": text, "actions": actions});
        if let Some(title) = title {
            template["title"] = title.into();
        }
        json!({"type": "template", "altText": "a", "template": template})
    };
    let quick = |items: Value| json!({"type": "text", "text": "x", "quickReply": items});
    let carousel = |sizes: &[usize]| {
        let columns: Vec<Value> = sizes
            .iter()
            .map(|size| json!({"text": "t", "actions": vec![postback("a", "b"); *size]}))
            .collect();
        json!({"type": "template", "altText": "a", "template": {"type": "carousel", "columns": columns}})
    };
    let image = |url: &str| json!({"type": "image", "originalContentUrl": url, "previewImageUrl": "https://e.test/p.png"});
    let cases = [
        (quick(items(13)), ""),
        (quick(items(14)), "messages[0].quickReply.items"),
        (
            buttons(&"a".repeat(160), None, vec![postback("a", "b")]),
            "",
        ),
        (
            buttons(&"a".repeat(161), None, vec![postback("a", "b")]),
            "messages[0].template.text",
        ),
        (
            buttons(&"a".repeat(61), Some("t"), vec![postback("a", "b")]),
            "messages[0].template.text",
        ),
        (
            buttons("t", None, vec![postback("a", "b"); 5]),
            "messages[0].template.actions",
        ),
        // Labels count what a reader counts: a family is one.
        (
            buttons("t", None, vec![postback(&"👨‍👩‍👧".repeat(20), "b")]),
            "",
        ),
        (
            buttons("t", None, vec![postback(&"a".repeat(21), "b")]),
            "messages[0].template.actions[0].label",
        ),
        (
            buttons("t", None, vec![postback("a", &"d".repeat(301))]),
            "messages[0].template.actions[0].data",
        ),
        (carousel(&[2, 2]), ""),
        (carousel(&[2, 1]), "messages[0].template.columns"),
        (carousel(&[1; 11]), "messages[0].template.columns"),
        (image("https://e.test/i.png"), ""),
        (
            image("http://e.test/i.png"),
            "messages[0].originalContentUrl",
        ),
        (
            json!({"type": "text", "text": "a $", "emojis": [{"index": 2, "productId": "p", "emojiId": "1"}]}),
            "",
        ),
        (
            json!({"type": "text", "text": "a $", "emojis": [{"index": 1, "productId": "p", "emojiId": "1"}]}),
            "messages[0].emojis[0].index",
        ),
        (
            json!({"type": "textV2", "text": "Hi {u}"}),
            "messages[0].substitution.u",
        ),
        (json!({"type": "textV2", "text": "Hi {{u}}"}), ""),
        (
            json!({"type": "audio", "originalContentUrl": "https://e.test/a.m4a"}),
            "messages[0].duration",
        ),
        (
            json!({"type": "location", "title": "t", "address": "a", "latitude": 1.0}),
            "messages[0].longitude",
        ),
    ];
    for (message, property) in cases {
        let answer = world.push(message.clone()).await;
        if property.is_empty() {
            assert_eq!(answer.status, 200, "{message} {}", answer.message());
        } else {
            assert_eq!(answer.status, 400, "{message}");
            assert_eq!(answer.properties(), [property], "{message}");
        }
    }
}

#[tokio::test]
async fn judges_flex_messages_by_shape_and_size() {
    let world = World::new().await;
    let bubble = |contents: Value| json!({"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": contents}});
    let flex = |contents: Value| json!({"type": "flex", "altText": "a", "contents": contents});
    let word = json!({"type": "text", "text": "x"});
    let carousel =
        |count: usize| json!({"type": "carousel", "contents": vec![bubble(json!([word])); count]});
    let cases = [
        (flex(bubble(json!([word]))), ""),
        (flex(carousel(12)), ""),
        (flex(carousel(13)), "/contents"),
        (
            flex(bubble(json!([{"type": "text", "text": ""}]))),
            "/body/contents/0/text",
        ),
        (
            flex(bubble(json!([{"type": "blink"}]))),
            "/body/contents/0/type",
        ),
        (
            flex(bubble(json!([{"type": "button"}]))),
            "/body/contents/0/action",
        ),
        (flex(json!({"type": "bubble"})), "/"),
        (
            flex(bubble(
                json!([{"type": "text", "text": "x".repeat(31_000)}]),
            )),
            "/",
        ),
    ];
    for (message, property) in cases {
        let answer = world.push(message).await;
        if property.is_empty() {
            assert_eq!(answer.status, 200, "{}", answer.message());
        } else {
            assert_eq!(
                answer.message(),
                "A message (messages[0]) in the request body is invalid"
            );
            assert_eq!(answer.properties(), [property]);
        }
    }
}

#[tokio::test]
async fn quotes_only_what_is_in_the_chat() {
    let world = World::new().await;
    world.token("quote me");
    let event = world.events(&world.bot).pop().unwrap();
    let quote = event["message"]["quoteToken"].as_str().unwrap();
    let quoting = |token: &str| json!({"type": "text", "text": "as you said", "quoteToken": token});
    assert_eq!(world.push(quoting(quote)).await.status, 200);
    assert_eq!(
        world.push(quoting(quote)).await.status,
        200,
        "more than once"
    );
    let wrong = world.push(quoting("nonsense")).await;
    assert_eq!(wrong.properties(), ["messages[0].quoteToken"]);
    let group = world
        .group("Team", Some(&world.bot), &[&world.ada])
        .unwrap();
    let body = json!({"to": group, "messages": [quoting(quote)]});
    assert_eq!(world.post("/v2/bot/message/push", body).await.status, 400);
    let image = json!({
        "type": "image", "originalContentUrl": "https://e.test/i.png", "previewImageUrl": "https://e.test/i.png",
        "quoteToken": quote,
    });
    assert_eq!(world.push(image).await.status, 400);
}

#[tokio::test]
async fn mentions_are_for_members_of_groups() {
    let world = World::new().await;
    let group = world
        .group("Team", Some(&world.bot), &[&world.ada])
        .unwrap();
    let ben = world.user("Ben");
    let mention = async |to: &str, user: &str| {
        let who = json!({"type": "mention", "mentionee": {"type": "user", "userId": user}});
        let message = json!({"type": "textV2", "text": "Hi {u}", "substitution": {"u": who}});
        let body = json!({"to": to, "messages": [message]});
        world.post("/v2/bot/message/push", body).await.status
    };
    assert_eq!(mention(&group, &world.ada).await, 200);
    assert_eq!(mention(&group, &ben).await, 400);
    assert_eq!(mention(&world.ada, &world.ada).await, 400);
}

#[tokio::test]
async fn the_monthly_limit_counts_recipients_of_pushes_and_ends_with_the_month() {
    let bot = NewBot::new(SECRET, TOKEN, "Kit").quota(3);
    let world = World::with(LineConfig::default(), bot).await;
    let ben = world.user("Ben");
    let group = world
        .group("Team", Some(&world.bot), &[&world.ada, &ben])
        .unwrap();
    let body = json!({"to": group, "messages": [text("a"), text("b")]});
    assert_eq!(
        world
            .post("/v2/bot/message/push", body.clone())
            .await
            .status,
        200
    );
    let used = world.get("/v2/bot/message/quota/consumption").await.json();
    assert_eq!(used, json!({"totalUsage": 2}));
    let over = world.post("/v2/bot/message/push", body.clone()).await;
    assert_eq!(
        (over.status, over.message()),
        (429, "You have reached your monthly limit.".into())
    );
    // Replies are free.
    let token = world.token("hello");
    assert_eq!(world.reply(&token, "hi").await.status, 200);
    let quota = world.get("/v2/bot/message/quota").await.json();
    assert_eq!(quota, json!({"type": "limited", "value": 3}));
    world.advance(Duration::from_secs(31 * 24 * 3600));
    let used = world.get("/v2/bot/message/quota/consumption").await.json();
    assert_eq!(used, json!({"totalUsage": 0}));
    assert_eq!(world.post("/v2/bot/message/push", body).await.status, 200);
}

#[tokio::test]
async fn pushes_to_whom_it_knows_and_says_nothing_of_blocks() {
    let world = World::new().await;
    let push = async |to: &str| {
        let body = json!({"to": to, "messages": [text("x")]});
        world.post("/v2/bot/message/push", body).await
    };
    let wrong = push("ada").await;
    assert!(
        wrong
            .message()
            .starts_with("The property, 'to', in the request body is invalid")
    );
    let unknown = push(&format!("U{}", "0".repeat(32))).await;
    assert_eq!(
        (unknown.status, unknown.message()),
        (400, "Failed to send messages".into())
    );
    let group = world.group("Team", None, &[&world.ada]).unwrap();
    assert_eq!(push(&group).await.status, 400);
    world.follow(&world.bot, &world.ada).unwrap();
    world.unfollow(&world.bot, &world.ada).unwrap();
    assert_eq!(push(&world.ada).await.status, 200);
    assert!(!world.sent(&world.bot)[0].delivered);
}

#[tokio::test]
async fn checks_messages_without_sending_them() {
    let world = World::new().await;
    let path = "/v2/bot/message/validate/push";
    assert_eq!(
        world
            .post(path, json!({"messages": [text("a")]}))
            .await
            .status,
        200
    );
    let bad = world.post(path, json!({"messages": [text("")]})).await;
    assert_eq!(bad.properties(), ["messages[0].text"]);
    assert!(world.sent(&world.bot).is_empty());
}

#[tokio::test]
async fn many_at_once() {
    let world = World::new().await;
    world.follow(&world.bot, &world.ada).unwrap();
    let body = json!({"to": [world.ada], "messages": [text("a")]});
    assert_eq!(
        world.post("/v2/bot/message/multicast", body).await.status,
        200
    );
    let everybody = json!({"messages": [text("b")]});
    assert_eq!(
        world
            .post("/v2/bot/message/broadcast", everybody)
            .await
            .status,
        200
    );
    assert_eq!(world.sent(&world.bot).len(), 2);
    let body = json!({"to": vec![&world.ada; 501], "messages": [text("a")]});
    let over = world.post("/v2/bot/message/multicast", body).await;
    assert_eq!(over.properties(), ["to"]);
}
