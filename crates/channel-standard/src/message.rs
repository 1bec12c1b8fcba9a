//! A client's message, in the protocol's own terms and in the common vocabulary.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::{BufMut as _, Bytes, BytesMut};
use channel_core::{
    AccountRef, Addressed, Attachment, AttachmentKind, ChannelId, Chat, ChatId, ChatKind, Content,
    Error, ErrorKind, FileId, InboundMessage, Message, MessageId, NativeMessage, Platform, Proof,
    Quoted, Raw, ReplyTo, Result, Sender, SenderId, SenderKind, Target, ThreadId,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hub::Place;
use crate::time;
use crate::wire::client::{FileFrame, FileKind, Format, MessageFrame};
use crate::wire::{DEFAULT_CONVERSATION, Str};

/// The platform's name.
pub(crate) const PLATFORM: Platform = Platform::new("standard");

/// What the id of a file in memory begins with; the id of any other file is its address.
const MEDIA: &str = "media:";

/// Who is behind a connection.
pub(crate) struct Client {
    pub(crate) id: SenderId,
    pub(crate) verified: bool,
    pub(crate) name: Option<String>,
}

/// A message of a client, with what the protocol knows beyond the common vocabulary.
#[derive(Clone)]
pub struct StandardMessage {
    client: SenderId,
    verified: bool,
    name: Option<String>,
    chat: ChatId,
    kind: ChatKind,
    id: MessageId,
    thread: Option<ThreadId>,
    text: String,
    format: Format,
    attachments: Vec<Attachment>,
    addressed: Addressed,
    reply_to: Option<Quoted>,
    at: SystemTime,
    meta: Option<Box<str>>,
}

/// What a message's frame does not say itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) client: &'a SenderId,
    pub(crate) verified: bool,
    pub(crate) name: Option<&'a str>,
    pub(crate) at: SystemTime,
    pub(crate) addressed: Addressed,
    /// Whether the message that it replies to is the bot's.
    pub(crate) replies_to_me: bool,
}

/// What is kept of a frame: the frame without the bytes of its files, and its context.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    client_id: Str<'a>,
    verified: bool,
    #[serde(borrow)]
    name: Option<Str<'a>>,
    at: u64,
    addressed: Addressed,
    replies_to_me: bool,
    #[serde(borrow)]
    frame: MessageFrame<'a>,
}

impl StandardMessage {
    /// The id of the client.
    #[must_use]
    pub const fn client_id(&self) -> &SenderId {
        &self.client
    }

    /// Whether the client has proven its id by a token of its own.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.verified
    }

    /// Whether the text is Markdown.
    #[must_use]
    pub const fn is_markdown(&self) -> bool {
        matches!(self.format, Format::Markdown)
    }

    /// The opaque object that the client sent along, as JSON.
    #[must_use]
    pub fn meta(&self) -> Option<&str> {
        self.meta.as_deref()
    }

    /// The conversation in the client's words: `default`, or `room:<name>`.
    #[must_use]
    pub fn conversation(&self) -> &str {
        let chat = self.chat.as_str();
        chat.split_once('/')
            .map_or(chat, |(_, conversation)| conversation)
    }

    /// Reads a frame that has been judged; its `meta` stays in the payload.
    pub(crate) fn read(
        context: &Context<'_>,
        place: &Place,
        frame: &MessageFrame<'_>,
        attachments: Vec<Attachment>,
    ) -> Self {
        Self {
            client: context.client.clone(),
            verified: context.verified,
            name: context.name.map(str::to_owned),
            chat: place.chat.clone(),
            kind: place.kind(),
            id: MessageId::new(frame.id.as_deref().unwrap_or_default()),
            thread: frame.thread.as_deref().map(ThreadId::new),
            text: frame.text.as_deref().unwrap_or_default().to_owned(),
            format: frame.format.unwrap_or_default(),
            attachments,
            addressed: context.addressed,
            reply_to: frame
                .reply_to
                .as_deref()
                .map(|id| Quoted::new(MessageId::new(id), context.replies_to_me)),
            at: context.at,
            meta: None,
        }
    }

    fn content_of(&self) -> Option<Content> {
        self.is_markdown()
            .then(|| channel_text::parse_markdown(&self.text))
    }

    /// Turns it into a message that travels.
    pub(crate) fn into_message(self, channel: &ChannelId, proof: Proof, raw: Raw) -> Message {
        let formatted = self.content_of().map(Into::into);
        let mut target = Target::chat(self.chat.clone());
        target.thread.clone_from(&self.thread);
        let return_address = ReplyTo::new(channel.clone(), target).quoting(self.id.clone());
        let mut sender = Sender::new(AccountRef::new(PLATFORM, self.client), proof);
        sender.name = self.name;
        let chat = Chat::new(self.chat, self.kind);
        let mut message = Message::new(self.id, chat, sender, return_address);
        message.thread = self.thread;
        message.text = self.text;
        message.formatted = formatted;
        message.attachments = self.attachments;
        message.addressed = self.addressed;
        message.reply_to = self.reply_to;
        message.sent_at = Some(self.at);
        message.raw = raw;
        message
    }
}

impl fmt::Debug for StandardMessage {
    /// Shows where and who, not what: the words are the client's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardMessage")
            .field("chat", &self.chat)
            .field("id", &self.id)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

impl InboundMessage for StandardMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.id.clone()
    }
    fn chat(&self) -> ChatId {
        self.chat.clone()
    }
    fn chat_kind(&self) -> ChatKind {
        self.kind
    }
    fn thread(&self) -> Option<ThreadId> {
        self.thread.clone()
    }
    fn account(&self) -> AccountRef {
        AccountRef::new(PLATFORM, self.client.clone())
    }
    fn sender_name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn sender_kind(&self) -> SenderKind {
        SenderKind::Person
    }
    fn text(&self) -> &str {
        &self.text
    }
    fn content(&self) -> Cow<'_, Content> {
        let content = self.content_of();
        Cow::Owned(content.unwrap_or_else(|| Content::plain(self.text.as_str())))
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
        Some(self.at)
    }
}

