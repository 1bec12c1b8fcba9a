//! Everything that comes in.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::account::{Chat, Conversation, MessageRef, Sender};
use crate::error::Result;
use crate::id::{ActionId, ChannelId, ChatId, EventId, MessageId, ThreadId};
use crate::message::Message;
use crate::outbound::ReplyTo;
use crate::raw::Raw;

/// Something that happened on a platform.
///
/// An event is only ever made by an adapter that has verified where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The deduplication key, unique inside the channel and the same on redelivery.
    pub id: EventId,
    /// The channel that it came through.
    pub channel: ChannelId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Somebody wrote.
    Message(Box<Message>),
    /// Somebody changed a message; it holds the new words.
    Edited(Box<Message>),
    /// Messages were deleted.
    Deleted(Box<Deleted>),
    /// Somebody reacted, or took a reaction back.
    Reaction(Box<Reaction>),
    /// Somebody pressed a button or chose an option.
    Action(Box<Action>),
    /// Somebody, perhaps the bot, joined or left, blocked or unblocked.
    Membership(Box<Membership>),
    /// The chat lives on under another id: re-key what is stored.
    Moved(Box<Moved>),
    /// The connection itself has something to say; not stored and not handled.
    Connection(Connection),
    /// An event that this version of the adapter does not know; kept and counted.
    Unknown(Box<Unknown>),
}

/// Messages that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deleted {
    /// The messages.
    pub messages: Vec<MessageRef>,
    /// The thread, where it is known.
    pub thread: Option<ThreadId>,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Deleted {
    /// Says which messages are gone.
    #[must_use]
    pub const fn new(messages: Vec<MessageRef>, raw: Raw) -> Self {
        Self {
            messages,
            thread: None,
            raw,
        }
    }
}

/// A change of reactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reaction {
    /// The message reacted to.
    pub message: MessageRef,
    /// Who reacted.
    pub sender: Sender,
    /// What was added: emoji, or the platform's name of one.
    pub added: Vec<String>,
    /// What was taken back.
    pub removed: Vec<String>,
    /// Where an answer goes.
    pub return_address: ReplyTo,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Reaction {
    /// A change that adds and removes nothing yet.
    #[must_use]
    pub const fn new(
        message: MessageRef,
        sender: Sender,
        return_address: ReplyTo,
        raw: Raw,
    ) -> Self {
        Self {
            message,
            sender,
            added: Vec::new(),
            removed: Vec::new(),
            return_address,
            raw,
        }
    }
}

/// A pressed button or a chosen option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Action {
    /// What the platform wants to have answered.
    pub id: ActionId,
    /// Who pressed.
    pub sender: Sender,
    /// The value that the button carried.
    pub value: String,
    /// What was filled in beside it, by field name: forms and dialogs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Where the button is.
    pub chat: Chat,
    /// The thread inside the chat.
    pub thread: Option<ThreadId>,
    /// The message that carries the button, where it can be told.
    pub message: Option<MessageId>,
    /// Where an answer goes.
    pub return_address: ReplyTo,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Action {
    /// A press in a chat.
    #[must_use]
    pub fn new(
        id: ActionId,
        sender: Sender,
        value: impl Into<String>,
        chat: Chat,
        return_address: ReplyTo,
        raw: Raw,
    ) -> Self {
        Self {
            id,
            sender,
            value: value.into(),
            fields: Vec::new(),
            chat,
            thread: None,
            message: None,
            return_address,
            raw,
        }
    }
}

/// What a member of a chat may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemberState {
    /// Takes part.
    Joined,
    /// Has left.
    Left,
    /// Was removed; in a direct chat: has blocked the bot.
    Removed,
}

/// A change of membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Membership {
    /// The chat.
    pub chat: Chat,
    /// Whose membership has changed.
    pub member: Sender,
    /// Whether the member is the bot itself.
    pub is_me: bool,
    /// What holds from now on.
    pub state: MemberState,
    /// Where an answer goes.
    pub return_address: ReplyTo,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Membership {
    /// A change of somebody's membership in a chat.
    #[must_use]
    pub const fn new(
        chat: Chat,
        member: Sender,
        state: MemberState,
        return_address: ReplyTo,
        raw: Raw,
    ) -> Self {
        Self {
            chat,
            member,
            is_me: false,
            state,
            return_address,
            raw,
        }
    }

    /// Says that the member is the bot itself.
    #[must_use]
    pub const fn of_me(mut self) -> Self {
        self.is_me = true;
        self
    }
}

/// A chat that has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Moved {
    /// The id that no longer works.
    pub from: ChatId,
    /// The id that works from now on.
    pub to: ChatId,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Moved {
    /// A chat that has moved.
    #[must_use]
    pub const fn new(from: ChatId, to: ChatId, raw: Raw) -> Self {
        Self { from, to, raw }
    }
}

/// An event of a kind that the adapter does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unknown {
    /// The platform's name of the kind; hostile text, at most 64 bytes.
    pub name: String,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Unknown {
    /// Keeps an unknown event; the name is cut at 64 bytes.
    #[must_use]
    pub fn new(name: &str, raw: Raw) -> Self {
        let end = name.floor_char_boundary(64);
        Self {
            name: name.get(..end).unwrap_or_default().to_owned(),
            raw,
        }
    }
}

/// What a connection says about itself.
///
/// A channel that receives over its own connection yields one of these at least every
/// 90 s, so that whoever watches the stream sees progress instead of a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Connection {
    /// The platform has proven that it talks to us: first good poll, hello, or the like.
    Ready,
    /// Proof of life while nothing happens.
    Alive,
    /// The connection is lost; the channel is already trying again.
    Lost {
        /// The error kind's name, or a short cause; never content.
        cause: String,
        /// When the next attempt is made, from now.
        retry_in: std::time::Duration,
    },
    /// The platform may have dropped events.
    Gap {
        /// The last moment at which nothing was missing.
        since: SystemTime,
        /// Why something may be missing.
        cause: String,
    },
}

