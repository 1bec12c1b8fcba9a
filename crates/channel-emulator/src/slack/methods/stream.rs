//! Streamed messages. <https://docs.slack.dev/reference/methods/chat.startStream/>

use serde_json::{Value, json};

use super::Call;
use super::chat::{change, own, thread};
use super::content::{MAX_MARKDOWN, metadata};
use crate::slack::answer::{Answer, ApiError};
use crate::slack::check;
use crate::slack::model::{Message, Place};

pub(crate) fn start(call: &mut Call<'_>) -> Answer {
    let channel = call.writable()?;
    let thread_ts = thread(call, &channel)?;
    let is_direct = call
        .state
        .channels
        .get(&channel)
        .is_some_and(|channel| channel.place == Place::Direct);
    if is_direct {
        if thread_ts.is_none() {
            return Err(ApiError::missing("thread_ts"));
        }
    } else {
        for (field, code) in [
            ("recipient_user_id", "missing_recipient_user_id"),
            ("recipient_team_id", "missing_recipient_team_id"),
        ] {
            if call.params.text(field).is_none() {
                return Err(ApiError::new(code));
            }
        }
        recipient(call)?;
    }
    let life = i64::try_from(call.config.stream_life.as_millis()).unwrap_or(i64::MAX);
    let message = Message {
        user: call.token.user.clone(),
        bot: call.bot(),
        text: piece(call)?.unwrap_or_default(),
        thread_ts,
        streams_until: Some(call.state.now_ms.saturating_add(life)),
        via: "chat.startStream",
        ..Message::default()
    };
    let ts = call.state.write(&channel, message);
    Ok(json!({"channel": channel, "ts": ts}))
}

/// The reader has to exist in the workspace that is named.
fn recipient(call: &Call<'_>) -> Result<(), ApiError> {
    let team = call.params.required("recipient_team_id")?;
    if !call.state.teams.contains_key(&team) {
        return Err(ApiError::new("team_not_found"));
    }
    let user = call.params.required("recipient_user_id")?;
    match call.state.users.get(&user) {
        Some(user) if user.team == team => Ok(()),
        _ => Err(ApiError::new("user_not_found")),
    }
}

/// The text of this call: `markdown_text`, or the chunks of that kind.
fn piece(call: &Call<'_>) -> Result<Option<String>, ApiError> {
    let chunks = call.params.nested("chunks", "invalid_chunks")?;
    let text = call.params.text("markdown_text");
    let text = match chunks {
        None => text,
        Some(_) if text.is_some() => return Err(ApiError::new("invalid_chunks")),
        Some(chunks) => Some(chunk_texts(&chunks)?),
    };
    if text
        .as_deref()
        .is_some_and(|text| check::length(text) > MAX_MARKDOWN)
    {
        return Err(ApiError::new("msg_too_long"));
    }
    Ok(text)
}

/// <https://docs.slack.dev/reference/methods/chat.appendStream/#chunks>
fn chunk_texts(chunks: &Value) -> Result<String, ApiError> {
    let invalid = || ApiError::new("invalid_chunks");
    let mut text = String::new();
    for chunk in chunks.as_array().ok_or_else(invalid)? {
        match chunk.get("type").and_then(Value::as_str) {
            Some("markdown_text") => {
                let piece = chunk.get("text").and_then(Value::as_str);
                text.push_str(piece.ok_or_else(invalid)?);
            }
            Some("task_update" | "plan_update" | "blocks") => {}
            _ => return Err(invalid()),
        }
    }
    Ok(text)
}

/// A stream of the caller's that still runs.
fn running(call: &Call<'_>, channel: &str, ts: &str) -> Result<Message, ApiError> {
    let message = own(call, channel, ts, "message_not_owned_by_app")?;
    match message.streams_until {
        Some(end) if call.state.now_ms < end => Ok(message),
        _ => Err(ApiError::new("message_not_in_streaming_state")),
    }
}

/// <https://docs.slack.dev/reference/methods/chat.appendStream/>
pub(crate) fn append(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let ts = call.params.required("ts")?;
    let piece = piece(call)?.ok_or_else(|| ApiError::missing("markdown_text"))?;
    let before = running(call, &channel, &ts)?;
    let mut after = before.clone();
    after.text.push_str(&piece);
    if let Some(message) = call.state.message_mut(&channel, &before.ts) {
        *message = after;
    }
    Ok(json!({"channel": channel, "ts": ts}))
}

/// <https://docs.slack.dev/reference/methods/chat.stopStream/>
pub(crate) fn stop(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let ts = call.params.required("ts")?;
    let piece = piece(call)?.unwrap_or_default();
    let blocks = call.params.nested("blocks", "invalid_blocks_format")?;
    if let Some(blocks) = &blocks {
        check::blocks(blocks, check::MAX_BLOCKS)?;
    }
    let metadata = metadata(call)?;
    let before = running(call, &channel, &ts)?;
    let mut after = before.clone();
    after.text.push_str(&piece);
    after.blocks = blocks.or(after.blocks);
    after.metadata = metadata.or(after.metadata);
    after.streams_until = None;
    change(call, &channel, &before, &after);
    let message = call.state.message_json(&channel, &after);
    Ok(json!({"channel": channel, "ts": ts, "message": message}))
}
