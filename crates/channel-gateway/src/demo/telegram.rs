//! The person's side of the emulated Telegram.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_emulator::telegram::{Author, MessageView, Place, View};
use channel_emulator::{Telegram, TelegramServer};
use serde_json::{Value, json};

/// The person at the page.
pub(crate) const PERSON: i64 = 42;
pub(crate) const PERSON_NAME: &str = "Ada";
/// Somebody who is not on the guest list.
pub(crate) const STRANGER: i64 = 666;
pub(crate) const BOT_NAME: &str = "channel_kit_bot";

/// How many of the last messages the page shows.
const SHOWN: usize = 200;
/// How long a typing sign stays (<https://core.telegram.org/bots/api#sendchataction>).
const TYPING_MS: i64 = 5000;

/// An emulated Telegram with a bot, a person and a stranger.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) server: TelegramServer,
    pub(crate) bot: i64,
}

impl Platform {
    /// The chat of the person and the bot.
    pub(crate) const fn chat(&self) -> Place {
        Place::Private {
            bot: self.bot,
            user: PERSON,
        }
    }

    pub(crate) fn emulator(&self) -> &Telegram {
        self.server.telegram()
    }
}

/// What one reader of the chat has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    is_late: bool,
    messages: BTreeMap<i64, Value>,
    notices: HashSet<String>,
    typing_at: i64,
}

impl Seen {
    /// What is new since the last look; `None` if nothing is.
    pub(crate) fn news(
        &mut self,
        view: View<'_>,
        platform: &Platform,
        now: SystemTime,
    ) -> Option<Value> {
        let history = view.history(platform.chat());
        let shown = history.len().saturating_sub(SHOWN);
        let mut messages = Vec::new();
        for message in history.iter().skip(shown) {
            let value = message_json(message, platform.bot);
            if self.messages.get(&message.message_id) != Some(&value) {
                self.messages.insert(message.message_id, value.clone());
                messages.push(value);
            }
        }
        while self.messages.len() > SHOWN {
            self.messages.pop_first();
        }
        let typing = self.typing(view, now);
        let notice = self.notice(view);
        // The first look is always an answer, so that a page knows an empty chat.
        let is_first = !std::mem::replace(&mut self.is_late, true);
        if messages.is_empty() && typing.is_none() && notice.is_none() && !is_first {
            return None;
        }
        Some(json!({"messages": messages, "typing_ms": typing, "notice": notice}))
    }

    /// How many milliseconds a new typing sign has left.
    fn typing(&mut self, view: View<'_>, now: SystemTime) -> Option<i64> {
        let sign = view
            .chat_actions()
            .filter(|action| action.chat_id == PERSON)
            .last()?;
        if sign.at_ms <= self.typing_at {
            return None;
        }
        self.typing_at = sign.at_ms;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let age = i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - sign.at_ms;
        Some(TYPING_MS - age).filter(|left| *left > 0)
    }

    /// A notice that the bot shows to whoever has pressed a button.
    fn notice(&mut self, view: View<'_>) -> Option<String> {
        let mut newest = None;
        for callback in view.callbacks().filter(|press| press.user == PERSON) {
            let text = callback
                .answer
                .as_ref()
                .and_then(|answer| answer.get("text"))
                .and_then(Value::as_str);
            if let Some(text) = text
                && self.notices.insert(callback.id.clone())
            {
                newest = Some(text.to_owned());
            }
        }
        newest.filter(|_| self.is_late)
    }
}

fn message_json(message: &MessageView, bot: i64) -> Value {
    let field = |name: &str| message.content.get(name).cloned();
    let entities = field("entities").or_else(|| field("caption_entities"));
    let buttons = message.content.pointer("/reply_markup/inline_keyboard");
    let document = message.content.get("document").map(
        |document| json!({"name": document.get("file_name"), "bytes": document.get("file_size")}),
    );
    let photo = message
        .content
        .get("photo")
        .map(|_| json!({"name": "photo"}));
    let reactions: Vec<Value> = message
        .reactions
        .iter()
        .flat_map(|(who, emoji)| emoji.iter().map(move |emoji| (who, emoji)))
        .map(|(who, emoji)| json!({"emoji": emoji, "mine": *who == PERSON}))
        .collect();
    json!({
        "id": message.message_id,
        "mine": message.author != Author::Bot(bot),
        "text": message.text,
        "entities": entities,
        "buttons": buttons,
        "file": document.or(photo),
        "reply_to": message.reply_to,
        "reactions": reactions,
        "edited": !message.earlier.is_empty(),
        "deleted": message.deleted,
    })
}
