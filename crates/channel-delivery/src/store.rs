//! Where events and deliveries are kept.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{ChannelId, ChatId, Error, ErrorKind, IdempotencyKey, Receipt};

use crate::inbound::{
    Attempt, DeadEvent, EventState, NewEvent, Outcome, Recorded, Seq, StoredEvent,
};
use crate::outbound::{
    Ahead, DeadDelivery, DeliveryId, NewDelivery, Part, PartState, Planned, StoredDelivery,
};
use crate::worker::{Fence, WorkerId};

/// A store of events and deliveries.
///
/// Several processes may work on one store. Each enrols, keeps its lease alive and carries
/// its [`Fence`] on every write; a write by a worker whose lease was lost is refused with
/// [`StoreErrorKind::Fenced`] and changes nothing. All conditions are checked by the write
/// itself, never by a read before it.
///
/// Every method that writes returns only when the write is as durable as the store makes
/// it. Calls made at the same time may share one commit; calls of one caller that follow
/// each other are committed in that order or together, so that a later one is never there
/// without an earlier one.
///
/// A future that is dropped may or may not have written.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// How long a lease on this store should last: long enough to outlive an outage of the
    /// store, short enough that the work of a dead process is not left lying. A store that
    /// knows otherwise that nobody else works on it needs no haste.
    fn lease(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Registers a worker whose lease ends at `now + lease` unless it is renewed.
    ///
    /// A store that can prove that no other worker is alive, such as one behind an
    /// exclusive lock, ends the leases of all others at once.
    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError>;

    /// Keeps the lease alive until `now + lease`.
    ///
    /// # Errors
    ///
    /// `Fenced` if it has ended and somebody has taken over: the worker must stop at once.
    async fn renew(&self, fence: Fence, lease: Duration, now: SystemTime)
    -> Result<(), StoreError>;

    /// Ends a lease: what the worker owns and has not finished is free for others at once.
    /// Events that no handler has begun and parts that were not sent count as untouched.
    async fn leave(&self, fence: Fence, now: SystemTime) -> Result<(), StoreError>;

    /// Records events in one atomic write that is deduplication, record and cursor: all or
    /// none. One answer for each event, in order. Of two events with one id in the same
    /// call the second is `Known`.
    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// Where a channel's own connection goes on.
    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError>;

    /// Takes over unfinished events that nobody with a living lease owns, oldest first, at
    /// most `limit`. A conversation of which another living worker owns an unfinished event
    /// is left alone as a whole, so that it never has two owners; the caller's own is not.
    /// Events that wait for their next attempt are claimed too, with their
    /// [`not_before`](StoredEvent::not_before): they hold their conversation.
    ///
    /// Other leases that have run out by `now` end here for good: what their workers still
    /// write is refused.
    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Unfinished events that the worker owns, oldest first, after a place: those that it has
    /// in hand, and those of a [`record`](Self::record) or [`claim`](Self::claim) of which it
    /// never had the answer. Sees every write that the worker has asked for before.
    ///
    /// # Errors
    ///
    /// `Fenced` if the lease has ended.
    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Begins an attempt: `Received`, `Retrying` or (after a crash) `Handling` becomes
    /// `Handling`, and the attempt is counted before the handler runs, so that an event that
    /// kills the process is counted too.
    ///
    /// # Errors
    ///
    /// `Fenced` if the event belongs to somebody else, `Illegal` if it is final.
    async fn begin(&self, fence: Fence, event: Seq, now: SystemTime)
    -> Result<Attempt, StoreError>;

    /// Ends an attempt.
    ///
    /// # Errors
    ///
    /// `Fenced` if the event belongs to somebody else, `Illegal` if it is not `Handling`.
    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError>;

    /// Writes the plan of a delivery, all parts prepared, owned by the worker; or finds the
    /// plan of the same channel and key, finished or not, and takes it over if nobody alive
    /// owns it. A plan that was dropped by hand is found with its parts as they were.
    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError>;

    /// Writes new states of parts of one delivery, all or none; the transition of each must
    /// be legal ([`PartState::may_become`]).
    ///
    /// # Errors
    ///
    /// `Fenced` if the delivery belongs to somebody else, `Illegal` for another transition.
    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError>;

    /// Takes over deliveries with unfinished parts that nobody alive owns, oldest first. One
    /// that stands in its conversation behind something unfinished of another living worker
    /// is left alone, so that it does not come before it.
    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError>;

    /// What is unfinished in the conversation of a delivery and was planned before it, oldest
    /// first, at most `limit`: takes over what nobody alive owns, says again what the worker
    /// has already, and ends at the first that another living worker has. Changes nothing
    /// about the delivery itself; of one that is not there nothing is in front.
    ///
    /// For a worker that must not let it overtake what others have begun
    /// ([`Planned::is_behind_others`]); leases end as in [`claim`](Self::claim).
    ///
    /// # Errors
    ///
    /// `Fenced` if the lease has ended.
    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError>;

    /// Deliveries with unfinished parts that the worker owns, oldest first, after a place; as
    /// [`owned`](Self::owned).
    ///
    /// # Errors
    ///
    /// `Fenced` if the lease has ended.
    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError>;

    /// Notes which messages show an answer that is not finished, under the key of what it
    /// will end with: written without any before the first is shown, and again with them, so
    /// that whoever goes on after a crash knows what to end, or that there is something.
    ///
    /// # Errors
    ///
    /// `Fenced` if the lease has ended.
    async fn note_preview(
        &self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError>;

    /// What was noted last about an unfinished answer.
    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError>;

    /// Remembers until when nothing is to be sent to a chat, and why; `None` forgets it.
    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Result<(), StoreError>;

    /// Until when nothing is to be sent to a chat, and why, if that is still ahead.
    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError>;

    /// Events that were set aside, oldest first, after a place.
    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError>;

    /// Makes a dead event free to be claimed again, with no attempt counted; `false` if there
    /// is no such dead event.
    async fn retry_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError>;

    /// Drops a dead event for good; its id stays on record, so that it does not come back.
    /// `false` if there is no such dead event.
    async fn drop_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError>;

    /// Deliveries with parts that are dead or uncertain and none that still moves.
    async fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError>;

    /// Prepares the dead and uncertain parts of a delivery again and frees it; `false` if
    /// there are none. That its chat did not want us is forgotten, or nothing would be tried.
    async fn retry_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError>;

    /// Drops a dead delivery for good; `false` if there is none.
    async fn drop_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError>;

    /// How many events and parts are in each state.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Recorded events with what was sent in answer, oldest first, after a place.
    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError>;

    /// Removes up to `limit` finished events and deliveries (`Handled`, `Refused`,
    /// `Delivered`, `Suppressed`) that were last touched before `before`, and notes of previews
    /// that are as old. Their ids are forgotten with them, so `before` must lie further back than platforms redeliver.
    async fn sweep(&self, before: SystemTime, limit: usize) -> Result<Swept, StoreError>;
}

/// How many events and parts are in each state; absent is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Inbound events.
    pub events: BTreeMap<EventState, u64>,
    /// Parts of deliveries.
    pub parts: BTreeMap<PartState, u64>,
}

