//! What the writer is asked, and what it answers.

use tokio::sync::oneshot;

use crate::inbound::{Attempt, Outcome, Recorded, Seq, StoredEvent};
use crate::outbound::{Ahead, DeliveryId, Part, StoredDelivery};
use crate::store::{StoreError, Swept};
use crate::worker::Fence;

/// One request in the queue.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ask: Ask,
    pub(crate) reply: oneshot::Sender<Result<Answer, StoreError>>,
}

/// What is asked; times are milliseconds since 1970, payloads JSON.
#[derive(Debug)]
pub(crate) enum Ask {
    Enroll {
        worker: String,
        lease_until: i64,
        alone: bool,
    },
    Renew {
        fence: Fence,
        lease_until: i64,
    },
    Leave {
        fence: Fence,
    },
    Record {
        fence: Fence,
        events: Vec<EventColumns>,
        now: i64,
    },
    Claim {
        fence: Fence,
        limit: usize,
        now: i64,
    },
    Begin {
        fence: Fence,
        event: Seq,
        now: i64,
    },
    Finish {
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: i64,
    },
    Plan {
        fence: Fence,
        delivery: DeliveryColumns,
        now: i64,
    },
    Update {
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: i64,
    },
    ClaimDeliveries {
        fence: Fence,
        limit: usize,
        now: i64,
    },
    Ahead {
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: i64,
    },
    Owned {
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    },
    OwnedDeliveries {
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    },
    NotePreview {
        fence: Fence,
        channel: String,
        key: String,
        shown: String,
        now: i64,
    },
    SetTarget {
        channel: String,
        chat: String,
        dead: Option<(i64, String)>,
    },
    RetryEvent {
        event: Seq,
        now: i64,
    },
    DropEvent {
        event: Seq,
        now: i64,
    },
    RetryDelivery {
        delivery: DeliveryId,
        now: i64,
    },
    DropDelivery {
        delivery: DeliveryId,
        now: i64,
    },
    Sweep {
        before: i64,
        limit: usize,
    },
    /// Lets go of the files, after everything that was asked before.
    Close,
}

/// An event to record, as columns.
#[derive(Debug)]
pub(crate) struct EventColumns {
    pub(crate) channel: String,
    pub(crate) id: String,
    pub(crate) lane: Option<String>,
    pub(crate) payload: String,
    pub(crate) cursor: Option<String>,
}

/// A delivery to plan, as columns.
#[derive(Debug)]
pub(crate) struct DeliveryColumns {
    pub(crate) channel: String,
    pub(crate) key: String,
    pub(crate) answers: Option<i64>,
    pub(crate) parts: usize,
    pub(crate) message: String,
}

/// What is answered once it is committed.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Changed(bool),
    Enrolled(Fence),
    Recorded(Vec<Recorded>),
    Claimed(Vec<StoredEvent>),
    Begun(Attempt),
    Planned {
        id: DeliveryId,
        is_behind_others: bool,
    },
    Found(Box<FoundDelivery>),
    ClaimedDeliveries(Vec<StoredDelivery>),
    Ahead(Ahead),
    Swept(Swept),
}

/// A plan that was there already.
#[derive(Debug)]
pub(crate) struct FoundDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) parts: Vec<Part>,
    pub(crate) columns: FoundColumns,
    pub(crate) is_behind_others: bool,
}

/// What only planning again wants to know of a plan.
#[derive(Debug, Clone)]
pub(crate) struct FoundColumns {
    pub(crate) answers: Option<i64>,
    pub(crate) planned_at: i64,
    /// `None` once the delivery was dropped by hand.
    pub(crate) message: Option<String>,
}
