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
    /// The waits one by one, where they do not simply double.
    rungs: &'static [Duration],
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
            rungs: &[],
            stable_after: Duration::from_secs(60),
            failures: 0,
        }
    }

    /// Waits as long as a ladder says: the first rung after the first failure, one rung more
    /// after each further one, and the last for ever. An empty ladder does not wait.
    ///
    /// ```
    /// use std::time::Duration;
    /// use channel_core::Backoff;
    ///
    /// const LADDER: &[Duration] = &[Duration::from_secs(2), Duration::from_secs(30)];
    /// let mut backoff = Backoff::ladder(LADDER);
    /// for seconds in [2, 30, 30] {
    ///     backoff.failed(Duration::ZERO);
    ///     assert_eq!(backoff.ceiling(), Duration::from_secs(seconds));
    /// }
    /// ```
    #[must_use]
    pub const fn ladder(rungs: &'static [Duration]) -> Self {
        let mut backoff = Self::new(Duration::ZERO, Duration::ZERO);
        backoff.rungs = rungs;
        backoff
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
        let numbers = |it: &Self| (it.first, it.cap, it.rungs, it.stable_after);
        numbers(self) == numbers(other)
    }

    /// Notes a failure of a connection that had been healthy for `healthy`.
    pub fn failed(&mut self, healthy: Duration) {
        if self.is_stable(healthy) {
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
        if let Some(last) = self.rungs.last() {
            let rung = usize::try_from(self.failures.saturating_sub(1)).unwrap_or(usize::MAX);
            return *self.rungs.get(rung).unwrap_or(last);
        }
        let factor = 2u32.saturating_pow(self.failures.min(31));
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// The wait before the next attempt: between half of the ceiling and the ceiling.
    #[must_use]
    pub fn wait(&self, random: &dyn Random) -> Duration {
        self.wait_within(Duration::MAX, random)
    }

    /// The same with a ceiling that is not above `cap`.
    #[must_use]
    pub fn wait_within(&self, cap: Duration, random: &dyn Random) -> Duration {
        let ceiling = self.ceiling().min(cap);
        ceiling.mul_f64(0.5 + random_unit(random) / 2.0)
    }

    /// Whether a connection that lasted for `healthy` was stable.
    #[must_use]
    pub fn is_stable(&self, healthy: Duration) -> bool {
        healthy >= self.stable_after
    }
}
