//! Spacing requests out, so that Telegram has no reason to refuse them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use channel_core::{Bucket, ChatId, Chats, Rate, Rule, Scope};

use crate::shared::lock;

/// How fast messages may leave.
///
/// Each limit is a token bucket: up to `burst` at once, then at the rate. What Telegram
/// itself asks for (`429`) is obeyed with any pacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    direct: Option<Bucket>,
    group: Option<Bucket>,
    total: Option<Bucket>,
}

impl Pacing {
    /// What Telegram documents
    /// (<https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>):
    /// 1 message a second in one chat, 20 a minute in one group, 30 a second in all, with
    /// bursts of 5, 10 and 30.
    #[must_use]
    pub fn documented() -> Self {
        let second = Duration::from_secs(1);
        Self::off()
            .direct(Rate::new(1, second), 5)
            .group(Rate::new(20, second * 60), 10)
            .total(Rate::new(30, second), 30)
    }

    /// No spacing: requests leave at once.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            direct: None,
            group: None,
            total: None,
        }
    }

    /// Limits what goes to one private chat.
    #[must_use]
    pub fn direct(mut self, rate: Rate, burst: u32) -> Self {
        self.direct = Some(Bucket::new(rate, burst));
        self
    }

    /// Limits what goes to one group or channel.
    #[must_use]
    pub fn group(mut self, rate: Rate, burst: u32) -> Self {
        self.group = Some(Bucket::new(rate, burst));
        self
    }

    /// Limits what goes to all chats together.
    #[must_use]
    pub fn total(mut self, rate: Rate, burst: u32) -> Self {
        self.total = Some(Bucket::new(rate, burst));
        self
    }

    /// The same for whoever spaces requests out before they come here.
    pub(crate) fn declared(self) -> channel_core::Pacing {
        let rules = [
            (self.direct, Scope::Chat, Chats::Direct),
            (self.group, Scope::Chat, Chats::Groups),
            (self.total, Scope::Channel, Chats::All),
        ];
        let pacing = channel_core::Pacing::off().groups(GROUPS);
        rules
            .into_iter()
            .fold(pacing, |pacing, (bucket, scope, chats)| {
                let Some(Bucket { rate, burst, .. }) = bucket else {
                    return pacing;
                };
                let burst = burst.saturating_sub(1).max(1);
                pacing.rule(Rule::new(scope, rate, burst).only_in(chats))
            })
    }
}

/// How ids of chats begin in which no single person sits at the other end.
const GROUPS: &[&str] = &["-", "@", "guest:", "inline:"];

/// How many chats are tracked.
const CAPACITY: usize = 8192;
/// The longest wait that our own pacing imposes; beyond it the caller is told to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When a request may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// After this wait; the place in the row is taken.
    After(Duration),
    /// Too long a row; nothing is taken.
    TooLong(Duration),
}

/// Hands out places in the row. Callers wait on their own, each for its own moment, so
/// that nobody has to be woken and nobody wakes together with all others.
#[derive(Debug)]
pub(crate) struct Pacer {
    pacing: Pacing,
    rows: Mutex<Rows>,
    /// Until when, in milliseconds, some block of Telegram's may hold.
    blocked_until: AtomicU64,
}

#[derive(Debug, Default)]
struct Rows {
    /// When the bucket of all chats will be full again.
    total: Duration,
    chats: HashMap<ChatId, Row>,
    /// Telegram wants no request at all until then.
    blocked: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    /// When the bucket will be full again.
    due: Duration,
    /// Telegram wants no request to this chat until then.
    blocked: Duration,
}

