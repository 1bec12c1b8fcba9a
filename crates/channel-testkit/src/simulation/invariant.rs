//! The promises, and how one of them was found broken.

use std::fmt;
use std::time::Duration;

/// A promise that holds in every simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Invariant {
    /// What the platform was told is received is on record.
    RecordedBeforeAcknowledged,
    /// Every accepted event, and every part of every reply, ends in a final state.
    EndsInAFinalState,
    /// The events of a conversation are handled one after the other, in order, unless the bot
    /// wants them all at once.
    InOrder,
    /// An event has one effect, however often it is delivered.
    NoSecondEffect,
    /// What the platform shows twice is marked, and only where it takes no keys and tells
    /// nothing.
    DoublesAreMarked,
    /// A request leaves only while its attempt is on record: nothing without a plan, nothing
    /// after it was suppressed or given up.
    SentOnlyAsPlanned,
    /// Rows go from state to state as `channel-delivery` says, attempts are counted, and the
    /// store has what it said it has.
    LegalTransitions,
    /// Nobody writes to, or is given, what a living worker owns.
    LeasesAndFences,
    /// No request leaves before the wait is over that the platform asked for.
    RetryAfterObeyed,
    /// Nothing is sent to a chat that has refused us, as long as the store can tell.
    DeadTargetsRemembered,
    /// What is said to be delivered is shown, and the application hears the truth.
    NoLies,
    /// Previews do not keep a final message waiting.
    FinalsBeforePreviews,
    /// Requests leave no faster than the buckets allow that the channel declares.
    PacedAsDeclared,
    /// A part is marked as being sent when it leaves, and not while it waits for its turn.
    MarkedWhenItLeaves,
    /// No preview stays beside the answer that it was to become, unless that is reported.
    NoPreviewLeftBehind,
    /// Nothing is kept of what is done.
    BoundedMemory,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::RecordedBeforeAcknowledged,
        Self::EndsInAFinalState,
        Self::InOrder,
        Self::NoSecondEffect,
        Self::DoublesAreMarked,
        Self::SentOnlyAsPlanned,
        Self::LegalTransitions,
        Self::LeasesAndFences,
        Self::RetryAfterObeyed,
        Self::DeadTargetsRemembered,
        Self::NoLies,
        Self::FinalsBeforePreviews,
        Self::PacedAsDeclared,
        Self::MarkedWhenItLeaves,
        Self::NoPreviewLeftBehind,
        Self::BoundedMemory,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecordedBeforeAcknowledged => "recorded before acknowledged",
            Self::EndsInAFinalState => "ends in a final state",
            Self::InOrder => "in order",
            Self::NoSecondEffect => "no second effect",
            Self::DoublesAreMarked => "doubles are marked",
            Self::SentOnlyAsPlanned => "sent only as planned",
            Self::LegalTransitions => "legal transitions",
            Self::LeasesAndFences => "leases and fences",
            Self::RetryAfterObeyed => "retry-after obeyed",
            Self::DeadTargetsRemembered => "dead targets remembered",
            Self::NoLies => "no lies",
            Self::FinalsBeforePreviews => "finals before previews",
            Self::PacedAsDeclared => "paced as declared",
            Self::MarkedWhenItLeaves => "marked when it leaves",
            Self::NoPreviewLeftBehind => "no preview left behind",
            Self::BoundedMemory => "bounded memory",
        })
    }
}

/// A promise that was found broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The promise.
    pub invariant: Invariant,
    /// When it was found, in virtual time since the start.
    pub at: Duration,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(f, "{} (at {at:.3} s): {}", self.invariant, self.what)
    }
}
