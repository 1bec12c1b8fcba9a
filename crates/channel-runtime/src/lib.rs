#![doc = include_str!("../README.md")]

mod bot;
mod bound;
mod driver;
mod durable;
mod full;
mod handle;
mod handler;
mod inbox;
mod incoming;
mod intake;
mod lanes;
mod overlap;
mod pump;
mod replay;
mod retry;
mod running;
mod status;

pub use bot::{Bot, GroupMode};
pub use handler::{BoxError, HandlerResult};
pub use incoming::{Incoming, StreamingReply};
pub use overlap::Overlap;
pub use replay::{ReplayEnd, Replayed};
pub use retry::Retry;
pub use running::Running;
pub use status::{ChannelState, ChannelStatus, Counters};
