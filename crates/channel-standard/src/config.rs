//! Configuration, its checks, and the builder.

use std::collections::BTreeMap;
use std::time::Duration;

use channel_core::{Error, Result, Secret, Transport};
use serde::Deserialize;

use crate::Standard;
use crate::origin::Origins;
use crate::wire::{is_client_id, is_id};

/// What a configuration file says about a standard channel.
///
/// Times are in seconds, sizes in bytes. The checks are made by
/// [`StandardBuilder::build`], and each error names its key.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StandardConfig {
    /// The application's name for the channel; `standard` by default.
    pub id: String,
    /// The secret that all clients share. Required. Should be ASCII, because browsers can
    /// only encode Latin-1.
    pub token: Secret,
    /// Whether `?token=` is accepted.
    pub allow_token_query: bool,
    /// The origins that pages may connect from; empty or `*` lets all of them.
    pub allow_origins: Vec<String>,
    /// Seconds between the server's pings; 0 turns them off.
    pub ping_interval: u64,
    /// Seconds without any inbound frame after which a connection is closed with 4408.
    pub read_timeout: u64,
    /// Seconds in which the socket has to take a frame, else the connection is closed
    /// with 4508.
    pub write_timeout: u64,
    /// Open connections, all clients together.
    pub max_connections: usize,
    /// The clients that are let in; empty lets all of them.
    pub allow_from: Vec<String>,
    /// A token of its own for a client, which proves the client's id.
    pub client_tokens: BTreeMap<String, Secret>,
    /// The path of the upgrade. The path without a closing `/ws` is served as well, and
    /// carries `/info` and `/media`.
    pub path: String,
    /// The largest inbound frame, in bytes.
    pub max_frame_bytes: usize,
    /// Seconds from the upgrade to `hello`.
    pub hello_timeout: u64,
    /// Seconds that frames are kept for replay.
    pub resume_window: u64,
    /// Frames kept for replay, per conversation.
    pub resume_limit: usize,
    /// Frames that may wait for one connection.
    pub queue_frames: usize,
    /// Bytes that may wait for one connection.
    pub queue_bytes: usize,
    /// Events that may wait for the application or for its acknowledgement.
    pub event_queue: usize,
    /// When a client is told that its message is accepted.
    pub ack_after: AckAfter,
    /// Shared rooms: the name, without `room:`, and its members.
    pub rooms: BTreeMap<String, Vec<String>>,
    /// Counts a claimed client id as [`Asserted`](channel_core::Proof::Asserted), so that
    /// claimed accounts can be bound. Every holder of the shared token can claim any id.
    pub trust_claimed_client_id: bool,
    /// Closes the older connection of a client with 4409 when a new one opens.
    pub single_device: bool,
    /// The bot's id in frames.
    pub bot_id: String,
    /// The bot's name in frames; `@name` in a room is a mention.
    pub bot_name: String,
    /// The largest uploaded file, in bytes.
    pub media_bytes: usize,
    /// All files kept in memory together, in bytes.
    pub media_total_bytes: usize,
    /// Seconds that a file is kept in memory.
    pub media_ttl: u64,
}

/// When the `ack` of a message is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AckAfter {
    /// Once the application has acknowledged the event, which it does when it is stored.
    #[default]
    Stored,
    /// Once the application has taken the event.
    Delivered,
}

impl Default for StandardConfig {
    fn default() -> Self {
        Self {
            id: "standard".to_owned(),
            token: Secret::new(""),
            allow_token_query: false,
            allow_origins: Vec::new(),
            ping_interval: 30,
            read_timeout: 60,
            write_timeout: 10,
            max_connections: 100,
            allow_from: Vec::new(),
            client_tokens: BTreeMap::new(),
            path: "/standard/ws".to_owned(),
            max_frame_bytes: 1 << 20,
            hello_timeout: 10,
            resume_window: 86_400,
            resume_limit: 1000,
            queue_frames: 256,
            queue_bytes: 1 << 20,
            event_queue: 1024,
            ack_after: AckAfter::Stored,
            rooms: BTreeMap::new(),
            trust_claimed_client_id: false,
            single_device: false,
            bot_id: "bot".to_owned(),
            bot_name: "Bot".to_owned(),
            media_bytes: 10 << 20,
            media_total_bytes: 64 << 20,
            media_ttl: 3600,
        }
    }
}

/// A year: longer spans are slips of the pen, and clocks need not cope with them.
const MAX_SECONDS: u64 = 366 * 86_400;

