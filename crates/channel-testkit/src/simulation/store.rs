//! The store as one process sees it: slow, unreliable, and watched.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};
use channel_delivery::{
    Ahead, Attempt, Counts, DeadEvent, DeliveryId, Fence, JournalEntry, NewDelivery, NewEvent,
    Outcome, Part, Planned, Recorded, Seq, Store, StoreError, StoreErrorKind, StoreLayer,
    StoredDelivery, StoredEvent, WorkerId,
};

use super::gate::Gate;
use super::hazard::Hazard;
use super::ledger::Ledger;

/// The faults of a store and the checks of its answers, around the store under test.
#[derive(Clone)]
pub(super) struct ProcessStore {
    pub(super) inner: Arc<dyn Store>,
    pub(super) gate: Arc<Gate>,
    pub(super) hazard: Arc<Hazard>,
    pub(super) ledger: Arc<Ledger>,
}

impl fmt::Debug for ProcessStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessStore({})", self.gate.number)
    }
}

fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the store does not answer")
}

impl ProcessStore {
    async fn delay(&self) {
        let world = &self.hazard.world;
        let delay = world.span(self.hazard.scenario.store_delay);
        self.gate.sleep(delay).await;
    }

    async fn read<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.gate.pass().await;
        self.delay().await;
        if self.hazard.store_fails() {
            self.note(what, "fails");
            return Err(unavailable());
        }
        let answer = call.await;
        self.delay().await;
        answer
    }

    /// A write whose answer may be lost.
    async fn change<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
        seen: impl FnOnce(&T) + Send,
    ) -> Result<T, StoreError> {
        let answer = self.take(what, call, seen).await;
        if answer.is_ok() && self.hazard.loses_answer() {
            self.note(what, "is written, and the answer is lost");
            return Err(unavailable());
        }
        answer
    }

    /// A write whose answer is not lost: it fails before it writes or not at all.
    ///
    /// `seen` looks at the answer in the moment in which it is written.
    async fn take<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
        seen: impl FnOnce(&T) + Send,
    ) -> Result<T, StoreError> {
        self.gate.pass().await;
        self.delay().await;
        if self.hazard.store_fails() {
            self.note(what, "fails");
            return Err(unavailable());
        }
        let rate = self.hazard.scenario.rates.store_crash;
        if self.hazard.crashes(rate) {
            self.gate.die::<()>(&format!("before {what}")).await;
        }
        let answer = call.await;
        match &answer {
            Ok(value) => {
                self.note(what, "is written");
                seen(value);
            }
            Err(error) => self.note(what, &error.to_string()),
        }
        if self.hazard.crashes(rate) {
            self.gate.die::<()>(&format!("after {what}")).await;
        }
        self.delay().await;
        answer
    }

    fn note(&self, what: &str, how: &str) {
        let process = self.gate.number;
        self.hazard
            .world
            .note(|| format!("p{process} {what} {how}"));
    }
}

