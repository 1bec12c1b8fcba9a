//! Messages (<https://open.dingtalk.com/document/orgapp/receive-message>).

use serde::Deserialize;

use super::Loose;

/// What `/v1.0/im/bot/messages/get` tells, and the body of a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) msg_id: String,
    pub(crate) conversation_id: String,
    /// `1` for a direct conversation, `2` for a group.
    #[serde(default)]
    pub(crate) conversation_type: Loose,
    pub(crate) conversation_title: Option<String>,
    pub(crate) chatbot_corp_id: Option<String>,
    pub(crate) chatbot_user_id: Option<String>,
    pub(crate) sender_nick: Option<String>,
    pub(crate) sender_staff_id: Option<String>,
    pub(crate) sender_id: Option<String>,
    pub(crate) sender_corp_id: Option<String>,
    pub(crate) session_webhook: Option<String>,
    #[serde(default)]
    pub(crate) session_webhook_expired_time: Loose,
    #[serde(default)]
    pub(crate) create_at: Loose,
    pub(crate) robot_code: Option<String>,
    pub(crate) is_in_at_list: Option<bool>,
    pub(crate) at_users: Option<Vec<AtUser>>,
    #[serde(default)]
    pub(crate) msgtype: String,
    pub(crate) text: Option<Text>,
    pub(crate) content: Option<Content>,
    pub(crate) original_msg_id: Option<String>,
    pub(crate) original_process_query_key: Option<String>,
    pub(crate) quote_message: Option<Quote>,
}

impl Message {
    /// Whether it answers a message, whose words come with it.
    pub(crate) fn quotes(&self) -> bool {
        let text = self.text.as_ref();
        self.quote_message.is_some() || text.is_some_and(|text| text.replied_msg.is_some())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AtUser {
    pub(crate) dingtalk_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Text {
    #[serde(default)]
    pub(crate) content: String,
    pub(crate) replied_msg: Option<Replied>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replied {
    pub(crate) msg_id: Option<String>,
    pub(crate) sender_id: Option<String>,
}

/// An older way to tell of a message that is answered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quote {
    pub(crate) msg_id: Option<String>,
}

/// The content of every message but a text.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Content {
    pub(crate) text: Option<String>,
    pub(crate) download_code: Option<String>,
    pub(crate) picture_download_code: Option<String>,
    pub(crate) file_name: Option<String>,
    /// What was said in a voice note.
    pub(crate) recognition: Option<String>,
    pub(crate) rich_text: Option<Vec<RichElement>>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    #[serde(rename = "biz_custom_action_url")]
    pub(crate) action_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RichElement {
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) download_code: Option<String>,
    pub(crate) picture_download_code: Option<String>,
    pub(crate) at_name: Option<String>,
    pub(crate) at_user_id: Option<String>,
}
