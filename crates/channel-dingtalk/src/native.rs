//! DingTalk's own message and what only DingTalk tells, read back from the payload.

use std::borrow::Cow;
use std::time::SystemTime;

use channel_core::{
    AccountRef, Addressed, Attachment, ChannelId, ChatId, ChatKind, Content, Error, ErrorKind,
    InboundMessage, Message, MessageId, NativeMessage, Platform, Proof, Quoted, Raw, Result,
    SenderKind, ThreadId,
};

use crate::PLATFORM;
use crate::inbound::Reader;
use crate::wire;

/// A message as DingTalk sent it.
///
/// Made by [`Message::native`](channel_core::Message::native).
#[derive(Debug)]
pub struct DingTalkMessage {
    message: Message,
    extras: Extras,
}

#[derive(Debug)]
struct Extras {
    conversation_id: String,
    staff_id: Option<String>,
    opaque_id: Option<String>,
    corp_id: Option<String>,
    robot_code: Option<String>,
    msgtype: String,
    process_query_key: Option<String>,
}

impl DingTalkMessage {
    /// The conversation, `cid...`, of direct chats too, whose id here names the person.
    #[must_use]
    pub fn conversation_id(&self) -> &str {
        &self.extras.conversation_id
    }

    /// The sender's id in the organisation; absent for people outside of it.
    #[must_use]
    pub fn staff_id(&self) -> Option<&str> {
        self.extras.staff_id.as_deref()
    }

    /// The id that the robot sees of the sender, `$:LWCP_v1:$...`.
    #[must_use]
    pub fn opaque_id(&self) -> Option<&str> {
        self.extras.opaque_id.as_deref()
    }

    /// The sender's organisation.
    #[must_use]
    pub fn corp_id(&self) -> Option<&str> {
        self.extras.corp_id.as_deref()
    }

    /// The robot that the message was for.
    #[must_use]
    pub fn robot_code(&self) -> Option<&str> {
        self.extras.robot_code.as_deref()
    }

    /// The kind of the message, such as `richText`.
    #[must_use]
    pub fn message_type(&self) -> &str {
        &self.extras.msgtype
    }

    /// The key that the message which is answered was sent with, if the bot has sent it.
    #[must_use]
    pub fn original_process_query_key(&self) -> Option<&str> {
        self.extras.process_query_key.as_deref()
    }
}

impl NativeMessage for DingTalkMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Protocol, "the payload holds no message")
                .on(PLATFORM, "read message")
        };
        let said: wire::Message = serde_json::from_slice(raw.as_slice()).map_err(|_| wrong())?;
        let channel = ChannelId::new(PLATFORM.as_str());
        let reader = Reader {
            channel: &channel,
            shared: None,
            proof: Proof::Asserted,
        };
        let message = reader.said(&said, raw).ok_or_else(wrong)?;
        let extras = Extras {
            conversation_id: said.conversation_id,
            staff_id: said.sender_staff_id,
            opaque_id: said.sender_id,
            corp_id: said.sender_corp_id,
            robot_code: said.robot_code,
            msgtype: said.msgtype,
            process_query_key: said.original_process_query_key,
        };
        Ok(Self { message, extras })
    }
}

impl InboundMessage for DingTalkMessage {
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
        None
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
