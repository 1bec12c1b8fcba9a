//! Receiving by the gateway (<https://docs.discord.com/developers/events/gateway>).
//!
//! Each shard is a [`Line`] over one reconnecting socket. What has to survive a socket, or a
//! stream, is in its [`Shard`]: the session, how far it has been read, and how far it has
//! been acknowledged.

mod acks;
mod close;
mod cursor;
mod door;
mod identify;
mod inflate;
mod kinds;
mod line;
mod proof;
mod shard;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use channel_core::{Received, Result};
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::stream::SelectAll;

use crate::shared::{Shared, lock};
use identify::Gate;
use line::Line;
use shard::Shard;

/// The most shards that one process serves: as many as anybody has been told to open.
const MAX_SHARDS: u32 = 4096;

/// What outlives a stream.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// A new stream ends the one before.
    generation: AtomicU64,
    shards: Mutex<BTreeMap<u32, Arc<Shard>>>,
    /// Whether Discord has answered a question with an event.
    proves: AtomicBool,
    pub(crate) gate: Gate,
}

impl Link {
    /// The state of a shard; made when it is asked for first.
    pub(crate) fn shard(&self, index: u32) -> Arc<Shard> {
        let mut shards = lock(&self.shards);
        Arc::clone(
            shards
                .entry(index)
                .or_insert_with(|| Arc::new(Shard::new(index))),
        )
    }

    fn all(&self) -> Vec<Arc<Shard>> {
        lock(&self.shards).values().cloned().collect()
    }

    /// Goes on where another process has stopped. What cannot be read is as good as none.
    pub(crate) fn restore(&self, text: &str) {
        for (index, resumed) in cursor::read(text) {
            self.shard(index).restore(resumed);
        }
    }

    /// Where another process would go on, but for the shard that an event comes from.
    pub(crate) fn others(&self, but: u32) -> String {
        let mut text = String::new();
        for shard in self.all() {
            if shard.index != but
                && let Some(resumed) = shard.resumed()
            {
                cursor::write(&mut text, shard.index, &resumed);
            }
        }
        text
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// The events, for ever.
pub(crate) fn stream(shared: Arc<Shared>) -> BoxStream<'static, Result<Received>> {
    let generation = shared.link.generation.fetch_add(1, Ordering::AcqRel) + 1;
    let first = Line::new(Arc::clone(&shared), 0, generation);
    Hub {
        shared,
        generation,
        first,
        rest: SelectAll::new(),
        spread: false,
        ended: false,
        turn: false,
    }
    .boxed()
}

/// All shards as one stream. The first one asks how many there are to be.
struct Hub {
    shared: Arc<Shared>,
    generation: u64,
    first: Line,
    rest: SelectAll<Line>,
    /// Whether the other shards are there.
    spread: bool,
    ended: bool,
    turn: bool,
}

impl Hub {
    fn spread(&mut self) {
        if self.spread {
            return;
        }
        let Some(count) = self.shared.link.gate.shards() else {
            return;
        };
        self.spread = true;
        for index in 1..count.min(MAX_SHARDS) {
            let line = Line::new(Arc::clone(&self.shared), index, self.generation);
            self.rest.push(line);
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Received>>> {
        match self.rest.poll_next_unpin(cx) {
            // There is only one, or none but the first is left.
            Poll::Ready(None) => Poll::Pending,
            other => other,
        }
    }
}

impl Stream for Hub {
    type Item = Result<Received>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        // Nobody waits behind a busy shard.
        this.turn = !this.turn;
        let mut polled = Poll::Pending;
        if this.turn && this.spread {
            polled = this.poll_rest(cx);
        }
        if polled.is_pending() {
            polled = this.first.poll_next_unpin(cx);
            this.spread();
        }
        if polled.is_pending() && this.spread && !this.rest.is_empty() {
            polled = this.poll_rest(cx);
        }
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.ended = true;
        }
        polled
    }
}