impl StandardConfig {
    /// Reads `CHANNEL_STANDARD_TOKEN`, `CHANNEL_STANDARD_ALLOW_TOKEN_QUERY` (`true`,
    /// `1`, `yes`, `on` or `false`, `0`, `no`, `off`) and
    /// `CHANNEL_STANDARD_ALLOW_ORIGINS` (separated by commas).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config) if a variable is not UTF-8
    /// or not one of the words.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::config(format!("{name} is not UTF-8")))
            }
        })
    }

    fn from_lookup(look_up: impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let mut config = Self::default();
        if let Some(token) = look_up("CHANNEL_STANDARD_TOKEN")? {
            config.token = Secret::new(token);
        }
        let name = "CHANNEL_STANDARD_ALLOW_TOKEN_QUERY";
        if let Some(word) = look_up(name)? {
            config.allow_token_query = match word.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => true,
                "" | "false" | "0" | "no" | "off" => false,
                _ => return Err(Error::config(format!("{name} must be true or false"))),
            };
        }
        if let Some(origins) = look_up("CHANNEL_STANDARD_ALLOW_ORIGINS")? {
            config.allow_origins = origins
                .split(',')
                .map(str::trim)
                .filter(|origin| !origin.is_empty())
                .map(str::to_owned)
                .collect();
        }
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<Origins> {
        let fail = |message: &str| Err(Error::config(message));
        if self.id.is_empty() {
            return fail("id must not be empty");
        }
        if self.token.is_empty() {
            return fail("token must not be empty");
        }
        self.check_times()?;
        let sizes = [
            ("max_connections", self.max_connections),
            ("resume_limit", self.resume_limit),
            ("queue_frames", self.queue_frames),
            ("queue_bytes", self.queue_bytes),
            ("event_queue", self.event_queue),
            ("media_bytes", self.media_bytes),
            ("media_total_bytes", self.media_total_bytes),
        ];
        for (key, value) in sizes {
            if value == 0 {
                return fail(&format!("{key} must not be 0"));
            }
        }
        if self.max_frame_bytes < 1024 {
            return fail("max_frame_bytes must be at least 1024");
        }
        if self.media_total_bytes < self.media_bytes {
            return fail("media_total_bytes must not be less than media_bytes");
        }
        let path_is_plain = self.path.starts_with('/')
            && self.path.len() > 1
            && self.path.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'~')
            });
        if !path_is_plain {
            return fail("path must start with / and hold only letters, digits and / . _ - ~");
        }
        if !is_client_id(&self.bot_id) {
            return fail("bot_id must be 1 to 64 of A-Z a-z 0-9 . _ -");
        }
        if self.bot_name.is_empty() || self.bot_name.chars().any(char::is_control) {
            return fail("bot_name must not be empty nor hold control characters");
        }
        self.check_clients()?;
        Origins::parse(&self.allow_origins)
    }

    fn check_times(&self) -> Result<()> {
        let times = [
            ("read_timeout", self.read_timeout),
            ("write_timeout", self.write_timeout),
            ("hello_timeout", self.hello_timeout),
            ("resume_window", self.resume_window),
            ("media_ttl", self.media_ttl),
        ];
        for (key, value) in times {
            if value == 0 || value > MAX_SECONDS {
                return Err(Error::config(format!(
                    "{key} must be between 1 and {MAX_SECONDS} seconds"
                )));
            }
        }
        if self.read_timeout <= self.ping_interval {
            return Err(Error::config(
                "read_timeout must be greater than ping_interval",
            ));
        }
        Ok(())
    }

    fn check_clients(&self) -> Result<()> {
        let bad_id = |key: &str| {
            Error::config(format!(
                "{key}: a client id must be 1 to 64 of A-Z a-z 0-9 . _ -"
            ))
        };
        if !self.allow_from.iter().all(|id| is_client_id(id)) {
            return Err(bad_id("allow_from"));
        }
        let mut tokens = vec![self.token.expose()];
        for (client, token) in &self.client_tokens {
            if !is_client_id(client) {
                return Err(bad_id("client_tokens"));
            }
            if token.is_empty() {
                return Err(Error::config("client_tokens: a token must not be empty"));
            }
            if tokens.contains(&token.expose()) {
                return Err(Error::config(
                    "client_tokens: each token must differ from the others and from token",
                ));
            }
            tokens.push(token.expose());
        }
        for (room, members) in &self.rooms {
            if !is_id(&format!("room:{room}")) {
                return Err(Error::config(
                    "rooms: a name must be 1 to 59 of A-Z a-z 0-9 . _ : -",
                ));
            }
            if !members.iter().all(|id| is_client_id(id)) {
                return Err(bad_id("rooms"));
            }
        }
        Ok(())
    }

    /// The path that `/info` and `/media` hang below.
    pub(crate) fn base_path(&self) -> &str {
        let base = self.path.strip_suffix("/ws").unwrap_or(&self.path);
        if base.is_empty() { &self.path } else { base }
    }

    pub(crate) const fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.read_timeout)
    }

    pub(crate) const fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout)
    }

    pub(crate) const fn hello_timeout(&self) -> Duration {
        Duration::from_secs(self.hello_timeout)
    }

    /// `None` if the server does not ping.
    pub(crate) const fn ping_interval(&self) -> Option<Duration> {
        match self.ping_interval {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    pub(crate) const fn resume_window(&self) -> Duration {
        Duration::from_secs(self.resume_window)
    }

    pub(crate) const fn media_ttl(&self) -> Duration {
        Duration::from_secs(self.media_ttl)
    }
}

/// Builds a [`Standard`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct StandardBuilder {
    config: StandardConfig,
    transport: Option<Transport>,
}

