#![doc = include_str!("../README.md")]

mod engine;
pub mod failpoint;
mod inbound;
mod memory;
mod outbound;
mod outbox;
mod rules;
mod store;
mod worker;

pub use engine::{Lost, Worker};
pub use inbound::{Attempt, DeadEvent, EventState, NewEvent, Outcome, Recorded, Seq, StoredEvent};
pub use memory::{MemoryStore, MemoryStoreBuilder};
pub use outbound::{
    DeadDelivery, DeliveryId, NewDelivery, Part, PartState, Planned, StoredDelivery,
};
pub use outbox::{
    Audience, Failure, OnUncertain, Outbox, OutboxSettings, Report, Spawn, Tally, TokioSpawn,
    Undelivered, Visibility, visibility,
};
pub use store::{Counts, JournalEntry, Store, StoreError, StoreErrorKind, Swept};
pub use worker::{Fence, WorkerId};
