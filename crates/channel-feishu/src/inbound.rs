//! From the wire to events, however they came in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Action, Addressed, ChannelId, Chat, ChatKind, Deleted, Event, EventId, EventKind,
    MemberState, Membership, Message, MessageId, MessageRef, Proof, Quoted, Raw, Reaction, ReplyTo,
    Sender, SenderKind, Target, ThreadId, Unknown,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::memory::Memory;
use crate::read;
use crate::wire::{
    BotChange, Envelope, Listed, MemberChange, Mention, MessageEvent, OldPress, PressEvent,
    Pressed, ReactionChange, Recalled, UserId, is_id,
};
use crate::{PLATFORM, emoji};

/// What a press is called.
pub(crate) const PRESS: &str = "card.action.trigger";
/// The most fields that are read beside a press, and the longest value of one, in bytes.
const MAX_FIELDS: usize = 64;
const MAX_FIELD: usize = 8 << 10;

/// How events are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) channel: &'a ChannelId,
    pub(crate) app: &'a str,
    /// The open id of the bot, once it is known.
    pub(crate) me: Option<&'a str>,
    pub(crate) memory: Option<&'a Memory>,
    pub(crate) proof: Proof,
}

/// What is common to a message of an event and one of a list.
struct Said<'a> {
    id: &'a str,
    chat: &'a str,
    kind: ChatKind,
    thread: Option<&'a str>,
    parent: Option<&'a str>,
    at: Option<&'a str>,
    message_type: &'a str,
    content: &'a str,
    mentions: &'a [Mention],
    sender: Sender,
    is_own: bool,
}

/// An id that came in; empty ones are none.
fn id(text: &str) -> Option<&str> {
    Some(text).filter(|text| is_id(text))
}

