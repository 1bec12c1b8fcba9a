//! Settings of a group bot.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    ChannelId, ChannelInfo, Guarantees, Redelivery, Repeat, Result, Secret, Transport,
};
use serde::Deserialize;

use super::webhooks::{Webhooks, is_webhook};
use super::{Shared, WecomBot};
use crate::api::Api;
use crate::door::{Door, Envelope};
use crate::env::{self, Variables};
use crate::error::bad;
use crate::{PLATFORM, limits};

/// The settings of a [`WecomBot`], as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WecomBotConfig {
    /// The application's name for the channel; `wecom` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The address that the group shows: `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=...`.
    #[serde(default)]
    pub webhook_url: Option<Secret>,
    /// The token of the callback, where the corp has it.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The 43 characters of `EncodingAESKey`, to go with the token.
    #[serde(default)]
    pub encoding_aes_key: Option<Secret>,
    /// Where the callback is served; `/webhook/wecom` if absent.
    #[serde(default = "default_path")]
    pub webhook_path: String,
    /// The bot's name in its groups, without `@`, so that a name of several words is
    /// recognised.
    #[serde(default)]
    pub name: Option<String>,
    /// The corp, which the payloads do not tell; part of the senders' accounts if set.
    #[serde(default)]
    pub corp_id: Option<String>,
}

fn default_id() -> ChannelId {
    ChannelId::new("wecom")
}

fn default_path() -> String {
    "/webhook/wecom".to_owned()
}

impl Default for WecomBotConfig {
    fn default() -> Self {
        Self {
            id: default_id(),
            webhook_url: None,
            token: None,
            encoding_aes_key: None,
            webhook_path: default_path(),
            name: None,
            corp_id: None,
        }
    }
}

/// Builds a [`WecomBot`]; made by [`WecomBot::builder`].
#[must_use]
pub struct WecomBotBuilder {
    config: WecomBotConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for WecomBotBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomBotBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<WecomBotConfig> for WecomBotBuilder {
    fn from(config: WecomBotConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl WecomBotBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Writes to the group behind this address; plain `http` is allowed for emulators.
    pub fn webhook_url(mut self, url: impl Into<Secret>) -> Self {
        self.config.webhook_url = Some(url.into());
        self
    }

    /// Receives callbacks that are signed and encrypted with these.
    pub fn callback(mut self, token: impl Into<Secret>, key: impl Into<Secret>) -> Self {
        self.config.token = Some(token.into());
        self.config.encoding_aes_key = Some(key.into());
        self
    }

    /// Serves the callback at another path.
    pub fn webhook_path(mut self, path: impl Into<String>) -> Self {
        self.config.webhook_path = path.into();
        self
    }

    /// Tells the bot's name in its groups.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = Some(name.into());
        self
    }

    /// Tells the corp, which becomes part of the senders' accounts.
    pub fn corp_id(mut self, corp_id: impl Into<String>) -> Self {
        self.config.corp_id = Some(corp_id.into());
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
    pub fn build(self) -> Result<WecomBot> {
        let Self {
            mut config,
            transport,
        } = self;
        if let Some(url) = &config.webhook_url
            && !is_webhook(url.expose(), url.expose())
        {
            return Err(bad(
                "webhook_url has to be the https://.../cgi-bin/webhook/send?key=... of the group",
            ));
        }
        env::path(&config.webhook_path)?;
        let door = match (&config.token, &config.encoding_aes_key) {
            (Some(token), Some(key)) => {
                let cipher = env::cipher(token, key, "")?;
                Some(Door::new(cipher, &config.webhook_path, Envelope::Xml))
            }
            (None, None) if config.webhook_url.is_some() => None,
            (None, None) => {
                return Err(bad("webhook_url, or token and encoding_aes_key, is needed"));
            }
            _ => return Err(bad("token and encoding_aes_key belong together")),
        };
        let name = config.name.as_deref();
        config.name = name.map(|name| name.trim_start_matches('@').to_owned());
        let api = Api {
            transport: env::transport(transport)?,
        };
        // https://developer.work.weixin.qq.com/document/path/99399
        let redelivery = Redelivery::For(Duration::from_secs(15));
        let info = ChannelInfo::new(config.id.clone(), PLATFORM, limits::of_bot());
        Ok(WecomBot {
            shared: Arc::new(Shared {
                info: info
                    .guarantees(Guarantees::new(redelivery, Repeat::Doubles))
                    .pacing(limits::pacing_of_bot()),
                config,
                door,
                api,
                webhooks: Webhooks::default(),
            }),
        })
    }
}

impl WecomBot {
    /// Starts building a channel.
    pub fn builder() -> WecomBotBuilder {
        WecomBotConfig::default().into()
    }

    /// Builds a channel from `CHANNEL_WECOM_BOT_WEBHOOK_URL`, or `..._TOKEN` and
    /// `..._ENCODING_AES_KEY`, or all three.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming what is missing.
    pub fn from_env() -> Result<Self> {
        from_variables(&env::of_process)
    }
}

pub(crate) fn from_variables(read: &dyn Fn(&str) -> Option<String>) -> Result<WecomBot> {
    let prefix = "CHANNEL_WECOM_BOT_";
    let variables = Variables { prefix, read };
    let config = WecomBotConfig {
        webhook_url: variables.get("WEBHOOK_URL").map(Secret::new),
        token: variables.get("TOKEN").map(Secret::new),
        encoding_aes_key: variables.get("ENCODING_AES_KEY").map(Secret::new),
        ..WecomBotConfig::default()
    };
    WecomBotBuilder::from(config).build()
}
