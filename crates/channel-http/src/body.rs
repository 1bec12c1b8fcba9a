//! Bodies in both directions.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use channel_core::HttpBody;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Whether a connection has taken up the request, so that a part of it may have left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Departure(Arc<AtomicBool>);

impl Departure {
    pub(crate) fn may_have_left(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A request body that notices when it is taken up.
///
/// hyper asks a body whether it is at its end right before it encodes the head of the
/// request, and hands back a request that it has not got to. So the question is the moment
/// from which on bytes may be on their way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    left: u64,
    departure: Departure,
}

impl Outgoing {
    pub(crate) fn new(body: HttpBody, departure: Departure) -> Self {
        Self {
            left: body.len(),
            pieces: body.into_pieces().into(),
            departure,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        this.departure.0.store(true, Ordering::Release);
        while let Some(piece) = this.pieces.pop_front() {
            if !piece.is_empty() {
                this.left = this.left.saturating_sub(piece.len() as u64);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.departure.0.store(true, Ordering::Release);
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Why a response body was not read to its end.
#[derive(Debug)]
pub(crate) enum ReadError {
    TooLarge,
    Idle,
    Broken(hyper::Error),
}

/// Reads a body of at most `max` bytes; `idle` bounds the wait for each piece.
pub(crate) async fn read(
    mut body: Incoming,
    max: usize,
    idle: Duration,
) -> Result<Bytes, ReadError> {
    let announced = body.size_hint();
    if announced.lower() > max as u64 {
        return Err(ReadError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        // What has come together with the head needs no timer.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => tokio::time::timeout(idle, body.frame())
                .await
                .map_err(|_| ReadError::Idle)?,
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(ReadError::Broken)?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let held = first.len() + rest.len();
        if piece.len() > max.saturating_sub(held) {
            return Err(ReadError::TooLarge);
        }
        if held == 0 {
            // The usual small answer arrives in one piece and is not copied.
            first = piece;
            continue;
        }
        if rest.is_empty() {
            // `max` has been checked against what was announced, so this is bounded.
            let announced = usize::try_from(announced.lower()).unwrap_or(max);
            rest.reserve(announced.max(held + piece.len()));
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}
