//! What a person writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The kinds of message that people send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PostKind {
    /// Text.
    #[default]
    Text,
    /// A sticker.
    Sticker,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A voice message or music.
    Audio,
    /// Any file.
    File,
    /// A place.
    Location,
}

impl PostKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Sticker => "sticker",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::File => "file",
            Self::Location => "location",
        }
    }
}

/// A message that a person writes; also the shape in which the control API takes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Post {
    /// What it is.
    pub kind: PostKind,
    /// The text. In groups `@Name` of the bot or of a member is a mention, `@All` of everyone.
    pub text: String,
    /// Mentionees as the platform shows them, in place of those found in the text.
    pub mentionees: Option<Vec<Value>>,
    /// LINE emojis in the text, as the platform shows them.
    pub emojis: Option<Vec<Value>>,
    /// The id of the message it quotes.
    pub quote: Option<String>,
    /// Package and id of a sticker.
    pub sticker: Option<(String, String)>,
    /// The bytes of a file; base64 in JSON.
    #[serde(rename = "base64", deserialize_with = "bytes")]
    pub bytes: Bytes,
    /// The media type with which the platform hands the content out.
    pub mime: Option<String>,
    /// The name of a file.
    pub name: Option<String>,
    /// Length of audio and video, in milliseconds.
    pub duration_ms: u64,
    /// The content is not with the platform, but at this address.
    pub external: Option<String>,
    /// The pictures of one send: id of the set, number from 1, and count.
    pub image_set: Option<(String, u32, u32)>,
    /// So many requests find the content still being prepared.
    pub preparing: u32,
    /// The platform fails to prepare the content.
    pub broken: bool,
    /// Title and address of a place.
    pub place: Option<(String, String)>,
    /// Latitude and longitude of a place.
    pub coordinates: (f64, f64),
    /// In a group, the platform does not say who wrote.
    pub anonymous: bool,
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| serde::de::Error::custom("expected base64"))
}

impl Post {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// A sticker.
    #[must_use]
    pub fn sticker(package: &str, sticker: &str) -> Self {
        Self {
            kind: PostKind::Sticker,
            sticker: Some((package.to_owned(), sticker.to_owned())),
            ..Self::default()
        }
    }

    /// A picture, film, voice message or file.
    #[must_use]
    pub fn media(kind: PostKind, mime: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind,
            mime: Some(mime.to_owned()),
            bytes: bytes.into(),
            ..Self::default()
        }
    }

    /// A file with a name.
    #[must_use]
    pub fn file(name: &str, bytes: impl Into<Bytes>) -> Self {
        let mut post = Self::media(PostKind::File, "application/octet-stream", bytes);
        post.name = Some(name.to_owned());
        post
    }

    /// A place.
    #[must_use]
    pub fn location(title: &str, address: &str, latitude: f64, longitude: f64) -> Self {
        Self {
            kind: PostKind::Location,
            place: Some((title.to_owned(), address.to_owned())),
            coordinates: (latitude, longitude),
            ..Self::default()
        }
    }

    /// Quotes a message.
    #[must_use]
    pub fn quoting(mut self, message: &str) -> Self {
        self.quote = Some(message.to_owned());
        self
    }

    /// So many requests find the content still being prepared.
    #[must_use]
    pub const fn preparing(mut self, requests: u32) -> Self {
        self.preparing = requests;
        self
    }

    /// The content is at an address of somebody else.
    #[must_use]
    pub fn external(mut self, url: &str) -> Self {
        self.external = Some(url.to_owned());
        self
    }

    /// Puts a picture into a set.
    #[must_use]
    pub fn in_set(mut self, id: &str, index: u32, total: u32) -> Self {
        self.image_set = Some((id.to_owned(), index, total));
        self
    }

    /// Hides who wrote, as the platform does for some people in groups.
    #[must_use]
    pub const fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }
}

impl From<&str> for Post {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}
