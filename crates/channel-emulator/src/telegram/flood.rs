//! Flood control, as the FAQ for bots describes it: one message a second per chat, twenty a minute per group,
//! thirty a second overall. <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::model::Place;

/// The rates; the platform publishes them as guidance, so they are settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FloodLimits {
    /// Mean distance of messages in one chat.
    pub chat_interval: Duration,
    /// So many messages to one chat may come at once.
    pub chat_burst: u32,
    /// Messages to one group in any 60 seconds.
    pub group_per_minute: u32,
    /// Messages of one bot per second, to all chats.
    pub overall_per_second: u32,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self {
            chat_interval: Duration::from_secs(1),
            chat_burst: 5,
            group_per_minute: 20,
            overall_per_second: 30,
        }
    }
}

/// Counts what was sent. Times are in milliseconds.
#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) on: bool,
    limits: FloodLimits,
    chats: HashMap<(i64, Place), i64>,
    groups: HashMap<(i64, Place), VecDeque<i64>>,
    bots: HashMap<i64, i64>,
}

const MINUTE: i64 = 60_000;

impl Flood {
    pub(crate) fn new(on: bool, limits: FloodLimits) -> Self {
        Self {
            on,
            limits,
            chats: HashMap::new(),
            groups: HashMap::new(),
            bots: HashMap::new(),
        }
    }

    /// Admits `count` messages, or says for how many seconds to wait.
    pub(crate) fn admit(
        &mut self,
        bot: i64,
        place: Place,
        count: i64,
        now: i64,
    ) -> Result<(), u64> {
        if !self.on {
            return Ok(());
        }
        let interval = i64::try_from(self.limits.chat_interval.as_millis()).unwrap_or(i64::MAX);
        let burst = interval.saturating_mul(i64::from(self.limits.chat_burst));
        let key = (bot, place);
        let chat = spend(
            self.chats.get(&key),
            interval.saturating_mul(count),
            burst,
            now,
        )?;
        let each = 1000 / i64::from(self.limits.overall_per_second.max(1));
        let overall = spend(self.bots.get(&bot), each.saturating_mul(count), 1000, now)?;
        if matches!(place, Place::Shared(_)) {
            let sent = self.groups.entry(key).or_default();
            while sent
                .front()
                .is_some_and(|at| now.saturating_sub(*at) >= MINUTE)
            {
                sent.pop_front();
            }
            let room = usize::try_from(self.limits.group_per_minute).unwrap_or(usize::MAX);
            if sent
                .len()
                .saturating_add(usize::try_from(count).unwrap_or(0))
                > room
            {
                let oldest = sent.front().copied().unwrap_or(now);
                return Err(seconds(oldest.saturating_add(MINUTE).saturating_sub(now)));
            }
            sent.extend((0..count).map(|_| now));
        }
        self.chats.insert(key, chat);
        self.bots.insert(bot, overall);
        Ok(())
    }
}

/// The leaky bucket, kept as the time at which it is empty; `cost` and `room` are in milliseconds.
fn spend(empty_at: Option<&i64>, cost: i64, room: i64, now: i64) -> Result<i64, u64> {
    let filled = empty_at
        .copied()
        .unwrap_or(now)
        .max(now)
        .saturating_add(cost);
    let over = filled.saturating_sub(now).saturating_sub(room);
    if over > 0 {
        Err(seconds(over))
    } else {
        Ok(filled)
    }
}

/// Whole seconds, at least one.
fn seconds(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).div_ceil(1000).max(1)
}
