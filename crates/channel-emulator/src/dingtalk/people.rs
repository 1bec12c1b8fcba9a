//! What people do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::deliver::{MESSAGES, PRESSES};
use super::engine::Dingtalk;
use super::model::{ActionError, Author, MessageView, Parcel, Press, Stored, Via};
use super::state::{State, log, millis};
use crate::common::json::Parts as _;

/// A message that a person writes; also the shape in which the control API takes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Post {
    /// The `msgtype`; `text` when it is empty, `richText` when `rich` is not.
    pub kind: String,
    /// The text. In groups `@Name` of a robot or of a member is a mention.
    pub text: String,
    /// The content as it is, for kinds that the platform's clients make: `interactiveCard`, `chatRecord` and so on.
    pub content: Value,
    /// The bytes of a `picture`, `file`, `audio` or `video`; base64 in JSON.
    #[serde(rename = "base64", deserialize_with = "bytes")]
    pub bytes: Bytes,
    /// The name of the file.
    pub name: String,
    /// Length of audio and video, in milliseconds.
    pub duration_ms: u64,
    /// What was understood of an audio message.
    pub recognition: String,
    /// The parts of a `richText`.
    pub rich: Vec<Rich>,
    /// The message it replies to.
    pub quote: Option<String>,
    /// In a group it mentions the robots without their names in a text.
    pub to_robots: bool,
}

/// A part of a `richText`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rich {
    /// Some text.
    Text(String),
    /// A picture; base64 in JSON.
    Picture(#[serde(deserialize_with = "bytes")] Bytes),
    /// A mention of a person.
    At(String),
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
    /// A picture, file, voice message or film.
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

    /// Texts, pictures and mentions in one message.
    #[must_use]
    pub fn rich(parts: Vec<Rich>) -> Self {
        Self {
            rich: parts,
            ..Self::default()
        }
    }

    /// Makes it a reply.
    #[must_use]
    pub fn quote(mut self, message: &str) -> Self {
        self.quote = Some(message.to_owned());
        self
    }

    /// In a group it mentions the robots.
    #[must_use]
    pub const fn to_robots(mut self) -> Self {
        self.to_robots = true;
        self
    }

    fn kind(&self) -> &str {
        match self.kind.as_str() {
            "" if !self.rich.is_empty() => "richText",
            "" => "text",
            kind => kind,
        }
    }
}

impl Dingtalk {
    /// Lets a person write to the robot of an app alone; gives the `msgId`.
    ///
    /// # Errors
    /// When app, person or the message replied to is unknown.
    pub fn say(&self, app: &str, user: &str, post: impl Into<Post>) -> Result<String, ActionError> {
        let (post, life) = (post.into(), millis(self.config().session_life));
        self.with(|state| {
            state.app(app)?;
            if !state.users.contains_key(user) {
                return Err(ActionError::UnknownUser);
            }
            let chat = state.direct(app, user);
            state.post(&chat, user, &post, life)
        })
    }

    /// Lets a person write in a group; gives the `msgId`. Robots learn of it that are mentioned.
    ///
    /// # Errors
    /// When group, person or the message replied to is unknown, and for a kind that cannot mention a robot.
    pub fn post(
        &self,
        chat: &str,
        user: &str,
        post: impl Into<Post>,
    ) -> Result<String, ActionError> {
        let (post, life) = (post.into(), millis(self.config().session_life));
        self.with(|state| state.post(chat, user, &post, life))
    }

    /// Presses a button of a card; gives the id of the press.
    ///
    /// # Errors
    /// When the card is unknown, nowhere that this person sees, or has no callback over the stream.
    pub fn press(
        &self,
        card: &str,
        user: &str,
        action: &str,
        params: &Value,
    ) -> Result<String, ActionError> {
        self.with(|state| state.press(card, user, action, params))
    }

