//! What the platform is made of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// A snowflake: milliseconds since 2015 in the upper 42 bits.
///
/// <https://docs.discord.com/developers/reference#snowflakes>
pub(crate) type Id = u64;

/// Milliseconds between the Unix epoch and the platform's.
pub(crate) const EPOCH_MS: i64 = 1_420_070_400_000;

/// Something that is not printed.
#[derive(Clone)]
pub(crate) struct Hidden<T>(pub(crate) T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// Why something that a person should do cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// No such bot.
    #[error("discord emulator: no such bot")]
    UnknownBot,
    /// No such person.
    #[error("discord emulator: no such user")]
    UnknownUser,
    /// No such guild.
    #[error("discord emulator: no such guild")]
    UnknownGuild,
    /// No such channel.
    #[error("discord emulator: no such channel")]
    UnknownChannel,
    /// No such message, or not that person's.
    #[error("discord emulator: no such message")]
    UnknownMessage,
    /// No such button, select menu, command or modal.
    #[error("discord emulator: no such component, command or modal")]
    UnknownComponent,
    /// A value that cannot be.
    #[error("discord emulator: {0}")]
    Invalid(&'static str),
}

/// An application with its bot user; both have one id.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: Id,
    pub(crate) token: Hidden<String>,
    pub(crate) name: String,
    /// The seed of the Ed25519 key that signs what is posted to the endpoint.
    pub(crate) seed: Hidden<[u8; 32]>,
    /// Bits of the privileged intents that the portal has on.
    pub(crate) privileged: u64,
    /// Where interactions are posted to.
    pub(crate) endpoint: Option<Url>,
    /// Where webhook events are posted to.
    pub(crate) events: Option<Url>,
    pub(crate) revoked: bool,
    /// Sessions want at least so many shards.
    pub(crate) shards: u64,
    /// When the day of `starts` began, and the sessions started in it.
    pub(crate) starts: (i64, u64),
    /// Last identify per concurrency key, in milliseconds.
    pub(crate) identified: BTreeMap<u64, i64>,
    /// Commands by id; those with a guild belong to it.
    pub(crate) commands: BTreeMap<Id, Command>,
}

/// A registered command.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) guild: Option<Id>,
    pub(crate) kind: u64,
    pub(crate) name: String,
    /// The object as it is shown.
    pub(crate) shown: Value,
}

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// Takes no direct messages from bots.
    pub(crate) closed: bool,
}

/// A guild.
#[derive(Debug)]
pub(crate) struct Guild {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) bots: BTreeSet<Id>,
    pub(crate) members: BTreeSet<Id>,
    pub(crate) joined_ms: i64,
}

/// Kinds of channels. <https://docs.discord.com/developers/resources/channel#channel-object-channel-types>
pub(crate) mod kind {
    pub(crate) const TEXT: u64 = 0;
    pub(crate) const DM: u64 = 1;
    pub(crate) const ANNOUNCEMENT: u64 = 5;
    pub(crate) const ANNOUNCEMENT_THREAD: u64 = 10;
    pub(crate) const PUBLIC_THREAD: u64 = 11;
    pub(crate) const PRIVATE_THREAD: u64 = 12;
    pub(crate) const FORUM: u64 = 15;
}

/// Bits of permissions. <https://docs.discord.com/developers/topics/permissions>
pub(crate) mod permission {
    pub(crate) const ADD_REACTIONS: u64 = 1 << 6;
    pub(crate) const VIEW_CHANNEL: u64 = 1 << 10;
    pub(crate) const SEND_MESSAGES: u64 = 1 << 11;
    pub(crate) const MANAGE_MESSAGES: u64 = 1 << 13;
    pub(crate) const ATTACH_FILES: u64 = 1 << 15;
    pub(crate) const READ_MESSAGE_HISTORY: u64 = 1 << 16;
    pub(crate) const MENTION_EVERYONE: u64 = 1 << 17;
    pub(crate) const MANAGE_THREADS: u64 = 1 << 34;
    pub(crate) const CREATE_PUBLIC_THREADS: u64 = 1 << 35;
    pub(crate) const SEND_IN_THREADS: u64 = 1 << 38;
    /// What a bot has unless it is taken away.
    pub(crate) const ALL: u64 = (1 << 53) - 1;
}

/// A channel, thread or direct conversation.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: Id,
    pub(crate) kind: u64,
    pub(crate) guild: Option<Id>,
    pub(crate) parent: Option<Id>,
    pub(crate) name: String,
    /// Bot and person of a direct conversation.
    pub(crate) pair: Option<(Id, Id)>,
    pub(crate) thread: Option<Thread>,
    pub(crate) messages: BTreeMap<Id, Message>,
    /// Permissions taken away from a bot.
    pub(crate) denied: BTreeMap<Id, u64>,
    /// `rate_limit_per_user`, seconds.
    pub(crate) slow_mode: u64,
    /// When a bot last wrote, for slow mode.
    pub(crate) last_by_bot: BTreeMap<Id, i64>,
}

/// What a thread has beyond a channel.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(crate) owner: Id,
    pub(crate) archived: bool,
    pub(crate) locked: bool,
    pub(crate) auto_archive: u64,
    pub(crate) changed_ms: i64,
    pub(crate) members: BTreeSet<Id>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    User(Id),
    Bot(Id),
}

