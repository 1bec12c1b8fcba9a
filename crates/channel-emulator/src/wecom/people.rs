//! What people do, and how each product is told.

use serde_json::{Map, Value, json};

use super::cipher::Key;
use super::model::{
    ActionError, Author, CardCode, Cause, Media, Product, ResponseCode, Topic, Via,
};
use super::post::{Post, PostKind};
use super::state::{State, bound};
use super::tell;
use super::xml::Element;

type Done<T> = Result<T, ActionError>;

impl State {
    /// Checks that a person can act in a chat with the bot.
    pub(super) fn enter(&mut self, bot: &str, chat: &str, user: &str) -> Done<Product> {
        if !self.users.contains_key(user) {
            return Err(ActionError::UnknownUser);
        }
        let product = self.bot(bot).ok_or(ActionError::UnknownBot)?.product;
        let is_inside = match self.groups.get(chat) {
            Some(_) if product == Product::App => {
                return Err(ActionError::NotHere("apps hear nothing of groups"));
            }
            Some(group) => group.members.contains(user) && group.bots.contains(bot),
            None => chat == user,
        };
        if !is_inside {
            return Err(ActionError::UnknownChat);
        }
        if let Some(account) = self.bots.get_mut(bot) {
            account.spoken.insert(chat.to_owned());
        }
        Ok(product)
    }

    pub(super) fn cause(&self, topic: Topic, id: &str, chat: &str, user: &str) -> Cause {
        Cause {
            topic,
            id: id.to_owned(),
            chat: chat.to_owned(),
            user: user.to_owned(),
            at_ms: self.now_ms,
            card: None,
        }
    }

    /// Writes a message and tells the bot; gives the message id.
    pub(crate) fn post(
        &mut self,
        at: (&str, &str),
        user: &str,
        post: &Post,
        with_url: bool,
    ) -> Done<String> {
        let product = self.enter(at.0, at.1, user)?;
        let id = match product {
            Product::App => self.message_number(),
            _ => self.id("msg"),
        };
        let is_group = self.is_group(at.1);
        let mut post = post.clone();
        if is_group && matches!(post.kind, PostKind::Text | PostKind::Mixed) {
            let mention = format!("@{}", self.bot(at.0).map_or("", |bot| bot.name.as_str()));
            if !post.text.starts_with(&mention) {
                post.text = format!("{mention} {}", post.text);
            }
        }
        let alone = matches!(post.kind, PostKind::Text | PostKind::Mixed) || !is_group;
        if !alone {
            return Err(ActionError::NotHere("in groups, text with pictures only"));
        }
        let cause = self.cause(Topic::Message, &id, at.1, user);
        let payload = match product {
            Product::Group => self.group_message(at, user, &id, &post)?,
            Product::App => self.app_message(at.0, user, &id, &post)?,
            Product::Ai | Product::Link => self.ai_message(at, user, &id, &post, with_url)?,
        };
        let shown = json!({"msgtype": post.kind.name(), "text": post.text});
        let author = Author::User(user.to_owned());
        self.store(at, id.clone(), author, Via::Person, shown);
        self.tell(at.0, cause, payload);
        Ok(id)
    }

    /// Keeps what a person sent; gives the id.
    fn upload(&mut self, owner: &str, post: &Post, is_sealed: bool) -> String {
        let extension = match post.kind {
            PostKind::Image | PostKind::Mixed => "png",
            PostKind::Voice => "amr",
            PostKind::Video => "mp4",
            _ => "bin",
        };
        let media = Media {
            owner: owner.to_owned(),
            kind: post.kind.name().to_owned(),
            name: post
                .name
                .clone()
                .unwrap_or_else(|| format!("{}.{extension}", post.kind.name())),
            mime: post
                .mime
                .clone()
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
            bytes: post.bytes.clone(),
            at_ms: self.now_ms,
            is_sealed,
        };
        self.keep(media)
    }

