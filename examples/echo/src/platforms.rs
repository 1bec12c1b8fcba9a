//! Which platforms are on: those whose variables are set.

use std::sync::Arc;

use channel_kit::core::{Channel, Error};
use channel_kit::dingtalk::DingTalk;
use channel_kit::discord::Discord;
use channel_kit::feishu::Feishu;
use channel_kit::line::Line;
use channel_kit::slack::Slack;
use channel_kit::standard::Standard;
use channel_kit::telegram::Telegram;
use channel_kit::wecom::{WecomApp, WecomBot};

/// Every platform whose variables are set.
///
/// # Errors
///
/// `Config` if none is, or if the variables of one are not complete.
pub(crate) fn configured() -> Result<Vec<Arc<dyn Channel>>, Error> {
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    if is_set("CHANNEL_TELEGRAM_") {
        channels.push(Arc::new(Telegram::from_env()?));
    }
    if is_set("CHANNEL_STANDARD_") {
        channels.push(Arc::new(Standard::from_env()?));
    }
    if is_set("CHANNEL_SLACK_") {
        channels.push(Arc::new(Slack::from_env()?));
    }
    if is_set("CHANNEL_DISCORD_") {
        channels.push(Arc::new(Discord::from_env()?));
    }
    if is_set("CHANNEL_LINE_") {
        channels.push(Arc::new(Line::from_env()?));
    }
    if is_set("CHANNEL_FEISHU_") {
        channels.push(Arc::new(Feishu::from_env()?));
    }
    if is_set("CHANNEL_DINGTALK_") {
        channels.push(Arc::new(DingTalk::from_env()?));
    }
    if is_set("CHANNEL_WECOM_BOT_") {
        channels.push(Arc::new(WecomBot::from_env()?));
    }
    if is_set("CHANNEL_WECOM_APP_") {
        channels.push(Arc::new(WecomApp::from_env()?));
    }
    if is_set("CHANNEL_WECOM_AIBOT_") {
        channels.push(channel_kit::wecom::aibot_from_env()?);
    }
    if channels.is_empty() {
        return Err(Error::config(
            "no platform is configured; set for example CHANNEL_TELEGRAM_BOT_TOKEN",
        ));
    }
    Ok(channels)
}

/// Whether a variable of a platform is set.
fn is_set(prefix: &str) -> bool {
    std::env::vars_os().any(|(name, value)| {
        !value.is_empty() && name.to_str().is_some_and(|name| name.starts_with(prefix))
    })
}
