//! The simulated platform and its ledger: what users said, and what they see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    AccountRef, Addressed, Bucket, ChannelId, Chat, ChatId, ChatKind, Error, ErrorKind, Event,
    EventId, EventKind, Message, MessageId, MessageRef, Platform as PlatformName, Proof, Rate,
    Repeat, ReplyTo, Result, Scope, Sender, SenderId, Target,
};

use super::invariant::Invariant;
use super::ledger::Ledger;
use super::scenario::{Receiving, Scenario, is_in};
use super::words::{event_id, payload};
use super::world::World;
use crate::wait::lock;

pub(super) const NAME: PlatformName = PlatformName::new("simulated");
pub(super) const CHANNEL: &str = "sim";

/// How long a request may take from its turn until it leaves: two writes.
const ON_THE_WAY: Duration = Duration::from_millis(600);

/// After how long an event that nobody acknowledged comes again.
const COMES_AGAIN: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Platform {
    pub(super) world: Arc<World>,
    pub(super) scenario: Arc<Scenario>,
    pub(super) ledger: Arc<Ledger>,
    state: Mutex<State>,
}

/// Who sends, and to which chat.
type Place = ((u64, bool), String);

#[derive(Debug, Default)]
struct State {
    inbox: Vec<Inbound>,
    shown: Vec<Shown>,
    keys: BTreeMap<String, MessageRef>,
    next: u64,
    /// Until when a process is to send nothing to a chat, by process and chat.
    waits: BTreeMap<Place, Duration>,
    /// Until when a process is to send nothing at all, and since when it knows.
    waits_all: BTreeMap<(u64, bool), (Duration, Duration)>,
    /// When the bucket of each process is full again, by process and chat or for all chats.
    due: BTreeMap<((u64, bool), Option<String>), Duration>,
    /// What messages that can be edited show: previews, and what they have become.
    growing: BTreeMap<String, String>,
    /// Chats in which the last message of a process was a note that something comes again.
    noted: BTreeMap<Place, bool>,
}

/// One event on its way to the bot.
#[derive(Debug)]
struct Inbound {
    number: usize,
    acknowledged: bool,
    /// Who has it, and since when.
    out: Option<(u64, Duration)>,
    /// Whether it comes once more although it was acknowledged.
    once_more: bool,
}

/// A message of the bot as people see it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) payload: String,
}

/// One request of the bot.
pub(super) struct Request<'a> {
    /// The process, and whether it is its second outbox.
    pub(super) sender: (u64, bool),
    pub(super) chat: &'a ChatId,
    pub(super) text: &'a str,
    pub(super) key: Option<&'a str>,
    /// The message that it changes.
    pub(super) edits: Option<&'a MessageRef>,
    /// When it left.
    pub(super) left: Duration,
}

impl Platform {
    pub(super) fn new(world: &Arc<World>, scenario: &Arc<Scenario>, ledger: &Arc<Ledger>) -> Self {
        let inbox = (0..scenario.said.len())
            .map(|number| Inbound {
                number,
                acknowledged: false,
                out: None,
                once_more: false,
            })
            .collect();
        Self {
            world: Arc::clone(world),
            scenario: Arc::clone(scenario),
            ledger: Arc::clone(ledger),
            state: Mutex::new(State {
                inbox,
                ..State::default()
            }),
        }
    }

    /// What one event looks like to the adapter.
    pub(super) fn event(&self, number: usize) -> Event {
        let said = self.scenario.said.get(number);
        let chat = ChatId::from(chat_name(said.map_or(0, |said| said.chat)));
        let refused = said.is_some_and(|said| said.behaviour.refused);
        let sender = if refused { "stranger" } else { "ada" };
        let account = AccountRef::new(NAME, SenderId::from(sender));
        let channel = ChannelId::new(CHANNEL);
        let back = ReplyTo::new(channel.clone(), Target::chat(chat.clone()));
        let mut message = Message::new(
            MessageId::from(event_id(number)),
            Chat::new(chat, ChatKind::Direct),
            Sender::new(account, Proof::Asserted),
            back,
        );
        message.text = event_id(number);
        message.addressed = Addressed::Direct;
        let kind = EventKind::Message(Box::new(message));
        Event::new(EventId::from(event_id(number)), channel, kind)
    }

    /// The next event for a process: in order inside each conversation, and no event while
    /// an earlier one of its conversation is to come again.
    pub(super) fn next_for(&self, process: u64) -> Option<usize> {
        let now = self.world.elapsed();
        let mut state = lock(&self.state);
        for inbound in &mut state.inbox {
            if inbound
                .out
                .is_some_and(|(_, since)| now >= since + COMES_AGAIN)
            {
                inbound.out = None;
            }
        }
        let mut held = Vec::new();
        let mut open = Vec::new();
        for (index, inbound) in state.inbox.iter().enumerate() {
            let Some(said) = self.scenario.said.get(inbound.number) else {
                continue;
            };
            if said.at > now || (inbound.acknowledged && !inbound.once_more) {
                continue;
            }
            match inbound.out {
                Some((holder, _)) if holder == process => continue,
                None if !held.contains(&said.chat) => open.push(index),
                _ => {}
            }
            held.push(said.chat);
        }
        let reorders = self.world.fault(self.scenario.rates.reorder);
        let pick = if reorders {
            self.world.below(open.len() as u64)
        } else {
            0
        };
        let index = *open.get(usize::try_from(pick).unwrap_or(0))?;
        let again = self.world.fault(self.scenario.rates.duplicate);
        let inbound = state.inbox.get_mut(index)?;
        inbound.once_more = again;
        inbound.out = Some((process, now));
        Some(inbound.number)
    }

