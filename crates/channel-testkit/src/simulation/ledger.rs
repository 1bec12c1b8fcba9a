//! What the store has said, held against what it may say.
//!
//! The checked store stands between the bot and the store under test. It keeps a picture
//! of every row as the bot was told of it, and compares each answer with the contract of
//! `channel_delivery::Store`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::Conversation;
use channel_delivery::{EventState, Part, PartState};

use super::invariant::Invariant;
use super::words::place_of;
use super::world::World;
use crate::wait::lock;

/// How long a final message may take where nothing goes wrong: a few writes and a request.
const FINAL_WITHIN: Duration = Duration::from_secs(5);

/// How long a part may be marked as being sent before it leaves.
const MARKED_FOR: Duration = Duration::from_millis(500);

/// How long after a chat was remembered as dead a request may still be on its way.
const ON_THE_WAY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) world: Arc<World>,
    pub(super) rows: Mutex<Rows>,
    /// Whether messages wait for their turn.
    pub(super) is_paced: AtomicBool,
    /// Whether the messages of a chat are handled one after the other.
    pub(super) is_in_order: AtomicBool,
    /// Whether messages may be passed over or joined to others.
    pub(super) skips: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Event ids that really are on record.
    pub(super) recorded: BTreeSet<String>,
    pub(super) leases: BTreeMap<i64, SystemTime>,
    pub(super) greatest_fence: i64,
    pub(super) events: BTreeMap<i64, EventRow>,
    pub(super) ids: BTreeMap<String, i64>,
    /// Dead events that somebody had tried again by hand.
    pub(super) revived: BTreeSet<i64>,
    pub(super) deliveries: BTreeMap<i64, DeliveryRow>,
    pub(super) keys: BTreeMap<String, i64>,
    /// The delivery and part of each payload.
    pub(super) payloads: BTreeMap<String, (i64, usize)>,
    /// Chats that want nothing: since when, until when.
    pub(super) dead: BTreeMap<String, (SystemTime, SystemTime)>,
    /// The last place that people have seen in each chat: event, reply, part.
    pub(super) seen: BTreeMap<String, (i64, usize, usize)>,
    /// When the application asked for each final message of a stream.
    pub(super) finals: BTreeMap<String, Duration>,
}

#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub(super) id: String,
    pub(super) conversation: Option<Conversation>,
    pub(super) owner: i64,
    pub(super) state: EventState,
    pub(super) attempts: u32,
    /// What its present attempt would overtake, if it came to a handler.
    pub(super) overtakes: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct DeliveryRow {
    pub(super) key: String,
    pub(super) owner: i64,
    pub(super) parts: Vec<Part>,
    /// When the present attempt of each part began.
    pub(super) begun: Vec<SystemTime>,
    /// When each part was last marked as being sent, on the clock that does not jump.
    pub(super) marked: Vec<Duration>,
    pub(super) conversation: Conversation,
    /// When it came to its end, on the same clock.
    pub(super) ended: Option<Duration>,
}

impl Rows {
    /// The store was told what time it is: a lease that is over stays over, even for whoever
    /// asks with an older time.
    pub(super) fn end_leases(&mut self, now: SystemTime) {
        self.leases.retain(|_, until| *until > now);
    }

    /// When the last of what was planned before in the same conversation came to its end:
    /// what a process has left that died is waited for until its lease ends, and longer.
    fn is_next_since(&self, delivery: i64) -> Duration {
        let Some(row) = self.deliveries.get(&delivery) else {
            return Duration::ZERO;
        };
        let ahead = self.deliveries.range(..delivery);
        let ahead = ahead.filter(|(_, ahead)| ahead.conversation == row.conversation);
        let ended = ahead.filter_map(|(_, ahead)| ahead.ended);
        ended.max().unwrap_or_default()
    }

    /// Whether a worker may believe that it is alone with its rows.
    pub(super) fn is_alive(&self, fence: i64, now: SystemTime) -> bool {
        self.leases.get(&fence).is_some_and(|until| *until > now)
    }
}

