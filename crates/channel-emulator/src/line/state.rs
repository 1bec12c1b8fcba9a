//! Everything the platform knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::config::LineConfig;
use super::faults::Plan;
use super::ledger::Call;
use super::model::{
    Accepted, Author, Bot, Content, Delivery, Group, Loading, MessageView, Parcel, ReplyToken,
    User, Via,
};
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;
use crate::common::shared::Stateful;

/// Messages kept in all; the oldest go first.
const MAX_MESSAGES: usize = 50_000;
/// Entries kept of each other table.
const MAX_ENTRIES: usize = 50_000;
/// Bodies that wait for one webhook; beyond that the oldest are lost.
const MAX_QUEUE: usize = 10_000;
/// All contents together, in bytes; the oldest go first.
const MAX_CONTENT: usize = 512 * 1024 * 1024;
/// The first message id; ids are decimal and grow.
const FIRST_MESSAGE: u64 = 530_000_000_000_000_000;

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    pub(crate) bots: BTreeMap<String, Bot>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) messages: VecDeque<MessageView>,
    pub(crate) contents: BTreeMap<String, Content>,
    /// The bytes of all contents together.
    content_size: usize,
    pub(crate) reply_tokens: BTreeMap<String, ReplyToken>,
    /// Quote tokens with the account, chat and message they belong to.
    pub(crate) quotes: BTreeMap<String, (String, String, String)>,
    pub(crate) read_tokens: BTreeMap<String, String>,
    pub(crate) retry_keys: HashMap<(String, String), Accepted>,
    /// Chats in which another module of the account is active, and the bot stands by.
    pub(crate) standby: Vec<(String, String)>,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) deliveries: VecDeque<Delivery>,
    pub(crate) loadings: VecDeque<Loading>,
    pub(crate) reads: VecDeque<String>,
    pub(crate) events: VecDeque<(String, Value)>,
    /// Requests per account and endpoint in the running second.
    pub(crate) rates: HashMap<(String, &'static str), (i64, u32)>,
    pub(crate) faults: Plan,
    random: Sequence,
    last_message: u64,
    tokens: u64,
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
    pub(crate) fn new(config: &LineConfig) -> Self {
        Self {
            now_ms: 0,
            bots: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            messages: VecDeque::new(),
            contents: BTreeMap::new(),
            content_size: 0,
            reply_tokens: BTreeMap::new(),
            quotes: BTreeMap::new(),
            read_tokens: BTreeMap::new(),
            retry_keys: HashMap::new(),
            standby: Vec::new(),
            ledger: Ledger::new(config.ledger),
            deliveries: VecDeque::new(),
            loadings: VecDeque::new(),
            reads: VecDeque::new(),
            events: VecDeque::new(),
            rates: HashMap::new(),
            faults: Plan::default(),
            random: Sequence::new(config.seed),
            last_message: FIRST_MESSAGE,
            tokens: 0xa1_b2c3_0000,
        }
    }

    /// The next number of a fixed sequence (splitmix64): ids look random, runs repeat.
    const fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// 32 hexadecimal digits.
    pub(crate) fn hex(&mut self) -> String {
        self.random.hex()
    }

    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.random(), self.random());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }

    /// A ULID: 48 bits of time and 80 that look random. <https://github.com/ulid/spec>
    fn ulid(&mut self) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let time = u128::from(u64::try_from(self.now_ms).unwrap_or(0));
        let random = (u128::from(self.random()) << 16) | u128::from(self.random() & 0xffff);
        let value = ((time & 0xffff_ffff_ffff) << 80) | random;
        (0..26)
            .rev()
            .filter_map(|place| {
                let digit = usize::try_from((value >> (place * 5)) & 31).unwrap_or(0);
                DIGITS.get(digit).map(|digit| char::from(*digit))
            })
            .collect()
    }

    /// 32 hexadecimal digits that grow, so that the first in a table is the oldest.
    pub(crate) fn token(&mut self) -> String {
        self.tokens += 1;
        let (high, low) = (self.random() >> 48, self.random());
        format!("{:012x}{high:04x}{low:016x}", self.tokens)
    }

    pub(crate) fn message_id(&mut self) -> String {
        self.last_message += 1 + (self.random() & 0xffff);
        self.last_message.to_string()
    }

    /// The account a person, group or room talks with, when it does.
    pub(crate) fn is_reachable(&self, bot: &str, chat: &str) -> bool {
        if let Some(group) = self.groups.get(chat) {
            return group.bot.as_deref() == Some(bot);
        }
        self.users.contains_key(chat)
    }

    /// How many people a message to the chat reaches, as the monthly limit counts them.
    pub(crate) fn audience(&self, chat: &str) -> u64 {
        self.groups.get(chat).map_or(1, |group| {
            u64::try_from(group.members.len()).unwrap_or(u64::MAX)
        })
    }

    pub(crate) fn find(&self, bot: &str, chat: &str, id: &str) -> Option<&MessageView> {
        let here = |message: &&MessageView| {
            message.id == id && message.bot == bot && message.chat == chat && !message.unsent
        };
        self.messages.iter().rev().find(here)
    }

    /// Puts a message into a chat.
    pub(crate) fn store(
        &mut self,
        (bot, chat): (&str, &str),
        id: String,
        author: Author,
        via: Via,
        message: Value,
    ) {
        let delivered = self
            .bots
            .get(bot)
            .is_some_and(|bot| !bot.blocked_by.contains(chat))
            && (self.groups.contains_key(chat) || self.is_friend(bot, chat));
        if matches!(author, Author::Bot(_)) {
            // The animation disappears with the next message.
            self.loadings
                .retain(|loading| loading.bot != bot || loading.chat != chat);
        }
        let view = MessageView {
            id,
            bot: bot.to_owned(),
            chat: chat.to_owned(),
            author,
            via,
            message,
            delivered,
            unsent: false,
            at_ms: self.now_ms,
        };
        if self.messages.len() >= MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(view);
    }

    /// Keeps what a person sent as a file.
    pub(crate) fn keep(&mut self, message: &str, content: Content) {
        self.content_size = self.content_size.saturating_add(content.bytes.len());
        self.contents.insert(message.to_owned(), content);
        while (self.content_size > MAX_CONTENT || self.contents.len() > MAX_ENTRIES)
            && let Some((_, gone)) = self.contents.pop_first()
        {
            self.content_size = self.content_size.saturating_sub(gone.bytes.len());
        }
    }

    pub(crate) fn is_friend(&self, bot: &str, user: &str) -> bool {
        self.bots
            .get(bot)
            .is_some_and(|bot| bot.friends.contains(user))
    }

    /// The `source` of an event.
    fn source(&self, chat: &str, user: Option<&str>) -> Value {
        let mut source = Map::new();
        let kind = match chat.chars().next() {
            Some('C') => "group",
            Some('R') => "room",
            _ => "user",
        };
        source.insert("type".into(), kind.into());
        if kind != "user" {
            source.insert(format!("{kind}Id"), chat.into());
        }
        let user = user.or_else(|| (kind == "user").then_some(chat));
        if let Some(user) = user {
            source.insert("userId".into(), user.into());
        }
        source.into()
    }

    /// Makes an event with the fields all events have, and queues it. Gives its `webhookEventId`.
    pub(crate) fn emit(
        &mut self,
        (bot, chat): (&str, &str),
        user: Option<&str>,
        kind: &str,
        is_repliable: bool,
        fields: Value,
    ) -> String {
        let standby = self
            .standby
            .iter()
            .any(|(b, c)| b.as_str() == bot && c.as_str() == chat);
        let id = self.ulid();
        let mut event = Map::from_iter([
            ("type".to_owned(), Value::from(kind)),
            (
                "mode".to_owned(),
                if standby { "standby" } else { "active" }.into(),
            ),
            ("timestamp".to_owned(), self.now_ms.into()),
            ("source".to_owned(), self.source(chat, user)),
            ("webhookEventId".to_owned(), id.clone().into()),
            ("deliveryContext".to_owned(), json!({"isRedelivery": false})),
        ]);
        if is_repliable && !standby {
            let token = self.reply_token(bot, chat);
            event.insert("replyToken".into(), token.into());
        }
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.queue(bot, event.into());
        id
    }

    fn reply_token(&mut self, bot: &str, chat: &str) -> String {
        let token = self.token();
        let entry = ReplyToken {
            bot: bot.to_owned(),
            chat: chat.to_owned(),
            at_ms: self.now_ms,
            used: false,
        };
        bound(&mut self.reply_tokens);
        self.reply_tokens.insert(token.clone(), entry);
        token
    }

    /// Puts an event on its way as it is.
    pub(crate) fn queue(&mut self, bot: &str, event: Value) {
        log(&mut self.events, (bot.to_owned(), event.clone()));
        let Some(account) = self.bots.get_mut(bot) else {
            return;
        };
        if let Some(held) = &mut account.hold {
            held.push(event);
        } else {
            self.send_off(bot, vec![event]);
        }
    }

    /// Puts events into one body and on their way.
    pub(crate) fn send_off(&mut self, bot: &str, events: Vec<Value>) {
        let Some(account) = self.bots.get_mut(bot) else {
            return;
        };
        if account.webhook.is_none() || !account.active {
            // Without a webhook the platform keeps nothing.
            let delivery = Delivery {
                bot: bot.to_owned(),
                events: ids(&events),
                attempt: 0,
                status: None,
                error: Some("webhook_off".to_owned()),
            };
            log(&mut self.deliveries, delivery);
            return;
        }
        if account.queue.len() >= MAX_QUEUE {
            account.queue.pop_front();
        }
        account.queue.push_back(Parcel {
            events,
            attempt: 1,
            due: Instant::now(),
        });
    }
}

/// The `webhookEventId`s of events.
pub(crate) fn ids(events: &[Value]) -> Vec<String> {
    let id = |event: &Value| {
        event
            .get("webhookEventId")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    events.iter().filter_map(id).collect()
}

/// Appends to a bounded log.
pub(crate) fn log<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= MAX_ENTRIES {
        entries.pop_front();
    }
    entries.push_back(entry);
}

/// Makes room for one more in a bounded table, whose keys grow.
pub(crate) fn bound<T>(entries: &mut BTreeMap<String, T>) {
    if entries.len() >= MAX_ENTRIES {
        entries.pop_first();
    }
}
