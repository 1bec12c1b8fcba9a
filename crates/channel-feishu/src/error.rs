//! What went wrong: one table from Feishu's codes to the common kinds
//! (<https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code>).
//!
//! `msg` may echo what we sent, so it is never shown: every message of an [`Error`] comes from
//! the table. What a setting has to be changed for names the setting.

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
    /// Wait.
    Flood,
    /// Fetch a new token and try once more.
    Token,
    /// The message that is answered is gone.
    Gone,
    /// The card is refused; words alone may pass.
    Card,
    /// The message is of another form than the call is for.
    Form,
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

pub(crate) const CREDENTIALS: &str = "feishu does not accept app_id and app_secret: copy both from the console, page Credentials & Basic Info, and set the domain (feishu or lark) that the app was made on";
const SCOPE: &str = "the app lacks a permission: add the scopes that the readme lists in the console, page Permissions & Scopes, and publish a new version of the app";
const BOT: &str = "the app has no bot: add the bot ability in the console, page Add Features, and publish a new version of the app";

#[rustfmt::skip]
static TABLE: &[Row] = &[
    row(&[10_003, 10_012, 10_013, 10_014, 10_015, 99_991_543], ErrorKind::Unauthenticated, Reason::Other, CREDENTIALS),
    row(&[99_991_661, 99_991_663, 99_991_664, 99_991_665, 99_991_668], ErrorKind::Unauthenticated, Reason::Token, "feishu does not accept the tenant access token"),
    row(&[99_991_662, 99_991_666], ErrorKind::Config, Reason::Other, "the app is not in use: publish a version of it in the console and have it approved"),
    row(&[99_991_672, 99_991_679, 230_027, 99_991_676], ErrorKind::Forbidden, Reason::Other, SCOPE),
    row(&[230_006, 11_205], ErrorKind::Config, Reason::Other, BOT),
    row(&[99_991_401], ErrorKind::Config, Reason::Other, "this machine's address is not in the allow list of the app: add it in the console, page Security Settings"),
    // HTTP 400, and not a matter of permissions.
    row(&[99_991_400, 99_991_402, 11_020, 11_021, 11_232, 11_233, 230_020], ErrorKind::RateLimited, Reason::Flood, "feishu wants fewer requests"),
    row(&[99_991_403], ErrorKind::Forbidden, Reason::Other, "the calls of this month are used up"),
    row(&[230_049], ErrorKind::Unavailable, Reason::Flood, "the message is on its way already"),
    row(&[230_002, 230_035, 232_010, 232_011], ErrorKind::Forbidden, Reason::Other, "the bot is not in the chat, or may not write there"),
    row(&[230_013], ErrorKind::Forbidden, Reason::Other, "the user may not use the app: widen its availability in the console and publish a new version"),
    row(&[230_012, 230_017, 230_050, 230_071, 230_075, 231_002], ErrorKind::Forbidden, Reason::Other, "feishu does not let the bot do that with this message"),
    row(&[230_011, 231_003, 230_110, 230_005, 230_019], ErrorKind::NotFound, Reason::Gone, "the message is not there any more"),
    row(&[230_031, 230_072, 230_073], ErrorKind::NotFound, Reason::Other, "the message can no longer be changed"),
    row(&[230_029, 230_034, 232_006, 232_009, 99_992_351, 99_992_352, 99_992_354, 99_992_360, 99_992_361], ErrorKind::NotFound, Reason::Other, "there is no such chat, person or message"),
    row(&[230_054, 230_055], ErrorKind::Invalid, Reason::Form, "the message is of another kind"),
    row(&[230_099, 200_570, 200_621, 200_732, 11_310, 11_246, 300_305, 200_860, 230_015], ErrorKind::Invalid, Reason::Card, "feishu does not accept the card"),
    row(&[300_309, 200_740, 200_750, 300_313], ErrorKind::NotFound, Reason::Other, "the card does not stream any more"),
    row(&[300_317, 300_318], ErrorKind::Invalid, Reason::Other, "another change of the card came first"),
    row(&[230_025], ErrorKind::Invalid, Reason::Other, "the message is too long"),
    row(&[230_028], ErrorKind::Forbidden, Reason::Other, "the workspace's audit of contents refuses the message"),
    row(&[230_001, 230_022, 99_992_402], ErrorKind::Invalid, Reason::Form, "feishu does not accept the request"),
    row(&[231_001], ErrorKind::Invalid, Reason::Other, "feishu does not have this reaction"),
    row(&[231_010, 231_011, 231_007], ErrorKind::NotFound, Reason::Other, "there is no such reaction"),
    row(&[234_001, 234_002, 234_007, 234_011], ErrorKind::Invalid, Reason::Other, "feishu does not accept the file"),
    row(&[234_006, 234_037], ErrorKind::Invalid, Reason::Other, "the file is too large for feishu"),
    row(&[234_010], ErrorKind::Invalid, Reason::Other, "the file is empty"),
    row(&[234_003, 234_019, 234_038, 234_008], ErrorKind::NotFound, Reason::Other, "there is no such file"),
    row(&[234_009, 234_004, 234_040], ErrorKind::Forbidden, Reason::Other, "feishu does not let the bot have the file"),
    row(&[234_043], ErrorKind::Unsupported, Reason::Other, "feishu hands out no files of such a message"),
    row(&[1, 2, 1_000_040_343, 99_991_000, 2200, 1500, 1_061_001], ErrorKind::Unavailable, Reason::Other, "feishu has failed"),
];

