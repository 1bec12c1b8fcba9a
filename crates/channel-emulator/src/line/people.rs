//! What people do, and the events it makes.
//!
//! <https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects>

use serde_json::{Map, Value, json};

use super::model::{ActionError, Author, Content, Via};
use super::post::{Post, PostKind};
use super::state::{State, bound};

/// Who the console says wrote its events.
const NOBODY: &str = "Udeadbeefdeadbeefdeadbeefdeadbeef";

type Done<T> = Result<T, ActionError>;

impl State {
    /// Checks that a person can act in a chat with the bot. A person becomes a friend with the first message.
    fn enter(&mut self, bot: &str, chat: &str, user: &str) -> Done<()> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let account = self.bots.get_mut(bot).ok_or(ActionError::UnknownBot)?;
        if let Some(group) = self.groups.get(chat) {
            if group.bot.as_deref() != Some(bot) {
                return Err(ActionError::UnknownChat);
            }
            return group
                .members
                .contains(user)
                .then_some(())
                .ok_or(ActionError::NotAllowed);
        }
        if chat != user {
            return Err(ActionError::UnknownChat);
        }
        if account.blocked_by.contains(user) {
            return Err(ActionError::NotAllowed);
        }
        account.friends.insert(user.to_owned());
        Ok(())
    }

    /// Writes a message and tells the bot; gives the message id.
    pub(crate) fn post(&mut self, at: (&str, &str), user: &str, post: &Post) -> Done<String> {
        self.enter(at.0, at.1, user)?;
        if let Some(quoted) = &post.quote
            && self.find(at.0, at.1, quoted).is_none()
        {
            return Err(ActionError::UnknownMessage);
        }
        let id = self.message_id();
        let mut message = self.content(at, &id, post)?;
        if matches!(
            post.kind,
            PostKind::Text | PostKind::Sticker | PostKind::Image | PostKind::Video
        ) {
            let token = self.token();
            bound(&mut self.quotes);
            let target = (at.0.to_owned(), at.1.to_owned(), id.clone());
            self.quotes.insert(token.clone(), target);
            message.insert("quoteToken".into(), token.into());
        }
        if self.bots.get(at.0).is_some_and(|bot| bot.manual_read) {
            let token = self.token();
            bound(&mut self.read_tokens);
            self.read_tokens.insert(token.clone(), id.clone());
            message.insert("markAsReadToken".into(), token.into());
        }
        if let Some(quoted) = &post.quote {
            message.insert("quotedMessageId".into(), quoted.as_str().into());
        }
        let message = Value::from(message);
        let author = Author::User(user.to_owned());
        self.store(at, id.clone(), author, Via::Person, message.clone());
        let shown = (!post.anonymous).then_some(user);
        self.emit(at, shown, "message", true, json!({"message": message}));
        Ok(id)
    }

    /// The message object.
    fn content(&mut self, at: (&str, &str), id: &str, post: &Post) -> Done<Map<String, Value>> {
        let mut message = Map::from_iter([
            ("id".to_owned(), Value::from(id)),
            ("type".to_owned(), post.kind.name().into()),
        ]);
        match post.kind {
            PostKind::Text => {
                message.insert("text".into(), post.text.as_str().into());
                let found = post
                    .mentionees
                    .clone()
                    .unwrap_or_else(|| self.mentionees(at, &post.text));
                if !found.is_empty() {
                    message.insert("mention".into(), json!({"mentionees": found}));
                }
                if let Some(emojis) = &post.emojis {
                    message.insert("emojis".into(), emojis.clone().into());
                }
            }
            PostKind::Sticker => {
                let (package, sticker) = post
                    .sticker
                    .as_ref()
                    .ok_or(ActionError::Invalid("a sticker has a package and an id"))?;
                message.insert("packageId".into(), package.as_str().into());
                message.insert("stickerId".into(), sticker.as_str().into());
                message.insert("stickerResourceType".into(), "STATIC".into());
                message.insert("keywords".into(), json!(["ok", "smile"]));
            }
            PostKind::Location => {
                if let Some((title, address)) = &post.place {
                    message.insert("title".into(), title.as_str().into());
                    message.insert("address".into(), address.as_str().into());
                }
                message.insert("latitude".into(), post.coordinates.0.into());
                message.insert("longitude".into(), post.coordinates.1.into());
            }
            PostKind::File => {
                let name = post.name.as_deref().unwrap_or("file");
                message.insert("fileName".into(), name.into());
                message.insert("fileSize".into(), post.bytes.len().into());
                self.upload(at.0, id, post);
            }
            PostKind::Image | PostKind::Video | PostKind::Audio => {
                self.media(at.0, id, post, &mut message);
            }
        }
        Ok(message)
    }

    fn media(&mut self, bot: &str, id: &str, post: &Post, message: &mut Map<String, Value>) {
        let provider = match &post.external {
            Some(url) => json!({
                "type": "external", "originalContentUrl": url, "previewImageUrl": url,
            }),
            None => {
                self.upload(bot, id, post);
                json!({"type": "line"})
            }
        };
        message.insert("contentProvider".into(), provider);
        if post.kind != PostKind::Image {
            message.insert("duration".into(), post.duration_ms.max(1000).into());
        }
        if let Some((set, index, total)) = &post.image_set {
            let set = json!({"id": set, "index": index, "total": total});
            message.insert("imageSet".into(), set);
        }
    }

    /// Keeps the bytes of a message for the data host.
    fn upload(&mut self, bot: &str, id: &str, post: &Post) {
        let usual = match post.kind {
            PostKind::Image => "image/jpeg",
            PostKind::Video => "video/mp4",
            PostKind::Audio => "audio/x-m4a",
            _ => "application/octet-stream",
        };
        let content = Content {
            bot: bot.to_owned(),
            bytes: post.bytes.clone(),
            kind: post.mime.clone().unwrap_or_else(|| usual.to_owned()),
            at_ms: self.now_ms,
            preparing: post.preparing,
            failed: post.broken,
            gone: false,
            transcoded: matches!(post.kind, PostKind::Video | PostKind::Audio),
            preview: matches!(post.kind, PostKind::Image | PostKind::Video),
        };
        self.keep(id, content);
    }

    /// `@Name` of the bot or a member, and `@All`, in UTF-16 code units. Only groups and rooms have mentions.
    fn mentionees(&self, (bot, chat): (&str, &str), text: &str) -> Vec<Value> {
        let Some(group) = self.groups.get(chat) else {
            return Vec::new();
        };
        let mut names = vec![("All".to_owned(), json!({"type": "all"}))];
        if let Some(account) = self.bots.get(bot) {
            let own = json!({"type": "user", "userId": bot, "isSelf": true});
            names.push((account.name.clone(), own));
        }
        for id in &group.members {
            if let Some(user) = self.users.get(id) {
                let other = json!({"type": "user", "userId": id, "isSelf": false});
                names.push((user.name.clone(), other));
            }
        }
        // The longest name first: `@Ann Lee` is not `@Ann`.
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let mut found = Vec::new();
        for (at, _) in text.match_indices('@') {
            let (before, rest) = text.split_at(at);
            let named = |(name, _): &&(String, Value)| {
                rest.strip_prefix('@')
                    .is_some_and(|rest| rest.starts_with(name.as_str()))
            };
            let Some((name, mentionee)) = names.iter().find(named) else {
                continue;
            };
            let mut mentionee = mentionee.clone();
            if let Some(fields) = mentionee.as_object_mut() {
                fields.insert("index".into(), before.encode_utf16().count().into());
                let length = 1 + name.encode_utf16().count();
                fields.insert("length".into(), length.into());
            }
            found.push(mentionee);
        }
        found
    }

    /// Takes a message back; its author alone can.
    pub(crate) fn unsend(&mut self, at: (&str, &str), user: &str, id: &str) -> Done<()> {
        self.enter(at.0, at.1, user)?;
        let own = Author::User(user.to_owned());
        let message = self
            .messages
            .iter_mut()
            .find(|m| m.id == id && m.bot == at.0 && m.chat == at.1 && m.author == own)
            .ok_or(ActionError::UnknownMessage)?;
        message.unsent = true;
        if let Some(content) = self.contents.get_mut(id) {
            content.gone = true;
        }
        let fields = json!({"unsend": {"messageId": id}});
        self.emit(at, Some(user), "unsend", false, fields);
        Ok(())
    }

    /// Presses the button of a bot's message that has this postback data, this message text or this label.
    pub(crate) fn press(
        &mut self,
        at: (&str, &str),
        user: &str,
        id: &str,
        wanted: &str,
        params: Option<Value>,
    ) -> Done<()> {
        self.enter(at.0, at.1, user)?;
        let message = self
            .find(at.0, at.1, id)
            .ok_or(ActionError::UnknownMessage)?;
        let action = match &message.author {
            Author::Bot(_) => action(&message.message, wanted).cloned(),
            Author::User(_) => None,
        };
        let action = action.ok_or(ActionError::UnknownAction)?;
        let text = |name: &str| action.get(name).and_then(Value::as_str).unwrap_or("");
        if text("type") == "message" {
            return self.post(at, user, &Post::text(text("text"))).map(drop);
        }
        let mut postback = Map::from_iter([("data".to_owned(), Value::from(text("data")))]);
        if let Some(params) = params {
            postback.insert("params".into(), params);
        }
        let fields = json!({"postback": postback});
        self.emit(at, Some(user), "postback", true, fields);
        // `text` is sent as a message of the person; `displayText` is only shown.
        if !text("text").is_empty() {
            self.post(at, user, &Post::text(text("text")))?;
        }
        Ok(())
    }

    /// Adds the account as a friend, or unblocks it.
    pub(crate) fn follow(&mut self, bot: &str, user: &str) -> Done<()> {
        self.known(bot, user)?;
        let account = self.bots.get_mut(bot).ok_or(ActionError::UnknownBot)?;
        let unblocked = account.blocked_by.remove(user);
        account.friends.insert(user.to_owned());
        let fields = json!({"follow": {"isUnblocked": unblocked}});
        self.emit((bot, user), None, "follow", true, fields);
        Ok(())
    }

    /// Blocks the account.
    pub(crate) fn unfollow(&mut self, bot: &str, user: &str) -> Done<()> {
        self.known(bot, user)?;
        let account = self.bots.get_mut(bot).ok_or(ActionError::UnknownBot)?;
        account.blocked_by.insert(user.to_owned());
        self.emit((bot, user), None, "unfollow", false, json!({}));
        Ok(())
    }

    fn known(&self, bot: &str, user: &str) -> Done<()> {
        if !self.bots.contains_key(bot) {
            return Err(ActionError::UnknownBot);
        }
        self.users
            .contains_key(user)
            .then_some(())
            .ok_or(ActionError::UnknownUser)
    }

    /// Invites the account into a group, or throws it out.
    pub(crate) fn set_joined(&mut self, bot: &str, chat: &str, inside: bool) -> Done<()> {
        if !self.bots.contains_key(bot) {
            return Err(ActionError::UnknownBot);
        }
        let group = self.groups.get_mut(chat).ok_or(ActionError::UnknownChat)?;
        match (&group.bot, inside) {
            (Some(other), true) if other != bot => {
                return Err(ActionError::Invalid(
                    "another official account is in the chat",
                ));
            }
            (now, false) if now.as_deref() != Some(bot) => return Err(ActionError::UnknownChat),
            _ => {}
        }
        group.bot = inside.then(|| bot.to_owned());
        let kind = if inside { "join" } else { "leave" };
        self.emit((bot, chat), None, kind, inside, json!({}));
        Ok(())
    }

    /// Lets a person enter or leave a group.
    pub(crate) fn set_member(&mut self, chat: &str, user: &str, inside: bool) -> Done<()> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let group = self.groups.get_mut(chat).ok_or(ActionError::UnknownChat)?;
        let changed = if inside {
            group.members.insert(user.to_owned())
        } else {
            group.members.remove(user)
        };
        if let (true, Some(bot)) = (changed, group.bot.clone()) {
            let members = json!({"members": [{"type": "user", "userId": user}]});
            let (kind, fields) = if inside {
                ("memberJoined", json!({"joined": members}))
            } else {
                ("memberLeft", json!({"left": members}))
            };
            self.emit((&bot, chat), None, kind, inside, fields);
        }
        Ok(())
    }

    /// The two events with dummy reply tokens that a console's "Verify" sent in the past.
    pub(crate) fn verify(&mut self, bot: &str) -> Done<()> {
        if !self.bots.contains_key(bot) {
            return Err(ActionError::UnknownBot);
        }
        let text = json!({
            "type": "text", "id": "100001", "text": "Hello, world", "quoteToken": "quote-1",
        });
        let sticker = json!({
            "type": "sticker", "id": "100002", "packageId": "1", "stickerId": "1", "quoteToken": "quote-2",
            "stickerResourceType": "STATIC",
        });
        let events = [("0", text), ("f", sticker)].map(|(digit, message)| {
            json!({
                "type": "message", "mode": "active", "timestamp": self.now_ms,
                "source": {"type": "user", "userId": NOBODY}, "replyToken": digit.repeat(32),
                "webhookEventId": format!("{:0>26}", digit), "deliveryContext": {"isRedelivery": false},
                "message": message,
            })
        });
        self.send_off(bot, events.to_vec());
        Ok(())
    }
}

/// The action of a message that has this data, text or label.
fn action<'a>(value: &'a Value, wanted: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => {
            let is = |name: &str| fields.get(name).and_then(Value::as_str) == Some(wanted);
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
            let pressed = match kind {
                "postback" | "datetimepicker" => is("data") || is("label"),
                "message" => is("label") || is("text"),
                _ => false,
            };
            if pressed {
                return Some(value);
            }
            fields.values().find_map(|value| action(value, wanted))
        }
        Value::Array(list) => list.iter().find_map(|value| action(value, wanted)),
        _ => None,
    }
}
