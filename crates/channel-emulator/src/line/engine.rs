//! The platform as one shared value, and the calls that run on it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::answer::{Answer, summary};
use super::config::LineConfig;
use super::ledger::{Call, Outcome};
use super::state::State;
use super::webhook;

/// An emulated LINE: the state of the platform, without a listener. Clones share it.
///
/// [`Line::start`] puts it behind ports of its own; [`Line::router`] and [`Line::data_router`] are for programs that
/// have some already.
#[derive(Clone)]
pub struct Line {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: LineConfig,
    state: Mutex<State>,
    version: watch::Sender<u64>,
    /// How far the time of the platform is ahead of its clock, in milliseconds.
    skew_ms: AtomicI64,
    is_delivering: AtomicBool,
}

impl From<Arc<Inner>> for Line {
    fn from(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line {
    /// An empty platform.
    #[must_use]
    pub fn new(config: LineConfig) -> Self {
        let state = Mutex::new(State::new(&config));
        let (version, _) = watch::channel(0);
        Self {
            inner: Arc::new(Inner {
                config,
                state,
                version,
                skew_ms: AtomicI64::new(0),
                is_delivering: AtomicBool::new(false),
            }),
        }
    }

    pub(crate) fn config(&self) -> &LineConfig {
        &self.inner.config
    }

    /// Moves the platform's time forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.inner.skew_ms.fetch_add(by, Ordering::SeqCst);
        self.with(|_| ());
    }

    /// Works on the state without telling those who wait.
    pub(crate) fn quietly<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let skew = self.inner.skew_ms.load(Ordering::SeqCst);
        let now = self.inner.config.clock.millis().saturating_add(skew);
        // A panic in a test's closure leaves the state as it was: every step below is whole.
        let mut state = self
            .inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.now_ms = now;
        work(&mut state)
    }

    /// Works on the state, then wakes those who wait for a change.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let result = self.quietly(work);
        self.inner.version.send_modify(|version| *version += 1);
        result
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.version.subscribe()
    }

    /// Starts the task that delivers events, once. It ends with the last clone of the platform.
    pub(crate) fn deliver(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !self.inner.is_delivering.swap(true, Ordering::SeqCst)
        {
            runtime.spawn(webhook::serve(Arc::downgrade(&self.inner)));
        }
    }

    /// Opens an entry in the ledger.
    pub(crate) fn begin(&self, call: Call) -> Entry {
        let number = self.with(|state| {
            let at_ms = state.now_ms;
            state.ledger.begin(Call { at_ms, ..call })
        });
        Entry {
            line: self.clone(),
            number,
            open: true,
        }
    }
}

/// The platform behind a weak reference, while it still exists.
pub(crate) fn upgrade(platform: &Weak<Inner>) -> Option<Line> {
    platform.upgrade().map(Line::from)
}

/// An open entry in the ledger; dropped without an answer it reads as abandoned by the caller.
pub(crate) struct Entry {
    line: Line,
    number: u64,
    open: bool,
}

impl Entry {
    pub(crate) fn end(mut self, outcome: Outcome, answer: Option<&Answer>) {
        self.open = false;
        let answer = answer.map(summary);
        self.line
            .with(|state| state.ledger.end(self.number, outcome, answer));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.open {
            self.line
                .with(|state| state.ledger.end(self.number, Outcome::Abandoned, None));
        }
    }
}
