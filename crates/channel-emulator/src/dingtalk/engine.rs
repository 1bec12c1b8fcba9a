//! The platform as one shared value.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::config::DingtalkConfig;
use super::deliver;
use super::state::State;
use crate::common::shared::{Platform, Shared};

/// An emulated DingTalk: the state of the platform, without a listener. Clones share it.
///
/// [`Dingtalk::start`] puts it behind a port of its own; [`Dingtalk::router`] is for programs that have one already.
#[derive(Clone)]
pub struct Dingtalk {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: DingtalkConfig,
    shared: Shared<State>,
    is_delivering: AtomicBool,
}

impl std::fmt::Debug for Dingtalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dingtalk").finish_non_exhaustive()
    }
}

impl Platform for Dingtalk {
    type State = State;

    fn shared(&self) -> &Shared<State> {
        &self.inner.shared
    }
}

impl Dingtalk {
    /// An empty platform.
    #[must_use]
    pub fn new(config: DingtalkConfig) -> Self {
        let shared = Shared::new(config.clock.clone(), State::new(&config));
        Self {
            inner: Arc::new(Inner {
                config,
                shared,
                is_delivering: AtomicBool::new(false),
            }),
        }
    }

    pub(crate) fn config(&self) -> &DingtalkConfig {
        &self.inner.config
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
            runtime.spawn(deliver::serve(Arc::downgrade(&self.inner)));
        }
    }
}

/// The platform behind a weak reference, while it still exists.
pub(crate) fn upgrade(platform: &Weak<Inner>) -> Option<Dingtalk> {
    platform.upgrade().map(|inner| Dingtalk { inner })
}