impl NativeMessage for StandardMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let protocol = || {
            Error::new(ErrorKind::Protocol, "the payload is not a message")
                .on(PLATFORM, "read message")
        };
        let envelope: Envelope<'_> =
            serde_json::from_slice(raw.as_slice()).map_err(|_| protocol())?;
        let frame = &envelope.frame;
        let client = SenderId::new(&*envelope.client_id);
        let conversation = frame.conversation.as_deref();
        let conversation = conversation.unwrap_or(DEFAULT_CONVERSATION);
        let place = if Place::is_room(conversation) {
            Place::room(conversation)
        } else {
            Place::direct(&client, conversation)
        };
        let context = Context {
            client: &client,
            verified: envelope.verified,
            name: envelope.name.as_deref(),
            at: time::from_millis(envelope.at).ok_or_else(protocol)?,
            addressed: envelope.addressed,
            replies_to_me: envelope.replies_to_me,
        };
        let files = frame.attachments.as_deref().unwrap_or_default();
        let attachments = files
            .iter()
            .map(|file| attachment(file, None))
            .collect::<Option<_>>()
            .ok_or_else(protocol)?;
        let mut message = Self::read(&context, &place, frame, attachments);
        message.meta = frame.meta.map(|meta| meta.get().into());
        Ok(message)
    }
}

/// The common form of a file; `stored` is the id under which its bytes are kept.
pub(crate) fn attachment(file: &FileFrame<'_>, stored: Option<(&str, u64)>) -> Option<Attachment> {
    let id = match (stored, &file.media_id, &file.url) {
        (Some((id, _)), _, _) => media_file_id(id),
        (None, Some(id), _) => media_file_id(id),
        (None, None, Some(url)) => FileId::new(&**url),
        (None, None, None) => return None,
    };
    let kind = match file.kind.unwrap_or_default() {
        FileKind::Image => AttachmentKind::Image,
        FileKind::Audio => AttachmentKind::Audio,
        FileKind::Video => AttachmentKind::Video,
        FileKind::File => AttachmentKind::File,
    };
    let mut attachment = Attachment::new(id, kind);
    attachment.name = file.name.as_deref().map(str::to_owned);
    attachment.mime = file.mime.as_deref().map(str::to_owned);
    attachment.bytes = stored.map(|(_, size)| size).or(file.size);
    Some(attachment)
}

pub(crate) fn media_file_id(id: &str) -> FileId {
    FileId::from(format!("{MEDIA}{id}"))
}

/// The id in the store of a file in memory.
pub(crate) fn media_id(file: &FileId) -> Option<&str> {
    file.as_str().strip_prefix(MEDIA)
}

/// The payload to keep: the frame as it came, inside its context.
pub(crate) fn envelope(context: &Context<'_>, frame: &[u8]) -> Raw {
    #[derive(Serialize)]
    struct Head<'a> {
        client_id: &'a str,
        verified: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        at: u64,
        addressed: Addressed,
        replies_to_me: bool,
    }
    let head = Head {
        client_id: context.client.as_str(),
        verified: context.verified,
        name: context.name,
        at: time::millis(context.at),
        addressed: context.addressed,
        replies_to_me: context.replies_to_me,
    };
    let mut bytes = BytesMut::with_capacity(frame.len() + 192);
    // Writing plain data into memory cannot fail.
    let _ = serde_json::to_writer((&mut bytes).writer(), &head);
    bytes.truncate(bytes.len().saturating_sub(1));
    bytes.put_slice(br#","frame":"#);
    bytes.put_slice(frame);
    bytes.put_u8(b'}');
    Raw::new(bytes.freeze())
}

/// The frame with `media_id` in the place of `data`.
pub(crate) fn without_data(frame: &MessageFrame<'_>, stored: &[Option<(String, u64)>]) -> Bytes {
    #[derive(Serialize)]
    struct Kept<'a> {
        v: u8,
        r#type: &'static str,
        id: Option<&'a str>,
        conversation: Option<&'a str>,
        text: Option<&'a str>,
        format: Format,
        reply_to: Option<&'a str>,
        thread: Option<&'a str>,
        attachments: Vec<KeptFile<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        meta: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    struct KeptFile<'a> {
        kind: FileKind,
        name: Option<&'a str>,
        mime: Option<&'a str>,
        size: Option<u64>,
        url: Option<&'a str>,
        media_id: Option<&'a str>,
    }
    let files = frame.attachments.as_deref().unwrap_or_default();
    let attachments = files.iter().zip(stored).map(|(file, stored)| KeptFile {
        kind: file.kind.unwrap_or_default(),
        name: file.name.as_deref(),
        mime: file.mime.as_deref(),
        size: stored.as_ref().map(|&(_, size)| size).or(file.size),
        url: file.url.as_deref(),
        media_id: stored
            .as_ref()
            .map(|(id, _)| id.as_str())
            .or(file.media_id.as_deref()),
    });
    let kept = Kept {
        v: 1,
        r#type: "message",
        id: frame.id.as_deref(),
        conversation: frame.conversation.as_deref(),
        text: frame.text.as_deref(),
        format: frame.format.unwrap_or_default(),
        reply_to: frame.reply_to.as_deref(),
        thread: frame.thread.as_deref(),
        attachments: attachments.collect(),
        meta: frame.meta,
    };
    Bytes::from(serde_json::to_vec(&kept).unwrap_or_default())
}
