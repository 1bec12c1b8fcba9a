//! The platform as one shared thing.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::config::DiscordConfig;
use super::endpoint;
use super::ledger::Call;
use super::state::State;
use crate::common::ledger::Ledger;
use crate::common::shared::{Platform, Shared, Stateful};

/// An emulated Discord: the state of the platform, without a listener. Clones share it.
///
/// [`Discord::start`] puts it behind a port of its own; [`Discord::router`] is for programs that have one already.
#[derive(Clone)]
pub struct Discord {
    inner: Arc<Inner>,
}

/// What clones share.
pub(crate) struct Inner {
    shared: Shared<State>,
    delivering: std::sync::Once,
}

impl std::fmt::Debug for Discord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discord").finish_non_exhaustive()
    }
}

impl Stateful for State {
    type Call = Call;

    fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    fn ledger(&mut self) -> &mut Ledger<Call> {
        &mut self.ledger
    }
}

impl Platform for Discord {
    type State = State;

    fn shared(&self) -> &Shared<State> {
        &self.inner.shared
    }
}

impl Discord {
    /// An empty platform.
    #[must_use]
    pub fn new(config: DiscordConfig) -> Self {
        let clock = config.clock.clone();
        Self {
            inner: Arc::new(Inner {
                shared: Shared::new(clock, State::new(config)),
                delivering: std::sync::Once::new(),
            }),
        }
    }

    /// Begins to post interactions to endpoints; once is enough.
    pub(crate) fn deliver(&self) {
        self.inner.delivering.call_once(|| {
            tokio::spawn(endpoint::serve(Arc::downgrade(&self.inner), self.changes()));
        });
    }

    /// The platform, unless everybody else has let go of it.
    pub(crate) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(|inner| Self { inner })
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
}
