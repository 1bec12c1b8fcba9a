//! How events reach an app: by webhook, or over one of its long connections.
//!
//! <https://open.feishu.cn/document/server-docs/event-subscription-guide/overview>

use std::sync::Weak;

use bytes::Bytes;
use http::{HeaderValue, Method};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::crypto::{Frame, encrypt, sign};
use super::engine::{Feishu, Inner, upgrade};
use super::model::{Delivery, Hidden, Parcel};
use super::state::{State, log};
use crate::client;
use crate::common::faults::take;
use crate::common::json::Parts as _;
use crate::common::socket::Socket;

/// The most that is read of a webhook's answer.
const MAX_ANSWER: usize = 256 * 1024;

/// Delivers events until the platform is gone.
pub(crate) async fn serve(platform: Weak<Inner>) {
    loop {
        let Some(feishu) = upgrade(&platform) else {
            return;
        };
        let mut changes = feishu.changes();
        let (jobs, next) = feishu.quietly(|state| due(state, Instant::now()));
        for (app, parcel) in jobs {
            tokio::spawn(deliver(feishu.clone(), app, parcel));
        }
        drop(feishu);
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
fn due(state: &mut State, now: Instant) -> (Vec<(String, Parcel)>, Option<Instant>) {
    let mut jobs = Vec::new();
    let mut next: Option<Instant> = None;
    for app in state.apps.values_mut() {
        for parcel in std::mem::take(&mut app.queue) {
            if parcel.due > now {
                next = Some(next.map_or(parcel.due, |next| next.min(parcel.due)));
                app.queue.push_back(parcel);
            } else {
                jobs.push((app.id.clone(), parcel));
            }
        }
    }
    (jobs, next)
}

/// How a try ended: the status, or why there is none; and the body of the answer.
type Try = (Result<i64, &'static str>, Value);

async fn deliver(feishu: Feishu, app: String, mut parcel: Parcel) {
    let twice =
        parcel.callback.is_none() && feishu.quietly(|state| take(&mut state.faults.duplicate));
    let mut accepted = false;
    for _ in 0..=u8::from(twice) {
        let (status, answer) = attempt(&feishu, &app, &parcel).await;
        accepted = status == Ok(200);
        feishu.with(|state| {
            let delivery = Delivery {
                app: app.clone(),
                event: parcel.id.clone(),
                attempt: parcel.attempt,
                status: status.ok(),
                error: status.err().map(str::to_owned),
            };
            log(&mut state.deliveries, delivery);
            if let Some(token) = &parcel.callback {
                state.answered(token, accepted.then_some(answer));
            }
        });
    }
    if accepted || parcel.callback.is_some() {
        return;
    }
    let waits = &feishu.config().redelivery;
    let wait = usize::try_from(parcel.attempt - 1)
        .ok()
        .and_then(|nth| waits.get(nth));
    if let Some(wait) = wait {
        parcel.attempt += 1;
        parcel.due = Instant::now() + *wait;
        feishu.with(|state| {
            if let Some(app) = state.apps.get_mut(&app) {
                app.queue.push_back(parcel);
            }
        });
    }
}

/// The way to an app, as it is at this moment.
enum Way {
    Post {
        url: Url,
        key: Option<Hidden>,
        iv: [u8; 16],
        nonce: String,
        now: String,
    },
    Frames {
        number: u64,
        service: i32,
        socket: Socket,
        message_id: String,
        last_first: bool,
        kind: &'static str,
    },
    Nowhere(&'static str),
}

async fn attempt(feishu: &Feishu, app: &str, parcel: &Parcel) -> Try {
    match feishu.quietly(|state| way(state, app, parcel)) {
        Way::Nowhere(why) => (Err(why), Value::Null),
        Way::Post {
            url,
            key,
            iv,
            nonce,
            now,
        } => {
            let (headers, body) = sealed(feishu, key.as_ref(), iv, &now, &nonce, &parcel.body);
            post(feishu, &url, headers, body).await
        }
        Way::Frames {
            number,
            service,
            socket,
            message_id,
            last_first,
            kind,
        } => {
            let mut frames = frames(feishu, service, &message_id, kind, &parcel.body);
            if last_first {
                frames.reverse();
            }
            let (answer, answered) = tokio::sync::oneshot::channel();
            feishu.quietly(|state| {
                if let Some(connection) = state.connection(app, number) {
                    connection.waiting.insert(message_id.clone(), answer);
                }
            });
            for frame in frames {
                socket.binary(frame);
            }
            let answer = tokio::time::timeout(feishu.config().ack_timeout, answered).await;
            feishu.quietly(|state| {
                if let Some(connection) = state.connection(app, number) {
                    connection.waiting.remove(&message_id);
                }
            });
            match answer {
                Ok(Ok(answer)) => (Ok(answer.at("code").as_i64().unwrap_or_default()), answer),
                Ok(Err(_)) => (Err("no_connection"), Value::Null),
                Err(_) => (Err("timeout"), Value::Null),
            }
        }
    }
}

fn way(state: &mut State, app: &str, parcel: &Parcel) -> Way {
    let iv = std::array::from_fn(|_| state.random().to_le_bytes()[0]);
    let nonce = state.hex();
    let now = state.now_ms.div_euclid(1000).to_string();
    let pick = state.random();
    let last_first = take(&mut state.faults.reorder);
    let silent = state.faults.silent;
    let kind = match (&parcel.callback, state.faults.card_frames) {
        (Some(_), true) => "card",
        _ => "event",
    };
    let Some(app) = state.apps.get(app) else {
        return Way::Nowhere("no_connection");
    };
    let url = match parcel.callback {
        Some(_) => &app.callbacks,
        None => &app.events,
    };
    if let Some(url) = url.clone() {
        return Way::Post {
            url,
            key: app.encrypt_key.clone(),
            iv,
            nonce,
            now,
        };
    }
    if silent {
        return Way::Nowhere("timeout");
    }
    // Each event goes to one connection, chosen at random.
    let count = u64::try_from(app.connections.len()).unwrap_or(u64::MAX);
    let chosen = pick
        .checked_rem(count)
        .and_then(|at| usize::try_from(at).ok());
    match chosen.and_then(|at| app.connections.get(at)) {
        Some(connection) => Way::Frames {
            number: connection.number,
            service: connection.service,
            socket: connection.socket.clone(),
            message_id: nonce,
            last_first,
            kind,
        },
        None => Way::Nowhere("no_connection"),
    }
}

/// A payload as frames, cut where it is too long.
fn frames(feishu: &Feishu, service: i32, message_id: &str, kind: &str, body: &Value) -> Vec<Bytes> {
    let payload = body.to_string().into_bytes();
    let pieces: Vec<&[u8]> = payload.chunks(feishu.config().fragment.max(1)).collect();
    let sum = pieces.len().to_string();
    let frame = |(seq, piece): (usize, &&[u8])| {
        let seq = seq.to_string();
        let headers = [
            ("type", kind),
            ("message_id", message_id),
            ("sum", &sum),
            ("seq", &seq),
            ("trace_id", message_id),
        ];
        Frame::new(1, service, &headers, piece.to_vec())
            .encode_to_vec()
            .into()
    };
    pieces.iter().enumerate().map(frame).collect()
}

type Headers = Vec<(&'static str, HeaderValue)>;

/// A body as it is posted: encrypted and signed where the app has an Encrypt Key.
pub(crate) fn sealed(
    feishu: &Feishu,
    key: Option<&Hidden>,
    iv: [u8; 16],
    now: &str,
    nonce: &str,
    body: &Value,
) -> (Headers, Bytes) {
    let mut headers = vec![(
        "content-type",
        HeaderValue::from_static("application/json; charset=utf-8"),
    )];
    let Some(key) = key else {
        return (headers, body.to_string().into());
    };
    let cipher = encrypt(&key.0, iv, body.to_string().as_bytes());
    let body = json!({ "encrypt": cipher }).to_string();
    let forge = feishu.quietly(|state| take(&mut state.faults.forge));
    let signing = if forge { "another key" } else { &key.0 };
    let signature = sign(now, nonce, signing, body.as_bytes());
    let signed = [
        ("x-lark-request-timestamp", now),
        ("x-lark-request-nonce", nonce),
        ("x-lark-signature", &signature),
    ];
    for (name, value) in signed {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((name, value));
        }
    }
    (headers, body.into())
}

/// Posts a body; the answer is read as JSON where it is some.
pub(crate) async fn post(feishu: &Feishu, url: &Url, headers: Headers, body: Bytes) -> Try {
    let timeout = feishu.config().ack_timeout;
    match client::request(Method::POST, url, headers, body, MAX_ANSWER, timeout).await {
        Ok((status, answer)) => (
            Ok(i64::from(status)),
            serde_json::from_slice(&answer).unwrap_or_default(),
        ),
        Err(error) if error == "Read timeout expired" => (Err("timeout"), Value::Null),
        Err(_) => (Err("could_not_connect"), Value::Null),
    }
}
