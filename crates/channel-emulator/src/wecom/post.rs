//! What a person writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};

/// The kinds of message that people send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PostKind {
    /// Text.
    #[default]
    Text,
    /// A picture.
    Image,
    /// A voice message; AI bots get the words in it.
    Voice,
    /// A film.
    Video,
    /// Any file.
    File,
    /// Text and a picture in one message.
    Mixed,
    /// A place; apps only.
    Location,
    /// A link; apps only.
    Link,
}

impl PostKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::File => "file",
            Self::Mixed => "mixed",
            Self::Location => "location",
            Self::Link => "link",
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
    /// The text, the words of a voice message, the label of a place, or the title of a link. In a group it has to
    /// begin with `@` and the name of the bot; the emulator puts that there when it is missing.
    pub text: String,
    /// The bytes of a file; base64 in JSON.
    #[serde(rename = "base64", deserialize_with = "bytes")]
    pub bytes: Bytes,
    /// The media type.
    pub mime: Option<String>,
    /// The name of a file.
    pub name: Option<String>,
    /// The text of the message it quotes; AI bots only.
    pub quote: Option<String>,
    /// Latitude and longitude of a place.
    pub coordinates: (f64, f64),
    /// Where a link leads.
    pub url: String,
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

    /// A picture, voice message or film.
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
        Self {
            name: Some(name.to_owned()),
            ..Self::media(PostKind::File, "application/octet-stream", bytes)
        }
    }

    /// Text with a picture.
    #[must_use]
    pub fn mixed(text: &str, mime: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::media(PostKind::Mixed, mime, bytes)
        }
    }

    /// A place.
    #[must_use]
    pub fn location(label: &str, latitude: f64, longitude: f64) -> Self {
        Self {
            kind: PostKind::Location,
            coordinates: (latitude, longitude),
            ..Self::text(label)
        }
    }

    /// Quotes a text.
    #[must_use]
    pub fn quoting(mut self, text: &str) -> Self {
        self.quote = Some(text.to_owned());
        self
    }
}

impl From<&str> for Post {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}
