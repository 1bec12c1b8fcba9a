//! A listener that hostile clients cannot hold.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse as _, Response};
use axum::routing::future::RouteFuture;
use channel_core::{Clock, Error, ErrorKind, Result, timeout};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tower_service::Service as _;

use crate::guarded::Guarded;
use crate::head::{MAX_HEAD, Strict};
use crate::head_timer::HeadTimer;
use crate::upgrade::lists;

/// How long to wait when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of a [`Server`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How long a request head may take, and how long a connection may be idle; 10 s by
    /// default.
    pub head_within: Duration,
    /// How long a client may take nothing of what is written to it; 30 s by default. Holds
    /// for websockets too.
    pub write_within: Duration,
    /// Connections at once, before they become websockets; more wait in the kernel's
    /// queue. 10,000 by default.
    pub max_connections: u16,
    /// Websockets at once, of all channels together; more upgrades are answered with 503.
    /// A bound of their own, so that idle websockets take no place from webhooks. 10,000
    /// by default.
    pub max_websockets: u16,
    /// Measures `write_within`; tokio's timer does if not set.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            head_within: Duration::from_secs(10),
            write_within: Duration::from_secs(30),
            max_connections: 10_000,
            max_websockets: 10_000,
            clock: None,
        }
    }
}

/// Serves a router on an address, HTTP/1.1 without TLS.
///
/// Request heads have to arrive in time ([`ServerConfig::head_within`]) and are at most
/// 64 KiB and 100 headers; ambiguous ones (bare line feeds, folded lines, two lengths) end
/// the connection, and one without exactly one valid `Host` is answered with 400 (RFC 9112,
/// section 3.2). A client that takes nothing of its answers for
/// [`ServerConfig::write_within`] is cut.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

/// How far the end of a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes nothing new.
    Closing,
    /// Ends what is still under way.
    Cut,
}

impl Server {
    /// Binds the address and serves from now on, in the background of the current tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// `Config` if the address cannot be bound.
    pub async fn bind(address: SocketAddr, router: Router) -> Result<Self> {
        Self::bind_with(ServerConfig::default(), address, router).await
    }

    /// The same, with bounds of one's own.
    ///
    /// # Errors
    ///
    /// `Config` if the address cannot be bound.
    pub async fn bind_with(
        config: ServerConfig,
        address: SocketAddr,
        router: Router,
    ) -> Result<Self> {
        let failed = |source: std::io::Error| {
            Error::new(ErrorKind::Config, format!("cannot listen on {address}")).with_source(source)
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (phase, watched) = watch::channel(Phase::Open);
        // Once and for all, or the router would do it for each request.
        let router = router.with_state(());
        let task = tokio::spawn(accept(config, listener, router, watched));
        Ok(Self {
            address,
            phase,
            task,
        })
    }

    /// The address that is served, with the port that was chosen.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections; requests under way go on.
    pub fn close(&self) {
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            if open {
                *phase = Phase::Closing;
            }
            open
        });
    }

    /// Waits for the requests under way, for at most `limit`, then ends them.
    pub async fn finish(mut self, limit: Duration, clock: &dyn Clock) {
        self.close();
        if timeout(clock, limit, &mut self.task).await.is_err() {
            tracing::debug!("connections were still open and are cut");
            self.phase.send_replace(Phase::Cut);
            if let Err(error) = self.task.await {
                tracing::debug!(%error, "the listener ended abnormally");
            }
        }
    }
}

async fn accept(
    config: ServerConfig,
    listener: TcpListener,
    router: Router,
    mut phase: watch::Receiver<Phase>,
) {
    let max_connections = config.max_connections.max(1);
    let room = Arc::new(Semaphore::new(usize::from(max_connections)));
    let websockets = Arc::new(Semaphore::new(usize::from(config.max_websockets)));
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            _ = phase.changed() => break,
        };
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            _ = phase.changed() => break,
        };
        match stream {
            Ok((stream, peer)) => {
                let connection = Connection {
                    stream,
                    peer,
                    config: config.clone(),
                    websockets: Arc::clone(&websockets),
                    phase: phase.clone(),
                    permit,
                };
                tokio::spawn(connection.serve(router.clone()));
            }
            Err(error) => {
                tracing::debug!(%error, "connection not accepted");
                if !of_the_peer(&error) {
                    // Out of file descriptors: trying again at once would fail at once,
                    // and take the processor from those who could give one back.
                    tokio::select! {
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                        _ = phase.changed() => break,
                    }
                }
            }
        }
    }
    drop(listener);
    // All permits are back when all connections have ended.
    drop(room.acquire_many(max_connections.into()).await);
}

/// Whether the peer had gone before it was accepted, which says nothing about the next.
fn of_the_peer(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::Interrupted
    )
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    config: ServerConfig,
    websockets: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
    permit: OwnedSemaphorePermit,
}

