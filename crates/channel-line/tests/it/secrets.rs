//! Nothing that is shown or logged holds a secret, a token or a reply token.

use channel_core::{Channel as _, Media as _, OutboundMessage, Target, Typing as _};
use channel_line::{Line, LineConfig};
use channel_testkit::{Failure, Reply, assert_absent, canary, capture_tracing};
use http::StatusCode;
use serde_json::json;

use crate::fake::{ADA, Fake, HEADER, callback, sign};

#[test]
fn no_token_and_no_secret_is_ever_shown() {
    let (secret, token, reply_token) = (canary(), canary(), canary());
    let fake = Fake::new();
    let mut shown = String::new();
    let ((), logs) = fake.run(capture_tracing(async {
        let config = LineConfig::new(secret.as_str(), token.as_str());
        shown += &format!("{config:?}");
        let builder = Line::builder()
            .channel_secret(secret.as_str())
            .channel_access_token(token.as_str())
            .transport(fake.transport.transport());
        shown += &format!("{builder:?}");
        let channel = builder.build().unwrap();
        shown += &format!("{channel:?} {:?}", channel.info());

        let mut event = fake.text("hello");
        event["replyToken"] = json!(reply_token);
        let mut request = callback(&[event]);
        shown += &format!("{:?}", fake.receive(&channel, &request));
        let signature = sign(&secret, request.body());
        request.headers_mut().insert(HEADER, signature.parse().unwrap());
        let events = fake.receive(&channel, &request).unwrap();
        shown += &format!("{events:?}");
        let question = events[0].message().unwrap();

        // Refusals of every sort, by servers that echo what they were asked.
        for status in [200, 202, 400, 401, 403, 404, 409, 410, 413, 415, 418, 429, 500, 503] {
            for body in [
                json!({"message": format!("{token} {reply_token}"), "details": [{"message": token}]}).to_string(),
                format!("<html>{token} {reply_token}</html>"),
            ] {
                let status = StatusCode::from_u16(status).unwrap();
                fake.transport.http.route(None, "/v2/bot", move |_| Reply::bytes(status, body.clone()));
                let answer = question.reply("hello");
                shown += &format!("{:?} {}", channel.send(&answer).await, channel.explain(&answer.to));
                let message = OutboundMessage::new(Target::chat(ADA), "hello");
                shown += &format!("{:?}", channel.send(&message).await);
                shown += &format!("{:?} {:?}", channel.probe().await, channel.quota().await);
                shown += &format!("{:?}", channel.start_typing(&message.to).await);
                let file = channel_core::Attachment::new("53".into(), channel_core::AttachmentKind::File);
                shown += &format!("{:?}", channel.download(&file, 5).await);
                fake.advance(3600);
            }
        }
        fake.state.lock().unwrap().failure = Some(Failure::LostAnswer);
        shown += &format!("{:?}", channel.send(&question.reply("x")).await);

        // Settings that are refused.
        for bad in [format!("{secret} x"), format!("{secret}\n")] {
            let error = Line::builder().channel_secret(bad.as_str()).channel_access_token("t").build();
            shown += &format!("{error:?}");
            let error = Line::builder().channel_secret("s").channel_access_token(bad).build();
            shown += &format!("{error:?}");
        }
        let error = Line::builder().channel_secret("s").channel_access_token("t").api_base(format!("x://{token}")).build();
        shown += &format!("{error:?}");
    }));
    assert!(
        shown.len() > 2000 && logs.contains("line refused a call"),
        "{logs}"
    );
    for secret in [&secret, &token, &reply_token] {
        assert_absent(secret, &shown);
        assert_absent(secret, &logs);
    }
}
