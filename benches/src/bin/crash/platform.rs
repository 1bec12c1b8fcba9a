//! A platform that keeps a ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::bot;

/// How many conversations the messages belong to.
pub(crate) const CHATS: u64 = 64;
/// How many events one poll brings.
const PAGE: usize = 100;

/// What the platform makes of a send that is repeated, and the bot of one that may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It recognises keys.
    Keyed,
    /// It can be asked whether a message has arrived.
    Reading,
    /// It can do neither, and the bot repeats with a note.
    Marked,
    /// It can do neither, and the bot holds what may have arrived.
    Held,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Keyed, Self::Reading, Self::Marked, Self::Held];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Reading => "reading",
            Self::Marked => "marked",
            Self::Held => "held",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

pub(crate) struct Platform {
    address: SocketAddr,
    kind: Kind,
    news: Notify,
    /// How many lives the bot has had.
    lives: AtomicU64,
    /// The newest of them that has asked for events.
    alive: watch::Sender<u64>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    said: u64,
    /// Not acknowledged; `true` while they are with a client.
    pending: BTreeMap<u64, bool>,
    acknowledged: BTreeSet<u64>,
    shown: Vec<Shown>,
    /// The same without notes.
    seen: HashSet<String>,
    keys: HashMap<String, u64>,
}

/// What somebody saw.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) chat: String,
    pub(crate) text: String,
}

/// A message of a person.
#[derive(Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) id: u64,
    pub(crate) chat: u64,
    pub(crate) text: String,
}

/// A message of the bot.
#[derive(Serialize, Deserialize)]
pub(crate) struct Send {
    pub(crate) key: String,
    pub(crate) chat: String,
    pub(crate) text: String,
}

impl Platform {
    pub(crate) async fn start(kind: Kind) -> anyhow::Result<Arc<Self>> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let platform = Arc::new(Self {
            address: listener.local_addr()?,
            kind,
            news: Notify::new(),
            lives: AtomicU64::new(0),
            alive: watch::Sender::new(0),
            ledger: Mutex::default(),
        });
        let router = Router::new()
            .route("/poll/{life}", get(poll))
            .route("/ack", post(ack))
            .route("/send", post(send))
            .route("/find", post(find))
            .with_state(Arc::clone(&platform));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(platform)
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets people write until there are this many messages.
    pub(crate) fn say_up_to(&self, count: u64) {
        let mut ledger = self.ledger();
        while ledger.said < count {
            let id = ledger.said;
            ledger.pending.insert(id, false);
            ledger.said += 1;
        }
        drop(ledger);
        self.news.notify_waiters();
    }

    pub(crate) fn said(&self) -> u64 {
        self.ledger().said
    }

    pub(crate) fn pending(&self) -> usize {
        self.ledger().pending.len()
    }

    /// Whether anything from this message on is not answered.
    pub(crate) fn is_waiting(&self, from: u64) -> bool {
        let ledger = self.ledger();
        let mut answers = (from..ledger.said).flat_map(bot::answers).flatten();
        answers.any(|text| !ledger.seen.contains(&text))
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.ledger().shown.clone()
    }

    /// The bot is started once more: the number of this life.
    pub(crate) fn next_life(&self) -> u64 {
        self.lives.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns when the newest life of the bot has asked for events: then it listens for
    /// signals too.
    pub(crate) async fn asked(&self) {
        let life = self.lives.load(Ordering::Relaxed);
        let mut alive = self.alive.subscribe();
        // The sender is this very object.
        drop(alive.wait_for(|newest| *newest >= life).await);
    }

    /// The client is gone: what it has not acknowledged comes again.
    pub(crate) fn forget_deliveries(&self) {
        for delivered in self.ledger().pending.values_mut() {
            *delivered = false;
        }
    }
}

async fn poll(State(platform): State<Arc<Platform>>, Path(life): Path<u64>) -> Json<Vec<Said>> {
    platform
        .alive
        .send_if_modified(|newest| std::mem::replace(newest, life.max(*newest)) < life);
    let wait = tokio::time::sleep(Duration::from_secs(1));
    tokio::pin!(wait);
    loop {
        let news = platform.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let page: Vec<Said> = {
            let mut ledger = platform.ledger();
            let page = ledger.pending.iter_mut().filter(|(_, out)| !**out);
            page.take(PAGE)
                .map(|(id, out)| {
                    *out = true;
                    Said {
                        id: *id,
                        chat: id % CHATS,
                        text: id.to_string(),
                    }
                })
                .collect()
        };
        if !page.is_empty() {
            return Json(page);
        }
        tokio::select! {
            () = news => {}
            () = &mut wait => return Json(Vec::new()),
        }
    }
}

async fn ack(State(platform): State<Arc<Platform>>, Json(ids): Json<Vec<u64>>) {
    let mut ledger = platform.ledger();
    for id in ids {
        ledger.pending.remove(&id);
        ledger.acknowledged.insert(id);
    }
}

async fn send(State(platform): State<Arc<Platform>>, Json(message): Json<Send>) -> Json<u64> {
    let mut ledger = platform.ledger();
    let next = ledger.shown.len() as u64;
    if platform.kind == Kind::Keyed
        && let Some(id) = ledger.keys.get(&message.key)
    {
        return Json(*id);
    }
    ledger.keys.insert(message.key, next);
    let Send { chat, text, .. } = message;
    ledger.seen.insert(bot::without_note(&text).0.to_owned());
    ledger.shown.push(Shown { chat, text });
    Json(next)
}

async fn find(State(platform): State<Arc<Platform>>, Json(key): Json<String>) -> Json<Option<u64>> {
    Json(platform.ledger().keys.get(&key).copied())
}
