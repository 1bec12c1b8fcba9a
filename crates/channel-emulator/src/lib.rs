#![doc = include_str!("../README.md")]

pub mod dingtalk;
pub mod discord;
pub mod feishu;
pub mod line;
pub mod slack;
pub mod telegram;
pub mod wecom;

mod client;
mod clock;
mod common;
mod server;

pub use clock::Clock;
pub use common::ledger::Outcome;
pub use common::shared::WaitError;
pub use dingtalk::{Dingtalk, DingtalkConfig, DingtalkServer};
pub use discord::{Discord, DiscordConfig, DiscordServer};
pub use feishu::{Feishu, FeishuConfig, FeishuServer};
pub use line::{Line, LineConfig, LineServer};
pub use server::Server;
pub use slack::{Slack, SlackConfig, SlackServer};
pub use telegram::{Telegram, TelegramConfig, TelegramServer};
pub use wecom::{Wecom, WecomConfig, WecomServer};
