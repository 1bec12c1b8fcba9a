//! What a person writes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::model::{de_id, de_ids, de_maybe_id};

/// A file that a person sends.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct PostFile {
    /// Its name.
    pub name: String,
    /// Its bytes; base64 in the control API.
    #[serde(rename = "base64", deserialize_with = "bytes")]
    pub bytes: Bytes,
    /// Its media type; absent: by the name.
    #[serde(default)]
    pub content_type: Option<String>,
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(serde::de::Error::custom)
}

/// Channel and message, as two snowflakes.
fn de_pair<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(u64, u64)>, D::Error> {
    match de_ids(from)?.as_slice() {
        [] => Ok(None),
        [channel, message] => Ok(Some((*channel, *message))),
        _ => Err(serde::de::Error::custom("expected channel and message")),
    }
}

/// A message that a person writes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Post {
    /// The text, with mentions as `<@id>`.
    pub text: String,
    /// Files under it.
    pub files: Vec<PostFile>,
    /// The message it replies to, in the same channel.
    #[serde(deserialize_with = "de_maybe_id")]
    pub reply_to: Option<u64>,
    /// Channel and message that are forwarded.
    #[serde(deserialize_with = "de_pair")]
    pub forward: Option<(u64, u64)>,
    /// Seconds and waveform when it is a voice message; then there is one file.
    pub voice: Option<(f64, String)>,
    /// Names of stickers.
    pub stickers: Vec<String>,
    /// `type` of a system message, such as 7 for a join; absent: an ordinary one.
    pub kind: Option<u64>,
}

impl Post {
    /// Only text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Replies to a message of the channel.
    #[must_use]
    pub const fn reply_to(mut self, message: u64) -> Self {
        self.reply_to = Some(message);
        self
    }

    /// Forwards a message of some channel.
    #[must_use]
    pub const fn forward(mut self, channel: u64, message: u64) -> Self {
        self.forward = Some((channel, message));
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.files.push(PostFile {
            name: name.into(),
            bytes: bytes.into(),
            content_type: None,
        });
        self
    }
}

impl From<&str> for Post {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

/// A bot, as [`Discord::add_bot`](super::Discord::add_bot) takes it.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct NewBot {
    /// The token, without the prefix of the header.
    pub token: String,
    /// The username.
    pub name: String,
    /// Id of application and bot; absent: made up.
    #[serde(default, deserialize_with = "de_maybe_id")]
    pub id: Option<u64>,
    /// Bits of the privileged intents that the portal has on; absent: message content.
    #[serde(default = "content")]
    pub privileged: u64,
    /// The shards that its sessions want at least; 0 and 1: it need not shard.
    #[serde(default)]
    pub shards: u64,
}

const fn content() -> u64 {
    super::sessions::intent::MESSAGE_CONTENT
}

impl std::fmt::Debug for NewBot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBot")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl NewBot {
    /// A bot with the message content intent.
    #[must_use]
    pub fn new(token: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            name: name.into(),
            id: None,
            privileged: content(),
            shards: 0,
        }
    }

    /// Sets the id.
    #[must_use]
    pub const fn id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets which privileged intents the portal has on: bits 1, 8 and 15.
    #[must_use]
    pub const fn privileged(mut self, intents: u64) -> Self {
        self.privileged = intents;
        self
    }

    /// Sets the shards that are wanted.
    #[must_use]
    pub const fn shards(mut self, shards: u64) -> Self {
        self.shards = shards;
        self
    }
}

/// A guild with who is in it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewGuild {
    /// Its name.
    pub name: String,
    /// Its id; absent: made up.
    #[serde(deserialize_with = "de_maybe_id")]
    pub id: Option<u64>,
    /// Bots in it.
    #[serde(deserialize_with = "de_ids")]
    pub bots: Vec<u64>,
    /// People in it.
    #[serde(deserialize_with = "de_ids")]
    pub members: Vec<u64>,
}

impl NewGuild {
    /// A guild with these bots and people.
    #[must_use]
    pub fn new(name: impl Into<String>, bots: &[u64], members: &[u64]) -> Self {
        Self {
            name: name.into(),
            id: None,
            bots: bots.to_vec(),
            members: members.to_vec(),
        }
    }

    /// Sets the id.
    #[must_use]
    pub const fn id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }
}

/// Something a person asks of an application.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ask {
    /// Runs a typed command; the values fit the types that it declares.
    Command {
        /// Its name.
        name: String,
        /// Values of its options, by name.
        #[serde(default)]
        options: BTreeMap<String, Value>,
    },
    /// Types into an option that completes itself.
    Complete {
        /// The command.
        name: String,
        /// The option.
        option: String,
        /// What is typed so far.
        text: String,
    },
    /// Presses a button, or chooses in a select menu.
    Component {
        /// The message.
        #[serde(deserialize_with = "de_id")]
        message: u64,
        /// The component.
        custom_id: String,
        /// What is chosen.
        #[serde(default)]
        values: Vec<String>,
    },
    /// Submits the modal that an interaction has opened.
    Modal {
        /// The interaction that was answered with it.
        #[serde(deserialize_with = "de_id")]
        interaction: u64,
        /// Texts by `custom_id`.
        #[serde(default)]
        values: BTreeMap<String, String>,
    },
}
