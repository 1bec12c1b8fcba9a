//! Accounts, people, chats and messages.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

/// A secret of a channel, kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// An official account with a Messaging API channel, as [`Line::add_bot`](super::Line::add_bot) takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewBot {
    /// The channel secret.
    pub secret: String,
    /// The channel access token.
    pub token: String,
    /// The display name.
    pub name: String,
    /// The webhook address, when it is set in the console.
    pub webhook: Option<String>,
    /// Webhook redelivery is switched on.
    pub redelivery: bool,
    /// Messages a month that may be pushed; none is without limit.
    pub quota: Option<u64>,
    /// A verified account, which may list members of groups.
    pub verified: bool,
    /// The response mode is "chat": people of the account answer, webhooks come all the same.
    pub chat: bool,
    /// Messages are marked as read by the bot, not by the platform.
    pub manual_read: bool,
}

impl Default for NewBot {
    fn default() -> Self {
        Self {
            secret: "synthetic_channel_secret_0001".to_owned(),
            token: "synthetic-channel-access-token".to_owned(),
            name: "Kit".to_owned(),
            webhook: None,
            redelivery: false,
            quota: None,
            verified: false,
            chat: false,
            manual_read: false,
        }
    }
}

impl NewBot {
    /// An account with these credentials and no webhook.
    #[must_use]
    pub fn new(secret: &str, token: &str, name: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            token: token.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Sets the webhook address.
    #[must_use]
    pub fn webhook(mut self, url: &str) -> Self {
        self.webhook = Some(url.to_owned());
        self
    }

    /// Switches redelivery on.
    #[must_use]
    pub const fn redelivery(mut self) -> Self {
        self.redelivery = true;
        self
    }

    /// Sets the monthly limit.
    #[must_use]
    pub const fn quota(mut self, messages: u64) -> Self {
        self.quota = Some(messages);
        self
    }
}

/// An account as the platform keeps it.
pub(crate) struct Bot {
    pub(crate) id: String,
    pub(crate) secret: Hidden,
    pub(crate) token: Hidden,
    pub(crate) name: String,
    pub(crate) webhook: Option<Url>,
    /// "Use webhook" in the console.
    pub(crate) active: bool,
    pub(crate) redelivery: bool,
    pub(crate) quota: Option<u64>,
    pub(crate) verified: bool,
    pub(crate) chat: bool,
    pub(crate) manual_read: bool,
    pub(crate) friends: BTreeSet<String>,
    pub(crate) blocked_by: BTreeSet<String>,
    /// The month of the count, and messages sent in it.
    pub(crate) usage: (i64, u64),
    pub(crate) queue: VecDeque<Parcel>,
    /// Events wait to be put into one body.
    pub(crate) hold: Option<Vec<Value>>,
    /// A first delivery is under way; the next waits for it, so that an endpoint sees the order of the events.
    pub(crate) busy: bool,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The events of one webhook body on their way.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) events: Vec<Value>,
    /// 1 for the first delivery.
    pub(crate) attempt: u32,
    pub(crate) due: Instant,
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) language: Option<String>,
}

/// A group chat (`C..`) or a chat of several people without a name (`R..`).
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<String>,
    /// At most one official account is in a chat.
    pub(crate) bot: Option<String>,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Author {
    /// A person, by user id.
    User(String),
    /// An official account, by its user id.
    Bot(String),
}

/// Which endpoint brought a message of a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Via {
    /// A person wrote it.
    Person,
    /// `/v2/bot/message/reply`.
    Reply,
    /// `/v2/bot/message/push`.
    Push,
    /// `/v2/bot/message/multicast` or `/v2/bot/message/broadcast`.
    Many,
}

/// A message as it stands in a chat.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// The message id.
    pub id: String,
    /// The account whose chat it is.
    pub bot: String,
    /// The user, group or room id.
    pub chat: String,
    /// Who wrote it.
    pub author: Author,
    /// How it came.
    pub via: Via,
    /// The message object: as sent by a bot, or as shown to it.
    pub message: Value,
    /// Whether people see it: not when they have blocked the account.
    pub delivered: bool,
    /// Whether its author took it back.
    pub unsent: bool,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

impl MessageView {
    /// The text, when it is a text message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.message.get("text").and_then(Value::as_str)
    }
}

/// A file that a person sent.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) bot: String,
    pub(crate) bytes: Bytes,
    pub(crate) kind: String,
    pub(crate) at_ms: i64,
    /// So many requests still find it being prepared.
    pub(crate) preparing: u32,
    pub(crate) failed: bool,
    pub(crate) gone: bool,
    /// Video and audio are transcoded.
    pub(crate) transcoded: bool,
    /// Images and videos have a preview.
    pub(crate) preview: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ReplyToken {
    pub(crate) bot: String,
    pub(crate) chat: String,
    pub(crate) at_ms: i64,
    pub(crate) used: bool,
}

/// A request that was accepted with a retry key.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) request_id: String,
    pub(crate) sent: Value,
    pub(crate) at_ms: i64,
}

/// One try to deliver events to a webhook.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The account.
    pub bot: String,
    /// The `webhookEventId`s in the body, in order.
    pub events: Vec<String>,
    /// 1 for the first.
    pub attempt: u32,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was none: `could_not_connect`, `request_timeout`, or `webhook_off` when none is set and active.
    pub error: Option<String>,
}

/// A loading animation that a bot started.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Loading {
    /// The account.
    pub bot: String,
    /// The user who sees it.
    pub chat: String,
    /// For how long.
    pub seconds: u64,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// Something a person cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// No such account.
    #[error("unknown bot")]
    UnknownBot,
    /// No such person.
    #[error("unknown user")]
    UnknownUser,
    /// No such group or room, or the account is not in it.
    #[error("unknown chat, or the bot is not in it")]
    UnknownChat,
    /// No such message in the chat.
    #[error("unknown message")]
    UnknownMessage,
    /// The message has no such action.
    #[error("the message has no such action")]
    UnknownAction,
    /// The person has blocked the account, or is not in the group.
    #[error("the person cannot do that here")]
    NotAllowed,
    /// Anything else that is wrong with what was asked for.
    #[error("{0}")]
    Invalid(&'static str),
}
