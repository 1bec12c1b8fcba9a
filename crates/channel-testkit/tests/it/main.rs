//! Tests of the test kit itself.
#![expect(
    clippy::unwrap_used,
    reason = "an unwrap that fails is a test that fails"
)]

mod bot;
mod broken;
mod clock;
mod http;
mod memory;
mod secrets;
#[cfg(feature = "simulation")]
mod simulation;
mod sockets;
mod suite;
