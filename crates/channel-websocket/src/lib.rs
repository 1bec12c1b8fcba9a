#![doc = include_str!("../README.md")]

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use channel_core::{BoxSocket, CloseFrame, Error, ErrorKind, Frame, Result};
use futures_core::Stream;
use futures_util::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as WsClose, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// An idle socket costs about this much in each direction, in bytes; with the library's
/// defaults it would be 128 KiB.
const BUFFER: usize = 4 << 10;

/// What a server reads at once, in bytes: it keeps such a buffer for each client, and what
/// clients say is short.
const SERVER_READ: usize = 2 << 10;

/// The most that may wait to be written, in bytes: one large message.
const MAX_WRITE: usize = 16 << 20;

/// Small buffers, and a bound of `max_message` bytes on what comes in.
#[must_use]
pub fn config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(MAX_WRITE)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

/// The same for a server, which has many sockets that say little: a smaller buffer for what
/// comes in.
#[must_use]
pub fn server_config(max_message: usize) -> WebSocketConfig {
    config(max_message).read_buffer_size(SERVER_READ)
}

/// Puts an open websocket behind the seam.
#[must_use]
pub fn wrap<S>(stream: WebSocketStream<S>) -> BoxSocket
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(WebSocket(stream))
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

/// An open websocket. Once it has ended or failed it stays ended: the library sees to it.
struct WebSocket<S>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut WebSocketStream<S>> {
        Pin::new(&mut self.get_mut().0)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        loop {
            let item = ready!(self.as_mut().stream().poll_next(cx));
            return Poll::Ready(match item {
                Some(Ok(message)) => match frame(message) {
                    Some(frame) => Some(Ok(frame)),
                    None => continue,
                },
                Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) | None => None,
                Some(Err(error)) => Some(Err(socket_error(&error))),
            });
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for WebSocket<S> {
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
            ErrorKind::Invalid,
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
