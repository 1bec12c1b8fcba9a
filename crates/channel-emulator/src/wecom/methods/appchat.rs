//! Groups that an app has made. <https://developer.work.weixin.qq.com/document/path/90245>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Context, done, webhook};
use crate::wecom::answer::{Answer, ApiError, Reply};
use crate::wecom::check;
use crate::wecom::model::{Group, Via};

/// Members of a group, the owner included.
const MEMBERS: std::ops::RangeInclusive<usize> = 2..=2000;

pub(super) fn create(context: &mut Context<'_>) -> Answer {
    let app = context.caller("appchat/create")?;
    let members: BTreeSet<String> = context
        .body
        .get("userlist")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if !MEMBERS.contains(&members.len()) {
        return Err(ApiError::new(86001, "invalid chat member count"));
    }
    if !members
        .iter()
        .all(|user| context.state.users.contains_key(user))
    {
        return Err(ApiError::new(40003, "invalid userid"));
    }
    let wanted = context.field("chatid").to_owned();
    let is_id = wanted.len() <= 32 && wanted.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_id {
        return Err(ApiError::new(40050, "invalid chatid"));
    }
    let chat = if wanted.is_empty() {
        context.state.id("wrA")
    } else {
        wanted
    };
    if context.state.groups.contains_key(&chat) {
        return Err(ApiError::new(86215, "chatid existed"));
    }
    let group = Group {
        name: context.field("name").chars().take(50).collect(),
        members,
        bots: BTreeSet::from([app]),
    };
    context.state.groups.insert(chat.clone(), group);
    Ok(Reply::Json(json!({"chatid": chat})))
}

fn own(context: &Context<'_>, app: &str, chat: &str) -> Result<Group, ApiError> {
    context
        .state
        .groups
        .get(chat)
        .filter(|group| group.bots.contains(app))
        .cloned()
        .ok_or_else(|| ApiError::new(86003, "chatid not found"))
}

pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let app = context.caller("appchat/get")?;
    let chat = context.param("chatid").to_owned();
    let group = own(context, &app, &chat)?;
    Ok(Reply::Json(json!({"chat_info": {
        "chatid": chat, "name": group.name, "userlist": group.members,
    }})))
}

/// <https://developer.work.weixin.qq.com/document/path/90248>
pub(super) fn send(context: &mut Context<'_>) -> Answer {
    let app = context.caller("appchat/send")?;
    let chat = context.field("chatid").to_owned();
    own(context, &app, &chat)?;
    let mut body = webhook::shown(context.body);
    if body.get("msgtype").and_then(Value::as_str) == Some("template_card") {
        return Err(ApiError::kind());
    }
    check::app(context.state, &app, &mut body)?;
    context.state.say((&app, &chat), Via::Send, body);
    done()
}
