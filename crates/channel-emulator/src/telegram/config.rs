//! Settings of an emulated platform.

use std::time::Duration;

use super::flood::FloodLimits;
use crate::clock::Clock;

/// Settings of an emulated Telegram.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TelegramConfig {
    /// The time by which the platform's rules are judged.
    pub clock: Clock,
    /// Whether flood control is on from the start; it can be switched later.
    pub flood_control: bool,
    /// The rates of flood control.
    pub flood_limits: FloodLimits,
    /// Largest uploaded file, in bytes. The cloud takes 50 MB, an own Bot API server 2000 MB.
    pub upload_limit: usize,
    /// Largest photo, in bytes. The cloud takes 10 MB.
    pub photo_limit: usize,
    /// Largest file that `getFile` hands out, in bytes. The cloud gives 20 MB.
    pub download_limit: usize,
    /// How long a pressed button can be answered. The platform does not publish it.
    pub callback_life: Duration,
    /// Wait before a refused webhook delivery is tried again; it doubles with each attempt.
    pub webhook_retry: Duration,
    /// The longest such wait.
    pub webhook_retry_max: Duration,
    /// How long a webhook may take to answer.
    pub webhook_timeout: Duration,
    /// How many calls the ledger keeps.
    pub ledger: usize,
    /// Where the sequence of random-looking ids begins.
    pub seed: u64,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            flood_control: false,
            flood_limits: FloodLimits::default(),
            upload_limit: 50 * 1024 * 1024,
            photo_limit: 10 * 1024 * 1024,
            download_limit: 20 * 1024 * 1024,
            callback_life: Duration::from_secs(60),
            webhook_retry: Duration::from_millis(500),
            webhook_retry_max: Duration::from_secs(30),
            webhook_timeout: Duration::from_secs(30),
            ledger: 10_000,
            seed: 1,
        }
    }
}

impl TelegramConfig {
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Switches flood control on, with these rates.
    #[must_use]
    pub const fn flood_control(mut self, limits: FloodLimits) -> Self {
        self.flood_control = true;
        self.flood_limits = limits;
        self
    }

    /// Sets the wait before a refused webhook delivery is tried again, and the longest such wait.
    #[must_use]
    pub const fn webhook_retry(mut self, first: Duration, longest: Duration) -> Self {
        self.webhook_retry = first;
        self.webhook_retry_max = longest;
        self
    }

    /// Sets the largest file a bot may send and the largest it may fetch, in bytes.
    #[must_use]
    pub const fn file_limits(mut self, upload: usize, download: usize) -> Self {
        self.upload_limit = upload;
        self.download_limit = download;
        self
    }

    /// Sets where the sequence of random-looking ids begins.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
