//! A socket whose events are acknowledged on the socket that they came by.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use channel_core::{Acknowledge, Frame, Result};
use futures_core::Stream as _;

use super::{ReconnectingSocket, SocketEvent, SocketId};

/// How much news is kept while somebody writes.
const MAX_NEWS: usize = 1024;

/// What the platform is told about an event; `true` if it is safe with us.
type Answer = Box<dyn FnOnce(bool) -> Option<Frame> + Send>;

/// A [`ReconnectingSocket`] and the acknowledgements that go over it.
///
/// The stream of events polls it for news. Whoever acknowledges writes at once, whether the
/// stream is polled at that moment or not. An answer goes out on the socket that its event
/// came by; if that one is gone the platform delivers again.
pub struct AckedSocket(Mutex<Inner>);

struct Inner {
    socket: ReconnectingSocket,
    /// News that came while somebody wrote.
    news: VecDeque<SocketEvent>,
    /// Of the stream.
    waker: Option<Waker>,
    next: u64,
    /// By token: what is said once an event is safe.
    out: HashMap<u64, Arc<Duty>>,
    /// What is to be written.
    answers: VecDeque<(SocketId, Frame)>,
}

/// A frame of the platform's, and how many of its events are not safe yet.
struct Duty {
    socket: SocketId,
    left: AtomicU64,
    answer: Mutex<Option<Answer>>,
}

impl fmt::Debug for AckedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckedSocket").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AckedSocket {
    /// Takes over a socket.
    #[must_use]
    pub fn new(socket: ReconnectingSocket) -> Self {
        Self(Mutex::new(Inner {
            socket,
            news: VecDeque::new(),
            waker: None,
            next: 0,
            out: HashMap::new(),
            answers: VecDeque::new(),
        }))
    }

    /// Takes over a frame of so many events; gives the token of each. `answer` makes what is
    /// said when all of them are safe, or when one of them could not be taken (`false`). An
    /// event that is abandoned is not answered for.
    pub fn begin(
        &self,
        socket: SocketId,
        events: usize,
        answer: impl FnOnce(bool) -> Option<Frame> + Send + 'static,
    ) -> Vec<u64> {
        let mut inner = lock(&self.0);
        let duty = Arc::new(Duty {
            socket,
            left: AtomicU64::new(events as u64),
            answer: Mutex::new(Some(Box::new(answer))),
        });
        let token = |_| {
            inner.next += 1;
            let token = inner.next;
            inner.out.insert(token, Arc::clone(&duty));
            token
        };
        (0..events).map(token).collect()
    }

    /// How many events are with somebody.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.0).out.len()
    }

    /// The next news of the socket; `None` once it is closed for good.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<Option<SocketEvent>> {
        let mut inner = lock(&self.0);
        inner.waker = Some(cx.waker().clone());
        match inner.news.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => inner.poll(cx),
        }
    }

    /// Does something with the socket, such as replacing it.
    pub fn with<T>(&self, act: impl FnOnce(&mut ReconnectingSocket) -> T) -> T {
        let mut inner = lock(&self.0);
        let done = act(&mut inner.socket);
        // What was done may be due at once.
        if let Some(waker) = &inner.waker {
            waker.wake_by_ref();
        }
        done
    }

    /// Writes a frame on a socket now, if it is still there.
    pub fn send_on(&self, socket: SocketId, frame: Frame) {
        let mut inner = lock(&self.0);
        inner.answers.push_back((socket, frame));
        inner.write();
    }

    /// Closes once everything is written.
    pub async fn flush(&self) {
        self.with(ReconnectingSocket::close);
        while poll_fn(|cx| self.poll(cx)).await.is_some() {}
    }
}

impl Inner {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<SocketEvent>> {
        self.send_answers();
        let mut cx = Context::from_waker(cx.waker());
        Pin::new(&mut self.socket).poll_next(&mut cx)
    }

    /// Writes now, in the name of the stream: what the socket says meanwhile is kept.
    fn write(&mut self) {
        let waker = self.waker.clone().unwrap_or_else(|| Waker::noop().clone());
        let cx = Context::from_waker(&waker);
        // At least once, so that it is written however much news waits.
        while let Poll::Ready(Some(event)) = self.poll(&cx) {
            self.news.push_back(event);
            if self.news.len() >= MAX_NEWS {
                break;
            }
        }
        waker.wake_by_ref();
    }

    /// Hands answers to the socket.
    fn send_answers(&mut self) {
        while let Some((socket, frame)) = self.answers.pop_front() {
            if self.socket.send_on(socket, frame.clone()).is_err()
                && self.socket.current() == Some(socket)
            {
                // Too much waits to be written: later.
                self.answers.push_front((socket, frame));
                return;
            }
        }
    }

    /// Says what there is to say about an event.
    fn settle(&mut self, token: u64, is_safe: bool) {
        let Some(duty) = self.out.remove(&token) else {
            return;
        };
        let is_last = duty.left.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_safe && !is_last {
            return;
        }
        let answer = lock(&duty.answer).take();
        if let Some(frame) = answer.and_then(|answer| answer(is_safe)) {
            self.answers.push_back((duty.socket, frame));
            self.write();
        }
    }
}

#[async_trait]
impl Acknowledge for AckedSocket {
    async fn ack(&self, token: u64) -> Result<()> {
        lock(&self.0).settle(token, true);
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        lock(&self.0).settle(token, false);
        Ok(())
    }

    fn abandon(&self, token: u64) {
        // The platform delivers again what was not answered.
        lock(&self.0).out.remove(&token);
    }
}
