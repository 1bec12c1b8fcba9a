//! One connection, seen from the channel: what waits to be written to it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use channel_core::ChatId;
use futures_util::task::AtomicWaker;

/// Why a connection is closed (the dossier's table of close codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Closing {
    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }

    pub(crate) const GOING_AWAY: Self = Self::new(1001, "server is going away");
    pub(crate) const BINARY: Self = Self::new(1003, "text frames only");
    pub(crate) const UNREADABLE: Self = Self::new(1002, "not a websocket message");
    pub(crate) const TOO_BIG: Self = Self::new(1009, "frame too big");
    pub(crate) const PROTOCOL: Self = Self::new(4400, "protocol error");
    pub(crate) const REVOKED: Self = Self::new(4401, "token revoked");
    pub(crate) const FORBIDDEN: Self = Self::new(4403, "not allowed");
    pub(crate) const TIMEOUT: Self = Self::new(4408, "timeout");
    pub(crate) const REPLACED: Self = Self::new(4409, "replaced by a newer connection");
    pub(crate) const FLOODING: Self = Self::new(4429, "too many frames");
    pub(crate) const SLOW: Self = Self::new(4508, "slow consumer");
}

/// A frame that waits to be written.
#[derive(Debug)]
struct Item {
    bytes: Bytes,
    /// The chat and message of a preview, which a newer one replaces.
    preview: Option<Box<(ChatId, String)>>,
}

/// A conversation whose stored frames this connection has yet to see.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) chat: ChatId,
    pub(crate) conversation: String,
    pub(crate) epoch: u64,
    /// The next frame to send.
    pub(crate) next: u64,
    /// The last frame that counts as replayed; later ones are live.
    pub(crate) until: u64,
    /// Whether the end of the replay has been told.
    pub(crate) told: bool,
}

/// What the writer does next.
#[derive(Debug)]
pub(crate) enum Output {
    Frame(Bytes),
    /// Nothing is queued, and stored frames are to be fetched.
    Replay,
    Close(Closing),
}

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Item>,
    bytes: usize,
    replays: VecDeque<Replay>,
    closing: Option<Closing>,
}

/// The queue of one connection. Locked after the hub, never before it.
#[derive(Debug)]
pub(crate) struct Link {
    bounds: Bounds,
    state: Mutex<State>,
    waker: AtomicWaker,
}

impl Link {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
            waker: AtomicWaker::new(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Queues a frame that must not be lost; if there is no room the connection is closed
    /// as too slow.
    pub(crate) fn push(&self, bytes: Bytes) {
        let full = self.with(|state| state.push(bytes, None, self.bounds).is_err());
        if full {
            self.close(Closing::SLOW);
        }
        self.waker.wake();
    }

    /// Queues a live frame of a chat, unless the chat is still being replayed: then the
    /// frame comes out of the history in its turn.
    pub(crate) fn push_live(&self, chat: &ChatId, message: Option<&str>, bytes: Bytes) {
        let full = self.with(|state| {
            if state.replays.iter().any(|replay| replay.chat == *chat) {
                return false;
            }
            if let Some(message) = message {
                state.forget_preview(chat, message);
            }
            state.push(bytes, None, self.bounds).is_err()
        });
        if full {
            self.close(Closing::SLOW);
        }
        self.waker.wake();
    }

    /// Queues a frame that a newer one of the same message replaces and that may be
    /// dropped. Says whether it was taken.
    pub(crate) fn push_preview(&self, chat: &ChatId, message: &str, bytes: Bytes) -> bool {
        let taken = self.with(|state| {
            if state.replays.iter().any(|replay| replay.chat == *chat) {
                return false;
            }
            state.forget_preview(chat, message);
            let preview = Some(Box::new((chat.clone(), message.to_owned())));
            state.push(bytes, preview, self.bounds).is_ok()
        });
        self.waker.wake();
        taken
    }

    /// Adds a replay; it is written once the queue is empty.
    pub(crate) fn start_replay(&self, replay: Replay) {
        self.with(|state| state.replays.push_back(replay));
        self.waker.wake();
    }

    /// Works on the replay in front; `None` if there is none. The replay is dropped when
    /// `step` says so.
    pub(crate) fn step_replay<T>(&self, step: impl FnOnce(&mut Replay) -> Step<T>) -> Option<T> {
        self.with(|state| {
            let replay = state.replays.front_mut()?;
            match step(replay) {
                Step::Send(value) => Some(value),
                Step::Done => {
                    state.replays.pop_front();
                    None
                }
                Step::Close(closing) => {
                    state.close(closing);
                    None
                }
            }
        })
    }

    /// Closes the connection; the first reason wins. What is queued is still written,
    /// except to a connection that is too slow to take it.
    pub(crate) fn close(&self, closing: Closing) {
        self.with(|state| state.close(closing));
        self.waker.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.with(|state| state.closing.is_some())
    }

    /// Waits for something to write.
    pub(crate) fn poll_output(&self, context: &Context<'_>) -> Poll<Output> {
        self.waker.register(context.waker());
        self.with(|state| {
            if let Some(item) = state.queue.pop_front() {
                state.bytes = state.bytes.saturating_sub(item.bytes.len());
                // Most connections are idle: an empty queue keeps no memory.
                if state.queue.is_empty() {
                    state.queue = VecDeque::new();
                }
                Poll::Ready(Output::Frame(item.bytes))
            } else if let Some(closing) = state.closing {
                Poll::Ready(Output::Close(closing))
            } else if state.replays.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(Output::Replay)
            }
        })
    }
}

