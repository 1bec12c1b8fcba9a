//! Everything the platform knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;
use tokio::time::Instant;

use super::answer::ApiError;
use super::config::WecomConfig;
use super::faults::Plan;
use super::ledger::Call;
use super::limits::{HOUR_MS, MINUTE_MS};
use super::model::{
    Author, Bot, CardCode, Cause, Delivery, Group, Media, MessageView, Parcel, Product,
    ResponseCode, Stream, Topic, Upload, Via,
};
use crate::common::faults::take;
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;
use crate::common::shared::Stateful;
use crate::common::socket::Socket;

/// Entries kept of each table; the oldest go first.
const MAX_ENTRIES: usize = 50_000;
/// Callbacks that wait for one bot; beyond that the oldest are lost.
const MAX_QUEUE: usize = 10_000;
/// All files together, in bytes; the oldest go first.
const MAX_MEDIA: usize = 512 * 1024 * 1024;

/// Requests of a minute and of an hour.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    minute: (i64, u32),
    hour: (i64, u32),
}

/// A live long connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// Counts over all connections.
    pub(crate) number: u64,
    pub(crate) socket: Socket,
    /// What happened, by the `req_id` under which the bot was told.
    pub(crate) requests: BTreeMap<String, Cause>,
    /// `req_id`s in the order they were given out.
    order: VecDeque<String>,
}

