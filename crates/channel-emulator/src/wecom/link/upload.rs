//! Files in pieces. <https://developer.work.weixin.qq.com/document/path/101463>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::commands::Command;
use crate::wecom::answer::{Answer, ApiError, Reply};
use crate::wecom::cipher::hex;
use crate::wecom::limits::{CHUNK, CHUNKS, UPLOAD_MS, UPLOAD_RATE, media as largest};
use crate::wecom::methods::media::check;
use crate::wecom::model::{Media, Upload};
use crate::wecom::state::bound;

fn number(body: &Value, name: &str) -> Option<usize> {
    usize::try_from(body.get(name)?.as_u64()?).ok()
}

pub(super) fn begin(command: &mut Command<'_>) -> Answer {
    let bot = command.bot;
    if command.config.rates && !command.state.count(bot, "upload", UPLOAD_RATE) {
        return Err(ApiError::rate());
    }
    let kind = command.field("type").to_owned();
    let most =
        largest(kind.as_bytes()).ok_or_else(|| ApiError::new(40004, "invalid media type"))?;
    let (size, count) = (
        number(command.body, "total_size").unwrap_or(0),
        number(command.body, "total_chunks").unwrap_or(0),
    );
    if size > most {
        return Err(ApiError::new(40006, "invalid file size"));
    }
    if !(1..=CHUNKS).contains(&count) || command.field("filename").is_empty() {
        return Err(ApiError::parameter("total_chunks"));
    }
    let upload = Upload {
        bot: bot.to_owned(),
        kind,
        name: command.field("filename").to_owned(),
        size,
        count,
        md5: command.field("md5").to_owned(),
        parts: std::collections::BTreeMap::new(),
        at_ms: command.state.now_ms,
    };
    let id = command.state.id("U");
    bound(&mut command.state.uploads);
    command.state.uploads.insert(id.clone(), upload);
    Ok(Reply::Json(json!({"upload_id": id})))
}

fn find<'a>(command: &'a mut Command<'_>) -> Result<&'a mut Upload, ApiError> {
    let id = command.field("upload_id").to_owned();
    let now = command.state.now_ms;
    let bot = command.bot;
    command
        .state
        .uploads
        .get_mut(&id)
        .filter(|upload| upload.bot == bot && now - upload.at_ms < UPLOAD_MS)
        .ok_or_else(|| ApiError::parameter("upload_id"))
}

pub(super) fn chunk(command: &mut Command<'_>) -> Answer {
    let at = number(command.body, "chunk_index");
    let piece = STANDARD
        .decode(command.field("base64_data"))
        .map_err(|_| ApiError::parameter("base64_data"))?;
    let upload = find(command)?;
    let at = at
        .filter(|at| *at < upload.count)
        .ok_or_else(|| ApiError::parameter("chunk_index"))?;
    if piece.is_empty() || piece.len() > CHUNK {
        return Err(ApiError::new(40006, "invalid file size"));
    }
    upload.parts.insert(at, Bytes::from(piece));
    Ok(Reply::ok())
}

pub(super) fn finish(command: &mut Command<'_>) -> Answer {
    let upload = find(command)?.clone();
    if upload.parts.len() != upload.count {
        return Err(ApiError::parameter("chunks missing"));
    }
    let bytes: Vec<u8> = upload.parts.values().flatten().copied().collect();
    if bytes.len() != upload.size {
        return Err(ApiError::new(40006, "invalid file size"));
    }
    if hex(&Md5::digest(&bytes)) != upload.md5 {
        return Err(ApiError::new(301_019, "md5 not match"));
    }
    check(
        &upload.kind,
        &bytes,
        largest(upload.kind.as_bytes()).unwrap_or(0),
    )?;
    let id = command.field("upload_id").to_owned();
    command.state.uploads.remove(&id);
    let media = Media {
        owner: upload.bot,
        kind: upload.kind.clone(),
        name: upload.name,
        mime: "application/octet-stream".to_owned(),
        bytes: bytes.into(),
        at_ms: command.state.now_ms,
        is_sealed: false,
    };
    let created = command.state.now_ms / 1000;
    let id = command.state.keep(media);
    Ok(Reply::Json(json!({
        "type": upload.kind, "media_id": id, "created_at": created.to_string(),
    })))
}
