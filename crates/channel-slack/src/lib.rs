#![doc = include_str!("../README.md")]

mod address;
mod asked;
mod blocks;
mod change;
mod channel;
mod client;
mod command;
mod config;
mod dialogs;
mod emoji;
mod error;
#[cfg(feature = "net")]
mod events;
mod history;
mod inbound;
mod interaction;
mod limits;
mod media;
mod methods;
mod native;
mod oauth;
mod options;
mod outbound;
mod pacing;
mod plan;
mod read;
mod render;
mod shared;
mod stream;
mod token;
mod typing;
mod upload;
mod verify;
mod webhook;
mod wire;

pub use channel::Slack;
pub use config::{SlackBuilder, SlackConfig};
pub use dialogs::{SubmissionAnswer, SubmissionJudge};
pub use native::{Lifecycle, LifecycleChange, SlackMessage};
pub use oauth::{Installed, Named, OauthApp, exchange, exchange_form};
pub use options::{MenuOption, MenuOptions, OptionQuery, OptionSource};
pub use pacing::Pacing;
pub use token::{Grant, GrantStore, RotatingTokens, TokenSource};

use channel_core::Platform;

/// The platform's name.
const PLATFORM: Platform = Platform::new("slack");
