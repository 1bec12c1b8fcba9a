//! What Discord sends, as far as it is read. What is not named here is ignored.

mod frame;
mod interaction;
mod message;
mod text;

#[cfg(feature = "net")]
pub(crate) use frame::front;
pub(crate) use frame::{Frame, careful, head};
pub(crate) use interaction::{Component, Data, Interaction, Option_};
pub(crate) use message::{
    Attachment, BulkDelete, Deletion, Emoji, Mention, Message, Reaction, Resource, Sticker, User,
};
pub(crate) use text::{Id, Str};
