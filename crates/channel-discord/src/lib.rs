#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "net"),
    allow(
        dead_code,
        unused_imports,
        reason = "what only the gateway reads is not needed without it"
    )
)]

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
mod held;
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

/// Reads a frame of the gateway as the adapter does: opcode, number, name and payload. For
/// tests that bring frames of their own.
#[doc(hidden)]
#[must_use]
pub fn read_frame(text: &str) -> Option<(u64, Option<u64>, &str, &str)> {
    let frame = wire::head(text)?;
    Some((frame.op, frame.seq, frame.name, frame.data))
}

/// The platform's name.
const PLATFORM: Platform = Platform::new("discord");
