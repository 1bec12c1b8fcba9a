//! What went wrong: one table from Telegram's words to the common kinds.
//!
//! Telegram tells its errors apart only by the text of `description`
//! (<https://core.telegram.org/bots/api#making-requests>). The text may echo what we sent,
//! so it is compared and then thrown away: every message of an [`Error`] comes from the
//! table.

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
    /// The token is wrong or revoked.
    Token,
    /// Another instance polls.
    OtherPoller,
    /// A webhook is set.
    WebhookActive,
    /// The chat will refuse the next message too.
    DeadTarget,
    /// A person cannot be reached: the other side of a private chat, or the one member of a
    /// group that a message was meant for.
    DeadPerson,
    /// The group has become a supergroup.
    Moved,
    /// The entities do not fit the text.
    Entities,
    /// The edit changes nothing.
    NotModified,
    /// The message has a caption and no text.
    NoText,
}

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

struct Row {
    status: u16,
    /// The beginning of the description, without the words before the first `: `.
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
    row(400, "message is not modified", ErrorKind::Invalid, Reason::NotModified, "the message says that already"),
    row(400, "group chat was upgraded to a supergroup", ErrorKind::NotFound, Reason::Moved, "the group has become a supergroup with another id"),
    row(400, "can't parse entities", ErrorKind::Invalid, Reason::Entities, "telegram cannot read the formatting"),
    row(400, "entity_", ErrorKind::Invalid, Reason::Entities, "telegram cannot read the formatting"),
    row(400, "there is no text in the message to edit", ErrorKind::Invalid, Reason::NoText, "the message has no text to edit"),
    row(400, "there is no caption in the message to edit", ErrorKind::Invalid, Reason::Other, "the message has no caption to edit"),
    row(400, "chat not found", ErrorKind::NotFound, Reason::DeadTarget, "there is no such chat, or the bot is not in it"),
    row(400, "user not found", ErrorKind::NotFound, Reason::DeadPerson, "there is no such user"),
    row(400, "peer_id_invalid", ErrorKind::NotFound, Reason::DeadPerson, "there is no such chat or user"),
    row(400, "message thread not found", ErrorKind::NotFound, Reason::Other, "there is no such thread"),
    row(400, "topic_closed", ErrorKind::Forbidden, Reason::Other, "the thread is closed"),
    row(400, "topic_deleted", ErrorKind::NotFound, Reason::Other, "there is no such thread"),
    row(400, "message to edit not found", ErrorKind::NotFound, Reason::Other, "there is no such message to edit"),
    row(400, "message can't be edited", ErrorKind::NotFound, Reason::Other, "the message can no longer be edited"),
    row(400, "message to delete not found", ErrorKind::NotFound, Reason::Other, "there is no such message to delete"),
    row(400, "message can't be deleted", ErrorKind::Forbidden, Reason::Other, "the message may not be deleted"),
    row(400, "message to react not found", ErrorKind::NotFound, Reason::Other, "there is no such message to react to"),
    row(400, "message to be replied not found", ErrorKind::NotFound, Reason::Other, "the quoted message is gone"),
    row(400, "message not found", ErrorKind::NotFound, Reason::Other, "there is no such message"),
    row(400, "message_id_invalid", ErrorKind::NotFound, Reason::Other, "there is no such message"),
    row(400, "query is too old", ErrorKind::NotFound, Reason::Other, "the press is too old to be answered"),
    row(400, "query id is invalid", ErrorKind::NotFound, Reason::Other, "the press is too old to be answered"),
    row(400, "query_id_invalid", ErrorKind::NotFound, Reason::Other, "the press is too old to be answered"),
    row(400, "message is too long", ErrorKind::Invalid, Reason::Other, "the text is too long"),
    row(400, "message_too_long", ErrorKind::Invalid, Reason::Other, "the text is too long"),
    row(400, "message caption is too long", ErrorKind::Invalid, Reason::Other, "the caption is too long"),
    row(400, "message text is empty", ErrorKind::Invalid, Reason::Other, "the text is empty"),
    row(400, "text must be non-empty", ErrorKind::Invalid, Reason::Other, "the text is empty"),
    row(400, "reaction_invalid", ErrorKind::Invalid, Reason::Other, "telegram does not have this reaction"),
    row(400, "button_data_invalid", ErrorKind::Invalid, Reason::Other, "the value of a button is too long"),
    row(400, "button_url_invalid", ErrorKind::Invalid, Reason::Other, "the address of a button is not valid"),
    row(400, "file is too big", ErrorKind::Invalid, Reason::Other, "the file is too large for telegram"),
    row(400, "image_process_failed", ErrorKind::Invalid, Reason::Other, "telegram cannot read the picture"),
    row(400, "photo_invalid_dimensions", ErrorKind::Invalid, Reason::Other, "the picture is too large or too narrow for telegram"),
    row(400, "wrong file identifier", ErrorKind::NotFound, Reason::Other, "there is no such file"),
    row(400, "wrong file_id", ErrorKind::NotFound, Reason::Other, "there is no such file"),
    row(400, "invalid file_id", ErrorKind::NotFound, Reason::Other, "there is no such file"),
    row(400, "wrong type of the web page content", ErrorKind::Invalid, Reason::Other, "telegram cannot use the file at the address"),
    row(400, "failed to get http url content", ErrorKind::Invalid, Reason::Other, "telegram cannot fetch the file from the address"),
    row(400, "not enough rights", ErrorKind::Forbidden, Reason::Other, "the bot lacks rights in the chat"),
    row(400, "have no rights to send a message", ErrorKind::Forbidden, Reason::DeadTarget, "the bot may not write in the chat"),
    row(400, "need administrator rights", ErrorKind::Forbidden, Reason::Other, "the bot lacks rights in the chat"),
    row(400, "chat_write_forbidden", ErrorKind::Forbidden, Reason::DeadTarget, "the bot may not write in the chat"),
    row(400, "chat_admin_required", ErrorKind::Forbidden, Reason::Other, "the bot lacks rights in the chat"),
    row(400, "", ErrorKind::Invalid, Reason::Other, "telegram does not accept the request"),
    row(401, "", ErrorKind::Unauthenticated, Reason::Token, "telegram does not accept the bot token"),
    row(403, "bot was blocked by the user", ErrorKind::Forbidden, Reason::DeadPerson, "the user has blocked the bot"),
    row(403, "user is deactivated", ErrorKind::Forbidden, Reason::DeadPerson, "the user no longer exists"),
    row(403, "bot was kicked", ErrorKind::Forbidden, Reason::DeadTarget, "the bot was removed from the chat"),
    row(403, "bot can't initiate conversation", ErrorKind::Forbidden, Reason::DeadPerson, "the user has not started the bot"),
    row(403, "bot is not a member", ErrorKind::Forbidden, Reason::DeadTarget, "the bot is not in the chat"),
    row(403, "", ErrorKind::Forbidden, Reason::Other, "telegram does not let the bot do that"),
    row(404, "", ErrorKind::Unauthenticated, Reason::Token, "telegram does not know the bot token"),
    row(409, "can't use getupdates method while webhook is active", ErrorKind::Config, Reason::WebhookActive,
        "a webhook is set for this bot: delete it, set WEBHOOK_SECRET to receive by webhook, or build with take_over_webhook(true)"),
    row(409, "", ErrorKind::Unavailable, Reason::OtherPoller, "another instance polls for this bot"),
    row(413, "", ErrorKind::Invalid, Reason::Other, "the request is too large for telegram"),
    row(420, "", ErrorKind::RateLimited, Reason::Flood, "telegram wants fewer requests"),
    row(429, "", ErrorKind::RateLimited, Reason::Flood, "telegram wants fewer requests"),
];

