//! What went wrong: one table from Slack's codes to the common kinds.
//!
//! Slack answers refusals with status 200 and a code in `error`
//! (<https://docs.slack.dev/apis/web-api/#responses>). Codes are compared with the table;
//! every message of an [`Error`] comes from there.

use std::time::Duration;

use channel_core::{Error, ErrorKind, HttpError};
use serde::Deserialize;

use crate::PLATFORM;
use crate::client::Method;

/// What the adapter itself does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing in particular.
    Other,
    /// Wait.
    Flood,
    /// The token is no longer good; another may be.
    Token,
    /// The blocks are refused; words alone may pass.
    Blocks,
    /// It is so already.
    Done,
    /// The method or the place does not stream.
    NoStream,
    /// What was done may or may not have had an effect.
    Halfway,
}

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

struct Row(&'static str, ErrorKind, Reason, &'static str);

#[rustfmt::skip]
static TABLE: &[Row] = &[
    Row("already_reacted", ErrorKind::Invalid, Reason::Done, "the reaction is there already"),
    Row("no_reaction", ErrorKind::NotFound, Reason::Done, "there is no such reaction"),
    Row("invalid_auth", ErrorKind::Unauthenticated, Reason::Token, "slack does not accept the token"),
    Row("not_authed", ErrorKind::Unauthenticated, Reason::Token, "slack misses a token"),
    Row("token_revoked", ErrorKind::Unauthenticated, Reason::Token, "the token is revoked"),
    Row("token_expired", ErrorKind::Unauthenticated, Reason::Token, "the token has expired"),
    Row("invalid_refresh_token", ErrorKind::Unauthenticated, Reason::Other, "slack does not accept the refresh token"),
    Row("account_inactive", ErrorKind::Unauthenticated, Reason::Other, "the app is removed from the workspace"),
    Row("org_login_required", ErrorKind::Unauthenticated, Reason::Other, "the workspace has moved to an organisation"),
    Row("ekm_access_denied", ErrorKind::Unauthenticated, Reason::Other, "the workspace has suspended access"),
    Row("team_access_not_granted", ErrorKind::Unauthenticated, Reason::Other, "the app is not granted to the workspace"),
    Row("team_disabled", ErrorKind::Unauthenticated, Reason::Other, "the workspace is disabled"),
    Row("user_removed_from_team", ErrorKind::Unauthenticated, Reason::Other, "the bot is removed from the workspace"),
    Row("missing_scope", ErrorKind::Forbidden, Reason::Other, "the token lacks a scope; see the scopes in the readme"),
    Row("no_permission", ErrorKind::Forbidden, Reason::Other, "the token may not do that"),
    Row("access_denied", ErrorKind::Forbidden, Reason::Other, "the token may not do that"),
    Row("not_allowed_token_type", ErrorKind::Config, Reason::Other, "the method takes another kind of token"),
    Row("bad_client_secret", ErrorKind::Config, Reason::Other, "slack does not accept client_id and client_secret"),
    Row("invalid_client_id", ErrorKind::Config, Reason::Other, "slack does not accept client_id and client_secret"),
    Row("bad_redirect_uri", ErrorKind::Config, Reason::Other, "the redirect address is not the registered one"),
    Row("invalid_code", ErrorKind::Invalid, Reason::Other, "the code is used or too old"),
    Row("code_already_used", ErrorKind::Invalid, Reason::Other, "the code is used or too old"),
    Row("invalid_grant_type", ErrorKind::Config, Reason::Other, "slack does not know the grant"),
    Row("restricted_action", ErrorKind::Forbidden, Reason::Other, "the workspace does not allow that"),
    Row("ekm_", ErrorKind::Forbidden, Reason::Other, "the workspace does not allow that"),
    Row("not_in_channel", ErrorKind::Forbidden, Reason::Other, "the bot is not in the chat"),
    Row("cannot_dm_bot", ErrorKind::Forbidden, Reason::Other, "bots cannot be written to"),
    Row("is_archived", ErrorKind::Forbidden, Reason::Other, "the chat is archived"),
    Row("user_disabled", ErrorKind::Forbidden, Reason::Other, "the user is disabled"),
    Row("messages_tab_disabled", ErrorKind::Forbidden, Reason::Other, "the messages tab of the app is switched off"),
    Row("as_user_not_supported", ErrorKind::Forbidden, Reason::Other, "the token may not do that"),
    Row("cant_update_message", ErrorKind::Forbidden, Reason::Other, "only own messages can be edited"),
    Row("cant_delete_message", ErrorKind::Forbidden, Reason::Other, "only own messages can be deleted"),
    Row("edit_window_closed", ErrorKind::NotFound, Reason::Other, "the message can no longer be edited"),
    Row("channel_not_found", ErrorKind::NotFound, Reason::Other, "there is no such chat, or the bot cannot see it"),
    Row("user_not_found", ErrorKind::NotFound, Reason::Other, "there is no such user"),
    Row("user_not_in_channel", ErrorKind::NotFound, Reason::Other, "the user is not in the chat"),
    Row("thread_not_found", ErrorKind::NotFound, Reason::Other, "there is no such thread"),
    Row("message_not_found", ErrorKind::NotFound, Reason::Other, "there is no such message"),
    Row("no_item_specified", ErrorKind::NotFound, Reason::Other, "there is no such message"),
    Row("bad_timestamp", ErrorKind::NotFound, Reason::Other, "there is no such message"),
    Row("file_not_found", ErrorKind::NotFound, Reason::Other, "there is no such file"),
    Row("file_deleted", ErrorKind::NotFound, Reason::Other, "the file is deleted"),
    Row("invalid_scheduled_message_id", ErrorKind::NotFound, Reason::Other, "there is no such scheduled message"),
    Row("expired_trigger_id", ErrorKind::NotFound, Reason::Other, "the press is too old to open a dialog"),
    Row("trigger_expired", ErrorKind::NotFound, Reason::Other, "the press is too old to open a dialog"),
    Row("exchanged_trigger_id", ErrorKind::NotFound, Reason::Other, "the press has opened a dialog already"),
    Row("invalid_trigger_id", ErrorKind::NotFound, Reason::Other, "the press cannot open a dialog"),
    Row("invalid_name", ErrorKind::Invalid, Reason::Other, "slack does not have this reaction"),
    Row("too_many_emoji", ErrorKind::Invalid, Reason::Other, "the message has too many reactions"),
    Row("too_many_reactions", ErrorKind::Invalid, Reason::Other, "the message has too many reactions"),
    Row("msg_too_long", ErrorKind::Invalid, Reason::Other, "the text is too long"),
    Row("no_text", ErrorKind::Invalid, Reason::Other, "the text is empty"),
    Row("msg_blocks_too_long", ErrorKind::Invalid, Reason::Blocks, "the blocks are too long together"),
    Row("invalid_blocks", ErrorKind::Invalid, Reason::Blocks, "slack does not accept the blocks"),
    Row("invalid_blocks_format", ErrorKind::Invalid, Reason::Blocks, "slack does not accept the blocks"),
    Row("too_many_attachments", ErrorKind::Invalid, Reason::Other, "the message has too many attachments"),
    Row("file_upload_size_restricted", ErrorKind::Invalid, Reason::Other, "the file is too large for slack"),
    Row("time_in_past", ErrorKind::Invalid, Reason::Other, "the time has passed"),
    Row("time_too_far", ErrorKind::Invalid, Reason::Other, "the time is more than 120 days away"),
    Row("unknown_method", ErrorKind::Unsupported, Reason::NoStream, "slack does not know the method"),
    Row("method_deprecated", ErrorKind::Unsupported, Reason::NoStream, "slack no longer has the method"),
    Row("message_not_in_streaming_state", ErrorKind::NotFound, Reason::NoStream, "the stream has ended"),
    Row("streaming_", ErrorKind::Invalid, Reason::NoStream, "slack does not stream there"),
    Row("channel_type_not_supported", ErrorKind::Unsupported, Reason::NoStream, "slack does not do that in this kind of chat"),
    Row("missing_recipient", ErrorKind::Invalid, Reason::NoStream, "slack wants to know who reads the stream"),
    Row("ratelimited", ErrorKind::RateLimited, Reason::Flood, "slack wants fewer requests"),
    Row("rate_limited", ErrorKind::RateLimited, Reason::Flood, "slack wants fewer requests"),
    Row("message_limit_exceeded", ErrorKind::RateLimited, Reason::Flood, "slack wants fewer messages"),
    Row("internal_error", ErrorKind::Unavailable, Reason::Halfway, "slack has failed"),
    Row("fatal_error", ErrorKind::Unavailable, Reason::Halfway, "slack has failed"),
    Row("request_timeout", ErrorKind::Unavailable, Reason::Other, "the request was cut off"),
    Row("service_unavailable", ErrorKind::Unavailable, Reason::Other, "slack is not available"),
    Row("accesslimited", ErrorKind::Forbidden, Reason::Other, "the workspace limits access"),
];

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Slack refused.
    Refused(Refusal),
    /// No response.
    Http(HttpError),
    /// A response that is not what the documentation promises.
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
    /// It did not come to a request: there is no token.
    Ours(Error),
}

