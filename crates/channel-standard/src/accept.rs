//! Judging a request before it is answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{SocketServer, Upgrade};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, Request, Response, StatusCode};

use crate::Standard;
use crate::auth::{Grant, Presented, offers_protocol, presented};
use crate::serve;
use crate::standard::Shared;
use crate::wire::PROTOCOL;

/// Why a request is refused before the upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deny {
    Path,
    Method,
    Origin,
    Credential,
    /// Too many wrong credentials from one address.
    Failures(Duration),
    Full,
    Stopping,
}

impl Deny {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Credential => StatusCode::UNAUTHORIZED,
            Self::Failures(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Full | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Path => "not_found",
            Self::Method => "method_not_allowed",
            Self::Origin => "forbidden_origin",
            Self::Credential => "unauthorized",
            Self::Failures(_) => "rate_limited",
            Self::Full => "too_many_connections",
            Self::Stopping => "going_away",
        }
    }

    /// The answer: the status, and a code that says nothing of the request.
    pub(crate) fn response(self) -> Response<Bytes> {
        let body = format!(r#"{{"ok":false,"error":"{}"}}"#, self.code());
        let mut response = json(self.status(), body);
        let headers = response.headers_mut();
        match self {
            Self::Credential => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Full | Self::Stopping => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::Failures(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
            }
            Self::Path | Self::Method | Self::Origin => {}
        }
        response
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        HeaderName::from_static("cache-control"),
        HeaderValue::from_static("no-store"),
    );
    response
}

/// Lets the page that asked read the answer, if its origin may pass.
pub(crate) fn share(shared: &Shared, request: &HeaderMap, response: &mut Response<Bytes>) {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = request.get(ORIGIN)
        && shared.check_origin(request).is_ok()
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

impl Shared {
    /// No origin is a native client's; of several, all have to pass.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Deny> {
        let passes = headers.get_all(ORIGIN).iter().all(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| self.origins.allow(origin))
        });
        if passes { Ok(()) } else { Err(Deny::Origin) }
    }

    /// Origin and credential, in this order.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<Grant, Deny> {
        self.check_origin(headers)?;
        let now = self.transport.clock.elapsed();
        let peer = peer.map(|peer| peer.to_canonical());
        if let Some(wait) = peer.and_then(|peer| self.failures().wait(peer, now)) {
            return Err(Deny::Failures(wait));
        }
        let query = query.filter(|_| self.config.allow_token_query);
        let grant = match presented(headers, query) {
            Presented::Token(token) => self.credentials().check(&token),
            Presented::Nothing | Presented::Bad => None,
        };
        if let (None, Some(peer)) = (&grant, peer) {
            self.failures().note(peer, now);
        }
        grant.ok_or(Deny::Credential)
    }
}

impl SocketServer for Standard {
    fn paths(&self) -> &[String] {
        &self.0.paths
    }

    fn accept(
        &self,
        request: &Request<()>,
        peer: Option<IpAddr>,
    ) -> Result<Upgrade, Box<Response<Bytes>>> {
        self.judge(request, peer)
            .map_err(|deny| Box::new(deny.response()))
    }
}

impl Standard {
    fn judge(&self, request: &Request<()>, peer: Option<IpAddr>) -> Result<Upgrade, Deny> {
        let shared = &self.0;
        let uri = request.uri();
        if !shared.paths.iter().any(|path| path == uri.path()) {
            return Err(Deny::Path);
        }
        if request.method() != http::Method::GET {
            return Err(Deny::Method);
        }
        let grant = shared.authenticate(request.headers(), uri.query(), peer)?;
        let slot = shared.reserve(&grant).ok_or(Deny::Full)?;
        // Looked at once the slot can be closed: a token that went, or a stop that began,
        // in between is seen here or closes the slot.
        if !shared.credentials().still_grants(&grant) {
            return Err(Deny::Credential);
        }
        if shared.hub().stopping {
            return Err(Deny::Stopping);
        }
        let shared = Arc::clone(shared);
        // Only the name of the protocol is answered: the entry with the token would end
        // up in logs.
        let protocol = offers_protocol(request.headers()).then(|| PROTOCOL.to_owned());
        Ok(Upgrade::new(
            protocol,
            shared.config.max_frame_bytes,
            move |socket| Box::pin(serve::serve(shared, slot, socket)),
        ))
    }
}
