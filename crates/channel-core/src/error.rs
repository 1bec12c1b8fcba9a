//! One error for every channel, sorted by what the caller does next.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::id::{ChatId, Platform};
use crate::outbound::Receipt;
use crate::pacing::Scope;

/// A result whose error is the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Change the message: too long, malformed, refused by the platform's rules.
    Invalid,
    /// Reinstall or renew the credentials.
    Unauthenticated,
    /// The chat does not let us: blocked, kicked, missing rights. Do not retry.
    Forbidden,
    /// The chat, message or file is not there. Do not retry.
    NotFound,
    /// Wait for [`Error::retry_after`], then try again.
    RateLimited,
    /// Nothing has happened on the platform; try again later.
    Unavailable,
    /// It may have arrived: deduplicate before trying again.
    Uncertain,
    /// The platform or this channel cannot do that.
    Unsupported,
    /// Mend the configuration.
    Config,
    /// The platform said something that its documentation does not allow.
    Protocol,
}

impl ErrorKind {
    /// Whether the same call may succeed later without any change.
    ///
    /// [`Uncertain`](Self::Uncertain) is not among them: repeating it may double a message.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable)
    }

    /// A stable lower-case name for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Uncertain => "uncertain",
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call on a channel failed.
///
/// `Display` is one line that names the platform and the operation and does not repeat
/// the [`source`](StdError::source). It never holds a secret, a URL or message content.
///
/// ```
/// use channel_core::{Error, ErrorKind, Platform};
///
/// let error = Error::new(ErrorKind::Invalid, "text is 2105 bytes, limit is 2048")
///     .on(Platform::new("wecom"), "send message");
/// assert_eq!(error.to_string(), "wecom: send message: text is 2105 bytes, limit is 2048");
/// assert!(!error.kind().is_retryable());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    platform: Option<Platform>,
    operation: Option<&'static str>,
    retry_after: Option<Duration>,
    limited: Scope,
    code: Option<String>,
    moved_to: Option<ChatId>,
    delivered: Option<Receipt>,
    source: Option<Source>,
}

impl Error {
    /// Makes an error of a kind; the message says what was expected, in lower case.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            platform: None,
            operation: None,
            retry_after: None,
            limited: Scope::Chat,
            code: None,
            moved_to: None,
            delivered: None,
            source: None,
        }))
    }

    /// A configuration error that names the key.
    #[must_use]
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Names the platform and the operation that failed.
    #[must_use]
    pub fn on(mut self, platform: Platform, operation: &'static str) -> Self {
        self.0.platform = Some(platform);
        self.0.operation = Some(operation);
        self
    }

    /// Says how long the platform wants to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says what a rate limit is counted by; each chat on its own if not said.
    #[must_use]
    pub fn with_limited(mut self, scope: Scope) -> Self {
        self.0.limited = scope;
        self
    }

    /// Keeps the platform's own error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Says that the chat lives on under another id.
    #[must_use]
    pub fn with_moved_to(mut self, chat: ChatId) -> Self {
        self.0.moved_to = Some(chat);
        self
    }

    /// Says which parts of the message had been created before the failure.
    #[must_use]
    pub fn with_delivered(mut self, receipt: Receipt) -> Self {
        self.0.delivered = (!receipt.messages.is_empty()).then_some(receipt);
        self
    }

    /// The error of a send of which parts have arrived, made of the error of one `part` of so
    /// many. Repeating the send would repeat what has arrived, so a kind that asks for a retry
    /// becomes `Uncertain`. Where nothing has arrived it stays as it is.
    #[must_use]
    pub fn broken_off(self, delivered: Receipt, part: usize, parts: usize) -> Self {
        if delivered.messages.is_empty() {
            return self;
        }
        let kind = match self.kind() {
            kind if kind.is_retryable() => ErrorKind::Uncertain,
            kind => kind,
        };
        let message = format!("part {} of {parts} failed: {}", part + 1, self.message());
        let mut error = Self::new(kind, message).with_delivered(delivered);
        error.0.platform.clone_from(&self.0.platform);
        error.0.operation = self.0.operation;
        error.0.retry_after = self.0.retry_after;
        error.0.limited = self.0.limited;
        error.0.code.clone_from(&self.0.code);
        error.0.moved_to.clone_from(&self.0.moved_to);
        error.with_source(self)
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The explanation alone, without platform and operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The platform that the call went to.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.0.platform.as_ref()
    }

    /// The operation that failed, such as `send message`.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// How long the platform asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What has to wait for [`retry_after`](Self::retry_after): requests to the same chat, or
    /// all that count against the same limit.
    #[must_use]
    pub fn limited(&self) -> Scope {
        self.0.limited
    }

    /// The platform's own code, as text.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The id under which the chat lives on, when the platform has moved it.
    #[must_use]
    pub fn moved_to(&self) -> Option<&ChatId> {
        self.0.moved_to.as_ref()
    }

    /// The parts of the message that had been created before the failure: whoever sends
    /// the whole message again doubles them.
    #[must_use]
    pub fn delivered(&self) -> Option<&Receipt> {
        self.0.delivered.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(platform) = &self.0.platform {
            write!(f, "{platform}: ")?;
        }
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("message", &self.to_string());
        if let Some(wait) = self.0.retry_after {
            out.field("retry_after", &wait);
        }
        if let Some(code) = &self.0.code {
            out.field("code", code);
        }
        if let Some(chat) = &self.0.moved_to {
            out.field("moved_to", chat);
        }
        if let Some(receipt) = &self.0.delivered {
            out.field("delivered", &receipt.messages.len());
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// Why a webhook request was refused.
///
/// A rejection knows its HTTP answer. The sender learns the status and nothing else; the
/// [`reason`](Self::reason) is for logs and counters and holds no content of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    status: http::StatusCode,
    reason: &'static str,
}

impl Rejection {
    /// Refuses with a status and a reason for the log.
    #[must_use]
    pub const fn new(status: http::StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// Refuses because the signature or secret is absent or wrong (401).
    #[must_use]
    pub const fn unauthorized(reason: &'static str) -> Self {
        Self::new(http::StatusCode::UNAUTHORIZED, reason)
    }

    /// Refuses because the verified request is malformed (400).
    #[must_use]
    pub const fn malformed(reason: &'static str) -> Self {
        Self::new(http::StatusCode::BAD_REQUEST, reason)
    }

    /// The HTTP status to answer with.
    #[must_use]
    pub const fn status(&self) -> http::StatusCode {
        self.status
    }

    /// The machine-readable reason, for logs and counters only.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The answer to send: the same body for every reason.
    #[must_use]
    pub fn response(&self) -> http::Response<bytes::Bytes> {
        let mut response = http::Response::new(bytes::Bytes::new());
        *response.status_mut() = self.status;
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {}: {}", self.status.as_u16(), self.reason)
    }
}

impl StdError for Rejection {}
