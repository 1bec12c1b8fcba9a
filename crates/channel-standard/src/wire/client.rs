//! Frames that clients send.
//!
//! `v` and `type` are read first, without touching the rest of the frame; then the frame
//! is read once into the type that it names. Nothing is copied that can be borrowed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Str;

/// A frame from a client, decoded and not yet judged.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientFrame<'a> {
    /// Opens the session.
    Hello(Box<Hello<'a>>),
    /// A new message.
    Message(MessageFrame<'a>),
    /// New words for an own message.
    Edit(EditFrame<'a>),
    /// An own message is to go.
    Delete(DeleteFrame<'a>),
    /// A reaction to a message.
    Reaction(ReactionFrame<'a>),
    /// A pressed button.
    Action(ActionFrame<'a>),
    /// Somebody writes, or has stopped.
    Typing(TypingFrame<'a>),
    /// The client has processed everything up to a cursor.
    Ack(AckFrame<'a>),
    /// Asks for a pong.
    Ping(PingFrame<'a>),
    /// Answers a ping; counts as a sign of life only.
    Pong,
    /// A type that this version does not know.
    Unknown(PingFrame<'a>),
}

/// Why bytes are not a frame. Holds nothing of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Not JSON, not an object, a member missing, twice or of the wrong type.
    Malformed,
    /// A version other than 1.
    Version,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the frame is not well formed",
            Self::Version => "the frame is of another version",
        })
    }
}

impl std::error::Error for FrameError {}

/// `hello`: must be the first frame.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Hello<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The id of the frame, repeated in the answer.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// Who the client says it is.
    #[serde(borrow)]
    pub client_id: Option<Str<'a>>,
    /// The name to show.
    #[serde(borrow)]
    pub name: Option<Str<'a>>,
    /// The last cursor processed, by conversation.
    #[serde(borrow)]
    pub resume: Option<BTreeMap<Str<'a>, Option<Str<'a>>>>,
}

/// How a text is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Literally.
    #[default]
    Plain,
    /// As CommonMark without raw HTML.
    Markdown,
}

impl Format {
    /// Its name in frames.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Markdown => "markdown",
        }
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A film.
    Video,
    /// Any other file.
    #[default]
    File,
}

impl FileKind {
    /// Its name in frames.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::File => "file",
        }
    }
}

/// `message`.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct MessageFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The id of the message, made by the client.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// The conversation; `default` if absent.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
    /// The words.
    #[serde(borrow)]
    pub text: Option<Str<'a>>,
    /// How to read the words.
    pub format: Option<Format>,
    /// The message that it replies to.
    #[serde(borrow)]
    pub reply_to: Option<Str<'a>>,
    /// The thread.
    #[serde(borrow)]
    pub thread: Option<Str<'a>>,
    /// The files.
    #[serde(borrow)]
    pub attachments: Option<Vec<FileFrame<'a>>>,
    /// Opaque data of the client.
    #[serde(borrow)]
    pub meta: Option<&'a RawValue>,
}

impl<'a> MessageFrame<'a> {
    /// The message that an edit makes.
    pub(crate) fn of_edit(edit: &EditFrame<'a>) -> Self {
        Self {
            _v: IgnoredAny,
            _type: IgnoredAny,
            id: edit.id.clone(),
            conversation: edit.conversation.clone(),
            text: edit.text.clone(),
            format: edit.format,
            reply_to: None,
            thread: None,
            attachments: None,
            meta: None,
        }
    }
}

/// A file of a message: one of `data`, `url` and `media_id`.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct FileFrame<'a> {
    /// What it is for.
    pub kind: Option<FileKind>,
    /// Its name.
    #[serde(borrow)]
    pub name: Option<Str<'a>>,
    /// Its type.
    #[serde(borrow)]
    pub mime: Option<Str<'a>>,
    /// Its size in bytes, as claimed.
    pub size: Option<u64>,
    /// Its bytes in base64.
    #[serde(borrow)]
    pub data: Option<Str<'a>>,
    /// Where it can be fetched.
    #[serde(borrow)]
    pub url: Option<Str<'a>>,
    /// The id of an upload.
    #[serde(borrow)]
    pub media_id: Option<Str<'a>>,
}

/// `edit`: carries the full new text.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct EditFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The message.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
    /// Rises with each edit of a message.
    pub rev: Option<u64>,
    /// The new words.
    #[serde(borrow)]
    pub text: Option<Str<'a>>,
    /// How to read the words.
    pub format: Option<Format>,
    /// Whether this is the last word; absent means yes.
    #[serde(rename = "final")]
    pub is_final: Option<bool>,
}

