#![doc = include_str!("../README.md")]

pub mod line;
pub mod telegram;

mod client;
mod clock;
mod server;

pub use clock::Clock;
pub use line::{Line, LineConfig, LineServer};
pub use server::Server;
pub use telegram::{Telegram, TelegramConfig, TelegramServer};
