//! Spacing calls out by the limits that Discord tells
//! (<https://docs.discord.com/developers/topics/rate-limits>).
//!
//! Each answer names the bucket that the call counted against, what is left in it and when
//! it is full again. Callers wait on their own, each for its own moment, so that nobody has
//! to be woken and nobody wakes together with all others.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;

use crate::client::{Call, Op};
use crate::shared::lock;

/// Whether calls are spaced out before Discord says anything. What it tells is obeyed in
/// any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pacing {
    /// Fifty calls a second, as Discord allows for all calls together.
    Documented,
    /// Calls leave as soon as what the server has told allows.
    Off,
}

/// How many buckets and kinds of calls are tracked.
const CAPACITY: usize = 8192;
/// The longest wait that a row imposes; beyond it the caller is told to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Calls of a second, all together.
const GLOBAL: i64 = 50;
/// Refused calls of ten minutes after which the whole address is blocked, and how many of
/// them are used at most
/// (<https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans>).
const REFUSED: u32 = 9_000;
const REFUSED_SLOT: Duration = Duration::from_secs(60);
const REFUSED_SLOTS: usize = 10;

/// When a call may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// After this wait; the place in the row is taken.
    After(Duration),
    /// Too long a row; nothing is taken.
    TooLong(Duration),
}

/// A number of calls in each window. Places that are handed out for later windows are
/// counted below zero.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: i64,
    left: i64,
    window: Duration,
    full_at: Duration,
    /// Until when Discord wants no such call.
    blocked: Duration,
}

impl Bucket {
    const fn new(limit: i64, window: Duration) -> Self {
        Self {
            limit,
            left: limit,
            window,
            full_at: Duration::ZERO,
            blocked: Duration::ZERO,
        }
    }

    fn refill(&mut self, now: Duration) {
        if now < self.full_at {
            return;
        }
        let late = now.saturating_sub(self.full_at);
        let windows = late.as_nanos() / self.window.as_nanos().max(1) + 1;
        let windows = i64::try_from(windows).unwrap_or(i64::MAX);
        let left = self.left.saturating_add(windows.saturating_mul(self.limit));
        self.left = left.min(self.limit);
        self.full_at = now + self.window;
    }

    /// The wait before a call may leave; takes nothing.
    fn wait(&mut self, now: Duration) -> Duration {
        self.refill(now);
        let block = self.blocked.saturating_sub(now);
        if self.left > 0 {
            return block;
        }
        let behind = self.left.unsigned_abs() / self.limit.unsigned_abs().max(1);
        let windows = u32::try_from(behind).unwrap_or(u32::MAX);
        let wait = self.full_at.saturating_sub(now) + self.window.saturating_mul(windows);
        wait.max(block)
    }

    fn is_idle(&self, now: Duration) -> bool {
        now >= self.full_at && now >= self.blocked
    }
}

#[derive(Debug)]
struct State {
    /// Which bucket a kind of call counts against, as far as it has been told.
    kinds: HashMap<Op, Box<str>>,
    buckets: HashMap<Box<str>, Bucket>,
    global: Bucket,
    /// Refused calls, by minute.
    refused: [(u64, u32); REFUSED_SLOTS],
}

/// Hands out places in the rows.
#[derive(Debug)]
pub(crate) struct Pacer {
    pacing: Pacing,
    state: Mutex<State>,
}

