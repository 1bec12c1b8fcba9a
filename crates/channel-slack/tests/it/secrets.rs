//! Nothing that is shown or logged holds a token or a secret.

use channel_core::{Channel as _, OutboundMessage, Target, Upload, Webhook as _};
use channel_slack::{Pacing, RotatingTokens, Slack, SlackBuilder, SlackConfig, SlackMessage};
use channel_testkit::{Reply, assert_absent, canary, capture_tracing, fake_transport};
use http::{Request, StatusCode};

#[test]
fn no_token_and_no_secret_is_ever_shown() {
    let secrets: Vec<_> = (0..4).map(|_| canary()).collect();
    let fake = fake_transport();
    let mut config = SlackConfig::default();
    config.bot_token = Some(format!("xoxb-{}", secrets[0]).into());
    config.signing_secret = Some(secrets[1].as_str().into());
    config.client_id = Some("1.2".to_owned());
    config.client_secret = Some(secrets[2].as_str().into());
    let mut shown = format!("{config:?}");
    let builder = SlackBuilder::from(config).transport(fake.transport());
    shown += &format!("{builder:?}");
    let slack = builder.build().unwrap();
    shown += &format!("{slack:?} {:?} {:?}", slack.info(), slack.oauth_app());
    let ((), logs) = fake.clock.block_on(capture_tracing(async {
        let message = OutboundMessage::new(Target::chat("C1"), "x").attach(Upload::file("a", "b"));
        // Servers that echo what they were asked.
        let token = format!("xoxb-{}", secrets[0]);
        for body in [
            format!(r#"{{"ok":false,"error":"{token}"}}"#),
            format!("<html>{token}</html>"),
            format!(r#"{{"ok":true,"channel":"{token}"}}"#),
        ] {
            for status in [
                StatusCode::OK,
                StatusCode::BAD_REQUEST,
                StatusCode::BAD_GATEWAY,
            ] {
                fake.http.once("/api/", Reply::bytes(status, body.clone()));
                let error = slack.send(&message).await.unwrap_err();
                shown += &format!("{error} {error:?}");
                fake.http.once("/api/", Reply::bytes(status, body.clone()));
                let error = slack.probe().await.unwrap_err();
                shown += &format!("{error} {error:?}");
            }
        }
        let request = Request::post("/slack/events")
            .header("x-slack-signature", &secrets[3])
            .body(secrets[3].clone().into())
            .unwrap();
        let rejection = slack.receive(&request, std::time::UNIX_EPOCH).unwrap_err();
        shown += &format!("{rejection} {rejection:?} {:?}", rejection.response());
    }));
    for secret in &secrets {
        assert_absent(secret, &shown);
        assert_absent(secret, &logs);
    }
}

#[test]
fn everything_can_be_shared_between_threads() {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Slack>();
    is_shared::<SlackMessage>();
    is_shared::<RotatingTokens>();
    is_shared::<Pacing>();
}
