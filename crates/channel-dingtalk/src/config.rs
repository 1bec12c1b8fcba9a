//! Settings: what files hold, what people write, and the one place that checks both.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Result, Secret, Transport};
use serde::Deserialize;

use crate::PLATFORM;
use crate::channel::DingTalk;
use crate::client::Client;
use crate::error::bad;
use crate::ids::{is_id, is_name};
use crate::shared::Shared;

const API: &str = "https://api.dingtalk.com";
const OAPI: &str = "https://oapi.dingtalk.com";

/// How messages come in; the console's robot page has the same choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Over a connection of our own, without a public address.
    #[default]
    Stream,
    /// By signed requests to `/dingtalk/webhook`.
    Webhook,
}

/// A custom robot of one group, which sends and does not receive
/// (<https://open.dingtalk.com/document/robots/custom-robot-access>).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupRobot {
    /// The `access_token` of its address.
    pub access_token: Secret,
    /// The secret of its signature, `SEC...`, if that is how it is kept safe.
    #[serde(default)]
    pub secret: Option<Secret>,
}

impl GroupRobot {
    /// A robot by the token of its address.
    #[must_use]
    pub fn new(access_token: impl Into<Secret>) -> Self {
        Self {
            access_token: access_token.into(),
            secret: None,
        }
    }

    /// Signs what it sends.
    #[must_use]
    pub fn signed(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into());
        self
    }
}

/// The settings of a [`DingTalk`] channel, as a configuration file holds them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DingTalkConfig {
    /// The application's name for the channel; `dingtalk` if absent.
    #[serde(default = "default_id")]
    pub id: ChannelId,
    /// The Client ID, formerly AppKey.
    #[serde(default)]
    pub client_id: String,
    /// The Client Secret, formerly AppSecret.
    #[serde(default = "blank")]
    pub client_secret: Secret,
    /// The robot's code; the Client ID if absent, as it is for internal apps.
    #[serde(default)]
    pub robot_code: Option<String>,
    /// How messages come in; stream mode if absent.
    #[serde(default)]
    pub mode: Mode,
    /// What requests are signed with; the Client Secret if absent.
    #[serde(default)]
    pub robot_secret: Option<Secret>,
    /// Where requests are served; `/dingtalk/webhook` if absent.
    #[serde(default = "default_path")]
    pub webhook_path: String,
    /// The template of AI cards, `....schema`: answers grow in one and buttons can be pressed.
    #[serde(default)]
    pub card_template_id: Option<String>,
    /// The variable of the template that holds the words; `msgContent` if absent.
    #[serde(default = "default_key")]
    pub card_template_key: String,
    /// Whether the events of the organisation that the console subscribes to come in too; they
    /// do if absent. In stream mode only.
    #[serde(default = "yes")]
    pub events: bool,
    /// Custom robots of groups by a name of yours: `robot:<name>` is the chat of one.
    #[serde(default)]
    pub group_robots: BTreeMap<String, GroupRobot>,
    /// What stands for `https://api.dingtalk.com`: an emulator, or another region.
    #[serde(default)]
    pub api_base: Option<String>,
    /// What stands for `https://oapi.dingtalk.com`; `api_base` if that is without TLS.
    #[serde(default)]
    pub oapi_base: Option<String>,
    /// The longest wait that DingTalk may impose on a send, in seconds, before the send gives
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

fn default_path() -> String {
    "/dingtalk/webhook".to_owned()
}

fn default_key() -> String {
    "msgContent".to_owned()
}

const fn yes() -> bool {
    true
}

const fn default_patience_seconds() -> u64 {
    5
}

impl Default for DingTalkConfig {
    fn default() -> Self {
        Self {
            id: default_id(),
            client_id: String::new(),
            client_secret: blank(),
            robot_code: None,
            mode: Mode::default(),
            robot_secret: None,
            webhook_path: default_path(),
            card_template_id: None,
            card_template_key: default_key(),
            events: yes(),
            group_robots: BTreeMap::new(),
            api_base: None,
            oapi_base: None,
            patience_seconds: default_patience_seconds(),
        }
    }
}

impl DingTalkConfig {
    pub(crate) fn robot_code(&self) -> &str {
        self.robot_code.as_deref().unwrap_or(&self.client_id)
    }

    /// What requests are signed with.
    pub(crate) fn robot_secret(&self) -> &Secret {
        self.robot_secret.as_ref().unwrap_or(&self.client_secret)
    }

    /// Whether buttons of cards can be pressed: presses come by stream only.
    pub(crate) fn has_presses(&self) -> bool {
        self.card_template_id.is_some() && self.mode == Mode::Stream
    }
}

/// Builds a [`DingTalk`] channel; made by [`DingTalk::builder`].
#[must_use]
pub struct DingTalkBuilder {
    config: DingTalkConfig,
    transport: Option<Transport>,
}

