//! Compressed events: one zlib stream for the life of a connection
//! (<https://docs.discord.com/developers/events/gateway#transport-compression>).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use channel_core::{BoxSocket, Error, ErrorKind, Frame, Result};
use flate2::{Decompress, FlushDecompress};
use futures_core::Stream;
use futures_util::Sink;

use crate::PLATFORM;
use crate::client::Op;

/// What a message ends with.
const END: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// The largest message, before and after.
const MAX_IN: usize = 8 << 20;
const MAX_OUT: usize = if cfg!(test) { 1 << 20 } else { 32 << 20 };
/// How much room is made at a time.
const STEP: usize = 16 << 10;

/// A socket whose binary frames become text.
pub(crate) struct Inflating {
    socket: BoxSocket,
    inflate: Inflate,
}

impl Inflating {
    pub(crate) fn new(socket: BoxSocket) -> Self {
        Self {
            socket,
            inflate: Inflate::new(),
        }
    }
}

impl Stream for Inflating {
    type Item = Result<Frame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let this = self.get_mut();
        loop {
            match this.socket.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(Frame::Binary(bytes)))) => match this.inflate.push(&bytes) {
                    Ok(Some(text)) => return Poll::Ready(Some(Ok(Frame::Text(text)))),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                other => return other,
            }
        }
    }
}

impl Sink<Frame> for Inflating {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().socket.as_mut().poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<()> {
        self.get_mut().socket.as_mut().start_send(frame)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().socket.as_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().socket.as_mut().poll_close(cx)
    }
}

/// The stream, and what has come of the next message.
struct Inflate {
    zlib: Decompress,
    pending: Vec<u8>,
}

impl Inflate {
    fn new() -> Self {
        Self {
            zlib: Decompress::new(true),
            pending: Vec::new(),
        }
    }

    /// Takes a frame; gives a message where it ends one.
    fn push(&mut self, bytes: &[u8]) -> Result<Option<Bytes>> {
        if self.pending.len() + bytes.len() > MAX_IN {
            return Err(wrong("a compressed message is too large"));
        }
        if !bytes.ends_with(&END) {
            self.pending.extend_from_slice(bytes);
            return Ok(None);
        }
        if self.pending.is_empty() {
            return self.inflate(bytes).map(Some);
        }
        self.pending.extend_from_slice(bytes);
        let whole = std::mem::take(&mut self.pending);
        self.inflate(&whole).map(Some)
    }

    fn inflate(&mut self, bytes: &[u8]) -> Result<Bytes> {
        let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).clamp(STEP, MAX_OUT));
        let start = self.zlib.total_in();
        loop {
            let done = usize::try_from(self.zlib.total_in() - start).unwrap_or(usize::MAX);
            let rest = bytes.get(done..).unwrap_or_default();
            let before = (done, out.len());
            let status = self
                .zlib
                .decompress_vec(rest, &mut out, FlushDecompress::Sync);
            if status.is_err() {
                return Err(wrong("a compressed message cannot be read"));
            }
            if out.len() > MAX_OUT {
                return Err(wrong("a message is too large"));
            }
            let read = usize::try_from(self.zlib.total_in() - start).unwrap_or(usize::MAX);
            let is_full = out.len() == out.capacity();
            if read >= bytes.len() && !is_full {
                return Ok(out.into());
            }
            if is_full {
                out.reserve(STEP.max(out.len()));
            } else if (read, out.len()) == before {
                return Err(wrong("a compressed message ends too early"));
            }
        }
    }
}

fn wrong(message: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, message).on(PLATFORM, Op::Gateway.operation())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    struct Deflate(Compress);

    impl Deflate {
        fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
            let mut out = Vec::with_capacity(bytes.len() + 1024);
            self.0
                .compress_vec(bytes, &mut out, FlushCompress::Sync)
                .unwrap();
            assert!(out.ends_with(&END));
            out
        }
    }

    #[test]
    fn messages_share_one_stream_and_may_come_in_pieces() {
        let mut deflate = Deflate(Compress::new(Compression::default(), true));
        let mut inflate = Inflate::new();
        for text in ["{\"op\":10}", "{\"op\":10}", &"x".repeat(100_000)] {
            let bytes = deflate.push(text.as_bytes());
            let (a, b) = bytes.split_at(bytes.len() / 2);
            assert_eq!(inflate.push(a).unwrap(), None);
            assert_eq!(inflate.push(b).unwrap().unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_memory() {
        let mut deflate = Deflate(Compress::new(Compression::best(), true));
        let bomb = deflate.push(&vec![b' '; MAX_OUT + MAX_OUT / 2]);
        assert!(bomb.len() < 1 << 20);
        let error = Inflate::new().push(&bomb).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut inflate = Inflate::new();
        assert!(inflate.push(&[1, 2, 3, 0, 0, 0xff, 0xff]).is_err());
        let mut inflate = Inflate::new();
        let piece = vec![0; MAX_IN];
        assert!(inflate.push(&piece).is_ok());
        assert!(inflate.push(&piece).is_err());
    }
}
