//! Everything the platform knows, and how it shows it to bots.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::answer::ApiError;
use super::config::TelegramConfig;
use super::faults::Plan;
use super::files::Files;
use super::flood::Flood;
use super::ledger::Call;
use super::model::{Author, Bot, Chat, Message, Place, Sort, User, put};
use super::view::{Callback, ChatAction, Delivery, Draft};
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;
use crate::common::shared::Stateful;

/// Messages kept per chat.
const MAX_MESSAGES: usize = 20_000;
/// Chats kept in all; beyond that no new ones are made.
const MAX_CHATS: usize = 100_000;
/// Entries kept of each log.
const MAX_LOG: usize = 10_000;

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    pub(crate) bots: BTreeMap<i64, Bot>,
    pub(crate) users: BTreeMap<i64, User>,
    pub(crate) chats: HashMap<Place, Chat>,
    pub(crate) files: Files,
    pub(crate) callbacks: BTreeMap<String, Callback>,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) chat_actions: VecDeque<ChatAction>,
    pub(crate) drafts: VecDeque<Draft>,
    pub(crate) deliveries: VecDeque<Delivery>,
    pub(crate) flood: Flood,
    pub(crate) faults: Plan,
    random: Sequence,
}

impl Stateful for State {
    type Call = Call;

    fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }
    fn ledger(&mut self) -> &mut Ledger<Call> {
        &mut self.ledger
    }
}

impl State {
    pub(crate) fn new(config: &TelegramConfig) -> Self {
        Self {
            now_ms: 0,
            bots: BTreeMap::new(),
            users: BTreeMap::new(),
            chats: HashMap::new(),
            files: Files::default(),
            callbacks: BTreeMap::new(),
            ledger: Ledger::new(config.ledger),
            chat_actions: VecDeque::new(),
            drafts: VecDeque::new(),
            deliveries: VecDeque::new(),
            flood: Flood::new(config.flood_control, config.flood_limits),
            faults: Plan::default(),
            random: Sequence::new(config.seed),
        }
    }

    /// The time in seconds since the epoch, as in every object of the platform.
    pub(crate) const fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// The next number of a fixed sequence (splitmix64): ids look random, runs repeat.
    pub(crate) const fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// A number that could be an id of the platform.
    pub(crate) fn random_id(&mut self) -> i64 {
        i64::try_from(self.random() >> 35).unwrap_or(1).max(1_000)
    }

    pub(crate) fn bot(&self, id: i64) -> Result<&Bot, ApiError> {
        self.bots.get(&id).ok_or_else(ApiError::unauthorized)
    }

    pub(crate) fn bot_mut(&mut self, id: i64) -> Result<&mut Bot, ApiError> {
        self.bots.get_mut(&id).ok_or_else(ApiError::unauthorized)
    }

    /// The `User` object of a person or bot.
    pub(crate) fn user_json(&self, id: i64) -> Value {
        if let Some(user) = self.users.get(&id) {
            user.json()
        } else if let Some(bot) = self.bots.get(&id) {
            bot.json()
        } else {
            json!({"id": id, "is_bot": false, "first_name": ""})
        }
    }

    /// The `Chat` object.
    pub(crate) fn chat_json(&self, place: Place) -> Value {
        let mut chat = Map::new();
        chat.insert("id".into(), place.chat_id().into());
        match place {
            Place::Private { user, .. } => {
                chat.insert("type".into(), Sort::Private.name().into());
                if let Some(user) = self.users.get(&user) {
                    chat.insert("first_name".into(), user.first_name.as_str().into());
                    put(&mut chat, "username", user.username.as_deref());
                }
            }
            Place::Shared(_) => {
                if let Some(shared) = self.chats.get(&place) {
                    chat.insert("type".into(), shared.sort.name().into());
                    chat.insert("title".into(), shared.title.as_str().into());
                    put(&mut chat, "username", shared.username.as_deref());
                    if shared.forum {
                        chat.insert("is_forum".into(), true.into());
                    }
                }
            }
        }
        chat.into()
    }

    /// The chat, made when it is a private one that does not exist yet.
    pub(crate) fn chat_or_new(&mut self, place: Place) -> Option<&mut Chat> {
        if matches!(place, Place::Private { .. }) && self.chats.len() < MAX_CHATS {
            self.chats
                .entry(place)
                .or_insert_with(|| Chat::new(place, Sort::Private, ""));
        }
        self.chats.get_mut(&place)
    }

    pub(crate) fn has_room_for_chats(&self) -> bool {
        self.chats.len() < MAX_CHATS
    }

    /// Puts a message into a chat and gives its id.
    pub(crate) fn store(&mut self, place: Place, mut message: Message) -> i64 {
        let now = self.now();
        let Some(chat) = self.chats.get_mut(&place) else {
            return 0;
        };
        chat.last_message += 1;
        let id = chat.last_message;
        message.id = id;
        message.date = now;
        chat.messages.insert(id, message);
        if chat.messages.len() > MAX_MESSAGES {
            chat.messages.pop_first();
        }
        id
    }

