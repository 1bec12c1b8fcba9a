use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use channel_core::{Frame, SocketRequest};
use channel_webhook::{Server, ServerConfig};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Hand, Site, read_all, status_of};

const GOOD: &str = "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn two_requests_on_one_connection_are_two_requests() {
    let site = Site::open().await;
    let second = GOOD.replace("Host: a", "Host: a\r\nConnection: close");
    let answer = site.talk(format!("{GOOD}{second}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(site.taken(), 2);
}

#[tokio::test]
async fn a_smuggled_request_is_never_served() {
    let site = Site::open().await;
    let chunked = "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nTransfer-Encoding: chunked\r\n";
    for head in [
        // Both a length and a coding, in both orders.
        format!("{chunked}Content-Length: 4\r\n\r\n0\r\n\r\n{GOOD}"),
        format!(
            "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{GOOD}"
        ),
        // Two lengths.
        format!(
            "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\n{{}}{GOOD}"
        ),
        // A folded line, a bare line feed.
        format!(
            "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n{GOOD}"
        ),
        format!("POST /hook HTTP/1.1\nX-Secret: s\nContent-Length: 0\n\n{GOOD}"),
        // HTTP/2 by prior knowledge.
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{GOOD}"),
    ] {
        let answer = site.talk(&head).await;
        assert!(!answer.contains(" 200 "), "{head}\n{answer}");
        assert_eq!(site.taken(), 0, "{head}");
    }
    // After a chunked body nothing more is read from the connection.
    let answer = site
        .talk(format!("{chunked}\r\n2\r\n{{}}\r\n0\r\n\r\n{GOOD}"))
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert_eq!(site.taken(), 1);
}

#[tokio::test]
async fn an_upgrade_or_a_coding_ends_the_connection_wherever_it_is_sent() {
    let site = Site::open().await;
    let second = GOOD.replace("\r\n", "\n");
    for first in [
        "GET /nowhere HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "PUT /hook HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = site.talk(format!("{first}{second}")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{first}\n{answer}");
        assert_eq!(site.taken(), 0, "{first}");
    }
}

#[tokio::test]
async fn an_upgrade_on_a_webhook_path_is_refused() {
    let site = Site::open().await;
    let request = GOOD.replace(
        "Host: a",
        "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket",
    );
    let answer = site.talk(format!("{request}{GOOD}")).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(status_of(&answer), 400);
    assert_eq!(site.taken(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let site = Site::open().await;
    let many = "A: b\r\n".repeat(10_000);
    let long = format!("A: {}\r\n", "b".repeat(64 * 1024));
    for headers in [many, long] {
        let answer = site
            .talk(format!(
                "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\n{headers}Content-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert_ne!(status_of(&answer), 200, "{answer}");
    }
    assert_eq!(site.taken(), 0);
}

#[tokio::test]
async fn a_hundred_headers_are_taken_and_no_more() {
    let site = Site::open().await;
    // Four of them are there anyway.
    for (count, taken) in [(96, true), (97, false)] {
        let headers = "A: b\r\n".repeat(count);
        let answer = site
            .talk(format!(
                "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nConnection: close\r\n{headers}Content-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert_eq!(status_of(&answer) == 200, taken, "{count}: {answer}");
    }
    assert_eq!(site.taken(), 1);
}

#[tokio::test]
async fn slow_heads_are_cut_and_others_are_served_meanwhile() {
    let mut config = ServerConfig::default();
    config.head_within = Duration::from_millis(300);
    let site = Site::open_with(config).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = site.connect().await;
        stream
            .write_all(b"POST /hook HTTP/1.1\r\nHost: a\r\nX-Sec")
            .await
            .unwrap();
        slow.push(stream);
    }
    assert_eq!(
        site.status("POST", "/hook", "X-Secret: s\r\n", "{}").await,
        200
    );
    // Every one of them sees its connection end; without the timeout this waits for ever.
    for stream in &mut slow {
        let answer = read_all(stream).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_ended() {
    let mut config = ServerConfig::default();
    config.head_within = Duration::from_millis(200);
    let site = Site::open_with(config).await;
    let mut stream = site.connect().await;
    stream.write_all(GOOD.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert_eq!(status_of(&answer), 200);
}

#[tokio::test]
async fn a_closed_server_finishes_requests_and_takes_no_more() {
    let site = Site::open().await;
    let mut stream = site.connect().await;
    stream.write_all(&GOOD.as_bytes()[..20]).await.unwrap();
    site.server.close();
    stream.write_all(&GOOD.as_bytes()[20..]).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.is_empty() || status_of(&answer) == 200, "{answer}");
    let clock = channel_http::transport().clock;
    let address = site.address;
    site.server
        .finish(Duration::from_secs(5), clock.as_ref())
        .await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_when_the_server_finishes() {
    let site = Site::open().await;
    let mut stream = site.connect().await;
    let request = GOOD.replace("/hook", "/held");
    stream.write_all(request.as_bytes()).await.unwrap();
    while site.taken() == 0 {
        tokio::task::yield_now().await;
    }
    let clock = channel_http::transport().clock;
    site.server.finish(Duration::ZERO, clock.as_ref()).await;
    // Nobody answers, so only the end of the connection lets this return.
    assert_eq!(read_all(&mut stream).await, "");
}

/// A server of one connection at a time, whose answers are larger than what kernels keep.
async fn large_answers(clock: Arc<Hand>) -> Server {
    let mut config = ServerConfig::default();
    config.max_connections = 1;
    config.clock = Some(clock);
    let router = Router::new().route("/", get(|| async { vec![b'x'; 32 << 20] }));
    Server::bind_with(config, ([127, 0, 0, 1], 0).into(), router)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_is_cut() {
    let clock = Arc::<Hand>::default();
    let server = large_answers(Arc::clone(&clock)).await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4);
    stuck.write_all(request.as_bytes()).await.unwrap();
    // There is room for another only when the first has gone.
    let mut next = TcpStream::connect(server.address()).await.unwrap();
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    next.write_all(last.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.ring();
    next.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_client_that_reads_now_and_then_is_not_cut() {
    let clock = Arc::<Hand>::default();
    let server = large_answers(Arc::clone(&clock)).await;
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    slow.write_all(request.as_bytes()).await.unwrap();
    // The server comes to wait several times and goes on each time.
    let mut waits = 0;
    let mut piece = vec![0; 4 << 20];
    while waits < 3 {
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        waits += 1;
        clock.forget();
        slow.read_exact(&mut piece).await.unwrap();
    }
    let rest = read_all(&mut slow).await;
    assert!(rest.len() > 16 << 20, "{} bytes", rest.len());
}

#[tokio::test]
async fn a_request_has_exactly_one_host() {
    let site = Site::open().await;
    let with = |version: &str, hosts: &str| {
        format!(
            "POST /hook HTTP/{version}\r\n{hosts}Connection: close\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    for (version, hosts) in [
        ("1.1", ""),
        ("1.1", "Host: a\r\nHost: a\r\n"),
        ("1.1", "Host: a\r\nhost: b\r\n"),
        ("1.0", "Host: a\r\nHost: b\r\n"),
        ("1.1", "Host: a b\r\n"),
        ("1.1", "Host: me@a\r\n"),
        ("1.1", "Host: a/b\r\n"),
        ("1.1", "Host: a, b\r\n"),
    ] {
        // What follows on such a connection is not read.
        let answer = site.talk(format!("{}{GOOD}", with(version, hosts))).await;
        let status = format!("HTTP/{version} 400 ");
        assert!(answer.starts_with(&status), "{hosts:?} {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
    }
    assert_eq!(site.taken(), 0);
    for (version, hosts) in [
        ("1.1", "Host: bot.example:8443\r\n"),
        ("1.1", "Host: [::1]:8780\r\n"),
        ("1.1", "Host:\r\n"),
        ("1.0", ""),
    ] {
        let answer = site.talk(with(version, hosts)).await;
        assert!(answer.contains(" 200 "), "{version} {hosts:?}");
    }
    assert_eq!(site.taken(), 4);
}

#[tokio::test]
async fn websockets_have_a_bound_of_their_own() {
    let mut config = ServerConfig::default();
    config.max_connections = 1;
    config.max_websockets = 2;
    let site = Site::open_with(config).await;
    let headers = [("x-secret", "s"), ("sec-websocket-protocol", "stub.v1")];
    // Refused upgrades take no place.
    for _ in 0..3 {
        assert!(websocket(&site, &[]).await.is_err());
    }
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(websocket(&site, &headers).await.unwrap());
    }
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = site.talk(upgrade).await;
    assert_eq!(status_of(&answer), 503);
    assert!(answer.to_lowercase().contains("retry-after: 5"), "{answer}");
    // They take no place from webhooks, and one that ends makes room.
    assert_eq!(
        site.status("POST", "/hook", "X-Secret: s\r\n", "{}").await,
        200
    );
    let mut last = open.pop().unwrap();
    last.send(Frame::close(1000, "")).await.unwrap();
    while last.next().await.is_some() {}
    drop(last);
    while websocket(&site, &headers).await.is_err() {
        tokio::task::yield_now().await;
    }
}

async fn websocket(
    site: &Site,
    headers: &[(&'static str, &'static str)],
) -> channel_core::Result<channel_core::BoxSocket> {
    let mut request = http::Request::builder().uri(format!("ws://{}/ws", site.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = SocketRequest::new(request.body(()).unwrap());
    channel_http::transport().sockets.connect(request).await
}

#[tokio::test]
async fn a_websocket_is_served() {
    let site = Site::open().await;
    let headers = [("x-secret", "s"), ("sec-websocket-protocol", "stub.v1")];
    let mut socket = websocket(&site, &headers).await.unwrap();
    socket.send(Frame::text("hello")).await.unwrap();
    let echo = socket.next().await.unwrap().unwrap();
    assert_eq!(echo, Frame::text("hello"));
}

#[tokio::test]
async fn a_refused_upgrade_keeps_its_status() {
    let site = Site::open().await;
    let error = websocket(&site, &[]).await.err().unwrap();
    assert_eq!(error.kind(), channel_core::ErrorKind::Unauthenticated);
    let answer = site
        .talk("GET /ws HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\n\r\n")
        .await;
    assert_eq!(status_of(&answer), 426);
}

#[tokio::test]
async fn a_websocket_message_over_the_limit_is_told_so() {
    let site = Site::open().await;
    let headers = [("x-secret", "s"), ("sec-websocket-protocol", "stub.v1")];
    let mut socket = websocket(&site, &headers).await.unwrap();
    socket.send(Frame::text("x".repeat(1001))).await.unwrap();
    let Some(Ok(Frame::Close(Some(close)))) = socket.next().await else {
        panic!("not closed");
    };
    assert_eq!(close.code, 1009);
}

#[tokio::test]
async fn a_websocket_message_far_over_the_limit_is_told_so_too() {
    let site = Site::open().await;
    let headers = [("x-secret", "s"), ("sec-websocket-protocol", "stub.v1")];
    let mut socket = websocket(&site, &headers).await.unwrap();
    // Most of it is still unread when the server closes.
    socket.send(Frame::text("x".repeat(8 << 20))).await.unwrap();
    let Some(Ok(Frame::Close(Some(close)))) = socket.next().await else {
        panic!("not closed");
    };
    assert_eq!(close.code, 1009);
}
