//! The guard: nothing that comes from outside leads into a private network.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use channel_core::{HttpBody, HttpClient as _, HttpErrorKind, HttpRequest};
use channel_http::guard::{Guard, Refusal, is_public};
use channel_http::{HttpTransport, Resolve};
use http::Uri;
use tokio::io::AsyncWriteExt as _;

use crate::get;
use crate::server::{Server, ok, read_request};

/// Answers look-ups from a table, and counts them.
#[derive(Debug, Default)]
pub struct Names {
    table: HashMap<&'static str, Vec<IpAddr>>,
    lookups: AtomicUsize,
}

impl Names {
    pub fn new(table: &[(&'static str, &[&str])]) -> Arc<Self> {
        let table = table
            .iter()
            .map(|(name, ips)| (*name, ips.iter().map(|ip| ip.parse().unwrap()).collect()))
            .collect();
        Arc::new(Self {
            table,
            lookups: AtomicUsize::new(0),
        })
    }
}

#[channel_core::async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.table
            .get(host)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Gives a public address first and the loopback address ever after.
#[derive(Debug, Default)]
struct Rebinding(AtomicUsize);

#[channel_core::async_trait]
impl Resolve for Rebinding {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![
            // The block 2d00::/8 belongs to nobody.
            if first { "2d00::1" } else { "127.0.0.1" }.parse().unwrap(),
        ])
    }
}

/// Listeners on both loopback addresses, on one port.
struct Listeners {
    port: u16,
    seen: Arc<AtomicUsize>,
}

async fn listeners() -> Listeners {
    let v4 = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = v4.local_addr().unwrap().port();
    let mut all = vec![v4];
    // Machines without IPv6 have one listener less.
    all.extend(tokio::net::TcpListener::bind(("::1", port)).await.ok());
    let seen = Arc::new(AtomicUsize::new(0));
    for listener in all {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    Listeners { port, seen }
}

const NOT_PUBLIC: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "2620:4f:8000::1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "e000::1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "3ffe::1",
    "3fff:1000::1",
];

#[test]
fn the_address_table() {
    for ip in NOT_PUBLIC {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in PUBLIC {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn plain_public_addresses_pass() {
    let guard = Guard::new();
    for url in [
        "https://example.com/",
        "https://EXAMPLE.com:443/a?b#c",
        "https://xn--bcher-kva.example/",
        "https://a_b.example-cdn.com/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
        "https://0x.com/",
        "https://1.2.3.4.com/",
    ] {
        assert_eq!(guard.check(&url.parse().unwrap()), Ok(()), "{url}");
    }
}

#[test]
fn says_which_rule_an_address_breaks() {
    let guard = Guard::new();
    for (url, refusal) in [
        ("http://example.com/", Refusal::Scheme),
        ("ftp://example.com/", Refusal::Scheme),
        ("https://example.com:8443/", Refusal::Port),
        ("https://example.com:/", Refusal::Port),
        ("https://me@example.com/", Refusal::UserInfo),
        ("https://1.1.1.1@127.0.0.1/", Refusal::UserInfo),
        ("https://localhost/", Refusal::Host),
        ("https://localhost./", Refusal::Host),
        ("https://a..example/", Refusal::Host),
        ("https://127.1/", Refusal::Host),
        ("https://010.8.8.8/", Refusal::Host),
        ("https://127.0.0.1/", Refusal::Address),
        ("https://[::1]/", Refusal::Address),
        ("/only/a/path", Refusal::Host),
    ] {
        assert_eq!(guard.check(&url.parse().unwrap()), Err(refusal), "{url}");
    }
}

#[test]
fn more_ports_can_be_let_pass() {
    let guard = Guard::new().allow_port(8443);
    assert!(
        guard
            .check(&"https://a.example:8443/".parse().unwrap())
            .is_ok()
    );
    assert!(
        guard
            .check(&"https://a.example:8444/".parse().unwrap())
            .is_err()
    );
    assert!(
        guard
            .check(&"http://a.example:8443/".parse().unwrap())
            .is_err()
    );
    assert!(
        guard
            .check(&"https://127.0.0.1:8443/".parse().unwrap())
            .is_err()
    );
}

/// Every way that we know of to write an address of this machine or its networks.
fn hostile_hosts() -> Vec<String> {
    let mut hosts = Vec::new();
    for ip in NOT_PUBLIC {
        match ip.parse().unwrap() {
            IpAddr::V6(ip) => {
                hosts.push(format!("[{ip}]"));
                hosts.push(format!("[{ip}%25lo]"));
                let full: Vec<_> = ip.segments().iter().map(|s| format!("{s:04X}")).collect();
                hosts.push(format!("[{}]", full.join(":")));
            }
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                let number = u32::from(ip);
                let tail = number & 0x00ff_ffff;
                hosts.extend([
                    format!("{ip}"),
                    format!("{ip}."),
                    format!("{number}"),
                    format!("0x{number:x}"),
                    format!("0X{number:08X}"),
                    format!("0{number:o}"),
                    format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
                    format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
                    format!("{a}.{tail}"),
                    format!("{a}.{b}.{}", number & 0xffff),
                    format!("{a}.0x{tail:x}"),
                    format!("00{a}.{b}.{c}.{d}"),
                    format!("{a}.{b}.{c}.{d}.nip.example"),
                    format!("[::ffff:{ip}]"),
                    format!("[::{ip}]"),
                    format!("[64:ff9b::{ip}]"),
                    format!("[2002:{:x}:{:x}::]", number >> 16, number & 0xffff),
                    format!("{a}\u{3002}{b}\u{ff0e}{c}\u{ff61}{d}"),
                    format!("public.example@{ip}"),
                    format!("public.example%40{ip}"),
                    format!("{ip}%2f.public.example"),
                ]);
            }
        }
    }
    hosts.extend(
        [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "localhost.localdomain",
            "metadata.google.internal",
            "printer.local",
            "127.1",
            "127.0.1",
            "0",
            "0x0",
            "1",
            "0x7f.1",
            "0177.1",
            "①②⑦.⓪.⓪.①",
            "ｌｏｃａｌｈｏｓｔ",
            "[::1%lo]",
            "[::]",
            "..",
            "private.example",
            "mixed.example",
            "mapped.example",
            "six.example",
            "public.example:1",
            "127.0.0.1\\.public.example",
            "a b.example",
            "",
        ]
        .map(str::to_owned),
    );
    hosts
}

/// Asks a client for each of them, through the guard.
pub async fn refuses_every_hostile_host(client: &HttpTransport, port: u16) {
    let (mut sent, mut unwritable) = (0, 0);
    for host in hostile_hosts() {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}:{port}/latest/meta-data");
            // What is no address at all never becomes a request.
            let Ok(uri) = url.parse::<Uri>() else {
                unwritable += 1;
                continue;
            };
            let Ok(request) = http::Request::get(uri).body(HttpBody::empty()) else {
                unwritable += 1;
                continue;
            };
            sent += 1;
            let error = client
                .execute(HttpRequest::new(request).guarded())
                .await
                .unwrap_err();
            assert!(
                matches!(error.kind(), HttpErrorKind::Refused)
                    || (host.ends_with("nip.example") && error.kind() == HttpErrorKind::Connect),
                "{url}: {error:?}"
            );
            assert!(!error.may_have_arrived(), "{url}");
        }
    }
    assert!(sent >= 120, "{sent} addresses");
    assert!(unwritable > 0);
}

