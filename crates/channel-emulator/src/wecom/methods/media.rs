//! Files. <https://developer.work.weixin.qq.com/document/path/90253>

use serde_json::json;

use super::Context;
use crate::wecom::answer::{Answer, ApiError, Reply};
use crate::wecom::limits::{MEDIA_MIN, media as largest};
use crate::wecom::model::Media;

pub(super) fn upload(context: &mut Context<'_>) -> Answer {
    let app = context.caller("media/upload")?;
    let corp = context
        .state
        .bot(&app)
        .map(|bot| bot.corp.clone())
        .unwrap_or_default();
    store(context, &corp)
}

/// Keeps the file of a call for its owner.
pub(super) fn store(context: &mut Context<'_>, owner: &str) -> Answer {
    let kind = context.param("type").to_owned();
    let most =
        largest(kind.as_bytes()).ok_or_else(|| ApiError::new(40004, "invalid media type"))?;
    let file = context
        .file
        .ok_or_else(|| ApiError::new(44001, "empty media data"))?;
    check(&kind, &file.bytes, most)?;
    let media = Media {
        owner: owner.to_owned(),
        kind: kind.clone(),
        name: file.name.clone(),
        mime: file.mime.clone(),
        bytes: file.bytes.clone(),
        at_ms: context.state.now_ms,
        is_sealed: false,
    };
    let created = (media.at_ms / 1000).to_string();
    let id = context.state.keep(media);
    Ok(Reply::Json(json!({
        "type": kind, "media_id": id, "created_at": created,
    })))
}

/// Sizes and formats by kind.
pub(crate) fn check(kind: &str, bytes: &[u8], most: usize) -> Result<(), ApiError> {
    if bytes.len() <= MEDIA_MIN || bytes.len() > most {
        return Err(ApiError::new(40006, "invalid file size"));
    }
    let fits = match kind {
        "image" => bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff"),
        "voice" => bytes.starts_with(b"#!AMR"),
        "video" => bytes.get(4..8) == Some(b"ftyp".as_slice()),
        _ => true,
    };
    fits.then_some(())
        .ok_or_else(|| ApiError::new(40005, "invalid file type"))
}

/// <https://developer.work.weixin.qq.com/document/path/90254>
pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let app = context.caller("media/get")?;
    let state = &*context.state;
    let corp = state.bot(&app).map_or("", |bot| bot.corp.as_str());
    let media = state.find_media(corp, context.param("media_id"))?;
    Ok(Reply::File {
        bytes: media.bytes.clone(),
        mime: media.mime.clone(),
        name: media.name.clone(),
    })
}
