//! What every store in this crate checks, in one place: given a row, may this happen?

use std::time::{Duration, SystemTime};

use channel_core::{Body, OutboundMessage};

use crate::inbound::{Attempt, EventState, Outcome, Seq};
use crate::outbound::{DeliveryId, Part, PartState};
use crate::store::{StoreError, StoreErrorKind};
use crate::worker::Fence;

/// Nobody's: the owner of what no worker has claimed.
pub(crate) const NOBODY: Fence = Fence::new(0);

/// What moves of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventStatus {
    pub(crate) owner: Fence,
    pub(crate) state: EventState,
    pub(crate) attempts: u32,
    pub(crate) not_before: SystemTime,
    pub(crate) reason: Option<String>,
    pub(crate) touched_at: SystemTime,
}

impl EventStatus {
    pub(crate) const fn received(owner: Fence, now: SystemTime) -> Self {
        Self {
            owner,
            state: EventState::Received,
            attempts: 0,
            not_before: SystemTime::UNIX_EPOCH,
            reason: None,
            touched_at: now,
        }
    }

    /// Begins an attempt, or changes nothing.
    pub(crate) fn begin(
        &mut self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        self.check(fence, event, EventState::Handling)?;
        self.state = EventState::Handling;
        self.attempts = self.attempts.saturating_add(1);
        self.touched_at = now;
        Ok(Attempt::new(self.attempts))
    }

    /// Ends an attempt, or changes nothing.
    pub(crate) fn finish(
        &mut self,
        fence: Fence,
        event: Seq,
        outcome: &Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let next = outcome.state();
        self.check(fence, event, next)?;
        self.reason = outcome.reason().map(str::to_owned);
        if let Outcome::Retry { not_before, .. } = outcome {
            self.not_before = *not_before;
        }
        self.state = next;
        self.touched_at = now;
        Ok(())
    }

    /// Makes a dead event free again.
    pub(crate) fn revive(&mut self, now: SystemTime) {
        *self = Self::received(NOBODY, now);
    }

    fn check(&self, fence: Fence, event: Seq, next: EventState) -> Result<(), StoreError> {
        if self.state.is_final() {
            return Err(illegal_event(event, self.state, next));
        }
        if self.owner != fence {
            return Err(fenced());
        }
        if self.state.may_become(next) {
            Ok(())
        } else {
            Err(illegal_event(event, self.state, next))
        }
    }
}

/// New states of parts of a delivery: all, or an error and none.
pub(crate) fn update_parts(
    parts: &[Part],
    changes: &[(usize, Part)],
    delivery: DeliveryId,
) -> Result<Vec<Part>, StoreError> {
    let mut next = parts.to_vec();
    for (at, change) in changes {
        let Some(part) = next.get_mut(*at) else {
            return Err(StoreError::new(
                StoreErrorKind::Illegal,
                format!("delivery {delivery} has no part {at}"),
            ));
        };
        if !part.state.may_become(change.state) {
            return Err(StoreError::new(
                StoreErrorKind::Illegal,
                format!(
                    "part {at} of delivery {delivery} may not go from {} to {}",
                    part.state, change.state
                ),
            ));
        }
        *part = change.clone();
    }
    Ok(next)
}

/// Whether something still happens to a delivery by itself.
pub(crate) fn moves(parts: &[Part]) -> bool {
    parts.iter().any(|part| !part.state.is_final())
}

/// Whether somebody has to look: nothing moves, and a part is dead or uncertain.
pub(crate) fn is_stuck(parts: &[Part]) -> bool {
    !moves(parts) && parts.iter().any(is_lost)
}

/// Whether a delivery is done and in order.
pub(crate) fn is_done(parts: &[Part]) -> bool {
    !moves(parts) && !parts.iter().any(is_lost)
}

const fn is_lost(part: &Part) -> bool {
    matches!(part.state, PartState::Dead | PartState::Uncertain)
}

/// Prepares the dead and uncertain parts again.
pub(crate) fn revive_parts(parts: &[Part]) -> Vec<Part> {
    let revive = |part: &Part| match is_lost(part) {
        true => Part::prepared(),
        false => part.clone(),
    };
    parts.iter().map(revive).collect()
}

/// What is left of the message of a delivery that was dropped by hand.
pub(crate) fn emptied(message: &OutboundMessage) -> OutboundMessage {
    OutboundMessage::new(message.to.clone(), Body::plain(""))
}

/// When a lease ends.
pub(crate) fn lease_end(now: SystemTime, lease: Duration) -> Result<SystemTime, StoreError> {
    now.checked_add(lease)
        .ok_or_else(|| StoreError::new(StoreErrorKind::Config, "the lease is too long"))
}

pub(crate) fn fenced() -> StoreError {
    StoreError::new(StoreErrorKind::Fenced, "another worker has taken over")
}

pub(crate) fn no_event(event: Seq) -> StoreError {
    StoreError::new(
        StoreErrorKind::Illegal,
        format!("there is no event {event}"),
    )
}

pub(crate) fn no_delivery(delivery: DeliveryId) -> StoreError {
    StoreError::new(
        StoreErrorKind::Illegal,
        format!("there is no delivery {delivery}"),
    )
}

fn illegal_event(event: Seq, from: EventState, to: EventState) -> StoreError {
    StoreError::new(
        StoreErrorKind::Illegal,
        format!("event {event} may not go from {from} to {to}"),
    )
}
