//! The host and the server, driven over real connections.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic"
)]

mod host;
mod server;
mod support;
