//! A small HTTP/1.1 client for addresses on this machine.
//!
//! The emulators never connect anywhere else: an address that a bot gives is not a reason to leave the machine.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::{Host, Url};

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends one request and reads at most `limit` bytes of the answer; the error says what went wrong in words.
pub(crate) async fn request(
    method: Method,
    url: &Url,
    headers: Vec<(&'static str, HeaderValue)>,
    body: Bytes,
    limit: usize,
    timeout: Duration,
) -> Result<(u16, Bytes), String> {
    let reply = exchange(method, url, headers, body, limit, timeout).await?;
    Ok((reply.status, reply.body))
}

/// The same, with the headers of the answer.
pub(crate) async fn exchange(
    method: Method,
    url: &Url,
    headers: Vec<(&'static str, HeaderValue)>,
    body: Bytes,
    limit: usize,
    timeout: Duration,
) -> Result<Reply, String> {
    tokio::time::timeout(timeout, converse(method, url, headers, body, limit))
        .await
        .unwrap_or_else(|_| Err("Read timeout expired".to_owned()))
}

async fn converse(
    method: Method,
    url: &Url,
    headers: Vec<(&'static str, HeaderValue)>,
    body: Bytes,
    limit: usize,
) -> Result<Reply, String> {
    if url.scheme() != "http" {
        return Err("SSL error: the emulator speaks plain HTTP only".to_owned());
    }
    let address = match url.host() {
        Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        Some(Host::Ipv4(address)) if address.is_loopback() => address.into(),
        Some(Host::Ipv6(address)) if address.is_loopback() => address.into(),
        _ => return Err("Failed to resolve host: only this machine is reachable".to_owned()),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let socket = TcpStream::connect((address, port))
        .await
        .map_err(|_| "Connection refused".to_owned())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .map_err(|_| "Connection closed".to_owned())?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, url.authority());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(body))
        .map_err(|_| "Wrong URL".to_owned())?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| "Connection closed".to_owned())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|_| "Response is too big or incomplete".to_owned())?;
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    // The connection lives as long as the exchange, and makes progress only while it is polled.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}
