//! What stands in a [`ChatId`] and a [`MessageId`] of this channel.
//!
//! | chat id | is |
//! |---|---|
//! | `C1`, `G1`, `D1` | a chat of the workspace whose token was configured |
//! | `U1`, `W1` | the direct chat with a person, for sending only |
//! | `T1/C1` | a chat of one of many workspaces, where tokens come from a `TokenSource` |
//!
//! A message id is the message's `ts`; `file:F1` is a file whose message Slack has not named
//! yet, `response:...` an answer that cannot be named again, `command:...` a slash command.

use channel_core::{ChatId, Error, MessageId, ThreadId};

use crate::error::invalid;
use crate::limits;

/// The place of a call: a chat, and in which workspace it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) workspace: Option<&'a str>,
    pub(crate) channel: &'a str,
}

impl<'a> Address<'a> {
    /// Reads a chat id. A workspace is named where there are many, and only there.
    pub(crate) fn parse(
        chat: &'a ChatId,
        many: bool,
        operation: &'static str,
    ) -> Result<Self, Error> {
        let text = chat.as_str();
        let (workspace, channel) = match text.split_once('/') {
            Some((workspace, channel)) if many => (Some(workspace), channel),
            None if !many => (None, text),
            _ => {
                return Err(invalid(
                    "a chat id looks like C0123, or T0123/C0123 where there are many workspaces",
                    operation,
                ));
            }
        };
        if is_id(channel) && workspace.is_none_or(is_id) {
            return Ok(Self { workspace, channel });
        }
        Err(invalid(
            "a chat id looks like C0123, D0123 or U0123",
            operation,
        ))
    }

    /// The common id of a chat.
    pub(crate) fn chat(workspace: Option<&str>, channel: &str) -> ChatId {
        match workspace {
            Some(workspace) => ChatId::from(format!("{workspace}/{channel}")),
            None => ChatId::from(channel),
        }
    }

    /// Whether one person sits at the other end.
    pub(crate) fn is_direct(self) -> bool {
        is_direct(self.channel)
    }
}

/// Whether a chat is a direct one, by its id.
pub(crate) fn is_direct(channel: &str) -> bool {
    matches!(channel.as_bytes().first(), Some(b'D' | b'U' | b'W'))
}

/// An id as Slack makes them: capital letters and digits.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=limits::ID).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// A timestamp as Slack writes them: `1700000000.000100`.
pub(crate) fn is_ts(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.len() <= limits::ID
        && text
            .split_once('.')
            .is_some_and(|(seconds, rest)| digits(seconds) && digits(rest))
}

/// The `ts` of a message that can be named.
pub(crate) fn ts<'a>(id: &'a MessageId, operation: &'static str) -> Result<&'a str, Error> {
    let text = id.as_str();
    if is_ts(text) {
        return Ok(text);
    }
    let why = if text.starts_with("response:") || text.starts_with("command:") {
        "slack has no message of that id: it was an answer to a slash command"
    } else {
        "a message id looks like 1700000000.000100"
    };
    Err(Error::new(channel_core::ErrorKind::NotFound, why).on(crate::PLATFORM, operation))
}

/// A thread that Slack can know; anything else is left out.
pub(crate) fn thread_ts(thread: Option<&ThreadId>) -> Option<&str> {
    let thread = thread?.as_str();
    if is_ts(thread) {
        return Some(thread);
    }
    // Only a hand-written target can hold one; its chat is still right.
    tracing::warn!("not a slack thread id: using the chat itself");
    None
}

/// Scheme, host and port of an address.
pub(crate) fn origin(address: &str) -> Option<&str> {
    let start = address.find("://")? + 3;
    let rest = address.get(start..)?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    address.get(..start + end)
}

/// Whether an address may be given something of ours: it is on a host below `domain`, by
/// TLS, or on the server that was configured.
pub(crate) fn is_trusted(address: &str, domain: &str, base: &str) -> bool {
    let Some(origin_of) = origin(address) else {
        return false;
    };
    if origin(base) == Some(origin_of) {
        return true;
    }
    let Some(host) = origin_of.strip_prefix("https://") else {
        return false;
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let is_below = host
        .strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    is_below && host.bytes().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_named_with_their_workspace_where_there_are_many() {
        let parse = |chat: &str, many| {
            let chat = ChatId::from(chat);
            let read = Address::parse(&chat, many, "test");
            read.map(|it| (it.workspace.map(str::to_owned), it.channel.to_owned()))
                .ok()
        };
        assert_eq!(parse("C1", false), Some((None, "C1".to_owned())));
        let both = Some((Some("T1".to_owned()), "D2".to_owned()));
        assert_eq!(parse("T1/D2", true), both);
        for (bad, many) in [
            ("C1", true),
            ("T1/C1", false),
            ("", false),
            ("general", false),
            ("#general", false),
            ("C1/..", true),
            ("../C1", true),
            ("C 1", false),
        ] {
            assert_eq!(parse(bad, many), None, "{bad}");
        }
    }

    #[test]
    fn only_slack_and_the_configured_server_are_trusted() {
        let base = "http://127.0.0.1:9000/api";
        for good in [
            "https://files.slack.com/files-pri/T1-F1/a.png",
            "https://slack.com/x",
            "http://127.0.0.1:9000/files/a",
        ] {
            assert!(is_trusted(good, "slack.com", base), "{good}");
        }
        for bad in [
            "http://files.slack.com/x",
            "https://files.slack.com.evil.example/x",
            "https://evilslack.com/x",
            "https://files.slack.com@evil.example/x",
            "https://evil.example\\@files.slack.com/x",
            "https://files.slack.com:444/x",
            "https://evil.example/?https://files.slack.com/",
            "https://evil.example#.slack.com",
            "http://127.0.0.1:9001/x",
            "http://127.0.0.1:9000@evil.example/",
            "file://slack.com/x",
            "slack.com",
            "",
        ] {
            assert!(!is_trusted(bad, "slack.com", base), "{bad}");
        }
    }

    #[test]
    fn timestamps_are_two_numbers() {
        assert!(is_ts("1700000000.000100"));
        for bad in ["", ".", "1.", ".1", "1", "1.2.3", "-1.0", "1e3.0", "1.0 "] {
            assert!(!is_ts(bad), "{bad}");
        }
    }
}
