//! Which deliveries are under way in this process, and whose turn it is.
//!
//! Each delivery waits for the one before it in its conversation: first to be planned, so
//! that the order on record is the order of the calls, then to be sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use channel_core::{ChannelId, Conversation, ErrorKind, IdempotencyKey, Receipt, Result};
use tokio::sync::watch;

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
}

#[derive(Debug, Default)]
struct State {
    /// The last delivery of each conversation.
    last: HashMap<Conversation, (u64, watch::Receiver<Stage>)>,
    by_key: HashMap<Key, InHand>,
    next_id: u64,
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
}

impl Registry {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            under_way: watch::Sender::new(0),
        })
    }

    /// The delivery that is under way under this key.
    pub(crate) fn find(&self, channel: &ChannelId, key: &IdempotencyKey) -> Option<Follow> {
        let state = lock(&self.state);
        let in_hand = state.by_key.get(&(channel.clone(), key.clone()))?;
        Some(Follow(in_hand.ending.clone()))
    }

    /// Joins the end of the line, or the delivery that has this key.
    pub(crate) fn enter(
        self: &Arc<Self>,
        conversation: Conversation,
        key: IdempotencyKey,
        planned_at: SystemTime,
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
        let before = state
            .last
            .insert(conversation.clone(), (id, behind))
            .map(|(_, before)| before);
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

    /// Waits until the one before it has left, and with it all before that.
    pub(crate) async fn turn(&mut self) {
        self.wait(|_| false).await;
        self.before = None;
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
        if let Some((last, _)) = state.last.get(&self.conversation)
            && *last == self.id
        {
            state.last.remove(&self.conversation);
        }
        self.forget(&mut state);
        self.registry.under_way.send_modify(|count| *count -= 1);
    }
}
