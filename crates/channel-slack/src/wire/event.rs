//! The Events API (<https://docs.slack.dev/apis/events-api/>).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::text::Str;

/// The outer object of every event, over HTTP and over a socket.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Str<'a>,
    #[serde(borrow)]
    pub(crate) challenge: Option<Str<'a>>,
    #[serde(borrow)]
    team_id: Option<Str<'a>>,
    #[serde(borrow)]
    context_team_id: Option<Str<'a>>,
    #[serde(borrow)]
    enterprise_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) api_app_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) event_id: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) is_ext_shared_channel: bool,
    #[serde(borrow, default)]
    pub(crate) authorizations: Vec<Authorization<'a>>,
    pub(crate) minute_rate_limited: Option<i64>,
    #[serde(borrow)]
    pub(crate) event: Option<Event<'a>>,
}

impl Envelope<'_> {
    /// The workspace whose installation the event is for. In a channel that is shared with
    /// other workspaces `team_id` may name the one where it happened
    /// (<https://docs.slack.dev/apis/events-api/#event-type-structure>).
    pub(crate) fn workspace(&self) -> Option<&str> {
        let of_us = self
            .authorizations
            .iter()
            .find_map(|it| it.team_id.as_deref());
        let shared = self.context_team_id.as_deref().or(of_us);
        shared
            .filter(|_| self.is_ext_shared_channel)
            .or(self.team_id.as_deref())
            .or(self.enterprise_id.as_deref())
    }
}

/// For which installation an event is delivered.
#[derive(Debug, Deserialize)]
pub(crate) struct Authorization<'a> {
    #[serde(borrow)]
    team_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) user_id: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) is_bot: bool,
    #[serde(default)]
    pub(crate) is_enterprise_install: Option<bool>,
}

/// The inner event: one struct for all kinds, because a buffer for an unknown one would be
/// filled on the way of every message.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Str<'a>,
    #[serde(borrow)]
    pub(crate) subtype: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) channel: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) channel_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) user: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) username: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) bot_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) app_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) text: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) ts: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) thread_ts: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) parent_user_id: Option<Str<'a>>,
    /// The sender's workspace, in channels that are shared between workspaces.
    #[serde(borrow)]
    pub(crate) user_team: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(crate) files: Vec<File<'a>>,
    /// A message that is shared with a comment, or what a link leads to.
    pub(crate) attachments: Option<IgnoredAny>,
    pub(crate) edited: Option<Edited<'a>>,
    #[serde(borrow)]
    pub(crate) message: Option<Box<Self>>,
    #[serde(borrow)]
    pub(crate) previous_message: Option<Box<Self>>,
    #[serde(borrow)]
    pub(crate) deleted_ts: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) reaction: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) item: Option<Item<'a>>,
    #[serde(borrow)]
    pub(crate) metadata: Option<Metadata<'a>>,
}

/// When a message was changed.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Edited<'a> {
    #[serde(borrow)]
    pub(crate) ts: Option<Str<'a>>,
}

/// What a reaction is put on.
#[derive(Debug, Deserialize)]
pub(crate) struct Item<'a> {
    #[serde(borrow)]
    pub(crate) channel: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) ts: Option<Str<'a>>,
}

/// What an app hangs on its own messages
/// (<https://docs.slack.dev/messaging/message-metadata/>).
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata<'a> {
    #[serde(borrow)]
    pub(crate) event_type: Option<Str<'a>>,
    pub(crate) event_payload: Option<MetadataPayload<'a>>,
}

/// What the channel hangs there itself.
#[derive(Debug, Deserialize)]
pub(crate) struct MetadataPayload<'a> {
    #[serde(borrow)]
    pub(crate) key: Option<Str<'a>>,
}

/// <https://docs.slack.dev/reference/objects/file-object/>
#[derive(Debug, Deserialize)]
pub(crate) struct File<'a> {
    #[serde(borrow)]
    pub(crate) id: Str<'a>,
    #[serde(borrow)]
    pub(crate) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) title: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) mimetype: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) subtype: Option<Str<'a>>,
    pub(crate) size: Option<u64>,
    #[serde(borrow)]
    pub(crate) url_private: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) url_private_download: Option<Str<'a>>,
}

/// What can be told of an event that does not have the documented shape.
#[derive(Debug, Deserialize)]
pub(crate) struct Loose<'a> {
    #[serde(borrow)]
    pub(crate) team_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) api_app_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) event_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) event: Option<LooseEvent<'a>>,
}

/// The name of an event.
#[derive(Debug, Deserialize)]
pub(crate) struct LooseEvent<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Str<'a>,
}
