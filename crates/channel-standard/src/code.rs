//! Error codes of the protocol.

use std::time::Duration;

/// Why a frame is refused. None of the texts holds anything of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadFrame,
    UnsupportedVersion,
    HelloRequired,
    AlreadyOpen,
    Forbidden,
    UnknownType,
    EmptyMessage,
    InvalidId,
    TextTooLong,
    TooManyAttachments,
    InvalidMedia,
    UnknownMessage,
    NotOwner,
    UnknownButton,
    IdConflict,
    RateLimited,
    Busy,
}

impl Code {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BadFrame => "bad_frame",
            Self::UnsupportedVersion => "unsupported_version",
            Self::HelloRequired => "hello_required",
            Self::AlreadyOpen => "already_open",
            Self::Forbidden => "forbidden",
            Self::UnknownType => "unknown_type",
            Self::EmptyMessage => "empty_message",
            Self::InvalidId => "invalid_id",
            Self::TextTooLong => "text_too_long",
            Self::TooManyAttachments => "too_many_attachments",
            Self::InvalidMedia => "invalid_media",
            Self::UnknownMessage => "unknown_message",
            Self::NotOwner => "not_owner",
            Self::UnknownButton => "unknown_button",
            Self::IdConflict => "id_conflict",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
        }
    }

    /// Words for whoever writes the client.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::BadFrame => "the frame is not a JSON object with the members of its type",
            Self::UnsupportedVersion => "only version 1 is spoken here",
            Self::HelloRequired => "hello must be the first frame",
            Self::AlreadyOpen => "the session is open already",
            Self::Forbidden => "not allowed",
            Self::UnknownType => "the type is not known",
            Self::EmptyMessage => "neither text nor attachments",
            Self::InvalidId => "an id is 1 to 64 of A-Z a-z 0-9 . _ : -, a client id without :",
            Self::TextTooLong => "the text is longer than 32768 characters",
            Self::TooManyAttachments => "more than 16 attachments",
            Self::InvalidMedia => {
                "an attachment needs one of data (base64, at most 256 KiB, 512 KiB per frame), \
                 url (https) and media_id (of an upload that is still kept)"
            }
            Self::UnknownMessage => "the message is not known here, or no longer",
            Self::NotOwner => "the message is somebody else's",
            Self::UnknownButton => "the message does not carry this button",
            Self::IdConflict => "the id was used for something else",
            Self::RateLimited => "too many frames",
            Self::Busy => "no room at the moment, send it again later",
        }
    }
}

/// A refusal of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) const BUSY: Self = Self {
        code: Code::Busy,
        retry_after: Some(Duration::from_secs(1)),
    };
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self {
            code,
            retry_after: None,
        }
    }
}
