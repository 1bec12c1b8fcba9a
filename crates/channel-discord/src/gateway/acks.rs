//! How far a session has been acknowledged.
//!
//! Discord replays what comes after a position, so that a position may only move over
//! events that are safe. Acknowledgements come in any order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use bytes::Bytes;
use channel_core::{Acknowledge, Result, async_trait};
use futures_util::task::AtomicWaker;

use crate::deferral;
use crate::shared::{Shared, lock};
use std::sync::{Arc, Weak};

/// How many events may be on their way through the application; beyond it the oldest counts
/// as safe.
const CAPACITY: usize = 65_536;

/// How far an event may come behind one of a higher number.
const LATE: u64 = 64;

/// The acknowledgements of one session, in one stream.
#[derive(Debug)]
pub(crate) struct Acks {
    shared: Weak<Shared>,
    state: Mutex<State>,
    /// Of the stream: something is to be delivered again.
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    /// The last event that was read.
    read: u64,
    /// Events before it that have not come yet.
    missing: BTreeSet<u64>,
    /// Events that have been handed out, in order.
    out: VecDeque<Out>,
    /// Events that were refused, to be handed out again.
    again: VecDeque<(u64, Bytes)>,
}

#[derive(Debug)]
struct Out {
    seq: u64,
    frame: Bytes,
    /// The interaction that Discord wants to have answered.
    interaction: Option<Box<str>>,
    done: bool,
}

impl State {
    fn find(&mut self, seq: u64) -> Option<&mut Out> {
        let at = self.out.binary_search_by_key(&seq, |it| it.seq).ok()?;
        self.out.get_mut(at)
    }

    fn settle(&mut self) {
        while self.out.front().is_some_and(|it| it.done) {
            self.out.pop_front();
        }
    }
}

impl Acks {
    /// Begins behind this position.
    pub(crate) fn new(shared: &Arc<Shared>, read: u64) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::downgrade(shared),
            state: Mutex::new(State {
                read,
                ..State::default()
            }),
            waker: AtomicWaker::new(),
        })
    }

    /// Of a session that no stream has taken over yet.
    pub(crate) fn orphan(read: u64) -> Arc<Self> {
        Arc::new(Self {
            shared: Weak::new(),
            state: Mutex::new(State {
                read,
                ..State::default()
            }),
            waker: AtomicWaker::new(),
        })
    }

    /// Notes that an event has come; whether it is a new one.
    pub(crate) fn read(&self, seq: u64) -> bool {
        let mut state = lock(&self.state);
        if seq <= state.read {
            return state.missing.remove(&seq);
        }
        if seq - state.read > 1 {
            let first = seq.saturating_sub(LATE);
            let passed_over = (state.read + 1).max(first)..seq;
            state.missing = state.missing.split_off(&first);
            state.missing.extend(passed_over);
        }
        state.read = seq;
        true
    }

    /// The last event that has come.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.state).read
    }

    /// Notes that an event is handed out.
    pub(crate) fn hand_out(&self, seq: u64, frame: Bytes, interaction: Option<Box<str>>) {
        let mut state = lock(&self.state);
        if let Some(known) = state.find(seq) {
            known.done = false;
            return;
        }
        if state.out.len() >= CAPACITY {
            tracing::warn!("too many events are on their way: the oldest counts as safe");
            state.out.pop_front();
            state.settle();
        }
        let at = state.out.partition_point(|it| it.seq < seq);
        let out = Out {
            seq,
            frame,
            interaction,
            done: false,
        };
        state.out.insert(at, out);
    }

    /// The last event before which all are safe.
    pub(crate) fn safe(&self) -> u64 {
        let state = lock(&self.state);
        match state.out.front() {
            Some(first) => first.seq.saturating_sub(1),
            None => state.read,
        }
    }

    pub(crate) fn has_again(&self) -> bool {
        !lock(&self.state).again.is_empty()
    }

    /// An event that was refused and comes again.
    pub(crate) fn again(&self) -> Option<(u64, Bytes)> {
        lock(&self.state).again.pop_front()
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}

#[async_trait]
impl Acknowledge for Acks {
    async fn ack(&self, token: u64) -> Result<()> {
        let interaction = {
            let mut state = lock(&self.state);
            let Some(out) = state.find(token) else {
                return Ok(());
            };
            out.done = true;
            let interaction = out.interaction.take();
            state.settle();
            interaction
        };
        let (Some(id), Some(shared)) = (interaction, self.shared.upgrade()) else {
            return Ok(());
        };
        // The event is safe whether Discord hears of it in time or not.
        if let Err(error) = deferral::ensure(&shared, &id).await {
            tracing::warn!(channel = %shared.info.id, %error, "an interaction was not answered in time");
        }
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        let mut state = lock(&self.state);
        let frame = state.find(token).map(|out| out.frame.clone());
        state.again.extend(frame.map(|frame| (token, frame)));
        drop(state);
        self.waker.wake();
        Ok(())
    }

    fn abandon(&self, _token: u64) {
        // The position stays before it: whoever resumes gets it again.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks() -> Acks {
        Acks {
            shared: Weak::new(),
            state: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    fn ack(acks: &Acks, seq: u64) {
        use futures_util::FutureExt as _;
        acks.ack(seq).now_or_never().unwrap().unwrap();
    }

    #[test]
    fn an_event_that_was_overtaken_is_new_once_and_holds_the_position() {
        let acks = acks();
        for seq in [1, 2, 4] {
            assert!(acks.read(seq));
            acks.hand_out(seq, Bytes::new(), None);
        }
        assert!(acks.read(3) && !acks.read(3) && !acks.read(4));
        acks.hand_out(3, Bytes::new(), None);
        assert_eq!(acks.last(), 4);
        for seq in [1, 2, 4] {
            ack(&acks, seq);
        }
        assert_eq!(acks.safe(), 2);
        ack(&acks, 3);
        assert_eq!(acks.safe(), 4);
        // A number out of nowhere costs nothing, and what is long gone does not come late.
        assert!(acks.read(u64::MAX));
        assert!(lock(&acks.state).missing.len() <= 64);
        assert!(!acks.read(5) && acks.read(u64::MAX - 1));
    }

    #[test]
    fn a_position_moves_over_what_is_safe_and_no_further() {
        let acks = acks();
        for seq in 1..=6 {
            assert!(acks.read(seq));
            assert!(!acks.read(seq), "a replay is known");
            if seq != 2 {
                acks.hand_out(seq, Bytes::new(), None);
            }
        }
        let ack = |seq| ack(&acks, seq);
        assert_eq!(acks.safe(), 0);
        ack(3);
        assert_eq!(acks.safe(), 0, "the first is not safe");
        ack(1);
        assert_eq!(acks.safe(), 3, "what nobody wanted is safe");
        acks.abandon(4);
        ack(5);
        ack(6);
        assert_eq!(acks.safe(), 3);
        ack(4);
        assert_eq!(acks.safe(), 6);
    }
}
