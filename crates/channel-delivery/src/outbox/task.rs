//! The tasks that run deliveries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use channel_core::{Body, ErrorKind, OutboundMessage, ReplyStream};
use tokio::sync::OwnedSemaphorePermit;

use super::ahead;
use super::drive::Driver;
use super::ended::Ended;
use super::record::{Record, Settled};
use super::registry::{Entry, Place, Ticket};
use super::report::count;
use super::shared::{Halt, Outlet, Shared};
use crate::failpoint;
use crate::outbound::{NewDelivery, PartState, Planned, StoredDelivery};
use crate::rules;
use crate::store::{StoreError, StoreErrorKind};

/// How often to look whether the channel of a recovered delivery is there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The pause before the second attempt to write a plan; there is no third.
const PLAN_AGAIN: Duration = Duration::from_millis(100);

/// How many deliveries are looked at together after an answer was lost.
const OWNED: usize = 256;

/// The reason of a suppressed part whose own one was lost in a crash.
const HIDDEN: &str = "not to be shown";

/// A new delivery.
pub(super) struct Job {
    plan: NewDelivery,
    /// Why it is not to be shown.
    hidden: Option<&'static str>,
    stream: Option<Box<dyn ReplyStream>>,
    /// Whether it is what a streamed answer ends with.
    recalls: bool,
}

impl Job {
    /// What is not to be shown is planned without its content: a crash before it is
    /// suppressed must not show it after all.
    pub(super) fn send(mut plan: NewDelivery, hidden: Option<&'static str>) -> Self {
        if hidden.is_some() {
            plan.message = OutboundMessage::new(plan.message.to, Body::default());
            plan.parts = 1;
        }
        Self {
            plan,
            hidden,
            stream: None,
            recalls: false,
        }
    }

    /// What a stream ends with is one part: it ends with one call. What was to be streamed and
    /// cannot be any more is sent like any message, if nothing of it is shown yet.
    pub(super) fn stream(mut plan: NewDelivery, stream: Option<Box<dyn ReplyStream>>) -> Self {
        if stream.is_some() {
            plan.parts = 1;
        }
        Self {
            plan,
            hidden: None,
            stream,
            recalls: true,
        }
    }

    pub(super) async fn run(self, shared: Arc<Shared>, outlet: Arc<Outlet>, mut ticket: Ticket) {
        let mut since = shared.clock.elapsed();
        ticket.turn_to_plan().await;
        let Planned {
            delivery: stored,
            is_new,
            is_behind_others,
        } = match plan(&shared, self.plan).await {
            Ok(planned) => planned,
            Err(ended) => {
                ticket.end(ended);
                ticket.planned();
                return ticket.turn_to_leave().await;
            }
        };
        let may_overtake = is_behind_others || shared.may_own_more();
        failpoint::hit("planned");
        ticket.planned();
        ticket.turn().await;
        if is_hidden(&stored) {
            let reason = self.hidden.unwrap_or(HIDDEN);
            ticket.end(suppress(&shared, stored, reason).await);
            return ticket.turn_to_leave().await;
        }
        if rules::moves(&stored.parts) && (may_overtake || ticket.is_overtaking()) {
            if let Err(halt) = ahead::clear(&shared, &stored).await {
                let shared = &*shared;
                ticket.end(Record { shared, stored }.interrupted(&halt, None, false));
                return ticket.turn_to_leave().await;
            }
            // What has taken its time were the others.
            since = shared.clock.elapsed();
        }
        let fresh = is_untouched(&stored);
        let mut driver = Driver::new(&shared, &outlet, stored, since);
        if let Some(stream) = self.stream
            && fresh
        {
            driver = driver.ending(stream);
        } else if self.recalls || !is_new {
            driver = driver.recalling();
        }
        ticket.end(driver.run().await);
        ticket.turn_to_leave().await;
    }
}

fn is_untouched(stored: &StoredDelivery) -> bool {
    let mut parts = stored.parts.iter();
    parts.all(|part| part.state == PartState::Prepared)
}

/// Whether it was planned without content, because it is not to be shown.
fn is_hidden(stored: &StoredDelivery) -> bool {
    let message = &stored.delivery.message;
    is_untouched(stored) && message.is_empty() && message.buttons.is_empty()
}

async fn suppress(shared: &Shared, stored: StoredDelivery, reason: &str) -> Ended {
    let mut record = Record { shared, stored };
    match record.suppress(reason).await {
        Ok(()) => record.ended(),
        Err(halt) => record.interrupted(&halt, None, false),
    }
}

async fn plan(shared: &Shared, plan: NewDelivery) -> Result<Planned, Ended> {
    let mut planned = try_to_plan(shared, plan.clone()).await;
    if let Err(Halt::Store(error)) = &planned
        && error.kind() == StoreErrorKind::Unavailable
    {
        // Only the answer may have been lost: then the second attempt finds the plan.
        planned = match shared.pause(PLAN_AGAIN).await {
            Ok(()) => try_to_plan(shared, plan).await,
            Err(halt) => Err(halt),
        };
    }
    if let Err(Halt::Store(error)) = &planned {
        may_have_given(shared, error);
    }
    planned.map_err(|halt| {
        let kind = match &halt {
            Halt::Store(error) if error.kind() == StoreErrorKind::Config => ErrorKind::Config,
            Halt::Store(error) if is_ours(error) => ErrorKind::Protocol,
            _ => ErrorKind::Unavailable,
        };
        Ended::not(kind, format!("nothing was sent: {halt}"))
    })
}

async fn try_to_plan(shared: &Shared, plan: NewDelivery) -> Result<Planned, Halt> {
    shared.check()?;
    let worker = &shared.worker;
    let planned = worker
        .store()
        .plan(worker.fence(), plan, worker.now())
        .await;
    match planned {
        Ok(planned) => Ok(planned),
        Err(error) => {
            if error.kind() == StoreErrorKind::Fenced {
                worker.check().await;
            }
            Err(Halt::Store(error))
        }
    }
}

