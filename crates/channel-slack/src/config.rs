//! Settings: what files hold, what people write, and the one place that checks both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Result, Secret, Transport};
use serde::Deserialize;

use crate::PLATFORM;
use crate::asked::Askable;
use crate::channel::Slack;
use crate::client::Client;
use crate::dialogs::SubmissionJudge;
use crate::error::bad;
use crate::oauth::OauthApp;
use crate::options::OptionSource;
use crate::pacing::{Pacer, Pacing};
use crate::shared::Shared;
use crate::token::TokenSource;
use crate::verify::Verifier;

/// Slack's own server.
pub(crate) const CLOUD: &str = "https://slack.com/api";

/// The settings of a [`Slack`] channel, as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SlackConfig {
    /// The application's name for the channel; `slack` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The bot token of the one workspace, `xoxb-...`. Absent where a [`TokenSource`] gives
    /// the tokens of many.
    #[serde(default)]
    pub bot_token: Option<Secret>,
    /// What Slack signs its requests with. If set, the channel receives by webhook.
    #[serde(default)]
    pub signing_secret: Option<Secret>,
    /// The app-level token, `xapp-...`. If set, the channel receives by Socket Mode, which
    /// Slack uses instead of the webhook.
    #[serde(default)]
    pub app_token: Option<Secret>,
    /// The client id of the app, for installations by OAuth.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The client secret of the app, for installations by OAuth.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// What stands for `https://slack.com/api`: an emulator; Slack's own if absent. Without
    /// a path `/api` is added.
    #[serde(default)]
    pub api_base: Option<String>,
    /// Where events are served; `/slack/events` if absent.
    #[serde(default = "default_events_path")]
    pub events_path: String,
    /// Where interactions are served; `/slack/interactions` if absent.
    #[serde(default = "default_interactions_path")]
    pub interactions_path: String,
    /// Where slash commands are served; `/slack/commands` if absent.
    #[serde(default = "default_commands_path")]
    pub commands_path: String,
    /// Answers a message of a group in a thread of its own; off if absent, so that an answer
    /// goes where the message is.
    #[serde(default)]
    pub start_threads: bool,
    /// Shows answers to slash commands to everybody in the chat; off if absent.
    #[serde(default)]
    pub public_commands: bool,
    /// Streams answers in threads by Slack's own methods; on if absent. Edits are used
    /// where Slack does not stream.
    #[serde(default = "default_true")]
    pub native_streams: bool,
    /// The longest wait that Slack may impose on a send, in seconds, before the send gives
    /// up with `RateLimited`; 5 if absent.
    #[serde(default = "default_patience_seconds")]
    pub patience_seconds: u64,
}

fn default_id() -> ChannelId {
    ChannelId::new(PLATFORM.as_str())
}

fn default_events_path() -> String {
    "/slack/events".to_owned()
}

fn default_interactions_path() -> String {
    "/slack/interactions".to_owned()
}

fn default_commands_path() -> String {
    "/slack/commands".to_owned()
}

const fn default_true() -> bool {
    true
}

const fn default_patience_seconds() -> u64 {
    5
}

impl Default for SlackConfig {
    fn default() -> Self {
        Self {
            id: default_id(),
            bot_token: None,
            signing_secret: None,
            app_token: None,
            client_id: None,
            client_secret: None,
            api_base: None,
            events_path: default_events_path(),
            interactions_path: default_interactions_path(),
            commands_path: default_commands_path(),
            start_threads: false,
            public_commands: false,
            native_streams: true,
            patience_seconds: default_patience_seconds(),
        }
    }
}

/// Where the tokens of calls come from.
#[derive(Debug)]
pub(crate) enum Tokens {
    One(Secret),
    Source(Arc<dyn TokenSource>),
}

/// Builds a [`Slack`] channel; made by [`Slack::builder`].
#[must_use]
pub struct SlackBuilder {
    config: SlackConfig,
    source: Option<Arc<dyn TokenSource>>,
    transport: Option<Transport>,
    pacing: Option<Pacing>,
    askable: Askable,
}

impl fmt::Debug for SlackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<SlackConfig> for SlackBuilder {
    fn from(config: SlackConfig) -> Self {
        Self {
            config,
            source: None,
            transport: None,
            pacing: None,
            askable: Askable::default(),
        }
    }
}

