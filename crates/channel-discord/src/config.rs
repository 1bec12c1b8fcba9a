//! Settings: what files hold, what people write, and the one place that checks both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Result, Secret, Transport};
use serde::Deserialize;

use crate::channel::Discord;
use crate::client::Client;
use crate::error::bad;
use crate::intents::Intents;
use crate::pacing::{Pacer, Pacing};
use crate::shared::Shared;
use crate::verify::Verifier;
use crate::{PLATFORM, address};

/// Discord's own server.
pub(crate) const CLOUD: &str = "https://discord.com/api/v10";
/// How many kinds of events may be named that arrive raw.
const MAX_RAW_EVENTS: usize = 128;

/// The settings of a [`Discord`] channel, as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DiscordConfig {
    /// The application's name for the channel; `discord` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The token of the page "Bot". Absent where only interactions are answered.
    #[serde(default)]
    pub bot_token: Option<Secret>,
    /// The public key of the page "General Information", 64 hexadecimal digits. If set, the
    /// channel serves the interactions endpoint and webhook events.
    #[serde(default)]
    pub public_key: Option<String>,
    /// The application's id; asked for when it is needed if absent.
    #[serde(default)]
    pub application_id: Option<String>,
    /// What stands for `https://discord.com/api/v10`: an emulator; Discord's own if absent.
    /// Without a path `/api/v10` is added, to `/api` the version.
    #[serde(default)]
    pub api_base: Option<String>,
    /// Receives by the gateway; on if absent and there is a bot token.
    #[serde(default = "default_true")]
    pub gateway: bool,
    /// What the gateway is asked for, as a number of bits; messages, reactions and direct
    /// chats if absent.
    #[serde(default)]
    pub intents: Intents,
    /// The number of shards; as many as Discord recommends if absent.
    #[serde(default)]
    pub shards: Option<u32>,
    /// Asks for compressed events (zlib); off if absent. It saves bandwidth and costs some
    /// 70 KB of memory for each shard.
    #[serde(default)]
    pub compress: bool,
    /// Kinds of events that are not read and yet arrive, as unknown events with their
    /// payload, such as `VOICE_STATE_UPDATE`.
    #[serde(default)]
    pub raw_events: Vec<String>,
    /// Where interactions are served; `/discord/interactions` if absent.
    #[serde(default = "default_interactions_path")]
    pub interactions_path: String,
    /// Where webhook events are served; `/discord/events` if absent.
    #[serde(default = "default_events_path")]
    pub events_path: String,
    /// Shows answers to commands only to the one who asked; off if absent.
    #[serde(default)]
    pub ephemeral_commands: bool,
    /// Keeps the requests of the interactions endpoint that bring a command or a press open until
    /// something is said about it, at most 1.5 s, so that it can be answered with a dialog; off if
    /// absent: Discord is then told at once that it has arrived.
    #[serde(default)]
    pub hold_interactions: bool,
    /// The longest wait that Discord may impose on a send, in seconds, before the send gives
    /// up with `RateLimited`; 5 if absent.
    #[serde(default = "default_patience_seconds")]
    pub patience_seconds: u64,
}

fn default_id() -> ChannelId {
    ChannelId::new(PLATFORM.as_str())
}

fn default_interactions_path() -> String {
    "/discord/interactions".to_owned()
}

fn default_events_path() -> String {
    "/discord/events".to_owned()
}

const fn default_true() -> bool {
    true
}

const fn default_patience_seconds() -> u64 {
    5
}

impl Default for DiscordConfig {
    fn default() -> Self {
        Self {
            id: default_id(),
            bot_token: None,
            public_key: None,
            application_id: None,
            api_base: None,
            gateway: true,
            intents: Intents::default(),
            shards: None,
            compress: false,
            raw_events: Vec::new(),
            interactions_path: default_interactions_path(),
            events_path: default_events_path(),
            ephemeral_commands: false,
            hold_interactions: false,
            patience_seconds: default_patience_seconds(),
        }
    }
}

