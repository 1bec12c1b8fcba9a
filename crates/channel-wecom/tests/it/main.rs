//! The WeCom channels against scripted servers and hostile input.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and hands JSON over as it is written"
)]

mod aibot;
mod app;
mod bot;
mod bypass;
mod conformance;
#[cfg(feature = "net")]
mod conformance_link;
#[cfg(feature = "net")]
mod emulator;
#[cfg(feature = "net")]
mod env;
mod hostile;
#[cfg(feature = "net")]
mod link;
#[cfg(feature = "net")]
mod readme;
mod sealing;
mod server;
#[cfg(feature = "net")]
mod switch;
