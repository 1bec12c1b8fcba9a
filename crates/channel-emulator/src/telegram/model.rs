//! Users, bots, chats and messages as the platform holds them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::queue::Queue;
use super::webhook::Webhook;

/// Where messages are: a talk of one user with one bot, or a chat that several bots see alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// The private chat of a user and a bot; its `chat.id` is the user's id.
    Private {
        /// The bot's id.
        bot: i64,
        /// The user's id.
        user: i64,
    },
    /// A group, supergroup or channel, by its (negative) id.
    Shared(i64),
}

impl Place {
    /// The place that `bot` means when it writes `chat_id`.
    #[must_use]
    pub const fn new(bot: i64, chat_id: i64) -> Self {
        if chat_id > 0 {
            Self::Private { bot, user: chat_id }
        } else {
            Self::Shared(chat_id)
        }
    }

    /// The `chat.id` that bots see.
    #[must_use]
    pub const fn chat_id(self) -> i64 {
        match self {
            Self::Private { user, .. } => user,
            Self::Shared(id) => id,
        }
    }
}

/// The standing of a bot or user in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// Owns the chat.
    Creator,
    /// Has every administrator right.
    Administrator,
    /// Takes part.
    Member,
    /// Went, or was never there.
    Left,
    /// Was thrown out; in a private chat: the user blocked the bot.
    Kicked,
}

impl Standing {
    pub(crate) const fn is_inside(self) -> bool {
        matches!(self, Self::Creator | Self::Administrator | Self::Member)
    }

    pub(crate) const fn is_admin(self) -> bool {
        matches!(self, Self::Creator | Self::Administrator)
    }

    /// The `ChatMember` object. <https://core.telegram.org/bots/api#chatmember>
    pub(crate) fn member(self, user: &Value) -> Value {
        match self {
            Self::Creator => json!({"status": "creator", "user": user, "is_anonymous": false}),
            Self::Administrator => {
                let mut member = json!({"status": "administrator", "user": user, "can_be_edited": false, "is_anonymous": false});
                for right in [
                    "manage_chat",
                    "delete_messages",
                    "manage_video_chats",
                    "restrict_members",
                    "promote_members",
                    "change_info",
                    "invite_users",
                    "post_stories",
                    "edit_stories",
                    "delete_stories",
                    "pin_messages",
                    "manage_topics",
                ] {
                    if let Some(member) = member.as_object_mut() {
                        member.insert(format!("can_{right}"), true.into());
                    }
                }
                member
            }
            Self::Member => json!({"status": "member", "user": user}),
            Self::Left => json!({"status": "left", "user": user}),
            Self::Kicked => json!({"status": "kicked", "user": user, "until_date": 0}),
        }
    }
}

/// A human account.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) first_name: String,
    pub(crate) username: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) deactivated: bool,
}

impl User {
    pub(crate) fn json(&self) -> Value {
        let mut user = json!({"id": self.id, "is_bot": false, "first_name": self.first_name});
        if let Some(user) = user.as_object_mut() {
            put(user, "username", self.username.as_deref());
            put(user, "language_code", self.language.as_deref());
        }
        user
    }
}

/// Which updates a bot wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All but those that must be asked for.
    Default,
    Only(BTreeSet<String>),
}

/// Kinds an empty `allowed_updates` leaves out.
const ON_REQUEST: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

impl Wanted {
    pub(crate) fn includes(&self, kind: &str) -> bool {
        match self {
            Self::Default => !ON_REQUEST.contains(&kind),
            Self::Only(kinds) => kinds.contains(kind),
        }
    }

    /// Reads `allowed_updates`; `None` (absent or no list of strings) keeps the previous setting.
    pub(crate) fn read(list: Option<Vec<Value>>) -> Option<Self> {
        let kinds: Option<BTreeSet<String>> = list?
            .into_iter()
            .map(|kind| kind.as_str().map(str::to_owned))
            .collect();
        kinds.map(|kinds| {
            if kinds.is_empty() {
                Self::Default
            } else {
                Self::Only(kinds)
            }
        })
    }
}

