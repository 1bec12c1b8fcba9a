//! Sending: the parts of a message in order up to the first failure, or one of them.

use std::time::Duration;

use channel_core::{
    ChatId, Destination, ErrorKind, MessageId, MessageRef, OutboundMessage, Receipt, Result,
};
use serde::{Deserialize, Serialize};

use crate::address::{Address, ChatKey};
use crate::call::{Fault, Pace, Room};
use crate::client::{Method, Payload, json};
use crate::error::{Reason, invalid};
use crate::inbound::ReplyContext;
use crate::plan::{self, Part, plan};
use crate::render::{self, Entity, Keyboard, Words};
use crate::shared::Shared;
use crate::upload::{self, Batch};

/// How long the later parts of a message wait when Telegram wants a pause: giving up in
/// the middle is worse than being late.
pub(crate) const MIDWAY_PATIENCE: Duration = Duration::from_secs(60);
/// How often a later part is tried again while nothing has left.
pub(crate) const MIDWAY_RETRIES: u32 = 3;

/// A message that Telegram has made, as far as it is read.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    message_id: i64,
    ephemeral_message_id: Option<i64>,
    chat: SentChat,
}

#[derive(Debug, Deserialize)]
struct SentChat {
    id: i64,
}

impl Sent {
    pub(crate) fn at(&self, room: &Room<'_>) -> MessageRef {
        let chat = match room.address {
            // The real number, also of a group that was named or has moved.
            Address::Chat(_) => ChatId::from(self.chat.id),
            _ => room.chat.clone(),
        };
        let id = match self.ephemeral_message_id {
            Some(id) => crate::address::ephemeral_message(id),
            None => self.message_id.into(),
        };
        MessageRef::new(chat, id)
    }
}

/// <https://core.telegram.org/bots/api#replyparameters>
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ReplyParameters {
    message_id: i64,
    /// A quoted message that is gone must not cost the answer.
    allow_sending_without_reply: bool,
}

impl ReplyParameters {
    pub(crate) fn to(message: &MessageId) -> Option<Self> {
        Some(Self {
            message_id: message.as_i64().filter(|id| *id > 0)?,
            allow_sending_without_reply: true,
        })
    }
}

/// Makes a message visible to one member only.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ephemeral {
    receiver_user_id: i64,
}

/// What all parts of one message have in common.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) room: Room<'a>,
    pub(crate) quote: Option<ReplyParameters>,
    pub(crate) ephemeral: Option<Ephemeral>,
    pub(crate) silent: bool,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(to: &'a Destination, silent: bool, method: Method) -> Result<Self> {
        let target = to.target();
        let context: Option<ReplyContext> = match to {
            Destination::Reply(reply) => reply.context()?,
            _ => None,
        };
        Ok(Self {
            room: Room::new(&target.chat, target.thread.as_ref(), method)?,
            quote: to.quoted().and_then(ReplyParameters::to),
            ephemeral: context.map(|context| Ephemeral {
                receiver_user_id: context.receiver,
            }),
            silent,
        })
    }
}

#[derive(Serialize)]
struct TextFields<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entities: &'a [Entity],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_parameters: Option<ReplyParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_message_parameters: Option<Ephemeral>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_notification: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<&'a Keyboard<'a>>,
}

/// Sends a message: all its parts in order.
pub(crate) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let message = &*plan::spelled_out(message);
    let method = Method::SendMessage;
    let mut envelope = Envelope::new(&message.to, message.silent, method)?;
    let keyboard = render::keyboard(&message.buttons, method.operation())?;
    let keyboard = keyboard.as_ref();
    if message.attachments.is_empty()
        && let Some(text) = render::short_plain(&message.body)
    {
        if render::is_blank(text) {
            return Ok(Receipt::default());
        }
        let pace = Pace::Turn(shared.patience());
        let sent = send_text(shared, &envelope, text, &[], keyboard, pace).await?;
        return Ok(Receipt::new(vec![sent]));
    }
    let parts = plan(shared, envelope.room.address, message, keyboard)?;
    execute(shared, &mut envelope, parts).await
}

