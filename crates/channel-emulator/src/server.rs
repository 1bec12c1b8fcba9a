//! The listener: HTTP/1.1 on one port, with the power to drop a connection in the middle of a call.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tower::ServiceExt as _;

/// A connection that sends no complete header in this time is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Long polls keep a connection each, so this is generous; more than that waits in the backlog.
const MAX_CONNECTIONS: usize = 512;

/// A running HTTP listener; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: AbortHandle,
    closed: watch::Sender<bool>,
}

impl Server {
    /// Binds `address` (port 0 picks a free one) and serves `router` on it until dropped.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (closed, signal) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, router, signal)).abort_handle();
        Ok(Self {
            address,
            accepting,
            closed,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the port and drops every open connection.
    pub fn stop(&self) {
        self.closed.send_replace(true);
        self.accepting.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, router: Router, closed: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors or the like: the next accept may do better, but not at once.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let router = router.clone();
        let closed = closed.clone();
        tokio::spawn(async move {
            connection(socket, router, closed).await;
            drop(permit);
        });
    }
}

async fn connection(socket: TcpStream, router: Router, mut closed: watch::Receiver<bool>) {
    let (cut, mut cuts) = watch::channel(false);
    let cut = Cut(Arc::new(cut));
    let end = Closed(closed.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(cut.clone());
        request.extensions_mut().insert(end.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::select! {
        _ = serving => {}
        _ = cuts.wait_for(|cut| *cut) => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

/// Found in the extensions of each request: drops the connection the request came on.
#[derive(Clone, Debug)]
pub(crate) struct Cut(Arc<watch::Sender<bool>>);

/// Found in the extensions of each request: the end of the server, for connections that have become something else.
#[derive(Clone, Debug)]
pub(crate) struct Closed(watch::Receiver<bool>);

#[allow(dead_code, reason = "only platforms with sockets wait for it")]
impl Closed {
    /// Returns when the server stops.
    pub(crate) async fn wait(mut self) {
        let _ = self.0.wait_for(|closed| *closed).await;
    }
}

/// Drops the connection instead of answering.
///
/// Behind a foreign listener there is no [`Cut`]; there a body that fails at once makes the server give up.
pub(crate) async fn cut(connection: Option<Cut>) -> Response {
    if let Some(Cut(cut)) = connection {
        cut.send_replace(true);
        return std::future::pending().await;
    }
    let broken = stream::iter([Err::<Bytes, _>(io::Error::other(
        "connection dropped on demand",
    ))]);
    Response::new(Body::from_stream(broken))
}