/// The longest wait that is believed.
const LONGEST_WAIT: u64 = 15 * 60;
/// The wait where Feishu names none.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Feishu refused.
    Refused {
        code: i64,
        kind: ErrorKind,
        reason: Reason,
        wait: Option<Duration>,
        message: &'static str,
    },
    /// Feishu, or what stands before it, failed: nobody knows whether it acted.
    Broken { status: u16, wait: Option<Duration> },
    /// An answer that is not what the documentation promises.
    Unreadable { status: u16 },
    /// No response.
    Http(HttpError),
    /// Refused before it left.
    Ours(Error),
}

fn is_known(code: i64) -> bool {
    TABLE.iter().any(|row| row.codes.contains(&code))
}

#[derive(Deserialize)]
pub(crate) struct Code {
    pub(crate) code: i64,
}

impl Failure {
    /// Reads a response that is not a success.
    pub(crate) fn of_response(response: &Response<bytes::Bytes>) -> Self {
        let status = response.status().as_u16();
        let wait = wait(response.headers());
        match serde_json::from_slice::<Code>(response.body()) {
            // A code that is not known says less than a status that says "failed".
            Ok(Code { code }) if code != 0 && (status < 500 || is_known(code)) => {
                Self::of_code(code, wait)
            }
            _ => Self::of_status(status, wait),
        }
    }

    /// The meaning of a code that is not 0.
    fn of_code(code: i64, wait: Option<Duration>) -> Self {
        let found = TABLE.iter().find(|row| row.codes.contains(&code));
        let (kind, reason, message) = found.map_or(
            (
                ErrorKind::Invalid,
                Reason::Other,
                "feishu does not accept the request",
            ),
            |row| (row.kind, row.reason, row.message),
        );
        Self::Refused {
            code,
            kind,
            reason,
            wait: match reason {
                Reason::Flood => Some(wait.unwrap_or(USUAL_WAIT)),
                _ => None,
            },
            message,
        }
    }

    fn of_status(status: u16, wait: Option<Duration>) -> Self {
        let (kind, reason, message) = match status {
            400 | 405 | 411 | 414 | 415 | 422 | 431 => (
                ErrorKind::Invalid,
                Reason::Other,
                "feishu does not accept the request",
            ),
            401 => (
                ErrorKind::Unauthenticated,
                Reason::Token,
                "feishu does not accept the tenant access token",
            ),
            403 => (
                ErrorKind::Forbidden,
                Reason::Other,
                "feishu does not let the bot do that",
            ),
            404 | 410 => (
                ErrorKind::NotFound,
                Reason::Other,
                "feishu has no such thing",
            ),
            413 => (
                ErrorKind::Invalid,
                Reason::Other,
                "the request is too large for feishu",
            ),
            429 => (
                ErrorKind::RateLimited,
                Reason::Flood,
                "feishu wants fewer requests",
            ),
            408 | 425 | 500.. => return Self::Broken { status, wait },
            _ => return Self::Unreadable { status },
        };
        Self::Refused {
            code: status.into(),
            kind,
            reason,
            wait: (reason == Reason::Flood).then(|| wait.unwrap_or(USUAL_WAIT)),
            message,
        }
    }

    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Refused { reason, .. } => *reason,
            _ => Reason::Other,
        }
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { wait, .. } | Self::Broken { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Whether nobody knows if Feishu has acted.
    pub(crate) const fn is_ambiguous(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Ours(_) => false,
            Self::Broken { .. } | Self::Unreadable { .. } => true,
            Self::Http(error) => error.may_have_arrived(),
        }
    }

    /// The common error; `repeatable` says whether the same call twice has no second effect.
    pub(crate) fn into_error(self, operation: &'static str, repeatable: bool) -> Error {
        let doubtful = if repeatable {
            ErrorKind::Unavailable
        } else {
            ErrorKind::Uncertain
        };
        let wait = self.retry_after();
        let error = match self {
            Self::Refused {
                code,
                kind,
                message,
                ..
            } => Error::new(kind, message).with_code(code.to_string()),
            Self::Broken { status, .. } => {
                Error::new(doubtful, "feishu is not available").with_code(status.to_string())
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
            Self::Ours(error) => return error,
        };
        let error = match wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        };
        error.on(PLATFORM, operation)
    }
}

