//! Changing what is there: edits, deletions, reactions, typing
//! (<https://docs.discord.com/developers/resources/message>).

use std::time::Duration;

use channel_core::{Card, Destination, ErrorKind, MessageRef, OutboundMessage, Result, Target};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::call::Fault;
use crate::client::{Call, Op};
use crate::error::invalid;
use crate::interaction::ReplyContext;
use crate::outbound::edited;
use crate::plan::{Post, plan};
use crate::shared::Shared;
use crate::{address, deferral};

/// What stands in an address for an emoji. `:` is a part of it.
const EMOJI: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b':');
/// The longest emoji that is sent, in bytes: a sequence of several, or a name and an id.
const EMOJI_BYTES: usize = 96;

/// Replaces the content of a message.
pub(crate) async fn edit(
    shared: &Shared,
    target: &MessageRef,
    message: &OutboundMessage,
) -> Result<()> {
    let operation = Op::EditMessage.operation();
    let posts = plan(message)?;
    let [post] = posts.as_slice() else {
        let message = if posts.is_empty() {
            "an edit needs words, and cannot empty a message".to_owned()
        } else {
            format!(
                "the text does not fit into one message: it needs {}",
                posts.len()
            )
        };
        return Err(invalid(message, operation));
    };
    Ok(update(shared, target, post, Some(shared.patience())).await?)
}

/// The same with a message that is ready, and with what went wrong.
pub(crate) async fn update(
    shared: &Shared,
    target: &MessageRef,
    post: &Post<'_>,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let call = change(
        shared,
        target,
        Op::EditMessage,
        Op::EditFollowUp,
        Method::PATCH,
    )?;
    shared
        .call_raw(&call.with(edited(shared, post)), patience)
        .await?;
    Ok(())
}

/// A call about a message, by the token that made it where there is one.
fn change(
    shared: &Shared,
    target: &MessageRef,
    op: Op,
    by_token: Op,
    method: Method,
) -> Result<Call> {
    let operation = op.operation();
    let room = address::chat(&target.chat, operation)?;
    let id = address::message(&target.id, operation)?;
    let now = shared.client.transport.clock.now();
    Ok(match shared.tokens.of(target, now) {
        Some(right) => {
            let path = format!("/webhooks/{}/{}/messages/{id}", right.app, right.token);
            Call::of_token(by_token, method, path, &right.id)
        }
        None => Call::of_channel(op, method, room, &format!("/messages/{id}")),
    })
}

/// Replaces a card that was sent.
pub(crate) async fn update_card(shared: &Shared, target: &MessageRef, card: &Card) -> Result<()> {
    let to = Target::chat(target.chat.clone());
    let message = OutboundMessage::new(to, "").card(card.clone());
    edit(shared, target, &message).await
}

pub(crate) async fn delete(shared: &Shared, target: &MessageRef) -> Result<()> {
    let call = change(
        shared,
        target,
        Op::DeleteMessage,
        Op::DeleteFollowUp,
        Method::DELETE,
    )?;
    shared.call_raw(&call, Some(shared.patience())).await?;
    Ok(())
}

/// Adds a reaction or takes it back. An emoji of a server is `name:id`.
pub(crate) async fn react(
    shared: &Shared,
    target: &MessageRef,
    emoji: &str,
    add: bool,
) -> Result<()> {
    let (op, method) = if add {
        (Op::React, Method::PUT)
    } else {
        (Op::Unreact, Method::DELETE)
    };
    let operation = op.operation();
    let room = address::chat(&target.chat, operation)?;
    let id = address::message(&target.id, operation)?;
    let is_ok = (1..=EMOJI_BYTES).contains(&emoji.len()) && !emoji.chars().any(char::is_control);
    if !is_ok {
        return Err(invalid("that is no emoji", operation));
    }
    let emoji = utf8_percent_encode(emoji, EMOJI);
    let rest = format!("/messages/{id}/reactions/{emoji}/@me");
    let call = Call::of_channel(op, method, room, &rest);
    match shared.call_raw(&call, Some(shared.patience())).await {
        Ok(_) => Ok(()),
        // What is not there is taken back already.
        Err(fault) if !add && fault.error.code() == Some("10014") => Ok(()),
        Err(fault) => Err(fault.error),
    }
}

/// Shows that an answer is being written. A command is shown as such from its deferral on.
pub(crate) async fn typing(shared: &Shared, to: &Destination) -> Result<()> {
    let operation = Op::Typing.operation();
    let room = address::room(to.target(), operation)?;
    if let Destination::Reply(reply) = to
        && let Some(context) = reply.context::<ReplyContext>()?
        && context.right.command
    {
        return deferral::ensure(shared, &context.right.id).await;
    }
    let call = Call::of_channel(Op::Typing, Method::POST, room, "/typing");
    match shared.call_raw(&call, None).await {
        Ok(_) => Ok(()),
        // The next sign makes up for it.
        Err(fault) if fault.error.kind() == ErrorKind::RateLimited => Ok(()),
        Err(fault) => Err(fault.error),
    }
}
