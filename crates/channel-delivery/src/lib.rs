#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
pub mod failpoint;
mod inbound;
mod layer;
mod memory;
mod outbound;
mod outbox;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod worker;

pub use engine::{Lost, Worker};
pub use inbound::{Attempt, DeadEvent, EventState, NewEvent, Outcome, Recorded, Seq, StoredEvent};
pub use layer::StoreLayer;
pub use memory::{MemoryStore, MemoryStoreBuilder};
pub use outbound::{
    Ahead, DeadDelivery, DeliveryId, NewDelivery, Part, PartState, Planned, StoredDelivery,
};
pub use outbox::{
    Audience, Failure, LeftBehind, OnUncertain, Outbox, OutboxSettings, Previews, Report, Spawn,
    Tally, TokioSpawn, Undelivered, Unfinished, Visibility, visibility,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{Durability, SqliteStore, SqliteStoreBuilder};
pub use store::{Counts, JournalEntry, Store, StoreError, StoreErrorKind, Swept};
pub use worker::{Fence, WorkerId};
