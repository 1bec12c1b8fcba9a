//! The black box, driven from outside: a real process, real bytes, an emulated platform.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic"
)]

mod crash;
mod dingtalk;
mod discord;
mod disk;
mod durable;
mod feishu;
mod line;
mod process;
mod secrets;
mod slack;
mod standard;
mod telegram;
mod wecom;
