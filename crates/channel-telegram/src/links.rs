//! Deep links (<https://core.telegram.org/bots/features#deep-linking>).

use channel_core::{Command, Error, Result};

use crate::error::invalid;

/// A link that opens the bot's chat and, when the person presses Start, sends the bot
/// `/start <payload>`: the usual way to deliver a connect code.
///
/// ```
/// let link = channel_telegram::deep_link("kit_bot", "k7-Fq_2")?;
/// assert_eq!(link, "https://t.me/kit_bot?start=k7-Fq_2");
/// # Ok::<(), channel_core::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`](channel_core::ErrorKind::Invalid) if the name is not one of
/// `A-Za-z0-9_`, or the payload is not 1 to 64 of `A-Za-z0-9_-`.
pub fn deep_link(username: &str, payload: &str) -> Result<String, Error> {
    let username = username.trim_start_matches('@');
    let is_name = !username.is_empty()
        && username
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name || !is_payload(payload) {
        return Err(invalid(
            "a deep link takes a bot's name and 1 to 64 of A-Z a-z 0-9 _ -",
            "make deep link",
        ));
    }
    Ok(format!("https://t.me/{username}?start={payload}"))
}

/// The payload of a deep link, if a message is what Telegram sends for one.
///
/// ```
/// assert_eq!(channel_telegram::start_payload("/start k7-Fq_2"), Some("k7-Fq_2"));
/// assert_eq!(channel_telegram::start_payload("/start"), None);
/// ```
#[must_use]
pub fn start_payload(text: &str) -> Option<&str> {
    let command = Command::parse(text)?;
    (command.name == "start" && is_payload(command.arguments)).then_some(command.arguments)
}

fn is_payload(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
