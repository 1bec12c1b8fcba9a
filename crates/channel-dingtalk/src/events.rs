//! Receiving by stream mode.
//!
//! A frame is answered once its event is safe, on the socket that it came by. DingTalk gives
//! notice before it closes a connection, and delivers nothing on it from then on: a new one is
//! opened at once, before the old one goes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    Acknowledge, Connection, Error, Event, EventKind, Frame as SocketFrame, Proof, Raw, Received,
    Result,
};
use channel_http::reconnect::{
    AckedSocket, Alarm, ReconnectingSocket, Retired, SocketEvent, SocketId, Woken,
};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::frame::{CARDS, DISCONNECT, Frame, PING, answer};
use crate::inbound::Reader;
use crate::limits;
use crate::link::{Door, settings};
use crate::repeats::{Answered, Repeats};
use crate::shared::{Shared, lock};

/// How long DingTalk may say nothing on a connection, once it is known that it says something
/// by itself: every 20 to 30 s as connectors measured. Pongs of the transport prove nothing
/// about the platform behind it.
const SILENCE: Duration = Duration::from_secs(80);
/// How long after a notice the next connection may come without anything missing: DingTalk delivers
/// nothing by the old one meanwhile, and does not say that it keeps it.
const IN_TIME: Duration = Duration::from_secs(2);
/// Signs of life are news at most this often.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// How many events may be with the application; more are not answered and come again.
const MAX_OUT: usize = 4096;

/// What outlives a stream.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The number of the stream that is live.
    generation: AtomicU64,
    /// Whether DingTalk has been heard to send signs of life of its own.
    beats: AtomicBool,
    /// Presses that may come again.
    repeats: Mutex<Repeats>,
    /// The socket of a stream that was dropped, with answers still to be sent.
    retired: Retired,
}

/// Sends what is acknowledged and not told yet.
pub(crate) async fn close(shared: &Shared) {
    let clock = &*shared.client.transport.clock;
    if !shared.link.retired.close(clock).await {
        tracing::warn!("the connection did not close in time");
    }
}

/// The events, for ever.
pub(crate) fn stream(shared: Arc<Shared>) -> BoxStream<'static, Result<Received>> {
    let line = Line::new(shared);
    stream::unfold(line, |mut line| async move {
        let item = line.next().await?;
        Some((item, line))
    })
    .boxed()
}

/// The state of one stream.
struct Line {
    shared: Arc<Shared>,
    generation: u64,
    socket: Option<Arc<AckedSocket>>,
    queue: VecDeque<Received>,
    last_item: Duration,
    /// When the platform last said something on the present socket; `None` without one.
    heard: Option<Duration>,
    /// Since when nothing may have come although a socket is there, by both clocks: a notice, or
    /// the last word before a silence.
    missing: Option<(Duration, SystemTime)>,
    /// Presses whose answer is due, in order.
    presses: VecDeque<(Duration, String)>,
    alarm: Alarm,
    failure: Option<Error>,
    ended: bool,
}

/// The socket is kept for its answers.
impl Drop for Line {
    fn drop(&mut self) {
        if self.is_current()
            && let Some(socket) = self.socket.take()
        {
            self.shared.link.retired.keep(socket);
        }
    }
}

impl Line {
    fn new(shared: Arc<Shared>) -> Self {
        let generation = shared.link.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let now = shared.elapsed();
        Self {
            shared,
            generation,
            socket: None,
            queue: VecDeque::new(),
            last_item: now,
            heard: None,
            missing: None,
            presses: VecDeque::new(),
            alarm: Alarm::default(),
            failure: None,
            ended: false,
        }
    }

    fn is_current(&self) -> bool {
        self.shared.link.generation.load(Ordering::Acquire) == self.generation
    }

    fn open(&self) -> Arc<AckedSocket> {
        let door = Door {
            shared: Arc::clone(&self.shared),
        };
        let transport = &self.shared.client.transport;
        let socket = ReconnectingSocket::new(Arc::new(door), transport, settings());
        Arc::new(AckedSocket::new(socket))
    }

    async fn next(&mut self) -> Option<Result<Received>> {
        loop {
            if self.ended || !self.is_current() {
                return None;
            }
            if let Some(received) = self.queue.pop_front() {
                self.last_item = self.shared.elapsed();
                return Some(Ok(received));
            }
            if let Some(error) = self.failure.take() {
                self.ended = true;
                return Some(Err(error));
            }
            let Some(socket) = self.socket.clone() else {
                close(&self.shared).await;
                self.socket = Some(self.open());
                continue;
            };
            let at = self.due_at();
            let clock = self.shared.client.transport.clock.as_ref();
            match self.alarm.wait(&socket, at, clock).await {
                Woken::Socket(Some(event)) => self.take(&socket, event),
                Woken::Due => self.due(&socket),
                _ => self.ended = true,
            }
        }
    }

