//! Frames of DingTalk's stream.

use std::borrow::Cow;

use channel_core::Event;
use serde::Deserialize;

/// A message in a direct chat.
pub const DIRECT: &[u8] = br#"{"specVersion":"1.0","type":"CALLBACK","headers":{"appId":"a1b2c3d4-0000-4000-8000-000000000001","connectionId":"c0ffee00-0000-4000-8000-000000000001","contentType":"application/json","messageId":"212cbc5_53c_18f0e0a8a8c_1a2b","time":"1763640000000","topic":"/v1.0/im/bot/messages/get"},"data":"{\"conversationId\":\"cidXgpXcQ2tTbI2pTEMRbAxFQ==\",\"conversationType\":\"1\",\"chatbotCorpId\":\"ding0000000000000001\",\"chatbotUserId\":\"$:LWCP_v1:$Zq5s1pkVyEXAMPLE0000==\",\"msgId\":\"msgNwHWXaU/0QDhTlkn3ZQ3+g==\",\"senderNick\":\"Ada\",\"isAdmin\":false,\"senderStaffId\":\"manager0001\",\"sessionWebhookExpiredTime\":1763645400000,\"createAt\":1763640000000,\"senderCorpId\":\"ding0000000000000001\",\"senderId\":\"$:LWCP_v1:$p1gHqEXAMPLE00000000==\",\"sessionWebhook\":\"https://oapi.dingtalk.com/robot/sendBySession?session=0123456789abcdef0123456789abcdef\",\"text\":{\"content\":\"could you please repeat this line back to me as it is?\"},\"robotCode\":\"ding0001\",\"msgtype\":\"text\"}"}"#;

/// A message in a group that mentions the robot and somebody else.
pub const GROUP: &[u8] = br#"{"specVersion":"1.0","type":"CALLBACK","headers":{"appId":"a1b2c3d4-0000-4000-8000-000000000001","connectionId":"c0ffee00-0000-4000-8000-000000000001","contentType":"application/json","messageId":"212cbc5_53c_18f0e0a8a8c_1a2b","time":"1763640000000","topic":"/v1.0/im/bot/messages/get"},"data":"{\"conversationId\":\"cidXgpXcQ2tTbI2pTEMRbAxFQ==\",\"conversationType\":\"2\",\"chatbotCorpId\":\"ding0000000000000001\",\"chatbotUserId\":\"$:LWCP_v1:$Zq5s1pkVyEXAMPLE0000==\",\"msgId\":\"msgNwHWXaU/0QDhTlkn3ZQ3+g==\",\"senderNick\":\"Ada\",\"isAdmin\":false,\"senderStaffId\":\"manager0001\",\"sessionWebhookExpiredTime\":1763645400000,\"createAt\":1763640000000,\"senderCorpId\":\"ding0000000000000001\",\"senderId\":\"$:LWCP_v1:$p1gHqEXAMPLE00000000==\",\"sessionWebhook\":\"https://oapi.dingtalk.com/robot/sendBySession?session=0123456789abcdef0123456789abcdef\",\"text\":{\"content\":\" could you please repeat this line back to me as it is?\"},\"robotCode\":\"ding0001\",\"msgtype\":\"text\",\"conversationTitle\":\"Team\",\"isInAtList\":true,\"atUsers\":[{\"dingtalkId\":\"$:LWCP_v1:$Zq5s1pkVyEXAMPLE0000==\"},{\"dingtalkId\":\"$:LWCP_v1:$other0000==\",\"staffId\":\"staff0002\"}]}"}"#;

/// Turns a frame into an event.
#[must_use]
pub fn decode(frame: &[u8]) -> Option<Event> {
    channel_dingtalk::fuzz::frame(frame)
}

#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    headers: Headers<'a>,
    data: String,
}

#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Headers<'a> {
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    topic: Cow<'a, str>,
}

/// A message of the same shape.
#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    /// What kind of message it is.
    pub msgtype: String,
    msg_id: String,
    conversation_id: String,
    conversation_type: String,
    conversation_title: Option<String>,
    chatbot_corp_id: Option<String>,
    chatbot_user_id: Option<String>,
    sender_nick: Option<String>,
    sender_staff_id: Option<String>,
    sender_id: Option<String>,
    sender_corp_id: Option<String>,
    session_webhook: Option<String>,
    session_webhook_expired_time: Option<u64>,
    create_at: Option<u64>,
    robot_code: Option<String>,
    is_in_at_list: Option<bool>,
    at_users: Option<Vec<AtUser>>,
    text: Option<Text>,
}

#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AtUser {
    dingtalk_id: Option<String>,
}

#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
struct Text {
    content: String,
}

/// The floor: serde into types of the same shape, and nothing else.
#[must_use]
pub fn floor(frame: &[u8]) -> Option<Floor> {
    let frame: Frame<'_> = serde_json::from_slice(frame).ok()?;
    serde_json::from_str(&frame.data).ok()
}
