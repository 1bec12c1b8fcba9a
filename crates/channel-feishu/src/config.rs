//! Settings: what files hold, what people write, and the one place that checks both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Result, Secret, Transport};
use serde::Deserialize;

use crate::PLATFORM;
use crate::channel::Feishu;
use crate::client::Client;
use crate::error::bad;
use crate::shared::Shared;
use crate::wire::is_id;

/// The brand that the app was made on. The two do not know each other's apps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Domain {
    /// Feishu, in China: `https://open.feishu.cn`.
    #[default]
    Feishu,
    /// Lark, everywhere else: `https://open.larksuite.com`.
    Lark,
}

impl Domain {
    /// The server of its API.
    #[must_use]
    pub const fn base(self) -> &'static str {
        match self {
            Self::Feishu => "https://open.feishu.cn",
            Self::Lark => "https://open.larksuite.com",
        }
    }
}

/// How events come in; the console has the same choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Over a connection of our own, without a public address. Not for apps of the app
    /// store.
    #[default]
    Websocket,
    /// By requests to `/feishu/events` and `/feishu/callback`.
    Webhook,
}

/// The settings of a [`Feishu`] channel, as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FeishuConfig {
    /// The application's name for the channel; `feishu` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The App ID, `cli_...`.
    #[serde(default)]
    pub app_id: String,
    /// The App Secret.
    #[serde(default = "blank")]
    pub app_secret: Secret,
    /// The Verification Token, which requests carry inside.
    #[serde(default)]
    pub verification_token: Option<Secret>,
    /// The Encrypt Key, which requests are sealed and signed with.
    #[serde(default)]
    pub encrypt_key: Option<Secret>,
    /// How events come in; the long connection if absent.
    #[serde(default)]
    pub mode: Mode,
    /// The brand that the app was made on; Feishu if absent.
    #[serde(default)]
    pub domain: Domain,
    /// What stands for the server of the domain: an emulator or a gateway.
    #[serde(default)]
    pub api_base: Option<String>,
    /// Where events are served; `/feishu/events` if absent.
    #[serde(default = "default_events_path")]
    pub events_path: String,
    /// Where callbacks of cards are served; `/feishu/callback` if absent.
    #[serde(default = "default_callback_path")]
    pub callback_path: String,
    /// The longest wait that Feishu may impose on a send, in seconds, before the send gives
    /// up with `RateLimited`; 5 if absent.
    #[serde(default = "default_patience_seconds")]
    pub patience_seconds: u64,
}

fn default_id() -> ChannelId {
    ChannelId::new(PLATFORM.as_str())
}

fn blank() -> Secret {
    Secret::new("")
}

fn default_events_path() -> String {
    "/feishu/events".to_owned()
}

fn default_callback_path() -> String {
    "/feishu/callback".to_owned()
}

const fn default_patience_seconds() -> u64 {
    5
}

impl Default for FeishuConfig {
    fn default() -> Self {
        Self {
            id: default_id(),
            app_id: String::new(),
            app_secret: blank(),
            verification_token: None,
            encrypt_key: None,
            mode: Mode::default(),
            domain: Domain::default(),
            api_base: None,
            events_path: default_events_path(),
            callback_path: default_callback_path(),
            patience_seconds: default_patience_seconds(),
        }
    }
}

impl FeishuConfig {
    /// Whether requests can be told from those of anybody.
    pub(crate) const fn can_verify(&self) -> bool {
        self.verification_token.is_some() || self.encrypt_key.is_some()
    }
}

