//! Reactions. <https://open.feishu.cn/document/server-docs/im-v1/message-reaction/create>

use serde_json::{Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::feishu::answer::{Answer, ApiError, Reply};
use crate::feishu::model::{Author, Reaction};

/// Reactions that one message can have.
const MAX_REACTIONS: usize = 1000;

fn shown(app: &str, reaction: &Reaction, now_ms: i64) -> Value {
    let operator = match &reaction.by {
        Author::App(id) => json!({"operator_id": id, "operator_type": "app"}),
        Author::User(union) => json!({
            "operator_id": crate::feishu::state::State::open_id(app, union),
            "operator_type": "user",
        }),
    };
    json!({
        "reaction_id": reaction.id,
        "operator": operator,
        "action_time": now_ms.to_string(),
        "reaction_type": {"emoji_type": reaction.emoji},
    })
}

pub(super) fn react(context: &mut Context<'_>) -> Answer {
    let emoji = context
        .body
        .at("reaction_type")
        .at("emoji_type")
        .as_str()
        .filter(|emoji| {
            !emoji.is_empty()
                && emoji.len() <= 32
                && emoji
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
        .ok_or_else(|| ApiError::new(231_001, "reaction type is invalid."))?
        .to_owned();
    let id = context.state.hex();
    let (app, now) = (context.app.to_owned(), context.state.now_ms);
    let message = context.message()?;
    if message.recalled {
        return Err(ApiError::gone());
    }
    let by = Author::App(app.clone());
    let same = |one: &&Reaction| one.by == by && one.emoji == emoji;
    if let Some(reaction) = message.reactions.iter().find(same) {
        return Ok(Reply::Data(shown(&app, reaction, now)));
    }
    if message.reactions.len() >= MAX_REACTIONS {
        return Err(ApiError::new(231_012, "too many reactions"));
    }
    let reaction = Reaction { id, emoji, by };
    let answer = shown(&app, &reaction, now);
    message.reactions.push(reaction);
    Ok(Reply::Data(answer))
}

pub(super) fn unreact(context: &mut Context<'_>) -> Answer {
    let (app, id) = (context.app.to_owned(), context.second.to_owned());
    let now = context.state.now_ms;
    let message = context.message()?;
    let at = message
        .reactions
        .iter()
        .position(|reaction| reaction.id == id)
        .ok_or_else(|| ApiError::new(231_014, "reaction is not found."))?;
    if message.reactions.get(at).map(|reaction| &reaction.by) != Some(&Author::App(app.clone())) {
        return Err(ApiError::new(231_007, "not the operator of the reaction."));
    }
    let reaction = message.reactions.remove(at);
    Ok(Reply::Data(shown(&app, &reaction, now)))
}

pub(super) fn list(context: &mut Context<'_>) -> Answer {
    let (app, now) = (context.app.to_owned(), context.state.now_ms);
    let wanted = (context.query)("reaction_type");
    let message = context.message()?;
    let items: Vec<Value> = message
        .reactions
        .iter()
        .filter(|reaction| wanted.as_ref().is_none_or(|emoji| *emoji == reaction.emoji))
        .map(|reaction| shown(&app, reaction, now))
        .collect();
    Ok(Reply::Data(
        json!({"items": items, "has_more": false, "page_token": ""}),
    ))
}
