//! The inbox in memory: which events were seen, and who waits for their acknowledgement.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{ChannelId, EventId, Received};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::status::lock;

/// The events seen of late, in two generations: the older one is dropped whole, so that
/// no single event pays for a clean-up.
///
/// Only a keyed hash of each event is kept. That a new event meets the hash of another
/// among the 20,000 remembered happens once in 10^15 events, and nobody outside knows the
/// key with which to bring it about.
#[derive(Debug)]
pub(crate) struct Seen {
    generation: usize,
    lifetime: Duration,
    key: RandomState,
    state: Mutex<Generations>,
}

/// The keyed hash of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventKey(u64);

/// What is known of an event.
#[derive(Debug)]
pub(crate) enum Noted {
    /// It has not been seen before.
    Fresh,
    /// It has been handled.
    Known,
    /// It is queued or in its handler: who delivers it again waits for the same outcome.
    UnderWay(AckSlot),
}

#[derive(Debug, Default)]
struct Generations {
    current: Hashes,
    previous: Hashes,
    began: Duration,
    under_way: HashMap<u64, AckSlot, BuildHasherDefault<Same>>,
}

type Hashes = HashSet<u64, BuildHasherDefault<Same>>;

/// Hashes a number that is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Not used: the keys are numbers.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Seen {
    /// Remembers at least the last `entries` events of the last `lifetime`.
    pub(crate) fn new(entries: usize, lifetime: Duration) -> Self {
        Self {
            generation: entries.max(1),
            lifetime,
            key: RandomState::new(),
            state: Mutex::new(Generations::default()),
        }
    }

    /// The key under which an event is remembered.
    pub(crate) fn key(&self, channel: &ChannelId, event: &EventId) -> EventKey {
        EventKey(self.key.hash_one((channel, event)))
    }

    /// Notes an event, and says what was known of it. `now` is monotonic time.
    pub(crate) fn note(&self, EventKey(hash): EventKey, now: Duration) -> Noted {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let old = now.saturating_sub(state.began) >= self.lifetime;
        if old || state.current.len() >= self.generation {
            // The memory of the older generation is used again.
            std::mem::swap(&mut state.previous, &mut state.current);
            state.current.clear();
            state.began = now;
        }
        if !state.previous.contains(&hash) && state.current.insert(hash) {
            return Noted::Fresh;
        }
        match state.under_way.get(&hash) {
            Some(slot) => Noted::UnderWay(slot.clone()),
            None => Noted::Known,
        }
    }

    /// Whether an event has been noted of late.
    pub(crate) fn knows(&self, EventKey(hash): EventKey) -> bool {
        let state = lock(&self.state);
        state.current.contains(&hash) || state.previous.contains(&hash)
    }

    /// Says that an event is on its way to its handler, until [`end`](Self::end).
    pub(crate) fn begin(&self, EventKey(hash): EventKey, slot: AckSlot) {
        lock(&self.state).under_way.insert(hash, slot);
    }

    /// Says that an event is no longer on its way.
    pub(crate) fn end(&self, EventKey(hash): EventKey) {
        // Dropped after the lock is free: the slot may hold duties that are dropped with it.
        let slot = lock(&self.state).under_way.remove(&hash);
        drop(slot);
    }

    /// Forgets an event that could not be taken, so that its redelivery is.
    pub(crate) fn forget(&self, EventKey(hash): EventKey) {
        let mut state = lock(&self.state);
        state.current.remove(&hash);
        state.previous.remove(&hash);
    }
}

/// Who waits for an event to be safe.
#[derive(Debug)]
pub(crate) enum Duty {
    /// A connection: the channel moves its cursor.
    Received(Received),
    /// A webhook: the platform waits for the answer.
    Webhook(oneshot::Sender<()>),
}

/// Duties that are settled once: when their event has been handled, or when it has
/// waited long enough.
#[derive(Debug, Clone)]
pub(crate) struct AckSlot(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    first: Option<Duty>,
    /// Those who delivered the same event again meanwhile.
    joined: Vec<Duty>,
    settled: bool,
}

impl AckSlot {
    pub(crate) fn new(duty: Duty) -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            first: Some(duty),
            joined: Vec::new(),
            settled: false,
        })))
    }

    /// Waits together with whoever waits already; gives the duty back if it is settled.
    pub(crate) fn join(&self, duty: Duty) -> Option<Duty> {
        let mut waiting = lock(&self.0);
        if waiting.settled {
            return Some(duty);
        }
        waiting.joined.push(duty);
        None
    }

    pub(crate) fn is_settled(&self) -> bool {
        lock(&self.0).settled
    }

    /// Acknowledges the event, if nobody has yet; gives what has to be waited for.
    ///
    /// A webhook is told at once, and most events have come by one: they need no room for
    /// the other way.
    pub(crate) fn settle(&self) -> Option<BoxFuture<'static, ()>> {
        let (first, joined) = {
            let mut waiting = lock(&self.0);
            waiting.settled = true;
            (waiting.first.take(), std::mem::take(&mut waiting.joined))
        };
        let mut waiting = first.into_iter().chain(joined).filter_map(Duty::tell);
        let first = waiting.next()?;
        let others: Vec<Received> = waiting.collect();
        let acks = async move {
            acknowledge(first).await;
            for other in others {
                acknowledge(other).await;
            }
        };
        Some(acks.boxed())
    }
}