/// Builds a [`Feishu`] channel; made by [`Feishu::builder`].
#[must_use]
pub struct FeishuBuilder {
    config: FeishuConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for FeishuBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeishuBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<FeishuConfig> for FeishuBuilder {
    fn from(config: FeishuConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl FeishuBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets App ID and App Secret, from the console's page Credentials & Basic Info.
    pub fn app(mut self, id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        self.config.app_id = id.into();
        self.config.app_secret = secret.into();
        self
    }

    /// Takes only requests that carry this Verification Token.
    pub fn verification_token(mut self, token: impl Into<Secret>) -> Self {
        self.config.verification_token = Some(token.into());
        self
    }

    /// Takes only requests that are signed with this Encrypt Key, and opens them with it.
    pub fn encrypt_key(mut self, key: impl Into<Secret>) -> Self {
        self.config.encrypt_key = Some(key.into());
        self
    }

    /// Chooses how events come in.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Chooses the brand that the app was made on.
    pub const fn domain(mut self, domain: Domain) -> Self {
        self.config.domain = domain;
        self
    }

    /// Talks to an emulator; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// Sets where requests are served: a path for events, one for callbacks. Two apps of one
    /// process need paths of their own.
    pub fn paths(mut self, events: impl Into<String>, callback: impl Into<String>) -> Self {
        self.config.events_path = events.into();
        self.config.callback_path = callback.into();
        self
    }

    /// Sets the longest wait that Feishu may impose on a send before the send gives up with
    /// `RateLimited`.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.config.patience_seconds = patience.as_secs();
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
    pub fn build(self) -> Result<Feishu> {
        let Self { config, transport } = self;
        if !config.app_id.starts_with("cli_") || !is_id(&config.app_id) {
            return Err(bad(
                "app_id has to look like cli_..., as the console's page Credentials & Basic Info shows it",
            ));
        }
        if config.app_secret.expose().trim().is_empty() {
            return Err(bad("app_secret is missing"));
        }
        for (name, secret) in [
            ("verification_token", &config.verification_token),
            ("encrypt_key", &config.encrypt_key),
        ] {
            if secret
                .as_ref()
                .is_some_and(|it| it.expose().trim().is_empty())
            {
                return Err(bad(format!("{name} is blank")));
            }
        }
        match config.mode {
            // Without either anybody could write events.
            Mode::Webhook if !config.can_verify() => {
                return Err(bad(
                    "a webhook needs verification_token or encrypt_key, from the console's page Events & Callbacks, tab Encryption Strategy",
                ));
            }
            Mode::Websocket if cfg!(not(feature = "net")) => {
                return Err(bad("the long connection needs the feature `net`"));
            }
            _ => {}
        }
        let paths = [&config.events_path, &config.callback_path];
        if paths.iter().any(|path| !path.starts_with('/')) {
            return Err(bad("a path has to start with a slash"));
        }
        let base = config.api_base.as_deref().unwrap_or(config.domain.base());
        let rest = base
            .strip_prefix("https://")
            .or_else(|| base.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
            return Err(bad(
                "api_base has to be an http or https address without query or user",
            ));
        }
        let base = base.trim_end_matches('/').to_owned();
        let transport = match transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let client = Client::new(transport, base);
        Ok(Feishu::new(Arc::new(Shared::new(config, client))))
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

impl Feishu {
    /// Starts building a channel.
    pub fn builder() -> FeishuBuilder {
        FeishuConfig::default().into()
    }

    /// Builds a channel from `CHANNEL_FEISHU_APP_ID` and `CHANNEL_FEISHU_APP_SECRET`, and from
    /// `CHANNEL_FEISHU_MODE` (`websocket`, the default, or `webhook`),
    /// `CHANNEL_FEISHU_DOMAIN` (`feishu`, the default, or `lark`),
    /// `CHANNEL_FEISHU_VERIFICATION_TOKEN`, `CHANNEL_FEISHU_ENCRYPT_KEY` and
    /// `CHANNEL_FEISHU_API_BASE`, which may be absent or blank.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(|name| std::env::var(name).ok())
    }
}

fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Feishu> {
    let value = |name: &str| {
        read(&format!("CHANNEL_FEISHU_{name}")).filter(|value| !value.trim().is_empty())
    };
    let needed =
        |name: &str| value(name).ok_or_else(|| bad(format!("CHANNEL_FEISHU_{name} is not set")));
    let mode = match value("MODE").as_deref() {
        None | Some("websocket") => Mode::Websocket,
        Some("webhook") => Mode::Webhook,
        Some(_) => return Err(bad("CHANNEL_FEISHU_MODE has to be websocket or webhook")),
    };
    let domain = match value("DOMAIN").as_deref() {
        None | Some("feishu") => Domain::Feishu,
        Some("lark") => Domain::Lark,
        Some(_) => return Err(bad("CHANNEL_FEISHU_DOMAIN has to be feishu or lark")),
    };
    let config = FeishuConfig {
        app_id: needed("APP_ID")?,
        app_secret: needed("APP_SECRET")?.into(),
        verification_token: value("VERIFICATION_TOKEN").map(Secret::from),
        encrypt_key: value("ENCRYPT_KEY").map(Secret::from),
        mode,
        domain,
        api_base: value("API_BASE"),
        ..FeishuConfig::default()
    };
    FeishuBuilder::from(config).build()
}

#[cfg(test)]
mod tests {
    use channel_core::{Channel as _, ErrorKind};

    use super::*;

    const APP: [(&str, &str); 2] = [("APP_ID", "cli_0000000000000001"), ("APP_SECRET", "s")];

    fn from(pairs: &[(&str, &str)]) -> Result<Feishu> {
        from_variables(|name| {
            let name = name.strip_prefix("CHANNEL_FEISHU_")?;
            let found = pairs.iter().rev().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn with(pairs: &[(&str, &str)]) -> Result<Feishu> {
        from(&[&APP, pairs].concat())
    }

    #[test]
    fn variables_choose_the_way_in_and_name_what_is_missing() {
        let hooked = with(&[("MODE", "webhook"), ("VERIFICATION_TOKEN", "v")]).unwrap();
        assert!(hooked.as_webhook().is_some() && hooked.as_events().is_none());
        #[cfg(feature = "net")]
        {
            let linked = with(&[]).unwrap();
            assert!(linked.as_webhook().is_none() && linked.as_events().is_some());
            let both = with(&[("ENCRYPT_KEY", "k"), ("MODE", "websocket")]).unwrap();
            let routes = both.as_webhook().unwrap().routes();
            assert_eq!(
                routes.len(),
                1,
                "callbacks of cards may still come by request"
            );
        }
        for (pairs, named) in [
            (vec![("APP_ID", "")], "CHANNEL_FEISHU_APP_ID"),
            (vec![("APP_ID", "wrong")], "app_id"),
            (vec![("APP_ID", "cli_a/../b")], "app_id"),
            (vec![("APP_SECRET", " ")], "CHANNEL_FEISHU_APP_SECRET"),
            (vec![("MODE", "carrier pigeon")], "CHANNEL_FEISHU_MODE"),
            (vec![("DOMAIN", "example.org")], "CHANNEL_FEISHU_DOMAIN"),
            (vec![("MODE", "webhook")], "verification_token"),
            (vec![("API_BASE", "ftp://x")], "api_base"),
            (vec![("API_BASE", "http://a@b")], "api_base"),
        ] {
            let error = with(&pairs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{pairs:?}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn both_domains_have_their_server() {
        assert_eq!(Domain::Feishu.base(), "https://open.feishu.cn");
        assert_eq!(Domain::Lark.base(), "https://open.larksuite.com");
        let file = r#"{"app_id":"cli_1","app_secret":"s","domain":"lark","mode":"webhook"}"#;
        let config: FeishuConfig = serde_json::from_str(file).unwrap();
        assert_eq!((config.domain, config.mode), (Domain::Lark, Mode::Webhook));
        assert!(serde_json::from_str::<FeishuConfig>(r#"{"app_token":"x"}"#).is_err());
    }
}
