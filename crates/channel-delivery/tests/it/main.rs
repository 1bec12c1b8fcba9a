//! The stores and the outbox, on virtual time and with every fault that a test can plan.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[cfg(all(unix, feature = "failpoint"))]
mod failpoint;
mod outbox_crashes;
mod outbox_doubt;
mod outbox_flaky;
mod outbox_limits;
mod outbox_order;
mod outbox_previews;
mod outbox_send;
mod outbox_world;
mod stores;
mod worker;
