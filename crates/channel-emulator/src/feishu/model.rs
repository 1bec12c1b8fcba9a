//! Apps, people, chats, messages and cards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::common::json::Parts as _;
use crate::common::socket::Socket;

/// A secret, kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// A self-built app, as [`Feishu::add_app`](super::Feishu::add_app) takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewApp {
    /// `cli_` and 16 hexadecimal digits.
    pub app_id: String,
    /// The App Secret.
    pub secret: String,
    /// The name of the bot.
    pub name: String,
    /// The Verification Token.
    pub verification_token: String,
    /// The Encrypt Key, when one is set: bodies are encrypted and signed.
    pub encrypt_key: Option<String>,
    /// Where events are posted; without an address they go over the long connection.
    pub events_url: Option<String>,
    /// Where callbacks are posted; without an address they go over the long connection.
    pub callbacks_url: Option<String>,
    /// Events come in the older form (`uuid`, `event_callback`).
    pub v1_events: bool,
}

impl Default for NewApp {
    fn default() -> Self {
        Self {
            app_id: "cli_0000000000000001".to_owned(),
            secret: "synthetic_app_secret_0001".to_owned(),
            name: "Kit".to_owned(),
            verification_token: "vt-synthetic-0001".to_owned(),
            encrypt_key: None,
            events_url: None,
            callbacks_url: None,
            v1_events: false,
        }
    }
}

impl NewApp {
    /// An app with these credentials that receives over the long connection.
    #[must_use]
    pub fn new(app_id: &str, secret: &str, name: &str) -> Self {
        Self {
            app_id: app_id.to_owned(),
            secret: secret.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Posts events and callbacks to these addresses.
    #[must_use]
    pub fn webhook(mut self, events: &str, callbacks: &str) -> Self {
        self.events_url = Some(events.to_owned());
        self.callbacks_url = Some(callbacks.to_owned());
        self
    }

    /// Sets Verification Token and Encrypt Key.
    #[must_use]
    pub fn keys(mut self, verification_token: &str, encrypt_key: Option<&str>) -> Self {
        verification_token.clone_into(&mut self.verification_token);
        self.encrypt_key = encrypt_key.map(str::to_owned);
        self
    }
}

/// An app as the platform keeps it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: Hidden,
    pub(crate) name: String,
    pub(crate) open_id: String,
    pub(crate) verification_token: Hidden,
    pub(crate) encrypt_key: Option<Hidden>,
    pub(crate) events: Option<Url>,
    pub(crate) callbacks: Option<Url>,
    pub(crate) v1_events: bool,
    /// Not published: it gets no token and no connection.
    pub(crate) disabled: bool,
    /// Tokens with the time at which they end.
    pub(crate) tokens: Vec<(Hidden, i64)>,
    /// Tickets for the long connection that were not used yet.
    pub(crate) tickets: Vec<(Hidden, i32)>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) queue: VecDeque<Parcel>,
}

/// A long connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) service: i32,
    pub(crate) socket: Socket,
    /// Frames that wait for an answer, by their `message_id`.
    pub(crate) waiting: BTreeMap<String, tokio::sync::oneshot::Sender<Value>>,
}

/// What is delivered at once.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) id: String,
    pub(crate) body: Value,
    /// The callback of a card: answered at once or never.
    pub(crate) callback: Option<String>,
    /// 1 for the first.
    pub(crate) attempt: u32,
    pub(crate) due: Instant,
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Chat {
    /// `p2p`, `group` or `topic`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// People, by `union_id`.
    pub(crate) members: BTreeSet<String>,
    /// Apps whose bot is inside.
    pub(crate) bots: BTreeSet<String>,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Author {
    /// A person, by `union_id`.
    User(String),
    /// An app, by `app_id`.
    App(String),
}

/// A reaction that is on a message.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Reaction {
    /// The `reaction_id`.
    pub id: String,
    /// The name of the emoji.
    pub emoji: String,
    /// Who put it there.
    pub by: Author,
}

/// A message with its history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// The `message_id`.
    pub id: String,
    /// The chat.
    pub chat: String,
    /// Who wrote it.
    pub author: Author,
    /// The `msg_type`.
    pub kind: String,
    /// The content: what the JSON string holds.
    pub content: Value,
    /// Earlier contents, oldest first.
    pub earlier: Vec<Value>,
    /// The first message of the conversation that it replies in.
    pub root: Option<String>,
    /// The message that it replies to.
    pub parent: Option<String>,
    /// The topic.
    pub thread: Option<String>,
    /// Those mentioned, as the platform shows them.
    pub mentions: Vec<Value>,
    /// The reactions on it.
    pub reactions: Vec<Reaction>,
    /// The card entity that it shows.
    pub card: Option<String>,
    /// The `uuid` with which it was sent.
    pub uuid: Option<String>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// It was taken back.
    pub recalled: bool,
}

/// A card entity of cardkit.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CardView {
    /// The `card_id`.
    pub id: String,
    /// The app that made it.
    pub app: String,
    /// As it is now.
    pub card: Value,
    /// The last `sequence`.
    pub sequence: i64,
    /// The texts that one element has had, oldest first.
    pub texts: Vec<String>,
    /// The message that shows it.
    pub message: Option<String>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

impl CardView {
    /// Whether streaming mode is on.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.card.at("config").at("streaming_mode") == true
    }
}

/// A stored file.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) app: Option<String>,
    pub(crate) is_image: bool,
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// The press of a button, from the first moment to the answer.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Press {
    /// The callback token.
    pub token: String,
    /// The app.
    pub app: String,
    /// The message with the card.
    pub message: String,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// What the app answered within the time; null until then.
    pub answer: Option<Value>,
    /// The time passed without an answer, or the answer was an error.
    pub failed: bool,
    /// Late updates made with the token.
    pub updates: u32,
}

/// One try to deliver an event.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The app.
    pub app: String,
    /// The `event_id`.
    pub event: String,
    /// 1 for the first.
    pub attempt: u32,
    /// HTTP status, or the `code` of the frame.
    pub status: Option<i64>,
    /// Why there was none: `no_connection`, `timeout` or `could_not_connect`.
    pub error: Option<String>,
}

/// Something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// No such app.
    #[error("unknown app")]
    UnknownApp,
    /// No such person.
    #[error("unknown user")]
    UnknownUser,
    /// No such chat, or the bot is not in it.
    #[error("unknown chat, or the bot is not in it")]
    UnknownChat,
    /// No such message.
    #[error("unknown message")]
    UnknownMessage,
    /// The card has no such button.
    #[error("the message has no such action")]
    UnknownAction,
    /// Anything else that is wrong with what was asked for.
    #[error("{0}")]
    Invalid(&'static str),
}
