//! The HTTP seam.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, ErrorKind};

/// A request body: pieces that are sent one after the other, never copied together.
#[derive(Clone, Default)]
pub struct HttpBody(Vec<Bytes>);

impl HttpBody {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The pieces, in order.
    #[must_use]
    pub fn from_pieces(pieces: Vec<Bytes>) -> Self {
        Self(pieces)
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there is no byte to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands over the pieces.
    #[must_use]
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.0
    }

    /// Borrows the pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpBody({} bytes)", self.len())
    }
}

impl From<Vec<u8>> for HttpBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![Bytes::from(bytes)])
    }
}

impl From<Bytes> for HttpBody {
    fn from(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }
}

/// One request and its bounds.
#[non_exhaustive]
pub struct HttpRequest {
    /// Method, absolute address, headers and body. The address may hold a token, so it is
    /// never shown.
    pub request: http::Request<HttpBody>,
    /// How long the whole exchange may take, from connecting to the last byte.
    pub deadline: Duration,
    /// The largest response body, in bytes.
    pub max_response: usize,
    /// Whether the address comes from outside and has to pass the guard against requests
    /// into private networks.
    pub guarded: bool,
}

impl HttpRequest {
    /// A request to a platform's API: 30 s, 4 MiB.
    #[must_use]
    pub const fn new(request: http::Request<HttpBody>) -> Self {
        Self {
            request,
            deadline: Duration::from_secs(30),
            max_response: 4 << 20,
            guarded: false,
        }
    }

    /// Bounds the whole exchange.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Bounds the response body, in bytes.
    #[must_use]
    pub const fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Sends the request through the guard: https only, no private or link-local address.
    #[must_use]
    pub const fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", self.request.method())
            .field("host", &self.request.uri().host())
            .field("body", self.request.body())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The request cannot be sent as it is.
    Invalid,
    /// The guard does not let the address pass.
    Refused,
    /// No connection.
    Connect,
    /// Not done within the deadline.
    Timeout,
    /// The connection broke.
    Interrupted,
    /// The response is larger than allowed.
    TooLarge,
}

/// A request failed without a response.
///
/// Holds no address and no content. [`may_have_arrived`](Self::may_have_arrived) tells
/// whether the server may have acted on the request.
pub struct HttpError {
    kind: HttpErrorKind,
    sent: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl HttpError {
    /// A failure before any byte of the request left.
    #[must_use]
    pub const fn unsent(kind: HttpErrorKind) -> Self {
        Self {
            kind,
            sent: false,
            source: None,
        }
    }

    /// A failure after the request, or a part of it, may have left.
    #[must_use]
    pub const fn sent(kind: HttpErrorKind) -> Self {
        Self {
            kind,
            sent: true,
            source: None,
        }
    }

    /// Keeps the cause, which must not hold the address.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Why there is no response.
    #[must_use]
    pub const fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// Whether the server may have acted on the request.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        self.sent
    }

    /// Turns it into a channel error: `repeatable` says whether doing the same call twice
    /// has no second effect.
    #[must_use]
    pub fn into_error(self, repeatable: bool) -> Error {
        let kind = match self.kind {
            HttpErrorKind::Invalid | HttpErrorKind::Refused => ErrorKind::Invalid,
            HttpErrorKind::TooLarge if repeatable => ErrorKind::Invalid,
            _ if self.sent && !repeatable => ErrorKind::Uncertain,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, self.to_string()).with_source(self)
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            HttpErrorKind::Invalid => "the request is not valid",
            HttpErrorKind::Refused => "the address is not allowed",
            HttpErrorKind::Connect => "no connection to the server",
            HttpErrorKind::Timeout => "no answer in time",
            HttpErrorKind::Interrupted => "the connection broke",
            HttpErrorKind::TooLarge => "the response is too large",
        })
    }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpError")
            .field("kind", &self.kind)
            .field("sent", &self.sent)
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for HttpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Sends HTTP requests.
#[async_trait]
pub trait HttpClient: fmt::Debug + Send + Sync {
    /// Sends a request and reads the whole response.
    ///
    /// Follows no redirect, except for guarded requests, where each step passes the guard.
    ///
    /// # Errors
    ///
    /// An [`HttpError`] if there is no response; any status is a response.
    async fn execute(&self, request: HttpRequest) -> Result<http::Response<Bytes>, HttpError>;
}
