//! A connection that is closed so that the last words are heard.
//!
//! A kernel that closes a connection with unread bytes resets it, and a reset takes away
//! what the peer has not read yet: it would never learn why its message was refused.
//! RFC 9112, section 9.6 says what to do: stop writing, read on for a moment, then close.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// How long the peer may take to hear the last words.
const LINGER: Duration = Duration::from_secs(2);

/// How much is read meanwhile, in bytes.
const MAX_UNREAD: usize = 16 << 20;

/// Reads on for a moment after it was dropped, unless the peer has closed.
#[derive(Debug)]
pub(crate) struct Linger<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    /// `None` only after the drop.
    inner: Option<S>,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Linger<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self {
            inner: Some(inner),
            ended: false,
        }
    }

    fn inner(&mut self) -> std::io::Result<Pin<&mut S>> {
        self.inner
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| std::io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drop for Linger<S> {
    fn drop(&mut self) {
        let Some(connection) = self.inner.take().filter(|_| !self.ended) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async {
                // Whatever comes of it, the connection is closed afterwards.
                drop(tokio::time::timeout(LINGER, read_on(connection)).await);
            });
        }
    }
}

async fn read_on<S: AsyncRead + AsyncWrite + Unpin>(mut connection: S) -> std::io::Result<()> {
    connection.shutdown().await?;
    let mut unread = vec![0; 16 << 10];
    let mut left = MAX_UNREAD;
    while left > 0 {
        let read = connection.read(&mut unread).await?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read);
    }
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = (buffer.filled().len(), buffer.remaining());
        let result = ready!(self.inner()?.poll_read(cx, buffer));
        let end = before.1 > 0 && buffer.filled().len() == before.0;
        if end || result.is_err() {
            self.ended = true;
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Linger<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.inner()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.inner()?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inner()?.poll_shutdown(cx)
    }
}