/// What a step of a replay comes to.
#[derive(Debug)]
pub(crate) enum Step<T> {
    Send(T),
    Done,
    Close(Closing),
}

impl State {
    fn close(&mut self, closing: Closing) {
        if self.closing.is_none() {
            self.closing = Some(closing);
            self.replays.clear();
            if closing == Closing::SLOW {
                self.queue.clear();
                self.bytes = 0;
            }
        }
    }

    fn push(
        &mut self,
        bytes: Bytes,
        preview: Option<Box<(ChatId, String)>>,
        bounds: Bounds,
    ) -> Result<(), ()> {
        if self.closing.is_some() {
            return Ok(());
        }
        // One frame alone always fits, however large.
        let fits = self.queue.is_empty()
            || (self.queue.len() < bounds.frames && self.bytes + bytes.len() <= bounds.bytes);
        if !fits {
            return Err(());
        }
        self.bytes += bytes.len();
        self.queue.push_back(Item { bytes, preview });
        Ok(())
    }

    fn forget_preview(&mut self, chat: &ChatId, message: &str) {
        let position = self.queue.iter().rposition(|item| {
            item.preview
                .as_ref()
                .is_some_and(|preview| preview.0 == *chat && preview.1 == message)
        });
        if let Some(item) = position.and_then(|position| self.queue.remove(position)) {
            self.bytes = self.bytes.saturating_sub(item.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn drain(link: &Link) -> Vec<String> {
        let mut out = Vec::new();
        let context = Context::from_waker(Waker::noop());
        while let Poll::Ready(output) = link.poll_output(&context) {
            match output {
                Output::Frame(bytes) => out.push(String::from_utf8(bytes.to_vec()).unwrap()),
                Output::Close(closing) => {
                    out.push(closing.code.to_string());
                    break;
                }
                Output::Replay => break,
            }
        }
        out
    }

    fn link(frames: usize, bytes: usize) -> Link {
        Link::new(Bounds { frames, bytes })
    }

    #[test]
    fn only_the_newest_preview_of_a_message_waits() {
        let link = link(10, 100);
        let chat = ChatId::new("web-1/default");
        assert!(link.push_preview(&chat, "s-1", Bytes::from_static(b"a")));
        assert!(link.push_preview(&chat, "s-2", Bytes::from_static(b"x")));
        assert!(link.push_preview(&chat, "s-1", Bytes::from_static(b"ab")));
        link.push_live(&chat, Some("s-2"), Bytes::from_static(b"final"));
        assert_eq!(drain(&link), ["ab", "final"]);
    }

    #[test]
    fn a_full_queue_drops_previews_and_closes_for_the_rest() {
        let link = link(2, 100);
        let chat = ChatId::new("web-1/default");
        link.push(Bytes::from_static(b"1"));
        link.push(Bytes::from_static(b"2"));
        assert!(!link.push_preview(&chat, "s-1", Bytes::from_static(b"p")));
        assert!(!link.is_closing());
        link.push(Bytes::from_static(b"3"));
        assert_eq!(drain(&link), ["4508"]);
    }

    #[test]
    fn bytes_are_bounded_too_but_one_frame_always_fits() {
        let link = link(10, 4);
        link.push(Bytes::from_static(b"larger than four"));
        assert!(!link.is_closing());
        link.push(Bytes::from_static(b"x"));
        assert_eq!(drain(&link), ["4508"]);
    }

    #[test]
    fn the_first_reason_to_close_wins_and_the_queue_goes_out_first() {
        let link = link(10, 100);
        link.push(Bytes::from_static(b"error"));
        link.close(Closing::PROTOCOL);
        link.close(Closing::GOING_AWAY);
        link.push(Bytes::from_static(b"too late"));
        assert_eq!(drain(&link), ["error", "4400"]);
    }
}
