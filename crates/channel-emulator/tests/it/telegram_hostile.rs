//! Input nobody should send: the emulator answers it, and goes on.

use http::Method;
use serde_json::{Value, json};

use crate::api::{ADA, TOKEN, World};

/// Whether the emulator still works.
async fn alive(world: &World) {
    assert_eq!(world.result("getMe", json!({})).await["is_bot"], true);
}

#[tokio::test]
async fn broken_bodies_are_refused() {
    let world = World::started().await;
    let path = format!("/bot{TOKEN}/sendMessage");
    let deep = "[".repeat(100_000);
    for (kind, body) in [
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "\u{feff}{}"),
        ("application/json", deep.as_str()),
        ("application/json", r#"{"chat_id":42,"text":"\ud800"}"#),
        ("application/json", r#"{"chat_id":1e999,"text":"x"}"#),
        ("application/json", r#"{"chat_id":{},"text":[]}"#),
        ("application/json", r#"{"chat_id":42,"text":null}"#),
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=", "x"),
        (
            "multipart/form-data; boundary=xx",
            "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end",
        ),
        (
            "multipart/form-data; boundary=xx",
            "--xx\r\n\r\n\r\n--xx--\r\n",
        ),
        ("text/plain", "chat_id=42&text=x"),
        (
            "application/x-www-form-urlencoded",
            "chat_id=%ff%fe&text=%00",
        ),
    ] {
        let (status, answer) = world.send(Method::POST, &path, kind, body.to_owned()).await;
        assert!((400..500).contains(&status), "{kind} {status} {answer}");
        assert_eq!(answer["ok"], false, "{kind}");
    }
    alive(&world).await;
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_are_refused_by_every_method() {
    let world = World::started().await;
    let shapes = [
        json!(null),
        json!(true),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5e300),
        json!(""),
        json!("x"),
        json!("{\"a\":"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"type": 5, "message_id": "x"}),
        json!([{"type": "bold", "offset": u64::MAX, "length": i64::MAX}]),
        json!("\u{0}\u{1}file:1"),
    ];
    for method in [
        "sendMessage",
        "sendPhoto",
        "sendMediaGroup",
        "sendLocation",
        "sendPoll",
        "sendDice",
        "sendRichMessage",
        "sendMessageDraft",
        "copyMessage",
        "forwardMessage",
        "editMessageText",
        "editMessageMedia",
        "editMessageReplyMarkup",
        "deleteMessage",
        "deleteMessages",
        "setMessageReaction",
        "sendChatAction",
        "answerCallbackQuery",
        "getFile",
        "getChat",
        "getChatMember",
        "setMyCommands",
        "createForumTopic",
        "setWebhook",
        "getUpdates",
        "getWebhookInfo",
    ] {
        for shape in &shapes {
            let params = json!({
                "chat_id": ADA, "text": "x", "from_chat_id": ADA, "offset": shape, "limit": shape, "timeout": 0,
                "message_id": shape, "message_ids": shape, "reply_parameters": shape, "reply_markup": shape,
                "entities": shape, "caption_entities": shape, "caption": shape, "parse_mode": shape, "media": shape,
                "photo": shape, "latitude": shape, "longitude": shape, "options": shape, "question": shape,
                "rich_message": shape, "draft_id": shape, "reaction": shape, "action": shape, "commands": shape,
                "scope": shape, "url": shape, "secret_token": shape, "allowed_updates": shape, "file_id": shape,
                "user_id": shape, "name": shape, "callback_query_id": shape, "message_thread_id": shape,
            });
            let (status, answer) = world.call(method, params).await;
            assert!(
                status < 500 && answer["ok"].is_boolean(),
                "{method} {shape} {status}"
            );
        }
        let (status, _) = world.call(method, json!({})).await;
        assert!(status < 500, "{method}");
        world.call("deleteWebhook", json!({})).await;
    }
    alive(&world).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_dropped() {
    let world = World::started().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /bot HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /bot123456:TEST-TOKEN/getMe HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nshort",
        b"",
    ] {
        let answer = world.raw(bytes).await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    alive(&world).await;
}

#[tokio::test]
async fn odd_requests_get_odd_answers() {
    let world = World::started().await;
    let path = format!("/bot{TOKEN}/getMe");
    assert_eq!(world.send(Method::DELETE, &path, "", "").await.0, 405);
    for path in [
        "/bot",
        "/bot/",
        "/bot:/getMe",
        "/bot%00:x/getMe",
        "/file/bot",
        "/file/bot1:x",
        "/bot1:x",
        "//",
        "/bot-1:x/getMe",
    ] {
        let (status, answer) = world.send(Method::GET, path, "", "").await;
        assert!(
            matches!(status, 401 | 404) && answer["ok"] == Value::Bool(false),
            "{path} {status}"
        );
    }
    let traversal = format!("/file/bot{TOKEN}/../../etc/passwd");
    assert_eq!(world.send(Method::GET, &traversal, "", "").await.0, 404);
    let compressed = b"POST /bot123456:TEST-TOKEN/getMe HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    assert!(world.raw(compressed).await.starts_with(b"HTTP/1.1 415"));
    alive(&world).await;
}
