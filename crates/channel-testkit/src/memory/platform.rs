//! The server side of the in-memory platform.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{
    ActionId, Body, Button, Card, CommandInfo, Destination, Error, ErrorKind, FileId,
    IdempotencyKey, MessageId, MessageRef, OutboundMessage, Purpose, Result, TextLimit, ThreadId,
    Upload,
};
use unicode_segmentation::UnicodeSegmentation as _;

use super::wire::Wire;
use crate::failure::Failure;

/// How much of anything the platform remembers.
const KEPT: usize = 100_000;

/// A message of the bot as the platform shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentMessage {
    /// Its chat and id.
    pub at: MessageRef,
    /// The thread inside the chat.
    pub thread: Option<ThreadId>,
    /// The message that it quotes.
    pub quoted: Option<MessageId>,
    /// The words as they stand now, after all edits; of a card: its words.
    pub text: String,
    /// The card, where the message is one.
    pub card: Option<Card>,
    /// The files that came with it.
    pub files: Vec<Upload>,
    /// The rows of buttons under it.
    pub buttons: Vec<Vec<Button>>,
    /// Why it was sent.
    pub purpose: Purpose,
    /// Whether it came without a sound.
    pub silent: bool,
    /// The key under which it was sent.
    pub key: Option<IdempotencyKey>,
}

impl SentMessage {
    /// Puts a card into the message.
    pub(super) fn show_card(&mut self, card: &Card) {
        self.text = card.to_content().to_plain();
        self.buttons = card.to_buttons();
        self.card = Some(card.clone());
    }
}

/// A message in the memory of its chat.
#[derive(Debug)]
pub(super) enum Logged {
    /// Of a user, as it reads now.
    User(Box<Wire>),
    /// Of the bot; how it reads now is in [`State::sent`].
    Bot(MessageRef, SystemTime),
}

/// One event on its way to the bot.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) token: u64,
    pub(super) payload: Bytes,
    /// Whether the live stream has yielded it.
    pub(super) out: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    next: u64,
    pub(super) sent: Vec<SentMessage>,
    /// What was written in all chats, oldest first.
    pub(super) log: Vec<Logged>,
    /// What each key made, deleted or not.
    pub(super) keys: HashMap<IdempotencyKey, MessageRef>,
    pub(super) inbound: VecDeque<Slot>,
    pub(super) live_stream: u64,
    pub(super) lost: bool,
    pub(super) undecodable: u64,
    /// After how many calls the platform fails, and how.
    pub(super) failure: Option<(usize, Failure)>,
    pub(super) calls: u64,
    pub(super) typing: Vec<Destination>,
    pub(super) reactions: HashMap<MessageRef, BTreeSet<String>>,
    pub(super) answered: Vec<(ActionId, Option<String>)>,
    pub(super) commands: Vec<CommandInfo>,
    pub(super) files: HashMap<FileId, Bytes>,
}

impl State {
    pub(super) fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Queues an event. Numbers it, unless it has an id already.
    pub(super) fn deliver(&mut self, mut wire: Wire, now: SystemTime) {
        if wire.id.is_empty() {
            wire.id = format!("event-{}", self.next_id());
        }
        wire.written_at(now);
        let payload = serde_json::to_vec(&wire).unwrap_or_default();
        self.deliver_bytes(Bytes::from(payload));
        self.log(wire);
    }

    /// Keeps the history of the chat as people see it.
    fn log(&mut self, wire: Wire) {
        let same = |logged: &Logged| match logged {
            Logged::User(old) => old.message == wire.message && old.chat == wire.chat,
            Logged::Bot(..) => false,
        };
        match wire.kind.as_str() {
            "message" => remember(&mut self.log, Logged::User(Box::new(wire))),
            "deleted" => self.log.retain(|logged| !same(logged)),
            "edited" => {
                let old = self.log.iter_mut().find(|logged| same(logged));
                if let Some(Logged::User(old)) = old {
                    old.text = wire.text;
                }
            }
            _ => {}
        }
    }

    pub(super) fn deliver_bytes(&mut self, payload: Bytes) {
        assert!(
            self.inbound.len() < KEPT,
            "{KEPT} events wait for a channel that nobody reads"
        );
        let token = self.next_id();
        self.inbound.push_back(Slot {
            token,
            payload,
            out: false,
        });
    }

