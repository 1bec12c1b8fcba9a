//! Events and what is around them
//! (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/subscription-event-case>).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The outermost object of a request, of whichever of its four forms: sealed, a challenge, an
/// event of version 2, or one of version 1.
#[derive(Deserialize)]
pub(crate) struct Body<'a> {
    #[serde(borrow)]
    pub(crate) encrypt: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) challenge: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) token: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) header: Option<HeaderToken<'a>>,
}

/// What a request has to be judged by.
#[derive(Deserialize)]
pub(crate) struct HeaderToken<'a> {
    #[serde(borrow)]
    pub(crate) token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) app_id: Option<Cow<'a, str>>,
}

/// An event.
#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) header: Option<Header<'a>>,
    #[serde(borrow)]
    pub(crate) event: Option<&'a RawValue>,
    /// The id of an event of version 1.
    #[serde(borrow)]
    pub(crate) uuid: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(crate) struct Header<'a> {
    #[serde(borrow)]
    pub(crate) event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) app_id: Option<Cow<'a, str>>,
}

/// The three ids of a person: `open_id` belongs to the app, `union_id` to its developer, and
/// `user_id` to the workspace.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct UserId {
    pub(crate) open_id: Option<String>,
    pub(crate) user_id: Option<String>,
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/events/recalled>
#[derive(Deserialize)]
pub(crate) struct Recalled {
    pub(crate) message_id: String,
    pub(crate) chat_id: String,
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message-reaction/events/created>
#[derive(Deserialize)]
pub(crate) struct ReactionChange {
    pub(crate) message_id: String,
    pub(crate) reaction_type: ReactionType,
    #[serde(default)]
    pub(crate) operator_type: String,
    #[serde(default)]
    pub(crate) user_id: UserId,
    pub(crate) app_id: Option<String>,
    pub(crate) chat_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ReactionType {
    pub(crate) emoji_type: String,
}

/// <https://open.feishu.cn/document/server-docs/group/chat-member/event/added>
#[derive(Deserialize)]
pub(crate) struct BotChange {
    pub(crate) chat_id: String,
    pub(crate) name: Option<String>,
}

/// <https://open.feishu.cn/document/server-docs/group/chat-member/event/added-2>
#[derive(Deserialize)]
pub(crate) struct MemberChange {
    pub(crate) chat_id: String,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) users: Vec<Member>,
}

#[derive(Deserialize)]
pub(crate) struct Member {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) user_id: UserId,
}
