//! What went wrong: one table from Discord's codes to the common kinds
//! (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>).
//!
//! Codes are compared with the table; every message of an [`Error`] comes from there.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Error, ErrorKind, HttpError};
use http::Response;
use http::header::{HeaderMap, RETRY_AFTER, VIA};
use serde::Deserialize;

use crate::PLATFORM;
use crate::client::Op;

/// What the adapter itself does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing in particular.
    Other,
    /// Wait.
    Flood,
    /// What is addressed is not there any more.
    Gone,
    /// The token of an interaction is over.
    Late,
    /// The interaction is answered already.
    Answered,
    /// The thread is archived, and can be opened again.
    Archived,
    /// The bot may not write there, though it may answer.
    NoAccess,
}

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

struct Row(u64, ErrorKind, Reason, &'static str);

#[rustfmt::skip]
static TABLE: &[Row] = &[
    Row(40001, ErrorKind::Unauthenticated, Reason::Other, "discord does not accept the bot token; reset it in the Developer Portal under Bot"),
    Row(50014, ErrorKind::Unauthenticated, Reason::Other, "discord does not accept the bot token; reset it in the Developer Portal under Bot"),
    Row(40333, ErrorKind::Protocol, Reason::Other, "something in front of discord refuses the request"),
    Row(10003, ErrorKind::NotFound, Reason::Gone, "the channel is gone"),
    Row(10004, ErrorKind::NotFound, Reason::Gone, "the server is gone"),
    Row(10008, ErrorKind::NotFound, Reason::Gone, "the message is gone"),
    Row(10013, ErrorKind::NotFound, Reason::Gone, "there is no such user"),
    Row(10014, ErrorKind::Invalid, Reason::Other, "discord does not have the emoji"),
    Row(10015, ErrorKind::NotFound, Reason::Late, "the interaction is too old to be answered"),
    Row(10062, ErrorKind::NotFound, Reason::Late, "the interaction is too old to be answered"),
    Row(50027, ErrorKind::NotFound, Reason::Late, "the interaction is too old to be answered"),
    Row(40060, ErrorKind::Invalid, Reason::Answered, "the interaction is answered already"),
    Row(40094, ErrorKind::Forbidden, Reason::Other, "the interaction has no answers left"),
    Row(50001, ErrorKind::Forbidden, Reason::NoAccess, "the bot does not see the channel"),
    Row(50013, ErrorKind::Forbidden, Reason::NoAccess, "the bot lacks a permission in the channel"),
    Row(160_002, ErrorKind::Forbidden, Reason::Other, "replies need the permission to read message history"),
    Row(50007, ErrorKind::Forbidden, Reason::Other, "the user takes no direct messages from the bot"),
    Row(50278, ErrorKind::Forbidden, Reason::Other, "the bot shares no server with the user"),
    Row(50005, ErrorKind::Forbidden, Reason::Other, "the message is not the bot's own"),
    Row(50024, ErrorKind::Unsupported, Reason::Other, "that cannot be done in this kind of channel"),
    Row(50006, ErrorKind::Invalid, Reason::Other, "the message is empty"),
    Row(50035, ErrorKind::Invalid, Reason::Other, "discord does not accept a field of the message"),
    Row(40005, ErrorKind::Invalid, Reason::Other, "the files are too large"),
    Row(160_014, ErrorKind::Invalid, Reason::Other, "the message cannot be forwarded"),
    Row(200_000, ErrorKind::Forbidden, Reason::Other, "a moderation rule of the server blocks the message"),
    Row(50083, ErrorKind::Forbidden, Reason::Archived, "the thread is archived"),
    Row(30010, ErrorKind::Forbidden, Reason::Other, "the message has as many reactions as it may"),
    Row(30046, ErrorKind::RateLimited, Reason::Flood, "the message was edited too often"),
    Row(20016, ErrorKind::RateLimited, Reason::Flood, "the channel is in slow mode"),
    Row(20028, ErrorKind::RateLimited, Reason::Flood, "too much is being written to the channel"),
    Row(40003, ErrorKind::RateLimited, Reason::Flood, "direct chats are being opened too fast"),
    Row(40062, ErrorKind::RateLimited, Reason::Flood, "discord asks to send less"),
    Row(110_000, ErrorKind::Unavailable, Reason::Other, "discord is still counting"),
    Row(130_000, ErrorKind::Unavailable, Reason::Other, "discord is overloaded"),
    Row(160_004, ErrorKind::Invalid, Reason::Answered, "the message has a thread already"),
];

/// A refusal of Discord's.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: u16,
    code: Option<u64>,
    kind: ErrorKind,
    reason: Reason,
    retry_after: Option<Duration>,
    /// Whether the wait is for every call.
    pub(crate) is_global: bool,
    /// Whether others share the limit: such a refusal is not counted against us.
    pub(crate) is_shared: bool,
    message: &'static str,
}

