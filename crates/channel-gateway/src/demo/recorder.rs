//! The log book: one trace per event, from the wire to the reply.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    ChannelId, ChatId, Clock, Error, Event, EventKind, MessageId, OutboundMessage, Raw,
    UploadSource, Verdict,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::wire::{Exchange, Text, milliseconds};

/// Traces kept; the oldest go first.
const TRACES: usize = 300;
/// Calls shown in one trace; a long stream makes many.
const CALLS: usize = 24;
/// Polls that brought something, kept until their events are judged.
const POLLS: usize = 64;
/// Files of the bot that can be downloaded.
const FILES: usize = 32;

/// Locks a mutex; nothing here panics while it holds one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way of one event.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trace {
    pub(crate) number: u64,
    pub(crate) channel: ChannelId,
    pub(crate) chat: Option<ChatId>,
    pub(crate) sender: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) message: Option<MessageId>,
    /// The request that brought it, where the channel asks by HTTP.
    pub(crate) inbound: Option<Exchange>,
    /// The platform's own payload.
    pub(crate) native: Text,
    /// The event, without the payload.
    pub(crate) event: Value,
    pub(crate) verdict: Judged,
    pub(crate) calls: Vec<Call>,
    /// Calls that are not shown.
    pub(crate) more_calls: usize,
    pub(crate) done: Option<Done>,
    #[serde(skip)]
    began: Duration,
    #[serde(skip)]
    revision: u64,
}

/// What the policy said.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Judged {
    pub(crate) allowed: bool,
    /// Whether the sender was told something instead.
    pub(crate) answered: bool,
    pub(crate) reason: &'static str,
    /// Milliseconds after the event had arrived.
    pub(crate) at_ms: f64,
}

/// One call on the channel.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    /// Milliseconds after the event had arrived.
    pub(crate) at_ms: f64,
    pub(crate) took_ms: f64,
    /// What the bot asked the channel for.
    pub(crate) asked: Value,
    /// The messages that came of it.
    pub(crate) messages: Vec<MessageId>,
    pub(crate) error: Option<String>,
    pub(crate) exchanges: Vec<Exchange>,
}

/// How the handler ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Done {
    pub(crate) error: Option<String>,
    pub(crate) at_ms: f64,
}

type Place = (ChannelId, ChatId);

#[derive(Debug, Default)]
struct Book {
    revision: u64,
    last: u64,
    traces: VecDeque<Trace>,
    /// The trace that calls into a chat belong to: a chat is handled in order.
    current: HashMap<Place, u64>,
    polls: VecDeque<Exchange>,
    files: VecDeque<((ChannelId, MessageId), Bytes)>,
    states: BTreeMap<ChannelId, (u64, String)>,
}

/// What has changed.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) revision: u64,
    pub(crate) traces: Vec<Trace>,
    pub(crate) states: Vec<(ChannelId, String)>,
}

/// Shared by everything that has something to write down.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    clock: Arc<dyn Clock>,
    book: Arc<Mutex<Book>>,
    changed: watch::Sender<u64>,
}

impl Recorder {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            book: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    fn write<R>(&self, work: impl FnOnce(&mut Book, Duration) -> R) -> R {
        let now = self.clock.elapsed();
        let mut book = lock(&self.book);
        book.revision += 1;
        let result = work(&mut book, now);
        let revision = book.revision;
        drop(book);
        self.changed.send_replace(revision);
        result
    }

    /// Waits until there is something newer than `revision`.
    pub(crate) async fn since(&self, revision: u64) -> News {
        let mut changed = self.changed.subscribe();
        // The sender lives as long as `self`.
        let _ = changed.wait_for(|now| *now > revision).await;
        let book = lock(&self.book);
        let is_new = |trace: &&Trace| trace.revision > revision;
        News {
            revision: book.revision,
            traces: book.traces.iter().filter(is_new).cloned().collect(),
            states: book
                .states
                .iter()
                .filter(|(_, (since, _))| *since > revision)
                .map(|(channel, (_, state))| (channel.clone(), state.clone()))
                .collect(),
        }
    }

    /// Waits for a trace.
    pub(crate) async fn wait_for(&self, found: impl Fn(&Trace) -> bool) -> Trace {
        let mut revision = 0;
        loop {
            let news = self.since(revision).await;
            if let Some(trace) = news.traces.into_iter().find(|trace| found(trace)) {
                return trace;
            }
            revision = news.revision;
        }
    }

