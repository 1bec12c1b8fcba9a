//! Settings: what files hold, what people write, and the one place that checks both.

use std::fmt;
use std::sync::Arc;

use channel_core::{ChannelId, Error, Result, Secret, Transport};
use serde::Deserialize;

use crate::channel::Line;
use crate::client::Client;
use crate::shared::Shared;
use crate::verify::Verifier;
use crate::{PLATFORM, limits};

/// LINE's own servers.
const API: &str = "https://api.line.me";
const DATA: &str = "https://api-data.line.me";

/// What to do about an answer of which nobody knows whether it has arrived: the response to
/// a reply was lost, and the reply token has been found used since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LostReply {
    /// Says that it is uncertain; nobody reads it twice, and perhaps nobody reads it.
    #[default]
    Hold,
    /// Pushes it; somebody may read it twice.
    Push,
}

/// The settings of a [`Line`] channel, as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LineConfig {
    /// The application's name for the channel; `line` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The channel secret, which signs webhook requests.
    pub channel_secret: Secret,
    /// The channel access token, which calls carry.
    pub channel_access_token: Secret,
    /// Another server for calls, such as an emulator; LINE's own if absent.
    #[serde(default)]
    pub api_base: Option<String>,
    /// Another server for files; LINE's own if absent.
    #[serde(default)]
    pub data_api_base: Option<String>,
    /// Where the webhook is served; `/line/webhook` if absent.
    #[serde(default = "default_path")]
    pub webhook_path: String,
    /// How long after an event its reply token is used, in seconds, 1 to 60; 50 if absent.
    /// Later answers are pushed, which counts against the monthly limit.
    #[serde(default = "default_window")]
    pub reply_window_seconds: u64,
    /// What to do about an answer of which nobody knows whether it has arrived.
    #[serde(default)]
    pub lost_reply: LostReply,
    /// How old an event may be that LINE does not declare to be delivered again, in seconds;
    /// 300 if absent, and 0 takes events of any age.
    #[serde(default = "default_max_age")]
    pub max_age_seconds: u64,
    /// The `https` address of a JPEG or PNG that stands for every film that is sent. LINE
    /// wants one; without it films are sent as links.
    #[serde(default)]
    pub video_preview: Option<String>,
}

fn default_id() -> ChannelId {
    ChannelId::new(PLATFORM.as_str())
}

fn default_path() -> String {
    "/line/webhook".to_owned()
}

const fn default_window() -> u64 {
    limits::REPLY_WINDOW
}

const fn default_max_age() -> u64 {
    300
}

impl LineConfig {
    /// The defaults, a channel secret and a channel access token.
    #[must_use]
    pub fn new(secret: impl Into<Secret>, token: impl Into<Secret>) -> Self {
        Self {
            id: default_id(),
            channel_secret: secret.into(),
            channel_access_token: token.into(),
            api_base: None,
            data_api_base: None,
            webhook_path: default_path(),
            reply_window_seconds: default_window(),
            lost_reply: LostReply::default(),
            max_age_seconds: default_max_age(),
            video_preview: None,
        }
    }
}