/// Sends one part of a message. Whoever sends part by part repeats on its own, so that a
/// later part is not more patient than the first.
pub(crate) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let message = &*plan::spelled_out(message);
    let method = Method::SendMessage;
    let operation = method.operation();
    let mut envelope = Envelope::new(&message.to, message.silent, method)?;
    let keyboard = render::keyboard(&message.buttons, operation)?;
    let parts = plan(shared, envelope.room.address, message, keyboard.as_ref())?;
    let Some(planned) = parts.get(part) else {
        let message = format!("there is no part {part}, the message has {}", parts.len());
        return Err(invalid(message, operation));
    };
    if part > 0 {
        // Only the first message quotes.
        envelope.quote = None;
    }
    let sent = send_part(shared, &envelope, planned, false, Pace::Now).await?;
    Ok(Receipt::new(sent))
}

async fn execute(
    shared: &Shared,
    envelope: &mut Envelope<'_>,
    parts: Vec<Part<'_>>,
) -> Result<Receipt> {
    let count = parts.len();
    let mut receipt = Receipt::default();
    let mut bad_file = None;
    for (index, part) in parts.iter().enumerate() {
        let patience = match index {
            0 => shared.patience(),
            _ => shared.patience().max(MIDWAY_PATIENCE),
        };
        let pace = Pace::Turn(patience);
        match send_part(shared, envelope, part, index > 0, pace).await {
            Ok(mut messages) => receipt.messages.append(&mut messages),
            Err(error) => {
                // A file that Telegram does not take says nothing about the next one.
                let is_bad_file = matches!(part, Part::Files(..))
                    && matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound)
                    && shared
                        .memory
                        .refusal(envelope.room.chat, shared.elapsed())
                        .is_none();
                if !is_bad_file {
                    return Err(error.broken_off(receipt, index, count));
                }
                bad_file.get_or_insert((index, error));
            }
        }
        // Only the first message quotes.
        envelope.quote = None;
    }
    match bad_file {
        Some((index, error)) => Err(error.broken_off(receipt, index, count)),
        None => Ok(receipt),
    }
}

/// How long to wait before the given retry of a call that has not left.
pub(crate) fn retry_pause(retry: u32) -> Duration {
    Duration::from_millis(250) * 2_u32.saturating_pow(retry)
}

async fn send_part(
    shared: &Shared,
    envelope: &Envelope<'_>,
    part: &Part<'_>,
    midway: bool,
    pace: Pace,
) -> Result<Vec<MessageRef>> {
    let mut retries = 0;
    loop {
        let result = match part {
            Part::Text(words, keyboard) => send_text(
                shared,
                envelope,
                &words.text,
                &words.entities,
                *keyboard,
                pace,
            )
            .await
            .map(|sent| vec![sent]),
            Part::Files(batch, caption, keyboard) => {
                send_files(shared, envelope, batch, caption.as_ref(), *keyboard, pace).await
            }
        };
        match result {
            Err(error)
                if midway && error.kind() == ErrorKind::Unavailable && retries < MIDWAY_RETRIES =>
            {
                retries += 1;
                let wait = retry_pause(retries);
                shared.client.transport.clock.sleep(wait).await;
            }
            other => return other,
        }
    }
}

