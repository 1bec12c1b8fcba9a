//! Channels, threads and the typing indicator. <https://docs.discord.com/developers/resources/channel>

use serde_json::Value;

use super::super::answer::{self, Answer, ApiError, Form, Reply};
use super::super::check::chars;
use super::super::model::{Author, Channel, Id, flag, kind, permission};
use super::Context;
use super::messages::Voice;

pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let id = context.id("channel")?;
    let channel = context.state.visible(context.app, id)?;
    Ok(Reply::Json(context.state.channel_json(channel)))
}

/// <https://docs.discord.com/developers/resources/channel#modify-channel>
pub(super) fn edit(context: &mut Context<'_>) -> Answer {
    let id = context.id("channel")?;
    let fields = context.fields()?.clone();
    let mut form = Form::default();
    if fields.contains_key("name") {
        form.length(&["name"], chars(fields.get("name")), 1, 100);
    }
    form.finish()?;
    let now = context.state.now_ms;
    let channel = context.state.visible_mut(context.app, id)?;
    if channel.pair.is_some() {
        return Err(answer::NOT_IN_DM.into());
    }
    let flag = |name: &str| fields.get(name).and_then(Value::as_bool);
    if let Some(name) = fields.get("name").and_then(Value::as_str) {
        name.clone_into(&mut channel.name);
    }
    if let Some(seconds) = fields.get("rate_limit_per_user").and_then(Value::as_u64) {
        channel.slow_mode = seconds.min(21_600);
    }
    let is_thread = channel.thread.is_some();
    if let Some(thread) = &mut channel.thread {
        if let Some(archived) = flag("archived") {
            thread.archived = archived;
            thread.changed_ms = now;
        }
        thread.locked = flag("locked").unwrap_or(thread.locked);
        if let Some(minutes) = fields.get("auto_archive_duration").and_then(Value::as_u64) {
            thread.auto_archive = minutes;
        }
    }
    let event = if is_thread {
        "THREAD_UPDATE"
    } else {
        "CHANNEL_UPDATE"
    };
    context.state.announce_channel(id, event);
    get(context)
}

