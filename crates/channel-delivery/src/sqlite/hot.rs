//! The requests of every message, many at a time: what they need is read in few statements,
//! they are applied in order in memory, and what has changed is written in few statements.
//! All of it is inside one transaction that nobody else can write beside.

use std::collections::{BTreeMap, HashMap};

use crate::inbound::{Attempt, EventState, Outcome, Recorded, Seq};
use crate::outbound::{DeliveryId, Part};
use crate::rules::{self, EventStatus, NOBODY, fenced, no_delivery, no_event};
use crate::store::StoreError;
use crate::worker::Fence;

use super::ask::{Answer, Ask, DeliveryColumns, EventColumns, FoundColumns, FoundDelivery};
use super::codec::from_millis;
use super::tally::Tally;

/// Who is alive, and where the numbers stand.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// When the leases of the living end.
    pub(crate) workers: BTreeMap<Fence, i64>,
    pub(crate) numbers: Numbers,
}

/// The last numbers that were given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Numbers {
    pub(crate) fence: i64,
    pub(crate) seq: i64,
    pub(crate) delivery: i64,
}

impl Context {
    /// A number that was given is not given again, whatever has become of the file.
    pub(crate) fn raise(&mut self, last: Numbers) {
        let numbers = &mut self.numbers;
        numbers.fence = numbers.fence.max(last.fence);
        numbers.seq = numbers.seq.max(last.seq);
        numbers.delivery = numbers.delivery.max(last.delivery);
    }

    pub(crate) fn check_alive(&self, fence: Fence) -> Result<(), StoreError> {
        match self.workers.contains_key(&fence) {
            true => Ok(()),
            false => Err(fenced()),
        }
    }

    /// Leases that have run out, but not the caller's own: nobody has taken over from it yet.
    pub(crate) fn ended(&self, caller: Fence, now: i64) -> Vec<Fence> {
        let ended = self
            .workers
            .iter()
            .filter(|(fence, until)| **fence != caller && **until <= now);
        ended.map(|(fence, _)| *fence).collect()
    }
}

/// Names an event or a delivery: its channel, and its id or key.
pub(crate) type Name = (String, String);

#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) status: EventStatus,
    pub(crate) is_dirty: bool,
}

#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) parts: Vec<Part>,
    /// Read for planning only.
    pub(crate) found: Option<FoundColumns>,
    pub(crate) owner: Fence,
    pub(crate) phase: i64,
    /// The phase and the owner that the file has.
    pub(crate) was: (i64, Fence),
    pub(crate) touched_at: i64,
    pub(crate) is_dirty: bool,
}

/// A new event; borrowed from the request.
#[derive(Debug)]
pub(crate) struct NewRow<'a> {
    pub(crate) seq: i64,
    pub(crate) owner: Fence,
    pub(crate) columns: &'a EventColumns,
    pub(crate) now: i64,
}

#[derive(Debug)]
pub(crate) struct NewDeliveryRow<'a> {
    pub(crate) id: i64,
    pub(crate) owner: Fence,
    pub(crate) columns: &'a DeliveryColumns,
    pub(crate) parts: Vec<Part>,
    pub(crate) now: i64,
}

/// What a batch has read, and what it wants to write.
#[derive(Debug, Default)]
pub(crate) struct Hot<'a> {
    pub(crate) events: HashMap<i64, EventRow>,
    /// Events that are on record, by name, and what the file says of them; those that this
    /// batch adds too.
    pub(crate) known: HashMap<Name, (i64, EventState)>,
    /// The least and the greatest owner of unfinished events.
    pub(crate) lanes: HashMap<String, (Fence, Fence)>,
    pub(crate) deliveries: HashMap<i64, DeliveryRow>,
    pub(crate) planned: HashMap<Name, i64>,
    /// The least and the greatest owner of deliveries that move.
    pub(crate) movers: Option<(Fence, Fence)>,
    pub(crate) new_events: Vec<NewRow<'a>>,
    pub(crate) new_deliveries: Vec<NewDeliveryRow<'a>>,
    pub(crate) cursors: BTreeMap<&'a str, &'a str>,
    /// Workers whose leases this batch renews or ends.
    pub(crate) renewed: BTreeMap<Fence, i64>,
    pub(crate) ended: Vec<Fence>,
    pub(crate) tally: Tally,
}

