//! Bots, people, chats and messages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::cipher::Key;

/// Tokens that are remembered after their life.
const OLD_TOKENS: usize = 100;

/// A secret, kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// The four products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Product {
    /// A bot of one group: webhook, and a callback where the closed test allows it.
    /// <https://developer.work.weixin.qq.com/document/path/91770>
    #[default]
    Group,
    /// A custom app. <https://developer.work.weixin.qq.com/document/path/90664>
    App,
    /// An AI bot with a callback. <https://developer.work.weixin.qq.com/document/path/101039>
    Ai,
    /// An AI bot on a long connection. <https://developer.work.weixin.qq.com/document/path/101463>
    Link,
}

/// A bot or app, as [`Wecom::add_bot`](super::Wecom::add_bot) takes it.
#[derive(Clone, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewBot {
    /// Which of the products.
    pub product: Product,
    /// The display name.
    pub name: String,
    /// The id of an AI bot; other products get theirs from the platform.
    pub id: String,
    /// The key in the webhook address of a group bot.
    pub key: String,
    /// The corporation of an app.
    pub corp: String,
    /// The number of an app.
    pub agent: u64,
    /// The secret of an app or of a long connection.
    pub secret: String,
    /// Where callbacks go: address, token and EncodingAESKey.
    pub callback: Option<(String, String, String)>,
}

impl Default for NewBot {
    fn default() -> Self {
        Self {
            product: Product::Group,
            name: "Kit".to_owned(),
            id: String::new(),
            key: String::new(),
            corp: String::new(),
            agent: 0,
            secret: String::new(),
            callback: None,
        }
    }
}

impl std::fmt::Debug for NewBot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBot")
            .field("product", &self.product)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl NewBot {
    /// A group bot with this key in its webhook address.
    #[must_use]
    pub fn group(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..Self::default()
        }
    }

    /// An app of a corporation.
    #[must_use]
    pub fn app(corp: &str, secret: &str, agent: u64) -> Self {
        Self {
            product: Product::App,
            corp: corp.to_owned(),
            secret: secret.to_owned(),
            agent,
            ..Self::default()
        }
    }

    /// An AI bot with a callback.
    #[must_use]
    pub fn ai(id: &str) -> Self {
        Self {
            product: Product::Ai,
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// An AI bot on a long connection.
    #[must_use]
    pub fn link(id: &str, secret: &str) -> Self {
        Self {
            product: Product::Link,
            id: id.to_owned(),
            secret: secret.to_owned(),
            ..Self::default()
        }
    }

    /// Sets where callbacks go: address, token and EncodingAESKey. A group bot gets JSON when the address has
    /// `robot_callback_format=json`.
    #[must_use]
    pub fn callback(mut self, url: &str, token: &str, aes_key: &str) -> Self {
        self.callback = Some((url.to_owned(), token.to_owned(), aes_key.to_owned()));
        self
    }

    /// Sets the display name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// Where callbacks go, and how they are sealed.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) url: Url,
    pub(crate) token: Hidden,
    pub(crate) key: Key,
}

/// A bot or app as the platform keeps it.
#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) id: String,
    pub(crate) product: Product,
    pub(crate) name: String,
    pub(crate) key: Hidden,
    pub(crate) corp: String,
    pub(crate) agent: u64,
    pub(crate) secret: Hidden,
    pub(crate) callback: Option<Callback>,
    /// The access token, and until when it lives, in milliseconds.
    pub(crate) token: Option<(Hidden, i64)>,
    /// Tokens that have lived, and what they are answered now.
    pub(crate) old_tokens: VecDeque<(Hidden, i64)>,
    /// Chats that have spoken to it.
    pub(crate) spoken: BTreeSet<String>,
    /// `task_id`s of cards that it has sent.
    pub(crate) tasks: BTreeSet<String>,
    pub(crate) queue: VecDeque<Parcel>,
    /// A first delivery is under way; the next waits for it, so that an endpoint sees the order of the events.
    pub(crate) busy: bool,
}

impl Bot {
    /// What the ciphertext ends with. <https://developer.work.weixin.qq.com/document/path/90968>
    pub(crate) fn receive_id(&self) -> &str {
        match self.product {
            Product::App => &self.corp,
            _ => "",
        }
    }

    /// Puts the access token among those that have lived; it is answered `code` from now on.
    pub(crate) fn retire(&mut self, code: i64) {
        if self.old_tokens.len() >= OLD_TOKENS {
            self.old_tokens.pop_front();
        }
        if let Some((old, _)) = self.token.take() {
            self.old_tokens.push_back((old, code));
        }
    }

