//! Frames that the server sends.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::client::{FileKind, Format, TypingState};

/// What every frame begins with.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    Welcome(Welcome<'a>),
    Message(Box<Message<'a>>),
    Edit(Edit<'a>),
    Delete(Delete<'a>),
    Reaction(Reaction<'a>),
    Typing(Typing<'a>),
    Ack(Ack<'a>),
    Pong(Pong<'a>),
    Error(Error<'a>),
}

impl ServerFrame<'_> {
    /// The frame as text.
    pub(crate) fn encode(&self) -> Bytes {
        #[derive(Serialize)]
        struct Versioned<'a, 'b> {
            v: u8,
            #[serde(flatten)]
            frame: &'a ServerFrame<'b>,
        }
        // Only maps with keys that are not text can fail, and there are none.
        let text = serde_json::to_vec(&Versioned { v: 1, frame: self }).unwrap_or_default();
        Bytes::from(text)
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Welcome<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    pub(crate) session: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) verified: bool,
    /// Seconds between the server's pings.
    pub(crate) heartbeat: u64,
    pub(crate) max_frame_bytes: usize,
    pub(crate) resume: BTreeMap<String, Resumed>,
    pub(crate) bot: From<'a>,
    pub(crate) server: &'static str,
}

/// How a conversation goes on.
#[derive(Debug, Serialize)]
pub(crate) struct Resumed {
    pub(crate) state: ResumeState,
    pub(crate) cursor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest: Option<String>,
    pub(crate) replaying: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResumeState {
    Ok,
    Gap,
    New,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct From<'a> {
    pub(crate) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) seq: u64,
    pub(crate) cursor: &'a str,
    pub(crate) conversation: &'a str,
    pub(crate) ts: &'a str,
    pub(crate) from: From<'a>,
    pub(crate) text: &'a str,
    pub(crate) format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread: Option<&'a str>,
    pub(crate) attachments: &'a [File],
    pub(crate) buttons: &'a [Vec<Button>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<&'static str>,
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct File {
    pub(crate) kind: FileKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_id: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Button {
    pub(crate) id: String,
    pub(crate) label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Edit<'a> {
    pub(crate) id: &'a str,
    pub(crate) rev: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<&'a str>,
    pub(crate) conversation: &'a str,
    pub(crate) ts: &'a str,
    pub(crate) from: From<'a>,
    pub(crate) text: &'a str,
    pub(crate) format: Format,
    #[serde(skip_serializing_if = "<[File]>::is_empty")]
    pub(crate) attachments: &'a [File],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buttons: Option<&'a [Vec<Button>]>,
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Delete<'a> {
    pub(crate) id: &'a str,
    pub(crate) seq: u64,
    pub(crate) cursor: &'a str,
    pub(crate) conversation: &'a str,
    pub(crate) ts: &'a str,
    pub(crate) from: From<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Reaction<'a> {
    pub(crate) target: &'a str,
    pub(crate) emoji: &'a str,
    pub(crate) remove: bool,
    pub(crate) conversation: &'a str,
    pub(crate) ts: &'a str,
    pub(crate) from: From<'a>,
    pub(crate) seq: u64,
    pub(crate) cursor: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Typing<'a> {
    pub(crate) conversation: &'a str,
    pub(crate) from: From<'a>,
    pub(crate) state: TypingState,
    pub(crate) ttl: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Ack<'a> {
    pub(crate) of: &'a str,
    pub(crate) conversation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notice: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Pong<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Error<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) conversation: Option<&'a str>,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<f64>,
    #[serde(skip_serializing_if = "<[u8]>::is_empty")]
    pub(crate) supported: &'static [u8],
    pub(crate) fatal: bool,
}
