//! What a bot knows about each of its channels.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use channel_core::{ChannelId, Platform};

/// Whether a channel works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelState {
    /// Not yet proven.
    Starting,
    /// The platform has proven that it talks to us, or our listener is open.
    Ready,
    /// The connection is lost and is being made again.
    Reconnecting {
        /// Why it was lost.
        cause: String,
    },
    /// Going on is pointless until somebody mends the configuration or credentials.
    Failed {
        /// Why.
        reason: String,
    },
    /// Stopped on request.
    Stopped,
}

impl ChannelState {
    /// Whether events can arrive now.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}

/// How often what has happened, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Events received, redeliveries included.
    pub received: u64,
    /// Events that had been received before.
    pub duplicates: u64,
    /// Events that were none of the bot's business: group talk, other bots.
    pub ignored: u64,
    /// Events that the policy refused.
    pub refused: u64,
    /// Events for which there was no room; the platform was told to come again.
    pub rejected: u64,
    /// Messages in whose place a newer one was handled; see [`Overlap`](crate::Overlap).
    pub passed_over: u64,
    /// Messages that were joined to the one before them.
    pub joined: u64,
    /// Events handled.
    pub handled: u64,
    /// Handlers that returned an error.
    pub failed: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Events set aside after too many attempts; only with a store.
    pub dead: u64,
    /// Connections lost.
    pub reconnects: u64,
    /// Times at which the platform may have dropped events.
    pub gaps: u64,
}

/// One channel as seen by the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// The channel.
    pub channel: ChannelId,
    /// Its platform.
    pub platform: Platform,
    /// Whether it works.
    pub state: ChannelState,
    /// Since when it has been in this state.
    pub since: SystemTime,
    /// The last proof of life: an event, or the platform's word that there is none.
    pub last_proof: Option<SystemTime>,
    /// What has happened so far.
    pub counters: Counters,
}

macro_rules! counters {
    ($($name:ident),*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Meters {
            $(pub(crate) $name: Meter,)*
        }

        impl Meters {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters!(
    received,
    duplicates,
    ignored,
    refused,
    rejected,
    passed_over,
    joined,
    handled,
    failed,
    panicked,
    dead,
    reconnects,
    gaps
);

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The living part behind a [`ChannelStatus`].
#[derive(Debug)]
pub(crate) struct Board {
    channel: ChannelId,
    platform: Platform,
    state: Mutex<(ChannelState, SystemTime, Option<SystemTime>)>,
    pub(crate) meters: Meters,
    /// When it was last said that there is no room.
    said_full: Mutex<Option<Duration>>,
}

/// How often it is said at most that there is no room.
const SAY_FULL: Duration = Duration::from_secs(1);

impl Board {
    pub(crate) fn new(channel: ChannelId, platform: Platform, now: SystemTime) -> Self {
        Self {
            channel,
            platform,
            state: Mutex::new((ChannelState::Starting, now, None)),
            meters: Meters::default(),
            said_full: Mutex::default(),
        }
    }

    /// Counts events for which there is no room, and says so once a second at most.
    pub(crate) fn reject(&self, events: usize, now: Duration) {
        for _ in 0..events {
            self.meters.rejected.add();
        }
        let mut said = lock(&self.said_full);
        if said.is_none_or(|said| now.saturating_sub(said) >= SAY_FULL) {
            *said = Some(now);
            let rejected = self.meters.rejected.get();
            tracing::warn!(channel = %self.channel, rejected, "there is no room for more events");
        }
    }

    /// Changes the state; `true` if it was another one before.
    pub(crate) fn set(&self, state: ChannelState, now: SystemTime) -> bool {
        let mut held = lock(&self.state);
        if held.0 == state {
            return false;
        }
        held.0 = state;
        held.1 = now;
        true
    }

    pub(crate) fn prove(&self, now: SystemTime) {
        lock(&self.state).2 = Some(now);
    }

    pub(crate) fn read(&self) -> ChannelStatus {
        let (state, since, last_proof) = lock(&self.state).clone();
        ChannelStatus {
            channel: self.channel.clone(),
            platform: self.platform.clone(),
            state,
            since,
            last_proof,
            counters: self.meters.read(),
        }
    }
}

/// Locks a mutex; the data of a poisoned one is still whole, because nothing in this
/// crate panics while holding a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
