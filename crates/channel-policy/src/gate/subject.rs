//! What an event is about, whatever its kind.

use channel_core::{AccountRef, ChannelId, ChatId, ChatKind, Event, EventKind, Message, Sender};

/// Who did something, and where.
pub(crate) struct Subject<'a> {
    pub(crate) event: &'a Event,
    pub(crate) channel: &'a ChannelId,
    pub(crate) sender: &'a Sender,
    pub(crate) chat: &'a ChatId,
    /// Absent where the platform does not say.
    pub(crate) chat_kind: Option<ChatKind>,
    /// The words, where there are any.
    pub(crate) message: Option<&'a Message>,
    /// Whether it is a new message, and not a changed one.
    pub(crate) is_new: bool,
    /// Whether it counts against rate limits.
    pub(crate) counts: bool,
}

/// What the gate makes of an event before it looks at anything.
pub(crate) enum Kind<'a> {
    /// Somebody did something.
    Somebody(Subject<'a>),
    /// The platform says something, of nobody in particular.
    Platform,
    /// Nobody knows what it is.
    Unknown,
}

pub(crate) fn read(event: &Event) -> Kind<'_> {
    let subject = |sender, chat, chat_kind| Subject {
        event,
        channel: &event.channel,
        sender,
        chat,
        chat_kind,
        message: None,
        is_new: false,
        counts: true,
    };
    Kind::Somebody(match &event.kind {
        EventKind::Message(it) | EventKind::Edited(it) => Subject {
            message: Some(it),
            is_new: matches!(event.kind, EventKind::Message(_)),
            ..subject(&it.sender, &it.chat.id, Some(it.chat.kind))
        },
        EventKind::Action(it) => subject(&it.sender, &it.chat.id, Some(it.chat.kind)),
        EventKind::Reaction(it) => subject(&it.sender, &it.message.chat, None),
        EventKind::Membership(it) if !it.is_me => Subject {
            counts: false,
            ..subject(&it.member, &it.chat.id, Some(it.chat.kind))
        },
        EventKind::Membership(_)
        | EventKind::Deleted(_)
        | EventKind::Moved(_)
        | EventKind::Connection(_) => return Kind::Platform,
        _ => return Kind::Unknown,
    })
}

impl Subject<'_> {
    pub(crate) const fn account(&self) -> &AccountRef {
        &self.sender.account
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.chat_kind == Some(ChatKind::Direct)
    }
}
