//! What went wrong: one table from WeCom's codes to the common kinds
//! (<https://developer.work.weixin.qq.com/document/path/90313>).
//!
//! `errmsg` may echo what we sent, or name an address, so it is never read: every message
//! of an [`Error`] comes from the table.

use std::time::Duration;

use channel_core::{Error, ErrorKind};

use crate::{PLATFORM, limits};

/// What the adapter itself does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing in particular.
    Other,
    /// Fetch a new token and try once more.
    Token,
    /// What the answer belongs to is gone: send on our own account instead.
    TooLate,
}

struct Row {
    codes: &'static [i64],
    kind: ErrorKind,
    reason: Reason,
    message: &'static str,
}

const fn row(codes: &'static [i64], kind: ErrorKind, reason: Reason, message: &'static str) -> Row {
    Row {
        codes,
        kind,
        reason,
        message,
    }
}

#[rustfmt::skip]
static TABLE: &[Row] = &[
    row(&[-1, 6000, 846_601, 846_602], ErrorKind::Unavailable, Reason::Other, "wecom is busy"),
    row(&[40_014, 42_001, 40_001], ErrorKind::Unauthenticated, Reason::Token, "wecom does not accept the access token"),
    row(&[41_001], ErrorKind::Unauthenticated, Reason::Token, "the access token is missing"),
    row(&[40_013], ErrorKind::Unauthenticated, Reason::Other, "wecom does not know the corp id"),
    row(&[40_056, 301_002], ErrorKind::Unauthenticated, Reason::Other, "the secret belongs to another app than agent_id"),
    row(&[93_000], ErrorKind::Unauthenticated, Reason::Other, "wecom does not know the key of the webhook"),
    row(&[60_020], ErrorKind::Config, Reason::Other, "this machine's address is not among the app's trusted addresses: add it in the console"),
    row(&[40_003, 40_031, 60_111, 81_013], ErrorKind::NotFound, Reason::Other, "there is no such user, or the app does not reach them"),
    row(&[93_006], ErrorKind::NotFound, Reason::Other, "there is no such chat"),
    row(&[40_007], ErrorKind::NotFound, Reason::Other, "there is no such file, or it is older than three days"),
    row(&[60_011, 48_002, 93_005, 81_011, 60_012], ErrorKind::Forbidden, Reason::Other, "wecom does not let the bot do that"),
    row(&[45_009, 45_033, 130_101], ErrorKind::RateLimited, Reason::Other, "wecom wants fewer requests"),
    row(&[44_004, 44_001], ErrorKind::Invalid, Reason::Other, "the message is empty"),
    row(&[45_001, 45_002, 40_058, 40_006], ErrorKind::Invalid, Reason::Other, "the message or the file is too long, or not of its kind"),
    row(&[40_004, 40_008, 40_009], ErrorKind::Invalid, Reason::Other, "wecom does not take a message of this kind"),
    row(&[846_605], ErrorKind::NotFound, Reason::TooLate, "the message can no longer be answered"),
    row(&[846_608], ErrorKind::NotFound, Reason::TooLate, "the stream has ended"),
    row(&[846_609], ErrorKind::Unavailable, Reason::Other, "the connection is not subscribed"),
];

/// A refusal, or no answer at all.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) error: Error,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self {
            reason: Reason::Other,
            error,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

/// The meaning of a code that is not 0.
pub(crate) fn of_code(code: i64, operation: &'static str) -> Fault {
    let found = TABLE.iter().find(|row| row.codes.contains(&code));
    let (kind, reason, message) = found.map_or(
        (
            ErrorKind::Invalid,
            Reason::Other,
            "wecom does not accept the request",
        ),
        |row| (row.kind, row.reason, row.message),
    );
    let mut error = Error::new(kind, message)
        .with_code(code.to_string())
        .on(PLATFORM, operation);
    if kind == ErrorKind::RateLimited {
        error = error.with_retry_after(limits::FREQUENCY_WAIT);
    }
    Fault { reason, error }
}

/// The meaning of a status that is no success, or of an answer that is not WeCom's: then
/// something stands between WeCom and us.
pub(crate) fn of_status(
    status: u16,
    retry_after: Option<Duration>,
    operation: &'static str,
    repeatable: bool,
) -> Error {
    let (kind, message) = match status {
        429 => (ErrorKind::RateLimited, "wecom wants fewer requests"),
        401 => (
            ErrorKind::Unauthenticated,
            "wecom does not accept the request",
        ),
        403 => (ErrorKind::Forbidden, "wecom does not let the bot do that"),
        404 => (ErrorKind::NotFound, "wecom does not know the address"),
        413 => (ErrorKind::Invalid, "the request is too large for wecom"),
        // A gateway that gave up may have passed the request on before it did.
        502 | 504 if !repeatable => (ErrorKind::Uncertain, "a gateway gave up on wecom"),
        500..=599 => (ErrorKind::Unavailable, "wecom is not available"),
        200..=299 if !repeatable => (ErrorKind::Uncertain, "the answer cannot be read"),
        _ => (ErrorKind::Protocol, "the answer is not one of wecom"),
    };
    let mut error = Error::new(kind, message)
        .with_code(status.to_string())
        .on(PLATFORM, operation);
    if kind == ErrorKind::RateLimited {
        let wait = retry_after.unwrap_or(Duration::from_secs(1));
        error = error.with_retry_after(wait.min(Duration::from_secs(86_400)));
    }
    error
}

/// An error of what was to be sent.
pub(crate) fn invalid(message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).on(PLATFORM, operation)
}

/// A configuration error.
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::config(message).on(PLATFORM, "configure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_in_the_table_twice() {
        let mut codes: Vec<_> = TABLE.iter().flat_map(|row| row.codes).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn a_lost_answer_of_a_send_is_uncertain() {
        for status in [200, 502, 504] {
            assert_eq!(
                of_status(status, None, "x", false).kind(),
                ErrorKind::Uncertain
            );
        }
        assert_eq!(
            of_status(500, None, "x", false).kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(of_status(200, None, "x", true).kind(), ErrorKind::Protocol);
    }
}
