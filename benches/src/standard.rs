//! Frames of the standard channel.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{ChannelId, Event, SenderId};
use channel_standard::frames::decode_event;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A message as a client sends it.
pub const MESSAGE: &[u8] = br#"{"v":1,"type":"message","id":"m-01J0ZK6V8T4Y","conversation":"default","text":"could you please repeat this line back to me as it is?","format":"plain","reply_to":"s-17","meta":{"client":"web/1.4","draft":false}}"#;

/// A message with a file and escaped text.
pub const WITH_FILE: &[u8] = br#"{"v":1,"type":"message","id":"m-01J0ZK6V8T4Z","text":"zwei Zeilen\nund ein \"Zitat\"","attachments":[{"kind":"image","name":"board.png","mime":"image/png","size":90321,"url":"https://files.example.invalid/board.png"}]}"#;

/// Turns a frame into an event.
#[must_use]
pub fn decode(frame: &Bytes, channel: &ChannelId, client: &SenderId) -> Option<Event> {
    let at = UNIX_EPOCH + Duration::from_secs(1_763_640_000);
    decode_event(frame, channel, client, at).ok()
}

/// A message of the same shape.
#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
pub struct Floor<'a> {
    /// The version.
    pub v: u32,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    conversation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    format: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reply_to: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thread: Option<Cow<'a, str>>,
    #[serde(borrow)]
    attachments: Option<Vec<File<'a>>>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

#[expect(dead_code, reason = "reading the fields is what is measured")]
#[derive(Debug, Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    mime: Option<Cow<'a, str>>,
    size: Option<u64>,
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    media_id: Option<Cow<'a, str>>,
}

/// The floor: serde into a type of the same shape, and nothing else.
#[must_use]
pub fn floor(frame: &[u8]) -> Option<Floor<'_>> {
    serde_json::from_slice(frame).ok()
}
