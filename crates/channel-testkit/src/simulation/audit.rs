//! Each answer of the store, held against its contract.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use channel_core::ChatId;
use channel_delivery::{
    Attempt, DeliveryId, EventState, Fence, NewDelivery, NewEvent, Outcome, Part, PartState,
    Planned, Recorded, Seq, StoredDelivery, StoredEvent,
};

use super::invariant::Invariant::{self, InOrder, LeasesAndFences, LegalTransitions};
use super::ledger::{DeliveryRow, EventRow, Ledger, Rows};
use super::words::{parts, payload};
use crate::wait::lock;

/// Nobody.
const FREE: i64 = 0;

impl Ledger {
    fn broken(&self, invariant: Invariant, what: String) {
        self.world.broken(invariant, || what);
    }

    pub(super) fn enrolled(&self, fence: Fence, lease: Duration, now: SystemTime) {
        let mut rows = lock(&self.rows);
        let greatest = rows.greatest_fence;
        rows.greatest_fence = fence.number().max(greatest);
        if fence.number() <= greatest {
            self.broken(
                LeasesAndFences,
                format!("fence {} is not new", fence.number()),
            );
        }
        rows.leases.insert(fence.number(), now + lease);
    }

    pub(super) fn renewed(&self, fence: Fence, lease: Duration, now: SystemTime) {
        lock(&self.rows).leases.insert(fence.number(), now + lease);
    }

    pub(super) fn left(&self, fence: Fence, now: SystemTime) {
        let mut rows = lock(&self.rows);
        rows.leases.insert(fence.number(), now);
        for row in rows.events.values_mut() {
            free(&mut row.owner, fence);
        }
        for row in rows.deliveries.values_mut() {
            free(&mut row.owner, fence);
        }
    }

