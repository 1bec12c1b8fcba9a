#![doc = include_str!("../README.md")]

mod inbound;
mod memory;
mod outbound;
mod rules;
mod store;
mod worker;

pub use inbound::{Attempt, DeadEvent, EventState, NewEvent, Outcome, Recorded, Seq, StoredEvent};
pub use memory::{MemoryStore, MemoryStoreBuilder};
pub use outbound::{
    DeadDelivery, DeliveryId, NewDelivery, Part, PartState, Planned, StoredDelivery,
};
pub use store::{Counts, JournalEntry, Store, StoreError, StoreErrorKind, Swept};
pub use worker::{Fence, WorkerId};