impl<'a> Hot<'a> {
    /// Whether a request is of the kind that is done here.
    pub(crate) const fn takes(ask: &Ask) -> bool {
        matches!(
            ask,
            Ask::Renew { .. }
                | Ask::Record { .. }
                | Ask::Begin { .. }
                | Ask::Finish { .. }
                | Ask::Plan { .. }
                | Ask::Update { .. }
        )
    }

    /// Applies one request, or changes nothing.
    pub(crate) fn apply(
        &mut self,
        context: &mut Context,
        ask: &'a Ask,
    ) -> Result<Answer, StoreError> {
        match ask {
            Ask::Renew { fence, lease_until } => self.renew(context, *fence, *lease_until),
            Ask::Record { fence, events, now } => self.record(context, *fence, events, *now),
            Ask::Begin { fence, event, now } => {
                context.check_alive(*fence)?;
                self.begin(*fence, *event, *now).map(Answer::Begun)
            }
            Ask::Finish {
                fence,
                event,
                outcome,
                now,
            } => {
                context.check_alive(*fence)?;
                self.finish(*fence, *event, outcome, *now)
            }
            Ask::Plan {
                fence,
                delivery,
                now,
            } => self.plan(context, *fence, delivery, *now),
            Ask::Update {
                fence,
                delivery,
                parts,
                now,
            } => {
                context.check_alive(*fence)?;
                self.update(*fence, *delivery, parts, *now)
            }
            _ => Err(super::mixed_up()),
        }
    }

    fn renew(
        &mut self,
        context: &mut Context,
        fence: Fence,
        until: i64,
    ) -> Result<Answer, StoreError> {
        *context.workers.get_mut(&fence).ok_or_else(fenced)? = until;
        self.renewed.insert(fence, until);
        Ok(Answer::Done)
    }

    fn record(
        &mut self,
        context: &mut Context,
        fence: Fence,
        events: &'a [EventColumns],
        now: i64,
    ) -> Result<Answer, StoreError> {
        context.check_alive(fence)?;
        let answers = events
            .iter()
            .map(|columns| self.record_one(context, fence, columns, now))
            .collect();
        Ok(Answer::Recorded(answers))
    }

    fn record_one(
        &mut self,
        context: &mut Context,
        fence: Fence,
        columns: &'a EventColumns,
        now: i64,
    ) -> Recorded {
        if let Some(cursor) = &columns.cursor {
            self.cursors.insert(&columns.channel, cursor);
        }
        let name = (columns.channel.clone(), columns.id.clone());
        if let Some((seq, state)) = self.known.get(&name) {
            // Requests before this one may have brought it further.
            let row = self.events.get(seq);
            return Recorded::Known(row.map_or(*state, |row| row.status.state));
        }
        let mine = self.enter_lane(columns.lane.as_deref(), fence);
        context.numbers.seq += 1;
        let seq = context.numbers.seq;
        self.known.insert(name, (seq, EventState::Received));
        self.new_events.push(NewRow {
            seq,
            owner: if mine { fence } else { NOBODY },
            columns,
            now,
        });
        self.tally.event(None, EventState::Received);
        let seq = Seq::new(seq);
        Recorded::Fresh { seq, mine }
    }

    /// Whether a new event of a conversation belongs to who records it: nothing unfinished of
    /// it belongs to anybody else.
    fn enter_lane(&mut self, lane: Option<&str>, fence: Fence) -> bool {
        let Some(lane) = lane else {
            return true;
        };
        match self.lanes.get_mut(lane) {
            None => {
                self.lanes.insert(lane.to_owned(), (fence, fence));
                true
            }
            Some(owners) if *owners == (fence, fence) => true,
            Some(owners) => {
                owners.0 = NOBODY;
                false
            }
        }
    }

    fn begin(&mut self, fence: Fence, event: Seq, now: i64) -> Result<Attempt, StoreError> {
        let row = self.event(event)?;
        let from = row.status.state;
        let attempt = row.status.begin(fence, event, from_millis(now))?;
        row.is_dirty = true;
        self.tally.event(Some(from), EventState::Handling);
        Ok(attempt)
    }

