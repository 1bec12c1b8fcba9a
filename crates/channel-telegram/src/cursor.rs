//! Which updates Telegram may forget.
//!
//! Telegram has one number: asking from `offset` on confirms everything before it. So the
//! offset moves only over updates that are acknowledged without a gap; what lies behind
//! the first one that is not is returned again by each poll and skipped here. One answer
//! holds 100 updates, so no more than 100 are ever out at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use channel_core::{Acknowledge, Clock, Result, async_trait};
use futures_util::task::AtomicWaker;

use crate::shared::lock;

/// The most updates that one answer holds, and so the most that can be out
/// (<https://core.telegram.org/bots/api#getupdates>).
pub(crate) const LIMIT: usize = 100;
/// How many confirmed ids are kept, for servers that repeat what was confirmed. Ids may
/// start anew at random after a quiet week, so a small id alone means nothing.
const RECENT: usize = 256;
/// How long an update that was refused waits before it is offered again: this long, then
/// twice as long each time. What came after it waits with it.
const FIRST_AGAIN: Duration = Duration::from_secs(1);
const LAST_AGAIN: Duration = Duration::from_secs(8);

/// The resume position of a channel.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    /// What the next poll asks from.
    offset: Option<i64>,
    /// What Telegram has been told last.
    told: Option<i64>,
    /// Not yet confirmed, by id.
    pending: VecDeque<Entry>,
    recent: VecDeque<i64>,
}

#[derive(Debug)]
struct Entry {
    id: i64,
    mark: Mark,
    /// The stream that holds it.
    generation: u64,
    refusals: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// With the application.
    Out,
    /// To be offered again, not before this time.
    Again(Duration),
    /// Acknowledged, behind one that is not.
    Done,
}

impl State {
    fn position(&self, id: i64) -> Option<usize> {
        self.pending
            .binary_search_by_key(&id, |entry| entry.id)
            .ok()
    }

    fn next_due(&self) -> Option<Duration> {
        let dues = self.pending.iter().filter_map(|entry| match entry.mark {
            Mark::Again(due) => Some(due),
            _ => None,
        });
        dues.min()
    }

    fn advance(&mut self) {
        while let Some(entry) = self.pending.pop_front_if(|entry| entry.mark == Mark::Done) {
            self.offset = Some(entry.id.saturating_add(1));
            if self.recent.len() >= RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(entry.id);
        }
    }
}

