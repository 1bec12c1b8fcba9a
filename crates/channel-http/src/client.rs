//! The HTTP client.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{HttpBody, HttpError, HttpErrorKind, HttpRequest};
use http::header::{CONTENT_LENGTH, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tower_service::Service;

use crate::body::{Departure, Outgoing, ReadError, read};
use crate::dial::{DialError, Dialer, Io, Origin};
use crate::guard::Guard;
use crate::per_host::PerHost;
use crate::redirect;
use crate::tls::Protocols;

/// The longest response head, in bytes; also the largest piece read at once.
const MAX_HEAD: usize = 128 << 10;

/// The numbers of a client.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) read_timeout: Duration,
    pub(crate) pool_idle_timeout: Duration,
    pub(crate) pool_max_idle: usize,
    pub(crate) max_per_host: usize,
    pub(crate) user_agent: HeaderValue,
}

/// Two clients: one for addresses of our own making, and one whose every connection passes
/// the guard. The guarded one keeps no connections, so none is reused unchecked.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    open: Client<Connector, Outgoing>,
    guarded: Client<Connector, Outgoing>,
    guard: Arc<Guard>,
    settings: Arc<Settings>,
}

impl Http {
    pub(crate) fn new(dialer: Dialer, guard: Arc<Guard>, settings: Settings) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.pool_idle_timeout)
            .pool_max_idle_per_host(settings.pool_max_idle)
            .http1_max_buf_size(MAX_HEAD)
            // A half-open HTTP/2 connection would swallow one request after the other.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        let open = builder.build(Connector {
            dialer: dialer.clone(),
            guard: None,
            per_host: PerHost::new(settings.max_per_host),
        });
        let guarded = builder.pool_max_idle_per_host(0).build(Connector {
            dialer,
            guard: Some(Arc::clone(&guard)),
            per_host: PerHost::new(settings.max_per_host),
        });
        Self {
            open,
            guarded,
            guard,
            settings: Arc::new(settings),
        }
    }

    pub(crate) async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let HttpRequest {
            request,
            deadline,
            max_response,
            guarded,
            ..
        } = request;
        let departure = Departure::default();
        let outcome = if guarded {
            let exchange = redirect::follow(self, request, max_response, &departure);
            tokio::time::timeout(deadline, exchange).await
        } else {
            let exchange = self.exchange(&self.open, request, max_response, &departure);
            tokio::time::timeout(deadline, exchange).await
        };
        outcome.unwrap_or_else(|_| Err(failure(HttpErrorKind::Timeout, &departure)))
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// One request through the guard, without following where it leads.
    pub(crate) async fn exchange_guarded(
        &self,
        request: Request<HttpBody>,
        max_response: usize,
        departure: &Departure,
    ) -> Result<Response<Bytes>, HttpError> {
        self.exchange(&self.guarded, request, max_response, departure)
            .await
    }

    async fn exchange(
        &self,
        client: &Client<Connector, Outgoing>,
        request: Request<HttpBody>,
        max_response: usize,
        departure: &Departure,
    ) -> Result<Response<Bytes>, HttpError> {
        let request = self.prepare(request, departure)?;
        let response = client
            .request(request)
            .await
            .map_err(|error| classify(&error, departure))?;
        let (parts, body): (_, Incoming) = response.into_parts();
        let body = read(body, max_response, self.settings.read_timeout)
            .await
            .map_err(|error| match error {
                ReadError::TooLarge => HttpError::sent(HttpErrorKind::TooLarge),
                ReadError::Idle => HttpError::sent(HttpErrorKind::Timeout),
                ReadError::Broken(error) => {
                    HttpError::sent(HttpErrorKind::Interrupted).with_source(Cause::of(&error))
                }
            })?;
        Ok(Response::from_parts(parts, body))
    }

    fn prepare(
        &self,
        request: Request<HttpBody>,
        departure: &Departure,
    ) -> Result<Request<Outgoing>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let scheme = parts.uri.scheme_str();
        if !matches!(scheme, Some("http" | "https")) || parts.method == Method::CONNECT {
            return Err(HttpError::unsent(HttpErrorKind::Invalid));
        }
        parts.version = Version::HTTP_11;
        parts
            .headers
            .entry(USER_AGENT)
            .or_insert_with(|| self.settings.user_agent.clone());
        // Servers may answer 411 to a POST that does not say that it is empty.
        let may_hold_body = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
        if may_hold_body && body.is_empty() {
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let body = Outgoing::new(body, departure.clone());
        Ok(Request::from_parts(parts, body))
    }
}

/// Connects for a client of hyper-util.
#[derive(Debug, Clone)]
struct Connector {
    dialer: Dialer,
    guard: Option<Arc<Guard>>,
    per_host: PerHost,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Io>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Io>, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self {
            dialer,
            guard,
            per_host,
        } = self.clone();
        Box::pin(async move {
            let mut origin = Origin::of(&uri).ok_or(DialError::Address)?;
            // However a name is written, it is one host.
            origin.host.make_ascii_lowercase();
            // Meanwhile a connection may become free: then the pool takes that one. The
            // pool does not drop this future then, so it has to end by itself.
            let place = per_host.place(&origin);
            let place = tokio::time::timeout(dialer.connect_timeout(), place)
                .await
                .ok()
                .flatten()
                .ok_or(DialError::Busy)?;
            let io = dialer
                .dial(&origin, guard.as_deref(), Protocols::Http)
                .await?;
            Ok(TokioIo::new(io.holding(place)))
        })
    }
}

fn failure(kind: HttpErrorKind, departure: &Departure) -> HttpError {
    if departure.may_have_left() {
        HttpError::sent(kind)
    } else {
        HttpError::unsent(kind)
    }
}

fn classify(error: &legacy::Error, departure: &Departure) -> HttpError {
    if let Some(dial) = find::<DialError>(error) {
        let kind = match dial {
            DialError::Address => HttpErrorKind::Invalid,
            DialError::Refused(_) => HttpErrorKind::Refused,
            DialError::Timeout | DialError::Busy => HttpErrorKind::Timeout,
            DialError::Resolve | DialError::Tcp(_) | DialError::Proxy(_) | DialError::Tls(_) => {
                HttpErrorKind::Connect
            }
        };
        return HttpError::unsent(kind).with_source(*dial);
    }
    let cause = match find::<hyper::Error>(error) {
        Some(error) => Cause::of(error),
        None => Cause::Other,
    };
    failure(HttpErrorKind::Interrupted, departure).with_source(cause)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What broke. hyper's own errors are not kept: with HTTP/2 they repeat what the peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Io(io::ErrorKind),
    Incomplete,
    Malformed,
    Canceled,
    Other,
}

impl Cause {
    fn of(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() {
            Self::Incomplete
        } else if error.is_parse() {
            Self::Malformed
        } else if error.is_canceled() {
            Self::Canceled
        } else {
            find::<io::Error>(error).map_or(Self::Other, |error| Self::Io(error.kind()))
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => kind.fmt(f),
            Self::Incomplete => f.write_str("the server closed before its answer was complete"),
            Self::Malformed => f.write_str("the answer is not http"),
            Self::Canceled => f.write_str("the connection closed before the request started"),
            Self::Other => f.write_str("the http exchange failed"),
        }
    }
}

impl StdError for Cause {}
