//! One connection and everybody who waits for it.
//!
//! The socket moves only while somebody polls it. Whoever waits for something of it, the
//! stream of events or a send that wants its answer, polls it for all: a wake-up of the
//! socket wakes all of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{
    Acknowledge, Backoff, Clock, Connection, Error, ErrorKind, Event, Frame, Result, Transport,
    async_trait,
};
use channel_http::reconnect::{ReconnectSettings, ReconnectingSocket, SocketEvent};
use futures_core::Stream as _;
use futures_core::future::BoxFuture;

use super::dial::Subscribe;
use super::frame::{self, Inbound};
use crate::PLATFORM;

/// How often the platform wants a ping
/// (<https://developer.work.weixin.qq.com/document/path/101463>).
const PING_EVERY: Duration = Duration::from_secs(30);
/// A connection that misses the answers to two pings is dead.
const SILENCE: Duration = Duration::from_secs(65);
/// How far the wall clock may run ahead between two pings before the machine counts as
/// having slept.
const SLEPT: Duration = Duration::from_secs(60);
/// How many events wait for the stream; beyond it they are dropped, and a gap says so.
const EVENTS: usize = 1000;
/// How many calls wait for their turn.
const CALLS: usize = 256;
/// How much news of the connection waits for the stream.
const NEWS: usize = 64;

/// Wakes everybody who waits.
#[derive(Default)]
struct Crowd(Mutex<Vec<Waker>>);

impl Crowd {
    fn join(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn rouse(&self) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.rouse();
    }
}

/// How far a call has come.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    Waiting,
    /// Handed to the socket.
    Sent,
    /// The connection was lost before the answer came.
    Lost,
    Answered(i64, Bytes),
}

/// What the stream of events gets to know.
#[derive(Debug)]
pub(super) enum News {
    Connection(Connection),
    Event(u64, Box<Event>),
    Ended(Error),
}

/// What the owner makes of a callback: an event, an answer to be sent at once, or the news
/// that another connection has taken over.
pub(super) enum Outcome {
    Event(Box<Event>, Option<String>),
    TakenOver,
}

/// Reads callbacks.
pub(super) type Reader = Box<dyn Fn(&str, &Inbound, SystemTime) -> Outcome + Send + Sync>;

