//! Whose turn it is on a platform: the buckets that channels declare, and what platforms ask
//! for besides.
//!
//! Messages take places in the row and wait on their own, each for its own moment. Previews
//! never wait: they are let pass where a message could follow at once, so that no message
//! ever stands behind one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{Bucket, Call, ChannelId, ChannelInfo, ChatId, Platform, Rule, Scope};

use crate::engine::lock;

/// How many rows are tracked.
const CAPACITY: usize = 16_384;

/// Where a request goes, and what it does there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) info: &'a ChannelInfo,
    pub(super) chat: &'a ChatId,
    pub(super) call: Call,
}

/// Who a limit is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Chat(ChannelId, ChatId),
    Channel(ChannelId),
    Platform(Platform),
}

impl Owner {
    fn of(place: &Place<'_>, scope: Scope) -> Self {
        let info = place.info;
        match scope {
            Scope::Channel => Self::Channel(info.id.clone()),
            Scope::Platform => Self::Platform(info.platform.clone()),
            _ => Self::Chat(info.id.clone(), place.chat.clone()),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Limiter {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    /// When each bucket is full again, by owner and place among the channel's rules.
    due: HashMap<(Owner, usize), Duration>,
    /// Until when the platform wants nothing.
    blocked: HashMap<Owner, Duration>,
}

impl Limiter {
    /// Takes the next place in every row that a request stands in; how long until its turn.
    pub(super) fn turn(&self, place: &Place<'_>, now: Duration) -> Duration {
        let mut rows = lock(&self.rows);
        let at = rows.slot(place, now);
        rows.take(place, at);
        at.saturating_sub(now)
    }

    /// Takes a place only if it is a message's turn at once.
    pub(super) fn turn_now(&self, place: &Place<'_>, now: Duration) -> bool {
        let mut rows = lock(&self.rows);
        let is_free = rows.slot(place, now) <= now;
        if is_free {
            rows.take(place, now);
        }
        is_free
    }

    /// Takes a place for a preview, if a message could follow it at once. A bucket without a
    /// burst has no room for previews.
    pub(super) fn preview(&self, place: &Place<'_>, now: Duration) -> bool {
        let mut rows = lock(&self.rows);
        if rows.block(place) > now {
            return false;
        }
        let buckets = rows.buckets(place);
        let passes = buckets.iter().all(|(_, bucket, due)| {
            let next = bucket.taken(*due, now);
            bucket.slot(next, now) <= now
        });
        if passes {
            rows.take(place, now);
        }
        passes
    }

    /// How much longer the platform wants no such request.
    pub(super) fn blocked(&self, place: &Place<'_>, now: Duration) -> Option<Duration> {
        let until = lock(&self.rows).block(place);
        (until > now).then(|| until.saturating_sub(now))
    }

    /// The platform wants a pause. Whoever is in the same rows leaves one by one after it.
    pub(super) fn limited(&self, place: &Place<'_>, scope: Scope, wait: Duration, now: Duration) {
        let until = now.saturating_add(wait);
        let mut rows = lock(&self.rows);
        rows.make_room(now);
        let owner = Owner::of(place, scope);
        let blocked = rows.blocked.entry(owner.clone()).or_default();
        *blocked = until.max(*blocked);
        for (key, bucket, due) in rows.buckets(place) {
            if key.0 == owner {
                let full = until.saturating_add(bucket.slack());
                rows.due.insert(key, due.max(full));
            }
        }
    }
}

impl Rows {
    /// The buckets that a request counts against, and when each is full again.
    fn buckets(&self, place: &Place<'_>) -> Vec<((Owner, usize), Bucket, Duration)> {
        let rules = place.info.pacing.rules_for(place.chat, place.call);
        let bucket = |(at, rule): (usize, &Rule)| {
            let key = (Owner::of(place, rule.scope), at);
            let due = self.due.get(&key).copied().unwrap_or_default();
            (key, rule.bucket, due)
        };
        rules.map(bucket).collect()
    }

    /// Until when the platform wants no such request.
    fn block(&self, place: &Place<'_>) -> Duration {
        if self.blocked.is_empty() {
            return Duration::ZERO;
        }
        let scopes = [Scope::Chat, Scope::Channel, Scope::Platform];
        let until = scopes.map(|scope| self.blocked.get(&Owner::of(place, scope)));
        until
            .into_iter()
            .flatten()
            .max()
            .copied()
            .unwrap_or_default()
    }

    /// When a request may leave.
    fn slot(&self, place: &Place<'_>, now: Duration) -> Duration {
        let buckets = self.buckets(place);
        let slots = buckets
            .iter()
            .map(|(_, bucket, due)| bucket.slot(*due, now));
        slots.max().unwrap_or(now).max(self.block(place)).max(now)
    }

    fn take(&mut self, place: &Place<'_>, at: Duration) {
        self.make_room(at);
        for (key, bucket, due) in self.buckets(place) {
            self.due.insert(key, bucket.taken(due, at));
        }
    }

    fn make_room(&mut self, now: Duration) {
        if self.due.len() >= CAPACITY {
            self.due.retain(|_, due| *due > now);
        }
        if self.due.len() >= CAPACITY {
            // The limits of all chats together still hold.
            self.due
                .retain(|(owner, _), _| !matches!(owner, Owner::Chat(..)));
        }
        if self.blocked.len() >= CAPACITY {
            self.blocked.retain(|_, until| *until > now);
        }
        if self.blocked.len() >= CAPACITY {
            // Each of them waits on its own as well: nobody leaves too early for that.
            self.blocked
                .retain(|owner, _| !matches!(owner, Owner::Chat(..)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use channel_core::{Limits, Pacing, Rate, TextLimit, TextUnit};

    const S: Duration = Duration::from_secs(1);

    fn info(pacing: Pacing) -> ChannelInfo {
        let limits = Limits::new(TextLimit::new(100, TextUnit::Bytes));
        let platform = Platform::new("acme");
        ChannelInfo::new(ChannelId::new("a"), platform, limits).pacing(pacing)
    }

    fn chat(burst: u32) -> Rule {
        Rule::new(Scope::Chat, Rate::new(1, S), burst)
    }

    struct World {
        info: ChannelInfo,
        limiter: Limiter,
    }

    impl World {
        fn new(pacing: Pacing) -> Self {
            let (info, limiter) = (info(pacing), Limiter::default());
            Self { info, limiter }
        }

        fn with<T>(&self, chat: &str, call: Call, look: impl Fn(&Limiter, &Place<'_>) -> T) -> T {
            let (info, chat) = (&self.info, &ChatId::from(chat));
            look(&self.limiter, &Place { info, chat, call })
        }

        fn turn(&self, chat: &str, now: Duration) -> Duration {
            self.with(chat, Call::Send, |limiter, place| limiter.turn(place, now))
        }

        fn preview(&self, chat: &str, now: Duration) -> bool {
            self.with(chat, Call::Edit, |limiter, place| {
                limiter.preview(place, now)
            })
        }
    }

    #[test]
    fn a_burst_passes_and_the_rest_takes_places_in_the_row_of_its_chat() {
        let world = World::new(Pacing::off().rule(chat(2)));
        let turns: Vec<_> = (0..4).map(|_| world.turn("1", S * 9)).collect();
        assert_eq!(turns, [Duration::ZERO, Duration::ZERO, S, S * 2]);
        assert_eq!(world.turn("2", S * 9), Duration::ZERO);
    }

    #[test]
    fn all_chats_of_a_channel_share_its_bucket() {
        let rule = Rule::new(Scope::Channel, Rate::new(1, S), 1);
        let world = World::new(Pacing::off().rule(rule).rule(chat(5)));
        assert_eq!(world.turn("1", S * 9), Duration::ZERO);
        assert_eq!(world.turn("2", S * 9), S);
        assert_eq!(world.turn("3", S * 9), S * 2);
    }

    #[test]
    fn a_block_of_one_chat_leaves_the_others_alone_and_one_of_the_channel_does_not() {
        let world = World::new(Pacing::off());
        let limited = |scope| {
            world.with("1", Call::Send, |limiter, place| {
                limiter.limited(place, scope, S * 3, S * 9);
            });
        };
        limited(Scope::Chat);
        assert_eq!(world.turn("1", S * 10), S * 2);
        assert_eq!(world.turn("2", S * 10), Duration::ZERO);
        limited(Scope::Channel);
        assert_eq!(world.turn("2", S * 10), S * 2);
        assert_eq!(world.turn("2", S * 12), Duration::ZERO);
    }

    #[test]
    fn pain_19_after_a_block_messages_leave_one_by_one() {
        let world = World::new(Pacing::off().rule(chat(5)));
        world.with("1", Call::Send, |limiter, place| {
            limiter.limited(place, Scope::Chat, S * 3, S * 10);
        });
        let turns: Vec<_> = (0..3).map(|_| world.turn("1", S * 10)).collect();
        assert_eq!(turns, [S * 3, S * 4, S * 5]);
    }

    #[test]
    fn pain_16_previews_leave_room_for_a_message_and_yield_to_one_that_waits() {
        let world = World::new(Pacing::off().rule(chat(2)));
        assert!(world.preview("1", S * 9));
        assert!(!world.preview("1", S * 9));
        assert_eq!(world.turn("1", S * 9), Duration::ZERO);
        assert_eq!(world.turn("1", S * 9), S);
        assert!(!world.preview("1", S * 10));
        assert!(world.preview("1", S * 20));
    }

    #[test]
    fn a_place_that_is_not_free_at_once_is_not_taken() {
        let world = World::new(Pacing::off().rule(chat(1)));
        let now = |at| {
            world.with("1", Call::Send, |limiter, place| {
                limiter.turn_now(place, at)
            })
        };
        assert!(now(S));
        assert!(!now(S));
        assert!(now(S * 2));
    }

    #[test]
    fn memory_is_bounded() {
        let world = World::new(Pacing::off().rule(chat(1)));
        for number in 0..CAPACITY * 2 {
            world.turn(&number.to_string(), S);
            world.with(&number.to_string(), Call::Send, |limiter, place| {
                limiter.limited(place, Scope::Chat, S * 60, S);
            });
        }
        let rows = lock(&world.limiter.rows);
        assert!(rows.due.len() <= CAPACITY && rows.blocked.len() <= CAPACITY);
    }
}