impl Pacer {
    pub(crate) fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            rows: Mutex::default(),
            blocked_until: AtomicU64::new(0),
        }
    }

    const fn bucket(&self, private: bool) -> Option<Bucket> {
        if private {
            self.pacing.direct
        } else {
            self.pacing.group
        }
    }

    fn is_free(&self, now: Duration) -> bool {
        self.pacing == Pacing::off() && millis(now) >= self.blocked_until.load(Ordering::Acquire)
    }

    /// Takes the next place in the row of a chat; a block longer than `patience` is not
    /// waited for.
    pub(crate) fn turn(
        &self,
        chat: &ChatId,
        private: bool,
        now: Duration,
        patience: Duration,
    ) -> Turn {
        self.place(chat, private, now, patience, LONGEST_WAIT.max(patience))
    }

    /// Takes the next place only if a request may leave at once.
    pub(crate) fn turn_now(&self, chat: &ChatId, private: bool, now: Duration) -> Turn {
        self.place(chat, private, now, Duration::ZERO, Duration::ZERO)
    }

    fn place(
        &self,
        chat: &ChatId,
        private: bool,
        now: Duration,
        patience: Duration,
        longest: Duration,
    ) -> Turn {
        if self.is_free(now) {
            return Turn::After(Duration::ZERO);
        }
        let bucket = self.bucket(private);
        let mut rows = lock(&self.rows);
        let row = rows.chats.get(chat).copied().unwrap_or_default();
        let blocked = row.blocked.max(rows.blocked).saturating_sub(now);
        if blocked > patience {
            return Turn::TooLong(blocked);
        }
        let mut at = now + blocked;
        if let Some(bucket) = bucket {
            at = at.max(bucket.slot(row.due, now));
        }
        if let Some(total) = self.pacing.total {
            at = at.max(total.slot(rows.total, now));
        }
        let wait = at.saturating_sub(now);
        if wait > longest {
            return Turn::TooLong(wait);
        }
        if let Some(total) = self.pacing.total {
            rows.total = total.taken(rows.total, at);
        }
        if let Some(bucket) = bucket {
            let due = bucket.taken(row.due, at);
            rows.put(chat, Row { due, ..row }, now);
        }
        Turn::After(wait)
    }

    /// Whether a preview may leave now. It never waits, and it leaves room for the final
    /// message: it is let pass only if one more could follow at once.
    pub(crate) fn preview(&self, chat: &ChatId, private: bool, now: Duration) -> bool {
        if self.is_free(now) {
            return true;
        }
        let mut rows = lock(&self.rows);
        let row = rows.chats.get(chat).copied().unwrap_or_default();
        if row.blocked.max(rows.blocked) > now {
            return false;
        }
        let bucket = self.bucket(private);
        let has_room = |bucket: Option<Bucket>, due: Duration| {
            bucket.is_none_or(|bucket| bucket.slot(due + bucket.rate.interval(), now) <= now)
        };
        if !has_room(bucket, row.due) || !has_room(self.pacing.total, rows.total) {
            return false;
        }
        if let Some(total) = self.pacing.total {
            rows.total = total.taken(rows.total, now);
        }
        if let Some(bucket) = bucket {
            let due = bucket.taken(row.due, now);
            rows.put(chat, Row { due, ..row }, now);
        }
        true
    }

    /// Notes that Telegram wants a chat left alone. When it says so of a second chat while
    /// the first block holds, it may mean the bot, not the chat: then all chats wait for
    /// the shorter of the two, and the answers after that tell which it was.
    pub(crate) fn limited(&self, chat: &ChatId, private: bool, wait: Duration, now: Duration) {
        let until = now + wait;
        let bucket = self.bucket(private);
        let mut rows = lock(&self.rows);
        let shortest = rows
            .chats
            .iter()
            .filter(|(other, row)| *other != chat && row.blocked > now)
            .map(|(_, row)| row.blocked)
            .min();
        if let Some(shortest) = shortest {
            rows.blocked = rows.blocked.max(shortest.min(until));
        }
        let mut row = rows.chats.get(chat).copied().unwrap_or_default();
        row.blocked = row.blocked.max(until);
        if let Some(bucket) = bucket {
            // After the block one at a time, not all who have waited.
            row.due = row.due.max(until + bucket.slack());
        }
        rows.put(chat, row, now);
        self.blocked_until
            .fetch_max(millis(until), Ordering::AcqRel);
    }
}

