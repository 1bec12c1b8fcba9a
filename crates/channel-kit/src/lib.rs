#![doc = include_str!("../README.md")]

pub use channel_core as core;
pub use channel_http as http;
pub use channel_text as text;

#[cfg(feature = "runtime")]
pub use channel_delivery as delivery;
#[cfg(feature = "runtime")]
pub use channel_runtime as runtime;
#[cfg(feature = "webhook")]
pub use channel_webhook as webhook;

#[cfg(feature = "binding")]
pub use channel_binding as binding;
#[cfg(feature = "policy")]
pub use channel_policy as policy;

#[cfg(feature = "dingtalk")]
pub use channel_dingtalk as dingtalk;
#[cfg(feature = "discord")]
pub use channel_discord as discord;
#[cfg(feature = "feishu")]
pub use channel_feishu as feishu;
#[cfg(feature = "line")]
pub use channel_line as line;
#[cfg(feature = "slack")]
pub use channel_slack as slack;
#[cfg(feature = "standard")]
pub use channel_standard as standard;
#[cfg(feature = "telegram")]
pub use channel_telegram as telegram;
#[cfg(feature = "wecom")]
pub use channel_wecom as wecom;

/// What nearly every program needs: the core's prelude, the bot, and each platform that
/// is switched on.
pub mod prelude {
    pub use channel_core::prelude::*;
    #[cfg(feature = "sqlite")]
    pub use channel_delivery::SqliteStore;
    #[cfg(feature = "dingtalk")]
    pub use channel_dingtalk::DingTalk;
    #[cfg(feature = "discord")]
    pub use channel_discord::Discord;
    #[cfg(feature = "feishu")]
    pub use channel_feishu::Feishu;
    #[cfg(feature = "line")]
    pub use channel_line::Line;
    #[cfg(feature = "policy")]
    pub use channel_policy::Gate;
    #[cfg(feature = "runtime")]
    pub use channel_runtime::{Bot, GroupMode, Incoming};
    #[cfg(feature = "slack")]
    pub use channel_slack::Slack;
    #[cfg(feature = "standard")]
    pub use channel_standard::Standard;
    #[cfg(feature = "telegram")]
    pub use channel_telegram::Telegram;
    #[cfg(feature = "wecom")]
    pub use channel_wecom::{WecomAibot, WecomAibotLink, WecomApp, WecomBot};
}
