//! Reactions, typing notices and answers to pressed buttons.

use serde_json::Value;

use super::super::answer::{Answer, ApiError};
use super::super::markup::utf16_len;
use super::super::model::Sort;
use super::super::state::log;
use super::super::view::ChatAction;
use super::Context;

/// The emoji that can be a reaction, without variation selectors.
/// <https://core.telegram.org/bots/api#reactiontypeemoji>
const REACTIONS: &str = "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡";

/// <https://core.telegram.org/bots/api#sendchataction>
const CHAT_ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

impl Context<'_> {
    /// "Bots can't use paid reactions", and set at most one.
    pub(super) fn set_message_reaction(&mut self) -> Answer {
        let place = self.target()?;
        let id = self.params.int("message_id").unwrap_or(0);
        let list = match self.params.nested("reaction")? {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(ApiError::bad("can't parse reaction types JSON object")),
        };
        if list.len() > 1 {
            return Err(ApiError::bad("REACTIONS_TOO_MANY"));
        }
        let mut chosen = Vec::new();
        for reaction in &list {
            let emoji = reaction
                .get("emoji")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let plain = emoji.replace('\u{fe0f}', "");
            let is_emoji = reaction.get("type").and_then(Value::as_str) == Some("emoji");
            if !is_emoji || !REACTIONS.split(' ').any(|known| known == plain) {
                return Err(ApiError::bad("REACTION_INVALID"));
            }
            chosen.push(emoji.to_owned());
        }
        let bot = self.bot;
        let message = self
            .state
            .chats
            .get_mut(&place)
            .and_then(|chat| chat.live_mut(id));
        let message = message.ok_or_else(|| ApiError::bad("message to react not found"))?;
        if chosen.is_empty() {
            message.reactions.remove(&bot);
        } else {
            message.reactions.insert(bot, chosen);
        }
        Ok(true.into())
    }

    pub(super) fn send_chat_action(&mut self) -> Answer {
        let place = self.target()?;
        let thread = self.thread(place)?;
        let action = self
            .params
            .text("action")
            .unwrap_or_default()
            .to_ascii_lowercase();
        if !CHAT_ACTIONS.contains(&action.as_str()) {
            return Err(ApiError::bad("wrong parameter action in request"));
        }
        if self
            .state
            .chats
            .get(&place)
            .is_some_and(|chat| chat.sort == Sort::Channel)
        {
            return Err(ApiError::bad("chat actions can't be sent to channels"));
        }
        let at_ms = self.state.now_ms;
        let action = ChatAction {
            bot: self.bot,
            chat_id: place.chat_id(),
            thread,
            action,
            at_ms,
        };
        log(&mut self.state.chat_actions, action);
        Ok(true.into())
    }

    /// A query can be answered once, and only for a while.
    pub(super) fn answer_callback_query(&mut self) -> Answer {
        let id = self.params.text("callback_query_id").unwrap_or_default();
        if self
            .params
            .text("text")
            .is_some_and(|text| utf16_len(&text) > 200)
        {
            return Err(ApiError::bad("MESSAGE_TOO_LONG"));
        }
        let life = i64::try_from(self.config.callback_life.as_millis()).unwrap_or(i64::MAX);
        let now = self.state.now_ms;
        let record = self.params.record();
        let open = self
            .state
            .callbacks
            .get_mut(id.as_ref())
            .filter(|callback| {
                callback.bot == self.bot
                    && callback.answer.is_none()
                    && now.saturating_sub(callback.at_ms) <= life
            });
        let callback = open.ok_or_else(|| {
            ApiError::bad("query is too old and response timeout expired or query ID is invalid")
        })?;
        callback.answer = Some(record);
        Ok(true.into())
    }
}
