//! Settings of an emulated platform.

use std::time::Duration;

use crate::clock::Clock;

/// Settings of an emulated DingTalk. Where the platform publishes no number, the default is what implementations report.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DingtalkConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// How long an access token is good for.
    /// <https://open.dingtalk.com/document/orgapp/obtain-the-access_token-of-an-internal-app>
    pub token_life: Duration,
    /// How long a ticket of the stream gateway can be used. Not published.
    pub ticket_life: Duration,
    /// After this time a frame that was not acknowledged is pushed again; "within 60 s" says the official Node SDK.
    pub redelivery: Duration,
    /// How often a frame is pushed at most. Not published.
    pub pushes: u32,
    /// How often a connection gets the SYSTEM frame `ping`.
    pub ping: Duration,
    /// How long a `ping` may stay unanswered before the connection is closed. Not published.
    pub ping_timeout: Duration,
    /// How often a connection gets the SYSTEM frame `KEEPALIVE`.
    pub keepalive: Duration,
    /// How long the connection stays open after the SYSTEM frame `disconnect`.
    pub drain_grace: Duration,
    /// Stream connections of one app at once. Not published.
    pub max_connections: usize,
    /// How long a `sessionWebhook` is good for.
    pub session_life: Duration,
    /// How long a `downloadUrl` is good for. Not published.
    pub download_life: Duration,
    /// How long a custom robot is blocked after its 21st message in a minute. Common report.
    pub block: Duration,
    /// How long the receiver of HTTP mode may take to answer. Not published.
    pub answer_timeout: Duration,
    /// Whether the limits of custom robots and of the card API are enforced.
    pub rates: bool,
    /// How many calls the ledger keeps.
    pub ledger: usize,
    /// Where the sequence of random-looking ids begins.
    pub seed: u64,
}

impl Default for DingtalkConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            token_life: Duration::from_secs(7200),
            ticket_life: Duration::from_secs(90),
            redelivery: Duration::from_secs(60),
            pushes: 10,
            ping: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(60),
            keepalive: Duration::from_secs(30),
            drain_grace: Duration::from_secs(10),
            max_connections: 50,
            session_life: Duration::from_secs(90 * 60),
            download_life: Duration::from_secs(10 * 60),
            block: Duration::from_secs(10 * 60),
            answer_timeout: Duration::from_secs(5),
            rates: true,
            ledger: 10_000,
            seed: 1,
        }
    }
}

impl DingtalkConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets after what time a frame is pushed again, and how often it is pushed at most.
    #[must_use]
    pub const fn redelivery(mut self, after: Duration, pushes: u32) -> Self {
        self.redelivery = after;
        self.pushes = pushes;
        self
    }

    /// Sets how often a connection gets `ping` and `KEEPALIVE`, and how long a `ping` may stay unanswered.
    #[must_use]
    pub const fn heartbeat(
        mut self,
        ping: Duration,
        keepalive: Duration,
        timeout: Duration,
    ) -> Self {
        self.ping = ping;
        self.keepalive = keepalive;
        self.ping_timeout = timeout;
        self
    }

    /// Sets how long a connection stays open after the `disconnect` notice.
    #[must_use]
    pub const fn drain_grace(mut self, grace: Duration) -> Self {
        self.drain_grace = grace;
        self
    }

    /// Switches the rate limits.
    #[must_use]
    pub const fn rates(mut self, on: bool) -> Self {
        self.rates = on;
        self
    }

    /// Sets where the sequence of random-looking ids begins.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
