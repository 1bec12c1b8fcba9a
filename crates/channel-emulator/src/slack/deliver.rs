//! Delivery to apps: signed requests with retries, and sockets.
//!
//! <https://docs.slack.dev/apis/events-api/#error-handling>,
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack/>

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Method};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::engine::{Inner, Slack, upgrade};
use super::model::Hidden;
use super::sockets::Settled;
use super::state::{State, log};
use crate::client::{self, Reply};
use crate::common::faults::take;

/// The most that is read of an app's answer.
const MAX_ANSWER: usize = 256 * 1024;

/// Which of an app's addresses something goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// The request URL of the Events API.
    Events,
    /// The request URL of interactivity.
    Interactions,
    /// The options URL of external selects.
    Options,
    /// The request URL of slash commands.
    Commands,
}

/// Something for an app.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) app: String,
    pub(crate) target: Target,
    /// What is in one lane is delivered in order.
    pub(crate) lane: String,
    pub(crate) id: String,
    pub(crate) payload: Value,
    /// The interaction that ends with its acknowledgement.
    pub(crate) settles: Option<u64>,
}

/// One try to deliver something to an app.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The app.
    pub app: String,
    /// Which way it went.
    pub target: Target,
    /// `event_id`, or the id of the interaction.
    pub id: String,
    /// 0 for the first try.
    pub attempt: usize,
    /// The HTTP status; 200 for an acknowledgement by socket.
    pub status: Option<u16>,
    /// The platform's word for what went wrong.
    pub error: Option<String>,
    /// From sending to the answer, in milliseconds.
    pub took_ms: u64,
}

impl State {
    /// Hands something to the app by the way that it has chosen.
    pub(crate) fn send_off(&mut self, parcel: Parcel) {
        let envelope = self.hex(1);
        let Some(app) = self.apps.get_mut(&parcel.app) else {
            return;
        };
        if app.socket_mode {
            let settled = app.sockets.offer(envelope, parcel, &self.settings);
            self.settle_all(settled);
        } else if self.outgoing.len() < super::state::MAX_ENTRIES {
            self.outgoing.push_back(parcel);
        }
    }

    /// Notes how deliveries by socket ended.
    pub(crate) fn settle_all(&mut self, settled: impl IntoIterator<Item = Settled>) {
        for Settled {
            parcel,
            attempt,
            outcome,
        } in settled
        {
            let delivery = Delivery {
                app: parcel.app.clone(),
                target: parcel.target,
                id: parcel.id.clone(),
                attempt,
                status: outcome.is_ok().then_some(200),
                error: outcome.as_ref().err().map(|error| (*error).to_owned()),
                took_ms: 0,
            };
            log(&mut self.deliveries, delivery);
            if let Some(number) = parcel.settles {
                self.settle(number, outcome.map_err(str::to_owned));
            }
        }
    }
}

/// Lanes that are being worked through; each entry is what waits behind the parcel under way.
type Lanes = Arc<Mutex<HashMap<String, VecDeque<Parcel>>>>;

/// Delivers until the platform is gone.
pub(crate) async fn serve(platform: Weak<Inner>) {
    let lanes = Lanes::default();
    loop {
        let Some(slack) = upgrade(&platform) else {
            return;
        };
        let mut changes = slack.changes();
        let (parcels, next, is_news) = slack.quietly(|state| {
            let (next, settled) = run_sockets(state);
            let posted = state.run_schedule();
            (std::mem::take(&mut state.outgoing), next, settled || posted)
        });
        if is_news {
            slack.with(|_| ());
        }
        for parcel in parcels {
            let lane = format!("{}/{}", parcel.app, parcel.lane);
            let mut held = lanes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = held.get_mut(&lane) {
                waiting.push_back(parcel);
            } else {
                held.insert(lane.clone(), VecDeque::new());
                tokio::spawn(work(slack.clone(), Arc::clone(&lanes), lane, parcel));
            }
        }
        drop(slack);
        let timer = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = timer => {}
        }
    }
}

/// Does what is due on the sockets of all apps; gives when to look again, and whether something has ended.
fn run_sockets(state: &mut State) -> (Option<Instant>, bool) {
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    let mut settled = Vec::new();
    for app in state.apps.values_mut() {
        let (over, due) = app.sockets.run(now, &state.settings);
        settled.extend(over);
        next = [next, due].into_iter().flatten().min();
    }
    let is_news = !settled.is_empty();
    state.settle_all(settled);
    (next, is_news)
}

/// Delivers what is in one lane; repetitions go beside it.
async fn work(slack: Slack, lanes: Lanes, lane: String, first: Parcel) {
    let mut parcel = first;
    loop {
        if let Some(retry) = attempt(&slack, &parcel, 0, "").await {
            tokio::spawn(again(slack.clone(), parcel, retry));
        }
        let mut held = lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&lane).and_then(VecDeque::pop_front) {
            Some(next) => parcel = next,
            None => {
                held.remove(&lane);
                return;
            }
        }
    }
}

/// Repeats a delivery as often as the platform does.
async fn again(slack: Slack, parcel: Parcel, mut reason: &'static str) {
    let waits = slack.config().retries.clone();
    for (number, wait) in waits.into_iter().enumerate() {
        tokio::time::sleep(wait).await;
        match attempt(&slack, &parcel, number + 1, reason).await {
            Some(next) => reason = next,
            None => return,
        }
    }
}

