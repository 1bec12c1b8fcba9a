//! A store that lives and dies with its process.

mod deliveries;
mod events;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};

use crate::inbound::{Attempt, DeadEvent, NewEvent, Outcome, Recorded, Seq, StoredEvent};
use crate::outbound::{
    Ahead, DeadDelivery, DeliveryId, NewDelivery, Part, Planned, StoredDelivery,
};
use crate::store::{Counts, JournalEntry, Store, StoreError, Swept};
use crate::worker::{Fence, WorkerId};
use state::State;

/// A store in memory: every rule of a durable one, and nothing on disk.
///
/// A clone shares the rows, so that a worker can be dropped as in a crash and another one
/// can carry on. The same calls give the same answers in the same order: it reads no clock
/// and iterates over sorted maps only.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

/// Builds a [`MemoryStore`]; made by [`MemoryStore::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct MemoryStoreBuilder {
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) unfinished: usize,
    pub(crate) history: usize,
    pub(crate) exclusive: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unfinished: 10_000,
            history: 10_000,
            exclusive: false,
        }
    }
}

impl MemoryStoreBuilder {
    /// How many unfinished events, and as many unfinished deliveries, are kept; 10,000 if not
    /// set. More are refused with `Unavailable`.
    pub const fn unfinished(mut self, limit: usize) -> Self {
        self.limits.unfinished = limit;
        self
    }

    /// How many finished and dead events, and as many deliveries and dead targets, are
    /// remembered; 10,000 if not set. The oldest is forgotten first, and its id with it.
    pub const fn history(mut self, limit: usize) -> Self {
        self.limits.history = limit;
        self
    }

    /// Ends all other leases at each enrolment, as a store behind an exclusive lock does; off
    /// if not set.
    pub const fn exclusive(mut self, on: bool) -> Self {
        self.limits.exclusive = on;
        self
    }

    /// Makes the store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        MemoryStore {
            state: Arc::new(Mutex::new(State::new(self.limits))),
        }
    }
}

impl MemoryStore {
    /// An empty store with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets limits.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder {
            limits: Limits::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each method checks before it writes, so a panic leaves no half of a change behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStore")
            .field("events", &state.events.len())
            .field("deliveries", &state.deliveries.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn enroll(
        &self,
        _worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        self.state().enroll(lease, now)
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.state().renew(fence, lease, now)
    }

    async fn leave(&self, fence: Fence, _now: SystemTime) -> Result<(), StoreError> {
        self.state().leave(fence)
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.state().record(fence, events, now)
    }

    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        Ok(self.state().cursors.get(channel).cloned())
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.state().claim(fence, limit, now)
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.state().owned(fence, after, limit)
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        self.state().begin(fence, event, now)
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.state().finish(fence, event, &outcome, now)
    }

    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        self.state().plan(fence, delivery, now)
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.state().update(fence, delivery, &parts, now)
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.state().claim_deliveries(fence, limit, now)
    }

    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        self.state().ahead(fence, delivery, limit, now)
    }

    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.state().owned_deliveries(fence, after, limit)
    }

    async fn note_preview(
        &self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.state().note_preview(fence, channel, key, shown, now)
    }

    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        Ok(self.state().preview(channel, key))
    }

    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Result<(), StoreError> {
        self.state().set_target(channel, chat, dead);
        Ok(())
    }

    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        Ok(self.state().dead_target(channel, chat, now))
    }

    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError> {
        Ok(self.state().dead_events(after, limit))
    }

    async fn retry_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        Ok(self.state().retry_event(event, now))
    }

    async fn drop_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        Ok(self.state().drop_event(event, now))
    }

    async fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        Ok(self.state().dead_deliveries(after, limit))
    }

    async fn retry_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        Ok(self.state().retry_delivery(delivery, now))
    }

    async fn drop_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        Ok(self.state().drop_delivery(delivery, now))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok(self.state().counts())
    }

    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.state().journal(after, limit))
    }

    async fn sweep(&self, before: SystemTime, limit: usize) -> Result<Swept, StoreError> {
        Ok(self.state().sweep(before, limit))
    }
}