/// Why a call has failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    Http(HttpError),
    /// The answer is a success that cannot be read.
    Unreadable,
    /// It was not made.
    Ours(Error),
}

/// <https://docs.discord.com/developers/reference#error-messages>,
/// <https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit>
#[derive(Default, Deserialize)]
struct Body {
    code: Option<u64>,
    retry_after: Option<f64>,
    #[serde(default)]
    global: bool,
}

impl Failure {
    pub(crate) fn of_response(response: &Response<Bytes>) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers();
        let body: Option<Body> = serde_json::from_slice(response.body()).ok();
        let is_discord = body.is_some();
        let body = body.unwrap_or_default();
        let row = body
            .code
            .and_then(|code| TABLE.iter().find(|row| row.0 == code));
        let (kind, reason, message) = match (status, row) {
            (429, _) => (
                ErrorKind::RateLimited,
                Reason::Flood,
                "discord asks to wait",
            ),
            (_, Some(row)) => (row.1, row.2, row.3),
            (401, _) => (
                ErrorKind::Unauthenticated,
                Reason::Other,
                "discord does not accept the bot token; reset it in the Developer Portal under Bot",
            ),
            (403, _) if !is_discord => (
                ErrorKind::Unavailable,
                Reason::Other,
                "something in front of discord refuses the request",
            ),
            (403, _) => (
                ErrorKind::Forbidden,
                Reason::Other,
                "discord does not allow that",
            ),
            (404, _) => (ErrorKind::NotFound, Reason::Gone, "it is not there"),
            (413, _) => (
                ErrorKind::Invalid,
                Reason::Other,
                "the request is too large",
            ),
            (500..=599, _) => (
                ErrorKind::Unavailable,
                Reason::Other,
                "discord is not available",
            ),
            (400..=499, _) => (
                ErrorKind::Invalid,
                Reason::Other,
                "discord does not accept the request",
            ),
            _ => (
                ErrorKind::Protocol,
                Reason::Other,
                "the answer is not one of discord",
            ),
        };
        let said = body
            .retry_after
            .filter(|wait| wait.is_finite() && *wait >= 0.0)
            .map(|wait| Duration::from_secs_f64(wait.min(LONGEST_WAIT.as_secs_f64())))
            .or_else(|| header_wait(headers));
        let retry_after = (reason == Reason::Flood)
            .then(|| said.unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT));
        let scope = headers.get("x-ratelimit-scope").map(|it| it.as_bytes());
        // Without `Via` it never reached Discord: the whole address is blocked.
        let is_blocked = status == 429 && !headers.contains_key(VIA) && !is_discord;
        let has_flag = headers.contains_key("x-ratelimit-global");
        Self::Refused(Refusal {
            status,
            code: body.code.filter(|code| *code != 0),
            kind,
            reason,
            retry_after,
            is_global: status == 429
                && (body.global || has_flag || scope == Some(b"global") || is_blocked),
            is_shared: scope == Some(b"shared"),
            message,
        })
    }

    /// What the adapter does about it.
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason,
            Self::Http(_) | Self::Unreadable | Self::Ours(_) => Reason::Other,
        }
    }

    /// How long Discord wants to be left alone.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Http(_) | Self::Unreadable | Self::Ours(_) => None,
        }
    }

    /// Whether the call may or may not have had its effect.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status, 500 | 502 | 504),
            Self::Http(error) => error.may_have_arrived(),
            Self::Unreadable => true,
            Self::Ours(_) => false,
        }
    }

    /// The common error; `repeatable` says whether doing it twice has no second effect.
    pub(crate) fn into_error(self, op: Op, repeatable: bool) -> Error {
        let in_doubt = self.is_in_doubt() && !repeatable;
        match self {
            Self::Refused(refusal) => {
                let kind = if in_doubt {
                    ErrorKind::Uncertain
                } else {
                    refusal.kind
                };
                let code = refusal.code.unwrap_or(u64::from(refusal.status));
                let error = Error::new(kind, refusal.message).with_code(code.to_string());
                match refusal.retry_after {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                }
            }
            Self::Http(error) => error.into_error(repeatable),
            Self::Unreadable if in_doubt => {
                Error::new(ErrorKind::Uncertain, "the answer cannot be read")
            }
            Self::Unreadable => Error::new(ErrorKind::Protocol, "the answer cannot be read"),
            Self::Ours(error) => return error,
        }
        .on(PLATFORM, op.operation())
    }
}

