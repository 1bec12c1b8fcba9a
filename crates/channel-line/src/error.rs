//! What went wrong: one table from LINE's answers to the common kinds.
//!
//! LINE tells its errors apart by status and by the text of `message`
//! (<https://developers.line.biz/en/reference/messaging-api/#error-responses>). The text may
//! echo what we sent, so it is compared and then thrown away: every message of an [`Error`]
//! comes from the table.

use std::time::Duration;

use channel_core::{Error, ErrorKind, HttpError};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Response};
use serde::Deserialize;

use crate::PLATFORM;

/// What the adapter itself does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing in particular.
    Other,
    /// The reply token is used, expired or unknown: push.
    ReplyToken,
    /// The chat will refuse the next message too.
    DeadTarget,
}

/// The longest wait that is believed.
const LONGEST_WAIT: u64 = 24 * 60 * 60;

struct Row {
    status: u16,
    /// The beginning of the message, in lower case.
    prefix: &'static str,
    kind: ErrorKind,
    reason: Reason,
    message: &'static str,
}

const fn row(
    status: u16,
    prefix: &'static str,
    kind: ErrorKind,
    reason: Reason,
    message: &'static str,
) -> Row {
    Row {
        status,
        prefix,
        kind,
        reason,
        message,
    }
}

/// The first row that fits decides; an empty prefix fits everything of its status.
#[rustfmt::skip]
static TABLE: &[Row] = &[
    row(400, "invalid reply token", ErrorKind::Invalid, Reason::ReplyToken, "the reply token is used, expired or unknown"),
    row(400, "failed to send messages", ErrorKind::NotFound, Reason::DeadTarget, "there is no such chat, or the bot is not in it"),
    row(400, "the property, 'to'", ErrorKind::NotFound, Reason::DeadTarget, "there is no such chat, or the bot is not in it"),
    row(400, "", ErrorKind::Invalid, Reason::Other, "line does not accept the request"),
    row(401, "", ErrorKind::Unauthenticated, Reason::Other, "line does not accept the channel access token"),
    row(403, "", ErrorKind::Forbidden, Reason::Other, "line does not let the bot do that"),
    row(404, "", ErrorKind::NotFound, Reason::DeadTarget, "there is no such chat, person or content"),
    row(409, "", ErrorKind::Protocol, Reason::Other, "line has accepted another call under this key"),
    row(410, "", ErrorKind::NotFound, Reason::Other, "line no longer has it"),
    row(413, "", ErrorKind::Invalid, Reason::Other, "the request is too large for line"),
    row(415, "", ErrorKind::Invalid, Reason::Other, "line does not take this type of content"),
    // Waiting does not help before the next month begins.
    row(429, "you have reached your monthly limit", ErrorKind::Forbidden, Reason::Other, "the messages of this month are used up"),
    row(429, "", ErrorKind::RateLimited, Reason::Other, "line wants fewer requests"),
];

/// Why a call has not succeeded.
#[derive(Debug)]
pub(crate) enum Failure {
    /// LINE refused.
    Refused(Refusal),
    /// LINE, or what stands before it, failed: nobody knows whether it acted.
    Broken { status: u16 },
    /// A success that cannot be read.
    Unreadable { status: u16 },
    /// No response.
    Http(HttpError),
}

/// What LINE said when it refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: u16,
    pub(crate) kind: ErrorKind,
    pub(crate) reason: Reason,
    retry_after: Option<Duration>,
    message: &'static str,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    message: std::borrow::Cow<'a, str>,
}

impl Failure {
    /// Reads a response that is not a success.
    pub(crate) fn of_response(response: &Response<bytes::Bytes>) -> Self {
        let status = response.status().as_u16();
        // A proxy that gives up waiting (408) knows no more than one that fails.
        if status >= 500 || status == 408 {
            return Self::Broken { status };
        }
        let body = serde_json::from_slice::<Body<'_>>(response.body());
        let words = body.as_ref().map_or("", |body| &body.message);
        let fits = |row: &&Row| {
            row.status == status
                && words
                    .as_bytes()
                    .get(..row.prefix.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(row.prefix.as_bytes()))
        };
        let (kind, reason, message) = match TABLE.iter().find(fits) {
            Some(row) => (row.kind, row.reason, row.message),
            None => (
                ErrorKind::Protocol,
                Reason::Other,
                "line answered with an undocumented status",
            ),
        };
        let is_limit = kind == ErrorKind::RateLimited;
        Self::Refused(Refusal {
            status,
            kind,
            reason,
            retry_after: wait(response.headers()).filter(|_| is_limit),
            message,
        })
    }

