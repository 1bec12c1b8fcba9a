//! WeCom's own message, read through the common vocabulary.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Addressed, Attachment, ChatId, ChatKind, Content, Error, ErrorKind, InboundMessage,
    MessageId, NativeMessage, Platform, Quoted, Raw, Result, SenderKind, ThreadId,
};

use crate::PLATFORM;
use crate::inbound::{account, addressed, chat_kind, sender_kind};
use crate::wire::{self, Item, Place, What};

/// A message as WeCom sent it, of any of the four products: XML of an app or a group bot,
/// JSON of a group bot or an AI bot.
///
/// Made by [`Message::native`](channel_core::Message::native). Only an app's payload says
/// which corp it is from.
#[derive(Debug)]
pub struct WecomMessage {
    corp: Option<String>,
    place: Place,
    id: String,
    text: String,
    attachments: Vec<Attachment>,
    addressed: Addressed,
    at: Option<u64>,
}

impl WecomMessage {
    /// The user's id inside the corp; its case matters.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.place.user
    }
}

/// The item of a payload of whatever product.
fn item(raw: &[u8]) -> (Item, Option<String>) {
    if raw.first() == Some(&b'<') {
        let xml = channel_wechat_crypto::parse_xml(raw, &wire::INNER).ok();
        let corp = xml.as_ref().and_then(|xml| xml.get("ToUserName"));
        return match corp {
            Some(corp) => (wire::app::read(raw).item, Some(corp.to_owned())),
            None => (wire::bot::read(raw), None),
        };
    }
    let is_ai = serde_json::from_slice::<serde_json::Value>(raw)
        .is_ok_and(|json| json.get("aibotid").is_some());
    if is_ai {
        (wire::aibot::read(raw), None)
    } else {
        (wire::bot::read(raw), None)
    }
}

impl NativeMessage for WecomMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let (item, corp) = item(raw.as_slice());
        let (
            Some(place),
            What::Said {
                id,
                text,
                attachments,
                ..
            },
        ) = (item.place, item.what)
        else {
            let wrong = "the payload holds no message";
            return Err(Error::new(ErrorKind::Protocol, wrong).on(PLATFORM, "read message"));
        };
        let (addressed, text) = addressed(place.kind, text, None);
        Ok(Self {
            corp,
            place,
            id,
            text,
            attachments,
            addressed,
            at: item.at,
        })
    }
}

impl InboundMessage for WecomMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.id.as_str().into()
    }
    fn chat(&self) -> ChatId {
        self.place.chat.as_str().into()
    }
    fn chat_kind(&self) -> ChatKind {
        chat_kind(self.place.kind)
    }
    fn thread(&self) -> Option<ThreadId> {
        None
    }
    fn account(&self) -> AccountRef {
        account(self.corp.as_deref(), &self.place.user)
    }
    fn sender_name(&self) -> Option<&str> {
        self.place.name.as_deref()
    }
    fn sender_kind(&self) -> SenderKind {
        sender_kind(&self.place.user)
    }
    fn text(&self) -> &str {
        &self.text
    }
    fn content(&self) -> Cow<'_, Content> {
        Cow::Owned(Content::plain(self.text.as_str()))
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Borrowed(&self.attachments)
    }
    fn addressed(&self) -> Addressed {
        self.addressed
    }
    fn reply_to(&self) -> Option<Quoted> {
        // WeCom quotes words and names no message.
        None
    }
    fn sent_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.at?))
    }
}
