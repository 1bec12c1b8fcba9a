//! Ids and addresses.

use channel_core::{ChatId, Error, MessageId, Result, Target};

use crate::error::invalid;

/// Whether a text is a snowflake: a number of at most 20 digits. Only such a text is put
/// into an address.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The channel of Discord's that a target stands for: a thread is one of its own.
pub(crate) fn room<'a>(target: &'a Target, operation: &'static str) -> Result<&'a str> {
    let room = target
        .thread
        .as_ref()
        .map_or(target.chat.as_str(), |thread| thread.as_str());
    checked(room, "the chat is not the id of a channel", operation)
}

pub(crate) fn chat<'a>(chat: &'a ChatId, operation: &'static str) -> Result<&'a str> {
    checked(
        chat.as_str(),
        "the chat is not the id of a channel",
        operation,
    )
}

pub(crate) fn message<'a>(id: &'a MessageId, operation: &'static str) -> Result<&'a str> {
    checked(id.as_str(), "that is not the id of a message", operation)
}

fn checked<'a>(
    id: &'a str,
    wanted: &'static str,
    operation: &'static str,
) -> Result<&'a str, Error> {
    if is_id(id) {
        Ok(id)
    } else {
        Err(invalid(wanted, operation))
    }
}

/// Scheme, host and port of an address.
pub(crate) fn origin(address: &str) -> Option<&str> {
    let at = address.find("://")? + 3;
    let rest = address.get(at..)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    address.get(..at + end)
}
