//! Messages and what they hold.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// <https://core.telegram.org/bots/api#user>
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    #[serde(default)]
    pub(crate) is_bot: bool,
    #[serde(default)]
    pub(crate) first_name: String,
    pub(crate) last_name: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) language_code: Option<String>,
}

impl User {
    /// Takes the name as Telegram shows it.
    pub(crate) fn take_name(&mut self) -> Option<String> {
        let mut name = std::mem::take(&mut self.first_name);
        if let Some(last) = self.last_name.take().filter(|last| !last.is_empty()) {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(&last);
        }
        (!name.is_empty()).then_some(name)
    }
}

/// A user of whom only the id matters.
#[derive(Debug, Deserialize)]
pub(crate) struct UserId {
    pub(crate) id: i64,
}

/// What kind of place a chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChatType {
    Private,
    Group,
    Supergroup,
    Channel,
    #[serde(other)]
    Other,
}

/// <https://core.telegram.org/bots/api#chat>
#[derive(Debug, Deserialize)]
pub(crate) struct Chat {
    pub(crate) id: i64,
    #[serde(rename = "type")]
    pub(crate) kind: ChatType,
    pub(crate) title: Option<String>,
}

/// <https://core.telegram.org/bots/api#message>
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) message_id: i64,
    #[serde(default)]
    pub(crate) date: i64,
    pub(crate) chat: Chat,
    pub(crate) from: Option<User>,
    pub(crate) sender_chat: Option<Chat>,
    pub(crate) via_bot: Option<UserId>,
    pub(crate) sender_business_bot: Option<UserId>,
    pub(crate) business_connection_id: Option<String>,
    pub(crate) guest_query_id: Option<String>,
    pub(crate) ephemeral_message_id: Option<i64>,
    pub(crate) message_thread_id: Option<i64>,
    #[serde(default)]
    pub(crate) is_topic_message: bool,
    pub(crate) media_group_id: Option<String>,
    pub(crate) reply_to_message: Option<Box<Replied>>,
    /// A message of another chat that is answered, and the words of it that are quoted.
    pub(crate) external_reply: Option<IgnoredAny>,
    pub(crate) quote: Option<IgnoredAny>,
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) entities: Vec<Entity>,
    pub(crate) caption: Option<String>,
    #[serde(default)]
    pub(crate) caption_entities: Vec<Entity>,
    #[serde(default)]
    pub(crate) photo: Vec<File>,
    pub(crate) document: Option<Box<File>>,
    pub(crate) audio: Option<Box<File>>,
    pub(crate) video: Option<Box<File>>,
    pub(crate) animation: Option<Box<File>>,
    pub(crate) voice: Option<Box<File>>,
    pub(crate) video_note: Option<Box<File>>,
    pub(crate) sticker: Option<Box<File>>,
    pub(crate) live_photo: Option<Box<File>>,
    pub(crate) paid_media: Option<PaidMedia>,
    #[serde(default)]
    pub(crate) new_chat_members: Vec<User>,
    pub(crate) left_chat_member: Option<Box<User>>,
    pub(crate) migrate_to_chat_id: Option<i64>,
    pub(crate) migrate_from_chat_id: Option<i64>,
    /// Any of the notices that Telegram itself writes into a chat.
    #[serde(
        alias = "boost_added",
        alias = "channel_chat_created",
        alias = "chat_background_set",
        alias = "chat_shared",
        alias = "delete_chat_photo",
        alias = "forum_topic_closed",
        alias = "forum_topic_created",
        alias = "forum_topic_edited",
        alias = "forum_topic_reopened",
        alias = "general_forum_topic_hidden",
        alias = "general_forum_topic_unhidden",
        alias = "giveaway_completed",
        alias = "giveaway_created",
        alias = "group_chat_created",
        alias = "message_auto_delete_timer_changed",
        alias = "new_chat_photo",
        alias = "new_chat_title",
        alias = "pinned_message",
        alias = "proximity_alert_triggered",
        alias = "supergroup_chat_created",
        alias = "users_shared",
        alias = "video_chat_ended",
        alias = "video_chat_participants_invited",
        alias = "video_chat_scheduled",
        alias = "video_chat_started",
        alias = "write_access_allowed"
    )]
    pub(crate) service: Option<IgnoredAny>,
}

/// The message replied to; its own words are not needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Replied {
    pub(crate) message_id: i64,
    pub(crate) from: Option<UserId>,
    /// Every message of a topic that replies to nothing "replies" to this notice.
    pub(crate) forum_topic_created: Option<IgnoredAny>,
}

/// Any object that can be downloaded; a photo is a list of them.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) file_id: String,
    pub(crate) file_name: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) file_size: Option<u64>,
    #[serde(default)]
    pub(crate) width: i64,
    #[serde(default)]
    pub(crate) height: i64,
}

/// <https://core.telegram.org/bots/api#paidmediainfo>
#[derive(Debug, Deserialize)]
pub(crate) struct PaidMedia {
    #[serde(default)]
    pub(crate) paid_media: Vec<PaidItem>,
}

/// One paid picture or film; a mere preview has neither.
#[derive(Debug, Deserialize)]
pub(crate) struct PaidItem {
    #[serde(default)]
    pub(crate) photo: Vec<File>,
    pub(crate) video: Option<File>,
}

/// <https://core.telegram.org/bots/api#messageentity>
#[derive(Debug, Deserialize)]
pub(crate) struct Entity {
    #[serde(rename = "type")]
    pub(crate) kind: EntityKind,
    /// In UTF-16 code units.
    pub(crate) offset: u64,
    /// In UTF-16 code units.
    pub(crate) length: u64,
    pub(crate) url: Option<String>,
    pub(crate) user: Option<User>,
    pub(crate) language: Option<String>,
    pub(crate) custom_emoji_id: Option<String>,
}

/// The kinds of entity that change how a text looks or whom it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntityKind {
    Mention,
    TextMention,
    BotCommand,
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Blockquote,
    ExpandableBlockquote,
    Code,
    Pre,
    TextLink,
    CustomEmoji,
    #[serde(other)]
    Other,
}
