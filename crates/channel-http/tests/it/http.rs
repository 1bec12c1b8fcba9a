//! Plain requests.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{ErrorKind, HttpBody, HttpClient as _, HttpError, HttpErrorKind, HttpRequest};
use channel_http::{HttpTransport, Resolve};
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use crate::server::{Server, ok, read_request};
use crate::{client, get};

const CANARY: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

fn post(url: &str, body: impl Into<HttpBody>) -> HttpRequest {
    HttpRequest::new(Request::post(url).body(body.into()).unwrap())
}

/// A server that reads one request, writes an answer and closes.
async fn closing(answer: &'static str) -> Server {
    Server::start(move |mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

/// A server that writes an answer after the request and then keeps still.
async fn stalling(answer: &'static str) -> Server {
    Server::start(move |mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        std::future::pending::<()>().await;
    })
    .await
}

/// A server that keeps the text of its requests.
async fn recording() -> (Server, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let server = Server::start(move |mut stream, _| {
        let log = Arc::clone(&log);
        async move {
            while let Some(request) = read_request(&mut stream).await {
                log.lock().unwrap().push(request);
                stream.write_all(ok("").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (server, seen)
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[derive(Debug)]
struct NeverResolves;

#[channel_core::async_trait]
impl Resolve for NeverResolves {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn reads_an_answer() {
    let server = Server::answering(ok("hello")).await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(&response.body()[..], b"hello");
}

#[tokio::test]
async fn any_status_is_a_response() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno").await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(&response.body()[..], b"no");
}

#[tokio::test]
async fn sends_the_pieces_of_a_body_in_order() {
    let (server, seen) = recording().await;
    let body = HttpBody::from_pieces(vec![
        Bytes::from_static(b"one "),
        Bytes::new(),
        Bytes::from_static(b"two"),
    ]);
    client()
        .execute(post(&server.url("/x?y=z"), body))
        .await
        .unwrap();
    let request = seen.lock().unwrap().remove(0);
    assert!(request.starts_with("POST /x?y=z HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-length: 7\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\none two"), "{request}");
}

#[tokio::test]
async fn adds_only_host_and_user_agent() {
    let (server, seen) = recording().await;
    let client = client();
    client.execute(get(&server.url("/"))).await.unwrap();
    client
        .execute(post(&server.url("/"), HttpBody::empty()))
        .await
        .unwrap();
    let seen = seen.lock().unwrap();
    let names = |request: &str| {
        let mut names: Vec<_> = request
            .lines()
            .skip(1)
            .filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&seen[0]), ["host", "user-agent"]);
    assert_eq!(names(&seen[1]), ["content-length", "host", "user-agent"]);
}

#[tokio::test]
async fn uses_a_connection_again() {
    let server = Server::answering(ok("hello")).await;
    let client = client();
    for _ in 0..3 {
        client.execute(get(&server.url("/"))).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn repeats_a_request_on_a_connection_that_closed_while_idle() {
    let closed = Arc::new(Notify::new());
    let tell = Arc::clone(&closed);
    let server = Server::start(move |mut stream, _| {
        let tell = Arc::clone(&tell);
        async move {
            read_request(&mut stream).await;
            stream.write_all(ok("hello").as_bytes()).await.unwrap();
            drop(stream);
            tell.notify_one();
        }
    })
    .await;
    let other = Server::answering(ok("")).await;
    let client = client();
    for _ in 0..10 {
        client
            .execute(post(&server.url("/"), b"{}".to_vec()))
            .await
            .unwrap();
        closed.notified().await;
        // Makes the runtime look at its sockets once more, so that the end has been seen.
        client.execute(get(&other.url("/"))).await.unwrap();
    }
    assert_eq!(server.connections(), 10);
}

#[tokio::test]
async fn follows_no_redirect() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(answer).await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn keeps_no_cookie() {
    let (server, seen) = recording().await;
    let cookies =
        Server::answering("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n").await;
    let client = client();
    client.execute(get(&cookies.url("/"))).await.unwrap();
    client.execute(get(&server.url("/"))).await.unwrap();
    assert!(!seen.lock().unwrap()[0].contains("a=b"));
}

#[tokio::test]
async fn does_not_unpack_a_body() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nzzzz";
    let server = Server::answering(answer).await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(&response.body()[..], b"zzzz");
}

#[tokio::test]
async fn a_refused_connection_is_unsent() {
    let error = client().execute(get(&nobody())).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Connect);
    assert!(!error.may_have_arrived());
    assert_eq!(error.source().unwrap().to_string(), "connection refused");
    assert_eq!(error.into_error(false).kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_unknown_host_is_unsent() {
    let error = client()
        .execute(get("http://nowhere.invalid/"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Connect);
    assert!(!error.may_have_arrived());
}

/// Two addresses, of which only the second leads anywhere.
#[derive(Debug)]
struct HalfDead;

#[channel_core::async_trait]
impl Resolve for HalfDead {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()])
    }
}

#[tokio::test]
async fn a_dead_address_is_passed_over() {
    let server = Server::answering(ok("hello")).await;
    let client = HttpTransport::builder()
        .resolver(Arc::new(HalfDead))
        .build()
        .unwrap();
    let url = format!("http://two.example:{}/", server.address.port());
    assert!(client.execute(get(&url)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_not_open_in_time_is_unsent() {
    let client = HttpTransport::builder()
        .resolver(Arc::new(NeverResolves))
        .build()
        .unwrap();
    let error = client.execute(get("http://a.example/")).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Timeout);
    assert!(!error.may_have_arrived());

    let hasty = get("http://a.example/").deadline(Duration::from_secs(1));
    let error = client.execute(hasty).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Timeout);
    assert!(!error.may_have_arrived());
}

#[tokio::test]
async fn a_request_without_answer_may_have_arrived() {
    let server = stalling("").await;
    for request in [
        get(&server.url("/")),
        post(&server.url("/"), b"{}".to_vec()),
        post(&server.url("/"), HttpBody::empty()),
    ] {
        let hasty = request.deadline(Duration::from_millis(100));
        let error = client().execute(hasty).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        assert!(error.may_have_arrived());
        assert_eq!(error.into_error(false).kind(), ErrorKind::Uncertain);
    }
}

#[tokio::test]
async fn a_connection_cut_before_the_answer_may_have_delivered_the_request() {
    let server = closing("").await;
    for request in [
        get(&server.url("/")),
        post(&server.url("/"), b"{}".to_vec()),
    ] {
        let error = client().execute(request).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Interrupted);
        assert!(error.may_have_arrived());
    }
}

#[tokio::test]
async fn a_body_cut_short_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ] {
        let server = closing(answer).await;
        let error = client().execute(get(&server.url("/"))).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Interrupted, "{answer}");
        assert!(error.may_have_arrived());
    }
}

#[tokio::test]
async fn bytes_after_the_announced_length_are_not_part_of_the_answer() {
    let server = closing("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more").await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(&response.body()[..], b"hello");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_an_error() {
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n"] {
        let server = closing(answer).await;
        let error = client().execute(get(&server.url("/"))).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Interrupted);
        assert!(error.may_have_arrived());
    }
}

#[tokio::test]
async fn an_endless_head_is_an_error() {
    let server = Server::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        let line = format!("x-filler: {}\r\n", "a".repeat(1000));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    })
    .await;
    let error = client().execute(get(&server.url("/"))).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Interrupted);
}