/// `delete`.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct DeleteFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The message.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
}

/// `reaction`.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct ReactionFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The id of the frame; with it, a repetition is recognised.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
    /// The message reacted to.
    #[serde(borrow)]
    pub target: Option<Str<'a>>,
    /// The reaction.
    #[serde(borrow)]
    pub emoji: Option<Str<'a>>,
    /// Whether it is taken back.
    pub remove: Option<bool>,
}

/// `action`.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct ActionFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The id of the frame.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
    /// The message that carries the button.
    #[serde(borrow)]
    pub message: Option<Str<'a>>,
    /// The button.
    #[serde(borrow)]
    pub button: Option<Str<'a>>,
    /// The value that the client believes the button to carry.
    #[serde(borrow)]
    pub value: Option<Str<'a>>,
}

/// `typing`.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct TypingFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
    /// Whether it begins or ends.
    pub state: TypingState,
    /// How long it lasts, in seconds.
    pub ttl: Option<u64>,
}

/// Whether writing begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TypingState {
    /// Somebody writes.
    Start,
    /// Nobody writes any more.
    Stop,
}

/// `ack`: everything up to the cursor is processed.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct AckFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The conversation.
    #[serde(borrow)]
    pub conversation: Option<Str<'a>>,
    /// The cursor.
    #[serde(borrow)]
    pub cursor: Option<Str<'a>>,
}

/// `ping`, and what is known of a frame of an unknown type.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct PingFrame<'a> {
    #[serde(rename = "v")]
    _v: IgnoredAny,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    /// The id of the frame.
    #[serde(borrow)]
    pub id: Option<Str<'a>>,
}

/// Decodes one text frame. Pure; any bytes are allowed.
///
/// # Errors
///
/// A [`FrameError`] that holds nothing of the input.
pub fn decode_frame(bytes: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
    let kind = match quick_kind(bytes) {
        Some(kind) => kind,
        None => Head::peek(bytes)?,
    };
    let frame = match kind {
        Kind::Hello => read(bytes).map(|it| ClientFrame::Hello(Box::new(it))),
        Kind::Message => read(bytes).map(ClientFrame::Message),
        Kind::Edit => read(bytes).map(ClientFrame::Edit),
        Kind::Delete => read(bytes).map(ClientFrame::Delete),
        Kind::Reaction => read(bytes).map(ClientFrame::Reaction),
        Kind::Action => read(bytes).map(ClientFrame::Action),
        Kind::Typing => read(bytes).map(ClientFrame::Typing),
        Kind::Ack => read(bytes).map(ClientFrame::Ack),
        Kind::Ping => read(bytes).map(ClientFrame::Ping),
        Kind::Pong => read::<PingFrame<'_>>(bytes).map(|_| ClientFrame::Pong),
        Kind::Unknown => read(bytes).map(ClientFrame::Unknown),
    };
    frame.map_err(|_| FrameError::Malformed)
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Hello,
    Message,
    Edit,
    Delete,
    Reaction,
    Action,
    Typing,
    Ack,
    Ping,
    Pong,
    Unknown,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "hello" => Self::Hello,
            "message" => Self::Message,
            "edit" => Self::Edit,
            "delete" => Self::Delete,
            "reaction" => Self::Reaction,
            "action" => Self::Action,
            "typing" => Self::Typing,
            "ack" => Self::Ack,
            "ping" => Self::Ping,
            "pong" => Self::Pong,
            _ => Self::Unknown,
        }
    }
}

/// The kind of a frame that begins with `v` and `type`, as nearly all do; `None` if it
/// begins otherwise. The typed reader checks the whole frame afterwards.
fn quick_kind(bytes: &[u8]) -> Option<Kind> {
    let mut rest = bytes;
    for token in ["{", "\"v\"", ":", "1", ",", "\"type\"", ":"] {
        rest = rest.trim_ascii_start().strip_prefix(token.as_bytes())?;
    }
    let name = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = name.iter().position(|&b| matches!(b, b'"' | b'\\'))?;
    let (name, rest) = name.split_at(end);
    // An escape may spell a name that is known; such a frame is read the long way.
    if rest.first() != Some(&b'"') {
        return None;
    }
    std::str::from_utf8(name).ok().map(Kind::of)
}

/// The members that say how to read the rest.
#[derive(Default)]
struct Head {
    version: Option<Version>,
    kind: Option<Kind>,
}

