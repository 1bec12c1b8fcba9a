#![doc = include_str!("../README.md")]

pub mod telegram;

mod client;
mod clock;
mod server;

pub use clock::Clock;
pub use server::Server;
pub use telegram::{Telegram, TelegramConfig, TelegramServer};
