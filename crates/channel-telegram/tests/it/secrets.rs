//! Nothing that is shown or logged holds a token or a secret.

use channel_core::{Channel as _, Events as _, OutboundMessage, Target, Upload, Webhook as _};
use channel_telegram::{Telegram, TelegramConfig};
use channel_testkit::{Failure, Reply, assert_absent, canary, capture_tracing};
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::json;

use crate::fake::Fake;
use crate::webhook::request;

#[test]
fn no_token_and_no_secret_is_ever_shown() {
    let (token_secret, webhook_secret) = (canary(), canary());
    let token = format!("4242:{token_secret}");
    let fake = Fake::new();
    let mut shown = String::new();
    let ((), logs) = fake.run(capture_tracing(async {
        let mut config = TelegramConfig::new(token.as_str());
        config.webhook_secret = Some(webhook_secret.as_str().into());
        shown += &format!("{config:?}");
        let builder = Telegram::builder()
            .token(token.as_str())
            .webhook_secret(webhook_secret.as_str())
            .transport(fake.transport.transport());
        shown += &format!("{builder:?}");
        let hooked = builder.build().unwrap();
        shown += &format!("{hooked:?} {:?}", hooked.info());
        let polling = Telegram::builder()
            .token(token.as_str())
            .transport(fake.transport.transport())
            .build()
            .unwrap();

        // Refusals of every sort, on both sides.
        let message = OutboundMessage::new(Target::chat("42"), "hello");
        let failures = [
            Failure::Unauthorized,
            Failure::Blocked,
            Failure::ServerError,
            Failure::LostAnswer,
        ];
        for failure in failures {
            fake.state.lock().unwrap().failure = Some((0, failure));
            let chat = format!("{}", 50 + shown.len());
            let message = OutboundMessage::new(Target::chat(chat), "hello");
            let error = polling.send(&message).await.unwrap_err();
            shown += &format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        }
        fake.state.lock().unwrap().failure = None;
        // Servers that echo what they were asked.
        for body in [
            format!(r#"{{"ok":false,"error_code":400,"description":"Bad Request: {token}"}}"#),
            format!("<html>/bot{token}/sendMessage not found</html>"),
            format!(r#"{{"ok":true,"result":"{token}"}}"#),
        ] {
            for status in [
                StatusCode::OK,
                StatusCode::BAD_REQUEST,
                StatusCode::BAD_GATEWAY,
            ] {
                fake.transport
                    .http
                    .once("/bot", Reply::bytes(status, body.clone()));
                let error = polling.send(&message).await.unwrap_err();
                shown += &format!("{error} {error:?}");
                fake.transport
                    .http
                    .once("/bot", Reply::bytes(status, body.clone()));
                let error = polling.probe().await.unwrap_err();
                shown += &format!("{error} {error:?}");
            }
        }
        let upload = message.clone().attach(Upload::file("f", "f"));
        shown += &format!("{:?}", polling.send(&upload).await);

        // The poll: losses, updates that cannot be read, the end.
        let mut stream = polling.events();
        fake.state.lock().unwrap().cut = true;
        fake.push(json!({"message": {"text": webhook_secret}}));
        fake.push(json!({"unheard_of": {"text": webhook_secret}}));
        for _ in 0..6 {
            let received = stream.next().await.unwrap().unwrap();
            shown += &format!("{received:?}");
            received.ack().await.unwrap();
            fake.refuse("getUpdates", 500, "Internal Server Error");
        }
        fake.state.lock().unwrap().refusals.clear();
        fake.refuse("getUpdates", 401, "Unauthorized");
        while let Some(item) = stream.next().await {
            shown += &format!("{item:?}");
        }

        // The webhook: a wrong secret, and content that holds one.
        for body in ["{", "{\"update_id\":1}"] {
            let mut request = request(body);
            let now = std::time::UNIX_EPOCH;
            let rejection = hooked.receive(&request, now).unwrap_err();
            shown += &format!("{rejection} {rejection:?}");
            let value = webhook_secret.parse().unwrap();
            request.headers_mut().insert(crate::webhook::HEADER, value);
            shown += &format!("{:?}", hooked.receive(&request, now));
        }
        fake.refuse("setWebhook", 400, "Bad Request: bad webhook");
        let error = hooked.set_webhook("https://x.example").await.unwrap_err();
        shown += &format!("{error} {error:?}");

        // Settings that are refused.
        for bad in [token_secret.as_str(), "4242:", ":x", "x:y", "4242:a b"] {
            let error = Telegram::builder()
                .token(format!("{bad} {token_secret}"))
                .build()
                .unwrap_err();
            shown += &format!("{error} {error:?}");
        }
        for base in [&token, "ftp://x", "https://", "https://a b"] {
            let builder = Telegram::builder().token(token.as_str()).api_base(base);
            let error = builder
                .transport(fake.transport.transport())
                .build()
                .unwrap_err();
            shown += &format!("{error} {error:?}");
        }
        let bad_secret = format!("{webhook_secret}!");
        let error = Telegram::builder()
            .token(token.as_str())
            .webhook_secret(bad_secret)
            .build();
        shown += &format!("{error:?}");
    }));
    assert!(logs.contains("poll failed"), "the logs are looked at");
    assert!(shown.len() > 2000);
    for secret in [&token_secret, &webhook_secret] {
        assert_absent(secret, &shown);
        assert_absent(secret, &logs);
    }
}
