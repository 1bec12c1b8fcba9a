//! Everything that an application does with bindings.

mod config;
mod credentials;
mod offer;
mod redeem;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use channel_core::{
    AccountRef, BindingId, Bound, Clock, Error, ErrorKind, Hold, OwnerId, Platform, Random, Result,
    timeout,
};
use channel_policy::{Audit, AuditEvent};

pub use config::BindingsBuilder;
pub use credentials::Resealed;
pub use offer::ConnectOffer;
pub(crate) use redeem::Outcome;

use crate::code::Made;
use crate::flights::{Closed as ClosedHere, Flights, Whose};
use crate::notice::Notices;
use crate::platform::ConnectPlatform;
use crate::record::{BindingRecord, BindingStatus};
use crate::seal::Sealer;
use crate::store::{
    BindingStore, Closed, ConversationKey, Details, Disconnected, LiveCodes, TrailEntry,
};

/// How long a call may take in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon one asks again who found an account's binding being taken back by another process, or
/// messages of another one on their way.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How precisely it is known when an account last wrote.
const SEEN_STEP: Duration = Duration::from_secs(60);

/// Binds accounts to owners and knows which is whose. Clones share everything.
#[derive(Debug, Clone)]
pub struct Bindings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn BindingStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    application: String,
    platforms: Vec<ConnectPlatform>,
    sealer: Option<Sealer>,
    audit: Option<Arc<dyn Audit>>,
    notices: Option<Arc<dyn Notices>>,
    live_codes: LiveCodes,
    /// The codes that were made here.
    made: Made,
    /// What is on its way to bound accounts.
    flights: Flights,
}

/// No message begins, until this is dropped.
struct Landed {
    _everywhere: Option<Box<dyn Closed>>,
    _here: ClosedHere,
}

impl Bindings {
    /// The platforms that accounts can be connected on.
    #[must_use]
    pub fn platforms(&self) -> &[ConnectPlatform] {
        &self.0.platforms
    }

    /// One of them.
    #[must_use]
    pub fn platform(&self, name: &str) -> Option<&ConnectPlatform> {
        let is_it = |it: &&ConnectPlatform| it.platform().as_str() == name;
        self.0.platforms.iter().find(is_it)
    }

