//! Messages that came in.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::account::{
    AccountRef, Chat, ChatKind, Conversation, MessageRef, Proof, Sender, SenderKind,
};
use crate::attachment::Attachment;
use crate::content::{Body, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::formatted::Formatted;
use crate::id::{ChannelId, ChatId, MessageId, Platform, ThreadId};
use crate::outbound::{OutboundMessage, ReplyTo};
use crate::raw::Raw;

/// Why a message is meant for the bot, or that it is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Addressed {
    /// Written in a shared chat and not meant for the bot in particular.
    #[default]
    No,
    /// Written in a direct chat.
    Direct,
    /// The bot is mentioned.
    Mention,
    /// It replies to a message of the bot.
    Reply,
    /// A command that is meant for the bot.
    Command,
}

impl Addressed {
    /// Whether the message is meant for the bot.
    #[must_use]
    pub const fn is_to_me(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// The message that another one replies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quoted {
    /// Its id, in the same chat.
    pub id: MessageId,
    /// Whether the bot wrote it.
    pub mine: bool,
}

impl Quoted {
    /// Points at the quoted message.
    #[must_use]
    pub const fn new(id: MessageId, mine: bool) -> Self {
        Self { id, mine }
    }
}

/// A recognised `/word` at the start of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command<'a> {
    /// The word, without slash and without the bot's name, as written.
    pub name: &'a str,
    /// The rest of the message, without the white space around it.
    pub arguments: &'a str,
}

impl<'a> Command<'a> {
    /// Reads a command from the start of a text.
    ///
    /// `/word`, `/word rest` and `/word@name rest` are commands; `@name` is cut off and
    /// not judged here, because only the adapter knows the bot's own name.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.trim_start().strip_prefix('/')?;
        let (word, arguments) = match rest.split_once(char::is_whitespace) {
            Some((word, arguments)) => (word, arguments.trim()),
            None => (rest, ""),
        };
        let name = word.split_once('@').map_or(word, |(name, _)| name);
        let is_word = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        is_word.then_some(Self { name, arguments })
    }
}

/// A platform's own message, read through the common vocabulary.
///
/// Adapters implement it on their native type as a cheap view; [`Message`] implements it
/// for what travels through queues.
pub trait InboundMessage: fmt::Debug + Send + Sync {
    /// The platform.
    fn platform(&self) -> Platform;
    /// The message's id, unique inside its chat.
    fn id(&self) -> MessageId;
    /// The chat that it was written in.
    fn chat(&self) -> ChatId;
    /// What kind of place the chat is.
    fn chat_kind(&self) -> ChatKind;
    /// The thread inside the chat.
    fn thread(&self) -> Option<ThreadId>;
    /// Who wrote it: the key for allowlists and bindings.
    fn account(&self) -> AccountRef;
    /// The name to show; chosen by the sender, never a key.
    fn sender_name(&self) -> Option<&str>;
    /// What kind of sender wrote it.
    fn sender_kind(&self) -> SenderKind;
    /// The words, or the caption of its attachments; empty where there are none.
    fn text(&self) -> &str;
    /// The words with their formatting. It may be built for each call.
    fn content(&self) -> Cow<'_, Content>;
    /// The files that came with it.
    fn attachments(&self) -> Cow<'_, [Attachment]>;
    /// Whether, and why, it is meant for the bot.
    fn addressed(&self) -> Addressed;
    /// The message that it replies to.
    fn reply_to(&self) -> Option<Quoted>;
    /// When the platform says it was written.
    fn sent_at(&self) -> Option<SystemTime>;

    /// Whether the bot is mentioned.
    fn mentions_me(&self) -> bool {
        self.addressed() == Addressed::Mention
    }

    /// The command at the start of the text.
    fn command(&self) -> Option<Command<'_>> {
        Command::parse(self.text())
    }
}

/// A native type that can be read back from the payload that a [`Message`] keeps.
pub trait NativeMessage: InboundMessage + Sized {
    /// The platform whose payloads it reads.
    const PLATFORM: Platform;

    /// Decodes the platform's payload.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] if the payload is not one of these.
    fn from_raw(raw: &Raw) -> Result<Self>;
}

