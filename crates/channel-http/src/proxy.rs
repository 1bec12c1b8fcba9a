//! An explicit HTTP proxy, used as a tunnel.

use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{Error, Result};
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::dial::Origin;

/// The proxy did not open a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProxyError;

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy opened no tunnel")
    }
}

/// Where the proxy is and what it wants to see.
#[derive(Clone)]
pub(crate) struct Proxy {
    origin: Origin,
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.origin.host)
            .field("port", &self.origin.port)
            .field("authorization", &self.authorization.is_some())
            .finish()
    }
}

impl Proxy {
    /// Reads `http://[user:password@]host:port`.
    pub(crate) fn parse(address: &str) -> Result<Self> {
        let wrong = || Error::config("proxy: expected http://[user:password@]host:port");
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let origin = Origin::of(&uri)
            .filter(|_| uri.scheme_str() == Some("http"))
            .ok_or_else(wrong)?;
        let credentials = uri
            .authority()
            .and_then(|authority| authority.as_str().rsplit_once('@'))
            .map(|(credentials, _)| credentials);
        let authorization = match credentials {
            None => None,
            Some(credentials) => {
                let encoded = STANDARD.encode(percent_decoded(credentials).ok_or_else(wrong)?);
                let mut value =
                    HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| wrong())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            uri: authority("http", &origin.host, origin.port).ok_or_else(wrong)?,
            origin,
            authorization,
        })
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asks the proxy behind `tcp` for a tunnel to a host.
    pub(crate) async fn tunnel(
        &self,
        tcp: TcpStream,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, ProxyError> {
        let target = authority("https", host, port).ok_or(ProxyError)?;
        let mut tunnel = Tunnel::new(self.uri.clone(), Opened(Some(tcp)));
        if let Some(authorization) = &self.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let tunnel = tunnel.call(target).await.map_err(|_| ProxyError)?;
        Ok(tunnel.into_inner())
    }
}

fn authority(scheme: &str, host: &str, port: u16) -> Option<Uri> {
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query("/")
        .build()
        .ok()
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(decoded)
}

/// A connector that hands out the one connection it holds.
struct Opened(Option<TcpStream>);

impl Service<Uri> for Opened {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(
            self.0
                .take()
                .map(TokioIo::new)
                .ok_or_else(|| io::ErrorKind::NotConnected.into()),
        )
    }
}