    /// Adds the robot of an app to a group, or throws it out. Apps that subscribe to events are told.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn set_robot(
        &self,
        app: &str,
        chat: &str,
        by: &str,
        inside: bool,
    ) -> Result<(), ActionError> {
        self.with(|state| {
            let code = state.app(app)?.robot_code.clone();
            let now = state.now_ms;
            let group = state.chats.get_mut(chat).ok_or(ActionError::UnknownChat)?;
            let kind = if inside {
                group.apps.insert(app.to_owned());
                "im_cool_app_install"
            } else {
                group.apps.remove(app);
                "im_cool_app_uninstall"
            };
            let data = json!({
                "robotCode": code,
                "openConversationId": chat,
                "operator": by,
                "operateTime": now,
            });
            state.event(app, kind, data);
            Ok(())
        })
    }

    /// Sends an event of any kind to an app; gives the `eventId`.
    #[expect(clippy::must_use_candidate, reason = "sending the event is the point")]
    pub fn event(&self, app: &str, kind: &str, data: Value) -> String {
        self.with(|state| state.event(app, kind, data))
    }

    /// Sends a callback of any topic to an app, such as `/v1.0/im/bot/messages/delegate`; gives the id of its delivery.
    #[expect(
        clippy::must_use_candidate,
        reason = "sending the callback is the point"
    )]
    pub fn callback(&self, app: &str, topic: &str, data: Value) -> String {
        self.with(|state| {
            let id = state.uuid();
            let parcel = Parcel {
                kind: "CALLBACK",
                topic: topic.to_owned(),
                id: id.clone(),
                headers: Vec::new(),
                data,
                attempt: 1,
            };
            state.enqueue(app, parcel);
            id
        })
    }
}

impl State {
    fn event(&mut self, app: &str, kind: &str, data: Value) -> String {
        let id = self.uuid();
        let now = self.now_ms.to_string();
        let owner = self.apps.get(app);
        let (corp, unified) = owner
            .map(|app| (app.corp.clone(), app.app_id.clone()))
            .unwrap_or_default();
        let parcel = Parcel {
            kind: "EVENT",
            topic: "*".to_owned(),
            id: id.clone(),
            headers: vec![
                ("eventId", id.clone()),
                ("eventType", kind.to_owned()),
                ("eventCorpId", corp),
                ("eventBornTime", now),
                ("eventUnifiedAppId", unified),
            ],
            data,
            attempt: 1,
        };
        self.enqueue(app, parcel);
        id
    }

    fn post(
        &mut self,
        chat_id: &str,
        user: &str,
        post: &Post,
        life_ms: i64,
    ) -> Result<String, ActionError> {
        let chat = self.chats.get(chat_id).ok_or(ActionError::UnknownChat)?;
        let chat = chat.clone();
        if !chat.members.contains(user) || !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let kind = post.kind().to_owned();
        let is_group = chat.title.is_some();
        if is_group && matches!(kind.as_str(), "audio" | "video" | "file") && post.to_robots {
            return Err(ActionError::Invalid(
                "nobody can mention a robot with audio, video or file",
            ));
        }
        let quoted = match &post.quote {
            None => None,
            Some(id) => {
                let quoted = self.messages.get(id);
                let quoted = quoted.filter(|quoted| quoted.chat == chat_id);
                Some(quoted.ok_or(ActionError::UnknownMessage)?.clone())
            }
        };
        let text = words(post);
        let named: Vec<String> = self.named(&chat.members, post, &text);
        let told: Vec<String> = chat
            .apps
            .iter()
            .filter(|app| {
                let name = self.apps.get(*app).map(|app| app.name.as_str());
                !is_group
                    || post.to_robots
                    || name.is_some_and(|name| text.contains(&format!("@{name}")))
            })
            .cloned()
            .collect();
        let owner = chat.apps.first().cloned().unwrap_or_default();
        let content = self.written(&owner, &kind, post);
        let message = MessageView {
            id: format!("{}+/==", self.id("msg")),
            chat: chat_id.to_owned(),
            author: Author::User(user.to_owned()),
            via: Via::Person,
            kind,
            content,
            mentions: named.clone(),
            key: None,
            card: None,
            emotions: Vec::new(),
            at_ms: self.now_ms,
            recalled: false,
        };
        for app in told {
            let session = self.open_session(&app, chat_id, life_ms);
            let data = self.shown(&app, &chat, &message, &named, &session, quoted.as_ref());
            let parcel = Parcel {
                kind: "CALLBACK",
                topic: MESSAGES.to_owned(),
                id: message.id.clone(),
                headers: Vec::new(),
                data,
                attempt: 1,
            };
            self.enqueue(&app, parcel);
        }
        let id = message.id.clone();
        self.keep(message);
        Ok(id)
    }