/// An answer with `"ok":false`, or one that is no answer at all.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Telegram refused.
    Refused(Refusal),
    /// No response.
    Http(HttpError),
    /// A response that is not what the documentation promises.
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
}

/// What Telegram said when it refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) kind: ErrorKind,
    pub(crate) reason: Reason,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) moved_to: Option<i64>,
    message: &'static str,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    ok: bool,
    error_code: Option<u16>,
    #[serde(borrow, default)]
    description: std::borrow::Cow<'a, str>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, Default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Failure {
    /// Reads a response that is not a success.
    pub(crate) fn of_response(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Envelope<'_>>(body) {
            Ok(envelope) if !envelope.ok => {
                let code = envelope.error_code.unwrap_or(status);
                Self::Refused(Refusal::new(
                    code,
                    &envelope.description,
                    &envelope.parameters,
                ))
            }
            // A proxy's page, or nothing: the status still tells what to do, unless it would
            // speak of a token or a method that the proxy knows nothing of.
            _ if matches!(status, 403 | 413 | 429) => {
                Self::Refused(Refusal::new(status, "", &Parameters::default()))
            }
            _ => Self::Unreadable { status },
        }
    }

    /// The refusal, if it is one.
    pub(crate) const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Http(_) | Self::Unreadable { .. } => None,
        }
    }

    /// The code of a refusal, or the HTTP status of an answer that is none.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::Unreadable { status } => Some(*status),
            Self::Http(_) => None,
        }
    }

    /// What the adapter does about it.
    pub(crate) fn reason(&self) -> Reason {
        self.refusal()
            .map_or(Reason::Other, |refusal| refusal.reason)
    }

    /// The common error.
    pub(crate) fn into_error(self, method: Method) -> Error {
        let repeatable = method.is_repeatable();
        match self {
            // The token has worked for other methods before one that may be too new for a
            // self-hosted server.
            Self::Refused(refusal) if refusal.code == 404 && !method.is_basic() => Error::new(
                ErrorKind::Unsupported,
                "the bot api server does not know the method",
            )
            .with_code("404"),
            Self::Refused(refusal) => refusal.error(),
            Self::Http(error) => error.into_error(repeatable),
            Self::Unreadable { status } => unreadable(status, repeatable),
        }
        .on(PLATFORM, method.operation())
    }
}

