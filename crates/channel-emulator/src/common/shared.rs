//! State that calls, people and tests share, under the platform's own clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::ledger::{Ledger, Recorded};
use crate::clock::Clock;

/// What a platform remembers.
pub(crate) trait Stateful: Send + 'static {
    /// What it records of a call.
    type Call: Recorded + Clone + Serialize + Send + 'static;

    /// Tells it the time, in milliseconds since the epoch, before each piece of work.
    fn set_now(&mut self, now_ms: i64);
    /// The calls that it has received.
    fn ledger(&mut self) -> &mut Ledger<Self::Call>;
}

/// A handle to a platform; clones share its state.
pub(crate) trait Platform: Clone + Send + Sync + 'static {
    /// What it remembers.
    type State: Stateful;

    /// Where the state is.
    fn shared(&self) -> &Shared<Self::State>;
}

/// A condition that did not come true in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("emulator: the awaited state did not come within {0:?}")]
pub struct WaitError(pub(crate) Duration);

/// The state of a platform behind one lock, with a counter of changes to wait on.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    clock: Clock,
    state: Mutex<S>,
    version: watch::Sender<u64>,
    /// How far the time of the platform is ahead of its clock, in milliseconds.
    skew_ms: AtomicI64,
}

impl<S: Stateful> Shared<S> {
    pub(crate) fn new(clock: Clock, state: S) -> Self {
        Self {
            clock,
            state: Mutex::new(state),
            version: watch::channel(0).0,
            skew_ms: AtomicI64::new(0),
        }
    }

    /// Moves the platform's time forward.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.skew_ms.fetch_add(by, Ordering::SeqCst);
        self.with(|_| ());
    }

    /// Works on the state without telling those who wait.
    pub(crate) fn quietly<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        let skew = self.skew_ms.load(Ordering::SeqCst);
        let now = self.clock.millis().saturating_add(skew);
        // A panic in a test's closure leaves the state as it was: every step of a platform is whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.set_now(now);
        work(&mut state)
    }

    /// Works on the state, then wakes those who wait for a change.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        let result = self.quietly(work);
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Tells of each change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Asks `found` after every change until it gives something.
    ///
    /// # Errors
    /// When it gives nothing within `patience`.
    pub(crate) async fn wait_for<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitError> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if let Some(found) = found() {
                return Ok(found);
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(WaitError(patience)),
            }
        }
    }
}
