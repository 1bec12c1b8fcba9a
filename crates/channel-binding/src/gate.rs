//! The side of the chat: connect commands are settled, senders are recognised.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{AccountRef, Bound, ChatKind, Clock, Hold, Message, Proof, Result, SenderKind};
use channel_policy::{
    Identities, Lockout, MemoryPolicies, PolicyStore, Reason, Resolution, Settled, Tries,
    account_key,
};
use sha2::{Digest as _, Sha256};

use crate::bindings::{Bindings, Outcome, fits};
use crate::code::{CodeHash, holds_code};
use crate::command::connect_argument;
use crate::disguise::{Between, holds_glued, holds_pieces};
use crate::platform::{ConnectMode, ConnectPlatform};

/// A connect command that is older is not meant any more: its code has expired.
const STALE: Duration = Duration::from_secs(600);

/// How many locked senders are remembered who were told so.
const MOST_TOLD: usize = 10_000;

/// One answer for every code that does not hold, whatever the cause.
const INVALID: &str = "This code is not valid. Please get a new one.";
const LOCKED: &str = "Too many wrong codes. Please try again in an hour.";
const UNPROVEN: &str = "This account cannot be connected: nobody vouches for who you are.";
const UNAVAILABLE: &str = "This is temporarily unavailable. Please try again later.";

/// Settles connect commands and recognises senders, as
/// [`Gate::identities`](channel_policy::GateBuilder::identities).
///
/// The order is fixed: is it a command, is it old, was it settled, does the platform vouch
/// for the sender, may the sender try, is the chat direct; only then a code is looked up,
/// and only then used up.
///
/// Locked senders and settled commands are in a [`PolicyStore`]: in memory, unless
/// [`keep_in`](Self::keep_in) names another.
#[derive(Debug)]
pub struct ConnectGate {
    bindings: Bindings,
    clock: Arc<dyn Clock>,
    store: Arc<dyn PolicyStore>,
    /// Who was told that they are locked: once, so that nobody makes the bot talk.
    told: Lockout<AccountRef>,
}

impl ConnectGate {
    /// Settles the connect commands of these bindings.
    #[must_use]
    pub fn new(bindings: Bindings) -> Self {
        Self {
            clock: bindings.clock(),
            bindings,
            store: Arc::new(MemoryPolicies::new()),
            told: Lockout::new(1, Tries::LOCK_FOR, MOST_TOLD),
        }
    }

    /// Keeps locked senders and settled commands in this store, over a restart where the
    /// store does.
    #[must_use]
    pub fn keep_in(mut self, store: Arc<dyn PolicyStore>) -> Self {
        self.store = store;
        self
    }

    /// The declared platform and the argument, if a message is a connect command there.
    fn read<'a>(&'a self, message: &'a Message) -> Option<(&'a ConnectPlatform, &'a str)> {
        let name = message.sender.account.platform.as_str();
        let platform = self.bindings.platform(name)?;
        let argument = connect_argument(&message.text, platform.word())?;
        // A link may carry other things than codes.
        let is_other = platform.mode() == ConnectMode::DeepLink && CodeHash::of(argument).is_none();
        (!is_other).then_some((platform, argument))
    }

    fn is_stale(&self, message: &Message) -> bool {
        let age = |at| self.clock.now().duration_since(at).unwrap_or_default();
        message.sent_at.is_some_and(|at| age(at) > STALE)
    }

    async fn settle(
        &self,
        platform: &ConnectPlatform,
        argument: &str,
        message: &Message,
        digest: &str,
    ) -> Result<Settled> {
        let key = account_key(&message.sender.account);
        let now = self.clock.now();
        if !self.store.begin(Tries::Connect, &key, now).await? {
            return Ok(self.locked(&message.sender.account));
        }
        let tried = self.redeem(platform, argument, message, digest).await;
        match &tried {
            Ok(settled) if settled.reason == Reason::Connected => {
                noted(self.store.succeeded(Tries::Connect, &key).await);
            }
            Ok(settled) if settled.reason != Reason::ConnectReplayed => {}
            _ => noted(self.store.withdraw(Tries::Connect, &key).await),
        }
        tried
    }

    /// What somebody hears who may not try: once while the lock lasts.
    fn locked(&self, account: &AccountRef) -> Settled {
        if self.told.begin(account, self.clock.elapsed()) {
            Settled::with(Reason::ConnectLocked, LOCKED)
        } else {
            Settled::silently(Reason::ConnectLocked)
        }
    }

    async fn redeem(
        &self,
        platform: &ConnectPlatform,
        argument: &str,
        message: &Message,
        digest: &str,
    ) -> Result<Settled> {
        let hash = CodeHash::of(argument);
        if message.chat.kind != ChatKind::Direct {
            if let Some(hash) = hash {
                self.bindings.burn(platform, &hash).await?;
            }
            return Ok(Settled::silently(Reason::ConnectShared));
        }
        let Some(hash) = hash else {
            return Ok(Settled::with(Reason::ConnectInvalid, INVALID));
        };
        let digest = digest.to_owned();
        let outcome = self
            .bindings
            .redeem(platform, hash, message, digest)
            .await?;
        Ok(match outcome {
            Outcome::Connected => {
                let answer = format!("Connected to {}.", self.bindings.application());
                Settled::with(Reason::Connected, answer)
            }
            Outcome::Invalid => Settled::with(Reason::ConnectInvalid, INVALID),
            Outcome::Replayed => Settled::silently(Reason::ConnectReplayed),
        })
    }

    async fn try_connect(
        &self,
        platform: &ConnectPlatform,
        argument: &str,
        message: &Message,
    ) -> Result<Settled> {
        let digest = digest(message);
        if !self.store.settle(&digest, self.clock.now()).await? {
            return Ok(Settled::silently(Reason::ConnectReplayed));
        }
        if !is_proven(message) {
            return Ok(Settled::with(Reason::ConnectUnproven, UNPROVEN));
        }
        let settled = self.settle(platform, argument, message, &digest).await;
        if settled.is_err() {
            // Delivered again it gets another chance.
            noted(self.store.unsettle(&digest).await);
        }
        settled
    }
}

