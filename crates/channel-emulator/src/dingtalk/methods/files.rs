//! Files, up and down.
//!
//! <https://open.dingtalk.com/document/orgapp/upload-media-files>,
//! <https://open.dingtalk.com/document/orgapp/download-the-file-content-of-the-robot-receiving-message>

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::dingtalk::answer::{Answer, ApiError, Reply};
use crate::dingtalk::crypto::sign;
use crate::dingtalk::model::Stored;
use crate::dingtalk::state::millis;

/// The largest image, video or file, in bytes.
const MAX_FILE: usize = 20 * 1024 * 1024;
/// The largest voice message, in bytes.
const MAX_VOICE: usize = 2 * 1024 * 1024;
/// Fields of a form.
const MAX_FIELDS: usize = 16;
/// What signs the addresses of files. It is no secret: the emulator guards nothing.
const URL_KEY: &str = "dingtalk-files";

/// The file of a form.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    name: String,
    bytes: Bytes,
}

/// Reads a form: its fields as an object, and its file.
pub(crate) async fn form(kind: &str, body: Bytes) -> Result<(Value, Option<Upload>), ApiError> {
    let malformed = |_| ApiError::legacy(43_004, "invalid HTTP header Content-Type");
    let boundary = multer::parse_boundary(kind).map_err(malformed)?;
    let body = stream::iter([Ok::<_, std::io::Error>(body)]);
    let mut form = multer::Multipart::new(body, boundary);
    let mut fields = Map::new();
    let mut upload = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        if fields.len() >= MAX_FIELDS {
            return Err(ApiError::legacy(40_035, "too many form fields"));
        }
        if name == "media" {
            let file = field.file_name().unwrap_or_default().to_owned();
            let bytes = field.bytes().await.map_err(malformed)?;
            fields.insert(name, json!({"bytes": bytes.len(), "name": file}));
            upload = Some(Upload { name: file, bytes });
        } else {
            let text = field.text().await.map_err(malformed)?;
            fields.insert(name, text.into());
        }
    }
    Ok((Value::Object(fields), upload))
}

pub(super) fn upload(context: &mut Context<'_>) -> Answer {
    // The official SDK sends the type as a field, the documentation as a parameter.
    let kind = match context.query.get("type") {
        "" => context.body.text("type"),
        kind => kind,
    };
    let kind = kind.to_owned();
    let limit = match kind.as_str() {
        "image" | "video" | "file" => MAX_FILE,
        "voice" => MAX_VOICE,
        _ => return Err(ApiError::legacy(40_004, "invalid media type")),
    };
    let upload = context
        .upload
        .take()
        .filter(|upload| !upload.bytes.is_empty())
        .ok_or_else(|| ApiError::legacy(41_005, "missing media data"))?;
    if upload.name.is_empty() {
        return Err(ApiError::legacy(41_005, "missing file name"));
    }
    if upload.bytes.len() > limit {
        return Err(ApiError::legacy(40_006, "invalid media size"));
    }
    let file = Stored {
        app: context.app.to_owned(),
        kind: kind.clone(),
        name: upload.name,
        bytes: upload.bytes,
    };
    let id = context.state.store("@lAD", file);
    let created = context.state.now_ms.div_euclid(1000);
    Ok(Reply::Json(json!({
        "errcode": 0,
        "errmsg": "ok",
        "media_id": id,
        "type": kind,
        "created_at": created,
    })))
}

/// `POST /v1.0/robot/messageFiles/download`: an address that works for a short while, without any header.
pub(super) fn download(context: &mut Context<'_>) -> Answer {
    context.robot()?;
    let code = context.text("downloadCode")?.to_owned();
    let file = context.state.files.get(&code);
    if file.is_none_or(|file| file.app != context.app || code.starts_with('@')) {
        return Err(ApiError::invalid("the downloadCode is invalid"));
    }
    let ends = context.state.now_ms + millis(context.config.download_life);
    let signature = sign(URL_KEY, &format!("{code}{ends}"));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Expires", &ends.to_string())
        .append_pair("Signature", &signature)
        .finish();
    let base = context.state.base.clone();
    Ok(Reply::Json(json!({
        "downloadUrl": format!("{base}/dingtalk/files/{code}?{query}"),
    })))
}

/// The address itself.
pub(super) fn file(context: &mut Context<'_>) -> Answer {
    let path = context.head.uri.path();
    let code = path.rsplit('/').next().unwrap_or_default();
    let ends = context.query.get("Expires");
    let denied = |code, words| ApiError::new(403, code, words);
    if context.query.get("Signature") != sign(URL_KEY, &format!("{code}{ends}")) {
        return Err(denied("SignatureDoesNotMatch", "the signature is wrong"));
    }
    if ends.parse().unwrap_or(0) <= context.state.now_ms {
        return Err(denied("AccessDenied", "request has expired"));
    }
    let file = context.state.files.get(code);
    let file = file.ok_or_else(|| ApiError::new(404, "NoSuchKey", "there is no such file"))?;
    Ok(Reply::Bytes(file.bytes.clone(), file.name.clone()))
}