fn from<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// When something was, by its milliseconds.
fn time(milliseconds: &str) -> Option<SystemTime> {
    let milliseconds: u64 = milliseconds.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

impl Reader<'_> {
    /// Makes an event of one envelope; `None` if it cannot be told apart from others. What
    /// cannot be decoded becomes an unknown event, so that nothing is lost.
    pub(crate) fn event(self, envelope: &Envelope<'_>, raw: &Raw) -> Option<Event> {
        let header = envelope.header.as_ref();
        let event_id = header.and_then(|it| it.event_id.as_deref());
        let event_id = id(event_id.or(envelope.uuid.as_deref())?)?;
        let kind = header.and_then(|it| it.event_type.as_deref());
        let app = header.and_then(|it| it.app_id.as_deref());
        if app.is_some_and(|app| !app.is_empty() && app != self.app) {
            return Some(self.unknown(event_id, "other_app", raw));
        }
        let kind = kind.unwrap_or("event_callback");
        let body = envelope
            .event
            .map_or("null", serde_json::value::RawValue::get);
        let made = match kind {
            "im.message.receive_v1" => self.message(body, raw),
            PRESS => from(body).and_then(|press| self.press(&press, raw)),
            "im.message.recalled_v1" => self.recalled(body, raw),
            "im.message.reaction.created_v1" => self.reaction(body, true, raw),
            "im.message.reaction.deleted_v1" => self.reaction(body, false, raw),
            "im.chat.member.bot.added_v1" => self.bot(body, MemberState::Joined, raw),
            "im.chat.member.bot.deleted_v1" => self.bot(body, MemberState::Removed, raw),
            _ => None,
        };
        let Some(made) = made else {
            return Some(self.unknown(event_id, kind, raw));
        };
        // One message is one event, whichever way and however often it is told of.
        let event_id = match &made {
            EventKind::Message(message) => EventId::from(format!("message:{}", message.id)),
            _ => EventId::from(event_id),
        };
        Some(Event::new(event_id, self.channel.clone(), made))
    }

    /// The events of one envelope: some tell of several people.
    pub(crate) fn events(self, envelope: &Envelope<'_>, raw: &Raw) -> Option<Vec<Event>> {
        let first = self.event(envelope, raw)?;
        let kind = envelope
            .header
            .as_ref()
            .and_then(|it| it.event_type.as_deref());
        let state = match kind {
            Some("im.chat.member.user.added_v1") => MemberState::Joined,
            Some("im.chat.member.user.deleted_v1") => MemberState::Removed,
            Some("im.chat.member.user.withdrawn_v1") => MemberState::Left,
            _ => return Some(vec![first]),
        };
        let body = envelope
            .event
            .map_or("null", serde_json::value::RawValue::get);
        let members = self.members(body, state, raw);
        if members.is_empty() {
            return Some(vec![first]);
        }
        let one = |(index, kind): (usize, EventKind)| {
            let id = EventId::from(format!("{}:{index}", first.id));
            Event::new(id, self.channel.clone(), kind)
        };
        Some(members.into_iter().enumerate().map(one).collect())
    }

    pub(crate) fn unknown(self, event_id: &str, name: &str, raw: &Raw) -> Event {
        let kind = EventKind::Unknown(Box::new(Unknown::new(name, raw.clone())));
        Event::new(EventId::from(event_id), self.channel.clone(), kind)
    }

    fn sender(self, open_id: &str) -> Sender {
        // An open id belongs to one app and to nobody else in the world.
        Sender::new(AccountRef::new(PLATFORM, open_id.into()), self.proof)
    }

    fn person(self, ids: &UserId) -> Option<Sender> {
        let open_id = ids.open_id.as_deref().and_then(id);
        Some(self.sender(open_id.or(ids.user_id.as_deref().and_then(id))?))
    }

    fn reply(self, chat: &str, thread: Option<&str>) -> ReplyTo {
        let target = Target::chat(chat);
        let target = match thread {
            Some(thread) => target.thread(thread),
            None => target,
        };
        ReplyTo::new(self.channel.clone(), target)
    }

    fn message(self, body: &str, raw: &Raw) -> Option<EventKind> {
        let MessageEvent { sender, message } = from(body)?;
        let ids = sender.sender_id.unwrap_or_default();
        let mut who = self.person(&ids)?;
        let is_own = self.me.is_some() && ids.open_id.as_deref() == self.me;
        if is_own || sender.sender_type != "user" {
            who.kind = SenderKind::Bot;
        }
        let mentions = message.mentions.unwrap_or_default();
        let mentions: Vec<_> = mentions.into_iter().map(Mention::from).collect();
        let kind = match message.chat_type.as_str() {
            "p2p" | "private" => ChatKind::Direct,
            _ => ChatKind::Group,
        };
        let said = Said {
            id: id(&message.message_id)?,
            chat: id(&message.chat_id)?,
            kind,
            thread: message.thread_id.as_deref().and_then(id),
            parent: message.parent_id.as_deref().and_then(id),
            at: message.create_time.as_deref(),
            message_type: &message.message_type,
            content: &message.content,
            mentions: &mentions,
            sender: who,
            is_own,
        };
        Some(EventKind::Message(Box::new(self.said(said, raw))))
    }

    /// Reads a message of a list.
    pub(crate) fn listed(self, listed: Listed, chat: &str, raw: &Raw) -> Option<Message> {
        if listed.deleted {
            return None;
        }
        let sender = listed.sender.as_ref()?;
        // An app is told of by its app id.
        let is_own = sender.id == self.app || self.me.is_some_and(|me| me == sender.id);
        let own = self.me.filter(|_| is_own);
        let mut who = self.sender(id(own.unwrap_or(&sender.id))?);
        if is_own || sender.sender_type != "user" {
            who.kind = SenderKind::Bot;
        }
        let mentions = listed.mentions.unwrap_or_default();
        let mentions: Vec<_> = mentions.into_iter().map(Mention::from).collect();
        let said = Said {
            id: id(&listed.message_id)?,
            chat: listed.chat_id.as_deref().and_then(id).unwrap_or(chat),
            kind: ChatKind::Group,
            thread: listed.thread_id.as_deref().and_then(id),
            parent: listed.parent_id.as_deref().and_then(id),
            at: listed.create_time.as_deref(),
            message_type: &listed.msg_type,
            content: &listed.body.content,
            mentions: &mentions,
            sender: who,
            is_own,
        };
        Some(self.said(said, raw))
    }

    fn said(self, said: Said<'_>, raw: &Raw) -> Message {
        let words = read::words(
            said.id,
            said.message_type,
            said.content,
            said.mentions,
            self.me,
        );
        let quoted = said.parent.map(|parent| {
            let is_mine = self.memory.is_some_and(|it| it.form(parent).is_some());
            Quoted::new(MessageId::from(parent), is_mine)
        });
        let addressed = if said.is_own {
            Addressed::No
        } else if said.kind == ChatKind::Direct {
            Addressed::Direct
        } else if words.mentions_me {
            Addressed::Mention
        } else if quoted.as_ref().is_some_and(|quoted| quoted.mine) {
            Addressed::Reply
        } else {
            Addressed::No
        };
        let message_id = MessageId::from(said.id);
        let reply = self
            .reply(said.chat, said.thread)
            .quoting(message_id.clone());
        let context = Context {
            is_direct: said.kind == ChatKind::Direct,
        };
        // Writing a flag as JSON cannot fail.
        let reply = reply.clone().with_context(&context).unwrap_or(reply);
        let chat = Chat::new(said.chat.into(), said.kind);
        let mut message = Message::new(message_id, chat, said.sender, reply);
        message.thread = said.thread.map(ThreadId::from);
        message.text = words.text;
        message.formatted = words.formatted;
        message.attachments = words.attachments;
        message.addressed = addressed;
        message.reply_to = quoted;
        message.sent_at = said.at.and_then(time);
        message.raw = raw.clone();
        message
    }

    /// Reads a press of a card of version 1.
    pub(crate) fn old_press(self, press: OldPress, event_id: &str, raw: &Raw) -> Option<Event> {
        let kind = self.press(&press.into(), raw)?;
        Some(Event::new(
            EventId::from(event_id),
            self.channel.clone(),
            kind,
        ))
    }

    fn press(self, press: &PressEvent, raw: &Raw) -> Option<EventKind> {
        let sender = self.sender(id(&press.operator.open_id)?);
        let chat = id(&press.context.open_chat_id)?;
        let token = Some(press.token.as_str()).filter(|it| {
            (1..=crate::limits::ID).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_graphic())
        })?;
        let (value, place) = value_of(&press.action);
        let kind = if place.is_direct {
            ChatKind::Direct
        } else {
            ChatKind::Group
        };
        let message = press.context.open_message_id.as_deref().and_then(id);
        let thread = place.thread.as_deref().and_then(id);
        let mut reply = self.reply(chat, thread);
        if let Some(message) = message {
            reply = reply.quoting(MessageId::from(message));
        }
        let context = Context {
            is_direct: place.is_direct,
        };
        let reply = reply.clone().with_context(&context).unwrap_or(reply);
        let chat = Chat::new(chat.into(), kind);
        let mut action = Action::new(token.into(), sender, value, chat, reply, raw.clone());
        action.thread = thread.map(ThreadId::from);
        action.message = message.map(MessageId::from);
        action.fields = fields_of(&press.action);
        Some(EventKind::Action(Box::new(action)))
    }

    fn recalled(self, body: &str, raw: &Raw) -> Option<EventKind> {
        let recalled: Recalled = from(body)?;
        let (chat, message) = (id(&recalled.chat_id)?, id(&recalled.message_id)?);
        let at = MessageRef::new(chat.into(), message.into());
        Some(EventKind::Deleted(Box::new(Deleted::new(
            vec![at],
            raw.clone(),
        ))))
    }

    fn reaction(self, body: &str, is_added: bool, raw: &Raw) -> Option<EventKind> {
        let change: ReactionChange = from(body)?;
        let message = id(&change.message_id)?;
        // Feishu does not say in which chat; the id of a message is one in the world.
        let chat = change.chat_id.as_deref().and_then(id).unwrap_or(message);
        let is_person = change.operator_type != "app";
        let mut sender = match change.app_id.as_deref().filter(|_| !is_person) {
            Some(app) if app == self.app => self.sender(self.me.or(id(app))?),
            Some(app) => self.sender(id(app)?),
            None => self.person(&change.user_id)?,
        };
        if !is_person {
            sender.kind = SenderKind::Bot;
        }
        let at = MessageRef::new(chat.into(), message.into());
        let reply = self.reply(chat, None).quoting(message.into());
        let mut reaction = Reaction::new(at, sender, reply, raw.clone());
        let emoji = emoji::from_name(&change.reaction_type.emoji_type);
        if is_added {
            reaction.added.push(emoji);
        } else {
            reaction.removed.push(emoji);
        }
        Some(EventKind::Reaction(Box::new(reaction)))
    }

    fn bot(self, body: &str, state: MemberState, raw: &Raw) -> Option<EventKind> {
        let change: BotChange = from(body)?;
        let me = self.sender(self.me.or(id(self.app))?);
        let membership = self.membership(&change.chat_id, change.name, me, state, raw)?;
        Some(EventKind::Membership(Box::new(membership.of_me())))
    }

    fn members(self, body: &str, state: MemberState, raw: &Raw) -> Vec<EventKind> {
        let Some(change) = from::<MemberChange>(body) else {
            return Vec::new();
        };
        let one = |member: &crate::wire::Member| {
            let mut sender = self.person(&member.user_id)?;
            sender.name.clone_from(&member.name);
            let name = change.name.clone();
            let membership = self.membership(&change.chat_id, name, sender, state, raw)?;
            Some(EventKind::Membership(Box::new(membership)))
        };
        change.users.iter().take(200).filter_map(one).collect()
    }

    fn membership(
        self,
        chat: &str,
        title: Option<String>,
        member: Sender,
        state: MemberState,
        raw: &Raw,
    ) -> Option<Membership> {
        let chat = id(chat)?;
        let reply = self.reply(chat, None);
        let mut place = Chat::new(chat.into(), ChatKind::Group);
        place.title = title;
        Some(Membership::new(place, member, state, reply, raw.clone()))
    }
}

