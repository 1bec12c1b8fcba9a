//! What outlives a stream of events.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use channel_core::{Clock, timeout};

use super::{AckedSocket, ReconnectingSocket};

/// How long the last answers may take to be written: a second more than a peer has to answer
/// a close.
const FLUSH: Duration = Duration::from_secs(6);

/// The socket of a stream that was dropped, kept for answers that are still to be sent.
///
/// It opens no other socket and holds on to nothing of the channel, which may therefore keep
/// it: a channel that is dropped without being closed leaves no connection behind.
#[derive(Debug, Default)]
pub struct Retired(Mutex<Option<Arc<AckedSocket>>>);

impl Retired {
    /// Keeps this socket instead of the one before.
    pub fn keep(&self, socket: Arc<AckedSocket>) {
        socket.with(ReconnectingSocket::retire);
        self.replace(Some(socket));
    }

    /// Closes the socket once everything is written, or gives it up after 6 s;
    /// whether that was in time.
    pub async fn close(&self, clock: &dyn Clock) -> bool {
        match self.replace(None) {
            Some(socket) => timeout(clock, FLUSH, socket.flush()).await.is_ok(),
            None => true,
        }
    }

    fn replace(&self, socket: Option<Arc<AckedSocket>>) -> Option<Arc<AckedSocket>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept, socket)
    }
}
