//! Websockets of clients: bounded, closed with the server, and able to break on demand.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::server::Closed;

/// Frames that wait to be written to one client; who reads slower than that is cut off.
const MAX_QUEUE: usize = 65_536;
/// Frames of a client that wait to be looked at; beyond that nothing is read from it.
const MAX_UNREAD: usize = 256;
/// How long a client may take to read one frame.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How an emulator keeps its sockets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// The largest message of a client, in bytes.
    pub(crate) max_message: usize,
    /// How often the client is pinged; never when absent.
    pub(crate) ping: Option<Duration>,
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Bytes),
    Ping,
    Pong,
    /// The code of the close frame, when it had one.
    Close(Option<u16>),
}

#[derive(Debug)]
enum Order {
    Send(Message),
    Close(u16, &'static str),
    Stall,
    Cut,
}

/// The server's end of a websocket. Clones are the same socket; it lives until it is closed or cut.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    orders: mpsc::Sender<Order>,
}

impl Socket {
    /// Sends a text; false when the socket is gone or hopelessly behind.
    pub(crate) fn text(&self, text: String) -> bool {
        self.order(Order::Send(Message::Text(text.into())))
    }

    /// Sends bytes; false when the socket is gone or hopelessly behind.
    pub(crate) fn binary(&self, bytes: Bytes) -> bool {
        self.order(Order::Send(Message::Binary(bytes)))
    }

    /// Begins the closing handshake after all that was sent before.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.order(Order::Close(code, reason));
    }

    /// Drops the connection without a word, after all that was sent before.
    pub(crate) fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Neither reads nor writes nor pings any more, with the connection left open.
    pub(crate) fn stall(&self) {
        self.order(Order::Stall);
    }

    fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }
}

/// The frames of a client, in order; ends with the connection.
#[derive(Debug)]
pub(crate) struct Frames(mpsc::Receiver<Frame>);

impl Frames {
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        self.0.recv().await
    }
}

/// Answers an upgrade and runs `serve` on the open socket, which ends when `serve` is over and every [`Socket`] dropped.
pub(crate) fn accept<F>(
    upgrade: WebSocketUpgrade,
    closed: Option<Closed>,
    settings: Settings,
    serve: impl FnOnce(Socket, Frames) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    upgrade
        .max_message_size(settings.max_message)
        .max_frame_size(settings.max_message)
        .on_upgrade(move |connection| async move {
            let (orders, pending) = mpsc::channel(MAX_QUEUE);
            let (frames, unread) = mpsc::channel(MAX_UNREAD);
            let ended = async {
                match closed {
                    Some(closed) => closed.wait().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = async {
                    tokio::join!(
                        serve(Socket { orders }, Frames(unread)),
                        pump(connection, settings, pending, frames),
                    )
                    .0
                } => {}
                () = ended => {}
            }
        })
}

/// Moves frames both ways until either side has had enough.
async fn pump(
    mut connection: WebSocket,
    settings: Settings,
    mut orders: mpsc::Receiver<Order>,
    frames: mpsc::Sender<Frame>,
) {
    let every = settings.ping.unwrap_or(Duration::from_secs(3600));
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let outgoing = tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Send(message)) => message,
                Some(Order::Close(code, reason)) => {
                    return goodbye(connection, code, reason, &frames).await;
                }
                Some(Order::Stall) => return stalled(connection, orders).await,
                Some(Order::Cut) | None => return,
            },
            read = connection.recv() => {
                let Some(Ok(message)) = read else { return };
                let frame = frame(message);
                let is_end = matches!(frame, Frame::Close(_));
                let is_heard = frames.send(frame).await.is_ok();
                if is_end {
                    return farewell(connection).await;
                }
                if !is_heard {
                    return;
                }
                continue;
            }
            _ = ticks.tick(), if settings.ping.is_some() => Message::Ping(Bytes::new()),
        };
        let written = timeout(WRITE_TIMEOUT, connection.send(outgoing)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// Reads on after the client's close frame, which is what answers it.
async fn farewell(mut connection: WebSocket) {
    let ending = async { while let Some(Ok(_)) = connection.recv().await {} };
    let _ = timeout(CLOSE_TIMEOUT, ending).await;
}

/// Sends a close frame, and reads on until the client has answered it.
async fn goodbye(
    mut connection: WebSocket,
    code: u16,
    reason: &'static str,
    frames: &mpsc::Sender<Frame>,
) {
    let close = Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }));
    let ending = async {
        if connection.send(close).await.is_err() {
            return;
        }
        while let Some(Ok(message)) = connection.recv().await {
            let frame = frame(message);
            if matches!(frame, Frame::Close(_)) || frames.send(frame).await.is_err() {
                return;
            }
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, ending).await;
}

