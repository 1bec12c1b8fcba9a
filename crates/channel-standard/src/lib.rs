#![doc = include_str!("../README.md")]

mod accept;
mod addressed;
mod auth;
mod channel;
mod check;
mod code;
mod config;
mod digest;
mod events;
mod history;
mod hub;
mod inbound;
mod inbox;
mod link;
mod media;
mod message;
mod mirror;
mod origin;
mod outbound;
mod parts;
mod render;
mod routes;
mod seen;
mod serve;
mod session;
mod standard;
mod stream;
mod time;
mod wire;

pub use config::{AckAfter, StandardBuilder, StandardConfig};
pub use message::StandardMessage;
pub use standard::{Standard, StandardHealth};

/// The decoder of client frames, for benches and fuzzing; not part of the stable API.
#[doc(hidden)]
pub mod frames {
    pub use crate::inbound::decode_event;
    pub use crate::wire::Str;
    pub use crate::wire::client::{
        AckFrame, ActionFrame, ClientFrame, DeleteFrame, EditFrame, FileFrame, FileKind, Format,
        FrameError, Hello, MessageFrame, PingFrame, ReactionFrame, TypingFrame, TypingState,
    };
    pub use crate::wire::decode::decode_frame;
}