/// <https://docs.discord.com/developers/resources/channel#trigger-typing-indicator>
pub(super) fn typing(context: &mut Context<'_>) -> Answer {
    let id = context.id("channel")?;
    let app = context.app;
    let channel = context.state.visible(app, id)?;
    if !channel.takes_messages() {
        return Err(answer::NOT_TEXT.into());
    }
    if !context.state.may(app, channel, permission::SEND_MESSAGES) {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    context.state.note_typing(id, app);
    context.state.announce_typing(id, app);
    Ok(Reply::Empty)
}

/// Name and lifetime of a new thread.
fn wanted(context: &Context<'_>) -> Result<(String, u64), ApiError> {
    let fields = context.fields()?;
    let mut form = Form::default();
    match fields.get("name") {
        None => form.required(&["name"]),
        name => form.length(&["name"], chars(name), 1, 100),
    }
    let minutes = fields.get("auto_archive_duration").and_then(Value::as_u64);
    let minutes = minutes.unwrap_or(1440);
    if !matches!(minutes, 60 | 1440 | 4320 | 10080) {
        form.choices(&["auto_archive_duration"], "60, 1440, 4320, 10080");
    }
    form.finish()?;
    let name = fields
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok((name.to_owned(), minutes))
}

fn may_open<'a>(context: &'a Context<'_>, id: Id) -> Result<&'a Channel, ApiError> {
    let channel = context.state.visible(context.app, id)?;
    if channel.pair.is_some() {
        return Err(answer::NOT_IN_DM.into());
    }
    if !matches!(channel.kind, kind::TEXT | kind::ANNOUNCEMENT | kind::FORUM) {
        return Err(answer::WRONG_CHANNEL_TYPE.into());
    }
    if !context
        .state
        .may(context.app, channel, permission::CREATE_PUBLIC_THREADS)
    {
        return Err(answer::MISSING_PERMISSIONS.into());
    }
    Ok(channel)
}

/// <https://docs.discord.com/developers/resources/channel#start-thread-from-message>
pub(super) fn thread_from_message(context: &mut Context<'_>) -> Answer {
    let (parent, message) = (context.id("channel")?, context.id("message")?);
    let app = context.app;
    context.state.message(app, parent, message)?;
    let (name, minutes) = wanted(context)?;
    let of = may_open(context, parent)?.kind;
    if context.state.channels.contains_key(&message) {
        return Err(answer::THREAD_EXISTS.into());
    }
    let kind = if of == kind::ANNOUNCEMENT {
        kind::ANNOUNCEMENT_THREAD
    } else {
        kind::PUBLIC_THREAD
    };
    let state = &mut *context.state;
    state.open_thread((parent, message), kind, &name, Author::Bot(app), minutes);
    if let Some(message) = state.any_message_mut(parent, message) {
        message.flags |= flag::HAS_THREAD;
    }
    let thread = state.visible(app, message)?;
    Ok(Reply::Created(state.channel_json(thread)))
}

/// <https://docs.discord.com/developers/resources/channel#start-thread-without-message>, and with `message` in forums.
pub(super) fn open_thread(context: &mut Context<'_>) -> Answer {
    let parent = context.id("channel")?;
    let app = context.app;
    let (name, minutes) = wanted(context)?;
    let of = may_open(context, parent)?.kind;
    let fields = context.fields()?.clone();
    let id = context.state.id();
    let kind = match fields.get("type").and_then(Value::as_u64) {
        _ if of == kind::FORUM => kind::PUBLIC_THREAD,
        None => kind::PRIVATE_THREAD,
        Some(kind @ kind::ANNOUNCEMENT_THREAD..=kind::PRIVATE_THREAD) => kind,
        Some(_) => {
            let mut form = Form::default();
            form.choices(&["type"], "10, 11, 12");
            form.finish()?;
            return Err(answer::WRONG_CHANNEL_TYPE.into());
        }
    };
    let draft = if of == kind::FORUM {
        let message = fields.get("message").and_then(Value::as_object).cloned();
        let message = message.ok_or_else(|| {
            ApiError::field(&["message"], "BASE_TYPE_REQUIRED", "This field is required")
        })?;
        let draft = context.draft(&message)?;
        draft.must_not_be_empty()?;
        Some(draft)
    } else {
        None
    };
    let state = &mut *context.state;
    state.open_thread((parent, id), kind, &name, Author::Bot(app), minutes);
    let mut shown = state.channel_json(state.visible(app, id)?);
    if let Some(draft) = draft {
        // The first message of a post has the id of the post.
        let voice = Voice {
            id: Some(id),
            ..Voice::default()
        };
        let message = state.write(app, id, draft, voice)?;
        let message = state.message_json(&message, app, true);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("message".into(), message);
        }
    }
    Ok(Reply::Created(shown))
}

/// <https://docs.discord.com/developers/resources/channel#join-thread>
pub(super) fn join_thread(context: &mut Context<'_>) -> Answer {
    membership(context, true)
}

/// <https://docs.discord.com/developers/resources/channel#leave-thread>
pub(super) fn leave_thread(context: &mut Context<'_>) -> Answer {
    membership(context, false)
}

fn membership(context: &mut Context<'_>, inside: bool) -> Answer {
    let id = context.id("channel")?;
    let app = context.app;
    let channel = context.state.visible_mut(app, id)?;
    let thread = channel.thread.as_mut().ok_or(answer::WRONG_CHANNEL_TYPE)?;
    if thread.archived {
        return Err(answer::ARCHIVED.into());
    }
    if inside {
        thread.members.insert(app);
    } else {
        thread.members.remove(&app);
    }
    Ok(Reply::Empty)
}
