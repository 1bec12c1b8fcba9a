//! The payloads of the in-memory platform.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    AccountRef, Action, Addressed, Attachment, AttachmentKind, ChannelId, Chat, ChatId, ChatKind,
    Content, Deleted, Error, ErrorKind, Event, EventId, EventKind, FileId, InboundMessage, Message,
    MessageId, MessageRef, NativeMessage, Platform, Proof, Quoted, Raw, Reaction, ReplyTo, Result,
    Sender, SenderId, SenderKind, Target, ThreadId, Unknown,
};
use serde::{Deserialize, Serialize};

/// The name of the in-memory platform.
pub(crate) const PLATFORM: Platform = Platform::new("memory");

/// The bot's own sender id.
pub(crate) const BOT: &str = "bot";

/// One event as the in-memory platform writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wire {
    pub(crate) id: String,
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chat: Option<Chat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thread: Option<ThreadId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sender: Option<SenderId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quoted: Option<Quoted>,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) mention: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<WireFile>,
    /// Seconds since 1970.
    #[serde(default)]
    pub(crate) time: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireFile {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

impl Wire {
    pub(crate) fn new(kind: &str) -> Self {
        Self {
            id: String::new(),
            kind: kind.to_owned(),
            chat: None,
            thread: None,
            sender: None,
            message: None,
            quoted: None,
            text: String::new(),
            mention: false,
            files: Vec::new(),
            time: 0,
        }
    }

    pub(crate) fn written_at(&mut self, time: SystemTime) {
        self.time = time
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
    }

    fn parse(raw: &[u8]) -> Result<Self> {
        serde_json::from_slice(raw).map_err(|_| malformed())
    }

    fn addressed(&self) -> Addressed {
        match &self.chat {
            Some(chat) if chat.kind == ChatKind::Direct => Addressed::Direct,
            _ if self.mention => Addressed::Mention,
            _ if self.quoted.as_ref().is_some_and(|quoted| quoted.mine) => Addressed::Reply,
            _ => Addressed::No,
        }
    }

    fn attachments(&self) -> Vec<Attachment> {
        let attachment = |file: &WireFile| {
            let mut attachment =
                Attachment::new(FileId::from(file.id.as_str()), AttachmentKind::File);
            attachment.name = Some(file.name.clone());
            attachment.bytes = Some(file.bytes);
            attachment
        };
        self.files.iter().map(attachment).collect()
    }

    fn sent_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.time))
    }
}

fn malformed() -> Error {
    Error::new(ErrorKind::Protocol, "the payload is not an event")
}

fn sender(id: &SenderId) -> Sender {
    let mut sender = Sender::new(AccountRef::new(PLATFORM, id.clone()), Proof::Asserted);
    if id.as_str() == BOT {
        sender.kind = SenderKind::Bot;
    }
    sender.name = Some(id.as_str().to_owned());
    sender
}

/// Decodes one payload; `None` for what the bot itself has written.
pub(crate) fn decode(payload: &Bytes, channel: &ChannelId) -> Result<Option<Event>> {
    let wire = Wire::parse(payload)?;
    let raw = Raw::new(payload.clone());
    let id = EventId::from(wire.id.as_str());
    let kind = match wire.kind.as_str() {
        "message" => EventKind::Message(Box::new(message(wire, channel, raw)?)),
        "edited" => EventKind::Edited(Box::new(message(wire, channel, raw)?)),
        "deleted" => {
            let at = reference(&wire)?;
            EventKind::Deleted(Box::new(Deleted::new(vec![at], raw)))
        }
        "reaction" => {
            let (at, back) = (reference(&wire)?, return_address(&wire, channel)?);
            let from = sender(&wire.sender.ok_or_else(malformed)?);
            let mut reaction = Reaction::new(at, from, back, raw);
            reaction.added.push(wire.text);
            EventKind::Reaction(Box::new(reaction))
        }
        "press" => {
            let back = return_address(&wire, channel)?;
            let from = sender(&wire.sender.ok_or_else(malformed)?);
            let chat = wire.chat.ok_or_else(malformed)?;
            let press = wire.id.as_str().into();
            let mut action = Action::new(press, from, wire.text, chat, back, raw);
            action.thread = wire.thread;
            action.message = wire.message;
            EventKind::Action(Box::new(action))
        }
        name => EventKind::Unknown(Box::new(Unknown::new(name, raw))),
    };
    let event = Event::new(id, channel.clone(), kind);
    let own = event
        .sender()
        .is_some_and(|sender| sender.account.sender.as_str() == BOT);
    Ok((!own).then_some(event))
}

