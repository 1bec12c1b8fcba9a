//! The Telegram channel against a scripted server, hostile input and an emulator.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and hands JSON over as it is written"
)]

mod abilities;
mod conformance;
mod cursor;
mod emulator;
mod emulator_webhook;
mod events;
mod failing;
mod fake;
mod formatting;
mod hostile;
mod inbound;
mod outbound;
mod parts;
mod readme;
mod secrets;
mod stream;
mod verify;
mod webhook;
