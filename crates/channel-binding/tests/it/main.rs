//! Whose account is this: on every store.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests may panic"
)]

mod boundaries;
mod chat;
mod command;
mod credentials;
mod fixture;
mod model;
mod parallel;
mod runtime;
mod secrets;
mod stores;
mod web;
