//! What can be judged from a frame alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::code::Code;
use crate::wire::client::{FileFrame, MessageFrame};
use crate::wire::{MAX_ATTACHMENTS, MAX_INLINE, MAX_INLINE_TOTAL, MAX_META, MAX_TEXT, is_id};

/// The longest name or type of a file, in bytes of UTF-8.
const MAX_FILE_WORDS: usize = 255;
/// The longest address of a file, in bytes.
const MAX_URL: usize = 2048;

pub(crate) fn checked_id(id: Option<&str>) -> Result<&str, Code> {
    id.filter(|id| is_id(id)).ok_or(Code::InvalidId)
}

pub(crate) fn check_text(text: &str) -> Result<(), Code> {
    if text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT {
        return Err(Code::TextTooLong);
    }
    // NUL cannot be stored as text everywhere, and no keyboard makes it.
    if text.contains('\0') {
        return Err(Code::BadFrame);
    }
    Ok(())
}

/// Checks everything that can be judged from the frame alone; the bytes of its files.
pub(crate) fn check_message(frame: &MessageFrame<'_>) -> Result<Vec<Option<Bytes>>, Code> {
    let text = frame.text.as_deref().unwrap_or_default();
    let files = frame.attachments.as_deref().unwrap_or_default();
    check_text(text)?;
    if text.is_empty() && files.is_empty() {
        return Err(Code::EmptyMessage);
    }
    for id in [frame.reply_to.as_deref(), frame.thread.as_deref()]
        .into_iter()
        .flatten()
    {
        checked_id(Some(id))?;
    }
    if let Some(meta) = frame.meta
        && (meta.get().len() > MAX_META || !meta.get().starts_with('{'))
    {
        return Err(Code::BadFrame);
    }
    if files.len() > MAX_ATTACHMENTS {
        return Err(Code::TooManyAttachments);
    }
    let mut total = 0;
    files
        .iter()
        .map(|file| check_file(file, &mut total))
        .collect()
}

fn check_file(file: &FileFrame<'_>, total: &mut usize) -> Result<Option<Bytes>, Code> {
    let words = [file.name.as_deref(), file.mime.as_deref()];
    if words
        .into_iter()
        .flatten()
        .any(|words| words.len() > MAX_FILE_WORDS || words.chars().any(char::is_control))
    {
        return Err(Code::InvalidMedia);
    }
    match (&file.data, &file.url, &file.media_id) {
        (Some(data), None, None) => {
            // Longer text cannot decode to an allowed size; it is not even looked at.
            if data.len() > MAX_INLINE.div_ceil(3) * 4 {
                return Err(Code::InvalidMedia);
            }
            let bytes = STANDARD
                .decode(data.as_bytes())
                .map_err(|_| Code::InvalidMedia)?;
            *total += bytes.len();
            if bytes.len() > MAX_INLINE || *total > MAX_INLINE_TOTAL {
                return Err(Code::InvalidMedia);
            }
            Ok(Some(Bytes::from(bytes)))
        }
        (None, Some(url), None) => {
            let plain = url.len() <= MAX_URL
                && url.starts_with("https://")
                && url
                    .parse::<http::Uri>()
                    .is_ok_and(|uri| uri.host().is_some());
            if plain {
                Ok(None)
            } else {
                Err(Code::InvalidMedia)
            }
        }
        (None, None, Some(id)) if is_id(id) => Ok(None),
        _ => Err(Code::InvalidMedia),
    }
}
