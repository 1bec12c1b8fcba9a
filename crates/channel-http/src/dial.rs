//! Opening connections: names, addresses, TCP, proxy, TLS.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::guard::{Guard, Refusal};
use crate::per_host::Place;
use crate::proxy::{Proxy, ProxyError};
use crate::tls::{Protocols, Tls, TlsError};

/// How long one address gets before the next is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Turns names into addresses.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a name, in the order in which to try them.
    ///
    /// # Errors
    ///
    /// If the name has no address or cannot be looked up.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Why there is no connection. Holds neither addresses nor anything the peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialError {
    Address,
    Refused(Refusal),
    Resolve,
    Tcp(io::ErrorKind),
    Proxy(ProxyError),
    Tls(TlsError),
    Timeout,
    /// The host has as many connections as it may have.
    Busy,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("the address has no scheme or host that can be used"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Resolve => f.write_str("the host name cannot be resolved"),
            Self::Tcp(kind) => kind.fmt(f),
            Self::Proxy(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Timeout => f.write_str("not connected in time"),
            Self::Busy => f.write_str("no connection to the host became free in time"),
        }
    }
}

impl std::error::Error for DialError {}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// Reads scheme, host and port; `ws` and `wss` count as `http` and `https`.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let tls = if *scheme == Scheme::HTTPS || scheme.as_str() == "wss" {
            true
        } else if *scheme == Scheme::HTTP || scheme.as_str() == "ws" {
            false
        } else {
            return None;
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Some(Self {
            tls,
            host: bare.to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        })
    }
}

/// Opens connections for HTTP and for websockets alike.
#[derive(Debug, Clone)]
pub(crate) struct Dialer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    resolver: Arc<dyn Resolve>,
    tls: Tls,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
}

impl Dialer {
    pub(crate) fn new(
        resolver: Arc<dyn Resolve>,
        tls: Tls,
        proxy: Option<Proxy>,
        connect_timeout: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            resolver,
            tls,
            proxy,
            connect_timeout,
        }))
    }

    /// How long look-up, TCP, proxy and TLS may take together.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    /// Connects, TLS included. With a guard, the addresses that it has seen are the ones
    /// connected to: there is no second look-up in which they could change.
    pub(crate) async fn dial(
        &self,
        origin: &Origin,
        guard: Option<&Guard>,
        protocols: Protocols,
    ) -> Result<Io, DialError> {
        tokio::time::timeout(
            self.0.connect_timeout,
            self.dial_now(origin, guard, protocols),
        )
        .await
        .map_err(|_| DialError::Timeout)?
    }

    async fn dial_now(
        &self,
        origin: &Origin,
        guard: Option<&Guard>,
        protocols: Protocols,
    ) -> Result<Io, DialError> {
        let tcp = match (&self.0.proxy, guard) {
            (None, _) => connect(self.addresses(origin, guard).await?).await?,
            // The proxy would look the name up once more, so it gets the checked address.
            (Some(proxy), Some(_)) => {
                let checked = self.addresses(origin, guard).await?;
                let first = checked.first().ok_or(DialError::Resolve)?;
                self.tunnel(proxy, &first.ip().to_string(), origin.port)
                    .await?
            }
            (Some(proxy), None) => self.tunnel(proxy, &origin.host, origin.port).await?,
        };
        if !origin.tls {
            return Ok(Io::new(Stream::Plain(tcp)));
        }
        let config = self.0.tls.config(protocols).await.map_err(DialError::Tls)?;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| DialError::Address)?;
        let stream = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|error| DialError::Tls(TlsError::of(&error)))?;
        Ok(Io::new(Stream::Tls(Box::new(stream))))
    }

    async fn addresses(
        &self,
        origin: &Origin,
        guard: Option<&Guard>,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let mut ips = match origin.host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => self
                .0
                .resolver
                .resolve(&origin.host)
                .await
                .map_err(|_| DialError::Resolve)?,
        };
        if let Some(guard) = guard {
            guard
                .check_addresses(&origin.host, origin.port, &ips)
                .map_err(DialError::Refused)?;
        }
        ips.truncate(MAX_ADDRESSES);
        Ok(ips
            .into_iter()
            .map(|ip| SocketAddr::new(ip, origin.port))
            .collect())
    }

    async fn tunnel(&self, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let tcp = connect(self.addresses(proxy.origin(), None).await?).await?;
        proxy
            .tunnel(tcp, host, port)
            .await
            .map_err(DialError::Proxy)
    }
}

/// Tries the addresses one after the other, the next one early when one hangs.
async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut left = interleave(addresses).into_iter();
    let mut last = DialError::Resolve;
    let mut running = FuturesUnordered::new();
    loop {
        if let Some(address) = left.next() {
            running.push(TcpStream::connect(address));
        } else if running.is_empty() {
            return Err(last);
        }
        let outcome = if left.len() == 0 {
            running.next().await
        } else {
            match tokio::time::timeout(ATTEMPT_DELAY, running.next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome {
            Some(Ok(stream)) => {
                stream
                    .set_nodelay(true)
                    .map_err(|error| DialError::Tcp(error.kind()))?;
                return Ok(stream);
            }
            Some(Err(error)) => last = DialError::Tcp(error.kind()),
            None => {}
        }
    }
}

/// Alternates between the address families, starting with that of the first address, so
/// that a dead one costs a single attempt.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first_is_v6) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let count = addresses.len();
    let (same, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut same = same.into_iter();
    let mut other = other.into_iter();
    let mut mixed = Vec::with_capacity(count);
    while mixed.len() < count {
        mixed.extend(same.next());
        mixed.extend(other.next());
    }
    mixed
}

/// A connection with or without TLS.
#[derive(Debug)]
pub(crate) struct Io {
    stream: Stream,
    /// Its place among the connections of the host, where these are counted.
    _place: Option<Place>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    const fn new(stream: Stream) -> Self {
        Self {
            stream,
            _place: None,
        }
    }

    /// Keeps a place for as long as the connection is open.
    pub(crate) fn holding(mut self, place: Place) -> Self {
        self._place = Some(place);
        self
    }
}

impl Connection for Io {
    fn connected(&self) -> Connected {
        match &self.stream {
            Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buffer),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_requests_are_not_held_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = connect(vec![address]).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn families_take_turns() {
        let addresses = |list: [&str; 5]| {
            list.map(|ip| SocketAddr::new(ip.parse().unwrap(), 443))
                .to_vec()
        };
        assert_eq!(
            interleave(addresses(["::1", "::2", "::3", "1.1.1.1", "1.1.1.2"])),
            addresses(["::1", "1.1.1.1", "::2", "1.1.1.2", "::3"])
        );
    }
}
