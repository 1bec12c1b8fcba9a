//! Pairing: strangers ask, an administrator approves.

mod code;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{AccountRef, Clock, Platform, Random, Secret};

use crate::audit::{Audit, AuditEvent};
use crate::lock;
use crate::lockout::Lockout;
use code::SaltedHash;
pub use state::PairingState;
use state::{CODE_TTL, InviteRecord, Memory, PendingRecord};

/// How many may wait for approval on one platform.
const MOST_PENDING: usize = 3;
/// How many invite codes may be out on one platform.
const MOST_INVITES: usize = 10;
/// Wrong codes in a row that lock whoever types them.
const FAILURES: u32 = 5;
const LOCK_FOR: Duration = Duration::from_secs(3600);
const CODE_SYMBOLS: usize = 8;
const INVITE_SYMBOLS: usize = 12;

/// What a stranger gets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Requested {
    /// A code to show to an administrator. It is not kept: this is the only time to see it.
    Code(Secret),
    /// Nothing: a code was given in the last 600 s, or waits for approval.
    Waiting,
    /// Nothing: three wait on this platform already.
    Full,
}

/// Why an approval was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApprovalError {
    /// Five wrong codes in a row: no code is looked at for an hour.
    Locked,
    /// Nobody waits with this code or request id, or no longer.
    Unknown,
}

impl fmt::Display for ApprovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked => "too many wrong pairing codes, try again in an hour or use the id",
            Self::Unknown => "no request waits under this code or id",
        })
    }
}

impl std::error::Error for ApprovalError {}

/// Ten invite codes are out on a platform: use or wait for those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvitesFull;

impl fmt::Display for InvitesFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ten invite codes of this platform are unused already")
    }
}

impl std::error::Error for InvitesFull {}

/// What became of an invite code that a stranger sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invited {
    /// It was right: the sender is paired.
    Accepted,
    /// It was wrong, used or expired.
    Invalid,
    /// Five wrong ones in a row: none is looked at for an hour.
    Locked,
}

/// A request that waits for approval. It does not hold the code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// 16 hex digits that an administrator may approve by.
    pub id: String,
    /// Who asks.
    pub account: AccountRef,
    /// The name that they show; chosen by themselves.
    pub name: Option<String>,
    /// When they asked.
    pub requested_at: SystemTime,
    /// The last moment at which the request can be approved.
    pub expires_at: SystemTime,
}

/// Lets strangers ask and administrators approve.
///
/// A code is 8 of 32 symbols and holds for an hour; a sender gets one in ten minutes, three
/// wait per platform. Five wrong codes in a row lock whoever types them for an hour.
/// Everything is in memory; [`snapshot`](Self::snapshot) and [`restore`](Self::restore)
/// carry it over a restart.
pub struct Pairing {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    audit: Option<Arc<dyn Audit>>,
    memory: Mutex<Memory>,
    approvals: Lockout<String>,
    invitations: Lockout<AccountRef>,
}

