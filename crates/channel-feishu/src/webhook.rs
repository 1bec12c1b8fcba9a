//! Requests from Feishu
//! (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/choose-a-subscription-mode/send-notifications-to-developers-server>).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    Accepted, Answer, Event, EventKind, Held, Proof, Raw, Rejection, Route, Webhook,
};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use crate::channel::Feishu;
use crate::inbound::Reader;
use crate::limits;
use crate::presses::Presses;
use crate::shared::Shared;
use crate::verify::{self, Scheme};
use crate::wire::{Body, Envelope, OldPress};

impl Webhook for Feishu {
    fn routes(&self) -> &[Route] {
        &self.shared.routes
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        receive(&self.shared, request, now)
    }
}

/// Reads with what is known about the bot.
pub(crate) fn reader<T>(shared: &Shared, proof: Proof, read: impl FnOnce(Reader<'_>) -> T) -> T {
    let me = shared.me();
    read(Reader {
        channel: &shared.info.id,
        app: &shared.config.app_id,
        me: me.as_deref(),
        memory: Some(&shared.memory),
        proof,
    })
}

fn refused() -> Rejection {
    Rejection::unauthorized("signature")
}

fn receive(
    shared: &Arc<Shared>,
    request: &Request<Bytes>,
    now: SystemTime,
) -> Result<Accepted, Rejection> {
    let body = request.body();
    if body.len() > limits::BODY {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Rejection::new(status, "too_large"));
    }
    if *request.method() != Method::POST || !shared.config.can_verify() {
        return Err(refused());
    }
    let is_callback = request.uri().path() == shared.config.callback_path;
    let has_signature = request.headers().contains_key(verify::SIGNATURE);
    let scheme = |scheme| verify::accepts(scheme, request.headers(), body, now);
    let key = shared.config.encrypt_key.as_ref();
    let token = shared.config.verification_token.as_ref();
    let is_signed = has_signature && key.is_some_and(|key| scheme(Scheme::Event(key)));
    // Cards of version 1 are signed in a way of their own, and their requests are not sealed.
    let is_old = has_signature
        && !is_signed
        && is_callback
        && token.is_some_and(|token| scheme(Scheme::OldCard(token)));
    // A wrong signature is worse than none: with a key everything is signed but the
    // challenge, which is asked before the key is in use.
    if (has_signature && key.is_some() && !is_signed && !is_old) || !is_plain(request) {
        return Err(refused());
    }
    if is_old {
        return old_press(shared, body);
    }
    let (clear, was_sealed) = open(shared, body).ok_or_else(refused)?;
    let text = std::str::from_utf8(&clear).map_err(|_| refused())?;
    let outer: Body<'_> = serde_json::from_str(text).map_err(|_| refused())?;
    let said = outer.header.as_ref().and_then(|it| it.token.as_deref());
    let said = said.or(outer.token.as_deref()).unwrap_or_default();
    let has_token = token.is_none_or(|token| verify::same(token, said));
    let is_challenge = outer.kind.as_deref() == Some("url_verification");
    // Of a challenge the seal alone is a proof where there is no token: nobody else can make
    // one, and all that it brings is its own words.
    let is_proven = match key {
        Some(_) => is_signed || (is_challenge && (token.is_some() || was_sealed)),
        None => token.is_some(),
    };
    let app = outer.header.as_ref().and_then(|it| it.app_id.as_deref());
    let is_ours = app.is_none_or(|app| app.is_empty() || app == shared.config.app_id);
    if !has_token || !is_proven || !is_ours {
        return Err(refused());
    }
    if is_challenge {
        return challenge(outer.challenge.as_deref());
    }
    drop(outer);
    let raw = Raw::new(clear.clone());
    let events = serde_json::from_str::<Envelope<'_>>(text)
        .ok()
        .and_then(|envelope| reader(shared, Proof::Verified, |it| it.events(&envelope, &raw)))
        .ok_or(Rejection::malformed("event_id"))?;
    Ok(accepted(shared, events))
}

/// The body in clear, and whether it was sealed.
fn open(shared: &Shared, body: &Bytes) -> Option<(Bytes, bool)> {
    let Some(cipher) = &shared.cipher else {
        return Some((body.clone(), false));
    };
    let text = std::str::from_utf8(body).ok()?;
    let outer: Body<'_> = serde_json::from_str(text).ok()?;
    match outer.encrypt {
        None => Some((body.clone(), false)),
        Some(sealed) => Some((cipher.open(&sealed)?.into(), true)),
    }
}

fn is_plain(request: &Request<Bytes>) -> bool {
    let mut encodings = request.headers().get_all(CONTENT_ENCODING).iter();
    encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn json(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Whatever it says, nothing is to read it as a page.
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn challenge(challenge: Option<&str>) -> Result<Accepted, Rejection> {
    let challenge = challenge
        .filter(|text| text.len() <= limits::CHALLENGE)
        .ok_or(Rejection::malformed("challenge"))?;
    let answer = serde_json::json!({ "challenge": challenge });
    let answer = Answer::Now(json(answer.to_string()));
    Ok(Accepted::with(Vec::new(), answer))
}

/// A press is held open, so that what is said about it can be its answer.
fn accepted(shared: &Arc<Shared>, events: Vec<Event>) -> Accepted {
    let press = match events.as_slice() {
        [event] => match &event.kind {
            EventKind::Action(action) => Some(action.id.as_str().to_owned()),
            _ => None,
        },
        _ => None,
    };
    let Some(press) = press else {
        return Accepted::with(events, Answer::Now(json("{}")));
    };
    shared.presses.open(&press, shared.elapsed());
    let answer = Presses::wait(shared, &press);
    let reply = Box::pin(async move { Some(json(answer.await.to_string())) });
    let held = Held::new(reply, limits::PRESS, json("{}"));
    Accepted::with(events, Answer::Held(held))
}

/// A request that was signed as those of cards of version 1 are.
fn old_press(shared: &Arc<Shared>, body: &Bytes) -> Result<Accepted, Rejection> {
    let text = std::str::from_utf8(body).map_err(|_| Rejection::malformed("utf8"))?;
    let outer: Body<'_> = serde_json::from_str(text).map_err(|_| Rejection::malformed("json"))?;
    if outer.kind.as_deref() == Some("url_verification") {
        return challenge(outer.challenge.as_deref());
    }
    let press: OldPress = serde_json::from_str(text).map_err(|_| Rejection::malformed("card"))?;
    let raw = Raw::new(body.clone());
    let id = format!("card:{}", press.token);
    let event = reader(shared, Proof::Verified, |it| it.old_press(press, &id, &raw))
        .ok_or(Rejection::malformed("card"))?;
    Ok(accepted(shared, vec![event]))
}
