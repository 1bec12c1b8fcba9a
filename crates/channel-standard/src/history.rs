//! What is kept of one conversation: durable frames for replay, and which messages exist.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use channel_core::{MessageId, SenderId};

use crate::wire::server::Button;

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Bot,
    Client(SenderId),
}

/// What is known of a message.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) owner: Owner,
    pub(crate) rev: u64,
    pub(crate) deleted: bool,
    pub(crate) buttons: Box<[Vec<Button>]>,
}

/// A durable frame.
#[derive(Debug)]
struct Stored {
    at: Duration,
    bytes: Bytes,
}

/// Bytes of frames that one conversation keeps at most.
const MAX_BYTES: usize = 4 << 20;

/// One conversation.
#[derive(Debug)]
pub(crate) struct History {
    /// Tells this history from a lost one.
    pub(crate) epoch: u64,
    /// The number of the newest frame; 0 before the first.
    pub(crate) head: u64,
    /// The newest frames without a hole; the last one is `head`.
    frames: VecDeque<Stored>,
    bytes: usize,
    /// The last frame that a client has acknowledged.
    pub(crate) acked: u64,
    messages: HashMap<MessageId, Known>,
    order: VecDeque<MessageId>,
    /// When it was last used.
    pub(crate) touched: Duration,
}

impl History {
    pub(crate) fn new(epoch: u64, now: Duration) -> Self {
        Self {
            epoch,
            head: 0,
            frames: VecDeque::new(),
            bytes: 0,
            acked: 0,
            messages: HashMap::new(),
            order: VecDeque::new(),
            touched: now,
        }
    }

    /// The number of the oldest frame that is kept; `head + 1` if there is none.
    pub(crate) fn oldest(&self) -> u64 {
        self.head + 1 - self.frames.len() as u64
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps the frame that has just been numbered `head`.
    pub(crate) fn append(&mut self, bytes: Bytes, now: Duration) {
        self.head += 1;
        self.touched = now;
        self.bytes += bytes.len();
        self.frames.push_back(Stored { at: now, bytes });
    }

    /// Drops what is too old or too much; the number of frames that no client has
    /// acknowledged among them.
    pub(crate) fn trim(&mut self, limit: usize, window: Duration, now: Duration) -> u64 {
        let mut undelivered = 0;
        while let Some(first) = self.frames.front() {
            let too_old = now.saturating_sub(first.at) > window;
            // The newest frame stays, however large.
            let too_much =
                self.frames.len() > limit || (self.bytes > MAX_BYTES && self.frames.len() > 1);
            if !too_old && !too_much {
                break;
            }
            undelivered += u64::from(self.oldest() > self.acked);
            self.bytes = self.bytes.saturating_sub(first.bytes.len());
            self.frames.pop_front();
        }
        while self.order.len() > limit {
            if let Some(id) = self.order.pop_front() {
                self.messages.remove(&id);
            }
        }
        undelivered
    }

    /// A frame by number.
    pub(crate) fn frame(&self, seq: u64) -> Option<&Bytes> {
        let index = seq.checked_sub(self.oldest())?;
        let index = usize::try_from(index).ok()?;
        self.frames.get(index).map(|stored| &stored.bytes)
    }

    /// When the oldest frame was stored that no client has acknowledged.
    pub(crate) fn oldest_unacked(&self) -> Option<Duration> {
        let first = self.oldest().max(self.acked + 1);
        let index = usize::try_from(first - self.oldest()).ok()?;
        self.frames.get(index).map(|stored| stored.at)
    }

    /// How many frames no client has acknowledged.
    pub(crate) fn unacked(&self) -> u64 {
        self.head - (self.oldest() - 1).max(self.acked)
    }

    pub(crate) fn acknowledge(&mut self, seq: u64) {
        self.acked = self.acked.max(seq.min(self.head));
    }

    /// Remembers a message, so that it can be edited, deleted, reacted to and pressed.
    pub(crate) fn remember(&mut self, id: MessageId, owner: Owner, buttons: &[Vec<Button>]) {
        let known = Known {
            owner,
            rev: 0,
            deleted: false,
            buttons: buttons.into(),
        };
        if self.messages.insert(id.clone(), known).is_none() {
            self.order.push_back(id);
        }
    }

    /// A message that exists.
    pub(crate) fn known(&self, id: &str) -> Option<&Known> {
        self.messages
            .get(&MessageId::new(id))
            .filter(|known| !known.deleted)
    }

    pub(crate) fn known_mut(&mut self, id: &str) -> Option<&mut Known> {
        self.messages
            .get_mut(&MessageId::new(id))
            .filter(|known| !known.deleted)
    }
}

/// The frame as it is sent again: with `"replay":true`.
pub(crate) fn replayed(frame: &Bytes) -> Bytes {
    const MARK: &[u8] = br#","replay":true}"#;
    let body = frame.strip_suffix(b"}").unwrap_or(frame);
    let mut bytes = BytesMut::with_capacity(body.len() + MARK.len());
    bytes.put_slice(body);
    bytes.put_slice(MARK);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn history(frames: u64) -> History {
        let mut history = History::new(1, Duration::ZERO);
        for seq in 1..=frames {
            let frame = Bytes::from(format!("{{\"seq\":{seq}}}"));
            history.append(frame, SECOND * u32::try_from(seq).unwrap());
        }
        history
    }

    #[test]
    fn keeps_the_newest_frames_without_a_hole() {
        let mut history = history(10);
        assert_eq!(history.oldest(), 1);
        assert_eq!(history.trim(4, SECOND * 100, SECOND * 10), 6);
        assert_eq!((history.oldest(), history.head), (7, 10));
        assert_eq!(history.frame(7).unwrap(), r#"{"seq":7}"#);
        assert_eq!(history.frame(6), None);
        assert_eq!(history.frame(11), None);
    }

    #[test]
    fn old_frames_expire_and_unacknowledged_ones_are_counted() {
        let mut history = history(10);
        history.acknowledge(3);
        assert_eq!(history.unacked(), 7);
        assert_eq!(history.oldest_unacked(), Some(SECOND * 4));
        assert_eq!(history.trim(100, SECOND * 5, SECOND * 11), 2);
        assert_eq!(history.oldest(), 6);
        assert_eq!(history.trim(100, SECOND * 5, SECOND * 99), 5);
        assert_eq!((history.oldest(), history.head), (11, 10));
        assert_eq!((history.unacked(), history.oldest_unacked()), (0, None));
    }

    #[test]
    fn an_acknowledgement_of_the_future_is_cut() {
        let mut history = history(2);
        history.acknowledge(u64::MAX);
        assert_eq!(history.acked, 2);
        assert_eq!(history.oldest_unacked(), None);
    }

    #[test]
    fn a_replayed_frame_says_so() {
        let frame = Bytes::from_static(br#"{"v":1,"seq":2}"#);
        assert_eq!(replayed(&frame), r#"{"v":1,"seq":2,"replay":true}"#);
    }
}
