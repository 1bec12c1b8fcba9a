//! The server side of the in-memory platform.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    ActionId, Body, Button, CommandInfo, Destination, Error, ErrorKind, FileId, MessageId,
    MessageRef, OutboundMessage, Purpose, Receipt, Result, TextLimit, ThreadId, Upload,
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
    /// The words as they stand now, after all edits.
    pub text: String,
    /// The files that came with it.
    pub files: Vec<Upload>,
    /// The rows of buttons under it.
    pub buttons: Vec<Vec<Button>>,
    /// Why it was sent.
    pub purpose: Purpose,
    /// Whether it came without a sound.
    pub silent: bool,
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
        wire.time = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let payload = serde_json::to_vec(&wire).unwrap_or_default();
        self.deliver_bytes(Bytes::from(payload));
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

    /// Shows one message; one call.
    pub(super) fn post(&mut self, message: SentMessage) -> Result<MessageRef> {
        self.call(|state| {
            let mut message = message;
            message.at.id = MessageId::from(format!("m{}", state.next_id()));
            let at = message.at.clone();
            remember(&mut state.sent, message);
            Ok(at)
        })
    }

    pub(super) fn find(&mut self, at: &MessageRef) -> Result<&mut SentMessage> {
        self.sent
            .iter_mut()
            .find(|message| message.at == *at)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the message is gone"))
    }

    /// Sends all parts of a message, behind those that are there already.
    pub(super) fn send(
        &mut self,
        parts: Vec<SentMessage>,
        mut receipt: Receipt,
    ) -> Result<Receipt> {
        for part in parts {
            match self.post(part) {
                Ok(at) => receipt.messages.push(at),
                Err(error) => return Err(error.with_delivered(receipt)),
            }
        }
        Ok(receipt)
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
/// parts as the limit asks for, then one message for each file.
pub(super) fn parts(message: &OutboundMessage, limit: TextLimit) -> Vec<SentMessage> {
    let target = message.to.target();
    let mut parts: Vec<_> = split(&words(&message.body), limit)
        .into_iter()
        .map(|text| (text, Vec::new()))
        .chain(
            message
                .attachments
                .iter()
                .map(|file| (String::new(), vec![file.clone()])),
        )
        .map(|(text, files)| SentMessage {
            at: MessageRef::new(target.chat.clone(), MessageId::new("")),
            thread: target.thread.clone(),
            quoted: None,
            text,
            files,
            buttons: Vec::new(),
            purpose: message.purpose,
            silent: message.silent,
        })
        .collect();
    if let Some(first) = parts.first_mut() {
        first.quoted = message.to.quoted().cloned();
    }
    if let Some(last) = parts.last_mut() {
        last.buttons.clone_from(&message.buttons);
    }
    parts
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
