#![doc = include_str!("../README.md")]

pub mod discord;
pub mod line;
pub mod telegram;

mod client;
mod clock;
mod common;
mod server;

pub use clock::Clock;
pub use common::ledger::Outcome;
pub use common::shared::WaitError;
pub use discord::{Discord, DiscordConfig, DiscordServer};
pub use line::{Line, LineConfig, LineServer};
pub use server::Server;
pub use telegram::{Telegram, TelegramConfig, TelegramServer};
