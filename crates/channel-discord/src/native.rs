//! Discord's own message, read back from the payload.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Addressed, Attachment, ChannelId, ChatId, ChatKind, Content, Error, ErrorKind,
    EventKind, InboundMessage, Message, MessageId, NativeMessage, Platform, Proof, Quoted, Raw,
    Result, SenderKind, ThreadId,
};
use serde_json::value::RawValue;

use crate::PLATFORM;
use crate::inbound::Reader;
use crate::{interaction, wire};

/// A message or command as Discord sent it.
///
/// Made by [`Message::native`](channel_core::Message::native). The payload does not say who
/// the bot is, so that [`addressed`](InboundMessage::addressed) knows direct chats and
/// commands only, and a mention of the bot stays in the text.
#[derive(Debug)]
pub struct DiscordMessage {
    message: Message,
    guild_id: Option<String>,
    content: Option<String>,
    embeds: Option<Box<RawValue>>,
    components: Option<Box<RawValue>>,
}

/// The members of a payload that was decoded before: what nobody asked for then may be of any
/// shape, and there twice.
struct Members<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

impl Members<'_> {
    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    fn raw(&self, name: &str) -> Option<Box<RawValue>> {
        let there = self.0.get(name).filter(|value| value.get() != "null");
        there.map(|value| (*value).to_owned())
    }
}

impl DiscordMessage {
    /// The server that it was written in; none for direct chats.
    #[must_use]
    pub fn guild_id(&self) -> Option<&str> {
        self.guild_id.as_deref()
    }

    /// The words as they were sent, with Discord's marks; a command has none.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.content.as_deref()
    }

    /// The embeds, as JSON.
    #[must_use]
    pub fn embeds(&self) -> Option<&str> {
        self.embeds.as_deref().map(RawValue::get)
    }

    /// The components, as JSON.
    #[must_use]
    pub fn components(&self) -> Option<&str> {
        self.components.as_deref().map(RawValue::get)
    }
}

impl NativeMessage for DiscordMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Protocol, "the payload holds no message")
                .on(PLATFORM, "read message")
        };
        let channel = ChannelId::new(PLATFORM.as_str());
        let reader = Reader {
            channel: &channel,
            me: None,
            proof: Proof::Asserted,
        };
        let body = raw.as_slice();
        let members = Members(serde_json::from_slice(body).map_err(|_| wrong())?);
        let written = serde_json::from_slice::<wire::Message<'_>>(body).ok();
        let written = written.and_then(|wire| reader.message(&wire, raw));
        let content = written.as_ref().and_then(|_| members.text("content"));
        let message = written.or_else(|| commanded(reader, raw));
        Ok(Self {
            message: message.ok_or_else(wrong)?,
            guild_id: members.text("guild_id"),
            content,
            embeds: members.raw("embeds"),
            components: members.raw("components"),
        })
    }
}

/// A command, which looks like a message at first sight.
fn commanded(reader: Reader<'_>, raw: &Raw) -> Option<Message> {
    let wire: wire::Interaction<'_> = serde_json::from_slice(raw.as_slice()).ok()?;
    match interaction::event(reader, &wire, raw.clone(), UNIX_EPOCH)?.kind {
        EventKind::Message(message) => Some(*message),
        _ => None,
    }
}

impl InboundMessage for DiscordMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.message.id.clone()
    }
    fn chat(&self) -> ChatId {
        self.message.chat.id.clone()
    }
    fn chat_kind(&self) -> ChatKind {
        self.message.chat.kind
    }
    fn thread(&self) -> Option<ThreadId> {
        self.message.thread.clone()
    }
    fn account(&self) -> AccountRef {
        self.message.sender.account.clone()
    }
    fn sender_name(&self) -> Option<&str> {
        self.message.sender.name.as_deref()
    }
    fn sender_kind(&self) -> SenderKind {
        self.message.sender.kind
    }
    fn text(&self) -> &str {
        &self.message.text
    }
    fn content(&self) -> Cow<'_, Content> {
        self.message.content()
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Borrowed(&self.message.attachments)
    }
    fn addressed(&self) -> Addressed {
        self.message.addressed
    }
    fn reply_to(&self) -> Option<Quoted> {
        self.message.reply_to.clone()
    }
    fn sent_at(&self) -> Option<SystemTime> {
        self.message.sent_at
    }
}
