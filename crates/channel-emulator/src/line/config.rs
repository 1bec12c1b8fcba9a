//! Settings of an emulated platform.

use std::time::Duration;

use crate::clock::Clock;

/// Settings of an emulated LINE.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LineConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// How long a reply token can be used. The platform says "within one minute" and promises nothing.
    pub reply_window: Duration,
    /// How long a retry key is remembered. <https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>
    pub retry_key_life: Duration,
    /// How long the content of a message can be fetched. The platform does not publish it.
    pub content_life: Duration,
    /// How long a webhook may take to answer.
    pub webhook_timeout: Duration,
    /// Wait before a refused event is delivered again, where redelivery is on. The platform does not publish it.
    pub webhook_retry: Duration,
    /// How often a refused event is delivered again. The platform does not publish it.
    pub webhook_redeliveries: u32,
    /// Requests per second on one endpoint, in place of the published rates.
    pub rate: Option<u32>,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// How many calls the ledger keeps.
    pub ledger: usize,
    /// Where the sequence of random-looking ids begins.
    pub seed: u64,
}

impl Default for LineConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            reply_window: Duration::from_secs(60),
            retry_key_life: Duration::from_secs(24 * 3600),
            content_life: Duration::from_secs(7 * 24 * 3600),
            webhook_timeout: Duration::from_secs(2),
            webhook_retry: Duration::from_millis(500),
            webhook_redeliveries: 3,
            rate: None,
            body_limit: 2 * 1024 * 1024,
            ledger: 10_000,
            seed: 1,
        }
    }
}

impl LineConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the wait before a refused event is delivered again, and how often that happens.
    #[must_use]
    pub const fn webhook_retry(mut self, wait: Duration, times: u32) -> Self {
        self.webhook_retry = wait;
        self.webhook_redeliveries = times;
        self
    }

    /// Sets how long a webhook may take to answer.
    #[must_use]
    pub const fn webhook_timeout(mut self, timeout: Duration) -> Self {
        self.webhook_timeout = timeout;
        self
    }

    /// Sets the requests per second on one endpoint, in place of the published rates.
    #[must_use]
    pub const fn rate(mut self, per_second: u32) -> Self {
        self.rate = Some(per_second);
        self
    }

    /// Sets where the sequence of random-looking ids begins.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
