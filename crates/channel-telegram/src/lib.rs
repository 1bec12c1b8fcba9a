//! Telegram.

mod address;
mod call;
mod channel;
mod client;
mod config;
mod cursor;
mod error;
mod events;
mod inbound;
mod limits;
mod memory;
mod native;
mod outbound;
mod pacing;
mod partial;
mod read;
mod render;
mod shared;
mod upload;
mod wire;

pub use channel::Telegram;
pub use config::{TelegramBuilder, TelegramConfig};
pub use native::TelegramMessage;
pub use pacing::Pacing;
pub use partial::PartialSend;

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("telegram");
