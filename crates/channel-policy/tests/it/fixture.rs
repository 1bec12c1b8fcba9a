//! Events of a platform that does not exist, and a gate before them.

use std::sync::Arc;

use channel_core::{
    AccountRef, Addressed, ChannelId, ChannelInfo, Chat, ChatKind, Event, EventKind, Limits,
    Message, Platform, Policy as _, Proof, ReplyTo, Sender, SenderKind, Target, TextLimit,
    TextUnit, Verdict,
};
use channel_core::{Result, Secret};
use channel_policy::{ApprovalError, Gate, Invited, Pairing, Pending, Requested};
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

/// What is asked for, without waiting: nothing here does.
pub(crate) fn now<T>(work: impl Future<Output = T>) -> T {
    VirtualClock::new().block_on(work)
}

/// Pairing with a store that answers.
#[derive(Clone)]
pub(crate) struct Desk(pub(crate) Arc<Pairing>);

impl Desk {
    pub(crate) fn is_paired(&self, account: &AccountRef) -> bool {
        now(self.0.is_paired(account)).unwrap()
    }
    pub(crate) fn request(&self, account: &AccountRef, name: Option<&str>) -> Requested {
        now(self.0.request(account, name)).unwrap()
    }
    pub(crate) fn pending(&self) -> Vec<Pending> {
        now(self.0.pending()).unwrap()
    }
    pub(crate) fn approve(&self, actor: &str, code: &str) -> Result<AccountRef, ApprovalError> {
        now(self.0.approve(actor, code))
    }
    pub(crate) fn reject(&self, actor: &str, id: &str) -> bool {
        now(self.0.reject(actor, id)).unwrap()
    }
    pub(crate) fn add_alias(&self, account: &AccountRef, alias: &AccountRef) -> bool {
        now(self.0.add_alias(account, alias)).unwrap()
    }
    pub(crate) fn revoke(&self, actor: &str, account: &AccountRef) -> bool {
        now(self.0.revoke(actor, account)).unwrap()
    }
    pub(crate) fn invite(&self, actor: &str, platform: &Platform) -> Result<Secret> {
        now(self.0.invite(actor, platform))
    }
    pub(crate) fn accept(&self, account: &AccountRef, text: &str) -> Option<Invited> {
        now(self.0.accept(account, text)).unwrap()
    }
}
