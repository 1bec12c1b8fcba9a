//! The rules one by one, and the gate that puts them in order.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may panic"
)]

mod allowlist;
mod command;
mod context;
mod fixture;
mod foretell;
mod gate;
mod identity;
mod lockout;
mod pains;
mod pairing;
mod rate;
mod readme;
mod secrecy;
mod spelling;
mod store;
mod trigger;