/// A response without Telegram's envelope: something stands between Telegram and us.
fn unreadable(status: u16, repeatable: bool) -> Error {
    let (kind, message) = match status {
        // A gateway that gave up may have passed the request on before it did.
        502 | 504 if !repeatable => (ErrorKind::Uncertain, "a gateway gave up on telegram"),
        500..=599 => (ErrorKind::Unavailable, "telegram is not available"),
        401 | 404 => (
            ErrorKind::Unavailable,
            "something in front of telegram refuses the request",
        ),
        200..=299 if !repeatable => (ErrorKind::Uncertain, "the answer cannot be read"),
        _ => (
            ErrorKind::Protocol,
            "the answer is not one of the telegram bot api",
        ),
    };
    Error::new(kind, message).with_code(status.to_string())
}

impl Refusal {
    fn new(code: u16, description: &str, parameters: &Parameters) -> Self {
        // "Bad Request: chat not found" or "Bad Request: PEER_ID_INVALID"
        let words = description
            .split_once(": ")
            .map_or(description, |(_, words)| words);
        let fits = |row: &&Row| {
            row.status == code
                && words
                    .as_bytes()
                    .get(..row.prefix.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(row.prefix.as_bytes()))
        };
        let (kind, reason, message) = match TABLE.iter().find(fits) {
            Some(row) => (row.kind, row.reason, row.message),
            None if code >= 500 => (
                ErrorKind::Unavailable,
                Reason::Other,
                "telegram is not available",
            ),
            None => (
                ErrorKind::Protocol,
                Reason::Other,
                "telegram answered with an undocumented code",
            ),
        };
        // "retry after N" is also in the text; the field has been there since 2016.
        let retry_after = parameters.retry_after.map(Duration::from_secs).or_else(|| {
            (reason == Reason::Flood).then(|| {
                let text = words.rsplit_once(' ').and_then(|(_, n)| n.parse().ok());
                Duration::from_secs(text.unwrap_or(1))
            })
        });
        let retry_after = retry_after.map(|wait| wait.min(LONGEST_WAIT));
        // The id of the new group is told with whatever refusal comes first.
        let reason = match parameters.migrate_to_chat_id {
            Some(_) => Reason::Moved,
            None => reason,
        };
        Self {
            code,
            kind,
            reason,
            retry_after,
            moved_to: parameters.migrate_to_chat_id,
            message,
        }
    }

    fn error(&self) -> Error {
        let mut error = Error::new(self.kind, self.message).with_code(self.code.to_string());
        if let Some(wait) = self.retry_after {
            error = error.with_retry_after(wait);
        }
        if let Some(chat) = self.moved_to {
            error = error.with_moved_to(chat.into());
        }
        error
    }
}

