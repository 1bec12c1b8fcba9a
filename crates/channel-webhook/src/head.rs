//! A strict look at request heads before anything parses them.
//!
//! HTTP libraries forgive what a proxy in front of us may read differently: bare line
//! feeds, folded lines, a length beside a transfer coding. Two readings of one byte
//! stream are how requests are smuggled (RFC 9112, sections 2.2, 5.2, 6.1, 6.3), so a
//! connection that shows any of them is closed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest request head, in bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// Where in the byte stream we are.
#[derive(Debug)]
enum Place {
    /// In a head; the line so far, and what the head has said.
    Head(Head),
    /// In a body of which so many bytes are still to come.
    Body(u64),
    /// What follows is not ours to judge: a chunked body, after which the connection is
    /// closed, or another protocol.
    Beyond,
}

#[derive(Debug, Default)]
struct Head {
    line: Vec<u8>,
    lines: usize,
    bytes: usize,
    length: Option<u64>,
    coded: bool,
    upgrade: bool,
}

/// What a head is refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// Follows the requests of one connection.
#[derive(Debug)]
pub(crate) struct Scanner(Place);

impl Scanner {
    pub(crate) fn new() -> Self {
        Self(Place::Head(Head::default()))
    }

    /// Looks at the next bytes of the connection.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguous> {
        while !bytes.is_empty() {
            match &mut self.0 {
                Place::Beyond => return Ok(()),
                Place::Body(left) => {
                    let taken = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len());
                    bytes = bytes.get(taken..).unwrap_or_default();
                    *left -= taken as u64;
                    if *left == 0 {
                        self.0 = Place::Head(Head::default());
                    }
                }
                Place::Head(head) => {
                    let end = memchr::memchr(b'\n', bytes);
                    let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
                    bytes = rest;
                    head.bytes += part.len();
                    if head.bytes > MAX_HEAD {
                        return Err(Ambiguous);
                    }
                    if end.is_none() {
                        head.line.extend_from_slice(part);
                        return Ok(());
                    }
                    // Mostly a line comes in one piece, and is not copied.
                    let next = if head.line.is_empty() {
                        head.line_done(part)?
                    } else {
                        let mut line = std::mem::take(&mut head.line);
                        line.extend_from_slice(part);
                        head.line_done(&line)?
                    };
                    if let Some(next) = next {
                        self.0 = next;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Head {
    /// Judges a whole line; at the end of the head says what follows.
    fn line_done(&mut self, line: &[u8]) -> Result<Option<Place>, Ambiguous> {
        let line = line.strip_suffix(b"\r\n").ok_or(Ambiguous)?;
        if line.is_empty() {
            // Empty lines before a request are allowed (RFC 9112, section 2.2).
            if self.lines == 0 {
                return Ok(None);
            }
            return self.end().map(Some);
        }
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return Err(Ambiguous);
        }
        if self.lines > 0 {
            self.field(line)?;
        }
        self.lines += 1;
        Ok(None)
    }

    /// Judges one field of a head.
    fn field(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        // Names are short: looking at them byte by byte costs less than to begin a search.
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or(Ambiguous)?);
        let (Some(first), Some(last)) = (name.first(), name.last()) else {
            return Err(Ambiguous);
        };
        // The first is white space where a line is folded.
        if first.is_ascii_whitespace() || last.is_ascii_whitespace() {
            return Err(Ambiguous);
        }
        // Nearly all names are told apart by their length.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let value = value.get(1..).unwrap_or_default().trim_ascii();
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let length = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
                let (true, Some(length), None) = (digits, length, self.length) else {
                    return Err(Ambiguous);
                };
                self.length = Some(length);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let value = value.get(1..).unwrap_or_default().trim_ascii();
                if self.coded || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Ambiguous);
                }
                self.coded = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            _ => {}
        }
        Ok(())
    }

    fn end(&self) -> Result<Place, Ambiguous> {
        match (self.length, self.coded) {
            (Some(_), true) => Err(Ambiguous),
            _ if self.coded || self.upgrade => Ok(Place::Beyond),
            (None | Some(0), _) => Ok(Place::Head(Self::default())),
            (Some(length), _) => Ok(Place::Body(length)),
        }
    }
}

/// A connection whose heads are looked at before they are read.
#[derive(Debug)]
pub(crate) struct Strict<S> {
    inner: S,
    scanner: Scanner,
}

impl<S> Strict<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            scanner: Scanner::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if self.scanner.feed(new).is_err() {
            buffer.set_filled(before);
            return Poll::Ready(Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "ambiguous request head",
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges a whole stream, fed whole and byte by byte.
    fn judge(stream: &[u8]) -> Result<(), Ambiguous> {
        let whole = Scanner::new().feed(stream);
        let mut scanner = Scanner::new();
        let bytewise = stream.iter().try_for_each(|byte| scanner.feed(&[*byte]));
        assert_eq!(whole, bytewise, "cutting the stream changed the verdict");
        whole
    }

    #[test]
    fn ordinary_requests_pass() {
        for stream in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\n\n\0b",
            b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x05\nhi",
        ] {
            assert_eq!(judge(stream), Ok(()), "{}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn two_readings_of_one_stream_are_refused() {
        for stream in [
            &b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
            b"GET / HTTP/1.1\r\nnonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\n: b\r\n\r\n",
        ] {
            assert_eq!(
                judge(stream),
                Err(Ambiguous),
                "{}",
                String::from_utf8_lossy(stream)
            );
        }
    }

    #[test]
    fn a_second_request_behind_a_body_is_judged_too() {
        let stream =
            b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\nHost: a\r\n\r\n";
        assert_eq!(judge(stream), Err(Ambiguous));
    }

    #[test]
    fn a_head_is_bounded() {
        let mut stream = b"GET / HTTP/1.1\r\nA: ".to_vec();
        stream.extend(std::iter::repeat_n(b'a', MAX_HEAD));
        assert_eq!(judge(&stream), Err(Ambiguous));
    }
}
