//! Settings of an AI bot by callback.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    ChannelId, ChannelInfo, Guarantees, Redelivery, Repeat, Result, Secret, Transport,
};
use serde::Deserialize;

use super::sessions::Sessions;
use super::{Shared, WecomAibot, outbound, presses};
use crate::api::{Api, CLOUD, base};
use crate::door::{Door, Envelope};
use crate::env::{self, Variables};
use crate::error::bad;
use crate::{PLATFORM, limits};

/// The settings of a [`WecomAibot`], as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WecomAibotConfig {
    /// The application's name for the channel; `wecom-aibot` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The token of the callback.
    pub token: Secret,
    /// The 43 characters of `EncodingAESKey`.
    pub encoding_aes_key: Secret,
    /// Where the callback is served; `/webhook/wecom-aibot` if absent.
    #[serde(default = "default_path")]
    pub webhook_path: String,
    /// Another server than WeCom's own that messages may name for late answers and files:
    /// an emulator.
    #[serde(default)]
    pub api_base: Option<String>,
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
    /// How long an answer without a word is waited for before it is announced for later,
    /// in seconds, 5 to 300; 30 if absent.
    #[serde(default = "default_quiet")]
    pub stream_seconds: u64,
    /// The announcement.
    #[serde(default = "default_late")]
    pub late_text: String,
}

fn default_id() -> ChannelId {
    ChannelId::new("wecom-aibot")
}

fn default_path() -> String {
    "/webhook/wecom-aibot".to_owned()
}

const fn default_quiet() -> u64 {
    30
}

fn default_late() -> String {
    "This takes longer; the answer will follow.".to_owned()
}

impl WecomAibotConfig {
    /// The defaults and what the console shows.
    #[must_use]
    pub fn new(token: impl Into<Secret>, encoding_aes_key: impl Into<Secret>) -> Self {
        Self {
            id: default_id(),
            token: token.into(),
            encoding_aes_key: encoding_aes_key.into(),
            webhook_path: default_path(),
            api_base: None,
            name: None,
            corp_id: None,
            welcome: None,
            stream_seconds: default_quiet(),
            late_text: default_late(),
        }
    }
}

/// Builds a [`WecomAibot`]; made by [`WecomAibot::builder`].
#[must_use]
pub struct WecomAibotBuilder {
    config: WecomAibotConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for WecomAibotBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomAibotBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<WecomAibotConfig> for WecomAibotBuilder {
    fn from(config: WecomAibotConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl WecomAibotBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Receives callbacks that are signed and encrypted with these.
    pub fn callback(mut self, token: impl Into<Secret>, key: impl Into<Secret>) -> Self {
        self.config.token = token.into();
        self.config.encoding_aes_key = key.into();
        self
    }

    /// Serves the callback at another path.
    pub fn webhook_path(mut self, path: impl Into<String>) -> Self {
        self.config.webhook_path = path.into();
        self
    }

    /// Lets messages name this server for late answers and files; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
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

    /// Sets how long an answer without a word is waited for: whole seconds, 5 to 300.
    pub const fn stream_for(mut self, wait: Duration) -> Self {
        self.config.stream_seconds = wait.as_secs();
        self
    }

    /// Sets what is shown when an answer comes later.
    pub fn late_text(mut self, words: impl Into<String>) -> Self {
        self.config.late_text = words.into();
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
    pub fn build(self) -> Result<WecomAibot> {
        let Self {
            mut config,
            transport,
        } = self;
        let base = base(config.api_base.as_deref().unwrap_or(CLOUD), "api_base")?;
        env::path(&config.webhook_path)?;
        if !(5..=300).contains(&config.stream_seconds) {
            return Err(bad("stream_seconds has to be 5 to 300"));
        }
        let words = [Some(&config.late_text), config.welcome.as_ref()];
        if words.into_iter().flatten().any(|text| text.len() > 2048) {
            return Err(bad("late_text and welcome are at most 2048 bytes"));
        }
        let name = config.name.as_deref();
        config.name = name.map(|name| name.trim_start_matches('@').to_owned());
        let cipher = env::cipher(&config.token, &config.encoding_aes_key, "")?;
        let quiet = Duration::from_secs(config.stream_seconds);
        let late = config.late_text.clone();
        let api = Api {
            transport: env::transport(transport)?,
        };
        let info = ChannelInfo::new(config.id.clone(), PLATFORM, limits::of_called_aibot());
        // https://developer.work.weixin.qq.com/document/path/101031
        let redelivery = Redelivery::For(Duration::from_secs(15));
        Ok(WecomAibot {
            shared: Arc::new(Shared {
                info: info.guarantees(Guarantees::new(redelivery, Repeat::Doubles)),
                door: Door::new(cipher, &config.webhook_path, Envelope::Json),
                config,
                base,
                api,
                sessions: Sessions::new(quiet, limits::STREAM_LASTS, late),
                presses: presses::Presses::default(),
                ledger: outbound::ledger(),
            }),
        })
    }
}

impl WecomAibot {
    /// Starts building a channel.
    pub fn builder() -> WecomAibotBuilder {
        WecomAibotConfig::new("", "").into()
    }

    /// Builds a channel from `CHANNEL_WECOM_AIBOT_TOKEN`, `..._ENCODING_AES_KEY`, and
    /// `..._API_BASE` where it is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(&env::of_process)
    }
}

pub(crate) fn from_variables(read: &dyn Fn(&str) -> Option<String>) -> Result<WecomAibot> {
    let prefix = "CHANNEL_WECOM_AIBOT_";
    let variables = Variables { prefix, read };
    let token = variables.need("TOKEN")?;
    let key = variables.need("ENCODING_AES_KEY")?;
    let mut config = WecomAibotConfig::new(token, key);
    config.api_base = variables.get("API_BASE");
    WecomAibotBuilder::from(config).build()
}
