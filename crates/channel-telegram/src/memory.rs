//! What is remembered about chats: those that refuse us and those that have moved.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use channel_core::{ChatId, ErrorKind};

use crate::shared::lock;

/// How long a chat that refused is left alone.
const DEAD_FOR: Duration = Duration::from_secs(3600);
/// How many chats are remembered; the oldest gives way.
const CAPACITY: usize = 4096;

/// Bounded memory of chats.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    dead: Mutex<HashMap<ChatId, (Duration, ErrorKind)>>,
    /// Spares the lock on the way of most messages, when no chat is dead.
    count: AtomicUsize,
    moved: Mutex<HashMap<i64, i64>>,
}

impl Memory {
    /// Whether the chat has refused lately, and how.
    pub(crate) fn refusal(&self, chat: &ChatId, now: Duration) -> Option<ErrorKind> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let dead = lock(&self.dead);
        let (until, kind) = dead.get(chat)?;
        (now < *until).then_some(*kind)
    }

    /// Notes that the chat refuses.
    pub(crate) fn refused(&self, chat: &ChatId, kind: ErrorKind, now: Duration) {
        let mut dead = lock(&self.dead);
        if dead.len() >= CAPACITY {
            dead.retain(|_, (until, _)| now < *until);
        }
        if dead.len() >= CAPACITY {
            let oldest = dead
                .iter()
                .min_by_key(|(_, (until, _))| *until)
                .map(|(chat, _)| chat.clone());
            if let Some(oldest) = oldest {
                dead.remove(&oldest);
            }
        }
        dead.insert(chat.clone(), (now + DEAD_FOR, kind));
        self.count.store(dead.len(), Ordering::Release);
    }

    /// Notes that the chat lives: a message has gone there or come from there.
    pub(crate) fn lives(&self, chat: &ChatId) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut dead = lock(&self.dead);
        dead.remove(chat);
        self.count.store(dead.len(), Ordering::Release);
    }

    /// Notes that a group has become a supergroup.
    pub(crate) fn moved(&self, from: i64, to: i64) {
        let mut moved = lock(&self.moved);
        if moved.len() >= CAPACITY && !moved.contains_key(&from) {
            // Whoever is dropped is learnt again from the next refusal.
            if let Some(any) = moved.keys().next().copied() {
                moved.remove(&any);
            }
        }
        moved.insert(from, to);
    }

    /// Where a group lives now. Only basic groups move, and they have small negative ids.
    pub(crate) fn home(&self, chat: i64) -> i64 {
        if chat >= 0 || chat <= -1_000_000_000_000 {
            return chat;
        }
        lock(&self.moved).get(&chat).copied().unwrap_or(chat)
    }
}
