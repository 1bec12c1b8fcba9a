//! What all deliveries of an outbox have in common.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{Channel, ChannelId, ChatId, Clock, IdempotencyKey, Random, Receipt};
use tokio::sync::{Semaphore, watch};

use super::hold::Hold;
use super::limiter::Limiter;
use super::registry::Registry;
use super::report::Counters;
use super::settings::OutboxSettings;
use crate::engine::{Lost, Worker, lock};
use crate::store::StoreError;

/// How many dead targets are remembered in memory; the store remembers all.
const KNOWN_DEAD: usize = 10_000;
/// How many chats are remembered of which the store has been asked.
const KNOWN_ALIVE: usize = 10_000;

/// Why a delivery stopped before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The worker has to stop.
    Lost(Lost),
    /// The row is another worker's.
    Taken,
    /// The outbox stops.
    Stopping,
    /// The store refused the write for good.
    Store(StoreError),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(lost) => lost.fmt(f),
            Self::Taken => f.write_str("another worker has it"),
            Self::Stopping => f.write_str("the outbox stops; it goes on after the next start"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

/// A channel as the outbox sees it.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) channel: Arc<dyn Channel>,
    pub(super) hold: Hold,
    pub(super) places: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) worker: Worker,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) settings: OutboxSettings,
    pub(super) registry: Arc<Registry>,
    pub(super) counters: Counters,
    pub(super) limiter: Limiter,
    pub(super) recovery: tokio::sync::Mutex<()>,
    pub(super) recovered: Arc<Semaphore>,
    /// How often the store may have given us deliveries and its answer was lost, and how many
    /// of these doubts were looked into.
    doubts: AtomicU64,
    resolved: AtomicU64,
    /// Whether deliveries are being taken over that are not in hand yet.
    pub(super) taking_over: AtomicBool,
    /// Whether everything that older workers left behind is in hand.
    pub(super) caught_up: AtomicBool,
    outlets: Mutex<HashMap<ChannelId, Arc<Outlet>>>,
    known_dead: Mutex<HashSet<(ChannelId, ChatId)>>,
    known_alive: Mutex<HashSet<(ChannelId, ChatId)>>,
    stop: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(
        worker: Worker,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: OutboxSettings,
    ) -> Self {
        let recovered = Arc::new(Semaphore::new(places(settings.recovered_at_once)));
        Self {
            worker,
            clock,
            random,
            settings,
            registry: Registry::new(),
            counters: Counters::default(),
            limiter: Limiter::default(),
            recovery: tokio::sync::Mutex::new(()),
            recovered,
            doubts: AtomicU64::new(0),
            resolved: AtomicU64::new(0),
            taking_over: AtomicBool::new(false),
            caught_up: AtomicBool::new(false),
            outlets: Mutex::default(),
            known_dead: Mutex::default(),
            known_alive: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    pub(super) fn register(&self, channel: Arc<dyn Channel>) {
        let id = channel.info().id.clone();
        let outlet = Arc::new(Outlet {
            channel,
            hold: Hold::new(),
            places: Arc::new(Semaphore::new(places(self.settings.at_once))),
        });
        lock(&self.outlets).insert(id, outlet);
    }

    pub(super) fn outlet(&self, channel: &ChannelId) -> Option<Arc<Outlet>> {
        lock(&self.outlets).get(channel).cloned()
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until the outbox stops.
    pub(super) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives in `self`, so this never fails.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Fails if nothing new may begin.
    pub(super) fn check(&self) -> Result<(), Halt> {
        if let Some(lost) = self.worker.why_lost() {
            return Err(Halt::Lost(lost));
        }
        if self.is_stopping() {
            return Err(Halt::Stopping);
        }
        Ok(())
    }

    /// Waits; fails at once when nothing new may begin.
    pub(super) async fn pause(&self, duration: Duration) -> Result<(), Halt> {
        self.check()?;
        tokio::select! {
            biased;
            lost = self.worker.lost() => Err(Halt::Lost(lost)),
            () = self.stopped() => Err(Halt::Stopping),
            () = self.clock.sleep(duration) => Ok(()),
        }
    }

    /// Why nothing is to be sent to a chat. A store that does not answer is no reason.
    pub(super) async fn dead_target(&self, channel: &ChannelId, chat: &ChatId) -> Option<String> {
        let store = self.worker.store();
        let found = store.dead_target(channel, chat, self.worker.now()).await;
        let (_, reason) = found.ok().flatten()?;
        self.now_dead(channel, chat);
        Some(reason)
    }

    fn now_dead(&self, channel: &ChannelId, chat: &ChatId) {
        let pair = (channel.clone(), chat.clone());
        lock(&self.known_alive).remove(&pair);
        let mut known = lock(&self.known_dead);
        if known.len() < KNOWN_DEAD {
            known.insert(pair);
        }
    }

    /// What shows an answer that is not finished.
    pub(super) async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.worker.store().preview(channel, key).await
    }

    /// Remembers that a chat does not want us.
    pub(super) async fn bury(&self, channel: &ChannelId, chat: &ChatId, reason: &str) {
        let now = self.worker.now();
        let until = now.checked_add(self.settings.dead_target_for);
        let dead = Some((until.unwrap_or(now), reason.to_owned()));
        if let Err(error) = self.worker.store().set_target(channel, chat, dead).await {
            tracing::warn!(%channel, %error, "a dead target was not remembered");
            return;
        }
        self.now_dead(channel, chat);
    }

    /// Forgets that a chat did not want us, if we know that it did; whether we knew.
    pub(super) async fn exhume(&self, channel: &ChannelId, chat: &ChatId) -> bool {
        let known = {
            let mut known = lock(&self.known_dead);
            !known.is_empty() && known.remove(&(channel.clone(), chat.clone()))
        };
        if known && let Err(error) = self.worker.store().set_target(channel, chat, None).await {
            tracing::warn!(%channel, %error, "a dead target was not forgotten");
        }
        known
    }

    /// Whether the store was asked about this chat: what became of it since is known.
    pub(super) fn has_heard_from(&self, channel: &ChannelId, chat: &ChatId) -> bool {
        lock(&self.known_alive).contains(&(channel.clone(), chat.clone()))
    }

    pub(super) fn now_heard_from(&self, channel: &ChannelId, chat: &ChatId) {
        let mut known = lock(&self.known_alive);
        if known.len() >= KNOWN_ALIVE {
            known.clear();
        }
        known.insert((channel.clone(), chat.clone()));
    }

    /// The store may have given us something that we have not heard of.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// How many doubts there were; `None` if they are resolved.
    pub(super) fn in_doubt(&self) -> Option<u64> {
        let doubts = self.doubts.load(Ordering::Acquire);
        (doubts > self.resolved.load(Ordering::Acquire)).then_some(doubts)
    }

    /// That many doubts are resolved.
    pub(super) fn resolved(&self, doubts: u64) {
        self.resolved.fetch_max(doubts, Ordering::AcqRel);
    }

    /// Whether something may be ours that is not in hand.
    pub(super) fn may_own_more(&self) -> bool {
        self.taking_over.load(Ordering::Acquire) || self.in_doubt().is_some()
    }

    pub(super) fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }
}

fn places(count: usize) -> usize {
    count.clamp(1, u32::MAX as usize >> 3)
}
