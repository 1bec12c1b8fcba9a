//! Who has been told something lately, so that nobody is told twice.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::AccountRef;

use crate::lock;

/// How many are remembered; where there are more the oldest are forgotten.
const CAPACITY: usize = 10_000;

/// Remembers accounts for a time at least and twice as long at most, in two generations.
#[derive(Debug)]
pub(crate) struct Told {
    window: Duration,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<AccountRef>,
    old: HashSet<AccountRef>,
    turned_at: Duration,
}

impl Told {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            generations: Mutex::default(),
        }
    }

    /// Whether this is the first time in a while.
    pub(crate) fn first(&self, account: &AccountRef, now: Duration) -> bool {
        let mut told = lock(&self.generations);
        if now.saturating_sub(told.turned_at) >= self.window || told.young.len() >= CAPACITY / 2 {
            told.old = std::mem::take(&mut told.young);
            told.turned_at = now;
        }
        if told.old.contains(account) {
            return false;
        }
        told.young.insert(account.clone())
    }

    pub(crate) fn knows(&self, account: &AccountRef) -> bool {
        let told = lock(&self.generations);
        told.young.contains(account) || told.old.contains(account)
    }

    pub(crate) fn forget(&self, account: &AccountRef) {
        let mut told = lock(&self.generations);
        told.young.remove(account);
        told.old.remove(account);
    }
}
