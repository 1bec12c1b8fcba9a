//! Receiving by Socket Mode (<https://docs.slack.dev/apis/events-api/using-socket-mode/>).
//!
//! An envelope is acknowledged once its event is safe, on the socket that it came by. Slack
//! announces the end of a socket; the next one is open before the old one closes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Acknowledge, Connection, Error, ErrorKind, Event, EventId, EventKind, Frame, Proof, Raw,
    Received, Result, SocketRequest, Unknown, async_trait, timeout,
};
use channel_http::reconnect::{
    AckedSocket, Dial, Dialed, ReconnectSettings, ReconnectingSocket, Retired, SocketEvent,
    SocketId,
};
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::asked::{self, Interacted, Outcome, Question};
use crate::client::{Credentials, Method, Payload};
use crate::shared::Shared;
use crate::webhook::reader;
use crate::wire::{Envelope, Interaction, Loose, Str};
use crate::{PLATFORM, command, limits};

/// Slack ends a socket after some five hours (`approximate_connection_time`, 18,060 s) and
/// says so before; this is for when it does not.
const LIFETIME: Duration = Duration::from_secs(16_200);
/// Heartbeats are news at most this often.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// The most questions that the application is asked at once.
const MAX_ASKED: usize = 256;
/// The most frames that may come before the welcome.
const EARLY_FRAMES: usize = 64;

/// A frame of Slack's.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    envelope_id: Option<Str<'a>>,
    #[serde(borrow)]
    reason: Option<Str<'a>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    accepts_response_payload: Option<bool>,
}

/// What outlives a stream.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The number of the stream that is live.
    generation: AtomicU64,
    /// The socket of a stream that was dropped, with acknowledgements still to be sent.
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

/// What came of a question, and the envelope that asked it.
struct Answered {
    socket: SocketId,
    envelope: String,
    outcome: Outcome,
}

/// What a stream waits for.
enum News {
    Answered(Answered),
    Socket(Option<SocketEvent>),
}

/// The state of one stream.
struct Line {
    shared: Arc<Shared>,
    generation: u64,
    wires: Option<Arc<AckedSocket>>,
    queue: VecDeque<Received>,
    /// Questions to the application, which keep nothing else waiting.
    asked: FuturesUnordered<BoxFuture<'static, Answered>>,
    last_item: Duration,
    failure: Option<Error>,
    ended: bool,
}

/// The socket is kept for its acknowledgements.
impl Drop for Line {
    fn drop(&mut self) {
        if self.is_current()
            && let Some(socket) = self.wires.take()
        {
            self.shared.link.retired.keep(socket);
        }
    }
}

impl Line {
    fn new(shared: Arc<Shared>) -> Self {
        let generation = shared.link.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let last_item = shared.elapsed();
        Self {
            shared,
            generation,
            wires: None,
            queue: VecDeque::new(),
            asked: FuturesUnordered::new(),
            last_item,
            failure: None,
            ended: false,
        }
    }