impl Pacer {
    pub(crate) fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            state: Mutex::new(State {
                kinds: HashMap::new(),
                buckets: HashMap::new(),
                global: Bucket::new(GLOBAL, Duration::from_secs(1)),
                refused: [(0, 0); REFUSED_SLOTS],
            }),
        }
    }

    /// Takes a place in the row of a call. What Discord has asked for is waited for so long;
    /// without patience the place is taken only if it is free at once.
    pub(crate) fn turn(&self, call: &Call, now: Duration, patience: Option<Duration>) -> Turn {
        let longest = patience.map_or(Duration::ZERO, |patience| LONGEST_WAIT.max(patience));
        let patience = patience.unwrap_or_default();
        let mut state = lock(&self.state);
        if let Some(wait) = state.is_spent(now) {
            return Turn::TooLong(wait);
        }
        let key = state.key(call);
        let paced = self.pacing == Pacing::Documented;
        let mut wait = Duration::ZERO;
        let mut block = Duration::ZERO;
        if call.is_global() {
            block = state.global.blocked.saturating_sub(now);
            if paced {
                wait = state.global.wait(now);
            }
        }
        if let Some(bucket) = state.buckets.get_mut(&key) {
            block = block.max(bucket.blocked.saturating_sub(now));
            wait = wait.max(bucket.wait(now));
        }
        wait = wait.max(block);
        if block > patience || wait > longest {
            return Turn::TooLong(wait);
        }
        if call.is_global() && paced {
            state.global.left -= 1;
        }
        if let Some(bucket) = state.buckets.get_mut(&key) {
            bucket.left -= 1;
        }
        Turn::After(wait)
    }

    /// Notes what an answer says about its bucket.
    pub(crate) fn learn(&self, call: &Call, headers: &HeaderMap, now: Duration) {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let number = |name: &str| {
            text(name)?
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|it| it.is_finite())
        };
        let (Some(limit), Some(left), Some(after)) = (
            number("x-ratelimit-limit"),
            number("x-ratelimit-remaining"),
            number("x-ratelimit-reset-after"),
        ) else {
            return;
        };
        let whole = |it: f64| i64::try_from(Duration::from_secs_f64(it.clamp(0.0, 1e6)).as_secs());
        let (Ok(limit), Ok(left)) = (whole(limit), whole(left)) else {
            return;
        };
        let after = Duration::from_secs_f64(after.clamp(0.0, 3600.0));
        let mut state = lock(&self.state);
        let name = text("x-ratelimit-bucket").filter(|name| name.len() <= 128);
        if let Some(name) = name {
            state.kinds.insert(call.op, name.into());
        }
        let key = state.key(call);
        state.make_room(now);
        let bucket = state
            .buckets
            .entry(key)
            .or_insert_with(|| Bucket::new(limit.max(1), after));
        bucket.limit = limit.max(1);
        // The first answer of a window tells how long it is.
        bucket.window = bucket.window.max(after).max(Duration::from_millis(1));
        if bucket.left >= 0 {
            // What is on the way is not counted by the server yet.
            bucket.left = bucket.left.min(left);
            bucket.full_at = now + after;
        }
    }

    /// Notes that Discord wants no such call, or none at all, for a while.
    pub(crate) fn limited(&self, call: &Call, is_global: bool, wait: Duration, now: Duration) {
        let mut state = lock(&self.state);
        let until = now + wait;
        if is_global {
            state.global.blocked = state.global.blocked.max(until);
            return;
        }
        let key = state.key(call);
        state.make_room(now);
        let bucket = state
            .buckets
            .entry(key)
            .or_insert_with(|| Bucket::new(1, wait));
        bucket.blocked = bucket.blocked.max(until);
    }

    /// Counts a call that was refused with 401, 403 or 429.
    pub(crate) fn refused(&self, now: Duration) {
        let minute = now.as_secs() / REFUSED_SLOT.as_secs();
        let mut state = lock(&self.state);
        let index = usize::try_from(minute).unwrap_or_default() % REFUSED_SLOTS;
        if let Some(slot) = state.refused.get_mut(index) {
            if slot.0 != minute {
                *slot = (minute, 0);
            }
            slot.1 = slot.1.saturating_add(1);
        }
    }
}

impl State {
    /// The wait if so many calls were refused that one more may block the whole address.
    fn is_spent(&self, now: Duration) -> Option<Duration> {
        let minute = now.as_secs() / REFUSED_SLOT.as_secs();
        let recent = |slot: &&(u64, u32)| slot.0 + REFUSED_SLOTS as u64 > minute;
        let sum: u32 = self.refused.iter().filter(recent).map(|slot| slot.1).sum();
        (sum >= REFUSED).then_some(REFUSED_SLOT)
    }

    fn key(&self, call: &Call) -> Box<str> {
        match self.kinds.get(&call.op) {
            Some(name) => format!("{name}:{}", call.major).into(),
            None => format!("{:?}:{}", call.op, call.major).into(),
        }
    }

