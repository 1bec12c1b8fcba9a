//! How files are named to the outside.
//!
//! The key of an encrypted file rides in front of its address, behind a mark that neither
//! holds.

use channel_core::{Attachment, AttachmentKind, FileId};

/// A file that is fetched by its id (custom app).
pub(crate) fn of_media_id(id: &str, kind: AttachmentKind) -> Attachment {
    Attachment::new(FileId::new(id), kind)
}

/// A file at an address that works for five minutes, and the key to it.
pub(crate) fn of_address(url: &str, key: Option<&str>, kind: AttachmentKind) -> Attachment {
    let id = format!("{} {url}", key.unwrap_or_default());
    Attachment::new(FileId::from(id), kind)
}

/// The key, where there is one, and the address.
pub(crate) fn parse(id: &FileId) -> Option<(Option<&str>, &str)> {
    let (key, url) = id.as_str().split_once(' ')?;
    Some(((!key.is_empty()).then_some(key), url))
}