/// Builds a [`Discord`] channel; made by [`Discord::builder`].
#[must_use]
pub struct DiscordBuilder {
    config: DiscordConfig,
    transport: Option<Transport>,
    pacing: Option<Pacing>,
}

impl fmt::Debug for DiscordBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscordBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<DiscordConfig> for DiscordBuilder {
    fn from(config: DiscordConfig) -> Self {
        Self {
            config,
            transport: None,
            pacing: None,
        }
    }
}

impl DiscordBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets the bot token.
    pub fn bot_token(mut self, token: impl Into<Secret>) -> Self {
        self.config.bot_token = Some(token.into());
        self
    }

    /// Serves the interactions endpoint, and takes only what is signed for this key.
    pub fn public_key(mut self, key: impl Into<String>) -> Self {
        self.config.public_key = Some(key.into());
        self
    }

    /// Sets the application's id, which is asked for otherwise.
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.config.application_id = Some(id.into());
        self
    }

    /// Talks to an emulator; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// Receives by the gateway, or by the interactions endpoint alone.
    pub const fn gateway(mut self, on: bool) -> Self {
        self.config.gateway = on;
        self
    }

    /// Sets what the gateway is asked for.
    pub const fn intents(mut self, intents: Intents) -> Self {
        self.config.intents = intents;
        self
    }

    /// Sets the number of shards.
    pub const fn shards(mut self, shards: u32) -> Self {
        self.config.shards = Some(shards);
        self
    }

    /// Asks for compressed events.
    pub const fn compress(mut self, on: bool) -> Self {
        self.config.compress = on;
        self
    }

    /// Hands on these kinds of events too, as unknown events with their payload.
    pub fn raw_events<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.config.raw_events = names.into_iter().map(Into::into).collect();
        self
    }

    /// Shows answers to commands only to the one who asked.
    pub const fn ephemeral_commands(mut self, on: bool) -> Self {
        self.config.ephemeral_commands = on;
        self
    }

    /// Keeps commands and presses of the interactions endpoint open for a dialog, at most 1.5 s.
    pub const fn hold_interactions(mut self, on: bool) -> Self {
        self.config.hold_interactions = on;
        self
    }

    /// Sets the longest wait that Discord may impose on a send before the send gives up with
    /// `RateLimited`.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.config.patience_seconds = patience.as_secs();
        self
    }

    /// Spaces calls out; the default is [`Pacing::Documented`] towards Discord's own server
    /// and [`Pacing::Off`] towards any other.
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
    pub fn build(self) -> Result<Discord> {
        let Self {
            config,
            transport,
            pacing,
        } = self;
        check(&config)?;
        let verifier = config
            .public_key
            .as_deref()
            .map(Verifier::new)
            .transpose()?;
        let base = config.api_base.as_deref().unwrap_or(CLOUD);
        let is_cloud = base.trim_end_matches('/') == CLOUD;
        let pacing = pacing.unwrap_or(if is_cloud {
            Pacing::Documented
        } else {
            Pacing::Off
        });
        let transport = match transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let client = Client::new(transport, &with_version(base), config.bot_token.as_ref())?;
        Ok(Discord::new(Arc::new(Shared::new(
            config,
            client,
            verifier,
            Pacer::new(pacing),
        ))))
    }
}

