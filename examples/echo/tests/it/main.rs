//! The black box, driven from outside: a real process, real bytes, an emulated platform.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod crash;
mod process;
mod standard;
mod telegram;
