//! What must not be shown anywhere.

use std::error::Error as _;
use std::time::Duration;

use channel_core::{Error, OutboundMessage};

use crate::conformance::bench::{Bench, Check, ensure, ignored};
use crate::conformance::{Happening, Place};
use crate::failure::Failure;
use crate::secrets::{canary, find_secret};
use crate::traces::capture_tracing;

const FAILURES: [Failure; 5] = [
    Failure::Unauthorized,
    Failure::Blocked,
    Failure::RateLimited(Duration::from_secs(1)),
    Failure::ServerError,
    Failure::LostAnswer,
];

fn absent(secrets: &[String], from: &str, text: &str) -> Check {
    for (number, secret) in (1..).zip(secrets) {
        let found = find_secret(secret, text);
        ensure!(
            found.is_none(),
            "{from}: number {number} is there, as {}",
            found.unwrap_or_default()
        );
    }
    Ok(())
}

fn secrets(bench: &Bench) -> Check<Vec<String>> {
    let secrets = bench.platform.secrets();
    if secrets.is_empty() {
        return ignored("the subject names no secret");
    }
    Ok(secrets)
}

/// Everything that an error can be made to say.
fn confess(error: &Error, out: &mut String) {
    out.push_str(&format!("{error}\n{error:?}\n{error:#?}\n"));
    let mut cause = error.source();
    while let Some(error) = cause {
        out.push_str(&format!("{error}\n{error:?}\n"));
        cause = error.source();
    }
}

/// Makes the channel do a bit of everything, above all fail, and collects its errors.
/// What does not succeed here is the matter of other checks.
async fn exercise(bench: &Bench, text: &str) -> Check<String> {
    let mut errors = String::new();
    let message = OutboundMessage::new(bench.direct()?, text);
    if let Ok(mut inbox) = bench.inbox().await {
        let place = Place::Direct;
        for what in [
            Happening::Text { place, text },
            Happening::Unknown,
            Happening::Malformed,
            Happening::OwnText { text },
            Happening::Text { place, text },
        ] {
            // The malformed and the own one may bring nothing, so nothing is waited for.
            let _ = inbox.happen(what).await;
        }
        for _ in 0..2 {
            if let Ok(arrived) = inbox.next().await {
                let _ = arrived.ack().await;
            }
        }
    }
    for failure in [None].into_iter().chain(FAILURES.map(Some)) {
        let works = bench.platform.fail(0, failure).await;
        if failure.is_some() && !works {
            continue;
        }
        if let Err(error) = bench.within("send", bench.channel.send(&message)).await? {
            confess(&error, &mut errors);
        }
        if let Err(error) = bench.within("probe", bench.channel.probe()).await? {
            confess(&error, &mut errors);
        }
        if let Some(typing) = bench.channel.as_typing()
            && let Err(error) = bench
                .within("typing", typing.start_typing(&message.to))
                .await?
        {
            confess(&error, &mut errors);
        }
    }
    if let Ok((_, mut request)) = bench.request().await {
        *request.body_mut() = bytes::Bytes::from(text.to_owned());
        if let Err(rejection) = bench.receive(&request) {
            errors.push_str(&format!("{rejection} {rejection:?}\n"));
        }
        request.headers_mut().clear();
        if let Err(rejection) = bench.receive(&request) {
            errors.push_str(&format!("{rejection} {rejection:?}\n"));
        }
    }
    Ok(errors)
}

pub(super) async fn hides_secrets_in_debug(bench: &Bench) -> Check {
    let secrets = secrets(bench)?;
    let channel = &bench.channel;
    let text = format!("{channel:?}\n{channel:#?}\n{:?}", channel.info());
    absent(&secrets, "Debug", &text)
}

pub(super) async fn hides_secrets_in_errors(bench: &Bench) -> Check {
    let secrets = secrets(bench)?;
    let errors = exercise(bench, "hello").await?;
    if errors.is_empty() {
        return ignored("nothing could be made to fail");
    }
    absent(&secrets, "an error", &errors)
}

pub(super) async fn hides_secrets_in_logs(bench: &Bench) -> Check {
    let secrets = secrets(bench)?;
    let (errors, logs) = capture_tracing(exercise(bench, "hello")).await;
    errors?;
    absent(&secrets, "the logs", &logs)
}

pub(super) async fn hides_content_in_errors(bench: &Bench) -> Check {
    let text = canary();
    let errors = exercise(bench, &text).await?;
    if errors.is_empty() {
        return ignored("nothing could be made to fail");
    }
    absent(&[text], "an error", &errors)
}

pub(super) async fn hides_content_in_logs(bench: &Bench) -> Check {
    let text = canary();
    let (errors, logs) = capture_tracing(exercise(bench, &text)).await;
    errors?;
    absent(&[text], "the logs", &logs)
}
