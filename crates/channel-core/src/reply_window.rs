//! Which way an answer may take, and for how long.
//!
//! On many platforms an answer has a right of its own: a token that works once within a
//! minute, a window of minutes with five uses, an address for one late answer. This is the
//! one place that counts them; an adapter brings the numbers.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// One way in which an answer can reach the chat; a constant of the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyWay {
    /// Its name, for logs and [`ReplyLedger::explain`].
    pub name: &'static str,
    /// How long after the event it works; `None` for always.
    pub window: Option<Duration>,
    /// How often it works; `None` for any number of times.
    pub uses: Option<u32>,
    /// How many messages one use carries.
    pub batch: usize,
}

impl ReplyWay {
    /// A way that works at any time and any number of times, one message each.
    #[must_use]
    pub const fn always(name: &'static str) -> Self {
        Self {
            name,
            window: None,
            uses: None,
            batch: 1,
        }
    }

    /// A way that works for `window` after the event, `uses` times.
    #[must_use]
    pub const fn within(name: &'static str, window: Duration, uses: u32) -> Self {
        Self {
            name,
            window: Some(window),
            uses: Some(uses),
            batch: 1,
        }
    }

    /// Carries up to this many messages at each use.
    #[must_use]
    pub const fn carrying(mut self, messages: usize) -> Self {
        self.batch = if messages == 0 { 1 } else { messages };
        self
    }
}

/// Why a way cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The window has passed.
    Late,
    /// It has been used as often as it may.
    Used,
    /// The platform has refused it.
    Refused,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "its window has passed",
            Self::Used => "it is used up",
            Self::Refused => "the platform has refused it",
        })
    }
}

/// Counts the uses of every reply right, for all sends of a channel.
///
/// A right is named by its token or by the event that it came with, and starts when the
/// event was sent. What was used is remembered for as long as the longest window lasts and
/// for a bounded number of rights; the oldest is forgotten first, and the platform then has
/// the last word.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use channel_core::{ReplyLedger, ReplyWay};
///
/// let ledger = ReplyLedger::new(vec![
///     ReplyWay::within("reply", Duration::from_secs(60), 1).carrying(5),
///     ReplyWay::always("push"),
/// ]);
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
/// assert_eq!(ledger.take("token", now, now).map(|way| way.name), Some("reply"));
/// assert_eq!(ledger.take("token", now, now).map(|way| way.name), Some("push"));
/// assert_eq!(ledger.explain("token", now, now), "push, because for reply it is used up");
/// ```
#[derive(Debug)]
pub struct ReplyLedger {
    ways: Vec<ReplyWay>,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: HashMap<String, Vec<Used>>,
    order: VecDeque<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    times: u32,
    refused: bool,
}

impl ReplyLedger {
    /// Ways in the order in which they are to be tried.
    #[must_use]
    pub fn new(ways: Vec<ReplyWay>) -> Self {
        Self {
            ways,
            capacity: 10_000,
            state: Mutex::default(),
        }
    }

    /// Remembers the uses of at most this many rights; 10,000 by default.
    #[must_use]
    pub fn capacity(mut self, rights: usize) -> Self {
        self.capacity = rights.max(1);
        self
    }

    /// Takes one use of the first way that is open, counted at once: two sends at the same
    /// moment never take the same use. `opened` is when the platform sent the event.
    pub fn take(&self, right: &str, opened: SystemTime, now: SystemTime) -> Option<ReplyWay> {
        let mut state = self.lock();
        let used = state.used.get(right).cloned().unwrap_or_default();
        let index =
            (0..self.ways.len()).find(|way| self.closed(*way, &used, opened, now).is_none())?;
        let way = *self.ways.get(index)?;
        if way.uses.is_some() {
            state.entry(right, self.ways.len(), self.capacity, |used| {
                if let Some(used) = used.get_mut(index) {
                    used.times = used.times.saturating_add(1);
                }
            });
        }
        Some(way)
    }

    /// Gives a use back that never left: the request was not sent.
    pub fn give_back(&self, right: &str, name: &str) {
        self.change(right, name, |used| {
            used.times = used.times.saturating_sub(1)
        });
    }

    /// Notes that the platform refuses a way: the token is used, expired or unknown.
    pub fn refused(&self, right: &str, name: &str) {
        self.change(right, name, |used| used.refused = true);
    }

    /// Which ways are open and why the others are not, first choice first. Takes nothing.
    pub fn options(
        &self,
        right: &str,
        opened: SystemTime,
        now: SystemTime,
    ) -> Vec<(ReplyWay, Option<Closed>)> {
        let state = self.lock();
        let used = state.used.get(right).cloned().unwrap_or_default();
        self.ways
            .iter()
            .enumerate()
            .map(|(index, way)| (*way, self.closed(index, &used, opened, now)))
            .collect()
    }