    fn make_room(&mut self, now: Duration) {
        if self.buckets.len() >= CAPACITY {
            self.buckets.retain(|_, bucket| !bucket.is_idle(now));
        }
        // All of them are busy: whoever is forgotten is refused by Discord at worst.
        if self.buckets.len() >= CAPACITY
            && let Some(any) = self.buckets.keys().next().cloned()
        {
            self.buckets.remove(&any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method};

    const SECOND: Duration = Duration::from_secs(1);

    fn call(channel: &str) -> Call {
        Call::of_channel(Op::CreateMessage, Method::POST, channel, "/messages")
    }

    fn headers(limit: u32, left: u32, after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        };
        put("x-ratelimit-limit", &limit.to_string());
        put("x-ratelimit-remaining", &left.to_string());
        put("x-ratelimit-reset-after", after);
        put("x-ratelimit-bucket", "abcd");
        headers
    }

    fn wait(pacer: &Pacer, call: &Call, now: Duration) -> Duration {
        match pacer.turn(call, now, Some(SECOND * 5)) {
            Turn::After(wait) => wait,
            Turn::TooLong(wait) => panic!("{wait:?}"),
        }
    }

    /// serenity-rs/serenity#2781: all waiters woke together, and the bot was banned.
    #[test]
    fn pain_19_waiters_of_a_bucket_leave_window_by_window() {
        let pacer = Pacer::new(Pacing::Off);
        assert_eq!(wait(&pacer, &call("1"), SECOND), Duration::ZERO);
        pacer.learn(&call("1"), &headers(5, 4, "5.0"), SECOND);
        let waits: Vec<_> = (0..15)
            .map(|_| wait(&pacer, &call("1"), SECOND).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10, 10, 10, 10, 15]);
        assert_eq!(
            wait(&pacer, &call("2"), SECOND),
            Duration::ZERO,
            "another channel"
        );
    }

    #[test]
    fn all_calls_together_keep_to_fifty_a_second() {
        let pacer = Pacer::new(Pacing::Documented);
        let waits: Vec<_> = (0..120)
            .map(|n| wait(&pacer, &call(&n.to_string()), SECOND).as_secs())
            .collect();
        assert_eq!(waits.iter().filter(|wait| **wait == 0).count(), 50);
        assert_eq!(waits.iter().filter(|wait| **wait == 1).count(), 50);
        let mut exempt = call("1");
        exempt.is_authorized = false;
        assert_eq!(wait(&pacer, &exempt, SECOND), Duration::ZERO);
    }

    #[test]
    fn a_global_block_stops_every_call_and_another_one_its_bucket() {
        let pacer = Pacer::new(Pacing::Off);
        pacer.limited(&call("1"), false, SECOND * 3, SECOND);
        assert_eq!(wait(&pacer, &call("1"), SECOND), SECOND * 3);
        assert_eq!(wait(&pacer, &call("2"), SECOND), Duration::ZERO);
        pacer.limited(&call("1"), true, SECOND * 30, SECOND);
        let turn = pacer.turn(&call("2"), SECOND, Some(SECOND * 5));
        assert_eq!(turn, Turn::TooLong(SECOND * 30));
        assert_eq!(wait(&pacer, &call("2"), SECOND * 31), Duration::ZERO);
    }

    #[test]
    fn refused_calls_are_budgeted_before_the_address_is_blocked() {
        let pacer = Pacer::new(Pacing::Off);
        for _ in 0..REFUSED {
            assert!(matches!(
                pacer.turn(&call("1"), SECOND, None),
                Turn::After(_)
            ));
            pacer.refused(SECOND);
        }
        assert!(matches!(
            pacer.turn(&call("1"), SECOND, None),
            Turn::TooLong(_)
        ));
        let later = SECOND * 601;
        assert!(matches!(
            pacer.turn(&call("1"), later, None),
            Turn::After(_)
        ));
    }

    #[test]
    fn memory_is_bounded() {
        let pacer = Pacer::new(Pacing::Off);
        for channel in 0..CAPACITY * 2 {
            pacer.learn(&call(&channel.to_string()), &headers(5, 0, "60"), SECOND);
        }
        assert!(lock(&pacer.state).buckets.len() <= CAPACITY);
    }
}