#[tokio::test]
async fn no_way_of_writing_an_address_reaches_a_private_network() {
    let names = Names::new(&[
        ("public.example", &["203.0.113.1"]),
        ("private.example", &["127.0.0.1"]),
        ("mixed.example", &["1.1.1.1", "127.0.0.1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("six.example", &["::1"]),
        ("localhost", &["127.0.0.1"]),
    ]);
    let listeners = listeners().await;
    // The port is open to public hosts, so that only the host can be what is refused.
    let client = HttpTransport::builder()
        .system_roots(false)
        .resolver(names)
        .guard(Guard::new().allow_port(listeners.port))
        .build()
        .unwrap();
    refuses_every_hostile_host(&client, listeners.port).await;
    assert_eq!(listeners.seen.load(Ordering::SeqCst), 0);
    // The listeners do notice connections.
    let _ = client
        .execute(get(&format!("https://127.0.0.1:{}/", listeners.port)))
        .await;
    while listeners.seen.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_changes_after_the_check_changes_nothing() {
    let listeners = listeners().await;
    let names = Arc::new(Rebinding::default());
    let client = HttpTransport::builder()
        .resolver(Arc::clone(&names) as Arc<dyn Resolve>)
        .connect_timeout(std::time::Duration::from_millis(50))
        .guard(Guard::new().allow_port(listeners.port))
        .build()
        .unwrap();
    let url = format!("https://turning.example:{}/", listeners.port);
    // The first answer is public and leads nowhere; it is looked up exactly once.
    let error = client.execute(get(&url).guarded()).await.unwrap_err();
    assert!(!error.may_have_arrived());
    assert_ne!(error.kind(), HttpErrorKind::Refused);
    assert_eq!(names.0.load(Ordering::SeqCst), 1);
    // The second is private and refused.
    let error = client.execute(get(&url).guarded()).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Refused);
    assert_eq!(listeners.seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_connection_opened_without_the_guard_is_not_used_by_it() {
    let server = Server::answering(ok("inner")).await;
    let port = server.address.port();
    let names = Names::new(&[("inner.example", &["127.0.0.1"])]);
    let client = HttpTransport::builder()
        .resolver(names)
        .guard(Guard::new().allow_port(port))
        .build()
        .unwrap();
    let url = format!("http://inner.example:{port}/");
    client.execute(get(&url)).await.unwrap();
    let error = client.execute(get(&url).guarded()).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Refused);
}

/// A client that may fetch from a host named `files.example`, whose port is the server's.
fn self_hosted(address: SocketAddr) -> HttpTransport {
    HttpTransport::builder()
        .resolver(Names::new(&[
            ("files.example", &["127.0.0.1"]),
            ("mirror.example", &["127.0.0.1"]),
            ("other.example", &["127.0.0.1"]),
        ]))
        .guard(
            Guard::new()
                .allow("files.example", address.port())
                .allow("mirror.example", address.port()),
        )
        .build()
        .unwrap()
}

fn files(server: &Server, path: &str) -> String {
    format!("http://files.example:{}{path}", server.address.port())
}

/// Sends each request to `location`, except those to `/end`, and keeps what it saw.
async fn redirecting(status: u16, location: &'static str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let server = Server::start(move |mut stream, _| {
        let log = Arc::clone(&log);
        async move {
            let port = stream.local_addr().unwrap().port();
            let location = location.replace("PORT", &port.to_string());
            while let Some(request) = read_request(&mut stream).await {
                let answer = if request.contains(" /end ") {
                    ok("end")
                } else {
                    format!(
                        "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\n\
                         content-length: 0\r\n\r\n"
                    )
                };
                log.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn an_allowed_host_passes_by_http() {
    let server = Server::answering(ok("file")).await;
    let client = self_hosted(server.address);
    let response = client
        .execute(get(&files(&server, "/a")).guarded())
        .await
        .unwrap();
    assert_eq!(&response.body()[..], b"file");
    let elsewhere = format!("http://other.example:{}/", server.address.port());
    assert!(client.execute(get(&elsewhere).guarded()).await.is_err());
}

#[tokio::test]
async fn follows_a_redirect_without_credentials() {
    for location in ["/end", "http://mirror.example:PORT/end"] {
        let (server, seen) = redirecting(302, location).await;
        let request = http::Request::get(files(&server, "/start"))
            .header("authorization", "Bearer canary")
            .header("cookie", "session=canary")
            .header("x-api-key", "canary")
            .header("accept", "image/*")
            .body(HttpBody::empty())
            .unwrap();
        let response = self_hosted(server.address)
            .execute(HttpRequest::new(request).guarded())
            .await
            .unwrap();
        assert_eq!(&response.body()[..], b"end");
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].matches("canary").count(), 3);
        assert!(!seen[1].contains("canary"), "{}", seen[1]);
        assert!(seen[1].contains("accept: image/*"));
        assert!(!seen[1].contains("referer"));
    }
}

#[tokio::test]
async fn checks_where_a_redirect_leads() {
    let listeners = listeners().await;
    for location in [
        "http://127.0.0.1:PORT/end",
        "https://127.0.0.1/end",
        "https://[::1]/end",
        "https://2130706433/end",
        "//other.example:PORT/end",
        "http://files.example/end",
        "file:///etc/passwd",
        "gopher://files.example:PORT/end",
        "",
        "http://files.example:PORT@other.example/end",
    ] {
        let (server, seen) = redirecting(302, location).await;
        let error = self_hosted(server.address)
            .execute(get(&files(&server, "/start")).guarded())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Refused, "{location}");
        assert!(error.may_have_arrived());
        assert!(
            seen.lock()
                .unwrap()
                .iter()
                .all(|seen| !seen.contains("/end"))
        );
    }
    assert_eq!(listeners.seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn follows_at_most_five_redirects() {
    let (server, seen) = redirecting(302, "/again").await;
    let error = self_hosted(server.address)
        .execute(get(&files(&server, "/start")).guarded())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Refused);
    assert_eq!(seen.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn hands_a_body_on_to_its_own_server_only() {
    let post = |server: &Server| {
        let request = http::Request::post(files(server, "/start"))
            .body(HttpBody::from(b"canary".to_vec()))
            .unwrap();
        HttpRequest::new(request).guarded()
    };
    let (server, seen) = redirecting(307, "/end").await;
    let client = self_hosted(server.address);
    client.execute(post(&server)).await.unwrap();
    assert!(seen.lock().unwrap()[1].starts_with("POST /end "));
    assert!(seen.lock().unwrap()[1].ends_with("canary"));

    let (server, seen) = redirecting(308, "http://mirror.example:PORT/end").await;
    let client = self_hosted(server.address);
    assert!(client.execute(post(&server)).await.is_err());
    assert_eq!(seen.lock().unwrap().len(), 1);

    let (server, seen) = redirecting(303, "http://mirror.example:PORT/end").await;
    let client = self_hosted(server.address);
    client.execute(post(&server)).await.unwrap();
    assert!(seen.lock().unwrap()[1].starts_with("GET /end "));
    assert!(!seen.lock().unwrap()[1].contains("canary"));
}
