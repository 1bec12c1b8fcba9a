//! The WeCom channels against scripted servers and hostile input.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod aibot;
mod app;
mod bot;
mod conformance;
mod sealing;
mod server;