#[async_trait]
impl Identities for ConnectGate {
    async fn connect(&self, message: &Message) -> Option<Settled> {
        let (platform, argument) = self.read(message)?;
        if self.is_stale(message) {
            return Some(Settled::silently(Reason::ConnectReplayed));
        }
        // Few messages are commands, and all would have to keep room for it.
        let settled = Box::pin(self.try_connect(platform, argument, message)).await;
        Some(settled.unwrap_or_else(|error| {
            tracing::warn!(%error, "a connect command could not be settled");
            Settled::with(Reason::StoreUnavailable, UNAVAILABLE)
        }))
    }

    fn is_secret(&self, message: &Message) -> bool {
        // What people write themselves is looked at more closely than payloads, which are full of
        // ids that look like codes with something around them.
        let text = &message.text;
        self.read(message).is_some()
            || holds_code(text)
            || holds_pieces(text, Between::Anything)
            || holds_glued(text)
            || self.bindings.shows_own_code(text)
    }

    fn shows_code(&self, text: &str) -> bool {
        holds_code(text) || holds_pieces(text, Between::Space) || self.bindings.shows_own_code(text)
    }

    async fn resolve(&self, account: &AccountRef) -> Resolution {
        match self.bindings.resolve(account).await {
            Ok(Some(binding)) => Resolution::Bound(binding.bound(account)),
            Ok(None) => Resolution::Unbound,
            Err(error) => {
                tracing::warn!(%error, "whose account it is cannot be told");
                Resolution::Unavailable
            }
        }
    }

    async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        self.bindings.hold(bound).await
    }

    fn instruction(&self, account: &AccountRef) -> String {
        let application = self.bindings.application();
        match self.bindings.platform(account.platform.as_str()) {
            Some(platform) => format!(
                "This account is not connected yet. Sign in to {application} and connect {} there.",
                platform.name()
            ),
            None => format!("This account is not connected to {application}."),
        }
    }
}

/// What could not be noted stays counted, or settled: it opens nothing.
fn noted(noted: Result<()>) {
    if let Err(error) = noted {
        tracing::warn!(%error, "what became of a connect command could not be noted");
    }
}

/// Whether the platform vouches for a person whose ids can be kept.
fn is_proven(message: &Message) -> bool {
    let account = &message.sender.account;
    let workspace = account.workspace.as_ref();
    message.sender.kind == SenderKind::Person
        && message.proof() >= Proof::Asserted
        && fits(account.sender.as_str(), 128)
        && workspace.is_none_or(|workspace| fits(workspace.as_str(), 128))
}

/// The same for the same message, however often it is delivered.
fn digest(message: &Message) -> String {
    let mut hash = Sha256::new();
    let parts = [
        message.channel().as_str(),
        message.chat.id.as_str(),
        message.id.as_str(),
    ];
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
