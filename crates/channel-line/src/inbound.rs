//! Webhook events as events.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    AccountRef, Action, ActionId, Chat, ChatId, ChatKind, Deleted, Event, EventId, EventKind,
    MemberState, Membership, Message, MessageId, MessageRef, Proof, Quoted, Raw, ReplyTo, Sender,
    SenderId, SenderKind, Target, Unknown,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::shared::Shared;
use crate::wire::{self, Kind, Mode, Source};
use crate::{PLATFORM, limits};

/// What a reply address holds besides chat and message.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ReplyContext<T = String> {
    /// The reply token.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<T>,
    /// When the event was sent, in milliseconds.
    #[serde(rename = "at", default)]
    pub(crate) opened: u64,
    /// What LINE wants to see to quote the message.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    pub(crate) quote: Option<T>,
    /// Another service answers in this chat.
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) standby: bool,
}

impl ReplyContext<&str> {
    /// The context as JSON, put together at once, because every message brings one; `None` if a
    /// token holds what JSON would have to escape.
    fn written(&self) -> Option<String> {
        // Without an early end, so that it is looked at in pieces and not byte by byte.
        let is_plain = |text: &str| {
            let odd = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
            !text.bytes().fold(false, |found, byte| found | odd(byte))
        };
        if ![self.token, self.quote].into_iter().flatten().all(is_plain) {
            return None;
        }
        let mut number = itoa::Buffer::new();
        let field = |before, text: Option<&'_ str>| match text {
            Some(_) => (before, "\""),
            None => ("", ""),
        };
        let (token, after_token) = field("\"t\":\"", self.token);
        let (quote, after_quote) = field(",\"q\":\"", self.quote);
        let text = [
            "{",
            token,
            self.token.unwrap_or_default(),
            after_token,
            if self.token.is_some() {
                ",\"at\":"
            } else {
                "\"at\":"
            },
            number.format(self.opened),
            quote,
            self.quote.unwrap_or_default(),
            after_quote,
            if self.standby { ",\"s\":true}" } else { "}" },
        ];
        Some(text.concat())
    }
}

/// One webhook event and what surrounds it.
struct Inbound<'a> {
    shared: &'a Shared,
    /// The bot's user id.
    me: Option<&'a str>,
    id: EventId,
    raw: Raw,
    event: wire::Event,
    now: SystemTime,
}

