//! The Slack channel against a scripted server and hostile input.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and hands JSON over as it is written"
)]

mod asked;
mod conformance;
mod emulator;
mod fake;
mod hostile;
mod inbound;
mod look;
mod outbound;
mod readme;
mod secrets;
mod socket;
mod stream;
mod tokens;
mod typing;
mod verify;
mod ways;
mod workspaces;