/// What Slack said when it refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    code: String,
    kind: ErrorKind,
    pub(crate) reason: Reason,
    pub(crate) retry_after: Option<Duration>,
    message: &'static str,
}

#[derive(Deserialize)]
struct Answer<'a> {
    ok: bool,
    #[serde(borrow, default)]
    error: std::borrow::Cow<'a, str>,
}

impl Failure {
    /// Reads a response that is not a success.
    pub(crate) fn of_response(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        match serde_json::from_slice::<Answer<'_>>(body) {
            Ok(answer) if !answer.ok && !answer.error.is_empty() && status < 500 => {
                Self::Refused(Refusal::new(&answer.error, retry_after))
            }
            _ if status == 429 => Self::Refused(Refusal::new("ratelimited", retry_after)),
            _ => Self::Unreadable { status },
        }
    }

    /// What the adapter does about it.
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason,
            Self::Http(_) | Self::Unreadable { .. } | Self::Ours(_) => Reason::Other,
        }
    }

    /// How long Slack wants to be left alone.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Http(_) | Self::Unreadable { .. } | Self::Ours(_) => None,
        }
    }

    /// The common error.
    pub(crate) fn into_error(self, method: Method) -> Error {
        let repeatable = method.is_repeatable();
        match self {
            Self::Refused(refusal) => refusal.error(repeatable),
            Self::Http(error) => error.into_error(repeatable),
            Self::Unreadable { status } => unreadable(status, repeatable),
            Self::Ours(error) => error,
        }
        .on(PLATFORM, method.operation())
    }
}