fn is_ours(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::Illegal | StoreErrorKind::Corrupt
    )
}

/// Takes over what is free, in the order in which it was planned, until nothing is left.
pub(super) async fn recover(shared: &Arc<Shared>) -> Result<usize, StoreError> {
    let _one_at_a_time = shared.recovery.lock().await;
    let mut recovered = 0;
    loop {
        let Some(mut places) = places(shared).await else {
            return Ok(recovered);
        };
        let limit = places.num_permits();
        let worker = &shared.worker;
        if let Some(doubts) = shared.in_doubt() {
            resolve(shared).await?;
            shared.resolved(doubts);
        }
        let store = worker.store();
        shared.taking_over.store(true, Ordering::Release);
        let claimed = store.claim_deliveries(worker.fence(), limit, worker.now());
        let claimed = match claimed.await {
            Ok(claimed) => claimed,
            Err(error) => {
                may_have_given(shared, &error);
                shared.taking_over.store(false, Ordering::Release);
                return Err(error);
            }
        };
        if !claimed.is_empty() {
            failpoint::hit("claimed");
        }
        let last = claimed.len() < limit;
        recovered += claimed.len();
        for stored in claimed {
            go_on(shared, stored, places.split(1));
        }
        shared.taking_over.store(false, Ordering::Release);
        if last {
            shared.caught_up.store(true, Ordering::Release);
            return Ok(recovered);
        }
    }
}

/// The store may have done what it was asked for.
pub(super) fn may_have_given(shared: &Shared, error: &StoreError) {
    if error.kind() == StoreErrorKind::Unavailable {
        shared.doubt();
    }
}

/// Takes up what the store has given us by a write whose answer was lost. What is in hand is
/// left alone, and so is what comes to its end meanwhile: the store refuses to begin it again.
async fn resolve(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let worker = &shared.worker;
    let mut after = None;
    loop {
        let owned = worker
            .store()
            .owned_deliveries(worker.fence(), after, OWNED);
        let owned = owned.await?;
        let is_last = owned.len() < OWNED;
        for stored in owned {
            after = Some(stored.id);
            go_on(shared, stored, None);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Waits for room; `None` when the outbox stops.
async fn places(shared: &Shared) -> Option<OwnedSemaphorePermit> {
    let permit = tokio::select! {
        biased;
        () = shared.stopped() => return None,
        _ = shared.worker.lost() => return None,
        permit = Arc::clone(&shared.recovered).acquire_owned() => permit,
    };
    let mut permit = permit.ok()?;
    let more = u32::try_from(shared.recovered.available_permits()).unwrap_or(u32::MAX);
    if let Ok(rest) = Arc::clone(&shared.recovered).try_acquire_many_owned(more) {
        permit.merge(rest);
    }
    Some(permit)
}

fn go_on(shared: &Arc<Shared>, stored: StoredDelivery, permit: Option<OwnedSemaphorePermit>) {
    let plan = &stored.delivery;
    let entry = shared.registry.enter(
        plan.conversation(),
        plan.key.clone(),
        stored.planned_at,
        Place::Late,
    );
    // Whoever sends the same key at this moment finds the plan and goes on with it.
    let Entry::Mine(ticket) = entry else {
        return;
    };
    ticket.planned();
    let task = resume(Arc::clone(shared), stored, ticket);
    shared.settings.spawn.spawn(Box::pin(async move {
        task.await;
        drop(permit);
    }));
}

async fn resume(shared: Arc<Shared>, stored: StoredDelivery, mut ticket: Ticket) {
    let since = shared.clock.elapsed();
    ticket.turn().await;
    ticket.end(finish(&shared, stored, since).await);
    ticket.turn_to_leave().await;
}

/// Brings a delivery to its end that somebody else has begun.
pub(super) async fn finish(shared: &Shared, stored: StoredDelivery, since: Duration) -> Ended {
    count(&shared.counters.recovered);
    if is_hidden(&stored) {
        return suppress(shared, stored, HIDDEN).await;
    }
    match outlet(shared, &stored, since).await {
        Ok(Some(outlet)) => {
            let driver = Driver::new(shared, &outlet, stored, since);
            driver.recalling().run().await
        }
        Ok(None) => without_channel(shared, stored).await,
        Err(halt) => Record { shared, stored }.interrupted(&halt, None, false),
    }
}

/// The channel of a recovered delivery, which may be registered after the recovery began.
async fn outlet(
    shared: &Shared,
    stored: &StoredDelivery,
    since: Duration,
) -> Result<Option<Arc<Outlet>>, Halt> {
    let end = since.saturating_add(shared.settings.give_up_after);
    loop {
        if let Some(outlet) = shared.outlet(&stored.delivery.channel) {
            return Ok(Some(outlet));
        }
        if shared.clock.elapsed() >= end {
            return Ok(None);
        }
        shared.pause(LOOK_AGAIN).await?;
    }
}

async fn without_channel(shared: &Shared, stored: StoredDelivery) -> Ended {
    let open = stored.parts.iter().position(|part| !part.state.is_final());
    let mut record = Record { shared, stored };
    let Some(index) = open else {
        return record.ended();
    };
    let state = match record.part(index).map(|part| part.state) {
        Some(PartState::Sending) => PartState::Uncertain,
        _ => PartState::Dead,
    };
    let how = Settled::new(state, "config: the channel is not there");
    match record
        .settle(index, how.because_of(ErrorKind::Config))
        .await
    {
        Ok(()) => record.ended(),
        Err(halt) => record.interrupted(&halt, None, false),
    }
}
