//! Files in and out.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::FileId;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttachmentKind {
    /// A picture shown in the chat.
    Image,
    /// Sound.
    Audio,
    /// A voice note.
    Voice,
    /// A film.
    Video,
    /// A short film without sound that plays by itself.
    Animation,
    /// A sticker.
    Sticker,
    /// Any other file.
    File,
}

/// A file that came with a message; its bytes are fetched on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attachment {
    /// What the platform wants to download it; may be an address or a key.
    pub id: FileId,
    /// What it is for.
    pub kind: AttachmentKind,
    /// The name that the sender gave. Hostile: never a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type that the sender or the platform claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// The size in bytes that the platform claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Attachment {
    /// A file of which only the id and the kind are known.
    #[must_use]
    pub const fn new(id: FileId, kind: AttachmentKind) -> Self {
        Self {
            id,
            kind,
            name: None,
            mime: None,
            bytes: None,
        }
    }
}

/// Where the bytes of an outgoing file are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UploadSource {
    /// In memory.
    Bytes(Bytes),
    /// At an address that the platform itself fetches.
    Url(String),
    /// Already on the platform: the id of a file received or sent before.
    Existing(FileId),
}

/// Shows neither the file nor the address, which may hold a key.
impl fmt::Debug for UploadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Url(_) => f.write_str("Url(***)"),
            Self::Existing(id) => f.debug_tuple("Existing").field(id).finish(),
        }
    }
}

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Upload {
    /// What it is for.
    pub kind: AttachmentKind,
    /// The name to show.
    pub name: String,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Where the bytes are.
    pub source: UploadSource,
}

impl Upload {
    /// A file in memory.
    #[must_use]
    pub fn file(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(
            AttachmentKind::File,
            name,
            UploadSource::Bytes(bytes.into()),
        )
    }

    /// A picture in memory.
    #[must_use]
    pub fn image(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(
            AttachmentKind::Image,
            name,
            UploadSource::Bytes(bytes.into()),
        )
    }

    /// Any kind of file from any source.
    #[must_use]
    pub fn new(kind: AttachmentKind, name: impl Into<String>, source: UploadSource) -> Self {
        Self {
            kind,
            name: name.into(),
            mime: None,
            source,
        }
    }

    /// Says what type the file has.
    #[must_use]
    pub fn with_mime(mut self, mime: impl Into<String>) -> Self {
        self.mime = Some(mime.into());
        self
    }

    /// The size in bytes, where the bytes are in memory.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        match &self.source {
            UploadSource::Bytes(bytes) => Some(bytes.len() as u64),
            UploadSource::Url(_) | UploadSource::Existing(_) => None,
        }
    }
}
