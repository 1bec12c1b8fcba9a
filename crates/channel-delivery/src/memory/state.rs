//! The rows, and who is alive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use channel_core::{ChannelId, ChatId, Conversation, Event, EventId, IdempotencyKey, Receipt};

use super::Limits;
use crate::inbound::{Seq, StoredEvent};
use crate::outbound::{DeliveryId, NewDelivery, Part, StoredDelivery};
use crate::rules::{self, EventStatus, fenced};
use crate::store::{Counts, JournalEntry, StoreError, Swept};
use crate::worker::Fence;

#[derive(Debug)]
pub(crate) struct EventRow {
    /// `None` once a dead event was dropped: only its id is left.
    pub(crate) event: Option<Event>,
    pub(crate) id: (ChannelId, EventId),
    pub(crate) lane: Option<Conversation>,
    pub(crate) status: EventStatus,
    pub(crate) recorded_at: SystemTime,
}

impl EventRow {
    pub(crate) fn stored(&self, seq: Seq) -> Option<StoredEvent> {
        Some(StoredEvent::new(
            seq,
            self.event.clone()?,
            self.status.state,
            self.status.attempts,
            self.status.not_before,
        ))
    }
}

#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) owner: Fence,
    pub(crate) delivery: NewDelivery,
    pub(crate) parts: Vec<Part>,
    pub(crate) planned_at: SystemTime,
    pub(crate) touched_at: SystemTime,
    /// Given up by hand; only its key and its parts are left.
    pub(crate) dropped: bool,
}

impl DeliveryRow {
    pub(crate) fn stored(&self, id: DeliveryId) -> StoredDelivery {
        StoredDelivery::new(
            id,
            self.delivery.clone(),
            self.parts.clone(),
            self.planned_at,
        )
    }

