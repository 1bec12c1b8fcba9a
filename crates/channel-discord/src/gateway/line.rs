//! One shard: the frames of its socket as events.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    Acknowledge, Backoff, Connection, Error, Event, EventId, EventKind, Frame, Proof, Raw,
    Received, Result,
};
use channel_http::reconnect::{ReconnectSettings, ReconnectingSocket, SocketEvent, SocketId};
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;

use super::acks::Acks;
use super::close::{Verdict, verdict};
use super::cursor::is_word;
use super::door::{Door, beat};
use super::kinds::Kind;
use super::proof::{self, Due, Evidence};
use super::shard::Shard;
use crate::deferral::Way;
use crate::inbound::Reader;
use crate::shared::Shared;
use crate::wire::{self, Id, Str, careful, front, head};
use crate::{deferral, interaction, limits};

/// The wait after a loss, as it is announced; the socket spreads it.
const SOON: Duration = Duration::from_secs(1);
/// How long a refused event waits before it is handed out again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How soon the bot is back after the end of whatever kept it away, and the longest wait between
/// attempts.
const BACK: Duration = Duration::from_secs(30);
/// How long opening may take, from the address to the first event; half of it may be the wait of a
/// shard for its turn.
const OPEN: Duration = Duration::from_secs(22);
/// A close that ends no session (<https://docs.discord.com/developers/events/gateway#disconnecting>).
const KEEP_SESSION: u16 = 4000;
/// How many servers are known to have been there at the start.
const MAX_GUILDS: usize = 100_000;

/// The state of one stream of one shard.
pub(crate) struct Line {
    shared: Arc<Shared>,
    generation: u64,
    shard: Arc<Shard>,
    socket: ReconnectingSocket,
    acks: Option<Arc<Acks>>,
    /// The cursor up to the position of an event.
    head: String,
    session: Arc<str>,
    me: Option<Arc<str>>,
    guilds: HashSet<Box<str>>,
    proof: Evidence,
    queue: VecDeque<Received>,
    /// Interactions that Discord has to be told of in time.
    deferrals: FuturesUnordered<BoxFuture<'static, ()>>,
    /// When refused events are handed out again.
    again: Option<BoxFuture<'static, ()>>,
    failure: Option<Error>,
    ended: bool,
}

/// <https://docs.discord.com/developers/events/gateway-events#ready>
#[derive(Deserialize)]
struct Ready<'a> {
    #[serde(borrow)]
    session_id: Str<'a>,
    #[serde(borrow)]
    resume_gateway_url: Str<'a>,
    #[serde(borrow)]
    user: wire::User<'a>,
    #[serde(borrow)]
    application: Option<Named<'a>>,
    #[serde(borrow, default)]
    guilds: Vec<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(default)]
    unavailable: Option<bool>,
}

impl Line {
    pub(crate) fn new(shared: Arc<Shared>, index: u32, generation: u64) -> Self {
        let shard = shared.link.shard(index);
        shard.reopen(&shared);
        let door = Door {
            shared: Arc::clone(&shared),
            shard: Arc::clone(&shard),
        };
        let settings = ReconnectSettings::new()
            .heartbeat(None)
            .close_code(KEEP_SESSION)
            .open_timeout(OPEN)
            .back_within(BACK)
            .backoff(Backoff::new(Duration::from_millis(500), BACK));
        let socket = ReconnectingSocket::new(Arc::new(door), &shared.client.transport, settings);
        let mut line = Self {
            acks: shard.acks(),
            shared,
            generation,
            shard,
            socket,
            head: String::new(),
            session: Arc::from(""),
            me: None,
            guilds: HashSet::new(),
            proof: Evidence::default(),
            queue: VecDeque::new(),
            deferrals: FuturesUnordered::new(),
            again: None,
            failure: None,
            ended: false,
        };
        line.learn(None);
        line
    }

    /// Notes that nothing was missed up to now.
    fn well(&mut self) {
        let now = self.shared.client.transport.clock.now();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.learn(Some(now));
    }

    fn learn(&mut self, at: Option<u64>) {
        if let Some((head, session)) = self.shard.well(at) {
            self.head = head;
            self.session = session;
        }
    }

    fn news(&mut self, news: Connection) {
        let channel = self.shared.info.id.clone();
        self.queue.push_back(Received::connection(channel, news));
    }

