//! Pairing: strangers ask, an administrator approves.

mod code;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use channel_core::{
    AccountRef, Clock, Error, ErrorKind, Platform, Random, Result, Secret, WorkspaceId,
};

use crate::audit::{Audit, AuditEvent};
use crate::store::{
    Asked, Invite, MemoryPolicies, PairingRequest, PolicyStore, Tries, account_key, try_key,
};
use code::Kind;
pub use code::SaltedHash;

/// How much of a shown name is kept, in characters.
const NAME: usize = 128;

/// What a stranger gets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Requested {
    /// A code to show to an administrator. It is not kept: this is the only time to see it.
    Code(Secret),
    /// Nothing: a code was given in the last 600 s, or the account's id is no plain text of
    /// 1 to 128 characters.
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
    /// The store cannot be asked now; nothing was counted.
    Unavailable,
}

impl fmt::Display for ApprovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locked => "too many wrong pairing codes, try again in an hour or use the id",
            Self::Unknown => "no request waits under this code or id",
            Self::Unavailable => "pairing is temporarily unavailable, try again later",
        })
    }
}

impl std::error::Error for ApprovalError {}

impl From<Error> for ApprovalError {
    fn from(_: Error) -> Self {
        Self::Unavailable
    }
}

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
/// A code is `XXXXX-XXXXX-XXXXX`, of 32 symbols, and holds for an hour. Fifty bits are random;
/// the rest marks it as a code. A sender gets one in ten minutes, three wait per platform. Five wrong codes in a row lock whoever types them for an hour. All of
/// that is in a [`PolicyStore`]: in memory, unless [`keep_in`](Self::keep_in) names another.
/// Several processes that share a store share everything, locks too.
pub struct Pairing {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    audit: Option<Arc<dyn Audit>>,
    store: Arc<dyn PolicyStore>,
    revocations: AtomicU64,
}

