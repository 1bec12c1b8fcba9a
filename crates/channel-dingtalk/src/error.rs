//! What went wrong: one table from DingTalk's codes to the common kinds
//! (<https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>).
//!
//! Calls of version 1.0 answer a failure with a status and `{"code","message"}`, the older ones
//! with 200 and `{"errcode","errmsg"}`. The words may echo what we sent, so they are never
//! shown: every message of an [`Error`] comes from the table.

use std::time::Duration;

use channel_core::{Error, ErrorKind, HttpError, Scope};
use http::Response;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::Value;

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
    /// The session webhook is over.
    Session,
    /// DingTalk has failed and does not say at what.
    Unknown,
    /// The template has no variable of the name that is configured.
    Variable,
}

struct Row {
    /// In lower case; one that ends with a star is the beginning of a code.
    codes: &'static [&'static str],
    kind: ErrorKind,
    reason: Reason,
    message: &'static str,
}

const fn row(
    codes: &'static [&'static str],
    kind: ErrorKind,
    reason: Reason,
    message: &'static str,
) -> Row {
    Row {
        codes,
        kind,
        reason,
        message,
    }
}

pub(crate) const CREDENTIALS: &str = "dingtalk does not accept client_id and client_secret: copy both from the developer console, page Credentials & Basic Info, of an app that exists and is in use";
pub(crate) const UNPUBLISHED: &str = "dingtalk does not let the app open a stream: add the robot in the developer console, choose the stream mode for messages and events, and publish a version of the app";
const SCOPE: &str = "the app lacks a permission: add the ones that the readme lists in the developer console, page Permissions, and publish a version";
const ROBOT: &str =
    "dingtalk does not know the robot: set robot_code to the one on the console's robot page";
const TEMPLATE: &str = "dingtalk does not have the card template: publish it in the card builder and set card_template_id to its id, ....schema";
pub(crate) const VARIABLE: &str = "dingtalk does not fill the variable of the card: set card_template_key to the name of the variable that the template shows the words in";
const TOKEN: &str = "dingtalk does not accept the access token";
const FLOOD: &str = "dingtalk wants fewer requests";
const REQUEST: &str = "dingtalk does not accept the request";

#[rustfmt::skip]
static TABLE: &[Row] = &[
    row(&["40014", "42001", "invalidaccesstoken", "invalid.access.token"], ErrorKind::Unauthenticated, Reason::Token, TOKEN),
    row(&["invalidauthentication", "invalidappkey", "appnotexist", "unauthorizedclient", "invalidclientid*", "invalidclient*", "invalid.client*", "40089", "40096"], ErrorKind::Unauthenticated, Reason::Other, CREDENTIALS),
    row(&["subscription.notpermitted"], ErrorKind::Forbidden, Reason::Other, UNPUBLISHED),
    row(&["130101", "90030", "90018", "throttling*", "88"], ErrorKind::RateLimited, Reason::Flood, FLOOD),
    row(&["310000"], ErrorKind::Config, Reason::Other, "the robot's security check refuses: set the secret of its signature, or use one of its keywords, or add this machine's address to its list"),
    row(&["60020"], ErrorKind::Config, Reason::Other, "this machine's address is not in the allow list of the app: add it in the developer console, page Security Settings"),
    row(&["300001"], ErrorKind::NotFound, Reason::Session, "the session or the robot's token is over"),
    row(&["forbidden.accessdenied*"], ErrorKind::Forbidden, Reason::Other, SCOPE),
    row(&["invalidparameter.robotcode*", "robot.not.exist*"], ErrorKind::Config, Reason::Other, ROBOT),
    row(&["invalidparameter.userids.overmax"], ErrorKind::Invalid, Reason::Other, REQUEST),
    row(&["invalidparameter.userids*", "staffid.notexisted"], ErrorKind::NotFound, Reason::Other, "dingtalk does not know the person, or the robot is not visible to them"),
    row(&["invalidparameter.openconversationid*", "param.openspaceidinvalid"], ErrorKind::NotFound, Reason::Other, "there is no such conversation, or the robot is not in it"),
    row(&["param.templateunpublished"], ErrorKind::Config, Reason::Other, TEMPLATE),
    row(&["invalidparameter*", "param*"], ErrorKind::Invalid, Reason::Other, REQUEST),
];

/// Codes that tell that DingTalk itself has failed.
const FAILED: &[&str] = &[
    "system.err",
    "systemerror",
    "internalerror",
    "serviceunavailable",
    "-1",
];

/// What DingTalk answers instead of naming what it does not like.
const UNKNOWN: &str = "unknownerror";

