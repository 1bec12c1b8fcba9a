//! The channel as its clients see it: in-process sockets on virtual time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on is a test that fails"
)]

mod auth;
mod conformance;
mod echo;
mod frames;
mod hostile;
mod limits;
mod outbound;
mod resume;
mod samples;
mod world;
