//! The side of the chat: connect commands are settled, senders are recognised.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{AccountRef, ChatKind, Clock, Message, Proof, Result, SenderKind};
use channel_policy::{Identities, Lockout, Reason, Resolution, Settled};
use sha2::{Digest as _, Sha256};

use crate::bindings::{Bindings, Outcome, fits};
use crate::code::CodeHash;
use crate::command::connect_argument;
use crate::platform::{ConnectMode, ConnectPlatform};

/// A connect command that is older is not meant any more: its code has expired.
const STALE: Duration = Duration::from_secs(600);
/// How many settled commands are remembered.
const SETTLED: usize = 4096;
/// Wrong codes in a row that lock a sender.
const FAILURES: u32 = 5;
const LOCK_FOR: Duration = Duration::from_secs(3600);
const SENDERS: usize = 10_000;

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
#[derive(Debug)]
pub struct ConnectGate {
    bindings: Bindings,
    clock: Arc<dyn Clock>,
    lockout: Lockout<AccountRef>,
    settled: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Memory {
    /// Whether it is new; remembers it.
    fn add(&mut self, digest: &str) -> bool {
        if !self.known.insert(digest.to_owned()) {
            return false;
        }
        self.order.push_back(digest.to_owned());
        if self.order.len() > SETTLED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    fn forget(&mut self, digest: &str) {
        self.known.remove(digest);
        self.order.retain(|known| known != digest);
    }
}

impl ConnectGate {
    /// Settles the connect commands of these bindings.
    #[must_use]
    pub fn new(bindings: Bindings) -> Self {
        Self {
            clock: bindings.clock(),
            bindings,
            lockout: Lockout::new(FAILURES, LOCK_FOR, SENDERS),
            settled: Mutex::default(),
        }
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
        let account = &message.sender.account;
        if !self.lockout.begin(account, self.clock.elapsed()) {
            return Ok(Settled::with(Reason::ConnectLocked, LOCKED));
        }
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
                self.lockout.succeeded(account);
                let answer = format!("Connected to {}.", self.bindings.application());
                Settled::with(Reason::Connected, answer)
            }
            Outcome::Invalid => Settled::with(Reason::ConnectInvalid, INVALID),
            Outcome::Replayed => {
                self.lockout.withdraw(account);
                Settled::silently(Reason::ConnectReplayed)
            }
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Identities for ConnectGate {
    async fn connect(&self, message: &Message) -> Option<Settled> {
        let (platform, argument) = self.read(message)?;
        if self.is_stale(message) {
            return Some(Settled::silently(Reason::ConnectReplayed));
        }
        let digest = digest(message);
        if !self.memory().add(&digest) {
            return Some(Settled::silently(Reason::ConnectReplayed));
        }
        if !is_proven(message) {
            return Some(Settled::with(Reason::ConnectUnproven, UNPROVEN));
        }
        let settled = self.settle(platform, argument, message, &digest).await;
        Some(settled.unwrap_or_else(|error| {
            tracing::warn!(%error, "a connect command could not be settled");
            // Delivered again it gets another chance.
            self.memory().forget(&digest);
            self.lockout.withdraw(&message.sender.account);
            Settled::with(Reason::StoreUnavailable, UNAVAILABLE)
        }))
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