impl Cursor {
    /// Starts a stream: what the last one left open is offered again.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = lock(&self.state);
        state.generation += 1;
        for entry in &mut state.pending {
            if entry.mark == Mark::Out {
                entry.mark = Mark::Again(Duration::ZERO);
            }
        }
        self.waker.wake();
        state.generation
    }

    /// Whether no newer stream has taken over.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        lock(&self.state).generation == generation
    }

    /// What the next poll asks from.
    pub(crate) fn offset(&self) -> Option<i64> {
        lock(&self.state).offset
    }

    /// What Telegram has not been told yet.
    pub(crate) fn untold(&self) -> Option<i64> {
        let state = lock(&self.state);
        state.offset.filter(|_| state.offset != state.told)
    }

    /// Notes that a poll from this offset has succeeded.
    pub(crate) fn told(&self, offset: Option<i64>) {
        lock(&self.state).told = offset;
    }

    /// How many updates are not confirmed.
    pub(crate) fn pending(&self) -> usize {
        lock(&self.state).pending.len()
    }

    /// Takes the ids of an answer; says for each whether it is to be handed out.
    pub(crate) fn offer(&self, ids: &[i64], generation: u64, now: Duration) -> Vec<bool> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        // What came later waits behind what was refused: people wrote it in this order.
        let mut held = false;
        let mut released = false;
        let fresh = ids
            .iter()
            .map(
                |&id| match state.pending.binary_search_by_key(&id, |entry| entry.id) {
                    Ok(at) => match state.pending.get_mut(at) {
                        Some(entry) if matches!(entry.mark, Mark::Again(due) if !held && (released || due <= now)) =>
                        {
                            released = true;
                            entry.mark = Mark::Out;
                            entry.generation = generation;
                            true
                        }
                        Some(entry) => {
                            held |= matches!(entry.mark, Mark::Again(_));
                            false
                        }
                        None => false,
                    },
                    Err(_) if held || state.recent.contains(&id) => false,
                    Err(at) => {
                        state.pending.insert(
                            at,
                            Entry {
                                id,
                                mark: Mark::Out,
                                generation,
                                refusals: 0,
                            },
                        );
                        true
                    }
                },
            )
            .collect();
        // What Telegram no longer returns (after 24 h) cannot hold the cursor back.
        let seen_to = if ids.len() < LIMIT {
            i64::MAX
        } else {
            ids.iter().copied().max().unwrap_or(i64::MAX)
        };
        for entry in &mut state.pending {
            if matches!(entry.mark, Mark::Again(_))
                && entry.id <= seen_to
                && !ids.contains(&entry.id)
            {
                entry.mark = Mark::Done;
            }
        }
        state.advance();
        fresh
    }

    /// When the first of the refused updates may be offered again.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        lock(&self.state).next_due()
    }

    /// Waits until at most `most` updates are unconfirmed.
    pub(crate) async fn drained_to(&self, most: usize) {
        self.until(|state| (state.pending.len() <= most).then_some(()))
            .await;
    }

    /// Waits until at most `most` updates are unconfirmed, which is `true`, or until the
    /// next one that may be offered again is due at another time than `due`.
    pub(crate) async fn drained_or_refused(&self, most: usize, due: Option<Duration>) -> bool {
        self.until(|state| {
            let is_drained = state.pending.len() <= most;
            (is_drained || state.next_due() != due).then_some(is_drained)
        })
        .await
    }

    async fn until<T: Send>(&self, found: impl Fn(&State) -> Option<T> + Send + Sync) -> T {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            self.waker.register(cx.waker());
            match found(&lock(&self.state)) {
                Some(found) => Poll::Ready(found),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn settle(&self, id: i64) {
        let mut state = lock(&self.state);
        if let Some(at) = state.position(id)
            && let Some(entry) = state.pending.get_mut(at)
        {
            entry.mark = Mark::Done;
        }
        state.advance();
        drop(state);
        self.waker.wake();
    }

    fn refuse(&self, id: i64, generation: u64, now: Duration) {
        let mut state = lock(&self.state);
        if let Some(at) = state.position(id)
            && let Some(entry) = state.pending.get_mut(at)
            && entry.mark == Mark::Out
            && entry.generation == generation
        {
            let wait = FIRST_AGAIN
                .saturating_mul(2_u32.saturating_pow(entry.refusals))
                .min(LAST_AGAIN);
            entry.refusals = entry.refusals.saturating_add(1);
            entry.mark = Mark::Again(now + wait);
        }
        drop(state);
        self.waker.wake();
    }
}

/// Where the events of one stream are acknowledged; the token is the update's id.
#[derive(Debug)]
pub(crate) struct Duty {
    pub(crate) cursor: Arc<Cursor>,
    pub(crate) generation: u64,
    pub(crate) clock: Arc<dyn Clock>,
}

/// An id as a token and back; the bits stay.
pub(crate) const fn token_of(id: i64) -> u64 {
    u64::from_ne_bytes(id.to_ne_bytes())
}

const fn id_of(token: u64) -> i64 {
    i64::from_ne_bytes(token.to_ne_bytes())
}

#[async_trait]
impl Acknowledge for Duty {
    async fn ack(&self, token: u64) -> Result<()> {
        // Telegram learns of it with the next poll, or from `close`.
        self.cursor.settle(id_of(token));
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        self.abandon(token);
        Ok(())
    }

    fn abandon(&self, token: u64) {
        self.cursor
            .refuse(id_of(token), self.generation, self.clock.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn moves_over_the_contiguous_part_only() {
        let cursor = Cursor::default();
        let stream = cursor.begin();
        assert_eq!(cursor.offer(&[5, 6, 7], stream, NOW), [true; 3]);
        cursor.settle(7);
        cursor.settle(6);
        assert_eq!((cursor.offset(), cursor.pending()), (None, 3));
        assert_eq!(
            cursor.offer(&[5, 6, 7, 8], stream, NOW),
            [false, false, false, true]
        );
        cursor.settle(5);
        assert_eq!((cursor.offset(), cursor.pending()), (Some(8), 1));
        assert_eq!(cursor.untold(), Some(8));
        cursor.told(Some(8));
        assert_eq!(cursor.untold(), None);
    }

    #[test]
    fn a_refused_update_comes_again_later_and_its_siblings_do_not() {
        let cursor = Cursor::default();
        let stream = cursor.begin();
        cursor.offer(&[1, 2, 3], stream, NOW);
        cursor.settle(1);
        cursor.settle(3);
        cursor.refuse(2, stream, NOW);
        assert_eq!(cursor.offer(&[2, 3], stream, NOW), [false, false]);
        assert_eq!(
            cursor.offer(&[2, 3], stream, NOW + FIRST_AGAIN),
            [true, false]
        );
        cursor.settle(2);
        assert_eq!((cursor.offset(), cursor.pending()), (Some(4), 0));
    }

    #[test]
    fn what_came_later_waits_behind_what_was_refused() {
        let cursor = Cursor::default();
        let stream = cursor.begin();
        cursor.offer(&[1, 2], stream, NOW);
        cursor.refuse(1, stream, NOW);
        cursor.refuse(2, stream, NOW + FIRST_AGAIN);
        assert_eq!(cursor.offer(&[1, 2, 3], stream, NOW), [false; 3]);
        // The first one is due, and those behind it come with it, in order.
        assert_eq!(
            cursor.offer(&[1, 2, 3], stream, NOW + FIRST_AGAIN),
            [true; 3]
        );
    }

    #[test]
    fn ids_in_any_order_and_a_random_new_start() {
        let cursor = Cursor::default();
        let stream = cursor.begin();
        cursor.offer(&[12, 10, 11], stream, NOW);
        cursor.settle(12);
        assert_eq!(cursor.offset(), None);
        cursor.settle(10);
        cursor.settle(11);
        assert_eq!(cursor.offset(), Some(13));
        // Repeated by a server that ignores the offset.
        assert_eq!(cursor.offer(&[10, 11, 12], stream, NOW), [false; 3]);
        // After a quiet week.
        assert_eq!(cursor.offer(&[3], stream, NOW), [true]);
        cursor.settle(3);
        assert_eq!(cursor.offset(), Some(4));
    }

    #[test]
    fn a_new_stream_offers_again_what_the_last_one_left_open() {
        let cursor = Cursor::default();
        let first = cursor.begin();
        cursor.offer(&[1, 2], first, NOW);
        cursor.settle(1);
        let second = cursor.begin();
        assert!(!cursor.is_current(first));
        assert_eq!(cursor.offer(&[2], second, NOW), [true]);
        // The old copy is dropped: the new one is still out.
        cursor.refuse(2, first, NOW);
        assert_eq!(cursor.offer(&[2], second, NOW + LAST_AGAIN), [false]);
        cursor.settle(2);
        assert_eq!(cursor.offset(), Some(3));
    }

    #[test]
    fn what_telegram_has_forgotten_does_not_hold_the_cursor() {
        let cursor = Cursor::default();
        let stream = cursor.begin();
        cursor.offer(&[1, 2], stream, NOW);
        cursor.refuse(1, stream, NOW);
        cursor.settle(2);
        assert_eq!(cursor.offer(&[], stream, NOW), [false; 0]);
        assert_eq!((cursor.offset(), cursor.pending()), (Some(3), 0));
    }
}