impl Event {
    /// An event of a channel.
    #[must_use]
    pub const fn new(id: EventId, channel: ChannelId, kind: EventKind) -> Self {
        Self { id, channel, kind }
    }

    /// The message, if the event is a new message.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match &self.kind {
            EventKind::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Who caused it, where somebody did.
    #[must_use]
    pub const fn sender(&self) -> Option<&Sender> {
        match &self.kind {
            EventKind::Message(message) | EventKind::Edited(message) => Some(&message.sender),
            EventKind::Reaction(reaction) => Some(&reaction.sender),
            EventKind::Action(action) => Some(&action.sender),
            EventKind::Membership(membership) => Some(&membership.member),
            EventKind::Deleted(_)
            | EventKind::Moved(_)
            | EventKind::Connection(_)
            | EventKind::Unknown(_) => None,
        }
    }

    /// The ordering key; `None` for what belongs to no conversation.
    #[must_use]
    pub fn conversation(&self) -> Option<Conversation> {
        let of = |chat: &ChatId, thread: &Option<ThreadId>| {
            Conversation::new(self.channel.clone(), chat.clone(), thread.clone())
        };
        match &self.kind {
            EventKind::Message(message) | EventKind::Edited(message) => {
                Some(of(&message.chat.id, &message.thread))
            }
            EventKind::Action(action) => Some(of(&action.chat.id, &action.thread)),
            EventKind::Reaction(reaction) => Some(of(&reaction.message.chat, &None)),
            EventKind::Membership(membership) => Some(of(&membership.chat.id, &None)),
            EventKind::Deleted(deleted) => deleted
                .messages
                .first()
                .map(|message| of(&message.chat, &deleted.thread)),
            EventKind::Moved(moved) => Some(of(&moved.from, &None)),
            EventKind::Connection(_) | EventKind::Unknown(_) => None,
        }
    }

    /// A stable lower-case name of the kind, for metrics and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.kind {
            EventKind::Message(_) => "message",
            EventKind::Edited(_) => "edited",
            EventKind::Deleted(_) => "deleted",
            EventKind::Reaction(_) => "reaction",
            EventKind::Action(_) => "action",
            EventKind::Membership(_) => "membership",
            EventKind::Moved(_) => "moved",
            EventKind::Connection(_) => "connection",
            EventKind::Unknown(_) => "unknown",
        }
    }
}

/// Where a channel learns that an event is safe with us, or that it is not.
///
/// `token` is whatever the channel gave to [`Received::new`]: a sequence number, a slot.
#[async_trait]
pub trait Acknowledge: fmt::Debug + Send + Sync {
    /// The event is safe: the cursor may move over it, the platform may forget it.
    ///
    /// Returns soon: a channel that has to tell the platform at once bounds the wait
    /// itself, because the conversation goes on only afterwards.
    async fn ack(&self, token: u64) -> Result<()>;

    /// The event could not be taken: the platform is to deliver it again, if it can.
    async fn nak(&self, token: u64) -> Result<()>;

    /// The event was dropped without a word, as in a crash: it must stay redeliverable.
    fn abandon(&self, token: u64);
}

/// An event together with its duty to acknowledge.
///
/// Call [`ack`](Self::ack) once the event is safe, [`nak`](Self::nak) to have it
/// delivered again. Dropping it counts as a crash: the platform's cursor does not move
/// over it.
#[derive(Debug)]
#[must_use = "an event that is dropped counts as not received"]
pub struct Received {
    event: Option<Event>,
    cursor: Option<Box<str>>,
    duty: Option<(Arc<dyn Acknowledge>, u64)>,
}

impl Received {
    /// An event that has to be acknowledged.
    pub fn new(event: Event, duty: Arc<dyn Acknowledge>, token: u64) -> Self {
        Self {
            event: Some(event),
            cursor: None,
            duty: Some((duty, token)),
        }
    }

    /// Says where the channel goes on after this event, where the channel and not the
    /// platform has to remember that. A store keeps it together with the event, and the
    /// channel gets it back through [`Events::resume`](crate::Events::resume).
    pub fn with_cursor(mut self, cursor: impl Into<Box<str>>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Where the channel goes on after this event.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// News about a connection: nothing to acknowledge.
    pub fn connection(channel: ChannelId, news: Connection) -> Self {
        Self {
            event: Some(Event::new(
                EventId::new("connection"),
                channel,
                EventKind::Connection(news),
            )),
            cursor: None,
            duty: None,
        }
    }

    /// The event; `None` only after [`take`](Self::take).
    #[must_use]
    pub const fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// The message, if the event is a new message.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        self.event.as_ref().and_then(Event::message)
    }

    /// Takes the event out, leaving the duty to acknowledge.
    pub fn take(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// Tells the channel that the event is safe.
    ///
    /// # Errors
    ///
    /// If the platform has to be told at once and cannot be; it will deliver again.
    pub async fn ack(mut self) -> Result<()> {
        match self.duty.take() {
            Some((duty, token)) => duty.ack(token).await,
            None => Ok(()),
        }
    }

    /// Asks for the event to be delivered again.
    ///
    /// # Errors
    ///
    /// If the platform has to be told at once and cannot be.
    pub async fn nak(mut self) -> Result<()> {
        match self.duty.take() {
            Some((duty, token)) => duty.nak(token).await,
            None => Ok(()),
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some((duty, token)) = self.duty.take() {
            duty.abandon(token);
        }
    }
}
