//! Settings of an emulated WeCom.

use std::time::Duration;

use crate::clock::Clock;

/// Settings of an emulated WeCom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WecomConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// What the platform calls itself in the addresses it gives away; a started server fills it in.
    pub public_base: Option<String>,
    /// How long a callback may take to answer.
    /// <https://developer.work.weixin.qq.com/document/path/90930>
    pub callback_timeout: Duration,
    /// How long a URL check may take to answer. <https://developer.work.weixin.qq.com/document/path/90930>
    pub check_timeout: Duration,
    /// Wait before a callback without a good answer is tried again. The platform does not publish it.
    pub callback_retry: Duration,
    /// How often a callback without a good answer is tried again.
    /// <https://developer.work.weixin.qq.com/document/path/90930>
    pub callback_retries: u32,
    /// The pause between two refreshes of a stream: about a second.
    /// <https://developer.work.weixin.qq.com/document/path/100719>
    pub poll_interval: Duration,
    /// How long after the message a stream is refreshed, or after its first frame it takes new ones.
    /// <https://developer.work.weixin.qq.com/document/path/100719>
    pub stream_life: Duration,
    /// How long an access token lives. <https://developer.work.weixin.qq.com/document/path/91039>
    pub token_life: Duration,
    /// Token requests per app and minute; the platform refuses too many, and does not say how many those are.
    pub token_rate: Option<u32>,
    /// Subscriptions per bot and minute; the platform refuses too many, and does not say how many those are.
    pub subscribe_rate: Option<u32>,
    /// Whether messages on a long connection have a `response_url`, which the platform does not promise.
    pub link_response_url: bool,
    /// Whether the published message rates hold.
    pub rates: bool,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// How many calls the ledger keeps.
    pub ledger: usize,
    /// Where the sequence of random-looking ids begins.
    pub seed: u64,
}

impl Default for WecomConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            public_base: None,
            callback_timeout: Duration::from_secs(5),
            check_timeout: Duration::from_secs(1),
            callback_retry: Duration::from_millis(500),
            callback_retries: 3,
            poll_interval: Duration::from_secs(1),
            stream_life: Duration::from_secs(360),
            token_life: Duration::from_secs(7200),
            token_rate: None,
            subscribe_rate: None,
            link_response_url: false,
            rates: true,
            body_limit: 32 * 1024 * 1024,
            ledger: 10_000,
            seed: 1,
        }
    }
}

impl WecomConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the wait before a callback is tried again, and how often that happens.
    #[must_use]
    pub const fn callback_retry(mut self, wait: Duration, times: u32) -> Self {
        self.callback_retry = wait;
        self.callback_retries = times;
        self
    }

    /// Sets how long a callback may take to answer.
    #[must_use]
    pub const fn callback_timeout(mut self, timeout: Duration) -> Self {
        self.callback_timeout = timeout;
        self
    }

    /// Sets the pause between two refreshes of a stream.
    #[must_use]
    pub const fn poll_interval(mut self, pause: Duration) -> Self {
        self.poll_interval = pause;
        self
    }

    /// Sets how long an access token lives.
    #[must_use]
    pub const fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// Sets the token requests per app and minute.
    #[must_use]
    pub const fn token_rate(mut self, per_minute: u32) -> Self {
        self.token_rate = Some(per_minute);
        self
    }

    /// Lets go of the published message rates.
    #[must_use]
    pub const fn without_rates(mut self) -> Self {
        self.rates = false;
        self
    }

    /// Sets where the sequence of random-looking ids begins.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
