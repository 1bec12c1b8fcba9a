//! What a platform is answered that has sent a request.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;

use crate::event::Event;

/// A verified request: its events and the answer that the platform wants.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What to answer once the events are safe.
    pub answer: Answer,
}

impl Accepted {
    /// Answers 200 with an empty body.
    #[must_use]
    pub fn ok(events: Vec<Event>) -> Self {
        Self {
            events,
            answer: Answer::Now(http::Response::new(Bytes::new())),
        }
    }

    /// Answers with a response of the platform's own.
    #[must_use]
    pub const fn with(events: Vec<Event>, answer: Answer) -> Self {
        Self { events, answer }
    }
}

/// When and what to answer.
#[non_exhaustive]
pub enum Answer {
    /// As soon as the events are safe. Also the present state of a running answer, for
    /// platforms that poll for it.
    Now(http::Response<Bytes>),
    /// Held open until the reply is there or the deadline has passed.
    Held(Held),
    /// Thought about first: what it says decides what has happened.
    Decided(Box<Decided>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(response) => f.debug_tuple("Now").field(&response.status()).finish(),
            Self::Held(held) => f.debug_tuple("Held").field(&held.deadline).finish(),
            Self::Decided(decided) => f.debug_tuple("Decided").field(&decided.deadline).finish(),
        }
    }
}

/// An answer that waits for a reply.
#[non_exhaustive]
pub struct Held {
    /// Resolves to the reply; `None` if it went out another way.
    pub reply: BoxFuture<'static, Option<http::Response<Bytes>>>,
    /// How long the platform waits, counted from the request.
    pub deadline: Duration,
    /// What to answer when no reply came in time.
    pub otherwise: http::Response<Bytes>,
}

impl Held {
    /// Waits for `reply` until `deadline`, then answers `otherwise`.
    #[must_use]
    pub fn new(
        reply: BoxFuture<'static, Option<http::Response<Bytes>>>,
        deadline: Duration,
        otherwise: http::Response<Bytes>,
    ) -> Self {
        Self {
            reply,
            deadline,
            otherwise,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What has happened, and what is answered once that is safe.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decision {
    /// What has happened, in order; nothing where the platform is told that it has not.
    pub events: Vec<Event>,
    /// What to answer.
    pub response: http::Response<Bytes>,
}

impl Decision {
    /// These events, and this answer to them.
    #[must_use]
    pub const fn new(events: Vec<Event>, response: http::Response<Bytes>) -> Self {
        Self { events, response }
    }
}

/// An answer that decides what has happened, such as whether a form is accepted.
///
/// Nothing is taken before it: what the platform is told to refuse must not be handled. What
/// is accepted is safe before the platform is told so, as everywhere.
#[non_exhaustive]
pub struct Decided {
    /// Resolves to the decision. It is dropped at the deadline, and when the platform goes away.
    pub decision: BoxFuture<'static, Decision>,
    /// How long it may take, counted from the request. Recording comes after it, so it is
    /// shorter than the platform waits.
    pub deadline: Duration,
    /// What holds when it took longer.
    pub otherwise: Decision,
}

impl Decided {
    /// Waits for `decision` until `deadline`; then `otherwise` holds.
    #[must_use]
    pub fn new(
        decision: BoxFuture<'static, Decision>,
        deadline: Duration,
        otherwise: Decision,
    ) -> Self {
        Self {
            decision,
            deadline,
            otherwise,
        }
    }
}

impl fmt::Debug for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
