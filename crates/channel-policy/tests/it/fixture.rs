//! Events of a platform that does not exist, and a gate before them.

use std::sync::Arc;

use channel_core::{
    AccountRef, Addressed, ChannelId, ChannelInfo, Chat, ChatKind, Event, EventKind, Limits,
    Message, Platform, Policy as _, Proof, ReplyTo, Sender, SenderKind, Target, TextLimit,
    TextUnit, Verdict,
};
use channel_policy::Gate;
use channel_testkit::{SeededRandom, VirtualClock};

pub(crate) const ACME: Platform = Platform::new("acme");

pub(crate) fn account(id: &str) -> AccountRef {
    AccountRef::new(ACME, id.into())
}

pub(crate) fn random() -> Arc<SeededRandom> {
    Arc::new(SeededRandom::new(7))
}

pub(crate) fn info(id: &str) -> ChannelInfo {
    let text = TextLimit::new(1000, TextUnit::Utf16);
    ChannelInfo::new(id.into(), ACME, Limits::new(text))
}

/// Somebody writes to the bot in a direct chat.
pub(crate) fn direct(sender: &str, text: &str) -> Message {
    let chat = Chat::new(sender.into(), ChatKind::Direct);
    message(sender, text, chat, Addressed::Direct)
}

/// Somebody writes in a group.
pub(crate) fn group(sender: &str, text: &str, addressed: Addressed) -> Message {
    let chat = Chat::new("team".into(), ChatKind::Group);
    message(sender, text, chat, addressed)
}

fn message(sender: &str, text: &str, chat: Chat, addressed: Addressed) -> Message {
    let to = ReplyTo::new(ChannelId::new("acme"), Target::chat(chat.id.clone()));
    let sender = Sender::new(account(sender), Proof::Verified);
    let mut message = Message::new("m1".into(), chat, sender, to);
    text.clone_into(&mut message.text);
    message.addressed = addressed;
    message
}

pub(crate) fn by(mut message: Message, kind: SenderKind) -> Message {
    message.sender.kind = kind;
    message
}

pub(crate) fn event(message: Message) -> Event {
    let channel = message.channel().clone();
    Event::new("e1".into(), channel, EventKind::Message(Box::new(message)))
}

pub(crate) fn judge(gate: &Gate, message: Message) -> Verdict {
    judge_event(gate, &event(message))
}

pub(crate) fn judge_event(gate: &Gate, event: &Event) -> Verdict {
    VirtualClock::new().block_on(gate.judge(event))
}

pub(crate) fn reason(gate: &Gate, message: Message) -> &'static str {
    judge(gate, message).reason()
}
