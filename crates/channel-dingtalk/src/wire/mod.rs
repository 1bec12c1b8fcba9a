//! What DingTalk sends; only the fields that are used.

mod loose;
mod message;
mod press;

pub(crate) use loose::Loose;
pub(crate) use message::{Content, Message, RichElement};
pub(crate) use press::{PressEvent, Pressed};