/// A request that is refused before it reaches the network.
pub(crate) fn invalid(message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).on(PLATFORM, operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, description: &str, parameters: &str) -> Refusal {
        let body = format!(
            r#"{{"ok":false,"error_code":{code},"description":"{description}","parameters":{parameters}}}"#
        );
        match Failure::of_response(code, body.as_bytes()) {
            Failure::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_documented_description_has_its_kind() {
        let cases = [
            (
                429,
                "Too Many Requests: retry after 7",
                ErrorKind::RateLimited,
                Reason::Flood,
            ),
            (
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                ErrorKind::Unavailable,
                Reason::OtherPoller,
            ),
            (
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
                ErrorKind::Config,
                Reason::WebhookActive,
            ),
            (
                401,
                "Unauthorized",
                ErrorKind::Unauthenticated,
                Reason::Token,
            ),
            (404, "Not Found", ErrorKind::Unauthenticated, Reason::Token),
            (
                403,
                "Forbidden: bot was blocked by the user",
                ErrorKind::Forbidden,
                Reason::DeadPerson,
            ),
            (
                403,
                "Forbidden: bot was kicked from the supergroup chat",
                ErrorKind::Forbidden,
                Reason::DeadTarget,
            ),
            (
                400,
                "Bad Request: chat not found",
                ErrorKind::NotFound,
                Reason::DeadTarget,
            ),
            (
                400,
                "Bad Request: PEER_ID_INVALID",
                ErrorKind::NotFound,
                Reason::DeadPerson,
            ),
            (
                400,
                "Bad Request: can't parse entities: Unexpected end at byte offset 4",
                ErrorKind::Invalid,
                Reason::Entities,
            ),
            (
                400,
                "Bad Request: MESSAGE_TOO_LONG",
                ErrorKind::Invalid,
                Reason::Other,
            ),
            (
                413,
                "Request Entity Too Large",
                ErrorKind::Invalid,
                Reason::Other,
            ),
            (
                400,
                "Bad Request: message is not modified: specified new message content",
                ErrorKind::Invalid,
                Reason::NotModified,
            ),
            (
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
                ErrorKind::NotFound,
                Reason::Other,
            ),
            (
                400,
                "Bad Request: something new",
                ErrorKind::Invalid,
                Reason::Other,
            ),
            (
                500,
                "Internal Server Error",
                ErrorKind::Unavailable,
                Reason::Other,
            ),
            (418, "I'm a teapot", ErrorKind::Protocol, Reason::Other),
        ];
        for (code, description, kind, reason) in cases {
            let refusal = refusal(code, description, "{}");
            assert_eq!(
                (refusal.kind, refusal.reason),
                (kind, reason),
                "{description}"
            );
        }
    }

    #[test]
    fn waits_and_new_homes_are_read() {
        let flood = refusal(
            429,
            "Too Many Requests: retry after 5",
            r#"{"retry_after":9}"#,
        );
        assert_eq!(flood.retry_after, Some(Duration::from_secs(9)));
        let flood = refusal(429, "Too Many Requests: retry after 5", "{}");
        assert_eq!(flood.retry_after, Some(Duration::from_secs(5)));
        let moved = refusal(
            400,
            "Bad Request: group chat was upgraded to a supergroup chat",
            r#"{"migrate_to_chat_id":-1001234567890123}"#,
        );
        assert_eq!(moved.moved_to, Some(-1_001_234_567_890_123));
        assert_eq!(moved.reason, Reason::Moved);
    }

    #[test]
    fn never_echoes_the_description() {
        let failure = Failure::Refused(refusal(400, "Bad Request: <b>evil</b> 123:TOKEN", "{}"));
        let error = failure.into_error(Method::SendMessage);
        assert!(!format!("{error} {error:?}").contains("evil"));
        assert_eq!(
            error.to_string(),
            "telegram: send message: telegram does not accept the request"
        );
    }

    #[test]
    fn a_gateway_that_gives_up_on_a_send_is_uncertain() {
        let of = |status, method| {
            Failure::of_response(status, b"<html>")
                .into_error(method)
                .kind()
        };
        assert_eq!(of(502, Method::SendMessage), ErrorKind::Uncertain);
        assert_eq!(of(502, Method::GetUpdates), ErrorKind::Unavailable);
        assert_eq!(of(503, Method::SendMessage), ErrorKind::Unavailable);
        assert_eq!(of(200, Method::SendMessage), ErrorKind::Uncertain);
        assert_eq!(of(200, Method::GetMe), ErrorKind::Protocol);
        assert_eq!(of(404, Method::SendMessage), ErrorKind::Unavailable);
        assert_eq!(of(401, Method::GetUpdates), ErrorKind::Unavailable);
    }
}
