//! Custom apps: tokens and messages. <https://developer.work.weixin.qq.com/document/path/90236>

use serde_json::{Map, Value, json};

use super::{Context, done, webhook};
use crate::wecom::answer::{Answer, ApiError, Reply};
use crate::wecom::check;
use crate::wecom::limits::{APP_MEMBER_RATE, RECALL_MS};
use crate::wecom::model::{Author, Hidden, Product, Via};

/// What an expired token is answered. <https://developer.work.weixin.qq.com/document/path/90313>
const EXPIRED: i64 = 42001;
/// The interval of `enable_duplicate_check`, in seconds: its default, and the longest.
const DUPLICATE: (i64, i64) = (1800, 4 * 3600);
/// Receivers of a message at most.
const MAX_RECEIVERS: usize = 1000;

/// <https://developer.work.weixin.qq.com/document/path/91039>
pub(super) fn token(context: &mut Context<'_>) -> Answer {
    let (corp, secret) = (
        context.param("corpid").to_owned(),
        context.param("corpsecret").to_owned(),
    );
    if corp.is_empty() {
        return Err(ApiError::new(41002, "corpid missing"));
    }
    if secret.is_empty() {
        return Err(ApiError::new(41004, "corpsecret missing"));
    }
    let state = &mut *context.state;
    let mut apps = state
        .bots
        .values()
        .filter(|bot| bot.product == Product::App && bot.corp == corp)
        .peekable();
    if apps.peek().is_none() {
        return Err(ApiError::new(40013, "invalid corpid"));
    }
    let app = apps
        .find(|bot| bot.secret.0 == secret)
        .map(|bot| bot.id.clone())
        .ok_or_else(|| ApiError::new(40001, "invalid credential"))?;
    if let Some(rate) = context.config.token_rate
        && !state.count(&app, "gettoken", (rate, u32::MAX))
    {
        return Err(ApiError::rate());
    }
    let now = state.now_ms;
    let fresh = format!("{}{}", state.id("T"), state.id(""));
    let life = i64::try_from(context.config.token_life.as_millis()).unwrap_or(i64::MAX);
    let bot = state.bots.get_mut(&app).ok_or_else(ApiError::json)?;
    if bot.token.as_ref().is_none_or(|(_, until)| now >= *until) {
        bot.retire(EXPIRED);
        bot.token = Some((Hidden(fresh), now.saturating_add(life)));
    }
    // Until it expires, the same one is given again.
    let (token, until) = bot.token.as_ref().ok_or_else(ApiError::json)?;
    Ok(Reply::Json(json!({
        "access_token": token.0, "expires_in": (until - now) / 1000,
    })))
}

/// <https://developer.work.weixin.qq.com/document/path/90227>
pub(super) fn agent(context: &mut Context<'_>) -> Answer {
    let app = context.caller("agent/get")?;
    let bot = context.state.bot(&app).ok_or_else(ApiError::json)?;
    if context.param("agentid") != bot.agent.to_string() {
        return Err(ApiError::new(301_002, "not allow operate another agent"));
    }
    Ok(Reply::Json(json!({
        "agentid": bot.agent, "name": bot.name, "close": 0, "report_location_flag": 0,
    })))
}

/// <https://developer.work.weixin.qq.com/document/path/90196>
pub(super) fn user(context: &mut Context<'_>) -> Answer {
    context.caller("user/get")?;
    let user = context.param("userid");
    let name = context
        .state
        .users
        .get(user)
        .ok_or_else(|| ApiError::new(60111, "userid not found"))?;
    Ok(Reply::Json(
        json!({"userid": user, "name": name, "status": 1}),
    ))
}

