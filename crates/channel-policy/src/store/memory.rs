//! What the policies remember, in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{AccountRef, Platform, Result};

use super::{Asked, Invite, PairingRequest, PolicyStore, Tries};
use crate::lock;
use crate::lockout::Lockout;

/// How many are remembered who guess at something.
const GUESSERS: usize = 10_000;
/// How many settled commands are remembered.
const SETTLED: usize = 4096;

/// A [`PolicyStore`] that a restart empties.
pub struct MemoryPolicies {
    approvals: Lockout<String>,
    invitations: Lockout<String>,
    connections: Lockout<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: Vec<PairingRequest>,
    asked: HashMap<AccountRef, SystemTime>,
    /// Aliases of one account share the id.
    paired: HashMap<AccountRef, String>,
    invites: Vec<Invite>,
    settled: HashSet<String>,
    settled_order: VecDeque<String>,
}

impl Default for MemoryPolicies {
    fn default() -> Self {
        let lockout = || Lockout::new(Tries::LIMIT, Tries::LOCK_FOR, GUESSERS);
        Self {
            approvals: lockout(),
            invitations: lockout(),
            connections: lockout(),
            state: Mutex::default(),
        }
    }
}

impl fmt::Debug for MemoryPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryPolicies")
            .field("requests", &state.requests.len())
            .field("paired", &state.paired.len())
            .field("invites", &state.invites.len())
            .finish_non_exhaustive()
    }
}

impl MemoryPolicies {
    /// Nobody is paired, nobody waits, nobody is locked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    const fn lockout(&self, tries: Tries) -> &Lockout<String> {
        match tries {
            Tries::Approval => &self.approvals,
            Tries::Invite => &self.invitations,
            Tries::Connect => &self.connections,
        }
    }
}

impl State {
    /// Forgets what has expired.
    fn sweep(&mut self, now: SystemTime) {
        self.requests
            .retain(|it| age(now, it.requested_at) <= PairingRequest::TTL);
        self.invites
            .retain(|it| age(now, it.issued_at) <= Invite::TTL);
        self.asked
            .retain(|_, at| age(now, *at) < PairingRequest::AGAIN);
    }
}

#[async_trait]
impl PolicyStore for MemoryPolicies {
    async fn begin(&self, tries: Tries, key: &str, now: SystemTime) -> Result<bool> {
        let now = age(now, SystemTime::UNIX_EPOCH);
        Ok(self.lockout(tries).begin(&key.to_owned(), now))
    }
    async fn succeeded(&self, tries: Tries, key: &str) -> Result<()> {
        self.lockout(tries).succeeded(&key.to_owned());
        Ok(())
    }
    async fn withdraw(&self, tries: Tries, key: &str) -> Result<()> {
        self.lockout(tries).withdraw(&key.to_owned());
        Ok(())
    }

    async fn settle(&self, digest: &str, _now: SystemTime) -> Result<bool> {
        let mut state = self.state();
        if !state.settled.insert(digest.to_owned()) {
            return Ok(false);
        }
        state.settled_order.push_back(digest.to_owned());
        if state.settled_order.len() > SETTLED
            && let Some(oldest) = state.settled_order.pop_front()
        {
            state.settled.remove(&oldest);
        }
        Ok(true)
    }
    async fn unsettle(&self, digest: &str) -> Result<()> {
        let mut state = self.state();
        state.settled.remove(digest);
        state.settled_order.retain(|known| known != digest);
        Ok(())
    }

    async fn is_paired(&self, account: &AccountRef) -> Result<bool> {
        Ok(self.state().paired.contains_key(account))
    }

    async fn ask(&self, request: &PairingRequest) -> Result<Asked> {
        let mut state = self.state();
        state.sweep(request.requested_at);
        if state.asked.contains_key(&request.account) {
            return Ok(Asked::TooSoon);
        }
        // A second code for the same request would make two ways in.
        state.requests.retain(|it| it.account != request.account);
        let platform = &request.account.platform;
        let on = |it: &&PairingRequest| it.account.platform == *platform;
        if state.requests.iter().filter(on).count() >= PairingRequest::MOST {
            return Ok(Asked::Full);
        }
        state
            .asked
            .insert(request.account.clone(), request.requested_at);
        state.requests.push(request.clone());
        Ok(Asked::Kept)
    }

    async fn requests(&self, now: SystemTime) -> Result<Vec<PairingRequest>> {
        let mut state = self.state();
        state.sweep(now);
        Ok(state.requests.clone())
    }

    async fn approve(&self, id: &str, now: SystemTime) -> Result<Option<AccountRef>> {
        let mut state = self.state();
        state.sweep(now);
        let Some(found) = state.requests.iter().position(|it| it.id == id) else {
            return Ok(None);
        };
        let request = state.requests.remove(found);
        state.paired.insert(request.account.clone(), request.id);
        Ok(Some(request.account))
    }

    async fn reject(&self, id: &str) -> Result<Option<AccountRef>> {
        let mut state = self.state();
        let found = state.requests.iter().position(|it| it.id == id);
        Ok(found.map(|found| state.requests.remove(found).account))
    }

    async fn add_alias(&self, account: &AccountRef, alias: &AccountRef) -> Result<bool> {
        let mut state = self.state();
        let Some(id) = state.paired.get(account).cloned() else {
            return Ok(false);
        };
        state.paired.insert(alias.clone(), id);
        Ok(true)
    }

    async fn revoke(&self, account: &AccountRef) -> Result<bool> {
        let mut state = self.state();
        let before = state.paired.len() + state.requests.len();
        if let Some(id) = state.paired.get(account).cloned() {
            state.paired.retain(|_, other| *other != id);
        }
        state.requests.retain(|it| it.account != *account);
        Ok(state.paired.len() + state.requests.len() < before)
    }

    async fn issue(&self, invite: &Invite) -> Result<bool> {
        let mut state = self.state();
        state.sweep(invite.issued_at);
        let on = |it: &&Invite| it.platform == invite.platform;
        if state.invites.iter().filter(on).count() >= Invite::MOST {
            return Ok(false);
        }
        state.invites.push(invite.clone());
        Ok(true)
    }

    async fn invites(&self, platform: &Platform, now: SystemTime) -> Result<Vec<Invite>> {
        let mut state = self.state();
        state.sweep(now);
        let on = |it: &&Invite| it.platform == *platform;
        Ok(state.invites.iter().filter(on).cloned().collect())
    }

    async fn use_invite(&self, id: &str, account: &AccountRef, now: SystemTime) -> Result<bool> {
        let mut state = self.state();
        state.sweep(now);
        let Some(found) = state.invites.iter().position(|it| it.id == id) else {
            return Ok(false);
        };
        let invite = state.invites.remove(found);
        state.requests.retain(|it| it.account != *account);
        state.paired.insert(account.clone(), invite.id);
        Ok(true)
    }
}

/// How old something is; what lies in the future is not old.
fn age(now: SystemTime, since: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}
