//! Sending: the calls of a message in order up to the first failure, or one of them.

use std::time::Duration;

use channel_core::{
    ChatId, Destination, Error, ErrorKind, MessageRef, OutboundMessage, Receipt, Result,
};
use serde_json::Value;

use crate::PLATFORM;
use crate::client::{Outgoing, Sent};
use crate::delivery::{Delivery, Right};
use crate::error::invalid;
use crate::inbound::{ReplyContext, is_dummy};
use crate::plan::{self, OPERATION};
use crate::retry_key::RetryKey;
use crate::shared::Shared;

/// How long the later calls of a message wait when LINE wants a pause: giving up in the
/// middle is worse than being late.
const MIDWAY_PATIENCE: Duration = Duration::from_secs(30);
/// How often a later call is made again while nothing has left.
const MIDWAY_RETRIES: u32 = 3;

/// What all calls of one message have in common.
#[derive(Debug)]
struct Envelope<'a> {
    message: &'a OutboundMessage,
    chat: &'a ChatId,
    right: Option<Right>,
}

impl<'a> Envelope<'a> {
    fn new(shared: &Shared, message: &'a OutboundMessage) -> Result<Self> {
        if let Some(kind) = shared
            .memory
            .refusal(&message.to.target().chat, shared.elapsed())
        {
            let words = "the chat has refused within the last hour";
            return Err(Error::new(kind, words).on(PLATFORM, OPERATION));
        }
        Ok(Self {
            message,
            chat: &message.to.target().chat,
            right: right(shared, &message.to)?,
        })
    }

    async fn send(&self, shared: &Shared, index: usize, call: &[Value]) -> Result<Receipt> {
        let random = &*shared.transport().random;
        let key = self.message.key.as_ref();
        let delivery = Delivery {
            shared,
            chat: self.chat,
            right: self.right.as_ref(),
            out: Outgoing {
                messages: call,
                silent: self.message.silent,
            },
            key: RetryKey::of(key, &shared.info.id, self.chat, index, random),
        };
        let sent = delivery.send().await?;
        shared.memory.lives(self.chat);
        Ok(receipt(shared, self.chat, sent))
    }
}

fn receipt(shared: &Shared, chat: &ChatId, sent: Sent) -> Receipt {
    let messages = sent.sent_messages.into_iter().map(|message| {
        shared.memory.sent(message.id.clone());
        MessageRef::new(chat.clone(), message.id)
    });
    Receipt::new(messages.collect())
}

/// The right to answer for nothing that a destination carries.
fn right(shared: &Shared, to: &Destination) -> Result<Option<Right>> {
    if to.target().thread.is_some() {
        // Only a hand-written target can hold one; its chat is still right.
        tracing::warn!("line has no threads: using the chat itself");
    }
    let Destination::Reply(reply) = to else {
        return Ok(None);
    };
    if *reply.channel() != shared.info.id {
        // Its token is another account's.
        return Err(invalid(
            "the reply address is of another channel",
            OPERATION,
        ));
    }
    let context: ReplyContext = reply.context()?.unwrap_or_default();
    if context.standby {
        let words = "another service answers in this chat";
        return Err(Error::new(ErrorKind::Forbidden, words).on(PLATFORM, OPERATION));
    }
    let token = context.token.filter(|token| !token.is_empty());
    if token.as_deref().is_some_and(is_dummy) {
        let words = "line's console made the event up: there is nobody to answer";
        return Err(invalid(words, OPERATION));
    }
    Ok(token.map(|token| Right::new(token, context.opened)))
}

/// Which way an answer would take.
pub(crate) fn explain(shared: &Shared, to: &Destination) -> String {
    match right(shared, to) {
        Ok(Some(right)) => {
            let now = shared.transport().clock.now();
            shared.ledger.explain(&right.token, right.opened, now)
        }
        Ok(None) => "push, because there is no reply token".to_owned(),
        Err(error) => format!("none, because {}", error.message()),
    }
}

/// Sends a message: all its calls in order.
pub(crate) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let calls = plan::calls(&shared.config, message)?;
    let envelope = Envelope::new(shared, message)?;
    let mut receipt = Receipt::default();
    for (index, call) in calls.iter().enumerate() {
        let sent = if index == 0 {
            envelope.send(shared, index, call).await
        } else {
            send_later(shared, &envelope, index, call).await
        };
        match sent {
            Ok(mut sent) => receipt.messages.append(&mut sent.messages),
            Err(error) => return Err(error.broken_off(receipt, index, calls.len())),
        }
    }
    Ok(receipt)
}

/// Makes a later call of a message, with more patience than the first.
async fn send_later(
    shared: &Shared,
    envelope: &Envelope<'_>,
    index: usize,
    call: &[Value],
) -> Result<Receipt> {
    let mut retries = 0;
    loop {
        let error = match envelope.send(shared, index, call).await {
            Ok(receipt) => return Ok(receipt),
            Err(error) => error,
        };
        let pause = error
            .retry_after()
            .unwrap_or(Duration::from_millis(500) * 2_u32.saturating_pow(retries));
        let hopeless = !error.kind().is_retryable() || pause > MIDWAY_PATIENCE;
        if hopeless || retries == MIDWAY_RETRIES {
            return Err(error);
        }
        retries += 1;
        shared.transport().clock.sleep(pause).await;
    }
}

/// Sends one call of a message. Whoever sends call by call repeats on its own, so that a
/// later one is not more patient than the first.
pub(crate) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let calls = plan::calls(&shared.config, message)?;
    let Some(call) = calls.get(part) else {
        let words = format!("there is no part {part}, the message has {}", calls.len());
        return Err(invalid(words, OPERATION));
    };
    let envelope = Envelope::new(shared, message)?;
    envelope.send(shared, part, call).await
}
