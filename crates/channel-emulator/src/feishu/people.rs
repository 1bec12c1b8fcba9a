//! What people do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::check::mention;
use super::engine::Feishu;
use super::model::{ActionError, Author, MessageView, Press, Reaction, Stored};
use super::state::{State, TENANT, log};
use crate::common::json::Parts as _;

/// A message that a person writes; also the shape in which the control API takes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Post {
    /// The `message_type`; `text` when it is empty.
    pub kind: String,
    /// The text. In groups `@Name` of the bot or of a member is a mention, `@all` of everyone.
    pub text: String,
    /// The content as it is, for kinds that the platform's clients make: `post`, `location` and so on.
    pub content: Value,
    /// The bytes of an `image`, `file`, `audio` or `media`; base64 in JSON.
    #[serde(rename = "base64", deserialize_with = "bytes")]
    pub bytes: Bytes,
    /// The name of the file.
    pub name: String,
    /// Length of audio and video, in milliseconds.
    pub duration_ms: u64,
    /// The message it replies to.
    pub reply_to: Option<String>,
    /// The reply is in a topic.
    pub in_thread: bool,
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| serde::de::Error::custom("expected base64"))
}

impl From<&str> for Post {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

impl Post {
    /// An image, file, voice message or film.
    #[must_use]
    pub fn file(kind: &str, name: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            bytes: bytes.into(),
            ..Self::default()
        }
    }

    /// A content as the platform's clients make it.
    #[must_use]
    pub fn content(kind: &str, content: Value) -> Self {
        Self {
            kind: kind.to_owned(),
            content,
            ..Self::default()
        }
    }

    /// Makes it a reply.
    #[must_use]
    pub fn reply_to(mut self, message: &str) -> Self {
        self.reply_to = Some(message.to_owned());
        self
    }

    /// Makes it a reply in a topic.
    #[must_use]
    pub fn in_thread(mut self, message: &str) -> Self {
        self.in_thread = true;
        self.reply_to(message)
    }
}

impl Feishu {
    /// Lets a person write in a chat; gives the `message_id`. Every bot in the chat is told that may see it: in groups
    /// one that is mentioned, or that reads all.
    ///
    /// # Errors
    /// When chat, person or the message replied to is unknown.
    pub fn post(
        &self,
        chat: &str,
        user: &str,
        post: impl Into<Post>,
    ) -> Result<String, ActionError> {
        let post = post.into();
        self.with(|state| state.post(chat, user, &post))
    }

    /// Lets a person write to an app's bot alone; gives the `message_id`.
    ///
    /// # Errors
    /// As [`Feishu::post`].
    pub fn say(&self, app: &str, user: &str, post: impl Into<Post>) -> Result<String, ActionError> {
        let post = post.into();
        self.with(|state| {
            state.app(app)?;
            let chat = state.p2p(app, user);
            state.post(&chat, user, &post)
        })
    }

    /// Lets a person take a message back.
    ///
    /// # Errors
    /// When it is not there.
    pub fn recall(&self, message: &str) -> Result<(), ActionError> {
        self.with(|state| {
            let now = state.now_ms.to_string();
            let one = state
                .messages
                .get_mut(message)
                .ok_or(ActionError::UnknownMessage)?;
            one.recalled = true;
            let event = json!({
                "message_id": message,
                "chat_id": one.chat,
                "recall_time": now,
                "recall_type": "message_owner",
            });
            let chat = one.chat.clone();
            state.tell(&chat, "im.message.recalled_v1", &event);
            Ok(())
        })
    }

    /// Puts a person's reaction on a message, or takes it off.
    ///
    /// # Errors
    /// When message or person is unknown.
    pub fn react(
        &self,
        message: &str,
        user: &str,
        emoji: &str,
        on: bool,
    ) -> Result<(), ActionError> {
        self.with(|state| state.react(message, user, emoji, on))
    }

    /// Presses the button of a card whose label, name or value is `wanted`; gives the callback token.
    ///
    /// # Errors
    /// When there is no such message or button.
    pub fn press(&self, message: &str, user: &str, wanted: &str) -> Result<String, ActionError> {
        self.with(|state| state.press(message, user, wanted))
    }

    /// Adds the bot of an app to a chat, or throws it out.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn set_bot(
        &self,
        app: &str,
        chat: &str,
        by: &str,
        inside: bool,
    ) -> Result<(), ActionError> {
        self.with(|state| {
            state.app(app)?;
            let found = state.chats.get_mut(chat).ok_or(ActionError::UnknownChat)?;
            let event = json!({
                "chat_id": chat,
                "operator_id": State::ids(app, by),
                "external": false,
                "operator_tenant_key": TENANT,
                "name": found.name,
            });
            let kind = if inside {
                found.bots.insert(app.to_owned());
                "im.chat.member.bot.added_v1"
            } else {
                found.bots.remove(app);
                "im.chat.member.bot.deleted_v1"
            };
            state.emit(app, kind, event);
            Ok(())
        })
    }

    /// Sends an event of any kind to an app; gives the `event_id`.
    #[expect(clippy::must_use_candidate, reason = "sending the event is the point")]
    pub fn event(&self, app: &str, kind: &str, event: Value) -> String {
        self.with(|state| state.emit(app, kind, event))
    }
}

