#![doc = include_str!("../README.md")]

mod address;
mod call;
mod change;
mod channel;
mod client;
mod commands;
mod components;
mod config;
mod deferral;
mod error;
#[cfg(feature = "net")]
mod gateway;
mod history;
mod inbound;
mod intents;
mod interaction;
mod limits;
mod media;
mod native;
mod outbound;
mod pacing;
mod plan;
mod read;
mod render;
mod shared;
mod stream;
mod verify;
mod webhook;
mod wire;

pub use channel::Discord;
pub use config::{DiscordBuilder, DiscordConfig};
pub use intents::Intents;
pub use native::DiscordMessage;
pub use pacing::Pacing;

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("discord");