#[async_trait]
impl StoreLayer for ProcessStore {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }

    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        let call = self.inner.enroll(worker, lease, now);
        let seen = |fence: &Fence| self.ledger.enrolled(*fence, lease, now);
        self.take("enrolment", call, seen).await
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let call = self.inner.renew(fence, lease, now);
        let seen = |(): &()| self.ledger.renewed(fence, lease, now);
        self.change("renewal", call, seen).await
    }

    async fn leave(&self, fence: Fence, now: SystemTime) -> Result<(), StoreError> {
        let call = self.inner.leave(fence, now);
        self.change("leave", call, |(): &()| self.ledger.left(fence, now))
            .await
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        let asked = events.clone();
        let call = self.inner.record(fence, events, now);
        let seen = |answers: &Vec<Recorded>| {
            for (new, answer) in asked.iter().zip(answers) {
                self.hazard
                    .world
                    .note(|| format!("  {} {answer:?}", new.event.id));
            }
            self.ledger.recorded(fence, &asked, answers);
        };
        self.change("record", call, seen).await
    }

    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        self.read("cursor", self.inner.cursor(channel)).await
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let call = self.inner.claim(fence, limit, now);
        let seen = |events: &Vec<StoredEvent>| {
            for event in events {
                let world = &self.hazard.world;
                world.note(|| format!("  {} {}", event.event.id, event.state));
            }
            self.ledger.claimed(fence, events, now);
        };
        self.change("claim", call, seen).await
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let call = self.inner.owned(fence, after, limit);
        let now = self.hazard.world.now();
        let seen = |events: &Vec<StoredEvent>| self.ledger.claimed(fence, events, now);
        self.take("look at what is ours", call, seen).await
    }

    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let call = self.inner.owned_deliveries(fence, after, limit);
        let now = self.hazard.world.now();
        let seen = |owned: &Vec<StoredDelivery>| self.ledger.deliveries_claimed(fence, owned, now);
        self.take("look at the deliveries that are ours", call, seen)
            .await
    }

    async fn note_preview(
        &self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let call = self.inner.note_preview(fence, channel, key, shown, now);
        self.change("note of a preview", call, |(): &()| ()).await
    }

    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.read("preview", self.inner.preview(channel, key)).await
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        let call = self.inner.begin(fence, event, now);
        let seen = |attempt: &Attempt| {
            let world = &self.hazard.world;
            world.note(|| format!("  event {event} attempt {}", attempt.number));
            self.ledger.begun(fence, event, *attempt);
        };
        self.change("begin", call, seen).await
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let end = outcome.clone();
        let call = self.inner.finish(fence, event, outcome, now);
        let seen = |(): &()| {
            let world = &self.hazard.world;
            world.note(|| format!("  event {event} {end:?}"));
            self.ledger.finished(fence, event, &end);
        };
        self.change("finish", call, seen).await
    }

    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        let new = delivery.clone();
        let call = self.inner.plan(fence, delivery, now);
        let seen = |planned: &Planned| {
            let world = &self.hazard.world;
            world.note(|| format!("  {} as delivery {}", new.key, planned.delivery.id));
            self.ledger.planned(fence, &new, planned, now);
        };
        self.change("plan", call, seen).await
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let changes = parts.clone();
        let call = self.inner.update(fence, delivery, parts, now);
        let seen = |(): &()| {
            for (part, change) in &changes {
                let world = &self.hazard.world;
                world.note(|| format!("  delivery {delivery} part {part} {}", change.state));
            }
            self.ledger.updated(fence, delivery, &changes, now);
        };
        self.change("update", call, seen).await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let call = self.inner.claim_deliveries(fence, limit, now);
        let seen = |claimed: &Vec<StoredDelivery>| {
            for stored in claimed {
                let world = &self.hazard.world;
                world.note(|| format!("  delivery {} is taken over", stored.id));
            }
            self.ledger.deliveries_claimed(fence, claimed, now);
        };
        self.change("claim of deliveries", call, seen).await
    }

    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        let call = self.inner.ahead(fence, delivery, limit, now);
        let seen = |ahead: &Ahead| {
            for stored in &ahead.mine {
                let world = &self.hazard.world;
                world.note(|| format!("  delivery {} comes before {delivery}", stored.id));
            }
            self.ledger.deliveries_claimed(fence, &ahead.mine, now);
        };
        self.change("look at what is ahead", call, seen).await
    }

    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Result<(), StoreError> {
        let asked = dead.clone();
        let call = self.inner.set_target(channel, chat, dead);
        let seen = |(): &()| {
            let now = self.hazard.world.now();
            self.ledger.target_set(chat, asked.as_ref(), now);
        };
        self.change("target", call, seen).await
    }

    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        let call = self.inner.dead_target(channel, chat, now);
        self.read("dead target", call).await
    }

    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError> {
        let call = self.inner.dead_events(after, limit);
        self.read("dead events", call).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.read("counts", self.inner.counts()).await
    }

    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.read("journal", self.inner.journal(after, limit)).await
    }
}