impl State {
    /// Tells every app that has its bot in a chat.
    fn tell(&mut self, chat: &str, kind: &str, event: &Value) {
        let bots = self.chats.get(chat).map(|chat| chat.bots.clone());
        for app in bots.unwrap_or_default() {
            self.emit(&app, kind, event.clone());
        }
    }

    fn post(&mut self, chat: &str, user: &str, post: &Post) -> Result<String, ActionError> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let found = self.chats.get(chat).ok_or(ActionError::UnknownChat)?;
        let (kind, bots, members) = (found.kind, found.bots.clone(), found.members.clone());
        let thread = format!("omt_{}", self.hex());
        let (mut root, mut topic) = (None, None);
        if let Some(parent) = &post.reply_to {
            let parent = self
                .messages
                .get_mut(parent)
                .filter(|parent| parent.chat == chat)
                .ok_or(ActionError::UnknownMessage)?;
            root = Some(parent.root.clone().unwrap_or_else(|| parent.id.clone()));
            if post.in_thread && parent.thread.is_none() {
                parent.thread = Some(thread.clone());
            }
            topic.clone_from(&parent.thread);
        } else if kind == "topic" {
            topic = Some(thread);
        }
        let id = self.id("om_");
        let (content, named) = self.written(post, &bots, &members);
        let message = MessageView {
            id: id.clone(),
            chat: chat.to_owned(),
            author: Author::User(user.to_owned()),
            kind: if post.kind.is_empty() {
                "text".to_owned()
            } else {
                post.kind.clone()
            },
            content,
            earlier: Vec::new(),
            root,
            parent: post.reply_to.clone(),
            thread: topic,
            mentions: Vec::new(),
            reactions: Vec::new(),
            card: None,
            uuid: None,
            at_ms: self.now_ms,
            recalled: false,
        };
        for app in &bots {
            let event = self.received(app, user, kind, &message, &named);
            self.emit(app, "im.message.receive_v1", event);
        }
        self.keep(message);
        Ok(id)
    }

    /// The content of a message, and who is mentioned in it, by app or person, in order.
    fn written(
        &mut self,
        post: &Post,
        bots: &std::collections::BTreeSet<String>,
        members: &std::collections::BTreeSet<String>,
    ) -> (Value, Vec<Author>) {
        if !post.content.is_null() {
            return (post.content.clone(), Vec::new());
        }
        if !post.bytes.is_empty()
            || matches!(post.kind.as_str(), "image" | "file" | "audio" | "media")
        {
            let is_image = post.kind == "image";
            let key = self.store(Stored {
                app: None,
                is_image,
                name: post.name.clone(),
                bytes: post.bytes.clone(),
            });
            let content = match post.kind.as_str() {
                "image" => json!({ "image_key": key }),
                "audio" => json!({"file_key": key, "duration": post.duration_ms}),
                "media" => {
                    json!({"file_key": key, "file_name": post.name, "duration": post.duration_ms})
                }
                "sticker" => json!({ "file_key": key }),
                _ => json!({"file_key": key, "file_name": post.name}),
            };
            return (content, Vec::new());
        }
        let mut text = post.text.replace("@all", "@_all");
        let mut named = Vec::new();
        let names: Vec<(String, Author)> = bots
            .iter()
            .filter_map(|app| {
                let name = self.apps.get(app)?.name.clone();
                Some((name, Author::App(app.clone())))
            })
            .chain(members.iter().filter_map(|union| {
                let name = self.users.get(union)?.name.clone();
                Some((name, Author::User(union.clone())))
            }))
            .collect();
        for (name, who) in names {
            let mark = format!("@{name}");
            if !name.is_empty() && text.contains(&mark) {
                named.push(who);
                text = text.replace(&mark, &format!("@_user_{}", named.len()));
            }
        }
        (json!({ "text": text }), named)
    }

    /// A message as the event shows it to an app.
    fn received(
        &self,
        app: &str,
        user: &str,
        chat_type: &str,
        message: &MessageView,
        named: &[Author],
    ) -> Value {
        let mut shown = json!({
            "message_id": message.id,
            "create_time": message.at_ms.to_string(),
            "update_time": message.at_ms.to_string(),
            "chat_id": message.chat,
            // A topic group is a group to the event.
            "chat_type": if chat_type == "topic" { "group" } else { chat_type },
            "message_type": message.kind,
            "content": message.content.to_string(),
        });
        let optional = [
            ("root_id", &message.root),
            ("parent_id", &message.parent),
            ("thread_id", &message.thread),
        ];
        for (name, id) in optional {
            if let Some(id) = id {
                shown.set(name, json!(id));
            }
        }
        if !named.is_empty() {
            let mentions = named.iter().enumerate().map(|(nth, who)| match who {
                Author::User(union) => mention(self, app, union, nth + 1),
                Author::App(id) => {
                    let bot = self.apps.get(id);
                    json!({
                        "key": format!("@_user_{}", nth + 1),
                        "id": {
                            "open_id": bot.map(|bot| bot.open_id.clone()),
                            "union_id": format!("on_bot_{id}"),
                            "user_id": "",
                        },
                        "name": bot.map(|bot| bot.name.clone()),
                        "tenant_key": TENANT,
                        "mentioned_type": "bot",
                    })
                }
            });
            shown.set("mentions", mentions.collect());
        }
        json!({
            "sender": {
                "sender_id": Self::ids(app, user),
                "sender_type": "user",
                "tenant_key": TENANT,
            },
            "message": shown,
        })
    }

    fn react(
        &mut self,
        message: &str,
        user: &str,
        emoji: &str,
        on: bool,
    ) -> Result<(), ActionError> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let (id, now) = (self.hex(), self.now_ms.to_string());
        let by = Author::User(user.to_owned());
        let one = self
            .messages
            .get_mut(message)
            .ok_or(ActionError::UnknownMessage)?;
        let kind = if on {
            one.reactions.push(Reaction {
                id,
                emoji: emoji.to_owned(),
                by,
            });
            "im.message.reaction.created_v1"
        } else {
            one.reactions
                .retain(|reaction| reaction.by != by || reaction.emoji != emoji);
            "im.message.reaction.deleted_v1"
        };
        let chat = one.chat.clone();
        let bots = self.chats.get(&chat).map(|chat| chat.bots.clone());
        for app in bots.unwrap_or_default() {
            let event = json!({
                "message_id": message,
                "reaction_type": {"emoji_type": emoji},
                "operator_type": "user",
                "user_id": Self::ids(&app, user),
                "action_time": now,
            });
            self.emit(&app, kind, event);
        }
        Ok(())
    }

    fn press(&mut self, message: &str, user: &str, wanted: &str) -> Result<String, ActionError> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let token = format!("c-{}", self.hex());
        let one = self
            .messages
            .get(message)
            .ok_or(ActionError::UnknownMessage)?;
        let Author::App(app) = one.author.clone() else {
            return Err(ActionError::UnknownAction);
        };
        let entity = one.card.as_ref().and_then(|card| self.cards.get(card));
        let card = entity.map_or(&one.content, |entity| &entity.card);
        let action = pressed(card, wanted).ok_or(ActionError::UnknownAction)?;
        let event = json!({
            "operator": {
                "tenant_key": TENANT,
                "open_id": Self::open_id(&app, user),
                "union_id": user,
            },
            "token": token,
            "action": action,
            "host": "im_message",
            "context": {"open_message_id": message, "open_chat_id": one.chat},
        });
        let press = Press {
            token: token.clone(),
            app: app.clone(),
            message: message.to_owned(),
            at_ms: self.now_ms,
            answer: None,
            failed: false,
            updates: 0,
        };
        log(&mut self.presses, press);
        self.emit(&app, "card.action.trigger", event);
        Ok(token)
    }
}

