//! The LINE channel against a scripted server, hostile input and ways around the signature.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, hands JSON over as it is written"
)]

mod abilities;
mod bypass;
mod conformance;
mod fake;
mod hostile;
mod inbound;
mod outbound;
mod pains;
mod readme;
mod rendering;
mod secrets;
mod vectors;
