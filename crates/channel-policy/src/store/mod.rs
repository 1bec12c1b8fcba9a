//! What the policies have to remember, and where.

mod memory;

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{AccountRef, Platform, Result, WorkspaceId};
use sha2::{Digest as _, Sha256};

pub use memory::MemoryPolicies;

use crate::pairing::SaltedHash;

/// What is guessed at; each kind is locked by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tries {
    /// Pairing codes, typed by administrators.
    Approval,
    /// Invite codes, sent by strangers.
    Invite,
    /// Connect codes, sent by anybody.
    Connect,
}

impl Tries {
    /// Wrong ones in a row that lock whoever tries.
    pub const LIMIT: u32 = 5;
    /// How long they are locked, from the last one that was looked at.
    pub const LOCK_FOR: Duration = Duration::from_secs(3600);

    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Invite => "invite",
            Self::Connect => "connect",
        }
    }
}

/// Somebody asks to be paired. It does not hold the code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PairingRequest {
    /// 16 hex digits; the id of the pairing, once it is approved.
    pub id: String,
    /// Who asks.
    pub account: AccountRef,
    /// The name that they show, at most 128 characters.
    pub name: Option<String>,
    /// What is kept of the code.
    pub hash: SaltedHash,
    /// When they asked.
    pub requested_at: SystemTime,
}

impl PairingRequest {
    /// How long a request can be approved; at exactly its end it still can.
    pub const TTL: Duration = Duration::from_secs(3600);
    /// How long a sender waits for another code.
    pub const AGAIN: Duration = Duration::from_secs(600);
    /// How many may wait on one platform.
    pub const MOST: usize = 3;

    /// Puts one together, as a store reads it.
    #[must_use]
    pub const fn new(
        id: String,
        account: AccountRef,
        name: Option<String>,
        hash: SaltedHash,
        requested_at: SystemTime,
    ) -> Self {
        Self {
            id,
            account,
            name,
            hash,
            requested_at,
        }
    }
}

/// Whether a request was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// It was; an older one of the same account is gone.
    Kept,
    /// The account has asked in the last 600 s.
    TooSoon,
    /// As many wait on its platform as may.
    Full,
}

/// An invite code that is out. It does not hold the code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Invite {
    /// 16 hex digits; the id of the pairing, once it is used.
    pub id: String,
    /// The only platform that it holds on.
    pub platform: Platform,
    /// What is kept of the code.
    pub hash: SaltedHash,
    /// When it was issued.
    pub issued_at: SystemTime,
    /// Who issued it, at most 128 characters.
    pub issued_by: String,
}

impl Invite {
    /// How long a code holds; at exactly its end it still does.
    pub const TTL: Duration = Duration::from_secs(86_400);
    /// How many may be out on one platform.
    pub const MOST: usize = 10;

    /// Puts one together, as a store reads it.
    #[must_use]
    pub const fn new(
        id: String,
        platform: Platform,
        hash: SaltedHash,
        issued_at: SystemTime,
        issued_by: String,
    ) -> Self {
        Self {
            id,
            platform,
            hash,
            issued_at,
            issued_by,
        }
    }
}

/// Keeps who is paired, who waits, who is locked, and which commands are settled.
///
/// Every error means that the store cannot be asked now, and is `Unavailable`: whoever asks
/// must let nobody pass on its account. Each call is whole, also when the process dies in
/// the middle and when many call at once.
#[async_trait]
pub trait PolicyStore: fmt::Debug + Send + Sync {
    /// Begins a try, which counts as failed until it is settled, so that many at once get
    /// no more than one after the other; `false` if the key is locked, and then nothing is
    /// counted. A key is 64 hex digits.
    async fn begin(&self, tries: Tries, key: &str, now: SystemTime) -> Result<bool>;

    /// The try was right: nothing is held against the key any more.
    async fn succeeded(&self, tries: Tries, key: &str) -> Result<()>;

    /// The try could not be judged and does not count.
    async fn withdraw(&self, tries: Tries, key: &str) -> Result<()>;

    /// Notes that a command is being settled; `false` if it was before. Kept for a day at
    /// least, or as many as there is room for. A digest is 64 hex digits.
    async fn settle(&self, digest: &str, now: SystemTime) -> Result<bool>;

    /// The command could not be settled: delivered again it gets another chance.
    async fn unsettle(&self, digest: &str) -> Result<()>;

    /// Whether an account is paired.
    async fn is_paired(&self, account: &AccountRef) -> Result<bool>;

    /// Keeps a request, unless the account asked just now or too many wait; forgets what
    /// has expired.
    async fn ask(&self, request: &PairingRequest) -> Result<Asked>;

    /// The requests that can be approved, the oldest first.
    async fn requests(&self, now: SystemTime) -> Result<Vec<PairingRequest>>;

    /// Pairs the account of a request that can still be approved, once; says which.
    async fn approve(&self, id: &str, now: SystemTime) -> Result<Option<AccountRef>>;

    /// Forgets a request; says whose it was.
    async fn reject(&self, id: &str) -> Result<Option<AccountRef>>;

    /// Says that a paired account is also known as another; `false` if it is not paired.
    async fn add_alias(&self, account: &AccountRef, alias: &AccountRef) -> Result<bool>;

    /// Forgets the pairing of an account with all its aliases, and its request; says
    /// whether there was any.
    async fn revoke(&self, account: &AccountRef) -> Result<bool>;

    /// Keeps an invite, unless as many are out as may; forgets what has expired.
    async fn issue(&self, invite: &Invite) -> Result<bool>;

    /// The invites that hold on a platform.
    async fn invites(&self, platform: &Platform, now: SystemTime) -> Result<Vec<Invite>>;

    /// Uses an invite up, once, and pairs the account; `false` if it holds no longer.
    async fn use_invite(&self, id: &str, account: &AccountRef, now: SystemTime) -> Result<bool>;
}

/// Parts as one key of 64 hex digits: each with its length, so that no two look alike.
pub(crate) fn try_key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// The key that an account's tries are counted under, 64 hex digits.
#[must_use]
pub fn account_key(account: &AccountRef) -> String {
    let workspace = account.workspace.as_ref().map_or("", WorkspaceId::as_str);
    let sender = account.sender.as_str();
    try_key(&[account.platform.as_str(), workspace, sender])
}