    pub(crate) fn is_stuck(&self) -> bool {
        !self.dropped && rules::is_stuck(&self.parts)
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    last_fence: i64,
    pub(crate) last_seq: i64,
    pub(crate) last_delivery: i64,
    /// Living workers and when their leases end.
    workers: BTreeMap<Fence, SystemTime>,
    pub(crate) cursors: BTreeMap<ChannelId, String>,
    pub(crate) events: BTreeMap<Seq, EventRow>,
    pub(crate) seen: BTreeMap<(ChannelId, EventId), Seq>,
    pub(crate) open_events: BTreeSet<Seq>,
    pub(crate) final_events: BTreeSet<Seq>,
    /// How many unfinished events of a conversation each owner has.
    pub(crate) lanes: BTreeMap<Conversation, BTreeMap<Fence, usize>>,
    pub(crate) deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    pub(crate) keys: BTreeMap<(ChannelId, IdempotencyKey), DeliveryId>,
    pub(crate) answers: BTreeSet<(Seq, DeliveryId)>,
    pub(crate) open_deliveries: BTreeSet<DeliveryId>,
    /// The same by conversation.
    pub(crate) open_in: BTreeSet<(Conversation, DeliveryId)>,
    pub(crate) final_deliveries: BTreeSet<DeliveryId>,
    targets: BTreeMap<(ChannelId, ChatId), (SystemTime, String)>,
    /// What shows unfinished answers, and since when that is known.
    previews: BTreeMap<(ChannelId, IdempotencyKey), (SystemTime, Receipt)>,
}

impl State {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            last_fence: 0,
            last_seq: 0,
            last_delivery: 0,
            workers: BTreeMap::new(),
            cursors: BTreeMap::new(),
            events: BTreeMap::new(),
            seen: BTreeMap::new(),
            open_events: BTreeSet::new(),
            final_events: BTreeSet::new(),
            lanes: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            keys: BTreeMap::new(),
            answers: BTreeSet::new(),
            open_deliveries: BTreeSet::new(),
            open_in: BTreeSet::new(),
            final_deliveries: BTreeSet::new(),
            targets: BTreeMap::new(),
            previews: BTreeMap::new(),
        }
    }

    pub(crate) fn enroll(&mut self, lease: Duration, now: SystemTime) -> Result<Fence, StoreError> {
        let until = rules::lease_end(now, lease)?;
        if self.limits.exclusive {
            self.workers.clear();
        }
        self.last_fence += 1;
        let fence = Fence::new(self.last_fence);
        self.workers.insert(fence, until);
        Ok(fence)
    }

    pub(crate) fn renew(
        &mut self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let until = rules::lease_end(now, lease)?;
        *self.workers.get_mut(&fence).ok_or_else(fenced)? = until;
        Ok(())
    }

    pub(crate) fn leave(&mut self, fence: Fence) -> Result<(), StoreError> {
        self.workers.remove(&fence).map(drop).ok_or_else(fenced)
    }

    pub(crate) fn check_alive(&self, fence: Fence) -> Result<(), StoreError> {
        match self.workers.contains_key(&fence) {
            true => Ok(()),
            false => Err(fenced()),
        }
    }

    /// Ends the leases that have run out, but not the caller's own: nobody has taken over
    /// from it yet.
    pub(crate) fn end_leases(&mut self, caller: Fence, now: SystemTime) -> Result<(), StoreError> {
        self.check_alive(caller)?;
        self.workers
            .retain(|fence, until| *fence == caller || *until > now);
        Ok(())
    }

    /// Whether somebody else with a lease owns it.
    pub(crate) fn is_taken(&self, owner: Fence, caller: Fence) -> bool {
        owner != caller && self.workers.contains_key(&owner)
    }

    /// Whether no two workers live.
    pub(crate) fn is_alone(&self) -> bool {
        self.workers.len() < 2
    }

    pub(crate) fn set_target(
        &mut self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) {
        let key = (channel.clone(), chat.clone());
        let Some(dead) = dead else {
            self.targets.remove(&key);
            return;
        };
        self.targets.insert(key, dead);
        if self.targets.len() > self.limits.history {
            let first = self.targets.iter().min_by_key(|(_, (until, _))| *until);
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                self.targets.remove(&key);
            }
        }
    }

    pub(crate) fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Option<(SystemTime, String)> {
        self.targets
            .get(&(channel.clone(), chat.clone()))
            .filter(|(until, _)| *until > now)
            .cloned()
    }

    pub(crate) fn note_preview(
        &mut self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.check_alive(fence)?;
        let key = (channel.clone(), key.clone());
        self.previews.insert(key, (now, shown.clone()));
        if self.previews.len() > self.limits.history {
            let first = self.previews.iter().min_by_key(|(_, (noted, _))| *noted);
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                self.previews.remove(&key);
            }
        }
        Ok(())
    }

    pub(crate) fn preview(&self, channel: &ChannelId, key: &IdempotencyKey) -> Option<Receipt> {
        let noted = self.previews.get(&(channel.clone(), key.clone()));
        noted.map(|(_, shown)| shown.clone())
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in self.events.values().filter(|row| row.event.is_some()) {
            *counts.events.entry(row.status.state).or_default() += 1;
        }
        let kept = self.deliveries.values().filter(|row| !row.dropped);
        for part in kept.flat_map(|row| &row.parts) {
            *counts.parts.entry(part.state).or_default() += 1;
        }
        counts
    }

    pub(crate) fn journal(&self, after: Option<Seq>, limit: usize) -> Vec<JournalEntry> {
        let entry = |(seq, row): (&Seq, &EventRow)| {
            let first = (*seq, DeliveryId::new(i64::MIN));
            let last = (*seq, DeliveryId::new(i64::MAX));
            let answers = self.answers.range(first..=last);
            let deliveries = answers
                .filter_map(|(_, id)| Some((*id, self.deliveries.get(id)?)))
                .filter(|(_, row)| !row.dropped)
                .map(|(id, row)| row.stored(id))
                .collect();
            let reason = row.status.reason.clone();
            let owner = row.status.owner;
            let entry = JournalEntry::new(row.stored(*seq)?, reason, row.recorded_at, deliveries);
            Some(entry.owned_by((owner != rules::NOBODY).then_some(owner)))
        };
        let rows = self.events.range(beyond(after));
        rows.filter_map(entry).take(limit).collect()
    }

    pub(crate) fn sweep(&mut self, before: SystemTime, limit: usize) -> Swept {
        let old = |seq: &&Seq| {
            self.events.get(seq).is_some_and(|row| {
                let done = row.event.is_none() || !is_dead(row);
                done && row.status.touched_at < before
            })
        };
        let events: Vec<Seq> = self
            .final_events
            .iter()
            .filter(old)
            .take(limit)
            .copied()
            .collect();
        let old = |id: &&DeliveryId| {
            self.deliveries.get(id).is_some_and(|row| {
                (row.dropped || rules::is_done(&row.parts)) && row.touched_at < before
            })
        };
        let all = self.final_deliveries.iter();
        let deliveries: Vec<DeliveryId> = all.filter(old).take(limit).copied().collect();
        for seq in &events {
            self.forget_event(*seq);
        }
        for id in &deliveries {
            self.forget_delivery(*id);
        }
        self.sweep_previews(before, limit);
        Swept {
            events: events.len() as u64,
            deliveries: deliveries.len() as u64,
        }
    }
}

impl State {
    /// Forgets the oldest notes first.
    fn sweep_previews(&mut self, before: SystemTime, limit: usize) {
        let noted = self.previews.iter().map(|(key, (noted, _))| (*noted, key));
        let old = noted.filter(|(noted, _)| *noted < before);
        let old: BTreeSet<_> = old.map(|(noted, key)| (noted, key.clone())).collect();
        for (_, key) in old.into_iter().take(limit) {
            self.previews.remove(&key);
        }
    }
}

fn is_dead(row: &EventRow) -> bool {
    row.status.state == crate::inbound::EventState::Dead
}

/// Everything after a place.
pub(crate) fn beyond<T: Ord>(after: Option<T>) -> (std::ops::Bound<T>, std::ops::Bound<T>) {
    use std::ops::Bound::{Excluded, Unbounded};
    (after.map_or(Unbounded, Excluded), Unbounded)
}
