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
    let mut events = Vec::new();
    let only = only_event(text);
    if let Some((destination, event)) = only
        && let Some(decoded) = inbound::decode(event)
    {
        shared.is_meant_for_us(destination);
        let raw = body.slice_ref(event.as_bytes());
        inbound::events(shared, destination, (raw, Some(decoded)), now, &mut events);
    } else {
        each(shared, body, text, now, &mut events)?;
    }
    events.iter().for_each(|event| shared.heard_from(event));
    Ok(events)
}

/// The bot's id and the event of a request that is written as LINE writes it and holds one
/// event: that is nearly every request, and its bytes are then read once instead of twice.
fn only_event(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(r#"{"destination":""#)?;
    let (destination, rest) = rest.split_once('"')?;
    let event = rest.strip_prefix(r#","events":["#)?.strip_suffix("]}")?;
    let is_id = destination.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // Where it is not one event after all, it does not decode as one.
    is_id.then_some((destination, event))
}

/// Takes the events one by one, whatever they hold.
fn each(
    shared: &Shared,
    body: &Bytes,
    text: &str,
    now: SystemTime,
    events: &mut Vec<Event>,
) -> Result<(), Rejection> {
    let callback: Callback<'_> =
        serde_json::from_str(text).map_err(|_| Rejection::malformed("json"))?;
    if callback.events.len() > limits::EVENTS {
        return Err(Rejection::malformed("too_many_events"));
    }
    shared.is_meant_for_us(&callback.destination);
    for event in callback.events {
        // A slice of the request: nothing is copied.
        let raw = body.slice_ref(event.get().as_bytes());
        let decoded = inbound::decode(event.get());
        inbound::events(shared, &callback.destination, (raw, decoded), now, events);
    }
    Ok(())
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_is_found_where_line_writes_it_and_nowhere_else() {
        let found = only_event(r#"{"destination":"U1","events":[{"a":1}]}"#);
        assert_eq!(found, Some(("U1", r#"{"a":1}"#)));
        for other in [
            r#"{"destination": "U1","events":[{"a":1}]}"#,
            r#"{"events":[{"a":1}],"destination":"U1"}"#,
            r#"{"destination":"U\u0031","events":[{"a":1}]}"#,
            r#"{"destination":"U1","events":[{"a":1}],"x":1}"#,
        ] {
            assert_eq!(only_event(other), None, "{other}");
        }
        // What only looks like one event is none.
        for many in [
            r#"{"destination":"U1","events":[{"a":1},{"a":2}]}"#,
            r#"{"destination":"U1","events":[{"a":1}],"x":[1]}"#,
            r#"{"destination":"U1","events":[]}"#,
        ] {
            let (_, event) = only_event(many).unwrap();
            assert!(inbound::decode(event).is_none(), "{event}");
        }
    }
}
