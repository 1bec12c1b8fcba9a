//! A store that fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use channel_core::{ChannelId, ChatId, async_trait};
use channel_delivery::{
    Attempt, Counts, DeadDelivery, DeadEvent, DeliveryId, Fence, JournalEntry, MemoryStore,
    NewDelivery, NewEvent, Outcome, Part, Planned, Recorded, Seq, Store, StoreError,
    StoreErrorKind, StoredDelivery, StoredEvent, Swept, WorkerId,
};

type Answer<T> = Result<T, StoreError>;

#[derive(Debug, Clone)]
pub(crate) struct FailingStore {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
    loses: Arc<AtomicBool>,
}

impl FailingStore {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            fails: Arc::default(),
            loses: Arc::default(),
        }
    }

    /// From now on every call fails, or none.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The next events are recorded, and the answer is lost.
    pub(crate) fn lose_an_answer(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }

    fn up(&self) -> Answer<&MemoryStore> {
        if self.fails.load(Ordering::SeqCst) {
            let full = "the disk is full";
            return Err(StoreError::new(StoreErrorKind::Unavailable, full));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl Store for FailingStore {
    async fn enroll(&self, worker: &WorkerId, lease: Duration, now: SystemTime) -> Answer<Fence> {
        self.up()?.enroll(worker, lease, now).await
    }
    async fn renew(&self, fence: Fence, lease: Duration, now: SystemTime) -> Answer<()> {
        self.up()?.renew(fence, lease, now).await
    }
    async fn leave(&self, fence: Fence, now: SystemTime) -> Answer<()> {
        self.up()?.leave(fence, now).await
    }
    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Answer<Vec<Recorded>> {
        let recorded = self.up()?.record(fence, events, now).await;
        if self.loses.swap(false, Ordering::SeqCst) {
            let gone = "the answer is lost";
            return Err(StoreError::new(StoreErrorKind::Unavailable, gone));
        }
        recorded
    }
    async fn cursor(&self, channel: &ChannelId) -> Answer<Option<String>> {
        self.up()?.cursor(channel).await
    }
    async fn claim(&self, fence: Fence, limit: usize, now: SystemTime) -> Answer<Vec<StoredEvent>> {
        self.up()?.claim(fence, limit, now).await
    }
    async fn begin(&self, fence: Fence, event: Seq, now: SystemTime) -> Answer<Attempt> {
        self.up()?.begin(fence, event, now).await
    }
    async fn finish(&self, fence: Fence, event: Seq, end: Outcome, now: SystemTime) -> Answer<()> {
        self.up()?.finish(fence, event, end, now).await
    }
    async fn plan(&self, fence: Fence, plan: NewDelivery, now: SystemTime) -> Answer<Planned> {
        self.up()?.plan(fence, plan, now).await
    }
    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Answer<()> {
        self.up()?.update(fence, delivery, parts, now).await
    }
    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Answer<Vec<StoredDelivery>> {
        self.up()?.claim_deliveries(fence, limit, now).await
    }
    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Answer<()> {
        self.up()?.set_target(channel, chat, dead).await
    }
    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Answer<Option<(SystemTime, String)>> {
        self.up()?.dead_target(channel, chat, now).await
    }
    async fn dead_events(&self, after: Option<Seq>, limit: usize) -> Answer<Vec<DeadEvent>> {
        self.up()?.dead_events(after, limit).await
    }
    async fn retry_event(&self, event: Seq, now: SystemTime) -> Answer<bool> {
        self.up()?.retry_event(event, now).await
    }
    async fn drop_event(&self, event: Seq, now: SystemTime) -> Answer<bool> {
        self.up()?.drop_event(event, now).await
    }
    async fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Answer<Vec<DeadDelivery>> {
        self.up()?.dead_deliveries(after, limit).await
    }
    async fn retry_delivery(&self, delivery: DeliveryId, now: SystemTime) -> Answer<bool> {
        self.up()?.retry_delivery(delivery, now).await
    }
    async fn drop_delivery(&self, delivery: DeliveryId, now: SystemTime) -> Answer<bool> {
        self.up()?.drop_delivery(delivery, now).await
    }
    async fn counts(&self) -> Answer<Counts> {
        self.up()?.counts().await
    }
    async fn journal(&self, after: Option<Seq>, limit: usize) -> Answer<Vec<JournalEntry>> {
        self.up()?.journal(after, limit).await
    }
    async fn sweep(&self, before: SystemTime, limit: usize) -> Answer<Swept> {
        self.up()?.sweep(before, limit).await
    }
}
