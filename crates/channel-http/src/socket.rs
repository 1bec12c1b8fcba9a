//! Websockets.

use std::fmt;
use std::time::Duration;

use channel_core::{BoxSocket, Error, ErrorKind, HandshakeRefused, Result, SocketRequest};
use http::header::{
    CONNECTION, HOST, RETRY_AFTER, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::dial::{DialError, Dialer, Origin};
use crate::tls::Protocols;

/// Opens a websocket.
pub(crate) async fn connect(
    dialer: &Dialer,
    user_agent: &HeaderValue,
    request: SocketRequest,
) -> Result<BoxSocket> {
    let SocketRequest {
        request,
        connect_timeout,
        max_message,
        ..
    } = request;
    let open = open(dialer, user_agent, request, max_message);
    // The futures of the handshake are large; the one kept across awaits is a pointer.
    tokio::time::timeout(connect_timeout, Box::pin(open))
        .await
        .map_err(|_| Error::new(ErrorKind::Unavailable, "websocket not open in time"))?
}

async fn open(
    dialer: &Dialer,
    user_agent: &HeaderValue,
    request: Request<()>,
    max_message: usize,
) -> Result<BoxSocket> {
    let origin = Origin::of(request.uri())
        .filter(|_| matches!(request.uri().scheme_str(), Some("ws" | "wss")))
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "expected a ws or wss address"))?;
    let request = handshake(request, &origin, user_agent)?;
    let io = dialer
        .dial(&origin, None, Protocols::Http1)
        .await
        .map_err(dial_error)?;
    let config = channel_websocket::config(max_message);
    let (stream, _) = tokio_tungstenite::client_async_with_config(request, io, Some(config))
        .await
        .map_err(|error| handshake_error(&error))?;
    Ok(channel_websocket::wrap(stream))
}

/// Adds the headers of RFC 6455, section 4.1.
fn handshake(
    mut request: Request<()>,
    origin: &Origin,
    user_agent: &HeaderValue,
) -> Result<Request<()>> {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .unwrap_or(&origin.host);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = HeaderValue::from_str(host)
        .map_err(|_| Error::new(ErrorKind::Invalid, "expected a plain host name"))?;
    let key = HeaderValue::from_str(&generate_key())
        .map_err(|_| Error::new(ErrorKind::Invalid, "no websocket key"))?;
    let headers = request.headers_mut();
    headers
        .entry(USER_AGENT)
        .or_insert_with(|| user_agent.clone());
    headers.entry(HOST).or_insert(host);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(request)
}

fn dial_error(error: DialError) -> Error {
    let kind = match error {
        DialError::Address => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "websocket: no connection to the server").with_source(error)
}

fn handshake_error(error: &WsError) -> Error {
    match error {
        WsError::Http(response) => refused(response.status(), response.headers()),
        WsError::Io(error) => Error::new(ErrorKind::Unavailable, "websocket: the handshake broke")
            .with_source(Broken(error.kind())),
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            Error::new(ErrorKind::Unavailable, "websocket: the handshake broke")
        }
        _ => Error::new(
            ErrorKind::Protocol,
            "websocket: the answer is not a websocket handshake",
        ),
    }
}

/// What the server's status asks for.
fn refused(status: StatusCode, headers: &HeaderMap) -> Error {
    let kind = match status.as_u16() {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimited,
        408 | 425 | 500.. => ErrorKind::Unavailable,
        400..500 => ErrorKind::Invalid,
        _ => ErrorKind::Protocol,
    };
    let code = status.as_u16().to_string();
    let error = Error::new(
        kind,
        format!("websocket: the server refused the handshake with {code}"),
    )
    .with_code(code)
    .with_source(HandshakeRefused::new(status, headers.clone()));
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    match seconds {
        Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
        None => error,
    }
}

/// How an I/O operation failed, without the words of the peer.
#[derive(Debug)]
struct Broken(std::io::ErrorKind);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Broken {}
