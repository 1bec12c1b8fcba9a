//! Waiting longer after each failure.

use std::time::Duration;

use crate::clock::{Random, random_unit};

/// Doubles the wait after each failure, up to a cap, and spreads it over its upper half.
///
/// The lower half is never waived, so that a peer that fails has time to recover; what many
/// have to do at once after a common cause wants a wider spread than this.
///
/// The wait goes back to the start only after a connection has been healthy for
/// [`stable_after`](Self::stable_after), so that a server which accepts and drops at once
/// is not hammered.
///
/// ```
/// use std::time::Duration;
/// use channel_core::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// assert_eq!(backoff.ceiling(), Duration::from_secs(1));
/// backoff.failed(Duration::ZERO);
/// assert_eq!(backoff.ceiling(), Duration::from_secs(2));
/// backoff.failed(Duration::from_secs(300));
/// assert_eq!(backoff.ceiling(), Duration::from_secs(2));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    stable_after: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits `first`, then twice as long each time, at most `cap`.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            stable_after: Duration::from_secs(60),
            failures: 0,
        }
    }

    /// Sets how long a connection has to be healthy before the wait starts anew.
    #[must_use]
    pub const fn stable_after(mut self, stable_after: Duration) -> Self {
        self.stable_after = stable_after;
        self
    }

    /// Whether another one waits as long, whatever has failed so far.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let numbers = |it: &Self| (it.first, it.cap, it.stable_after);
        numbers(self) == numbers(other)
    }

    /// Notes a failure of a connection that had been healthy for `healthy`.
    pub fn failed(&mut self, healthy: Duration) {
        if healthy >= self.stable_after {
            self.failures = 1;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Starts anew.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures in a row have been noted.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The longest wait at this point.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let factor = 2u32.saturating_pow(self.failures.min(31));
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// The wait before the next attempt: between half of the ceiling and the ceiling.
    #[must_use]
    pub fn wait(&self, random: &dyn Random) -> Duration {
        self.ceiling().mul_f64(0.5 + random_unit(random) / 2.0)
    }
}