impl Pairing {
    /// Nobody is paired, nobody waits.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            clock,
            random,
            audit: None,
            memory: Mutex::default(),
            approvals: Lockout::new(FAILURES, LOCK_FOR, 1024),
            invitations: Lockout::new(FAILURES, LOCK_FOR, 10_000),
        }
    }

    /// Records approvals and the like.
    #[must_use]
    pub fn audit(mut self, audit: Arc<dyn Audit>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Begins with what another one has remembered.
    #[must_use]
    pub fn restore(self, state: PairingState) -> Self {
        *lock(&self.memory) = Memory::read(state);
        self
    }

    /// Everything to remember over a restart.
    #[must_use]
    pub fn snapshot(&self) -> PairingState {
        let mut memory = lock(&self.memory);
        memory.sweep(self.clock.now());
        memory.write()
    }

    /// Whether an account is paired.
    #[must_use]
    pub fn is_paired(&self, account: &AccountRef) -> bool {
        lock(&self.memory).paired.contains_key(account)
    }

    /// A stranger asks, in a direct chat. The name is for the administrator's eye.
    #[must_use]
    pub fn request(&self, account: &AccountRef, name: Option<&str>) -> Requested {
        let now = self.clock.now();
        let mut memory = lock(&self.memory);
        memory.sweep(now);
        let waits = memory.pending.iter().any(|it| it.account == *account);
        if memory.asked.contains_key(account) {
            return Requested::Waiting;
        }
        if waits {
            // A second code for the same request would make two ways in.
            memory.pending.retain(|it| it.account != *account);
        }
        if memory.pending_on(&account.platform) >= MOST_PENDING {
            return Requested::Full;
        }
        let code = code::generate(self.random.as_ref(), CODE_SYMBOLS);
        memory.asked.insert(account.clone(), now);
        memory.pending.push(PendingRecord {
            id: self.id(),
            account: account.clone(),
            name: name.map(|name| name.chars().take(128).collect()),
            hash: SaltedHash::new(self.random.as_ref(), &code),
            requested_at: now,
        });
        drop(memory);
        self.record("pairing_requested", false, account, None);
        Requested::Code(Secret::new(code))
    }

    /// Who waits for approval.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let mut memory = lock(&self.memory);
        memory.sweep(self.clock.now());
        let show = |it: &PendingRecord| Pending {
            id: it.id.clone(),
            account: it.account.clone(),
            name: it.name.clone(),
            requested_at: it.requested_at,
            expires_at: it.requested_at + CODE_TTL,
        };
        memory.pending.iter().map(show).collect()
    }

    /// Approves by code, in any case, or by request id. The actor is whoever approves: the
    /// name of an administrator.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`]. An id is no secret and never locks.
    pub fn approve(&self, actor: &str, code_or_id: &str) -> Result<AccountRef, ApprovalError> {
        let wanted = code_or_id.trim();
        if is_id(wanted) {
            let wanted = wanted.to_ascii_lowercase();
            return self.settle(actor, |pending| pending.id == wanted);
        }
        let actor_key = actor.to_owned();
        if !self.approvals.begin(&actor_key, self.clock.elapsed()) {
            return Err(ApprovalError::Locked);
        }
        let code = code::read(wanted, CODE_SYMBOLS).ok_or(ApprovalError::Unknown)?;
        let approved = self.settle(actor, |pending| pending.hash.is_of(&code))?;
        self.approvals.succeeded(&actor_key);
        Ok(approved)
    }

    fn settle(
        &self,
        actor: &str,
        wanted: impl Fn(&PendingRecord) -> bool,
    ) -> Result<AccountRef, ApprovalError> {
        let mut memory = lock(&self.memory);
        memory.sweep(self.clock.now());
        let found = memory.pending.iter().position(wanted);
        let pending = memory
            .pending
            .swap_remove(found.ok_or(ApprovalError::Unknown)?);
        memory.paired.insert(pending.account.clone(), pending.id);
        drop(memory);
        self.record("pairing_approved", true, &pending.account, Some(actor));
        Ok(pending.account)
    }

    /// Refuses a request by its id; says whether there was one.
    pub fn reject(&self, actor: &str, id: &str) -> bool {
        let mut memory = lock(&self.memory);
        let Some(found) = memory.pending.iter().position(|it| it.id == id) else {
            return false;
        };
        let pending = memory.pending.swap_remove(found);
        drop(memory);
        self.record("pairing_rejected", false, &pending.account, Some(actor));
        true
    }

    /// Says that a paired account is also known as another; `false` if it is not paired.
    pub fn add_alias(&self, account: &AccountRef, alias: &AccountRef) -> bool {
        let mut memory = lock(&self.memory);
        let Some(id) = memory.paired.get(account).cloned() else {
            return false;
        };
        memory.paired.insert(alias.clone(), id);
        true
    }

    /// Takes the pairing of an account and of all its aliases back, at once; says whether
    /// there was anything to take back.
    pub fn revoke(&self, actor: &str, account: &AccountRef) -> bool {
        let forgotten = lock(&self.memory).forget(account);
        if forgotten {
            self.record("pairing_revoked", false, account, Some(actor));
        }
        forgotten
    }

    /// Issues an invite code, `XXXX-XXXX-XXXX`: whoever sends it first in a direct chat
    /// within a day is paired.
    ///
    /// # Errors
    ///
    /// [`InvitesFull`] if ten are out on this platform.
    pub fn invite(&self, actor: &str, platform: &Platform) -> Result<Secret, InvitesFull> {
        let now = self.clock.now();
        let mut memory = lock(&self.memory);
        memory.sweep(now);
        if memory.invites_on(platform) >= MOST_INVITES {
            return Err(InvitesFull);
        }
        let code = code::generate(self.random.as_ref(), INVITE_SYMBOLS);
        memory.invites.push(InviteRecord {
            platform: platform.as_str().to_owned(),
            hash: SaltedHash::new(self.random.as_ref(), &code),
            issued_at: now,
            issued_by: actor.to_owned(),
        });
        Ok(Secret::new(dashed(&code)))
    }

    /// Takes an invite code that a stranger sent in a direct chat; `None` if the text does
    /// not look like one.
    #[must_use]
    pub fn accept(&self, account: &AccountRef, text: &str) -> Option<Invited> {
        let code = undashed(text)?;
        if !self.invitations.begin(account, self.clock.elapsed()) {
            return Some(Invited::Locked);
        }
        let mut memory = lock(&self.memory);
        memory.sweep(self.clock.now());
        let found = memory.invites.iter().position(|invite| {
            invite.platform == account.platform.as_str() && invite.hash.is_of(&code)
        });
        let Some(found) = found else {
            return Some(Invited::Invalid);
        };
        let invite = memory.invites.swap_remove(found);
        memory.pending.retain(|it| it.account != *account);
        let id = self.id();
        memory.paired.insert(account.clone(), id);
        drop(memory);
        self.invitations.succeeded(account);
        self.record("invite_accepted", true, account, Some(&invite.issued_by));
        Some(Invited::Accepted)
    }

    fn id(&self) -> String {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        hex::encode(bytes)
    }

    fn record(
        &self,
        action: &'static str,
        granted: bool,
        account: &AccountRef,
        actor: Option<&str>,
    ) {
        if let Some(audit) = &self.audit {
            let event = AuditEvent::new(self.clock.now(), action, granted, action).account(account);
            audit.record(match actor {
                Some(actor) => event.actor(actor),
                None => event,
            });
        }
    }
}

impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = lock(&self.memory);
        f.debug_struct("Pairing")
            .field("pending", &memory.pending.len())
            .field("paired", &memory.paired.len())
            .field("invites", &memory.invites.len())
            .finish_non_exhaustive()
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn dashed(code: &str) -> String {
    let symbols: Vec<char> = code.chars().collect();
    let groups: Vec<String> = symbols.chunks(4).map(|it| it.iter().collect()).collect();
    groups.join("-")
}

/// The symbols of an invite code. The dashes are needed: a word of twelve letters is no try.
fn undashed(text: &str) -> Option<String> {
    let text = text.trim();
    let mut groups = text.split('-');
    let fits = text.len() == 14 && groups.all(|group| group.len() == 4);
    fits.then(|| code::read(&text.replace('-', ""), INVITE_SYMBOLS))?
}