fn header_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let is_sane = seconds.is_finite() && seconds >= 0.0;
    is_sane.then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())))
}

/// A request that is refused before it reaches the network.
pub(crate) fn invalid(message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).on(PLATFORM, operation)
}

/// Something that cannot be done here.
pub(crate) fn unsupported(message: &'static str, operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, message).on(PLATFORM, operation)
}

/// A wrong setting.
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::config(message).on(PLATFORM, "configure")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Failure {
        let response = Response::builder().status(status);
        Failure::of_response(&response.body(Bytes::from(body.to_owned())).unwrap())
    }

    #[test]
    fn each_class_of_codes_has_its_kind() {
        let cases = [
            (401, 0, ErrorKind::Unauthenticated),
            (403, 50_007, ErrorKind::Forbidden),
            (403, 50_001, ErrorKind::Forbidden),
            (404, 10_003, ErrorKind::NotFound),
            (404, 10_062, ErrorKind::NotFound),
            (400, 50_035, ErrorKind::Invalid),
            (400, 50_006, ErrorKind::Invalid),
            (413, 40_005, ErrorKind::Invalid),
            (429, 20_028, ErrorKind::RateLimited),
            (429, 20_016, ErrorKind::RateLimited),
            (503, 130_000, ErrorKind::Unavailable),
            (400, 999_999, ErrorKind::Invalid),
            (302, 0, ErrorKind::Protocol),
        ];
        for (status, code, wanted) in cases {
            let failure = of(status, &format!(r#"{{"code":{code},"message":"x"}}"#));
            let error = failure.into_error(Op::CreateMessage, true);
            assert_eq!(error.kind(), wanted, "{status} {code}");
        }
    }

    #[test]
    fn what_may_have_happened_is_uncertain_unless_it_can_be_repeated() {
        for status in [500, 502, 504] {
            let kind = |repeatable| {
                of(status, "<html>")
                    .into_error(Op::FollowUp, repeatable)
                    .kind()
            };
            assert_eq!(kind(false), ErrorKind::Uncertain);
            assert_eq!(kind(true), ErrorKind::Unavailable);
        }
        let kind = of(503, "").into_error(Op::FollowUp, false).kind();
        assert_eq!(kind, ErrorKind::Unavailable);
    }

    #[test]
    fn a_wait_is_read_and_bounded() {
        let wait = |body| of(429, body).retry_after().unwrap();
        assert_eq!(
            wait(r#"{"retry_after":0.65,"global":false}"#),
            Duration::from_millis(650)
        );
        assert_eq!(wait(r#"{"retry_after":1e300}"#), LONGEST_WAIT);
        assert_eq!(wait(r#"{"retry_after":-1}"#), Duration::from_secs(1));
        assert_eq!(wait("<html>"), Duration::from_secs(1));
        let Failure::Refused(refusal) = of(429, "<html>") else {
            unreachable!()
        };
        assert!(refusal.is_global, "a block of the whole address is global");
    }
}
