//! Who is mentioned in a text. <https://docs.discord.com/developers/reference#message-formatting>

use super::model::Id;
use super::state::State;

/// Mentions of one text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) users: Vec<Id>,
    pub(crate) roles: Vec<Id>,
    pub(crate) everyone: bool,
}

/// Looks for `<@id>`, `<@!id>`, `<@&id>`, `@everyone` and `@here` outside of code. People and bots that are not in the
/// channel are not mentioned.
pub(crate) fn find(state: &State, text: &str, channel: Id) -> Found {
    let mut found = Found::default();
    let guild = state
        .channels
        .get(&channel)
        .and_then(|channel| channel.guild);
    // Every other piece between backticks is code.
    for plain in text.split('`').step_by(2) {
        found.everyone |=
            guild.is_some() && (plain.contains("@everyone") || plain.contains("@here"));
        for piece in plain.split("<@").skip(1) {
            let Some((inside, _)) = piece.split_once('>') else {
                continue;
            };
            if let Some(role) = inside.strip_prefix('&').and_then(|id| id.parse().ok()) {
                if !found.roles.contains(&role) {
                    found.roles.push(role);
                }
            } else if let Ok(user) = inside.trim_start_matches('!').parse()
                && (state.users.contains_key(&user) || state.apps.contains_key(&user))
                && !found.users.contains(&user)
            {
                found.users.push(user);
            }
        }
    }
    found
}