pub(super) struct Pump {
    pub(super) transport: Transport,
    pub(super) dial: Arc<Subscribe>,
    reader: Reader,
    crowd: Arc<Crowd>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    socket: Option<ReconnectingSocket>,
    is_open: bool,
    news: VecDeque<Connection>,
    /// Events that are not acknowledged, in order; those in `out` are with somebody.
    events: BTreeMap<u64, Event>,
    out: std::collections::BTreeSet<u64>,
    next_event: u64,
    dropped: Option<SystemTime>,
    calls: HashMap<String, Progress>,
    outbox: VecDeque<(String, String)>,
    ping: Option<(Duration, BoxFuture<'static, ()>)>,
    watch: Option<(SystemTime, Duration)>,
    ended: Option<(ErrorKind, String)>,
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}

fn settings() -> ReconnectSettings {
    ReconnectSettings::new()
        .heartbeat(None)
        .alive_within(SILENCE)
        // The platform lets one connection live: a new one beside the old would end it.
        .clock_jump(Duration::MAX)
        .backoff(Backoff::new(
            Duration::from_secs(1),
            Duration::from_secs(30),
        ))
}

impl Pump {
    pub(super) fn new(transport: Transport, dial: Subscribe, reader: Reader) -> Self {
        Self {
            transport,
            dial: Arc::new(dial),
            reader,
            crowd: Arc::default(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves everything that can move.
    fn poll(&self, cx: &Context<'_>) {
        self.crowd.join(cx.waker());
        let waker = Waker::from(Arc::clone(&self.crowd));
        let mut cx = Context::from_waker(&waker);
        let mut state = self.lock();
        let mut moved = false;
        while state.ended.is_none() {
            let clock = &*self.transport.clock;
            state.socket.get_or_insert_with(|| {
                let dial: Arc<Subscribe> = Arc::clone(&self.dial);
                ReconnectingSocket::new(dial, &self.transport, settings())
            });
            moved |= state.flush();
            state.tick(&mut cx, &self.transport);
            let Some(socket) = &mut state.socket else {
                break;
            };
            let event = match Pin::new(socket).poll_next(&mut cx) {
                Poll::Pending => break,
                Poll::Ready(Some(event)) => event,
                Poll::Ready(None) => {
                    state.socket = None;
                    break;
                }
            };
            moved = true;
            self.handle(&mut state, event, clock);
        }
        drop(state);
        if moved {
            self.crowd.rouse();
        }
    }

    fn handle(&self, state: &mut State, event: SocketEvent, clock: &dyn Clock) {
        match event {
            SocketEvent::Opened { .. } => {
                state.is_open = true;
                state.ping = None;
                state.watch = Some((clock.now(), clock.elapsed()));
                state.tell(Connection::Ready);
            }
            SocketEvent::Frame {
                frame: Frame::Text(text),
                ..
            } => match frame::read(&text) {
                Some(inbound) => self.dispatch(state, &inbound, clock),
                None => tracing::warn!("a frame of wecom cannot be read"),
            },
            SocketEvent::Lost { cause, .. } => {
                state.lose();
                state.tell(lost(cause.as_str(), Duration::from_secs(1)));
            }
            SocketEvent::Failed {
                cause, retry_in, ..
            } => {
                state.lose();
                state.tell(lost(cause.as_str(), retry_in));
            }
            SocketEvent::Gap { since } => state.tell(Connection::Gap {
                since,
                cause: "reconnect".to_owned(),
            }),
            SocketEvent::Ended { error } => state.end(error.kind(), error.message()),
            _ => {}
        }
    }

    fn dispatch(&self, state: &mut State, inbound: &Inbound, clock: &dyn Clock) {
        let Some(command) = &inbound.command else {
            if inbound.request.starts_with("ping_") {
                state.tell(Connection::Alive);
            } else if let Some(progress) = state.calls.get_mut(&inbound.request) {
                *progress = Progress::Answered(inbound.code, inbound.body.clone());
            }
            // The platform has forgotten the connection: a new one will do.
            if inbound.code == 846_609
                && let Some(socket) = &mut state.socket
            {
                socket.reconnect();
            }
            return;
        };
        match (self.reader)(command, inbound, clock.now()) {
            Outcome::Event(event, answer) => {
                state.keep(*event, clock.now());
                if let Some(answer) = answer {
                    state.outbox.push_back((String::new(), answer));
                }
            }
            Outcome::TakenOver => state.end(
                ErrorKind::Config,
                "another connection uses the bot id: stop one of the two",
            ),
        }
    }

    /// The next news for the stream of events.
    pub(super) async fn news(&self) -> News {
        poll_fn(|cx| {
            self.poll(cx);
            let mut state = self.lock();
            if let Some(news) = state.news.pop_front() {
                return Poll::Ready(News::Connection(news));
            }
            let waiting = state.events.keys().find(|id| !state.out.contains(id));
            if let Some(id) = waiting.copied() {
                state.out.insert(id);
                if let Some(event) = state.events.get(&id) {
                    return Poll::Ready(News::Event(id, Box::new(event.clone())));
                }
            }
            match &state.ended {
                Some((kind, message)) => {
                    let error = Error::new(*kind, message.clone()).on(PLATFORM, "receive");
                    Poll::Ready(News::Ended(error))
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    /// A new stream begins: news of the past is none.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.news.clear();
        if state.is_open {
            state.news.push_back(Connection::Ready);
        }
    }

    /// Waits until the bot is subscribed, or it is clear that it will not be.
    pub(super) async fn ready(&self) -> Result<()> {
        poll_fn(|cx| {
            self.poll(cx);
            let state = self.lock();
            if let Some((kind, message)) = &state.ended {
                return Poll::Ready(Err(Error::new(*kind, message.clone())));
            }
            if state.is_open {
                return Poll::Ready(Ok(()));
            }
            match self.dial.refusal() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Puts a call into the queue. One at a time for each request id: the platform wants
    /// the answers to one callback one after the other.
    pub(super) async fn begin_call(&self, id: &str, frame: &str) -> Result<()> {
        poll_fn(|cx| {
            self.poll(cx);
            let mut state = self.lock();
            if let Some((kind, message)) = &state.ended {
                return Poll::Ready(Err(Error::new(*kind, message.clone())));
            }
            if state.calls.contains_key(id) {
                return Poll::Pending;
            }
            if state.outbox.len() >= CALLS {
                let message = "too many messages wait to be sent";
                return Poll::Ready(Err(Error::new(ErrorKind::Unavailable, message)));
            }
            state.calls.insert(id.to_owned(), Progress::Waiting);
            state.outbox.push_back((id.to_owned(), frame.to_owned()));
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits until a call has come further than a given step.
    pub(super) async fn beyond(&self, id: &str, sent: bool) -> Progress {
        poll_fn(|cx| {
            self.poll(cx);
            let state = self.lock();
            match state.calls.get(id) {
                Some(Progress::Waiting) if state.ended.is_none() => Poll::Pending,
                Some(Progress::Sent) if sent && state.ended.is_none() => Poll::Pending,
                Some(progress) => Poll::Ready(progress.clone()),
                None => Poll::Ready(Progress::Lost),
            }
        })
        .await
    }

    /// Forgets a call, sent or not; how far it had come.
    pub(super) fn end_call(&self, id: &str) -> Option<Progress> {
        let mut state = self.lock();
        state.outbox.retain(|(call, _)| call != id);
        let progress = state.calls.remove(id);
        drop(state);
        self.crowd.rouse();
        progress
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        {
            let mut state = self.lock();
            state.is_open = false;
            match &mut state.socket {
                Some(socket) => socket.close(),
                None => return,
            }
        }
        poll_fn(|cx| {
            let mut state = self.lock();
            let Some(socket) = &mut state.socket else {
                return Poll::Ready(());
            };
            while let Poll::Ready(event) = Pin::new(&mut *socket).poll_next(cx) {
                if event.is_none() {
                    state.socket = None;
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }
}

fn lost(cause: &str, retry_in: Duration) -> Connection {
    Connection::Lost {
        cause: cause.to_owned(),
        retry_in,
    }
}

impl State {
    fn tell(&mut self, news: Connection) {
        if self.news.len() >= NEWS {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }

    fn keep(&mut self, event: Event, now: SystemTime) {
        if self.events.len() >= EVENTS {
            self.dropped.get_or_insert(now);
            tracing::warn!(channel = %event.channel, "too many events wait: one is dropped");
            return;
        }
        if let Some(since) = self.dropped.take() {
            self.tell(Connection::Gap {
                since,
                cause: "overflow".to_owned(),
            });
        }
        self.next_event += 1;
        self.events.insert(self.next_event, event);
    }

    /// Hands to the socket what waits; whether something moved.
    fn flush(&mut self) -> bool {
        let mut moved = false;
        while self.is_open
            && let Some((id, frame)) = self.outbox.pop_front()
        {
            let Some(socket) = &mut self.socket else {
                break;
            };
            if socket.send(Frame::text(frame.clone())).is_err() {
                self.outbox.push_front((id, frame));
                break;
            }
            if let Some(progress) = self.calls.get_mut(&id) {
                *progress = Progress::Sent;
            }
            moved = true;
        }
        moved
    }

    /// Pings when it is time to, and notices that the machine has slept.
    fn tick(&mut self, cx: &mut Context<'_>, transport: &Transport) {
        if !self.is_open {
            return;
        }
        let clock = &*transport.clock;
        loop {
            let (_, sleep) = self
                .ping
                .get_or_insert_with(|| (clock.elapsed(), clock.sleep(PING_EVERY)));
            if sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.ping = None;
            let Some(socket) = &mut self.socket else {
                return;
            };
            let (wall, elapsed) = (clock.now(), clock.elapsed());
            if let Some((then, before)) = self.watch.replace((wall, elapsed)) {
                let passed = wall.duration_since(then).unwrap_or_default();
                if passed > elapsed.saturating_sub(before) + SLEPT {
                    socket.reconnect();
                    return;
                }
            }
            let id = frame::request_id("ping", &*transport.random);
            let ping = Frame::text(frame::write("ping", &id, None));
            // A socket that takes nothing is given up by its own deadlines.
            let _ = socket.send(ping);
        }
    }

    fn lose(&mut self) {
        self.is_open = false;
        self.ping = None;
        for progress in self.calls.values_mut() {
            if matches!(progress, Progress::Sent) {
                *progress = Progress::Lost;
            }
        }
        // What answers a callback of the lost connection is of no use to the next.
        self.outbox.retain(|(id, _)| !id.is_empty());
    }

    fn end(&mut self, kind: ErrorKind, message: &str) {
        self.lose();
        self.socket = None;
        self.ended.get_or_insert((kind, message.to_owned()));
    }
}

/// An event is remembered until it is acknowledged: the platform will not send it again.
#[async_trait]
impl Acknowledge for Pump {
    async fn ack(&self, token: u64) -> Result<()> {
        let mut state = self.lock();
        state.events.remove(&token);
        state.out.remove(&token);
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        self.abandon(token);
        Ok(())
    }

    fn abandon(&self, token: u64) {
        self.lock().out.remove(&token);
        self.crowd.rouse();
    }
}
