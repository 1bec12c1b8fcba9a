//! Reactions. <https://docs.discord.com/developers/resources/message#create-reaction>

use serde_json::{Value, json};

use super::super::answer::{self, Answer, ApiError, Reply};
use super::super::model::{Emoji, Id, Message, Reaction, permission};
use super::super::sessions::intent;
use super::super::state::State;
use super::Context;

/// Different emoji under one message.
const MAX_EMOJI: usize = 20;

/// `name:id` of a guild's emoji, or one of Unicode.
pub(crate) fn emoji(text: &str) -> Result<Emoji, ApiError> {
    if let Some((name, id)) = text.rsplit_once(':') {
        let id = id.parse().map_err(|_| answer::UNKNOWN_EMOJI)?;
        let name = name.trim_start_matches("a:").to_owned();
        return Ok(Emoji { id: Some(id), name });
    }
    // No list of emoji here; letters and digits alone are none, and the longest sequences are short.
    let plain =
        text.is_empty() || text.len() > 64 || text.chars().all(|c| c.is_ascii_alphanumeric());
    if plain || text.chars().any(|c| c.is_alphabetic() || c.is_whitespace()) {
        return Err(answer::UNKNOWN_EMOJI.into());
    }
    Ok(Emoji {
        id: None,
        name: text.to_owned(),
    })
}

impl Emoji {
    fn is(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (None, None) => self.name == other.name,
            (mine, theirs) => mine == theirs,
        }
    }
}

impl State {
    /// Adds or removes a reaction of anybody, and tells the bots. `false` when nothing changed.
    pub(crate) fn set_reaction(
        &mut self,
        (channel, id): (Id, Id),
        user: Id,
        emoji: &Emoji,
        on: bool,
    ) -> Result<bool, ApiError> {
        let message = self
            .any_message_mut(channel, id)
            .ok_or(answer::UNKNOWN_MESSAGE)?;
        let at = message
            .reactions
            .iter()
            .position(|reaction| reaction.emoji.is(emoji));
        let full = message.reactions.len() >= MAX_EMOJI;
        let changed = match (on, at.and_then(|at| message.reactions.get_mut(at))) {
            (true, Some(reaction)) => {
                let new = !reaction.by.contains(&user);
                if new {
                    reaction.by.push(user);
                }
                new
            }
            (true, None) if full => return Err(answer::MAX_REACTIONS.into()),
            (true, None) => {
                let emoji = emoji.clone();
                message.reactions.push(Reaction {
                    emoji,
                    by: vec![user],
                });
                true
            }
            (false, Some(reaction)) => {
                let before = reaction.by.len();
                reaction.by.retain(|by| *by != user);
                reaction.by.len() != before
            }
            (false, None) => false,
        };
        message.reactions.retain(|reaction| !reaction.by.is_empty());
        let message: Message = message.clone();
        if changed {
            let event = if on {
                "MESSAGE_REACTION_ADD"
            } else {
                "MESSAGE_REACTION_REMOVE"
            };
            self.announce_reaction(&message, user, emoji, event);
        }
        Ok(changed)
    }
}

fn place(context: &Context<'_>) -> Result<(Id, Id), ApiError> {
    let (channel, message) = (context.id("channel")?, context.id("message")?);
    context.state.message(context.app, channel, message)?;
    Ok((channel, message))
}

pub(super) fn add(context: &mut Context<'_>) -> Answer {
    let (channel, message) = place(context)?;
    let emoji = emoji(context.params.get("emoji"))?;
    let at = context.state.visible(context.app, channel)?;
    if at.thread.as_ref().is_some_and(|thread| thread.archived) {
        return Err(answer::ARCHIVED.into());
    }
    let bits = permission::READ_MESSAGE_HISTORY | permission::ADD_REACTIONS;
    if !context.state.may(context.app, at, bits) {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    context
        .state
        .set_reaction((channel, message), context.app, &emoji, true)?;
    Ok(Reply::Empty)
}

pub(super) fn remove(context: &mut Context<'_>) -> Answer {
    let (channel, message) = place(context)?;
    let emoji = emoji(context.params.get("emoji"))?;
    context
        .state
        .set_reaction((channel, message), context.app, &emoji, false)?;
    Ok(Reply::Empty)
}

pub(super) fn remove_of(context: &mut Context<'_>) -> Answer {
    let (channel, message) = place(context)?;
    let emoji = emoji(context.params.get("emoji"))?;
    let user = context.id("user")?;
    let at = context.state.visible(context.app, channel)?;
    if user != context.app
        && !context
            .state
            .may(context.app, at, permission::MANAGE_MESSAGES)
    {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    context
        .state
        .set_reaction((channel, message), user, &emoji, false)?;
    Ok(Reply::Empty)
}

pub(super) fn list(context: &mut Context<'_>) -> Answer {
    let (channel, message) = place(context)?;
    let emoji = emoji(context.params.get("emoji"))?;
    let message = context.state.message(context.app, channel, message)?;
    let users: Vec<Value> = message
        .reactions
        .iter()
        .filter(|reaction| reaction.emoji.is(&emoji))
        .flat_map(|reaction| reaction.by.iter())
        .take(100)
        .map(|user| context.state.user_json(*user))
        .collect();
    Ok(Reply::Json(users.into()))
}

/// All reactions, or those with one emoji.
pub(super) fn clear(context: &mut Context<'_>) -> Answer {
    let (channel, id) = place(context)?;
    let at = context.state.visible(context.app, channel)?;
    if !context
        .state
        .may(context.app, at, permission::MANAGE_MESSAGES)
    {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    let text = context.params.get("emoji");
    let only = if text.is_empty() {
        None
    } else {
        Some(emoji(text)?)
    };
    if let Some(message) = context.state.any_message_mut(channel, id) {
        message
            .reactions
            .retain(|reaction| only.as_ref().is_some_and(|only| !reaction.emoji.is(only)));
    }
    let mut data = json!({"channel_id": channel.to_string(), "message_id": id.to_string()});
    let mut event = "MESSAGE_REACTION_REMOVE_ALL";
    if let (Some(emoji), Some(data)) = (only, data.as_object_mut()) {
        data.insert("emoji".into(), emoji.json());
        event = "MESSAGE_REACTION_REMOVE_EMOJI";
    }
    let intents = (intent::GUILD_REACTIONS, intent::DIRECT_REACTIONS);
    context.state.tell(channel, intents, event, data);
    Ok(Reply::Empty)
}