    /// The payload of a group bot is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.callback
            .as_ref()
            .and_then(|callback| callback.url.query())
            .is_some_and(|query| query.split('&').any(|p| p == "robot_callback_format=json"))
    }
}

/// What a callback is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topic {
    Message,
    /// An event, by its name.
    Event(String),
    /// A refresh of a stream.
    Poll(String),
}

impl Topic {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Message => "message",
            Self::Event(name) => name,
            Self::Poll(_) => "stream",
        }
    }
}

/// What happened, as far as the answer to it has to know.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) topic: Topic,
    /// The message id, or what tells an event from others.
    pub(crate) id: String,
    pub(crate) chat: String,
    pub(crate) user: String,
    /// Milliseconds since the epoch at which it happened.
    pub(crate) at_ms: i64,
    /// The card that was pressed: message and task id.
    pub(crate) card: Option<(String, String)>,
}

/// A callback on its way.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) cause: Cause,
    /// What is encrypted.
    pub(crate) payload: String,
    /// Counts from 1.
    pub(crate) attempt: u32,
    pub(crate) due: Instant,
}

/// A try to reach the bot.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The bot.
    pub bot: String,
    /// `message`, `stream` for a refresh, `check` for a URL check, or the name of an event.
    pub topic: String,
    /// The message id.
    pub id: String,
    /// Counts from 1.
    pub attempt: u32,
    /// The HTTP status; 200 also for a frame that a long connection took.
    pub status: Option<u16>,
    /// What went wrong, in words; of a passive reply, with the number of the vendor's sample code.
    pub error: Option<String>,
    /// The passive reply in clear.
    pub reply: Option<Value>,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Author {
    /// A person, by userid.
    User(String),
    /// A bot.
    Bot(String),
}

/// How a message came into its chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Via {
    /// A person wrote it.
    Person,
    /// `webhook/send`.
    Webhook,
    /// `message/send` or `appchat/send`.
    Send,
    /// The answer to a callback.
    Passive,
    /// `response_url`.
    ResponseUrl,
    /// `aibot_respond_msg`.
    Respond,
    /// `aibot_respond_welcome_msg`.
    Welcome,
    /// `aibot_send_msg`.
    Push,
}

/// A message in a chat.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// The message id.
    pub id: String,
    /// The bot of the chat.
    pub bot: String,
    /// The userid of a person, or a group.
    pub chat: String,
    /// Who wrote it.
    pub author: Author,
    /// How it came.
    pub via: Via,
    /// `msgtype` and what belongs to it, in the words of the platform; a stream as it is now.
    pub body: Value,
    /// False while a stream may still change.
    pub is_finished: bool,
    /// False when the platform dropped it without a word.
    pub is_delivered: bool,
    /// It was taken back.
    pub is_recalled: bool,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
}

/// A group chat.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<String>,
    pub(crate) bots: BTreeSet<String>,
}

/// A file that the platform keeps.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    /// Whose it is: a bot, or a corporation.
    pub(crate) owner: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) bytes: Bytes,
    pub(crate) at_ms: i64,
    /// It is served encrypted, to whoever knows the address.
    pub(crate) is_sealed: bool,
}

/// A stream that the platform refreshes, or takes frames of.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) bot: String,
    pub(crate) cause: Cause,
    /// The message in the chat.
    pub(crate) message: String,
    /// From when its life counts, in milliseconds.
    pub(crate) since_ms: i64,
    pub(crate) is_finished: bool,
    /// It had its card.
    pub(crate) has_card: bool,
}

/// The address at which a message can be answered once.
#[derive(Debug, Clone)]
pub(crate) struct ResponseCode {
    pub(crate) bot: String,
    pub(crate) chat: String,
    pub(crate) at_ms: i64,
    pub(crate) used: bool,
}

/// The code with which an app changes a card once.
#[derive(Debug, Clone)]
pub(crate) struct CardCode {
    pub(crate) bot: String,
    pub(crate) message: String,
    pub(crate) at_ms: i64,
}

/// An upload in pieces.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) bot: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) count: usize,
    pub(crate) md5: String,
    pub(crate) parts: BTreeMap<usize, Bytes>,
    pub(crate) at_ms: i64,
}

/// Something that people cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// No such bot.
    #[error("unknown bot")]
    UnknownBot,
    /// No such person.
    #[error("unknown user")]
    UnknownUser,
    /// No such chat, or the bot or the person is not in it.
    #[error("unknown chat")]
    UnknownChat,
    /// No such message, or it has no such button.
    #[error("unknown message or button")]
    UnknownMessage,
    /// The product does not do this.
    #[error("the product does not have it: {0}")]
    NotHere(&'static str),
    /// The arguments make no sense.
    #[error("{0}")]
    Invalid(&'static str),
}
