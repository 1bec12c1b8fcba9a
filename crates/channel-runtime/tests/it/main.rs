//! A bot behind channels in memory.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod again;
mod blocked;
mod bound;
mod crashes;
mod durable;
mod every_write;
mod failing;
mod full;
mod order;
mod overlap;
mod pauses;
mod policy;
mod retry;
mod supervise;
mod way;
mod webhook;
