//! A store around another one.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};

use crate::inbound::{Attempt, DeadEvent, NewEvent, Outcome, Recorded, Seq, StoredEvent};
use crate::outbound::{
    Ahead, DeadDelivery, DeliveryId, NewDelivery, Part, Planned, StoredDelivery,
};
use crate::store::{Counts, JournalEntry, Store, StoreError, Swept};
use crate::worker::{Fence, WorkerId};

/// Changes some calls of a store and leaves the others as they are: measures, faults,
/// planted bugs. Whoever implements it has a [`Store`].
#[async_trait]
pub trait StoreLayer: fmt::Debug + Send + Sync + 'static {
    /// The store that it stands around.
    fn inner(&self) -> &dyn Store;

    /// The same on the way of a call that is not changed, which may end here.
    ///
    /// # Errors
    ///
    /// What such a call is to say instead.
    fn reach(&self) -> Result<&dyn Store, StoreError> {
        Ok(self.inner())
    }

    /// As [`Store::lease`].
    fn lease(&self) -> Duration {
        self.inner().lease()
    }

    /// As [`Store::enroll`].
    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        self.reach()?.enroll(worker, lease, now).await
    }

    /// As [`Store::renew`].
    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.reach()?.renew(fence, lease, now).await
    }

    /// As [`Store::leave`].
    async fn leave(&self, fence: Fence, now: SystemTime) -> Result<(), StoreError> {
        self.reach()?.leave(fence, now).await
    }

    /// As [`Store::record`].
    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.reach()?.record(fence, events, now).await
    }

    /// As [`Store::cursor`].
    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        self.reach()?.cursor(channel).await
    }

    /// As [`Store::claim`].
    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.reach()?.claim(fence, limit, now).await
    }

    /// As [`Store::owned`].
    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.reach()?.owned(fence, after, limit).await
    }

    /// As [`Store::begin`].
    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        self.reach()?.begin(fence, event, now).await
    }

    /// As [`Store::finish`].
    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.reach()?.finish(fence, event, outcome, now).await
    }

    /// As [`Store::plan`].
    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        self.reach()?.plan(fence, delivery, now).await
    }

    /// As [`Store::update`].
    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.reach()?.update(fence, delivery, parts, now).await
    }

    /// As [`Store::claim_deliveries`].
    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.reach()?.claim_deliveries(fence, limit, now).await
    }

    /// As [`Store::ahead`].
    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        self.reach()?.ahead(fence, delivery, limit, now).await
    }

    /// As [`Store::owned_deliveries`].
    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.reach()?.owned_deliveries(fence, after, limit).await
    }

    /// As [`Store::note_preview`].
    async fn note_preview(
        &self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.reach()?
            .note_preview(fence, channel, key, shown, now)
            .await
    }

    /// As [`Store::preview`].
    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.reach()?.preview(channel, key).await
    }

    /// As [`Store::set_target`].
    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Result<(), StoreError> {
        self.reach()?.set_target(channel, chat, dead).await
    }

    /// As [`Store::dead_target`].
    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        self.reach()?.dead_target(channel, chat, now).await
    }

    /// As [`Store::dead_events`].
    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError> {
        self.reach()?.dead_events(after, limit).await
    }

    /// As [`Store::retry_event`].
    async fn retry_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        self.reach()?.retry_event(event, now).await
    }

    /// As [`Store::drop_event`].
    async fn drop_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        self.reach()?.drop_event(event, now).await
    }

    /// As [`Store::dead_deliveries`].
    async fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        self.reach()?.dead_deliveries(after, limit).await
    }

    /// As [`Store::retry_delivery`].
    async fn retry_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        self.reach()?.retry_delivery(delivery, now).await
    }

    /// As [`Store::drop_delivery`].
    async fn drop_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        self.reach()?.drop_delivery(delivery, now).await
    }

    /// As [`Store::counts`].
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.reach()?.counts().await
    }

    /// As [`Store::journal`].
    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.reach()?.journal(after, limit).await
    }

    /// As [`Store::sweep`].
    async fn sweep(&self, before: SystemTime, limit: usize) -> Result<Swept, StoreError> {
        self.reach()?.sweep(before, limit).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: StoreLayer> Store for L {
    fn lease(&self) -> Duration {
        StoreLayer::lease(self)
    }

    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        StoreLayer::enroll(self, worker, lease, now).await
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        StoreLayer::renew(self, fence, lease, now).await
    }

    async fn leave(&self, fence: Fence, now: SystemTime) -> Result<(), StoreError> {
        StoreLayer::leave(self, fence, now).await
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        StoreLayer::record(self, fence, events, now).await
    }

    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        StoreLayer::cursor(self, channel).await
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        StoreLayer::claim(self, fence, limit, now).await
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        StoreLayer::owned(self, fence, after, limit).await
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        StoreLayer::begin(self, fence, event, now).await
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        StoreLayer::finish(self, fence, event, outcome, now).await
    }

    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        StoreLayer::plan(self, fence, delivery, now).await
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        StoreLayer::update(self, fence, delivery, parts, now).await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        StoreLayer::claim_deliveries(self, fence, limit, now).await
    }

    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        StoreLayer::ahead(self, fence, delivery, limit, now).await
    }

    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        StoreLayer::owned_deliveries(self, fence, after, limit).await
    }

    async fn note_preview(
        &self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        StoreLayer::note_preview(self, fence, channel, key, shown, now).await
    }

    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        StoreLayer::preview(self, channel, key).await
    }

    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Result<(), StoreError> {
        StoreLayer::set_target(self, channel, chat, dead).await
    }

    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        StoreLayer::dead_target(self, channel, chat, now).await
    }

    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError> {
        StoreLayer::dead_events(self, after, limit).await
    }

    async fn retry_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        StoreLayer::retry_event(self, event, now).await
    }

    async fn drop_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        StoreLayer::drop_event(self, event, now).await
    }

    async fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        StoreLayer::dead_deliveries(self, after, limit).await
    }

    async fn retry_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        StoreLayer::retry_delivery(self, delivery, now).await
    }

    async fn drop_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        StoreLayer::drop_delivery(self, delivery, now).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        StoreLayer::counts(self).await
    }

    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        StoreLayer::journal(self, after, limit).await
    }

    async fn sweep(&self, before: SystemTime, limit: usize) -> Result<Swept, StoreError> {
        StoreLayer::sweep(self, before, limit).await
    }
}
