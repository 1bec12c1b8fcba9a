//! Receiving over HTTP: events, interactions and slash commands, each signed alike
//! (<https://docs.slack.dev/apis/events-api/using-http-request-urls/>).
//!
//! What a request is, its body tells and not its path, so that one address may serve all.

use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    Accepted, Answer, Decided, Decision, Event, EventKind, Proof, Raw, Rejection, Result, Route,
    Unknown, Webhook,
};
use futures_util::FutureExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::asked::{self, Interacted, Outcome, Question};
use crate::channel::Slack;
use crate::inbound::{Reader, transport_id};
use crate::shared::Shared;
use crate::wire::{Envelope, Form, Interaction, Loose};
use crate::{command, limits};

/// The longest challenge that is answered; Slack's have some fifty characters.
const MAX_CHALLENGE: usize = 1024;

impl Webhook for Slack {
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
    // Without a secret anybody could write events, so nothing is taken. Only what Slack
    // posts is signed.
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
    match media_type(request.headers()) {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => events(shared, body),
        Some(kind) if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            form(shared, body, now)
        }
        _ => Err(Rejection::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
        )),
    }
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim())
}

fn events(shared: &Shared, body: &Bytes) -> Result<Accepted, Rejection> {
    // Checked once as a whole, which costs less than string by string.
    let text = std::str::from_utf8(body).map_err(|_| Rejection::malformed("utf8"))?;
    let raw = Raw::new(body.clone());
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        let loose: Loose<'_> =
            serde_json::from_str(text).map_err(|_| Rejection::malformed("json"))?;
        let event = reader(
            shared,
            Proof::Verified,
            loose.team_id.as_deref(),
            |reader| reader.loose(&loose, raw),
        );
        tracing::warn!(channel = %shared.info.id, "an event cannot be decoded");
        return event
            .map(|event| Accepted::ok(vec![event]))
            .ok_or(Rejection::malformed("event_id"));
    };
    match &*envelope.kind {
        "url_verification" => challenge(envelope.challenge.as_deref()),
        "event_callback" => {
            let team = envelope.workspace();
            let event = reader(shared, Proof::Verified, team, |reader| {
                reader.event(&envelope, raw)
            });
            event
                .map(|event| Accepted::ok(vec![event]))
                .ok_or(Rejection::malformed("event_id"))
        }
        "app_rate_limited" => Ok(Accepted::ok(rate_limited(shared, &envelope, raw)?)),
        _ => Err(Rejection::malformed("type")),
    }
}

/// Reads with what is known about the bot in a workspace.
pub(crate) fn reader<T>(
    shared: &Shared,
    proof: Proof,
    team: Option<&str>,
    read: impl FnOnce(Reader<'_>) -> T,
) -> T {
    let many = shared.is_many();
    let me = shared.me(team.filter(|_| many));
    read(Reader {
        channel: &shared.info.id,
        many,
        me: me.as_deref(),
        proof,
    })
}

fn challenge(challenge: Option<&str>) -> Result<Accepted, Rejection> {
    let challenge = challenge
        .filter(|text| text.len() <= MAX_CHALLENGE)
        .ok_or(Rejection::malformed("challenge"))?;
    let mut response = Response::new(Bytes::from(challenge.to_owned()));
    // Whatever it says, nothing is to read it as a page.
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    Ok(Accepted::with(Vec::new(), Answer::Now(response)))
}

/// Slack has dropped events: worth knowing, and it has no id but its minute.
fn rate_limited(
    shared: &Shared,
    envelope: &Envelope<'_>,
    raw: Raw,
) -> Result<Vec<Event>, Rejection> {
    let minute = envelope.minute_rate_limited.unwrap_or_default();
    let id = transport_id(
        envelope.api_app_id.as_deref().unwrap_or_default(),
        envelope.workspace().unwrap_or_default(),
        &format!("app_rate_limited.{minute}"),
    )
    .ok_or(Rejection::malformed("team_id"))?;
    let kind = EventKind::Unknown(Box::new(Unknown::new("app_rate_limited", raw)));
    Ok(vec![Event::new(id, shared.info.id.clone(), kind)])
}

fn form(shared: &Shared, body: &Bytes, now: SystemTime) -> Result<Accepted, Rejection> {
    let form = Form::parse(body).ok_or(Rejection::malformed("form"))?;
    if let Some(payload) = form.get("payload") {
        let payload = Bytes::from(payload.to_owned());
        return interacted(shared, &payload, now);
    }
    if form.get("command").is_some() {
        let raw = Raw::new(body.clone());
        let event = reader(shared, Proof::Verified, form.get("team_id"), |reader| {
            command::event(reader, &form, raw, now)
        });
        return event
            .map(|event| Accepted::ok(vec![event]))
            .ok_or(Rejection::malformed("command"));
    }
    // A probe of the certificate, from the days before signatures.
    if form.get("ssl_check") == Some("1") {
        return Ok(Accepted::ok(Vec::new()));
    }
    Err(Rejection::malformed("form"))
}

fn interacted(shared: &Shared, payload: &Bytes, now: SystemTime) -> Result<Accepted, Rejection> {
    let text = std::str::from_utf8(payload).map_err(|_| Rejection::malformed("utf8"))?;
    let wire: Interaction<'_> =
        serde_json::from_str(text).map_err(|_| Rejection::malformed("json"))?;
    let raw = Raw::new(payload.clone());
    let interacted = asked::read(shared, &wire, &raw, Proof::Verified, now)
        .ok_or(Rejection::malformed("interaction"))?;
    Ok(match interacted {
        Interacted::Settled(outcome) => {
            let Decision {
                events, response, ..
            } = decision(outcome);
            Accepted::with(events, Answer::Now(response))
        }
        Interacted::Asked(Question { answer, otherwise }) => {
            let answer = answer.map(decision).boxed();
            let decided = Decided::new(answer, limits::ANSWER_WITHIN, decision(otherwise));
            Accepted::with(Vec::new(), Answer::Decided(Box::new(decided)))
        }
    })
}

/// The answer to a request about an interaction.
fn decision(outcome: Outcome) -> Decision {
    let Some(payload) = outcome.payload else {
        return Decision::new(outcome.events, Response::new(Bytes::new()));
    };
    let mut response = Response::new(Bytes::from(payload.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Decision::new(outcome.events, response)
}
