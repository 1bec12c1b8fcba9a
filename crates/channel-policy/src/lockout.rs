//! Who has guessed too often.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

use crate::lock;

/// Locks whoever fails a number of times in a row, for a time.
///
/// An attempt counts as failed from its beginning until it is settled, so that many at once
/// get no more tries than one after the other. At most `capacity` are remembered; where
/// there is no more room the one whose last failure is the oldest is forgotten.
///
/// ```
/// use std::time::Duration;
/// use channel_policy::Lockout;
///
/// let lockout = Lockout::new(2, Duration::from_secs(60), 100);
/// let now = Duration::ZERO;
/// for _ in 0..2 {
///     assert!(lockout.begin(&"eve", now));
/// }
/// assert!(!lockout.begin(&"eve", now + Duration::from_millis(59_999)));
/// assert!(lockout.begin(&"eve", now + Duration::from_secs(60)));
/// ```
pub struct Lockout<K> {
    limit: u32,
    lock_for: Duration,
    capacity: usize,
    failures: Mutex<HashMap<K, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
}

impl<K: Clone + Eq + Hash> Lockout<K> {
    /// Locks for a time after a number of failures in a row, at least one.
    #[must_use]
    pub fn new(limit: u32, lock_for: Duration, capacity: usize) -> Self {
        Self {
            limit: limit.max(1),
            lock_for,
            capacity: capacity.max(1),
            failures: Mutex::default(),
        }
    }

    /// Begins an attempt; `false` if whoever it is is locked. Call it before anything is
    /// looked up. `now` is monotonic time.
    #[must_use]
    pub fn begin(&self, key: &K, now: Duration) -> bool {
        let mut failures = lock(&self.failures);
        if let Some(known) = failures.get_mut(key) {
            if now.saturating_sub(known.last) >= self.lock_for {
                known.count = 0;
            }
            if known.count >= self.limit {
                return false;
            }
            known.count += 1;
            known.last = now;
            return true;
        }
        if failures.len() >= self.capacity {
            self.make_room(&mut failures, now);
        }
        let first = Failures {
            count: 1,
            last: now,
        };
        failures.insert(key.clone(), first);
        true
    }

    /// The attempt was right: nothing is held against whoever it is any more.
    pub fn succeeded(&self, key: &K) {
        lock(&self.failures).remove(key);
    }

    /// The attempt could not be judged and does not count.
    pub fn withdraw(&self, key: &K) {
        let mut failures = lock(&self.failures);
        if let Some(known) = failures.get_mut(key) {
            known.count = known.count.saturating_sub(1);
            if known.count == 0 {
                failures.remove(key);
            }
        }
    }

    fn make_room(&self, failures: &mut HashMap<K, Failures>, now: Duration) {
        failures.retain(|_, known| now.saturating_sub(known.last) < self.lock_for);
        if failures.len() < self.capacity {
            return;
        }
        // Whoever is locked goes last: to them being forgotten is worth the most.
        let oldest = failures
            .iter()
            .min_by_key(|(_, known)| (known.count >= self.limit, known.last))
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            failures.remove(&oldest);
        }
    }
}

impl<K> fmt::Debug for Lockout<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lockout")
            .field("limit", &self.limit)
            .field("lock_for", &self.lock_for)
            .field("remembered", &lock(&self.failures).len())
            .finish_non_exhaustive()
    }
}
