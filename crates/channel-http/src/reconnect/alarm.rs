//! Waiting for a socket, or for the next moment at which something is due.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use channel_core::Clock;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{AckedSocket, SocketEvent};

/// A timer that is made anew only when the moment that is waited for has changed.
#[derive(Default)]
pub struct Alarm(Option<(Duration, BoxFuture<'static, ()>)>);

/// What somebody who waits with an [`Alarm`] wakes for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Woken {
    /// News of the socket; `None` once it is closed for good.
    Socket(Option<SocketEvent>),
    /// The moment has come.
    Due,
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.as_ref().map(|(at, _)| at);
        f.debug_tuple("Alarm").field(&at).finish()
    }
}

impl Alarm {
    /// Waits for news of the socket, until `at` on the clock's monotonic time; without it, as
    /// long as that takes. News comes first.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait(
        &mut self,
        socket: &AckedSocket,
        at: Option<Duration>,
        clock: &dyn Clock,
    ) -> Woken {
        if self.0.as_ref().map(|(set, _)| *set) != at {
            let now = clock.elapsed();
            self.0 = at.map(|at| (at, clock.sleep(at.saturating_sub(now))));
        }
        poll_fn(|cx| {
            if let Poll::Ready(event) = socket.poll(cx) {
                return Poll::Ready(Woken::Socket(event));
            }
            let timer = self.0.as_mut().map(|(_, sleep)| sleep.poll_unpin(cx));
            if timer.is_some_and(|timer| timer.is_ready()) {
                self.0 = None;
                return Poll::Ready(Woken::Due);
            }
            Poll::Pending
        })
        .await
    }
}
