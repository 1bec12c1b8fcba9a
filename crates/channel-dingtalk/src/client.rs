//! Calls: version 1.0 (<https://open.dingtalk.com/document/orgapp/how-to-call-apis>) with the
//! token in a header, and the older ones with everything in the address.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    HttpBody, HttpError, HttpErrorKind, HttpRequest, Multipart, Result, Secret, Transport, timeout,
};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, Verdict};

/// How long a call may take; sending is tried again, so it gives up early.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long a request may take that carries a file, besides what its size needs.
const FILE_DEADLINE: Duration = Duration::from_secs(60);
/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 64 * 1024;
/// How much later than the transport the adapter itself gives up on a request.
const GRACE: Duration = Duration::from_secs(5);
/// What a refusal may take to read, in bytes, however small a wanted file is.
const REFUSAL: u64 = 16 << 10;
const TOKEN: HeaderName = HeaderName::from_static("x-acs-dingtalk-access-token");
/// The hosts of DingTalk's own.
const HOSTS: [&str; 2] = ["api.dingtalk.com", "oapi.dingtalk.com"];

/// What a call does, for errors, and whether doing it twice has no second effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) is_repeatable: bool,
    /// Whether it carries a name under which DingTalk does it once.
    pub(crate) is_keyed: bool,
}

impl Call {
    pub(crate) const fn once(operation: &'static str) -> Self {
        Self {
            operation,
            is_repeatable: false,
            is_keyed: false,
        }
    }

    pub(crate) const fn keyed(operation: &'static str) -> Self {
        Self {
            operation,
            is_repeatable: false,
            is_keyed: true,
        }
    }

    /// Has no second effect, and is made again by itself.
    pub(crate) const fn idempotent(operation: &'static str) -> Self {
        Self {
            operation,
            is_repeatable: true,
            is_keyed: true,
        }
    }

    pub(crate) const fn repeatable(operation: &'static str) -> Self {
        Self {
            operation,
            is_repeatable: true,
            is_keyed: false,
        }
    }
}

/// A request body and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    content_type: Option<HeaderValue>,
    body: HttpBody,
}

impl Payload {
    pub(crate) const fn none() -> Self {
        Self {
            content_type: None,
            body: HttpBody::empty(),
        }
    }

    pub(crate) fn json(fields: &impl Serialize) -> Self {
        // Plain structs of texts and numbers always serialise.
        let body = serde_json::to_vec(fields).unwrap_or_else(|_| b"{}".to_vec());
        Self {
            content_type: Some(HeaderValue::from_static("application/json; charset=utf-8")),
            body: body.into(),
        }
    }

    pub(crate) fn form(form: Multipart) -> Self {
        let (content_type, body) = form.finish();
        Self {
            content_type: HeaderValue::from_str(&content_type).ok(),
            body,
        }
    }
}

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) transport: Transport,
    /// The server of version 1.0, without a slash at its end.
    api: String,
    /// The server of the older calls.
    oapi: String,
}

