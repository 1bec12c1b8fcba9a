//! What a store of bindings does.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use channel_core::{AccountRef, BindingId, Hold, OwnerId, Platform, Proof, Result};
use serde::Serialize;

use crate::code::CodeHash;
use crate::flights::Whose;
use crate::record::BindingRecord;

/// A connect code to be kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewCode {
    /// What is kept of it.
    pub hash: CodeHash,
    /// Who may be bound with it.
    pub owner: OwnerId,
    /// The only platform that it holds on.
    pub platform: Platform,
    /// Now.
    pub now: SystemTime,
    /// The last moment at which it holds.
    pub expires_at: SystemTime,
}

/// How many codes of an owner may be live on one platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveCodes {
    /// So many: another one is refused until one of them is used or has expired.
    AtMost(u32),
    /// The newest: each one that is made spoils the one before.
    Newest,
}

/// Whether a code was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Minted {
    /// It was.
    Kept,
    /// The owner has as many live codes on this platform as there may be.
    Full,
}

/// Somebody sends a connect code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Redemption {
    /// The code.
    pub hash: CodeHash,
    /// Who sends it; the workspace is part of it where the binding is to be limited to it.
    pub account: AccountRef,
    /// How well the platform vouches for them.
    pub proof: Proof,
    /// The name that they show.
    pub account_name: Option<String>,
    /// A digest of the message that carries the code: the same when it is delivered again.
    pub message: String,
    /// The id of the binding, if it is a new one.
    pub id: BindingId,
    /// Now.
    pub now: SystemTime,
}

/// What became of a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redeemed {
    /// The account is bound.
    Bound {
        /// The binding.
        binding: Box<BindingRecord>,
        /// The bindings of other owners that this one has revoked.
        former: Vec<BindingRecord>,
    },
    /// No such code, or it was used, or it has expired, or it is of another platform.
    Invalid,
    /// This very message has redeemed the code before.
    Replayed,
}

/// What became of a disconnection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disconnected {
    /// It held, and does not any more.
    Revoked(Box<BindingRecord>),
    /// It did not hold before.
    Already(Box<BindingRecord>),
    /// The owner has no such binding.
    NotFound,
}

/// A credential as it is kept: encrypted.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedCredential {
    /// The encrypted text, with the version of its form.
    pub sealed: String,
    /// How often it was written.
    pub version: i64,
}

impl SealedCredential {
    /// Puts both together.
    #[must_use]
    pub const fn new(sealed: String, version: i64) -> Self {
        Self { sealed, version }
    }
}

impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedCredential")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What an application knows of a binding besides, and keeps with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The name of the workspace.
    pub workspace_name: Option<String>,
    /// The bot that the account talks to.
    pub bot_user_id: Option<String>,
    /// What the account has granted.
    pub scopes: Vec<String>,
    /// What can be done with it.
    pub capabilities: Vec<String>,
    /// Whatever else; JSON. No secrets: it is neither encrypted nor hidden.
    pub metadata: serde_json::Value,
}

/// Where a conversation with a bound account takes place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConversationKey {
    /// The binding.
    pub binding: BindingId,
    /// The chat on the platform.
    pub conversation: String,
    /// The thread in it; empty where there is none.
    pub topic: String,
}

impl ConversationKey {
    /// A chat, and a thread where there is one.
    #[must_use]
    pub fn new(binding: BindingId, conversation: impl Into<String>, topic: Option<&str>) -> Self {
        Self {
            binding,
            conversation: conversation.into(),
            topic: topic.unwrap_or_default().to_owned(),
        }
    }
}

/// One line of the trail that the store keeps for an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TrailEntry {
    /// When.
    pub at: SystemTime,
    /// What happened: `connected`, `moved_away`, `revoked`, `code_exposed`.
    pub action: String,
    /// The platform.
    pub platform: String,
    /// The account, where it is about one.
    pub account: Option<String>,
    /// The binding, where it is about one.
    pub binding: Option<BindingId>,
}

impl TrailEntry {
    /// A line about a platform.
    #[must_use]
    pub fn new(at: SystemTime, action: impl Into<String>, platform: impl Into<String>) -> Self {
        Self {
            at,
            action: action.into(),
            platform: platform.into(),
            account: None,
            binding: None,
        }
    }

    /// Says which binding, and which account, it is about.
    #[must_use]
    pub fn about(mut self, binding: BindingId, account: impl Into<String>) -> Self {
        self.binding = Some(binding);
        self.account = Some(account.into());
        self
    }
}

/// Messages to some accounts are kept back, in all processes that share a store, until this is
/// dropped; see [`BindingStore::hold_back`].
#[async_trait]
pub trait Closed: fmt::Debug + Send + Sync {
    /// Whether none of those that had begun is on its way any more.
    async fn landed(&self) -> Result<bool>;
}

