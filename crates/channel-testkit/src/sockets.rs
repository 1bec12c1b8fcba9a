//! Websockets whose other end the test holds.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, CloseFrame, Error, ErrorKind, Frame, Result, SocketConnector, SocketRequest,
};
use futures_util::{Sink, Stream};

use crate::wait::Shared;

/// How many frames one direction holds; beyond it a client waits, and a test breaks the
/// connection.
const FRAMES: usize = 16_384;

/// How many connections wait to be accepted; beyond it attempts fail.
const BACKLOG: usize = 128;

/// One connection, seen from above.
#[derive(Default)]
struct Wire {
    to_client: VecDeque<Frame>,
    to_peer: VecDeque<Frame>,
    max_message: usize,
    /// Both ends are there and nothing gets through.
    hung: bool,
    /// The connection broke; what was on the way still arrives.
    broken: Option<&'static str>,
    client_gone: bool,
    client_closing: bool,
    peer_closing: bool,
    client_ended: bool,
}

impl Wire {
    fn push_to_peer(&mut self, frame: Frame) {
        if !self.hung {
            self.to_peer.push_back(frame);
        }
    }
}

/// The client's end, as a channel sees it.
struct Client(Arc<Shared<Wire>>);

impl Stream for Client {
    type Item = Result<Frame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_until(cx, |wire| {
            if wire.client_ended {
                return Some(None);
            }
            if let Some(frame) = (!wire.hung).then(|| wire.to_client.pop_front()).flatten() {
                return Some(Some(arrive(wire, frame)));
            }
            let reason = wire.broken?;
            wire.client_ended = true;
            Some(Some(Err(Error::new(ErrorKind::Unavailable, reason))))
        })
    }
}

fn arrive(wire: &mut Wire, frame: Frame) -> Result<Frame> {
    match &frame {
        Frame::Text(bytes) | Frame::Binary(bytes) if bytes.len() > wire.max_message => {
            wire.client_ended = true;
            wire.client_gone = true;
            return Err(Error::new(ErrorKind::Protocol, "the message is too large"));
        }
        Frame::Ping(payload) => wire.push_to_peer(Frame::Pong(payload.clone())),
        Frame::Close(reason) => {
            wire.client_ended = true;
            if !wire.client_closing {
                wire.push_to_peer(Frame::Close(reason.clone()));
            }
        }
        _ => {}
    }
    Ok(frame)
}

