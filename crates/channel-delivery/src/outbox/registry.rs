//! Which deliveries are under way in this process, and whose turn it is.
//!
//! Each delivery waits for the one before it in its conversation: first to be planned, so
//! that the order on record is the order of the calls, then to be sent.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use channel_core::{ChannelId, Conversation, ErrorKind, IdempotencyKey, Receipt, Result};
use tokio::sync::{Notify, watch};

use super::ended::Ended;
use crate::engine::lock;

/// How far a delivery has come in the line of its conversation; closed when it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Planned,
}

type Ending = Option<Arc<Ended>>;

#[derive(Debug)]
pub(crate) struct Registry {
    state: Mutex<State>,
    under_way: watch::Sender<usize>,
    /// Somebody is called out of the line.
    called: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: HashMap<Conversation, Line>,
    by_key: HashMap<Key, InHand>,
    /// Those who need not wait for those in front of them.
    called: HashSet<u64>,
    next_id: u64,
}

/// The deliveries of one conversation.
#[derive(Debug)]
struct Line {
    /// The last of them.
    last: u64,
    stage: watch::Receiver<Stage>,
    /// The last that may have been planned before those in front of it.
    late: Option<u64>,
}

type Key = (ChannelId, IdempotencyKey);

#[derive(Debug)]
struct InHand {
    id: u64,
    ending: watch::Receiver<Ending>,
    planned_at: SystemTime,
}

/// The place of a delivery in the line of its conversation. Given back on drop.
#[derive(Debug)]
pub(crate) struct Ticket {
    registry: Arc<Registry>,
    id: u64,
    key: Key,
    conversation: Conversation,
    before: Option<watch::Receiver<Stage>>,
    stage: watch::Sender<Stage>,
    ending: watch::Sender<Ending>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the end of the line.
    Last,
    /// There too, though it was planned before, and maybe before those in front of it.
    Late,
    /// Beside the line: whoever is in front of it does this first.
    Beside,
}

/// What became of a wish for a ticket.
#[derive(Debug)]
pub(crate) enum Entry {
    Mine(Ticket),
    /// The same key is under way already.
    Joined(Follow),
}

/// Waits for the end of a delivery.
#[derive(Debug)]
pub(crate) struct Follow(watch::Receiver<Ending>);

impl Follow {
    pub(crate) async fn end(mut self) -> Result<Receipt> {
        let ended = self.0.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(ended)) => ended.to_result(),
            _ => Ended::not(ErrorKind::Uncertain, "the delivery was cut off").to_result(),
        }
    }

    /// Waits for the end; whether it is on record.
    pub(crate) async fn final_end(mut self) -> bool {
        let ended = self.0.wait_for(Option::is_some).await;
        ended.is_ok_and(|ended| ended.as_deref().is_some_and(Ended::is_final))
    }
}

