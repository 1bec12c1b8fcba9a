//! Messages as the callback shows them to a robot.
//! <https://open.dingtalk.com/document/orgapp/receive-message>

use serde_json::{Value, json};

use super::model::{Author, Chat, MessageView};
use super::state::State;
use crate::common::json::Parts as _;

impl State {
    /// A message of a person as an app sees it. `to` are those whom it mentions: people, and the robot itself.
    pub(crate) fn shown(
        &self,
        app: &str,
        chat: &Chat,
        message: &MessageView,
        named: &[String],
        session: &(String, i64),
        quoted: Option<&MessageView>,
    ) -> Value {
        let Some(owner) = self.apps.get(app) else {
            return Value::Null;
        };
        let Author::User(user) = &message.author else {
            return Value::Null;
        };
        let Some(person) = self.users.get(user) else {
            return Value::Null;
        };
        let kind = if chat.title.is_some() { "2" } else { "1" };
        let mut shown = json!({
            "senderPlatform": "Mac",
            "conversationId": message.chat,
            "conversationType": if self.faults.numbers { json!(kind.parse::<u8>().ok()) } else { json!(kind) },
            "openThreadId": message.chat,
            "chatbotCorpId": owner.corp,
            "chatbotUserId": owner.bot_id,
            "msgId": message.id,
            "senderNick": person.name,
            "isAdmin": false,
            "senderId": person.sender_id,
            "sessionWebhook": session.0,
            "sessionWebhookExpiredTime": session.1,
            "createAt": message.at_ms,
            "robotCode": owner.robot_code,
            "msgtype": message.kind,
        });
        if let Some(staff) = &person.staff_id {
            shown.set("senderStaffId", json!(staff));
            shown.set("senderCorpId", json!(owner.corp));
        }
        if let Some(title) = &chat.title {
            shown.set("conversationTitle", json!(title));
            shown.set("isInAtList", json!(true));
            let mut at = vec![json!({ "dingtalkId": owner.bot_id })];
            at.extend(named.iter().filter_map(|user| {
                let user = self.users.get(user)?;
                let mut one = json!({ "dingtalkId": user.sender_id });
                if let Some(staff) = &user.staff_id {
                    one.set("staffId", json!(staff));
                }
                Some(one)
            }));
            shown.set("atUsers", json!(at));
        }
        let mut content = message.content.clone();
        if message.kind == "text" {
            // The name of the robot itself is taken out, the space behind it is not.
            let text = content.text("content");
            let text = text.replace(&format!("@{}", owner.name), "");
            content.set("content", json!(text));
        }
        if let Some(quoted) = quoted {
            shown.set("originalMsgId", json!(quoted.id));
            if let Some(key) = &quoted.key {
                shown.set("originalProcessQueryKey", json!(key));
            }
            if message.kind == "text" {
                content.set("isReplyMsg", json!(true));
                content.set("repliedMsg", self.replied(quoted));
            }
        }
        let field = if message.kind == "text" {
            "text"
        } else {
            "content"
        };
        if message.kind != "unknownMsgType" {
            shown.set(field, content);
        }
        shown
    }

    /// A message that another one replies to.
    fn replied(&self, quoted: &MessageView) -> Value {
        let sender = match &quoted.author {
            Author::User(user) => self.users.get(user).map(|user| user.sender_id.clone()),
            Author::App(app) => self.apps.get(app).map(|app| app.bot_id.clone()),
            Author::Custom => None,
        };
        let text = quoted.content.text("content");
        let (kind, content) = match quoted.kind.as_str() {
            "text" | "sampleText" => ("text", Some(json!({ "text": text }))),
            "card" | "interactiveCard" => ("interactiveCard", None),
            // The code of a quoted file is often not there.
            "file" => (
                "file",
                Some(json!({"fileName": quoted.content.text("fileName")})),
            ),
            "audio" | "video" => (quoted.kind.as_str(), None),
            "picture" => (
                "picture",
                Some(json!({"downloadCode": quoted.content.text("downloadCode")})),
            ),
            "richText" | "chatRecord" => (quoted.kind.as_str(), Some(quoted.content.clone())),
            _ => ("unknownMsgType", None),
        };
        let mut replied = json!({
            "msgType": kind,
            "msgId": quoted.id,
            "senderId": sender,
            "createdAt": quoted.at_ms,
        });
        if let Some(content) = content {
            replied.set("content", content);
        }
        replied
    }
}
