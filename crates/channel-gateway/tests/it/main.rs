//! The gateway from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod demo;
mod platforms;
mod tools;