impl Ledger {
    pub(super) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            rows: Mutex::default(),
            is_paced: AtomicBool::new(false),
            is_in_order: AtomicBool::new(true),
            skips: AtomicBool::new(false),
        })
    }

    pub(super) fn is_recorded(&self, id: &str) -> bool {
        lock(&self.rows).recorded.contains(id)
    }

    /// People see a message for the first time: replies come in the order of their events.
    pub(super) fn first_seen(&self, payload: &str, chat: &str) {
        let mut rows = lock(&self.rows);
        let Some((event, reply, part)) = place_of(payload) else {
            return;
        };
        let Some(seq) = rows.ids.get(event).copied() else {
            return;
        };
        if !self.is_in_order.load(Ordering::Relaxed) {
            return;
        }
        if rows.revived.contains(&seq) {
            // The others went on without it, until somebody had it tried again by hand.
            return;
        }
        let place = (seq, reply, part);
        let last = rows.seen.insert(chat.to_owned(), place);
        if last.is_some_and(|last| last > place) {
            self.world.broken(Invariant::InOrder, || {
                format!("{payload} is shown in {chat} after {last:?}")
            });
        }
    }

    /// Whether nothing has gone wrong for a while.
    pub(super) fn is_undisturbed(&self) -> bool {
        let lately = self.world.elapsed().saturating_sub(ON_THE_WAY);
        self.world.is_undisturbed_since(lately)
    }

    /// A chat has taken a message: whatever it wanted before, it does not mind.
    pub(super) fn takes_messages(&self, chat: &str) {
        lock(&self.rows).dead.remove(chat);
    }

    /// The application ends a stream.
    pub(super) fn final_asked(&self, payload: &str) {
        let now = self.world.elapsed();
        let mut rows = lock(&self.rows);
        rows.finals.insert(payload.to_owned(), now);
    }

    /// The application has an answer: what comes later is not what it has waited for.
    pub(super) fn final_answered(&self, payload: &str) {
        lock(&self.rows).finals.remove(payload);
    }

    /// A final message arrives: has it waited behind previews?
    fn final_in_time(&self, rows: &mut Rows, payload: &str) {
        let Some(asked) = rows.finals.remove(payload) else {
            return;
        };
        if self.is_paced.load(Ordering::Relaxed) {
            // It may stand behind other messages.
            return;
        }
        let delivery = rows.payloads.get(payload).map(|(delivery, _)| *delivery);
        let since = delivery.map_or(Duration::ZERO, |delivery| rows.is_next_since(delivery));
        let asked = asked.max(since);
        let waited = self.world.elapsed().saturating_sub(asked);
        let lately = asked.saturating_sub(FINAL_WITHIN);
        if waited > FINAL_WITHIN && self.world.is_undisturbed_since(lately) {
            self.world.broken(Invariant::FinalsBeforePreviews, || {
                format!("{payload} has waited for {:.3} s", waited.as_secs_f64())
            });
        }
    }

    /// A request leaves: was it marked as being sent only now, or has it waited so?
    pub(super) fn leaves(&self, payload: &str) {
        let rows = lock(&self.rows);
        let Some((delivery, part)) = rows.payloads.get(payload) else {
            return;
        };
        let row = rows.deliveries.get(delivery);
        let Some(marked) = row.and_then(|row| row.marked.get(*part)) else {
            return;
        };
        let waited = self.world.elapsed().saturating_sub(*marked);
        let lately = marked.saturating_sub(ON_THE_WAY);
        if waited > MARKED_FOR && self.world.is_undisturbed_since(lately) {
            self.world.broken(Invariant::MarkedWhenItLeaves, || {
                let waited = waited.as_secs_f64();
                format!("{payload} leaves {waited:.3} s after it was marked as being sent")
            });
        }
    }

    /// A request arrives: is that what is on record?
    pub(super) fn may_send(&self, payload: &str, chat: &str) {
        let mut rows = lock(&self.rows);
        self.final_in_time(&mut rows, payload);
        let Some((delivery, part)) = rows.payloads.get(payload) else {
            self.world.broken(Invariant::SentOnlyAsPlanned, || {
                format!("{payload} arrives and was never planned")
            });
            return;
        };
        let Some(row) = rows.deliveries.get(delivery) else {
            return;
        };
        let state = row.parts.get(*part).map(|part| part.state);
        if state != Some(PartState::Sending) {
            self.world.broken(Invariant::SentOnlyAsPlanned, || {
                let state = state.map_or("nowhere", PartState::as_str);
                format!("{payload} arrives while it is {state}")
            });
        }
        let begun = row.begun.get(*part).copied();
        if let (Some((since, until)), Some(begun)) = (rows.dead.get(chat), begun)
            && self.world.now() < *until
            && begun > *since + ON_THE_WAY
            && !self.world.has_jumped()
        {
            self.world.broken(Invariant::DeadTargetsRemembered, || {
                format!("{payload} arrives in {chat}, which wants nothing")
            });
        }
    }
}