impl fmt::Debug for DingTalkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DingTalkBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<DingTalkConfig> for DingTalkBuilder {
    fn from(config: DingTalkConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }
}

impl DingTalkBuilder {
    /// Sets the application's name for the channel, unique in the process.
    pub fn id(mut self, id: impl Into<ChannelId>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets Client ID and Client Secret, from the console's page Credentials & Basic Info.
    pub fn app(mut self, id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        self.config.client_id = id.into();
        self.config.client_secret = secret.into();
        self
    }

    /// Sets the robot's code, where it is not the Client ID.
    pub fn robot_code(mut self, code: impl Into<String>) -> Self {
        self.config.robot_code = Some(code.into());
        self
    }

    /// Chooses how messages come in.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Takes only requests that are signed with this secret instead of the Client Secret.
    pub fn robot_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.config.robot_secret = Some(secret.into());
        self
    }

    /// Sets where requests are served. Two apps of one process need paths of their own.
    pub fn webhook_path(mut self, path: impl Into<String>) -> Self {
        self.config.webhook_path = path.into();
        self
    }

    /// Shows growing answers, cards and buttons in AI cards of this template.
    pub fn card_template(mut self, id: impl Into<String>) -> Self {
        self.config.card_template_id = Some(id.into());
        self
    }

    /// Sets the variable of the template that holds the words.
    pub fn card_template_key(mut self, key: impl Into<String>) -> Self {
        self.config.card_template_key = key.into();
        self
    }

    /// Whether the events of the organisation come in too.
    pub const fn events(mut self, events: bool) -> Self {
        self.config.events = events;
        self
    }

    /// Adds the custom robot of a group; `robot:<name>` is its chat.
    pub fn group_robot(mut self, name: impl Into<String>, robot: GroupRobot) -> Self {
        self.config.group_robots.insert(name.into(), robot);
        self
    }

    /// Talks to an emulator or to another region; plain `http` is allowed.
    pub fn api_base(mut self, base: impl Into<String>) -> Self {
        self.config.api_base = Some(base.into());
        self
    }

    /// The same for the older calls.
    pub fn oapi_base(mut self, base: impl Into<String>) -> Self {
        self.config.oapi_base = Some(base.into());
        self
    }

    /// Sets the longest wait that DingTalk may impose on a send before the send gives up with
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
    pub fn build(self) -> Result<DingTalk> {
        let Self { config, transport } = self;
        check(&config)?;
        let api = base(config.api_base.as_deref(), API, "api_base")?;
        let usual = if api.starts_with("http://") {
            &api
        } else {
            OAPI
        };
        let oapi = base(config.oapi_base.as_deref(), usual, "oapi_base")?;
        let transport = match transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let client = Client::new(transport, api, oapi);
        Ok(DingTalk::new(Arc::new(Shared::new(config, client))))
    }
}

fn is_blank(secret: &Secret) -> bool {
    secret.expose().trim().is_empty()
}

fn check(config: &DingTalkConfig) -> Result<()> {
    if !is_id(&config.client_id) {
        return Err(bad(
            "client_id is missing: the developer console shows it on the page Credentials & Basic Info",
        ));
    }
    if is_blank(&config.client_secret) {
        return Err(bad("client_secret is missing"));
    }
    if config.robot_secret.as_ref().is_some_and(is_blank) {
        return Err(bad("robot_secret is blank"));
    }
    if !is_id(config.robot_code()) {
        return Err(bad(
            "robot_code has to be the code of the console's robot page",
        ));
    }
    let is_template = |id: &str| is_id(id) && !id.contains('/');
    if config
        .card_template_id
        .as_deref()
        .is_some_and(|id| !is_template(id))
    {
        return Err(bad("card_template_id has to look like ....schema"));
    }
    if !is_name(&config.card_template_key) {
        return Err(bad(
            "card_template_key has to be the name of a variable of the template",
        ));
    }
    for (name, robot) in &config.group_robots {
        if !is_name(name) {
            return Err(bad(
                "the name of a group robot is letters, digits, - _ and .",
            ));
        }
        let token = robot.access_token.expose();
        if !is_id(token) || robot.secret.as_ref().is_some_and(is_blank) {
            return Err(bad(format!(
                "group robot {name} needs the access_token of its address, and a secret only if it signs"
            )));
        }
    }
    if config.mode == Mode::Stream && cfg!(not(feature = "net")) {
        return Err(bad("stream mode needs the feature `net`"));
    }
    if !config.webhook_path.starts_with('/') {
        return Err(bad("a path has to start with a slash"));
    }
    Ok(())
}

