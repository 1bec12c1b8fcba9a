//! Guilds and what is in them. <https://docs.discord.com/developers/resources/guild>

use serde_json::{Value, json};

use super::super::answer::{self, Answer, ApiError, Reply};
use super::super::model::{Channel, Id, permission};
use super::Context;

impl Context<'_> {
    /// The guild of the path, when the bot is in it.
    fn guild(&self) -> Result<Id, ApiError> {
        let id = self.id("guild")?;
        let guild = self.state.guilds.get(&id).ok_or(answer::UNKNOWN_GUILD)?;
        if guild.bots.contains(&self.app) {
            Ok(id)
        } else {
            Err(answer::MISSING_ACCESS.into())
        }
    }

    fn channels_of(&self, guild: Id, wanted: impl Fn(&Channel) -> bool) -> Vec<Value> {
        self.state
            .channels
            .values()
            .filter(|channel| channel.guild == Some(guild) && wanted(channel))
            .filter(|channel| self.state.may(self.app, channel, permission::VIEW_CHANNEL))
            .map(|channel| self.state.channel_json(channel))
            .collect()
    }
}

pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let guild = context.guild()?;
    let shown = context.state.guild_json(guild, context.app, false);
    Ok(Reply::Json(shown.ok_or(answer::UNKNOWN_GUILD)?))
}

pub(super) fn mine(context: &mut Context<'_>) -> Answer {
    let guilds: Vec<Value> = context
        .state
        .guilds
        .values()
        .filter(|guild| guild.bots.contains(&context.app))
        .map(|guild| {
            json!({
                "id": guild.id.to_string(), "name": guild.name, "icon": null, "banner": null, "owner": false,
                "permissions": permission::ALL.to_string(), "features": [],
            })
        })
        .collect();
    Ok(Reply::Json(guilds.into()))
}

pub(super) fn channels(context: &mut Context<'_>) -> Answer {
    let guild = context.guild()?;
    let channels = context.channels_of(guild, |channel| channel.thread.is_none());
    Ok(Reply::Json(channels.into()))
}

pub(super) fn active_threads(context: &mut Context<'_>) -> Answer {
    let guild = context.guild()?;
    let threads = context.channels_of(guild, |channel| {
        channel
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.archived)
    });
    Ok(Reply::Json(json!({"threads": threads, "members": []})))
}

pub(super) fn member(context: &mut Context<'_>) -> Answer {
    let id = context.guild()?;
    let user = context.id("user")?;
    let guild = context.state.guilds.get(&id).ok_or(answer::UNKNOWN_GUILD)?;
    if guild.members.contains(&user) || guild.bots.contains(&user) {
        Ok(Reply::Json(context.state.member_with_user(id, user)))
    } else if context.state.users.contains_key(&user) {
        Err(answer::UNKNOWN_MEMBER.into())
    } else {
        Err(answer::UNKNOWN_USER.into())
    }
}
