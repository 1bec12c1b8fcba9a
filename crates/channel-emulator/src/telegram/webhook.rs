//! Delivery of updates to a webhook. <https://core.telegram.org/bots/api#setwebhook>

use std::sync::Weak;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::answer::envelope;
use super::engine::{Inner, Telegram};
use super::params::Params;
use super::queue::Parcel;
use super::state::log;
use super::view::Delivery;
use crate::client;
use crate::common::faults::take;
use crate::common::ledger::Outcome;

/// The most that is read of a webhook's answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// A webhook as a bot has set it.
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) target: Url,
    pub(crate) secret: Option<String>,
    pub(crate) max_connections: usize,
    pub(crate) has_certificate: bool,
    pub(crate) generation: u64,
    /// Somebody delivers to it already.
    pub(crate) is_served: bool,
    /// When, in seconds since the epoch, and why the last failed delivery failed.
    pub(crate) last_error: Option<(i64, String)>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// Delivers to one webhook until it is replaced or the emulator is gone.
pub(crate) async fn serve(platform: Weak<Inner>, bot: i64, generation: u64) {
    loop {
        let Some(inner) = platform.upgrade() else {
            return;
        };
        let telegram = Telegram::from(inner);
        let mut changes = telegram.changes();
        let Some((parcels, target, secret, next)) = telegram.quietly(|state| {
            let reverse = state.faults.reorder > 0;
            let account = state.bots.get_mut(&bot)?;
            let webhook = account
                .webhook
                .as_ref()
                .filter(|webhook| webhook.generation == generation)?;
            account.queue.expire(state.now_ms);
            let room = webhook
                .max_connections
                .saturating_sub(account.queue.in_flight());
            let parcels = account.queue.due(room, reverse, Instant::now());
            if reverse && parcels.len() > 1 {
                take(&mut state.faults.reorder);
            }
            Some((
                parcels,
                webhook.target.clone(),
                webhook.secret.clone(),
                account.queue.next_attempt(),
            ))
        }) else {
            return;
        };
        for parcel in parcels {
            tokio::spawn(deliver(
                telegram.clone(),
                bot,
                generation,
                parcel,
                target.clone(),
                secret.clone(),
            ));
        }
        drop(telegram);
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

async fn deliver(
    telegram: Telegram,
    bot: i64,
    generation: u64,
    parcel: Parcel,
    target: Url,
    secret: Option<String>,
) {
    let body = Bytes::from(parcel.value.to_string());
    let mut headers = vec![("content-type", HeaderValue::from_static("application/json"))];
    if let Some(secret) = secret.and_then(|secret| HeaderValue::from_str(&secret).ok()) {
        headers.push(("x-telegram-bot-api-secret-token", secret));
    }
    let twice = telegram.quietly(|state| take(&mut state.faults.duplicate));
    let timeout = telegram.config().webhook_timeout;
    let mut answer = Err(String::new());
    for _ in 0..=u8::from(twice) {
        let attempt = client::request(
            Method::POST,
            &target,
            headers.clone(),
            body.clone(),
            MAX_ANSWER,
            timeout,
        )
        .await;
        telegram.with(|state| {
            log(
                &mut state.deliveries,
                Delivery {
                    bot,
                    update_id: parcel.id,
                    attempt: parcel.attempt,
                    status: attempt.as_ref().ok().map(|(status, _)| *status),
                    error: attempt.as_ref().err().cloned(),
                },
            );
        });
        answer = attempt;
    }
    let failure = match &answer {
        Ok((200..=299, _)) => None,
        Ok((status, _)) => Some(format!("Wrong response from the webhook: {status}")),
        Err(error) => Some(error.clone()),
    };
    let (first, longest) = (
        telegram.config().webhook_retry,
        telegram.config().webhook_retry_max,
    );
    let accepted = failure.is_none();
    telegram.with(|state| {
        let now = state.now();
        let Some(account) = state.bots.get_mut(&bot) else {
            return;
        };
        let Some(webhook) = account
            .webhook
            .as_mut()
            .filter(|webhook| webhook.generation == generation)
        else {
            return;
        };
        if let Some(failure) = failure {
            webhook.last_error = Some((now, failure));
            account
                .queue
                .refused(parcel.id, Instant::now(), first, longest);
        } else {
            account.queue.delivered(parcel.id);
        }
    });
    if accepted && let Ok((_, body)) = answer {
        reply(&telegram, bot, &body);
    }
}

/// "You can perform a request to the Bot API while sending an answer to the webhook." Its result goes nowhere.
fn reply(telegram: &Telegram, bot: i64, body: &[u8]) {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let Some(Value::String(method)) = fields.remove("method") else {
        return;
    };
    let params = Params::from_object(fields);
    let call = telegram.begin(bot, &method, &params, true);
    let answer = telegram.execute(bot, &method.to_ascii_lowercase(), &params);
    call.end(Outcome::Answered, Some(envelope(&answer)));
}
