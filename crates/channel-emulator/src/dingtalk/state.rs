//! Everything the platform knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::config::DingtalkConfig;
use super::faults::Plan;
use super::ledger::Call;
use super::model::{
    ActionError, App, CardView, Chat, Delivery, MessageView, Parcel, Press, Robot, Session, Stored,
    User,
};
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;
use crate::common::shared::Stateful;

/// Messages kept in all.
const MAX_MESSAGES: usize = 50_000;
/// Frames that wait for one app.
const MAX_QUEUE: usize = 50_000;
/// Entries kept of each log, and files and cards.
const MAX_LOG: usize = 20_000;
/// All stored bytes together.
const MAX_STORED: usize = 256 * 1024 * 1024;

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    /// What stands for `https://oapi.dingtalk.com` in addresses that the platform gives out.
    pub(crate) base: String,
    pub(crate) apps: BTreeMap<String, App>,
    /// Custom robots, by token.
    pub(crate) robots: BTreeMap<String, Robot>,
    /// People, by staff id, or by sender id outside the organisation.
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) chats: BTreeMap<String, Chat>,
    /// Messages, by id; ids grow.
    pub(crate) messages: BTreeMap<String, MessageView>,
    /// By the credential in the address; they grow.
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) cards: BTreeMap<String, CardView>,
    /// Files, by `downloadCode` or `media_id`.
    pub(crate) files: BTreeMap<String, Stored>,
    file_order: VecDeque<String>,
    stored: usize,
    pub(crate) presses: VecDeque<Press>,
    /// Times of calls, by app or robot.
    rates: HashMap<String, VecDeque<i64>>,
    pub(crate) deliveries: VecDeque<Delivery>,
    /// How many deliveries have ended.
    pub(crate) ended: u64,
    /// Everything that was made for an app, with its client id, as `data` first showed it.
    pub(crate) events: VecDeque<(String, Value)>,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) faults: Plan,
    random: Sequence,
    count: u64,
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
    pub(crate) fn new(config: &DingtalkConfig) -> Self {
        Self {
            now_ms: 0,
            base: String::new(),
            apps: BTreeMap::new(),
            robots: BTreeMap::new(),
            users: BTreeMap::new(),
            chats: BTreeMap::new(),
            messages: BTreeMap::new(),
            sessions: BTreeMap::new(),
            cards: BTreeMap::new(),
            files: BTreeMap::new(),
            file_order: VecDeque::new(),
            stored: 0,
            presses: VecDeque::new(),
            rates: HashMap::new(),
            deliveries: VecDeque::new(),
            ended: 0,
            events: VecDeque::new(),
            ledger: Ledger::new(config.ledger),
            faults: Plan::default(),
            random: Sequence::new(config.seed),
            count: 0,
        }
    }

    /// 32 hexadecimal digits.
    pub(crate) fn hex(&mut self) -> String {
        self.random.hex()
    }

    /// The next number of a fixed sequence.
    pub(crate) fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// An id in the form of a UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex();
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        [
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32),
        ]
        .join("-")
    }

    /// An id whose order is that of its making.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.count += 1;
        let tail = self.random.next();
        format!("{prefix}{:012x}{tail:016x}", self.count)
    }

    pub(crate) fn app(&mut self, id: &str) -> Result<&mut App, ActionError> {
        self.apps.get_mut(id).ok_or(ActionError::UnknownApp)
    }

    /// The conversation of a robot with one person, made when it is not there.
    pub(crate) fn direct(&mut self, app: &str, user: &str) -> String {
        let is_it = |chat: &Chat| {
            chat.title.is_none() && chat.apps.contains(app) && chat.members.contains(user)
        };
        if let Some((id, _)) = self.chats.iter().find(|(_, chat)| is_it(chat)) {
            return id.clone();
        }
        let chat = Chat {
            title: None,
            members: BTreeSet::from([user.to_owned()]),
            apps: BTreeSet::from([app.to_owned()]),
        };
        self.add_chat(chat)
    }

    /// Adds a conversation. Its id is base64 on the platform, with all that base64 brings.
    pub(crate) fn add_chat(&mut self, chat: Chat) -> String {
        let id = format!("cid{}/+=", self.hex());
        self.chats.insert(id.clone(), chat);
        id
    }

    /// Whether the robot of an app is in a conversation.
    pub(crate) fn is_inside(&self, app: &str, chat: &str) -> bool {
        self.chats
            .get(chat)
            .is_some_and(|chat| chat.apps.contains(app))
    }

    /// Keeps a file and gives its key.
    pub(crate) fn store(&mut self, prefix: &str, file: Stored) -> String {
        let key = self.id(prefix);
        self.stored += file.bytes.len();
        self.files.insert(key.clone(), file);
        self.file_order.push_back(key.clone());
        while self.stored > MAX_STORED || self.file_order.len() > MAX_LOG {
            let Some(oldest) = self.file_order.pop_front() else {
                break;
            };
            if let Some(file) = self.files.remove(&oldest) {
                self.stored -= file.bytes.len();
            }
        }
        key
    }

    /// Keeps a message.
    pub(crate) fn keep(&mut self, message: MessageView) {
        if self.messages.len() >= MAX_MESSAGES {
            self.messages.pop_first();
        }
        self.messages.insert(message.id.clone(), message);
    }

    /// Keeps a card.
    pub(crate) fn keep_card(&mut self, card: CardView) {
        if self.cards.len() >= MAX_LOG {
            self.cards.pop_first();
        }
        self.cards.insert(card.id.clone(), card);
    }

    /// Lets an app answer in a conversation for a while; gives the address.
    pub(crate) fn open_session(&mut self, app: &str, chat: &str, life_ms: i64) -> (String, i64) {
        let key = self.id("");
        let ends = self.now_ms.saturating_add(life_ms);
        if self.sessions.len() >= MAX_MESSAGES {
            self.sessions.pop_first();
        }
        let session = Session {
            app: app.to_owned(),
            chat: chat.to_owned(),
            ends,
        };
        self.sessions.insert(key.clone(), session);
        let address = format!("{}/robot/sendBySession?session={key}", self.base);
        (address, ends)
    }

    /// Queues something for an app.
    pub(crate) fn enqueue(&mut self, app: &str, parcel: Parcel) {
        log(&mut self.events, (app.to_owned(), parcel.data.clone()));
        if let Some(owner) = self.apps.get_mut(app) {
            if owner.queue.len() >= MAX_QUEUE {
                owner.queue.pop_front();
            }
            owner.queue.push_back(parcel);
        }
    }

    /// Writes down how a push ended.
    pub(crate) fn note(&mut self, delivery: Delivery) {
        self.ended += 1;
        log(&mut self.deliveries, delivery);
    }

    /// Counts a call; false when `limit` of them came within `window_ms` before.
    pub(crate) fn allows(&mut self, key: &str, limit: usize, window_ms: i64) -> bool {
        let now = self.now_ms;
        if self.rates.len() > MAX_LOG {
            self.rates
                .retain(|_, times| times.back().is_some_and(|last| now - last < 60_000));
        }
        let times = self.rates.entry(key.to_owned()).or_default();
        while times.front().is_some_and(|first| now - first >= window_ms) {
            times.pop_front();
        }
        if times.len() >= limit {
            return false;
        }
        times.push_back(now);
        true
    }
}

/// The id by which the platform calls somebody inside conversations.
pub(crate) fn sender_id(of: &str) -> String {
    let digest = Sha256::digest(of.as_bytes());
    let text = STANDARD.encode(digest);
    format!("$:LWCP_v1:${}", text.get(..32).unwrap_or_default())
}

/// Milliseconds of a setting.
pub(crate) fn millis(of: std::time::Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

/// Adds to a log that forgets its oldest entries.
pub(crate) fn log<T>(log: &mut VecDeque<T>, entry: T) {
    if log.len() >= MAX_LOG {
        log.pop_front();
    }
    log.push_back(entry);
}
