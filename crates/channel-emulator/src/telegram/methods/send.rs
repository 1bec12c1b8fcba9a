//! Sending everything but files.

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, ApiError};
use super::super::markup::{Formatted, utf16_len};
use super::super::model::{Author, Message, Place, fields, put};
use super::super::state::log;
use super::super::view::Draft;
use super::{Context, Outgoing};

impl Context<'_> {
    pub(super) fn send_message(&mut self) -> Answer {
        let out = self.outgoing()?;
        let text = self.message_text()?;
        self.deliver(&out, text_fields(&text))
    }

    pub(super) fn deliver(&mut self, out: &Outgoing, content: Map<String, Value>) -> Answer {
        self.flood(out.place, 1)?;
        let id = self.put_message(out, content);
        Ok(self.state.message_json(out.place, id, self.bot))
    }

    pub(super) fn put_message(&mut self, out: &Outgoing, mut content: Map<String, Value>) -> i64 {
        put(&mut content, "reply_markup", out.markup.clone());
        let mut message = Message::new(Author::Bot(self.bot), content);
        message.thread = out.thread;
        message.reply_to = out.reply_to;
        self.state.store(out.place, message)
    }

    fn number(&self, name: &str, limit: f64) -> Result<f64, ApiError> {
        let number = self
            .params
            .text(name)
            .and_then(|text| text.parse::<f64>().ok());
        number
            .filter(|number| number.abs() <= limit)
            .ok_or_else(|| ApiError::bad(format!("wrong {name} specified")))
    }

    fn location(&self) -> Result<Value, ApiError> {
        Ok(
            json!({"latitude": self.number("latitude", 90.0)?, "longitude": self.number("longitude", 180.0)?}),
        )
    }

    fn required(&self, name: &str) -> Result<String, ApiError> {
        self.params
            .text(name)
            .map(String::from)
            .ok_or_else(|| ApiError::bad(format!("{name} must be non-empty")))
    }

    pub(super) fn send_location(&mut self) -> Answer {
        let out = self.outgoing()?;
        let location = self.location()?;
        self.deliver(&out, fields(json!({ "location": location })))
    }

    pub(super) fn send_venue(&mut self) -> Answer {
        let out = self.outgoing()?;
        let location = self.location()?;
        let (title, address) = (self.required("title")?, self.required("address")?);
        let venue = json!({"location": location, "title": title, "address": address});
        self.deliver(&out, fields(json!({"location": location, "venue": venue})))
    }

    pub(super) fn send_contact(&mut self) -> Answer {
        let out = self.outgoing()?;
        let contact = json!({"phone_number": self.required("phone_number")?, "first_name": self.required("first_name")?});
        self.deliver(&out, fields(json!({ "contact": contact })))
    }

    pub(super) fn send_poll(&mut self) -> Answer {
        let out = self.outgoing()?;
        let question = self.required("question")?;
        if utf16_len(&question) > 300 {
            return Err(ApiError::bad("poll question length must not exceed 300"));
        }
        let texts: Vec<String> = self
            .params
            .list("options")
            .unwrap_or_default()
            .iter()
            .filter_map(|option| {
                option
                    .as_str()
                    .or_else(|| option.get("text")?.as_str())
                    .map(str::to_owned)
            })
            .collect();
        if texts.len() < 2 {
            return Err(ApiError::bad("poll must have at least 2 option"));
        }
        if texts.len() > 12 {
            return Err(ApiError::bad("poll can't have more than 12 options"));
        }
        let mut options = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            if text.is_empty() || utf16_len(text) > 100 {
                return Err(ApiError::bad("poll options length must not exceed 100"));
            }
            options
                .push(json!({"text": text, "voter_count": 0, "persistent_id": index.to_string()}));
        }
        let anonymous = !self.params.has("is_anonymous") || self.params.flag("is_anonymous");
        let poll = json!({
            "id": (self.state.random() >> 1).to_string(), "question": question, "options": options,
            "total_voter_count": 0, "is_closed": false, "is_anonymous": anonymous,
            "type": self.params.text("type").unwrap_or_else(|| "regular".into()),
            "allows_multiple_answers": self.params.flag("allows_multiple_answers"),
        });
        self.deliver(&out, fields(json!({ "poll": poll })))
    }

    pub(super) fn send_dice(&mut self) -> Answer {
        let out = self.outgoing()?;
        let emoji = self
            .params
            .text("emoji")
            .unwrap_or_else(|| "🎲".into())
            .into_owned();
        let sides = match emoji.as_str() {
            "🎲" | "🎯" | "🎳" => 6,
            "🏀" | "⚽" => 5,
            "🎰" => 64,
            _ => return Err(ApiError::bad("wrong dice emoji specified")),
        };
        let value = self.state.random() % sides + 1;
        self.deliver(
            &out,
            fields(json!({"dice": {"emoji": emoji, "value": value}})),
        )
    }

    pub(super) fn send_rich_message(&mut self) -> Answer {
        let out = self.outgoing()?;
        let rich = self.rich_message()?;
        self.deliver(&out, fields(json!({ "rich_message": rich })))
    }

    /// Checks `rich_message`: one of `html`, `markdown` and `blocks`, of at most 32768 characters or 500 blocks.
    fn rich_message(&self) -> Result<Value, ApiError> {
        let rich = self
            .params
            .nested("rich_message")?
            .ok_or_else(|| ApiError::bad("rich message is empty"))?;
        let given = ["html", "markdown", "blocks"]
            .iter()
            .filter(|kind| rich.get(**kind).is_some())
            .count();
        if given != 1 {
            return Err(ApiError::bad(
                "rich message must have exactly one of html, markdown and blocks",
            ));
        }
        if let Some(blocks) = rich.get("blocks") {
            let count = blocks.as_array().map_or(0, Vec::len);
            return match count {
                0 => Err(ApiError::bad("rich message is empty")),
                1..=500 => Ok(json!({ "blocks": blocks })),
                _ => Err(ApiError::bad("message is too long")),
            };
        }
        let text = rich
            .get("html")
            .or_else(|| rich.get("markdown"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if text.trim().is_empty() {
            return Err(ApiError::bad("rich message is empty"));
        }
        if text.chars().count() > 32_768 {
            return Err(ApiError::bad("message is too long"));
        }
        Ok(json!({"blocks": [{"type": "paragraph", "text": text}]}))
    }

    /// A step of a streamed draft: private chats only, and the draft has a number.
    pub(super) fn send_draft(&mut self, content: &str) -> Answer {
        let place = self.target()?;
        if !matches!(place, Place::Private { .. }) {
            return Err(ApiError::bad("drafts can be sent only to private chats"));
        }
        self.thread(place)?;
        let draft_id = self.params.int("draft_id").unwrap_or(0);
        if draft_id == 0 {
            return Err(ApiError::bad("draft_id must be non-zero"));
        }
        let content = if content == "text" {
            let text = self.formatted("text")?;
            if utf16_len(&text.text) > 4096 {
                return Err(ApiError::bad("message is too long"));
            }
            text.text.into()
        } else {
            self.rich_message()?
        };
        let at_ms = self.state.now_ms;
        log(
            &mut self.state.drafts,
            Draft {
                bot: self.bot,
                chat_id: place.chat_id(),
                draft_id,
                content,
                at_ms,
            },
        );
        Ok(true.into())
    }

    /// The message that `from_chat_id` and `message_id` name.
    fn original(&self, what: &str) -> Result<Message, ApiError> {
        let from = self.named_chat("from_chat_id")?;
        self.admit(from)?;
        let id = self.params.int("message_id").unwrap_or(0);
        let message = self
            .state
            .chats
            .get(&from)
            .and_then(|chat| chat.live(id))
            .cloned();
        message
            .filter(|message| !message.is_service())
            .ok_or_else(|| ApiError::bad(format!("message to {what} not found")))
    }

    pub(super) fn copy_message(&mut self) -> Answer {
        let out = self.outgoing()?;
        let mut content = self.original("copy")?.fields;
        content.remove("reply_markup");
        if self.params.has("caption") && !content.contains_key("text") {
            content.remove("caption_entities");
            content.extend(caption_fields(&self.caption()?));
        }
        self.flood(out.place, 1)?;
        Ok(json!({"message_id": self.put_message(&out, content)}))
    }

    pub(super) fn forward_message(&mut self) -> Answer {
        let mut out = self.outgoing()?;
        out.reply_to = None;
        out.markup = None;
        let original = self.original("forward")?;
        let (Author::User(author) | Author::Bot(author)) = original.author;
        let origin = json!({"type": "user", "sender_user": self.state.user_json(author), "date": original.date});
        let mut content = original.fields;
        content.insert("forward_origin".into(), origin);
        self.deliver(&out, content)
    }

    /// A caption: up to 1024 UTF-16 code units after parsing.
    pub(super) fn caption(&self) -> Result<Formatted, ApiError> {
        let caption = self.formatted("caption")?;
        if utf16_len(&caption.text) > 1024 {
            return Err(ApiError::bad("message caption is too long"));
        }
        Ok(caption)
    }
}

pub(super) fn text_fields(text: &Formatted) -> Map<String, Value> {
    let mut content = fields(json!({"text": text.text}));
    if !text.entities.is_empty() {
        content.insert("entities".into(), text.entities_json());
    }
    content
}

pub(super) fn caption_fields(caption: &Formatted) -> Map<String, Value> {
    let mut content = Map::new();
    if !caption.text.is_empty() {
        content.insert("caption".into(), caption.text.as_str().into());
    }
    if !caption.entities.is_empty() {
        content.insert("caption_entities".into(), caption.entities_json());
    }
    content
}
