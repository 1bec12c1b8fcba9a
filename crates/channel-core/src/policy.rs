//! Nothing reaches a handler without a verdict.
//!
//! A handler takes an [`Authorized`] value, and only [`authorize`] makes one, out of a
//! [`Policy`] that said yes. There is no default policy: an application that means to
//! answer everyone says so with [`AllowEveryone`].

use std::fmt;
use std::ops::Deref;

use async_trait::async_trait;

use crate::binding::{Bound, Hold};
use crate::error::Result;
use crate::event::{Action, Deleted, Event, EventKind, Membership, Moved, Reaction, Unknown};
use crate::info::ChannelInfo;
use crate::message::Message;

/// What a policy says about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It may reach the handler. The reason is machine-readable: `allowlist`, `everyone`.
    Allow(&'static str),
    /// It may reach the handler, and the handler learns more than that.
    Grant(Box<Grant>),
    /// It is refused; nobody is told.
    Refuse(&'static str),
    /// It is refused, and the sender gets this answer.
    Answer(&'static str, String),
    /// It is refused, and the sender gets this answer, which holds a secret such as a code: it is
    /// sent once and not written into any store.
    Confide(&'static str, String),
}

impl Verdict {
    /// The machine-readable reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Allow(reason)
            | Self::Refuse(reason)
            | Self::Answer(reason, _)
            | Self::Confide(reason, _) => reason,
            Self::Grant(grant) => grant.reason,
        }
    }

    /// Whether it lets the event pass.
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Allow(_) | Self::Grant(_))
    }
}

/// A yes that says more than yes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The machine-readable reason.
    pub reason: &'static str,
    /// Whose account it is, where the policy has found out.
    pub bound: Option<Bound>,
    /// How many bytes at the start of a message's text called the bot, as a prefix does, and
    /// are not for the handler.
    pub skip: usize,
    /// What was said in the chat before and was not meant for the bot, a line for each message.
    pub context: Option<String>,
}

impl Grant {
    /// A yes for a reason.
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        Self {
            reason,
            bound: None,
            skip: 0,
            context: None,
        }
    }

    /// Says whose account it is.
    #[must_use]
    pub fn bound(mut self, bound: Option<Bound>) -> Self {
        self.bound = bound;
        self
    }

    /// Puts what was said in the chat before in front of a message's text, with an empty line in
    /// between; see [`Authorized::context`].
    #[must_use]
    pub fn context(mut self, context: Option<String>) -> Self {
        self.context = context;
        self
    }

    /// Cuts this many bytes off the start of the text. A message that is cut loses its
    /// formatting; the payload keeps everything.
    #[must_use]
    pub const fn skip(mut self, bytes: usize) -> Self {
        self.skip = bytes;
        self
    }
}

/// Decides who may say what, where.
#[async_trait]
pub trait Policy: fmt::Debug + Send + Sync {
    /// Judges one event.
    async fn judge(&self, event: &Event) -> Verdict;

    /// Looks at the channels that are about to start, once, before any event: whatever it has to
    /// know of them it learns here.
    ///
    /// # Errors
    ///
    /// `Config`, if the policy would leave one of them open that must not be, or names one
    /// that is not there.
    fn check(&self, channels: &[&ChannelInfo]) -> Result<()> {
        let _ = channels;
        Ok(())
    }

    /// Whether an account is still bound as it was when its event was judged. What cannot be
    /// told does not hold.
    async fn still_holds(&self, bound: &Bound) -> bool {
        let _ = bound;
        true
    }

    /// The same, for whoever sends something: asked before each attempt at each message to such
    /// an account, also at one that waited in a store, and held until the platform has
    /// answered. `None` if it does not hold any more.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it cannot be told now: nothing is to be sent, and it may be tried again.
    async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        Ok(self.still_holds(bound).await.then(Hold::default))
    }

    /// Whether an event carries a secret, such as a code that may be used once. Such an event
    /// is not written into any store: it is judged first and acknowledged then, and after a
    /// crash the platform brings it again. Without I/O.
    fn is_secret(&self, event: &Event) -> bool {
        let _ = event;
        false
    }

    /// What it would say of an event, as far as it can tell without I/O, and without counting
    /// anything or telling anybody: asked about a message for which there is no room, so that its
    /// sender may hear of it. What it cannot tell it refuses, and so does a policy that does not
    /// say anything about it.
    fn foretell(&self, event: &Event) -> Verdict {
        let _ = event;
        Verdict::Refuse("not_foretold")
    }

    /// Whether it decides which talk in shared chats is meant for the bot. Whoever runs it
    /// then leaves that decision alone: two gates would disagree.
    fn judges_groups(&self) -> bool {
        false
    }
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

    fn foretell(&self, _event: &Event) -> Verdict {
        Verdict::Allow("everyone")
    }
}