impl Sink<Frame> for Client {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll_until(cx, |wire| {
            if let Some(reason) = wire.broken {
                return Some(Err(Error::new(ErrorKind::Unavailable, reason)));
            }
            if wire.client_ended || wire.client_closing {
                return Some(Err(closed()));
            }
            (wire.to_peer.len() < FRAMES).then_some(Ok(()))
        })
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<()> {
        self.0.change(|wire| {
            if wire.client_ended || wire.client_closing {
                return Err(closed());
            }
            match &frame {
                Frame::Text(bytes) if std::str::from_utf8(bytes).is_err() => {
                    return Err(Error::new(ErrorKind::Invalid, "the text is not UTF-8"));
                }
                Frame::Close(reason) => {
                    wire.client_closing = true;
                    // The peer answers at once, unless nothing gets through.
                    if !wire.hung && !wire.peer_closing {
                        wire.to_client.push_back(Frame::Close(reason.clone()));
                    }
                }
                _ => {}
            }
            wire.push_to_peer(frame);
            Ok(())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        let closing = self
            .0
            .read(|wire| wire.client_closing || wire.client_ended || wire.broken.is_some());
        Poll::Ready(if closing {
            Ok(())
        } else {
            self.start_send(Frame::Close(None))
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.change(|wire| wire.client_gone = true);
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection is closed")
}

/// The test's end of a websocket. Dropping it breaks the connection.
///
/// Pings that it sends are answered by the transport, as a real one does.
pub struct FakePeer {
    wire: Arc<Shared<Wire>>,
    request: http::Request<()>,
}

impl FakePeer {
    /// The handshake that opened the connection.
    #[must_use]
    pub const fn request(&self) -> &http::Request<()> {
        &self.request
    }

    /// Sends a frame. When 16 384 frames wait unread, the connection breaks.
    pub fn send(&self, frame: Frame) {
        self.wire.change(|wire| {
            if wire.hung {
                return;
            }
            if wire.to_client.len() >= FRAMES {
                wire.broken = Some("more frames were sent than the fake holds");
                return;
            }
            wire.peer_closing |= matches!(frame, Frame::Close(_));
            wire.to_client.push_back(frame);
        });
    }

    /// Sends text.
    pub fn send_text(&self, text: impl Into<String>) {
        self.send(Frame::text(text));
    }

    /// Sends JSON as text.
    pub fn send_json(&self, value: &serde_json::Value) {
        self.send_text(value.to_string());
    }

    /// Sends bytes.
    pub fn send_binary(&self, bytes: impl Into<Bytes>) {
        self.send(Frame::Binary(bytes.into()));
    }

    /// Begins the close handshake.
    pub fn close(&self, code: u16, reason: &str) {
        self.send(Frame::Close(Some(CloseFrame::new(code, reason))));
    }

    /// The next frame of the client, pings, pongs and the closing one included; `None`
    /// once the client is gone.
    pub async fn receive(&self) -> Option<Frame> {
        self.wire
            .until(|wire| match wire.to_peer.pop_front() {
                Some(frame) => Some(Some(frame)),
                None => wire.client_gone.then_some(None),
            })
            .await
    }

    /// The next text or binary frame as text, everything else skipped; `None` once the
    /// client has closed or is gone.
    pub async fn receive_text(&self) -> Option<String> {
        loop {
            match self.receive().await? {
                Frame::Text(bytes) | Frame::Binary(bytes) => {
                    return Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                Frame::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next text as JSON; `Null` if it is none.
    pub async fn receive_json(&self) -> Option<serde_json::Value> {
        let text = self.receive_text().await?;
        Some(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Makes the connection half-open: neither end sees anything of the other any more,
    /// and neither gets an error. What was on the way is lost.
    pub fn hang(&self) {
        self.wire.change(|wire| {
            wire.hung = true;
            wire.to_client.clear();
        });
    }

    /// Breaks the connection without a closing frame.
    pub fn cut(&self) {
        self.wire
            .change(|wire| wire.broken = Some("the connection broke"));
    }

    /// Whether the client has dropped its end.
    #[must_use]
    pub fn client_is_gone(&self) -> bool {
        self.wire.read(|wire| wire.client_gone)
    }

    /// Waits until the client has dropped its end.
    pub async fn gone(&self) {
        self.wire.until(|wire| wire.client_gone.then_some(())).await;
    }
}

impl fmt::Debug for FakePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakePeer").finish_non_exhaustive()
    }
}

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.wire.change(|wire| {
            if !wire.hung && !wire.peer_closing {
                wire.broken.get_or_insert("the connection broke");
            }
        });
    }
}

/// A websocket without a handshake: one end for the code under test, such as a channel
/// that serves websockets, and one for the test.
#[must_use]
pub fn socket_pair(max_message: usize) -> (BoxSocket, FakePeer) {
    pair(http::Request::new(()), max_message)
}

fn pair(request: http::Request<()>, max_message: usize) -> (BoxSocket, FakePeer) {
    let wire = Arc::new(Shared::new(Wire {
        max_message,
        ..Wire::default()
    }));
    let client = Box::pin(Client(Arc::clone(&wire)));
    (client, FakePeer { wire, request })
}

#[derive(Default)]
struct Listener {
    script: VecDeque<Handshake>,
    waiting: VecDeque<FakePeer>,
    attempts: usize,
}

enum Handshake {
    Refuse(Error),
    Hang,
}

/// A [`SocketConnector`] that connects to the test. Clones share the server.
///
/// ```
/// use channel_core::{Frame, SocketConnector as _, SocketRequest};
/// use channel_testkit::{FakeSockets, VirtualClock};
/// use futures_util::StreamExt as _;
///
/// let sockets = FakeSockets::new();
/// VirtualClock::new().block_on(async {
///     let request = http::Request::get("wss://chat.example/socket").body(()).unwrap();
///     let mut socket = sockets.connect(SocketRequest::new(request)).await.unwrap();
///     let peer = sockets.accept().await;
///     peer.send_text("hello");
///     assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("hello"));
/// });
/// ```
#[derive(Clone, Default)]
pub struct FakeSockets(Arc<Shared<Listener>>);

impl FakeSockets {
    /// A server that accepts everybody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses the next attempt with an error of this kind.
    pub fn refuse(&self, kind: ErrorKind) {
        self.refuse_with(Error::new(kind, "the server refuses"));
    }

    /// Refuses the next attempt with this error, which may have
    /// [`HandshakeRefused`](channel_core::HandshakeRefused) as its source.
    pub fn refuse_with(&self, error: Error) {
        self.0
            .change(|listener| listener.script.push_back(Handshake::Refuse(error)));
    }

    /// Never answers the next attempt.
    ///
    /// The fake has no clock: whoever connects has to bound the wait.
    pub fn hang_next(&self) {
        self.0
            .change(|listener| listener.script.push_back(Handshake::Hang));
    }

    /// The next connection.
    pub async fn accept(&self) -> FakePeer {
        self.0.until(|listener| listener.waiting.pop_front()).await
    }

    /// The next connection, if one is there.
    #[must_use]
    pub fn try_accept(&self) -> Option<FakePeer> {
        self.0.change(|listener| listener.waiting.pop_front())
    }

    /// How many attempts there have been, refused ones included.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.0.read(|listener| listener.attempts)
    }

    /// Waits until there have been at least `count` attempts.
    pub async fn wait_for_attempts(&self, count: usize) {
        self.0
            .until(|listener| (listener.attempts >= count).then_some(()))
            .await;
    }
}

impl fmt::Debug for FakeSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSockets")
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SocketConnector for FakeSockets {
    async fn connect(&self, request: SocketRequest) -> Result<BoxSocket> {
        let handshake = self.0.change(|listener| {
            listener.attempts += 1;
            listener.script.pop_front()
        });
        match handshake {
            Some(Handshake::Refuse(error)) => Err(error),
            Some(Handshake::Hang) => std::future::pending().await,
            None => {
                let (client, peer) = pair(request.request, request.max_message);
                self.0.change(|listener| {
                    if listener.waiting.len() >= BACKLOG {
                        let reason = "nobody accepts connections";
                        return Err(Error::new(ErrorKind::Unavailable, reason));
                    }
                    listener.waiting.push_back(peer);
                    Ok(client as BoxSocket)
                })
            }
        }
    }
}
