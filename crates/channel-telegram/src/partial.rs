//! What is left to know when a message of several parts fails midway.

use std::fmt;

use channel_core::{Error, ErrorKind, Receipt};

use crate::PLATFORM;
use crate::client::Method;

/// The cause of a failed send of which a part has arrived.
///
/// Sending the same message again would repeat that part. So the [`Error`] around it is
/// never retryable: where the cause alone would be, the kind is
/// [`Uncertain`](ErrorKind::Uncertain). Whoever keeps an outbox finds here what to record
/// as delivered and why the rest is not.
///
/// ```
/// use channel_telegram::PartialSend;
///
/// fn delivered(error: &channel_core::Error) -> usize {
///     PartialSend::of(error).map_or(0, |partial| partial.receipt().messages.len())
/// }
/// # assert_eq!(delivered(&channel_core::Error::config("x")), 0);
/// ```
#[derive(Debug)]
pub struct PartialSend {
    receipt: Receipt,
    failed_part: usize,
    parts: usize,
    cause: Error,
}

impl PartialSend {
    /// Finds it behind an error.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// What has arrived.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Which part failed first, counted from 0.
    #[must_use]
    pub const fn failed_part(&self) -> usize {
        self.failed_part
    }

    /// How many parts the message has.
    #[must_use]
    pub const fn parts(&self) -> usize {
        self.parts
    }

    /// Why it failed.
    #[must_use]
    pub const fn cause(&self) -> &Error {
        &self.cause
    }

    /// The error of a send: the cause itself if nothing has arrived.
    pub(crate) fn wrap(receipt: Receipt, (part, cause): (usize, Error), parts: usize) -> Error {
        if receipt.messages.is_empty() {
            return cause;
        }
        let kind = if cause.kind().is_retryable() {
            ErrorKind::Uncertain
        } else {
            cause.kind()
        };
        let operation = cause
            .operation()
            .unwrap_or(Method::SendMessage.operation());
        let message = format!("part {} of {parts} failed: {}", part + 1, cause.message());
        let mut error = Error::new(kind, message).on(PLATFORM, operation);
        if let Some(wait) = cause.retry_after() {
            error = error.with_retry_after(wait);
        }
        if let Some(code) = cause.code() {
            error = error.with_code(code);
        }
        if let Some(chat) = cause.moved_to() {
            error = error.with_moved_to(chat.clone());
        }
        error.with_source(Self {
            receipt,
            failed_part: part,
            parts,
            cause,
        })
    }
}

impl fmt::Display for PartialSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages of {} parts have arrived",
            self.receipt.messages.len(),
            self.parts
        )
    }
}

impl std::error::Error for PartialSend {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
