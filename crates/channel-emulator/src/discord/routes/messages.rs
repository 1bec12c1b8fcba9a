//! Messages. <https://docs.discord.com/developers/resources/message>

use serde_json::{Map, Value, json};

use super::super::answer::{self, Answer, ApiError, Form, Reply};
use super::super::check::Draft;
use super::super::mentions;
use super::super::model::{Author, Id, Message, flag, permission, read_id, sort};
use super::super::sessions::intent;
use super::super::shape::made_ms;
use super::super::state::{Nonce, State};
use super::Context;

/// Flags that a bot may set on its own message.
const SETTABLE: u64 =
    flag::SUPPRESS_EMBEDS | flag::SUPPRESS_NOTIFICATIONS | flag::VOICE | flag::COMPONENTS_V2;
/// Nonces remembered at most.
const MAX_NONCES: usize = 10_000;
/// Older messages cannot be deleted in bulk: two weeks.
const BULK_AGE_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// How a message of a bot comes to be.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Voice {
    /// The id it has to have.
    pub(crate) id: Option<Id>,
    /// The interaction that it answers.
    pub(crate) interaction: Option<Id>,
    /// It answers a command.
    pub(crate) command: bool,
    pub(crate) only_for: Option<Id>,
    /// Flags beyond those the bot may choose.
    pub(crate) flags: u64,
}

impl Context<'_> {
    /// Reads a message from a body.
    pub(crate) fn draft(&mut self, body: &Map<String, Value>) -> Result<Draft, ApiError> {
        let files = &self.payload.files;
        let state = &mut *self.state;
        Draft::read(body, files, || state.id())
    }
}

impl State {
    /// Writes a checked message of a bot and tells everybody.
    pub(crate) fn write(
        &mut self,
        app: Id,
        channel: Id,
        draft: Draft,
        voice: Voice,
    ) -> Result<Message, ApiError> {
        let id = voice.id.unwrap_or_else(|| self.id());
        let content = draft.content.unwrap_or_default();
        let mut kind = if voice.command {
            sort::COMMAND
        } else {
            sort::DEFAULT
        };
        let mut reference = None;
        let mut replied = None;
        if let Some((how, named, target, strict)) = draft.reference {
            let from = named.unwrap_or(channel);
            let found = self
                .visible(app, from)
                .ok()
                .and_then(|from| from.messages.get(&target));
            match found {
                Some(found) => {
                    reference = Some((how, from, target));
                    if how == 0 {
                        replied = Some(found.author.id());
                        kind = sort::REPLY;
                    }
                }
                None if how == 1 => {
                    return Err(ApiError::new(
                        400,
                        160_014,
                        "Forwarded message cannot be read",
                    ));
                }
                None if strict => {
                    let path = ["message_reference"];
                    let code = "REPLIES_UNKNOWN_MESSAGE";
                    return Err(ApiError::field(&path, code, "Unknown message"));
                }
                None => {}
            }
        }
        let found = mentions::find(self, &content, channel);
        let mut users: Vec<Id> = found.users;
        users.retain(|user| draft.allowed.user(*user));
        if let Some(replied) = replied.filter(|user| draft.allowed.replied && !users.contains(user))
        {
            users.push(replied);
        }
        let may_all = self
            .channels
            .get(&channel)
            .is_some_and(|at| self.may(app, at, permission::MENTION_EVERYONE));
        let message = Message {
            id,
            channel,
            author: Author::Bot(app),
            kind,
            content,
            embeds: draft
                .embeds
                .unwrap_or_default()
                .into_iter()
                .map(rich)
                .collect(),
            components: draft.components.unwrap_or_default(),
            attachments: draft.files,
            stickers: draft
                .stickers
                .iter()
                .map(|id| json!({"id": id, "name": "sticker", "format_type": 1}))
                .collect(),
            reference,
            edited_ms: None,
            nonce: draft.nonce,
            flags: draft.flags.unwrap_or(0) & SETTABLE | voice.flags,
            pinned: false,
            tts: draft.tts,
            mentions: users,
            mention_roles: found
                .roles
                .into_iter()
                .filter(|role| draft.allowed.role(*role))
                .collect(),
            mention_everyone: found.everyone && draft.allowed.everyone && may_all,
            reactions: Vec::new(),
            interaction: voice.interaction,
            only_for: voice.only_for,
        };
        self.store(message.clone());
        self.typing
            .retain(|typing| typing.channel != channel || typing.user != app);
        self.announce(&message, "MESSAGE_CREATE");
        Ok(Message {
            nonce: message.nonce.clone(),
            ..message
        })
    }

