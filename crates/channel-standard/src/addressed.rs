//! Whether, and why, a message is meant for the bot.

use channel_core::{Addressed, ChatKind, Command};
use serde::Deserialize;

use crate::hub::Place;
use crate::standard::Shared;
use crate::wire::client::MessageFrame;

/// Why a message is meant for the bot.
pub(crate) fn addressed(
    shared: &Shared,
    place: &Place,
    frame: &MessageFrame<'_>,
    quotes_me: bool,
) -> Addressed {
    #[derive(Deserialize)]
    struct Meta {
        mention: Option<bool>,
    }
    if place.kind() == ChatKind::Direct {
        return Addressed::Direct;
    }
    let by_meta = frame
        .meta
        .and_then(|meta| serde_json::from_str::<Meta>(meta.get()).ok())
        .and_then(|meta| meta.mention);
    match addressed_text(shared, frame.text.as_deref().unwrap_or_default()) {
        Addressed::Mention => Addressed::Mention,
        _ if by_meta == Some(true) => Addressed::Mention,
        _ if quotes_me => Addressed::Reply,
        otherwise => otherwise,
    }
}

pub(crate) fn addressed_text(shared: &Shared, text: &str) -> Addressed {
    let names = [shared.config.bot_name.as_str(), &shared.config.bot_id];
    if let Some(command) = Command::parse(text) {
        // `/word@name` is for whoever has that name.
        let word = text.split_whitespace().next().unwrap_or_default();
        let of = word.split_once('@').map(|(_, of)| of);
        let is_mine = of.is_none_or(|of| names.iter().any(|name| name.eq_ignore_ascii_case(of)));
        if is_mine && !command.name.is_empty() {
            return Addressed::Command;
        }
    }
    if names.iter().any(|name| mentions(text, name)) {
        return Addressed::Mention;
    }
    Addressed::No
}

/// Whether the text holds `@name` as a word.
fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices('@').any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let Some(rest) = text.get(at + 1..) else {
            return false;
        };
        let Some(found) = rest.get(..name.len()) else {
            return false;
        };
        let after = rest
            .get(name.len()..)
            .and_then(|after| after.chars().next());
        found.eq_ignore_ascii_case(name)
            && !before.is_some_and(is_word)
            && !after.is_some_and(is_word)
    })
}
