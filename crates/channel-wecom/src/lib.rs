#![doc = include_str!("../README.md")]

mod aibot;
mod api;
mod app;
mod bot;
mod card;
mod door;
mod env;
mod error;
mod inbound;
mod limits;
#[cfg(feature = "net")]
mod link;
mod media;
mod native;
mod parts;
mod render;
mod token;
mod upload;
mod wire;

pub use aibot::{WecomAibot, WecomAibotBuilder, WecomAibotConfig};
pub use app::{WecomApp, WecomAppBuilder, WecomAppConfig};
pub use bot::{WecomBot, WecomBotBuilder, WecomBotConfig};
#[cfg(feature = "net")]
pub use link::{WecomAibotLink, WecomAibotLinkBuilder, WecomAibotLinkConfig};
pub use native::WecomMessage;

use channel_core::Platform;

/// The platform's name, the same for all four products: one corp, one kind of user id.
const PLATFORM: Platform = Platform::new("wecom");