    /// Changes a message of a bot and tells everybody.
    pub(crate) fn rewrite(
        &mut self,
        channel: Id,
        id: Id,
        draft: Draft,
    ) -> Result<Message, ApiError> {
        let now = self.now_ms;
        let found = draft
            .content
            .as_deref()
            .map(|content| mentions::find(self, content, channel));
        let message = self
            .any_message_mut(channel, id)
            .ok_or(answer::UNKNOWN_MESSAGE)?;
        let v2 = message.flags & flag::COMPONENTS_V2 != 0;
        let legacy = draft
            .content
            .as_deref()
            .is_some_and(|text| !text.is_empty())
            || draft
                .embeds
                .as_ref()
                .is_some_and(|embeds| !embeds.is_empty());
        if v2 && legacy {
            let code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2";
            let message =
                "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2";
            return Err(ApiError::field(&["content"], code, message));
        }
        let mut next = message.clone();
        if let Some(content) = draft.content {
            next.content = content;
        }
        if let Some(embeds) = draft.embeds {
            next.embeds = embeds.into_iter().map(rich).collect();
        }
        if let Some(components) = draft.components {
            next.components = components;
        }
        if let Some(kept) = draft.kept {
            // The list replaces: what it does not name is deleted.
            next.attachments
                .retain(|file| kept.iter().any(|(id, _)| *id == file.id));
            for (id, description) in kept {
                let file = next.attachments.iter_mut().find(|file| file.id == id);
                if let (Some(file), Some(description)) = (file, description) {
                    file.description = Some(description);
                }
            }
        }
        next.attachments.extend(draft.files);
        if let Some(flags) = draft.flags {
            let kept = next.flags & !(flag::SUPPRESS_EMBEDS | flag::LOADING);
            let set = flags & (flag::SUPPRESS_EMBEDS | flag::COMPONENTS_V2);
            next.flags = kept | set;
        }
        if let Some(found) = found {
            next.mentions = found.users;
            next.mentions.retain(|user| draft.allowed.user(*user));
        }
        next.flags &= !flag::LOADING;
        next.edited_ms = Some(now);
        let nothing = next.content.trim().is_empty()
            && next.embeds.is_empty()
            && next.components.is_empty()
            && next.attachments.is_empty()
            && next.stickers.is_empty();
        if nothing {
            return Err(answer::EMPTY_MESSAGE.into());
        }
        *message = next.clone();
        self.announce(&next, "MESSAGE_UPDATE");
        Ok(next)
    }

    /// Deletes a message and tells everybody.
    pub(crate) fn erase(&mut self, channel: Id, id: Id) -> Result<(), ApiError> {
        let at = self
            .channels
            .get_mut(&channel)
            .ok_or(answer::UNKNOWN_CHANNEL)?;
        let gone = at.messages.remove(&id).ok_or(answer::UNKNOWN_MESSAGE)?;
        if gone.only_for.is_none() {
            self.announce_delete(channel, id);
        }
        Ok(())
    }
}

/// The platform marks embeds of bots as rich.
fn rich(mut embed: Value) -> Value {
    if let Some(embed) = embed.as_object_mut() {
        embed.insert("type".into(), "rich".into());
    }
    embed
}

