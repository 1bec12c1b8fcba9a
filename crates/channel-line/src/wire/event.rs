//! Requests and events.

use std::borrow::Cow;

use channel_core::{ChatId, ChatKind, EventId, SenderId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::Message;

/// The body of a request; each event is decoded alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Callback<'a> {
    /// The bot's user id.
    #[serde(borrow, default)]
    pub(crate) destination: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) events: Vec<&'a RawValue>,
}

/// One event
/// (<https://developers.line.biz/en/reference/messaging-api/#common-properties>).
///
/// What few events have is behind a pointer: an event is moved a dozen times until it is one of
/// the core's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) mode: Mode,
    /// In milliseconds.
    pub(crate) timestamp: i64,
    pub(crate) source: Option<Source>,
    pub(crate) webhook_event_id: Option<EventId>,
    #[serde(default)]
    pub(crate) delivery_context: DeliveryContext,
    pub(crate) reply_token: Option<String>,
    pub(crate) message: Option<Box<Message>>,
    pub(crate) postback: Option<Box<Postback>>,
    pub(crate) unsend: Option<Box<Unsend>>,
    pub(crate) joined: Option<Box<Members>>,
    pub(crate) left: Option<Box<Members>>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    Message,
    Postback,
    Unsend,
    Follow,
    Unfollow,
    Join,
    Leave,
    MemberJoined,
    MemberLeft,
    #[serde(other)]
    Other,
}

/// Whether the bot is the one to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    #[default]
    Active,
    /// Another service answers.
    Standby,
    /// A mode of a later version: nothing says that the bot may answer.
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryContext {
    #[serde(default)]
    pub(crate) is_redelivery: bool,
}

/// Where it happened. In groups the person may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    #[serde(rename = "type")]
    pub(crate) kind: SourceKind,
    pub(crate) user_id: Option<SenderId>,
    pub(crate) group_id: Option<ChatId>,
    pub(crate) room_id: Option<ChatId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SourceKind {
    User,
    Group,
    Room,
    #[serde(other)]
    Other,
}

impl Source {
    /// The chat, if it can be told.
    pub(crate) fn chat(&self) -> Option<(ChatId, ChatKind)> {
        let id = match self.kind {
            SourceKind::User => {
                let person = self.user_id.as_ref()?;
                return (!person.as_str().is_empty())
                    .then(|| (ChatId::from(person), ChatKind::Direct));
            }
            SourceKind::Group => self.group_id.as_ref()?,
            SourceKind::Room => self.room_id.as_ref()?,
            SourceKind::Other => return None,
        };
        (!id.as_str().is_empty()).then(|| (id.clone(), ChatKind::Group))
    }

    /// The person, if they are named.
    pub(crate) fn person(&self) -> Option<&SenderId> {
        self.user_id.as_ref().filter(|id| !id.as_str().is_empty())
    }
}

/// A pressed button
/// (<https://developers.line.biz/en/reference/messaging-api/#postback-event>).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Postback {
    #[serde(default)]
    pub(crate) data: String,
    /// A chosen date, or the rich menu that was switched to.
    pub(crate) params: Option<std::collections::BTreeMap<String, String>>,
}

/// <https://developers.line.biz/en/reference/messaging-api/#unsend-event>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unsend {
    pub(crate) message_id: String,
}

/// Who has joined or left
/// (<https://developers.line.biz/en/reference/messaging-api/#member-joined-event>).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Members {
    pub(crate) members: Vec<Source>,
}

/// The name that an event gives its kind, for kinds that are not known.
pub(crate) fn name_of(raw: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        r#type: String,
    }
    let named: Named = serde_json::from_str(raw).ok()?;
    Some(named.r#type)
}
