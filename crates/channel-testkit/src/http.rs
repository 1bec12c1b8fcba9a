//! A server that is a closure.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{Clock, HttpClient, HttpError, HttpErrorKind, HttpRequest, timeout};
use futures_core::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::wait::{Shared, lock};

/// How many requests a ledger keeps; older ones are forgotten and counted.
const LEDGER: usize = 10_000;

/// What a fake server does with a request.
#[non_exhaustive]
pub enum Reply {
    /// Answers.
    Response(Response<Bytes>),
    /// Fails before a byte of the request has left.
    Unsent(HttpErrorKind),
    /// Fails after the request has arrived.
    Sent(HttpErrorKind),
    /// Takes the request and never answers: the caller's deadline ends it.
    Hang,
    /// Makes up its mind later, as in a long poll.
    Later(BoxFuture<'static, Self>),
}

impl Reply {
    /// Answers 200 with JSON.
    #[must_use]
    pub fn ok(body: &serde_json::Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// Answers with a status and JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self::Response(response)
    }

    /// Answers with a status and nothing else.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Self::bytes(status, Bytes::new())
    }

    /// Answers with a status and bytes.
    #[must_use]
    pub fn bytes(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Self::Response(response)
    }

    /// Answers once a future is done.
    #[must_use]
    pub fn later(reply: impl Future<Output = Self> + Send + 'static) -> Self {
        Self::Later(Box::pin(reply))
    }

    /// Adds a header to a response; other replies have none.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Self::Response(response) = &mut self {
            response.headers_mut().append(name, value);
        }
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(response) => f.debug_tuple("Response").field(response).finish(),
            Self::Unsent(kind) => f.debug_tuple("Unsent").field(kind).finish(),
            Self::Sent(kind) => f.debug_tuple("Sent").field(kind).finish(),
            Self::Hang => f.write_str("Hang"),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// A request that a fake server has seen. `Debug` shows all of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// The request, its body in one piece.
    pub request: Request<Bytes>,
    /// When it came, in the clock's monotonic time.
    pub at: Duration,
    /// How long the caller waits.
    pub deadline: Duration,
    /// The largest response that the caller takes, in bytes.
    pub max_response: usize,
    /// Whether the caller asked for the guard against requests into private networks.
    pub guarded: bool,
}

impl Recorded {
    /// The path of the address, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.request.body()).into_owned()
    }

    /// The body as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.request.body()).unwrap_or_default()
    }
}

type Handler = dyn Fn(&Request<Bytes>) -> Reply + Send + Sync;

struct Route {
    method: Option<Method>,
    prefix: String,
    action: Action,
}

enum Action {
    Once(Option<Reply>),
    Always(Arc<Handler>),
}

impl Route {
    fn matches(&self, request: &Request<Bytes>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| method == request.method())
            && request.uri().path().starts_with(&self.prefix)
    }
}

#[derive(Default)]
struct Ledger {
    requests: VecDeque<Recorded>,
    total: usize,
}

/// An [`HttpClient`] that is its own server: handlers answer, a ledger remembers.
///
/// Replies given with [`once`](Self::once) go first, in order; then the handler whose
/// path prefix is the longest, the latest of equals. What nothing matches gets a 404.
/// Hosts are not looked at. Clones share the server.
///
/// ```
/// use std::sync::Arc;
/// use channel_core::{HttpBody, HttpClient as _, HttpRequest};
/// use channel_testkit::{FakeHttp, Reply, VirtualClock};
///
/// let clock = VirtualClock::new();
/// let http = FakeHttp::new(Arc::new(clock.clone()));
/// http.post("/send", |request| Reply::ok(&serde_json::json!({"bytes": request.body().len()})));
///
/// let request = http::Request::post("https://chat.example/send").body(HttpBody::from(b"hi".to_vec()))?;
/// let response = clock.block_on(http.execute(HttpRequest::new(request))).unwrap();
/// assert_eq!(response.body(), r#"{"bytes":2}"#);
/// assert_eq!(http.requests()[0].text(), "hi");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct FakeHttp {
    clock: Arc<dyn Clock>,
    routes: Arc<Mutex<Vec<Route>>>,
    ledger: Arc<Shared<Ledger>>,
}

