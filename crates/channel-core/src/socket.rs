//! The websocket seam.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::Sink;

use crate::error::{Error, Result};

/// A frame of a websocket, after fragments have been joined.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// UTF-8 text. Received text has been checked; text to send that is not UTF-8 is
    /// refused.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping; the transport answers received ones by itself.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
    /// The peer closes, or we do.
    Close(Option<CloseFrame>),
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::Ping(_) => f.write_str("Ping"),
            Self::Pong(_) => f.write_str("Pong"),
            Self::Close(close) => f.debug_tuple("Close").field(close).finish(),
        }
    }
}

impl Frame {
    /// A text frame.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Bytes::from(text.into()))
    }

    /// A closing frame with a code and a reason of at most 123 bytes.
    #[must_use]
    pub fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(CloseFrame {
            code,
            reason: reason.to_owned(),
        }))
    }
}

/// Why a websocket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseFrame {
    /// The close code of RFC 6455, section 7.4.
    pub code: u16,
    /// Words for people; hostile when received.
    pub reason: String,
}

impl CloseFrame {
    /// A code with a reason.
    #[must_use]
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// An open websocket: frames in, frames out. Ends after the close handshake.
pub trait Socket: Stream<Item = Result<Frame>> + Sink<Frame, Error = Error> + Send {}

impl<T> Socket for T where T: Stream<Item = Result<Frame>> + Sink<Frame, Error = Error> + Send {}

/// A websocket behind a pointer.
pub type BoxSocket = Pin<Box<dyn Socket>>;

/// What to connect to, and under which bounds.
#[derive(Clone)]
#[non_exhaustive]
pub struct SocketRequest {
    /// The handshake: `ws://` or `wss://` address and extra headers. The address may hold
    /// a ticket, so it is never shown.
    pub request: http::Request<()>,
    /// How long connecting may take, TLS and handshake included.
    pub connect_timeout: Duration,
    /// The largest inbound message, in bytes.
    pub max_message: usize,
}

impl SocketRequest {
    /// Connects within 10 s and accepts messages of up to 4 MiB.
    #[must_use]
    pub const fn new(request: http::Request<()>) -> Self {
        Self {
            request,
            connect_timeout: Duration::from_secs(10),
            max_message: 4 << 20,
        }
    }
}

impl fmt::Debug for SocketRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRequest")
            .field("host", &self.request.uri().host())
            .field("max_message", &self.max_message)
            .finish_non_exhaustive()
    }
}

/// What a server answered instead of opening a websocket: the source of a connector's error,
/// for platforms that say in a header why.
///
/// `Debug` shows the status alone.
#[derive(Clone, PartialEq, Eq)]
pub struct HandshakeRefused {
    status: http::StatusCode,
    headers: http::HeaderMap,
}

impl HandshakeRefused {
    /// An answer of this status with these headers.
    #[must_use]
    pub const fn new(status: http::StatusCode, headers: http::HeaderMap) -> Self {
        Self { status, headers }
    }

    /// The refusal behind an error, if it is one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> http::StatusCode {
        self.status
    }

    /// The headers; hostile.
    #[must_use]
    pub const fn headers(&self) -> &http::HeaderMap {
        &self.headers
    }
}

impl fmt::Debug for HandshakeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeRefused")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for HandshakeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status.as_u16())
    }
}

impl std::error::Error for HandshakeRefused {}

/// Opens websockets.
#[async_trait]
pub trait SocketConnector: fmt::Debug + Send + Sync {
    /// Opens a websocket.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the server cannot be reached in time, `Unauthenticated` or
    /// `Forbidden` if it refuses the handshake with 401 or 403, `Protocol` if it does not
    /// speak the protocol. A refusal has [`HandshakeRefused`] as its source where the
    /// connector knows the answer.
    async fn connect(&self, request: SocketRequest) -> Result<BoxSocket>;
}