    fn beats(&self) -> bool {
        self.shared.link.beats.load(Ordering::Relaxed)
    }

    fn due_at(&self) -> Option<Duration> {
        let press = self.presses.front().map(|(at, _)| *at);
        let silent = self.heard.filter(|_| self.beats());
        let silent = silent.map(|heard| heard + SILENCE);
        [press, silent].into_iter().flatten().min()
    }

    fn due(&mut self, socket: &AckedSocket) {
        let now = self.shared.elapsed();
        while let Some((_, press)) = self.presses.pop_front_if(|(at, _)| *at <= now) {
            self.shared.presses.expire(&press);
        }
        let silent = self.heard.filter(|heard| now >= *heard + SILENCE);
        if let Some(heard) = silent.filter(|_| self.beats()) {
            self.heard = None;
            self.misses(heard);
            socket.with(ReconnectingSocket::reconnect);
        }
    }

    fn news(&mut self, news: Connection) {
        let channel = self.shared.info.id.clone();
        self.queue.push_back(Received::connection(channel, news));
    }

    /// Says that the connection lives, now and then.
    fn alive(&mut self) {
        let now = self.shared.elapsed();
        if now.saturating_sub(self.last_item) >= ALIVE_EVERY && self.queue.is_empty() {
            self.news(Connection::Alive);
        }
    }

    fn gap(&mut self, since: SystemTime) {
        let missing = self.missing.take().map(|(_, wall)| wall);
        let since = missing.map_or(since, |missing| missing.min(since));
        self.news(Connection::Gap {
            since,
            cause: "dingtalk may have sent events while nobody was there".to_owned(),
        });
    }

    /// The next connection has taken over: at once after a notice, or after a while in which
    /// nothing came.
    fn replaced(&mut self) {
        let now = self.shared.elapsed();
        let late = |(at, _): &(Duration, SystemTime)| now.saturating_sub(*at) > IN_TIME;
        if let Some((_, since)) = self.missing.take().filter(late) {
            self.gap(since);
        }
    }

    /// Nothing may have come since a moment of the monotonic clock.
    fn misses(&mut self, since: Duration) {
        let clock = &self.shared.client.transport.clock;
        let ago = clock.elapsed().saturating_sub(since);
        let wall = clock.now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
        self.missing.get_or_insert((since, wall));
    }

    fn take(&mut self, socket: &Arc<AckedSocket>, event: SocketEvent) {
        if let Some(news) = event.news() {
            self.news(news);
        }
        match event {
            SocketEvent::Opened { .. } => self.heard = Some(self.shared.elapsed()),
            SocketEvent::Replaced { .. } => {
                self.heard = Some(self.shared.elapsed());
                self.replaced();
            }
            SocketEvent::Lost { socket: id, .. } => {
                self.heard = None;
                let now = self.shared.elapsed();
                lock(&self.shared.link.repeats).lost((self.generation, id), now);
            }
            SocketEvent::Frame {
                socket: id,
                frame: SocketFrame::Text(text),
            } => self.frame(socket, id, &text),
            // Where DingTalk says nothing by itself, the transport is all there is to go by.
            SocketEvent::Frame {
                frame: SocketFrame::Pong(_) | SocketFrame::Ping(_),
                ..
            } if !self.beats() => self.alive(),
            // Nothing says that what was sent meanwhile comes again, and some have seen that
            // it does not.
            SocketEvent::Gap { since } => self.gap(since),
            SocketEvent::Ended { error } => self.failure = Some(error),
            _ => {}
        }
    }

    fn frame(&mut self, socket: &Arc<AckedSocket>, id: SocketId, text: &[u8]) {
        let Some(frame) = Frame::read(text) else {
            tracing::warn!(channel = %self.shared.info.id, "a frame cannot be decoded");
            return;
        };
        let is_present = socket.with(|socket| socket.current()) == Some(id);
        if self.heard.is_some() && is_present {
            self.heard = Some(self.shared.elapsed());
        }
        if frame.kind.as_deref() == Some("SYSTEM") {
            return self.system(socket, id, &frame, is_present);
        }
        self.data(socket, id, &frame);
    }

