//! A channel that the platform does not let in is held as a whole.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{Backoff, Random};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::engine::lock;

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(60);

/// While the credentials are refused, one delivery at a time tries whether they are good
/// again, and all others wait for it.
pub(crate) struct Hold {
    held: Mutex<Option<Held>>,
    changed: Notify,
}

struct Held {
    until: Duration,
    backoff: Backoff,
}

impl Hold {
    pub(crate) fn new() -> Self {
        Self {
            held: Mutex::new(None),
            changed: Notify::new(),
        }
    }

    /// Lets a delivery pass, or says how long to wait before asking again. Whoever passes
    /// a hold that has run out is the one that tries.
    pub(crate) fn pass(&self, now: Duration) -> Result<(), Duration> {
        let mut held = lock(&self.held);
        let Some(held) = held.as_mut() else {
            return Ok(());
        };
        if held.until > now {
            return Err(held.until.saturating_sub(now));
        }
        held.until = now.saturating_add(held.backoff.ceiling());
        Ok(())
    }

    pub(crate) fn is_held(&self) -> bool {
        lock(&self.held).is_some()
    }

    /// The credentials were refused; says how long to wait.
    pub(crate) fn refused(&self, now: Duration, random: &dyn Random) -> Duration {
        let mut held = lock(&self.held);
        let held = held.get_or_insert_with(|| Held {
            until: now,
            backoff: Backoff::new(FIRST, CAP),
        });
        let wait = held.backoff.wait(random);
        held.backoff.failed(Duration::ZERO);
        held.until = now.saturating_add(wait);
        wait
    }

    /// The platform has let somebody in.
    pub(crate) fn lift(&self) {
        if lock(&self.held).take().is_some() {
            self.changed.notify_waiters();
        }
    }

    /// Resolves when the hold is lifted.
    pub(crate) fn lifted(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("held", &self.is_held())
            .finish_non_exhaustive()
    }
}
