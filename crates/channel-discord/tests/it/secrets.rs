//! Nothing that is shown or logged holds a token.

use std::time::Duration;

use channel_core::{Channel as _, Clock as _, Events as _, OutboundMessage, Target, Webhook as _};
use channel_discord::{Discord, DiscordBuilder, DiscordConfig, DiscordMessage};
use channel_testkit::{Reply, assert_absent, canary, capture_tracing, fake_transport};
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::json;

use crate::fake::{DIRECT, Fake, KEY, command};

#[test]
fn no_token_is_ever_shown() {
    let secret = canary();
    let fake = fake_transport();
    let mut config = DiscordConfig::default();
    config.bot_token = Some(secret.as_str().into());
    config.public_key = Some(KEY.to_owned());
    let mut shown = format!("{config:?}");
    let builder = DiscordBuilder::from(config).transport(fake.transport());
    shown += &format!("{builder:?}");
    let discord = builder.build().unwrap();
    shown += &format!("{discord:?} {:?}", discord.info());
    let ((), logs) = fake.clock.block_on(capture_tracing(async {
        let message = OutboundMessage::new(Target::chat("1"), "x");
        // Servers that echo what they were asked.
        for body in [
            format!(r#"{{"code":0,"message":"{secret}"}}"#),
            format!("<html>{secret}</html>"),
            format!(r#"{{"id":"{secret}"}}"#),
        ] {
            for status in [
                StatusCode::OK,
                StatusCode::BAD_REQUEST,
                StatusCode::BAD_GATEWAY,
            ] {
                for _ in 0..4 {
                    fake.http.once("/api/", Reply::bytes(status, body.clone()));
                }
                let error = discord.send(&message).await.unwrap_err();
                shown += &format!("{error} {error:?}");
                if let Err(error) = discord.probe().await {
                    shown += &format!("{error} {error:?}");
                }
            }
        }
        let mut events = discord.events();
        for _ in 0..3 {
            let sleep = fake.clock.sleep(Duration::from_secs(60));
            let next = futures_util::future::select(events.next(), sleep).await;
            if let futures_util::future::Either::Left((item, _)) = next {
                shown += &format!("{item:?}");
            }
        }
    }));
    assert_absent(&secret, &shown);
    assert_absent(&secret, &logs);
}

/// The token of an interaction is a right to write for a quarter of an hour.
#[test]
fn no_token_of_an_interaction_is_ever_shown() {
    let secret = canary();
    let fake = Fake::new();
    let discord = fake.endpoint();
    let mut data = command(1, DIRECT, "ask", "x");
    data["token"] = json!(secret);
    let mut shown = String::new();
    let ((), logs) = fake.run(capture_tracing(async {
        let accepted = discord
            .receive(&fake.signed(data.to_string()), fake.now())
            .unwrap();
        shown += &format!("{accepted:?}");
        let message = accepted.events[0].message().unwrap().clone();
        shown += &format!(
            "{message:?} {:?}",
            message.native::<DiscordMessage>().unwrap().source()
        );
        for status in [StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
            fake.transport
                .http
                .once("/api/v10/webhooks", Reply::bytes(status, secret.clone()));
            let error = discord.send(&message.reply("x")).await.unwrap_err();
            shown += &format!("{error} {error:?}");
        }
        let receipt = discord.send(&message.reply("x")).await.unwrap();
        shown += &format!("{receipt:?} {discord:?}");
    }));
    assert_absent(&secret, &shown);
    assert_absent(&secret, &logs);
}

#[test]
fn everything_can_be_shared_between_threads() {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Discord>();
    is_shared::<DiscordMessage>();
}
