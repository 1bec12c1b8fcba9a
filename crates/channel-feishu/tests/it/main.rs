//! The Feishu channel against a scripted server and hostile input.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and hands JSON over as it is written"
)]

mod bypass;
mod conformance;
mod drill;
mod emulator;
mod fake;
mod faults;
mod hostile;
mod look;
mod outages;
mod outbound;
mod readme;
mod secrets;
mod socket;
mod sockets;
mod stream;
mod webhook;
