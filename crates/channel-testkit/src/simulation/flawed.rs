//! The store under test, with at most one bug.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{ChannelId, ChatId, EventId, IdempotencyKey, Receipt};
use channel_delivery::{
    Ahead, Attempt, DeliveryId, Fence, MemoryStore, NewDelivery, NewEvent, Outcome, Part,
    PartState, Planned, Recorded, Seq, Store, StoreError, StoreErrorKind, StoreLayer,
    StoredDelivery, StoredEvent, WorkerId,
};

use super::bug::Bug;
use super::ledger::Ledger;
use crate::wait::lock;

/// What survives a crash: the store under test, and what its bug remembers.
pub(super) struct FlawedStore {
    inner: MemoryStore,
    ledger: Arc<Ledger>,
    bug: Option<Bug>,
    state: Mutex<Flaw>,
}

/// What a bug needs to know.
#[derive(Default)]
struct Flaw {
    calls: u64,
    fences: Vec<Fence>,
    seen: BTreeSet<EventId>,
    cursors: BTreeMap<ChannelId, String>,
    /// Deliveries that were said to be planned.
    phantoms: BTreeSet<DeliveryId>,
}

impl fmt::Debug for FlawedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlawedStore")
            .field("bug", &self.bug)
            .finish_non_exhaustive()
    }
}

impl FlawedStore {
    pub(super) fn new(ledger: &Arc<Ledger>, bug: Option<Bug>) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(),
            ledger: Arc::clone(ledger),
            bug,
            state: Mutex::default(),
        })
    }

    /// The store behind the bug: what is really there.
    pub(super) const fn truth(&self) -> &MemoryStore {
        &self.inner
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Yes at every n-th question.
    fn every(&self, nth: u64) -> bool {
        let mut state = lock(&self.state);
        state.calls += 1;
        state.calls.is_multiple_of(nth)
    }

    /// Records for real.
    async fn really_record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        let ids: Vec<_> = events.iter().map(|new| new.event.id.clone()).collect();
        let answers = self.inner.record(fence, events, now).await?;
        let mut rows = lock(&self.ledger.rows);
        rows.recorded
            .extend(ids.iter().map(|id| id.as_str().to_owned()));
        Ok(answers)
    }

    /// What is handed out after a crash is not what it was.
    fn distort(&self, taken: &mut [StoredDelivery]) {
        for part in taken.iter_mut().flat_map(|stored| &mut stored.parts) {
            match self.bug {
                Some(Bug::SendingBecomesPrepared) if part.state == PartState::Sending => {
                    part.state = PartState::Prepared;
                }
                Some(Bug::ForgetsWaits) => part.not_before = SystemTime::UNIX_EPOCH,
                _ => {}
            }
        }
    }

    async fn record_flawed(
        &self,
        fence: Fence,
        mut events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        let failed = StoreError::new(StoreErrorKind::Unavailable, "the write failed");
        match self.bug {
            Some(Bug::DedupBeforeRecord) => {
                let fails = self.every(5);
                let known: Vec<_> = {
                    let mut state = lock(&self.state);
                    let fresh = |new: &NewEvent| state.seen.insert(new.event.id.clone());
                    events.iter().map(fresh).map(|fresh| !fresh).collect()
                };
                if fails {
                    return Err(failed);
                }
                if known.iter().all(|known| *known) {
                    let state = channel_delivery::EventState::Handled;
                    return Ok(known.iter().map(|_| Recorded::Known(state)).collect());
                }
                self.really_record(fence, events, now).await
            }
            Some(Bug::LosesSecondRow) if events.len() > 1 => {
                events.truncate(1);
                let mut answers = self.really_record(fence, events.clone(), now).await?;
                let state = channel_delivery::EventState::Received;
                answers.push(Recorded::Known(state));
                Ok(answers)
            }
            Some(Bug::CursorMovedEarly) => {
                for new in &events {
                    if let Some(cursor) = &new.cursor {
                        let channel = new.event.channel.clone();
                        lock(&self.state).cursors.insert(channel, cursor.clone());
                    }
                }
                if self.every(4) {
                    return Err(failed);
                }
                self.really_record(fence, events, now).await
            }
            Some(Bug::ForgetsDedup) => {
                let call = self.every(1);
                let number = lock(&self.state).calls;
                for new in &mut events {
                    let known = !lock(&self.state).seen.insert(new.event.id.clone());
                    if known && call {
                        new.event.id = EventId::from(format!("{}#{number}", new.event.id));
                    }
                }
                self.really_record(fence, events, now).await
            }
            _ => self.really_record(fence, events, now).await,
        }
    }

    /// Tries a refused write with the token of everybody else.
    async fn as_anybody<T, F, Fut>(
        &self,
        result: Result<T, StoreError>,
        write: F,
    ) -> Result<T, StoreError>
    where
        F: Fn(Fence) -> Fut + Send,
        Fut: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let fenced = |error: &StoreError| error.kind() == StoreErrorKind::Fenced;
        if !self.has(Bug::IgnoresFences) || !result.as_ref().is_err_and(fenced) {
            return result;
        }
        let fences = lock(&self.state).fences.clone();
        for fence in fences {
            if let Ok(written) = write(fence).await {
                return Ok(written);
            }
        }
        result
    }

    async fn before_a_claim(&self, fence: Fence, now: SystemTime) {
        if !self.has(Bug::ClaimsFromTheLiving) {
            return;
        }
        let fences = lock(&self.state).fences.clone();
        for other in fences {
            if other != fence {
                let _ = self.inner.leave(other, now).await;
            }
        }
    }

    fn phantom(&self, delivery: &NewDelivery, now: SystemTime) -> Planned {
        let mut state = lock(&self.state);
        let id = DeliveryId::new(1_000_000 + i64::try_from(state.phantoms.len()).unwrap_or(0));
        state.phantoms.insert(id);
        let parts = vec![Part::prepared(); delivery.parts];
        Planned::new(StoredDelivery::new(id, delivery.clone(), parts, now), true)
    }
}