/// The longest wait that is believed.
const LONGEST_WAIT: u64 = 15 * 60;
/// The wait where DingTalk names none.
const USUAL_WAIT: Duration = Duration::from_secs(2);

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// DingTalk refused.
    Refused {
        #[cfg_attr(
            not(feature = "net"),
            expect(dead_code, reason = "only the refusal of a ticket is judged by it")
        )]
        status: u16,
        code: String,
        kind: ErrorKind,
        reason: Reason,
        wait: Option<Duration>,
        message: &'static str,
    },
    /// DingTalk, or what stands before it, failed: nobody knows whether it acted.
    Broken {
        code: String,
        wait: Option<Duration>,
    },
    /// An answer that is not what the documentation promises.
    Unreadable { status: u16 },
    /// No response.
    Http(HttpError),
    /// Refused before it left.
    Ours(Error),
}

/// The part of an answer that tells whether it is one. Of any type, because there are two
/// generations of calls.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Verdict {
    #[serde(default)]
    errcode: Value,
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    success: Value,
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_fine = text.is_empty() || text == "0" || text.eq_ignore_ascii_case("ok");
    let end = text.floor_char_boundary(64);
    (!is_fine).then(|| text.get(..end).unwrap_or_default().to_owned())
}

impl Verdict {
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        // A list would be read as an object that has nothing.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        serde_json::from_slice(body).ok().filter(|_| is_object)
    }

    /// The code of a refusal.
    fn code(&self) -> Option<String> {
        text(&self.errcode).or_else(|| text(&self.code))
    }

    /// Whether an answer with status 200 says that it has worked.
    pub(crate) fn is_good(&self) -> bool {
        self.code().is_none() && self.success != Value::Bool(false)
    }

    /// A limit comes dressed as a lack of permission.
    fn is_about_pace(&self, code: &str) -> bool {
        let said = self.message.as_str().unwrap_or_default();
        let lower = |text: &str| text.to_ascii_lowercase();
        lower(code).contains("qps") || lower(said).contains("qps")
    }
}

fn find(code: &str) -> Option<&'static Row> {
    let code = code.to_ascii_lowercase();
    TABLE.iter().find(|row| {
        row.codes.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => code.starts_with(start),
            None => code == *known,
        })
    })
}