    /// Does what a call asks for, or fails as the platform has been told to.
    pub(super) fn call<R>(&mut self, effect: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.calls += 1;
        let failure = match &mut self.failure {
            Some((0, failure)) => *failure,
            Some((calls, _)) => {
                *calls -= 1;
                return effect(self);
            }
            None => return effect(self),
        };
        Err(match failure {
            Failure::Unauthorized => {
                Error::new(ErrorKind::Unauthenticated, "the token is not accepted").with_code("401")
            }
            Failure::Blocked => {
                Error::new(ErrorKind::Forbidden, "the chat has blocked the bot").with_code("403")
            }
            Failure::RateLimited(wait) => Error::new(ErrorKind::RateLimited, "too many calls")
                .with_code("429")
                .with_retry_after(wait),
            Failure::ServerError => {
                Error::new(ErrorKind::Unavailable, "the server has failed").with_code("500")
            }
            Failure::LostAnswer => {
                // What the server made of it is exactly what the caller cannot know.
                let _ = effect(self);
                Error::new(ErrorKind::Uncertain, "no answer in time")
            }
        })
    }

    /// Shows one message, unless the platform knows its key; one call.
    pub(super) fn post(
        &mut self,
        message: SentMessage,
        takes_keys: bool,
        now: SystemTime,
    ) -> Result<MessageRef> {
        self.call(|state| {
            let mut message = message;
            let key = message.key.clone();
            if takes_keys && let Some(at) = key.as_ref().and_then(|key| state.keys.get(key)) {
                return Ok(at.clone());
            }
            message.at.id = MessageId::from(format!("m{}", state.next_id()));
            let at = message.at.clone();
            if let Some(key) = key {
                // Of two messages under one key the first is the one that is found.
                state.keys.entry(key).or_insert_with(|| at.clone());
            }
            remember(&mut state.sent, message);
            remember(&mut state.log, Logged::Bot(at.clone(), now));
            Ok(at)
        })
    }

    pub(super) fn find(&mut self, at: &MessageRef) -> Result<&mut SentMessage> {
        self.sent
            .iter_mut()
            .find(|message| message.at == *at)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the message is gone"))
    }
}

/// Adds to a list, at the cost of its oldest entry if it is full.
pub(super) fn remember<T>(list: &mut Vec<T>, entry: T) {
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(entry);
}

/// Takes a message apart into what the platform takes at once: the words in as many
/// parts as the limit asks for, then one message for the card and one for each file.
pub(super) fn parts(message: &OutboundMessage, limit: TextLimit) -> Vec<SentMessage> {
    let part = |text: String| SentMessage {
        at: MessageRef::new(message.to.target().chat.clone(), MessageId::new("")),
        thread: message.to.target().thread.clone(),
        quoted: None,
        text,
        card: None,
        files: Vec::new(),
        buttons: Vec::new(),
        purpose: message.purpose,
        silent: message.silent,
        key: None,
    };
    let mut parts: Vec<_> = split(&words(&message.body), limit)
        .into_iter()
        .map(part)
        .collect();
    if let Some(card) = &message.card {
        let mut shown = part(String::new());
        shown.show_card(card);
        parts.push(shown);
    }
    for file in &message.attachments {
        let mut shown = part(String::new());
        shown.files.push(file.clone());
        parts.push(shown);
    }
    if let Some(first) = parts.first_mut() {
        first.quoted = message.to.quoted().cloned();
    }
    if let Some(last) = parts.last_mut() {
        last.buttons.extend(message.buttons.iter().cloned());
    }
    parts
}

/// The key of one part of a message that is sent whole.
pub(super) fn part_key(message: &OutboundMessage, part: usize) -> Option<IdempotencyKey> {
    let key = message.key.clone()?;
    Some(match part {
        0 => key,
        part => IdempotencyKey::new(format!("{key}/{part}")),
    })
}

/// The words of a body; Markdown stays as it was written.
pub(super) fn words(body: &Body) -> String {
    match body {
        Body::Plain(text) | Body::Markdown(text) => text.clone(),
        Body::Content(content) => content.to_plain(),
        _ => String::new(),
    }
}

/// Cuts between graphemes, as full as the limit allows. A grapheme that is longer than
/// the limit is cut between its code points, and a code point is never cut.
fn split(text: &str, limit: TextLimit) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut size = 0;
    let mut add = |piece: &str| {
        let more = limit.unit.measure(piece);
        if size + more > limit.max && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            size = 0;
        }
        part.push_str(piece);
        size += more;
    };
    for grapheme in text.graphemes(true) {
        if limit.fits(grapheme) {
            add(grapheme);
        } else {
            grapheme
                .chars()
                .for_each(|c| add(c.encode_utf8(&mut [0; 4])));
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}
