//! Apps, people, conversations, messages and cards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use crate::common::socket::Socket;

/// A secret, kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// An internal app with the capability Robot, as [`Dingtalk::add_app`](super::Dingtalk::add_app) takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewApp {
    /// The Client ID, also called `AppKey`.
    pub client_id: String,
    /// The Client Secret, also called `AppSecret`.
    pub secret: String,
    /// The robot code; the Client ID when it is absent.
    pub robot_code: Option<String>,
    /// The name of the robot.
    pub name: String,
    /// The organisation.
    pub corp: String,
    /// Where HTTP mode posts messages; without an address the robot is in stream mode.
    pub webhook_url: Option<String>,
    /// Published card templates with the variables of each that can be streamed. None at all: any template and variable.
    pub templates: BTreeMap<String, BTreeSet<String>>,
    /// Permissions that the app lacks, such as `Card.Streaming.Write` or `qyapi_robot_sendmsg`.
    pub denied: BTreeSet<String>,
}

impl Default for NewApp {
    fn default() -> Self {
        Self {
            client_id: "ding0001".to_owned(),
            secret: "appSecret-synthetic-0001".to_owned(),
            robot_code: None,
            name: "Kit".to_owned(),
            corp: "corp1".to_owned(),
            webhook_url: None,
            templates: BTreeMap::new(),
            denied: BTreeSet::new(),
        }
    }
}

impl NewApp {
    /// An app with these credentials in stream mode.
    #[must_use]
    pub fn new(client_id: &str, secret: &str, name: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            secret: secret.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Sets robot code and organisation.
    #[must_use]
    pub fn robot(mut self, code: &str, corp: &str) -> Self {
        self.robot_code = Some(code.to_owned());
        corp.clone_into(&mut self.corp);
        self
    }

    /// Puts the robot into HTTP mode.
    #[must_use]
    pub fn webhook(mut self, url: &str) -> Self {
        self.webhook_url = Some(url.to_owned());
        self
    }

    /// Adds a published card template with the variables that can be streamed.
    #[must_use]
    pub fn template(mut self, id: &str, variables: &[&str]) -> Self {
        let variables = variables.iter().map(|name| (*name).to_owned()).collect();
        self.templates.insert(id.to_owned(), variables);
        self
    }

    /// Takes a permission from the app.
    #[must_use]
    pub fn without(mut self, permission: &str) -> Self {
        self.denied.insert(permission.to_owned());
        self
    }
}

/// A custom robot of a group, as [`Dingtalk::add_robot`](super::Dingtalk::add_robot) takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewRobot {
    /// The `access_token` in its address.
    pub token: String,
    /// The secret, when its security setting is the signature.
    pub secret: Option<String>,
    /// The word that every message has to hold, when its security setting is a keyword.
    pub keyword: Option<String>,
    /// Its group.
    pub group: String,
}

impl NewRobot {
    /// A robot of a group without any security setting.
    #[must_use]
    pub fn new(token: &str, group: &str) -> Self {
        Self {
            token: token.to_owned(),
            group: group.to_owned(),
            ..Self::default()
        }
    }

    /// Its messages have to be signed.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// Its messages have to hold this word.
    #[must_use]
    pub fn keyword(mut self, keyword: &str) -> Self {
        self.keyword = Some(keyword.to_owned());
        self
    }
}

/// A custom robot as the platform keeps it.
#[derive(Debug)]
pub(crate) struct Robot {
    pub(crate) secret: Option<Hidden>,
    pub(crate) keyword: Option<String>,
    pub(crate) group: String,
    /// Until when it is blocked, in milliseconds since the epoch.
    pub(crate) blocked_until: i64,
}

/// An app as the platform keeps it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: Hidden,
    pub(crate) robot_code: String,
    pub(crate) name: String,
    pub(crate) corp: String,
    /// The `appId` of frames.
    pub(crate) app_id: String,
    /// The `chatbotUserId`.
    pub(crate) bot_id: String,
    pub(crate) webhook: Option<Url>,
    pub(crate) templates: BTreeMap<String, BTreeSet<String>>,
    pub(crate) denied: BTreeSet<String>,
    pub(crate) disabled: bool,
    /// Tokens with the time at which they end.
    pub(crate) tokens: Vec<(Hidden, i64)>,
    /// Tickets that were not used yet.
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) connections: Vec<Connection>,
    /// What has to be pushed, oldest first.
    pub(crate) queue: VecDeque<Parcel>,
    /// What a fault holds back until the next one has gone.
    pub(crate) held: Option<Parcel>,
    /// What was pushed and not acknowledged, by `messageId`; ids grow, so the first one ends first.
    pub(crate) waiting: BTreeMap<String, Pushed>,
}

/// The right to open one connection.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) value: Hidden,
    pub(crate) topics: Vec<(String, String)>,
    pub(crate) ends: i64,
}

/// A stream connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) socket: Socket,
    /// Type and topic of each subscription.
    pub(crate) topics: Vec<(String, String)>,
    /// The disconnect notice was sent: nothing is pushed any more.
    pub(crate) draining: bool,
    pub(crate) drained: Arc<Notify>,
    /// The `ping` that was not answered yet: its `messageId`, its data and when it was sent.
    pub(crate) ping: Option<(String, Value, Instant)>,
    pub(crate) pongs: u64,
}

impl Connection {
    pub(crate) fn takes(&self, kind: &str, topic: &str) -> bool {
        let wanted = |(own, name): &(String, String)| own == kind && (name == topic || name == "*");
        !self.draining && self.topics.iter().any(wanted)
    }
}

