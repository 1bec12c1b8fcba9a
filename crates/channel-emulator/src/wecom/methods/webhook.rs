//! Group bots. <https://developer.work.weixin.qq.com/document/path/91770>

use serde_json::{Map, Value, json};

use super::{Context, done, media};
use crate::wecom::answer::{Answer, ApiError, Reply};
use crate::wecom::check;
use crate::wecom::limits::WEBHOOK_RATE;
use crate::wecom::model::{Product, Via};
use crate::wecom::state::State;

/// The bot of a key.
pub(super) fn find(state: &State, key: &str) -> Option<String> {
    state
        .bots
        .values()
        .find(|bot| bot.product == Product::Group && bot.key.0 == key)
        .map(|bot| bot.id.clone())
}

fn bot(context: &Context<'_>) -> Result<String, ApiError> {
    find(context.state, context.param("key"))
        .ok_or_else(|| ApiError::new(93000, "invalid webhook url"))
}

pub(super) fn send(context: &mut Context<'_>) -> Answer {
    let bot = bot(context)?;
    if context.config.rates
        && !context
            .state
            .count(&bot, "webhook", (WEBHOOK_RATE, u32::MAX))
    {
        return Err(ApiError::rate());
    }
    let chats = targets(context, &bot)?;
    check::webhook(context.state, &bot, context.body)?;
    let shown = shown(context.body);
    for chat in &chats {
        context.state.say((&bot, chat), Via::Webhook, shown.clone());
    }
    done()
}

/// The group of the bot, or those of the closed test's `chatid`.
fn targets(context: &Context<'_>, bot: &str) -> Result<Vec<String>, ApiError> {
    let wanted = context.field("chatid");
    let is_inside = |chat: &str| {
        context
            .state
            .groups
            .get(chat)
            .is_some_and(|group| group.bots.contains(bot))
    };
    if wanted.is_empty() {
        let groups = context.state.groups.iter();
        return Ok(groups
            .filter(|(_, group)| group.bots.contains(bot))
            .map(|(chat, _)| chat.clone())
            .collect());
    }
    let mut chats = Vec::new();
    for chat in wanted.split('|').take(100) {
        // People it has talked with alone count too.
        let has_spoken = context
            .state
            .bot(bot)
            .is_some_and(|bot| bot.spoken.contains(chat));
        if !is_inside(chat) && !has_spoken {
            return Err(ApiError::new(93006, "invalid chatid"));
        }
        chats.push(chat.to_owned());
    }
    Ok(chats)
}

/// The message without what only says where it goes.
pub(super) fn shown(body: &Value) -> Value {
    let kind = body.get("msgtype").and_then(Value::as_str).unwrap_or("");
    let part = body.get(kind).cloned().unwrap_or_default();
    Map::from_iter([
        ("msgtype".to_owned(), Value::from(kind)),
        (kind.to_owned(), part),
    ])
    .into()
}

pub(super) fn upload(context: &mut Context<'_>) -> Answer {
    let bot = bot(context)?;
    if !matches!(context.param("type"), "file" | "voice") {
        return Err(ApiError::new(40004, "invalid media type"));
    }
    media::store(context, &bot)
}

/// <https://developer.work.weixin.qq.com/document/path/99399>
pub(super) fn chat_info(context: &mut Context<'_>) -> Answer {
    let code = context.param("code").to_owned();
    let now = context.state.now_ms;
    let (chat, _) = context
        .state
        .chat_codes
        .remove(&code)
        .filter(|(_, until)| now < *until)
        .ok_or_else(|| ApiError::parameter("code"))?;
    let state = &*context.state;
    let members: Vec<Value> = match state.groups.get(&chat) {
        Some(group) => group
            .members
            .iter()
            .map(|user| json!({"userid": user, "name": state.users.get(user), "alias": ""}))
            .collect(),
        None => vec![json!({"userid": chat, "name": state.users.get(&chat), "alias": ""})],
    };
    let name = state
        .groups
        .get(&chat)
        .map_or("", |group| group.name.as_str());
    Ok(Reply::Json(json!({
        "chatid": chat, "name": name, "members": members,
    })))
}
