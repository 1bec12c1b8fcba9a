//! What pairing remembers.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use channel_core::{AccountRef, Platform};
use serde::{Deserialize, Serialize};

use super::code::SaltedHash;

/// How long a pairing code holds.
pub(crate) const CODE_TTL: Duration = Duration::from_secs(3600);
/// How long an invite code holds.
pub(crate) const INVITE_TTL: Duration = Duration::from_secs(86_400);
/// How long a sender waits for another code.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(600);

/// Everything that pairing remembers, for the application to keep over a restart. It holds
/// salted hashes of codes, never a code.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PairingState {
    pub(crate) pending: Vec<PendingRecord>,
    pub(crate) paired: Vec<PairedRecord>,
    pub(crate) invites: Vec<InviteRecord>,
    pub(crate) asked: Vec<(AccountRef, SystemTime)>,
}

impl std::fmt::Debug for PairingState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairingState")
            .field("pending", &self.pending.len())
            .field("paired", &self.paired.len())
            .field("invites", &self.invites.len())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PendingRecord {
    pub(crate) id: String,
    pub(crate) account: AccountRef,
    pub(crate) name: Option<String>,
    pub(crate) hash: SaltedHash,
    pub(crate) requested_at: SystemTime,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PairedRecord {
    pub(crate) account: AccountRef,
    /// Aliases of one account share the id.
    pub(crate) id: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct InviteRecord {
    pub(crate) platform: String,
    pub(crate) hash: SaltedHash,
    pub(crate) issued_at: SystemTime,
    pub(crate) issued_by: String,
}

/// The same, ready to be asked.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) pending: Vec<PendingRecord>,
    pub(crate) paired: HashMap<AccountRef, String>,
    pub(crate) invites: Vec<InviteRecord>,
    pub(crate) asked: HashMap<AccountRef, SystemTime>,
}

impl Memory {
    /// Forgets what has expired.
    pub(crate) fn sweep(&mut self, now: SystemTime) {
        self.pending
            .retain(|pending| age(now, pending.requested_at) <= CODE_TTL);
        self.invites
            .retain(|invite| age(now, invite.issued_at) <= INVITE_TTL);
        self.asked.retain(|_, at| age(now, *at) < ASK_AGAIN);
    }

    pub(crate) fn pending_on(&self, platform: &Platform) -> usize {
        let on = |pending: &&PendingRecord| pending.account.platform == *platform;
        self.pending.iter().filter(on).count()
    }

    pub(crate) fn invites_on(&self, platform: &Platform) -> usize {
        let on = |invite: &&InviteRecord| invite.platform == platform.as_str();
        self.invites.iter().filter(on).count()
    }

    /// Forgets an account and all its aliases; says whether there was anything to forget.
    pub(crate) fn forget(&mut self, account: &AccountRef) -> bool {
        let before = self.paired.len() + self.pending.len();
        if let Some(id) = self.paired.get(account).cloned() {
            self.paired.retain(|_, other| *other != id);
        }
        self.pending.retain(|pending| pending.account != *account);
        self.paired.len() + self.pending.len() < before
    }

    pub(crate) fn write(&self) -> PairingState {
        PairingState {
            pending: self.pending.clone(),
            paired: self
                .paired
                .iter()
                .map(|(account, id)| PairedRecord {
                    account: account.clone(),
                    id: id.clone(),
                })
                .collect(),
            invites: self.invites.clone(),
            asked: self
                .asked
                .iter()
                .map(|(account, at)| (account.clone(), *at))
                .collect(),
        }
    }

    pub(crate) fn read(state: PairingState) -> Self {
        Self {
            pending: state.pending,
            paired: state
                .paired
                .into_iter()
                .map(|paired| (paired.account, paired.id))
                .collect(),
            invites: state.invites,
            asked: state.asked.into_iter().collect(),
        }
    }
}

/// How old something is; what lies in the future is not old.
fn age(now: SystemTime, since: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}
