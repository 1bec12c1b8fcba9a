//! Updates: an id and exactly one field that says what happened.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::message::{Chat, Message, User};

/// <https://core.telegram.org/bots/api#update>
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) id: i64,
    pub(crate) kind: UpdateKind,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum UpdateKind {
    Message(Flavour, Box<Message>),
    Deleted(Box<DeletedMessages>),
    Reaction(Box<ReactionUpdate>),
    Callback(Box<CallbackQuery>),
    Member(Box<Member>),
    Other(String),
}

/// Under which name a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    New,
    Edited,
}

/// The name of the field; it is read before the value, so that the value is decoded once,
/// as one concrete type.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    UpdateId,
    Message,
    EditedMessage,
    ChannelPost,
    EditedChannelPost,
    BusinessMessage,
    EditedBusinessMessage,
    DeletedBusinessMessages,
    GuestMessage,
    MessageReaction,
    CallbackQuery,
    MyChatMember,
    ChatMember,
    Other(String),
}

impl<'de> Deserialize<'de> for Update {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UpdateVisitor)
    }
}

struct UpdateVisitor;

impl<'de> Visitor<'de> for UpdateVisitor {
    type Value = Update;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an update")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Update, A::Error> {
        use serde::de::Error as _;

        let mut id = None;
        let mut kind = None;
        while let Some(name) = map.next_key::<Name>()? {
            let found = match name {
                Name::UpdateId => {
                    id = Some(map.next_value()?);
                    continue;
                }
                Name::Message | Name::ChannelPost | Name::BusinessMessage | Name::GuestMessage => {
                    UpdateKind::Message(Flavour::New, map.next_value()?)
                }
                Name::EditedMessage | Name::EditedChannelPost | Name::EditedBusinessMessage => {
                    UpdateKind::Message(Flavour::Edited, map.next_value()?)
                }
                Name::DeletedBusinessMessages => UpdateKind::Deleted(map.next_value()?),
                Name::MessageReaction => UpdateKind::Reaction(map.next_value()?),
                Name::CallbackQuery => UpdateKind::Callback(map.next_value()?),
                Name::MyChatMember => UpdateKind::Member(Box::new(Member {
                    mine: true,
                    ..map.next_value()?
                })),
                Name::ChatMember => UpdateKind::Member(map.next_value()?),
                Name::Other(name) => {
                    map.next_value::<IgnoredAny>()?;
                    UpdateKind::Other(name)
                }
            };
            // What is known wins over what is not.
            if !matches!((&kind, &found), (Some(_), UpdateKind::Other(_))) {
                kind = Some(found);
            }
        }
        Ok(Update {
            id: id.ok_or_else(|| A::Error::missing_field("update_id"))?,
            kind: kind.unwrap_or_else(|| UpdateKind::Other(String::new())),
        })
    }
}

/// <https://core.telegram.org/bots/api#businessmessagesdeleted>
#[derive(Debug, Deserialize)]
pub(crate) struct DeletedMessages {
    pub(crate) business_connection_id: String,
    pub(crate) chat: Chat,
    pub(crate) message_ids: Vec<i64>,
}

/// <https://core.telegram.org/bots/api#messagereactionupdated>
#[derive(Debug, Deserialize)]
pub(crate) struct ReactionUpdate {
    pub(crate) chat: Chat,
    pub(crate) message_id: i64,
    pub(crate) user: Option<User>,
    pub(crate) actor_chat: Option<Chat>,
    #[serde(default)]
    pub(crate) old_reaction: Vec<ReactionKind>,
    #[serde(default)]
    pub(crate) new_reaction: Vec<ReactionKind>,
}

/// <https://core.telegram.org/bots/api#reactiontype>
#[derive(Debug, Deserialize)]
pub(crate) struct ReactionKind {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    pub(crate) emoji: Option<String>,
    pub(crate) custom_emoji_id: Option<String>,
}

/// <https://core.telegram.org/bots/api#callbackquery>
#[derive(Debug, Deserialize)]
pub(crate) struct CallbackQuery {
    pub(crate) id: String,
    pub(crate) from: User,
    /// Absent for messages sent in inline mode; with `date` 0 it is a mere stub.
    pub(crate) message: Option<CallbackMessage>,
    pub(crate) inline_message_id: Option<String>,
    #[serde(default)]
    pub(crate) chat_instance: String,
    #[serde(default)]
    pub(crate) data: String,
}

/// Where the button is.
#[derive(Debug, Deserialize)]
pub(crate) struct CallbackMessage {
    pub(crate) chat: Chat,
    #[serde(default)]
    pub(crate) message_id: i64,
    pub(crate) message_thread_id: Option<i64>,
    #[serde(default)]
    pub(crate) is_topic_message: bool,
    pub(crate) business_connection_id: Option<String>,
    pub(crate) ephemeral_message_id: Option<i64>,
}

/// <https://core.telegram.org/bots/api#chatmemberupdated>
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) chat: Chat,
    /// Who made the change.
    pub(crate) from: User,
    pub(crate) new_chat_member: MemberStatus,
    /// Whether it came as `my_chat_member`.
    #[serde(skip)]
    pub(crate) mine: bool,
}

/// <https://core.telegram.org/bots/api#chatmember>
#[derive(Debug, Deserialize)]
pub(crate) struct MemberStatus {
    pub(crate) status: String,
    pub(crate) user: User,
    /// For `restricted`: whether the user is in the chat.
    pub(crate) is_member: Option<bool>,
}