    /// The people whom a message mentions.
    fn named(
        &self,
        members: &std::collections::BTreeSet<String>,
        post: &Post,
        text: &str,
    ) -> Vec<String> {
        let is_named = |id: &&String| {
            let name = self.users.get(*id).map(|user| user.name.as_str());
            let by_name = name.is_some_and(|name| text.contains(&format!("@{name}")));
            let by_part = |part: &Rich| matches!(part, Rich::At(user) if user == *id);
            by_name || post.rich.iter().any(by_part)
        };
        members.iter().filter(is_named).cloned().collect()
    }

    /// The content of a message; files are stored for the app whose robot can fetch them.
    fn written(&mut self, app: &str, kind: &str, post: &Post) -> Value {
        if !post.content.is_null() {
            return post.content.clone();
        }
        let mut put = |bytes: &Bytes, name: &str| {
            let file = Stored {
                app: app.to_owned(),
                kind: "message".to_owned(),
                name: name.to_owned(),
                bytes: bytes.clone(),
            };
            self.store("dc", file)
        };
        match kind {
            "text" => json!({ "content": post.text }),
            "markdown" => json!({ "text": post.text }),
            "picture" => {
                let code = put(&post.bytes, "picture");
                json!({"downloadCode": code, "pictureDownloadCode": code})
            }
            "audio" => json!({
                "downloadCode": put(&post.bytes, "audio"),
                "duration": post.duration_ms,
                "recognition": post.recognition,
            }),
            "video" => json!({
                "downloadCode": put(&post.bytes, "video"),
                "duration": (post.duration_ms / 1000).to_string(),
                "videoType": "mp4",
            }),
            "file" => json!({
                "downloadCode": put(&post.bytes, &post.name),
                "fileName": post.name,
                "fileId": "1",
                "spaceId": "2",
            }),
            "richText" => {
                let parts = post.rich.iter().map(|part| match part {
                    Rich::Text(text) => json!({ "text": text }),
                    Rich::Picture(bytes) => {
                        let code = put(bytes, "picture");
                        json!({"type": "picture", "downloadCode": code, "pictureDownloadCode": code})
                    }
                    Rich::At(user) => json!({"type": "at", "atName": user, "atUserId": user}),
                });
                let parts: Vec<Value> = parts.collect();
                json!({ "richText": parts })
            }
            _ => json!({}),
        }
    }

    fn press(
        &mut self,
        id: &str,
        user: &str,
        action: &str,
        params: &Value,
    ) -> Result<String, ActionError> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let card = self.cards.get(id).ok_or(ActionError::UnknownCard)?;
        let sees = |chat: &&String| {
            let chat = self.chats.get(*chat);
            chat.is_some_and(|chat| chat.members.contains(user))
        };
        let chat = card.chats.iter().find(sees).cloned();
        let chat = chat.ok_or(ActionError::UnknownCard)?;
        if card.callback != "STREAM" {
            return Err(ActionError::Invalid(
                "the card has no callback over the stream",
            ));
        }
        let app = card.app.clone();
        let group = self.chats.get(&chat);
        let space = match group.and_then(|chat| chat.title.as_ref()) {
            Some(_) => "IM_GROUP",
            None => "IM_ROBOT",
        };
        let content = json!({"cardPrivateData": {"actionIds": [action], "params": params}});
        let corp = self.apps.get(&app).map(|app| app.corp.clone());
        let data = json!({
            "outTrackId": id,
            "corpId": corp,
            "userId": user,
            "userIdType": 1,
            "spaceId": chat,
            "spaceType": space,
            "type": "actionCallback",
            "extension": "{}",
            "content": content.to_string(),
            "value": content.to_string(),
        });
        let press = self.uuid();
        let parcel = Parcel {
            kind: "CALLBACK",
            topic: PRESSES.to_owned(),
            id: press.clone(),
            headers: Vec::new(),
            data,
            attempt: 1,
        };
        self.enqueue(&app, parcel);
        let entry = Press {
            id: press.clone(),
            app,
            card: id.to_owned(),
            user: user.to_owned(),
            answer: None,
            failed: false,
            at_ms: self.now_ms,
        };
        log(&mut self.presses, entry);
        Ok(press)
    }
}

/// The words of a message in which mentions are looked for.
fn words(post: &Post) -> String {
    let parts = post.rich.iter().map(|part| match part {
        Rich::Text(text) => text.as_str(),
        _ => "",
    });
    let rich: String = parts.collect();
    let of_content = post.content.text("content");
    format!("{}{rich}{of_content}", post.text)
}
