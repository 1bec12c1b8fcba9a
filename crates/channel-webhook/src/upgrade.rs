//! Websocket upgrades (RFC 6455, section 4.2).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use channel_core::{BoxSocket, CloseFrame, Error, ErrorKind, Frame, Result, Upgrade};
use futures_util::{Sink, Stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as WireClose, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes, handshake::derive_accept_key};

/// Bytes of read and write buffer a connection starts with; the default of the library
/// is 128 KiB, which idle clients would have to pay for.
const BUFFER: usize = 4096;

/// A well-formed upgrade request.
pub(crate) struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    /// Reads an upgrade request; `None` if it is not one.
    pub(crate) fn read<B>(request: &http::Request<B>) -> Option<Self> {
        let headers = request.headers();
        let wanted = request.method() == Method::GET
            && lists(headers, header::CONNECTION, "upgrade")
            && lists(headers, header::UPGRADE, "websocket")
            && headers
                .get(header::SEC_WEBSOCKET_VERSION)
                .is_some_and(|version| version.as_bytes() == b"13");
        let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
        let accept = derive_accept_key(key.as_bytes());
        let accept = HeaderValue::from_str(&accept).ok()?;
        wanted.then_some(Self { accept })
    }

    /// Answers 101 and runs the connection once it is ours.
    pub(crate) fn grant(self, granted: Upgrade, pending: OnUpgrade) -> Response {
        let Upgrade {
            protocol,
            max_message,
            serve,
            ..
        } = granted;
        tokio::spawn(async move {
            match pending.await {
                Ok(upgraded) => serve(socket(upgraded, max_message).await).await,
                Err(error) => tracing::debug!(%error, "upgrade not completed"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(Ok(protocol)) = protocol.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

/// Takes the connection out of a request, to be had after the 101 has been sent.
pub(crate) fn pending(request: &mut Request) -> OnUpgrade {
    hyper::upgrade::on(request)
}

/// Whether a comma-separated header names a token, in any case.
fn lists(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
    })
}

async fn socket(upgraded: Upgraded, max_message: usize) -> BoxSocket {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 << 20)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let inner =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    Box::pin(ServerSocket { inner })
}

struct ServerSocket {
    inner: WebSocketStream<TokioIo<Upgraded>>,
}

impl Stream for ServerSocket {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                None => None,
                Some(Ok(message)) => match from_wire(message) {
                    Some(frame) => Some(Ok(frame)),
                    None => continue,
                },
                Some(Err(
                    tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed,
                )) => None,
                Some(Err(error)) => Some(Err(wire_error(error))),
            });
        }
    }
}

impl Sink<Frame> for ServerSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_ready(cx).map_err(wire_error)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<()> {
        let message = to_wire(frame)?;
        Pin::new(&mut self.inner)
            .start_send(message)
            .map_err(wire_error)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(wire_error)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx).map_err(wire_error)
    }
}

fn from_wire(message: Message) -> Option<Frame> {
    Some(match message {
        Message::Text(text) => Frame::Text(text.into()),
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Ping(bytes) => Frame::Ping(bytes),
        Message::Pong(bytes) => Frame::Pong(bytes),
        Message::Close(close) => Frame::Close(
            close.map(|close| CloseFrame::new(close.code.into(), close.reason.as_str())),
        ),
        Message::Frame(_) => return None,
    })
}

fn to_wire(frame: Frame) -> Result<Message> {
    Ok(match frame {
        Frame::Text(bytes) => Message::Text(
            Utf8Bytes::try_from(bytes)
                .map_err(|_| Error::new(ErrorKind::Invalid, "a text frame has to be UTF-8"))?,
        ),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Ping(bytes) => Message::Ping(bytes),
        Frame::Pong(bytes) => Message::Pong(bytes),
        Frame::Close(close) => Message::Close(close.map(|close| WireClose {
            code: CloseCode::from(close.code),
            reason: close.reason.into(),
        })),
        _ => return Err(Error::new(ErrorKind::Unsupported, "no such frame")),
    })
}

fn wire_error(error: tungstenite::Error) -> Error {
    let kind = match &error {
        tungstenite::Error::Capacity(_) => ErrorKind::Invalid,
        tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => ErrorKind::Protocol,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "the websocket broke").with_source(error)
}
