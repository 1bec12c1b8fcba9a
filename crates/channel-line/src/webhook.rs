//! Receiving over HTTP (<https://developers.line.biz/en/docs/messaging-api/receiving-messages/>).

use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{Accepted, Event, Rejection, Result, Route, Webhook};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request, StatusCode};

use crate::channel::Line;
use crate::shared::Shared;
use crate::wire::Callback;
use crate::{inbound, limits};

impl Webhook for Line {
    fn routes(&self) -> &[Route] {
        &self.shared.routes
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        receive(&self.shared, request, now).map(Accepted::ok)
    }
}

fn receive(
    shared: &Shared,
    request: &Request<Bytes>,
    now: SystemTime,
) -> Result<Vec<Event>, Rejection> {
    let body = request.body();
    if body.len() > limits::BODY {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Rejection::new(status, "too_large"));
    }
    if !shared.verifier.accepts(request.headers(), body) {
        return Err(Rejection::unauthorized("signature"));
    }
    if !is_plain(request.headers()) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Rejection::new(status, "content_encoding"));
    }
    let text = std::str::from_utf8(body).map_err(|_| Rejection::malformed("utf8"))?;
    let callback: Callback<'_> =
        serde_json::from_str(text).map_err(|_| Rejection::malformed("json"))?;
    if callback.events.len() > limits::EVENTS {
        return Err(Rejection::malformed("too_many_events"));
    }
    shared.is_meant_for_us(&callback.destination);
    let mut events = Vec::with_capacity(callback.events.len());
    for raw in callback.events {
        // A slice of the request: nothing is copied.
        let raw = body.slice_ref(raw.get().as_bytes());
        inbound::events(shared, &callback.destination, raw, now, &mut events);
    }
    events.iter().for_each(|event| shared.heard_from(event));
    Ok(events)
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