    /// <https://developer.work.weixin.qq.com/document/path/99399>
    fn group_message(
        &mut self,
        at: (&str, &str),
        user: &str,
        id: &str,
        post: &Post,
    ) -> Done<String> {
        let picture = match post.kind {
            PostKind::Image | PostKind::Mixed => {
                let media = self.upload(at.0, post, false);
                self.media_url(&media)
            }
            PostKind::Text => String::new(),
            _ => return Err(ActionError::NotHere("text and pictures only")),
        };
        let (xml, json) = match post.kind {
            PostKind::Image => (
                Element::node("Image", vec![Element::text("ImageUrl", &picture)]),
                ("image", json!({"image_url": picture})),
            ),
            PostKind::Mixed => {
                let item = |kind, name, field, text: &str| {
                    Element::node(
                        "MsgItem",
                        vec![
                            Element::text("MsgType", kind),
                            Element::node(name, vec![Element::text(field, text)]),
                        ],
                    )
                };
                let items = vec![
                    item("text", "Text", "Content", &post.text),
                    item("image", "Image", "ImageUrl", &picture),
                ];
                let list = json!({"msg_item": [
                    {"msgtype": "text", "text": {"content": post.text}},
                    {"msgtype": "image", "image": {"image_url": picture}},
                ]});
                (
                    Element::node("MixedMessage", items),
                    ("mixed_message", list),
                )
            }
            _ => (
                Element::node("Text", vec![Element::text("Content", &post.text)]),
                ("text", json!({"content": post.text})),
            ),
        };
        Ok(tell::group(self, at, user, id, post.kind.name(), xml, json))
    }

    /// <https://developer.work.weixin.qq.com/document/path/90239>
    fn app_message(&mut self, bot: &str, user: &str, id: &str, post: &Post) -> Done<String> {
        let corp = self
            .bot(bot)
            .map(|bot| bot.corp.clone())
            .unwrap_or_default();
        let mut fields = Vec::new();
        match post.kind {
            PostKind::Text => fields.push(Element::text("Content", &post.text)),
            PostKind::Location => fields.extend([
                Element::number("Location_X", post.coordinates.0),
                Element::number("Location_Y", post.coordinates.1),
                Element::number("Scale", 15),
                Element::text("Label", &post.text),
                Element::text("AppType", "wxwork"),
            ]),
            PostKind::Link => fields.extend([
                Element::text("Title", &post.text),
                Element::text("Description", ""),
                Element::text("Url", &post.url),
                Element::text("PicUrl", ""),
            ]),
            PostKind::Mixed => return Err(ActionError::NotHere("one thing in a message")),
            kind => {
                let media = self.upload(&corp, post, false);
                match kind {
                    PostKind::Image => {
                        fields.push(Element::text("PicUrl", &self.media_url(&media)));
                    }
                    PostKind::Voice => fields.push(Element::text("Format", "amr")),
                    PostKind::Video => fields.push(Element::text("ThumbMediaId", &media)),
                    _ => fields.push(Element::text(
                        "FileName",
                        post.name.as_deref().unwrap_or("file.bin"),
                    )),
                }
                fields.push(Element::text("MediaId", &media));
            }
        }
        Ok(tell::app(
            self,
            bot,
            user,
            post.kind.name(),
            fields,
            Some(id),
        ))
    }

    /// <https://developer.work.weixin.qq.com/document/path/100719>
    fn ai_message(
        &mut self,
        at: (&str, &str),
        user: &str,
        id: &str,
        post: &Post,
        with_url: bool,
    ) -> Done<String> {
        let file = |state: &mut Self| {
            let media = state.upload(at.0, post, true);
            let mut file = json!({"url": state.media_url(&media)});
            if let Some(key) = state.media_key(&media)
                && state
                    .bot(at.0)
                    .is_some_and(|bot| bot.product == Product::Link)
                && let Some(fields) = file.as_object_mut()
            {
                fields.insert("aeskey".into(), key.to_base64().into());
            }
            file
        };
        let content = match post.kind {
            PostKind::Text | PostKind::Voice => json!({"content": post.text}),
            PostKind::Image | PostKind::File | PostKind::Video => file(self),
            PostKind::Mixed => json!({"msg_item": [
                {"msgtype": "text", "text": {"content": post.text}},
                {"msgtype": "image", "image": file(self)},
            ]}),
            PostKind::Location | PostKind::Link => {
                return Err(ActionError::NotHere("no places and links"));
            }
        };
        let mut body = tell::ai(self, at, user, id);
        if with_url {
            body.insert("response_url".into(), self.response_url(at).into());
        }
        body.insert("msgtype".into(), post.kind.name().into());
        body.insert(post.kind.name().into(), content);
        if let Some(quote) = &post.quote {
            body.insert(
                "quote".into(),
                json!({"msgtype": "text", "text": {"content": quote}}),
            );
        }
        Ok(Value::from(body).to_string())
    }

