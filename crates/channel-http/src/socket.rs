//! Websockets.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{BoxSocket, CloseFrame, Error, ErrorKind, Frame, Result, SocketRequest};
use futures_core::Stream;
use futures_util::Sink;
use http::header::{
    CONNECTION, HOST, RETRY_AFTER, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{HeaderValue, Request, StatusCode};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as WsClose, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::dial::{DialError, Dialer, Io, Origin};
use crate::tls::Protocols;

/// An idle socket costs about this much in each direction; with the library's defaults it
/// would be 128 KiB.
const BUFFER: usize = 4 << 10;

/// The most that may wait to be written, in bytes: one large message.
const MAX_WRITE: usize = 16 << 20;

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
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(MAX_WRITE)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let (stream, _) = tokio_tungstenite::client_async_with_config(request, io, Some(config))
        .await
        .map_err(|error| handshake_error(&error))?;
    Ok(Box::pin(WebSocket {
        stream,
        ended: false,
    }))
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
        WsError::Http(response) => refused(response.status(), response.headers().get(RETRY_AFTER)),
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
fn refused(status: StatusCode, retry_after: Option<&HeaderValue>) -> Error {
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
    .with_code(code);
    let seconds = retry_after
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

/// An open websocket.
struct WebSocket {
    stream: WebSocketStream<Io>,
    ended: bool,
}

impl WebSocket {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut WebSocketStream<Io>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Stream for WebSocket {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            let item = ready!(self.as_mut().stream().poll_next(cx));
            return Poll::Ready(match item {
                Some(Ok(message)) => match frame(message) {
                    Some(frame) => Some(Ok(frame)),
                    None => continue,
                },
                Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) | None => {
                    self.ended = true;
                    None
                }
                Some(Err(error)) => {
                    self.ended = true;
                    Some(Err(socket_error(&error)))
                }
            });
        }
    }
}

impl Sink<Frame> for WebSocket {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()
            .poll_ready(cx)
            .map_err(|error| socket_error(&error))
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<()> {
        let message = message(frame)?;
        self.stream()
            .start_send(message)
            .map_err(|error| socket_error(&error))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()
            .poll_flush(cx)
            .map_err(|error| socket_error(&error))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()
            .poll_close(cx)
            .map_err(|error| socket_error(&error))
    }
}

fn frame(message: Message) -> Option<Frame> {
    Some(match message {
        Message::Text(text) => Frame::Text(Bytes::from(text)),
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Ping(bytes) => Frame::Ping(bytes),
        Message::Pong(bytes) => Frame::Pong(bytes),
        Message::Close(close) => Frame::Close(
            close.map(|close| CloseFrame::new(close.code.into(), close.reason.as_str())),
        ),
        // Only made when frames are written by hand, never read.
        Message::Frame(_) => return None,
    })
}

fn message(frame: Frame) -> Result<Message> {
    Ok(match frame {
        Frame::Text(bytes) => Message::Text(
            Utf8Bytes::try_from(bytes)
                .map_err(|_| Error::new(ErrorKind::Invalid, "a text frame has to be utf-8"))?,
        ),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Ping(bytes) => Message::Ping(control(bytes)?),
        Frame::Pong(bytes) => Message::Pong(control(bytes)?),
        Frame::Close(close) => Message::Close(match close {
            Some(close) if close.reason.len() > MAX_REASON => {
                return Err(too_long("a closing reason holds at most 123 bytes"));
            }
            Some(close) => Some(WsClose {
                code: CloseCode::from(close.code),
                reason: close.reason.into(),
            }),
            None => None,
        }),
        _ => return Err(Error::new(ErrorKind::Unsupported, "unknown kind of frame")),
    })
}

/// The longest payload of a control frame, in bytes (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// The longest closing reason, in bytes: a control frame less the code.
const MAX_REASON: usize = MAX_CONTROL - 2;

fn control(bytes: Bytes) -> Result<Bytes> {
    if bytes.len() > MAX_CONTROL {
        return Err(too_long("a control frame holds at most 125 bytes"));
    }
    Ok(bytes)
}

fn too_long(message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn socket_error(error: &WsError) -> Error {
    match error {
        WsError::Io(error) => Error::new(ErrorKind::Unavailable, "websocket: the connection broke")
            .with_source(Broken(error.kind())),
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
        ) => Error::new(
            ErrorKind::Unavailable,
            "websocket: the connection is closed",
        ),
        WsError::Capacity(_) => Error::new(
            ErrorKind::Protocol,
            "websocket: a message is larger than allowed",
        ),
        WsError::WriteBufferFull(_) => Error::new(
            ErrorKind::Unavailable,
            "websocket: too much waits to be written",
        ),
        _ => Error::new(
            ErrorKind::Protocol,
            "websocket: the peer broke the protocol",
        ),
    }
}