    fn take(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::Frame { socket, frame } => self.frame(socket, frame),
            SocketEvent::Opened { .. } => self.opened(),
            SocketEvent::Replaced { .. } => {
                self.prove(true);
                self.news(Connection::Alive);
            }
            SocketEvent::Lost { cause, .. } => {
                self.prove(false);
                self.news(Connection::Lost {
                    cause: cause.as_str().to_owned(),
                    retry_in: SOON,
                });
            }
            SocketEvent::Failed {
                cause,
                error,
                retry_in,
            } => {
                let kind = error.as_ref().map(|error| error.kind().as_str());
                self.news(Connection::Lost {
                    cause: kind.unwrap_or(cause.as_str()).to_owned(),
                    retry_in,
                });
            }
            SocketEvent::Gap { since } => self.shard.missed(since),
            SocketEvent::Ended { error } => self.failure = Some(error),
            _ => {}
        }
    }

    fn opened(&mut self) {
        self.me = self.shared.me();
        self.prove(true);
        self.news(Connection::Ready);
    }

    fn prove(&mut self, is_open: bool) {
        let clock = &*self.shared.client.transport.clock;
        self.proof.begin(is_open, clock);
    }

    /// An event of this name has come.
    fn proves(&mut self, name: &str) {
        self.proof.heard = true;
        if self.proof.asked && name == proof::ANSWER {
            self.shared.link.proves.store(true, Ordering::Relaxed);
        }
    }

    /// Sees to it that events come; says whether there is something to do about it.
    fn poll_proof(&mut self, cx: &mut Context<'_>) -> bool {
        let clock = &*self.shared.client.transport.clock;
        let Poll::Ready(due) = self.proof.poll(cx, clock) else {
            return false;
        };
        let guild = self.guilds.iter().next();
        match (due, guild, self.me.as_deref()) {
            (Due::Ask, Some(guild), Some(me)) => {
                // A socket that takes nothing is given up by its own deadlines.
                let _ = self.socket.send(proof::question(guild, me));
            }
            (Due::Deaf, Some(_), _) if self.shared.link.proves.load(Ordering::Relaxed) => {
                self.shard.missed(proof::heard_before(clock.now()));
                self.socket.reconnect();
            }
            // There is nowhere to ask, or Discord does not answer so.
            _ => {}
        }
        true
    }

    fn frame(&mut self, socket: SocketId, frame: Frame) {
        // What the old socket still says the new one repeats, and its end is not the session's.
        if self.socket.current() != Some(socket) {
            return;
        }
        let bytes = match frame {
            Frame::Text(bytes) => bytes,
            Frame::Close(close) => {
                self.closed(close.map(|close| close.code));
                return;
            }
            _ => return,
        };
        if front(&bytes).is_some_and(|begun| self.passes_over(&begun)) {
            return;
        }
        let Some(read) = std::str::from_utf8(&bytes).ok().and_then(head) else {
            tracing::warn!(channel = %self.shared.info.id, "a frame cannot be decoded");
            return;
        };
        match read.op {
            0 => {
                self.proves(read.name);
                self.dispatch(&read, &bytes);
            }
            1 => {
                // Nothing can be done about a frame that does not fit.
                let _ = self.socket.send_on(socket, beat(self.shard.last()));
            }
            7 => self.socket.reconnect(),
            9 => {
                if read.data != "true" {
                    self.shard.forget("discord knows the session no more");
                    self.acks = None;
                }
                self.socket.reconnect();
            }
            11 => {
                self.socket.answered(socket);
                self.well();
                self.news(Connection::Alive);
            }
            _ => {}
        }
    }

    fn closed(&mut self, code: Option<u16>) {
        match verdict(code, self.shared.config.intents) {
            Verdict::Resume => {}
            Verdict::Anew => {
                self.shard.forget("discord has ended the session");
                self.acks = None;
            }
            Verdict::Fatal(error) => {
                self.socket.close();
                self.failure = Some(error);
            }
        }
    }

    /// Whether this is an event that nobody wants. Most are, in large servers: of those no
    /// more is looked at.
    fn passes_over(&mut self, begun: &wire::Frame<'_>) -> bool {
        let (0, Some(seq)) = (begun.op, begun.seq) else {
            return false;
        };
        self.proves(begun.name);
        let is_unwanted = Kind::of(begun.name) == Kind::Ignored && !self.is_asked_for(begun.name);
        if is_unwanted && self.acks.as_ref().is_some_and(|acks| acks.read(seq)) {
            self.shared.ignore();
        }
        is_unwanted
    }

    fn is_asked_for(&self, name: &str) -> bool {
        let asked_for = &self.shared.config.raw_events;
        asked_for.iter().any(|it| it == name)
    }

    fn dispatch(&mut self, read: &wire::Frame<'_>, bytes: &Bytes) {
        let Some(seq) = read.seq else {
            tracing::warn!(channel = %self.shared.info.id, "an event has no number");
            return;
        };
        let kind = Kind::of(read.name);
        if kind == Kind::Ready {
            self.ready(read.data, seq);
            return;
        }
        let Some(acks) = &self.acks else {
            return;
        };
        // A resumed session repeats what was on the way.
        if !acks.read(seq) {
            return;
        }
        match kind {
            Kind::Resumed => {
                let now = self.shared.client.transport.clock.now();
                self.shard.gap(now);
                self.well();
            }
            Kind::Ignored if !self.is_asked_for(read.name) => self.shared.ignore(),
            _ => self.hand_out(kind, read, seq, bytes),
        }
    }

    fn ready(&mut self, data: &str, seq: u64) {
        let ready = serde_json::from_str::<Ready<'_>>(data)
            .ok()
            .filter(|ready| {
                is_word(&ready.session_id)
                    && is_word(&ready.resume_gateway_url)
                    && ready.user.id.is_one()
            });
        let Some(ready) = ready else {
            tracing::warn!(channel = %self.shared.info.id, "the greeting of the gateway cannot be decoded");
            self.socket.reconnect();
            return;
        };
        let shared = &self.shared;
        shared.is_me(&ready.user.id);
        if let Some(application) = ready.application.filter(|it| it.id.is_one()) {
            shared.is_application(&application.id);
        }
        let of = shared.link.gate.shards().unwrap_or(1);
        let now = shared.client.transport.clock.now();
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.shard
            .begin(shared, &ready.session_id, &ready.resume_gateway_url, of, at);
        self.me = shared.me();
        self.acks = self.shard.acks();
        if let Some(acks) = &self.acks {
            acks.read(seq);
        }
        let guilds = ready.guilds.iter().take(MAX_GUILDS);
        self.guilds = guilds.map(|guild| Box::from(&*guild.id)).collect();
        self.well();
        if let Some((since, cause)) = self.shard.gap(now) {
            let cause = cause.to_owned();
            self.news(Connection::Gap { since, cause });
        }
    }

    fn hand_out(&mut self, kind: Kind, read: &wire::Frame<'_>, seq: u64, bytes: &Bytes) {
        let mut raw = Raw::new(bytes.slice_ref(read.data.as_bytes()));
        let mut interaction = None;
        let mut made = self.event(kind, read, seq, &raw, &mut interaction);
        if made.is_err()
            && let Some(again) = std::str::from_utf8(bytes).ok().and_then(careful)
            && again.data != read.data
        {
            // Something followed the payload that nobody knows yet.
            raw = Raw::new(bytes.slice_ref(again.data.as_bytes()));
            made = self.event(kind, &again, seq, &raw, &mut interaction);
        }
        let event = match made {
            Ok(Some(event)) => event,
            Ok(None) => {
                self.shared.ignore();
                return;
            }
            Err(Unreadable) => {
                tracing::warn!(channel = %self.shared.info.id, "an event cannot be decoded");
                self.reader().unknown(self.numbered(seq), read.name, raw)
            }
        };
        let Some(acks) = &self.acks else {
            return;
        };
        acks.hand_out(seq, bytes.clone(), interaction);
        let duty: Arc<dyn Acknowledge> = Arc::clone(acks) as _;
        let received = Received::new(event, duty, seq).with_cursor(self.cursor(seq));
        self.queue.push_back(received);
    }

    /// Where another process goes on after this event.
    fn cursor(&self, seq: u64) -> String {
        let mut text = String::with_capacity(self.head.len() + 21);
        text.push_str(&self.head);
        push_number(&mut text, seq);
        if self.shared.link.gate.shards().is_some_and(|of| of > 1) {
            text.push('\n');
            text.push_str(&self.shared.link.others(self.shard.index));
        }
        text
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            channel: &self.shared.info.id,
            me: self.me.as_deref(),
            proof: Proof::Asserted,
        }
    }

    /// The id of an event that has none of its own.
    fn numbered(&self, seq: u64) -> EventId {
        EventId::from(format!("{}:{seq}", self.session))
    }

    /// Reads an event; none if it is of no interest.
    fn event(
        &mut self,
        kind: Kind,
        read: &wire::Frame<'_>,
        seq: u64,
        raw: &Raw,
        interaction: &mut Option<Box<str>>,
    ) -> Result<Option<Event>, Unreadable> {
        let data = read.data;
        Ok(match kind {
            Kind::MessageCreate => {
                let wire: wire::Message<'_> = parse(data)?;
                let reader = self.reader();
                if reader.is_own(&wire) {
                    return Ok(None);
                }
                let message = reader.message(&wire, raw);
                message.map(|message| {
                    let id = EventId::new(message.id.as_str());
                    reader.event(id, EventKind::Message(Box::new(message)))
                })
            }
            Kind::MessageUpdate => {
                let wire: wire::Message<'_> = parse(data)?;
                let reader = self.reader();
                if reader.is_own(&wire) {
                    return Ok(None);
                }
                reader.edited(&wire, raw)
            }
            Kind::MessageDelete => {
                let wire = parse(data)?;
                Some(
                    self.reader()
                        .deleted(&wire, raw.clone())
                        .ok_or(Unreadable)?,
                )
            }
            Kind::MessageDeleteBulk => {
                let wire = parse(data)?;
                let deleted = self
                    .reader()
                    .deleted_many(self.numbered(seq), &wire, raw.clone());
                Some(deleted.ok_or(Unreadable)?)
            }
            Kind::ReactionAdd | Kind::ReactionRemove => {
                let wire = parse(data)?;
                let added = kind == Kind::ReactionAdd;
                let id = self.numbered(seq);
                let reaction = self.reader().reaction(id, &wire, added, raw.clone());
                Some(reaction.ok_or(Unreadable)?)
            }
            Kind::Interaction => {
                let wire: wire::Interaction<'_> = parse(data)?;
                let now = self.shared.client.transport.clock.now();
                let event = interaction::event(self.reader(), &wire, raw.clone(), now);
                let event = event.ok_or(Unreadable)?;
                *interaction = Some(Box::from(&*wire.id));
                self.defer(&wire);
                Some(event)
            }
            Kind::GuildCreate => {
                let guild: Named<'_> = parse(data)?;
                let is_new =
                    self.guilds.len() < MAX_GUILDS && self.guilds.insert((*guild.id).into());
                let id = self.numbered(seq);
                (is_new && guild.unavailable != Some(true))
                    .then(|| self.reader().unknown(id, read.name, raw.clone()))
            }
            Kind::GuildDelete => {
                let guild: Named<'_> = parse(data)?;
                if guild.unavailable == Some(true) {
                    return Ok(None);
                }
                self.guilds.remove(&*guild.id);
                let id = self.numbered(seq);
                Some(self.reader().unknown(id, read.name, raw.clone()))
            }
            Kind::Ignored | Kind::Unknown | Kind::Ready | Kind::Resumed => {
                // Nobody else looks at what it holds.
                parse::<serde::de::IgnoredAny>(data)?;
                let id = self.numbered(seq);
                Some(self.reader().unknown(id, read.name, raw.clone()))
            }
        })
    }

    /// Sees to it that Discord hears in time that an interaction has arrived.
    fn defer(&self, wire: &wire::Interaction<'_>) {
        let deferral = interaction::deferral(wire, self.shared.config.ephemeral_commands);
        let way = Way::Call(wire.token.to_string());
        self.shared.deferrals.begin(&wire.id, way, deferral);
        let shared = Arc::clone(&self.shared);
        let id = wire.id.to_string();
        self.deferrals.push(Box::pin(async move {
            let clock = &shared.client.transport.clock;
            clock.sleep(limits::DEFER_AFTER).await;
            if let Err(error) = deferral::ensure(&shared, &id).await {
                tracing::warn!(channel = %shared.info.id, %error, "an interaction was not answered in time");
            }
        }));
    }

    /// Hands refused events out again, after a while.
    fn poll_again(&mut self, cx: &mut Context<'_>) {
        let Some(acks) = self.acks.clone() else {
            return;
        };
        acks.register(cx.waker());
        let waited = match &mut self.again {
            Some(sleep) => sleep.as_mut().poll(cx).is_ready(),
            None if acks.has_again() => {
                let clock = &self.shared.client.transport.clock;
                let mut sleep = clock.sleep(AGAIN_AFTER);
                let waited = sleep.as_mut().poll(cx).is_ready();
                self.again = Some(sleep);
                waited
            }
            None => false,
        };
        if !waited {
            return;
        }
        self.again = None;
        while let Some((seq, bytes)) = acks.again() {
            if let Some(read) = std::str::from_utf8(&bytes).ok().and_then(head) {
                self.hand_out(Kind::of(read.name), &read, seq, &bytes);
            }
        }
    }
}

/// A payload is not what the documentation says.
struct Unreadable;

fn parse<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(data).map_err(|_| Unreadable)
}

fn push_number(out: &mut String, number: u64) {
    use std::fmt::Write as _;
    // Writing into a text cannot fail.
    let _ = write!(out, "{number}");
}

impl Stream for Line {
    type Item = Result<Received>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.ended || this.shared.link.generation() != this.generation {
                return Poll::Ready(None);
            }
            if let Some(received) = this.queue.pop_front() {
                return Poll::Ready(Some(Ok(received)));
            }
            if let Some(error) = this.failure.take() {
                this.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            match this.socket.poll_next_unpin(cx) {
                Poll::Ready(Some(event)) => this.take(event),
                Poll::Ready(None) => this.ended = true,
                Poll::Pending => {
                    while let Poll::Ready(Some(())) = this.deferrals.poll_next_unpin(cx) {}
                    this.poll_again(cx);
                    // What it has to write, the socket writes when it is polled.
                    if !this.poll_proof(cx) && this.queue.is_empty() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}