#[tokio::test]
async fn an_announced_oversize_is_refused_before_it_is_read() {
    let server = stalling("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await;
    let error = client()
        .execute(get(&server.url("/")).max_response(100))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::TooLarge);
    assert!(error.may_have_arrived());
}

#[tokio::test]
async fn an_unannounced_oversize_is_refused_while_it_is_read() {
    let server = Server::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        while stream.write_all(b"5\r\nendle\r\n").await.is_ok() {}
    })
    .await;
    let error = client()
        .execute(get(&server.url("/")).max_response(1000))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::TooLarge);
}

#[tokio::test]
async fn a_body_of_exactly_the_largest_size_passes() {
    let server = Server::answering(ok("12345")).await;
    let request = || get(&server.url("/"));
    let client = client();
    assert!(client.execute(request().max_response(5)).await.is_ok());
    assert!(client.execute(request().max_response(4)).await.is_err());
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let text: String = (0..100_000).map(|number| format!("{number},")).collect();
    let server = Server::answering(ok(&text)).await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.body(), text.as_bytes());
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up() {
    let server = stalling("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort").await;
    let client = HttpTransport::builder()
        .read_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let start = std::time::Instant::now();
    let error = client.execute(get(&server.url("/"))).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Timeout);
    assert!(error.may_have_arrived());
    // Long before the deadline of the request, which is 30 s.
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_dripping_body_ends_at_the_deadline() {
    let server = Server::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            .await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let request = get(&server.url("/")).deadline(Duration::from_millis(100));
    let error = client().execute(request).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Timeout);
}

