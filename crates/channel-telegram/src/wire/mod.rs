//! The parts of Telegram's objects that the adapter reads.
//!
//! Fields of <https://core.telegram.org/bots/api#available-types>; all others are ignored.

mod message;
pub(crate) mod scan;
mod update;

pub(crate) use message::{Chat, ChatType, Entity, EntityKind, File, Message, User};
pub(crate) use update::{
    CallbackQuery, DeletedMessages, Flavour, Member, ReactionKind, ReactionUpdate, Update,
    UpdateKind,
};
