#![doc = include_str!("../README.md")]

mod body;
mod client;
mod dial;
pub mod guard;
mod per_host;
mod proxy;
pub mod reconnect;
mod redirect;
mod socket;
mod time;
mod tls;
mod transport;

pub use dial::Resolve;
pub use time::{OsRandom, SystemClock};
pub use transport::{HttpTransport, HttpTransportBuilder, transport};
