//! The server side of channels whose clients connect to us.

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::future::BoxFuture;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::socket::BoxSocket;

/// Receives over websockets that clients open.
pub trait SocketServer: Send + Sync {
    /// The paths that can be upgraded.
    fn paths(&self) -> &[String];

    /// Judges an upgrade request before it is answered.
    ///
    /// Pure but for the channel's own counters: the host has checked that the request is
    /// a websocket upgrade, and reads no body.
    ///
    /// # Errors
    ///
    /// The response to refuse it with.
    fn accept(
        &self,
        request: &http::Request<()>,
        peer: Option<IpAddr>,
    ) -> Result<Upgrade, Box<http::Response<Bytes>>>;
}

/// An upgrade that is granted.
#[non_exhaustive]
pub struct Upgrade {
    /// The subprotocol to answer with.
    pub protocol: Option<String>,
    /// The largest inbound message, in bytes.
    pub max_message: usize,
    /// Runs the connection until it ends.
    pub serve: Box<dyn FnOnce(BoxSocket) -> BoxFuture<'static, ()> + Send>,
}

impl Upgrade {
    /// Grants an upgrade; `serve` then owns the socket.
    #[must_use]
    pub fn new(
        protocol: Option<String>,
        max_message: usize,
        serve: impl FnOnce(BoxSocket) -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Self {
        Self {
            protocol,
            max_message,
            serve: Box::new(serve),
        }
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("protocol", &self.protocol)
            .field("max_message", &self.max_message)
            .finish_non_exhaustive()
    }
}

/// Takes over the events of webhooks.
///
/// The host of a webhook answers the platform only after this has returned `Ok`.
#[async_trait]
pub trait Intake: fmt::Debug + Send + Sync {
    /// Takes all of the events or none.
    ///
    /// # Errors
    ///
    /// [`Refused`] if they cannot be taken now; the platform is told to try again.
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused>;
}

/// Events could not be taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refused {
    /// No room: the platform is to come again.
    Full,
    /// We are stopping.
    Stopping,
    /// The store failed.
    Failed(Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no room for more events",
            Self::Stopping => "the process is stopping",
            Self::Failed(_) => "the events could not be stored",
        })
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Full | Self::Stopping => None,
        }
    }
}