/// A value that a policy has let pass.
///
/// ```compile_fail
/// use channel_core::{Authorized, Message};
///
/// fn forge(message: Message) -> Authorized<Message> {
///     Authorized { inner: message, reason: "forged", bound: None, context: 0 }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized<T> {
    inner: T,
    reason: &'static str,
    bound: Option<Box<Bound>>,
    /// How many bytes at the start of a message's text are not its own.
    context: usize,
}

impl<T> Authorized<T> {
    /// Why it may pass.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Whose account it comes from, where the policy has found out.
    #[must_use]
    pub fn bound(&self) -> Option<&Bound> {
        self.bound.as_deref()
    }

    /// Hands over the value; the proof is gone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl Authorized<Message> {
    /// What was said in the chat before the message and was not meant for the bot, a line for
    /// each: `name: words`. It stands at the start of the message's text. Empty where the policy
    /// keeps nothing, or nothing was said.
    #[must_use]
    pub fn context(&self) -> &str {
        let context = self.inner.text.get(..self.context).unwrap_or_default();
        context.strip_suffix(BETWEEN).unwrap_or(context)
    }

    /// The message's text without what was said before.
    #[must_use]
    pub fn own_text(&self) -> &str {
        self.inner.text.get(self.context..).unwrap_or_default()
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

impl Authorized<()> {
    /// The same proof, for what it is about.
    fn of<T>(self, inner: T) -> Authorized<T> {
        Authorized {
            inner,
            reason: self.reason,
            bound: self.bound,
            context: self.context,
        }
    }
}

impl Authorized<Event> {
    /// Takes the event apart; `None` for news about a connection.
    #[must_use]
    pub fn into_parts(self) -> Option<AuthorizedEvent> {
        let Self {
            inner: Event { kind, .. },
            reason,
            bound,
            context,
        } = self;
        let proof = Authorized {
            inner: (),
            reason,
            bound,
            context,
        };
        Some(match kind {
            EventKind::Message(it) => AuthorizedEvent::Message(proof.of(*it)),
            EventKind::Edited(it) => AuthorizedEvent::Edited(proof.of(*it)),
            EventKind::Deleted(it) => AuthorizedEvent::Deleted(proof.of(*it)),
            EventKind::Reaction(it) => AuthorizedEvent::Reaction(proof.of(*it)),
            EventKind::Action(it) => AuthorizedEvent::Action(proof.of(*it)),
            EventKind::Membership(it) => AuthorizedEvent::Membership(proof.of(*it)),
            EventKind::Moved(it) => AuthorizedEvent::Moved(proof.of(*it)),
            EventKind::Unknown(it) => AuthorizedEvent::Unknown(proof.of(*it)),
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
    /// The answer holds a secret and is not written into any store.
    pub is_confidential: bool,
}

/// Asks a policy, and proves a yes by the type.
///
/// # Errors
///
/// [`Denied`] if the policy says no; it gives the event back.
#[expect(
    clippy::manual_async_fn,
    reason = "the arguments of an async function are kept twice"
)]
pub fn authorize(
    policy: &dyn Policy,
    event: Event,
) -> impl Future<Output = Result<Authorized<Event>, Denied>> + Send {
    async move {
        let verdict = policy.judge(&event).await;
        judged(verdict, event)
    }
}

#[expect(clippy::result_large_err, reason = "the event is given back")]
fn judged(verdict: Verdict, event: Event) -> Result<Authorized<Event>, Denied> {
    let mut is_confidential = false;
    let (reason, answer) = match verdict {
        Verdict::Allow(reason) => {
            return Ok(Authorized {
                inner: event,
                reason,
                bound: None,
                context: 0,
            });
        }
        Verdict::Grant(grant) => return Ok(granted(*grant, event)),
        Verdict::Refuse(reason) => (reason, None),
        Verdict::Answer(reason, answer) => (reason, Some(answer)),
        Verdict::Confide(reason, answer) => {
            is_confidential = true;
            (reason, Some(answer))
        }
    };
    Err(Denied {
        event,
        reason,
        answer,
        is_confidential,
    })
}

/// What stands between the context and the message.
const BETWEEN: &str = "\n\n";

fn granted(grant: Grant, mut event: Event) -> Authorized<Event> {
    let mut context = 0;
    if let EventKind::Message(message) | EventKind::Edited(message) = &mut event.kind {
        let skip = message.text.get(grant.skip..).map_or(0, |_| grant.skip);
        let before = grant.context.filter(|before| !before.is_empty());
        if skip > 0 || before.is_some() {
            let rest = message.text.split_off(skip);
            let before = before.map(|before| before + BETWEEN).unwrap_or_default();
            context = before.len();
            message.text = before + &rest;
            message.formatted = None;
        }
    }
    Authorized {
        inner: event,
        reason: grant.reason,
        bound: grant.bound.map(Box::new),
        context,
    }
}
