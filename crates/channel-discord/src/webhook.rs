//! Receiving over HTTP: interactions and webhook events, signed alike
//! (<https://docs.discord.com/developers/interactions/overview#configuring-an-interactions-endpoint-url>,
//! <https://docs.discord.com/developers/events/webhook-events>).
//!
//! What a request is, its body tells and not its path, so that one address may serve both.

use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    Accepted, Answer, Event, EventId, Held, Proof, Raw, Rejection, Result, Route, Webhook,
};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::channel::Discord;
use crate::deferral::Way;
use crate::inbound::Reader;
use crate::shared::Shared;
use crate::wire::{Id, Interaction, Str};
use crate::{held, interaction, limits};

impl Webhook for Discord {
    fn routes(&self) -> &[Route] {
        &self.shared.routes
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        receive(&self.shared, request, now)
    }
}

fn receive(
    shared: &Shared,
    request: &Request<Bytes>,
    now: SystemTime,
) -> Result<Accepted, Rejection> {
    let body = request.body();
    if body.len() > limits::BODY {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Rejection::new(status, "too_large"));
    }
    // Without a key anybody could write events, so nothing is taken.
    let is_signed = *request.method() == Method::POST
        && shared
            .verifier
            .as_ref()
            .is_some_and(|verifier| verifier.accepts(request.headers(), body, now));
    if !is_signed {
        return Err(Rejection::unauthorized("signature"));
    }
    if !is_plain(request.headers()) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Rejection::new(status, "content_encoding"));
    }
    let text = std::str::from_utf8(body).map_err(|_| Rejection::malformed("utf8"))?;
    let kind: Kind<'_> = serde_json::from_str(text).map_err(|_| Rejection::malformed("json"))?;
    if is_foreign(shared, kind.application_id.as_ref()) {
        return Err(Rejection::unauthorized("application"));
    }
    match (kind.kind, kind.event) {
        // The first of a webhook event's subscription; an interaction's is 1.
        (0, None) => Ok(empty(Vec::new())),
        (1, None) => Ok(ping()),
        (_, Some(event)) => webhook_event(shared, body, event),
        _ => interacted(shared, body, text, now),
    }
}

/// What tells the two kinds of requests apart.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    application_id: Option<Id<'a>>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Occurrence<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
}

/// A key belongs to one application; its name in the body has to be the one configured.
fn is_foreign(shared: &Shared, said: Option<&Id<'_>>) -> bool {
    let ours = shared.config.application_id.as_deref();
    matches!((ours, said), (Some(ours), Some(said)) if ours != &**said)
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn json(body: &impl Serialize) -> Response<Bytes> {
    // Plain structs always serialise.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

fn ping() -> Accepted {
    #[derive(Serialize)]
    struct Pong {
        r#type: u8,
    }
    Accepted::with(Vec::new(), Answer::Now(json(&Pong { r#type: 1 })))
}

fn empty(events: Vec<Event>) -> Accepted {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Accepted::with(events, Answer::Now(response))
}

/// An event of the application's life. It has no id, so that its bytes are its name.
fn webhook_event(shared: &Shared, body: &Bytes, event: &RawValue) -> Result<Accepted, Rejection> {
    let occurrence: Occurrence<'_> =
        serde_json::from_str(event.get()).map_err(|_| Rejection::malformed("event"))?;
    let digest = hex::encode(Sha256::digest(body));
    let id = EventId::from(format!("webhook:{digest}"));
    let unknown = reader(shared, None).unknown(id, &occurrence.kind, Raw::new(body.clone()));
    Ok(empty(vec![unknown]))
}

fn reader<'a>(shared: &'a Shared, me: Option<&'a str>) -> Reader<'a> {
    Reader {
        channel: &shared.info.id,
        me,
        proof: Proof::Verified,
    }
}

fn interacted(
    shared: &Shared,
    body: &Bytes,
    text: &str,
    now: SystemTime,
) -> Result<Accepted, Rejection> {
    let wire: Interaction<'_> =
        serde_json::from_str(text).map_err(|_| Rejection::malformed("interaction"))?;
    let me = shared.me();
    let reader = reader(shared, me.as_deref());
    let event = interaction::event(reader, &wire, Raw::new(body.clone()), now)
        .ok_or_else(|| Rejection::malformed("interaction"))?;
    let deferral = interaction::deferral(&wire, shared.config.ephemeral_commands);
    let answer = json(&deferral.callback());
    // Only these can be answered with a dialog, and only first.
    let is_held = shared.config.hold_interactions && matches!(wire.kind, 2 | 3);
    let answer = if is_held {
        let (answering, open) = held::answer();
        let way = Way::Answer(answering);
        shared.deferrals.begin(&wire.id, way, deferral);
        let reply = Box::pin(async move { Some(json(&open.await)) });
        Answer::Held(Held::new(reply, limits::DEFER_AFTER, answer))
    } else {
        // Told at once: who waits for a handler is late sooner or later.
        Answer::Now(answer)
    };
    Ok(Accepted::with(vec![event], answer))
}