/// Holds the connection open and does nothing with it.
async fn stalled(connection: WebSocket, mut orders: mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        if matches!(order, Order::Cut) {
            break;
        }
    }
    drop(connection);
}

fn frame(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::Text(text.as_str().to_owned()),
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Ping(_) => Frame::Ping,
        Message::Pong(_) => Frame::Pong,
        Message::Close(close) => Frame::Close(close.map(|close| close.code)),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Extension;
    use axum::routing::any;
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::net::TcpStream;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::Server;

    const SETTINGS: Settings = Settings {
        max_message: 1024,
        ping: Some(Duration::from_millis(20)),
    };

    /// Repeats texts; some words are orders.
    async fn echo(upgrade: WebSocketUpgrade, closed: Option<Extension<Closed>>) -> Response {
        let closed = closed.map(|Extension(closed)| closed);
        accept(upgrade, closed, SETTINGS, |socket, mut frames| async move {
            while let Some(frame) = frames.next().await {
                let Frame::Text(text) = frame else { continue };
                match text.as_str() {
                    "close" => socket.close(4000, "as asked"),
                    "cut" => socket.cut(),
                    "stall" => socket.stall(),
                    _ => assert!(socket.text(text)),
                }
            }
        })
    }

    async fn connected() -> (Server, WebSocketStream<TcpStream>) {
        let router = Router::new().route("/", any(echo));
        let server = Server::start(([127, 0, 0, 1], 0).into(), router)
            .await
            .unwrap();
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let url = format!("ws://{}/", server.address());
        let (client, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        (server, client)
    }

    /// The next message that is no ping; `None` at the end.
    async fn next(client: &mut WebSocketStream<TcpStream>) -> Option<Message> {
        let read = async {
            loop {
                match client.next().await {
                    Some(Ok(Message::Ping(_))) => {}
                    Some(Ok(message)) => return Some(message),
                    _ => return None,
                }
            }
        };
        timeout(Duration::from_secs(10), read).await.unwrap()
    }

    #[tokio::test]
    async fn texts_go_both_ways_and_the_client_is_pinged() {
        let (_server, mut client) = connected().await;
        client.send("hello".into()).await.unwrap();
        assert_eq!(next(&mut client).await, Some("hello".into()));
        let ping = timeout(Duration::from_secs(10), client.next()).await;
        assert!(matches!(ping.unwrap(), Some(Ok(Message::Ping(_)))));
    }

    #[tokio::test]
    async fn closes_with_a_code_or_without_a_word() {
        let (_server, mut client) = connected().await;
        client.send("close".into()).await.unwrap();
        let Some(Message::Close(Some(frame))) = next(&mut client).await else {
            unreachable!("expected a close frame");
        };
        assert_eq!(u16::from(frame.code), 4000);
        let (_server, mut client) = connected().await;
        client.send("cut".into()).await.unwrap();
        assert_eq!(next(&mut client).await, None);
    }

    #[tokio::test]
    async fn answers_the_close_frame_of_a_client() {
        let (_server, mut client) = connected().await;
        client.close(None).await.unwrap();
        assert!(matches!(next(&mut client).await, Some(Message::Close(_))));
        // The handshake is over, and not broken off.
        assert!(client.next().await.is_none());
    }

    #[tokio::test]
    async fn refuses_a_message_above_the_limit() {
        let (_server, mut client) = connected().await;
        client.send("x".repeat(2000).into()).await.unwrap();
        assert_eq!(next(&mut client).await, None);
    }

    #[tokio::test]
    async fn ends_with_the_server_even_when_stalled() {
        let (server, mut client) = connected().await;
        client.send("stall".into()).await.unwrap();
        client.send("unanswered".into()).await.unwrap();
        server.stop();
        assert_eq!(next(&mut client).await, None);
    }
}
