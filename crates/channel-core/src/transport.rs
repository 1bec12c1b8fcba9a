//! Everything that a channel needs from the outside, in one place.

use std::sync::Arc;

use crate::clock::{Clock, Random};
use crate::crowd::Crowd;
use crate::http_client::HttpClient;
use crate::socket::SocketConnector;

/// The seams of a channel: HTTP, websockets, time and randomness.
///
/// `channel-http` makes the real one, `channel-testkit` a fake one. Cheap to clone, and
/// meant to be shared by all channels of a process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transport {
    /// Sends HTTP requests.
    pub http: Arc<dyn HttpClient>,
    /// Opens websockets.
    pub sockets: Arc<dyn SocketConnector>,
    /// Tells and waits for the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub random: Arc<dyn Random>,
    /// Whom a socket that is opened through it or a clone of it comes back together with.
    pub crowd: Crowd,
}

impl Transport {
    /// Puts the seams together, with a crowd of its own.
    #[must_use]
    pub fn new(
        http: Arc<dyn HttpClient>,
        sockets: Arc<dyn SocketConnector>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            http,
            sockets,
            clock,
            random,
            crowd: Crowd::new(),
        }
    }
}
