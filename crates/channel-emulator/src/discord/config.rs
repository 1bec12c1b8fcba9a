//! Settings of an emulated Discord.

use std::time::Duration;

use crate::clock::Clock;

/// Settings of an emulated Discord. What the platform does not publish stands here with a guess.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DiscordConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// `heartbeat_interval` of HELLO. The platform says 41.25 to 45 seconds.
    pub heartbeat: Duration,
    /// How long a session can be resumed after its connection is gone: "a few minutes".
    pub session_life: Duration,
    /// Dispatches kept per session for a resume; a session that missed more is invalid.
    pub replay: usize,
    /// `max_concurrency` of the session start limit.
    pub max_concurrency: u64,
    /// Time in which one identify per concurrency key is taken.
    pub identify_interval: Duration,
    /// `total` of the session start limit, for 24 hours; who exceeds it loses the token.
    pub session_starts: u64,
    /// Whether route and global rate limits are on from the start; they can be switched later.
    pub rate_limits: bool,
    /// Requests a bot may make per second in all.
    pub global_rate: u32,
    /// 401, 403 and 429 answers in ten minutes before the address is banned.
    pub invalid_requests: u32,
    /// Time in which an interaction takes its first answer.
    pub interaction_window: Duration,
    /// How long the token of an interaction lives.
    pub interaction_life: Duration,
    /// Wait before a webhook event that was not acknowledged comes again; it doubles with each attempt.
    pub event_retry: Duration,
    /// How long a nonce is remembered: "the past few minutes".
    pub nonce_life: Duration,
    /// Largest uploaded file, in bytes.
    pub upload_limit: usize,
    /// How long a signed attachment address lives.
    pub link_life: Duration,
    /// How many calls the ledger keeps.
    pub ledger: usize,
}

impl Default for DiscordConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            heartbeat: Duration::from_millis(41_250),
            session_life: Duration::from_secs(180),
            replay: 20_000,
            max_concurrency: 1,
            identify_interval: Duration::from_secs(5),
            session_starts: 1000,
            rate_limits: true,
            global_rate: 50,
            invalid_requests: 10_000,
            interaction_window: Duration::from_secs(3),
            interaction_life: Duration::from_secs(15 * 60),
            event_retry: Duration::from_secs(1),
            nonce_life: Duration::from_secs(5 * 60),
            upload_limit: 10 * 1024 * 1024,
            link_life: Duration::from_secs(24 * 60 * 60),
            ledger: 10_000,
        }
    }
}

impl DiscordConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets `heartbeat_interval`.
    #[must_use]
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// Sets how long a session can be resumed and how many dispatches are kept for it.
    #[must_use]
    pub const fn sessions(mut self, life: Duration, replay: usize) -> Self {
        self.session_life = life;
        self.replay = replay;
        self
    }

    /// Sets the identify limits: permits at once, their interval, and starts in 24 hours.
    #[must_use]
    pub const fn identifies(mut self, at_once: u64, every: Duration, a_day: u64) -> Self {
        self.max_concurrency = at_once;
        self.identify_interval = every;
        self.session_starts = a_day;
        self
    }

    /// Sets the wait before a webhook event comes again.
    #[must_use]
    pub const fn event_retry(mut self, first: Duration) -> Self {
        self.event_retry = first;
        self
    }

    /// Switches rate limits.
    #[must_use]
    pub const fn rate_limits(mut self, on: bool) -> Self {
        self.rate_limits = on;
        self
    }

    /// Sets the requests per second of a bot, and the invalid requests in ten minutes.
    #[must_use]
    pub const fn budgets(mut self, global_rate: u32, invalid_requests: u32) -> Self {
        self.global_rate = global_rate;
        self.invalid_requests = invalid_requests;
        self
    }
}
