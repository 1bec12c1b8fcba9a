//! Settings of an emulated platform.

use std::time::Duration;

use crate::clock::Clock;

/// Settings of an emulated Slack.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SlackConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// How long an app may take to acknowledge. <https://docs.slack.dev/apis/events-api/#responding>
    pub ack_timeout: Duration,
    /// Waits before an event that was not acknowledged is delivered again.
    /// <https://docs.slack.dev/apis/events-api/#error-handling>
    pub retries: Vec<Duration>,
    /// How often a socket is pinged.
    pub ping: Duration,
    /// From a `disconnect` with the reason `warning` or `refresh_requested` to the end of the socket.
    pub refresh_grace: Duration,
    /// Sockets of one app. <https://docs.slack.dev/apis/events-api/using-socket-mode/#connections>
    pub max_sockets: usize,
    /// How long the address of a socket can be used. The platform does not publish it.
    pub ticket_life: Duration,
    /// Rate limits per method are enforced. <https://docs.slack.dev/apis/web-api/rate-limits/>
    pub rates: bool,
    /// Messages that may be posted to one channel at once, beyond one a second. The platform says "short bursts".
    pub post_burst: u32,
    /// How long a `trigger_id` can be used. <https://docs.slack.dev/interactivity/handling-user-interaction/>
    pub trigger_life: Duration,
    /// How long a `response_url` can be used.
    pub response_life: Duration,
    /// How often a `response_url` can be used.
    pub response_uses: u32,
    /// How long an OAuth code can be used. <https://docs.slack.dev/authentication/installing-with-oauth/>
    pub code_life: Duration,
    /// How long a rotated token lives. <https://docs.slack.dev/authentication/using-token-rotation/>
    pub token_life: Duration,
    /// After this a stream is closed by the platform, which does not publish the time; users measured minutes.
    pub stream_life: Duration,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Largest file, in bytes. The platform takes 1 GB.
    pub file_limit: usize,
    /// How many calls the ledger keeps.
    pub ledger: usize,
    /// Where the sequence of random-looking ids begins.
    pub seed: u64,
}

impl Default for SlackConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            ack_timeout: Duration::from_secs(3),
            retries: vec![
                Duration::ZERO,
                Duration::from_secs(60),
                Duration::from_secs(300),
            ],
            ping: Duration::from_secs(10),
            refresh_grace: Duration::from_secs(10),
            max_sockets: 10,
            ticket_life: Duration::from_secs(30),
            rates: true,
            post_burst: 20,
            trigger_life: Duration::from_secs(3),
            response_life: Duration::from_secs(30 * 60),
            response_uses: 5,
            code_life: Duration::from_secs(10 * 60),
            token_life: Duration::from_secs(12 * 3600),
            stream_life: Duration::from_secs(5 * 60),
            body_limit: 2 * 1024 * 1024,
            file_limit: 64 * 1024 * 1024,
            ledger: 10_000,
            seed: 1,
        }
    }
}

impl SlackConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the waits before an event is delivered again; their number is how often that happens.
    #[must_use]
    pub fn retries(mut self, waits: &[Duration]) -> Self {
        self.retries = waits.to_vec();
        self
    }

    /// Sets how long an app may take to acknowledge.
    #[must_use]
    pub const fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// Sets the time from a `disconnect` to the end of the socket.
    #[must_use]
    pub const fn refresh_grace(mut self, grace: Duration) -> Self {
        self.refresh_grace = grace;
        self
    }

    /// Switches the rate limits off or on.
    #[must_use]
    pub const fn rates(mut self, rates: bool) -> Self {
        self.rates = rates;
        self
    }

    /// Sets where the sequence of random-looking ids begins.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
