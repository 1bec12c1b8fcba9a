//! The updates that wait for a bot.
//!
//! <https://core.telegram.org/bots/api#getting-updates>

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// Updates are kept a day.
const RETENTION_MS: i64 = 24 * 3600 * 1000;
/// After a week without updates the next id is random.
const QUIET_MS: i64 = 7 * 24 * 3600 * 1000;
/// The oldest updates go when a bot never fetches them.
const MAX_PENDING: usize = 100_000;

/// One update, and how far its delivery to a webhook is.
#[derive(Debug)]
struct Update {
    id: i64,
    at: i64,
    value: Value,
    in_flight: bool,
    attempts: u32,
    not_before: Option<Instant>,
}

/// The updates of one bot, oldest first.
#[derive(Debug)]
pub(crate) struct Queue {
    updates: VecDeque<Update>,
    next_id: i64,
    last_at: i64,
    /// Counts `getUpdates` calls, so that an older one can see that it was replaced.
    pub(crate) poll: u64,
}

/// An update on its way to a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) id: i64,
    pub(crate) value: Value,
    pub(crate) attempt: u32,
}

impl Queue {
    pub(crate) const fn new(first_id: i64) -> Self {
        Self {
            updates: VecDeque::new(),
            next_id: first_id,
            last_at: 0,
            poll: 0,
        }
    }

    /// Appends an update of `kind`; `random` becomes the next id after a quiet week.
    pub(crate) fn push(&mut self, kind: &str, payload: Value, now_ms: i64, random: i64) -> i64 {
        if self.last_at != 0 && now_ms.saturating_sub(self.last_at) > QUIET_MS {
            self.next_id = random;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.last_at = now_ms;
        let mut value = json!({ "update_id": id });
        if let Some(value) = value.as_object_mut() {
            value.insert(kind.to_owned(), payload);
        }
        if self.updates.len() >= MAX_PENDING {
            self.updates.pop_front();
        }
        self.updates.push_back(Update {
            id,
            at: now_ms,
            value,
            in_flight: false,
            attempts: 0,
            not_before: None,
        });
        id
    }

    pub(crate) fn expire(&mut self, now_ms: i64) {
        self.updates
            .retain(|update| now_ms.saturating_sub(update.at) <= RETENTION_MS);
    }

    /// Applies `offset`: forgets everything before it; a negative one keeps that many from the end.
    pub(crate) fn confirm(&mut self, offset: i64) {
        if offset > self.next_id {
            // Not an id the platform has given out: ids jump after a quiet week, and what is queued stays.
        } else if offset > 0 {
            let confirmed = self
                .updates
                .iter()
                .take_while(|update| update.id < offset)
                .count();
            self.updates.drain(..confirmed);
        } else if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let gone = self.updates.len().saturating_sub(keep);
            self.updates.drain(..gone);
        }
    }

    pub(crate) fn first(&self, limit: usize) -> Vec<Value> {
        self.updates
            .iter()
            .take(limit)
            .map(|update| update.value.clone())
            .collect()
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.first(usize::MAX)
    }

    pub(crate) fn len(&self) -> usize {
        self.updates.len()
    }

    pub(crate) fn clear(&mut self) {
        self.updates.clear();
    }

    /// Takes up to `room` updates that are due for delivery.
    pub(crate) fn due(&mut self, room: usize, reverse: bool, now: Instant) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        let ready = |update: &&mut Update| {
            !update.in_flight && update.not_before.is_none_or(|not_before| not_before <= now)
        };
        let mut take = |update: &mut Update| {
            update.in_flight = true;
            update.attempts = update.attempts.saturating_add(1);
            parcels.push(Parcel {
                id: update.id,
                value: update.value.clone(),
                attempt: update.attempts,
            });
        };
        if reverse {
            self.updates
                .iter_mut()
                .rev()
                .filter(ready)
                .take(room)
                .for_each(&mut take);
        } else {
            self.updates
                .iter_mut()
                .filter(ready)
                .take(room)
                .for_each(&mut take);
        }
        parcels
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.updates
            .iter()
            .filter(|update| update.in_flight)
            .count()
    }

    /// When the next refused update is due again.
    pub(crate) fn next_attempt(&self) -> Option<Instant> {
        self.updates
            .iter()
            .filter(|update| !update.in_flight)
            .filter_map(|update| update.not_before)
            .min()
    }

    pub(crate) fn delivered(&mut self, id: i64) {
        self.updates.retain(|update| update.id != id);
    }

    /// Puts an update back that the webhook refused; each further attempt waits twice as long, up to `longest`.
    pub(crate) fn refused(&mut self, id: i64, now: Instant, first: Duration, longest: Duration) {
        if let Some(update) = self.updates.iter_mut().find(|update| update.id == id) {
            let doublings = update.attempts.saturating_sub(1).min(16);
            let wait = first.saturating_mul(1 << doublings).min(longest);
            update.in_flight = false;
            update.not_before = now.checked_add(wait);
        }
    }

    /// Forgets deliveries under way, when the webhook they went to is no more.
    pub(crate) fn recall(&mut self) {
        for update in &mut self.updates {
            update.in_flight = false;
            update.not_before = None;
            update.attempts = 0;
        }
    }
}
