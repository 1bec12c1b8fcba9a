//! Telegram's own message, read through the common vocabulary.

use std::borrow::Cow;
use std::time::SystemTime;

use channel_core::{
    AccountRef, Addressed, Attachment, ChatId, ChatKind, Content, Error, ErrorKind, Identity,
    InboundMessage, MessageId, NativeMessage, Platform, Quoted, Raw, Result, SenderKind, ThreadId,
};

use crate::shared::Me;
use crate::wire::{ChatType, Flavour, Message, Update, UpdateKind};
use crate::{PLATFORM, read};

/// A message as Telegram sent it (<https://core.telegram.org/bots/api#message>).
///
/// Made by [`Message::native`](channel_core::Message::native). The payload does not say
/// who the bot is: until [`seen_by`](Self::seen_by) tells, nothing in a group counts as
/// addressed to it.
#[derive(Debug)]
pub struct TelegramMessage {
    update_id: i64,
    is_edit: bool,
    name: Option<String>,
    me: Option<Me>,
    wire: Message,
}

impl TelegramMessage {
    /// The id of the update that brought it.
    #[must_use]
    pub const fn update_id(&self) -> i64 {
        self.update_id
    }

    /// Whether it is the new version of an earlier message.
    #[must_use]
    pub const fn is_edit(&self) -> bool {
        self.is_edit
    }

    /// The sender's public name without `@`; may change hands, so never a key.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.wire.from.as_ref()?.username.as_deref()
    }

    /// The language of the sender's client, as an IETF tag.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.wire.from.as_ref()?.language_code.as_deref()
    }

    /// Reads the message as this bot does; the identity comes from
    /// [`probe`](channel_core::Channel::probe).
    #[must_use]
    pub fn seen_by(mut self, bot: &Identity) -> Self {
        self.me = bot
            .id
            .parse()
            .ok()
            .map(|id| Me::new(id, bot.username.clone()));
        self
    }

    fn me(&self) -> Option<i64> {
        self.me.as_ref().map(|me| me.id)
    }
}

impl NativeMessage for TelegramMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wrong = |message| Error::new(ErrorKind::Protocol, message).on(PLATFORM, "read message");
        let update: Update = serde_json::from_slice(raw.as_slice())
            .map_err(|_| wrong("the payload is not an update"))?;
        let UpdateKind::Message(flavour, mut wire) = update.kind else {
            return Err(wrong("the update holds no message"));
        };
        let name = match (&wire.sender_chat, &mut wire.from) {
            (Some(chat), _) => chat.title.clone(),
            (None, Some(user)) => user.take_name(),
            (None, None) => wire.chat.title.clone(),
        };
        Ok(Self {
            update_id: update.id,
            is_edit: flavour == Flavour::Edited,
            name,
            me: None,
            wire: *wire,
        })
    }
}

impl InboundMessage for TelegramMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.wire.common_id()
    }
    fn chat(&self) -> ChatId {
        self.wire.chat_id()
    }
    fn chat_kind(&self) -> ChatKind {
        read::chat_kind(self.wire.chat.kind)
    }
    fn thread(&self) -> Option<ThreadId> {
        self.wire.thread()
    }
    fn account(&self) -> AccountRef {
        AccountRef::new(PLATFORM, self.wire.author(self.me()).0.into())
    }
    fn sender_name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn sender_kind(&self) -> SenderKind {
        self.wire.author(self.me()).1
    }
    fn text(&self) -> &str {
        self.wire.words().0
    }
    fn content(&self) -> Cow<'_, Content> {
        let text = self.wire.words().0;
        Cow::Owned(match self.wire.formatted() {
            Some(formatted) => formatted.to_content(text).into_owned(),
            None => Content::plain(text),
        })
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Owned(self.wire.attachments())
    }
    fn addressed(&self) -> Addressed {
        match &self.me {
            Some(me) => self.wire.addressed(me),
            None if self.wire.chat.kind == ChatType::Private && !self.wire.is_service() => {
                // Whoever the bot is, it is not the chat's other side.
                self.wire.addressed(&Me::new(0, None))
            }
            None => Addressed::No,
        }
    }
    fn reply_to(&self) -> Option<Quoted> {
        self.wire.quoted(self.me())
    }
    fn sent_at(&self) -> Option<SystemTime> {
        self.wire.sent_at()
    }
}
