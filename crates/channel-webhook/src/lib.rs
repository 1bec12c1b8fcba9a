#![doc = include_str!("../README.md")]

mod guarded;
mod head;
mod head_timer;
mod host;
mod linger;
mod server;
mod upgrade;

pub use host::Host;
pub use server::{Server, ServerConfig};