    fn is_current(&self) -> bool {
        self.shared.link.generation.load(Ordering::Acquire) == self.generation
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
            let Some(wires) = &self.wires else {
                close(&self.shared).await;
                self.wires = Some(open(&self.shared));
                continue;
            };
            let asked = &mut self.asked;
            let news = poll_fn(|cx| match asked.poll_next_unpin(cx) {
                Poll::Ready(Some(answered)) => Poll::Ready(News::Answered(answered)),
                _ => wires.poll(cx).map(News::Socket),
            });
            match news.await {
                News::Answered(it) => self.settle(it.socket, &it.envelope, it.outcome),
                News::Socket(Some(event)) => self.take(event),
                News::Socket(None) => self.ended = true,
            }
        }
    }

    fn news(&mut self, news: Connection) {
        let channel = self.shared.info.id.clone();
        self.queue.push_back(Received::connection(channel, news));
    }

    fn take(&mut self, event: SocketEvent) {
        if let Some(news) = event.news() {
            self.news(news);
        }
        match event {
            SocketEvent::Frame { socket, frame } => self.frame(socket, frame),
            SocketEvent::Gap { since } => {
                let now = self.shared.client.transport.clock.now();
                // Slack repeats events that nobody took; beyond that they are gone.
                if now
                    .duration_since(since)
                    .is_ok_and(|away| away > limits::KEPT)
                {
                    self.news(Connection::Gap {
                        since,
                        cause: "away for longer than slack repeats events".to_owned(),
                    });
                }
            }
            SocketEvent::Ended { error } => self.failure = Some(error),
            _ => {}
        }
    }

    fn frame(&mut self, socket: SocketId, frame: Frame) {
        let Frame::Text(bytes) = frame else {
            let quiet = self.shared.elapsed().saturating_sub(self.last_item);
            if matches!(frame, Frame::Ping(_) | Frame::Pong(_)) && quiet >= ALIVE_EVERY {
                self.news(Connection::Alive);
            }
            return;
        };
        let text = std::str::from_utf8(&bytes).ok();
        let Some(wire) = text.and_then(|text| serde_json::from_str::<Wire<'_>>(text).ok()) else {
            tracing::warn!(channel = %self.shared.info.id, "a frame cannot be decoded");
            return;
        };
        match (&*wire.kind, &wire.envelope_id) {
            ("disconnect", _) => self.disconnect(socket, wire.reason.as_deref()),
            (_, Some(envelope)) if is_envelope(envelope) => {
                let payload = wire
                    .payload
                    .map(|raw| bytes.slice_ref(raw.get().as_bytes()));
                let payload = payload.unwrap_or_default();
                // Slack says so where it takes no answer with the acknowledgement.
                let is_asking = wire.accepts_response_payload != Some(false);
                self.envelope(socket, &wire.kind, envelope, payload, is_asking);
            }
            _ => {}
        }
    }

    fn disconnect(&mut self, socket: SocketId, reason: Option<&str>) {
        let Some(wires) = &self.wires else {
            return;
        };
        if reason == Some("link_disabled") {
            wires.with(ReconnectingSocket::close);
            let message = "socket mode is switched off for the app";
            self.failure = Some(Error::config(message).on(PLATFORM, "receive"));
            return;
        }
        wires.with(|wires| {
            if wires.current() == Some(socket) {
                wires.replace();
            }
        });
    }

    fn envelope(
        &mut self,
        socket: SocketId,
        kind: &str,
        envelope: &str,
        payload: Bytes,
        is_asking: bool,
    ) {
        let read = read(&self.shared, kind, &payload).unwrap_or_else(|| {
            tracing::warn!(channel = %self.shared.info.id, "an envelope cannot be decoded");
            let id = EventId::from(format!("socket:{envelope}"));
            let unknown = EventKind::Unknown(Box::new(Unknown::new(kind, Raw::new(payload))));
            let event = Event::new(id, self.shared.info.id.clone(), unknown);
            Interacted::Settled(Outcome::of(vec![event]))
        });
        match read {
            Interacted::Asked(question) if is_asking && self.asked.len() < MAX_ASKED => {
                self.ask(socket, envelope, question);
            }
            Interacted::Settled(outcome)
            | Interacted::Asked(Question {
                otherwise: outcome, ..
            }) => {
                let payload = outcome.payload.filter(|_| is_asking);
                let outcome = Outcome { payload, ..outcome };
                self.settle(socket, envelope, outcome);
            }
        }
    }

    /// Lets the application think, for as long as Slack can wait.
    fn ask(&mut self, socket: SocketId, envelope: &str, question: Question) {
        let Question { answer, otherwise } = question;
        let clock = Arc::clone(&self.shared.client.transport.clock);
        let (channel, envelope) = (self.shared.info.id.clone(), envelope.to_owned());
        let answered = async move {
            let answer = timeout(&*clock, limits::ANSWER_WITHIN, answer).await;
            let outcome = answer.unwrap_or_else(|_| {
                tracing::warn!(channel = %channel, "the application did not answer in time");
                otherwise
            });
            Answered {
                socket,
                envelope,
                outcome,
            }
        };
        self.asked.push(answered.boxed());
    }

    /// Hands the events of an envelope on; it is acknowledged when they are safe.
    fn settle(&mut self, socket: SocketId, envelope: &str, outcome: Outcome) {
        let Some(wires) = &self.wires else {
            return;
        };
        let Outcome { events, payload } = outcome;
        let frame = acknowledgement(envelope, payload);
        if events.is_empty() {
            wires.send_on(socket, Frame::text(frame.to_string()));
            return;
        }
        // Slack delivers again what is not acknowledged.
        let tokens = wires.begin(socket, events.len(), move |is_safe| {
            is_safe.then(|| Frame::text(frame.to_string()))
        });
        for (event, token) in events.into_iter().zip(tokens) {
            let duty: Arc<dyn Acknowledge> = Arc::clone(wires) as _;
            self.queue.push_back(Received::new(event, duty, token));
        }
    }
}