    /// Says in a sentence which way would be taken and why. Takes nothing, and does not show
    /// the right itself.
    #[must_use]
    pub fn explain(&self, right: &str, opened: SystemTime, now: SystemTime) -> String {
        let options = self.options(right, opened, now);
        let chosen = options
            .iter()
            .find(|(_, closed)| closed.is_none())
            .map_or("none", |(way, _)| way.name);
        let passed: Vec<String> = options
            .iter()
            .map_while(|(way, closed)| closed.map(|closed| format!("for {} {closed}", way.name)))
            .collect();
        if passed.is_empty() {
            format!("{chosen}, the first choice")
        } else {
            format!("{chosen}, because {}", passed.join(" and "))
        }
    }

    fn closed(
        &self,
        index: usize,
        used: &[Used],
        opened: SystemTime,
        now: SystemTime,
    ) -> Option<Closed> {
        let way = self.ways.get(index)?;
        let used = used.get(index).copied().unwrap_or_default();
        if used.refused {
            return Some(Closed::Refused);
        }
        if way.uses.is_some_and(|uses| used.times >= uses) {
            return Some(Closed::Used);
        }
        // An event from the future is as fresh as can be.
        let age = now.duration_since(opened).unwrap_or_default();
        way.window
            .is_some_and(|window| age >= window)
            .then_some(Closed::Late)
    }

    fn change(&self, right: &str, name: &str, change: impl FnOnce(&mut Used)) {
        let Some(index) = self.ways.iter().position(|way| way.name == name) else {
            return;
        };
        self.lock()
            .entry(right, self.ways.len(), self.capacity, |used| {
                if let Some(used) = used.get_mut(index) {
                    change(used);
                }
            });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Counters stay right even if a holder panicked.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn entry(
        &mut self,
        right: &str,
        ways: usize,
        capacity: usize,
        change: impl FnOnce(&mut [Used]),
    ) {
        if !self.used.contains_key(right) {
            while self.order.len() >= capacity {
                let Some(oldest) = self.order.pop_front() else {
                    break;
                };
                self.used.remove(&oldest);
            }
            self.order.push_back(right.to_owned());
            self.used
                .insert(right.to_owned(), vec![Used::default(); ways]);
        }
        if let Some(used) = self.used.get_mut(right) {
            change(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn ledger() -> ReplyLedger {
        ReplyLedger::new(vec![
            ReplyWay::within("reply", MINUTE, 2),
            ReplyWay::within("late", MINUTE * 60, 1),
        ])
    }

    fn name(way: Option<ReplyWay>) -> &'static str {
        way.map_or("none", |way| way.name)
    }

    #[test]
    fn ways_are_taken_in_order_and_each_as_often_as_it_works() {
        let ledger = ledger();
        let taken: Vec<_> = (0..4)
            .map(|_| name(ledger.take("a", at(0), at(1))))
            .collect();
        assert_eq!(taken, ["reply", "reply", "late", "none"]);
        assert_eq!(name(ledger.take("b", at(0), at(1))), "reply");
    }

    #[test]
    fn a_window_closes_at_its_very_end() {
        let ledger = ledger();
        assert_eq!(name(ledger.take("a", at(0), at(59))), "reply");
        assert_eq!(name(ledger.take("a", at(0), at(60))), "late");
        assert_eq!(name(ledger.take("b", at(0), at(3600))), "none");
        assert_eq!(name(ledger.take("c", at(100), at(0))), "reply");
    }

    #[test]
    fn what_never_left_is_given_back_and_what_was_refused_is_not_tried_again() {
        let ledger = ledger();
        for _ in 0..5 {
            assert_eq!(name(ledger.take("a", at(0), at(1))), "reply");
            ledger.give_back("a", "reply");
        }
        ledger.refused("a", "reply");
        assert_eq!(name(ledger.take("a", at(0), at(1))), "late");
        assert_eq!(
            ledger.explain("a", at(0), at(1)),
            "none, because for reply the platform has refused it and for late it is used up"
        );
        assert_eq!(ledger.explain("b", at(0), at(1)), "reply, the first choice");
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_right_goes_first() {
        let ledger = ledger().capacity(100);
        for right in 0..1000 {
            ledger.take(&right.to_string(), at(0), at(1));
        }
        let state = ledger.lock();
        assert_eq!((state.used.len(), state.order.len()), (100, 100));
        assert!(state.used.contains_key("999") && !state.used.contains_key("899"));
    }

    #[test]
    fn sixty_four_sends_at_once_take_each_use_once() {
        let ledger = ReplyLedger::new(vec![ReplyWay::within("reply", MINUTE, 5)]);
        let taken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|_| scope.spawn(|| ledger.take("a", at(0), at(1)).is_some()))
                .collect();
            threads
                .into_iter()
                .map(|thread| usize::from(thread.join().unwrap_or(false)))
                .sum::<usize>()
        });
        assert_eq!(taken, 5);
    }
}
