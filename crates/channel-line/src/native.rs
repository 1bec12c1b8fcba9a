//! LINE's own message, read through the common vocabulary.

use std::borrow::Cow;
use std::time::SystemTime;

use channel_core::{
    AccountRef, Addressed, Attachment, ChatId, ChatKind, Content, Error, ErrorKind, Identity,
    InboundMessage, MessageId, NativeMessage, Platform, Quoted, Raw, Result, SenderId, SenderKind,
    ThreadId,
};

use crate::PLATFORM;
use crate::wire::{Event, Message, MessageKind};

/// A message as LINE sent it
/// (<https://developers.line.biz/en/reference/messaging-api/#message-event>).
///
/// Made by [`Message::native`](channel_core::Message::native). The payload does not say
/// which messages are the bot's: nothing that it quotes counts as the bot's here.
#[derive(Debug)]
pub struct LineMessage {
    event: Event,
    message: Box<Message>,
    words: String,
    chat: ChatId,
    kind: ChatKind,
    me: Option<String>,
}

/// A sticker (<https://developers.line.biz/en/docs/messaging-api/sticker-list/>).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sticker {
    /// The package that it is in.
    pub package: String,
    /// Its number in the package.
    pub sticker: String,
    /// What it is about, as LINE says: at most 15 words.
    pub keywords: Vec<String>,
}

/// A place.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Location {
    /// Its name, where it has one.
    pub title: Option<String>,
    /// Its address, where it has one.
    pub address: Option<String>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl LineMessage {
    /// Whether LINE has tried to deliver it before.
    #[must_use]
    pub const fn is_redelivery(&self) -> bool {
        self.event.delivery_context.is_redelivery
    }

    /// What [`Line::mark_as_read`](crate::Line::mark_as_read) takes.
    #[must_use]
    pub fn mark_as_read_token(&self) -> Option<&str> {
        self.message.mark_as_read_token.as_deref()
    }

    /// How long a film or a recording is, in milliseconds.
    #[must_use]
    pub const fn duration(&self) -> Option<u64> {
        self.message.duration
    }

    /// The sticker that it is.
    #[must_use]
    pub fn sticker(&self) -> Option<Sticker> {
        let message = &self.message;
        let is_one = message.kind == MessageKind::Sticker;
        Some(Sticker {
            package: message.package_id.clone().filter(|_| is_one)?,
            sticker: message.sticker_id.clone()?,
            keywords: message.keywords.clone(),
        })
    }

    /// The place that it is.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        let message = &self.message;
        let is_one = message.kind == MessageKind::Location;
        Some(Location {
            title: message.title.clone(),
            address: message.address.clone(),
            latitude: message.latitude.filter(|_| is_one)?,
            longitude: message.longitude?,
        })
    }

    /// Reads the message as this bot does; the identity comes from
    /// [`probe`](channel_core::Channel::probe). LINE marks mentions of the bot by itself, so
    /// this only matters for payloads that lack the mark.
    #[must_use]
    pub fn seen_by(mut self, bot: &Identity) -> Self {
        self.me = Some(bot.id.clone());
        self
    }
}

impl NativeMessage for LineMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wrong = |message| Error::new(ErrorKind::Protocol, message).on(PLATFORM, "read message");
        let mut event: Event = serde_json::from_slice(raw.as_slice())
            .map_err(|_| wrong("the payload is not a webhook event"))?;
        let message = event.message.take();
        let message = message.ok_or_else(|| wrong("the event holds no message"))?;
        let place = event.source.as_ref().and_then(|source| source.chat());
        let (chat, kind) = place.ok_or_else(|| wrong("the event names no chat"))?;
        Ok(Self {
            words: message.words(),
            event,
            message,
            chat,
            kind,
            me: None,
        })
    }
}

impl InboundMessage for LineMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.message.id.clone()
    }
    fn chat(&self) -> ChatId {
        self.chat.clone()
    }
    fn chat_kind(&self) -> ChatKind {
        self.kind
    }
    fn thread(&self) -> Option<ThreadId> {
        None
    }
    fn account(&self) -> AccountRef {
        let person = self.event.source.as_ref().and_then(|it| it.person());
        let id = person.cloned().unwrap_or_else(|| SenderId::new(&self.chat));
        AccountRef::new(PLATFORM, id)
    }
    fn sender_name(&self) -> Option<&str> {
        None
    }
    fn sender_kind(&self) -> SenderKind {
        match self.event.source.as_ref().and_then(|it| it.person()) {
            Some(person) if Some(person.as_str()) == self.me.as_deref() => SenderKind::Bot,
            Some(_) => SenderKind::Person,
            None => SenderKind::Chat,
        }
    }
    fn text(&self) -> &str {
        &self.words
    }
    fn content(&self) -> Cow<'_, Content> {
        Cow::Owned(match self.message.formatted() {
            Some(formatted) => formatted.to_content(&self.words).into_owned(),
            None => Content::plain(self.words.as_str()),
        })
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Owned(self.message.attachment().into_iter().collect())
    }
    fn addressed(&self) -> Addressed {
        let me = self.me.as_deref();
        self.message.addressed(self.kind, me, false)
    }
    fn reply_to(&self) -> Option<Quoted> {
        let quoted = self.message.quoted_message_id.clone()?;
        Some(Quoted::new(quoted, false))
    }
    fn sent_at(&self) -> Option<SystemTime> {
        self.event.sent_at()
    }
}
