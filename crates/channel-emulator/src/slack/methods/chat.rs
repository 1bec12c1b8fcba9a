//! Messages. <https://docs.slack.dev/reference/methods/?family=chat>

use serde_json::{Value, json};

use super::Call;
use super::content::Content;
use crate::slack::answer::{Answer, ApiError, warn};
use crate::slack::model::Message;
use crate::slack::state::log;

/// <https://docs.slack.dev/reference/methods/chat.postMessage/>
pub(crate) fn post(call: &mut Call<'_>) -> Answer {
    let channel = call.writable()?;
    let content = Content::required(call)?;
    pace(call, &channel)?;
    let is_cut = content.is_cut;
    let message = compose(call, &channel, content, "chat.postMessage")?;
    let ts = call.state.write(&channel, message);
    let written = call
        .state
        .message(&channel, &ts)
        .cloned()
        .unwrap_or_default();
    let message = call.state.message_json(&channel, &written);
    let mut answer = json!({"channel": channel, "ts": ts, "message": message});
    if is_cut {
        warn(&mut answer, "message_truncated");
    }
    Ok(answer)
}

/// One message a second for each channel, with short bursts. <https://docs.slack.dev/apis/web-api/rate-limits/>
fn pace(call: &mut Call<'_>, channel: &str) -> Result<(), ApiError> {
    if !call.config.rates {
        return Ok(());
    }
    let (now, burst) = (call.state.now_ms, i64::from(call.config.post_burst.max(1)));
    let key = (call.token.app.clone(), channel.to_owned());
    crate::slack::state::bound(&mut call.state.posts);
    let (paid_until, _) = call.state.posts.entry(key).or_insert((now, 0));
    *paid_until = (*paid_until).max(now) + 1000;
    let ahead = *paid_until - now - burst * 1000;
    if ahead <= 0 {
        return Ok(());
    }
    *paid_until -= 1000;
    Err(ApiError::rate(
        u64::try_from(ahead).unwrap_or(0).div_ceil(1000),
    ))
}

/// A message by the caller.
pub(super) fn compose(
    call: &Call<'_>,
    channel: &str,
    content: Content,
    via: &'static str,
) -> Result<Message, ApiError> {
    let thread_ts = thread(call, channel)?;
    let is_broadcast = thread_ts.is_some() && call.params.flag("reply_broadcast");
    Ok(Message {
        user: call.token.user.clone(),
        bot: call.bot(),
        subtype: is_broadcast.then_some("thread_broadcast"),
        text: content.text.unwrap_or_default(),
        blocks: content.blocks,
        attachments: content.attachments,
        metadata: content.metadata,
        thread_ts,
        via,
        ..Message::default()
    })
}

/// The root of the thread that `thread_ts` names.
pub(super) fn thread(call: &Call<'_>, channel: &str) -> Result<Option<String>, ApiError> {
    let Some(ts) = call.params.text("thread_ts") else {
        return Ok(None);
    };
    let root = call.state.message(channel, &ts);
    let root = root.ok_or_else(|| ApiError::new("thread_not_found"))?;
    if root.thread_ts.as_ref().is_some_and(|root| *root != ts) {
        return Err(ApiError::new("cannot_reply_to_message"));
    }
    Ok(Some(ts))
}

/// <https://docs.slack.dev/reference/methods/chat.update/>
pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let ts = call.params.required("ts")?;
    let content = Content::read(call)?;
    let before = own(call, &channel, &ts, "cant_update_message")?;
    let now = call.state.now_ms;
    if before.streams_until.is_some_and(|end| now < end) {
        return Err(ApiError::new("streaming_state_conflict"));
    }
    let changes_something = content.text.is_some()
        || content.blocks.is_some()
        || content.attachments.is_some()
        || content.metadata.is_some();
    if !changes_something {
        return Err(ApiError::new("no_text"));
    }
    let mut after = before.clone();
    after.text = content.text.unwrap_or(after.text);
    after.blocks = content.blocks.or(after.blocks).filter(|b| !is_void(b));
    after.attachments = content
        .attachments
        .or(after.attachments)
        .filter(|a| !is_void(a));
    after.metadata = content.metadata.or(after.metadata);
    if after.text.is_empty() && after.blocks.is_none() && after.attachments.is_none() {
        return Err(ApiError::new("no_text"));
    }
    after.edited = Some((call.token.user.clone(), call.state.ts()));
    change(call, &channel, &before, &after);
    let message = call.state.message_json(&channel, &after);
    let mut answer = json!({"channel": channel, "ts": ts, "text": after.text, "message": message});
    if content.is_cut {
        warn(&mut answer, "message_truncated");
    }
    Ok(answer)
}

fn is_void(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

/// Replaces a message and tells everybody.
pub(super) fn change(call: &mut Call<'_>, channel: &str, before: &Message, after: &Message) {
    if let Some(message) = call.state.message_mut(channel, &before.ts) {
        *message = after.clone();
    }
    call.state.tell_change(channel, before, after);
}

/// A message that the caller itself has written.
pub(super) fn own(
    call: &Call<'_>,
    channel: &str,
    ts: &str,
    refusal: &'static str,
) -> Result<Message, ApiError> {
    let message = call.state.message(channel, ts);
    let message = message.ok_or_else(|| ApiError::new("message_not_found"))?;
    if message.user != call.token.user {
        return Err(ApiError::new(refusal));
    }
    Ok(message.clone())
}

/// <https://docs.slack.dev/reference/methods/chat.delete/>
pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let ts = call.params.required("ts")?;
    own(call, &channel, &ts, "cant_delete_message")?;
    call.state.erase(&channel, &ts);
    Ok(json!({"channel": channel, "ts": ts}))
}

/// <https://docs.slack.dev/reference/methods/chat.postEphemeral/>
pub(crate) fn ephemeral(call: &mut Call<'_>) -> Answer {
    let channel = call.writable()?;
    let user = call.params.required("user")?;
    let is_inside = call
        .state
        .channels
        .get(&channel)
        .is_some_and(|channel| channel.members.contains(&user));
    if !is_inside {
        return Err(ApiError::new("user_not_in_channel"));
    }
    let content = Content::required(call)?;
    let mut message = compose(call, &channel, content, "chat.postEphemeral")?;
    message.ts = call.state.ts();
    message.only_for = Some(user);
    let ts = message.ts.clone();
    log(&mut call.state.ephemerals, (channel, message));
    Ok(json!({"message_ts": ts}))
}

/// <https://docs.slack.dev/reference/methods/chat.getPermalink/>
pub(crate) fn permalink(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let ts = call.params.required("message_ts")?;
    let message = call.state.message(&channel, &ts);
    let message = message.ok_or_else(|| ApiError::new("message_not_found"))?;
    let domain = call
        .state
        .teams
        .get(&call.token.team)
        .map_or("", |team| team.domain.as_str());
    let mut link = format!(
        "https://{domain}.slack.com/archives/{channel}/p{}",
        ts.replace('.', "")
    );
    if let Some(root) = &message.thread_ts {
        link.push_str(&format!("?thread_ts={root}&cid={channel}"));
    }
    Ok(json!({"channel": channel, "permalink": link}))
}
