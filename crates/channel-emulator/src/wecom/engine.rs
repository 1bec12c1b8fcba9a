//! The platform as one shared value, and the calls that run on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::callback;
use super::config::WecomConfig;
use super::ledger::Call;
use super::state::State;
use crate::common::ledger::Entry;
use crate::common::shared::{Platform, Shared};

/// An emulated WeCom: the state of the platform, without a listener. Clones share it.
///
/// [`Wecom::start`] puts it behind a port of its own; [`Wecom::router`] is for programs that have one already.
#[derive(Clone)]
pub struct Wecom {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: WecomConfig,
    shared: Shared<State>,
    is_delivering: AtomicBool,
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

impl Platform for Wecom {
    type State = State;

    fn shared(&self) -> &Shared<State> {
        &self.inner.shared
    }
}

impl Wecom {
    /// An empty platform.
    #[must_use]
    pub fn new(config: WecomConfig) -> Self {
        let shared = Shared::new(config.clock.clone(), State::new(&config));
        Self {
            inner: Arc::new(Inner {
                config,
                shared,
                is_delivering: AtomicBool::new(false),
            }),
        }
    }

    pub(crate) fn config(&self) -> &WecomConfig {
        &self.inner.config
    }

    /// What the platform calls itself in the addresses it gives away, without a trailing slash.
    pub fn set_public_base(&self, base: &str) {
        self.with(|state| base.clone_into(&mut state.base));
    }

    /// Moves the platform's time forward.
    pub fn advance(&self, by: Duration) {
        self.inner.shared.advance(by);
    }

    /// Works on the state without telling those who wait.
    pub(crate) fn quietly<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.inner.shared.quietly(work)
    }

    /// Works on the state, then wakes those who wait for a change.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.inner.shared.with(work)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.shared.changes()
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
    pub(crate) fn begin(&self, call: Call) -> Entry<Self> {
        let at_ms = self.quietly(|state| state.now_ms);
        Entry::begin(self, Call { at_ms, ..call })
    }
}

/// The platform behind a weak reference, while it still exists.
pub(crate) fn upgrade(platform: &Weak<Inner>) -> Option<Wecom> {
    platform.upgrade().map(Wecom::from)
}