/// An inbound message that owns what it says: it can be queued, stored and sent to
/// another machine.
///
/// Adapters start from [`Message::new`] and fill what their platform gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Its id, unique inside the chat.
    pub id: MessageId,
    /// Where it was written.
    pub chat: Chat,
    /// The thread inside the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadId>,
    /// Who wrote it.
    pub sender: Sender,
    /// The words, or the caption of its attachments.
    pub text: String,
    /// How the words are formatted, where they are: read it by
    /// [`content`](InboundMessage::content).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formatted: Option<Formatted>,
    /// The files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Whether, and why, it is meant for the bot.
    pub addressed: Addressed,
    /// The message that it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quoted>,
    /// Whether the payload brings words along that were said elsewhere and that have no id here
    /// for [`reply_to`](Self::reply_to): a quote from another chat, a forward with a comment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quotes: bool,
    /// When the platform says it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<SystemTime>,
    /// Which album the message is part of, where the platform sends one message a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    /// Messages that were joined into this one, oldest first; their words are at the start
    /// of the text, each on lines of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<MessageId>,
    /// Where an answer goes.
    pub return_address: ReplyTo,
    /// The platform's payload.
    #[serde(default)]
    pub raw: Raw,
}

impl Message {
    /// A message without words.
    #[must_use]
    pub const fn new(id: MessageId, chat: Chat, sender: Sender, return_address: ReplyTo) -> Self {
        Self {
            id,
            chat,
            thread: None,
            sender,
            text: String::new(),
            formatted: None,
            attachments: Vec::new(),
            addressed: Addressed::No,
            reply_to: None,
            quotes: false,
            sent_at: None,
            album: None,
            joined: Vec::new(),
            return_address,
            raw: Raw::new(bytes::Bytes::new()),
        }
    }

    /// The channel that it came through.
    #[must_use]
    pub const fn channel(&self) -> &ChannelId {
        self.return_address.channel()
    }

    /// The ordering key.
    #[must_use]
    pub fn conversation(&self) -> Conversation {
        Conversation::new(
            self.channel().clone(),
            self.chat.id.clone(),
            self.thread.clone(),
        )
    }

    /// Points at this message, for edits, reactions and deletions.
    #[must_use]
    pub fn at(&self) -> MessageRef {
        MessageRef::new(self.chat.id.clone(), self.id.clone())
    }

    /// An answer in the same thread that quotes this message.
    #[must_use]
    pub fn reply(&self, body: impl Into<Body>) -> OutboundMessage {
        OutboundMessage::new(self.return_address.clone(), body)
    }

    /// How well the sender's identity is proven.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.sender.proof
    }

    /// Decodes the platform's own type from the payload.
    ///
    /// Works the same before and after a restart and on another machine.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the message is of another platform,
    /// [`ErrorKind::Protocol`] if the payload cannot be read.
    pub fn native<T: NativeMessage>(&self) -> Result<T> {
        let platform = &self.sender.account.platform;
        if *platform != T::PLATFORM {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the message is of {platform}, not of {}", T::PLATFORM),
            ));
        }
        T::from_raw(&self.raw)
    }
}

impl InboundMessage for Message {
    fn platform(&self) -> Platform {
        self.sender.account.platform.clone()
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
        self.thread.clone()
    }
    fn account(&self) -> AccountRef {
        self.sender.account.clone()
    }
    fn sender_name(&self) -> Option<&str> {
        self.sender.name.as_deref()
    }
    fn sender_kind(&self) -> SenderKind {
        self.sender.kind
    }
    fn text(&self) -> &str {
        &self.text
    }
    fn content(&self) -> Cow<'_, Content> {
        match &self.formatted {
            Some(formatted) => formatted.to_content(&self.text),
            None => Cow::Owned(Content::plain(self.text.as_str())),
        }
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Borrowed(&self.attachments)
    }
    fn addressed(&self) -> Addressed {
        self.addressed
    }
    fn reply_to(&self) -> Option<Quoted> {
        self.reply_to.clone()
    }
    fn sent_at(&self) -> Option<SystemTime> {
        self.sent_at
    }
}