    pub(super) fn recorded(&self, fence: Fence, events: &[NewEvent], answers: &[Recorded]) {
        let mut rows = lock(&self.rows);
        if events.len() != answers.len() {
            let (asked, got) = (events.len(), answers.len());
            self.broken(
                LegalTransitions,
                format!("{got} answers for {asked} events"),
            );
        }
        for (new, answer) in events.iter().zip(answers) {
            let id = new.event.id.as_str();
            let known = rows.ids.get(id).copied();
            match (answer, known) {
                (Recorded::Fresh { .. }, Some(_)) => {
                    self.broken(
                        Invariant::NoSecondEffect,
                        format!("{id} is on record and was recorded again"),
                    );
                }
                (Recorded::Fresh { seq, mine }, None) => {
                    let row = EventRow {
                        id: id.to_owned(),
                        conversation: new.event.conversation(),
                        owner: if *mine { fence.number() } else { FREE },
                        state: EventState::Received,
                        attempts: 0,
                        overtakes: None,
                    };
                    rows.ids.insert(id.to_owned(), seq.number());
                    rows.events.insert(seq.number(), row);
                }
                (Recorded::Known(_), None) => self.broken(
                    Invariant::RecordedBeforeAcknowledged,
                    format!("{id} is said to be known and was never recorded"),
                ),
                (Recorded::Known(state), Some(seq)) => {
                    let row = rows.events.get(&seq);
                    if row.is_some_and(|row| row.state != *state) {
                        self.broken(LegalTransitions, format!("{id} is not {state}"));
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn claimed(&self, fence: Fence, events: &[StoredEvent], now: SystemTime) {
        let mut rows = lock(&self.rows);
        rows.end_leases(now);
        let mut last = None;
        for event in events {
            let seq = event.seq.number();
            if last.is_some_and(|last| last >= seq) {
                self.broken(InOrder, format!("event {seq} is handed out after {last:?}"));
            }
            last = Some(seq);
            let Some(row) = rows.events.get(&seq).cloned() else {
                // Its recorder died before it heard of it.
                let row = EventRow {
                    id: event.event.id.as_str().to_owned(),
                    conversation: event.event.conversation(),
                    owner: fence.number(),
                    state: event.state,
                    attempts: event.attempts,
                    overtakes: None,
                };
                rows.ids.insert(row.id.clone(), seq);
                rows.events.insert(seq, row);
                continue;
            };
            self.may_take(&rows, row.owner, fence, now, &row.id);
            if row.state != event.state || row.attempts != event.attempts {
                self.broken(
                    LegalTransitions,
                    format!(
                        "{} is {} after {} attempts and handed out as {} after {}",
                        row.id, row.state, row.attempts, event.state, event.attempts
                    ),
                );
            }
            if let Some(row) = rows.events.get_mut(&seq) {
                row.owner = fence.number();
            }
        }
    }

    /// A row changes hands only if nobody alive has it.
    fn may_take(&self, rows: &Rows, owner: i64, fence: Fence, now: SystemTime, what: &str) {
        if owner != FREE && owner != fence.number() && rows.is_alive(owner, now) {
            self.broken(
                LeasesAndFences,
                format!("{what} belongs to worker {owner}, which lives, and was handed out"),
            );
        }
    }

    /// A row changes only in the hands of its owner.
    fn may_write(&self, owner: i64, fence: Fence, what: &str) {
        if owner != fence.number() {
            self.broken(
                LeasesAndFences,
                format!(
                    "{what} belongs to worker {owner} and was written by {}",
                    fence.number()
                ),
            );
        }
    }

    pub(super) fn begun(&self, fence: Fence, seq: Seq, attempt: Attempt) {
        let mut rows = lock(&self.rows);
        let Some(row) = rows.events.get(&seq.number()).cloned() else {
            return self.broken(LegalTransitions, format!("event {seq} is not on record"));
        };
        self.may_write(row.owner, fence, &row.id);
        if !row.state.may_become(EventState::Handling) {
            let state = row.state;
            self.broken(
                LegalTransitions,
                format!("{} begins and is {state}", row.id),
            );
        }
        if attempt.number != row.attempts + 1 {
            let (number, id) = (attempt.number, &row.id);
            let before = row.attempts;
            self.broken(
                LegalTransitions,
                format!("attempt {number} of {id} follows attempt {before}"),
            );
        }
        let earlier = rows
            .events
            .range(..seq.number())
            .find(|(_, other)| other.conversation == row.conversation && !other.state.is_final());
        let earlier = earlier.filter(|_| self.is_in_order.load(Ordering::Relaxed));
        let overtakes = earlier.map(|(_, other)| {
            let (id, other, state) = (&row.id, &other.id, other.state);
            format!("{id} begins while {other} is {state}")
        });
        let skips = self.skips.load(Ordering::Relaxed);
        if let Some(row) = rows.events.get_mut(&seq.number()) {
            row.state = EventState::Handling;
            row.attempts = attempt.number;
            row.overtakes = overtakes.clone().filter(|_| skips);
        }
        if let Some(what) = overtakes.filter(|_| !skips) {
            self.broken(InOrder, what);
        }
    }

    /// A handler is called. What is passed over, or joined to another message, begins and ends
    /// without that, and may do so while what stands before it waits for the next process.
    pub(super) fn handling(&self, event: &str) {
        let rows = lock(&self.rows);
        let row = rows.ids.get(event).and_then(|seq| rows.events.get(seq));
        if let Some(what) = row.and_then(|row| row.overtakes.clone()) {
            self.broken(InOrder, what);
        }
    }

    pub(super) fn finished(&self, fence: Fence, seq: Seq, outcome: &Outcome) {
        let mut rows = lock(&self.rows);
        let Some(row) = rows.events.get_mut(&seq.number()) else {
            return self.broken(LegalTransitions, format!("event {seq} is not on record"));
        };
        self.may_write(row.owner, fence, &row.id);
        let next = outcome.state();
        if !row.state.may_become(next) {
            let state = row.state;
            self.broken(
                LegalTransitions,
                format!("{} goes from {state} to {next}", row.id),
            );
        }
        row.state = next;
    }

    pub(super) fn planned(
        &self,
        fence: Fence,
        new: &NewDelivery,
        planned: &Planned,
        now: SystemTime,
    ) {
        let mut rows = lock(&self.rows);
        rows.end_leases(now);
        let stored = &planned.delivery;
        let key = new.key.as_str();
        let known = rows.keys.get(key).copied();
        if let Some(known) = known
            && (planned.is_new || known != stored.id.number())
        {
            let id = stored.id;
            self.broken(
                Invariant::NoSecondEffect,
                format!("{key} is delivery {known} and was planned again as {id}"),
            );
        }
        let others = rows
            .deliveries
            .get(&stored.id.number())
            .map(|row| row.owner);
        let is_taken = |owner: i64| owner != fence.number() && rows.is_alive(owner, now);
        if others.is_some_and(is_taken) {
            // It is found, and stays where it is.
            return;
        }
        self.took(&mut rows, fence, stored, now);
        if planned.is_new && stored.parts.len() != new.parts {
            let (is, asked) = (stored.parts.len(), new.parts);
            self.broken(
                LegalTransitions,
                format!("{key} has {is} parts, not {asked}"),
            );
        }
    }

    pub(super) fn deliveries_claimed(
        &self,
        fence: Fence,
        claimed: &[StoredDelivery],
        now: SystemTime,
    ) {
        let mut rows = lock(&self.rows);
        rows.end_leases(now);
        for stored in claimed {
            self.took(&mut rows, fence, stored, now);
        }
    }

    /// A worker is given a delivery.
    fn took(&self, rows: &mut Rows, fence: Fence, stored: &StoredDelivery, now: SystemTime) {
        let id = stored.id.number();
        let key = stored.delivery.key.as_str();
        if let Some(row) = rows.deliveries.get(&id).cloned() {
            let moves = row.parts.iter().any(|part| !part.state.is_final());
            if moves {
                self.may_take(rows, row.owner, fence, now, key);
            }
            self.same(&row, &stored.parts);
            if let Some(row) = rows.deliveries.get_mut(&id) {
                row.owner = fence.number();
            }
            return;
        }
        for (index, part) in parts(&text_of(stored)).iter().enumerate() {
            if let Some(payload) = payload(part) {
                rows.payloads.insert(payload.to_owned(), (id, index));
            }
        }
        rows.keys.insert(key.to_owned(), id);
        let row = DeliveryRow {
            key: key.to_owned(),
            owner: fence.number(),
            parts: stored.parts.clone(),
            begun: vec![SystemTime::UNIX_EPOCH; stored.parts.len()],
            marked: vec![Duration::ZERO; stored.parts.len()],
            conversation: stored.delivery.conversation(),
            ended: None,
        };
        rows.deliveries.insert(id, row);
    }

    /// The store hands out what it was given.
    fn same(&self, row: &DeliveryRow, parts: &[Part]) {
        let states = |parts: &[Part]| -> Vec<_> {
            parts
                .iter()
                .map(|part| (part.state, part.attempts, part.not_before))
                .collect()
        };
        if states(&row.parts) != states(parts) {
            let words = |parts: &[Part]| -> Vec<_> {
                parts
                    .iter()
                    .map(|part| (part.state.as_str(), part.attempts))
                    .collect()
            };
            self.broken(
                LegalTransitions,
                format!(
                    "{} has the parts {:?} and is handed out with {:?}",
                    row.key,
                    words(&row.parts),
                    words(parts)
                ),
            );
        }
    }

    pub(super) fn updated(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        changes: &[(usize, Part)],
        now: SystemTime,
    ) {
        let mut rows = lock(&self.rows);
        let Some(row) = rows.deliveries.get_mut(&delivery.number()) else {
            let what = format!("delivery {delivery} is not on record");
            return self.broken(LegalTransitions, what);
        };
        self.may_write(row.owner, fence, &row.key);
        for (index, part) in changes {
            let Some(place) = row.parts.get_mut(*index) else {
                let what = format!("{} has no part {index}", row.key);
                return self.broken(LegalTransitions, what);
            };
            if !place.state.may_become(part.state) {
                let (from, to) = (place.state, part.state);
                let what = format!("part {index} of {} goes from {from} to {to}", row.key);
                self.broken(LegalTransitions, what);
            }
            if part.state == PartState::Sending
                && let Some(begun) = row.begun.get_mut(*index)
                && place.state != PartState::Sending
            {
                if now < place.not_before && !self.world.has_jumped() {
                    let what = format!("part {index} of {} begins before its time", row.key);
                    self.broken(Invariant::RetryAfterObeyed, what);
                }
                // What goes on from part to part, or when the store was out of reach, does
                // not ask again whether the chat is dead.
                let asked = changes.len() == 1 && self.is_undisturbed();
                *begun = if asked { now } else { SystemTime::UNIX_EPOCH };
            }
            if part.state == PartState::Sending
                && let Some(marked) = row.marked.get_mut(*index)
            {
                *marked = self.world.elapsed();
            }
            *place = part.clone();
        }
        if row.parts.iter().all(|part| part.state.is_final()) {
            row.ended = Some(self.world.elapsed());
        }
    }

    /// Somebody has a dead event tried again.
    pub(super) fn revived(&self, seq: Seq) {
        let mut rows = lock(&self.rows);
        rows.revived.insert(seq.number());
        if let Some(row) = rows.events.get_mut(&seq.number()) {
            row.state = EventState::Received;
            row.attempts = 0;
            row.owner = FREE;
        }
    }

    pub(super) fn target_set(
        &self,
        chat: &ChatId,
        dead: Option<&(SystemTime, String)>,
        now: SystemTime,
    ) {
        let mut rows = lock(&self.rows);
        match dead {
            Some((until, _)) => {
                let since = rows
                    .dead
                    .get(chat.as_str())
                    .map_or(now, |(since, _)| *since);
                rows.dead.insert(chat.as_str().to_owned(), (since, *until));
            }
            None => drop(rows.dead.remove(chat.as_str())),
        }
    }
}

fn free(owner: &mut i64, fence: Fence) {
    if *owner == fence.number() {
        *owner = FREE;
    }
}

fn text_of(stored: &StoredDelivery) -> String {
    match &stored.delivery.message.body {
        channel_core::Body::Plain(text) | channel_core::Body::Markdown(text) => text.clone(),
        _ => String::new(),
    }
}
