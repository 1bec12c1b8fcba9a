//! Feishu's own message and what only Feishu tells, read back from the payload.

use std::borrow::Cow;
use std::time::SystemTime;

use channel_core::{
    AccountRef, Addressed, Attachment, ChannelId, ChatId, ChatKind, Content, Error, ErrorKind,
    EventKind, InboundMessage, Message, MessageId, NativeMessage, Platform, Proof, Quoted, Raw,
    Result, SenderKind, ThreadId,
};
use serde::Deserialize;

use crate::PLATFORM;
use crate::inbound::Reader;
use crate::wire::Envelope;

/// A message as Feishu sent it.
///
/// Made by [`Message::native`](channel_core::Message::native).
#[derive(Debug)]
pub struct FeishuMessage {
    message: Message,
    extras: Extras,
}

#[derive(Debug, Default, Deserialize)]
struct Outer {
    header: Option<HeaderExtras>,
    event: Option<EventExtras>,
}

#[derive(Debug, Default, Deserialize)]
struct HeaderExtras {
    tenant_key: Option<String>,
    app_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct EventExtras {
    sender: Option<SenderExtras>,
    message: Option<MessageExtras>,
}

#[derive(Debug, Default, Deserialize)]
struct SenderExtras {
    sender_id: Option<SenderIds>,
}

#[derive(Debug, Default, Deserialize)]
struct SenderIds {
    union_id: Option<String>,
    user_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct MessageExtras {
    message_type: Option<String>,
    content: Option<String>,
    root_id: Option<String>,
}

#[derive(Debug, Default)]
struct Extras {
    header: HeaderExtras,
    sender: SenderIds,
    message: MessageExtras,
}

impl FeishuMessage {
    /// The workspace of the sender.
    #[must_use]
    pub fn tenant_key(&self) -> Option<&str> {
        self.extras.header.tenant_key.as_deref()
    }

    /// The app that the event was delivered to.
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        self.extras.header.app_id.as_deref()
    }

    /// The sender's id with all apps of one developer.
    #[must_use]
    pub fn union_id(&self) -> Option<&str> {
        self.extras.sender.union_id.as_deref()
    }

    /// The sender's id in the workspace; there only if the app has the scope for it.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.extras.sender.user_id.as_deref()
    }

    /// The first message of a line of replies, in a thread or not.
    #[must_use]
    pub fn root_id(&self) -> Option<&str> {
        self.extras.message.root_id.as_deref()
    }

    /// The kind of the message, such as `post`.
    #[must_use]
    pub fn message_type(&self) -> &str {
        self.extras
            .message
            .message_type
            .as_deref()
            .unwrap_or_default()
    }

    /// The content as Feishu writes it: JSON of a shape of its own for each kind.
    #[must_use]
    pub fn raw_content(&self) -> &str {
        self.extras.message.content.as_deref().unwrap_or_default()
    }
}

impl NativeMessage for FeishuMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Protocol, "the payload holds no message")
                .on(PLATFORM, "read message")
        };
        let body = raw.as_slice();
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| wrong())?;
        let outer: Outer = serde_json::from_slice(body).map_err(|_| wrong())?;
        let header = outer.header.unwrap_or_default();
        let channel = ChannelId::new(PLATFORM.as_str());
        let reader = Reader {
            channel: &channel,
            app: header.app_id.as_deref().unwrap_or_default(),
            me: None,
            memory: None,
            proof: Proof::Asserted,
        };
        let Some(EventKind::Message(message)) = reader.event(&envelope, raw).map(|it| it.kind)
        else {
            return Err(wrong());
        };
        let event = outer.event.unwrap_or_default();
        let sender = event.sender.unwrap_or_default();
        let extras = Extras {
            header,
            sender: sender.sender_id.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        };
        Ok(Self {
            message: *message,
            extras,
        })
    }
}

impl InboundMessage for FeishuMessage {
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
