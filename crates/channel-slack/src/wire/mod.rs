//! What Slack sends, as far as it is read. What is not named here is ignored.

mod event;
mod form;
mod interaction;
mod text;

pub(crate) use event::{Envelope, Event, File, Loose};
pub(crate) use form::Form;
pub(crate) use interaction::{Interaction, PressedAction, State, Suggestion, Team};
pub(crate) use text::Str;
