//! The life of one simulated process.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use channel_core::Clock;
use futures_core::future::BoxFuture;

use super::world::World;
use crate::wait::Shared;

/// What a process can do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    /// Stands still, as in a long pause of its machine, and does not know it.
    Paused,
    Dead,
}

/// Stands at every seam of one process. A process that is dead gets no further than the
/// next seam, for ever: what it would have done next never happens, and no destructor of
/// ours can tidy up after it.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) number: u64,
    life: Shared<Life>,
    world: Arc<World>,
}

impl Gate {
    pub(super) fn new(number: u64, world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            number,
            life: Shared::new(Life::Alive),
            world: Arc::clone(world),
        })
    }

    pub(super) fn is_dead(&self) -> bool {
        self.life.read(|life| *life == Life::Dead)
    }

    /// Ready once the process runs; never, once it is dead.
    pub(super) async fn pass(&self) {
        let runs = |life: &mut Life| (*life != Life::Paused).then_some(*life);
        if self.life.until(runs).await == Life::Dead {
            pending::<()>().await;
        }
    }

    pub(super) fn kill(&self, why: &str) {
        if !self.is_dead() {
            self.world
                .note(|| format!("p{} is killed {why}", self.number));
            self.life.change(|life| *life = Life::Dead);
        }
    }

    /// Dies and never returns.
    pub(super) async fn die<T>(&self, why: &str) -> T {
        self.kill(why);
        pending().await
    }

    pub(super) fn pause(&self) {
        self.change(Life::Alive, Life::Paused, "stands still");
    }

    pub(super) fn resume(&self) {
        self.change(Life::Paused, Life::Alive, "goes on");
    }

    fn change(&self, from: Life, to: Life, what: &str) {
        if self.life.read(|life| *life == from) {
            self.world.disturb();
            self.world.note(|| format!("p{} {what}", self.number));
            self.life.change(|life| *life = to);
        }
    }

    /// Waits, and then until the process runs.
    pub(super) async fn sleep(&self, duration: Duration) {
        if !duration.is_zero() {
            self.world.clock.sleep(duration).await;
        }
        self.pass().await;
    }
}

/// The clock as one process sees it: its sleepers do not wake while it stands still.
#[derive(Clone)]
pub(super) struct ProcessClock(pub(super) Arc<Gate>);

impl fmt::Debug for ProcessClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessClock({})", self.0.number)
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> SystemTime {
        self.0.world.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.world.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let gate = Arc::clone(&self.0);
        // Made now and not at the first poll, as the deadline counts from here.
        let slept = gate.world.clock.sleep(duration);
        Box::pin(async move {
            slept.await;
            gate.pass().await;
        })
    }
}
