//! Updates as events.

use bytes::Bytes;
use channel_core::{
    AccountRef, Action, ActionId, ChannelId, Chat, ChatId, Deleted, Event, EventId, EventKind,
    MemberState, Membership, Message, MessageId, MessageRef, Moved, Proof, Raw, Reaction, ReplyTo,
    Sender, SenderKind, Target, ThreadId, Unknown,
};
use serde::{Deserialize, Serialize};

use crate::shared::Me;
use crate::wire::{self, Flavour, Update, UpdateKind, scan};
use crate::{PLATFORM, address, read};

/// What a reply address holds besides chat, thread and message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReplyContext {
    /// The only member who is to see the answer, because only they see the question.
    pub(crate) receiver: i64,
}

/// Makes an event of one update. What cannot be decoded becomes an unknown event, so that
/// nothing that Telegram sends is lost or stops the rest.
pub(crate) fn event(channel: &ChannelId, me: &Me, id: i64, raw: Bytes) -> Event {
    // Checked once as a whole, which costs less than string by string.
    let update = std::str::from_utf8(&raw)
        .ok()
        .and_then(|text| serde_json::from_str::<Update>(text).ok());
    let kind = match update {
        Some(update) => kind(channel, me, update.kind, Raw::new(raw)),
        None => {
            tracing::warn!(%channel, update = id, "an update cannot be decoded");
            let name = scan::update_head(&raw).1.unwrap_or_default().to_owned();
            unknown(&name, Raw::new(raw))
        }
    };
    Event::new(EventId::from(id), channel.clone(), kind)
}

fn kind(channel: &ChannelId, me: &Me, kind: UpdateKind, raw: Raw) -> EventKind {
    match kind {
        UpdateKind::Message(flavour, mut message) => {
            of_message(channel, me, flavour, &mut message, raw)
        }
        UpdateKind::Callback(query) => EventKind::Action(Box::new(action(channel, *query, raw))),
        UpdateKind::Reaction(update) => reaction(channel, *update, raw),
        UpdateKind::Member(member) => {
            EventKind::Membership(Box::new(membership(channel, me, *member, raw)))
        }
        UpdateKind::Deleted(deleted) => EventKind::Deleted(Box::new(deletion(&deleted, raw))),
        UpdateKind::Other(name) => unknown(&name, raw),
    }
}

fn unknown(name: &str, raw: Raw) -> EventKind {
    EventKind::Unknown(Box::new(Unknown::new(name, raw)))
}

fn account(id: i64) -> AccountRef {
    AccountRef::new(PLATFORM, id.into())
}

fn sender_of(mut user: wire::User) -> Sender {
    // Telegram does not sign: it vouches by the connection, or by the webhook's secret.
    let mut sender = Sender::new(account(user.id), Proof::Asserted);
    if user.is_bot {
        sender.kind = SenderKind::Bot;
    }
    sender.name = user.take_name();
    sender
}

fn chat_of(chat: &mut wire::Chat, id: ChatId) -> Chat {
    let mut common = Chat::new(id, read::chat_kind(chat.kind));
    common.title = chat.title.take();
    common
}

fn target(chat: &ChatId, thread: Option<&ThreadId>) -> Target {
    let target = Target::chat(chat.clone());
    match thread {
        Some(thread) => target.thread(thread.clone()),
        None => target,
    }
}