/// Whether the bot may write here.
fn may_write(context: &Context<'_>, id: Id, draft: &Draft) -> Result<(), ApiError> {
    let (state, app) = (&context.state, context.app);
    let channel = state.visible(app, id)?;
    if !channel.takes_messages() {
        return Err(answer::NOT_TEXT.into());
    }
    if let Some((_, user)) = channel.pair {
        let open = state.users.get(&user).is_some_and(|user| !user.closed);
        if !open {
            return Err(answer::CANNOT_DM.into());
        }
        let wrote = channel
            .messages
            .values()
            .any(|message| message.author == Author::User(user));
        if !wrote && !state.shares_guild(app, user) {
            return Err(answer::NO_MUTUAL_GUILD.into());
        }
    }
    let mut bits = match &channel.thread {
        Some(_) => permission::SEND_IN_THREADS,
        None => permission::SEND_MESSAGES,
    };
    if !draft.files.is_empty() {
        bits |= permission::ATTACH_FILES;
    }
    if !state.may(app, channel, bits) {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    let replies = draft.reference.is_some_and(|reference| reference.0 == 0);
    if replies && !state.may(app, channel, permission::READ_MESSAGE_HISTORY) {
        return Err(answer::REPLY_WITHOUT_HISTORY.into());
    }
    if let Some(thread) = &channel.thread {
        if thread.locked && !state.may(app, channel, permission::MANAGE_THREADS) {
            return Err(answer::THREAD_LOCKED.into());
        }
        if thread.archived {
            return Err(answer::ARCHIVED.into());
        }
    }
    let last = channel.last_by_bot.get(&app).copied();
    let slow = i64::try_from(channel.slow_mode * 1000).unwrap_or(i64::MAX);
    let wait = last.map_or(0, |last| last.saturating_add(slow) - state.now_ms);
    if wait > 0 && !state.may(app, channel, permission::MANAGE_MESSAGES) {
        return Err(ApiError::from(answer::SLOW_MODE).after(wait));
    }
    Ok(())
}

/// <https://docs.discord.com/developers/resources/message#create-message>
pub(super) fn create(context: &mut Context<'_>) -> Answer {
    let (app, channel) = (context.app, context.id("channel")?);
    context.state.visible(app, channel)?;
    let body = context.fields()?.clone();
    let draft = context.draft(&body)?;
    may_write(context, channel, &draft)?;
    draft.must_not_be_empty()?;
    let now = context.state.now_ms;
    let life = i64::try_from(context.state.config.nonce_life.as_millis()).unwrap_or(i64::MAX);
    let nonce = draft.nonce.as_ref().map(|nonce| match nonce {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let state = &mut *context.state;
    if let (Some(nonce), true) = (&nonce, draft.enforce) {
        let used = state.nonces.iter().rev().find(|used| {
            used.app == app
                && used.channel == channel
                && used.nonce == *nonce
                && now - used.at_ms < life
        });
        let before = used.and_then(|used| state.any_message(channel, used.message));
        if let Some(before) = before {
            return Ok(Reply::Json(state.message_json(before, app, true)));
        }
    }
    let message = state.write(app, channel, draft, Voice::default())?;
    if let Some(nonce) = nonce {
        if state.nonces.len() >= MAX_NONCES {
            state.nonces.pop_front();
        }
        state.nonces.push_back(Nonce {
            at_ms: now,
            app,
            channel,
            nonce,
            message: message.id,
        });
    }
    if let Some(channel) = state.channels.get_mut(&channel) {
        channel.last_by_bot.insert(app, now);
    }
    Ok(Reply::Json(state.message_json(&message, app, true)))
}

/// <https://docs.discord.com/developers/resources/message#get-channel-message>
pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let (channel, id) = (context.id("channel")?, context.id("message")?);
    readable(context, channel)?;
    let message = context.state.message(context.app, channel, id)?;
    Ok(Reply::Json(context.state.message_json(
        message,
        context.app,
        true,
    )))
}

fn readable(context: &Context<'_>, channel: Id) -> Result<(), ApiError> {
    let channel = context.state.visible(context.app, channel)?;
    if context
        .state
        .may(context.app, channel, permission::READ_MESSAGE_HISTORY)
    {
        Ok(())
    } else {
        Err(answer::MISSING_ACCESS.into())
    }
}

/// <https://docs.discord.com/developers/resources/message#get-channel-messages>
pub(super) fn history(context: &mut Context<'_>) -> Answer {
    let id = context.id("channel")?;
    readable(context, id)?;
    let number = |name: &str| context.query.get(name).map(|text| text.parse::<u64>());
    let invalid = |name: &str| {
        let message = "Value is not snowflake.";
        ApiError::field(&[name], "NUMBER_TYPE_COERCE", message)
    };
    let limit = number("limit")
        .unwrap_or(Ok(50))
        .map_err(|_| invalid("limit"))?;
    if !(1..=100).contains(&limit) {
        let message = "int value should be less than or equal to 100.";
        return Err(ApiError::field(&["limit"], "NUMBER_TYPE_MAX", message));
    }
    let limit = usize::try_from(limit).unwrap_or(50);
    let bound = |name: &'static str| number(name).transpose().map_err(|_| invalid(name));
    let (before, after, around) = (bound("before")?, bound("after")?, bound("around")?);
    let channel = context.state.visible(context.app, id)?;
    let all = || {
        channel
            .messages
            .values()
            .filter(|message| message.only_for.is_none())
    };
    let mut found: Vec<&Message> = match (before, after, around) {
        (_, Some(after), _) => all()
            .filter(|message| message.id > after)
            .take(limit)
            .collect(),
        (_, _, Some(around)) => {
            let half = limit / 2;
            let older = all()
                .rev()
                .filter(|message| message.id <= around)
                .take(half + 1);
            older
                .chain(all().filter(|message| message.id > around).take(half))
                .collect()
        }
        (before, ..) => {
            let before = before.unwrap_or(Id::MAX);
            all()
                .rev()
                .filter(|message| message.id < before)
                .take(limit)
                .collect()
        }
    };
    found.sort_by_key(|message| std::cmp::Reverse(message.id));
    let shown: Vec<Value> = found
        .into_iter()
        .map(|message| context.state.message_json(message, context.app, true))
        .collect();
    Ok(Reply::Json(shown.into()))
}

/// <https://docs.discord.com/developers/resources/message#edit-message>
pub(super) fn edit(context: &mut Context<'_>) -> Answer {
    let (channel, id) = (context.id("channel")?, context.id("message")?);
    let message = context.state.message(context.app, channel, id)?;
    if message.author != Author::Bot(context.app) {
        return Err(answer::NOT_THE_AUTHOR.into());
    }
    let at = context.state.visible(context.app, channel)?;
    if at.thread.as_ref().is_some_and(|thread| thread.archived) {
        return Err(answer::ARCHIVED.into());
    }
    let body = context.fields()?.clone();
    let draft = context.draft(&body)?;
    let message = context.state.rewrite(channel, id, draft)?;
    Ok(Reply::Json(context.state.message_json(
        &message,
        context.app,
        true,
    )))
}

/// <https://docs.discord.com/developers/resources/message#delete-message>
pub(super) fn delete(context: &mut Context<'_>) -> Answer {
    let (app, channel, id) = (context.app, context.id("channel")?, context.id("message")?);
    let message = context.state.message(app, channel, id)?;
    if message.author != Author::Bot(app) {
        let at = context.state.visible(app, channel)?;
        if at.pair.is_some() {
            return Err(answer::NOT_IN_DM.into());
        }
        if !context.state.may(app, at, permission::MANAGE_MESSAGES) {
            return Err(answer::MISSING_PERMISSIONS.into());
        }
        if !matches!(
            message.kind,
            sort::DEFAULT | sort::PINNED | sort::JOIN | sort::REPLY | sort::COMMAND
        ) {
            return Err(answer::SYSTEM_MESSAGE.into());
        }
    }
    context.state.erase(channel, id)?;
    Ok(Reply::Empty)
}

/// <https://docs.discord.com/developers/resources/message#bulk-delete-messages>
pub(super) fn bulk_delete(context: &mut Context<'_>) -> Answer {
    let (app, channel) = (context.app, context.id("channel")?);
    let at = context.state.visible(app, channel)?;
    if at.pair.is_some() {
        return Err(answer::NOT_IN_DM.into());
    }
    if !context.state.may(app, at, permission::MANAGE_MESSAGES) {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    let ids: Vec<Id> = context
        .fields()?
        .get("messages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(read_id)
        .collect();
    let mut form = Form::default();
    form.length(&["messages"], ids.len(), 2, 100);
    form.finish()?;
    let now = context.state.now_ms;
    if ids.iter().any(|id| now - made_ms(*id) > BULK_AGE_MS) {
        let message = "You can only bulk delete messages that are under 14 days old.";
        return Err(ApiError::new(400, 50034, message));
    }
    if let Some(at) = context.state.channels.get_mut(&channel) {
        at.messages.retain(|id, _| !ids.contains(id));
    }
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let data = json!({"ids": ids, "channel_id": channel.to_string()});
    let intents = (intent::GUILD_MESSAGES, intent::DIRECT_MESSAGES);
    context
        .state
        .tell(channel, intents, "MESSAGE_DELETE_BULK", data);
    Ok(Reply::Empty)
}

pub(super) fn pin(context: &mut Context<'_>) -> Answer {
    set_pinned(context, true)
}

pub(super) fn unpin(context: &mut Context<'_>) -> Answer {
    set_pinned(context, false)
}

fn set_pinned(context: &mut Context<'_>, pinned: bool) -> Answer {
    let (channel, id) = (context.id("channel")?, context.id("message")?);
    context.state.message(context.app, channel, id)?;
    context.state.set_pinned(channel, id, pinned);
    Ok(Reply::Empty)
}