fn invalid() -> Failure {
    Failure::Http(HttpError::unsent(HttpErrorKind::Invalid))
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<(bool, Authority)> {
    let uri: Uri = url.parse().ok()?;
    let is_secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?.clone();
    // Nothing before the host: who reads an address is not to be misled.
    (!authority.as_str().contains('@')).then_some((is_secure, authority))
}

impl Client {
    pub(crate) const fn new(transport: Transport, api: String, oapi: String) -> Self {
        Self {
            transport,
            api,
            oapi,
        }
    }

    /// Whether the server was configured without TLS.
    #[cfg(feature = "net")]
    pub(crate) fn is_plain(&self) -> bool {
        self.api.starts_with("http://")
    }

    /// Whether an address is on a server that the settings name.
    pub(crate) fn is_configured(&self, url: &str) -> bool {
        let Some(found) = origin(url) else {
            return false;
        };
        [&self.api, &self.oapi]
            .into_iter()
            .any(|base| origin(base).as_ref() == Some(&found))
    }

    /// Whether an address that came from outside is one of DingTalk's, to which something may
    /// be sent.
    pub(crate) fn is_ours(&self, url: &str) -> bool {
        let is_dingtalk = origin(url).is_some_and(|(is_secure, authority)| {
            let is_usual = authority.port_u16().is_none_or(|port| port == 443);
            let mut hosts = HOSTS.iter();
            is_secure && is_usual && hosts.any(|host| authority.host().eq_ignore_ascii_case(host))
        });
        is_dingtalk || self.is_configured(url)
    }

    fn request(
        method: Method,
        url: &str,
        token: Option<&Secret>,
        payload: Payload,
    ) -> Result<Request<HttpBody>, Failure> {
        let mut request = Request::new(payload.body);
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|_| invalid())?;
        let headers = request.headers_mut();
        if let Some(content_type) = payload.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        // Without it some answers are XML.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.insert(TOKEN, value);
        }
        Ok(request)
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<HttpBody>) -> Result<T, Failure> {
        let length = request.body().len();
        let mut request = HttpRequest::new(request).deadline(DEADLINE);
        if length > SLOWEST {
            request = request.deadline(FILE_DEADLINE + Duration::from_secs(length / SLOWEST));
        }
        decode(&self.exchange(request).await?)
    }

    /// Makes a call of version 1.0 and decodes its answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        payload: Payload,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.api);
        self.ask(Self::request(method, &url, token, payload)?).await
    }

    /// Makes an older call; all that it takes is in path and query.
    pub(crate) async fn old<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.oapi);
        self.ask(Self::request(method, &url, None, payload)?).await
    }

    /// Posts to an address that carries its own right, which is one of DingTalk's.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        url: &Secret,
        payload: Payload,
    ) -> Result<T, Failure> {
        if !self.is_ours(url.expose()) {
            return Err(Failure::Http(HttpError::unsent(HttpErrorKind::Refused)));
        }
        let request = Self::request(Method::POST, url.expose(), None, payload)?;
        self.ask(request).await
    }

    /// Fetches a file from an address that came from outside: guarded, without a token, unless
    /// it is on a server that the settings name.
    pub(crate) async fn fetch(&self, url: &str, max_bytes: u64) -> Result<Bytes, Failure> {
        let request = Self::request(Method::GET, url, None, Payload::none())?;
        let mut request = HttpRequest::new(request)
            .deadline(FILE_DEADLINE + Duration::from_secs(max_bytes / SLOWEST))
            .max_response(usize::try_from(max_bytes.max(REFUSAL)).unwrap_or(usize::MAX));
        if !self.is_configured(url) {
            request = request.guarded();
        }
        let response = self.exchange(request).await?;
        if !response.status().is_success() {
            return Err(Failure::of_response(&response));
        }
        let body = response.into_body();
        if body.len() as u64 > max_bytes {
            return Err(Failure::Http(HttpError::sent(HttpErrorKind::TooLarge)));
        }
        Ok(body)
    }

    async fn exchange(&self, request: HttpRequest) -> Result<Response<Bytes>, Failure> {
        // The transport keeps the deadline; should it fail to, the clock decides.
        let limit = request.deadline + GRACE;
        let answer = self.transport.http.execute(request);
        match timeout(&*self.transport.clock, limit, answer).await {
            Ok(answer) => answer.map_err(Failure::Http),
            Err(_) => Err(Failure::Http(HttpError::sent(HttpErrorKind::Timeout))),
        }
    }
}

fn decode<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, Failure> {
    let is_good = response.status().is_success()
        && Verdict::of(response.body()).is_some_and(|verdict| verdict.is_good());
    if !is_good {
        return Err(Failure::of_response(response));
    }
    let status = response.status().as_u16();
    serde_json::from_slice(response.body()).map_err(|_| Failure::Unreadable { status })
}

/// An answer of which nothing is needed.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Done {}
