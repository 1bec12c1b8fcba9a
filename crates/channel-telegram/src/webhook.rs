//! Receiving over HTTP (<https://core.telegram.org/bots/api#setwebhook>).

use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{Accepted, Error, Event, Rejection, Result, Route, Secret, Webhook};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::PLATFORM;
use crate::channel::Telegram;
use crate::client::{Method, Payload, json};
use crate::error::invalid;
use crate::events::ALLOWED_UPDATES;
use crate::shared::Shared;
use crate::wire::scan;
use crate::{inbound, verify};

/// The largest update that is taken, in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

impl Webhook for Telegram {
    fn routes(&self) -> &[Route] {
        &self.shared.routes
    }

    fn receive(&self, request: &Request<Bytes>, _now: SystemTime) -> Result<Accepted, Rejection> {
        let event = receive(&self.shared, request)?;
        self.shared.heard_from(&event);
        Ok(Accepted::ok(vec![event]))
    }
}

fn receive(shared: &Shared, request: &Request<Bytes>) -> Result<Event, Rejection> {
    let secret = shared.config.webhook_secret.as_ref();
    // Without a secret anybody could write updates, so nothing is taken.
    if !secret.is_some_and(|secret| verify::has_secret(request.headers(), secret)) {
        return Err(Rejection::unauthorized("secret"));
    }
    if !is_plain_json(request.headers()) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Rejection::new(status, "content_type"));
    }
    let body = request.body();
    if body.len() > MAX_BODY {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Rejection::new(status, "too_large"));
    }
    serde_json::from_slice::<&RawValue>(body).map_err(|_| Rejection::malformed("json"))?;
    let id = scan::update_id(body).ok_or(Rejection::malformed("update_id"))?;
    Ok(inbound::event(
        &shared.info.id,
        &shared.me(),
        id,
        body.clone(),
    ))
}

fn is_plain_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    let is_json =
        media_type.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json"));
    let is_plain = headers
        .get(CONTENT_ENCODING)
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    is_json && is_plain
}

#[derive(Serialize)]
struct SetWebhook<'a> {
    url: &'a str,
    secret_token: &'a str,
    allowed_updates: &'a RawValue,
}

impl Telegram {
    /// Tells Telegram to deliver to this address, with the configured secret.
    ///
    /// Telegram's own server wants `https` on port 443, 80, 88 or 8443
    /// (<https://core.telegram.org/bots/api#setwebhook>).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config) without a webhook secret,
    /// [`ErrorKind::Invalid`](channel_core::ErrorKind::Invalid) if Telegram does not take
    /// the address.
    pub async fn set_webhook(&self, url: &str) -> Result<()> {
        let operation = Method::SetWebhook.operation();
        let secret = self.shared.config.webhook_secret.as_ref();
        let secret: &Secret = secret.ok_or_else(|| {
            Error::config("a webhook needs webhook_secret").on(PLATFORM, operation)
        })?;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(invalid("the address has to start with https://", operation));
        }
        let allowed_updates: &RawValue = serde_json::from_str(ALLOWED_UPDATES)
            .map_err(|_| invalid("the update types are not JSON", operation))?;
        let fields = json(&SetWebhook {
            url,
            secret_token: secret.expose(),
            allowed_updates,
        });
        self.hook(Method::SetWebhook, fields).await
    }

    /// Tells Telegram to stop delivering; waiting updates stay for the next poll.
    ///
    /// # Errors
    ///
    /// As for any call.
    pub async fn delete_webhook(&self) -> Result<()> {
        self.hook(Method::DeleteWebhook, b"{}".to_vec()).await
    }

    async fn hook(&self, method: Method, fields: Vec<u8>) -> Result<()> {
        let call = self
            .shared
            .client
            .call::<bool>(method, Payload::json(fields));
        call.await
            .map(|_| ())
            .map_err(|failure| failure.into_error(method))
    }
}
