//! Files that came with messages
//! (<https://open.feishu.cn/document/server-docs/im-v1/message/get-2>).

use bytes::Bytes;
use channel_core::{Attachment, Error, ErrorKind, FileId, Result};

use crate::PLATFORM;
use crate::client::Call;
use crate::error::invalid;
use crate::shared::Shared;
use crate::wire::is_id;

const DOWNLOAD: Call = Call::repeatable("download");
/// How the file of a message is asked for.
pub(crate) const IMAGE: &str = "image";
pub(crate) const FILE: &str = "file";
/// Feishu does not hand out stickers.
pub(crate) const STICKER: &str = "sticker";

/// The id of a file: the message that it came with, its key, and how it is asked for.
pub(crate) fn id(message: &str, key: &str, way: &str) -> FileId {
    FileId::from(format!("{message}/{key}/{way}"))
}

/// Where a file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Part of a message.
    Message {
        message: &'a str,
        key: &'a str,
        way: &'a str,
    },
    /// Uploaded by the app.
    Own(&'a str),
}

/// Reads an id.
pub(crate) fn place(id: &FileId) -> Option<Place<'_>> {
    let text = id.as_str();
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(key), None, None, None) if is_id(key) => Some(Place::Own(key)),
        (Some(message), Some(key), Some(way @ (IMAGE | FILE | STICKER)), None)
            if is_id(message) && is_id(key) =>
        {
            Some(Place::Message { message, key, way })
        }
        _ => None,
    }
}

/// Fetches a file of at most `max_bytes` bytes.
pub(crate) async fn download(
    shared: &Shared,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    fetch(shared, &attachment.id, max_bytes).await
}

pub(crate) async fn fetch(shared: &Shared, id: &FileId, max_bytes: u64) -> Result<Bytes> {
    let operation = DOWNLOAD.operation;
    let max = max_bytes.min(shared.info.limits.download_bytes);
    let path = match place(id) {
        Some(Place::Message { way: STICKER, .. }) => {
            let words = "feishu does not hand out stickers";
            return Err(Error::new(ErrorKind::Unsupported, words).on(PLATFORM, operation));
        }
        Some(Place::Message { message, key, way }) => {
            format!("/open-apis/im/v1/messages/{message}/resources/{key}?type={way}")
        }
        Some(Place::Own(key)) if key.starts_with("img_") => {
            format!("/open-apis/im/v1/images/{key}")
        }
        Some(Place::Own(key)) => format!("/open-apis/im/v1/files/{key}"),
        None => return Err(invalid("the file is not one of feishu", operation)),
    };
    shared.fetch(DOWNLOAD, &path, max).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_to_one_place_and_nowhere_else() {
        let of = id("om_1", "file_1", FILE);
        let wanted = Place::Message {
            message: "om_1",
            key: "file_1",
            way: FILE,
        };
        assert_eq!(place(&of), Some(wanted));
        assert_eq!(place(&FileId::from("img_1")), Some(Place::Own("img_1")));
        for wrong in [
            "",
            "a/b",
            "a/b/c",
            "a/../file",
            "a/b/file/d",
            "a?x=1",
            "/b/file",
        ] {
            assert_eq!(place(&FileId::from(wrong)), None, "{wrong}");
        }
    }
}