    /// The `Message` object as `bot` sees it, with the message it replies to.
    pub(crate) fn message_json(&mut self, place: Place, id: i64, bot: i64) -> Value {
        let Some(message) = self
            .chats
            .get(&place)
            .and_then(|chat| chat.messages.get(&id))
            .cloned()
        else {
            return Value::Null;
        };
        let mut rendered = self.render(place, &message, bot);
        if let Some(reply_to) = message.reply_to
            && let Some(replied) = self
                .chats
                .get(&place)
                .and_then(|chat| chat.live(reply_to))
                .cloned()
        {
            let replied = self.render(place, &replied, bot);
            rendered.insert("reply_to_message".into(), replied.into());
        }
        rendered.into()
    }

    fn render(&mut self, place: Place, message: &Message, bot: i64) -> Map<String, Value> {
        let mut rendered = message.fields.clone();
        self.files.localize(&mut rendered, bot);
        rendered.insert("message_id".into(), message.id.into());
        rendered.insert("date".into(), message.date.into());
        rendered.insert("chat".into(), self.chat_json(place));
        let in_channel = self
            .chats
            .get(&place)
            .is_some_and(|chat| chat.sort == Sort::Channel);
        if in_channel {
            rendered.insert("sender_chat".into(), self.chat_json(place));
        } else {
            let (Author::User(author) | Author::Bot(author)) = message.author;
            rendered.insert("from".into(), self.user_json(author));
        }
        put(&mut rendered, "edit_date", message.edited);
        if let Some(thread) = message.thread {
            rendered.insert("message_thread_id".into(), thread.into());
            if self
                .chats
                .get(&place)
                .is_some_and(|chat| chat.topics.contains_key(&thread))
            {
                rendered.insert("is_topic_message".into(), true.into());
            }
        }
        rendered
    }

    /// Queues an update when the bot wants its kind.
    pub(crate) fn emit(&mut self, bot: i64, kind: &str, payload: Value) -> Option<i64> {
        let random = self.random_id();
        let now = self.now_ms;
        let bot = self.bots.get_mut(&bot)?;
        bot.queue.expire(now);
        bot.wanted
            .includes(kind)
            .then(|| bot.queue.push(kind, payload, now, random))
    }

    /// Shows a message to every bot that may see it. `edited` chooses between the two kinds of update.
    pub(crate) fn announce(&mut self, place: Place, id: i64, edited: bool) {
        let Some(chat) = self.chats.get(&place) else {
            return;
        };
        let Some(message) = chat.messages.get(&id) else {
            return;
        };
        let kind = match (chat.sort == Sort::Channel, edited) {
            (false, false) => "message",
            (false, true) => "edited_message",
            (true, false) => "channel_post",
            (true, true) => "edited_channel_post",
        };
        let readers: Vec<i64> = chat
            .bots
            .iter()
            .filter(|(_, standing)| standing.is_inside())
            .map(|(bot, _)| *bot)
            .filter(|bot| message.author != Author::Bot(*bot) && self.may_read(*bot, chat, message))
            .collect();
        for bot in readers {
            let payload = self.message_json(place, id, bot);
            self.emit(bot, kind, payload);
        }
    }

    /// Privacy mode: in groups a bot that is no administrator sees what is meant for it.
    ///
    /// <https://core.telegram.org/bots/features#privacy-mode>
    fn may_read(&self, bot: i64, chat: &Chat, message: &Message) -> bool {
        let Some(account) = self.bots.get(&bot) else {
            return false;
        };
        if matches!(chat.sort, Sort::Private | Sort::Channel)
            || !account.privacy
            || chat
                .bots
                .get(&bot)
                .is_some_and(|standing| standing.is_admin())
            || message.is_service()
        {
            return true;
        }
        if let Some(replied) = message.reply_to.and_then(|id| chat.messages.get(&id))
            && replied.author == Author::Bot(bot)
        {
            return true;
        }
        let Some(words) = message.words() else {
            return false;
        };
        let units: Vec<u16> = words.encode_utf16().collect();
        let entities = message
            .fields
            .get("entities")
            .or_else(|| message.fields.get("caption_entities"));
        entities
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .any(|entity| {
                let number = |name: &str| {
                    entity
                        .get(name)
                        .and_then(Value::as_u64)
                        .and_then(|number| usize::try_from(number).ok())
                        .unwrap_or(0)
                };
                let (from, length) = (number("offset"), number("length"));
                let piece = units
                    .get(from..from.saturating_add(length))
                    .unwrap_or_default();
                let piece = String::from_utf16_lossy(piece).to_lowercase();
                let name = account.username.to_lowercase();
                match entity.get("type").and_then(Value::as_str) {
                    Some("mention") => piece.strip_prefix('@') == Some(&name),
                    Some("bot_command") => piece.split_once('@').is_none_or(|(_, to)| to == name),
                    Some("text_mention") => {
                        entity.pointer("/user/id").and_then(Value::as_i64) == Some(bot)
                    }
                    _ => false,
                }
            })
    }
}

/// Appends to a bounded log.
pub(crate) fn log<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= MAX_LOG {
        entries.pop_front();
    }
    entries.push_back(entry);
}
