//! What a channel remembers, all of it bounded; the oldest is forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::shared::lock;

/// How many messages of the bot are remembered by their form.
const SENT: usize = 10_000;
/// How many threads are remembered by a message in them.
const THREADS: usize = 1000;
/// How many reactions of the bot are remembered by their id.
const REACTIONS: usize = 1000;

/// The form of a message, which says how it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Words,
    Card,
}

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

    fn insert(&mut self, key: String, value: V) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
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

    fn remove(&mut self, key: &str) {
        if self.values.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
}

/// What is worth remembering, and what can be found out again or guessed without it.
#[derive(Debug)]
pub(crate) struct Memory {
    sent: Mutex<Bounded<Form>>,
    threads: Mutex<Bounded<String>>,
    reactions: Mutex<Bounded<String>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sent: Mutex::new(Bounded::new(SENT)),
            threads: Mutex::new(Bounded::new(THREADS)),
            reactions: Mutex::new(Bounded::new(REACTIONS)),
        }
    }
}

fn reaction(message: &str, emoji: &str) -> String {
    format!("{message}/{emoji}")
}

impl Memory {
    pub(crate) fn sent(&self, message: &str, form: Form) {
        lock(&self.sent).insert(message.to_owned(), form);
    }

    /// The form of a message of the bot's; `None` if it is not remembered.
    pub(crate) fn form(&self, message: &str) -> Option<Form> {
        lock(&self.sent).get(message)
    }

    pub(crate) fn is_in_thread(&self, message: &str, thread: &str) {
        lock(&self.threads).insert(thread.to_owned(), message.to_owned());
    }

    /// A message of a thread, by which it is answered into.
    pub(crate) fn message_of(&self, thread: &str) -> Option<String> {
        lock(&self.threads).get(thread)
    }

    pub(crate) fn reacted(&self, message: &str, emoji: &str, id: &str) {
        lock(&self.reactions).insert(reaction(message, emoji), id.to_owned());
    }

    pub(crate) fn reaction(&self, message: &str, emoji: &str) -> Option<String> {
        lock(&self.reactions).get(&reaction(message, emoji))
    }

    pub(crate) fn unreacted(&self, message: &str, emoji: &str) {
        lock(&self.reactions).remove(&reaction(message, emoji));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let memory = Memory::default();
        for n in 0..=SENT {
            memory.sent(&n.to_string(), Form::Words);
        }
        assert_eq!(memory.form("0"), None);
        assert_eq!(memory.form("1"), Some(Form::Words));
        memory.sent("1", Form::Card);
        assert_eq!(memory.form("1"), Some(Form::Card));
        assert_eq!(lock(&memory.sent).order.len(), SENT);
    }
}