/// Sends files; with a plain caption if Telegram does not take its formatting.
async fn send_files(
    shared: &Shared,
    envelope: &Envelope<'_>,
    batch: &Batch<'_>,
    caption: Option<&Words>,
    keyboard: Option<&Keyboard<'_>>,
    pace: Pace,
) -> Result<Vec<MessageRef>> {
    let sent = upload::send(shared, envelope, batch, caption, keyboard, pace).await;
    let formatted = caption.filter(|words| !words.entities.is_empty());
    match (sent, formatted) {
        (Err(fault), Some(words)) if fault.reason == Reason::Entities => {
            tracing::warn!(channel = %shared.info.id, "formatting refused: sending plain text");
            let plain = Words {
                text: words.text.clone(),
                entities: Vec::new(),
            };
            Ok(upload::send(shared, envelope, batch, Some(&plain), keyboard, pace).await?)
        }
        (sent, _) => Ok(sent?),
    }
}

/// Sends one text; without its formatting if Telegram does not take that.
pub(crate) async fn send_text(
    shared: &Shared,
    envelope: &Envelope<'_>,
    text: &str,
    entities: &[Entity],
    keyboard: Option<&Keyboard<'_>>,
    pace: Pace,
) -> Result<MessageRef> {
    match try_text(shared, envelope, text, entities, keyboard, pace).await {
        Err(fault) if fault.reason == Reason::Entities && !entities.is_empty() => {
            tracing::warn!(channel = %shared.info.id, "formatting refused: sending plain text");
            Ok(try_text(shared, envelope, text, &[], keyboard, pace).await?)
        }
        other => Ok(other?),
    }
}

async fn try_text(
    shared: &Shared,
    envelope: &Envelope<'_>,
    text: &str,
    entities: &[Entity],
    keyboard: Option<&Keyboard<'_>>,
    pace: Pace,
) -> Result<MessageRef, Fault> {
    let room = &envelope.room;
    match room.address {
        Address::Guest { .. } => {
            return answer_guest(shared, room, text, entities, keyboard).await;
        }
        Address::Inline => {
            let operation = Method::SendMessage.operation();
            return Err(invalid("an inline message can only be edited", operation).into());
        }
        Address::Chat(ChatKey::Id(_) | ChatKey::Name(_)) | Address::Business { .. } => {}
    }
    let fields = |reply_parameters| {
        json(&TextFields {
            text,
            entities,
            reply_parameters,
            ephemeral_message_parameters: envelope.ephemeral,
            disable_notification: envelope.silent,
            reply_markup: keyboard,
        })
    };
    let sent: Sent = shared
        .call_chat(Method::SendMessage, room, pace, |place| {
            let mut body = fields(envelope.quote.filter(|_| !place.is_new));
            place.append_to(&mut body);
            Payload::json(body)
        })
        .await?;
    Ok(sent.at(room))
}

/// Answers in a chat that the bot is not in; Telegram takes one message per summons.
async fn answer_guest(
    shared: &Shared,
    room: &Room<'_>,
    text: &str,
    entities: &[Entity],
    keyboard: Option<&Keyboard<'_>>,
) -> Result<MessageRef, Fault> {
    #[derive(Serialize)]
    struct Fields<'a> {
        result: Article<'a>,
    }
    #[derive(Serialize)]
    struct Article<'a> {
        r#type: &'static str,
        id: &'static str,
        title: &'static str,
        input_message_content: Content<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_markup: Option<&'a Keyboard<'a>>,
    }
    #[derive(Serialize)]
    struct Content<'a> {
        message_text: &'a str,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        entities: &'a [Entity],
    }
    #[derive(Deserialize)]
    struct SentGuest {
        #[serde(default)]
        inline_message_id: String,
    }
    let fields = json(&Fields {
        result: Article {
            r#type: "article",
            id: "1",
            title: "answer",
            input_message_content: Content {
                message_text: text,
                entities,
            },
            reply_markup: keyboard,
        },
    });
    let sent: SentGuest = shared
        .call_chat(Method::AnswerGuestQuery, room, Pace::Free, |place| {
            let mut body = fields.clone();
            place.append_to(&mut body);
            Payload::json(body)
        })
        .await?;
    Ok(MessageRef::new(
        crate::address::inline_chat("guest"),
        sent.inline_message_id.into(),
    ))
}
