//! The guard in a network of its own, where every private address leads somewhere.
//!
//! `tests/netns/run` makes the network: two namespaces and a pair of veth between them. In
//! the one, every address there is belongs to the listener; in the other, these tests run.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use channel_core::{HttpBody, HttpClient as _, HttpRequest};
use channel_http::HttpTransport;
use channel_http::guard::Guard;

use crate::guard::{Names, refuses_every_hostile_host};

/// Where connections are counted.
const PORT: u16 = 18_080;

/// Where the count can be read, on any address.
const COUNT: &str = "10.77.0.1:18081";

/// Addresses beyond the veth, by the block that they stand for.
const BEYOND: &[(&str, &str)] = &[
    ("private, 10/8", "10.77.0.1"),
    ("private, 10/8, routed", "10.1.2.3"),
    ("private, 172.16/12", "172.16.5.4"),
    ("private, 192.168/16", "192.168.1.1"),
    ("shared, 100.64/10", "100.64.0.1"),
    ("link-local, the metadata service", "169.254.169.254"),
    ("benchmarks, 198.18/15", "198.18.0.1"),
    ("unique local, fd00::/8", "fd77::1"),
    ("unique local, the metadata service", "fd00:ec2::254"),
    ("NAT64 of a private address", "64:ff9b::a00:1"),
    ("6to4 of a private address", "2002:a00:1::"),
    ("site-local, fec0::/10", "fec0::1"),
];

/// The other end: counts connections until it is killed.
#[test]
#[ignore = "run by tests/netns/run in a network namespace"]
fn listens() {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
    let count = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 18_081)).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let seen = Arc::clone(&seen);
        move || {
            while let Ok((stream, _)) = listener.accept() {
                seen.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        }
    });
    while let Ok((mut stream, _)) = count.accept() {
        write!(stream, "{}", seen.load(Ordering::SeqCst)).unwrap();
    }
}

/// How many connections the other end has seen.
fn seen() -> usize {
    let mut count = String::new();
    TcpStream::connect(COUNT)
        .unwrap()
        .read_to_string(&mut count)
        .unwrap();
    count.parse().unwrap()
}

/// A client whose names lead beyond the veth.
fn client() -> HttpTransport {
    let names = Names::new(&[
        ("public.example", &["169.254.169.254"]),
        ("private.example", &["10.77.0.1"]),
        ("mixed.example", &["1.1.1.1", "192.168.1.1"]),
        ("mapped.example", &["::ffff:10.77.0.1"]),
        ("six.example", &["fd77::1"]),
        ("localhost", &["10.77.0.1"]),
    ]);
    HttpTransport::builder()
        .system_roots(false)
        .resolver(names)
        .guard(Guard::new().allow_port(PORT))
        .build()
        .unwrap()
}

fn request(ip: &str) -> HttpRequest {
    let host = match ip.parse().unwrap() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let request = http::Request::get(format!("https://{host}:{PORT}/latest/meta-data"));
    HttpRequest::new(request.body(HttpBody::empty()).unwrap())
}

#[tokio::test]
#[ignore = "run by tests/netns/run in a network namespace"]
async fn nothing_that_is_guarded_leaves_this_network() {
    let client = client();
    let before = seen();
    // `CHANNEL_TEST_GUARD=off` shows that the test can fail.
    let guarded = std::env::var("CHANNEL_TEST_GUARD").as_deref() != Ok("off");
    for (_, ip) in BEYOND {
        let request = if guarded {
            request(ip).guarded()
        } else {
            request(ip)
        };
        assert!(client.execute(request).await.is_err());
    }
    if guarded {
        refuses_every_hostile_host(&client, PORT).await;
    }
    // The listener accepts in order: once it has closed this one, it has counted all before.
    let mut fence = TcpStream::connect(("10.77.0.1", PORT)).unwrap();
    assert_eq!(fence.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(seen(), before + 1, "connections have left");
}

#[tokio::test]
#[ignore = "run by tests/netns/run in a network namespace"]
async fn without_the_guard_each_of_them_would() {
    let client = client();
    for (block, ip) in BEYOND {
        let before = seen();
        // The other end accepts, counts and closes; the client may have given up before it
        // has counted.
        assert!(client.execute(request(ip)).await.is_err());
        let counted = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            seen() == before + 1
        });
        assert!(counted, "{block}");
    }
    // The link-local address of the other end, which only a zone leads to.
    let zone: u32 = std::env::var("CHANNEL_TEST_ZONE").unwrap().parse().unwrap();
    let link: Ipv6Addr = "fe80::77:1".parse().unwrap();
    let before = seen();
    let address = std::net::SocketAddrV6::new(link, PORT, 0, zone);
    let mut stream = TcpStream::connect(SocketAddr::from(address)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(seen(), before + 1);
}
