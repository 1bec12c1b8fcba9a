//! Calls over HTTP: JSON out, a code and JSON back, always with status 200
//! (<https://developer.work.weixin.qq.com/document/path/90313>).

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Error, ErrorKind, HttpBody, HttpError, HttpErrorKind, HttpRequest, Multipart, Result, Secret,
    Transport, timeout,
};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PLATFORM;
use crate::error::{self, Fault};

/// WeCom's own server.
pub(crate) const CLOUD: &str = "https://qyapi.weixin.qq.com";
/// How long a request may take that carries a file, besides what its size needs.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60);
/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 64 * 1024;
/// How much later than the transport the adapter itself gives up on a request.
const GRACE: Duration = Duration::from_secs(5);

/// What a call does, for errors, and whether doing it twice has no second effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) repeatable: bool,
}

impl Call {
    pub(crate) const fn once(operation: &'static str) -> Self {
        Self {
            operation,
            repeatable: false,
        }
    }

    pub(crate) const fn repeatable(operation: &'static str) -> Self {
        Self {
            operation,
            repeatable: true,
        }
    }
}

/// A request body and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    content_type: HeaderValue,
    body: HttpBody,
}

impl Payload {
    pub(crate) fn json(fields: &impl Serialize) -> Self {
        // Plain structs of texts and numbers always serialise. Characters go out as they
        // are: escaped ones would be shown literally.
        let body = serde_json::to_vec(fields).unwrap_or_else(|_| b"{}".to_vec());
        Self {
            content_type: HeaderValue::from_static("application/json; charset=utf-8"),
            body: body.into(),
        }
    }

    pub(crate) fn form(form: Multipart) -> Self {
        let (content_type, body) = form.finish();
        Self {
            content_type: HeaderValue::from_str(&content_type)
                .unwrap_or(HeaderValue::from_static("multipart/form-data")),
            body,
        }
    }
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    errcode: i64,
}

/// Sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) transport: Transport,
}

impl Api {
    /// Makes a call and decodes its answer. The address may hold a token.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        call: Call,
        address: &Secret,
        payload: Payload,
    ) -> Result<T, Fault> {
        let request = post(call, address, payload)?;
        decode(call, &self.exchange(call, HttpRequest::new(request)).await?)
    }

    /// Makes a call whose answer names no message, under a name of ours that both ends can
    /// log.
    pub(crate) async fn post_named<T: DeserializeOwned>(
        &self,
        call: Call,
        address: &Secret,
        payload: Payload,
        name: &str,
    ) -> Result<T, Fault> {
        let mut request = post(call, address, payload)?;
        if let Ok(name) = HeaderValue::from_str(name) {
            request.headers_mut().insert("x-request-id", name);
        }
        decode(call, &self.exchange(call, HttpRequest::new(request)).await?)
    }

    /// Asks and decodes the answer.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        call: Call,
        address: &Secret,
    ) -> Result<T, Fault> {
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = uri(address, call.operation)?;
        decode(call, &self.exchange(call, HttpRequest::new(request)).await?)
    }

    /// Fetches a file. WeCom answers with JSON where it refuses.
    pub(crate) async fn fetch(
        &self,
        call: Call,
        address: &Secret,
        max_bytes: u64,
        guarded: bool,
    ) -> Result<Bytes, Fault> {
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = uri(address, call.operation)?;
        let mut request = HttpRequest::new(request)
            .deadline(UPLOAD_DEADLINE + Duration::from_secs(max_bytes / SLOWEST))
            .max_response(usize::try_from(max_bytes).unwrap_or(usize::MAX));
        if guarded {
            request = request.guarded();
        }
        let response = self.exchange(call, request).await?;
        if !response.status().is_success() {
            return Err(failed(call, &response).into());
        }
        let is_json = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        if is_json
            && let Ok(Code { errcode }) = serde_json::from_slice(response.body())
            && errcode != 0
        {
            return Err(error::of_code(errcode, call.operation));
        }
        Ok(response.into_body())
    }

    async fn exchange(
        &self,
        call: Call,
        mut request: HttpRequest,
    ) -> Result<Response<Bytes>, Error> {
        let length = request.request.body().len();
        if length > SLOWEST {
            request.deadline = UPLOAD_DEADLINE + Duration::from_secs(length / SLOWEST);
        }
        // The transport keeps the deadline; should it fail to, the clock decides.
        let limit = request.deadline + GRACE;
        let answer = self.transport.http.execute(request);
        let answer = timeout(&*self.transport.clock, limit, answer).await;
        answer
            .unwrap_or_else(|_| Err(HttpError::sent(HttpErrorKind::Timeout)))
            .map_err(|failure| {
                failure
                    .into_error(call.repeatable)
                    .on(PLATFORM, call.operation)
            })
    }
}

