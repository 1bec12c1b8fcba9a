//! When what goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scenario::{Scenario, is_in};
use super::world::World;

/// Decides at every seam whether it fails this time.
#[derive(Debug)]
pub(super) struct Hazard {
    pub(super) world: Arc<World>,
    pub(super) scenario: Arc<Scenario>,
    crashes: AtomicU64,
}

impl Hazard {
    pub(super) fn new(world: &Arc<World>, scenario: &Arc<Scenario>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            scenario: Arc::clone(scenario),
            crashes: AtomicU64::new(scenario.crashes),
        })
    }

    /// Whether a call of the store fails and writes nothing.
    pub(super) fn store_fails(&self) -> bool {
        let now = self.world.elapsed();
        let out = is_in(&self.scenario.outages, now);
        if out && !self.world.is_calm() {
            self.world.disturb();
            return true;
        }
        self.world.fault(self.scenario.rates.store_error)
    }

    /// Whether the store has written and its answer is lost.
    pub(super) fn loses_answer(&self) -> bool {
        self.world.fault(self.scenario.rates.store_lost)
    }

    /// Whether the process dies here.
    pub(super) fn crashes(&self, permille: u64) -> bool {
        let left = self.crashes.load(Ordering::Relaxed);
        let now = self.world.fault(permille) && left > 0;
        if now {
            self.crashes.store(left - 1, Ordering::Relaxed);
        }
        now
    }
}