    /// Whether nothing can have happened on the platform.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self, Self::Http(error) if !error.may_have_arrived())
    }

    /// Whether nobody knows if LINE has acted.
    pub(crate) const fn is_ambiguous(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Broken { .. } | Self::Unreadable { .. } => true,
            Self::Http(error) => error.may_have_arrived(),
        }
    }

    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason,
            _ => Reason::Other,
        }
    }

    /// The HTTP status, if there was one.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Broken { status } | Self::Unreadable { status } => Some(*status),
            Self::Http(_) => None,
        }
    }

    /// The common error; `repeatable` says whether the same call twice has no second effect.
    pub(crate) fn into_error(self, operation: &'static str, repeatable: bool) -> Error {
        let doubtful = if repeatable {
            ErrorKind::Unavailable
        } else {
            ErrorKind::Uncertain
        };
        let error = match self {
            Self::Refused(refusal) => refusal.error(),
            Self::Broken { status } => {
                Error::new(doubtful, "line is not available").with_code(status.to_string())
            }
            Self::Unreadable { status } => {
                let kind = if repeatable {
                    ErrorKind::Protocol
                } else {
                    ErrorKind::Uncertain
                };
                Error::new(kind, "the answer cannot be read").with_code(status.to_string())
            }
            Self::Http(error) => error.into_error(repeatable),
        };
        error.on(PLATFORM, operation)
    }
}

/// How long LINE, or what stands before it, wants to be left alone.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

impl Refusal {
    fn error(&self) -> Error {
        let error = Error::new(self.kind, self.message).with_code(self.status.to_string());
        match self.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

/// A request that is refused before it reaches the network.
pub(crate) fn invalid(message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).on(PLATFORM, operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str, repeatable: bool) -> Error {
        let mut response = Response::new(bytes::Bytes::from(body.to_owned()));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
            .headers_mut()
            .insert(RETRY_AFTER, "7".parse().unwrap());
        Failure::of_response(&response).into_error("test", repeatable)
    }

    #[test]
    fn each_documented_answer_has_its_kind() {
        let cases = [
            (400, "Invalid reply token", ErrorKind::Invalid),
            (400, "Failed to send messages", ErrorKind::NotFound),
            (
                400,
                "The property, 'to', in the request body is invalid (line: -, column: -)",
                ErrorKind::NotFound,
            ),
            (400, "The request body has 1 error(s)", ErrorKind::Invalid),
            (
                401,
                "Authentication failed. Confirm that the access token in the authorization header is valid.",
                ErrorKind::Unauthenticated,
            ),
            (
                403,
                "Access to this API is not available for your account",
                ErrorKind::Forbidden,
            ),
            (404, "Not found", ErrorKind::NotFound),
            (410, "Gone", ErrorKind::NotFound),
            (413, "Payload too large", ErrorKind::Invalid),
            (415, "Unsupported media type", ErrorKind::Invalid),
            (
                429,
                "You have reached your monthly limit.",
                ErrorKind::Forbidden,
            ),
            (
                429,
                "The API rate limit has been exceeded. Try again later.",
                ErrorKind::RateLimited,
            ),
            (500, "Internal server error", ErrorKind::Uncertain),
            (503, "", ErrorKind::Uncertain),
            (408, "", ErrorKind::Uncertain),
            (302, "", ErrorKind::Protocol),
            (418, "", ErrorKind::Protocol),
        ];
        for (status, message, kind) in cases {
            let body = serde_json::json!({"message": message}).to_string();
            let error = error(status, &body, false);
            assert_eq!(error.kind(), kind, "{status} {message}");
            assert_eq!(error.code(), Some(status.to_string().as_str()));
            let words = error.to_string();
            assert!(
                message.is_empty() || !words.contains(message),
                "{words} echoes"
            );
        }
        assert_eq!(error(500, "", true).kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn only_a_rate_limit_ends_by_waiting() {
        let limit = error(429, "{}", false);
        assert_eq!(limit.retry_after(), Some(Duration::from_secs(7)));
        let month = error(
            429,
            r#"{"message":"You have reached your monthly limit."}"#,
            false,
        );
        assert!(!month.kind().is_retryable() && month.retry_after().is_none());
    }

    #[test]
    fn an_answer_that_is_no_json_is_judged_by_its_status() {
        for body in ["", "<html>", "[]", "{\"message\":1}", "\u{0}"] {
            assert_eq!(error(401, body, false).kind(), ErrorKind::Unauthenticated);
            assert_eq!(error(429, body, false).kind(), ErrorKind::RateLimited);
        }
    }
}
