//! A connection whose writes have to get somewhere.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use channel_core::Clock;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fails when the peer takes nothing of what is written for too long, and holds `K` for as
/// long as the connection is open, whoever owns it.
pub(crate) struct Guarded<S, K> {
    inner: S,
    clock: Option<Arc<dyn Clock>>,
    limit: Duration,
    /// Runs while a write waits.
    timer: Option<BoxFuture<'static, ()>>,
    _kept: K,
}

impl<S: fmt::Debug, K> fmt::Debug for Guarded<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<S: Unpin, K: Unpin> Guarded<S, K> {
    pub(crate) fn new(inner: S, clock: Option<Arc<dyn Clock>>, limit: Duration, kept: K) -> Self {
        Self {
            inner,
            clock,
            limit,
            timer: None,
            _kept: kept,
        }
    }

    /// Runs one step of writing; the timer is only made when the peer takes nothing.
    fn bounded(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<std::io::Result<usize>>,
    ) -> Poll<std::io::Result<usize>> {
        if let Poll::Ready(outcome) = step(Pin::new(&mut self.inner), cx) {
            self.timer = None;
            return Poll::Ready(outcome);
        }
        let timer = self.timer.get_or_insert_with(|| match &self.clock {
            Some(clock) => clock.sleep(self.limit),
            None => tokio::time::sleep(self.limit).boxed(),
        });
        if timer.poll_unpin(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, K: Unpin> AsyncRead for Guarded<S, K> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin, K: Unpin> AsyncWrite for Guarded<S, K> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.bounded(cx, |inner, cx| inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.bounded(cx, |inner, cx| inner.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