/// The action of the button that is meant, or of the option of a menu.
fn pressed(value: &Value, wanted: &str) -> Option<Value> {
    let is_meant = |value: &Value| {
        value == wanted
            || value.at("content") == wanted
            || value
                .as_object()
                .is_some_and(|fields| fields.values().any(|field| field == wanted))
    };
    match value {
        Value::Array(items) => items.iter().find_map(|item| pressed(item, wanted)),
        Value::Object(fields) => {
            let tag = value.text("tag");
            let behavior = value
                .at("behaviors")
                .as_array()
                .and_then(|all| all.iter().find(|one| one.at("type") == "callback"))
                .map(|one| one.at("value").clone());
            // Cards of the first schema have the value on the button itself.
            let callback = behavior.or_else(|| value.get("value").cloned());
            if tag == "button"
                && let Some(callback) = &callback
                && (is_meant(value.at("text")) || value.at("name") == wanted || is_meant(callback))
            {
                return Some(json!({
                    "tag": "button",
                    "value": callback,
                    "name": value.text("name"),
                    "timezone": "Asia/Shanghai",
                }));
            }
            if tag == "select_static"
                && let Some(option) = value.at("options").as_array().and_then(|options| {
                    let mut options = options.iter();
                    options
                        .find(|option| option.at("value") == wanted || is_meant(option.at("text")))
                })
            {
                return Some(json!({
                    "tag": tag,
                    "value": callback.unwrap_or_else(|| json!({})),
                    "name": value.text("name"),
                    "option": option.at("value"),
                    "timezone": "Asia/Shanghai",
                }));
            }
            fields.values().find_map(|field| pressed(field, wanted))
        }
        _ => None,
    }
}
