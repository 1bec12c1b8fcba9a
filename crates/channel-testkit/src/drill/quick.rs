//! The clock of the machine, faster.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use channel_core::Clock;
use futures_core::future::BoxFuture;

/// A clock that runs so many times as fast as another, for drills on real sockets: minutes are
/// seconds, and no limit is another than in earnest.
///
/// Clones share the time.
#[derive(Clone)]
pub struct QuickClock(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    pace: u32,
    began: SystemTime,
    /// By how many seconds the wall clock has run ahead.
    ahead: AtomicU64,
}

impl fmt::Debug for QuickClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickClock")
            .field("pace", &self.0.pace)
            .finish_non_exhaustive()
    }
}

impl QuickClock {
    /// Runs `pace` times as fast as `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, pace: u32) -> Self {
        let began = clock.now();
        Self(Arc::new(Inner {
            clock,
            pace,
            began,
            ahead: AtomicU64::new(0),
        }))
    }

    /// The wall clock runs ahead, as after a sleep of the machine. Whole seconds count.
    pub fn jump_forward(&self, by: Duration) {
        self.0.ahead.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for QuickClock {
    fn now(&self) -> SystemTime {
        let ahead = Duration::from_secs(self.0.ahead.load(Ordering::Relaxed));
        self.0.began + self.elapsed() + ahead
    }

    fn elapsed(&self) -> Duration {
        self.0.clock.elapsed() * self.0.pace
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.clock.sleep(duration / self.0.pace)
    }
}
