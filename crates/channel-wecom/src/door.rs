//! The callback address: who may come in
//! (<https://developer.work.weixin.qq.com/document/path/90968>).

use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{Accepted, Answer, Rejection, Result, Route};
use channel_wechat_crypto::{CallbackQuery, MessageCipher, read_envelope};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;

use crate::limits::MAX_BODY;

/// How the encrypted text is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    Xml,
    Json,
}

/// Verifies what comes to one callback address.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) cipher: MessageCipher,
    pub(crate) routes: [Route; 2],
    envelope: Envelope,
}

/// What a request said, once it was let in.
pub(crate) enum Opened {
    /// The platform looks who serves the address, and this answers it.
    Challenge(Accepted),
    /// A message, decrypted, and the nonce to answer with.
    Message { plain: Bytes, nonce: String },
}

#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    encrypt: std::borrow::Cow<'a, str>,
}

impl Door {
    pub(crate) fn new(cipher: MessageCipher, path: &str, envelope: Envelope) -> Self {
        Self {
            cipher,
            routes: [Route::get(path), Route::post(path, MAX_BODY)],
            envelope,
        }
    }

    pub(crate) fn open(
        &self,
        request: &Request<Bytes>,
        now: SystemTime,
    ) -> Result<Opened, Rejection> {
        let query = request.uri().query().unwrap_or_default();
        let query = CallbackQuery::parse(query).ok_or(Rejection::unauthorized("query"))?;
        if *request.method() == Method::GET {
            return self.challenge(&query, now).map(Opened::Challenge);
        }
        if *request.method() != Method::POST {
            return Err(Rejection::unauthorized("method"));
        }
        let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !request
            .headers()
            .get_all(CONTENT_ENCODING)
            .iter()
            .all(is_plain)
        {
            return Err(Rejection::unauthorized("encoding"));
        }
        let body = request.body();
        if body.len() > MAX_BODY {
            return Err(Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
        }
        // The envelope is not signed; nothing but the text in it is looked at.
        let encrypted = match self.envelope {
            Envelope::Xml => read_envelope(body).ok(),
            // A list would be read as the fields in their order.
            Envelope::Json if !body.trim_ascii_start().starts_with(b"{") => None,
            Envelope::Json => serde_json::from_slice::<Json<'_>>(body)
                .ok()
                .map(|json| json.encrypt),
        };
        let encrypted = encrypted.ok_or(Rejection::unauthorized("envelope"))?;
        let plain = self
            .cipher
            .open(&query, &encrypted, now)
            .map_err(|refused| Rejection::unauthorized(refused.reason()))?;
        Ok(Opened::Message {
            plain: plain.into(),
            nonce: query.nonce.into_owned(),
        })
    }

    fn challenge(&self, query: &CallbackQuery<'_>, now: SystemTime) -> Result<Accepted, Rejection> {
        let echo = query
            .echostr
            .as_deref()
            .ok_or(Rejection::unauthorized("echostr"))?;
        let plain = self
            .cipher
            .open(query, echo, now)
            .map_err(|refused| Rejection::unauthorized(refused.reason()))?;
        let mut response = Response::new(Bytes::from(plain));
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
}