impl FakeHttp {
    /// A server without handlers, whose deadlines run on this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            routes: Arc::default(),
            ledger: Arc::default(),
        }
    }

    /// Answers all requests of a method (`None`: of any) under a path prefix.
    pub fn route(
        &self,
        method: Option<Method>,
        prefix: &str,
        handler: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static,
    ) {
        self.add(method, prefix, Action::Always(Arc::new(handler)));
    }

    /// Answers all `POST` requests under a path prefix.
    pub fn post(
        &self,
        prefix: &str,
        handler: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static,
    ) {
        self.route(Some(Method::POST), prefix, handler);
    }

    /// Answers all `GET` requests under a path prefix.
    pub fn get(
        &self,
        prefix: &str,
        handler: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static,
    ) {
        self.route(Some(Method::GET), prefix, handler);
    }

    /// Answers the next request under a path prefix, whatever its method, and no other.
    pub fn once(&self, prefix: &str, reply: Reply) {
        self.add(None, prefix, Action::Once(Some(reply)));
    }

    /// What came in, oldest first; at most the last 10 000.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.ledger
            .read(|ledger| ledger.requests.iter().cloned().collect())
    }

    /// What came in under a path prefix.
    #[must_use]
    pub fn requests_to(&self, prefix: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|recorded| recorded.path().starts_with(prefix));
        requests
    }

    /// How many requests have come in, forgotten ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ledger.read(|ledger| ledger.total)
    }

    /// How many requests the ledger has forgotten.
    #[must_use]
    pub fn forgotten(&self) -> usize {
        self.ledger
            .read(|ledger| ledger.total - ledger.requests.len())
    }

    /// Waits until at least `count` requests have come in, and shows the ledger.
    pub async fn wait_for(&self, count: usize) -> Vec<Recorded> {
        self.ledger
            .until(|ledger| {
                (ledger.total >= count).then(|| ledger.requests.iter().cloned().collect())
            })
            .await
    }

    /// Waits until at least `count` of the remembered requests are under a path prefix.
    pub async fn wait_for_path(&self, prefix: &str, count: usize) -> Vec<Recorded> {
        self.ledger
            .until(|ledger| {
                let matching = || {
                    ledger
                        .requests
                        .iter()
                        .filter(|recorded| recorded.path().starts_with(prefix))
                };
                (matching().count() >= count).then(|| matching().cloned().collect())
            })
            .await
    }

    fn add(&self, method: Option<Method>, prefix: &str, action: Action) {
        lock(&self.routes).push(Route {
            method,
            prefix: prefix.to_owned(),
            action,
        });
    }

    fn reply_to(&self, request: &Request<Bytes>) -> Reply {
        let mut routes = lock(&self.routes);
        let once = routes
            .iter_mut()
            .filter(|route| route.matches(request))
            .find_map(|route| match &mut route.action {
                Action::Once(reply) => reply.take(),
                Action::Always(_) => None,
            });
        routes.retain(|route| !matches!(route.action, Action::Once(None)));
        if let Some(reply) = once {
            return reply;
        }
        let handler = routes
            .iter()
            .filter(|route| route.matches(request))
            .filter_map(|route| match &route.action {
                Action::Always(handler) => Some((route.prefix.len(), handler)),
                Action::Once(_) => None,
            })
            .max_by_key(|(length, _)| *length)
            .map(|(_, handler)| Arc::clone(handler));
        drop(routes);
        handler.map_or_else(
            || Reply::status(StatusCode::NOT_FOUND),
            |handler| handler(request),
        )
    }

    fn record(&self, recorded: Recorded) {
        self.ledger.change(|ledger| {
            if ledger.requests.len() == LEDGER {
                ledger.requests.pop_front();
            }
            ledger.requests.push_back(recorded);
            ledger.total += 1;
        });
    }
}

impl fmt::Debug for FakeHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHttp")
            .field("requests", &self.count())
            .finish_non_exhaustive()
    }
}

async fn settle(mut reply: Reply) -> Result<Response<Bytes>, HttpError> {
    loop {
        match reply {
            Reply::Response(response) => return Ok(response),
            Reply::Unsent(kind) => return Err(HttpError::unsent(kind)),
            Reply::Sent(kind) => return Err(HttpError::sent(kind)),
            Reply::Hang => std::future::pending().await,
            Reply::Later(later) => reply = later.await,
        }
    }
}

/// Lets others run, as an exchange over a network would: whoever asks again and again
/// without a wait must not keep the thread to itself.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl HttpClient for FakeHttp {
    async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let HttpRequest {
            request,
            deadline,
            max_response,
            guarded,
            ..
        } = request;
        let (parts, body) = request.into_parts();
        let body = match <[Bytes; 1]>::try_from(body.into_pieces()) {
            Ok([piece]) => piece,
            Err(pieces) => Bytes::from(pieces.concat()),
        };
        let request = Request::from_parts(parts, body);
        self.record(Recorded {
            request: request.clone(),
            at: self.clock.elapsed(),
            deadline,
            max_response,
            guarded,
        });
        yield_once().await;
        let reply = self.reply_to(&request);
        match timeout(self.clock.as_ref(), deadline, settle(reply)).await {
            Ok(Ok(response)) if response.body().len() > max_response => {
                Err(HttpError::sent(HttpErrorKind::TooLarge))
            }
            Ok(result) => result,
            Err(_) => Err(HttpError::sent(HttpErrorKind::Timeout)),
        }
    }
}
