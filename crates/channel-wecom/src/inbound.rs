//! Items as events.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    AccountRef, Action, ActionId, Addressed, ChannelId, Chat, ChatKind, Event, EventId, EventKind,
    MemberState, Membership, Message, Proof, Raw, ReplyTo, Sender, SenderKind, Target, Unknown,
    WorkspaceId,
};
use serde::{Deserialize, Serialize};

use crate::PLATFORM;
use crate::wire::{Item, Kind, Place, What};

/// What a reply address holds besides the chat. The addresses are secrets: whoever has one
/// can write in the bot's name.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct ReplyContext {
    /// A group bot's webhook, or an AI bot's `response_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// An AI bot's stream, or the request that a connection answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// When the message came, in seconds since 1970.
    #[serde(default)]
    pub(crate) at: u64,
}

/// What an event needs to know about the channel.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) channel: &'a ChannelId,
    /// The corp, where it is known: ids of users are unique inside of it.
    pub(crate) corp: Option<&'a str>,
    /// The bot's name in groups, without `@`.
    pub(crate) name: Option<&'a str>,
    pub(crate) proof: Proof,
}

/// Makes an event of one item. What is not mapped becomes an unknown event, so that
/// nothing that WeCom sends is lost.
pub(crate) fn event(frame: &Frame<'_>, item: Item, reply: &ReplyContext, raw: Bytes) -> Event {
    let id = EventId::from(item.key.as_str());
    let raw = Raw::new(raw);
    let kind = match (item.place, item.what) {
        (None, what) => unknown(&what, raw),
        (Some(place), what) => of_place(frame, &place, what, item.at, &id, reply, raw),
    };
    Event::new(id, frame.channel.clone(), kind)
}

fn of_place(
    frame: &Frame<'_>,
    place: &Place,
    what: What,
    at: Option<u64>,
    event: &EventId,
    reply: &ReplyContext,
    raw: Raw,
) -> EventKind {
    let chat = chat(place);
    let sender = sender(frame, place);
    let reply = match &what {
        // A secret while it lasts, so it rides where nothing shows it.
        What::Pressed {
            token: Some(token), ..
        } => {
            let mut reply = reply.clone();
            reply.request = Some(token.clone());
            return_address(frame.channel, place, &reply)
        }
        _ => return_address(frame.channel, place, reply),
    };
    match what {
        What::Said {
            id,
            text,
            attachments,
            quotes,
        } => {
            let mut message = Message::new(id.into(), chat, sender, reply);
            let (addressed, text) = addressed(place.kind, text, frame.name);
            message.addressed = addressed;
            message.text = text;
            message.attachments = attachments;
            message.quotes = quotes;
            message.sent_at = at.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at)));
            message.raw = raw;
            EventKind::Message(Box::new(message))
        }
        What::Pressed { value, task, .. } => {
            let id = ActionId::from(event.as_str());
            let mut action = Action::new(id, sender, value, chat, reply, raw);
            action.message = task.map(Into::into);
            EventKind::Action(Box::new(action))
        }
        What::Joined => EventKind::Membership(Box::new(Membership::new(
            chat,
            sender,
            MemberState::Joined,
            reply,
            raw,
        ))),
        What::Left => {
            // Somebody who no longer lets the app write.
            EventKind::Membership(Box::new(Membership::new(
                chat,
                sender,
                MemberState::Removed,
                reply,
                raw,
            )))
        }
        What::MeJoined => EventKind::Membership(Box::new(
            Membership::new(chat, sender, MemberState::Joined, reply, raw).of_me(),
        )),
        What::MeLeft => EventKind::Membership(Box::new(
            Membership::new(chat, sender, MemberState::Removed, reply, raw).of_me(),
        )),
        what => unknown(&what, raw),
    }
}

fn unknown(what: &What, raw: Raw) -> EventKind {
    let name = match what {
        What::Other(name) => name,
        What::Entered => "enter_chat",
        What::Refresh(_) => "stream",
        What::Disconnected => "disconnected_event",
        _ => "no_sender",
    };
    EventKind::Unknown(Box::new(Unknown::new(name, raw)))
}

pub(crate) fn chat(place: &Place) -> Chat {
    Chat::new(place.chat.as_str().into(), chat_kind(place.kind))
}

pub(crate) const fn chat_kind(kind: Kind) -> ChatKind {
    match kind {
        Kind::Single => ChatKind::Direct,
        Kind::Group => ChatKind::Group,
        Kind::Board => ChatKind::Broadcast,
    }
}

pub(crate) fn account(corp: Option<&str>, user: &str) -> AccountRef {
    let account = AccountRef::new(PLATFORM, user.into());
    match corp {
        Some(corp) => account.in_workspace(WorkspaceId::new(corp)),
        None => account,
    }
}

/// Address-book and approval events come from nobody in particular.
pub(crate) fn sender_kind(user: &str) -> SenderKind {
    if user == "sys" {
        SenderKind::System
    } else {
        SenderKind::Person
    }
}

fn sender(frame: &Frame<'_>, place: &Place) -> Sender {
    let mut sender = Sender::new(account(frame.corp, &place.user), frame.proof);
    sender.kind = sender_kind(&place.user);
    sender.name = place.name.clone();
    sender
}

pub(crate) fn return_address(
    channel: &ChannelId,
    place: &Place,
    context: &ReplyContext,
) -> ReplyTo {
    let reply = ReplyTo::new(channel.clone(), Target::chat(place.chat.as_str()));
    if context.url.is_none() && context.request.is_none() {
        return reply;
    }
    // Writing texts and a number as JSON cannot fail.
    reply.clone().with_context(context).unwrap_or(reply)
}

/// Whether a text is meant for the bot, and the text without the mention of it.
///
/// A bot in a group gets nothing but what mentions it, and the mention stands in the text.
pub(crate) fn addressed(kind: Kind, text: String, name: Option<&str>) -> (Addressed, String) {
    match kind {
        Kind::Single => (Addressed::Direct, text),
        Kind::Group => (Addressed::Mention, without_mention(text, name)),
        Kind::Board => (Addressed::No, text),
    }
}

fn without_mention(text: String, name: Option<&str>) -> String {
    let Some(rest) = text.trim_start().strip_prefix('@') else {
        return text;
    };
    let rest = match name {
        Some(name) => rest.strip_prefix(name),
        // Unless it is configured, a name is taken to be one word.
        None => rest
            .find(char::is_whitespace)
            .and_then(|end| rest.get(end..)),
    };
    match rest {
        Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => {
            rest.trim_start().to_owned()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mention_at_the_start_is_no_part_of_the_words() {
        let words = |text: &str, name| addressed(Kind::Group, text.to_owned(), name).1;
        assert_eq!(words("@RobotA /help", None), "/help");
        assert_eq!(words("@RobotA\u{2005}hi", None), "hi");
        assert_eq!(words("@Robot A hi", Some("Robot A")), "hi");
        assert_eq!(words("@Robot", Some("Robot")), "");
        assert_eq!(words("@Robots hi", Some("Robot")), "@Robots hi");
        assert_eq!(words("hi @RobotA", None), "hi @RobotA");
        assert_eq!(addressed(Kind::Single, "@a b".to_owned(), None).1, "@a b");
    }
}