/// A response without Slack's envelope: a failing server, or something in between.
pub(crate) fn unreadable(status: u16, repeatable: bool) -> Error {
    let (kind, message) = match status {
        500 | 502 | 504 if !repeatable => (ErrorKind::Uncertain, "slack failed midway"),
        500..=599 => (ErrorKind::Unavailable, "slack is not available"),
        // Slack itself says so with 200: this is a proxy, which knows nothing of tokens.
        401 | 403 | 404 => (
            ErrorKind::Unavailable,
            "something in front of slack refuses the request",
        ),
        413 => (ErrorKind::Invalid, "the request is too large"),
        200..=299 if !repeatable => (ErrorKind::Uncertain, "the answer cannot be read"),
        _ => (ErrorKind::Protocol, "the answer is not one of slack"),
    };
    Error::new(kind, message).with_code(status.to_string())
}

impl Refusal {
    fn new(code: &str, retry_after: Option<Duration>) -> Self {
        // A prefix that ends in `_` stands for a family of codes.
        let fits = |row: &&Row| row.0 == code || (row.0.ends_with('_') && code.starts_with(row.0));
        let is_restricted = code.starts_with("restricted_action");
        let row = TABLE.iter().find(fits).or_else(|| {
            TABLE
                .iter()
                .find(|row| is_restricted && row.0 == "restricted_action")
        });
        let (kind, reason, message) = match row {
            Some(row) => (row.1, row.2, row.3),
            None if code.starts_with("invalid_") => (
                ErrorKind::Invalid,
                Reason::Other,
                "slack does not accept the request",
            ),
            None => (
                ErrorKind::Protocol,
                Reason::Other,
                "slack refuses with a code of its own",
            ),
        };
        let retry_after = match reason {
            Reason::Flood => Some(retry_after.unwrap_or(Duration::from_secs(1))),
            _ => None,
        };
        let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_code = code.len() <= 64 && code.bytes().all(is_word);
        Self {
            code: if is_code { code } else { "other" }.to_owned(),
            kind,
            reason,
            retry_after: retry_after.map(|wait| wait.min(LONGEST_WAIT)),
            message,
        }
    }