fn base(set: Option<&str>, usual: &str, name: &str) -> Result<String> {
    let base = set.unwrap_or(usual);
    let rest = base
        .strip_prefix("https://")
        .or_else(|| base.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
        return Err(bad(format!(
            "{name} has to be an http or https address without query or user"
        )));
    }
    Ok(base.trim_end_matches('/').to_owned())
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

impl DingTalk {
    /// Starts building a channel.
    pub fn builder() -> DingTalkBuilder {
        DingTalkConfig::default().into()
    }

    /// Builds a channel from `CHANNEL_DINGTALK_CLIENT_ID` and `CHANNEL_DINGTALK_CLIENT_SECRET`,
    /// and from `CHANNEL_DINGTALK_ROBOT_SECRET` (set: signed requests instead of stream mode),
    /// `CHANNEL_DINGTALK_ROBOT_CODE`, `CHANNEL_DINGTALK_CARD_TEMPLATE_ID`,
    /// `CHANNEL_DINGTALK_CARD_TEMPLATE_KEY`, `CHANNEL_DINGTALK_API_BASE` and
    /// `CHANNEL_DINGTALK_OAPI_BASE`, which may be absent or blank.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the variable.
    pub fn from_env() -> Result<Self> {
        from_variables(|name| std::env::var(name).ok())
    }
}

fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<DingTalk> {
    let value = |name: &str| {
        read(&format!("CHANNEL_DINGTALK_{name}")).filter(|value| !value.trim().is_empty())
    };
    let needed =
        |name: &str| value(name).ok_or_else(|| bad(format!("CHANNEL_DINGTALK_{name} is not set")));
    let robot_secret = value("ROBOT_SECRET").map(Secret::from);
    let config = DingTalkConfig {
        client_id: needed("CLIENT_ID")?,
        client_secret: needed("CLIENT_SECRET")?.into(),
        robot_code: value("ROBOT_CODE"),
        mode: if robot_secret.is_some() {
            Mode::Webhook
        } else {
            Mode::Stream
        },
        robot_secret,
        card_template_id: value("CARD_TEMPLATE_ID"),
        card_template_key: value("CARD_TEMPLATE_KEY").unwrap_or_else(default_key),
        api_base: value("API_BASE"),
        oapi_base: value("OAPI_BASE"),
        ..DingTalkConfig::default()
    };
    DingTalkBuilder::from(config).build()
}

#[cfg(test)]
mod tests {
    use channel_core::{Channel as _, ErrorKind};

    use super::*;

    const APP: [(&str, &str); 2] = [("CLIENT_ID", "ding0001"), ("CLIENT_SECRET", "s")];

    fn with(pairs: &[(&str, &str)]) -> Result<DingTalk> {
        let pairs = [&APP, pairs].concat();
        from_variables(|name| {
            let name = name.strip_prefix("CHANNEL_DINGTALK_")?;
            let found = pairs.iter().rev().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_choose_the_way_in_and_name_what_is_missing() {
        let hooked = with(&[("ROBOT_SECRET", "r")]).unwrap();
        assert!(hooked.as_webhook().is_some() && hooked.as_events().is_none());
        #[cfg(feature = "net")]
        {
            let streamed = with(&[]).unwrap();
            assert!(streamed.as_webhook().is_none() && streamed.as_events().is_some());
        }
        for (pairs, named) in [
            (vec![("CLIENT_ID", "")], "CHANNEL_DINGTALK_CLIENT_ID"),
            (vec![("CLIENT_ID", "a b")], "client_id"),
            (
                vec![("CLIENT_SECRET", " ")],
                "CHANNEL_DINGTALK_CLIENT_SECRET",
            ),
            (vec![("ROBOT_CODE", "a b")], "robot_code"),
            (vec![("CARD_TEMPLATE_ID", "../x")], "card_template_id"),
            (vec![("CARD_TEMPLATE_KEY", "a b")], "card_template_key"),
            (vec![("API_BASE", "ftp://x")], "api_base"),
            (vec![("OAPI_BASE", "http://a@b")], "oapi_base"),
        ] {
            let error = with(&pairs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{pairs:?}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn a_file_may_hold_everything_and_nothing_else() {
        let file = r#"{"client_id":"ding1","client_secret":"s","mode":"webhook",
            "group_robots":{"alerts":{"access_token":"t","secret":"SECx"}}}"#;
        let config: DingTalkConfig = serde_json::from_str(file).unwrap();
        assert!(config.robot_code() == "ding1" && config.mode == Mode::Webhook);
        assert!(
            DingTalkBuilder::from(config.clone())
                .transport(fake())
                .build()
                .is_ok()
        );
        assert!(serde_json::from_str::<DingTalkConfig>(r#"{"app_token":"x"}"#).is_err());
        for (name, token) in [("a b", "t"), ("a", ""), ("a", "t&x=1")] {
            let built = DingTalkBuilder::from(config.clone())
                .group_robot(name, GroupRobot::new(token))
                .build();
            assert_eq!(built.unwrap_err().kind(), ErrorKind::Config);
        }
    }

    fn fake() -> Transport {
        channel_testkit::fake_transport().transport()
    }
}
