//! Who was let do what, and why, without a word of what they said.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use channel_core::{AccountRef, ChannelId, OwnerId};
use serde::Serialize;

use crate::lock;

/// One line of an audit. It holds no text of a message, no code and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When.
    pub at: SystemTime,
    /// What was done: `verdict`, `pairing_approved`, `binding_moved`.
    pub action: &'static str,
    /// Whether it was granted.
    pub granted: bool,
    /// Why, or why not.
    pub reason: &'static str,
    /// The channel that it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    /// The account that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// The owner that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// Who did it, where that is not the account: the name of an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl AuditEvent {
    /// A line about nobody yet.
    #[must_use]
    pub const fn new(
        at: SystemTime,
        action: &'static str,
        granted: bool,
        reason: &'static str,
    ) -> Self {
        Self {
            at,
            action,
            granted,
            reason,
            channel: None,
            account: None,
            owner: None,
            actor: None,
        }
    }

    /// Names the channel.
    #[must_use]
    pub fn channel(mut self, channel: &ChannelId) -> Self {
        self.channel = Some(channel.clone());
        self
    }

    /// Names the account.
    #[must_use]
    pub fn account(mut self, account: &AccountRef) -> Self {
        self.account = Some(account.clone());
        self
    }

    /// Names the owner.
    #[must_use]
    pub fn owner(mut self, owner: &OwnerId) -> Self {
        self.owner = Some(owner.clone());
        self
    }

    /// Names who did it, cut at 128 bytes.
    #[must_use]
    pub fn actor(mut self, actor: &str) -> Self {
        let end = actor.floor_char_boundary(128);
        self.actor = actor.get(..end).map(str::to_owned);
        self
    }
}

/// Takes audit events. Called on the way of every message: it must not wait.
pub trait Audit: fmt::Debug + Send + Sync {
    /// Takes one.
    fn record(&self, event: AuditEvent);
}

/// Keeps the newest audit events in memory.
pub struct AuditRing {
    capacity: usize,
    events: Mutex<VecDeque<AuditEvent>>,
    dropped: AtomicU64,
}

impl Default for AuditRing {
    /// Room for 500 events.
    fn default() -> Self {
        Self::new(500)
    }
}

impl AuditRing {
    /// Room for a number of events, at least one; the oldest gives way.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            events: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// The events that are kept, the oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        lock(&self.events).iter().cloned().collect()
    }

    /// How many have given way.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Audit for AuditRing {
    fn record(&self, event: AuditEvent) {
        let mut events = lock(&self.events);
        if events.len() >= self.capacity {
            events.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        events.push_back(event);
    }
}

impl fmt::Debug for AuditRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRing")
            .field("capacity", &self.capacity)
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