impl Registry {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            under_way: watch::Sender::new(0),
            called: Notify::new(),
        })
    }

    /// The delivery that is under way under this key.
    pub(crate) fn find(&self, channel: &ChannelId, key: &IdempotencyKey) -> Option<Follow> {
        let state = lock(&self.state);
        let in_hand = state.by_key.get(&(channel.clone(), key.clone()))?;
        Some(Follow(in_hand.ending.clone()))
    }

    /// Comes to a place in the line, or finds the delivery that has this key.
    pub(crate) fn enter(
        self: &Arc<Self>,
        conversation: Conversation,
        key: IdempotencyKey,
        planned_at: SystemTime,
        place: Place,
    ) -> Entry {
        let key = (conversation.channel.clone(), key);
        let mut state = lock(&self.state);
        if let Some(in_hand) = state.by_key.get(&key) {
            return Entry::Joined(Follow(in_hand.ending.clone()));
        }
        let id = state.next_id;
        state.next_id += 1;
        let (stage, behind) = watch::channel(Stage::Waiting);
        let (ending, follow) = watch::channel(None);
        let before = match place {
            Place::Beside => None,
            Place::Last | Place::Late => {
                let before = state.lines.get(&conversation);
                let late = match place {
                    Place::Late => Some(id),
                    _ => before.and_then(|before| before.late),
                };
                let line = Line {
                    last: id,
                    stage: behind,
                    late,
                };
                let before = state.lines.insert(conversation.clone(), line);
                before.map(|before| before.stage)
            }
        };
        let in_hand = InHand {
            id,
            ending: follow,
            planned_at,
        };
        state.by_key.insert(key.clone(), in_hand);
        // Under the lock, so that the counts are published in their order.
        self.under_way.send_modify(|count| *count += 1);
        Entry::Mine(Ticket {
            registry: Arc::clone(self),
            id,
            key,
            conversation,
            before,
            stage,
            ending,
        })
    }

    /// Lets the delivery that has this key go before its turn.
    pub(crate) fn call(&self, channel: &ChannelId, key: &IdempotencyKey) {
        let mut state = lock(&self.state);
        let in_hand = state.by_key.get(&(channel.clone(), key.clone()));
        if let Some(id) = in_hand.map(|in_hand| in_hand.id) {
            state.called.insert(id);
            drop(state);
            self.called.notify_waiters();
        }
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        *self.under_way.borrow()
    }

    /// When the oldest of those under way was planned.
    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        let state = lock(&self.state);
        state.by_key.values().map(|one| one.planned_at).min()
    }

    /// Waits until none is under way.
    pub(crate) async fn drained(&self) {
        let mut under_way = self.under_way.subscribe();
        // The sender lives in `self`, so this never fails.
        let _ = under_way.wait_for(|count| *count == 0).await;
    }
}

impl Ticket {
    pub(crate) fn follow(&self) -> Follow {
        Follow(self.ending.subscribe())
    }

    /// Waits until the one before it is planned, and with it all before that.
    pub(crate) async fn turn_to_plan(&mut self) {
        self.wait(|stage| *stage == Stage::Planned).await;
    }

    pub(crate) fn planned(&self) {
        self.stage.send_replace(Stage::Planned);
    }

    /// Waits until the one before it has left, and with it all before that, or until it is
    /// called.
    pub(crate) async fn turn(&mut self) {
        let registry = Arc::clone(&self.registry);
        while self.before.is_some() {
            let called = registry.called.notified();
            tokio::pin!(called);
            // Registered before the look, so that a call in between is heard.
            called.as_mut().enable();
            if lock(&registry.state).called.contains(&self.id) {
                return;
            }
            tokio::select! {
                biased;
                () = self.turn_to_leave() => {}
                () = called => {}
            }
        }
    }

    /// Waits until the one before it has left, called or not: who stands behind must not
    /// overtake those in front.
    pub(crate) async fn turn_to_leave(&mut self) {
        self.wait(|_| false).await;
        self.before = None;
    }

    /// Whether something behind it may have been planned before it.
    pub(crate) fn is_overtaking(&self) -> bool {
        let state = lock(&self.registry.state);
        let line = state.lines.get(&self.conversation);
        let late = line.and_then(|line| line.late);
        late.is_some_and(|late| late > self.id)
    }

    async fn wait(&mut self, until: impl FnMut(&Stage) -> bool + Send) {
        if let Some(before) = &mut self.before {
            // Closed: it has left, or its task has died, and is out of the way.
            let _ = before.wait_for(until).await;
        }
    }

    /// Tells whoever waits, and forgets the key. The place in the line is kept: who stands
    /// behind must not overtake those in front.
    pub(crate) fn end(&self, ended: Ended) {
        self.ending.send_replace(Some(Arc::new(ended)));
        self.forget(&mut lock(&self.registry.state));
    }

    fn forget(&self, state: &mut State) {
        if state
            .by_key
            .get(&self.key)
            .is_some_and(|one| one.id == self.id)
        {
            state.by_key.remove(&self.key);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = lock(&self.registry.state);
        if let Some(line) = state.lines.get(&self.conversation)
            && line.last == self.id
        {
            state.lines.remove(&self.conversation);
        }
        state.called.remove(&self.id);
        self.forget(&mut state);
        self.registry.under_way.send_modify(|count| *count -= 1);
    }
}
