//! Changing what is there: edits, deletions, reactions.

use std::time::Duration;

use channel_core::{Card, Destination, ErrorKind, MessageRef, OutboundMessage, Result, Target};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{self, Address};
use crate::client::{Method, Payload};
use crate::error::{Reason, invalid};
use crate::plan::{self, Post};
use crate::shared::{Fault, Shared};
use crate::{emoji, limits, render};

/// An answer of which nothing is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {}

/// <https://docs.slack.dev/reference/methods/chat.update/>
#[derive(Serialize)]
struct UpdateFields<'a> {
    channel: &'a str,
    ts: &'a str,
    text: &'a str,
    /// Always said: what is left out may stay as it was.
    blocks: &'a [Value],
}

/// Replaces a message.
pub(crate) async fn edit(
    shared: &Shared,
    target: &MessageRef,
    message: &OutboundMessage,
) -> Result<()> {
    let operation = Method::Update.operation();
    if !message.attachments.is_empty() {
        return Err(invalid("an edit adds no files", operation));
    }
    let size = render::size(&message.body);
    if size > limits::TEXT.max {
        return Err(invalid(
            format!(
                "text is {size} UTF-16 units with its escapes, limit is {}",
                limits::TEXT.max
            ),
            operation,
        ));
    }
    let posts = plan::posts(message)?;
    match posts.as_slice() {
        [post] => Ok(update(shared, target, post, Some(shared.patience())).await?),
        [] => Err(invalid("an edit needs words", operation)),
        _ => Err(invalid(
            "the message does not fit into one of slack's",
            operation,
        )),
    }
}

/// Replaces a message by a planned one.
pub(crate) async fn update(
    shared: &Shared,
    target: &MessageRef,
    post: &Post,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let method = Method::Update;
    let at = Address::parse(&target.chat, shared.is_many(), method.operation())?;
    let ts = address::ts(&target.id, method.operation())?;
    let call = |blocks: &[Value]| {
        let fields = UpdateFields {
            channel: at.channel,
            ts,
            text: &post.text,
            blocks,
        };
        Payload::json(&fields)
    };
    let done: Result<Done, Fault> = shared
        .call_chat(method, at, call(post.literal_blocks()), patience)
        .await;
    match done {
        Err(fault)
            if fault.reason == Reason::Blocks
                && post.is_said_by_text
                && !post.literal_blocks().is_empty() =>
        {
            let done: Done = shared.call_chat(method, at, call(&[]), patience).await?;
            let Done {} = done;
            Ok(())
        }
        other => other.map(|Done {}| ()),
    }
}

/// Replaces a card.
pub(crate) async fn update_card(shared: &Shared, target: &MessageRef, card: &Card) -> Result<()> {
    let to = Destination::Chat(Target::chat(target.chat.clone()));
    let message = OutboundMessage::new(to, "").card(card.clone());
    edit(shared, target, &message).await
}

/// Deletes a message, or a file whose message Slack has not named.
pub(crate) async fn delete(shared: &Shared, target: &MessageRef) -> Result<()> {
    #[derive(Serialize)]
    struct Fields<'a> {
        channel: &'a str,
        ts: &'a str,
    }
    let method = Method::Delete;
    let at = Address::parse(&target.chat, shared.is_many(), method.operation())?;
    let patience = Some(shared.patience());
    if let Some(file) = target.id.as_str().strip_prefix("file:") {
        let payload = Payload::form(&[("file", file)]);
        let Done {} = shared
            .call_chat(Method::DeleteFile, at, payload, patience)
            .await?;
        return Ok(());
    }
    let ts = address::ts(&target.id, method.operation())?;
    let channel = at.channel;
    let payload = Payload::json(&Fields { channel, ts });
    let Done {} = shared.call_chat(method, at, payload, patience).await?;
    Ok(())
}

/// Adds or takes back a reaction. What is so already is a success.
pub(crate) async fn react(
    shared: &Shared,
    target: &MessageRef,
    emoji: &str,
    add: bool,
) -> Result<()> {
    #[derive(Serialize)]
    struct Fields<'a> {
        channel: &'a str,
        timestamp: &'a str,
        name: &'a str,
    }
    let method = if add {
        Method::AddReaction
    } else {
        Method::RemoveReaction
    };
    let at = Address::parse(&target.chat, shared.is_many(), method.operation())?;
    let timestamp = address::ts(&target.id, method.operation())?;
    let name = emoji::to_name(emoji)
        .ok_or_else(|| invalid("slack does not have this reaction", method.operation()))?;
    let channel = at.channel;
    let payload = Payload::json(&Fields {
        channel,
        timestamp,
        name,
    });
    let done: Result<Done, Fault> = shared
        .call_chat(method, at, payload, Some(shared.patience()))
        .await;
    match done {
        Ok(Done {}) => Ok(()),
        Err(fault) if fault.reason == Reason::Done => Ok(()),
        Err(fault) => Err(fault.error),
    }
}

/// Whether nothing that follows can succeed either.
pub(crate) fn is_pointless(fault: &Fault) -> bool {
    let kind = fault.error.kind();
    matches!(kind, ErrorKind::Unauthenticated | ErrorKind::Forbidden)
        || fault.error.code() == Some("channel_not_found")
}

/// Whether somebody has deleted the message and the chat is still there.
pub(crate) fn is_gone(fault: &Fault) -> bool {
    fault.error.kind() == ErrorKind::NotFound && !is_pointless(fault)
}