/// A bot account.
#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) id: i64,
    pub(crate) token: Token,
    pub(crate) username: String,
    pub(crate) privacy: bool,
    pub(crate) topics: bool,
    pub(crate) revoked: bool,
    pub(crate) logged_out_until: i64,
    pub(crate) since: i64,
    pub(crate) wanted: Wanted,
    pub(crate) queue: Queue,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) commands: BTreeMap<(String, String), Vec<Value>>,
}

impl Bot {
    pub(crate) fn json(&self) -> Value {
        json!({"id": self.id, "is_bot": true, "first_name": self.username, "username": self.username})
    }
}

/// A bot token; the platform is not the place where it may leak.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What sort of chat it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Private,
    Group,
    Supergroup,
    Channel,
}

impl Sort {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
            Self::Channel => "channel",
        }
    }
}

/// A chat and everything said in it.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) place: Place,
    pub(crate) sort: Sort,
    pub(crate) title: String,
    pub(crate) username: Option<String>,
    pub(crate) forum: bool,
    pub(crate) bots: BTreeMap<i64, Standing>,
    pub(crate) people: BTreeMap<i64, Standing>,
    pub(crate) messages: BTreeMap<i64, Message>,
    pub(crate) last_message: i64,
    pub(crate) topics: BTreeMap<i64, Topic>,
    pub(crate) migrated_to: Option<i64>,
}

impl Chat {
    pub(crate) fn new(place: Place, sort: Sort, title: &str) -> Self {
        Self {
            place,
            sort,
            title: title.to_owned(),
            username: None,
            forum: false,
            bots: BTreeMap::new(),
            people: BTreeMap::new(),
            messages: BTreeMap::new(),
            // The first message of a shared place is the notice of its creation, before any bot is in it.
            last_message: i64::from(matches!(place, Place::Shared(_))),
            topics: BTreeMap::new(),
            migrated_to: None,
        }
    }

    /// A message that was not deleted.
    pub(crate) fn live(&self, id: i64) -> Option<&Message> {
        self.messages
            .get(&id)
            .filter(|message| message.deleted.is_none())
    }

    pub(crate) fn live_mut(&mut self, id: i64) -> Option<&mut Message> {
        self.messages
            .get_mut(&id)
            .filter(|message| message.deleted.is_none())
    }
}

/// A line of talk inside a forum.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) closed: bool,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Author {
    /// A person.
    User(i64),
    /// A bot.
    Bot(i64),
}

/// A message; `fields` is the part of the object that depends on its kind.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) date: i64,
    pub(crate) author: Author,
    pub(crate) fields: Map<String, Value>,
    pub(crate) thread: Option<i64>,
    pub(crate) reply_to: Option<i64>,
    pub(crate) edited: Option<i64>,
    pub(crate) versions: Vec<Map<String, Value>>,
    pub(crate) deleted: Option<i64>,
    pub(crate) reactions: BTreeMap<i64, Vec<String>>,
}

impl Message {
    pub(crate) fn new(author: Author, fields: Map<String, Value>) -> Self {
        Self {
            id: 0,
            date: 0,
            author,
            fields,
            thread: None,
            reply_to: None,
            edited: None,
            versions: Vec::new(),
            deleted: None,
            reactions: BTreeMap::new(),
        }
    }

    /// The text, or the caption of a file.
    pub(crate) fn words(&self) -> Option<&str> {
        self.fields
            .get("text")
            .or_else(|| self.fields.get("caption"))
            .and_then(Value::as_str)
    }

    pub(crate) fn is_service(&self) -> bool {
        const SERVICE: [&str; 6] = [
            "new_chat_members",
            "left_chat_member",
            "migrate_to_chat_id",
            "migrate_from_chat_id",
            "forum_topic_created",
            "forum_topic_closed",
        ];
        SERVICE.iter().any(|kind| self.fields.contains_key(*kind))
    }

    pub(crate) fn change(&mut self, fields: Map<String, Value>, now: i64) {
        /// Older versions of a message that is streamed word by word are many; the last ones tell enough.
        const MAX_VERSIONS: usize = 1000;
        if self.versions.len() < MAX_VERSIONS {
            self.versions.push(std::mem::take(&mut self.fields));
        }
        self.fields = fields;
        self.edited = Some(now);
    }
}

/// Sets `key` when there is a value.
pub(crate) fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

/// The fields of a JSON object literal.
pub(crate) fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
