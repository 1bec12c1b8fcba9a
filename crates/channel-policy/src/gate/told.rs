//! Who has been told something lately, so that nobody is told twice.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::AccountRef;

use crate::lock;

/// How long somebody is remembered at least; twice as long at most.
const WINDOW: Duration = Duration::from_secs(600);
/// How many are remembered; where there are more the oldest may be told again.
const CAPACITY: usize = 10_000;

/// Remembers accounts for a while, in two generations.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<AccountRef>,
    old: HashSet<AccountRef>,
    turned_at: Duration,
}

impl Told {
    /// Whether this is the first time in a while.
    pub(crate) fn first(&self, account: &AccountRef, now: Duration) -> bool {
        let mut told = lock(&self.0);
        if now.saturating_sub(told.turned_at) >= WINDOW || told.young.len() >= CAPACITY / 2 {
            told.old = std::mem::take(&mut told.young);
            told.turned_at = now;
        }
        if told.old.contains(account) {
            return false;
        }
        told.young.insert(account.clone())
    }
}
