//! Messages (<https://developers.line.biz/en/reference/messaging-api/#message-event>).

use channel_core::{MessageId, SenderId};
use serde::Deserialize;

/// A message; its kind says which fields are there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    #[serde(rename = "type")]
    pub(crate) kind: MessageKind,
    pub(crate) text: Option<String>,
    pub(crate) quote_token: Option<String>,
    pub(crate) quoted_message_id: Option<MessageId>,
    pub(crate) mark_as_read_token: Option<String>,
    #[serde(default)]
    pub(crate) emojis: Vec<Emoji>,
    pub(crate) mention: Option<Mention>,
    pub(crate) content_provider: Option<ContentProvider>,
    pub(crate) image_set: Option<ImageSet>,
    /// In milliseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) file_name: Option<String>,
    pub(crate) file_size: Option<u64>,
    pub(crate) title: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) latitude: Option<f64>,
    pub(crate) longitude: Option<f64>,
    pub(crate) package_id: Option<String>,
    pub(crate) sticker_id: Option<String>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum MessageKind {
    Text,
    Image,
    Video,
    Audio,
    File,
    Location,
    Sticker,
    #[serde(other)]
    Other,
}

/// A LINE emoji; the words of the text stand in for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Emoji {
    pub(crate) index: u64,
    pub(crate) length: u64,
    #[serde(default)]
    pub(crate) product_id: String,
    #[serde(default)]
    pub(crate) emoji_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Mention {
    #[serde(default)]
    pub(crate) mentionees: Vec<Mentionee>,
}

/// Somebody, or everybody, who is mentioned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mentionee {
    pub(crate) index: u64,
    pub(crate) length: u64,
    pub(crate) user_id: Option<SenderId>,
    #[serde(default)]
    pub(crate) is_self: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentProvider {
    /// `line`, or `external` where the sender's own server holds the file.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) original_content_url: Option<String>,
}

/// Pictures that were sent together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ImageSet {
    pub(crate) id: String,
}
