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
mod sockets;
mod suite;
