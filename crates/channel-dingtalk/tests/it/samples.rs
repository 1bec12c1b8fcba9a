//! What DingTalk delivers.

use serde_json::{Value, json};

use crate::fake::{ADA, APP, CORP, GROUP, ME};

/// A frame as it is delivered.
pub(crate) fn frame(kind: &str, topic: &str, id: &str, payload: &Value) -> Value {
    json!({"specVersion": "1.0", "type": kind, "headers": {"appId": "a", "connectionId": "c1",
        "contentType": "application/json", "messageId": id, "time": "1767225600000",
        "topic": topic}, "data": payload.to_string()})
}

/// A message of Ada's in the direct chat.
pub(crate) fn message(id: &str, msgtype: &str, content: Value) -> Value {
    let mut message = json!({"conversationId": "cid1", "conversationType": "1",
        "chatbotCorpId": CORP, "chatbotUserId": ME, "msgId": id, "senderNick": "Ada",
        "isAdmin": false, "senderStaffId": ADA, "senderId": "$:LWCP_v1:$u1",
        "senderCorpId": CORP, "createAt": 1_767_225_600_000_u64, "robotCode": APP,
        "msgtype": msgtype});
    let field = if msgtype == "text" { "text" } else { "content" };
    message[field] = content;
    message
}

pub(crate) fn direct(id: &str, text: &str) -> Value {
    message(id, "text", json!({ "content": text }))
}

/// A text of Ada's in a group that mentions the bot.
pub(crate) fn mention(id: &str, text: &str) -> Value {
    let mut message = direct(id, &format!(" {text}"));
    message["conversationId"] = json!(GROUP);
    message["conversationType"] = json!("2");
    message["conversationTitle"] = json!("Team");
    message["isInAtList"] = json!(true);
    message["atUsers"] = json!([{ "dingtalkId": ME }]);
    message
}

/// Adds the right to answer.
pub(crate) fn with_session(mut message: Value, name: &str, ends: u64) -> Value {
    let url = format!("https://oapi.dingtalk.com/robot/sendBySession?session={name}");
    message["sessionWebhook"] = json!(url);
    message["sessionWebhookExpiredTime"] = json!(ends);
    message
}

/// A press of a button of a card.
pub(crate) fn press(card: &str, group: Option<&str>, value: &str) -> Value {
    let content = json!({"cardPrivateData": {"actionIds": [value], "params": {"k": "v"}}});
    let mut press = json!({"outTrackId": card, "corpId": CORP, "userId": ADA, "type": "actionCallback",
        "userIdType": 1, "extension": "{}", "content": content.to_string(),
        "spaceType": "IM_ROBOT", "spaceId": ADA});
    if let Some(group) = group {
        press["spaceType"] = json!("IM_GROUP");
        press["spaceId"] = json!(group);
    }
    press
}
