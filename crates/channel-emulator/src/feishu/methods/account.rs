//! Tokens, the bot itself, chats and people.

use serde_json::{Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::feishu::answer::{Answer, ApiError, Reply};
use crate::feishu::config::FeishuConfig;
use crate::feishu::model::{Chat, Hidden};
use crate::feishu::state::{State, TENANT, user_id};

/// A token that is older than this is replaced: "while more than 30 minutes remain the same one is returned".
const RENEW_MS: i64 = 30 * 60 * 1000;
/// Tokens of an app that are good at once: the present one and the one before.
const MAX_TOKENS: usize = 2;

/// <https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>
pub(crate) fn token(state: &mut State, config: &FeishuConfig, body: &Value) -> Answer {
    let fresh = format!("t-{}", state.hex());
    let now = state.now_ms;
    let app = state
        .apps
        .get_mut(body.text("app_id"))
        .ok_or_else(|| ApiError::new(10_003, "invalid param"))?;
    if body.at("app_secret").as_str() != Some(app.secret.0.as_str()) {
        return Err(ApiError::new(10_014, "app secret invalid"));
    }
    if app.disabled {
        return Err(ApiError::new(10_012, "app is not available"));
    }
    app.tokens.retain(|(_, ends)| *ends > now);
    let life = i64::try_from(config.token_life.as_millis()).unwrap_or(i64::MAX);
    let renew = RENEW_MS.min(life / 4);
    if app
        .tokens
        .last()
        .is_none_or(|(_, ends)| *ends - now <= renew)
    {
        if app.tokens.len() >= MAX_TOKENS {
            app.tokens.remove(0);
        }
        app.tokens.push((Hidden(fresh), now.saturating_add(life)));
    }
    let (token, ends) = app.tokens.last().ok_or_else(ApiError::token)?;
    Ok(Reply::Whole(json!({
        "code": 0,
        "msg": "ok",
        "tenant_access_token": token.0,
        "app_access_token": token.0,
        "expire": (ends - now) / 1000,
    })))
}

/// <https://open.feishu.cn/document/server-docs/bot-v3/bot/get>
pub(super) fn bot_info(context: &mut Context<'_>) -> Answer {
    let app = context
        .state
        .apps
        .get(context.app)
        .ok_or_else(ApiError::token)?;
    Ok(Reply::Whole(json!({
        "code": 0,
        "msg": "ok",
        "bot": {
            "activate_status": 2,
            "app_name": app.name,
            "avatar_url": "",
            "ip_white_list": [],
            "open_id": app.open_id,
        },
    })))
}

/// <https://open.feishu.cn/document/server-docs/contact-v3/user/get>
pub(super) fn user(context: &mut Context<'_>) -> Answer {
    let person = context
        .state
        .person(context.app, context.id)
        .ok_or_else(|| ApiError::new(41_050, "no user authority"))?;
    let name = context
        .state
        .users
        .get(&person)
        .map(|user| user.name.clone());
    let mut user = State::ids(context.app, &person);
    user.set("name", json!(name));
    Ok(Reply::Data(json!({ "user": user })))
}

fn shown(id: &str, chat: &Chat) -> Value {
    json!({
        "chat_id": id,
        "name": chat.name,
        "description": "",
        "chat_mode": if chat.kind == "topic" { "topic" } else { chat.kind },
        "chat_type": "private",
        "external": false,
        "tenant_key": TENANT,
        "user_count": chat.members.len().to_string(),
        "bot_count": chat.bots.len().to_string(),
    })
}

/// <https://open.feishu.cn/document/server-docs/group/chat/list>
pub(super) fn chats(context: &mut Context<'_>) -> Answer {
    let mine = |chat: &Chat| chat.kind != "p2p" && chat.bots.contains(context.app);
    let items: Vec<Value> = context
        .state
        .chats
        .iter()
        .filter(|(_, chat)| mine(chat))
        .map(|(id, chat)| shown(id, chat))
        .collect();
    Ok(Reply::Data(
        json!({"items": items, "has_more": false, "page_token": ""}),
    ))
}

/// <https://open.feishu.cn/document/server-docs/group/chat/get-2>
pub(super) fn chat(context: &mut Context<'_>) -> Answer {
    let (state, id) = (&context.state, context.id);
    if !state.is_inside(context.app, id) {
        return Err(ApiError::not_in_chat());
    }
    let chat = state.chats.get(id).ok_or_else(ApiError::not_in_chat)?;
    Ok(Reply::Data(shown(id, chat)))
}

/// <https://open.feishu.cn/document/server-docs/group/chat-member/get>
pub(super) fn members(context: &mut Context<'_>) -> Answer {
    let (state, app) = (&context.state, context.app);
    if !state.is_inside(app, context.id) {
        return Err(ApiError::not_in_chat());
    }
    let kind = (context.query)("member_id_type").unwrap_or_else(|| "open_id".to_owned());
    let chat = state
        .chats
        .get(context.id)
        .ok_or_else(ApiError::not_in_chat)?;
    let items: Vec<Value> = chat
        .members
        .iter()
        .map(|union| {
            let id = match kind.as_str() {
                "union_id" => union.clone(),
                "user_id" => user_id(union),
                _ => State::open_id(app, union),
            };
            let name = state.users.get(union).map(|user| user.name.clone());
            json!({"member_id_type": kind, "member_id": id, "name": name, "tenant_key": TENANT})
        })
        .collect();
    let total = items.len();
    Ok(Reply::Data(
        json!({"items": items, "has_more": false, "page_token": "", "member_total": total}),
    ))
}
