//! Who was let in of late, for those who cannot wait for a look at a store.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{AccountRef, Bound};

use crate::lock;

/// How many are remembered; where there are more the oldest are forgotten.
const CAPACITY: usize = 10_000;
/// How long somebody who was let in is remembered at least; twice as long at most.
const WINDOW: Duration = Duration::from_secs(600);

/// What was found out about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Paired, after so many pairings had been taken back in this process.
    pub(crate) paired: Option<u64>,
    /// Whose account it is.
    pub(crate) bound: Option<Bound>,
}

/// Accounts in two generations.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<AccountRef, Known>,
    old: HashMap<AccountRef, Known>,
    turned_at: Duration,
}

impl Lately {
    pub(crate) fn note(&self, account: &AccountRef, known: Known, now: Duration) {
        let mut lately = lock(&self.0);
        let age = now.saturating_sub(lately.turned_at);
        if age >= WINDOW || lately.young.len() >= CAPACITY / 2 {
            lately.old = std::mem::take(&mut lately.young);
            if age >= WINDOW * 2 {
                lately.old.clear();
            }
            lately.turned_at = now;
        }
        match lately.young.get_mut(account) {
            Some(before) => *before = known,
            None => drop(lately.young.insert(account.clone(), known)),
        }
    }

    pub(crate) fn find(&self, account: &AccountRef, now: Duration) -> Option<Known> {
        let lately = lock(&self.0);
        let age = now.saturating_sub(lately.turned_at);
        let young = lately.young.get(account).filter(|_| age < WINDOW * 2);
        let old = || lately.old.get(account).filter(|_| age < WINDOW);
        young.or_else(old).cloned()
    }

    pub(crate) fn forget(&self, account: &AccountRef) {
        let mut lately = lock(&self.0);
        lately.young.remove(account);
        lately.old.remove(account);
    }
}
