#![doc = include_str!("../README.md")]

mod address;
mod call;
mod change;
mod channel;
mod client;
mod config;
mod cursor;
mod error;
mod events;
mod inbound;
mod limits;
mod links;
#[cfg(feature = "login")]
mod login;
mod media;
mod memory;
mod native;
mod outbound;
mod pacing;
mod plan;
mod read;
mod render;
mod shared;
mod stream;
mod upload;
mod verify;
mod webhook;
mod wire;

pub use channel::Telegram;
pub use config::{TelegramBuilder, TelegramConfig};
pub use links::{deep_link, start_payload};
#[cfg(feature = "login")]
pub use login::{Login, verify_init_data, verify_login};
pub use native::TelegramMessage;
pub use pacing::Pacing;

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("telegram");
