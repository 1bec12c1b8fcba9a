//! From the types of this crate to columns and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    Body, ChannelId, Conversation, Event, EventId, EventKind, IdempotencyKey, OutboundMessage, Raw,
    Receipt, Target, Unknown,
};
use serde::{Deserialize, Serialize};

use crate::inbound::{EventState, Seq};
use crate::outbound::{NewDelivery, Part, PartState};
use crate::store::{StoreError, StoreErrorKind};

/// The longest payload that is taken, in bytes: SQLite itself refuses 1 GB, and far less than
/// that is no message.
const MAX_PAYLOAD: usize = 64 << 20;

pub(crate) fn to_millis(time: SystemTime) -> i64 {
    let clamp = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after),
        Err(before) => -clamp(before.duration()),
    }
}

pub(crate) fn from_millis(millis: i64) -> SystemTime {
    let span = Duration::from_millis(millis.unsigned_abs());
    let time = match millis >= 0 {
        true => UNIX_EPOCH.checked_add(span),
        false => UNIX_EPOCH.checked_sub(span),
    };
    time.unwrap_or(UNIX_EPOCH)
}

pub(crate) fn to_json(value: &impl Serialize, what: &str) -> Result<String, StoreError> {
    let illegal = |why: String| StoreError::new(StoreErrorKind::Illegal, why);
    let json = serde_json::to_string(value)
        .map_err(|_| illegal(format!("{what} cannot be written as JSON")))?;
    if json.len() > MAX_PAYLOAD {
        let size = json.len();
        return Err(illegal(format!(
            "{what} is {size} bytes, limit is {MAX_PAYLOAD}"
        )));
    }
    Ok(json)
}

/// The ordering key of a conversation as one column. Lengths keep apart what separators in
/// hostile ids would mix.
pub(crate) fn lane(conversation: &Conversation) -> String {
    let (channel, chat) = (conversation.channel.as_str(), conversation.chat.as_str());
    let (first, second) = (channel.len(), chat.len());
    match &conversation.thread {
        Some(thread) => format!("{first}:{channel}{second}:{chat}#{thread}"),
        None => format!("{first}:{channel}{second}:{chat}"),
    }
}

pub(crate) fn event_state(name: &str) -> Option<EventState> {
    let mut all = EventState::ALL.into_iter();
    all.find(|state| state.as_str() == name)
}

/// An event, or why there is none: damaged, or written by a newer release.
pub(crate) fn event(json: &str) -> Option<Event> {
    serde_json::from_str(json).ok()
}

/// Stands for an event that cannot be read, so that it can be listed and dropped.
pub(crate) fn unreadable_event(channel: &str, id: &str) -> Event {
    let unknown = Unknown::new("unreadable", Raw::default());
    Event::new(
        EventId::new(id),
        ChannelId::new(channel),
        EventKind::Unknown(Box::new(unknown)),
    )
}

pub(crate) fn message(json: &str) -> Option<OutboundMessage> {
    serde_json::from_str(json).ok()
}

/// Stands for a message that cannot be read or was dropped.
pub(crate) fn empty_message() -> OutboundMessage {
    OutboundMessage::new(Target::chat(""), Body::plain(""))
}

#[derive(Serialize, Deserialize)]
struct PartColumn {
    state: PartState,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempts: u32,
    #[serde(default, skip_serializing_if = "is_epoch")]
    not_before: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

const fn is_epoch(millis: &i64) -> bool {
    *millis == 0
}

pub(crate) fn parts_to_json(parts: &[Part]) -> Result<String, StoreError> {
    let column = |part: &Part| PartColumn {
        state: part.state,
        attempts: part.attempts,
        not_before: to_millis(part.not_before),
        receipt: part.receipt.clone(),
        reason: part.reason.clone(),
    };
    to_json(&parts.iter().map(column).collect::<Vec<_>>(), "the parts")
}

pub(crate) fn parts(json: &str) -> Option<Vec<Part>> {
    let columns: Vec<PartColumn> = serde_json::from_str(json).ok()?;
    let part = |column: PartColumn| Part {
        state: column.state,
        attempts: column.attempts,
        not_before: from_millis(column.not_before),
        receipt: column.receipt,
        reason: column.reason,
    };
    Some(columns.into_iter().map(part).collect())
}

pub(crate) fn delivery(
    (channel, key): (&str, &str),
    answers: Option<i64>,
    message: OutboundMessage,
    parts: usize,
) -> NewDelivery {
    let key = IdempotencyKey::new(key);
    let mut delivery = NewDelivery::new(ChannelId::new(channel), key, message, parts);
    delivery.answers = answers.map(Seq::new);
    delivery
}