#[tokio::test]
async fn an_address_without_scheme_or_host_is_invalid() {
    for url in ["/path", "ftp://a.example/", "ws://a.example/"] {
        let error = client().execute(get(url)).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Invalid, "{url}");
        assert!(!error.may_have_arrived());
    }
}

fn assert_silent(error: &HttpError) {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!("{source} {source:?}");
        next = source.source();
    }
    assert!(!text.contains(CANARY), "{text}");
    assert!(!text.contains("peer-said"), "{text}");
}

#[tokio::test]
async fn no_error_shows_the_address_or_what_the_peer_said() {
    let path = format!("/bot1:{CANARY}/getMe?key={CANARY}");
    let servers = [
        closing("").await,
        closing("peer-said nothing\r\n\r\n").await,
        closing("HTTP/1.1 200 peer-said\r\ncontent-length: 99999\r\n\r\npeer-said").await,
        closing("HTTP/1.1 200 OK\r\npeer-said\r\n\r\n").await,
        stalling("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\npeer-said").await,
    ];
    let mut urls: Vec<_> = servers.iter().map(|server| server.url(&path)).collect();
    urls.push(servers[0].url(&path).replace("http:", "https:"));
    urls.push(format!("http://nowhere.invalid{path}"));
    urls.push(format!("ftp://a.example{path}"));
    urls.push(nobody() + &path);
    let client = client();
    for url in urls {
        for guarded in [false, true] {
            let Ok(request) = Request::get(&url).body(HttpBody::empty()) else {
                continue;
            };
            let mut request = HttpRequest::new(request)
                .max_response(50)
                .deadline(Duration::from_millis(100));
            request.guarded = guarded;
            assert!(!format!("{request:?}").contains(CANARY));
            let error = client.execute(request).await.unwrap_err();
            assert_silent(&error);
            let error = error.into_error(true);
            assert!(!format!("{error} {error:?}").contains(CANARY));
        }
    }
}

#[tokio::test]
async fn a_bad_setting_is_an_error_and_not_a_panic() {
    for builder in [
        HttpTransport::builder().proxy("socks5://127.0.0.1:1"),
        HttpTransport::builder().proxy(":::"),
        HttpTransport::builder().proxy("http://%zz:x@127.0.0.1:1"),
        HttpTransport::builder().user_agent("a\r\nb: c"),
        HttpTransport::builder().root_certificates("not a certificate"),
        HttpTransport::builder()
            .root_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Config);
    }
}

/// Every name is this machine.
#[derive(Debug)]
struct Home;

#[channel_core::async_trait]
impl Resolve for Home {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

#[tokio::test]
async fn a_host_gets_no_more_connections_than_it_may_have() {
    let server = Server::start(|mut stream, _| async move {
        while read_request(&mut stream).await.is_some() {
            // Long enough for the others to want connections of their own.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            if stream.write_all(ok("").as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let client = HttpTransport::builder()
        .max_connections_per_host(3)
        .build()
        .unwrap();
    let url = |host: &str| format!("http://{host}:{}/", server.address.port());
    let names = ["127.0.0.1"; 50].map(url);
    let requests = names.iter().map(|url| client.execute(get(url)));
    for response in futures_util::future::join_all(requests).await {
        response.unwrap();
    }
    assert_eq!(server.connections(), 3);
    // However a name is written, it is one host; another host has places of its own.
    let client = HttpTransport::builder()
        .max_connections_per_host(1)
        .resolver(Arc::new(Home))
        .build()
        .unwrap();
    let urls = [url("one.example"), url("ONE.example"), url("two.example")];
    let requests = urls.iter().map(|url| client.execute(get(url)));
    for response in futures_util::future::join_all(requests).await {
        response.unwrap();
    }
    assert_eq!(server.connections(), 3 + 2);
}

#[tokio::test]
async fn a_request_does_not_wait_for_ever_for_a_connection() {
    let server = stalling("").await;
    let client = HttpTransport::builder()
        .max_connections_per_host(1)
        .connect_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let url = format!("http://{}/", server.address);
    let hangs = tokio::spawn({
        let (client, request) = (client.clone(), get(&url));
        async move { client.execute(request).await }
    });
    while server.connections() == 0 {
        tokio::task::yield_now().await;
    }
    let error = client.execute(get(&url)).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Timeout);
    assert!(!error.may_have_arrived());
    assert_eq!(server.connections(), 1);
    // When the one connection has gone there is a place again.
    hangs.abort();
    drop(hangs.await);
    let request = get(&url).deadline(Duration::from_millis(500));
    let error = client.execute(request).await.unwrap_err();
    assert!(error.may_have_arrived(), "{error:?}");
    assert_eq!(server.connections(), 2);
}
