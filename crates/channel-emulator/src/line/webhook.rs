//! Delivery of events to webhooks. <https://developers.line.biz/en/docs/messaging-api/receiving-messages/>

use std::sync::Weak;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::Instant;
use url::Url;

use super::engine::{Inner, Line, upgrade};
use super::model::{Delivery, Hidden, Parcel};
use super::state::{State, ids, log};
use crate::client;
use crate::common::faults::take;

/// The most that is read of a webhook's answer.
const MAX_ANSWER: usize = 64 * 1024;

/// What one delivery needs.
struct Job {
    bot: String,
    secret: Hidden,
    target: Url,
    parcel: Parcel,
}

/// Delivers events until the platform is gone: the first deliveries of an account one after the other, repeated ones
/// beside them.
pub(crate) async fn serve(platform: Weak<Inner>) {
    loop {
        let Some(line) = upgrade(&platform) else {
            return;
        };
        let mut changes = line.changes();
        let (jobs, next) = line.quietly(|state| due(state, Instant::now()));
        for job in jobs {
            tokio::spawn(deliver(line.clone(), job));
        }
        drop(line);
        let retry = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = retry => {}
        }
    }
}

/// What can be delivered now, and when to look again.
fn due(state: &mut State, now: Instant) -> (Vec<Job>, Option<Instant>) {
    let mut jobs = Vec::new();
    let mut next: Option<Instant> = None;
    for bot in state.bots.values_mut() {
        let Some(target) = bot.webhook.clone() else {
            bot.queue.clear();
            continue;
        };
        let mut waiting = std::mem::take(&mut bot.queue);
        while let Some(parcel) = waiting.pop_front() {
            let is_first = parcel.attempt == 1;
            if parcel.due > now {
                next = Some(next.map_or(parcel.due, |next| next.min(parcel.due)));
                bot.queue.push_back(parcel);
            } else if is_first && bot.busy {
                bot.queue.push_back(parcel);
            } else {
                bot.busy |= is_first;
                jobs.push(Job {
                    bot: bot.id.clone(),
                    secret: bot.secret.clone(),
                    target: target.clone(),
                    parcel,
                });
            }
        }
    }
    (jobs, next)
}

async fn deliver(line: Line, job: Job) {
    let Job {
        bot,
        secret,
        target,
        mut parcel,
    } = job;
    let (twice, reverse, forge) = line.quietly(|state| {
        let faults = &mut state.faults;
        (
            take(&mut faults.duplicate),
            parcel.events.len() > 1 && take(&mut faults.reorder),
            take(&mut faults.forge),
        )
    });
    if reverse {
        parcel.events.reverse();
    }
    let body = body(&bot, &parcel.events);
    let key = if forge { "another secret" } else { &secret.0 };
    let mut accepted = false;
    for _ in 0..=u8::from(twice) {
        let answer = post(&line, &target, key, body.clone()).await;
        accepted = matches!(answer, Ok(200..=299));
        line.with(|state| {
            let delivery = Delivery {
                bot: bot.clone(),
                events: ids(&parcel.events),
                attempt: parcel.attempt,
                status: answer.as_ref().ok().copied(),
                error: answer.err(),
            };
            log(&mut state.deliveries, delivery);
        });
    }
    let (wait, times) = (
        line.config().webhook_retry,
        line.config().webhook_redeliveries,
    );
    line.with(|state| {
        let Some(account) = state.bots.get_mut(&bot) else {
            return;
        };
        account.busy &= parcel.attempt != 1;
        if !accepted && account.redelivery && parcel.attempt <= times {
            parcel.attempt += 1;
            parcel.due = Instant::now() + wait;
            parcel.events.iter_mut().for_each(mark);
            account.queue.push_back(parcel);
        }
    });
}

/// A repeated event is the same but for this mark.
fn mark(event: &mut Value) {
    if let Some(context) = event.get_mut("deliveryContext") {
        *context = json!({"isRedelivery": true});
    }
}

/// The body of a webhook request.
pub(crate) fn body(bot: &str, events: &[Value]) -> Bytes {
    json!({"destination": bot, "events": events})
        .to_string()
        .into()
}

/// Posts a signed body; gives the status, or the platform's word for what went wrong.
pub(crate) async fn post(
    line: &Line,
    target: &Url,
    secret: &str,
    body: Bytes,
) -> Result<u16, String> {
    let mut headers = vec![
        (
            "content-type",
            HeaderValue::from_static("application/json; charset=utf-8"),
        ),
        ("user-agent", HeaderValue::from_static("LineBotWebhook/2.0")),
    ];
    if let Ok(signature) = HeaderValue::from_str(&sign(secret, &body)) {
        headers.push(("x-line-signature", signature));
    }
    let timeout = line.config().webhook_timeout;
    client::request(Method::POST, target, headers, body, MAX_ANSWER, timeout)
        .await
        .map(|(status, _)| status)
        .map_err(|error| reason(&error).to_owned())
}

fn reason(error: &str) -> &'static str {
    match error {
        "Read timeout expired" => "request_timeout",
        "Connection closed" | "Response is too big or incomplete" => "unclassified",
        _ => "could_not_connect",
    }
}

/// <https://developers.line.biz/en/reference/messaging-api/#signature-validation>
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map(|mut mac| {
            mac.update(body);
            STANDARD.encode(mac.finalize().into_bytes())
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::sign;

    const SECRET: &str = "synthetic_channel_secret_0001";

    /// Made by line-bot-sdk 3.27.0 (Python) and @line/bot-sdk 11.0.0 (Node), which agree.
    #[test]
    fn signs_as_the_official_sdks_do() {
        let empty = br#"{"destination":"U00000000000000000000000000000000","events":[]}"#;
        assert_eq!(
            sign(SECRET, empty),
            "pvGd9kuTX8/AJ1a4UOE87rTOMMy+OCBUYFVmGKwSDxI="
        );
    }
}