impl Duty {
    /// Tells whoever waits that the event is safe.
    pub(crate) async fn settle(self) {
        if let Some(received) = self.tell() {
            acknowledge(received).await;
        }
    }

    /// Tells a webhook, or gives what has to be acknowledged. Who waited at the webhook may
    /// be gone: then the platform comes again.
    fn tell(self) -> Option<Received> {
        match self {
            Self::Received(received) => Some(received),
            Self::Webhook(done) => {
                let _gone = done.send(());
                None
            }
        }
    }
}

async fn acknowledge(received: Received) {
    if let Err(error) = received.ack().await {
        tracing::debug!(%error, "acknowledgement not delivered; expecting the event again");
    }
}

/// Duties in the order in which they have to be settled at the latest.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    queue: VecDeque<(Duration, AckSlot)>,
    /// How many remained when the whole queue was last looked through.
    swept: usize,
}

/// A queue shorter than this is not looked through.
const SWEEP_FROM: usize = 64;

impl Deadlines {
    /// Adds a duty and forgets those that have been settled, so that only those that wait
    /// take room.
    pub(crate) fn push(&mut self, at: Duration, slot: AckSlot) {
        self.next();
        // One that waits long keeps those behind it, settled or not; looking through all
        // of them whenever they have doubled costs each of them a constant.
        if self.queue.len() >= SWEEP_FROM.max(self.swept.saturating_mul(2)) {
            self.queue.retain(|(_, slot)| !slot.is_settled());
            self.swept = self.queue.len();
        }
        self.queue.push_back((at, slot));
    }

    /// The next moment at which something is due; forgets what is settled.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        while self
            .queue
            .front()
            .is_some_and(|(_, slot)| slot.is_settled())
        {
            self.queue.pop_front();
        }
        self.queue.front().map(|(at, _)| *at)
    }

    /// Takes one duty that is due.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<AckSlot> {
        self.next()
            .filter(|at| *at <= now)
            .and_then(|_| self.queue.pop_front())
            .map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> EventId {
        EventId::from(n.to_string())
    }

    fn is_new(seen: &Seen, channel: &ChannelId, event: &EventId, now: Duration) -> bool {
        matches!(seen.note(seen.key(channel, event), now), Noted::Fresh)
    }

    #[test]
    fn an_event_is_new_once_and_known_for_the_promised_number_of_events() {
        let seen = Seen::new(10, Duration::from_secs(600));
        let channel = ChannelId::new("a");
        for n in 0..10 {
            assert!(is_new(&seen, &channel, &id(n), Duration::ZERO));
        }
        for n in 0..10 {
            assert!(
                !is_new(&seen, &channel, &id(n), Duration::ZERO),
                "event {n}"
            );
        }
        assert!(is_new(&seen, &ChannelId::new("b"), &id(0), Duration::ZERO));
    }

    #[test]
    fn memory_is_bounded_by_two_generations() {
        let seen = Seen::new(100, Duration::from_secs(600));
        let channel = ChannelId::new("a");
        for n in 0..10_000 {
            is_new(&seen, &channel, &id(n), Duration::ZERO);
        }
        let state = lock(&seen.state);
        assert!(state.current.len() + state.previous.len() <= 200);
    }

    #[test]
    fn an_event_is_forgotten_after_its_lifetime_and_not_before() {
        let seen = Seen::new(100, Duration::from_secs(600));
        let channel = ChannelId::new("a");
        assert!(is_new(&seen, &channel, &id(1), Duration::ZERO));
        assert!(!is_new(&seen, &channel, &id(1), Duration::from_secs(599)));
        assert!(is_new(&seen, &channel, &id(2), Duration::from_secs(1300)));
        assert!(is_new(&seen, &channel, &id(3), Duration::from_secs(2600)));
        assert!(is_new(&seen, &channel, &id(1), Duration::from_secs(2601)));
    }

    #[test]
    fn settled_duties_take_no_room() {
        let mut deadlines = Deadlines::default();
        for _ in 0..1000 {
            let (done, _safe) = oneshot::channel();
            let slot = AckSlot::new(Duty::Webhook(done));
            deadlines.push(Duration::from_secs(1), slot.clone());
            lock(&slot.0).settled = true;
        }
        assert_eq!(deadlines.queue.len(), 1);
    }

    #[test]
    fn one_duty_that_waits_does_not_keep_the_settled_ones_behind_it() {
        let mut deadlines = Deadlines::default();
        let (waits, _safe) = oneshot::channel();
        let first = AckSlot::new(Duty::Webhook(waits));
        deadlines.push(Duration::from_secs(1), first);
        for _ in 0..10_000 {
            let (done, _safe) = oneshot::channel();
            let slot = AckSlot::new(Duty::Webhook(done));
            deadlines.push(Duration::from_secs(1), slot.clone());
            lock(&slot.0).settled = true;
        }
        assert!(deadlines.queue.len() <= SWEEP_FROM);
        assert_eq!(deadlines.next(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_forgotten_event_is_new_again() {
        let seen = Seen::new(100, Duration::from_secs(600));
        let channel = ChannelId::new("a");
        assert!(is_new(&seen, &channel, &id(1), Duration::ZERO));
        seen.forget(seen.key(&channel, &id(1)));
        assert!(is_new(&seen, &channel, &id(1), Duration::ZERO));
    }
}
