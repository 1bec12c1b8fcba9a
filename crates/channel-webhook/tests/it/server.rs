use std::time::Duration;

use channel_core::{Frame, SocketRequest};
use channel_webhook::ServerConfig;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Site, read_all, status_of};

const GOOD: &str = "POST /hook HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn two_requests_on_one_connection_are_two_requests() {
    let site = Site::open().await;
    let second = GOOD.replace("Host: a", "Connection: close");
    let answer = site.talk(format!("{GOOD}{second}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(site.taken(), 2);
}

#[tokio::test]
async fn a_smuggled_request_is_never_served() {
    let site = Site::open().await;
    let chunked = "POST /hook HTTP/1.1\r\nX-Secret: s\r\nTransfer-Encoding: chunked\r\n";
    for head in [
        // Both a length and a coding, in both orders.
        format!("{chunked}Content-Length: 4\r\n\r\n0\r\n\r\n{GOOD}"),
        format!(
            "POST /hook HTTP/1.1\r\nX-Secret: s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{GOOD}"
        ),
        // Two lengths.
        format!(
            "POST /hook HTTP/1.1\r\nX-Secret: s\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\n{{}}{GOOD}"
        ),
        // A folded line, a bare line feed.
        format!(
            "POST /hook HTTP/1.1\r\nX-Secret: s\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n{GOOD}"
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
        "GET /nowhere HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "PUT /hook HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = site.talk(format!("{first}{second}")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{first}\n{answer}");
        assert_eq!(site.taken(), 0, "{first}");
    }
}

#[tokio::test]
async fn an_upgrade_on_a_webhook_path_is_refused() {
    let site = Site::open().await;
    let request = GOOD.replace("Host: a", "Connection: upgrade\r\nUpgrade: websocket");
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
                "POST /hook HTTP/1.1\r\nX-Secret: s\r\n{headers}Content-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert_ne!(status_of(&answer), 200, "{answer}");
    }
    assert_eq!(site.taken(), 0);
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
            .write_all(b"POST /hook HTTP/1.1\r\nX-Sec")
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
    let answer = site.talk("GET /ws HTTP/1.1\r\nX-Secret: s\r\n\r\n").await;
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