impl Pairing {
    /// Nobody is paired, nobody waits.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            clock,
            random,
            audit: None,
            store: Arc::new(MemoryPolicies::new()),
            revocations: AtomicU64::new(0),
        }
    }

    /// Keeps everything in this store, over a restart where the store does.
    #[must_use]
    pub fn keep_in(mut self, store: Arc<dyn PolicyStore>) -> Self {
        self.store = store;
        self
    }

    /// Records approvals and the like.
    #[must_use]
    pub fn audit(mut self, audit: Arc<dyn Audit>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Whether an account is paired.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the store cannot tell: let nobody pass on its account then.
    pub async fn is_paired(&self, account: &AccountRef) -> Result<bool> {
        Ok(fits(account) && self.store.is_paired(account).await?)
    }

    /// A stranger asks, in a direct chat. The name is for the administrator's eye.
    ///
    /// # Errors
    ///
    /// `Unavailable`: nothing was kept.
    pub async fn request(&self, account: &AccountRef, name: Option<&str>) -> Result<Requested> {
        if !fits(account) {
            return Ok(Requested::Waiting);
        }
        let code = Kind::Pairing.fresh(self.random.as_ref());
        let plain = |name: &str| {
            name.chars()
                .filter(|c| !c.is_control())
                .take(NAME)
                .collect()
        };
        let request = PairingRequest {
            id: self.id(),
            account: account.clone(),
            name: name.map(plain),
            hash: SaltedHash::new(self.random.as_ref(), &code),
            requested_at: self.clock.now(),
        };
        Ok(match self.store.ask(&request).await? {
            Asked::Kept => {
                self.record("pairing_requested", false, account, None);
                Requested::Code(Secret::new(Kind::Pairing.show(&code)))
            }
            Asked::TooSoon => Requested::Waiting,
            Asked::Full => Requested::Full,
        })
    }

    /// Who waits for approval, the oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn pending(&self) -> Result<Vec<Pending>> {
        let show = |it: PairingRequest| Pending {
            id: it.id,
            account: it.account,
            name: it.name,
            requested_at: it.requested_at,
            expires_at: it.requested_at + PairingRequest::TTL,
        };
        let requests = self.store.requests(self.clock.now()).await?;
        Ok(requests.into_iter().map(show).collect())
    }

    /// Approves by code, in any case and with or without its dashes, or by request id. The actor is whoever approves: the
    /// name of an administrator.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`]. An id is no secret and never locks.
    pub async fn approve(
        &self,
        actor: &str,
        code_or_id: &str,
    ) -> Result<AccountRef, ApprovalError> {
        let wanted = code_or_id.trim();
        if is_id(wanted) {
            return self.settle(actor, &wanted.to_ascii_lowercase()).await;
        }
        let key = try_key(&[actor]);
        let now = self.clock.now();
        if !self.store.begin(Tries::Approval, &key, now).await? {
            return Err(ApprovalError::Locked);
        }
        let approved = self.approve_by_code(actor, wanted).await;
        match approved {
            Ok(_) => noted(self.store.succeeded(Tries::Approval, &key).await),
            Err(ApprovalError::Unavailable) => {
                noted(self.store.withdraw(Tries::Approval, &key).await);
            }
            Err(_) => {}
        }
        approved
    }

    async fn approve_by_code(&self, actor: &str, code: &str) -> Result<AccountRef, ApprovalError> {
        let code = Kind::Pairing.read(code).ok_or(ApprovalError::Unknown)?;
        let requests = self.store.requests(self.clock.now()).await?;
        let found = requests.iter().find(|request| request.hash.is_of(&code));
        let id = &found.ok_or(ApprovalError::Unknown)?.id;
        self.settle(actor, id).await
    }

    async fn settle(&self, actor: &str, id: &str) -> Result<AccountRef, ApprovalError> {
        let approved = self.store.approve(id, self.clock.now()).await?;
        let account = approved.ok_or(ApprovalError::Unknown)?;
        self.record("pairing_approved", true, &account, Some(actor));
        Ok(account)
    }

    /// Refuses a request by its id; says whether there was one.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn reject(&self, actor: &str, id: &str) -> Result<bool> {
        let rejected = self.store.reject(id).await?;
        if let Some(account) = &rejected {
            self.record("pairing_rejected", false, account, Some(actor));
        }
        Ok(rejected.is_some())
    }

    /// Says that a paired account is also known as another; `false` if it is not paired, or
    /// the alias is no plain text of 1 to 128 characters.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn add_alias(&self, account: &AccountRef, alias: &AccountRef) -> Result<bool> {
        Ok(fits(account) && fits(alias) && self.store.add_alias(account, alias).await?)
    }

    /// Takes the pairing of an account and of all its aliases back, at once; says whether
    /// there was anything to take back.
    ///
    /// # Errors
    ///
    /// `Unavailable`: nothing was taken back, try again.
    pub async fn revoke(&self, actor: &str, account: &AccountRef) -> Result<bool> {
        let forgotten = fits(account) && self.store.revoke(account).await?;
        self.revocations.fetch_add(1, Ordering::Release);
        if forgotten {
            self.record("pairing_revoked", false, account, Some(actor));
        }
        Ok(forgotten)
    }

    /// How often a pairing was taken back here: what was found out before may not hold any more.
    pub(crate) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::Acquire)
    }

    /// Issues an invite code, `XXXX-XXXX-XXXX-XXXX`: whoever sends it first in a direct chat
    /// within a day is paired. Sixty bits are random; the rest marks it as a code.
    ///
    /// # Errors
    ///
    /// `RateLimited` if ten are out on this platform, `Unavailable`.
    pub async fn invite(&self, actor: &str, platform: &Platform) -> Result<Secret> {
        let code = Kind::Invite.fresh(self.random.as_ref());
        let invite = Invite {
            id: self.id(),
            platform: platform.clone(),
            hash: SaltedHash::new(self.random.as_ref(), &code),
            issued_at: self.clock.now(),
            issued_by: actor.chars().take(NAME).collect(),
        };
        if !self.store.issue(&invite).await? {
            return Err(Error::new(
                ErrorKind::RateLimited,
                "ten invite codes of this platform are unused already",
            ));
        }
        Ok(Secret::new(Kind::Invite.show(&code)))
    }

    /// Takes an invite code that a stranger sent in a direct chat; `None` if the text does
    /// not look like one.
    ///
    /// # Errors
    ///
    /// `Unavailable`: nothing was counted.
    pub async fn accept(&self, account: &AccountRef, text: &str) -> Result<Option<Invited>> {
        let Some(code) = undashed(text) else {
            return Ok(None);
        };
        if !fits(account) {
            return Ok(Some(Invited::Invalid));
        }
        let key = account_key(account);
        let now = self.clock.now();
        if !self.store.begin(Tries::Invite, &key, now).await? {
            return Ok(Some(Invited::Locked));
        }
        match self.use_invite(account, &code).await {
            Ok(Some(invite)) => {
                noted(self.store.succeeded(Tries::Invite, &key).await);
                self.record("invite_accepted", true, account, Some(&invite.issued_by));
                Ok(Some(Invited::Accepted))
            }
            Ok(None) => Ok(Some(Invited::Invalid)),
            Err(error) => {
                noted(self.store.withdraw(Tries::Invite, &key).await);
                Err(error)
            }
        }
    }

    /// Whether a pairing code or an invite code stands in a text, whoever issued it and whether
    /// or not it still holds. Without I/O, and the same in every process.
    #[must_use]
    pub fn holds_code(text: &str) -> bool {
        code::holds_code(text)
    }

    async fn use_invite(&self, account: &AccountRef, code: &str) -> Result<Option<Invite>> {
        let now = self.clock.now();
        let invites = self.store.invites(&account.platform, now).await?;
        let found = invites.into_iter().find(|it| it.hash.is_of(code));
        let Some(invite) = found else {
            return Ok(None);
        };
        let used = self.store.use_invite(&invite.id, account, now).await?;
        Ok(used.then_some(invite))
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
        f.debug_struct("Pairing")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// A try that cannot be settled counts as failed: it locks nobody by itself.
fn noted(settled: Result<()>) {
    if let Err(error) = settled {
        tracing::warn!(%error, "a try could not be settled");
    }
}

/// Whether every store can keep the id of an account: plain text of 1 to 128 characters.
fn fits(account: &AccountRef) -> bool {
    let plain = |id: &str| !id.contains(char::is_control) && id.chars().count() <= 128;
    let workspace = account.workspace.as_ref().map_or("", WorkspaceId::as_str);
    let sender = account.sender.as_str();
    !sender.is_empty() && plain(sender) && plain(workspace)
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The symbols of an invite code. The dashes are needed: a word of sixteen letters is no try.
fn undashed(text: &str) -> Option<String> {
    text.contains('-').then(|| Kind::Invite.read(text))?
}