/// Tries once; gives the reason for another try.
async fn attempt(
    slack: &Slack,
    parcel: &Parcel,
    number: usize,
    reason: &'static str,
) -> Option<&'static str> {
    let twice =
        slack.quietly(|state| parcel.target == Target::Events && take(&mut state.faults.duplicate));
    let mut outcome = Err(("no_url", true));
    for _ in 0..=u8::from(twice) {
        let Some((target, secret)) = destination(slack, parcel) else {
            break;
        };
        let (kind, body) = encode(parcel);
        let begun = Instant::now();
        let answer = post(slack, &target, &secret, kind, body, (number, reason)).await;
        let status = answer.as_ref().ok().map(|reply| reply.status);
        outcome = judge(answer);
        let delivery = Delivery {
            app: parcel.app.clone(),
            target: parcel.target,
            id: parcel.id.clone(),
            attempt: number,
            status,
            error: outcome.as_ref().err().map(|(word, _)| (*word).to_owned()),
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        slack.with(|state| log(&mut state.deliveries, delivery));
    }
    if let Some(interaction) = parcel.settles {
        let outcome = outcome.clone().map_err(|(word, _)| (*word).to_owned());
        slack.with(|state| state.settle(interaction, outcome));
    }
    match outcome {
        Err((word, false)) if parcel.target == Target::Events => Some(word),
        _ => None,
    }
}

fn destination(slack: &Slack, parcel: &Parcel) -> Option<(Url, Hidden)> {
    slack.quietly(|state| {
        let app = state.apps.get(&parcel.app)?;
        let url = match parcel.target {
            Target::Events => &app.urls.events,
            Target::Interactions => &app.urls.interactions,
            Target::Options => &app.urls.options,
            Target::Commands => &app.urls.commands,
        };
        Some((url.clone()?, app.signing_secret.clone()))
    })
}

/// Content type and body: JSON for events, a form for the rest.
fn encode(parcel: &Parcel) -> (&'static str, Bytes) {
    const FORM: &str = "application/x-www-form-urlencoded";
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    match parcel.target {
        Target::Events => return ("application/json", parcel.payload.to_string().into()),
        Target::Interactions | Target::Options => {
            form.append_pair("payload", &parcel.payload.to_string());
        }
        Target::Commands => {
            for (name, value) in parcel.payload.as_object().into_iter().flatten() {
                form.append_pair(name, value.as_str().unwrap_or_default());
            }
        }
    }
    (FORM, form.finish().into())
}

/// The answer's body when it was an acknowledgement; otherwise the platform's word for it, and whether that is final.
fn judge(answer: Result<Reply, String>) -> Result<Value, (&'static str, bool)> {
    let reply = answer.map_err(|error| match error.as_str() {
        "Read timeout expired" => ("http_timeout", false),
        "Connection refused" | "Connection closed" => ("connection_failed", false),
        "SSL error: the emulator speaks plain HTTP only" => ("ssl_error", false),
        _ => ("unknown_error", false),
    })?;
    match reply.status {
        200..=299 => {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
        300..=399 => Err(("too_many_redirects", false)),
        _ => {
            let no_retry = reply.headers.get("x-slack-no-retry");
            Err(("http_error", no_retry.is_some_and(|value| value == "1")))
        }
    }
}

/// Posts a signed body.
pub(crate) async fn post(
    slack: &Slack,
    target: &Url,
    secret: &Hidden,
    kind: &'static str,
    body: Bytes,
    (attempt, reason): (usize, &'static str),
) -> Result<Reply, String> {
    let (seconds, forge) = slack.quietly(|state| (state.seconds(), take(&mut state.faults.forge)));
    let key = if forge { "another secret" } else { &secret.0 };
    let mut headers = vec![
        ("content-type", HeaderValue::from_static(kind)),
        (
            "user-agent",
            HeaderValue::from_static("Slackbot 1.0 (+https://api.slack.com/robots)"),
        ),
        ("x-slack-request-timestamp", HeaderValue::from(seconds)),
    ];
    if let Ok(signature) = HeaderValue::from_str(&sign(key, seconds, &body)) {
        headers.push(("x-slack-signature", signature));
    }
    if attempt > 0 {
        headers.push(("x-slack-retry-num", HeaderValue::from(attempt)));
        headers.push(("x-slack-retry-reason", HeaderValue::from_static(reason)));
    }
    let timeout = slack.config().ack_timeout;
    client::exchange(Method::POST, target, headers, body, MAX_ANSWER, timeout).await
}

/// The signature of a request.
pub(crate) fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let digest = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(format!("v0:{seconds}:").as_bytes());
        mac.update(body);
        mac.finalize().into_bytes()
    });
    let digest = digest.unwrap_or_default();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

#[cfg(test)]
mod tests {
    use super::sign;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

    /// Made by slack_sdk 3.47.0; the first one by @slack/bolt 5.1.0 too.
    #[test]
    fn signs_as_the_official_sdks_do() {
        let challenge =
            br#"{"type":"url_verification","token":"synthetic","challenge":"ch4ll3ng3"}"#;
        assert_eq!(
            sign(SECRET, 1_700_000_000, challenge),
            "v0=fc568f41733ec85014a66613e4038b3e33930662c7b6b1ad6b4e2db752d1c9d0"
        );
        assert_eq!(
            sign(SECRET, 1_700_000_000, b""),
            "v0=e32114b39f9a22e4b8d8778478b39e6ed0677e5562e5474c3104b4074f1917e2"
        );
    }
}
