//! Websockets.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Backoff, BoxSocket, CloseFrame, Error, ErrorKind, Frame, SocketConnector as _, SocketRequest,
    Transport,
};
use channel_http::HttpTransport;
use channel_http::reconnect::{
    Cause, DialAddress, ReconnectSettings, ReconnectingSocket, SocketEvent,
};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as WsClose, Role};

use crate::client;
use crate::server::{Server, read_request};

const CANARY: &str = "xapp-1-A0B1C2-canary";

/// A websocket server that hands each open socket to `serve`.
async fn websocket<F, Fut>(serve: F) -> Server
where
    F: Fn(WebSocketStream<TcpStream>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Server::start(move |stream, _| {
        let serve = serve.clone();
        async move {
            if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                serve(socket).await;
            }
        }
    })
    .await
}

async fn echo() -> Server {
    websocket(|mut socket| async move {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

fn request(server: &Server) -> SocketRequest {
    let url = format!("ws://{}/link?ticket={CANARY}", server.address);
    SocketRequest::new(Request::get(url).body(()).unwrap())
}

async fn open(server: &Server) -> BoxSocket {
    client().connect(request(server)).await.unwrap()
}

async fn refused_by(answer: &str) -> Error {
    let server = Server::answering(answer).await;
    match client().connect(request(&server)).await {
        Ok(_) => panic!("the socket is open"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn sends_and_receives_text_and_bytes() {
    let server = echo().await;
    let mut socket = open(&server).await;
    for frame in [
        Frame::text("grüße"),
        Frame::Binary(Bytes::from_static(&[0, 255, 1])),
        Frame::text(""),
        Frame::text("x".repeat(300_000)),
    ] {
        socket.send(frame.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), frame);
    }
}

#[tokio::test]
async fn sends_the_headers_of_the_request() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let server = Server::start(move |mut stream, _| {
        let tell = tell.lock().unwrap().take();
        async move {
            let request = read_request(&mut stream).await.unwrap();
            tell.unwrap().send(request).unwrap();
        }
    })
    .await;
    let mut request = request(&server);
    request
        .request
        .headers_mut()
        .insert("authorization", "Bearer me".parse().unwrap());
    assert!(client().connect(request).await.is_err());
    let seen = told.await.unwrap().to_ascii_lowercase();
    for line in [
        "get /link?ticket=",
        "authorization: bearer me\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-version: 13\r\n",
        "user-agent: channel-kit/",
    ] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert!(seen.contains(&format!("host: {}\r\n", server.address)));
}

#[tokio::test]
async fn answers_pings_by_itself() {
    let server = websocket(|mut socket| async move {
        let ping = Message::Ping(Bytes::from_static(b"are you there"));
        socket.send(ping).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Pong(payload) = message {
                socket.send(Message::Binary(payload)).await.unwrap();
            }
        }
    })
    .await;
    let mut socket = open(&server).await;
    let ping = socket.next().await.unwrap().unwrap();
    assert_eq!(ping, Frame::Ping(Bytes::from_static(b"are you there")));
    let answered = socket.next().await.unwrap().unwrap();
    assert_eq!(
        answered,
        Frame::Binary(Bytes::from_static(b"are you there"))
    );
}

#[tokio::test]
async fn ends_after_the_peer_has_closed() {
    let server = websocket(|mut socket| async move {
        let close = WsClose {
            code: CloseCode::from(4004),
            reason: "token".into(),
        };
        socket.close(Some(close)).await.unwrap();
        while socket.next().await.is_some() {}
    })
    .await;
    let mut socket = open(&server).await;
    let close = socket.next().await.unwrap().unwrap();
    assert_eq!(close, Frame::Close(Some(CloseFrame::new(4004, "token"))));
    assert!(socket.next().await.is_none());
    assert!(socket.next().await.is_none());
    assert!(socket.send(Frame::text("late")).await.is_err());
}

#[tokio::test]
async fn closes_with_a_code() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = websocket(move |mut socket| {
        let tell = tell.clone();
        async move {
            while let Some(Ok(message)) = socket.next().await {
                let _ = tell.send(message);
            }
        }
    })
    .await;
    let mut socket = open(&server).await;
    socket.send(Frame::close(1001, "bye")).await.unwrap();
    let Some(Message::Close(Some(close))) = told.recv().await else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(close.code), 1001);
    assert_eq!(close.reason.as_str(), "bye");
    while let Some(item) = socket.next().await {
        assert!(matches!(item, Ok(Frame::Close(_))));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable() {
    let server = websocket(|socket| async move { drop(socket) }).await;
    let mut socket = open(&server).await;
    let error = socket.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn refuses_a_message_that_is_too_large() {
    for fragmented in [false, true] {
        let server = Server::start(move |stream, _| async move {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            if fragmented {
                let stream = socket.get_mut();
                // Text without FIN, then continuations without end: 100 bytes each.
                let mut frame = vec![0x01, 100];
                frame.extend([b'a'; 100]);
                while stream.write_all(&frame).await.is_ok() {
                    frame[0] = 0x00;
                }
            } else {
                let _ = socket.send(Message::text("a".repeat(1001))).await;
            }
        })
        .await;
        let mut request = request(&server);
        request.max_message = 1000;
        let mut socket = client().connect(request).await.unwrap();
        let error = socket.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(socket.next().await.is_none());
    }
}

#[tokio::test]
async fn refuses_frames_that_break_the_protocol() {
    let mut long_ping = vec![0x89, 126, 0, 126];
    long_ping.extend([0; 126]);
    for bytes in [
        &[0x81, 2, 0xc3, 0x28][..],       // text that is not UTF-8
        &[0xf1, 1, b'a'][..],             // reserved bits
        &[0x83, 0][..],                   // reserved opcode
        &long_ping[..],                   // a ping of more than 125 bytes
        &[0x81, 0x81, 0, 0, 0, 0, 0][..], // masked by the server
    ] {
        let bytes = bytes.to_vec();
        let server = websocket(move |mut socket| {
            let bytes = bytes.clone();
            async move {
                let _ = socket.get_mut().write_all(&bytes).await;
                while let Some(Ok(_)) = socket.next().await {}
            }
        })
        .await;
        let mut socket = open(&server).await;
        let error = socket.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn refuses_to_send_what_the_protocol_cannot_carry() {
    let server = echo().await;
    let mut socket = open(&server).await;
    for frame in [
        Frame::Text(Bytes::from_static(&[0xff])),
        Frame::Ping(Bytes::from(vec![0; 126])),
        Frame::Close(Some(CloseFrame::new(1000, "ü".repeat(62)))),
    ] {
        let error = socket.send(frame).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    socket.send(Frame::text("still open")).await.unwrap();
    assert!(socket.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_refused_handshake_says_what_to_do_next() {
    for (status, kind) in [
        (302, ErrorKind::Protocol),
        (200, ErrorKind::Protocol),
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
    ] {
        let error = refused_by(&format!(
            "HTTP/1.1 {status} peer-said\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\npeer-said"
        ))
        .await;
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.code(), Some(status.to_string().as_str()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("peer-said") && !text.contains(CANARY));
    }
}

#[tokio::test]
async fn an_answer_without_the_right_key_is_a_protocol_error() {
    let error = refused_by(
        "HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let error = refused_by("peer-said hello\r\n\r\n").await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(!format!("{error:?}").contains("peer-said"));
}

#[tokio::test]
async fn a_handshake_without_answer_ends_in_time() {
    let server = Server::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut request = request(&server);
    request.connect_timeout = Duration::from_millis(50);
    let error = client().connect(request).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_handshake_cut_off_is_unavailable() {
    let server = Server::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 101 Swi").await;
    })
    .await;
    let error = client().connect(request(&server)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/{CANARY}", listener.local_addr().unwrap());
    drop(listener);
    let request = SocketRequest::new(Request::get(url).body(()).unwrap());
    let error = client().connect(request).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.source().unwrap().to_string(), "connection refused");
    assert!(!format!("{error:?}").contains(CANARY));
}

#[tokio::test]
async fn only_websocket_addresses_are_valid() {
    for url in ["http://a.example/", "https://a.example/", "/path"] {
        let request = SocketRequest::new(Request::get(url).body(()).unwrap());
        let error = client().connect(request).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[cfg(any(feature = "tls-aws-lc", feature = "tls-ring"))]
#[tokio::test]
async fn speaks_tls_and_offers_no_http2() {
    let pki = crate::tls::pki("localhost", &["h2", "http/1.1"], |_| {});
    let acceptor = pki.acceptor();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            socket.send(Message::text("hello")).await.unwrap();
        }
    })
    .await;
    let url = format!("wss://localhost:{}/", server.address.port());
    let request = SocketRequest::new(Request::get(url).body(()).unwrap());
    let mut socket = pki.client().connect(request).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("hello"));
}

#[tokio::test]
async fn connects_through_the_configured_proxy() {
    let server = echo().await;
    let (proxy, seen) = crate::proxy::tunnelling().await;
    let client = HttpTransport::builder()
        .proxy(proxy.url(""))
        .build()
        .unwrap();
    let mut socket = client.connect(request(&server)).await.unwrap();
    socket.send(Frame::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("hello"));
    assert!(!seen.lock().unwrap()[0].contains(CANARY));
}

/// A message sent right behind the handshake must not be lost with the handshake's buffer.
#[tokio::test]
async fn keeps_what_comes_together_with_the_handshake() {
    let server = Server::start(|mut stream, _| async move {
        let request = read_request(&mut stream).await.unwrap();
        let key = request
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
            .unwrap()
            .1;
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let mut bytes = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
             connection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend(b"\x81\x05hello");
        stream.write_all(&bytes).await.unwrap();
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        socket.for_each(|_| async {}).await;
    })
    .await;
    let mut socket = open(&server).await;
    assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("hello"));
}

/// The reconnecting socket over real ones: a server that breaks each socket after one message.
#[tokio::test]
async fn a_reconnecting_socket_outlives_its_connections() {
    let server = websocket(|mut socket| async move {
        let _ = socket.send(Message::text("hello")).await;
    })
    .await;
    let transport = Transport::from(client());
    let dial = DialAddress::new(Arc::clone(&transport.sockets), request(&server));
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
    let settings = ReconnectSettings::new().backoff(backoff);
    let mut socket = ReconnectingSocket::new(Arc::new(dial), &transport, settings);
    let counters = socket.counters();
    let mut hellos = 0;
    while hellos < 5 {
        if let Some(SocketEvent::Frame { frame, .. }) = socket.next().await {
            assert_eq!(frame, Frame::text("hello"));
            hellos += 1;
        }
    }
    assert_eq!(server.connections(), 5);
    assert_eq!(counters.count(Cause::Broken), 4);
    socket.close();
    while socket.next().await.is_some() {}
}
