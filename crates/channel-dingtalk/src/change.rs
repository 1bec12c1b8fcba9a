//! Changing what is there: recalls and reactions.

use std::time::Duration;

use channel_core::{Error, ErrorKind, MessageRef, Result};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::PLATFORM;
use crate::client::{Call, Done, Payload};
use crate::error::{Fault, invalid, unsupported};
use crate::ids::{Sent, To, is_id};
use crate::shared::{Place, Shared};

const RECALL: Call = Call::repeatable("recall message");
const REACT: Call = Call::repeatable("react");
const UNREACT: Call = Call::repeatable("take reaction back");
/// A reaction to a message that has just come may come before it.
const RETRIES: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(1200)];
/// The longest reaction, in bytes.
const MAX_EMOJI: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recalled {
    #[serde(default)]
    success_result: Vec<Value>,
}

/// <https://open.dingtalk.com/document/orgapp/batch-message-recall-chat>,
/// <https://open.dingtalk.com/document/orgapp/enterprise-chatbot-withdraws-internal-group-messages>
pub(crate) async fn recall(shared: &Shared, target: &MessageRef) -> Result<()> {
    let operation = RECALL.operation;
    let wrong = || invalid("the message is not one of dingtalk", operation);
    let key = match Sent::of(&target.id).ok_or_else(wrong)? {
        Sent::Key(key) => key,
        Sent::Card(_) => return Err(unsupported("dingtalk does not take cards back", operation)),
        Sent::Session => {
            let words = "dingtalk hands out no key for what is said by a session webhook";
            return Err(unsupported(words, operation));
        }
    };
    let robot = shared.config.robot_code();
    let (path, fields) = match To::of(&target.chat).ok_or_else(wrong)? {
        To::Staff(_) => (
            "/v1.0/robot/otoMessages/batchRecall",
            json!({"robotCode": robot, "processQueryKeys": [key]}),
        ),
        To::Conversation(id) => (
            "/v1.0/robot/groupMessages/recall",
            json!({"robotCode": robot, "openConversationId": id, "processQueryKeys": [key]}),
        ),
        To::Robot(_) => {
            let words = "a custom robot takes nothing back";
            return Err(unsupported(words, operation));
        }
    };
    let recalled: Recalled = shared
        .call(RECALL, Method::POST, path, Payload::json(&fields))
        .await?;
    if recalled
        .success_result
        .iter()
        .any(|it| it.as_str() == Some(key))
    {
        return Ok(());
    }
    let words = "dingtalk has no such message to recall, or it is too old";
    Err(Error::new(ErrorKind::NotFound, words).on(PLATFORM, operation))
}

/// Adds or takes back a reaction.
pub(crate) async fn react(
    shared: &Shared,
    target: &MessageRef,
    emoji: &str,
    is_added: bool,
) -> Result<()> {
    let operation = if is_added { REACT } else { UNREACT }.operation;
    let message = target.id.as_str();
    if !is_id(message) {
        return Err(invalid(
            "the message is not one that can be reacted to",
            operation,
        ));
    }
    if emoji.is_empty() || emoji.len() > MAX_EMOJI || emoji.chars().any(char::is_control) {
        return Err(invalid("dingtalk does not have this reaction", operation));
    }
    let conversation = match To::of(&target.chat) {
        Some(To::Conversation(id)) => Some(id.to_owned()),
        Some(To::Staff(staff)) => shared.memory.conversation(staff),
        _ => None,
    };
    let conversation = conversation.ok_or_else(|| {
        let words =
            "the conversation is not known yet: dingtalk names it with what the person writes";
        Error::new(ErrorKind::NotFound, words).on(PLATFORM, operation)
    })?;
    let patience = Some(shared.patience());
    Ok(emotion(shared, message, &conversation, emoji, is_added, patience).await?)
}

/// A reaction of words and a picture. The calls are not in the public reference; two connectors
/// that do not know of each other agree on them.
pub(crate) async fn emotion(
    shared: &Shared,
    message: &str,
    conversation: &str,
    emoji: &str,
    is_added: bool,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let (call, path) = if is_added {
        (REACT, "/v1.0/robot/emotion/reply")
    } else {
        (UNREACT, "/v1.0/robot/emotion/recall")
    };
    let fields = json!({"robotCode": shared.config.robot_code(), "openMsgId": message,
        "openConversationId": conversation, "emotionType": 2, "emotionName": emoji,
        "textEmotion": {"emotionId": "2659900", "emotionName": emoji, "text": emoji,
            "backgroundId": "im_bg_1"}});
    let mut retries = RETRIES.into_iter();
    loop {
        let place = Place::Api(&Method::POST, path);
        let done: Result<Done, Fault> = shared
            .call_within(call, place, Payload::json(&fields), patience)
            .await;
        let fault = match done {
            Ok(Done {}) => return Ok(()),
            Err(fault) => fault,
        };
        match retries.next() {
            Some(wait) if fault.error.kind() == ErrorKind::Unavailable => {
                shared.client.transport.clock.sleep(wait).await;
            }
            _ => return Err(fault),
        }
    }
}
