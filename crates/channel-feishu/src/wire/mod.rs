//! What Feishu sends; only the fields that are used.

mod event;
mod message;
mod press;

pub(crate) use event::{
    Body, BotChange, Envelope, Member, MemberChange, ReactionChange, Recalled, UserId,
};
pub(crate) use message::{Element, Fields, Listed, Mention, MessageEvent, Post};
pub(crate) use press::{OldPress, PressEvent, Pressed};

use crate::limits;

/// Whether a text is an id of Feishu's: nothing in it means anything in a path.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=limits::ID).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
