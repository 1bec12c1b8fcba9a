//! Settings: what files hold, what people write, and the one place that checks both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Error, Result, Secret, Transport};
use serde::Deserialize;

use crate::channel::Telegram;
use crate::client::Client;
use crate::pacing::Pacing;
use crate::shared::{Me, Shared};
use crate::{PLATFORM, limits};

/// Telegram's own server.
pub(crate) const CLOUD: &str = "https://api.telegram.org";

/// The settings of a [`Telegram`] channel, as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TelegramConfig {
    /// The application's name for the channel; `telegram` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The token that @BotFather gave: `<bot id>:<secret>`.
    pub token: Secret,
    /// A self-hosted Bot API server, or an emulator; Telegram's own if absent.
    #[serde(default)]
    pub api_base: Option<String>,
    /// What Telegram sends with each webhook request, 1 to 256 of `A-Za-z0-9_-`. If set,
    /// the channel receives by webhook instead of polling.
    #[serde(default)]
    pub webhook_secret: Option<Secret>,
    /// Where the webhook is served; `/telegram/webhook` if absent.
    #[serde(default = "default_path")]
    pub webhook_path: String,
    /// Deletes a webhook that stands in the way of polling; off if absent.
    #[serde(default)]
    pub take_over_webhook: bool,
    /// The bot's name without `@`, needed to notice mentions. Asked of Telegram when
    /// polling starts, and by [`probe`](channel_core::Channel::probe).
    #[serde(default)]
    pub username: Option<String>,
    /// How long one poll waits for news, in whole seconds, 1 to 50; 30 if absent.
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: u64,
    /// The longest wait that Telegram may impose on a send, in seconds, before the send
    /// gives up with `RateLimited`; 5 if absent.
    #[serde(default = "default_patience_seconds")]
    pub patience_seconds: u64,
    /// Streams answers in private chats as drafts instead of edits; off if absent.
    #[serde(default)]
    pub drafts: bool,
}

fn default_id() -> ChannelId {
    ChannelId::new(PLATFORM.as_str())
}

fn default_path() -> String {
    "/telegram/webhook".to_owned()
}

const fn default_poll_seconds() -> u64 {
    30
}

const fn default_patience_seconds() -> u64 {
    5
}

impl TelegramConfig {
    /// The defaults and a token.
    #[must_use]
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            id: default_id(),
            token: token.into(),
            api_base: None,
            webhook_secret: None,
            webhook_path: default_path(),
            take_over_webhook: false,
            username: None,
            poll_seconds: default_poll_seconds(),
            patience_seconds: default_patience_seconds(),
            drafts: false,
        }
    }
}

/// Builds a [`Telegram`] channel; made by [`Telegram::builder`].
#[must_use]
pub struct TelegramBuilder {
    config: TelegramConfig,
    transport: Option<Transport>,
    pacing: Option<Pacing>,
}

impl fmt::Debug for TelegramBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelegramBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<TelegramConfig> for TelegramBuilder {
    fn from(config: TelegramConfig) -> Self {
        Self {
            config,
            transport: None,
            pacing: None,
        }
    }
}

