#![doc = include_str!("../README.md")]

mod card;
mod change;
mod channel;
mod client;
mod config;
mod error;
#[cfg(feature = "net")]
mod events;
mod frame;
mod fuzzed;
mod ids;
mod inbound;
mod limits;
#[cfg(feature = "net")]
mod link;
mod media;
mod memory;
mod native;
mod outbound;
mod plan;
mod presses;
mod read;
mod render;
#[cfg(feature = "net")]
mod repeats;
mod session;
mod shared;
mod stream;
mod typing;
mod upload;
mod verify;
mod webhook;
mod wire;

pub use channel::DingTalk;
pub use config::{DingTalkBuilder, DingTalkConfig, GroupRobot, Mode};
#[doc(hidden)]
pub use fuzzed::fuzz;
pub use native::DingTalkMessage;

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("dingtalk");
