//! Inbound events in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use channel_core::Conversation;

use super::state::{EventRow, State, beyond};
use crate::inbound::{
    Attempt, DeadEvent, EventState, NewEvent, Outcome, Recorded, Seq, StoredEvent,
};
use crate::rules::{EventStatus, NOBODY, no_event};
use crate::store::{StoreError, StoreErrorKind};
use crate::worker::Fence;

impl State {
    pub(crate) fn record(
        &mut self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.check_alive(fence)?;
        self.check_room(&events)?;
        let answers = events
            .into_iter()
            .map(|new| self.record_one(fence, new, now))
            .collect();
        self.forget_old_events();
        Ok(answers)
    }

    fn check_room(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let ids = events.iter().map(|new| (&new.event.channel, &new.event.id));
        let fresh: BTreeSet<_> = ids
            .filter(|(channel, id)| !self.seen.contains_key(&((*channel).clone(), (*id).clone())))
            .collect();
        if self.open_events.len().saturating_add(fresh.len()) > self.limits.unfinished {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the store in memory is full of unfinished events",
            ));
        }
        Ok(())
    }

    fn record_one(&mut self, fence: Fence, new: NewEvent, now: SystemTime) -> Recorded {
        let id = (new.event.channel.clone(), new.event.id.clone());
        if let Some(cursor) = new.cursor {
            self.cursors.insert(id.0.clone(), cursor);
        }
        if let Some(row) = self.seen.get(&id).and_then(|seq| self.events.get(seq)) {
            return Recorded::Known(row.status.state);
        }
        let lane = new.event.conversation();
        let others = lane.as_ref().and_then(|lane| self.lanes.get(lane));
        let mine = others.is_none_or(|owners| owners.keys().all(|owner| *owner == fence));
        self.last_seq += 1;
        let seq = Seq::new(self.last_seq);
        let owner = if mine { fence } else { NOBODY };
        enter(&mut self.lanes, lane.as_ref(), owner);
        self.seen.insert(id.clone(), seq);
        self.open_events.insert(seq);
        let row = EventRow {
            event: Some(new.event),
            id,
            lane,
            status: EventStatus::received(owner, now),
            recorded_at: now,
        };
        self.events.insert(seq, row);
        Recorded::Fresh { seq, mine }
    }

    pub(crate) fn claim(
        &mut self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.end_leases(fence, now)?;
        let free = |seq: &&Seq| {
            self.events
                .get(seq)
                .is_some_and(|row| self.is_free(row, fence))
        };
        let free: Vec<Seq> = self
            .open_events
            .iter()
            .filter(free)
            .take(limit)
            .copied()
            .collect();
        let mut claimed = Vec::new();
        for seq in free {
            let Some(row) = self.events.get_mut(&seq) else {
                continue;
            };
            leave(&mut self.lanes, row.lane.as_ref(), row.status.owner);
            enter(&mut self.lanes, row.lane.as_ref(), fence);
            row.status.owner = fence;
            claimed.extend(row.stored(seq));
        }
        Ok(claimed)
    }

    pub(crate) fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.check_alive(fence)?;
        let owned = |seq: &Seq| {
            let row = self.events.get(seq)?;
            (row.status.owner == fence).then(|| row.stored(*seq))?
        };
        let open = self.open_events.range(beyond(after));
        Ok(open.filter_map(owned).take(limit).collect())
    }

    /// A conversation of which somebody else alive owns an event is left alone.
    fn is_free(&self, row: &EventRow, fence: Fence) -> bool {
        let lane = row.lane.as_ref().and_then(|lane| self.lanes.get(lane));
        row.status.owner != fence
            && !self.is_taken(row.status.owner, fence)
            && lane.is_none_or(|owners| !owners.keys().any(|owner| self.is_taken(*owner, fence)))
    }

    pub(crate) fn begin(
        &mut self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        self.check_alive(fence)?;
        let row = self.events.get_mut(&event).ok_or_else(|| no_event(event))?;
        row.status.begin(fence, event, now)
    }

    pub(crate) fn finish(
        &mut self,
        fence: Fence,
        event: Seq,
        outcome: &Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.check_alive(fence)?;
        let row = self.events.get_mut(&event).ok_or_else(|| no_event(event))?;
        row.status.finish(fence, event, outcome, now)?;
        if row.status.state.is_final() {
            leave(&mut self.lanes, row.lane.as_ref(), fence);
            self.open_events.remove(&event);
            self.final_events.insert(event);
            self.forget_old_events();
        }
        Ok(())
    }

    pub(crate) fn dead_events(&self, after: Option<Seq>, limit: usize) -> Vec<DeadEvent> {
        let dead = |seq: &Seq| {
            let row = self.events.get(seq)?;
            if row.status.state != EventState::Dead {
                return None;
            }
            Some(DeadEvent::new(
                *seq,
                row.event.clone()?,
                row.status.attempts,
                row.status.reason.clone().unwrap_or_default(),
                row.recorded_at,
            ))
        };
        let places = self.final_events.range(beyond(after));
        places.filter_map(dead).take(limit).collect()
    }

    pub(crate) fn retry_event(&mut self, event: Seq, now: SystemTime) -> bool {
        let Some(row) = self.dead_event(event) else {
            return false;
        };
        row.status.revive(now);
        let lane = row.lane.clone();
        enter(&mut self.lanes, lane.as_ref(), NOBODY);
        self.final_events.remove(&event);
        self.open_events.insert(event);
        true
    }

    pub(crate) fn drop_event(&mut self, event: Seq, now: SystemTime) -> bool {
        let Some(row) = self.dead_event(event) else {
            return false;
        };
        row.event = None;
        row.status.touched_at = now;
        true
    }

    fn dead_event(&mut self, event: Seq) -> Option<&mut EventRow> {
        let row = self.events.get_mut(&event)?;
        (row.status.state == EventState::Dead && row.event.is_some()).then_some(row)
    }

    pub(crate) fn forget_event(&mut self, seq: Seq) {
        self.final_events.remove(&seq);
        if let Some(row) = self.events.remove(&seq) {
            self.seen.remove(&row.id);
        }
    }

    fn forget_old_events(&mut self) {
        while self.final_events.len() > self.limits.history {
            match self.final_events.first().copied() {
                Some(seq) => self.forget_event(seq),
                None => return,
            }
        }
    }
}

type Lanes = BTreeMap<Conversation, BTreeMap<Fence, usize>>;

fn enter(lanes: &mut Lanes, lane: Option<&Conversation>, owner: Fence) {
    if let Some(lane) = lane {
        let owners = lanes.entry(lane.clone()).or_default();
        *owners.entry(owner).or_default() += 1;
    }
}

fn leave(lanes: &mut Lanes, lane: Option<&Conversation>, owner: Fence) {
    let Some(owners) = lane.and_then(|lane| lanes.get_mut(lane)) else {
        return;
    };
    if let Some(count) = owners.get_mut(&owner) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            owners.remove(&owner);
        }
    }
    if let (true, Some(lane)) = (owners.is_empty(), lane) {
        lanes.remove(lane);
    }
}
