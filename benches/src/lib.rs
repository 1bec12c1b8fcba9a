//! The hot paths, and for each the least that any Rust program would have to do.
//!
//! A path and its floor are measured in the same run, and what counts is their ratio.

pub mod bot;
pub mod canned;
pub mod standard;
pub mod telegram;
pub mod text;
