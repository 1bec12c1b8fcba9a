//! What a channel remembers, all of it bounded; the oldest is forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::shared::lock;

/// How many messages of the bot are remembered.
const SENT: usize = 10_000;
/// How many people are remembered by their direct conversation.
const CONVERSATIONS: usize = 10_000;

/// A map that forgets the oldest.
#[derive(Debug)]
struct Bounded<V> {
    values: HashMap<String, V>,
    order: VecDeque<String>,
    most: usize,
}

impl<V: Clone> Bounded<V> {
    fn new(most: usize) -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    fn insert(&mut self, key: &str, value: V) {
        if self.values.insert(key.to_owned(), value).is_none() {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    fn get(&self, key: &str) -> Option<V> {
        self.values.get(key).cloned()
    }
}

/// What is worth remembering, and what can be done without.
#[derive(Debug)]
pub(crate) struct Memory {
    sent: Mutex<Bounded<()>>,
    conversations: Mutex<Bounded<String>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sent: Mutex::new(Bounded::new(SENT)),
            conversations: Mutex::new(Bounded::new(CONVERSATIONS)),
        }
    }
}

impl Memory {
    /// The bot has sent a message under this key.
    pub(crate) fn sent(&self, key: &str) {
        lock(&self.sent).insert(key, ());
    }

    pub(crate) fn is_mine(&self, key: &str) -> bool {
        lock(&self.sent).get(key).is_some()
    }

    /// Somebody has written in their direct conversation with the bot.
    pub(crate) fn talked(&self, staff: &str, conversation: &str) {
        lock(&self.conversations).insert(staff, conversation.to_owned());
    }

    /// The direct conversation of a person. DingTalk names it with their messages and nowhere
    /// else.
    pub(crate) fn conversation(&self, staff: &str) -> Option<String> {
        lock(&self.conversations).get(staff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let memory = Memory::default();
        for n in 0..=SENT {
            memory.sent(&n.to_string());
        }
        assert!(!memory.is_mine("0") && memory.is_mine("1"));
        memory.talked("a", "cid1");
        memory.talked("a", "cid2");
        assert_eq!(memory.conversation("a").as_deref(), Some("cid2"));
        assert_eq!(lock(&memory.sent).order.len(), SENT);
    }
}
