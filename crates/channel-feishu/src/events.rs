//! Receiving by the long connection.
//!
//! A frame is answered once its event is safe, on the socket that it came by. The socket is
//! asked for a sign of life in the way of the platform; one that says nothing is given up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
use serde_json::{Value, json};

use crate::frame::{CONTROL, DATA, Frame};
use crate::limits;
use crate::link::{ClientConfig, Door, Told, settings};
use crate::reassembly::{Added, Reassembly};
use crate::shared::Shared;
use crate::webhook::reader;
use crate::wire::{Envelope, OldPress, is_id};

/// Signs of life are news at most this often.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// How many events may be with the application; more are not answered and come again.
const MAX_OUT: usize = 4096;

/// What outlives a stream.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The number of the stream that is live.
    generation: AtomicU64,
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
    told: Arc<Told>,
    socket: Option<Arc<AckedSocket>>,
    parts: Reassembly,
    queue: VecDeque<Received>,
    last_item: Duration,
    /// When the platform last said something on the present socket; `None` without one.
    heard: Option<Duration>,
    next_ping: Duration,
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
            told: Arc::default(),
            socket: None,
            parts: Reassembly::default(),
            queue: VecDeque::new(),
            last_item: now,
            heard: None,
            next_ping: now,
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
            told: Arc::clone(&self.told),
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

    fn due_at(&self) -> Option<Duration> {
        let press = self.presses.front().map(|(at, _)| *at);
        let silent = self.heard.map(|heard| heard + self.told.pace().silence());
        let ping = self.heard.map(|_| self.next_ping);
        [press, silent, ping].into_iter().flatten().min()
    }

    fn due(&mut self, socket: &AckedSocket) {
        let now = self.shared.elapsed();
        while let Some((_, press)) = self.presses.pop_front_if(|(at, _)| *at <= now) {
            self.shared.presses.expire(&press);
        }
        // Pongs of the transport prove nothing about the platform behind it.
        let silence = self.told.pace().silence();
        if self.heard.is_some_and(|heard| now >= heard + silence) {
            self.heard = None;
            socket.with(ReconnectingSocket::reconnect);
        } else if self.heard.is_some() && now >= self.next_ping {
            self.ping(socket);
        }
    }

    fn ping(&mut self, socket: &AckedSocket) {
        let frame = Frame::ping(self.told.service()).write();
        // A socket that takes nothing is given up by its own deadlines.
        let _ = socket.with(|socket| socket.send(SocketFrame::Binary(frame)));
        self.next_ping = self.shared.elapsed() + self.told.pace().ping;
    }

    /// Hands the server's wishes to the socket.
    fn heed(&self, socket: &AckedSocket) {
        let pace = self.told.pace();
        socket.with(|socket| socket.set_waits(pace.backoff(), pace.spread()));
    }

    fn news(&mut self, news: Connection) {
        let channel = self.shared.info.id.clone();
        self.queue.push_back(Received::connection(channel, news));
    }

    fn take(&mut self, socket: &Arc<AckedSocket>, event: SocketEvent) {
        if let Some(news) = event.news() {
            self.news(news);
        }
        match event {
            SocketEvent::Opened { .. } | SocketEvent::Replaced { .. } => {
                let now = self.shared.elapsed();
                self.heard = Some(now);
                self.heed(socket);
                // The first one was sent, and answered, before it counted as open.
                self.next_ping = now + self.told.pace().ping;
            }
            SocketEvent::Lost { .. } => {
                self.heard = None;
                self.parts.clear();
            }
            SocketEvent::Frame {
                socket: id,
                frame: SocketFrame::Binary(bytes),
            } => self.frame(socket, id, bytes),
            SocketEvent::Gap { since } => {
                let now = self.shared.client.transport.clock.now();
                // Feishu repeats events that nobody answered; beyond that they are gone.
                if now
                    .duration_since(since)
                    .is_ok_and(|away| away > limits::KEPT)
                {
                    self.news(Connection::Gap {
                        since,
                        cause: "away for longer than feishu repeats events".to_owned(),
                    });
                }
            }
            SocketEvent::Ended { error } => self.failure = Some(error),
            _ => {}
        }
    }

    fn frame(&mut self, socket: &Arc<AckedSocket>, id: SocketId, bytes: Bytes) {
        let Some(frame) = Frame::read(bytes) else {
            tracing::warn!(channel = %self.shared.info.id, "a frame cannot be decoded");
            return;
        };
        let now = self.shared.elapsed();
        if self.heard.is_some() && socket.with(|socket| socket.current()) == Some(id) {
            self.heard = Some(now);
        }
        match frame.method {
            CONTROL => {
                if frame.header("type") == Some("pong")
                    && let Some(payload) = &frame.payload
                    && let Ok(said) = serde_json::from_slice::<ClientConfig>(payload)
                {
                    self.told.heed(&said);
                    self.heed(socket);
                }
                if now.saturating_sub(self.last_item) >= ALIVE_EVERY {
                    self.news(Connection::Alive);
                }
            }
            DATA => self.data(socket, id, frame, now),
            _ => {}
        }
    }

    fn data(&mut self, socket: &Arc<AckedSocket>, id: SocketId, mut frame: Frame, now: Duration) {
        let payload = match self.parts.add(&frame, now) {
            Added::Whole(payload) => payload,
            Added::Part => return,
            Added::Refused => {
                tracing::warn!(channel = %self.shared.info.id, "a part of an event was refused");
                return;
            }
        };
        frame.payload = None;
        if socket.waiting() >= MAX_OUT {
            tracing::warn!(channel = %self.shared.info.id, "too many events wait: feishu is to repeat one");
            return;
        }
        let events = events(&self.shared, &frame, payload);
        let press = match events.as_slice() {
            [event] => match &event.kind {
                EventKind::Action(action) => Some(action.id.as_str().to_owned()),
                _ => None,
            },
            _ => None,
        };
        if let Some(press) = &press {
            self.shared.presses.open(press, now);
            self.presses.push_back((now + limits::PRESS, press.clone()));
        }
        let answer = Answer {
            shared: Arc::clone(&self.shared),
            socket: Arc::downgrade(socket),
            id,
            frame,
            began: now,
        };
        let tokens = socket.begin(id, events.len(), move |is_safe| match press {
            Some(press) if is_safe => answer.press(&press),
            _ => Some(answer.frame(is_safe, None)),
        });
        for (event, token) in events.into_iter().zip(tokens) {
            let duty: Arc<dyn Acknowledge> = Arc::clone(socket) as _;
            self.queue.push_back(Received::new(event, duty, token));
        }
    }
}

