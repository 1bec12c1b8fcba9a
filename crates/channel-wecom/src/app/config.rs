//! Settings of a custom app.

use std::fmt;
use std::sync::Arc;

use channel_core::{
    ChannelId, ChannelInfo, Guarantees, Redelivery, Repeat, Result, Secret, Transport,
};
use serde::Deserialize;

use super::{Shared, WecomApp, cards};
use crate::api::{Api, CLOUD, base};
use crate::door::{Door, Envelope};
use crate::env::{self, Variables};
use crate::error::bad;
use crate::token::Token;
use crate::{PLATFORM, limits};

/// The settings of a [`WecomApp`], as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WecomAppConfig {
    /// The application's name for the channel; `wecom-app` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The corp's id: `ww...`.
    pub corp_id: String,
    /// The app's secret.
    pub corp_secret: Secret,
    /// The app's number.
    pub agent_id: u64,
    /// The token of "receive messages"; without it the channel only sends.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The 43 characters of `EncodingAESKey`, to go with the token.
    #[serde(default)]
    pub encoding_aes_key: Option<Secret>,
    /// Another server than WeCom's own: a private deployment, or an emulator.
    #[serde(default)]
    pub api_base: Option<String>,
    /// Where the callback is served; `/webhook/wecom-app` if absent.
    #[serde(default = "default_path")]
    pub webhook_path: String,
    /// Whether formatted text goes as Markdown, which WeCom shows and WeChat does not; on
    /// if absent.
    #[serde(default = "default_markdown")]
    pub markdown: bool,
}

fn default_id() -> ChannelId {
    ChannelId::new("wecom-app")
}

fn default_path() -> String {
    "/webhook/wecom-app".to_owned()
}

const fn default_markdown() -> bool {
    true
}

impl WecomAppConfig {
    /// The defaults and the app's credentials.
    #[must_use]
    pub fn new(corp_id: impl Into<String>, corp_secret: impl Into<Secret>, agent_id: u64) -> Self {
        Self {
            id: default_id(),
            corp_id: corp_id.into(),
            corp_secret: corp_secret.into(),
            agent_id,
            token: None,
            encoding_aes_key: None,
            api_base: None,
            webhook_path: default_path(),
            markdown: default_markdown(),
        }
    }
}

/// Builds a [`WecomApp`]; made by [`WecomApp::builder`].
#[must_use]
pub struct WecomAppBuilder {
    config: WecomAppConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for WecomAppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WecomAppBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<WecomAppConfig> for WecomAppBuilder {
    fn from(config: WecomAppConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl WecomAppBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets the corp's id.
    pub fn corp_id(mut self, corp_id: impl Into<String>) -> Self {
        self.config.corp_id = corp_id.into();
        self
    }

    /// Sets the app's secret.
    pub fn corp_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.config.corp_secret = secret.into();
        self
    }

    /// Sets the app's number.
    pub const fn agent_id(mut self, agent_id: u64) -> Self {
        self.config.agent_id = agent_id;
        self
    }

    /// Receives callbacks that are signed and encrypted with these.
    pub fn callback(mut self, token: impl Into<Secret>, key: impl Into<Secret>) -> Self {
        self.config.token = Some(token.into());
        self.config.encoding_aes_key = Some(key.into());
        self
    }

    /// Talks to another server; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// Serves the callback at another path.
    pub fn webhook_path(mut self, path: impl Into<String>) -> Self {
        self.config.webhook_path = path.into();
        self
    }

    /// Whether formatted text goes as Markdown; turn it off where people read in WeChat.
    pub const fn markdown(mut self, markdown: bool) -> Self {
        self.config.markdown = markdown;
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
    pub fn build(self) -> Result<WecomApp> {
        let Self { config, transport } = self;
        let is_id = |id: &str| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if !is_id(&config.corp_id) {
            return Err(bad("corp_id has to be the ww... of the console"));
        }
        if config.corp_secret.is_empty() {
            return Err(bad("corp_secret must not be empty"));
        }
        let base = base(config.api_base.as_deref().unwrap_or(CLOUD), "api_base")?;
        env::path(&config.webhook_path)?;
        let door = match (&config.token, &config.encoding_aes_key) {
            (Some(token), Some(key)) => {
                let cipher = env::cipher(token, key, &config.corp_id)?;
                Some(Door::new(cipher, &config.webhook_path, Envelope::Xml))
            }
            (None, None) => None,
            _ => return Err(bad("token and encoding_aes_key belong together")),
        };
        let api = Api {
            transport: env::transport(transport)?,
        };
        let info = ChannelInfo::new(config.id.clone(), PLATFORM, limits::of_app());
        let clock = Arc::clone(&api.transport.clock);
        let token = Token::new(clock, &base, &config.corp_id, &config.corp_secret);
        Ok(WecomApp {
            shared: Arc::new(Shared {
                info: info
                    .guarantees(guarantees())
                    .pacing(limits::pacing_of_chat()),
                config,
                base,
                door,
                api,
                token,
                sent_cards: cards::SentCards::default(),
            }),
        })
    }
}

/// WeCom comes again three times, within some fifteen seconds, if it gets no 200
/// (<https://developer.work.weixin.qq.com/document/path/90238>).
fn guarantees() -> Guarantees {
    Guarantees::new(
        Redelivery::For(std::time::Duration::from_secs(15)),
        Repeat::Doubles,
    )
    .call("update a card", Repeat::Idempotent)
}

impl WecomApp {
    /// Starts building a channel.
    pub fn builder() -> WecomAppBuilder {
        WecomAppConfig::new("", "", 0).into()
    }

    /// Builds a channel from `CHANNEL_WECOM_APP_CORP_ID`, `..._CORP_SECRET`,
    /// `..._AGENT_ID`, and `..._TOKEN`, `..._ENCODING_AES_KEY` and `..._API_BASE` where they
    /// are set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(&env::of_process)
    }
}

pub(crate) fn from_variables(read: &dyn Fn(&str) -> Option<String>) -> Result<WecomApp> {
    let prefix = "CHANNEL_WECOM_APP_";
    let variables = Variables { prefix, read };
    let agent = variables.need("AGENT_ID")?;
    let agent = agent
        .trim()
        .parse()
        .map_err(|_| bad("CHANNEL_WECOM_APP_AGENT_ID has to be a number"))?;
    let corp = variables.need("CORP_ID")?;
    let secret = variables.need("CORP_SECRET")?;
    let mut config = WecomAppConfig::new(corp, secret, agent);
    config.token = variables.get("TOKEN").map(Secret::new);
    config.encoding_aes_key = variables.get("ENCODING_AES_KEY").map(Secret::new);
    config.api_base = variables.get("API_BASE");
    WecomAppBuilder::from(config).build()
}
