//! Bindings in memory: for tests, and for bots that may forget.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use channel_core::{AccountRef, BindingId, Hold, OwnerId, Platform, Result};

use crate::code::CodeHash;
use crate::flights::{Flights, Whose};
use crate::record::{BindingRecord, BindingStatus};
use crate::store::{
    BindingStore, Closed, ConversationKey, Details, Disconnected, LiveCodes, Minted, NewCode,
    Redeemed, Redemption, SealedCredential, TrailEntry,
};

/// How many lines of the trail are kept.
const TRAIL: usize = 10_000;

/// A [`BindingStore`] that a restart empties. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryBindings {
    state: Arc<Mutex<State>>,
    flights: Flights,
}

#[derive(Default)]
struct State {
    codes: HashMap<CodeHash, Code>,
    bindings: HashMap<BindingId, BindingRecord>,
    /// The binding that holds, by platform, workspace and account.
    active: HashMap<AccountRef, BindingId>,
    credentials: HashMap<BindingId, SealedCredential>,
    threads: HashMap<ConversationKey, String>,
    trail: VecDeque<(OwnerId, TrailEntry)>,
}

struct Code {
    owner: OwnerId,
    platform: Platform,
    expires_at: SystemTime,
    consumed_by: Option<String>,
}

impl Code {
    fn is_live(&self, now: SystemTime) -> bool {
        self.consumed_by.is_none() && now <= self.expires_at
    }
}

impl MemoryBindings {
    /// Nothing is bound.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryBindings")
            .field("codes", &state.codes.len())
            .field("bindings", &state.bindings.len())
            .finish_non_exhaustive()
    }
}

/// The account as a key: no workspace and an empty one are the same.
fn key(account: &AccountRef) -> AccountRef {
    let mut key = account.clone();
    key.workspace = key.workspace.filter(|it| !it.as_str().is_empty());
    key
}

impl State {
    /// Takes what holds away from a binding.
    fn revoke(&mut self, id: &BindingId, action: &str, now: SystemTime) -> Option<BindingRecord> {
        let record = self.bindings.get_mut(id)?;
        if record.status == BindingStatus::Revoked {
            return None;
        }
        record.status = BindingStatus::Revoked;
        record.updated_at = now;
        let record = record.clone();
        self.active.remove(&key(&record.account));
        self.credentials.remove(id);
        self.note(action, &record, now);
        Some(record)
    }

    fn note(&mut self, action: &str, record: &BindingRecord, now: SystemTime) {
        let line = TrailEntry::new(now, action, record.platform().as_str())
            .about(record.id.clone(), record.account.sender.as_str());
        self.push(record.owner.clone(), line);
    }

    fn push(&mut self, owner: OwnerId, line: TrailEntry) {
        if self.trail.len() >= TRAIL {
            self.trail.pop_front();
        }
        self.trail.push_back((owner, line));
    }

    fn bind(&mut self, owner: OwnerId, from: &Redemption) -> Redeemed {
        let same =
            |record: &&BindingRecord| record.account == from.account && record.owner == owner;
        let known = self.bindings.values().find(same).cloned();
        let held = self
            .active
            .get(&key(&from.account))
            .filter(|id| known.as_ref().is_none_or(|known| known.id != **id))
            .cloned();
        let former = held.and_then(|id| self.revoke(&id, "moved_away", from.now));
        let mut record = known.unwrap_or_else(|| fresh(owner, from));
        record.status = BindingStatus::Connected;
        record.proof = from.proof;
        record.account_name.clone_from(&from.account_name);
        record.updated_at = from.now;
        let active = key(&record.account);
        self.active.insert(active, record.id.clone());
        self.bindings.insert(record.id.clone(), record.clone());
        self.note("connected", &record, from.now);
        Redeemed::Bound {
            binding: Box::new(record),
            former: former.into_iter().collect(),
        }
    }
}

fn fresh(owner: OwnerId, from: &Redemption) -> BindingRecord {
    BindingRecord {
        id: from.id.clone(),
        owner,
        status: BindingStatus::Connected,
        account: from.account.clone(),
        proof: from.proof,
        account_name: None,
        workspace_name: None,
        bot_user_id: None,
        scopes: Vec::new(),
        capabilities: Vec::new(),
        metadata: serde_json::Value::Null,
        created_at: from.now,
        updated_at: from.now,
        last_seen_at: None,
        last_error_at: None,
    }
}

