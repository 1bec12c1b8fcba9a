//! A message part by part: what has been delivered is never forgotten.

use channel_core::{Error, ErrorKind, Receipt};

use crate::PLATFORM;

/// The error of a send of which a part has arrived. Repeating it would repeat that part,
/// so its kind is never a retryable one.
pub(crate) fn broken_off(receipt: Receipt, part: usize, cause: Error, parts: usize) -> Error {
    if receipt.messages.is_empty() {
        return cause;
    }
    let kind = if cause.kind().is_retryable() {
        ErrorKind::Uncertain
    } else {
        cause.kind()
    };
    let operation = cause.operation().unwrap_or("send message");
    let message = format!("part {} of {parts} failed: {}", part + 1, cause.message());
    let mut error = Error::new(kind, message)
        .on(PLATFORM, operation)
        .with_delivered(receipt);
    if let Some(wait) = cause.retry_after() {
        error = error.with_retry_after(wait);
    }
    if let Some(code) = cause.code() {
        error = error.with_code(code);
    }
    error.with_source(cause)
}

/// There is no part of that number.
pub(crate) fn no_such_part() -> Error {
    Error::new(ErrorKind::Invalid, "the message has no such part").on(PLATFORM, "send message")
}
