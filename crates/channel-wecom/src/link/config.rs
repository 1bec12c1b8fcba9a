//! Settings of an AI bot's connection.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    ChannelId, ChannelInfo, Guarantees, Redelivery, Repeat, Result, Secret, Transport,
};
use serde::Deserialize;

use super::dial::{Refused, Subscribe};
use super::pump::Pump;
use super::{Shared, WecomAibotLink, read};
use crate::aibot::presses::Presses;
use crate::api::Api;
use crate::env::{self, Variables};
use crate::error::bad;
use crate::{PLATFORM, limits};

/// WeCom's own server.
const CLOUD: &str = "wss://openws.work.weixin.qq.com";
/// The pause between two frames of a growing answer: the platform takes 30 a minute in one
/// conversation (<https://developer.work.weixin.qq.com/document/path/101463>).
const FRAME_PAUSE: Duration = Duration::from_millis(2500);

/// The settings of a [`WecomAibotLink`], as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WecomAibotLinkConfig {
    /// The application's name for the channel; `wecom-aibot` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The bot's id.
    pub bot_id: String,
    /// The secret of the long connection.
    pub secret: Secret,
    /// Another server than WeCom's own: an emulator.
    #[serde(default)]
    pub ws_url: Option<String>,
    /// The bot's name in groups, without `@`, so that a name of several words is
    /// recognised.
    #[serde(default)]
    pub name: Option<String>,
    /// The corp, which the payloads do not tell; part of the senders' accounts if set.
    #[serde(default)]
    pub corp_id: Option<String>,
    /// What a person is greeted with who opens the chat for the first time in a day.
    #[serde(default)]
    pub welcome: Option<String>,
}

fn default_id() -> ChannelId {
    ChannelId::new("wecom-aibot")
}

impl WecomAibotLinkConfig {
    /// The defaults and what the console shows.
    #[must_use]
    pub fn new(bot_id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self {
            id: default_id(),
            bot_id: bot_id.into(),
            secret: secret.into(),
            ws_url: None,
            name: None,
            corp_id: None,
            welcome: None,
        }
    }
}

/// Builds a [`WecomAibotLink`]; made by [`WecomAibotLink::builder`].
#[must_use]
pub struct WecomAibotLinkBuilder {
    config: WecomAibotLinkConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for WecomAibotLinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomAibotLinkBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<WecomAibotLinkConfig> for WecomAibotLinkBuilder {
    fn from(config: WecomAibotLinkConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl WecomAibotLinkBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets the bot's id.
    pub fn bot_id(mut self, bot_id: impl Into<String>) -> Self {
        self.config.bot_id = bot_id.into();
        self
    }

    /// Sets the secret of the long connection.
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.config.secret = secret.into();
        self
    }

    /// Connects to another server; plain `ws` is allowed.
    pub fn ws_url(mut self, url: impl Into<String>) -> Self {
        self.config.ws_url = Some(url.into());
        self
    }

    /// Tells the bot's name in groups.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = Some(name.into());
        self
    }

    /// Tells the corp, which becomes part of the senders' accounts.
    pub fn corp_id(mut self, corp_id: impl Into<String>) -> Self {
        self.config.corp_id = Some(corp_id.into());
        self
    }

    /// Greets people who open the chat for the first time in a day.
    pub fn welcome(mut self, words: impl Into<String>) -> Self {
        self.config.welcome = Some(words.into());
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
    pub fn build(self) -> Result<WecomAibotLink> {
        let Self {
            mut config,
            transport,
        } = self;
        if config.bot_id.trim().is_empty() {
            return Err(bad("bot_id must not be empty"));
        }
        if config.secret.is_empty() {
            return Err(bad("secret must not be empty"));
        }
        let address = config.ws_url.as_deref().unwrap_or(CLOUD);
        let rest = address
            .strip_prefix("wss://")
            .or_else(|| address.strip_prefix("ws://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['#', '@', ' '])) {
            return Err(bad("ws_url has to be a wss or ws address without user"));
        }
        if config
            .welcome
            .as_ref()
            .is_some_and(|text| text.len() > 2048)
        {
            return Err(bad("welcome is at most 2048 bytes"));
        }
        let name = config.name.as_deref();
        config.name = name.map(|name| name.trim_start_matches('@').to_owned());
        let transport = env::transport(transport)?;
        let dial = Subscribe {
            transport: transport.clone(),
            address: Secret::new(address),
            bot_id: config.bot_id.clone(),
            secret: config.secret.clone(),
            refused: Mutex::new(Refused::default()),
        };
        let mut limits = limits::of_aibot();
        limits.edit_pause_direct = FRAME_PAUSE;
        limits.edit_pause_group = FRAME_PAUSE;
        let info = ChannelInfo::new(config.id.clone(), PLATFORM, limits);
        let info = info
            .guarantees(Guarantees::new(Redelivery::Never, Repeat::Doubles))
            .pacing(limits::pacing_of_chat());
        let (known, settings) = (info.clone(), config.clone());
        let reader = Box::new(move |command: &str, inbound: &_, now| {
            read(&known, &settings, command, inbound, now)
        });
        Ok(WecomAibotLink {
            shared: Arc::new(Shared {
                pump: Arc::new(Pump::new(transport.clone(), dial, reader)),
                api: Api { transport },
                cards: Presses::default(),
                info,
                config,
            }),
        })
    }
}

impl WecomAibotLink {
    /// Starts building a channel.
    pub fn builder() -> WecomAibotLinkBuilder {
        WecomAibotLinkConfig::new("", "").into()
    }

    /// Builds a channel from `CHANNEL_WECOM_AIBOT_BOT_ID`, `..._SECRET`, and `..._WS_URL`
    /// where it is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(&env::of_process)
    }
}

pub(crate) fn from_variables(read: &dyn Fn(&str) -> Option<String>) -> Result<WecomAibotLink> {
    let prefix = "CHANNEL_WECOM_AIBOT_";
    let variables = Variables { prefix, read };
    let bot_id = variables.need("BOT_ID")?;
    let secret = variables.need("SECRET")?;
    let mut config = WecomAibotLinkConfig::new(bot_id, secret);
    config.ws_url = variables.get("WS_URL");
    WecomAibotLinkBuilder::from(config).build()
}
