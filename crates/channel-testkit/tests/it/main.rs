//! Tests of the test kit itself.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod bot;
mod broken;
mod clock;
mod http;
mod memory;
mod secrets;
mod sockets;
mod suite;
