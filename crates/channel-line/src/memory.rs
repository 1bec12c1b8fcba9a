//! What a channel remembers, all of it bounded; the oldest is forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use channel_core::{ChatId, ErrorKind, MessageId};

use crate::retry_key::RetryKey;

/// How many messages of the bot are recognised when somebody quotes them.
const SENT: usize = 10_000;
/// How many answers are remembered of which nobody knows whether they arrived.
const LOST: usize = 1000;
/// How many chats are left alone.
const DEAD: usize = 1000;
/// How long a chat that refuses is left alone.
const DEAD_FOR: Duration = Duration::from_secs(3600);

/// A map of the last so many entries.
#[derive(Debug)]
struct Recent<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    capacity: usize,
}

impl<K: Clone + Eq + std::hash::Hash, V> Recent<K, V> {
    fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            capacity,
        }
    }

    fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(key);
    }

    fn remove(&mut self, key: &K) {
        if self.entries.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
}

/// The memory of a channel.
pub(crate) struct Memory {
    sent: Mutex<Recent<MessageId, ()>>,
    lost: Mutex<Recent<String, RetryKey>>,
    dead: Mutex<Recent<ChatId, (Duration, ErrorKind)>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds reply tokens.
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sent: Mutex::new(Recent::new(SENT)),
            lost: Mutex::new(Recent::new(LOST)),
            dead: Mutex::new(Recent::new(DEAD)),
        }
    }
}

/// Locks; the data behind our locks is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Notes a message of the bot.
    pub(crate) fn sent(&self, message: MessageId) {
        lock(&self.sent).insert(message, ());
    }

    /// Whether the bot has sent a message.
    pub(crate) fn is_mine(&self, message: &MessageId) -> bool {
        lock(&self.sent).entries.contains_key(message)
    }

    /// Notes that an answer with this token may or may not have arrived.
    pub(crate) fn lost(&self, token: &str, answer: RetryKey) {
        lock(&self.lost).insert(token.to_owned(), answer);
    }

    /// Whether this very answer may have arrived.
    pub(crate) fn is_lost(&self, token: &str, answer: RetryKey) -> bool {
        lock(&self.lost).entries.get(token) == Some(&answer)
    }

    /// Notes that an answer has arrived after all.
    pub(crate) fn found(&self, token: &str) {
        lock(&self.lost).remove(&token.to_owned());
    }

    /// Notes that a chat will refuse the next message too.
    pub(crate) fn refuses(&self, chat: &ChatId, kind: ErrorKind, now: Duration) {
        lock(&self.dead).insert(chat.clone(), (now + DEAD_FOR, kind));
    }

    /// Why a chat is left alone, if it is.
    pub(crate) fn refusal(&self, chat: &ChatId, now: Duration) -> Option<ErrorKind> {
        let dead = lock(&self.dead);
        let (until, kind) = dead.entries.get(chat)?;
        (now < *until).then_some(*kind)
    }

    /// Notes that something has come from a chat, or has arrived there.
    pub(crate) fn lives(&self, chat: &ChatId) {
        let mut dead = lock(&self.dead);
        if !dead.entries.is_empty() {
            dead.remove(chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        for key in [1, 2, 2, 3] {
            recent.insert(key, key);
        }
        assert!(!recent.entries.contains_key(&1));
        recent.remove(&2);
        recent.insert(4, 4);
        assert_eq!((recent.entries.len(), recent.order.len()), (2, 2));
    }

    #[test]
    fn a_chat_that_refuses_is_left_alone_for_an_hour() {
        let memory = Memory::default();
        let chat = ChatId::from("U1");
        memory.refuses(&chat, ErrorKind::NotFound, Duration::ZERO);
        let at = |seconds| memory.refusal(&chat, Duration::from_secs(seconds));
        assert_eq!(at(3599), Some(ErrorKind::NotFound));
        assert_eq!(at(3600), None);
        memory.lives(&chat);
        assert_eq!(at(0), None);
    }
}