impl StandardBuilder {
    pub(crate) const fn new(config: StandardConfig) -> Self {
        Self {
            config,
            transport: None,
        }
    }

    /// Names the channel; `standard` by default.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.config.id = id.into();
        self
    }

    /// Sets the secret that all clients share.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.config.token = token.into();
        self
    }

    /// Gives a client a token of its own, which proves the client's id.
    pub fn client_token(mut self, client: impl Into<String>, token: impl Into<Secret>) -> Self {
        self.config
            .client_tokens
            .insert(client.into(), token.into());
        self
    }

    /// Lets pages of an origin connect, such as `https://app.example:8443`.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.config.allow_origins.push(origin.into());
        self
    }

    /// Opens a room to its members; its chat is `room:<name>`.
    pub fn room<M>(mut self, name: impl Into<String>, members: M) -> Self
    where
        M: IntoIterator,
        M::Item: Into<String>,
    {
        let members = members.into_iter().map(Into::into).collect();
        self.config.rooms.insert(name.into(), members);
        self
    }

    /// Changes any other key of the configuration.
    pub fn configure(mut self, change: impl FnOnce(&mut StandardConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Replaces the clock, the randomness and the HTTP client.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Checks the configuration and makes the channel.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the key; also
    /// without a transport when the feature `net` is off.
    pub fn build(self) -> Result<Standard> {
        let origins = self.config.check()?;
        #[cfg(feature = "net")]
        let transport = self.transport.unwrap_or_else(channel_http::transport);
        #[cfg(not(feature = "net"))]
        let transport = self
            .transport
            .ok_or_else(|| Error::config("a transport is needed without the feature net"))?;
        Ok(Standard::new(self.config, origins, transport))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> StandardConfig {
        StandardConfig {
            token: Secret::new("tok-standard-0001"),
            ..StandardConfig::default()
        }
    }

    #[test]
    fn errors_name_the_key() {
        type Change = fn(&mut StandardConfig);
        let cases: [(&str, Change); 22] = [
            ("token", |c| c.token = Secret::new("")),
            ("read_timeout", |c| c.read_timeout = 30),
            ("max_connections", |c| c.max_connections = 0),
            ("allow_origins", |c| {
                c.allow_origins = vec!["https://a.example/path".to_owned()];
            }),
            ("write_timeout", |c| c.write_timeout = 0),
            ("hello_timeout", |c| c.hello_timeout = u64::MAX),
            ("resume_window", |c| c.resume_window = 0),
            ("resume_limit", |c| c.resume_limit = 0),
            ("queue_frames", |c| c.queue_frames = 0),
            ("queue_bytes", |c| c.queue_bytes = 0),
            ("event_queue", |c| c.event_queue = 0),
            ("max_frame_bytes", |c| c.max_frame_bytes = 10),
            ("path", |c| c.path = "standard".to_owned()),
            ("allow_from", |c| c.allow_from = vec!["a b".to_owned()]),
            ("client_tokens", |c| {
                c.client_tokens.insert("a/b".to_owned(), Secret::new("x"));
            }),
            ("client_tokens", |c| {
                c.client_tokens
                    .insert("a".to_owned(), Secret::new("tok-standard-0001"));
            }),
            ("client_tokens", |c| {
                c.client_tokens.insert("a".to_owned(), Secret::new(""));
            }),
            ("rooms", |c| {
                c.rooms.insert("a b".to_owned(), Vec::new());
            }),
            ("bot_id", |c| c.bot_id = String::new()),
            ("bot_name", |c| c.bot_name = String::new()),
            ("media_bytes", |c| c.media_bytes = 0),
            ("media_total_bytes", |c| c.media_total_bytes = 1),
        ];
        assert!(valid().check().is_ok());
        for (key, change) in cases {
            let mut config = valid();
            change(&mut config);
            let error = config.check().expect_err(key);
            assert!(error.message().starts_with(key), "{key}: {error}");
            assert!(!error.to_string().contains("tok-standard-0001"));
        }
    }

    #[test]
    fn unknown_keys_are_reported() {
        let text = r#"{"token":"t","tokne":"x"}"#;
        assert!(serde_json::from_str::<StandardConfig>(text).is_err());
    }

    #[test]
    fn the_environment_is_read() {
        let config = StandardConfig::from_lookup(|name| {
            Ok(match name {
                "CHANNEL_STANDARD_TOKEN" => Some("t".to_owned()),
                "CHANNEL_STANDARD_ALLOW_TOKEN_QUERY" => Some("True".to_owned()),
                "CHANNEL_STANDARD_ALLOW_ORIGINS" => Some("https://a, null ,".to_owned()),
                _ => None,
            })
        })
        .unwrap();
        assert_eq!(config.token.expose(), "t");
        assert!(config.allow_token_query);
        assert_eq!(config.allow_origins, ["https://a", "null"]);
        let word = |_: &str| Ok(Some("maybe".to_owned()));
        assert!(StandardConfig::from_lookup(word).is_err());
    }
}
