//! All fakes in one place.

use std::sync::Arc;

use channel_core::{Crowd, Transport};

use crate::clock::VirtualClock;
use crate::http::FakeHttp;
use crate::random::SeededRandom;
use crate::sockets::FakeSockets;

/// The fakes behind one [`Transport`], for a channel's builder and for the test.
///
/// ```
/// use channel_testkit::FakeTransport;
///
/// let fake = FakeTransport::new();
/// let transport = fake.transport(); // give this to the channel's builder
/// assert_eq!(transport.clock.now(), channel_core::Clock::now(&fake.clock));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FakeTransport {
    /// The server side of HTTP.
    pub http: FakeHttp,
    /// The server side of websockets.
    pub sockets: FakeSockets,
    /// The time that all of them share.
    pub clock: VirtualClock,
    /// The reconnecting sockets that live.
    pub crowd: Crowd,
    random: Arc<SeededRandom>,
}

impl Default for FakeTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeTransport {
    /// Fakes on a new clock, with the random seed 0.
    #[must_use]
    pub fn new() -> Self {
        Self::with(VirtualClock::new(), 0)
    }

    /// Fakes on a given clock and seed.
    #[must_use]
    pub fn with(clock: VirtualClock, seed: u64) -> Self {
        Self {
            http: FakeHttp::new(Arc::new(clock.clone())),
            sockets: FakeSockets::new(),
            clock,
            random: Arc::new(SeededRandom::new(seed)),
            crowd: Crowd::new(),
        }
    }

    /// The bundle that a channel's builder takes.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let mut transport = Transport::new(
            Arc::new(self.http.clone()),
            Arc::new(self.sockets.clone()),
            Arc::new(self.clock.clone()),
            Arc::clone(&self.random) as _,
        );
        transport.crowd = self.crowd.clone();
        transport
    }
}

/// New fakes behind one [`Transport`]; short for [`FakeTransport::new`].
#[must_use]
pub fn fake_transport() -> FakeTransport {
    FakeTransport::new()
}
