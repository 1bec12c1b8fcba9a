//! What became of deliveries: numbers for an operator, failures for the bot.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use channel_core::{ChannelId, ErrorKind, IdempotencyKey, Receipt, Target};

use crate::inbound::Seq;
use crate::outbound::{DeliveryId, PartState};

/// A delivery that failed for good, or of which nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The channel.
    pub channel: ChannelId,
    /// Where it was to go.
    pub target: Target,
    /// The delivery, by which it is retried or dropped.
    pub delivery: DeliveryId,
    /// The key of the message.
    pub key: IdempotencyKey,
    /// The inbound event that it was to answer.
    pub answers: Option<Seq>,
    /// `Dead` or `Uncertain`.
    pub state: PartState,
    /// The part that failed, from 0.
    pub part: usize,
    /// How many parts there are; those after the failed one were not sent.
    pub parts: usize,
    /// What the platform's last answer was, where there was one.
    pub kind: Option<ErrorKind>,
    /// Why; never content.
    pub reason: String,
    /// What has arrived all the same.
    pub delivered: Receipt,
}

/// A preview of a streamed answer that outlives it: its process died, and the channel cannot
/// go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftBehind {
    /// The channel.
    pub channel: ChannelId,
    /// The key of the answer.
    pub key: IdempotencyKey,
    /// The messages that show it; none where the process died before it knew them, so that
    /// there may be one or not.
    pub shown: Receipt,
}

/// Hears of each delivery that failed for good, so that a bot can tell its operator.
///
/// Called after the state is on record. Must not block.
pub trait Report: Send + Sync + 'static {
    /// A delivery is dead or uncertain.
    fn failed(&self, failure: &Failure);

    /// A preview stays on the platform beside the answer that it was to become.
    fn left_behind(&self, preview: &LeftBehind) {
        let _ = preview;
    }
}

impl<F> Report for F
where
    F: Fn(&Failure) + Send + Sync + 'static,
{
    fn failed(&self, failure: &Failure) {
        self(failure);
    }
}

/// What an outbox has done since it was made, and what it has in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Parts that a platform has.
    pub delivered: u64,
    /// Parts that may have arrived.
    pub uncertain: u64,
    /// Parts that were not to be shown.
    pub suppressed: u64,
    /// Parts that were given up.
    pub dead: u64,
    /// Attempts that failed and were made again.
    pub retried: u64,
    /// Parts that were sent again with a note, because the first attempt may have arrived.
    pub resent_marked: u64,
    /// Deliveries that were taken over from a worker that is gone.
    pub recovered: u64,
    /// Deliveries that ended without a final state, because the store was out of reach or
    /// the worker had to stop; whoever takes over goes on with them.
    pub interrupted: u64,
    /// Previews that stay, or may stay, on a platform beside the answer.
    pub left_behind: u64,
    /// Deliveries in hand.
    pub under_way: usize,
    /// How long the oldest delivery in hand has been planned: the value for an alarm.
    pub oldest: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    delivered: AtomicU64,
    uncertain: AtomicU64,
    suppressed: AtomicU64,
    dead: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) resent_marked: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) left_behind: AtomicU64,
}

impl Counters {
    /// Counts a part that has come to its end.
    pub(crate) fn ended(&self, state: PartState) {
        match state {
            PartState::Delivered => count(&self.delivered),
            PartState::Uncertain => count(&self.uncertain),
            PartState::Suppressed => count(&self.suppressed),
            PartState::Dead => count(&self.dead),
            PartState::Prepared | PartState::Sending | PartState::Failed => {}
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            delivered: get(&self.delivered),
            uncertain: get(&self.uncertain),
            suppressed: get(&self.suppressed),
            dead: get(&self.dead),
            retried: get(&self.retried),
            resent_marked: get(&self.resent_marked),
            recovered: get(&self.recovered),
            interrupted: get(&self.interrupted),
            left_behind: get(&self.left_behind),
            under_way: 0,
            oldest: None,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
