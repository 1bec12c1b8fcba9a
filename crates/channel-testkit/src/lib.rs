#![doc = include_str!("../README.md")]

mod clock;
pub mod conformance;
pub mod disk;
pub mod drill;
mod failure;
mod http;
mod memory;
mod random;
mod secrets;
#[cfg(feature = "simulation")]
pub mod simulation;
mod sockets;
mod traces;
mod transport;
mod wait;

pub use crate::http::{FakeHttp, Recorded, Reply};
pub use clock::VirtualClock;
pub use failure::Failure;
pub use memory::{MemoryChannel, MemoryChannelBuilder, MemoryMessage, MemoryUser, SentMessage};
pub use random::{FixedRandom, SeededRandom};
pub use secrets::{assert_absent, canary, find_secret};
pub use sockets::{FakePeer, FakeSockets, socket_pair};
pub use traces::capture_tracing;
pub use transport::{FakeTransport, fake_transport};