/// The acknowledgement of an envelope
/// (<https://docs.slack.dev/apis/events-api/using-socket-mode/#acknowledge>).
fn acknowledgement(envelope: &str, payload: Option<serde_json::Value>) -> serde_json::Value {
    match payload {
        Some(payload) => serde_json::json!({ "envelope_id": envelope, "payload": payload }),
        None => serde_json::json!({ "envelope_id": envelope }),
    }
}

fn is_envelope(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// What a payload says; the same as the body of a request would.
fn read(shared: &Shared, kind: &str, payload: &Bytes) -> Option<Interacted> {
    let proof = Proof::Asserted;
    let raw = Raw::new(payload.clone());
    let text = std::str::from_utf8(payload).ok()?;
    let now = shared.client.transport.clock.now();
    let event = match kind {
        "events_api" => match serde_json::from_str::<Envelope<'_>>(text) {
            Ok(envelope) => reader(shared, proof, envelope.workspace(), |reader| {
                reader.event(&envelope, raw)
            }),
            Err(_) => {
                let loose: Loose<'_> = serde_json::from_str(text).ok()?;
                reader(shared, proof, loose.team_id.as_deref(), |reader| {
                    reader.loose(&loose, raw)
                })
            }
        },
        "slash_commands" => {
            use command::Fields as _;
            let fields: command::Command<'_> = serde_json::from_str(text).ok()?;
            reader(shared, proof, fields.field("team_id"), |reader| {
                command::event(reader, &fields, raw, now)
            })
        }
        "interactive" => {
            let wire: Interaction<'_> = serde_json::from_str(text).ok()?;
            return asked::read(shared, &wire, &raw, proof, now);
        }
        _ => None,
    };
    Some(Interacted::Settled(Outcome::of(vec![event?])))
}

fn open(shared: &Arc<Shared>) -> Arc<AckedSocket> {
    let door = Door {
        shared: Arc::clone(shared),
    };
    let settings = ReconnectSettings::new().lifetime(LIFETIME);
    let transport = &shared.client.transport;
    let socket = ReconnectingSocket::new(Arc::new(door), transport, settings);
    Arc::new(AckedSocket::new(socket))
}

/// Opens sockets: each address is good once.
#[derive(Debug)]
struct Door {
    shared: Arc<Shared>,
}

#[derive(Deserialize)]
struct Address {
    url: String,
}

#[async_trait]
impl Dial for Door {
    async fn dial(&self) -> Result<Dialed> {
        let shared = &self.shared;
        // Without its own id the bot cannot tell when it is mentioned.
        if !shared.is_many() && shared.me(None).is_none() {
            shared.identify(None).await?;
        }
        let method = Method::OpenConnection;
        let missing = || Error::config("app_token is missing").on(PLATFORM, method.operation());
        let token = shared.config.app_token.as_ref().ok_or_else(missing)?;
        let address: Address = shared
            .client
            .call(method, Credentials::Token(token), Payload::form(&[]))
            .await
            .map_err(|failure| failure.into_error(method))?;
        let wrong =
            |message| Error::new(ErrorKind::Protocol, message).on(PLATFORM, method.operation());
        let is_socket = address.url.starts_with("wss://")
            || (address.url.starts_with("ws://") && shared.client.base.starts_with("http://"));
        let request = http::Request::get(&address.url)
            .body(())
            .ok()
            .filter(|_| is_socket);
        let request = request.ok_or_else(|| wrong("the address is not one of a socket"))?;
        let connect = transport_of(shared).connect(SocketRequest::new(request));
        let mut socket = connect.await?;
        let mut early = Vec::new();
        while let Some(frame) = socket.next().await {
            let frame = frame?;
            match welcome(&frame) {
                Some(true) => return Ok(Dialed::new(socket).with_frames(early)),
                Some(false) => break,
                None if early.len() < EARLY_FRAMES => early.push(frame),
                None => break,
            }
        }
        Err(
            Error::new(ErrorKind::Unavailable, "slack does not welcome the socket")
                .on(PLATFORM, method.operation()),
        )
    }
}

fn transport_of(shared: &Shared) -> &dyn channel_core::SocketConnector {
    &*shared.client.transport.sockets
}

/// Whether a frame is the welcome, or the farewell.
fn welcome(frame: &Frame) -> Option<bool> {
    let text = match frame {
        Frame::Text(bytes) => std::str::from_utf8(bytes).ok()?,
        Frame::Close(_) => return Some(false),
        _ => return None,
    };
    let wire: Wire<'_> = serde_json::from_str(text).ok()?;
    match &*wire.kind {
        "hello" => Some(true),
        "disconnect" => Some(false),
        _ => None,
    }
}
