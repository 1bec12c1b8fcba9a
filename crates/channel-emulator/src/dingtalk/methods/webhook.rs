//! The two webhooks that messages are posted to: of a session, and of a custom robot.
//!
//! <https://open.dingtalk.com/document/orgapp/receive-message>,
//! <https://open.dingtalk.com/document/orgapp/custom-robot-access>

use serde_json::{Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::dingtalk::answer::{Answer, ApiError, Reply};
use crate::dingtalk::check;
use crate::dingtalk::crypto::sign;
use crate::dingtalk::model::{Author, MessageView, Via};
use crate::dingtalk::state::{State, millis};

/// The largest body of a custom robot, in bytes. Common report.
const MAX_CUSTOM: usize = 20_000;
/// The longest text through a session, in characters. Used by several implementations.
const MAX_SESSION: usize = 20_000;
/// Messages that a custom robot may send in a minute.
const CUSTOM_RATE: usize = 20;
/// How far the timestamp of a signature may be off, in milliseconds.
const FRESH_MS: i64 = 60 * 60 * 1000;

fn sent() -> Reply {
    Reply::Json(json!({"errcode": 0, "errmsg": "ok"}))
}

/// `POST /robot/sendBySession`.
pub(super) fn session(context: &mut Context<'_>) -> Answer {
    let now = context.state.now_ms;
    let key = context.query.get("session");
    let session = context.state.sessions.get(key);
    let session = session.filter(|session| session.ends > now);
    let (app, chat) = session
        .map(|session| (session.app.clone(), session.chat.clone()))
        .ok_or_else(ApiError::webhook)?;
    say(
        context.state,
        Author::App(app),
        &chat,
        Via::Session,
        context.body,
    )?;
    Ok(sent())
}

/// Checks a message in the form of the webhooks and puts it into a conversation.
pub(crate) fn say(
    state: &mut State,
    author: Author,
    chat: &str,
    via: Via,
    body: &Value,
) -> Result<(), ApiError> {
    let (kind, content) = check::message(body)?;
    let text = check::words(&kind, &content);
    if via != Via::Custom && text.chars().count() > MAX_SESSION {
        return Err(ApiError::legacy(460_101, "message too long"));
    }
    let mentions = check::mentions(body.at("at"), &text);
    let message = MessageView {
        id: format!("{}+/==", state.id("msg")),
        chat: chat.to_owned(),
        author,
        via,
        kind,
        content,
        mentions,
        key: None,
        card: None,
        emotions: Vec::new(),
        at_ms: state.now_ms,
        recalled: false,
    };
    state.keep(message);
    Ok(())
}

/// `POST /robot/send`.
pub(super) fn custom(context: &mut Context<'_>) -> Answer {
    let token = context.query.get("access_token").to_owned();
    let now = context.state.now_ms;
    let robot = context
        .state
        .robots
        .get(&token)
        .ok_or_else(ApiError::webhook)?;
    if let Some(secret) = &robot.secret {
        let timestamp = context.query.get("timestamp");
        let is_fresh = timestamp
            .parse::<i64>()
            .is_ok_and(|at| now.abs_diff(at) <= FRESH_MS.unsigned_abs());
        if context.query.get("sign") != sign(&secret.0, timestamp) {
            return Err(ApiError::security("sign not match"));
        }
        if !is_fresh {
            return Err(ApiError::security("invalid timestamp"));
        }
    }
    let body = context.body.to_string();
    if let Some(keyword) = &robot.keyword {
        let (kind, content) = check::message(context.body)?;
        if !check::words(&kind, &content).contains(keyword.as_str()) {
            return Err(ApiError::security("keywords not in content"));
        }
    }
    if body.len() > MAX_CUSTOM {
        return Err(ApiError::legacy(460_101, "message too long"));
    }
    let fast = || {
        let words = "send too fast, exceed 20 times per minute";
        ApiError::legacy(130_101, words)
    };
    if robot.blocked_until > now {
        return Err(fast());
    }
    let group = robot.group.clone();
    let key = format!("custom/{token}");
    if context.config.rates && !context.state.allows(&key, CUSTOM_RATE, 60_000) {
        let until = now.saturating_add(millis(context.config.block));
        if let Some(robot) = context.state.robots.get_mut(&token) {
            robot.blocked_until = until;
        }
        return Err(fast());
    }
    say(
        context.state,
        Author::Custom,
        &group,
        Via::Custom,
        context.body,
    )?;
    Ok(sent())
}
