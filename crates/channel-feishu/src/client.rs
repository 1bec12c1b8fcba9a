//! Calls of the server API (<https://open.feishu.cn/document/server-docs/api-call-guide/calling-process/overview>).

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    HttpBody, HttpError, HttpErrorKind, HttpRequest, Multipart, Result, Secret, Transport, timeout,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Code, Failure};

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

/// What a call does, for errors, and whether doing it twice has no second effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) is_repeatable: bool,
    /// Whether it carries a `uuid`, under which Feishu does it once.
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
    /// The server, without a slash at its end.
    base: String,
}

impl Client {
    pub(crate) const fn new(transport: Transport, base: String) -> Self {
        Self { transport, base }
    }

    /// Whether the server was configured without TLS.
    #[cfg(feature = "net")]
    pub(crate) fn is_plain(&self) -> bool {
        self.base.starts_with("http://")
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        payload: Payload,
    ) -> Result<Request<HttpBody>, Failure> {
        let mut request = Request::new(payload.body);
        *request.method_mut() = method;
        // Every part of a path is checked before; this is a second look.
        let invalid = || Failure::Http(HttpError::unsent(HttpErrorKind::Invalid));
        *request.uri_mut() = format!("{}{path}", self.base)
            .parse::<Uri>()
            .map_err(|_| invalid())?;
        let headers = request.headers_mut();
        if let Some(content_type) = payload.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Makes a call and decodes its answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        payload: Payload,
    ) -> Result<T, Failure> {
        let request = self.request(method, path, token, payload)?;
        let length = request.body().len();
        let mut request = HttpRequest::new(request).deadline(DEADLINE);
        if length > SLOWEST {
            request = request.deadline(FILE_DEADLINE + Duration::from_secs(length / SLOWEST));
        }
        decode(&self.exchange(request).await?)
    }

    /// Asks for the address of a long connection: with the credentials themselves, and with
    /// the header that both official SDKs send.
    #[cfg(feature = "net")]
    pub(crate) async fn endpoint<T: DeserializeOwned>(
        &self,
        fields: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        let payload = Payload::json(fields);
        let mut request = self.request(Method::POST, "/callback/ws/endpoint", None, payload)?;
        let locale = http::HeaderName::from_static("locale");
        request
            .headers_mut()
            .insert(locale, HeaderValue::from_static("zh"));
        decode(
            &self
                .exchange(HttpRequest::new(request).deadline(DEADLINE))
                .await?,
        )
    }

    /// Fetches a file of at most so many bytes. Feishu answers with JSON where it refuses.
    pub(crate) async fn fetch(
        &self,
        path: &str,
        token: &Secret,
        max_bytes: u64,
    ) -> Result<Bytes, Failure> {
        let request = self.request(Method::GET, path, Some(token), Payload::none())?;
        let response = self.exchange(download(request, max_bytes)).await?;
        if !response.status().is_success() {
            return Err(Failure::of_response(&response));
        }
        within(response, max_bytes)
    }

    /// Fetches a file from somebody's own server: guarded, and without the token.
    pub(crate) async fn outside(&self, url: &str, max_bytes: u64) -> Result<Bytes, Failure> {
        let invalid = |_| Failure::Http(HttpError::unsent(HttpErrorKind::Invalid));
        let mut request = Request::new(HttpBody::empty());
        *request.uri_mut() = url.parse().map_err(invalid)?;
        let response = self
            .exchange(download(request, max_bytes).guarded())
            .await?;
        if !response.status().is_success() {
            return Err(Failure::of_response(&response));
        }
        within(response, max_bytes)
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

fn download(request: Request<HttpBody>, max_bytes: u64) -> HttpRequest {
    HttpRequest::new(request)
        .deadline(FILE_DEADLINE + Duration::from_secs(max_bytes / SLOWEST))
        .max_response(usize::try_from(max_bytes.max(REFUSAL)).unwrap_or(usize::MAX))
}

/// The body of a response, if it is as small as it has to be.
fn within(response: Response<Bytes>, max_bytes: u64) -> Result<Bytes, Failure> {
    let body = response.into_body();
    if body.len() as u64 > max_bytes {
        return Err(Failure::Http(HttpError::sent(HttpErrorKind::TooLarge)));
    }
    Ok(body)
}

fn decode<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, Failure> {
    let is_good = response.status().is_success()
        && matches!(
            serde_json::from_slice(response.body()),
            Ok(Code { code: 0 })
        );
    if !is_good {
        return Err(Failure::of_response(response));
    }
    let status = response.status().as_u16();
    serde_json::from_slice(response.body()).map_err(|_| Failure::Unreadable { status })
}

/// An answer of which nothing is needed.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Done {}

/// What stands in the `data` of an answer.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Data<T> {
    pub(crate) data: T,
}
