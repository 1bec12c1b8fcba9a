//! Callbacks. <https://developer.work.weixin.qq.com/document/path/90930>

use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::cipher::sign;
use super::engine::{Inner, Wecom, upgrade};
use super::model::{ActionError, Bot, Callback, Cause, Delivery, Parcel, Product, Topic};
use super::passive;
use super::state::{State, log};
use super::xml::Element;
use crate::client;
use crate::common::faults::take;

/// The most that is read of an answer: a stream with pictures in it.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// How far back a stale signature is made.
const STALE_S: i64 = 600;

/// What one delivery needs.
struct Job {
    bot: String,
    parcel: Parcel,
}

/// A request with its signature.
pub(super) struct Sealed {
    pub(super) url: Url,
    pub(super) nonce: String,
    body: Bytes,
    kind: &'static str,
}

/// Delivers callbacks until the platform is gone: the first deliveries of a bot one after the other, repeated ones and
/// refreshes of streams beside them.
pub(crate) async fn serve(platform: Weak<Inner>) {
    loop {
        let Some(wecom) = upgrade(&platform) else {
            return;
        };
        let mut changes = wecom.changes();
        let (jobs, next) = wecom.quietly(|state| due(state, Instant::now()));
        for job in jobs {
            tokio::spawn(deliver(wecom.clone(), job));
        }
        drop(wecom);
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

/// A first delivery has to wait for the one before it.
const fn is_ordered(parcel: &Parcel) -> bool {
    parcel.attempt == 1 && !matches!(parcel.cause.topic, Topic::Poll(_))
}

/// What can be delivered now, and when to look again.
fn due(state: &mut State, now: Instant) -> (Vec<Job>, Option<Instant>) {
    let mut jobs = Vec::new();
    let mut next: Option<Instant> = None;
    for bot in state.bots.values_mut() {
        let mut waiting = std::mem::take(&mut bot.queue);
        while let Some(parcel) = waiting.pop_front() {
            if parcel.due > now {
                next = Some(next.map_or(parcel.due, |next| next.min(parcel.due)));
                bot.queue.push_back(parcel);
            } else if is_ordered(&parcel) && bot.busy {
                bot.queue.push_back(parcel);
            } else {
                bot.busy |= is_ordered(&parcel);
                jobs.push(Job {
                    bot: bot.id.clone(),
                    parcel,
                });
            }
        }
    }
    (jobs, next)
}

/// Encrypts and signs a payload for a bot.
fn seal(state: &mut State, bot: &str, payload: &str) -> Option<Sealed> {
    let forge = take(&mut state.faults.forge);
    let stale = take(&mut state.faults.stale);
    let random = state.bytes();
    let nonce = state.random().to_string();
    let account = state.bot(bot)?;
    let callback = account.callback.as_ref()?;
    let encrypted = callback
        .key
        .encrypt(random, payload.as_bytes(), account.receive_id());
    let body = match account.product {
        Product::App => Element::node(
            "xml",
            vec![
                Element::text("ToUserName", &account.corp),
                Element::text("AgentID", &account.agent.to_string()),
                Element::text("Encrypt", &encrypted),
            ],
        )
        .write(),
        Product::Group => Element::node("xml", vec![Element::text("Encrypt", &encrypted)]).write(),
        _ => json!({"encrypt": encrypted}).to_string(),
    };
    let kind = match account.product {
        Product::App | Product::Group => "text/xml",
        _ => "application/json",
    };
    let seconds = state.now_ms / 1000 - if stale { STALE_S } else { 0 };
    let token = if forge {
        "another token"
    } else {
        &callback.token.0
    };
    let url = signed(callback, token, seconds, &nonce, &encrypted);
    Some(Sealed {
        url,
        nonce,
        body: body.into(),
        kind,
    })
}

fn signed(callback: &Callback, token: &str, seconds: i64, nonce: &str, encrypted: &str) -> Url {
    let seconds = seconds.to_string();
    let mut url = callback.url.clone();
    url.query_pairs_mut()
        .append_pair("msg_signature", &sign(token, &seconds, nonce, encrypted))
        .append_pair("timestamp", &seconds)
        .append_pair("nonce", nonce);
    url
}

async fn deliver(wecom: Wecom, job: Job) {
    let Job { bot, mut parcel } = job;
    let sealed = wecom.quietly(|state| {
        let twice = take(&mut state.faults.duplicate);
        seal(state, &bot, &parcel.payload).map(|sealed| (sealed, twice))
    });
    let Some((sealed, twice)) = sealed else {
        return;
    };
    let mut accepted = false;
    for _ in 0..=u8::from(twice) {
        accepted = post(&wecom, &bot, &parcel, &sealed).await;
    }
    let (wait, times) = (
        wecom.config().callback_retry,
        wecom.config().callback_retries,
    );
    let (pause, life) = (wecom.config().poll_interval, wecom.config().stream_life);
    wecom.with(|state| {
        if is_ordered(&parcel)
            && let Some(account) = state.bots.get_mut(&bot)
        {
            account.busy = false;
        }
        if let Topic::Poll(stream) = &parcel.cause.topic {
            let stream = stream.clone();
            poll(state, &bot, &stream, pause, life);
        } else if !accepted && parcel.attempt <= times {
            parcel.attempt += 1;
            parcel.due = Instant::now() + wait;
            if let Some(account) = state.bots.get_mut(&bot) {
                account.queue.push_back(parcel);
            }
        }
    });
}

/// Posts once and takes the passive reply; whether the answer was 200.
async fn post(wecom: &Wecom, bot: &str, parcel: &Parcel, sealed: &Sealed) -> bool {
    let headers = vec![
        ("content-type", HeaderValue::from_static(sealed.kind)),
        ("user-agent", HeaderValue::from_static("Mozilla/4.0")),
    ];
    let timeout = wecom.config().callback_timeout;
    let body = sealed.body.clone();
    let answer = client::request(
        Method::POST,
        &sealed.url,
        headers,
        body,
        MAX_ANSWER,
        timeout,
    )
    .await;
    let (pause, life) = (wecom.config().poll_interval, wecom.config().stream_life);
    let (status, body, error) = match answer {
        Ok((status, body)) => (Some(status), body, None),
        Err(error) => (None, Bytes::new(), Some(error)),
    };
    wecom.with(|state| {
        let mut delivery = Delivery {
            bot: bot.to_owned(),
            topic: parcel.cause.topic.name().to_owned(),
            id: parcel.cause.id.clone(),
            attempt: parcel.attempt,
            status,
            error,
            reply: None,
        };
        if status == Some(200) && !body.is_empty() {
            match passive::read(state, bot, &sealed.nonce, &body) {
                Err(refusal) => delivery.error = Some(format!("{}", refusal.code())),
                Ok(reply) => {
                    delivery.reply = Some(reply.clone());
                    let taken = passive::take(state, bot, &parcel.cause, reply);
                    match taken {
                        Ok(Some(stream)) => poll(state, bot, &stream, pause, life),
                        Ok(None) => {}
                        Err(error) => delivery.error = Some(error.words),
                    }
                }
            }
        }
        log(&mut state.deliveries, delivery);
    });
    status == Some(200)
}

/// Plans the next refresh of a stream, or ends it.
fn poll(state: &mut State, bot: &str, stream: &str, pause: Duration, life: Duration) {
    let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    let now = state.now_ms;
    let key = (bot.to_owned(), stream.to_owned());
    let Some(known) = state.streams.get(&key).filter(|known| !known.is_finished) else {
        return;
    };
    let (cause, message) = (known.cause.clone(), known.message.clone());
    if now - known.since_ms >= life {
        // What was there last stays.
        if let Some(known) = state.streams.get_mut(&key) {
            known.is_finished = true;
        }
        if let Some(message) = state.message(bot, &message) {
            message.is_finished = true;
        }
        return;
    }
    let is_planned = state.bot(bot).is_some_and(|account| {
        let same = |parcel: &Parcel| matches!(&parcel.cause.topic, Topic::Poll(s) if s == stream);
        account.queue.iter().any(same)
    });
    if is_planned {
        return;
    }
    let id = state.id("msg");
    let mut body = super::tell::ai(state, (bot, &cause.chat), &cause.user, &id);
    body.insert("msgtype".into(), "stream".into());
    body.insert("stream".into(), json!({"id": stream}));
    let payload = serde_json::Value::from(body).to_string();
    let parcel = Parcel {
        cause: Cause {
            topic: Topic::Poll(stream.to_owned()),
            id,
            ..cause
        },
        payload,
        attempt: 1,
        due: Instant::now() + pause,
    };
    if let Some(account) = state.bots.get_mut(bot) {
        account.queue.push_back(parcel);
    }
}

impl Wecom {
    /// Checks a callback address as the console does when it is saved; whether it answered the right words in time.
    ///
    /// # Errors
    /// When the bot is unknown or has no callback.
    pub async fn check(&self, bot: &str) -> Result<bool, ActionError> {
        let (url, words) = self.quietly(|state| {
            let random = state.bytes();
            let nonce = state.random().to_string();
            let words = state.random().to_string();
            let seconds = state.now_ms / 1000;
            let forge = take(&mut state.faults.forge);
            let account: &Bot = state.bot(bot).ok_or(ActionError::UnknownBot)?;
            let callback = account
                .callback
                .as_ref()
                .ok_or(ActionError::NotHere("no callback"))?;
            let receive_id = account.receive_id();
            let encrypted = callback.key.encrypt(random, words.as_bytes(), receive_id);
            let token = if forge {
                "another token"
            } else {
                &callback.token.0
            };
            let mut url = signed(callback, token, seconds, &nonce, &encrypted);
            url.query_pairs_mut().append_pair("echostr", &encrypted);
            Ok((url, words))
        })?;
        let timeout = self.config().check_timeout;
        let answer = client::request(
            Method::GET,
            &url,
            Vec::new(),
            Bytes::new(),
            MAX_ANSWER,
            timeout,
        )
        .await;
        let (status, body, error) = match answer {
            Ok((status, body)) => (Some(status), body, None),
            Err(error) => (None, Bytes::new(), Some(error)),
        };
        let is_right = status == Some(200) && body == words.as_bytes();
        self.with(|state| {
            let delivery = Delivery {
                bot: bot.to_owned(),
                topic: "check".to_owned(),
                id: words,
                attempt: 1,
                status,
                error,
                reply: None,
            };
            log(&mut state.deliveries, delivery);
        });
        Ok(is_right)
    }
}