impl Rows {
    fn put(&mut self, chat: &ChatId, row: Row, now: Duration) {
        if self.chats.len() >= CAPACITY && !self.chats.contains_key(chat) {
            self.chats
                .retain(|_, row| row.due > now || row.blocked > now);
            if self.chats.len() >= CAPACITY {
                // The limit of all chats together still holds.
                self.chats.clear();
            }
        }
        self.chats.insert(chat.clone(), row);
    }
}

fn millis(time: Duration) -> u64 {
    // Rounded up, so that a block never looks shorter than it is.
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn turn(pacer: &Pacer, chat: &str, now: Duration) -> Turn {
        pacer.turn(&ChatId::from(chat), true, now, S * 5)
    }

    #[test]
    fn a_burst_passes_and_the_rest_goes_at_the_rate() {
        let pacer = Pacer::new(Pacing::off().direct(Rate::new(1, S), 3));
        let turns: Vec<_> = (0..5).map(|_| turn(&pacer, "1", S * 100)).collect();
        let after = |n| Turn::After(S * n);
        assert_eq!(turns, [after(0), after(0), after(0), after(1), after(2)]);
        assert_eq!(turn(&pacer, "2", S * 100), after(0));
        assert_eq!(turn(&pacer, "1", S * 200), after(0));
    }

    #[test]
    fn a_row_that_is_too_long_takes_no_place() {
        let pacer = Pacer::new(Pacing::off().direct(Rate::new(1, S * 50), 1));
        assert_eq!(turn(&pacer, "1", S), Turn::After(Duration::ZERO));
        assert_eq!(turn(&pacer, "1", S), Turn::After(S * 50));
        assert_eq!(turn(&pacer, "1", S), Turn::TooLong(S * 100));
        assert_eq!(turn(&pacer, "1", S * 51), Turn::After(S * 50));
    }

    #[test]
    fn pain_19_after_a_block_callers_leave_one_by_one() {
        let pacer = Pacer::new(Pacing::off().direct(Rate::new(1, S), 5));
        pacer.limited(&ChatId::from("1"), true, S * 3, S * 10);
        let turns: Vec<_> = (0..3).map(|_| turn(&pacer, "1", S * 10)).collect();
        assert_eq!(turns, [3, 4, 5].map(|n| Turn::After(S * n)));
    }

    #[test]
    fn a_block_of_telegram_holds_without_pacing_too() {
        let pacer = Pacer::new(Pacing::off());
        pacer.limited(&ChatId::from("1"), true, S * 3, S * 10);
        assert_eq!(turn(&pacer, "1", S * 11), Turn::After(S * 2));
        assert_eq!(turn(&pacer, "2", S * 11), Turn::After(Duration::ZERO));
        assert_eq!(turn(&pacer, "1", S * 14), Turn::After(Duration::ZERO));
        pacer.limited(&ChatId::from("1"), true, S * 30, S * 14);
        assert_eq!(turn(&pacer, "1", S * 14), Turn::TooLong(S * 30));
    }

    #[test]
    fn two_blocked_chats_mean_the_whole_bot() {
        let pacer = Pacer::new(Pacing::off());
        pacer.limited(&ChatId::from("1"), true, S * 3, S * 10);
        pacer.limited(&ChatId::from("2"), true, S * 4, S * 10);
        assert_eq!(turn(&pacer, "3", S * 10), Turn::After(S * 3));
    }

    #[test]
    fn pain_16_previews_leave_room_for_the_final_message() {
        let pacer = Pacer::new(Pacing::off().direct(Rate::new(1, S), 2));
        let chat = ChatId::from("1");
        assert!(pacer.preview(&chat, true, S));
        assert!(!pacer.preview(&chat, true, S));
        assert_eq!(turn(&pacer, "1", S), Turn::After(Duration::ZERO));
        assert_eq!(turn(&pacer, "1", S), Turn::After(S));
    }

    #[test]
    fn memory_of_chats_is_bounded() {
        let pacer = Pacer::new(Pacing::off().direct(Rate::new(1, S), 1));
        for chat in 0..20_000_i64 {
            let _ = pacer.turn(&ChatId::from(chat), true, S, S);
        }
        assert!(lock(&pacer.rows).chats.len() <= CAPACITY);
    }
}