fn check(config: &DiscordConfig) -> Result<()> {
    match &config.bot_token {
        Some(token) => check_token(token)?,
        None if config.public_key.is_none() => {
            return Err(bad("bot_token is missing, and so is public_key"));
        }
        None => {}
    }
    if let Some(id) = &config.application_id
        && !address::is_id(id)
    {
        return Err(bad(
            "application_id has to be the number of the application's page",
        ));
    }
    if config.shards == Some(0) {
        return Err(bad("shards has to be at least 1"));
    }
    if config.raw_events.len() > MAX_RAW_EVENTS {
        return Err(bad("raw_events holds too many names"));
    }
    let base = config.api_base.as_deref().unwrap_or(CLOUD);
    let rest = base
        .strip_prefix("https://")
        .or_else(|| base.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
        return Err(bad(
            "api_base has to be an http or https address without query or user",
        ));
    }
    let paths = [&config.interactions_path, &config.events_path];
    if paths.iter().any(|path| !path.starts_with('/')) {
        return Err(bad("a path has to start with a slash"));
    }
    Ok(())
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

impl Discord {
    /// Starts building a channel.
    pub fn builder() -> DiscordBuilder {
        DiscordConfig::default().into()
    }

    /// Builds a channel from `CHANNEL_DISCORD_BOT_TOKEN` (gateway), `CHANNEL_DISCORD_PUBLIC_KEY`
    /// (interactions endpoint), or both, and `CHANNEL_DISCORD_APPLICATION_ID` and
    /// `CHANNEL_DISCORD_API_BASE`, which may be absent or blank.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(|name| std::env::var(name).ok())
    }
}

fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Discord> {
    let value = |name: &str| {
        read(&format!("CHANNEL_DISCORD_{name}")).filter(|value| !value.trim().is_empty())
    };
    let config = DiscordConfig {
        bot_token: value("BOT_TOKEN").map(Secret::from),
        public_key: value("PUBLIC_KEY"),
        application_id: value("APPLICATION_ID"),
        api_base: value("API_BASE"),
        ..DiscordConfig::default()
    };
    if config.bot_token.is_none() && config.public_key.is_none() {
        return Err(bad("CHANNEL_DISCORD_BOT_TOKEN is not set"));
    }
    DiscordBuilder::from(config).build()
}

/// An address without a path stands for the server as a whole, and `/api` for the version
/// that is spoken here.
fn with_version(base: &str) -> String {
    let base = base.trim_end_matches('/');
    match address::origin(base) {
        Some(origin) if origin == base => format!("{base}/api/v10"),
        _ if base.ends_with("/api") => format!("{base}/v10"),
        _ => base.to_owned(),
    }
}

/// A token is sent in a header, so that it must be one line of plain characters.
fn check_token(token: &Secret) -> Result<()> {
    let text = token.expose();
    let is_plain = (1..=1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if is_plain {
        Ok(())
    } else {
        Err(bad(
            "bot_token has to be the token of the application's page Bot, without the word Bot before it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    fn from(pairs: &[(&str, &str)]) -> Result<Discord> {
        from_variables(|name| {
            let name = name.strip_prefix("CHANNEL_DISCORD_")?;
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_choose_the_way_in_and_name_what_is_missing() {
        use channel_core::Channel as _;
        let token = ("BOT_TOKEN", "abc.def.ghi");
        let hooked = from(&[("PUBLIC_KEY", KEY)]).unwrap();
        assert!(hooked.as_webhook().is_some() && hooked.as_events().is_none());
        #[cfg(feature = "net")]
        {
            let both = from(&[token, ("PUBLIC_KEY", KEY)]).unwrap();
            assert!(both.as_webhook().is_some() && both.as_events().is_some());
            let gateway = from(&[token, ("API_BASE", "http://127.0.0.1:1/")]).unwrap();
            assert!(gateway.as_webhook().is_none() && gateway.as_events().is_some());
        }
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[("APPLICATION_ID", "1")], "CHANNEL_DISCORD_BOT_TOKEN"),
            (&[("BOT_TOKEN", "Bot abc")], "bot_token"),
            (&[("BOT_TOKEN", "a\nb")], "bot_token"),
            (&[token, ("PUBLIC_KEY", "00")], "public_key"),
            (&[token, ("APPLICATION_ID", "x")], "application_id"),
            (&[token, ("API_BASE", "discord.com")], "api_base"),
        ];
        for (pairs, named) in cases {
            let error = from(pairs).unwrap_err();
            assert_eq!(error.kind(), channel_core::ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
        // A key of small order, for which anybody could sign.
        let weak = "0100000000000000000000000000000000000000000000000000000000000000";
        assert!(from(&[("PUBLIC_KEY", weak)]).is_err());
    }
}