#[async_trait]
impl StoreLayer for FlawedStore {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        let last = lock(&self.state).fences.last().copied();
        if let (true, Some(last)) = (self.has(Bug::GivesAFenceTwice), last) {
            return Ok(last);
        }
        let fence = self.inner.enroll(worker, lease, now).await?;
        lock(&self.state).fences.push(fence);
        Ok(fence)
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        if self.has(Bug::RenewsNothing) {
            return Ok(());
        }
        self.inner.renew(fence, lease, now).await
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.record_flawed(fence, events, now).await
    }

    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        let early = lock(&self.state).cursors.get(channel).cloned();
        match early {
            Some(cursor) => Ok(Some(cursor)),
            None => self.inner.cursor(channel).await,
        }
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.before_a_claim(fence, now).await;
        let mut claimed = self.inner.claim(fence, limit, now).await?;
        match self.bug {
            Some(Bug::ClaimsTwice) => claimed.extend(claimed.first().cloned()),
            Some(Bug::ClaimsBackwards) => claimed.reverse(),
            _ => {}
        }
        Ok(claimed)
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        if self.has(Bug::ForgetsWhatItGave) {
            return Ok(Vec::new());
        }
        self.inner.owned(fence, after, limit).await
    }

    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        if self.has(Bug::ForgetsWhatItGave) {
            return Ok(Vec::new());
        }
        self.inner.owned_deliveries(fence, after, limit).await
    }

    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        if self.has(Bug::ForgetsPreviews) {
            return Ok(None);
        }
        self.inner.preview(channel, key).await
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        let begun = self.inner.begin(fence, event, now).await;
        let begun = self
            .as_anybody(begun, |fence| self.inner.begin(fence, event, now))
            .await?;
        if self.has(Bug::ForgetsAttempts) {
            return Ok(Attempt::new(1));
        }
        Ok(begun)
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let handled = Outcome::Handled { remark: None };
        let outcome = match (self.bug, &outcome) {
            (Some(Bug::FinishIsNotWritten), _) if self.every(3) => return Ok(()),
            (Some(Bug::DeadBecomesHandled), Outcome::Dead { .. })
            | (Some(Bug::RetryBecomesHandled), Outcome::Retry { .. }) => handled,
            _ => outcome,
        };
        let finished = self.inner.finish(fence, event, outcome.clone(), now).await;
        self.as_anybody(finished, |fence| {
            self.inner.finish(fence, event, outcome.clone(), now)
        })
        .await
    }

    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        if self.has(Bug::DropsThePlan) && self.every(4) {
            return Ok(self.phantom(&delivery, now));
        }
        let mut delivery = delivery;
        if self.has(Bug::PlansAKeyTwice) && self.every(1) {
            let number = lock(&self.state).calls;
            delivery.key = IdempotencyKey::from(format!("{}#{number}", delivery.key));
        }
        self.inner.plan(fence, delivery, now).await
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        mut parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        if lock(&self.state).phantoms.contains(&delivery) {
            return Ok(());
        }
        match self.bug {
            Some(Bug::UpdatesTheFirstPartOnly) => parts.truncate(1),
            Some(Bug::DeliveredIsNotWritten) => {
                parts.retain(|(_, part)| part.state != PartState::Delivered);
            }
            Some(Bug::SuppressedIsNotWritten) => {
                parts.retain(|(_, part)| part.state != PartState::Suppressed);
            }
            _ => {}
        }
        let updated = self.inner.update(fence, delivery, parts.clone(), now).await;
        self.as_anybody(updated, |fence| {
            self.inner.update(fence, delivery, parts.clone(), now)
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.before_a_claim(fence, now).await;
        let mut claimed = self.inner.claim_deliveries(fence, limit, now).await?;
        self.distort(&mut claimed);
        Ok(claimed)
    }

    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        self.before_a_claim(fence, now).await;
        let mut ahead = self.inner.ahead(fence, delivery, limit, now).await?;
        self.distort(&mut ahead.mine);
        Ok(ahead)
    }

    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        if self.has(Bug::ForgetsDeadTargets) {
            return Ok(None);
        }
        self.inner.dead_target(channel, chat, now).await
    }
}
