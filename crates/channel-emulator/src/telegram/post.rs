//! What a person writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::files::FileKind;

/// A message of a person: text, a file with or without a caption, or anything else as raw fields.
///
/// ```
/// use channel_emulator::telegram::Post;
///
/// let hello = Post::text("hello");
/// let letter = Post::document("letter.txt", "text/plain", "dear bot").caption("please read").reply_to(7);
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Post {
    /// The text, or the caption when there is a file.
    pub text: Option<String>,
    /// The file.
    pub file: Option<PostFile>,
    /// The topic of a forum.
    pub thread: Option<i64>,
    /// The message this one answers.
    pub reply_to: Option<i64>,
    /// Entities instead of those the platform finds itself.
    pub entities: Option<Vec<Value>>,
    /// More fields of the `Message` object, such as `location` or `contact`.
    pub fields: Map<String, Value>,
}

/// A file a person sends.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct PostFile {
    /// As what it is sent.
    pub kind: FileKind,
    /// The file name.
    pub name: Option<String>,
    /// The MIME type.
    pub mime: Option<String>,
    /// The content; in JSON as Base64.
    #[serde(rename = "base64", deserialize_with = "from_base64")]
    pub bytes: Bytes,
}

impl Post {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// A photo.
    pub fn photo(bytes: impl Into<Bytes>) -> Self {
        Self::file(FileKind::Photo, None, None, bytes)
    }

    /// Any file, sent as a document.
    pub fn document(
        name: impl Into<String>,
        mime: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        Self::file(
            FileKind::Document,
            Some(name.into()),
            Some(mime.into()),
            bytes,
        )
    }

    /// A file of any kind.
    pub fn file(
        kind: FileKind,
        name: Option<String>,
        mime: Option<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        Self {
            file: Some(PostFile {
                kind,
                name,
                mime,
                bytes: bytes.into(),
            }),
            ..Self::default()
        }
    }

    /// Words under a file.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.text = Some(caption.into());
        self
    }

    /// Writes in a topic of a forum.
    #[must_use]
    pub const fn in_topic(mut self, thread: i64) -> Self {
        self.thread = Some(thread);
        self
    }

    /// Answers a message.
    #[must_use]
    pub const fn reply_to(mut self, message_id: i64) -> Self {
        self.reply_to = Some(message_id);
        self
    }

    /// Sets a field of the `Message` object as it is.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: Value) -> Self {
        self.fields.insert(name.into(), value);
        self
    }
}

impl<T: Into<String>> From<T> for Post {
    fn from(text: T) -> Self {
        Self::text(text)
    }
}

/// Why something a person should do cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// There is no bot with this id.
    #[error("telegram emulator: no bot {0}")]
    UnknownBot(i64),
    /// There is no person with this id.
    #[error("telegram emulator: no user {0}")]
    UnknownUser(i64),
    /// There is no such chat.
    #[error("telegram emulator: no chat {0}")]
    UnknownChat(i64),
    /// There is no such message, or it was deleted.
    #[error("telegram emulator: no message {0}")]
    UnknownMessage(i64),
    /// There is no such topic.
    #[error("telegram emulator: no topic {0}")]
    UnknownTopic(i64),
    /// The message has no button with this data.
    #[error("telegram emulator: message {0} has no such button")]
    UnknownButton(i64),
    /// The person has blocked the bot, or is not allowed to write in the chat.
    #[error("telegram emulator: user {0} cannot write there")]
    NotAllowed(i64),
    /// What was asked for makes no sense for this chat.
    #[error("telegram emulator: {0}")]
    Invalid(&'static str),
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(serde::de::Error::custom)
}

/// A chat several people share, as it is before anything happens in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// Negative; supergroups and channels begin with `-100`.
    pub id: i64,
    /// The name.
    pub title: String,
    /// The public name, without `@`.
    #[serde(default)]
    pub username: Option<String>,
    /// A supergroup with topics.
    #[serde(default)]
    pub forum: bool,
    /// A channel instead of a group.
    #[serde(default)]
    pub channel: bool,
    /// Bots that are in it.
    #[serde(default)]
    pub bots: Vec<i64>,
    /// Bots that are administrators of it.
    #[serde(default)]
    pub admins: Vec<i64>,
}

impl Group {
    /// A group, or a supergroup when the id begins with `-100`.
    pub fn new(id: i64, title: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            username: None,
            forum: false,
            channel: false,
            bots: Vec::new(),
            admins: Vec::new(),
        }
    }

    /// Gives it topics.
    #[must_use]
    pub const fn forum(mut self) -> Self {
        self.forum = true;
        self
    }

    /// Makes it a channel.
    #[must_use]
    pub const fn channel(mut self) -> Self {
        self.channel = true;
        self
    }

    /// Gives it a public name, without `@`.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Puts a bot in.
    #[must_use]
    pub fn bot(mut self, bot: i64) -> Self {
        self.bots.push(bot);
        self
    }

    /// Puts a bot in as an administrator.
    #[must_use]
    pub fn admin(mut self, bot: i64) -> Self {
        self.admins.push(bot);
        self
    }
}
