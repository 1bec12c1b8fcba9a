//! Proxies: only the one that was configured.

use std::sync::{Arc, Mutex};

use channel_core::{HttpClient as _, HttpErrorKind};
use channel_http::HttpTransport;
use tokio::io::AsyncWriteExt as _;

use crate::server::{Server, ok, read_request};
use crate::{client, get};

/// A proxy that tunnels to wherever it is asked to, and keeps what it was asked.
pub async fn tunnelling() -> (Server, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let server = Server::start(move |mut stream, _| {
        let log = Arc::clone(&log);
        async move {
            let request = read_request(&mut stream).await.unwrap();
            let target = request.split(' ').nth(1).unwrap().to_owned();
            log.lock().unwrap().push(request);
            let mut inner = tokio::net::TcpStream::connect(target).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
                .unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
        }
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn connects_through_the_configured_proxy() {
    let server = Server::answering(ok("hello")).await;
    let (proxy, seen) = tunnelling().await;
    let client = HttpTransport::builder()
        .proxy(format!("http://me:pass%20word@{}", proxy.address))
        .build()
        .unwrap();
    assert!(!format!("{client:?}").contains("pass"));
    let response = client.execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(&response.body()[..], b"hello");
    let request = seen.lock().unwrap().remove(0);
    let head = format!("CONNECT {} HTTP/1.1\r\n", server.address);
    assert!(request.starts_with(&head), "{request}");
    assert!(request.contains("Basic bWU6cGFzcyB3b3Jk\r\n"), "{request}");
}

#[tokio::test]
async fn a_proxy_that_refuses_leaves_the_request_unsent() {
    let proxy = Server::answering("HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n").await;
    let client = HttpTransport::builder()
        .proxy(proxy.url(""))
        .build()
        .unwrap();
    let error = client.execute(get("http://a.example/")).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Connect);
    assert!(!error.may_have_arrived());
}

/// Environment variables can only be set for another process, so the test runs itself.
#[tokio::test]
async fn ignores_proxy_variables() {
    const INNER: &str = "CHANNEL_HTTP_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        let server = Server::answering(ok("direct")).await;
        let response = client().execute(get(&server.url("/"))).await.unwrap();
        assert_eq!(&response.body()[..], b"direct");
        return;
    }
    let (proxy, seen) = tunnelling().await;
    let address = proxy.url("");
    let status = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "proxy::ignores_proxy_variables"])
            .stdout(std::process::Stdio::null())
            .env(INNER, "1");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env(name, &address);
            command.env(name.to_lowercase(), &address);
        }
        command.status().unwrap()
    })
    .await
    .unwrap();
    assert!(status.success());
    assert_eq!(proxy.connections(), 0);
    assert!(seen.lock().unwrap().is_empty());
}