pub(super) fn send(context: &mut Context<'_>) -> Answer {
    let app = context.caller("message/send")?;
    if context.body.get("agentid").is_none() {
        return Err(ApiError::new(41011, "missing agentid"));
    }
    let agent = context.state.bot(&app).map_or(0, |bot| bot.agent);
    let is_own = match context.body.get("agentid") {
        Some(Value::String(text)) => *text == agent.to_string(),
        Some(number) => number.as_u64() == Some(agent),
        None => false,
    };
    if !is_own {
        return Err(ApiError::new(301_002, "not allow operate another agent"));
    }
    if let Some(answer) = seen(context, &app) {
        return Ok(Reply::Json(answer));
    }
    let (known, unknown) = receivers(context)?;
    let mut body = webhook::shown(context.body);
    check::app(context.state, &app, &mut body)?;
    let id = context.state.id("m");
    for user in &known {
        let within = !context.config.rates
            || context
                .state
                .count(&format!("{app} {user}"), "member", APP_MEMBER_RATE);
        let author = Author::Bot(app.clone());
        let state = &mut *context.state;
        state.store((&app, user), id.clone(), author, Via::Send, body.clone());
        if !within && let Some(last) = state.messages.back_mut() {
            last.is_delivered = false;
        }
    }
    let mut answer = Map::from_iter([
        // The platform lowers the case of ids here, and only here.
        (
            "invaliduser".to_owned(),
            Value::from(unknown.join("|").to_lowercase()),
        ),
        ("msgid".to_owned(), id.as_str().into()),
    ]);
    let is_asking = body
        .get("template_card")
        .and_then(|card| card.get("card_type"))
        .and_then(Value::as_str)
        .is_some_and(|kind| !kind.ends_with("_notice"));
    if is_asking {
        let code = context.state.card_code(&app, &id);
        answer.insert("response_code".into(), code.into());
    }
    let answer = Value::from(answer);
    if is_checked(context.body) {
        let interval = context
            .body
            .get("duplicate_check_interval")
            .and_then(Value::as_i64)
            .unwrap_or(DUPLICATE.0)
            .clamp(0, DUPLICATE.1);
        let until = context.state.now_ms + interval * 1000;
        let key = format!("{app} {}", context.body);
        if context.state.seen.len() >= MAX_RECEIVERS * 50 {
            context.state.seen.clear();
        }
        context.state.seen.insert(key, (until, answer.clone()));
    }
    Ok(Reply::Json(answer))
}

fn is_checked(body: &Value) -> bool {
    body.get("enable_duplicate_check").and_then(Value::as_u64) == Some(1)
}

/// The answer to the same message a moment ago, which is not sent again.
fn seen(context: &Context<'_>, app: &str) -> Option<Value> {
    if !is_checked(context.body) {
        return None;
    }
    let (until, answer) = context.state.seen.get(&format!("{app} {}", context.body))?;
    (context.state.now_ms < *until).then(|| answer.clone())
}

/// Those who get it, and those whom nobody knows.
fn receivers(context: &Context<'_>) -> Result<(Vec<String>, Vec<String>), ApiError> {
    let wanted = context.field("touser");
    let users = &context.state.users;
    if wanted == "@all" {
        return Ok((users.keys().cloned().collect(), Vec::new()));
    }
    let (known, unknown): (Vec<String>, Vec<String>) = wanted
        .split('|')
        .filter(|user| !user.is_empty())
        .take(MAX_RECEIVERS)
        .map(str::to_owned)
        .partition(|user| users.contains_key(user));
    if known.is_empty() {
        let words = "user & party & tag all invalid";
        return Err(ApiError::new(81013, words));
    }
    Ok((known, unknown))
}

/// <https://developer.work.weixin.qq.com/document/path/94867>
pub(super) fn recall(context: &mut Context<'_>) -> Answer {
    let app = context.caller("message/recall")?;
    let id = context.field("msgid").to_owned();
    let now = context.state.now_ms;
    let mut found = false;
    for message in &mut context.state.messages {
        let is_it = message.id == id && message.bot == app && message.via == Via::Send;
        if is_it && now - message.at_ms < RECALL_MS {
            message.is_recalled = true;
            found = true;
        }
    }
    if found {
        done()
    } else {
        Err(ApiError::parameter("msgid"))
    }
}
