//! Sending. <https://developers.line.biz/en/reference/messaging-api/#messages>

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, ApiError, Reply};
use super::super::check::Check;
use super::super::model::{Accepted, Author, Via};
use super::super::state::bound;
use super::Context;

/// Retry keys kept.
const MAX_RETRY_KEYS: usize = 50_000;
/// Recipients of one multicast.
const MAX_RECIPIENTS: usize = 500;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// <https://developers.line.biz/en/reference/messaging-api/#send-reply-message>
pub(super) fn reply(context: &mut Context<'_>) -> Answer {
    if context.retry_key.is_some() {
        return Err(ApiError::bad(
            "X-Line-Retry-Key is not supported by this API",
        ));
    }
    let mut check = Check::default();
    let token = required(&mut check, context.body, "replyToken");
    let messages = checked(check, context.body)?;
    let now = context.state.now_ms;
    let window = i64::try_from(context.config.reply_window.as_millis()).unwrap_or(i64::MAX);
    let entry = context
        .state
        .reply_tokens
        .get(&token)
        .filter(|entry| entry.bot == context.bot && !entry.used)
        .filter(|entry| now.saturating_sub(entry.at_ms) <= window)
        .ok_or_else(ApiError::reply_token)?;
    let chat = entry.chat.clone();
    if !context.state.is_reachable(context.bot, &chat) {
        return Err(ApiError::reply_token());
    }
    quotes(context, &chat, messages)?;
    if let Some(entry) = context.state.reply_tokens.get_mut(&token) {
        entry.used = true;
    }
    let sent = store(context, &chat, messages, Via::Reply);
    Ok(Reply::ok(json!({"sentMessages": sent})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#send-push-message>
pub(super) fn push(context: &mut Context<'_>) -> Answer {
    retry_key(context)?;
    let mut check = Check::default();
    let chat = required(&mut check, context.body, "to");
    let units = context.body.get("customAggregationUnits");
    if units.is_some_and(|units| units.as_array().is_none_or(|units| units.len() > 1)) {
        check.fail("customAggregationUnits", "Size must be between 0 and 1");
    }
    let messages = checked(check, context.body)?;
    if !is_id(&chat, &['U', 'C', 'R']) {
        return Err(ApiError::property("to"));
    }
    if !context.state.is_reachable(context.bot, &chat) {
        return Err(ApiError::bad("Failed to send messages"));
    }
    quotes(context, &chat, messages)?;
    let audience = context.state.audience(&chat);
    spend(context, audience)?;
    let sent = store(context, &chat, messages, Via::Push);
    let body = json!({"sentMessages": sent});
    remember(context, &body);
    Ok(Reply::ok(body))
}

/// <https://developers.line.biz/en/reference/messaging-api/#send-multicast-message>
pub(super) fn multicast(context: &mut Context<'_>) -> Answer {
    retry_key(context)?;
    let mut check = Check::default();
    let to: Vec<String> = context
        .body
        .get("to")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if to.is_empty() || to.len() > MAX_RECIPIENTS {
        check.fail("to", format!("Size must be between 1 and {MAX_RECIPIENTS}"));
    }
    let messages = checked(check, context.body)?;
    if !to.iter().all(|user| is_id(user, &['U'])) {
        return Err(ApiError::property("to"));
    }
    many(context, &to, messages)
}

/// <https://developers.line.biz/en/reference/messaging-api/#send-broadcast-message>
pub(super) fn broadcast(context: &mut Context<'_>) -> Answer {
    retry_key(context)?;
    let messages = checked(Check::default(), context.body)?;
    let friends: Vec<String> = context.account()?.friends.iter().cloned().collect();
    many(context, &friends, messages)
}

fn many(context: &mut Context<'_>, to: &[String], messages: &[Value]) -> Answer {
    let to: Vec<&String> = to
        .iter()
        .filter(|user| context.state.users.contains_key(*user))
        .collect();
    spend(context, u64::try_from(to.len()).unwrap_or(u64::MAX))?;
    for user in to {
        store(context, user, messages, Via::Many);
    }
    remember(context, &json!({}));
    Ok(Reply::ok(json!({})))
}

/// <https://developers.line.biz/en/reference/messaging-api/#validate-message-objects-of-reply-message>
pub(super) fn validate(context: &mut Context<'_>) -> Answer {
    checked(Check::default(), context.body)?;
    Ok(Reply::ok(json!({})))
}

/// A text of the body that has to be there.
fn required(check: &mut Check, body: &Value, field: &str) -> String {
    let text = body.get(field).and_then(Value::as_str).unwrap_or("");
    if text.is_empty() {
        check.fail(field, "May not be empty");
    }
    text.to_owned()
}

/// The messages, when the body is as it should be.
fn checked(mut check: Check, body: &Value) -> Result<&[Value], ApiError> {
    if body
        .get("notificationDisabled")
        .is_some_and(|value| !value.is_boolean() && !value.is_null())
    {
        return Err(ApiError::property("notificationDisabled"));
    }
    let messages = check.messages(body);
    check.done()?;
    Ok(messages)
}

/// A letter for the kind, and 32 hexadecimal digits.
pub(super) fn is_id(id: &str, kinds: &[char]) -> bool {
    id.strip_prefix(kinds).is_some_and(|rest| {
        rest.len() == 32 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Quotes and mentions are for the chat they belong to.
fn quotes(context: &Context<'_>, chat: &str, messages: &[Value]) -> Result<(), ApiError> {
    let mut check = Check::default();
    for (index, message) in messages.iter().enumerate() {
        if let Some(token) = message.get("quoteToken").and_then(Value::as_str) {
            let known = context.state.quotes.get(token);
            if known.is_none_or(|(bot, place, _)| bot != context.bot || place != chat) {
                check.fail(
                    format!("messages[{index}].quoteToken"),
                    "Invalid quote token",
                );
            }
        }
        let substitution = message.get("substitution").and_then(Value::as_object);
        for (name, value) in substitution.into_iter().flatten() {
            if value.get("type").and_then(Value::as_str) != Some("mention") {
                continue;
            }
            let property = format!("messages[{index}].substitution.{name}");
            let user = value.pointer("/mentionee/userId").and_then(Value::as_str);
            match context.state.groups.get(chat) {
                None => check.fail(property, "Mentions can be used in groups and rooms only"),
                Some(group) if user.is_some_and(|user| !group.members.contains(user)) => {
                    check.fail(property, "The mentioned user is not a member");
                }
                Some(_) => {}
            }
        }
    }
    check.done()
}

/// Puts the messages into the chat and gives `sentMessages`.
fn store(context: &mut Context<'_>, chat: &str, messages: &[Value], via: Via) -> Value {
    let mut sent = Vec::with_capacity(messages.len());
    for message in messages {
        let state = &mut *context.state;
        let id = state.message_id();
        let mut entry = Map::from_iter([("id".to_owned(), Value::from(id.clone()))]);
        let kind = message.get("type").and_then(Value::as_str);
        let kinds = ["text", "textV2", "sticker", "image", "video", "template"];
        if kind.is_some_and(|kind| kinds.contains(&kind)) {
            let token = state.token();
            bound(&mut state.quotes);
            let target = (context.bot.to_owned(), chat.to_owned(), id.clone());
            state.quotes.insert(token.clone(), target);
            entry.insert("quoteToken".into(), token.into());
        }
        let author = Author::Bot(context.bot.to_owned());
        state.store((context.bot, chat), id, author, via, message.clone());
        sent.push(Value::from(entry));
    }
    sent.into()
}

/// Refuses a key that is none, and a request that was accepted before.
/// <https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>
fn retry_key(context: &Context<'_>) -> Result<(), ApiError> {
    let Some(key) = context.retry_key else {
        return Ok(());
    };
    if !is_uuid(key) {
        return Err(ApiError::bad("The X-Line-Retry-Key header is invalid"));
    }
    let life = i64::try_from(context.config.retry_key_life.as_millis()).unwrap_or(i64::MAX);
    let now = context.state.now_ms;
    let known = (context.bot.to_owned(), key.to_ascii_lowercase());
    match context.state.retry_keys.get(&known) {
        Some(accepted) if now.saturating_sub(accepted.at_ms) <= life => Err(ApiError::accepted(
            accepted.sent.clone(),
            accepted.request_id.clone(),
        )),
        _ => Ok(()),
    }
}

fn remember(context: &mut Context<'_>, body: &Value) {
    let Some(key) = context.retry_key else {
        return;
    };
    let state = &mut *context.state;
    let now = state.now_ms;
    if state.retry_keys.len() >= MAX_RETRY_KEYS {
        state
            .retry_keys
            .retain(|_, accepted| now.saturating_sub(accepted.at_ms) <= DAY_MS);
    }
    let accepted = Accepted {
        request_id: context.request_id.to_owned(),
        sent: body.get("sentMessages").cloned().unwrap_or(json!([])),
        at_ms: now,
    };
    let known = (context.bot.to_owned(), key.to_ascii_lowercase());
    state.retry_keys.insert(known, accepted);
}

/// `123e4567-e89b-12d3-a456-426614174000`.
fn is_uuid(key: &str) -> bool {
    let groups: Vec<&str> = key.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Counts messages against the monthly limit; a call counts its recipients.
fn spend(context: &mut Context<'_>, audience: u64) -> Result<(), ApiError> {
    let month = month(context.state.now_ms);
    let account = context.account()?;
    if account.usage.0 != month {
        account.usage = (month, 0);
    }
    let after = account.usage.1.saturating_add(audience);
    if account.quota.is_some_and(|quota| after > quota) {
        return Err(ApiError::monthly());
    }
    account.usage.1 = after;
    Ok(())
}

/// Months since March of the year 0, by the calendar of Japan (UTC+9).
pub(super) fn month(now_ms: i64) -> i64 {
    const JAPAN_MS: i64 = 9 * 3600 * 1000;
    // Days from 0000-03-01, as in the civil calendar of eras of 400 years.
    let days = (now_ms + JAPAN_MS).div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * day_of_year + 2) / 153
}

#[cfg(test)]
mod tests {
    use super::month;

    #[test]
    fn a_month_ends_at_midnight_in_japan() {
        // 2026-11-30T14:59:59Z and 15:00:00Z.
        let last = 1_796_050_799_000;
        assert_eq!(month(last) + 1, month(last + 1000));
        assert_eq!(month(last), month(last - 29 * 86_400_000));
        // A year has twelve.
        assert_eq!(month(last) + 12, month(last + 365 * 86_400_000));
    }
}
