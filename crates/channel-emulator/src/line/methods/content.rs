//! What people sent as files. <https://developers.line.biz/en/reference/messaging-api/#get-content>

use bytes::Bytes;
use serde_json::json;

use super::super::answer::{Answer, ApiError, Reply};
use super::super::model::Content;
use super::Context;

/// A one-pixel GIF, the preview of everything.
const PREVIEW: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// The content that the bot may have, and is there.
fn find<'a>(context: &'a mut Context<'_>) -> Result<&'a mut Content, ApiError> {
    let now = context.state.now_ms;
    let life = i64::try_from(context.config.content_life.as_millis()).unwrap_or(i64::MAX);
    let bot = context.bot;
    let content = context
        .state
        .contents
        .get_mut(context.ids.0)
        .filter(|content| content.bot == bot)
        .ok_or_else(ApiError::not_found)?;
    if content.gone || now.saturating_sub(content.at_ms) > life {
        return Err(ApiError::new(410, "Gone"));
    }
    Ok(content)
}

/// Counts the requests that find a content being prepared.
const fn is_preparing(content: &mut Content) -> bool {
    let preparing = content.preparing > 0;
    content.preparing = content.preparing.saturating_sub(1);
    preparing
}

pub(super) fn content(context: &mut Context<'_>) -> Answer {
    let content = find(context)?;
    if content.failed {
        return Err(ApiError::not_found());
    }
    if is_preparing(content) {
        return Ok(Reply::Json(202, json!({})));
    }
    Ok(Reply::Bytes(content.bytes.clone(), content.kind.clone()))
}

/// <https://developers.line.biz/en/reference/messaging-api/#get-image-or-video-preview>
pub(super) fn preview(context: &mut Context<'_>) -> Answer {
    let content = find(context)?;
    if !content.preview {
        return Err(ApiError::not_found());
    }
    Ok(Reply::Bytes(
        Bytes::from_static(PREVIEW),
        "image/gif".to_owned(),
    ))
}

/// <https://developers.line.biz/en/reference/messaging-api/#verify-video-or-audio-preparation-status>
pub(super) fn transcoding(context: &mut Context<'_>) -> Answer {
    let content = find(context)?;
    if !content.transcoded {
        return Err(ApiError::not_found());
    }
    let status = if content.failed {
        "failed"
    } else if is_preparing(content) {
        "processing"
    } else {
        "succeeded"
    };
    Ok(Reply::ok(json!({"status": status})))
}
