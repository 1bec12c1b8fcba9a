//! One conversation in order, all conversations at once.
//!
//! Queue and lock of a lane are one object: a lane is taken off the map in the same
//! critical section that finds its queue empty, so no event can be stranded between the
//! last look and the unlock.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex};

use channel_core::Conversation;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::inbox::Same;
use crate::overlap::Slot;
use crate::status::lock;

/// One event on its way to the handler.
pub(crate) struct Job {
    pub(crate) run: BoxFuture<'static, ()>,
    /// Where others can change its fate while it waits.
    pub(crate) slot: Option<Slot>,
}

/// The lanes of a bot. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lanes {
    shared: Arc<Shared>,
}

struct Shared {
    capacity: usize,
    hashes: RandomState,
    state: Mutex<State>,
    changed: Notify,
}

/// A conversation and its keyed hash: each event looks for its lane three times, and the ids are
/// hashed once.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    hash: u64,
    conversation: Conversation,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Default)]
struct State {
    lanes: HashMap<Key, Lane, BuildHasherDefault<Same>>,
    /// Jobs queued or running, reserved places included.
    pending: usize,
    /// Somebody found no room, and half of it has not been free since.
    is_short: bool,
    /// How often that has been over.
    shortages: u64,
}

struct Lane {
    queue: VecDeque<Job>,
    task: AbortHandle,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.shared.state);
        f.debug_struct("Lanes")
            .field("capacity", &self.shared.capacity)
            .field("pending", &state.pending)
            .field("lanes", &state.lanes.len())
            .finish()
    }
}

/// A place for one job, reserved before the platform is acknowledged. Given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    lanes: Lanes,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.lanes.shared.state);
        state.pending -= 1;
        if state.is_short && state.pending <= self.lanes.shared.capacity / 2 {
            state.is_short = false;
            state.shortages += 1;
        }
        drop(state);
        self.lanes.shared.changed.notify_waiters();
    }
}

impl Lanes {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                capacity,
                hashes: RandomState::new(),
                state: Mutex::new(State::default()),
                changed: Notify::new(),
            }),
        }
    }

    /// Reserves `count` places, or none.
    pub(crate) fn try_reserve(&self, count: usize) -> Option<Vec<Place>> {
        let mut state = lock(&self.shared.state);
        if state.pending + count > self.shared.capacity {
            state.is_short = true;
            return None;
        }
        state.pending += count;
        drop(state);
        Some(
            (0..count)
                .map(|_| Place {
                    lanes: self.clone(),
                })
                .collect(),
        )
    }

    /// Which time it is, or will be next, that there is no room. It ends when half of the places
    /// are free: one that is given back and taken at once is no end of it.
    pub(crate) fn shortage(&self) -> u64 {
        lock(&self.shared.state).shortages
    }

    /// How many places there are.
    pub(crate) fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// One place more than there are.
    pub(crate) fn overbook(&self) -> Place {
        lock(&self.shared.state).pending += 1;
        Place {
            lanes: self.clone(),
        }
    }

    /// Waits for a place.
    pub(crate) async fn reserve(&self) -> Place {
        loop {
            // Mostly there is room, and nothing to register for.
            if let Some(place) = self.try_place() {
                return place;
            }
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a place given back in between is seen.
            changed.as_mut().enable();
            if let Some(place) = self.try_place() {
                return place;
            }
            changed.await;
        }
    }

    fn try_place(&self) -> Option<Place> {
        let mut state = lock(&self.shared.state);
        if state.pending >= self.shared.capacity {
            return None;
        }
        state.pending += 1;
        Some(Place {
            lanes: self.clone(),
        })
    }

    /// The messages that wait in a lane, oldest first.
    pub(crate) fn waiting(&self, conversation: &Conversation) -> Vec<Slot> {
        let key = self.shared.key(conversation.clone());
        let state = lock(&self.shared.state);
        state.lanes.get(&key).map_or_else(Vec::new, |lane| {
            lane.queue
                .iter()
                .filter_map(|job| job.slot.clone())
                .collect()
        })
    }

    /// Waits until a job is queued or ends.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Waits until nothing is queued or running.
    pub(crate) async fn drained(&self) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if lock(&self.shared.state).pending == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Puts a job at the end of its lane. The job must not panic and holds its place.
    pub(crate) fn submit(&self, conversation: Conversation, job: Job) {
        let key = self.shared.key(conversation);
        let mut state = lock(&self.shared.state);
        let place = match state.lanes.entry(key) {
            Entry::Occupied(mut lane) => {
                lane.get_mut().queue.push_back(job);
                drop(state);
                // Whoever waits for a sender to be quiet looks again.
                return self.shared.changed.notify_waiters();
            }
            Entry::Vacant(place) => place,
        };
        let shared = Arc::clone(&self.shared);
        let key = place.key().clone();
        let task = tokio::spawn(async move {
            let mut job = job;
            loop {
                job.run.await;
                match shared.next(&key) {
                    Some(next) => job = next,
                    None => break,
                }
            }
        });
        let lane = Lane {
            queue: VecDeque::new(),
            task: task.abort_handle(),
        };
        place.insert(lane);
    }

    /// Drops everything that is queued or running, without a word to anybody.
    pub(crate) fn abort(&self) {
        let lanes = std::mem::take(&mut lock(&self.shared.state).lanes);
        for lane in lanes.values() {
            lane.task.abort();
        }
        // Dropping the jobs gives their places back, which takes the lock again.
        drop(lanes);
    }
}

impl Shared {
    fn key(&self, conversation: Conversation) -> Key {
        Key {
            hash: self.hashes.hash_one(&conversation),
            conversation,
        }
    }

    /// The next job of a lane; takes the lane off the map if there is none.
    fn next(&self, key: &Key) -> Option<Job> {
        let mut state = lock(&self.state);
        let next = state.lanes.get_mut(key)?.queue.pop_front();
        if next.is_none() {
            state.lanes.remove(key);
        }
        next
    }
}
