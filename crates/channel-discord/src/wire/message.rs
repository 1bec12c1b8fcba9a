//! Messages and what happens to them
//! (<https://docs.discord.com/developers/resources/message>).

use serde::Deserialize;

use super::text::{Id, Str};

/// A message, of the gateway or of a chat's history.
#[derive(Debug, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
    #[serde(borrow)]
    pub(crate) channel_id: Id<'a>,
    #[serde(borrow)]
    pub(crate) guild_id: Option<Id<'a>>,
    pub(crate) channel_type: Option<u64>,
    #[serde(borrow)]
    pub(crate) author: Option<User<'a>>,
    #[serde(borrow)]
    pub(crate) member: Option<Member<'a>>,
    #[serde(borrow)]
    pub(crate) content: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) edited_timestamp: Option<Str<'a>>,
    #[serde(default, rename = "type")]
    pub(crate) kind: u64,
    #[serde(default)]
    pub(crate) flags: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) mentions: Vec<Mention<'a>>,
    #[serde(borrow, default)]
    pub(crate) attachments: Vec<Attachment<'a>>,
    #[serde(borrow, default)]
    pub(crate) sticker_items: Vec<Sticker<'a>>,
    #[serde(borrow)]
    pub(crate) webhook_id: Option<Id<'a>>,
    #[serde(borrow)]
    pub(crate) message_reference: Option<Reference<'a>>,
    #[serde(borrow)]
    pub(crate) referenced_message: Option<Box<Referenced<'a>>>,
    #[serde(borrow, default)]
    pub(crate) message_snapshots: Vec<Snapshot<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
    #[serde(borrow)]
    pub(crate) username: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) global_name: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) bot: bool,
}

/// What a guild adds to a user; the user itself where it stands alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Member<'a> {
    #[serde(borrow)]
    pub(crate) nick: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) user: Option<User<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Mention<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
    #[serde(borrow)]
    pub(crate) username: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) global_name: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Attachment<'a> {
    #[serde(borrow)]
    pub(crate) filename: Option<Str<'a>>,
    pub(crate) size: Option<u64>,
    #[serde(borrow)]
    pub(crate) content_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) url: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) waveform: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sticker<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
    #[serde(borrow)]
    pub(crate) name: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) format_type: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Reference<'a> {
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<u64>,
    #[serde(borrow)]
    pub(crate) message_id: Option<Id<'a>>,
}

/// The message that a reply is to, as far as it matters whose it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Referenced<'a> {
    #[serde(borrow)]
    pub(crate) author: Option<User<'a>>,
}

/// A forwarded message.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot<'a> {
    #[serde(borrow)]
    pub(crate) message: Option<Forwarded<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Forwarded<'a> {
    #[serde(borrow)]
    pub(crate) content: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(crate) attachments: Vec<Attachment<'a>>,
}

/// `MESSAGE_DELETE`
#[derive(Debug, Deserialize)]
pub(crate) struct Deletion<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
    #[serde(borrow)]
    pub(crate) channel_id: Id<'a>,
}

/// `MESSAGE_DELETE_BULK`
#[derive(Debug, Deserialize)]
pub(crate) struct BulkDelete<'a> {
    #[serde(borrow)]
    pub(crate) ids: Vec<Id<'a>>,
    #[serde(borrow)]
    pub(crate) channel_id: Id<'a>,
}

/// `MESSAGE_REACTION_ADD` and `MESSAGE_REACTION_REMOVE`
#[derive(Debug, Deserialize)]
pub(crate) struct Reaction<'a> {
    #[serde(borrow)]
    pub(crate) user_id: Id<'a>,
    #[serde(borrow)]
    pub(crate) channel_id: Id<'a>,
    #[serde(borrow)]
    pub(crate) message_id: Id<'a>,
    #[serde(borrow)]
    pub(crate) emoji: Emoji<'a>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Emoji<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Id<'a>>,
    #[serde(borrow)]
    pub(crate) name: Option<Str<'a>>,
}

/// What a call returns that made or changed a message.
#[derive(Debug, Deserialize)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) channel_id: String,
}