/// Takes what it needs out of the message: moving the whole would cost more.
fn of_message(
    channel: &ChannelId,
    me: &Me,
    flavour: Flavour,
    message: &mut wire::Message,
    raw: Raw,
) -> EventKind {
    if let Some(to) = message.migrate_to_chat_id {
        let moved = Moved::new(message.chat.id.into(), to.into(), raw);
        return EventKind::Moved(Box::new(moved));
    }
    if let Some(from) = message.migrate_from_chat_id {
        let moved = Moved::new(from.into(), message.chat.id.into(), raw);
        return EventKind::Moved(Box::new(moved));
    }
    if let Some(user) = message.left_chat_member.take() {
        return service_membership(channel, me, message, *user, MemberState::Left, raw);
    }
    match message.new_chat_members.len() {
        0 => {}
        1 => {
            let user = message.new_chat_members.remove(0);
            return service_membership(channel, me, message, user, MemberState::Joined, raw);
        }
        // One event cannot name several members; the payload does.
        _ => return unknown("new_chat_members", raw),
    }
    if message.is_bare()
        && let Some(name) = scan::unknown_content(raw.as_slice())
    {
        return unknown(&name, raw);
    }
    let message = Box::new(common(channel, me, message, raw));
    match flavour {
        Flavour::New => EventKind::Message(message),
        Flavour::Edited => EventKind::Edited(message),
    }
}

fn common(channel: &ChannelId, me: &Me, wire: &mut wire::Message, raw: Raw) -> Message {
    let (author, kind) = wire.author(Some(me.id));
    let mut sender = Sender::new(account(author), Proof::Asserted);
    sender.kind = kind;
    let addressed = wire.addressed(me);
    let formatted = wire.formatted();
    let id = wire.common_id();
    let chat_id = wire.chat_id();
    let thread = wire.thread();
    let return_address = return_address(channel, wire, &chat_id, thread.as_ref(), &id);

    sender.name = if author == wire.chat.id && wire.chat.title.is_some() {
        wire.chat.title.clone()
    } else if let Some(chat) = &mut wire.sender_chat {
        chat.title.take()
    } else {
        wire.from.as_mut().and_then(wire::User::take_name)
    };
    let attachments = wire.attachments();
    let quoted = wire.quoted(Some(me.id));
    let sent_at = wire.sent_at();
    let mut message = Message::new(id, chat_of(&mut wire.chat, chat_id), sender, return_address);
    message.thread = thread;
    let text = wire.text.take().or_else(|| wire.caption.take());
    message.text = text.unwrap_or_default();
    message.formatted = formatted;
    message.attachments = attachments;
    message.addressed = addressed;
    message.reply_to = quoted;
    message.quotes = wire.quote.is_some() || wire.external_reply.is_some();
    message.sent_at = sent_at;
    message.album = wire.media_group_id.take();
    message.raw = raw;
    message
}

fn return_address(
    channel: &ChannelId,
    wire: &wire::Message,
    chat: &ChatId,
    thread: Option<&ThreadId>,
    id: &MessageId,
) -> ReplyTo {
    let reply = ReplyTo::new(channel.clone(), target(chat, thread));
    match (&wire.from, wire.ephemeral_message_id) {
        (Some(user), Some(_)) => {
            let context = ReplyContext { receiver: user.id };
            // Writing a number as JSON cannot fail.
            reply.clone().with_context(&context).unwrap_or(reply)
        }
        _ => reply.quoting(id.clone()),
    }
}

fn service_membership(
    channel: &ChannelId,
    me: &Me,
    message: &mut wire::Message,
    user: wire::User,
    state: MemberState,
    raw: Raw,
) -> EventKind {
    let is_me = user.id == me.id;
    let chat_id = message.chat_id();
    let reply = ReplyTo::new(channel.clone(), target(&chat_id, message.thread().as_ref()));
    let chat = chat_of(&mut message.chat, chat_id);
    let membership = Membership::new(chat, sender_of(user), state, reply, raw);
    EventKind::Membership(Box::new(if is_me {
        membership.of_me()
    } else {
        membership
    }))
}

