#![doc = include_str!("../README.md")]

mod account;
mod buttons;
mod channel;
mod client;
mod config;
mod delivery;
mod error;
mod files;
mod flex;
mod inbound;
mod limits;
mod media;
mod memory;
mod native;
mod outbound;
mod plan;
mod read;
mod render;
mod retry_key;
mod shared;
mod verify;
mod webhook;
mod wire;

pub use account::Profile;
pub use channel::Line;
pub use channel_core::Quota;
pub use config::{LineBuilder, LineConfig, LostReply};
pub use native::{LineMessage, Location, Sticker};

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("line");