/// Waits until connections are to be cut; for ever if the server was dropped instead.
async fn cut(phase: &mut watch::Receiver<Phase>) {
    if phase.wait_for(|phase| *phase == Phase::Cut).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ends the connection after an answer behind which the heads are judged no more, unless
/// the connection has become another protocol's.
fn end_after(answer: &mut axum::response::Response) {
    let ends = answer.status() == StatusCode::SWITCHING_PROTOCOLS
        || lists(answer.headers(), header::CONNECTION, "close");
    if !ends {
        answer
            .headers_mut()
            .append(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether a request names its host as RFC 9112, section 3.2 wants it: one `Host`, which a
/// client of HTTP/1.0 may leave out, holding host and port or nothing.
fn names_its_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return false;
    }
    match first.map(HeaderValue::as_bytes) {
        None => version == Version::HTTP_10,
        Some(b"") => true,
        Some(host) if is_plain_host(host) => true,
        Some(host) => !host.contains(&b'@') && http::uri::Authority::try_from(host).is_ok(),
    }
}

/// Whether a host is of the form that nearly all have, a name and perhaps a port, so that
/// nothing has to be parsed.
fn is_plain_host(host: &[u8]) -> bool {
    let is_name = |part: &[u8]| {
        !part.is_empty()
            && part
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    let is_port =
        |part: &[u8]| (1..=5).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    match memchr::memchr(b':', host).and_then(|colon| host.split_at_checked(colon)) {
        Some((name, port)) => is_name(name) && port.strip_prefix(b":").is_some_and(is_port),
        None => is_name(host),
    }
}

/// An answer of the server itself, after which the connection ends.
fn closing(status: StatusCode) -> Response {
    let mut answer = status.into_response();
    end_after(&mut answer);
    answer
}

/// The place of a connection among the websockets, kept by the connection for as long as it
/// is open.
type Place = Arc<OnceLock<OwnedSemaphorePermit>>;

/// Answers the requests of one connection.
struct Service {
    router: Router,
    peer: SocketAddr,
    websockets: Arc<Semaphore>,
    place: Place,
}

/// What is known of a request that has to be seen to when it is answered.
struct Checked {
    /// Behind the answer the heads are judged no more.
    unjudged: bool,
    /// The place that it takes among the websockets if it becomes one.
    permit: Option<(OwnedSemaphorePermit, Place)>,
}

impl Checked {
    fn see_to(self, answer: &mut Response) {
        if self.unjudged {
            end_after(answer);
        }
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some((permit, place)) = self.permit
        {
            // A connection becomes a websocket once, so the place is empty.
            drop(place.set(permit));
        }
    }
}

impl Service {
    fn check(&self, request: &hyper::Request<Incoming>) -> Result<Checked, Box<Response>> {
        let headers = request.headers();
        if !names_its_host(request.version(), headers) {
            return Err(closing(StatusCode::BAD_REQUEST).into());
        }
        if !headers.contains_key(header::UPGRADE) {
            return Ok(Checked {
                unjudged: headers.contains_key(header::TRANSFER_ENCODING),
                permit: None,
            });
        }
        let Ok(permit) = Arc::clone(&self.websockets).try_acquire_owned() else {
            let mut answer = closing(StatusCode::SERVICE_UNAVAILABLE);
            let seconds = HeaderValue::from_static("5");
            answer.headers_mut().insert(header::RETRY_AFTER, seconds);
            return Err(answer.into());
        };
        Ok(Checked {
            unjudged: true,
            permit: Some((permit, Arc::clone(&self.place))),
        })
    }

    fn answer(&self, mut request: hyper::Request<Incoming>) -> Answering {
        match self.check(&request) {
            Ok(checked) => {
                request.extensions_mut().insert(ConnectInfo(self.peer));
                // A router is always ready.
                let routed = self.router.clone().call(request.map(Body::new));
                Answering::Routed(checked, routed)
            }
            Err(answer) => Answering::Known(answer),
        }
    }
}

/// The answer to one request; a function would keep the request twice.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the large kind"
)]
enum Answering {
    Routed(Checked, RouteFuture<Infallible>),
    Known(Box<Response>),
    Given,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut *self {
            Self::Routed(_, routed) => Some(ready!(Pin::new(routed).poll(cx))?),
            Self::Known(_) => None,
            Self::Given => return Poll::Pending,
        };
        Poll::Ready(Ok(
            match (std::mem::replace(&mut *self, Self::Given), answer) {
                (Self::Routed(checked, _), Some(mut answer)) => {
                    checked.see_to(&mut answer);
                    answer
                }
                (Self::Known(answer), _) => *answer,
                (Self::Routed(..) | Self::Given, _) => return Poll::Pending,
            },
        ))
    }
}

impl Connection {
    async fn serve(mut self, router: Router) {
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::trace!(%error, "no TCP_NODELAY");
        }
        let place = Place::default();
        let service = Service {
            router,
            peer: self.peer,
            websockets: self.websockets,
            place: Arc::clone(&place),
        };
        let service = hyper::service::service_fn(move |request| service.answer(request));
        let ServerConfig {
            head_within,
            write_within,
            clock,
            ..
        } = self.config;
        let stream = Guarded::new(Strict::new(self.stream), clock, write_within, place);
        // At most 100 headers is what hyper takes; a number of one's own makes it clear its room
        // for them with each request.
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(HeadTimer::default())
            .header_read_timeout(head_within)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = self.phase.changed() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = cut(&mut self.phase) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
        drop(self.permit);
    }
}
