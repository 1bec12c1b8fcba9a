//! A listener that hostile clients cannot hold.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use channel_core::{Clock, Error, ErrorKind, Result, timeout};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::head::{MAX_HEAD, Strict};

/// Headers in one request.
const MAX_HEADERS: usize = 100;

/// The bounds of a [`Server`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How long a request head may take, and how long a connection may be idle; 10 s by
    /// default.
    pub head_within: Duration,
    /// Connections at once, before they become websockets; more wait in the kernel's
    /// queue. 10,000 by default.
    pub max_connections: u16,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            head_within: Duration::from_secs(10),
            max_connections: 10_000,
        }
    }
}

/// Serves a router on an address, HTTP/1.1 without TLS.
///
/// Request heads have to arrive in time ([`ServerConfig::head_within`]) and are at most
/// 64 KiB and 100 headers; ambiguous ones (bare line feeds, folded lines, two lengths) end
/// the connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    close: watch::Sender<bool>,
    task: JoinHandle<()>,
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
        let (close, closed) = watch::channel(false);
        let task = tokio::spawn(accept(config, listener, router, closed));
        Ok(Self {
            address,
            close,
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
        self.close.send_replace(true);
    }

    /// Waits for the requests under way, for at most `limit`, then ends them.
    pub async fn finish(mut self, limit: Duration, clock: &dyn Clock) {
        self.close();
        if timeout(clock, limit, &mut self.task).await.is_err() {
            tracing::debug!("connections were still open and are cut");
            self.task.abort();
        }
    }
}

async fn accept(
    config: ServerConfig,
    listener: TcpListener,
    router: Router,
    mut closed: watch::Receiver<bool>,
) {
    let max_connections = config.max_connections.max(1);
    let room = Arc::new(Semaphore::new(usize::from(max_connections)));
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            _ = closed.changed() => break,
        };
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            _ = closed.changed() => break,
        };
        match stream {
            Ok((stream, peer)) => {
                let connection = Connection {
                    stream,
                    peer,
                    head_within: config.head_within,
                    closed: closed.clone(),
                    permit,
                };
                tokio::spawn(connection.serve(router.clone()));
            }
            Err(error) => {
                // Out of file descriptors, or the peer has gone already.
                tracing::debug!(%error, "connection not accepted");
                tokio::task::yield_now().await;
            }
        }
    }
    drop(listener);
    // All permits are back when all connections have ended.
    drop(room.acquire_many(max_connections.into()).await);
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    head_within: Duration,
    closed: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self, router: Router) {
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::trace!(%error, "no TCP_NODELAY");
        }
        let peer = self.peer;
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = router.clone().oneshot(request);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_within)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Strict::new(self.stream)), service)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = self.closed.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
        drop(self.permit);
    }
}