fn post(call: Call, address: &Secret, payload: Payload) -> Result<Request<HttpBody>, Error> {
    let mut request = Request::new(payload.body);
    *request.method_mut() = Method::POST;
    request
        .headers_mut()
        .insert(CONTENT_TYPE, payload.content_type);
    *request.uri_mut() = uri(address, call.operation)?;
    Ok(request)
}

fn uri(address: &Secret, operation: &'static str) -> Result<Uri, Error> {
    address.expose().parse().map_err(|_| {
        // The parser's own words may repeat the address.
        Error::new(ErrorKind::Invalid, "the address is not valid").on(PLATFORM, operation)
    })
}

fn failed(call: Call, response: &Response<Bytes>) -> Error {
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let status = response.status().as_u16();
    error::of_status(status, wait, call.operation, call.repeatable)
}

fn decode<T: DeserializeOwned>(call: Call, response: &Response<Bytes>) -> Result<T, Fault> {
    if !response.status().is_success() {
        return Err(failed(call, response).into());
    }
    let unreadable = || failed(call, response).into();
    match serde_json::from_slice(response.body()) {
        Ok(Code { errcode: 0 }) => {
            serde_json::from_slice(response.body()).map_err(|_| unreadable())
        }
        Ok(Code { errcode }) => Err(error::of_code(errcode, call.operation)),
        Err(_) => Err(unreadable()),
    }
}

/// An answer of which nothing is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {}

/// Checks an `http` or `https` address that was configured, and takes the slash off its end.
pub(crate) fn base(address: &str, name: &str) -> Result<String> {
    let rest = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
        return Err(error::bad(format!(
            "{name} has to be an http or https address without query or user"
        )));
    }
    Ok(address.trim_end_matches('/').to_owned())
}

/// Host and port of an address, of whatever scheme.
pub(crate) fn authority(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.get(..end)
}

/// Whether an address that came with a message may be posted to or fetched without the
/// guard: it is WeCom's own, or on the server that was configured.
pub(crate) fn is_ours(address: &str, configured: &str) -> bool {
    if address.starts_with("https://qyapi.weixin.qq.com/") {
        return true;
    }
    // A server that was configured with TLS is not spoken to without it.
    let is_plain = configured.starts_with("http://") || configured.starts_with("ws://");
    let has_scheme =
        address.starts_with("https://") || (is_plain && address.starts_with("http://"));
    has_scheme && authority(address).is_some() && authority(address) == authority(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wecom_and_the_configured_server_are_answered() {
        let own = "http://127.0.0.1:9000";
        for good in [
            "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=RC",
            "http://127.0.0.1:9000/cgi-bin/x",
        ] {
            assert!(is_ours(good, own), "{good}");
        }
        for bad in [
            "http://qyapi.weixin.qq.com/x",
            "https://qyapi.weixin.qq.com.evil.example/x",
            "https://qyapi.weixin.qq.com:444/x",
            "https://qyapi.weixin.qq.com@evil.example/x",
            "https://evil.example/?https://qyapi.weixin.qq.com/",
            "https://evil.example#https://qyapi.weixin.qq.com/",
            "http://127.0.0.1:9001/x",
            "http://127.0.0.1:9000@evil.example/",
            "//127.0.0.1:9000/x",
            "file://127.0.0.1:9000/x",
            "",
        ] {
            assert!(!is_ours(bad, own), "{bad}");
        }
        assert!(is_ours("http://x:1/a", "ws://x:1/socket"));
        assert!(is_ours("https://x/a", "wss://x"));
        for tls in ["wss://x", "https://x"] {
            assert!(!is_ours("http://x/a", tls));
        }
    }
}