impl Head {
    /// Reads no further than needed: the typed reader checks the whole frame afterwards.
    fn peek(bytes: &[u8]) -> Result<Kind, FrameError> {
        let mut head = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        // Stopping inside the object is an error to the deserializer; what matters is
        // what has been seen by then.
        let _ = HeadSeed(&mut head).deserialize(&mut deserializer);
        match (head.version, head.kind) {
            (Some(Version::One), Some(kind)) => Ok(kind),
            (Some(Version::Other), Some(_)) => Err(FrameError::Version),
            _ => Err(FrameError::Malformed),
        }
    }
}

struct HeadSeed<'h>(&'h mut Head);

impl<'de> DeserializeSeed<'de> for HeadSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeadSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Str<'de>>()? {
            match &*name {
                "v" => self.0.version = Some(map.next_value()?),
                "type" => self.0.kind = Some(Kind::of(&map.next_value::<Str<'de>>()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if self.0.version.is_some() && self.0.kind.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Other,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version number")
            }

            fn visit_u64<E>(self, version: u64) -> Result<Version, E> {
                Ok(if version == 1 {
                    Version::One
                } else {
                    Version::Other
                })
            }

            fn visit_i64<E>(self, _: i64) -> Result<Version, E> {
                Ok(Version::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Version, E> {
                Ok(Version::Other)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_type_wherever_it_stands() {
        let frame = br#"{"text":"hi","id":"m-1","type":"message","v":1}"#;
        let Ok(ClientFrame::Message(message)) = decode_frame(frame) else {
            panic!("not a message");
        };
        assert_eq!(message.text.as_deref(), Some("hi"));
        assert!(message.text.is_some_and(|text| text.is_borrowed()));
    }

    #[test]
    fn the_quick_way_to_the_type_agrees_with_the_long_one() {
        let cases = [
            (r#"{"v":1,"type":"ping"}"#, true),
            ("\n{ \"v\" : 1 ,\t\"type\": \"ping\" }", true),
            (r#"{"v":1,"type":"p\u0069ng"}"#, false),
            (r#"{"v":1.0,"type":"ping"}"#, false),
            (r#"{"v":10,"type":"ping"}"#, false),
            (r#"{"type":"ping","v":1}"#, false),
        ];
        for (frame, is_quick) in cases {
            let quick = quick_kind(frame.as_bytes());
            assert_eq!(quick.is_some(), is_quick, "{frame}");
            if quick.is_some() {
                assert!(matches!(Head::peek(frame.as_bytes()), Ok(Kind::Ping)));
            }
        }
        let escaped = br#"{"v":1,"type":"p\u0069ng"}"#;
        assert!(matches!(decode_frame(escaped), Ok(ClientFrame::Ping(_))));
    }

    #[test]
    fn a_member_that_comes_twice_is_malformed() {
        for frame in [
            r#"{"v":1,"type":"message","id":"a","id":"b","text":"x"}"#,
            r#"{"v":1,"type":"message","type":"ping","id":"a","text":"x"}"#,
            r#"{"v":1,"type":"message","id":"a","text":"x","v":2}"#,
        ] {
            assert_eq!(
                decode_frame(frame.as_bytes()).err(),
                Some(FrameError::Malformed),
                "{frame}"
            );
        }
    }

    #[test]
    fn tells_a_wrong_version_from_a_malformed_frame() {
        let wrong = [r#"{"v":2,"type":"ping"}"#, r#"{"type":"ping","v":1.5}"#];
        for frame in wrong {
            assert_eq!(
                decode_frame(frame.as_bytes()).err(),
                Some(FrameError::Version)
            );
        }
        let malformed = [
            "",
            "1",
            "[]",
            r#"{"type":"ping"}"#,
            r#"{"v":"1","type":"ping"}"#,
            r#"{"v":1,"type":5}"#,
            r#"{"v":1,"type":"ping""#,
            r#"{"v":1,"type":"ping"} x"#,
            r#"{"v":1,"type":"message","id":"a","text":"\ud800"}"#,
        ];
        for frame in malformed {
            assert_eq!(
                decode_frame(frame.as_bytes()).err(),
                Some(FrameError::Malformed),
                "{frame}"
            );
        }
    }

    #[test]
    fn keeps_the_id_of_a_frame_of_an_unknown_type() {
        let frame = br#"{"v":1,"type":"teleport","id":"x-1","where":[1,{}]}"#;
        let Ok(ClientFrame::Unknown(unknown)) = decode_frame(frame) else {
            panic!("not unknown");
        };
        assert_eq!(unknown.id.as_deref(), Some("x-1"));
    }
}
