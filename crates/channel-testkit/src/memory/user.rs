//! Somebody who talks to the bot.

use bytes::Bytes;
use channel_core::{
    Chat, ChatId, ChatKind, FileId, MessageId, MessageRef, Quoted, SenderId, ThreadId,
};

use super::MemoryChannel;
use super::wire::{Wire, WireFile};

/// Somebody who talks to the bot through a [`MemoryChannel`]; cheap to clone.
///
/// Begins in a direct chat whose id is the user's own name.
#[derive(Debug, Clone)]
pub struct MemoryUser {
    channel: MemoryChannel,
    sender: SenderId,
    chat: Chat,
    thread: Option<ThreadId>,
}

impl MemoryUser {
    pub(super) fn new(channel: MemoryChannel, name: &str) -> Self {
        Self {
            channel,
            sender: SenderId::from(name),
            chat: Chat::new(ChatId::from(name), ChatKind::Direct),
            thread: None,
        }
    }

    /// The same user in a group.
    #[must_use]
    pub fn in_group(mut self, chat: &str) -> Self {
        self.chat = Chat::new(ChatId::from(chat), ChatKind::Group);
        self
    }

    /// The same user in a thread of the chat.
    #[must_use]
    pub fn in_thread(mut self, thread: &str) -> Self {
        self.thread = Some(ThreadId::from(thread));
        self
    }

    /// Writes a message.
    pub fn says(&self, text: impl Into<String>) -> MessageRef {
        self.write(text.into(), |_| {})
    }

    /// Writes a message that mentions the bot.
    pub fn mentions_bot(&self, text: impl Into<String>) -> MessageRef {
        self.write(text.into(), |wire| wire.mention = true)
    }

    /// Replies to a message; replies to the bot's own count as meant for it.
    pub fn replies(&self, to: &MessageRef, text: impl Into<String>) -> MessageRef {
        let mine = self.channel.sent().iter().any(|sent| sent.at == *to);
        let quoted = Quoted::new(to.id.clone(), mine);
        self.write(text.into(), |wire| wire.quoted = Some(quoted))
    }

    /// Sends a file with a caption, which may be empty.
    pub fn sends_file(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        caption: impl Into<String>,
    ) -> MessageRef {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let id = self.channel.store_file(bytes);
        self.write(caption.into(), |wire| {
            wire.files.push(WireFile {
                id: FileId::as_str(&id).to_owned(),
                name: name.to_owned(),
                bytes: size,
            });
        })
    }

    /// Changes one of the user's messages.
    pub fn edits(&self, message: &MessageRef, text: impl Into<String>) {
        self.deliver("edited", |wire| {
            wire.message = Some(message.id.clone());
            wire.text = text.into();
        });
    }

    /// Deletes a message.
    pub fn deletes(&self, message: &MessageRef) {
        self.deliver("deleted", |wire| wire.message = Some(message.id.clone()));
    }

    /// Reacts to a message.
    pub fn reacts(&self, message: &MessageRef, emoji: &str) {
        self.deliver("reaction", |wire| {
            wire.message = Some(message.id.clone());
            emoji.clone_into(&mut wire.text);
        });
    }

    /// Presses the button under a message that carries this value.
    pub fn presses(&self, message: &MessageRef, value: &str) {
        self.deliver("press", |wire| {
            wire.message = Some(message.id.clone());
            value.clone_into(&mut wire.text);
        });
    }

    fn write(&self, text: String, fill: impl FnOnce(&mut Wire)) -> MessageRef {
        let id = MessageId::from(format!("u{}", self.channel.next_id()));
        self.deliver("message", |wire| {
            wire.message = Some(id.clone());
            wire.text = text;
            fill(wire);
        });
        MessageRef::new(self.chat.id.clone(), id)
    }

    fn deliver(&self, kind: &str, fill: impl FnOnce(&mut Wire)) {
        let mut wire = Wire::new(kind);
        wire.chat = Some(self.chat.clone());
        wire.thread.clone_from(&self.thread);
        wire.sender = Some(self.sender.clone());
        fill(&mut wire);
        self.channel.deliver(wire);
    }
}