impl Author {
    pub(crate) const fn id(self) -> Id {
        let (Self::User(id) | Self::Bot(id)) = self;
        id
    }
}

/// Kinds of messages. <https://docs.discord.com/developers/resources/message#message-object-message-types>
pub(crate) mod sort {
    pub(crate) const DEFAULT: u64 = 0;
    pub(crate) const PINNED: u64 = 6;
    pub(crate) const JOIN: u64 = 7;
    pub(crate) const REPLY: u64 = 19;
    pub(crate) const COMMAND: u64 = 20;
}

/// Bits of message flags. <https://docs.discord.com/developers/resources/message#message-object-message-flags>
pub(crate) mod flag {
    pub(crate) const SUPPRESS_EMBEDS: u64 = 1 << 2;
    pub(crate) const HAS_THREAD: u64 = 1 << 5;
    pub(crate) const EPHEMERAL: u64 = 1 << 6;
    pub(crate) const LOADING: u64 = 1 << 7;
    pub(crate) const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;
    pub(crate) const VOICE: u64 = 1 << 13;
    pub(crate) const COMPONENTS_V2: u64 = 1 << 15;
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: Id,
    pub(crate) channel: Id,
    pub(crate) author: Author,
    pub(crate) kind: u64,
    pub(crate) content: String,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) stickers: Vec<Value>,
    /// Kind of the reference (0 reply, 1 forward), the channel and the message.
    pub(crate) reference: Option<(u64, Id, Id)>,
    pub(crate) edited_ms: Option<i64>,
    pub(crate) nonce: Option<Value>,
    pub(crate) flags: u64,
    pub(crate) pinned: bool,
    pub(crate) tts: bool,
    pub(crate) mentions: Vec<Id>,
    pub(crate) mention_roles: Vec<Id>,
    pub(crate) mention_everyone: bool,
    pub(crate) reactions: Vec<Reaction>,
    /// The interaction that it answers.
    pub(crate) interaction: Option<Id>,
    /// The only person who sees it.
    pub(crate) only_for: Option<Id>,
}

/// An emoji under a message and who put it there.
#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub(crate) emoji: Emoji,
    pub(crate) by: Vec<Id>,
}

/// An emoji: of Unicode, or of a guild with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Emoji {
    pub(crate) id: Option<Id>,
    pub(crate) name: String,
}

/// A file under a message.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Bytes,
    /// Seconds and waveform of a voice message.
    pub(crate) voice: Option<(f64, String)>,
}

/// How far an interaction has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody has answered.
    Open,
    /// Answered, with this callback type.
    Acknowledged(u64),
}

/// Something a person asked of an application.
#[derive(Debug, Clone)]
pub(crate) struct Interaction {
    pub(crate) id: Id,
    pub(crate) app: Id,
    pub(crate) token: String,
    pub(crate) kind: u64,
    pub(crate) channel: Id,
    pub(crate) user: Id,
    pub(crate) at_ms: i64,
    pub(crate) stage: Stage,
    /// The name of the command.
    pub(crate) name: Option<String>,
    /// The message whose component was used.
    pub(crate) message: Option<Id>,
    /// The message that answers it.
    pub(crate) original: Option<Id>,
    /// Choices of an autocompletion, or the modal that was opened.
    pub(crate) shown: Option<Value>,
}

/// What the endpoint was sent and how it answered.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The bot.
    #[serde(serialize_with = "text")]
    pub bot: u64,
    /// The interaction, when it is one.
    #[serde(serialize_with = "maybe_text")]
    pub interaction: Option<u64>,
    /// The signature was wrong on purpose.
    pub wrong_signature: bool,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// What went wrong in words.
    pub error: Option<String>,
}

/// Serialises a snowflake as the platform does.
pub(crate) fn text<S: serde::Serializer>(id: &Id, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}

/// As [`text`], for one that may be absent.
#[expect(clippy::ref_option, reason = "serde hands it over so")]
pub(crate) fn maybe_text<S: serde::Serializer>(id: &Option<Id>, to: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => to.collect_str(id),
        None => to.serialize_none(),
    }
}

/// Reads a snowflake that is a string or a number.
pub(crate) fn read_id(value: &Value) -> Option<Id> {
    match value {
        Value::String(text) if text.len() <= 20 => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

/// A snowflake as the control API takes it: a string or a number.
pub(crate) fn de_id<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Id, D::Error> {
    let value = Value::deserialize(from)?;
    read_id(&value).ok_or_else(|| serde::de::Error::custom("expected a snowflake"))
}

/// As [`de_id`], for one that may be absent.
pub(crate) fn de_maybe_id<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Id>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read_id(&value)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom("expected a snowflake")),
    }
}

/// As [`de_id`], for a list.
pub(crate) fn de_ids<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Id>, D::Error> {
    Vec::<Value>::deserialize(from)?
        .iter()
        .map(|value| read_id(value).ok_or_else(|| serde::de::Error::custom("expected a snowflake")))
        .collect()
}

/// Appends to a bounded log.
pub(crate) fn log<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= 10_000 {
        entries.pop_front();
    }
    entries.push_back(entry);
}
