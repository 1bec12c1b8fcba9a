//! What tests and programs can see of the platform from outside.

use serde::Serialize;
use serde_json::Value;

use super::ledger::Call;
use super::model::{Author, Message, Place};
use super::state::State;
use crate::common::ledger::Outcome;

/// A message with its history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// Where it is.
    pub place: Place,
    /// The `chat.id` of that place.
    pub chat_id: i64,
    /// Its id in the chat.
    pub message_id: i64,
    /// Who wrote it.
    pub author: Author,
    /// The topic it is in, when it is in one.
    pub thread: Option<i64>,
    /// The message it replies to.
    pub reply_to: Option<i64>,
    /// The text, or the caption of a file.
    pub text: Option<String>,
    /// The content as the platform stores it: `text`, `entities`, `photo`, `reply_markup` and so on.
    pub content: Value,
    /// Earlier contents, oldest first.
    pub earlier: Vec<Value>,
    /// The emoji each person or bot has put on it, by their id.
    pub reactions: std::collections::BTreeMap<i64, Vec<String>>,
    /// It was deleted.
    pub deleted: bool,
}

impl MessageView {
    fn new(place: Place, message: &Message) -> Self {
        Self {
            place,
            chat_id: place.chat_id(),
            message_id: message.id,
            author: message.author,
            thread: message.thread,
            reply_to: message.reply_to,
            text: message.words().map(str::to_owned),
            content: message.fields.clone().into(),
            earlier: message
                .versions
                .iter()
                .cloned()
                .map(Value::Object)
                .collect(),
            reactions: message.reactions.clone(),
            deleted: message.deleted.is_some(),
        }
    }
}

/// A pressed button.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Callback {
    /// The `callback_query.id`.
    pub id: String,
    /// The bot that has to answer.
    pub bot: i64,
    /// Who pressed it.
    pub user: i64,
    /// The data of the button.
    pub data: String,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// The parameters of the bot's answer.
    pub answer: Option<Value>,
}

/// A typing notice or the like.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ChatAction {
    /// The bot that showed it.
    pub bot: i64,
    /// The `chat.id`.
    pub chat_id: i64,
    /// The topic.
    pub thread: Option<i64>,
    /// Such as `typing`.
    pub action: String,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// One step of a streamed draft.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Draft {
    /// The bot that writes it.
    pub bot: i64,
    /// The `chat.id`.
    pub chat_id: i64,
    /// Chosen by the bot.
    pub draft_id: i64,
    /// The text so far, or the `rich_message`.
    pub content: Value,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// One attempt to hand an update to a webhook.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Whose webhook.
    pub bot: i64,
    /// The update; the same on every attempt.
    pub update_id: i64,
    /// Counts from 1.
    pub attempt: u32,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// What went wrong on the way.
    pub error: Option<String>,
}

/// A look at the whole platform at one moment.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    state: &'a State,
}

impl<'a> View<'a> {
    pub(crate) const fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// Everything said in a place, oldest first, with what was deleted.
    #[must_use]
    pub fn history(&self, place: Place) -> Vec<MessageView> {
        let chat = self.state.chats.get(&place);
        chat.into_iter()
            .flat_map(|chat| chat.messages.values())
            .map(|message| MessageView::new(place, message))
            .collect()
    }

    /// One message.
    #[must_use]
    pub fn message(&self, place: Place, message_id: i64) -> Option<MessageView> {
        self.state
            .chats
            .get(&place)?
            .messages
            .get(&message_id)
            .map(|message| MessageView::new(place, message))
    }

    /// Everything a bot has sent, by time within each chat.
    #[must_use]
    pub fn sent(&self, bot: i64) -> Vec<MessageView> {
        let mut sent: Vec<MessageView> = self
            .state
            .chats
            .iter()
            .flat_map(|(place, chat)| chat.messages.values().map(|message| (*place, message)))
            .filter(|(_, message)| message.author == Author::Bot(bot))
            .map(|(place, message)| MessageView::new(place, message))
            .collect();
        sent.sort_by_key(|message| (message.place, message.message_id));
        sent
    }

    /// The updates a bot has not confirmed yet.
    #[must_use]
    pub fn pending(&self, bot: i64) -> Vec<Value> {
        self.state
            .bots
            .get(&bot)
            .map(|bot| bot.queue.all())
            .unwrap_or_default()
    }

    /// The calls in the ledger, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &'a Call> + use<'a> {
        self.state.ledger.calls()
    }

    /// The calls of one method, in any spelling of its name.
    pub fn calls_of(&self, method: &str) -> impl Iterator<Item = &'a Call> + use<'a> {
        let method = method.to_owned();
        self.state
            .ledger
            .calls()
            .filter(move |call| call.method.eq_ignore_ascii_case(&method))
    }

    /// Pressed buttons, answered or not, in no particular order.
    pub fn callbacks(&self) -> impl Iterator<Item = &'a Callback> + use<'a> {
        self.state.callbacks.values()
    }

    /// A pressed button by its `callback_query.id`.
    #[must_use]
    pub fn callback(&self, id: &str) -> Option<&'a Callback> {
        self.state.callbacks.get(id)
    }

    /// Typing notices, oldest first.
    pub fn chat_actions(&self) -> impl Iterator<Item = &'a ChatAction> + use<'a> {
        self.state.chat_actions.iter()
    }

    /// Steps of drafts, oldest first.
    pub fn drafts(&self) -> impl Iterator<Item = &'a Draft> + use<'a> {
        self.state.drafts.iter()
    }

    /// Attempts to deliver to webhooks, oldest first.
    pub fn deliveries(&self) -> impl Iterator<Item = &'a Delivery> + use<'a> {
        self.state.deliveries.iter()
    }

    /// Whether a bot is connected: a long poll is waiting, or a webhook is set.
    #[must_use]
    pub fn is_listening(&self, bot: i64) -> bool {
        let has_webhook = self
            .state
            .bots
            .get(&bot)
            .is_some_and(|bot| bot.webhook.is_some());
        has_webhook
            || self
                .calls_of("getUpdates")
                .any(|call| call.bot == bot && call.outcome == Outcome::Pending)
    }
}
