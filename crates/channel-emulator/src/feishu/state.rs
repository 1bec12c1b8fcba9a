//! Everything the platform knows.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::config::FeishuConfig;
use super::faults::Plan;
use super::ledger::Call;
use super::model::{
    ActionError, App, Author, CardView, Chat, Delivery, MessageView, Parcel, Press, Stored, User,
};
use crate::common::json::Parts as _;
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;
use crate::common::shared::Stateful;

/// The only tenant.
pub(crate) const TENANT: &str = "tk0001";
/// Messages kept in all.
const MAX_MESSAGES: usize = 50_000;
/// Events that wait for one app.
const MAX_QUEUE: usize = 50_000;
/// Entries kept of each log, and files and cards.
const MAX_LOG: usize = 10_000;
/// All stored bytes together.
const MAX_STORED: usize = 256 * 1024 * 1024;

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    pub(crate) apps: BTreeMap<String, App>,
    /// People, by `union_id`.
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) chats: BTreeMap<String, Chat>,
    /// Messages, by id; ids grow.
    pub(crate) messages: BTreeMap<String, MessageView>,
    pub(crate) cards: BTreeMap<String, CardView>,
    pub(crate) files: BTreeMap<String, Stored>,
    file_order: VecDeque<String>,
    stored: usize,
    pub(crate) presses: VecDeque<Press>,
    /// What was sent with a `uuid`: the message and the time.
    pub(crate) uuids: HashMap<(String, String), (String, i64)>,
    /// Times of calls, by app, chat or message.
    pub(crate) rates: HashMap<String, VecDeque<i64>>,
    pub(crate) deliveries: VecDeque<Delivery>,
    /// Every event that was made, with its app, as it was first sent.
    pub(crate) events: VecDeque<(String, Value)>,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) faults: Plan,
    /// Whether limits of chats and messages are enforced.
    pub(crate) enforces_rates: bool,
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
    pub(crate) fn new(config: &FeishuConfig) -> Self {
        Self {
            now_ms: 0,
            apps: BTreeMap::new(),
            users: BTreeMap::new(),
            chats: BTreeMap::new(),
            messages: BTreeMap::new(),
            cards: BTreeMap::new(),
            files: BTreeMap::new(),
            file_order: VecDeque::new(),
            stored: 0,
            presses: VecDeque::new(),
            uuids: HashMap::new(),
            rates: HashMap::new(),
            deliveries: VecDeque::new(),
            events: VecDeque::new(),
            ledger: Ledger::new(config.ledger),
            faults: Plan::default(),
            enforces_rates: config.rates,
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

    /// An id whose order is that of its making.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.count += 1;
        let tail = self.random.next();
        format!("{prefix}{:012x}{tail:016x}", self.count)
    }

    pub(crate) fn app(&mut self, id: &str) -> Result<&mut App, ActionError> {
        self.apps.get_mut(id).ok_or(ActionError::UnknownApp)
    }

    /// The `open_id` of a person, which is another for each app.
    pub(crate) fn open_id(app: &str, union_id: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(app.as_bytes());
        digest.update(union_id.as_bytes());
        let digest = hex::encode(digest.finalize());
        format!("ou_{}", digest.get(..32).unwrap_or_default())
    }

    /// The person behind an id of any kind, as an app may name it.
    pub(crate) fn person(&self, app: &str, id: &str) -> Option<String> {
        if self.users.contains_key(id) {
            return Some(id.to_owned());
        }
        let named = |union: &&String| Self::open_id(app, union) == id || user_id(union) == id;
        self.users.keys().find(named).cloned()
    }

    /// The chat of an app with one person, made when it is not there.
    pub(crate) fn p2p(&mut self, app: &str, union_id: &str) -> String {
        let is_it = |chat: &Chat| {
            chat.kind == "p2p" && chat.bots.contains(app) && chat.members.contains(union_id)
        };
        if let Some((id, _)) = self.chats.iter().find(|(_, chat)| is_it(chat)) {
            return id.clone();
        }
        let id = format!("oc_{}", self.hex());
        let chat = Chat {
            kind: "p2p",
            name: String::new(),
            members: [union_id.to_owned()].into(),
            bots: [app.to_owned()].into(),
        };
        self.chats.insert(id.clone(), chat);
        id
    }

    /// The three ids of a person, as events show them to an app.
    pub(crate) fn ids(app: &str, union_id: &str) -> Value {
        json!({
            "open_id": Self::open_id(app, union_id),
            "union_id": union_id,
            "user_id": user_id(union_id),
        })
    }

    /// Keeps a file and gives its key.
    pub(crate) fn store(&mut self, file: Stored) -> String {
        let prefix = if file.is_image { "img_v3_" } else { "file_v3_" };
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

    /// Makes an event for an app and queues it; gives the `event_id`.
    pub(crate) fn emit(&mut self, app: &str, kind: &str, event: Value) -> String {
        let id = self.hex();
        let now = self.now_ms.to_string();
        let Some(owner) = self.apps.get(app) else {
            return id;
        };
        let token = owner.verification_token.0.clone();
        let body = if owner.v1_events {
            let mut event = event;
            event.set("type", kind.into());
            json!({"uuid": id, "token": token, "ts": now, "type": "event_callback", "event": event})
        } else {
            let header = json!({
                "event_id": id,
                "event_type": kind,
                "create_time": now,
                "token": token,
                "app_id": app,
                "tenant_key": TENANT,
            });
            json!({"schema": "2.0", "header": header, "event": event})
        };
        log(&mut self.events, (app.to_owned(), body.clone()));
        let callback =
            (kind == "card.action.trigger").then(|| body.at("event").text("token").to_owned());
        let parcel = Parcel {
            id: id.clone(),
            body,
            callback,
            attempt: 1,
            due: Instant::now(),
        };
        if let Some(owner) = self.apps.get_mut(app) {
            if owner.queue.len() >= MAX_QUEUE {
                owner.queue.pop_front();
            }
            owner.queue.push_back(parcel);
        }
        id
    }

    /// The answer to a press, or that there was none in time.
    pub(crate) fn answered(&mut self, token: &str, answer: Option<Value>) {
        let Some(press) = self.presses.iter_mut().find(|press| press.token == token) else {
            return;
        };
        press.failed = answer.is_none();
        let message = press.message.clone();
        if let Some(answer) = answer {
            let card = answer.at("card").at("data").clone();
            press.answer = Some(answer);
            if card.is_object()
                && let Some(message) = self.messages.get_mut(&message)
            {
                message
                    .earlier
                    .push(std::mem::replace(&mut message.content, card));
            }
        }
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

    /// Whether the bot of an app is in a chat.
    pub(crate) fn is_inside(&self, app: &str, chat: &str) -> bool {
        self.chats
            .get(chat)
            .is_some_and(|chat| chat.bots.contains(app))
    }

    /// Who wrote a message, as the API shows it to an app.
    pub(crate) fn sender(app: &str, author: &Author) -> Value {
        match author {
            Author::User(union) => json!({
                "id": Self::open_id(app, union),
                "id_type": "open_id",
                "sender_type": "user",
                "tenant_key": TENANT,
            }),
            Author::App(id) => json!({
                "id": id,
                "id_type": "app_id",
                "sender_type": "app",
                "tenant_key": TENANT,
            }),
        }
    }
}

/// The `user_id` of a person: the one that the company has given.
pub(crate) fn user_id(union_id: &str) -> String {
    let tail: String = union_id.chars().rev().take(8).collect();
    format!("u{tail}")
}

/// Adds to a log that forgets its oldest entries.
pub(crate) fn log<T>(log: &mut VecDeque<T>, entry: T) {
    if log.len() >= MAX_LOG {
        log.pop_front();
    }
    log.push_back(entry);
}
