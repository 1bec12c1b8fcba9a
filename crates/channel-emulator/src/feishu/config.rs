//! Settings of an emulated platform.

use std::time::Duration;

use crate::clock::Clock;

/// Settings of an emulated Feishu or Lark, which differ in nothing but their domain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FeishuConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// How long a `tenant_access_token` is good for.
    /// <https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>
    pub token_life: Duration,
    /// How long a receiver may take to acknowledge an event.
    pub ack_timeout: Duration,
    /// Waits before an event that was not acknowledged comes again: 15 s, 5 min, 1 h and 6 h.
    pub redelivery: Vec<Duration>,
    /// The `PingInterval` that clients of the long connection are told, in seconds.
    pub ping_interval: u64,
    /// The `ReconnectInterval` that they are told, in seconds.
    pub reconnect_interval: u64,
    /// The `ReconnectNonce` that they are told, in seconds.
    pub reconnect_nonce: u64,
    /// Long connections of one app at once. Common report; the platform does not publish it.
    pub max_connections: usize,
    /// Payloads on the long connection are cut into pieces of so many bytes.
    pub fragment: usize,
    /// Whether the limits of 50 calls a second and 1,000 a minute, and 5 a second in a chat, are enforced.
    pub rates: bool,
    /// How many calls the ledger keeps.
    pub ledger: usize,
    /// Where the sequence of random-looking ids begins.
    pub seed: u64,
}

impl Default for FeishuConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            token_life: Duration::from_secs(7200),
            ack_timeout: Duration::from_secs(3),
            redelivery: [15, 300, 3600, 6 * 3600].map(Duration::from_secs).to_vec(),
            ping_interval: 120,
            reconnect_interval: 120,
            reconnect_nonce: 30,
            max_connections: 50,
            fragment: 64 * 1024,
            rates: true,
            ledger: 10_000,
            seed: 1,
        }
    }
}

impl FeishuConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the waits before an event comes again.
    #[must_use]
    pub fn redelivery(mut self, waits: &[Duration]) -> Self {
        self.redelivery = waits.to_vec();
        self
    }

    /// Sets what clients of the long connection are told: seconds between pings, between attempts to reconnect, and the
    /// largest random wait before the first.
    #[must_use]
    pub const fn connection(mut self, ping: u64, reconnect: u64, nonce: u64) -> Self {
        self.ping_interval = ping;
        self.reconnect_interval = reconnect;
        self.reconnect_nonce = nonce;
        self
    }

    /// Sets the size of the pieces on the long connection, in bytes.
    #[must_use]
    pub const fn fragment(mut self, bytes: usize) -> Self {
        self.fragment = bytes;
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
