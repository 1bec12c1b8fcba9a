//! Signed requests (<https://open.dingtalk.com/document/orgapp/receive-message>).
//!
//! The signature covers the time and not the body, so what a request says is believed as far as
//! its transport is: whoever has read one request could write others for an hour.

use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{Accepted, Answer, Proof, Raw, Rejection, Route, Webhook};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use crate::channel::DingTalk;
use crate::config::Mode;
use crate::inbound::Reader;
use crate::limits;
use crate::shared::Shared;
use crate::verify;

impl Webhook for DingTalk {
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
        return Err(Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    }
    let is_let_in = *request.method() == Method::POST
        && shared.config.mode == Mode::Webhook
        && is_plain(request)
        && verify::accepts(shared.config.robot_secret(), request.headers(), now);
    if !is_let_in {
        return Err(Rejection::unauthorized("signature"));
    }
    let reader = Reader {
        channel: &shared.info.id,
        shared: Some(shared),
        // The body is vouched for by the connection that brought it and by nothing else.
        proof: Proof::Asserted,
    };
    let raw = Raw::new(body.clone());
    let event = reader
        .message(body, &raw)
        .ok_or(Rejection::malformed("message"))?;
    let mut response = Response::new(Bytes::from_static(b"{}"));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(Accepted::with(vec![event], Answer::Now(response)))
}

fn is_plain(request: &Request<Bytes>) -> bool {
    let mut encodings = request.headers().get_all(CONTENT_ENCODING).iter();
    encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
