//! The seam through which the emulators read the time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of wall-clock time that tests can replace.
///
/// Only rules of the platforms (the 48 hours in which a message may be deleted, the life of a file link) look at it.
/// Waiting on the network, such as the length of a long poll, uses the timers of the runtime.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// A clock that stands still, `since_epoch` after the Unix epoch.
    #[must_use]
    pub fn fixed(since_epoch: Duration) -> Self {
        Self::new(move || UNIX_EPOCH + since_epoch)
    }

    pub(crate) fn millis(&self) -> i64 {
        let since = (self.0)().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