/// A recorded event and its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The event.
    pub event: StoredEvent,
    /// Its remark or reason.
    pub reason: Option<String>,
    /// When it was recorded.
    pub recorded_at: SystemTime,
    /// What was sent in answer, in order.
    pub deliveries: Vec<StoredDelivery>,
    /// The worker that the event belongs to, while it is unfinished and somebody's.
    pub owner: Option<Fence>,
}

impl JournalEntry {
    /// An event and its answers.
    #[must_use]
    pub const fn new(
        event: StoredEvent,
        reason: Option<String>,
        recorded_at: SystemTime,
        deliveries: Vec<StoredDelivery>,
    ) -> Self {
        Self {
            event,
            reason,
            recorded_at,
            deliveries,
            owner: None,
        }
    }

    /// Says whose it is.
    #[must_use]
    pub const fn owned_by(mut self, owner: Option<Fence>) -> Self {
        self.owner = owner;
        self
    }
}

/// What a sweep has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Inbound events.
    pub events: u64,
    /// Deliveries.
    pub deliveries: u64,
}

/// Why a store did not do what it was asked.
///
/// `Display` says what failed and never holds content.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Disk full, read-only, locked, server gone: try again later, tell the platform that
    /// nothing was taken. When an answer was lost on the way, the write may have happened
    /// all the same: asking again says `Known` or `Illegal` then.
    Unavailable,
    /// Another worker has taken over: stop.
    Fenced,
    /// The transition is not allowed, or there is no such row: a bug.
    Illegal,
    /// The stored bytes cannot be read: damaged, or of another version.
    Corrupt,
    /// Mend the configuration: no such directory, not a store, in use by another process.
    Config,
}

impl StoreError {
    /// Makes an error; the message is lower case and holds no content.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller does next.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Config => ErrorKind::Config,
            StoreErrorKind::Illegal | StoreErrorKind::Corrupt => ErrorKind::Protocol,
            StoreErrorKind::Unavailable | StoreErrorKind::Fenced => ErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
