//! A journal entry without what people wrote.

use channel_core::{Body, Event, EventKind, OutboundMessage, Random};
use channel_delivery::JournalEntry;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::millis;

/// Hides ids under a key that lives for one export: the same id is the same word inside a
/// file and says nothing outside it.
pub(crate) struct Redactor {
    key: [u8; 32],
}

impl Redactor {
    pub(crate) fn new(random: &dyn Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self { key }
    }

    /// 12 hexadecimal digits.
    fn hide(&self, id: &str) -> String {
        // A key of this length is always taken; without one nothing is shown at all.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return String::new();
        };
        mac.update(id.as_bytes());
        let mut text = hex::encode(mac.finalize().into_bytes());
        text.truncate(12);
        text
    }

    /// What happened and how it ended: kinds, sizes, states, times; no words, names or ids.
    pub(crate) fn entry(&self, entry: &JournalEntry) -> Value {
        let event = &entry.event.event;
        json!({
            "seq": entry.event.seq.number(),
            "redacted": true,
            "channel": event.channel,
            "kind": event.name(),
            "event": self.hide(event.id.as_str()),
            "conversation": event.conversation().map(|conversation| self.hide(&format!("{conversation:?}"))),
            "sender": event.sender().map(|sender| self.hide(&sender.account.to_string())),
            "size": size(event),
            "state": entry.event.state.as_str(),
            "attempts": entry.event.attempts,
            "reason": entry.reason,
            "recorded_at": millis(entry.recorded_at),
            "deliveries": entry.deliveries.iter().map(|stored| json!({
                "id": stored.id.number(),
                "size": words(&stored.delivery.message),
                "attachments": stored.delivery.message.attachments.len(),
                "planned_at": millis(stored.planned_at),
                "parts": stored.parts.iter().map(|part| json!({
                    "state": part.state.as_str(),
                    "attempts": part.attempts,
                    "reason": part.reason,
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        })
    }
}

/// Code points of the text, where there is one.
fn size(event: &Event) -> Option<usize> {
    match &event.kind {
        EventKind::Message(message) | EventKind::Edited(message) => {
            Some(message.text.chars().count())
        }
        _ => None,
    }
}

fn words(message: &OutboundMessage) -> usize {
    match &message.body {
        Body::Plain(text) | Body::Markdown(text) => text.chars().count(),
        Body::Content(content) => content.to_plain().chars().count(),
        _ => 0,
    }
}