/// Something to be pushed to an app.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// `EVENT` or `CALLBACK`.
    pub(crate) kind: &'static str,
    pub(crate) topic: String,
    /// What stays the same when it is pushed again: `msgId`, `eventId`, or the id of a press.
    pub(crate) id: String,
    /// Headers of events.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) data: Value,
    /// 1 for the first push.
    pub(crate) attempt: u32,
}

/// A parcel on its way.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) parcel: Parcel,
    pub(crate) connection: String,
    pub(crate) deadline: Instant,
    /// It was answered with something else than code 200 and `SUCCESS`.
    pub(crate) refused: bool,
}

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Absent for people outside the organisation.
    pub(crate) staff_id: Option<String>,
    pub(crate) sender_id: String,
    /// Batch sends do not reach this person: flow control.
    pub(crate) is_limited: bool,
}

/// A conversation: a group, or one person with one robot.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    /// Absent in a conversation of one person with one robot.
    pub(crate) title: Option<String>,
    /// People.
    pub(crate) members: BTreeSet<String>,
    /// Apps whose robot is inside.
    pub(crate) apps: BTreeSet<String>,
}

/// The right to answer through a `sessionWebhook`.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) app: String,
    pub(crate) chat: String,
    pub(crate) ends: i64,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Author {
    /// A person.
    User(String),
    /// The robot of an app, by client id.
    App(String),
    /// A custom robot of a group.
    Custom,
}

/// The way by which a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Via {
    /// A person wrote it.
    Person,
    /// `sessionWebhook`.
    Session,
    /// The answer to a post of HTTP mode.
    Answer,
    /// The webhook of a custom robot.
    Custom,
    /// `oToMessages/batchSend`.
    Batch,
    /// `groupMessages/send`.
    Group,
    /// A card that was delivered.
    Card,
}

/// An emotion that a robot has put on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Emotion {
    /// The `emotionId` of the text emotion.
    pub id: String,
    /// The `emotionName`.
    pub name: String,
    /// The app.
    pub app: String,
}

/// A message with its history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// The `msgId`.
    pub id: String,
    /// The conversation.
    pub chat: String,
    /// Who wrote it.
    pub author: Author,
    /// How it came.
    pub via: Via,
    /// The `msgtype` or `msgKey`.
    pub kind: String,
    /// What is inside: the object of the `msgtype`, or the parsed `msgParam`.
    pub content: Value,
    /// Those mentioned for whom the text holds the mark; `all` for everyone.
    pub mentions: Vec<String>,
    /// The `processQueryKey`.
    pub key: Option<String>,
    /// The card that it shows.
    pub card: Option<String>,
    /// The emotions on it.
    pub emotions: Vec<Emotion>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// It was taken back.
    pub recalled: bool,
}

/// A card instance.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CardView {
    /// The `outTrackId`, or the `cardBizId`.
    pub id: String,
    /// The app that made it.
    pub app: String,
    /// The `cardTemplateId`.
    pub template: String,
    /// The `callbackType`.
    pub callback: String,
    /// Its variables as they are now.
    pub variables: BTreeMap<String, String>,
    /// Variables that only one person sees.
    pub private: BTreeMap<String, Value>,
    /// The `cardData` of a card of the older kind.
    pub data: Value,
    /// The texts that streaming has shown, oldest first.
    pub texts: Vec<String>,
    /// The last streaming call said `isFinalize`.
    pub is_final: bool,
    /// The last streaming call said `isError`.
    pub is_error: bool,
    /// Conversations in which it was delivered.
    pub chats: Vec<String>,
    /// Kinds of space for which it has a model.
    #[serde(skip)]
    pub(crate) spaces: BTreeSet<String>,
    /// What was streamed already.
    #[serde(skip)]
    pub(crate) guids: BTreeSet<String>,
    /// How often it was changed by `PUT`.
    pub updates: u32,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// A stored file.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The app that has uploaded it, or whose robot was given it.
    pub(crate) app: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// The press of a button, from the first moment to the answer.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Press {
    /// Its number in the emulator; the platform shows none.
    pub id: String,
    /// The app.
    pub app: String,
    /// The card.
    pub card: String,
    /// Who pressed.
    pub user: String,
    /// What the app answered; null until then.
    pub answer: Option<Value>,
    /// The app answered with a code that is not 200.
    pub failed: bool,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// How one push of a message, a press or an event ended.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The app.
    pub app: String,
    /// What was pushed: `msgId`, `eventId` or the id of the press.
    pub id: String,
    /// The `messageId` of the frame; empty in HTTP mode.
    pub message_id: String,
    /// The connection; empty in HTTP mode.
    pub connection: String,
    /// 1 for the first.
    pub attempt: u32,
    /// `code` of the acknowledgement, or HTTP status.
    pub status: Option<i64>,
    /// The `data` of the acknowledgement, or the answer of HTTP mode.
    pub data: Value,
    /// What went wrong: `timeout`, `later`, `refused`, `lost`, `given_up` or `could_not_connect`.
    pub error: Option<&'static str>,
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
    /// No such conversation, or the robot is not in it.
    #[error("unknown conversation, or the robot is not in it")]
    UnknownChat,
    /// No such message.
    #[error("unknown message")]
    UnknownMessage,
    /// No such card.
    #[error("unknown card")]
    UnknownCard,
    /// Anything else that is wrong with what was asked for.
    #[error("{0}")]
    Invalid(&'static str),
}
