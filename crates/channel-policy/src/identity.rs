//! What the gate asks others: whose account it is, and what the platform knows of it.

use std::fmt;

use async_trait::async_trait;
use channel_core::{AccountRef, Bound, Error, ErrorKind, Event, Hold, Message, Result};

use crate::reason::Reason;

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// It is bound.
    Bound(Bound),
    /// It belongs to nobody.
    Unbound,
    /// The store cannot tell now.
    Unavailable,
}

/// What became of a connect command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// The reason of the verdict.
    pub reason: Reason,
    /// What the sender is told, if anything.
    pub answer: Option<String>,
}

impl Settled {
    /// Settled without a word.
    #[must_use]
    pub const fn silently(reason: Reason) -> Self {
        Self {
            reason,
            answer: None,
        }
    }

    /// Settled with an answer.
    #[must_use]
    pub fn with(reason: Reason, answer: impl Into<String>) -> Self {
        Self {
            reason,
            answer: Some(answer.into()),
        }
    }
}

/// Knows whose account is whose; `channel-binding` implements it.
#[async_trait]
pub trait Identities: fmt::Debug + Send + Sync {
    /// Takes a connect command and settles it; `None` if the message is none.
    ///
    /// Asked before any allowlist: otherwise nobody new could connect.
    async fn connect(&self, message: &Message) -> Option<Settled>;

    /// Whether a message is such a command and carries a code. Without I/O.
    fn is_secret(&self, message: &Message) -> bool {
        let _ = message;
        false
    }

    /// Whether a code of such a command stands in a text that is brought along: what a reply quotes,
    /// what was there before a change. Without I/O.
    fn shows_code(&self, text: &str) -> bool {
        let _ = text;
        false
    }

    /// Says whose account it is.
    async fn resolve(&self, account: &AccountRef) -> Resolution;

    /// Whether an account is still bound by the same binding to the same owner.
    async fn still_holds(&self, bound: &Bound) -> bool {
        match self.resolve(&bound.account).await {
            Resolution::Bound(now) => now.binding == bound.binding && now.owner == bound.owner,
            _ => false,
        }
    }

    /// The same for whoever sends something; see [`Policy::hold`](channel_core::Policy::hold).
    ///
    /// # Errors
    ///
    /// `Unavailable` if it cannot be told.
    async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        match self.resolve(&bound.account).await {
            Resolution::Bound(now) => {
                let holds = now.binding == bound.binding && now.owner == bound.owner;
                Ok(holds.then(Hold::default))
            }
            Resolution::Unbound => Ok(None),
            Resolution::Unavailable => Err(Error::new(
                ErrorKind::Unavailable,
                "whose account it is cannot be told",
            )),
        }
    }

    /// Tells an unbound sender how to connect.
    fn instruction(&self, account: &AccountRef) -> String;
}

/// Knows what a platform vouches for beyond the common vocabulary. An application reads
/// it from `message.native()`, or from the payload of what is no message.
pub trait Directory: fmt::Debug + Send + Sync {
    /// The unique handle of the sender, without `@`. Never the name that is shown: anybody
    /// may choose that.
    fn handle(&self, event: &Event) -> Option<String>;

    /// The roles that the sender has where it happened.
    fn roles(&self, event: &Event) -> Vec<String>;
}
