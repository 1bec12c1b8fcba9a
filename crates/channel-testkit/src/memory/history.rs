//! What was written in a chat.

use channel_core::{
    Addressed, Chat, ChatKind, History, Message, MessageId, MessageRef, OutboundMessage, Repeat,
    Result, Target, async_trait,
};

use super::MemoryChannel;
use super::platform::{Logged, State};
use super::wire::{BOT, Wire, recall};

impl State {
    /// One entry of the log as the platform writes it; `None` if it was deleted.
    fn recorded(&self, logged: &Logged) -> Option<Wire> {
        let (at, time) = match logged {
            Logged::User(wire) => return Some(Wire::clone(wire)),
            Logged::Bot(at, time) => (at, *time),
        };
        let sent = self.sent.iter().find(|sent| sent.at == *at)?;
        let mut wire = Wire::new("message");
        wire.message = Some(at.id.clone());
        wire.chat = Some(self.chat(at));
        wire.thread.clone_from(&sent.thread);
        wire.sender = Some(BOT.into());
        wire.text.clone_from(&sent.text);
        wire.written_at(time);
        Some(wire)
    }

    /// The chat as its users' messages describe it; direct where nobody has written yet.
    fn chat(&self, at: &MessageRef) -> Chat {
        self.log
            .iter()
            .find_map(|logged| match logged {
                Logged::User(wire) => wire.chat.clone().filter(|chat| chat.id == at.chat),
                Logged::Bot(..) => None,
            })
            .unwrap_or_else(|| Chat::new(at.chat.clone(), ChatKind::Direct))
    }

    /// The last messages of a chat or thread, newest first.
    fn history(&self, of: &Target, before: Option<&MessageId>, limit: usize) -> Vec<Wire> {
        let of_it = |wire: &Wire| {
            wire.chat.as_ref().is_some_and(|chat| chat.id == of.chat)
                && (of.thread.is_none() || wire.thread == of.thread)
        };
        let mut wires: Vec<_> = self
            .log
            .iter()
            .rev()
            .filter_map(|logged| self.recorded(logged))
            .filter(of_it)
            .collect();
        if let Some(before) = before {
            let at = wires
                .iter()
                .position(|wire| wire.message.as_ref() == Some(before));
            // Before a message that nobody knows there is nothing.
            wires.drain(..at.map_or(wires.len(), |at| at + 1));
        }
        wires.truncate(limit);
        wires
    }
}

#[async_trait]
impl History for MemoryChannel {
    async fn history(
        &self,
        of: &Target,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let wires = self.call("read history", |state| Ok(state.history(of, before, limit)))?;
        let message = |wire: Wire| {
            let mut message = recall(wire, &self.0.info.id)?;
            if message.sender.account.sender.as_str() == BOT {
                message.addressed = Addressed::No;
            }
            Ok(message)
        };
        wires.into_iter().map(message).collect()
    }

    async fn find(&self, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
        if self.0.info.guarantees.send() != Repeat::ReadBack {
            return Ok(None);
        }
        self.call("find message", |state| {
            let at = sent.key.as_ref().and_then(|key| state.keys.get(key));
            Ok(at.cloned())
        })
    }
}
