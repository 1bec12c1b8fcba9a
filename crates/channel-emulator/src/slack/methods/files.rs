//! Files: the external upload in three steps, and what is known of them.
//!
//! <https://docs.slack.dev/messaging/working-with-files/#upload>

use bytes::Bytes;
use serde_json::{Value, json};

use super::Call;
use super::chat::thread;
use crate::slack::answer::{Answer, ApiError};
use crate::slack::model::{File, Message, Upload};

/// <https://docs.slack.dev/reference/methods/files.getUploadURLExternal/>
pub(crate) fn upload_url(call: &mut Call<'_>) -> Answer {
    let name = call.params.required("filename")?;
    let length = call.params.required("length")?;
    let announced: usize = length
        .parse()
        .map_err(|_| ApiError::invalid("must be a number: length"))?;
    if announced == 0 {
        return Err(ApiError::invalid("must be greater than 0: length"));
    }
    if announced > call.config.file_limit {
        return Err(ApiError::new("file_upload_size_restricted"));
    }
    let id = call.state.id("F");
    let file = File {
        team: call.token.team.clone(),
        user: call.token.user.clone(),
        title: name.clone(),
        mime: mime(&name).to_owned(),
        name,
        bytes: Bytes::new(),
        created: call.state.seconds(),
        shares: Vec::new(),
        state: Upload::Asked,
        announced,
    };
    call.state.keep_file(&id, file);
    // The file id itself is the ticket: it is long enough, and nobody else is on this machine.
    Ok(json!({"upload_url": format!("{}/upload/v1/{id}", call.state.base), "file_id": id}))
}

/// <https://docs.slack.dev/reference/methods/files.completeUploadExternal/>
pub(crate) fn complete(call: &mut Call<'_>) -> Answer {
    let files = call.params.nested("files", "invalid_arguments")?;
    let files = files.as_ref().and_then(Value::as_array).cloned();
    let files = files.ok_or_else(|| ApiError::missing("files"))?;
    let channels = channels(call)?;
    let mut done = Vec::new();
    for file in &files {
        let id = file.get("id").and_then(Value::as_str).unwrap_or_default();
        let known = call
            .state
            .files
            .get(id)
            .filter(|file| file.user == call.token.user);
        match known.map(|file| file.state) {
            Some(Upload::Received) => done.push(id.to_owned()),
            Some(Upload::Complete) => return Err(ApiError::new("file_update_failed")),
            Some(Upload::Asked) | None => return Err(ApiError::new("file_not_found")),
        }
    }
    if done.is_empty() {
        return Err(ApiError::missing("files"));
    }
    let comment = call.params.text("initial_comment").unwrap_or_default();
    let blocks = call.params.nested("blocks", "invalid_blocks_format")?;
    let mut threads = Vec::new();
    for channel in &channels {
        threads.push(thread(call, channel)?);
    }
    for (id, file) in done.iter().zip(&files) {
        if let Some(known) = call.state.files.get_mut(id) {
            known.state = Upload::Complete;
            if let Some(title) = file.get("title").and_then(Value::as_str) {
                title.clone_into(&mut known.title);
            }
        }
    }
    for (channel, thread_ts) in channels.iter().zip(threads) {
        let message = Message {
            user: call.token.user.clone(),
            bot: call.bot(),
            subtype: Some("file_share"),
            text: comment.clone(),
            blocks: blocks.clone(),
            files: done.clone(),
            thread_ts,
            via: "files.completeUploadExternal",
            ..Message::default()
        };
        call.state.write(channel, message);
    }
    let shown: Vec<Value> = done
        .iter()
        .filter_map(|id| call.state.file_json(id))
        .collect();
    Ok(json!({"files": shown}))
}

/// `channel_id` or `channels`; without either the files stay private.
fn channels(call: &mut Call<'_>) -> Result<Vec<String>, ApiError> {
    let mut wanted = call.params.list("channels");
    wanted.extend(call.params.text("channel_id"));
    let mut channels = Vec::new();
    for id in wanted {
        let id = call
            .resolve(&id)
            .map_err(|_| ApiError::new("invalid_channel"))?;
        let channel = call.state.channels.get(&id);
        if !channel.is_some_and(|channel| channel.members.contains(&call.token.user)) {
            return Err(ApiError::new("not_in_channel"));
        }
        channels.push(id);
    }
    Ok(channels)
}

/// <https://docs.slack.dev/reference/methods/files.info/>
pub(crate) fn info(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("file")?;
    visible(call, &id)?;
    Ok(
        json!({"file": call.state.file_json(&id), "comments": [], "response_metadata": {"next_cursor": ""}}),
    )
}

/// <https://docs.slack.dev/reference/methods/files.delete/>
pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("file")?;
    visible(call, &id)?;
    let is_own = call
        .state
        .files
        .get(&id)
        .is_some_and(|file| file.user == call.token.user);
    if !is_own {
        return Err(ApiError::new("cant_delete_file"));
    }
    call.state.files.remove(&id);
    Ok(json!({}))
}

/// A complete file of the caller, or in one of its channels.
fn visible(call: &Call<'_>, id: &str) -> Result<(), ApiError> {
    let file = call
        .state
        .files
        .get(id)
        .filter(|file| file.state == Upload::Complete);
    let file = file.ok_or_else(|| ApiError::new("file_not_found"))?;
    let inside = |(channel, _): &(String, String)| {
        let channel = call.state.channels.get(channel);
        channel.is_some_and(|channel| channel.members.contains(&call.token.user))
    };
    if file.team == call.token.team
        && (file.user == call.token.user || file.shares.iter().any(inside))
    {
        Ok(())
    } else {
        Err(ApiError::new("file_not_found"))
    }
}

/// The media type that the platform makes of a name.
pub(crate) fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("pdf") => "application/pdf",
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("json") => "application/json",
        Some("csv") => "text/csv",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}