    fn error(&self, repeatable: bool) -> Error {
        let kind = match self.reason {
            Reason::Halfway if !repeatable => ErrorKind::Uncertain,
            _ => self.kind,
        };
        let error = Error::new(kind, self.message).with_code(self.code.as_str());
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

    fn kind(code: &str, method: Method) -> ErrorKind {
        let body = format!(r#"{{"ok":false,"error":"{code}"}}"#);
        Failure::of_response(200, None, body.as_bytes())
            .into_error(method)
            .kind()
    }

    #[test]
    fn each_class_of_codes_has_its_kind() {
        let send = Method::PostMessage;
        let cases = [
            ("invalid_auth", ErrorKind::Unauthenticated),
            ("token_expired", ErrorKind::Unauthenticated),
            ("missing_scope", ErrorKind::Forbidden),
            (
                "restricted_action_thread_only_channel",
                ErrorKind::Forbidden,
            ),
            ("channel_not_found", ErrorKind::NotFound),
            ("msg_blocks_too_long", ErrorKind::Invalid),
            ("invalid_something_new", ErrorKind::Invalid),
            ("ratelimited", ErrorKind::RateLimited),
            ("service_unavailable", ErrorKind::Unavailable),
            // Slack documents that a part of it may have happened.
            ("fatal_error", ErrorKind::Uncertain),
            ("something_new", ErrorKind::Protocol),
        ];
        for (code, wanted) in cases {
            assert_eq!(kind(code, send), wanted, "{code}");
        }
        assert_eq!(
            kind("fatal_error", Method::AuthTest),
            ErrorKind::Unavailable
        );
    }

    #[test]
    fn codes_that_are_no_codes_are_not_repeated() {
        let body = br#"{"ok":false,"error":"xoxb-1 <b>evil</b>"}"#;
        let error = Failure::of_response(200, None, body).into_error(Method::PostMessage);
        assert!(!format!("{error} {error:?}").contains("evil"));
        assert_eq!(error.code(), Some("other"));
    }

    #[test]
    fn a_server_that_fails_is_uncertain_only_for_what_cannot_be_repeated() {
        let of = |status, method| {
            Failure::of_response(status, None, b"<html>")
                .into_error(method)
                .kind()
        };
        assert_eq!(of(500, Method::PostMessage), ErrorKind::Uncertain);
        assert_eq!(of(500, Method::AuthTest), ErrorKind::Unavailable);
        assert_eq!(of(503, Method::PostMessage), ErrorKind::Unavailable);
        assert_eq!(of(200, Method::PostMessage), ErrorKind::Uncertain);
        assert_eq!(of(401, Method::PostMessage), ErrorKind::Unavailable);
        assert_eq!(of(429, Method::PostMessage), ErrorKind::RateLimited);
    }
}