#[async_trait]
impl BindingStore for MemoryBindings {
    async fn mint(&self, code: &NewCode, live: LiveCodes) -> Result<Minted> {
        let mut state = self.state();
        let is_own = |it: &Code| it.owner == code.owner && it.platform == code.platform;
        state
            .codes
            .retain(|_, it| !is_own(it) || code.now <= it.expires_at);
        let is_live = |it: &Code| is_own(it) && it.is_live(code.now);
        match live {
            LiveCodes::AtMost(most) => {
                let live = state.codes.values().filter(|it| is_live(it)).count();
                if live >= most as usize {
                    return Ok(Minted::Full);
                }
            }
            LiveCodes::Newest => state.codes.retain(|_, it| !is_live(it)),
        }
        let kept = Code {
            owner: code.owner.clone(),
            platform: code.platform.clone(),
            expires_at: code.expires_at,
            consumed_by: None,
        };
        state.codes.insert(code.hash.clone(), kept);
        Ok(Minted::Kept)
    }

    async fn is_live(&self, hash: &CodeHash, platform: &Platform, now: SystemTime) -> Result<bool> {
        let state = self.state();
        let code = state.codes.get(hash);
        Ok(code.is_some_and(|code| code.platform == *platform && code.is_live(now)))
    }

    async fn redeem(&self, redemption: &Redemption) -> Result<Redeemed> {
        let mut state = self.state();
        let now = redemption.now;
        state.codes.retain(|_, code| now <= code.expires_at);
        let Some(code) = state
            .codes
            .get_mut(&redemption.hash)
            .filter(|code| code.platform == redemption.account.platform)
        else {
            return Ok(Redeemed::Invalid);
        };
        if code.is_live(now) {
            code.consumed_by = Some(redemption.message.clone());
            let owner = code.owner.clone();
            return Ok(state.bind(owner, redemption));
        }
        let same = code.consumed_by.as_deref() == Some(redemption.message.as_str());
        Ok(if same {
            Redeemed::Replayed
        } else {
            Redeemed::Invalid
        })
    }

