//! How much one sender, and one chat, may say.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{AccountRef, ChannelId, ChatId};
use serde::Deserialize;

use crate::lock;

/// One token, in the unit of the buckets: so much flows in during a nanosecond at one a
/// minute that a minute makes one token, and nothing is ever rounded.
const TOKEN: u64 = 60_000_000_000;

/// How long an empty bucket takes to be full again, whatever its size.
const FULL_AFTER: Duration = Duration::from_secs(60);

/// How many messages a minute are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RateLimits {
    /// Of one sender; 1 to 600, 10 if absent.
    pub per_sender: u32,
    /// In one chat, of all senders together; 1 to 600, 30 if absent.
    pub per_chat: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            per_sender: 10,
            per_chat: 30,
        }
    }
}

impl RateLimits {
    /// Sets both.
    #[must_use]
    pub const fn new(per_sender: u32, per_chat: u32) -> Self {
        Self {
            per_sender,
            per_chat,
        }
    }

    /// The same, inside 1 to 600; a change is logged.
    #[must_use]
    pub fn clamped(self) -> Self {
        let clamped = Self {
            per_sender: self.per_sender.clamp(1, 600),
            per_chat: self.per_chat.clamp(1, 600),
        };
        if clamped != self {
            tracing::warn!(
                per_sender = clamped.per_sender,
                per_chat = clamped.per_chat,
                "rate limits were outside 1 to 600 a minute"
            );
        }
        clamped
    }
}

/// What a rate limit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// There was room for it.
    Admitted,
    /// There was none; the first time since there was, so tell the sender.
    RefusedFirst,
    /// There was none, and whoever it is has been told.
    Refused,
}

/// Token buckets per sender and per chat; bounded, and swept as they are used.
pub struct RateLimiter {
    limits: RateLimits,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    senders: Table<AccountRef>,
    chats: Table<(ChannelId, ChatId)>,
}

impl RateLimiter {
    /// Buckets for these limits, clamped; at most `capacity` senders and as many chats.
    #[must_use]
    pub fn new(limits: RateLimits, capacity: usize) -> Self {
        let limits = limits.clamped();
        Self {
            limits,
            buckets: Mutex::new(Buckets {
                senders: Table::new(limits.per_sender, capacity),
                chats: Table::new(limits.per_chat, capacity),
            }),
        }
    }

    /// Takes one token from the sender and one from the chat, or none from either. `now` is
    /// monotonic time.
    pub fn admit(
        &self,
        account: &AccountRef,
        channel: &ChannelId,
        chat: &ChatId,
        now: Duration,
    ) -> Admission {
        let mut buckets = lock(&self.buckets);
        let Buckets { senders, chats } = &mut *buckets;
        let sender = senders.bucket(account.clone(), now);
        let chat = chats.bucket((channel.clone(), chat.clone()), now);
        if sender.level >= TOKEN && chat.level >= TOKEN {
            for bucket in [sender, chat] {
                bucket.level -= TOKEN;
                bucket.told = false;
            }
            return Admission::Admitted;
        }
        let empty = if sender.level < TOKEN { sender } else { chat };
        if std::mem::replace(&mut empty.told, true) {
            Admission::Refused
        } else {
            Admission::RefusedFirst
        }
    }

    /// How many buckets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let buckets = lock(&self.buckets);
        buckets.senders.len() + buckets.chats.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("limits", &self.limits)
            .field("buckets", &self.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    filled_at: Duration,
    told: bool,
}

/// Buckets in two generations. A bucket that is not used moves to the old generation and
/// goes with it; by then it is full again, so that nothing is forgotten. Only where there
/// are more than `capacity` in a minute a bucket goes before that.
struct Table<K> {
    per_minute: u32,
    capacity: usize,
    young: HashMap<K, Bucket>,
    old: HashMap<K, Bucket>,
    turned_at: Duration,
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn new(per_minute: u32, capacity: usize) -> Self {
        Self {
            per_minute,
            capacity: capacity.max(2),
            young: HashMap::new(),
            old: HashMap::new(),
            turned_at: Duration::ZERO,
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn bucket(&mut self, key: K, now: Duration) -> &mut Bucket {
        let aged = now.saturating_sub(self.turned_at) >= FULL_AFTER;
        if aged || self.young.len() >= self.capacity / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        let size = u64::from(self.per_minute) * TOKEN;
        let old = &mut self.old;
        let bucket = self.young.entry(key).or_insert_with_key(|key| {
            old.remove(key).unwrap_or(Bucket {
                level: size,
                filled_at: now,
                told: false,
            })
        });
        let since = now.saturating_sub(bucket.filled_at).min(FULL_AFTER);
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(TOKEN);
        bucket.level = size.min(bucket.level + nanos * u64::from(self.per_minute));
        bucket.filled_at = now;
        bucket
    }
}