impl SlackBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets the bot token of the one workspace.
    pub fn bot_token(mut self, token: impl Into<Secret>) -> Self {
        self.config.bot_token = Some(token.into());
        self
    }

    /// Serves many workspaces, each with the token that the source gives. Chat ids then
    /// begin with the workspace: `T0123/C0123`.
    pub fn token_source(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// Lets this judge what people submit in dialogs, before Slack is told that it is accepted.
    pub fn submission_judge(mut self, judge: Arc<dyn SubmissionJudge>) -> Self {
        self.askable.judge = Some(judge);
        self
    }

    /// Asks this what there is to choose from in menus with options of the application's own.
    /// Their address in the app's settings is that of interactions.
    pub fn option_source(mut self, source: Arc<dyn OptionSource>) -> Self {
        self.askable.source = Some(source);
        self
    }

    /// Receives by webhook, and only what is signed with this secret.
    pub fn signing_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.config.signing_secret = Some(secret.into());
        self
    }

    /// Receives by Socket Mode.
    pub fn app_token(mut self, token: impl Into<Secret>) -> Self {
        self.config.app_token = Some(token.into());
        self
    }

    /// Talks to an emulator; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// Answers a message of a group in a thread of its own.
    pub const fn start_threads(mut self, start: bool) -> Self {
        self.config.start_threads = start;
        self
    }

    /// Shows answers to slash commands to everybody in the chat.
    pub const fn public_commands(mut self, public: bool) -> Self {
        self.config.public_commands = public;
        self
    }

    /// Streams answers in threads by Slack's own methods.
    pub const fn native_streams(mut self, native: bool) -> Self {
        self.config.native_streams = native;
        self
    }

    /// Sets the longest wait that Slack may impose on a send before the send gives up with
    /// `RateLimited`.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.config.patience_seconds = patience.as_secs();
        self
    }

    /// Spaces calls out; the default is [`Pacing::Documented`] towards Slack's own server
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
    pub fn build(self) -> Result<Slack> {
        let Self {
            config,
            source,
            transport,
            pacing,
            askable,
        } = self;
        let tokens = match (&config.bot_token, source) {
            (Some(token), None) => {
                check_token(
                    token,
                    &["xoxb-", "xoxp-", "xoxe.xoxb-", "xoxe.xoxp-"],
                    "bot_token has to look like xoxb-..., as the app's page OAuth & Permissions shows it",
                )?;
                Tokens::One(token.clone())
            }
            (None, Some(source)) => Tokens::Source(source),
            (Some(_), Some(_)) => {
                return Err(bad("bot_token and a token source exclude each other"));
            }
            (None, None) => return Err(bad("bot_token is missing")),
        };
        if let Some(token) = &config.app_token {
            check_token(
                token,
                &["xapp-"],
                "app_token has to look like xapp-..., with the scope connections:write",
            )?;
            if cfg!(not(feature = "net")) {
                return Err(bad("socket mode needs the feature `net`"));
            }
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
        let paths = [
            &config.events_path,
            &config.interactions_path,
            &config.commands_path,
        ];
        if paths.iter().any(|path| !path.starts_with('/')) {
            return Err(bad("a path has to start with a slash"));
        }
        let verifier = match &config.signing_secret {
            Some(secret) if secret.expose().trim().is_empty() => {
                return Err(bad("signing_secret is blank"));
            }
            Some(secret) => Some(Verifier::new(secret)?),
            None => None,
        };
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
        let client = Client::new(transport, &with_api(base))?;
        let pacer = Pacer::new(pacing);
        Ok(Slack::new(Arc::new(Shared::new(
            config, client, tokens, verifier, pacer, askable,
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

impl Slack {
    /// Starts building a channel.
    pub fn builder() -> SlackBuilder {
        SlackConfig::default().into()
    }

    /// Builds a channel from `CHANNEL_SLACK_BOT_TOKEN` and either
    /// `CHANNEL_SLACK_SIGNING_SECRET` (Events API) or `CHANNEL_SLACK_APP_TOKEN` (Socket Mode,
    /// which wins), and `CHANNEL_SLACK_CLIENT_ID`, `CHANNEL_SLACK_CLIENT_SECRET` and
    /// `CHANNEL_SLACK_API_BASE`, which may be absent or blank.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(|name| std::env::var(name).ok())
    }

    /// The app for installations by OAuth, where client id and secret are configured.
    #[must_use]
    pub fn oauth_app(&self) -> Option<OauthApp> {
        let config = &self.shared.config;
        let secret = config.client_secret.clone()?;
        Some(OauthApp::new(config.client_id.clone()?, secret))
    }
}

fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Slack> {
    let value = |name: &str| {
        read(&format!("CHANNEL_SLACK_{name}")).filter(|value| !value.trim().is_empty())
    };
    let config = SlackConfig {
        bot_token: Some(
            value("BOT_TOKEN")
                .ok_or_else(|| bad("CHANNEL_SLACK_BOT_TOKEN is not set"))?
                .into(),
        ),
        signing_secret: value("SIGNING_SECRET").map(Secret::from),
        app_token: value("APP_TOKEN").map(Secret::from),
        client_id: value("CLIENT_ID"),
        client_secret: value("CLIENT_SECRET").map(Secret::from),
        api_base: value("API_BASE"),
        ..SlackConfig::default()
    };
    if config.signing_secret.is_none() && config.app_token.is_none() {
        return Err(bad(
            "set CHANNEL_SLACK_SIGNING_SECRET for the Events API or CHANNEL_SLACK_APP_TOKEN for Socket Mode",
        ));
    }
    SlackBuilder::from(config).build()
}

/// An address without a path stands for the server as a whole, whose API is below `/api`.
fn with_api(base: &str) -> String {
    let base = base.trim_end_matches('/');
    match crate::address::origin(base) {
        Some(origin) if origin == base => format!("{base}/api"),
        _ => base.to_owned(),
    }
}

/// A token of one of these kinds that is a header value.
fn check_token(token: &Secret, kinds: &[&str], wanted: &'static str) -> Result<()> {
    let text = token.expose();
    let fits = |kind: &&str| text.strip_prefix(kind).is_some_and(|rest| !rest.is_empty());
    let is_plain = text.len() <= 1024 && text.bytes().all(|b| b.is_ascii_graphic());
    if is_plain && kinds.iter().any(fits) {
        Ok(())
    } else {
        Err(bad(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Slack> {
        from_variables(|name| {
            let name = name.strip_prefix("CHANNEL_SLACK_")?;
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_choose_the_way_in_and_name_what_is_missing() {
        use channel_core::Channel as _;
        let token = ("BOT_TOKEN", "xoxb-1");
        let hooked = from(&[
            token,
            ("SIGNING_SECRET", "s"),
            ("API_BASE", "http://127.0.0.1:1/api/"),
        ])
        .unwrap();
        assert!(hooked.as_webhook().is_some() && hooked.as_events().is_none());
        assert!(hooked.oauth_app().is_none());
        #[cfg(feature = "net")]
        {
            let socket = from(&[token, ("SIGNING_SECRET", "s"), ("APP_TOKEN", "xapp-1")]).unwrap();
            assert!(socket.as_webhook().is_none() && socket.as_events().is_some());
        }
        let cases: [(&[(&str, &str)], &str); 7] = [
            (&[("SIGNING_SECRET", "s")], "CHANNEL_SLACK_BOT_TOKEN"),
            (&[token], "CHANNEL_SLACK_SIGNING_SECRET"),
            (
                &[token, ("SIGNING_SECRET", " ")],
                "CHANNEL_SLACK_SIGNING_SECRET",
            ),
            (
                &[("BOT_TOKEN", "xapp-1"), ("SIGNING_SECRET", "s")],
                "bot_token",
            ),
            (
                &[("BOT_TOKEN", "xoxb-1\n"), ("SIGNING_SECRET", "s")],
                "bot_token",
            ),
            (&[token, ("APP_TOKEN", "xoxb-1")], "app_token"),
            (
                &[token, ("SIGNING_SECRET", "s"), ("API_BASE", "slack.com")],
                "api_base",
            ),
        ];
        for (pairs, named) in cases {
            let error = from(pairs).unwrap_err();
            assert_eq!(error.kind(), channel_core::ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
