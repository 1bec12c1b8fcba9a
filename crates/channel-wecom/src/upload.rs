//! Files that go out (<https://developer.work.weixin.qq.com/document/path/90253>).

use bytes::Bytes;
use channel_core::{AttachmentKind, Error, ErrorKind, Limits, Result, Upload, UploadSource};

use crate::PLATFORM;
use crate::error::invalid;
use crate::limits;

/// A file as WeCom takes it.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// `image`, `voice`, `video` or `file`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    pub(crate) content: Content<'a>,
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    Bytes(&'a Bytes),
    /// A `media_id` that WeCom gave within the last three days.
    Existing(&'a str),
}

/// What WeCom takes as a picture: PNG and JPEG.
pub(crate) fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff")
}

/// Checks a file and finds the kind that it goes as: what is too large for its own, or of
/// another format than WeCom takes, goes as a plain file.
pub(crate) fn outgoing<'a>(upload: &'a Upload, limits: &Limits) -> Result<Outgoing<'a>> {
    const OPERATION: &str = "send file";
    let bytes = match &upload.source {
        UploadSource::Bytes(bytes) => bytes,
        UploadSource::Existing(id) => {
            return Ok(Outgoing {
                kind: kind_name(upload.kind),
                name: &upload.name,
                content: Content::Existing(id.as_str()),
            });
        }
        _ => {
            let message = "wecom fetches no files: give the bytes";
            return Err(Error::new(ErrorKind::Unsupported, message).on(PLATFORM, OPERATION));
        }
    };
    let length = bytes.len() as u64;
    let max = limits.upload_bytes_for(AttachmentKind::File);
    if length <= limits::FILE_OVER || length > max {
        return Err(invalid(
            format!("file is {length} bytes, it has to be 6 to {max}"),
            OPERATION,
        ));
    }
    let fits = match upload.kind {
        AttachmentKind::Image => length <= limits::PICTURE && is_picture(bytes),
        AttachmentKind::Voice => length <= limits::VOICE && bytes.starts_with(b"#!AMR"),
        AttachmentKind::Video => {
            let is_mp4 = bytes.get(4..8) == Some(b"ftyp");
            length <= limits::PICTURE && is_mp4
        }
        _ => false,
    };
    Ok(Outgoing {
        kind: if fits { kind_name(upload.kind) } else { "file" },
        name: if upload.name.is_empty() {
            "file"
        } else {
            &upload.name
        },
        content: Content::Bytes(bytes),
    })
}

const fn kind_name(kind: AttachmentKind) -> &'static str {
    match kind {
        AttachmentKind::Image => "image",
        AttachmentKind::Voice => "voice",
        AttachmentKind::Video => "video",
        _ => "file",
    }
}