/// For a store that one process uses.
#[async_trait]
impl Closed for () {
    async fn landed(&self) -> Result<bool> {
        Ok(true)
    }
}

/// Keeps connect codes, bindings, conversations and credentials.
///
/// Every error means that the store cannot be asked now, and is `Unavailable`: whoever asks
/// must let nobody pass. Each call is whole: it happens or it does not, also when the
/// process dies in the middle and when many call at once.
#[async_trait]
pub trait BindingStore: fmt::Debug + Send + Sync {
    /// Keeps a code, if the owner may have one more on its platform or instead of the ones that
    /// are live there; forgets the owner's expired ones.
    async fn mint(&self, code: &NewCode, live: LiveCodes) -> Result<Minted>;

    /// Whether a code would hold now.
    async fn is_live(&self, hash: &CodeHash, platform: &Platform, now: SystemTime) -> Result<bool>;

    /// Redeems a code, once, and binds the account to its owner. A binding of the same
    /// owner and account is renewed and keeps its id; those of other owners are revoked and
    /// lose their credentials. Forgets all expired codes.
    async fn redeem(&self, redemption: &Redemption) -> Result<Redeemed>;

    /// Spoils a live code that others have read; says whose it was.
    async fn burn(
        &self,
        hash: &CodeHash,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Option<OwnerId>>;

    /// Finds the binding that holds for an account. A personal one also holds where the
    /// account has a workspace and the binding has none.
    async fn resolve(&self, account: &AccountRef, personal: bool) -> Result<Option<BindingRecord>>;

    /// Begins a message to an account, which lasts until the hold is dropped or the process ends;
    /// `None` while somebody takes the account's binding back: ask again soon.
    ///
    /// This is for those who share the store. [`Bindings`](crate::Bindings) orders what goes on in one
    /// process by itself, so a store that only one process uses answers with an empty hold.
    async fn begin_message(&self, account: &AccountRef) -> Result<Option<Hold>>;

    /// Lets no message to these accounts begin until the answer is dropped or the process ends;
    /// `None` while somebody else does the same: ask again soon.
    async fn hold_back(&self, whose: &Whose) -> Result<Option<Box<dyn Closed>>>;

    /// Finds a binding of an owner.
    async fn find(&self, owner: &OwnerId, id: &BindingId) -> Result<Option<BindingRecord>>;

    /// All bindings of an owner, the last updated first.
    async fn list(&self, owner: &OwnerId) -> Result<Vec<BindingRecord>>;

    /// Revokes a binding of an owner and deletes its credentials; its conversations stay.
    async fn disconnect(
        &self,
        owner: &OwnerId,
        id: &BindingId,
        now: SystemTime,
    ) -> Result<Disconnected>;

    /// Revokes all bindings on a platform, of all owners; says which.
    async fn revoke_platform(
        &self,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Vec<BindingRecord>>;

    /// Deletes everything about an owner; says how many bindings that were.
    async fn purge(&self, owner: &OwnerId) -> Result<u64>;

    /// Notes that the account wrote, or that something failed.
    async fn touch(&self, id: &BindingId, at: SystemTime, failed: bool) -> Result<()>;

    /// Keeps what the application knows besides; `false` if the owner has no such binding.
    async fn describe(&self, owner: &OwnerId, id: &BindingId, details: &Details) -> Result<bool>;

    /// The application's thread of a conversation; `fresh` becomes it if there is none.
    async fn thread(&self, key: &ConversationKey, fresh: &str, now: SystemTime) -> Result<String>;

    /// Writes the credential of a binding that holds; its version is one more than before.
    /// `None` if the binding does not hold.
    async fn put_credential(&self, id: &BindingId, sealed: &str) -> Result<Option<i64>>;

    /// Reads the credential of a binding.
    async fn credential(&self, id: &BindingId) -> Result<Option<SealedCredential>>;

    /// Credentials of all owners in the order of their bindings' ids, the ones after `after`,
    /// at most `limit`: each with its binding.
    async fn credentials(
        &self,
        after: Option<&BindingId>,
        limit: u32,
    ) -> Result<Vec<(BindingRecord, SealedCredential)>>;

    /// Writes a credential if it is still of the version that was read; its version is one
    /// more than before. `false` if somebody else wrote, or it is gone.
    async fn replace_credential(&self, id: &BindingId, version: i64, sealed: &str) -> Result<bool>;

    /// What has happened to an owner's bindings, the newest first, at most `limit` lines.
    async fn trail(&self, owner: &OwnerId, limit: u32) -> Result<Vec<TrailEntry>>;

    /// Forgets expired codes, and lines of the trail from before a moment.
    async fn sweep(&self, now: SystemTime, trail_before: SystemTime) -> Result<()>;
}