    /// The name of the application, for people.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.0.application
    }

    /// Finds out whose account it is.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the store cannot tell: let nobody pass then.
    pub async fn resolve(&self, account: &AccountRef) -> Result<Option<BindingRecord>> {
        let personal = self
            .platform(account.platform.as_str())
            .is_some_and(ConnectPlatform::is_personal);
        let found = self.within(self.0.store.resolve(account, personal)).await?;
        if let Some(binding) = &found {
            self.seen(binding).await;
        }
        Ok(found)
    }

    /// Whether a binding that an event was resolved to still holds, for the same owner. Ask
    /// again before acting on what was queued: the message alone proves nothing.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the store cannot tell: do not act then.
    pub async fn confirm(&self, bound: &Bound) -> Result<bool> {
        let found = self.resolve(&bound.account).await?;
        Ok(found.is_some_and(|it| it.id == bound.binding && it.owner == bound.owner))
    }

    /// As [`confirm`](Self::confirm), and nobody, in this process or another one that shares the
    /// store, takes the binding back before the hold is dropped. Hold it for one call to a platform
    /// and no longer: whoever takes it back waits, though no more than 10 s.
    ///
    /// # Errors
    ///
    /// As for [`confirm`](Self::confirm).
    pub async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        let begin = async {
            let here = self.0.flights.begin(&bound.account).await;
            loop {
                if let Some(everywhere) = self.0.store.begin_message(&bound.account).await? {
                    return Ok(Hold::new((here, everywhere)));
                }
                self.0.clock.sleep(ASK_AGAIN).await;
            }
        };
        let hold = self.within(begin).await?;
        Ok(self.confirm(bound).await?.then_some(hold))
    }

    /// Keeps messages back, and waits for those that are on their way: what is written next
    /// comes after them. One that does not arrive in time is not waited for.
    async fn land(&self, whose: Whose) -> Result<Landed> {
        let here = self.0.flights.close(whose.clone());
        let mut everywhere = None;
        let landed = timeout(self.0.clock.as_ref(), PATIENCE, async {
            let closed = loop {
                match self.0.store.hold_back(&whose).await? {
                    Some(closed) => break everywhere.insert(closed),
                    None => self.0.clock.sleep(ASK_AGAIN).await,
                }
            };
            here.until_landed().await;
            while !closed.landed().await? {
                self.0.clock.sleep(ASK_AGAIN).await;
            }
            Ok::<_, Error>(())
        });
        match landed.await {
            Ok(landed) => landed?,
            Err(_) => tracing::warn!("a binding is taken back while a message is on its way"),
        }
        Ok(Landed {
            _everywhere: everywhere,
            _here: here,
        })
    }

    /// All bindings of an owner, the last updated first.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn list(&self, owner: &OwnerId) -> Result<Vec<BindingRecord>> {
        self.within(self.0.store.list(owner)).await
    }

    /// What has happened to an owner's bindings, the newest first, 500 lines at most.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn trail(&self, owner: &OwnerId, limit: u32) -> Result<Vec<TrailEntry>> {
        self.within(self.0.store.trail(owner, limit.clamp(1, 500)))
            .await
    }

    /// Takes a binding back. Its credentials are deleted, its conversations stay. Doing it
    /// again does nothing. Messages to the account that are on their way arrive before, and none
    /// does after it.
    ///
    /// # Errors
    ///
    /// `NotFound` if the owner has no such binding, `Unavailable`.
    pub async fn disconnect(&self, owner: &OwnerId, id: &BindingId) -> Result<BindingRecord> {
        let binding = self.within(self.0.store.find(owner, id)).await?;
        let account = binding.ok_or_else(not_found)?.account;
        let _closed = self.land(Whose::Accounts(vec![account])).await?;
        let now = self.now();
        match self.within(self.0.store.disconnect(owner, id, now)).await? {
            Disconnected::Revoked(binding) => {
                self.record("binding_revoked", &binding);
                Ok(*binding)
            }
            Disconnected::Already(binding) => Ok(*binding),
            Disconnected::NotFound => Err(not_found()),
        }
    }

    /// Revokes the bindings of all owners on a platform, because its credentials are taken
    /// away; stop the channel first. Says how many.
    ///
    /// # Errors
    ///
    /// `Unavailable`: none was revoked, try again.
    pub async fn revoke_platform(&self, platform: &Platform) -> Result<usize> {
        let _closed = self.land(Whose::Platform(platform.clone())).await?;
        let now = self.now();
        let revoked = self
            .within(self.0.store.revoke_platform(platform, now))
            .await?;
        for binding in &revoked {
            self.record("binding_revoked", binding);
        }
        Ok(revoked.len())
    }

    /// Deletes everything about an owner: for an account that is closed. Says how many
    /// bindings there were.
    ///
    /// # Errors
    ///
    /// `Unavailable`: nothing was deleted, try again.
    pub async fn purge(&self, owner: &OwnerId) -> Result<u64> {
        let bindings = self.within(self.0.store.list(owner)).await?;
        let accounts = bindings.into_iter().map(|binding| binding.account);
        let _closed = self.land(Whose::Accounts(accounts.collect())).await?;
        let purged = self.within(self.0.store.purge(owner)).await?;
        if let Some(audit) = &self.0.audit {
            let line = AuditEvent::new(self.now(), "owner_purged", true, "owner_purged");
            audit.record(line.owner(owner));
        }
        Ok(purged)
    }

    /// Forgets expired codes and what happened before a moment; for a timer.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn sweep(&self, trail_before: SystemTime) -> Result<()> {
        let now = self.now();
        self.within(self.0.store.sweep(now, trail_before)).await
    }

    /// Keeps what the application knows of a binding besides.
    ///
    /// # Errors
    ///
    /// `Invalid` if a name is longer than 256 characters or the rest than 16 KiB,
    /// `NotFound` if the owner has no such binding, `Unavailable`.
    pub async fn describe(&self, owner: &OwnerId, id: &BindingId, details: &Details) -> Result<()> {
        let name = details.workspace_name.as_deref().unwrap_or_default();
        let bot = details.bot_user_id.as_deref().unwrap_or_default();
        let lists = details.scopes.iter().chain(&details.capabilities);
        let size = lists.map(String::len).sum::<usize>() + details.metadata.to_string().len();
        if name.chars().count() > 256 || bot.chars().count() > 128 || size > 16 * 1024 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the details of a binding are too long",
            ));
        }
        let known = self
            .within(self.0.store.describe(owner, id, details))
            .await?;
        known.then_some(()).ok_or_else(not_found)
    }

    /// The application's own thread for a conversation with a bound account; made the first
    /// time, and the same ever after, whoever asks at once.
    ///
    /// # Errors
    ///
    /// `Invalid` if an id is longer than 128 characters, `Unavailable`.
    pub async fn thread(
        &self,
        bound: &Bound,
        conversation: &str,
        topic: Option<&str>,
    ) -> Result<String> {
        if !fits(conversation, 128) || !topic.is_none_or(|topic| fits(topic, 128)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the id of a conversation is 1 to 128 characters",
            ));
        }
        let key = ConversationKey::new(bound.binding.clone(), conversation, topic);
        let fresh = self.id();
        let now = self.now();
        self.within(self.0.store.thread(&key, &fresh, now)).await
    }

    async fn own(&self, owner: &OwnerId, id: &BindingId) -> Result<BindingRecord> {
        let found = self.within(self.0.store.find(owner, id)).await?;
        found
            .filter(|binding| binding.status == BindingStatus::Connected)
            .ok_or_else(not_found)
    }

    /// Notes that the account wrote, once a minute. A note that fails harms nobody.
    async fn seen(&self, binding: &BindingRecord) {
        let now = self.now();
        let lately = |seen| now.duration_since(seen).is_ok_and(|age| age < SEEN_STEP);
        if binding.last_seen_at.is_some_and(lately) {
            return;
        }
        let noted = self.within(self.0.store.touch(&binding.id, now, false));
        if let Err(error) = noted.await {
            tracing::debug!(%error, "it was not noted that an account wrote");
        }
    }

    /// Notes that something has failed with a binding, for whoever looks after it: a message
    /// that was refused, a credential that does not work any more.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn failed(&self, id: &BindingId) -> Result<()> {
        let now = self.now();
        self.within(self.0.store.touch(id, now, true)).await
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }

    fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// 128 random bits in hex.
    fn id(&self) -> String {
        let mut bytes = [0; 16];
        self.0.random.fill(&mut bytes);
        hex::encode(bytes)
    }

    fn record(&self, action: &'static str, binding: &BindingRecord) {
        if let Some(audit) = &self.0.audit {
            let granted = binding.status == BindingStatus::Connected;
            let line = AuditEvent::new(self.now(), action, granted, action);
            audit.record(line.account(&binding.account).owner(&binding.owner));
        }
    }

    /// Gives a call on the store so long and no longer.
    async fn within<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        timeout(self.0.clock.as_ref(), PATIENCE, call)
            .await
            .unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "the store of bindings did not answer in time",
                ))
            })
    }
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such binding")
}

/// Whether an id fits into its column and is plain text.
pub(crate) fn fits(id: &str, most: usize) -> bool {
    !id.is_empty() && !id.contains(char::is_control) && id.chars().count() <= most
}
