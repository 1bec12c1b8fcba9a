//! Changing what is there: edits, recalls, reactions.

use std::time::Duration;

use channel_core::{Card, Destination, MessageRef, OutboundMessage, Result, Target, TextUnit};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::card::{self, Scene};
use crate::client::{Call, Data, Done, Payload};
use crate::error::{Fault, Reason, invalid};
use crate::memory::Form;
use crate::plan;
use crate::render::{self, Outgoing};
use crate::shared::Shared;
use crate::wire::is_id;
use crate::{emoji, limits};

const EDIT: Call = Call::repeatable("edit message");
const RECALL: Call = Call::repeatable("delete message");
const REACT: Call = Call::repeatable("react");
const UNREACT: Call = Call::repeatable("take reaction back");

fn message_id<'a>(target: &'a MessageRef, operation: &'static str) -> Result<&'a str> {
    let id = target.id.as_str();
    if is_id(id) {
        Ok(id)
    } else {
        Err(invalid("the message is not one of feishu", operation))
    }
}

/// Replaces a message.
pub(crate) async fn edit(
    shared: &Shared,
    target: &MessageRef,
    message: &OutboundMessage,
) -> Result<()> {
    let operation = EDIT.operation;
    let id = message_id(target, operation)?;
    if !message.attachments.is_empty() {
        return Err(invalid("an edit adds no files", operation));
    }
    let text = channel_text::spanned_of(&message.body);
    let size = TextUnit::CodePoints.measure(text.text());
    if size > limits::TEXT.max {
        let words = format!("text is {size} characters, limit is {}", limits::TEXT.max);
        return Err(invalid(words, operation));
    }
    let posts = plan::posts(message, Scene::default())?;
    match posts.as_slice() {
        [post] => Ok(update(shared, id, post, &message.body, Some(shared.patience())).await?),
        [] => Err(invalid("an edit needs words", operation)),
        _ => Err(invalid(
            "the message does not fit into one of feishu",
            operation,
        )),
    }
}

/// Replaces a message by a planned one: words by words, and a card by a card. The form of a
/// message is remembered, and tried where it is not.
pub(crate) async fn update(
    shared: &Shared,
    id: &str,
    post: &Outgoing,
    body: &channel_core::Body,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    if post.is_card() {
        return patch(shared, id, &post.content, patience).await;
    }
    let form = shared.memory.form(id);
    if form != Some(Form::Card) {
        match put(shared, id, post, patience).await {
            Err(fault) if form.is_none() && fault.reason == Reason::Form => {}
            edited => return edited,
        }
    }
    let card = card::of(&render::elements(body));
    patch(shared, id, &card.to_string(), patience).await
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/update>
async fn put(
    shared: &Shared,
    id: &str,
    post: &Outgoing,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let path = format!("/open-apis/im/v1/messages/{id}");
    let payload = Payload::json(&json!({"msg_type": post.kind, "content": post.content}));
    let Done {} = shared
        .call_within(EDIT, Method::PUT, &path, payload, patience)
        .await?;
    Ok(())
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message-card/patch>
pub(crate) async fn patch(
    shared: &Shared,
    id: &str,
    card: &str,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let path = format!("/open-apis/im/v1/messages/{id}");
    let payload = Payload::json(&json!({ "content": card }));
    let Done {} = shared
        .call_within(EDIT, Method::PATCH, &path, payload, patience)
        .await?;
    Ok(())
}

/// Replaces a card.
pub(crate) async fn update_card(shared: &Shared, target: &MessageRef, card: &Card) -> Result<()> {
    let to = Destination::Chat(Target::chat(target.chat.clone()));
    let message = OutboundMessage::new(to, "").card(card.clone());
    edit(shared, target, &message).await
}

/// Takes a message back
/// (<https://open.feishu.cn/document/server-docs/im-v1/message/delete>).
pub(crate) async fn delete(shared: &Shared, target: &MessageRef) -> Result<()> {
    let id = message_id(target, RECALL.operation)?;
    let path = format!("/open-apis/im/v1/messages/{id}");
    let Done {} = shared
        .call(RECALL, Method::DELETE, &path, Payload::none())
        .await?;
    Ok(())
}

/// Adds or takes back a reaction.
pub(crate) async fn react(
    shared: &Shared,
    target: &MessageRef,
    emoji: &str,
    is_added: bool,
) -> Result<()> {
    let call = if is_added { REACT } else { UNREACT };
    let id = message_id(target, call.operation)?;
    let name = emoji::to_name(emoji)
        .ok_or_else(|| invalid("feishu does not have this reaction", call.operation))?;
    let patience = Some(shared.patience());
    if is_added {
        Ok(add_reaction(shared, id, name, patience).await?)
    } else {
        Ok(remove_reaction(shared, id, name, patience).await?)
    }
}

#[derive(Serialize)]
struct ReactionType<'a> {
    emoji_type: &'a str,
}

#[derive(Deserialize)]
struct Reacted {
    reaction_id: String,
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message-reaction/create>
pub(crate) async fn add_reaction(
    shared: &Shared,
    message: &str,
    emoji_type: &str,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let path = format!("/open-apis/im/v1/messages/{message}/reactions");
    let payload = Payload::json(&json!({"reaction_type": ReactionType { emoji_type }}));
    let Data { data } = shared
        .call_within::<Data<Reacted>>(REACT, Method::POST, &path, payload, patience)
        .await?;
    shared
        .memory
        .reacted(message, emoji_type, &data.reaction_id);
    Ok(())
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message-reaction/delete>
pub(crate) async fn remove_reaction(
    shared: &Shared,
    message: &str,
    emoji_type: &str,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let known = shared.memory.reaction(message, emoji_type);
    let known = match known {
        Some(id) => Some(id),
        None => find_reaction(shared, message, emoji_type, patience).await?,
    };
    // There is none: it is so already.
    let Some(reaction) = known.filter(|id| is_id(id)) else {
        return Ok(());
    };
    let path = format!("/open-apis/im/v1/messages/{message}/reactions/{reaction}");
    let Done {} = shared
        .call_within(UNREACT, Method::DELETE, &path, Payload::none(), patience)
        .await?;
    shared.memory.unreacted(message, emoji_type);
    Ok(())
}

/// Looks for a reaction of the bot's
/// (<https://open.feishu.cn/document/server-docs/im-v1/message-reaction/list>).
async fn find_reaction(
    shared: &Shared,
    message: &str,
    emoji_type: &str,
    patience: Option<Duration>,
) -> Result<Option<String>, Fault> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        reaction_id: String,
        operator: Operator,
    }
    #[derive(Deserialize)]
    struct Operator {
        operator_id: String,
        operator_type: String,
    }
    let path = format!(
        "/open-apis/im/v1/messages/{message}/reactions?reaction_type={emoji_type}&page_size=50"
    );
    let Data { data } = shared
        .call_within::<Data<Page>>(UNREACT, Method::GET, &path, Payload::none(), patience)
        .await?;
    let is_ours = |item: &Item| {
        item.operator.operator_type == "app" && item.operator.operator_id == shared.config.app_id
    };
    Ok(data
        .items
        .into_iter()
        .find(is_ours)
        .map(|item| item.reaction_id))
}
