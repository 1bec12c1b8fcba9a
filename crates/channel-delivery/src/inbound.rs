//! Events on their way to a handler.

use std::fmt;
use std::time::SystemTime;

use channel_core::{ChannelId, Conversation, Event, EventId};
use serde::{Deserialize, Serialize};

/// The state of an inbound event.
///
/// ```text
/// received -> handling -> handled
///                      -> refused
///                      -> retrying -> handling ...
///                      -> dead     -> received (by hand)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventState {
    /// Recorded; no handler has begun.
    Received,
    /// A handler runs, or ran when its process died.
    Handling,
    /// The handler has finished. Final.
    Handled,
    /// The policy said no. Final.
    Refused,
    /// A handler failed and will be tried again.
    Retrying,
    /// Set aside after too many attempts; waits for somebody to look. Final until then.
    Dead,
}

impl EventState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Received,
        Self::Handling,
        Self::Handled,
        Self::Refused,
        Self::Retrying,
        Self::Dead,
    ];

    /// The name under which it is stored and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Handling => "handling",
            Self::Handled => "handled",
            Self::Refused => "refused",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more happens to the event by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Handled | Self::Refused | Self::Dead)
    }

    /// Whether an event may go from this state to another one.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::Received | Self::Retrying | Self::Handling,
                Self::Handling
            ) | (
                Self::Handling,
                Self::Handled | Self::Refused | Self::Retrying | Self::Dead
            ) | (Self::Dead, Self::Received)
        )
    }
}

impl fmt::Display for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place of an event in its store: events are handled in this order inside their
/// conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(i64);

impl Seq {
    /// A place as the store numbers it.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event to record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEvent {
    /// What happened.
    pub event: Event,
    /// Where the channel's own connection goes on after this event, where the channel and
    /// not the platform remembers that. Written together with the event.
    pub cursor: Option<String>,
}

impl NewEvent {
    /// An event without a cursor.
    #[must_use]
    pub const fn new(event: Event) -> Self {
        Self {
            event,
            cursor: None,
        }
    }

    /// Moves the channel's cursor in the same write.
    #[must_use]
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }
}

/// What became of an event that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// It is new, and belongs to the worker that recorded it unless earlier events of its
    /// conversation are another worker's or nobody's, or were until a moment ago: then it
    /// waits to be claimed.
    Fresh {
        /// Its place.
        seq: Seq,
        /// Whether the recording worker owns it now.
        mine: bool,
    },
    /// The same channel and event id are on record already; nothing was written but the
    /// cursor.
    Known(EventState),
}

/// An event that a worker owns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its place.
    pub seq: Seq,
    /// What happened.
    pub event: Event,
    /// Its state when it was claimed: `Handling` means that a process died over it.
    pub state: EventState,
    /// How many attempts have begun.
    pub attempts: u32,
    /// When the next attempt may begin.
    pub not_before: SystemTime,
}

impl StoredEvent {
    /// An event as the store has it.
    #[must_use]
    pub const fn new(
        seq: Seq,
        event: Event,
        state: EventState,
        attempts: u32,
        not_before: SystemTime,
    ) -> Self {
        Self {
            seq,
            event,
            state,
            attempts,
            not_before,
        }
    }
}

/// An attempt that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
}

impl Attempt {
    /// The attempt of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self { number }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler has finished; with a remark where something went wrong for good that is
    /// accounted for elsewhere, such as a reply that could not be delivered.
    Handled {
        /// Never content.
        remark: Option<String>,
    },
    /// The policy said no.
    Refused {
        /// The policy's machine-readable reason.
        reason: String,
    },
    /// Once more, not before this moment.
    Retry {
        /// The earliest next attempt.
        not_before: SystemTime,
        /// Why it failed; never content.
        reason: String,
    },
    /// Set aside.
    Dead {
        /// Why; never content.
        reason: String,
    },
}

impl Outcome {
    /// The state that it leads to.
    #[must_use]
    pub const fn state(&self) -> EventState {
        match self {
            Self::Handled { .. } => EventState::Handled,
            Self::Refused { .. } => EventState::Refused,
            Self::Retry { .. } => EventState::Retrying,
            Self::Dead { .. } => EventState::Dead,
        }
    }

    /// The remark or reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Handled { remark } => remark.as_deref(),
            Self::Refused { reason } | Self::Retry { reason, .. } | Self::Dead { reason } => {
                Some(reason)
            }
        }
    }
}

/// An event that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadEvent {
    /// Its place, by which it is retried or dropped.
    pub seq: Seq,
    /// The channel that it came through.
    pub channel: ChannelId,
    /// Its id on the platform.
    pub id: EventId,
    /// The kind of event, such as `message`.
    pub kind: String,
    /// The conversation, where it belongs to one.
    pub conversation: Option<Conversation>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Why it was set aside.
    pub reason: String,
    /// When it was recorded.
    pub recorded_at: SystemTime,
    /// What happened, with its content.
    pub event: Event,
}

impl DeadEvent {
    /// An event that was set aside.
    #[must_use]
    pub fn new(
        seq: Seq,
        event: Event,
        attempts: u32,
        reason: impl Into<String>,
        recorded_at: SystemTime,
    ) -> Self {
        Self {
            seq,
            channel: event.channel.clone(),
            id: event.id.clone(),
            kind: event.name().to_owned(),
            conversation: event.conversation(),
            attempts,
            reason: reason.into(),
            recorded_at,
            event,
        }
    }
}