    fn finish(
        &mut self,
        fence: Fence,
        event: Seq,
        outcome: &Outcome,
        now: i64,
    ) -> Result<Answer, StoreError> {
        let row = self.event(event)?;
        let from = row.status.state;
        row.status.finish(fence, event, outcome, from_millis(now))?;
        row.is_dirty = true;
        self.tally.event(Some(from), outcome.state());
        Ok(Answer::Done)
    }

    fn event(&mut self, event: Seq) -> Result<&mut EventRow, StoreError> {
        let row = self.events.get_mut(&event.number());
        row.ok_or_else(|| no_event(event))
    }

    fn plan(
        &mut self,
        context: &mut Context,
        fence: Fence,
        columns: &'a DeliveryColumns,
        now: i64,
    ) -> Result<Answer, StoreError> {
        context.check_alive(fence)?;
        let name = (columns.channel.clone(), columns.key.clone());
        // In whatever conversation: that is for whoever asks what is ahead.
        let is_behind_others = self.moves_for(fence);
        if let Some(id) = self.planned.get(&name).copied() {
            return self.plan_again(context, fence, id, now, is_behind_others);
        }
        context.numbers.delivery += 1;
        let id = context.numbers.delivery;
        self.planned.insert(name, id);
        let parts = vec![Part::prepared(); columns.parts];
        self.tally.parts(&[], &parts);
        self.new_deliveries.push(NewDeliveryRow {
            id,
            owner: fence,
            columns,
            parts,
            now,
        });
        let id = DeliveryId::new(id);
        Ok(Answer::Planned {
            id,
            is_behind_others,
        })
    }

    /// Adds a worker to those whose deliveries move; whether there are others.
    fn moves_for(&mut self, fence: Fence) -> bool {
        let (least, greatest) = self.movers.unwrap_or((fence, fence));
        self.movers = Some((least.min(fence), greatest.max(fence)));
        (least, greatest) != (fence, fence)
    }

    /// The plan that is there, taken over if nobody alive owns it.
    fn plan_again(
        &mut self,
        context: &mut Context,
        fence: Fence,
        id: i64,
        now: i64,
        is_behind_others: bool,
    ) -> Result<Answer, StoreError> {
        for ended in context.ended(fence, now) {
            context.workers.remove(&ended);
            self.ended.push(ended);
        }
        if let Some(row) = self.new_deliveries.iter_mut().find(|row| row.id == id) {
            if !context.workers.contains_key(&row.owner) {
                row.owner = fence;
            }
            return Ok(row.found(is_behind_others));
        }
        let id = DeliveryId::new(id);
        let row = self.deliveries.get_mut(&id.number());
        let row = row.ok_or_else(|| no_delivery(id))?;
        if row.owner != fence && !context.workers.contains_key(&row.owner) {
            row.owner = fence;
            row.is_dirty = true;
        }
        let columns = row.found.clone().ok_or_else(|| no_delivery(id))?;
        Ok(Answer::Found(Box::new(FoundDelivery {
            id,
            parts: row.parts.clone(),
            columns,
            is_behind_others,
        })))
    }

    fn update(
        &mut self,
        fence: Fence,
        delivery: DeliveryId,
        changes: &[(usize, Part)],
        now: i64,
    ) -> Result<Answer, StoreError> {
        let row = self.deliveries.get_mut(&delivery.number());
        let row = row.filter(|row| row.phase != super::phase::DROPPED);
        let row = row.ok_or_else(|| no_delivery(delivery))?;
        if row.owner != fence {
            return Err(fenced());
        }
        let parts = rules::update_parts(&row.parts, changes, delivery)?;
        self.tally.parts(&row.parts, &parts);
        row.parts = parts;
        row.phase = super::phase::of_parts(&row.parts);
        row.touched_at = now;
        row.is_dirty = true;
        if row.phase == super::phase::OPEN {
            // It may move again: a plan in this batch stands behind it.
            self.moves_for(fence);
        }
        Ok(Answer::Done)
    }
}

impl NewDeliveryRow<'_> {
    /// Planned a second time before it was written.
    fn found(&self, is_behind_others: bool) -> Answer {
        let columns = FoundColumns {
            answers: self.columns.answers,
            planned_at: self.now,
            message: Some(self.columns.message.clone()),
        };
        Answer::Found(Box::new(FoundDelivery {
            id: DeliveryId::new(self.id),
            parts: self.parts.clone(),
            columns,
            is_behind_others,
        }))
    }
}
