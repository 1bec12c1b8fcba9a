#![doc = include_str!("../README.md")]

mod card;
mod change;
mod channel;
mod client;
mod config;
mod crypto;
mod emoji;
mod error;
#[cfg(feature = "net")]
mod events;
mod frame;
mod fuzzed;
mod history;
mod inbound;
mod limits;
#[cfg(feature = "net")]
mod link;
mod media;
mod memory;
mod native;
mod outbound;
mod plan;
mod post;
mod presses;
mod read;
mod reassembly;
mod render;
mod shared;
mod stream;
mod typing;
mod upload;
mod verify;
mod webhook;
mod wire;

pub use channel::Feishu;
pub use config::{Domain, FeishuBuilder, FeishuConfig, Mode};
#[doc(hidden)]
pub use fuzzed::fuzz;
pub use native::FeishuMessage;

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("feishu");
