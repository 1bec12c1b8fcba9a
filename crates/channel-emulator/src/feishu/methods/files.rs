//! Images and files, up and down.
//!
//! <https://open.feishu.cn/document/server-docs/im-v1/image/create>,
//! <https://open.feishu.cn/document/server-docs/im-v1/file/create>,
//! <https://open.feishu.cn/document/server-docs/im-v1/message/get-2>

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::feishu::answer::{Answer, ApiError, Reply};
use crate::feishu::model::Stored;

/// The largest image, in bytes.
const MAX_IMAGE: usize = 10 * 1024 * 1024;
/// The largest file, in bytes.
const MAX_FILE: usize = 30 * 1024 * 1024;
/// Fields of a form.
const MAX_FIELDS: usize = 16;
/// The kinds of file that can be sent.
const KINDS: [&str; 7] = ["opus", "mp4", "pdf", "doc", "xls", "ppt", "stream"];

/// The file of a form.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    field: String,
    bytes: Bytes,
}

/// Reads a form: its fields as an object, and its file.
pub(crate) async fn form(kind: &str, body: Bytes) -> Result<(Value, Option<Upload>), ApiError> {
    let malformed = |_| ApiError::new(234_001, "Invalid request param.");
    let boundary = multer::parse_boundary(kind).map_err(malformed)?;
    let body = stream::iter([Ok::<_, std::io::Error>(body)]);
    let mut form = multer::Multipart::new(body, boundary);
    let mut fields = Map::new();
    let mut upload = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        if fields.len() >= MAX_FIELDS {
            return Err(ApiError::new(234_001, "Invalid request param."));
        }
        if name == "image" || name == "file" {
            let bytes = field.bytes().await.map_err(malformed)?;
            fields.insert(name.clone(), json!({ "bytes": bytes.len() }));
            upload = Some(Upload { field: name, bytes });
        } else {
            let text = field.text().await.map_err(malformed)?;
            fields.insert(name, text.into());
        }
    }
    Ok((Value::Object(fields), upload))
}

fn taken(context: &mut Context<'_>, field: &str, limit: usize) -> Result<Bytes, ApiError> {
    let upload = context.upload.take();
    // The official SDKs send files without a file name.
    let upload = upload
        .filter(|upload| upload.field == field)
        .ok_or_else(|| ApiError::new(234_001, "Invalid request param."))?;
    if upload.bytes.is_empty() {
        return Err(ApiError::new(234_010, "File's size can't be 0."));
    }
    if upload.bytes.len() > limit {
        return Err(ApiError::new(
            234_006,
            "The file size exceed the max value.",
        ));
    }
    Ok(upload.bytes)
}

pub(super) fn upload_image(context: &mut Context<'_>) -> Answer {
    if !matches!(
        context.body.at("image_type").as_str(),
        Some("message" | "avatar")
    ) {
        return Err(ApiError::new(234_001, "Invalid request param."));
    }
    let bytes = taken(context, "image", MAX_IMAGE)?;
    if !is_image(&bytes) {
        return Err(ApiError::new(234_011, "Can't recognize image format."));
    }
    let key = context.state.store(Stored {
        app: Some(context.app.to_owned()),
        is_image: true,
        name: "image".to_owned(),
        bytes,
    });
    Ok(Reply::Data(json!({ "image_key": key })))
}

/// The formats that the platform takes, by their first bytes.
fn is_image(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 7] = [
        b"\xff\xd8\xff",
        b"\x89PNG",
        b"GIF8",
        b"RIFF",
        b"BM",
        b"II*\0",
        b"\0\0\x01\0",
    ];
    starts.iter().any(|start| bytes.starts_with(start)) || bytes.get(4..8) == Some(b"ftyp")
}

pub(super) fn upload_file(context: &mut Context<'_>) -> Answer {
    let kind = context.body.text("file_type");
    let name = context.body.text("file_name");
    if !KINDS.contains(&kind) || name.is_empty() {
        return Err(ApiError::new(234_001, "Invalid request param."));
    }
    let name = name.to_owned();
    let bytes = taken(context, "file", MAX_FILE)?;
    let key = context.state.store(Stored {
        app: Some(context.app.to_owned()),
        is_image: false,
        name,
        bytes,
    });
    Ok(Reply::Data(json!({ "file_key": key })))
}

/// A file that the app itself has uploaded.
pub(super) fn own(context: &mut Context<'_>) -> Answer {
    let file = context
        .state
        .files
        .get(context.id)
        .ok_or_else(|| ApiError::new(234_003, "File not in msg."))?;
    if file.app.as_deref() != Some(context.app) {
        return Err(ApiError::new(234_008, "App is not the resource sender."));
    }
    Ok(Reply::Bytes(file.bytes.clone(), file.name.clone()))
}

/// A file of a message. Stickers and what is inside a card cannot be had.
pub(super) fn resource(context: &mut Context<'_>) -> Answer {
    let kind = (context.query)("type").unwrap_or_default();
    let key = context.second.to_owned();
    let message = context.message()?;
    if message.recalled {
        return Err(ApiError::recalled());
    }
    if matches!(
        message.kind.as_str(),
        "sticker" | "interactive" | "merge_forward"
    ) {
        return Err(ApiError::new(
            234_043,
            "Unsupported message type of the resource.",
        ));
    }
    let has = contains(&message.content, &key);
    let file = context.state.files.get(&key).filter(|_| has);
    let file = file.ok_or_else(|| ApiError::new(234_003, "File not in msg."))?;
    if kind != if file.is_image { "image" } else { "file" } {
        return Err(ApiError::new(234_001, "Invalid request param."));
    }
    Ok(Reply::Bytes(file.bytes.clone(), file.name.clone()))
}

/// Whether a text stands somewhere in a value.
fn contains(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| contains(item, wanted)),
        Value::Object(fields) => fields.values().any(|field| contains(field, wanted)),
        _ => false,
    }
}
