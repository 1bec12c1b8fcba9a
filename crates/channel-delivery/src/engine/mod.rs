//! What the inbox and the outbox have in common.

mod worker;

pub use worker::{Lost, Worker};

use std::sync::{Mutex, MutexGuard, PoisonError};

use channel_core::Random;

/// Nothing behind our locks is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that nobody else has: 128 random bits in hexadecimal.
pub(crate) fn random_name(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}
