//! Nothing reaches a handler without a verdict.
//!
//! A handler takes an [`Authorized`] value, and only [`authorize`] makes one, out of a
//! [`Policy`] that said yes. There is no default policy: an application that means to
//! answer everyone says so with [`AllowEveryone`].

use std::fmt;
use std::ops::Deref;

use async_trait::async_trait;

use crate::event::{Action, Deleted, Event, EventKind, Membership, Moved, Reaction, Unknown};
use crate::message::Message;

/// What a policy says about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It may reach the handler. The reason is machine-readable: `allowlist`, `everyone`.
    Allow(&'static str),
    /// It is refused; nobody is told.
    Refuse(&'static str),
    /// It is refused, and the sender gets this answer.
    Answer(&'static str, String),
}

impl Verdict {
    /// The machine-readable reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Allow(reason) | Self::Refuse(reason) | Self::Answer(reason, _) => reason,
        }
    }
}

/// Decides who may say what, where.
#[async_trait]
pub trait Policy: fmt::Debug + Send + Sync {
    /// Judges one event.
    async fn judge(&self, event: &Event) -> Verdict;
}

/// Answers everyone: every stranger who finds the bot may use it.
///
/// Only for bots whose handler does nothing that a stranger may not do.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "written as a value, and never to hold one"
)]
pub struct AllowEveryone;

#[async_trait]
impl Policy for AllowEveryone {
    async fn judge(&self, _event: &Event) -> Verdict {
        Verdict::Allow("everyone")
    }
}

/// A value that a policy has let pass.
///
/// ```compile_fail
/// use channel_core::{Authorized, Message};
///
/// fn forge(message: Message) -> Authorized<Message> {
///     Authorized { inner: message, reason: "forged" }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized<T> {
    inner: T,
    reason: &'static str,
}

impl<T> Authorized<T> {
    /// Why it may pass.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Hands over the value; the proof is gone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> Deref for Authorized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

/// An authorised event, taken apart by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizedEvent {
    /// Somebody wrote.
    Message(Authorized<Message>),
    /// Somebody changed a message.
    Edited(Authorized<Message>),
    /// Messages were deleted.
    Deleted(Authorized<Deleted>),
    /// Somebody reacted.
    Reaction(Authorized<Reaction>),
    /// Somebody pressed a button.
    Action(Authorized<Action>),
    /// Somebody joined or left.
    Membership(Authorized<Membership>),
    /// A chat has moved.
    Moved(Authorized<Moved>),
    /// Something unknown happened.
    Unknown(Authorized<Unknown>),
}

impl Authorized<Event> {
    /// Takes the event apart; `None` for news about a connection.
    #[must_use]
    pub fn into_parts(self) -> Option<AuthorizedEvent> {
        fn wrap<T>(inner: T, reason: &'static str) -> Authorized<T> {
            Authorized { inner, reason }
        }
        let reason = self.reason;
        Some(match self.inner.kind {
            EventKind::Message(it) => AuthorizedEvent::Message(wrap(*it, reason)),
            EventKind::Edited(it) => AuthorizedEvent::Edited(wrap(*it, reason)),
            EventKind::Deleted(it) => AuthorizedEvent::Deleted(wrap(*it, reason)),
            EventKind::Reaction(it) => AuthorizedEvent::Reaction(wrap(*it, reason)),
            EventKind::Action(it) => AuthorizedEvent::Action(wrap(*it, reason)),
            EventKind::Membership(it) => AuthorizedEvent::Membership(wrap(*it, reason)),
            EventKind::Moved(it) => AuthorizedEvent::Moved(wrap(*it, reason)),
            EventKind::Unknown(it) => AuthorizedEvent::Unknown(wrap(*it, reason)),
            EventKind::Connection(_) => return None,
        })
    }
}

/// An event that a policy did not let pass.
#[derive(Debug)]
#[non_exhaustive]
pub struct Denied {
    /// The event.
    pub event: Event,
    /// The machine-readable reason.
    pub reason: &'static str,
    /// What to tell the sender, if anything.
    pub answer: Option<String>,
}

/// Asks a policy, and proves a yes by the type.
///
/// # Errors
///
/// [`Denied`] if the policy says no; it gives the event back.
pub async fn authorize(policy: &dyn Policy, event: Event) -> Result<Authorized<Event>, Denied> {
    match policy.judge(&event).await {
        Verdict::Allow(reason) => Ok(Authorized {
            inner: event,
            reason,
        }),
        Verdict::Refuse(reason) => Err(Denied {
            event,
            reason,
            answer: None,
        }),
        Verdict::Answer(reason, answer) => Err(Denied {
            event,
            reason,
            answer: Some(answer),
        }),
    }
}