impl Link {
    pub(crate) const fn new(number: u64, socket: Socket) -> Self {
        Self {
            number,
            socket,
            requests: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn remember(&mut self, request: String, cause: Cause) {
        if self.order.len() >= MAX_ENTRIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.requests.remove(&oldest);
        }
        self.order.push_back(request.clone());
        self.requests.insert(request, cause);
    }
}

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    pub(crate) bots: BTreeMap<String, Bot>,
    /// Names by userid.
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) messages: VecDeque<MessageView>,
    /// Files by id; ids grow.
    pub(crate) media: BTreeMap<String, Media>,
    media_size: usize,
    /// Streams by bot and stream id.
    pub(crate) streams: BTreeMap<(String, String), Stream>,
    pub(crate) response_codes: BTreeMap<String, ResponseCode>,
    pub(crate) card_codes: BTreeMap<String, CardCode>,
    /// Chats of group bots that `get_chat_info_url` tells of, by code, until when.
    pub(crate) chat_codes: BTreeMap<String, (String, i64)>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) links: BTreeMap<String, Link>,
    /// Bodies of `message/send` with `enable_duplicate_check`: when they come again, until when, and their answer.
    pub(crate) seen: HashMap<String, (i64, Value)>,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) deliveries: VecDeque<Delivery>,
    /// Everything that bots were told, in clear, by bot.
    pub(crate) told: VecDeque<(String, String)>,
    rates: HashMap<(String, &'static str), Count>,
    pub(crate) faults: Plan,
    random: Sequence,
    count: u64,
    /// What the platform calls itself.
    pub(crate) base: String,
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
    pub(crate) fn new(config: &WecomConfig) -> Self {
        Self {
            now_ms: 0,
            bots: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            messages: VecDeque::new(),
            media: BTreeMap::new(),
            media_size: 0,
            streams: BTreeMap::new(),
            response_codes: BTreeMap::new(),
            card_codes: BTreeMap::new(),
            chat_codes: BTreeMap::new(),
            uploads: BTreeMap::new(),
            links: BTreeMap::new(),
            seen: HashMap::new(),
            ledger: Ledger::new(config.ledger),
            deliveries: VecDeque::new(),
            told: VecDeque::new(),
            rates: HashMap::new(),
            faults: Plan::default(),
            random: Sequence::new(config.seed),
            count: 0,
            base: config.public_base.clone().unwrap_or_default(),
        }
    }

    /// The next number of a fixed sequence (splitmix64): ids look random, runs repeat.
    pub(crate) const fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// 16 bytes that look random.
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let value = (u128::from(self.random()) << 64) | u128::from(self.random());
        value.to_be_bytes()
    }

    /// Grows over all ids, so that the first in a table is the oldest.
    pub(crate) const fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// An id with letters of both cases, which the platform tells apart; ids of one prefix grow.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let number = self.number();
        let mut random = self.random();
        let mut id = format!("{prefix}{number:08x}");
        for _ in 0..10 {
            let letter = usize::try_from(random & 63)
                .ok()
                .and_then(|at| LETTERS.get(at));
            id.push(letter.map_or('A', |letter| char::from(*letter)));
            random >>= 6;
        }
        id
    }

    /// A message id of an app is a number of 64 bits.
    pub(crate) fn message_number(&mut self) -> String {
        let number = self.number();
        (7_000_000_000_000_000_000 + number * 1_000_003).to_string()
    }

    pub(crate) fn bot(&self, bot: &str) -> Option<&Bot> {
        self.bots.get(bot)
    }

    /// Counts a request; whether it is within the limits per minute and hour.
    pub(crate) fn count(&mut self, key: &str, what: &'static str, limits: (u32, u32)) -> bool {
        let (minute, hour) = (
            self.now_ms.div_euclid(MINUTE_MS),
            self.now_ms.div_euclid(HOUR_MS),
        );
        if self.rates.len() >= MAX_ENTRIES {
            self.rates.clear();
        }
        let count = self.rates.entry((key.to_owned(), what)).or_default();
        let tick = |(at, count): &mut (i64, u32), now| {
            if *at != now {
                (*at, *count) = (now, 0);
            }
            *count = count.saturating_add(1);
            *count
        };
        let (in_minute, in_hour) = (tick(&mut count.minute, minute), tick(&mut count.hour, hour));
        in_minute <= limits.0 && in_hour <= limits.1
    }

    /// Whether the bot and the person talk here: a group with both in it, or the person alone.
    pub(crate) fn is_group(&self, chat: &str) -> bool {
        self.groups.contains_key(chat)
    }

    /// Puts a message into a chat; gives its id.
    pub(crate) fn store(
        &mut self,
        (bot, chat): (&str, &str),
        id: String,
        author: Author,
        via: Via,
        body: Value,
    ) -> String {
        let view = MessageView {
            id: id.clone(),
            bot: bot.to_owned(),
            chat: chat.to_owned(),
            author,
            via,
            body,
            is_finished: true,
            is_delivered: true,
            is_recalled: false,
            at_ms: self.now_ms,
        };
        log(&mut self.messages, view);
        id
    }

    /// What a bot says.
    pub(crate) fn say(&mut self, at: (&str, &str), via: Via, body: Value) -> String {
        let id = self.id("m");
        self.store(at, id, Author::Bot(at.0.to_owned()), via, body)
    }

    pub(crate) fn message(&mut self, bot: &str, id: &str) -> Option<&mut MessageView> {
        self.messages
            .iter_mut()
            .rev()
            .find(|message| message.id == id && message.bot == bot && !message.is_recalled)
    }

    /// Keeps a file; gives its id.
    pub(crate) fn keep(&mut self, media: Media) -> String {
        let id = self.id("3");
        self.media_size = self.media_size.saturating_add(media.bytes.len());
        self.media.insert(id.clone(), media);
        while (self.media_size > MAX_MEDIA || self.media.len() > MAX_ENTRIES)
            && let Some((_, gone)) = self.media.pop_first()
        {
            self.media_size = self.media_size.saturating_sub(gone.bytes.len());
        }
        id
    }

    /// A file that `owner` may use and that is not too old.
    pub(crate) fn find_media(&self, owner: &str, id: &str) -> Result<&Media, ApiError> {
        self.media
            .get(id)
            .filter(|media| {
                media.owner == owner && self.now_ms - media.at_ms < super::limits::MEDIA_MS
            })
            .ok_or_else(ApiError::media)
    }

    /// Tells a bot what happened: by callback, or on its connection.
    pub(crate) fn tell(&mut self, bot: &str, cause: Cause, payload: String) {
        log(&mut self.told, (bot.to_owned(), payload.clone()));
        let Some(account) = self.bots.get_mut(bot) else {
            return;
        };
        if account.product == Product::Link {
            self.frame(bot, &cause, &payload);
            return;
        }
        if account.callback.is_none() {
            self.note(bot, &cause, 0, None, Some("no callback"));
            return;
        }
        if account.queue.len() >= MAX_QUEUE {
            account.queue.pop_front();
        }
        account.queue.push_back(Parcel {
            cause,
            payload,
            attempt: 1,
            due: Instant::now(),
        });
    }

    /// <https://developer.work.weixin.qq.com/document/path/101463>
    fn frame(&mut self, bot: &str, cause: &Cause, payload: &str) {
        let request = self.id("r");
        let command = match cause.topic {
            Topic::Message => "aibot_msg_callback",
            _ => "aibot_event_callback",
        };
        let mut frame =
            format!(r#"{{"cmd":"{command}","headers":{{"req_id":"{request}"}},"body":{payload}}}"#);
        if take(&mut self.faults.noise) {
            frame = frame.replacen("\"body\":{", "\"body\":\u{1}{\u{b}", 1);
        }
        let twice = take(&mut self.faults.duplicate);
        let sent = self.links.get_mut(bot).is_some_and(|link| {
            link.remember(request, cause.clone());
            (0..=u8::from(twice)).all(|_| link.socket.text(frame.clone()))
        });
        if sent {
            self.note(bot, cause, 1, Some(200), None);
        } else {
            self.note(bot, cause, 0, None, Some("not connected"));
        }
    }

    pub(crate) fn note(
        &mut self,
        bot: &str,
        cause: &Cause,
        attempt: u32,
        status: Option<u16>,
        error: Option<&str>,
    ) {
        let delivery = Delivery {
            bot: bot.to_owned(),
            topic: cause.topic.name().to_owned(),
            id: cause.id.clone(),
            attempt,
            status,
            error: error.map(str::to_owned),
            reply: None,
        };
        log(&mut self.deliveries, delivery);
    }
}

/// Appends to a bounded log.
pub(crate) fn log<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= MAX_ENTRIES {
        entries.pop_front();
    }
    entries.push_back(entry);
}

/// Makes room for one more in a bounded table, whose keys grow.
pub(crate) fn bound<K: Ord, T>(entries: &mut BTreeMap<K, T>) {
    if entries.len() >= MAX_ENTRIES {
        entries.pop_first();
    }
}