/// What a frame is answered with.
struct Answer {
    shared: Arc<Shared>,
    socket: std::sync::Weak<AckedSocket>,
    id: SocketId,
    frame: Frame,
    began: Duration,
}

impl Answer {
    /// The frame again, with a code: 200 for what is safe; after 500 Feishu repeats it.
    fn frame(self, is_safe: bool, data: Option<&Value>) -> SocketFrame {
        let took = self.shared.elapsed().saturating_sub(self.began);
        let code = if is_safe { 200 } else { 500 };
        let payload = match data {
            Some(data) => json!({"code": code, "data": STANDARD.encode(data.to_string())}),
            None => json!({ "code": code }),
        };
        let answer = self
            .frame
            .into_answer(took.as_millis(), payload.to_string().into_bytes());
        SocketFrame::Binary(answer.write())
    }

    /// A press is answered with what is said about it, as soon as it is said.
    fn press(self, press: &str) -> Option<SocketFrame> {
        let shared = Arc::clone(&self.shared);
        let later = Self {
            shared: Arc::clone(&self.shared),
            socket: self.socket.clone(),
            id: self.id,
            frame: self.frame.clone(),
            began: self.began,
        };
        let known = shared.presses.settle(press, move |value| {
            if let Some(socket) = later.socket.upgrade() {
                let id = later.id;
                socket.send_on(id, later.frame(true, Some(&value)));
            }
        });
        known.map(|value| self.frame(true, Some(&value)))
    }
}

/// What a payload says; the same as the body of a request would. What cannot be decoded is
/// kept as an unknown event, and answered, or it would come again and again.
fn events(shared: &Shared, frame: &Frame, payload: Bytes) -> Vec<Event> {
    let proof = Proof::Asserted;
    let raw = Raw::new(payload);
    let name = frame.header("type").unwrap_or_default();
    let delivery = frame.header("message_id").filter(|id| is_id(id));
    let id = format!("frame:{}", delivery.unwrap_or_default());
    let read = || {
        let text = std::str::from_utf8(raw.as_slice()).ok()?;
        let envelope: Option<Envelope<'_>> = serde_json::from_str(text).ok();
        let events =
            envelope.and_then(|it| reader(shared, proof, |reader| reader.events(&it, &raw)));
        if events.is_some() || name != "card" {
            return events;
        }
        let press: OldPress = serde_json::from_str(text).ok()?;
        let event = reader(shared, proof, |reader| reader.old_press(press, &id, &raw));
        event.map(|event| vec![event])
    };
    read().unwrap_or_else(|| {
        tracing::warn!(channel = %shared.info.id, "an event cannot be decoded");
        vec![reader(shared, proof, |reader| {
            reader.unknown(&id, name, &raw)
        })]
    })
}
