//! What a worker asks of a store, and what it is answered.

use std::time::{Duration, SystemTime};

use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};
use channel_delivery::{
    Ahead, Attempt, DeliveryId, Fence, NewDelivery, NewEvent, Outcome, Part, Planned, Recorded,
    Seq, Store, StoreError, StoreErrorKind, StoredDelivery, StoredEvent, Swept, WorkerId,
};

pub(super) const LEASE: Duration = Duration::from_secs(30);

/// One request, at the moment that stands beside it.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "few of them at a time")]
pub(super) enum Call {
    Enroll(WorkerId),
    Renew(Fence),
    Leave(Fence),
    Record(Fence, Vec<NewEvent>),
    Claim(Fence, usize),
    Owned(Fence, Option<Seq>, usize),
    Begin(Fence, Seq),
    Finish(Fence, Seq, Outcome),
    Plan(Fence, NewDelivery),
    Update(Fence, DeliveryId, Vec<(usize, Part)>),
    ClaimDeliveries(Fence, usize),
    Ahead(Fence, DeliveryId, usize),
    OwnedDeliveries(Fence, Option<DeliveryId>, usize),
    NotePreview(Fence, ChannelId, IdempotencyKey, Receipt),
    SetTarget(ChannelId, ChatId, Option<(SystemTime, String)>),
    RetryEvent(Seq),
    DropEvent(Seq),
    RetryDelivery(DeliveryId),
    DropDelivery(DeliveryId),
    Sweep(SystemTime, usize),
}

/// What was answered; a refusal by its kind and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "few of them at a time")]
pub(super) enum Answer {
    Refused(StoreErrorKind, String),
    Done,
    Changed(bool),
    Enrolled(Fence),
    Recorded(Vec<Recorded>),
    Events(Vec<StoredEvent>),
    Begun(Attempt),
    Planned(Planned),
    Deliveries(Vec<StoredDelivery>),
    Ahead(Ahead),
    Swept(Swept),
}

impl Answer {
    fn of<T>(answer: Result<T, StoreError>, wrap: impl FnOnce(T) -> Self) -> Self {
        match answer {
            Ok(value) => wrap(value),
            Err(error) => Self::Refused(error.kind(), error.to_string()),
        }
    }

    /// Whether a store may answer like this where one answers like that which knows exactly
    /// what stands in front of a plan: who does not know says that something may.
    pub(super) fn agrees_with(&self, exact: &Self) -> bool {
        match (self, exact) {
            (Self::Planned(planned), Self::Planned(exact)) => {
                let is_careful = planned.is_behind_others || !exact.is_behind_others;
                let same = planned.clone().behind_others(exact.is_behind_others) == *exact;
                is_careful && same
            }
            _ => self == exact,
        }
    }
}

impl Call {
    /// The worker that asks, where it has to be a living one.
    pub(super) const fn fence(&self) -> Option<Fence> {
        match self {
            Self::Renew(fence)
            | Self::Leave(fence)
            | Self::Record(fence, _)
            | Self::Claim(fence, _)
            | Self::Owned(fence, ..)
            | Self::Begin(fence, _)
            | Self::Finish(fence, ..)
            | Self::Plan(fence, _)
            | Self::Update(fence, ..)
            | Self::ClaimDeliveries(fence, _)
            | Self::Ahead(fence, ..)
            | Self::OwnedDeliveries(fence, ..)
            | Self::NotePreview(fence, ..) => Some(*fence),
            _ => None,
        }
    }

    /// Whether it is not asked together with one before it.
    pub(super) fn goes_apart_from(&self, before: &Self) -> bool {
        match (before, self) {
            // There is a lock for those who come and go.
            (Self::Enroll(_) | Self::Leave(_), Self::Enroll(_) | Self::Leave(_)) => true,
            // What has just ended may still count as unfinished for others.
            (Self::Finish(fence, ..), Self::Record(other, _)) => fence != other,
            _ => false,
        }
    }

    /// Asks a store.
    pub(super) async fn ask(self, store: &dyn Store, now: SystemTime) -> Answer {
        let done = |(): ()| Answer::Done;
        match self {
            Self::Enroll(worker) => {
                let enrolled = store.enroll(&worker, LEASE, now).await;
                Answer::of(enrolled, Answer::Enrolled)
            }
            Self::Renew(fence) => Answer::of(store.renew(fence, LEASE, now).await, done),
            Self::Leave(fence) => Answer::of(store.leave(fence, now).await, done),
            Self::Record(fence, events) => {
                let recorded = store.record(fence, events, now).await;
                Answer::of(recorded, Answer::Recorded)
            }
            Self::Claim(fence, limit) => {
                Answer::of(store.claim(fence, limit, now).await, Answer::Events)
            }
            Self::Owned(fence, after, limit) => {
                Answer::of(store.owned(fence, after, limit).await, Answer::Events)
            }
            Self::Begin(fence, event) => {
                Answer::of(store.begin(fence, event, now).await, Answer::Begun)
            }
            Self::Finish(fence, event, outcome) => {
                Answer::of(store.finish(fence, event, outcome, now).await, done)
            }
            Self::NotePreview(fence, channel, key, shown) => {
                let noted = store.note_preview(fence, &channel, &key, &shown, now).await;
                Answer::of(noted, done)
            }
            Self::SetTarget(channel, chat, dead) => {
                Answer::of(store.set_target(&channel, &chat, dead).await, done)
            }
            Self::RetryEvent(event) => {
                Answer::of(store.retry_event(event, now).await, Answer::Changed)
            }
            Self::DropEvent(event) => {
                Answer::of(store.drop_event(event, now).await, Answer::Changed)
            }
            Self::Sweep(before, limit) => {
                Answer::of(store.sweep(before, limit).await, Answer::Swept)
            }
            delivery => delivery.ask_about_a_delivery(store, now).await,
        }
    }

    async fn ask_about_a_delivery(self, store: &dyn Store, now: SystemTime) -> Answer {
        match self {
            Self::Plan(fence, delivery) => {
                Answer::of(store.plan(fence, delivery, now).await, Answer::Planned)
            }
            Self::Update(fence, delivery, parts) => {
                let updated = store.update(fence, delivery, parts, now).await;
                Answer::of(updated, |()| Answer::Done)
            }
            Self::ClaimDeliveries(fence, limit) => {
                let claimed = store.claim_deliveries(fence, limit, now).await;
                Answer::of(claimed, Answer::Deliveries)
            }
            Self::Ahead(fence, delivery, limit) => {
                let ahead = store.ahead(fence, delivery, limit, now).await;
                Answer::of(ahead, Answer::Ahead)
            }
            Self::OwnedDeliveries(fence, after, limit) => {
                let owned = store.owned_deliveries(fence, after, limit).await;
                Answer::of(owned, Answer::Deliveries)
            }
            Self::RetryDelivery(delivery) => {
                Answer::of(store.retry_delivery(delivery, now).await, Answer::Changed)
            }
            Self::DropDelivery(delivery) => {
                Answer::of(store.drop_delivery(delivery, now).await, Answer::Changed)
            }
            other => panic!("not about a delivery: {other:?}"),
        }
    }
}
