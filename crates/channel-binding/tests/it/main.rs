//! Whose account is this: on every store.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may panic"
)]

mod at_rest;
mod boundaries;
mod chat;
mod command;
mod credentials;
mod fixture;
mod model;
mod parallel;
mod policies;
mod rotation;
mod runtime;
mod secrecy;
mod secrets;
mod shared;
mod stores;
mod web;