impl Failure {
    /// Reads a response that is not a success.
    pub(crate) fn of_response(response: &Response<bytes::Bytes>) -> Self {
        let status = response.status().as_u16();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds: u64| Duration::from_secs(seconds.min(LONGEST_WAIT)));
        let verdict = Verdict::of(response.body()).unwrap_or_default();
        let Some(code) = verdict.code() else {
            return Self::of_status(status, None, wait);
        };
        if verdict.is_about_pace(&code) {
            return Self::flood(status, code, wait);
        }
        if FAILED.contains(&code.to_ascii_lowercase().as_str()) {
            return Self::Broken { code, wait };
        }
        match find(&code) {
            Some(row) if row.reason == Reason::Flood => Self::flood(status, code, wait),
            // The code of wrong credentials is also that of a token that has ended.
            Some(row) if status != 401 => Self::Refused {
                status,
                code,
                kind: row.kind,
                reason: row.reason,
                wait: None,
                message: row.message,
            },
            _ => Self::of_status(status, Some(code), wait),
        }
    }

    fn flood(status: u16, code: String, wait: Option<Duration>) -> Self {
        Self::Refused {
            status,
            code,
            kind: ErrorKind::RateLimited,
            reason: Reason::Flood,
            wait: Some(wait.unwrap_or(USUAL_WAIT)),
            message: FLOOD,
        }
    }

    fn of_status(status: u16, code: Option<String>, wait: Option<Duration>) -> Self {
        let has_code = code.is_some();
        let code = code.unwrap_or_else(|| status.to_string());
        let (kind, reason, message) = match status {
            // An older call that refuses.
            200 if has_code => (ErrorKind::Invalid, Reason::Other, REQUEST),
            400 | 405 | 411 | 414 | 415 | 422 | 431 => (ErrorKind::Invalid, Reason::Other, REQUEST),
            401 => (ErrorKind::Unauthenticated, Reason::Token, TOKEN),
            403 => (
                ErrorKind::Forbidden,
                Reason::Other,
                "dingtalk does not let the robot do that",
            ),
            404 | 410 => (
                ErrorKind::NotFound,
                Reason::Other,
                "dingtalk has no such thing",
            ),
            413 => (
                ErrorKind::Invalid,
                Reason::Other,
                "the request is too large for dingtalk",
            ),
            429 => return Self::flood(status, code, wait),
            408 | 425 | 500.. => return Self::Broken { code, wait },
            _ => return Self::Unreadable { status },
        };
        Self::Refused {
            status,
            code,
            kind,
            reason,
            wait: None,
            message,
        }
    }

    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Refused { reason, .. } => *reason,
            Self::Broken { code, .. } if code.eq_ignore_ascii_case(UNKNOWN) => Reason::Unknown,
            _ => Reason::Other,
        }
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { wait, .. } | Self::Broken { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Whether nobody knows if DingTalk has acted.
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
            } => Error::new(kind, message)
                .with_code(code)
                .with_limited(Scope::Channel),
            Self::Broken { code, .. } => {
                Error::new(doubtful, "dingtalk is not available").with_code(code)
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

/// What DingTalk has no way for.
pub(crate) fn unsupported(message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, message).on(PLATFORM, operation)
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
        Failure::of_response(&response).into_error("test", repeatable)
    }

    fn of(status: u16, code: &str) -> Error {
        let body = format!(r#"{{"code":"{code}","message":"what we sent","requestid":"r"}}"#);
        error(status, &body, false)
    }

    #[test]
    fn each_documented_code_has_its_kind() {
        use ErrorKind::{Config, Forbidden, Invalid, NotFound, RateLimited, Unauthenticated};
        for (status, code, kind) in [
            (400, "invalidParameter.robotCode.empty", Config),
            (400, "invalidParameter.robotCode.auth", Config),
            (400, "invalidParameter.userIds.overMax", Invalid),
            (400, "invalidParameter.userIds.invalid", NotFound),
            (400, "invalidParameter.openConversationId.invalid", NotFound),
            (400, "invalidParameter.msgKey.invalid", Invalid),
            (400, "invalidParameter.msgParam.invalid", Invalid),
            (400, "param.openSpaceIdInvalid", NotFound),
            (
                403,
                "Forbidden.AccessDenied.AccessTokenPermissionDenied",
                Forbidden,
            ),
            (403, "Forbidden.AccessDenied.QpsLimitForApi", RateLimited),
            (400, "Throttling.user", RateLimited),
            (401, "InvalidAuthentication", Unauthenticated),
            (400, "invalidAppKey", Unauthenticated),
            (400, "somethingNew", Invalid),
        ] {
            let error = of(status, code);
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.code(), Some(code));
            assert!(!error.to_string().contains("what we sent"));
        }
        let denied = r#"{"code":"Forbidden.AccessDenied","message":"App QPS limit"}"#;
        let limited = error(403, denied, false);
        assert_eq!(limited.kind(), RateLimited);
        assert_eq!(limited.retry_after(), Some(USUAL_WAIT));
    }

    #[test]
    fn the_older_calls_refuse_with_status_200() {
        for (code, kind) in [
            (40_014, ErrorKind::Unauthenticated),
            (42_001, ErrorKind::Unauthenticated),
            (130_101, ErrorKind::RateLimited),
            (90_030, ErrorKind::RateLimited),
            (310_000, ErrorKind::Config),
            (60_020, ErrorKind::Config),
            (300_001, ErrorKind::NotFound),
            (424_242, ErrorKind::Invalid),
        ] {
            let body = format!(r#"{{"errcode":{code},"errmsg":"what we sent"}}"#);
            assert_eq!(error(200, &body, false).kind(), kind, "{code}");
        }
        let good = |body: &str| Verdict::of(body.as_bytes()).is_some_and(|it| it.is_good());
        assert!(good(r#"{"errcode":0,"errmsg":"ok"}"#) && good(r#"{"processQueryKey":"k"}"#));
        assert!(good(r#"{"success":true}"#) && !good(r#"{"success":false}"#));
        assert!(!good(r#"{"errcode":"42001"}"#) && !good(r#"{"code":"x"}"#) && !good("[]"));
    }

    #[test]
    fn an_answer_without_a_code_is_judged_by_its_status() {
        for body in ["", "<html>", "[]", "{}", "{\"code\":{}}", "\u{0}"] {
            assert_eq!(error(401, body, false).kind(), ErrorKind::Unauthenticated);
            assert_eq!(error(429, body, false).kind(), ErrorKind::RateLimited);
            assert_eq!(error(502, body, false).kind(), ErrorKind::Uncertain);
            assert_eq!(error(502, body, true).kind(), ErrorKind::Unavailable);
            assert_eq!(error(302, body, true).kind(), ErrorKind::Protocol);
            assert_eq!(error(200, body, false).kind(), ErrorKind::Uncertain);
        }
        assert_eq!(of(500, "system.err").kind(), ErrorKind::Uncertain);
        assert_eq!(of(400, "internalError").kind(), ErrorKind::Uncertain);
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
