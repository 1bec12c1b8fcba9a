//! Messages on their way to a platform.

use std::fmt;
use std::time::SystemTime;

use channel_core::{ChannelId, Conversation, IdempotencyKey, OutboundMessage, Receipt};
use serde::{Deserialize, Serialize};

use crate::inbound::Seq;

/// The state of one part of a delivery: one part becomes one platform message.
///
/// ```text
/// prepared -> sending -> delivered
///                     -> failed     -> sending ...
///                     -> uncertain  -> sending (the bot wants at-least-once) | delivered (found)
///                     -> dead       -> prepared (by hand)
/// prepared | failed   -> suppressed | dead
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartState {
    /// Planned; no byte has left.
    Prepared,
    /// A request is under way, or was when its process died.
    Sending,
    /// The platform has it. Final.
    Delivered,
    /// Nothing happened on the platform; will be tried again.
    Failed,
    /// It may have arrived, and nothing tells. Final unless resolved.
    Uncertain,
    /// Not to be shown. Final.
    Suppressed,
    /// Given up; waits for somebody to look. Final until then.
    Dead,
}

impl PartState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Prepared,
        Self::Sending,
        Self::Delivered,
        Self::Failed,
        Self::Uncertain,
        Self::Suppressed,
        Self::Dead,
    ];

    /// The name under which it is stored and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Suppressed => "suppressed",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more happens to the part by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Uncertain | Self::Suppressed | Self::Dead
        )
    }

    /// Whether a part may go from this state to another one.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::Prepared | Self::Failed,
                Self::Sending | Self::Suppressed | Self::Dead
            ) | (
                // Sending once more: with the platform's key, or marked as a repeat.
                Self::Sending,
                Self::Sending | Self::Delivered | Self::Failed | Self::Uncertain | Self::Dead
            ) | (
                Self::Uncertain,
                Self::Sending | Self::Delivered | Self::Prepared | Self::Dead
            ) | (Self::Dead, Self::Prepared)
        )
    }
}

impl fmt::Display for PartState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of a delivery in its store; grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(i64);

impl DeliveryId {
    /// A number as the store gives it.
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

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A delivery to plan, before the first byte leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewDelivery {
    /// The channel that it goes out through.
    pub channel: ChannelId,
    /// Makes it recognisable: planning the same key again finds the first plan. Unique in
    /// the channel.
    pub key: IdempotencyKey,
    /// What is sent, whole.
    pub message: OutboundMessage,
    /// How many platform messages it becomes.
    pub parts: usize,
    /// The inbound event that it answers.
    pub answers: Option<Seq>,
}

impl NewDelivery {
    /// A delivery on the application's own account.
    #[must_use]
    pub const fn new(
        channel: ChannelId,
        key: IdempotencyKey,
        message: OutboundMessage,
        parts: usize,
    ) -> Self {
        Self {
            channel,
            key,
            message,
            parts,
            answers: None,
        }
    }

    /// Says which event it answers.
    #[must_use]
    pub const fn answering(mut self, event: Seq) -> Self {
        self.answers = Some(event);
        self
    }

    /// The conversation in which it is shown: what is planned there first is sent first.
    #[must_use]
    pub fn conversation(&self) -> Conversation {
        let target = self.message.to.target();
        let (chat, thread) = (target.chat.clone(), target.thread.clone());
        Conversation::new(self.channel.clone(), chat, thread)
    }
}

/// One part of a delivery, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its state.
    pub state: PartState,
    /// How many attempts have begun.
    pub attempts: u32,
    /// When the next attempt may begin.
    pub not_before: SystemTime,
    /// What the platform returned.
    pub receipt: Option<Receipt>,
    /// Why it failed or is uncertain; never content.
    pub reason: Option<String>,
}

impl Part {
    /// A part of which no byte has left.
    #[must_use]
    pub const fn prepared() -> Self {
        Self {
            state: PartState::Prepared,
            attempts: 0,
            not_before: SystemTime::UNIX_EPOCH,
            receipt: None,
            reason: None,
        }
    }

    /// The platform has it.
    #[must_use]
    pub fn delivered(mut self, receipt: Receipt) -> Self {
        self.state = PartState::Delivered;
        self.receipt = Some(receipt);
        self.reason = None;
        self
    }

    /// Goes to a state for a reason.
    #[must_use]
    pub fn because(mut self, state: PartState, reason: impl Into<String>) -> Self {
        self.state = state;
        self.reason = Some(reason.into());
        self
    }

    /// Tries again, not before this moment.
    #[must_use]
    pub fn failed(mut self, not_before: SystemTime, reason: impl Into<String>) -> Self {
        self.state = PartState::Failed;
        self.not_before = not_before;
        self.reason = Some(reason.into());
        self
    }

    /// Begins an attempt.
    #[must_use]
    pub fn sending(mut self) -> Self {
        self.state = PartState::Sending;
        self.attempts = self.attempts.saturating_add(1);
        self
    }
}

/// A delivery that a worker owns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// What was planned.
    pub delivery: NewDelivery,
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// When it was planned.
    pub planned_at: SystemTime,
}

impl StoredDelivery {
    /// A delivery as the store has it.
    #[must_use]
    pub const fn new(
        id: DeliveryId,
        delivery: NewDelivery,
        parts: Vec<Part>,
        planned_at: SystemTime,
    ) -> Self {
        Self {
            id,
            delivery,
            parts,
            planned_at,
        }
    }
}

/// What planning found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// The delivery: the new one, or the one that was planned under this key before.
    pub delivery: StoredDelivery,
    /// Whether it is new.
    pub is_new: bool,
    /// Whether something unfinished that was planned before may be another worker's, dead or
    /// alive: then [`Store::ahead`](crate::Store::ahead) says what of it stands in front. A
    /// store that does not know says yes.
    pub is_behind_others: bool,
}

impl Planned {
    /// What planning found, with nothing of others in front of it.
    #[must_use]
    pub const fn new(delivery: StoredDelivery, is_new: bool) -> Self {
        Self {
            delivery,
            is_new,
            is_behind_others: false,
        }
    }

    /// Says whether something of other workers may stand in front of it.
    #[must_use]
    pub const fn behind_others(mut self, is_behind: bool) -> Self {
        self.is_behind_others = is_behind;
        self
    }
}

/// What stands in front of a delivery in its conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ahead {
    /// What is now the worker's own, oldest first, up to the first that is not.
    pub mine: Vec<StoredDelivery>,
    /// Whether something is left: another living worker has it, or there is more.
    pub more: bool,
}

impl Ahead {
    /// What the worker has in front of it, and whether there is more.
    #[must_use]
    pub const fn new(mine: Vec<StoredDelivery>, more: bool) -> Self {
        Self { mine, more }
    }
}

/// A delivery with parts that are dead or uncertain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadDelivery {
    /// The delivery with all its parts.
    pub delivery: StoredDelivery,
}

impl DeadDelivery {
    /// A delivery that needs somebody to look.
    #[must_use]
    pub const fn new(delivery: StoredDelivery) -> Self {
        Self { delivery }
    }
}
