//! Frames that clients send. Nothing is copied that can be borrowed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
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