    fn system(
        &mut self,
        socket: &Arc<AckedSocket>,
        id: SocketId,
        frame: &Frame<'_>,
        is_present: bool,
    ) {
        let reply = |data: &str| {
            if let Some(message_id) = frame.message_id() {
                socket.send_on(id, SocketFrame::text(answer(message_id, data)));
            }
        };
        match frame.topic() {
            PING => {
                self.shared.link.beats.store(true, Ordering::Relaxed);
                reply(&frame.echo());
            }
            "KEEPALIVE" => self.shared.link.beats.store(true, Ordering::Relaxed),
            DISCONNECT => {
                reply("{}");
                // From now on nothing comes here any more.
                if is_present {
                    self.misses(self.shared.elapsed());
                    socket.with(ReconnectingSocket::replace);
                }
            }
            _ => {}
        }
        self.alive();
    }

    fn data(&mut self, socket: &Arc<AckedSocket>, id: SocketId, frame: &Frame<'_>) {
        if socket.waiting() >= MAX_OUT {
            tracing::warn!(channel = %self.shared.info.id, "too many events wait: dingtalk is to repeat one");
            return;
        }
        let now = self.shared.elapsed();
        let payload = frame.payload();
        let named = frame.message_id().filter(|_| frame.topic() == CARDS);
        let named = named.map(|name| {
            let by = (self.generation, id);
            lock(&self.shared.link.repeats).name(name, &payload, by, now)
        });
        let (name, answered) = named.unzip();
        let name = name.as_deref().or(frame.message_id());
        let Some(event) = event(&self.shared, frame, name, payload) else {
            tracing::warn!(channel = %self.shared.info.id, "a frame without a name cannot be answered");
            return;
        };
        let press = match &event.kind {
            EventKind::Action(action) => Some(action.id.as_str().to_owned()),
            _ => None,
        };
        if let Some(press) = &press {
            self.shared.presses.open(press, now);
            self.presses.push_back((now + limits::PRESS, press.clone()));
        }
        let reply = Reply {
            shared: Arc::clone(&self.shared),
            socket: Arc::downgrade(socket),
            id,
            message_id: frame.message_id().map(str::to_owned),
            is_event: frame.kind.as_deref() == Some("EVENT"),
            answered,
        };
        let tokens = socket.begin(id, 1, move |is_safe| match press {
            Some(press) if is_safe => reply.press(&press),
            _ => reply.frame(is_safe),
        });
        if let Some(token) = tokens.first() {
            let duty: Arc<dyn Acknowledge> = Arc::clone(socket) as _;
            self.queue.push_back(Received::new(event, duty, *token));
        }
    }
}

/// What a frame is answered with.
struct Reply {
    shared: Arc<Shared>,
    socket: Weak<AckedSocket>,
    id: SocketId,
    message_id: Option<String>,
    is_event: bool,
    /// Of a press.
    answered: Option<Answered>,
}

impl Reply {
    fn with(&self, data: &str) -> Option<SocketFrame> {
        let message_id = self.message_id.as_deref()?;
        Some(SocketFrame::text(answer(message_id, data)))
    }

    /// What is safe is said to be. What is not comes again: an event because it is asked for
    /// later, a callback because it is not answered.
    fn frame(&self, is_safe: bool) -> Option<SocketFrame> {
        match (self.is_event, is_safe) {
            (true, true) => self.with(r#"{"status":"SUCCESS","message":"ok"}"#),
            (true, false) => self.with(r#"{"status":"LATER"}"#),
            (false, true) => self.with(r#"{"response":{"status":"SUCCESS"}}"#),
            (false, false) => None,
        }
    }

    /// A press is answered with what is said about it, as soon as it is said.
    fn press(self, press: &str) -> Option<SocketFrame> {
        let shared = Arc::clone(&self.shared);
        let message_id = self.message_id.clone();
        let answered = self.answered.clone();
        let told = move |shared: &Shared| {
            if let Some(answered) = &answered {
                answered.at(shared.elapsed());
            }
        };
        let later = told.clone();
        let known = shared.presses.settle(press, move |value: Value| {
            later(&self.shared);
            let frame = self.with(&value.to_string());
            if let (Some(socket), Some(frame)) = (self.socket.upgrade(), frame) {
                socket.send_on(self.id, frame);
            }
        });
        let data = known?.to_string();
        told(&shared);
        Some(SocketFrame::text(answer(message_id.as_deref()?, &data)))
    }
}

/// What a frame says. What cannot be decoded is kept as an unknown event, and answered, or it
/// would come again and again; `None` if it has no name to be answered by.
fn event(shared: &Shared, frame: &Frame<'_>, name: Option<&str>, payload: Bytes) -> Option<Event> {
    let reader = Reader {
        channel: &shared.info.id,
        shared: Some(shared),
        proof: Proof::Asserted,
    };
    reader.framed(frame, name, &Raw::new(payload))
}
