//! What the robot of an app sends on its own, takes back and puts on messages.
//!
//! <https://open.dingtalk.com/document/orgapp/chatbots-send-one-on-one-chat-messages-in-batches>,
//! <https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message>

use serde_json::{Map, Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::dingtalk::answer::{Answer, ApiError, Reply};
use crate::dingtalk::check;
use crate::dingtalk::model::{Author, Emotion, MessageView, Via};

/// People whom one call reaches.
const MAX_USERS: usize = 20;

impl Context<'_> {
    /// Keeps a message of the app.
    pub(super) fn put(
        &mut self,
        chat: &str,
        via: Via,
        kind: &str,
        content: Value,
        key: &str,
        card: Option<String>,
    ) {
        let message = MessageView {
            id: format!("{}+/==", self.state.id("msg")),
            chat: chat.to_owned(),
            author: Author::App(self.app.to_owned()),
            via,
            kind: kind.to_owned(),
            content,
            mentions: Vec::new(),
            key: Some(key.to_owned()),
            card,
            emotions: Vec::new(),
            at_ms: self.state.now_ms,
            recalled: false,
        };
        self.state.keep(message);
    }
}

pub(super) fn batch_send(context: &mut Context<'_>) -> Answer {
    context.robot()?;
    let users = context.body.at("userIds").as_array();
    let users = users
        .filter(|users| !users.is_empty())
        .ok_or_else(|| ApiError::parameter("userIds.empty", "the list of user ids is empty"))?;
    if users.len() > MAX_USERS {
        return Err(ApiError::parameter(
            "userIds.overMax",
            "the list of user ids exceeds the maximum",
        ));
    }
    let users: Option<Vec<String>> = users
        .iter()
        .map(|user| user.as_str().filter(|id| !id.is_empty()))
        .map(|id| id.map(str::to_owned))
        .collect();
    let users =
        users.ok_or_else(|| ApiError::parameter("userIds.invalid", "a user id is no text"))?;
    let (kind, content) = check::template(context.state, context.app, context.body)?;
    let key = context.state.hex();
    let (mut unknown, mut limited) = (Vec::new(), Vec::new());
    for user in users {
        match context.state.users.get(&user) {
            Some(person) if person.staff_id.is_some() && person.is_limited => limited.push(user),
            Some(person) if person.staff_id.is_some() => {
                let chat = context.state.direct(context.app, &user);
                context.put(&chat, Via::Batch, &kind, content.clone(), &key, None);
            }
            _ => unknown.push(user),
        }
    }
    Ok(Reply::Json(json!({
        "processQueryKey": key,
        "invalidStaffIdList": unknown,
        "flowControlledStaffIdList": limited,
    })))
}

pub(super) fn group_send(context: &mut Context<'_>) -> Answer {
    context.robot()?;
    let group = context.group()?;
    let (kind, content) = check::template(context.state, context.app, context.body)?;
    let key = context.state.hex();
    context.put(&group, Via::Group, &kind, content, &key, None);
    Ok(Reply::Json(json!({ "processQueryKey": key })))
}

/// <https://open.dingtalk.com/document/orgapp/batch-message-recall-chat>
pub(super) fn recall(context: &mut Context<'_>, group: Option<&str>) -> Answer {
    context.robot()?;
    let keys = context.body.at("processQueryKeys").as_array();
    let keys = keys
        .filter(|keys| !keys.is_empty())
        .ok_or_else(|| ApiError::invalid("processQueryKeys is missing"))?;
    let author = Author::App(context.app.to_owned());
    let (mut done, mut failed) = (Vec::new(), Map::new());
    for key in keys.iter().map(|key| key.as_str().unwrap_or_default()) {
        let mut found = false;
        for message in context.state.messages.values_mut() {
            let is_there = match group {
                Some(group) => message.chat == group,
                None => message.via == Via::Batch,
            };
            if message.key.as_deref() == Some(key) && message.author == author && is_there {
                message.recalled = true;
                found = true;
            }
        }
        if found {
            done.push(json!(key));
        } else {
            failed.insert(key.to_owned(), json!("the processQueryKey is invalid"));
        }
    }
    Ok(Reply::Json(
        json!({"successResult": done, "failedResult": failed}),
    ))
}

/// `emotion/reply` and `emotion/recall`, which two independent connectors use and the reference does not describe.
pub(super) fn emotion(context: &mut Context<'_>, on: bool) -> Answer {
    context.robot()?;
    let chat = context.text("openConversationId")?;
    let id = context.text("openMsgId")?;
    let name = context.text("emotionName")?;
    let text = context.body.at("textEmotion");
    let is_whole = ["emotionId", "emotionName", "text", "backgroundId"]
        .iter()
        .all(|field| !text.text(field).is_empty());
    if context.body.at("emotionType") != 2 || !is_whole {
        return Err(ApiError::invalid("textEmotion is incomplete"));
    }
    if !context.state.is_inside(context.app, chat) {
        return Err(ApiError::parameter(
            "openConversationId.invalid",
            "the openConversationId is invalid or the robot is not in the conversation",
        ));
    }
    let emotion = Emotion {
        id: text.text("emotionId").to_owned(),
        name: name.to_owned(),
        app: context.app.to_owned(),
    };
    let (chat, id) = (chat.to_owned(), id.to_owned());
    let message = context
        .state
        .messages
        .get_mut(&id)
        .filter(|message| message.chat == chat)
        .ok_or_else(|| ApiError::invalid("the openMsgId is invalid"))?;
    message.emotions.retain(|known| *known != emotion);
    if on {
        message.emotions.push(emotion);
    }
    Ok(Reply::Json(json!({ "success": true })))
}