fn membership(channel: &ChannelId, me: &Me, mut member: wire::Member, raw: Raw) -> Membership {
    let status = &member.new_chat_member;
    let state = match status.status.as_str() {
        "kicked" => MemberState::Removed,
        "left" => MemberState::Left,
        "restricted" if status.is_member == Some(false) => MemberState::Left,
        _ => MemberState::Joined,
    };
    let chat_id = ChatId::from(member.chat.id);
    let reply = ReplyTo::new(channel.clone(), Target::chat(chat_id.clone()));
    let is_direct = member.chat.kind == wire::ChatType::Private;
    let chat = chat_of(&mut member.chat, chat_id);
    if member.mine && is_direct {
        // The person has blocked or unblocked the bot: the person is who it is about.
        return Membership::new(chat, sender_of(member.from), state, reply, raw);
    }
    let is_me = member.mine || member.new_chat_member.user.id == me.id;
    let who = sender_of(member.new_chat_member.user);
    let membership = Membership::new(chat, who, state, reply, raw);
    if is_me {
        membership.of_me()
    } else {
        membership
    }
}

fn reaction(channel: &ChannelId, update: wire::ReactionUpdate, raw: Raw) -> EventKind {
    let chat = ChatId::from(update.chat.id);
    let id = MessageId::from(update.message_id);
    let sender = match (update.user, update.actor_chat) {
        (Some(user), _) => sender_of(user),
        (None, Some(actor)) => {
            let mut sender = Sender::new(account(actor.id), Proof::Asserted);
            sender.kind = SenderKind::Chat;
            sender.name = actor.title;
            sender
        }
        (None, None) => return unknown("message_reaction", raw),
    };
    let reply = ReplyTo::new(channel.clone(), Target::chat(chat.clone())).quoting(id.clone());
    let mut reaction = Reaction::new(MessageRef::new(chat, id), sender, reply, raw);
    let names = |kinds: &[wire::ReactionKind]| kinds.iter().map(reaction_name).collect();
    let old: Vec<String> = names(&update.old_reaction);
    let new: Vec<String> = names(&update.new_reaction);
    reaction.added = new
        .iter()
        .filter(|name| !old.contains(name))
        .cloned()
        .collect();
    reaction.removed = old.into_iter().filter(|name| !new.contains(name)).collect();
    EventKind::Reaction(Box::new(reaction))
}

fn reaction_name(kind: &wire::ReactionKind) -> String {
    match (&kind.emoji, &kind.custom_emoji_id) {
        (Some(emoji), _) => emoji.clone(),
        (None, Some(id)) => format!("custom:{id}"),
        (None, None) => kind.kind.clone(),
    }
}

fn action(channel: &ChannelId, query: wire::CallbackQuery, raw: Raw) -> Action {
    let id = ActionId::from(query.id.as_str());
    let person = ChatId::from(query.from.id);
    let sender = sender_of(query.from);
    if let Some(mut message) = query.message {
        let chat_id = match &message.business_connection_id {
            Some(connection) => address::business_chat(connection, message.chat.id),
            None => message.chat.id.into(),
        };
        let thread = message
            .message_thread_id
            .filter(|_| message.is_topic_message)
            .map(ThreadId::from);
        let reply = ReplyTo::new(channel.clone(), target(&chat_id, thread.as_ref()));
        let chat = chat_of(&mut message.chat, chat_id);
        let mut action = Action::new(id, sender, query.data, chat, reply, raw);
        action.thread = thread;
        action.message = Some(match message.ephemeral_message_id {
            Some(id) => address::ephemeral_message(id),
            None => message.message_id.into(),
        });
        return action;
    }
    // An inline message is in a chat that Telegram does not tell: the answer goes to the
    // person who pressed.
    let chat = Chat::new(
        address::inline_chat(&query.chat_instance),
        channel_core::ChatKind::Group,
    );
    let reply = ReplyTo::new(channel.clone(), Target::chat(person));
    let mut action = Action::new(id, sender, query.data, chat, reply, raw);
    action.message = query.inline_message_id.map(MessageId::from);
    action
}

fn deletion(deleted: &wire::DeletedMessages, raw: Raw) -> Deleted {
    let chat = address::business_chat(&deleted.business_connection_id, deleted.chat.id);
    let messages = deleted
        .message_ids
        .iter()
        .map(|id| MessageRef::new(chat.clone(), (*id).into()))
        .collect();
    Deleted::new(messages, raw)
}
