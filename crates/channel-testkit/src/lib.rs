#![doc = include_str!("../README.md")]

mod clock;
mod http;
mod random;
mod sockets;
mod transport;
mod wait;

pub use crate::http::{FakeHttp, Recorded, Reply};
pub use clock::VirtualClock;
pub use random::{FixedRandom, SeededRandom};
pub use sockets::{FakePeer, FakeSockets, socket_pair};
pub use transport::{FakeTransport, fake_transport};
