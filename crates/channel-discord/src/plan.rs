//! Which Discord messages one message becomes. Pure: the same message has the same parts
//! before and after a restart.

use channel_core::{AttachmentKind, Body, OutboundMessage, Result, Upload, UploadSource};
use serde_json::{Value, json};

use crate::client::Op;
use crate::components;
use crate::error::{invalid, unsupported};
use crate::{limits, render};

const OPERATION: &str = Op::CreateMessage.operation();

/// One message: words, embeds, rows of buttons and files, of which one at least is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Post<'a> {
    pub(crate) content: String,
    pub(crate) embeds: Vec<Value>,
    pub(crate) rows: Vec<Value>,
    pub(crate) files: Vec<&'a Upload>,
}

impl Post<'_> {
    fn words(content: String) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }
}

/// The message with its card as words and buttons.
fn spelled_out(message: &OutboundMessage) -> OutboundMessage {
    let mut message = message.clone();
    // The words above the card keep their formatting.
    message.body = Body::Content(channel_text::content_of(&message.body).into_owned());
    message.without_card().into_owned()
}

/// Plans a message.
pub(crate) fn plan(message: &OutboundMessage) -> Result<Vec<Post<'_>>> {
    if message.is_empty() {
        return Ok(Vec::new());
    }
    let mut posts = posts(message)?;
    add_files(&mut posts, &message.attachments)?;
    Ok(posts)
}

/// The messages without the files.
pub(crate) fn posts(message: &OutboundMessage) -> Result<Vec<Post<'static>>> {
    if let Some(card) = &message.card {
        return match components::card(card, OPERATION)? {
            Some(shown) => {
                let mut posts: Vec<_> = render::words(&message.body)
                    .into_iter()
                    .map(Post::words)
                    .collect();
                let own = components::rows(&message.buttons, OPERATION)?;
                let rows: Vec<Value> = shown.rows.into_iter().chain(own).collect();
                let embed = Some(shown.embed).filter(|embed| !embed.is_null());
                if embed.is_some() || !rows.is_empty() {
                    let mut last = posts.pop().unwrap_or_default();
                    last.embeds.extend(embed);
                    posts.push(last);
                }
                add_rows(&mut posts, rows)?;
                Ok(posts)
            }
            // Too much for an embed: the same words and buttons, over several messages.
            None => without_card(&spelled_out(message)),
        };
    }
    without_card(message)
}

fn without_card(message: &OutboundMessage) -> Result<Vec<Post<'static>>> {
    let mut posts: Vec<_> = render::words(&message.body)
        .into_iter()
        .map(Post::words)
        .collect();
    add_rows(&mut posts, components::rows(&message.buttons, OPERATION)?)?;
    Ok(posts)
}

/// Puts rows under the last message, and the rest under messages of their own.
fn add_rows(posts: &mut Vec<Post<'static>>, rows: Vec<Value>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = if rows.len() > limits::ROWS {
        fewest(rows)
    } else {
        rows
    };
    if posts.is_empty() {
        posts.push(Post::default());
    }
    for (index, chunk) in rows.chunks(limits::ROWS).enumerate() {
        components::check_values(chunk, OPERATION)?;
        if index > 0 {
            posts.push(Post::default());
        }
        if let Some(post) = posts.last_mut() {
            post.rows = chunk.to_vec();
        }
    }
    Ok(())
}

/// Fewer and longer rows of buttons; lists to choose from fill a row of their own.
fn fewest(rows: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut buttons: Vec<Value> = Vec::new();
    for row in rows {
        let inner = row.get("components").and_then(Value::as_array);
        let inner = inner.cloned().unwrap_or_default();
        let is_select = inner
            .first()
            .is_some_and(|it| it.get("type") == Some(&json!(3)));
        if is_select {
            out.push(row);
        } else {
            buttons.extend(inner);
        }
    }
    let packed = buttons
        .chunks(limits::ROW)
        .map(|chunk| json!({ "type": 1, "components": chunk }));
    out.extend(packed);
    out
}

/// Files go with the last words, and the rest in messages of their own.
fn add_files<'a>(posts: &mut Vec<Post<'a>>, files: &'a [Upload]) -> Result<()> {
    let mut uploads: Vec<&Upload> = Vec::new();
    for file in files {
        match &file.source {
            UploadSource::Bytes(bytes) => {
                check(bytes.len() as u64)?;
                uploads.push(file);
            }
            // Discord fetches pictures itself, and nothing else.
            UploadSource::Url(url)
                if url.starts_with("https://") && file.kind == AttachmentKind::Image =>
            {
                if posts.last().is_none_or(|post| post.embeds.len() >= 10) {
                    posts.push(Post::default());
                }
                if let Some(post) = posts.last_mut() {
                    post.embeds.push(json!({ "image": { "url": url } }));
                }
            }
            _ => {
                return Err(unsupported(
                    "discord takes files as bytes, and pictures by an https address",
                    OPERATION,
                ));
            }
        }
    }
    let mut batches: Vec<Vec<&Upload>> = Vec::new();
    let mut size = 0;
    for file in uploads {
        let bytes = file.bytes().unwrap_or_default();
        let is_full = batches
            .last()
            .is_none_or(|batch| batch.len() >= limits::FILES || size + bytes > limits::REQUEST);
        if is_full {
            batches.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(batch) = batches.last_mut() {
            batch.push(file);
        }
    }
    for (index, batch) in batches.into_iter().enumerate() {
        if index > 0 || posts.is_empty() {
            posts.push(Post::default());
        }
        if let Some(post) = posts.last_mut() {
            post.files = batch;
        }
    }
    Ok(())
}

fn check(bytes: u64) -> Result<()> {
    if bytes == 0 {
        return Err(invalid("the file is empty", OPERATION));
    }
    if bytes > limits::FILE {
        let message = format!("file is {bytes} bytes, limit is {}", limits::FILE);
        return Err(invalid(message, OPERATION));
    }
    Ok(())
}