/// What rides in a reply besides.
#[derive(Debug, Default, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct Context {
    #[serde(default)]
    pub(crate) is_direct: bool,
}

/// Where a button of ours stands, which a press does not tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    is_direct: bool,
    thread: Option<String>,
}

/// What a button or choice carried. The buttons of this channel carry an object; others may
/// carry anything, which is handed on as JSON.
fn value_of(pressed: &Pressed) -> (String, Place) {
    let chosen = [&pressed.option, &pressed.input_value]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty());
    let ours = pressed.value.get("kit");
    let place = Place {
        is_direct: pressed.value.get("direct") == Some(&Value::Bool(true)),
        thread: pressed
            .value
            .get("thread")
            .and_then(Value::as_str)
            .map(str::to_owned),
    };
    let value = match (ours, &pressed.value, chosen) {
        (Some(Value::String(value)), _, _) => value.clone(),
        (_, _, Some(chosen)) => chosen.clone(),
        (_, Value::String(value), None) => value.clone(),
        (_, Value::Null, None) => pressed.name.clone().unwrap_or_default(),
        (_, other, None) => other.to_string(),
    };
    (value, place)
}

fn fields_of(pressed: &Pressed) -> Vec<(String, String)> {
    let form = pressed.form_value.iter().flatten();
    let field = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (value.len() <= MAX_FIELD && name.len() <= MAX_FIELD).then(|| (name.clone(), value))
    };
    form.filter_map(field).take(MAX_FIELDS).collect()
}