/// Decodes one webhook event; `None` for what is none.
pub(crate) fn decode(text: &str) -> Option<wire::Event> {
    if is_too_deep(text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Makes events of one webhook event: one in nearly every case, none if it is stale, several
/// if several people have joined at once. What cannot be decoded becomes an unknown event,
/// so that nothing that LINE sends is lost or stops the rest.
pub(crate) fn events(
    shared: &Shared,
    destination: &str,
    (raw, decoded): (Bytes, Option<wire::Event>),
    now: SystemTime,
    out: &mut Vec<Event>,
) {
    let id = event_id(decoded.as_ref(), &raw);
    let Some(event) = decoded.filter(is_bounded) else {
        let text = std::str::from_utf8(&raw).unwrap_or_default();
        let name = wire::name_of(text).unwrap_or_else(|| "unreadable".to_owned());
        out.push(shared.event(id, unknown(&name, Raw::new(raw))));
        return;
    };
    if !event.delivery_context.is_redelivery && !is_fresh(shared, &event, now) {
        // Whether it was handled before is not known here, and it is not declared to come
        // again: somebody replays it.
        tracing::warn!(channel = %shared.info.id, "an event is refused because of its age");
        return;
    }
    let me = Some(destination).filter(|id| !id.is_empty());
    let inbound = Inbound {
        shared,
        me,
        id,
        raw: Raw::new(raw),
        event,
        now,
    };
    inbound.put(out);
}

/// The id that LINE gave, or one made of the bytes: the same on redelivery.
fn event_id(event: Option<&wire::Event>, raw: &[u8]) -> EventId {
    let given = event.and_then(|event| event.webhook_event_id.as_ref());
    match given.filter(|id| (1..=64).contains(&id.as_str().len())) {
        Some(id) => id.clone(),
        None => {
            let digest = hex::encode(Sha256::digest(raw));
            EventId::from(format!("sha256:{digest}"))
        }
    }
}

/// How many lists and objects could begin in a text. Counted in bytes, by the piece, because
/// a compiler makes vectors of that, and this looks at everything that comes.
fn opens(text: &str) -> usize {
    let of_piece = |piece: &[u8]| {
        let opens = piece.iter().map(|byte| u8::from(byte | 0x20 == b'{'));
        usize::from(opens.fold(0_u8, u8::wrapping_add))
    };
    text.as_bytes().chunks(255).map(of_piece).sum()
}

/// Whether the JSON nests deeper than LINE's does.
fn is_too_deep(text: &str) -> bool {
    if opens(text) <= limits::DEPTH {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > limits::DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether the texts and lists of an event are as long as they may be.
fn is_bounded(event: &wire::Event) -> bool {
    let text = event.message.as_ref().and_then(|it| it.text.as_ref());
    let members = [&event.joined, &event.left];
    text.is_none_or(|text| text.len() <= limits::INBOUND_TEXT)
        && members
            .into_iter()
            .flatten()
            .all(|it| it.members.len() <= limits::EVENTS)
}

fn is_fresh(shared: &Shared, event: &wire::Event, now: SystemTime) -> bool {
    let Some(max_age) = shared.max_age() else {
        return true;
    };
    let Some(sent) = event.sent_at() else {
        return false;
    };
    match now.duration_since(sent) {
        Ok(age) => age <= max_age,
        Err(ahead) => ahead.duration() <= limits::AHEAD,
    }
}

fn unknown(name: &str, raw: Raw) -> EventKind {
    EventKind::Unknown(Box::new(Unknown::new(name, raw)))
}

/// The tokens of the events that LINE's console makes up to verify a webhook
/// (<https://github.com/line/line-bot-sdk-python/issues/188>).
pub(crate) fn is_dummy(token: &str) -> bool {
    token.len() == 32
        && ["0", "f", "F"]
            .iter()
            .any(|digit| token.chars().all(|it| digit.starts_with(it)))
}

fn account(id: &SenderId) -> AccountRef {
    AccountRef::new(PLATFORM, id.clone())
}

impl Inbound<'_> {
    fn put(mut self, out: &mut Vec<Event>) {
        if self.event.reply_token.as_deref().is_some_and(is_dummy) {
            return self.one(out, |it| unknown("verification", it.raw));
        }
        let place = self.event.source.as_ref().and_then(Source::chat);
        let Some((chat, kind)) = place else {
            return self.unknown(out);
        };
        let chat = Chat::new(chat, kind);
        if self.event.mode != Mode::Active
            && matches!(self.event.kind, Kind::Message | Kind::Postback)
        {
            // Another service answers: kept, and shown to nobody who might answer too.
            return self.one(out, |it| unknown("standby", it.raw));
        }
        match self.event.kind {
            Kind::Message => match self.event.message.take() {
                Some(message) if is_readable(&message) => {
                    self.one(out, |it| it.message(chat, message));
                }
                _ => self.unknown(out),
            },
            Kind::Postback => match self.event.postback.take() {
                Some(postback) => self.one(out, |it| it.action(chat, *postback)),
                None => self.unknown(out),
            },
            Kind::Unsend => match self.event.unsend.take() {
                Some(unsend) if !unsend.message_id.is_empty() => self.one(out, |it| {
                    let at = MessageRef::new(chat.id, unsend.message_id.into());
                    EventKind::Deleted(Box::new(Deleted::new(vec![at], it.raw)))
                }),
                _ => self.unknown(out),
            },
            Kind::Follow => self.of_person(out, chat, MemberState::Joined),
            Kind::Unfollow => self.of_person(out, chat, MemberState::Removed),
            Kind::Join => self.of_me(out, chat, MemberState::Joined),
            Kind::Leave => self.of_me(out, chat, MemberState::Left),
            Kind::MemberJoined | Kind::MemberLeft => self.of_members(out, &chat),
            Kind::Other => self.unknown(out),
        }
    }

    fn one(self, out: &mut Vec<Event>, kind: impl FnOnce(Self) -> EventKind) {
        let (shared, id) = (self.shared, self.id.clone());
        out.push(shared.event(id, kind(self)));
    }

    fn unknown(self, out: &mut Vec<Event>) {
        let text = std::str::from_utf8(self.raw.as_slice()).unwrap_or_default();
        let name = wire::name_of(text).unwrap_or_default();
        self.one(out, |it| unknown(&name, it.raw));
    }

    /// Where an answer goes. A token that starts a window in the future is as fresh as can
    /// be, and no fresher.
    fn return_address(&self, chat: &ChatId, quote: Option<(&MessageId, Option<&str>)>) -> ReplyTo {
        let sent = self.event.sent_at().unwrap_or(UNIX_EPOCH).min(self.now);
        let opened = sent.duration_since(UNIX_EPOCH).unwrap_or_default();
        let standby = self.event.mode != Mode::Active;
        let token = self.event.reply_token.as_deref().filter(|_| !standby);
        let context = ReplyContext {
            token,
            opened: u64::try_from(opened.as_millis()).unwrap_or(u64::MAX),
            quote: quote.and_then(|(_, token)| token),
            standby,
        };
        let reply = || {
            let reply = ReplyTo::new(self.shared.info.id.clone(), Target::chat(chat.clone()));
            match quote {
                Some((message, _)) => reply.quoting(message.clone()),
                None => reply,
            }
        };
        match context.written() {
            Some(json) => reply().with_written_context(json),
            // Writing texts and numbers as JSON cannot fail.
            None => reply().with_context(&context).unwrap_or_else(|_| reply()),
        }
    }

    fn sender(&self, chat: &Chat) -> Sender {
        let person = self.event.source.as_ref().and_then(Source::person);
        let Some(person) = person else {
            // LINE does not say who of the group it was.
            let mut sender = Sender::new(account(&SenderId::new(&chat.id)), Proof::Verified);
            sender.kind = SenderKind::Chat;
            return sender;
        };
        let mut sender = Sender::new(account(person), Proof::Verified);
        if self.me == Some(person.as_str()) {
            sender.kind = SenderKind::Bot;
        }
        sender
    }

    fn message(self, chat: Chat, mut wire: Box<wire::Message>) -> EventKind {
        let quoted = wire.quoted_message_id.as_ref();
        let quoted = quoted.map(|id| Quoted::new(id.clone(), self.shared.memory.is_mine(id)));
        let sender = self.sender(&chat);
        let reply = self.return_address(&chat.id, Some((&wire.id, wire.quote_token.as_deref())));
        let quotes_me = quoted.as_ref().is_some_and(|quoted| quoted.mine);
        let addressed = if sender.kind == SenderKind::Bot {
            channel_core::Addressed::No
        } else {
            wire.addressed(chat.kind, self.me, quotes_me)
        };
        let mut message = Message::new(wire.id.clone(), chat, sender, reply);
        message.addressed = addressed;
        message.formatted = wire.formatted();
        message.attachments = wire.attachment().into_iter().collect();
        message.text = wire.take_words();
        message.reply_to = quoted;
        message.sent_at = self.event.sent_at();
        message.album = wire.image_set.map(|set| set.id);
        message.raw = self.raw;
        EventKind::Message(Box::new(message))
    }

    fn action(self, chat: Chat, postback: wire::Postback) -> EventKind {
        let id = ActionId::new(&self.id);
        let sender = self.sender(&chat);
        let reply = self.return_address(&chat.id, None);
        let mut action = Action::new(id, sender, postback.data, chat, reply, self.raw);
        action.fields = postback.params.into_iter().flatten().collect();
        EventKind::Action(Box::new(action))
    }

    /// Somebody has followed or blocked the bot: the person is who it is about.
    fn of_person(self, out: &mut Vec<Event>, chat: Chat, state: MemberState) {
        let who = self.sender(&chat);
        let reply = self.return_address(&chat.id, None);
        self.one(out, |it| {
            EventKind::Membership(Box::new(Membership::new(chat, who, state, reply, it.raw)))
        });
    }

    /// The bot itself has come or gone.
    fn of_me(self, out: &mut Vec<Event>, chat: Chat, state: MemberState) {
        let me = SenderId::new(self.me.unwrap_or(PLATFORM.as_str()));
        let mut who = Sender::new(account(&me), Proof::Verified);
        who.kind = SenderKind::Bot;
        let reply = self.return_address(&chat.id, None);
        self.one(out, |it| {
            let membership = Membership::new(chat, who, state, reply, it.raw);
            EventKind::Membership(Box::new(membership.of_me()))
        });
    }

    /// Each member is an event of its own; the first has LINE's id, as if there were no
    /// other.
    fn of_members(mut self, out: &mut Vec<Event>, chat: &Chat) {
        let joined = self.event.kind == Kind::MemberJoined;
        let (members, state) = if joined {
            (self.event.joined.take(), MemberState::Joined)
        } else {
            (self.event.left.take(), MemberState::Left)
        };
        let members = members.map(|it| it.members).unwrap_or_default();
        let people: Vec<_> = members.iter().filter_map(Source::person).collect();
        if people.is_empty() || chat.kind != ChatKind::Group {
            return self.unknown(out);
        }
        let reply = self.return_address(&chat.id, None);
        for (index, person) in people.into_iter().enumerate() {
            let id = if index == 0 {
                self.id.clone()
            } else {
                EventId::from(format!("{}/{index}", self.id))
            };
            let who = Sender::new(account(person), Proof::Verified);
            let (chat, reply, raw) = (chat.clone(), reply.clone(), self.raw.clone());
            let membership = Membership::new(chat, who, state, reply, raw);
            let kind = EventKind::Membership(Box::new(membership));
            out.push(self.shared.event(id, kind));
        }
    }
}

/// Whether the adapter knows the kind of a message and finds what it needs in it.
fn is_readable(message: &wire::Message) -> bool {
    if message.id.as_str().is_empty() {
        return false;
    }
    match message.kind {
        wire::MessageKind::Text => message.text.is_some(),
        wire::MessageKind::Location => !message.words().is_empty(),
        wire::MessageKind::Other => false,
        _ => message.attachment().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(&nested(16)));
        assert!(is_too_deep(&nested(17)));
        assert!(!is_too_deep(&format!("[\"{}\"]", "[\\\"".repeat(50))));
        assert!(!is_too_deep(&"{}".repeat(50)));
    }

    #[test]
    fn a_context_is_written_as_serde_writes_it() {
        let mut written = 0;
        for token in [
            None,
            Some("38ef84"),
            Some("a\"b"),
            Some("a\\"),
            Some("\n"),
            Some("\u{7f}ü"),
        ] {
            for quote in [None, Some("q3P"), Some("\u{1}")] {
                for standby in [false, true] {
                    let opened = 1_763_640_000_123;
                    let context = ReplyContext {
                        token,
                        opened,
                        quote,
                        standby,
                    };
                    if let Some(json) = context.written() {
                        written += 1;
                        assert_eq!(json, serde_json::to_string(&context).unwrap());
                    }
                }
            }
        }
        assert_eq!(written, 12, "what needs no escaping");
    }

    #[test]
    fn dummy_tokens_are_recognised() {
        assert!(is_dummy(&"0".repeat(32)) && is_dummy(&"f".repeat(32)));
        for real in ["", "0", "00000000000000000000000000000001", &"0".repeat(31)] {
            assert!(!is_dummy(real), "{real}");
        }
    }
}
