//! Accounts, profiles, groups and webhooks.

use serde_json::{Map, Value, json};
use url::Url;

use super::super::answer::{Answer, ApiError, Reply};
use super::super::engine::Line;
use super::super::model::{Group, Loading};
use super::super::state::log;
use super::super::webhook;
use super::Context;
use super::send::{is_id, month};

/// <https://developers.line.biz/en/reference/messaging-api/#get-quota>
pub(super) fn quota(context: &mut Context<'_>) -> Answer {
    Ok(Reply::ok(match context.account()?.quota {
        Some(value) => json!({"type": "limited", "value": value}),
        None => json!({"type": "none"}),
    }))
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-consumption>
pub(super) fn consumption(context: &mut Context<'_>) -> Answer {
    let month = month(context.state.now_ms);
    let (counted, usage) = context.account()?.usage;
    let usage = if counted == month { usage } else { 0 };
    Ok(Reply::ok(json!({"totalUsage": usage})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-bot-info>
pub(super) fn info(context: &mut Context<'_>) -> Answer {
    let bot = context.account()?;
    let basic: String = bot.id.chars().skip(1).take(8).collect();
    Ok(Reply::ok(json!({
        "userId": bot.id, "basicId": format!("@{basic}"), "displayName": bot.name,
        "pictureUrl": format!("https://profile.line-scdn.net/{basic}"),
        "chatMode": if bot.chat { "chat" } else { "bot" },
        "markAsReadMode": if bot.manual_read { "manual" } else { "auto" },
    })))
}

/// The profile of a person, as friends and groups show it.
fn person(context: &Context<'_>, user: &str, is_friend: bool) -> Answer {
    let known = context
        .state
        .users
        .get(user)
        .ok_or_else(ApiError::not_found)?;
    let mut profile = Map::from_iter([
        ("userId".to_owned(), Value::from(user)),
        ("displayName".to_owned(), known.name.as_str().into()),
        (
            "pictureUrl".to_owned(),
            format!("https://profile.line-scdn.net/{user}").into(),
        ),
    ]);
    if is_friend && let Some(language) = &known.language {
        profile.insert("language".into(), language.as_str().into());
    }
    Ok(Reply::ok(profile.into()))
}

/// Friends only. <https://developers.line.biz/en/reference/messaging-api/#get-profile>
pub(super) fn profile(context: &mut Context<'_>) -> Answer {
    let user = context.ids.0;
    if !is_id(user, &['U']) {
        return Err(ApiError::bad(
            "The value for the 'userId' parameter is invalid",
        ));
    }
    let blocked = context.account()?.blocked_by.contains(user);
    if blocked || !context.state.is_friend(context.bot, user) {
        return Err(ApiError::not_found());
    }
    person(context, user, true)
}

/// A group or room that the bot is in.
fn group<'a>(context: &'a Context<'_>) -> Result<&'a Group, ApiError> {
    context
        .state
        .groups
        .get(context.ids.0)
        .filter(|group| group.bot.as_deref() == Some(context.bot))
        .ok_or_else(ApiError::not_found)
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-group-summary>
pub(super) fn group_summary(context: &mut Context<'_>) -> Answer {
    let id = context.ids.0;
    let group = group(context)?;
    Ok(Reply::ok(json!({
        "groupId": id, "groupName": group.name, "pictureUrl": format!("https://profile.line-scdn.net/{id}"),
    })))
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-group-member-profile>
pub(super) fn member(context: &mut Context<'_>) -> Answer {
    let user = context.ids.1;
    if !group(context)?.members.contains(user) {
        return Err(ApiError::not_found());
    }
    person(context, user, false)
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-members-group-count>
pub(super) fn member_count(context: &mut Context<'_>) -> Answer {
    Ok(Reply::ok(json!({"count": group(context)?.members.len()})))
}

/// Verified accounts only. <https://developers.line.biz/en/reference/messaging-api/#get-group-member-user-ids>
pub(super) fn ids(context: &mut Context<'_>, name: &str) -> Answer {
    let account = context.account()?;
    if !account.verified {
        return Err(ApiError::no_access());
    }
    if name == "followers" {
        let friends: Vec<_> = account.friends.difference(&account.blocked_by).collect();
        return Ok(Reply::ok(json!({"userIds": friends})));
    }
    Ok(Reply::ok(json!({"memberIds": group(context)?.members})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#leave-group>
pub(super) fn leave(context: &mut Context<'_>) -> Answer {
    group(context)?;
    if let Some(group) = context.state.groups.get_mut(context.ids.0) {
        group.bot = None;
    }
    Ok(Reply::ok(json!({})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#display-a-loading-indicator>
pub(super) fn loading(context: &mut Context<'_>) -> Answer {
    let chat = context.body.get("chatId").and_then(Value::as_str);
    let Some(chat) = chat.filter(|chat| is_id(chat, &['U'])) else {
        return Err(ApiError::property("chatId"));
    };
    let seconds = match context.body.get("loadingSeconds") {
        None | Some(Value::Null) => Some(20),
        Some(seconds) => seconds.as_u64(),
    };
    let Some(seconds) = seconds.filter(|s| (5..=60).contains(s) && s % 5 == 0) else {
        return Err(ApiError::property("loadingSeconds"));
    };
    if !context.state.users.contains_key(chat) {
        return Err(ApiError::property("chatId"));
    }
    let loading = Loading {
        bot: context.bot.to_owned(),
        chat: chat.to_owned(),
        seconds,
        at_ms: context.state.now_ms,
    };
    context
        .state
        .loadings
        .retain(|running| running.chat != chat);
    log(&mut context.state.loadings, loading);
    Ok(Reply::Json(202, json!({})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#mark-as-read>
pub(super) fn mark_as_read(context: &mut Context<'_>) -> Answer {
    let token = context.body.get("markAsReadToken").and_then(Value::as_str);
    let message = token
        .and_then(|token| context.state.read_tokens.get(token))
        .cloned()
        .ok_or_else(|| ApiError::property("markAsReadToken"))?;
    log(&mut context.state.reads, message);
    Ok(Reply::ok(json!({})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-webhook-endpoint-information>
pub(super) fn webhook(context: &mut Context<'_>) -> Answer {
    let bot = context.account()?;
    let url = bot.webhook.as_ref().ok_or_else(ApiError::not_found)?;
    Ok(Reply::ok(
        json!({"endpoint": url.as_str(), "active": bot.active}),
    ))
}

/// HTTPS, or plain HTTP on the own machine, which is all the emulator can reach.
pub(crate) fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_own = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let fits = text.len() <= 500 && (url.scheme() == "https" || (url.scheme() == "http" && is_own));
    fits.then_some(url)
}

/// <https://developers.line.biz/en/reference/messaging-api/#set-webhook-endpoint-url>
pub(super) fn set_webhook(context: &mut Context<'_>) -> Answer {
    let endpoint = context.body.get("endpoint").and_then(Value::as_str);
    let url = endpoint
        .and_then(address)
        .ok_or_else(|| ApiError::bad("Invalid webhook endpoint URL"))?;
    context.account()?.webhook = Some(url);
    Ok(Reply::ok(json!({})))
}

/// Sends a body without events. <https://developers.line.biz/en/reference/messaging-api/#test-webhook-endpoint>
pub(crate) async fn test_webhook(line: &Line, bot: &str, body: &Value) -> Answer {
    let (set, secret, now) = line.quietly(|state| {
        let account = state.bots.get(bot);
        let set = account.and_then(|account| account.webhook.clone());
        let secret = account.map(|account| account.secret.clone());
        (set, secret, state.now_ms)
    });
    let target = match body.get("endpoint").and_then(Value::as_str) {
        Some(endpoint) => {
            Some(address(endpoint).ok_or_else(|| ApiError::bad("Invalid webhook endpoint URL"))?)
        }
        None => set,
    };
    let (Some(target), Some(secret)) = (target, secret) else {
        return Err(ApiError::not_found());
    };
    let answer = webhook::post(line, &target, &secret.0, webhook::body(bot, &[])).await;
    let (success, status, reason) = match &answer {
        Ok(status @ 200..=299) => (true, *status, "OK"),
        Ok(status) => (false, *status, "ERROR_STATUS_CODE"),
        Err(error) if error == "request_timeout" => (false, 0, "REQUEST_TIMEOUT"),
        Err(error) if error == "could_not_connect" => (false, 0, "COULD_NOT_CONNECT"),
        Err(_) => (false, 0, "UNCLASSIFIED"),
    };
    Ok(Reply::ok(json!({
        "success": success, "timestamp": instant(now), "statusCode": status, "reason": reason,
        "detail": status.to_string(),
    })))
}

/// `2020-09-30T05:38:20.031Z`.
fn instant(now_ms: i64) -> String {
    let days = now_ms.div_euclid(86_400_000);
    let rest = now_ms.rem_euclid(86_400_000);
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn writes_the_time_as_the_documentation_does() {
        assert_eq!(instant(1_601_444_300_031), "2020-09-30T05:38:20.031Z");
        assert_eq!(instant(1_709_210_096_000), "2024-02-29T12:34:56.000Z");
        assert_eq!(instant(1_767_225_600_000), "2026-01-01T00:00:00.000Z");
    }
}
