#![doc = include_str!("../README.md")]

mod access;
mod allowlist;
mod audit;
mod command;
mod context;
mod gate;
mod identity;
mod lockout;
mod pairing;
mod rate;
mod reason;
mod store;
mod trigger;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use access::{AccessConfig, DirectPolicy};
pub use allowlist::Allowlist;
pub use audit::{Audit, AuditEvent, AuditRing};
pub use channel_core::Case;
pub use command::{CommandLine, Line, Normaliser, ParseError, tokenise};
pub use gate::{Gate, GateBuilder, Stage};
pub use identity::{Directory, Identities, Resolution, Settled};
pub use lockout::Lockout;
pub use pairing::{ApprovalError, Invited, Pairing, Pending, Requested, SaltedHash};
pub use rate::{Admission, RateLimiter, RateLimits};
pub use reason::Reason;
pub use store::{Asked, Invite, MemoryPolicies, PairingRequest, PolicyStore, Tries, account_key};
pub use trigger::{GroupConfig, GroupMode, GroupTriggers, Trigger};

/// Takes a lock whose holder may have panicked: what it guards is whole after each step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