    /// The event at a place of the log that the adapter reads by itself.
    pub(super) fn at(&self, place: usize) -> Option<usize> {
        let said = self.scenario.said.get(place)?;
        (said.at <= self.world.elapsed()).then_some(place)
    }

    /// When the next event is said.
    pub(super) fn next_said(&self) -> Option<Duration> {
        let now = self.world.elapsed();
        let at = self.scenario.said.iter().map(|said| said.at);
        at.filter(|at| *at > now).min()
    }

    /// The bot says that it has an event.
    pub(super) fn acknowledge(&self, number: usize) {
        if !self.ledger.is_recorded(&event_id(number)) {
            self.world
                .broken(Invariant::RecordedBeforeAcknowledged, || {
                    format!("{} was acknowledged and is not on record", event_id(number))
                });
        }
        let lost = self.world.fault(self.scenario.rates.lost_ack);
        self.world.note(|| {
            let lost = if lost { ", which is lost" } else { "" };
            format!("{} is acknowledged{lost}", event_id(number))
        });
        if lost {
            return;
        }
        let mut state = lock(&self.state);
        if let Some(inbound) = state.inbox.get_mut(number) {
            inbound.acknowledged = true;
            inbound.out = None;
        }
    }

    /// The bot gives an event back.
    pub(super) fn give_back(&self, number: usize) {
        self.world
            .note(|| format!("{} is given back", event_id(number)));
        let mut state = lock(&self.state);
        if let Some(inbound) = state.inbox.get_mut(number) {
            inbound.out = None;
        }
    }

    /// Whether the platform has nothing more to deliver.
    pub(super) fn is_quiet(&self) -> bool {
        let said = self
            .scenario
            .said
            .iter()
            .all(|said| said.at <= self.world.elapsed());
        let state = lock(&self.state);
        let all = |inbound: &Inbound| inbound.acknowledged && !inbound.once_more;
        said && (self.scenario.receiving == Receiving::Cursor || state.inbox.iter().all(all))
    }

    /// A request arrives.
    pub(super) fn arrive(&self, request: &Request<'_>) -> Result<MessageRef> {
        let now = self.world.elapsed();
        let place = (request.sender, request.chat.as_str().to_owned());
        let mut state = lock(&self.state);
        if let Some(until) = state.waits.get(&place)
            && now < *until
        {
            let left = *until - now;
            self.world.broken(Invariant::RetryAfterObeyed, || {
                format!(
                    "p{} sends to {} {:.3} s before the wait is over",
                    request.sender.0,
                    request.chat,
                    left.as_secs_f64()
                )
            });
        }
        let told = state.waits_all.get(&request.sender);
        if let Some((since, until)) = told
            && (request.left > *since && request.left < *until)
        {
            let left = *until - request.left;
            self.world.broken(Invariant::RetryAfterObeyed, || {
                format!(
                    "p{} sends to {} {:.3} s before the wait of all chats is over",
                    request.sender.0,
                    request.chat,
                    left.as_secs_f64()
                )
            });
        }
        let payload = payload(request.text);
        if let Some(payload) = payload {
            self.ledger.may_send(payload, request.chat.as_str());
        }
        if let Some(error) = self.refuse(request, &mut state) {
            return Err(error);
        }
        let keyed = matches!(self.scenario.repeat, Repeat::Keyed(_));
        if keyed && let Some(at) = request.key.and_then(|key| state.keys.get(key)) {
            self.world.note(|| format!("{} is known", request.text));
            return Ok(at.clone());
        }
        if let (Some(at), Some(payload)) = (request.edits, payload) {
            let shows = state.growing.insert(at.id.to_string(), payload.to_owned());
            if shows.as_deref() == Some(payload) {
                self.world.note(|| format!("{payload} is there already"));
                return Ok(at.clone());
            }
        }
        let at = request.edits.cloned().unwrap_or_else(|| {
            state.next += 1;
            let new = MessageId::from(format!("m{}", state.next));
            MessageRef::new(request.chat.clone(), new)
        });
        if let Some(key) = request.key {
            state
                .keys
                .entry(key.to_owned())
                .or_insert_with(|| at.clone());
        }
        let noted = state.noted.insert(place, payload.is_none());
        let marked = noted.unwrap_or(false) || request.text.contains('\n');
        self.ledger.takes_messages(request.chat.as_str());
        if let Some(payload) = payload {
            self.show(payload, request.chat.as_str(), marked, &mut state);
        }
        self.world.note(|| {
            format!(
                "p{} shows {:?} in {}",
                request.sender.0, request.text, request.chat
            )
        });
        Ok(at)
    }

