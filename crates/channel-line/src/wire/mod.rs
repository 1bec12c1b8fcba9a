//! What LINE sends, as far as it is read
//! (<https://developers.line.biz/en/reference/messaging-api/#webhooks>).

mod event;
mod message;

pub(crate) use event::{Callback, Event, Kind, Mode, Postback, Source, name_of};
pub(crate) use message::{Mentionee, Message, MessageKind};