/// How long Feishu, or what stands before it, wants to be left alone. A limit of the gateway
/// names it in a header of its own
/// (<https://open.feishu.cn/document/server-docs/api-call-guide/frequency-control>).
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds =
        |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    let seconds = seconds(RETRY_AFTER.as_str()).or_else(|| seconds("x-ogw-ratelimit-reset"))?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// A failed call, with what the adapter may do about it.
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

/// A request that is refused before it reaches the network.
pub(crate) fn invalid(message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).on(PLATFORM, operation)
}

/// A setting that has to be mended.
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::config(message).on(PLATFORM, "configure")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str, repeatable: bool) -> Error {
        let mut response = Response::new(bytes::Bytes::from(body.to_owned()));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
            .headers_mut()
            .insert("x-ogw-ratelimit-reset", "7".parse().unwrap());
        Failure::of_response(&response).into_error("test", repeatable)
    }

    fn of(code: i64) -> Error {
        let body = format!(r#"{{"code":{code},"msg":"what we sent"}}"#);
        error(400, &body, false)
    }

    #[test]
    fn each_documented_code_has_its_kind() {
        for (code, kind) in [
            (99_991_663, ErrorKind::Unauthenticated),
            (99_991_661, ErrorKind::Unauthenticated),
            (99_991_672, ErrorKind::Forbidden),
            (11_020, ErrorKind::RateLimited),
            (11_021, ErrorKind::RateLimited),
            (230_001, ErrorKind::Invalid),
            (230_002, ErrorKind::Forbidden),
            (230_006, ErrorKind::Config),
            (230_011, ErrorKind::NotFound),
            (231_003, ErrorKind::NotFound),
            (230_012, ErrorKind::Forbidden),
            (230_020, ErrorKind::RateLimited),
            (230_025, ErrorKind::Invalid),
            (230_027, ErrorKind::Forbidden),
            (230_031, ErrorKind::NotFound),
            (230_072, ErrorKind::NotFound),
            (230_099, ErrorKind::Invalid),
            (234_001, ErrorKind::Invalid),
            (234_043, ErrorKind::Unsupported),
            (10_014, ErrorKind::Unauthenticated),
            (424_242, ErrorKind::Invalid),
        ] {
            let error = of(code);
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.code(), Some(code.to_string().as_str()));
            assert!(!error.to_string().contains("what we sent"));
        }
    }

    #[test]
    fn the_limit_of_the_app_is_a_limit_although_it_comes_with_400() {
        let error = of(99_991_400);
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(of(230_001).retry_after(), None);
    }

    #[test]
    fn an_answer_without_a_code_is_judged_by_its_status() {
        for body in ["", "<html>", "[]", "{}", "{\"code\":\"x\"}", "\u{0}"] {
            assert_eq!(error(401, body, false).kind(), ErrorKind::Unauthenticated);
            assert_eq!(error(429, body, false).kind(), ErrorKind::RateLimited);
            assert_eq!(error(502, body, false).kind(), ErrorKind::Uncertain);
            assert_eq!(error(502, body, true).kind(), ErrorKind::Unavailable);
            assert_eq!(error(302, body, true).kind(), ErrorKind::Protocol);
        }
        let success = error(200, "{\"code\":0", false);
        assert_eq!(success.kind(), ErrorKind::Uncertain);
    }

    #[test]
    fn no_code_stands_in_two_rows() {
        let mut all: Vec<_> = TABLE.iter().flat_map(|row| row.codes).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