    /// The key of an encrypted file: of its bot with a callback, its own on a long connection.
    /// <https://developer.work.weixin.qq.com/document/path/101463>
    pub(crate) fn media_key(&self, id: &str) -> Option<Key> {
        use sha2::{Digest as _, Sha256};
        let media = self.media.get(id).filter(|media| media.is_sealed)?;
        let bot = self.bot(&media.owner)?;
        match (bot.product, &bot.callback) {
            (Product::Link, _) => Some(Key::new(Sha256::digest(id).into())),
            (_, Some(callback)) => Some(callback.key.clone()),
            _ => None,
        }
    }

    fn media_url(&self, id: &str) -> String {
        format!("{}/media/{id}", self.base)
    }

    pub(super) fn response_url(&mut self, at: (&str, &str)) -> String {
        let code = self.id("RC");
        bound(&mut self.response_codes);
        let entry = ResponseCode {
            bot: at.0.to_owned(),
            chat: at.1.to_owned(),
            at_ms: self.now_ms,
            used: false,
        };
        self.response_codes.insert(code.clone(), entry);
        format!("{}/cgi-bin/aibot/response?response_code={code}", self.base)
    }

    /// Opens the chat with a bot, or does what another event of the product says; gives what tells it from others.
    pub(crate) fn event(
        &mut self,
        at: (&str, &str),
        user: &str,
        name: &str,
        fields: Value,
    ) -> Done<String> {
        let product = self.enter(at.0, at.1, user)?;
        let id = self.id("evt");
        let cause = self.cause(Topic::Event(name.to_owned()), &id, at.1, user);
        let payload = match product {
            Product::App => {
                let mut all = vec![Element::text("Event", name)];
                all.extend(elements(&fields));
                tell::app(self, at.0, user, "event", all, None)
            }
            Product::Group => {
                let xml = Element::node("Event", vec![Element::text("EventType", name)]);
                let json = ("event", json!({"event_type": name}));
                tell::group(self, at, user, &id, "event", xml, json)
            }
            Product::Ai | Product::Link => {
                let mut event = Map::from_iter([("eventtype".to_owned(), Value::from(name))]);
                if !fields.is_null() {
                    event.insert(name.to_owned(), fields);
                }
                self.ai_event(at, user, &id, event)
            }
        };
        self.tell(at.0, cause, payload);
        Ok(id)
    }

    fn ai_event(
        &mut self,
        at: (&str, &str),
        user: &str,
        id: &str,
        event: Map<String, Value>,
    ) -> String {
        let mut body = tell::ai(self, at, user, id);
        body.insert("msgtype".into(), "event".into());
        body.insert("event".into(), event.into());
        Value::from(body).to_string()
    }

    pub(crate) fn card_code(&mut self, bot: &str, message: &str) -> String {
        let code = self.id("CC");
        bound(&mut self.card_codes);
        let entry = CardCode {
            bot: bot.to_owned(),
            message: message.to_owned(),
            at_ms: self.now_ms,
        };
        self.card_codes.insert(code.clone(), entry);
        code
    }
}

/// JSON fields as elements: lists repeat their name.
fn elements(fields: &Value) -> Vec<Element> {
    let mut all = Vec::new();
    let Value::Object(fields) = fields else {
        return all;
    };
    for (name, value) in fields {
        match value {
            Value::Array(items) => {
                for item in items {
                    all.extend(elements(&json!({name: item})));
                }
            }
            Value::Object(_) => all.push(Element::node(name, elements(value))),
            Value::String(text) => all.push(Element::text(name, text)),
            other => all.push(Element::number(name, other)),
        }
    }
    all
}
