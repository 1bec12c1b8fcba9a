//! Messages
//! (<https://open.feishu.cn/document/server-docs/im-v1/message/events/receive>,
//! <https://open.feishu.cn/document/server-docs/im-v1/message/list>).

use serde::Deserialize;

use super::event::UserId;

/// A message as an event tells of it.
#[derive(Deserialize)]
pub(crate) struct MessageEvent {
    pub(crate) sender: Sender,
    pub(crate) message: Message,
}

#[derive(Deserialize)]
pub(crate) struct Sender {
    #[serde(default)]
    pub(crate) sender_id: Option<UserId>,
    #[serde(default)]
    pub(crate) sender_type: String,
}

#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) message_id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) thread_id: Option<String>,
    pub(crate) create_time: Option<String>,
    pub(crate) chat_id: String,
    #[serde(default)]
    pub(crate) chat_type: String,
    #[serde(default)]
    pub(crate) message_type: String,
    #[serde(default)]
    pub(crate) content: String,
    pub(crate) mentions: Option<Vec<EventMention>>,
}

#[derive(Deserialize)]
pub(crate) struct EventMention {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) id: UserId,
    #[serde(default)]
    pub(crate) name: String,
}

/// A message as a list of them tells of it.
#[derive(Deserialize)]
pub(crate) struct Listed {
    pub(crate) message_id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) thread_id: Option<String>,
    pub(crate) create_time: Option<String>,
    pub(crate) chat_id: Option<String>,
    #[serde(default)]
    pub(crate) msg_type: String,
    #[serde(default)]
    pub(crate) deleted: bool,
    #[serde(default)]
    pub(crate) body: ListedBody,
    pub(crate) sender: Option<ListedSender>,
    pub(crate) mentions: Option<Vec<ListedMention>>,
}

#[derive(Default, Deserialize)]
pub(crate) struct ListedBody {
    #[serde(default)]
    pub(crate) content: String,
}

#[derive(Deserialize)]
pub(crate) struct ListedSender {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) sender_type: String,
}

#[derive(Deserialize)]
pub(crate) struct ListedMention {
    pub(crate) key: String,
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) name: String,
}

/// Somebody who is mentioned, by the key that stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub(crate) key: String,
    pub(crate) open_id: Option<String>,
    pub(crate) name: String,
}

impl From<EventMention> for Mention {
    fn from(mention: EventMention) -> Self {
        Self {
            key: mention.key,
            open_id: mention.id.open_id,
            name: mention.name,
        }
    }
}

impl From<ListedMention> for Mention {
    fn from(mention: ListedMention) -> Self {
        Self {
            key: mention.key,
            open_id: mention.id,
            name: mention.name,
        }
    }
}

/// The content of every message but a `post`
/// (<https://open.feishu.cn/document/server-docs/im-v1/message-content-description/message_content>).
#[derive(Default, Deserialize)]
pub(crate) struct Fields {
    pub(crate) text: Option<String>,
    pub(crate) image_key: Option<String>,
    pub(crate) file_key: Option<String>,
    pub(crate) file_name: Option<String>,
    pub(crate) chat_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) longitude: Option<String>,
    pub(crate) latitude: Option<String>,
}

/// A `post`, and what is told of a card: both are lines of elements.
#[derive(Default, Deserialize)]
pub(crate) struct Post {
    pub(crate) title: Option<String>,
    #[serde(alias = "elements")]
    pub(crate) content: Option<Vec<Vec<Element>>>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Element {
    #[serde(default)]
    pub(crate) tag: String,
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) style: Vec<String>,
    pub(crate) href: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) image_key: Option<String>,
    pub(crate) file_key: Option<String>,
    pub(crate) emoji_type: Option<String>,
    pub(crate) language: Option<String>,
}