impl TelegramBuilder {
    /// Sets the token that @BotFather gave.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.config.token = token.into();
        self
    }

    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Talks to a self-hosted Bot API server or an emulator; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// Receives by webhook, and only what carries this secret.
    pub fn webhook_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.config.webhook_secret = Some(secret.into());
        self
    }

    /// Serves the webhook at another path.
    pub fn webhook_path(mut self, path: impl Into<String>) -> Self {
        self.config.webhook_path = path.into();
        self
    }

    /// Deletes a webhook that stands in the way of polling.
    pub const fn take_over_webhook(mut self, take_over: bool) -> Self {
        self.config.take_over_webhook = take_over;
        self
    }

    /// Tells the bot's name, so that Telegram need not be asked.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.config.username = Some(username.into());
        self
    }

    /// Sets how long one poll waits for news: whole seconds, 1 to 50.
    pub const fn poll_timeout(mut self, wait: Duration) -> Self {
        self.config.poll_seconds = wait.as_secs();
        self
    }

    /// Sets the longest wait that Telegram may impose on a send before the send gives up
    /// with `RateLimited`.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.config.patience_seconds = patience.as_secs();
        self
    }

    /// Streams answers in private chats as drafts
    /// (<https://core.telegram.org/bots/api#sendmessagedraft>) instead of edits.
    pub const fn drafts(mut self, drafts: bool) -> Self {
        self.config.drafts = drafts;
        self
    }

    /// Spaces requests out; the default is [`Pacing::documented`] towards Telegram's own
    /// server and [`Pacing::off`] towards any other.
    pub const fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = Some(pacing);
        self
    }

    /// Uses these seams instead of the default transport.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Checks everything and makes the channel; no I/O.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the setting to mend.
    pub fn build(self) -> Result<Telegram> {
        let Self {
            config,
            transport,
            pacing,
        } = self;
        let bot = bot_id(&config.token)?;
        let base = config.api_base.as_deref().unwrap_or(CLOUD);
        let rest = base
            .strip_prefix("https://")
            .or_else(|| base.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
            return Err(bad(
                "api_base has to be an http or https address without query or user",
            ));
        }
        if let Some(secret) = &config.webhook_secret {
            let fits = (1..=256).contains(&secret.expose().len())
                && secret.expose().bytes().all(is_token_byte);
            if !fits {
                return Err(bad("webhook_secret has to be 1 to 256 of A-Z a-z 0-9 _ -"));
            }
        }
        if !config.webhook_path.starts_with('/') {
            return Err(bad("webhook_path has to start with a slash"));
        }
        if !(1..=50).contains(&config.poll_seconds) {
            return Err(bad("poll_seconds has to be 1 to 50"));
        }
        let username = config
            .username
            .as_deref()
            .map(|name| name.trim_start_matches('@').to_owned());
        let is_cloud = base.trim_end_matches('/') == CLOUD;
        let pacing = pacing.unwrap_or(if is_cloud {
            Pacing::documented()
        } else {
            Pacing::off()
        });
        let transport = match transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let client = Client::new(transport, base, &config.token)?;
        let limits = limits::of(is_cloud);
        let me = Me::new(bot, username);
        Ok(Telegram::new(Arc::new(Shared::new(
            config, client, limits, pacing, me,
        ))))
    }
}

#[cfg(feature = "net")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "without `net` there is no transport"
)]
fn default_transport() -> Result<Transport> {
    Ok(channel_http::transport())
}

#[cfg(not(feature = "net"))]
fn default_transport() -> Result<Transport> {
    Err(bad(
        "a transport is needed: enable the feature `net` or call transport()",
    ))
}

impl Telegram {
    /// Starts building a channel.
    pub fn builder() -> TelegramBuilder {
        TelegramConfig::new("").into()
    }

    /// Builds a channel from `CHANNEL_TELEGRAM_BOT_TOKEN`, `CHANNEL_TELEGRAM_API_BASE` and
    /// `CHANNEL_TELEGRAM_WEBHOOK_SECRET`; the last two may be absent or blank.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(|name| std::env::var(name).ok())
    }
}

fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Telegram> {
    let value = |name: &str| read(name).filter(|value| !value.trim().is_empty());
    let token = value("CHANNEL_TELEGRAM_BOT_TOKEN")
        .ok_or_else(|| bad("CHANNEL_TELEGRAM_BOT_TOKEN is not set"))?;
    let mut builder = Telegram::builder().token(token);
    if let Some(base) = value("CHANNEL_TELEGRAM_API_BASE") {
        builder = builder.api_base(base);
    }
    if let Some(secret) = value("CHANNEL_TELEGRAM_WEBHOOK_SECRET") {
        builder = builder.webhook_secret(secret);
    }
    builder.build()
}

/// Reads the bot's id out of its token and checks the form of the rest.
fn bot_id(token: &Secret) -> Result<i64> {
    let parts = token.expose().split_once(':');
    let id = parts.and_then(|(id, secret)| {
        let fits = !secret.is_empty() && secret.len() <= 256 && secret.bytes().all(is_token_byte);
        id.parse::<i64>().ok().filter(|id| fits && *id > 0)
    });
    id.ok_or_else(|| bad("token has to look like 123456:ABC-def, as @BotFather shows it"))
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn bad(message: &'static str) -> Error {
    Error::config(message).on(PLATFORM, "configure")
}
