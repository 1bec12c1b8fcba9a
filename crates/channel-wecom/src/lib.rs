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

/// Builds an AI bot of the kind whose variables are set: by callback with
/// `CHANNEL_WECOM_AIBOT_TOKEN` and `..._ENCODING_AES_KEY`, over a connection with
/// `..._BOT_ID` and `..._SECRET`. WeCom runs a bot in one mode at a time.
///
/// # Errors
///
/// [`ErrorKind::Config`](channel_core::ErrorKind::Config) if both are set, or something is
/// missing.
#[cfg(feature = "net")]
pub fn aibot_from_env() -> channel_core::Result<std::sync::Arc<dyn channel_core::Channel>> {
    let prefix = "CHANNEL_WECOM_AIBOT_";
    let read = &env::of_process;
    let variables = env::Variables { prefix, read };
    match (variables.get("TOKEN"), variables.get("BOT_ID")) {
        (Some(_), Some(_)) => Err(error::bad(
            "CHANNEL_WECOM_AIBOT has TOKEN and BOT_ID: an ai bot is called or connects, not both",
        )),
        (None, Some(_)) => Ok(std::sync::Arc::new(WecomAibotLink::from_env()?)),
        _ => Ok(std::sync::Arc::new(WecomAibot::from_env()?)),
    }
}