/// Builds a [`Line`] channel; made by [`Line::builder`].
#[must_use]
pub struct LineBuilder {
    config: LineConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for LineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<LineConfig> for LineBuilder {
    fn from(config: LineConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl LineBuilder {
    /// Sets the channel secret, which signs webhook requests.
    pub fn channel_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.config.channel_secret = secret.into();
        self
    }

    /// Sets the channel access token, which calls carry.
    pub fn channel_access_token(mut self, token: impl Into<Secret>) -> Self {
        self.config.channel_access_token = token.into();
        self
    }

    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Makes calls to another server; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// Fetches files from another server; plain `http` is allowed.
    pub fn data_api_base(mut self, base: impl Into<String>) -> Self {
        self.config.data_api_base = Some(base.into());
        self
    }

    /// Serves the webhook at another path.
    pub fn webhook_path(mut self, path: impl Into<String>) -> Self {
        self.config.webhook_path = path.into();
        self
    }

    /// Sets how long after an event its reply token is used, in seconds, 1 to 60.
    pub const fn reply_window_seconds(mut self, seconds: u64) -> Self {
        self.config.reply_window_seconds = seconds;
        self
    }

    /// Says what to do about an answer of which nobody knows whether it has arrived.
    pub const fn lost_reply(mut self, policy: LostReply) -> Self {
        self.config.lost_reply = policy;
        self
    }

    /// Sets how old an event may be, in seconds; 0 takes events of any age.
    pub const fn max_age_seconds(mut self, seconds: u64) -> Self {
        self.config.max_age_seconds = seconds;
        self
    }

    /// Sets the picture that stands for every film that is sent.
    pub fn video_preview(mut self, url: impl Into<String>) -> Self {
        self.config.video_preview = Some(url.into());
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
    pub fn build(self) -> Result<Line> {
        let Self { config, transport } = self;
        check(&config)?;
        let verifier = Verifier::new(&config.channel_secret)?;
        let transport = match transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let api = config.api_base.as_deref().unwrap_or(API);
        let data = config.data_api_base.as_deref().unwrap_or(DATA);
        let client = Client::new(transport, api, data, &config.channel_access_token)
            .map_err(|error| error.on(PLATFORM, "configure"))?;
        Ok(Line::new(Arc::new(Shared::new(config, verifier, client))))
    }
}

fn check(config: &LineConfig) -> Result<()> {
    let is_printed = |secret: &Secret| {
        (1..=4096).contains(&secret.expose().len())
            && secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_printed(&config.channel_secret) {
        return Err(bad(
            "channel_secret has to be the one that the console shows, without spaces",
        ));
    }
    if !is_printed(&config.channel_access_token) {
        return Err(bad(
            "channel_access_token has to be the one that the console issues, without spaces",
        ));
    }
    for base in [&config.api_base, &config.data_api_base]
        .into_iter()
        .flatten()
    {
        let rest = base
            .strip_prefix("https://")
            .or_else(|| base.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
            return Err(bad(
                "api_base and data_api_base have to be http or https addresses without query or user",
            ));
        }
    }
    if !config.webhook_path.starts_with('/') {
        return Err(bad("webhook_path has to start with a slash"));
    }
    if !(1..=60).contains(&config.reply_window_seconds) {
        return Err(bad("reply_window_seconds has to be 1 to 60"));
    }
    let preview = config.video_preview.as_deref();
    if preview.is_some_and(|url| !crate::render::is_media_url(url)) {
        return Err(bad("video_preview has to be an https address"));
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

impl Line {
    /// Starts building a channel.
    pub fn builder() -> LineBuilder {
        LineConfig::new("", "").into()
    }

    /// Builds a channel from `CHANNEL_LINE_CHANNEL_SECRET`,
    /// `CHANNEL_LINE_CHANNEL_ACCESS_TOKEN`, `CHANNEL_LINE_API_BASE` and
    /// `CHANNEL_LINE_DATA_API_BASE`; the last two may be absent or blank.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(|name| std::env::var(name).ok())
    }
}

fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Line> {
    let value = |name: &str| {
        let value = read(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    let secret = value("CHANNEL_LINE_CHANNEL_SECRET")
        .ok_or_else(|| bad("CHANNEL_LINE_CHANNEL_SECRET is not set"))?;
    let token = value("CHANNEL_LINE_CHANNEL_ACCESS_TOKEN")
        .ok_or_else(|| bad("CHANNEL_LINE_CHANNEL_ACCESS_TOKEN is not set"))?;
    let mut config = LineConfig::new(secret, token);
    config.api_base = value("CHANNEL_LINE_API_BASE");
    config.data_api_base = value("CHANNEL_LINE_DATA_API_BASE");
    LineBuilder::from(config).build()
}

fn bad(message: &'static str) -> Error {
    Error::config(message).on(PLATFORM, "configure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "net")]
    #[test]
    fn variables_make_a_channel_or_name_what_is_missing() {
        let all = |name: &str| match name {
            "CHANNEL_LINE_CHANNEL_SECRET" => Some(" secret ".to_owned()),
            "CHANNEL_LINE_CHANNEL_ACCESS_TOKEN" => Some("token".to_owned()),
            "CHANNEL_LINE_API_BASE" => Some("http://127.0.0.1:1".to_owned()),
            "CHANNEL_LINE_DATA_API_BASE" => Some("  ".to_owned()),
            _ => None,
        };
        let line = from_variables(all).unwrap();
        let config = &line.shared.config;
        assert_eq!(config.channel_secret.expose(), "secret");
        assert_eq!(config.api_base.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(config.data_api_base, None);
        for missing in [
            "CHANNEL_LINE_CHANNEL_SECRET",
            "CHANNEL_LINE_CHANNEL_ACCESS_TOKEN",
        ] {
            let error = from_variables(|name| all(name).filter(|_| name != missing));
            assert!(error.unwrap_err().to_string().contains(missing));
        }
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        type Change = fn(&mut LineConfig);
        let cases: [(Change, &str); 8] = [
            (|it| it.channel_secret = "".into(), "channel_secret"),
            (|it| it.channel_secret = "a b".into(), "channel_secret"),
            (
                |it| it.channel_access_token = "a\nb".into(),
                "channel_access_token",
            ),
            (|it| it.api_base = Some("ftp://x".into()), "api_base"),
            (
                |it| it.data_api_base = Some("https://x?y".into()),
                "data_api_base",
            ),
            (|it| it.webhook_path = "line".into(), "webhook_path"),
            (|it| it.reply_window_seconds = 61, "reply_window_seconds"),
            (
                |it| it.video_preview = Some("http://x.example/a.png".into()),
                "video_preview",
            ),
        ];
        for (change, named) in cases {
            let mut config = LineConfig::new("secret", "token");
            change(&mut config);
            let error = LineBuilder::from(config).build().unwrap_err();
            assert_eq!(error.kind(), channel_core::ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