    async fn burn(
        &self,
        hash: &CodeHash,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Option<OwnerId>> {
        let mut state = self.state();
        let live = state
            .codes
            .get_mut(hash)
            .filter(|code| code.platform == *platform && code.is_live(now));
        let Some(code) = live else {
            return Ok(None);
        };
        code.consumed_by = Some(String::new());
        let owner = code.owner.clone();
        let line = TrailEntry::new(now, "code_exposed", platform.as_str());
        state.push(owner.clone(), line);
        Ok(Some(owner))
    }

    async fn resolve(&self, account: &AccountRef, personal: bool) -> Result<Option<BindingRecord>> {
        let state = self.state();
        let mut key = key(account);
        let exact = state.active.get(&key);
        let found = match exact {
            None if personal && key.workspace.take().is_some() => state.active.get(&key),
            exact => exact,
        };
        Ok(found.and_then(|id| state.bindings.get(id)).cloned())
    }

    async fn begin_message(&self, account: &AccountRef) -> Result<Option<Hold>> {
        Ok(self.flights.begin_now(account).map(Hold::new))
    }

    async fn hold_back(&self, whose: &Whose) -> Result<Option<Box<dyn Closed>>> {
        Ok(Some(Box::new(self.flights.close(whose.clone()))))
    }

    async fn find(&self, owner: &OwnerId, id: &BindingId) -> Result<Option<BindingRecord>> {
        let state = self.state();
        let own = state.bindings.get(id).filter(|it| it.owner == *owner);
        Ok(own.cloned())
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<BindingRecord>> {
        let state = self.state();
        let own = state.bindings.values().filter(|it| it.owner == *owner);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by(|a, b| (b.updated_at, &b.id).cmp(&(a.updated_at, &a.id)));
        Ok(own)
    }

    async fn disconnect(
        &self,
        owner: &OwnerId,
        id: &BindingId,
        now: SystemTime,
    ) -> Result<Disconnected> {
        let mut state = self.state();
        let Some(record) = state.bindings.get(id).filter(|it| it.owner == *owner) else {
            return Ok(Disconnected::NotFound);
        };
        let before = Box::new(record.clone());
        Ok(match state.revoke(id, "revoked", now) {
            Some(record) => Disconnected::Revoked(Box::new(record)),
            None => Disconnected::Already(before),
        })
    }

    async fn revoke_platform(
        &self,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Vec<BindingRecord>> {
        let mut state = self.state();
        let on = |(_, record): &(_, &BindingRecord)| record.platform() == platform;
        let all: Vec<_> = state
            .bindings
            .iter()
            .filter(on)
            .map(|it| it.0.clone())
            .collect();
        Ok(all
            .iter()
            .filter_map(|id| state.revoke(id, "revoked", now))
            .collect())
    }

    async fn purge(&self, owner: &OwnerId) -> Result<u64> {
        let mut state = self.state();
        let own = |(_, record): &(_, &BindingRecord)| record.owner == *owner;
        let all: Vec<_> = state
            .bindings
            .iter()
            .filter(own)
            .map(|it| it.0.clone())
            .collect();
        state.codes.retain(|_, code| code.owner != *owner);
        state.threads.retain(|key, _| !all.contains(&key.binding));
        state.active.retain(|_, id| !all.contains(id));
        for id in &all {
            state.bindings.remove(id);
            state.credentials.remove(id);
        }
        state.trail.retain(|(whose, _)| whose != owner);
        Ok(all.len() as u64)
    }

    async fn touch(&self, id: &BindingId, at: SystemTime, failed: bool) -> Result<()> {
        if let Some(record) = self.state().bindings.get_mut(id) {
            if failed {
                record.last_error_at = Some(at);
            } else {
                record.last_seen_at = Some(at);
            }
        }
        Ok(())
    }

    async fn describe(&self, owner: &OwnerId, id: &BindingId, details: &Details) -> Result<bool> {
        let mut state = self.state();
        let own = state.bindings.get_mut(id).filter(|it| it.owner == *owner);
        let Some(record) = own else {
            return Ok(false);
        };
        record.workspace_name.clone_from(&details.workspace_name);
        record.bot_user_id.clone_from(&details.bot_user_id);
        record.scopes.clone_from(&details.scopes);
        record.capabilities.clone_from(&details.capabilities);
        record.metadata.clone_from(&details.metadata);
        Ok(true)
    }

    async fn thread(&self, key: &ConversationKey, fresh: &str, _now: SystemTime) -> Result<String> {
        let mut state = self.state();
        let thread = state
            .threads
            .entry(key.clone())
            .or_insert_with(|| fresh.to_owned());
        Ok(thread.clone())
    }

    async fn put_credential(&self, id: &BindingId, sealed: &str) -> Result<Option<i64>> {
        let mut state = self.state();
        let holds = |it: &BindingRecord| it.status == BindingStatus::Connected;
        if !state.bindings.get(id).is_some_and(holds) {
            return Ok(None);
        }
        let version = state.credentials.get(id).map_or(0, |it| it.version) + 1;
        let sealed = SealedCredential::new(sealed.to_owned(), version);
        state.credentials.insert(id.clone(), sealed);
        Ok(Some(version))
    }

    async fn credential(&self, id: &BindingId) -> Result<Option<SealedCredential>> {
        Ok(self.state().credentials.get(id).cloned())
    }

    async fn credentials(
        &self,
        after: Option<&BindingId>,
        limit: u32,
    ) -> Result<Vec<(BindingRecord, SealedCredential)>> {
        let state = self.state();
        let is_next = |id: &&BindingId| after.is_none_or(|after| *id > after);
        let mut ids: Vec<_> = state.credentials.keys().filter(is_next).collect();
        ids.sort();
        ids.truncate(limit as usize);
        let with_binding = |id: &BindingId| {
            let binding = state.bindings.get(id)?;
            Some((binding.clone(), state.credentials.get(id)?.clone()))
        };
        Ok(ids.into_iter().filter_map(with_binding).collect())
    }

    async fn replace_credential(&self, id: &BindingId, version: i64, sealed: &str) -> Result<bool> {
        let mut state = self.state();
        let kept = state.credentials.get_mut(id);
        let Some(kept) = kept.filter(|kept| kept.version == version) else {
            return Ok(false);
        };
        *kept = SealedCredential::new(sealed.to_owned(), version + 1);
        Ok(true)
    }

    async fn trail(&self, owner: &OwnerId, limit: u32) -> Result<Vec<TrailEntry>> {
        let state = self.state();
        let own = state.trail.iter().rev().filter(|(whose, _)| whose == owner);
        Ok(own
            .map(|(_, line)| line.clone())
            .take(limit as usize)
            .collect())
    }

    async fn sweep(&self, now: SystemTime, trail_before: SystemTime) -> Result<()> {
        let mut state = self.state();
        state.codes.retain(|_, code| now <= code.expires_at);
        state.trail.retain(|(_, line)| line.at >= trail_before);
        Ok(())
    }
}
