//! The cipher against known answers, and the reader against hostile documents.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bypass;
mod sha1;
mod vectors;
mod xml;