    /// The number of the last trace.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.book).last
    }

    /// A poll has been answered.
    pub(crate) fn polled(&self, exchange: Exchange) {
        let mut book = lock(&self.book);
        let brings_news = exchange
            .response_bytes
            .windows(11)
            .any(|window| window == b"\"update_id\"");
        let is_repetition = book
            .polls
            .back()
            .is_some_and(|last| last.response_bytes == exchange.response_bytes);
        if !brings_news || is_repetition {
            return;
        }
        if book.polls.len() >= POLLS {
            book.polls.pop_front();
        }
        book.polls.push_back(exchange);
    }

    /// A policy has judged an event; a trace begins.
    pub(crate) fn judged(&self, event: &Event, verdict: &Verdict) {
        let place = event
            .conversation()
            .map(|conversation| (event.channel.clone(), conversation.chat));
        let raw = raw_of(&event.kind).cloned().unwrap_or_default();
        self.write(|book, now| {
            book.last += 1;
            let number = book.last;
            let inbound = book
                .polls
                .iter()
                .find(|poll| contains(&poll.response_bytes, raw.as_slice()))
                .cloned();
            let began = inbound.as_ref().map_or(now, |poll| poll.ended);
            if let Some(place) = &place {
                book.current.insert(place.clone(), number);
            }
            if book.traces.len() >= TRACES
                && let Some(old) = book.traces.pop_front()
            {
                book.current.retain(|_, current| *current != old.number);
            }
            book.traces.push_back(Trace {
                number,
                channel: event.channel.clone(),
                chat: place.map(|(_, chat)| chat),
                sender: event
                    .sender()
                    .map(|sender| sender.account.sender.to_string()),
                kind: event.name(),
                message: message_of(&event.kind),
                inbound,
                native: Text::of(raw.as_slice()),
                event: without_raw(event),
                verdict: Judged {
                    allowed: verdict.is_yes(),
                    answered: matches!(verdict, Verdict::Answer(..) | Verdict::Confide(..)),
                    reason: verdict.reason(),
                    at_ms: milliseconds(now.saturating_sub(began)),
                },
                calls: Vec::new(),
                more_calls: 0,
                done: None,
                began,
                revision: book.revision,
            });
        });
    }

    /// Writes into the trace that a chat is at.
    fn at(&self, channel: &ChannelId, chat: &ChatId, work: impl FnOnce(&mut Trace, Duration)) {
        let place = (channel.clone(), chat.clone());
        self.write(|book, now| {
            let number = book.current.get(&place).copied();
            let trace = book
                .traces
                .iter_mut()
                .rev()
                .find(|trace| Some(trace.number) == number);
            if let Some(trace) = trace {
                trace.revision = book.revision;
                work(trace, now);
            }
        });
    }

    /// A call on a channel has ended.
    pub(crate) fn called(&self, channel: &ChannelId, chat: &ChatId, mut call: Call) {
        self.at(channel, chat, |trace, now| {
            let at_ms = milliseconds(now.saturating_sub(trace.began)) - call.took_ms;
            call.at_ms = at_ms.max(0.0);
            if trace.calls.len() < CALLS {
                trace.calls.push(call);
            } else if let Some(last) = trace.calls.last_mut() {
                // The end is worth more than the middle.
                *last = call;
                trace.more_calls += 1;
            }
        });
    }

    /// A handler has ended.
    pub(crate) fn done(&self, channel: &ChannelId, chat: &ChatId, error: Option<String>) {
        self.at(channel, chat, |trace, now| {
            let at_ms = milliseconds(now.saturating_sub(trace.began));
            trace.done = Some(Done { error, at_ms });
        });
    }

    /// Keeps the files of a message, to be downloaded.
    pub(crate) fn keep_files(
        &self,
        channel: &ChannelId,
        message: &OutboundMessage,
        sent: &[MessageId],
    ) {
        let mut book = lock(&self.book);
        for (upload, id) in message.attachments.iter().zip(sent) {
            let UploadSource::Bytes(bytes) = &upload.source else {
                continue;
            };
            if book.files.len() >= FILES {
                book.files.pop_front();
            }
            let key = (channel.clone(), id.clone());
            book.files.push_back((key, bytes.clone()));
        }
    }

    /// The file of a message of the bot.
    pub(crate) fn file(&self, channel: &ChannelId, message: &MessageId) -> Option<Bytes> {
        let book = lock(&self.book);
        book.files
            .iter()
            .find(|((in_channel, id), _)| in_channel == channel && id == message)
            .map(|(_, file)| file.clone())
    }

    /// A channel has another state now.
    pub(crate) fn state(&self, channel: &ChannelId, state: impl Into<String>) {
        let state = state.into();
        self.write(|book, _| {
            let revision = book.revision;
            book.states.insert(channel.clone(), (revision, state));
        });
    }

    /// Waits until a channel has a state.
    pub(crate) async fn becomes(&self, channel: &ChannelId, wanted: &str) {
        let mut changed = self.changed.subscribe();
        let is_there = |_: &u64| self.state_of(channel).is_some_and(|state| state == wanted);
        // The sender lives as long as `self`.
        let _ = changed.wait_for(is_there).await;
    }

    /// The state of a channel in one word.
    pub(crate) fn state_of(&self, channel: &ChannelId) -> Option<String> {
        let book = lock(&self.book);
        book.states.get(channel).map(|(_, state)| state.clone())
    }
}

/// The words of an error, for a call's outcome.
pub(crate) fn words(error: &Error) -> String {
    format!("{}: {error}", error.kind())
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

fn message_of(kind: &EventKind) -> Option<MessageId> {
    match kind {
        EventKind::Message(message) | EventKind::Edited(message) => Some(message.id.clone()),
        EventKind::Reaction(reaction) => Some(reaction.message.id.clone()),
        EventKind::Action(action) => action.message.clone(),
        _ => None,
    }
}

fn raw_of(kind: &EventKind) -> Option<&Raw> {
    Some(match kind {
        EventKind::Message(it) | EventKind::Edited(it) => &it.raw,
        EventKind::Deleted(it) => &it.raw,
        EventKind::Reaction(it) => &it.raw,
        EventKind::Action(it) => &it.raw,
        EventKind::Membership(it) => &it.raw,
        EventKind::Moved(it) => &it.raw,
        EventKind::Unknown(it) => &it.raw,
        _ => return None,
    })
}

/// The event as it is stored, but for the payload, which is shown by itself.
fn without_raw(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    let kinds = value.get_mut("kind").and_then(Value::as_object_mut);
    for kind in kinds.into_iter().flat_map(|kinds| kinds.values_mut()) {
        if let Some(fields) = kind.as_object_mut() {
            fields.remove("raw");
        }
    }
    value
}
