//! The platform as one shared value, and the calls that run on it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::callback;
use super::config::WecomConfig;
use super::ledger::{Call, Outcome};
use super::state::State;

/// An emulated WeCom: the state of the platform, without a listener. Clones share it.
///
/// [`Wecom::start`] puts it behind a port of its own; [`Wecom::router`] is for programs that have one already.
#[derive(Clone)]
pub struct Wecom {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: WecomConfig,
    state: Mutex<State>,
    version: watch::Sender<u64>,
    /// How far the time of the platform is ahead of its clock, in milliseconds.
    skew_ms: AtomicI64,
    is_delivering: AtomicBool,
    /// What the platform calls itself.
    base: Mutex<String>,
}

impl From<Arc<Inner>> for Wecom {
    fn from(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl std::fmt::Debug for Wecom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wecom").finish_non_exhaustive()
    }
}

impl Wecom {
    /// An empty platform.
    #[must_use]
    pub fn new(config: WecomConfig) -> Self {
        let state = Mutex::new(State::new(&config));
        let (version, _) = watch::channel(0);
        let base = config.public_base.clone().unwrap_or_default();
        let base = Mutex::new(base);
        Self {
            inner: Arc::new(Inner {
                config,
                state,
                version,
                skew_ms: AtomicI64::new(0),
                is_delivering: AtomicBool::new(false),
                base,
            }),
        }
    }

    pub(crate) fn config(&self) -> &WecomConfig {
        &self.inner.config
    }

    /// What the platform calls itself in the addresses it gives away, without a trailing slash.
    pub fn set_public_base(&self, base: &str) {
        let mut own = self
            .inner
            .base
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        base.clone_into(&mut own);
    }

    pub(crate) fn base(&self) -> String {
        let own = self.inner.base.lock();
        own.unwrap_or_else(PoisonError::into_inner).clone()
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
            runtime.spawn(callback::serve(Arc::downgrade(&self.inner)));
        }
    }

    /// Opens an entry in the ledger.
    pub(crate) fn begin(&self, call: Call) -> Entry {
        let number = self.with(|state| {
            let at_ms = state.now_ms;
            state.ledger.begin(Call { at_ms, ..call })
        });
        Entry {
            wecom: self.clone(),
            number,
            open: true,
        }
    }
}

/// The platform behind a weak reference, while it still exists.
pub(crate) fn upgrade(platform: &Weak<Inner>) -> Option<Wecom> {
    platform.upgrade().map(Wecom::from)
}

/// An open entry in the ledger; dropped without an answer it reads as abandoned by the caller.
pub(crate) struct Entry {
    wecom: Wecom,
    number: u64,
    open: bool,
}

impl Entry {
    pub(crate) fn end(mut self, outcome: Outcome, answer: Option<Value>) {
        self.open = false;
        self.wecom
            .with(|state| state.ledger.end(self.number, outcome, answer));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.open {
            self.wecom
                .with(|state| state.ledger.end(self.number, Outcome::Abandoned, None));
        }
    }
}