fn reference(wire: &Wire) -> Result<MessageRef> {
    match (&wire.chat, &wire.message) {
        (Some(chat), Some(message)) => Ok(MessageRef::new(chat.id.clone(), message.clone())),
        _ => Err(malformed()),
    }
}

fn return_address(wire: &Wire, channel: &ChannelId) -> Result<ReplyTo> {
    let chat = wire.chat.as_ref().ok_or_else(malformed)?;
    let mut target = Target::chat(chat.id.clone());
    if let Some(thread) = &wire.thread {
        target = target.thread(thread.clone());
    }
    let back = ReplyTo::new(channel.clone(), target);
    Ok(match &wire.message {
        Some(message) => back.quoting(message.clone()),
        None => back,
    })
}

/// A message out of the history of its chat.
pub(crate) fn recall(wire: Wire, channel: &ChannelId) -> Result<Message> {
    let raw = serde_json::to_vec(&wire).unwrap_or_default();
    message(wire, channel, Raw::new(Bytes::from(raw)))
}

fn message(wire: Wire, channel: &ChannelId, raw: Raw) -> Result<Message> {
    let back = return_address(&wire, channel)?;
    let (addressed, attachments, sent_at) = (wire.addressed(), wire.attachments(), wire.sent_at());
    let (Some(id), Some(chat), Some(from)) = (wire.message, wire.chat, wire.sender) else {
        return Err(malformed());
    };
    let mut message = Message::new(id, chat, sender(&from), back);
    message.thread = wire.thread;
    message.text = wire.text;
    message.attachments = attachments;
    message.addressed = addressed;
    message.reply_to = wire.quoted;
    message.sent_at = sent_at;
    message.raw = raw;
    Ok(message)
}

/// A message of the in-memory platform, in its own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryMessage {
    wire: Wire,
    id: MessageId,
    chat: Chat,
    sender: SenderId,
}

impl NativeMessage for MemoryMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wire = Wire::parse(raw.as_slice())?;
        match (wire.message.clone(), wire.chat.clone(), wire.sender.clone()) {
            (Some(id), Some(chat), Some(sender)) => Ok(Self {
                wire,
                id,
                chat,
                sender,
            }),
            _ => Err(malformed()),
        }
    }
}

impl InboundMessage for MemoryMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.id.clone()
    }
    fn chat(&self) -> ChatId {
        self.chat.id.clone()
    }
    fn chat_kind(&self) -> ChatKind {
        self.chat.kind
    }
    fn thread(&self) -> Option<ThreadId> {
        self.wire.thread.clone()
    }
    fn account(&self) -> AccountRef {
        AccountRef::new(PLATFORM, self.sender.clone())
    }
    fn sender_name(&self) -> Option<&str> {
        Some(self.sender.as_str())
    }
    fn sender_kind(&self) -> SenderKind {
        SenderKind::Person
    }
    fn text(&self) -> &str {
        &self.wire.text
    }
    fn content(&self) -> Cow<'_, Content> {
        Cow::Owned(Content::plain(self.wire.text.as_str()))
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Owned(self.wire.attachments())
    }
    fn addressed(&self) -> Addressed {
        self.wire.addressed()
    }
    fn reply_to(&self) -> Option<Quoted> {
        self.wire.quoted.clone()
    }
    fn sent_at(&self) -> Option<SystemTime> {
        self.wire.sent_at()
    }
}
