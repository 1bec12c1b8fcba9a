//! Spacing calls out by Slack's tiers, so that it has no reason to refuse them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{Bucket, Call, Rule, Scope};

use crate::client::{Method, Tier};
use crate::shared::lock;

/// Whether calls are spaced out. What Slack itself asks for (`429`) is obeyed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pacing {
    /// By the documented tiers (<https://docs.slack.dev/apis/web-api/rate-limits/>), counted
    /// by method and workspace; `chat.postMessage` once a second in each chat, with bursts
    /// of five.
    Documented,
    /// Calls leave at once.
    Off,
}

impl Pacing {
    /// The same for whoever spaces requests out before they come here.
    pub(crate) fn declared(self) -> channel_core::Pacing {
        let pacing = channel_core::Pacing::off();
        if self == Self::Off {
            return pacing;
        }
        let rules = [
            (Method::PostMessage, Scope::Chat, Call::Send),
            (Method::Update, Scope::Channel, Call::Edit),
        ];
        rules
            .into_iter()
            .fold(pacing, |pacing, (method, scope, call)| {
                let Some((rate, burst)) = method.tier().rate() else {
                    return pacing;
                };
                let burst = burst.saturating_sub(1).max(1);
                pacing.rule(Rule::new(scope, rate, burst).only(call))
            })
    }
}

/// How many rows are tracked.
const CAPACITY: usize = 8192;
/// The longest wait that our own pacing imposes; beyond it the caller is told to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When a call may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// After this wait; the place in the row is taken.
    After(Duration),
    /// Too long a row; nothing is taken.
    TooLong(Duration),
}

/// A method in a workspace, and for messages the chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Method, Box<str>);

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    /// When the bucket will be full again.
    due: Duration,
    /// Until when Slack wants no such call.
    blocked: Duration,
}

/// Hands out places in the row. Callers wait on their own, each for its own moment, so
/// that nobody has to be woken and nobody wakes together with all others.
#[derive(Debug)]
pub(crate) struct Pacer {
    pacing: Pacing,
    rows: Mutex<HashMap<Key, Row>>,
}

impl Pacer {
    pub(crate) fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            rows: Mutex::default(),
        }
    }

    /// How it spaces calls out.
    pub(crate) fn declared(&self) -> channel_core::Pacing {
        self.pacing.declared()
    }

    /// Takes a place in the row of a method; a block of Slack's is waited for so long.
    /// Without patience the place is taken only if it is free at once.
    pub(crate) fn turn(
        &self,
        method: Method,
        place: &str,
        now: Duration,
        patience: Option<Duration>,
    ) -> Turn {
        let longest = patience.map_or(Duration::ZERO, |patience| LONGEST_WAIT.max(patience));
        let patience = patience.unwrap_or_default();
        let mut rows = lock(&self.rows);
        let key = Key(method, place.into());
        let mut row = rows.get(&key).copied().unwrap_or_default();
        let block = row.blocked.saturating_sub(now);
        if block > patience {
            return Turn::TooLong(block);
        }
        let rate = match self.pacing {
            Pacing::Documented => method.tier().rate(),
            Pacing::Off => None,
        };
        let Some((rate, burst)) = rate else {
            return Turn::After(block);
        };
        let bucket = Bucket::new(rate, burst);
        let slot = bucket.slot(row.due, now).max(row.blocked);
        let wait = slot.saturating_sub(now);
        if wait > longest {
            return Turn::TooLong(wait);
        }
        row.due = bucket.taken(row.due, slot);
        make_room(&mut rows, now);
        rows.insert(key, row);
        Turn::After(wait)
    }

    /// Notes that Slack wants no such call for a while.
    pub(crate) fn limited(&self, method: Method, place: &str, wait: Duration, now: Duration) {
        let mut rows = lock(&self.rows);
        make_room(&mut rows, now);
        let row = rows.entry(Key(method, place.into())).or_default();
        row.blocked = row.blocked.max(now + wait);
    }

    /// What a call is counted by: the chat for messages, else the workspace.
    pub(crate) fn place<'a>(method: Method, workspace: &'a str, chat: &'a str) -> &'a str {
        match method.tier() {
            Tier::Post => chat,
            _ => workspace,
        }
    }
}

fn make_room(rows: &mut HashMap<Key, Row>, now: Duration) {
    if rows.len() >= CAPACITY {
        rows.retain(|_, row| row.due > now || row.blocked > now);
    }
    // All of them are busy: whoever is forgotten is refused by Slack at worst.
    if rows.len() >= CAPACITY
        && let Some(any) = rows.keys().next().cloned()
    {
        rows.remove(&any);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wait(pacer: &Pacer, method: Method, place: &str, now: Duration) -> Duration {
        match pacer.turn(method, place, now, Some(SECOND * 5)) {
            Turn::After(wait) => wait,
            Turn::TooLong(wait) => panic!("{wait:?}"),
        }
    }

    #[test]
    fn each_method_keeps_its_tier_and_each_chat_its_second() {
        let pacer = Pacer::new(Pacing::Documented);
        let post = Method::PostMessage;
        let waits: Vec<_> = (0..8)
            .map(|_| wait(&pacer, post, "C1", SECOND).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(wait(&pacer, post, "C2", SECOND), Duration::ZERO);
        let edits: Vec<_> = (0..12)
            .map(|_| wait(&pacer, Method::Update, "T1", SECOND).as_millis())
            .collect();
        assert_eq!(edits[9..], [0, 1200, 2400]);
    }

    #[test]
    fn what_slack_asks_for_is_obeyed_with_any_pacing() {
        let pacer = Pacer::new(Pacing::Off);
        pacer.limited(Method::PostMessage, "C1", SECOND * 3, SECOND);
        assert_eq!(wait(&pacer, Method::PostMessage, "C1", SECOND), SECOND * 3);
        pacer.limited(Method::PostMessage, "C1", SECOND * 30, SECOND);
        let turn = pacer.turn(Method::PostMessage, "C1", SECOND, Some(SECOND * 5));
        assert_eq!(turn, Turn::TooLong(SECOND * 30));
        assert_eq!(
            wait(&pacer, Method::PostMessage, "C1", SECOND * 40),
            Duration::ZERO
        );
    }

    #[test]
    fn memory_is_bounded() {
        let pacer = Pacer::new(Pacing::Documented);
        for chat in 0..CAPACITY * 2 {
            wait(&pacer, Method::PostMessage, &chat.to_string(), SECOND);
        }
        assert!(lock(&pacer.rows).len() <= CAPACITY);
    }
}