    /// How the platform refuses a request, if it does.
    fn refuse(&self, request: &Request<'_>, state: &mut State) -> Option<Error> {
        let now = self.world.elapsed();
        let is_blocked = request.chat.as_str() == chat_name(0);
        if is_blocked && is_in(&self.scenario.blocks, now) {
            self.world
                .note(|| format!("{} refuses {:?}", request.chat, request.text));
            return Some(Error::new(ErrorKind::Forbidden, "blocked").with_code("403"));
        }
        if self.world.fault(self.scenario.rates.rate_limited) {
            let wait = Duration::from_millis(500 + self.world.below(15_000));
            let place = (request.sender, request.chat.as_str().to_owned());
            state.waits.insert(place, now + wait);
            self.world.disturb_until(now + wait);
            self.world.note(|| {
                let wait = wait.as_secs_f64();
                format!("{:?} is too early by {wait:.3} s", request.text)
            });
            let error = Error::new(ErrorKind::RateLimited, "too many").with_code("429");
            let scope = match self.world.chance(self.scenario.limits_all) {
                true => Scope::Channel,
                false => Scope::Chat,
            };
            return Some(error.with_retry_after(wait).with_limited(scope));
        }
        None
    }

    fn show(&self, payload: &str, chat: &str, marked: bool, state: &mut State) {
        let before = state.shown.iter().any(|it| it.payload == payload);
        state.shown.push(Shown {
            payload: payload.to_owned(),
        });
        if !before {
            return self.ledger.first_seen(payload, chat);
        }
        if self.scenario.repeat != Repeat::Doubles {
            self.world.broken(Invariant::NoSecondEffect, || {
                format!("{payload} is shown twice")
            });
        } else if !marked {
            self.world.broken(Invariant::DoublesAreMarked, || {
                format!("{payload} is shown twice, and the second is not marked")
            });
        }
    }

    /// A process hears that it is to send nothing at all for a while.
    pub(super) fn told(&self, sender: (u64, bool), wait: Duration) {
        let now = self.world.elapsed();
        lock(&self.state)
            .waits_all
            .insert(sender, (now, now + wait));
    }

    /// A request leaves: has its turn come, as the platform counts?
    pub(super) fn leaves(&self, sender: (u64, bool), chat: &str, what: &str) {
        // What goes out behind a note that something comes again had its turn with the note.
        let place = (sender, chat.to_owned());
        let is_noted = lock(&self.state).noted.get(&place).copied();
        if is_noted.unwrap_or(false) {
            return;
        }
        self.ledger.leaves(what);
        let Some([one, all]) = self.scenario.paced else {
            return;
        };
        let now = self.world.elapsed();
        let is_calm = self.ledger.is_undisturbed();
        let mut state = lock(&self.state);
        for (place, (pause, burst)) in [(Some(chat.to_owned()), one), (None, all)] {
            let bucket = Bucket::new(Rate::new(1, pause), burst);
            let due = state.due.entry((sender, place)).or_default();
            let slot = bucket.slot(*due, now);
            if is_calm && slot > now + ON_THE_WAY {
                let early = slot.saturating_sub(now).as_secs_f64();
                self.world.broken(Invariant::PacedAsDeclared, || {
                    format!("{what} leaves {early:.3} s before its turn")
                });
            }
            *due = bucket.taken(*due, now);
            if !is_calm {
                // What came of a fault is not held against what follows.
                *due = (*due).min(now + bucket.slack());
            }
        }
    }

    /// Shows what an answer has come to, in a new message or in one that is there.
    pub(super) fn preview(&self, chat: &ChatId, of: &str, at: Option<&MessageRef>) -> MessageRef {
        let mut state = lock(&self.state);
        let at = at.cloned().unwrap_or_else(|| {
            state.next += 1;
            MessageRef::new(chat.clone(), MessageId::from(format!("m{}", state.next)))
        });
        self.world
            .note(|| format!("{} shows a preview of {of}", at.id));
        state
            .growing
            .insert(at.id.to_string(), format!("preview of {of}"));
        at
    }

    /// Messages that still show a preview, and of what.
    pub(super) fn previews(&self) -> Vec<(String, String)> {
        let state = lock(&self.state);
        let previews = state.growing.iter().filter_map(|(at, text)| {
            let of = text.strip_prefix("preview of ")?;
            Some((at.clone(), of.to_owned()))
        });
        previews.collect()
    }

    /// What was sent under a key, where the platform tells.
    pub(super) fn find(&self, key: &str) -> Option<MessageRef> {
        if self.scenario.repeat != Repeat::ReadBack {
            return None;
        }
        lock(&self.state).keys.get(key).cloned()
    }

    /// Everything that people see, oldest first.
    pub(super) fn shown(&self) -> Vec<Shown> {
        lock(&self.state).shown.clone()
    }
}

pub(super) fn chat_name(chat: usize) -> String {
    format!("c{chat}")
}
