//! Ways around the signature, row by row: fourteen families of attempts, each of them made as
//! well as an attacker can. What does not apply to DingTalk says why: its signature covers the
//! time and not the body.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use bytes::Bytes;
use channel_core::{Channel as _, Webhook as _};
use channel_dingtalk::{DingTalk, Mode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};

use crate::fake::{APP, Fake, ROBOT_SECRET, ROBOT_TOKEN, SECRET, direct, sign, signed_at};

const SIGN: HeaderName = HeaderName::from_static("sign");
const TIMESTAMP: HeaderName = HeaderName::from_static("timestamp");
const NOW: u64 = 1_767_225_600_000;
const HOUR: u64 = 3_600_000;

struct Table {
    body: String,
    rows: Vec<(u8, String, Request<Bytes>)>,
    /// Rows that DingTalk has no place for, and why.
    absent: Vec<(u8, &'static str, &'static str)>,
}

fn text(value: impl AsRef<[u8]>) -> HeaderValue {
    HeaderValue::from_bytes(value.as_ref()).unwrap()
}

fn now() -> String {
    NOW.to_string()
}

fn hmac(key: &str, message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn request(body: impl Into<Bytes>, headers: &[(HeaderName, HeaderValue)]) -> Request<Bytes> {
    let mut request = Request::post("/dingtalk/webhook")
        .body(body.into())
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    request
}

impl Table {
    fn refused(&mut self, family: u8, name: impl Into<String>, request: Request<Bytes>) {
        self.rows.push((family, name.into(), request));
    }

    fn with(&mut self, family: u8, name: impl Into<String>, headers: &[(HeaderName, HeaderValue)]) {
        let request = request(self.body.clone(), headers);
        self.refused(family, name, request);
    }

    /// Another signature at the right time.
    fn value(&mut self, family: u8, name: impl Into<String>, value: impl AsRef<[u8]>) {
        self.with(
            family,
            name,
            &[(TIMESTAMP, text(now())), (SIGN, text(value))],
        );
    }

    /// Another time with a signature that was made for it.
    fn time(&mut self, family: u8, name: impl Into<String>, timestamp: &str) {
        let good = sign(SECRET, timestamp);
        self.with(
            family,
            name,
            &[(TIMESTAMP, text(timestamp)), (SIGN, text(good))],
        );
    }

    fn headers(&mut self) {
        let good = sign(SECRET, &now());
        let bad = sign("another secret", &now());
        let all = [(TIMESTAMP, text(now())), (SIGN, text(&good))];
        for missing in 0..2 {
            let mut some = all.to_vec();
            let (name, _) = some.remove(missing);
            self.with(1, format!("without {name}"), &some);
            let mut empty = all.to_vec();
            empty[missing].1 = text("");
            self.with(1, format!("empty {name}"), &empty);
            let mut twice = all.to_vec();
            twice.push(all[missing].clone());
            self.with(1, format!("twice {name}"), &twice);
        }
        self.with(1, "without both", &[]);
        for (name, first, second) in [
            ("good, bad", &good, &bad),
            ("bad, good", &bad, &good),
            ("bad, bad", &bad, &bad),
        ] {
            let headers = [all[0].clone(), (SIGN, text(first)), (SIGN, text(second))];
            self.with(1, format!("two signatures: {name}"), &headers);
        }
        for (name, value) in [
            ("joined: good, bad", format!("{good},{bad}")),
            ("trailing comma", format!("{good},")),
            ("leading space", format!(" {good}")),
            ("trailing space", format!("{good} ")),
            ("leading tab", format!("\t{good}")),
        ] {
            self.value(1, name, value);
        }
        for other in ["x-dingtalk-sign", "signature", "x-sign", "token"] {
            let name = HeaderName::from_bytes(other.as_bytes()).unwrap();
            self.with(
                1,
                format!("in the header {other}"),
                &[all[0].clone(), (name, text(&good))],
            );
        }
        let mut in_query = request(self.body.clone(), &[]);
        let url = format!("/dingtalk/webhook?timestamp={}&sign={good}", now());
        *in_query.uri_mut() = url.parse().unwrap();
        self.refused(1, "in the query, as a custom robot has it", in_query);
        let why = "no head with one is read, and no header value can hold one";
        self.absent.push((1, "NUL in the value, folded line", why));
    }

    fn values(&mut self) {
        let good = sign(SECRET, &now());
        self.value(2, "upper case", good.to_uppercase());
        self.value(2, "lower case", good.to_lowercase());
        for prefix in ["sha256=", "v0=", "v1=", "v1,", "0x", "Bearer ", "SEC"] {
            self.value(2, format!("prefix {prefix}"), format!("{prefix}{good}"));
        }
        self.value(2, "doubled", format!("{good}{good}"));
        for junk in ["=junk", "junk", ";v=1", "&x=1", "#", "0"] {
            self.value(2, format!("followed by {junk}"), format!("{good}{junk}"));
        }
        self.value(
            2,
            "a thousand candidates",
            vec![good.as_str(); 1000].join(","),
        );
        for at in [0, 1, 21, 22, 41, 42] {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            self.value(2, format!("another letter at {at}"), changed);
        }
        // 3: lengths
        let raw = STANDARD.decode(&good).unwrap();
        self.value(3, "one byte", STANDARD.encode(&raw[..1]));
        self.value(3, "half", STANDARD.encode(&raw[..16]));
        self.value(3, "one byte short", STANDARD.encode(&raw[..31]));
        self.value(3, "one letter short", &good[..43]);
        self.value(
            3,
            "one byte long",
            STANDARD.encode([&raw[..], &[0]].concat()),
        );
        self.value(3, "all zero", STANDARD.encode([0; 32]));
        self.value(3, "all ones", STANDARD.encode([255; 32]));
        self.value(3, "a kilobyte", "a".repeat(1024));
        // 4: encodings
        self.value(4, "hex", hex::encode(&raw));
        if STANDARD.encode(&raw) != URL_SAFE.encode(&raw) {
            self.value(4, "url-safe", URL_SAFE.encode(&raw));
        }
        self.value(4, "without padding", STANDARD_NO_PAD.encode(&raw));
        self.value(4, "doubled padding", format!("{good}="));
        self.value(4, "base64 of base64", STANDARD.encode(&good));
        let escaped = good
            .replace('=', "%3D")
            .replace('+', "%2B")
            .replace('/', "%2F");
        self.value(4, "escaped, as a custom robot has it", escaped);
        let mut letters = good.clone().into_bytes();
        // The last letter before the padding holds two bits that nobody reads.
        letters[42] += 1;
        self.value(4, "a last letter that means the same", letters);
        self.value(
            4,
            "full-width letter",
            good.replacen(&good[..1], "\u{ff21}", 1),
        );
        self.value(
            4,
            "zero-width space",
            format!("{}\u{200b}{}", &good[..4], &good[4..]),
        );
        self.value(4, "in quotes", format!("\"{good}\""));
        self.value(
            4,
            "invalid UTF-8",
            [&[0xff, 0xfe], &good.as_bytes()[2..]].concat(),
        );
    }

    fn algorithms(&mut self) {
        let joined = format!("{}\n{SECRET}", now());
        self.value(5, "a plain hash", STANDARD.encode(Sha256::digest(&joined)));
        self.value(
            5,
            "SHA-512, cut",
            STANDARD.encode(&Sha512::digest(&joined)[..32]),
        );
        for (name, key, message) in [
            ("the time alone", SECRET, now()),
            ("the secret alone", SECRET, SECRET.to_owned()),
            ("no line feed", SECRET, format!("{}{SECRET}", now())),
            ("CRLF", SECRET, format!("{}\r\n{SECRET}", now())),
            ("a space instead", SECRET, format!("{} {SECRET}", now())),
            ("secret first", SECRET, format!("{SECRET}\n{}", now())),
            (
                "key and message swapped",
                joined.as_str(),
                SECRET.to_owned(),
            ),
            ("an empty key", "", joined.clone()),
            ("an empty message", SECRET, String::new()),
            ("seconds", SECRET, format!("1767225600\n{SECRET}")),
            ("a trailing line feed", SECRET, format!("{joined}\n")),
            ("the body too", SECRET, format!("{joined}\n{}", self.body)),
        ] {
            self.value(
                5,
                format!("over {name}"),
                STANDARD.encode(hmac(key, &message)),
            );
        }
        for (name, key) in [
            ("the client id", APP.to_owned()),
            ("nothing", String::new()),
            ("a custom robot's secret", ROBOT_SECRET.to_owned()),
            ("a custom robot's token", ROBOT_TOKEN.to_owned()),
            ("the secret and a line feed", format!("{SECRET}\n")),
            ("the secret in upper case", SECRET.to_uppercase()),
            (
                "the hash of the secret",
                hex::encode(Sha256::digest(SECRET)),
            ),
            ("the start of the secret", SECRET[..8].to_owned()),
        ] {
            self.value(5, format!("the key is {name}"), sign(&key, &now()));
        }
        let why =
            "the signature is an HMAC: there are no public keys, and no longer hash to extend";
        self.absent
            .push((5, "Ed25519, public keys, length extension", why));
    }

    fn timestamps(&mut self) {
        let late = NOW + HOUR + 1;
        let early = NOW - HOUR - 1;
        for timestamp in [
            "0",
            "-1",
            "1767225600",
            "1767225600000.0",
            "0x19B7740F400",
            "1e12",
            "10000000000000",
            "9223372036854775808",
            "1767225600000000",
            "01767225600000",
            "+1767225600000",
            "1767225600000 ",
            " 1767225600000",
            "NaN",
            "now",
            "\u{661}767225600000",
            "176722560000",
            "1,767,225,600",
            "2026-01-01T00:00:00Z",
            "1767225600000\t",
        ] {
            self.time(6, format!("timestamp {timestamp}"), timestamp);
        }
        self.time(6, "an hour and a moment ago", &early.to_string());
        self.time(6, "in an hour and a moment", &late.to_string());
        let good = sign(SECRET, &now());
        let other = (NOW + 1).to_string();
        self.with(
            6,
            "another than the signed one",
            &[(TIMESTAMP, text(other)), (SIGN, text(&good))],
        );
        // 12: where one part ends and the next begins
        for (name, timestamp, message) in [
            (
                "a digit given to the secret",
                "176722560000",
                format!("0\n{SECRET}"),
            ),
            (
                "a letter taken from the secret",
                "1767225600000a",
                SECRET[1..].to_owned(),
            ),
            (
                "everything in the timestamp",
                "1767225600000appSecret-synthetic-0001",
                String::new(),
            ),
        ] {
            let value = STANDARD.encode(hmac(SECRET, &format!("{timestamp}{message}")));
            self.with(
                12,
                name,
                &[(TIMESTAMP, text(timestamp)), (SIGN, text(value))],
            );
        }
        let why = "the line feed between the parts cannot stand in either: a timestamp is digits";
        self.absent
            .push((12, "two pairs that are joined alike", why));
    }

    fn rest(&mut self) {
        let why = "every copy has the id of its message, which the inbox knows for longer than the hour: replays_are_the_same_event";
        self.absent.push((
            7,
            "the same request again, after a restart, in two instances",
            why,
        ));
        let why = "DingTalk signs the time alone: whoever holds one pair may write any body for an hour. The proof of such a message is Asserted, and the readme says to prefer stream mode";
        self.absent
            .push((7, "the same pair with another body", why));
        self.absent.push((8, "every change of the body", why));
        for encoding in ["gzip", "deflate", "identity, gzip", "br"] {
            let mut request = signed_at(self.body.clone().into(), &now(), SECRET);
            request
                .headers_mut()
                .insert("content-encoding", text(encoding));
            self.refused(9, format!("encoding {encoding}"), request);
        }
        let host = "the host reads a request as one body; channel-webhook proves it";
        self.absent.push((
            9,
            "chunked, extensions, trailers, wrong length, HTTP/1.0, HTTP/2",
            host,
        ));
        for (name, secret) in [
            ("another app of ours", "appSecret-synthetic-0002"),
            ("a test app", "test"),
            ("an old secret", "appSecret-synthetic-0000"),
        ] {
            self.value(10, format!("signed for {name}"), sign(secret, &now()));
        }
        for method in [
            Method::GET,
            Method::PUT,
            Method::HEAD,
            Method::OPTIONS,
            Method::DELETE,
        ] {
            let mut request = signed_at(self.body.clone().into(), &now(), SECRET);
            *request.method_mut() = method.clone();
            self.refused(11, format!("by {method}"), request);
        }
        self.absent.push((
            11,
            "an echo without a signature",
            "DingTalk asks no challenge",
        ));
        self.absent
            .push((13, "padding oracles and the like", "nothing is sealed"));
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "106.11.0.1"),
            ("forwarded", "for=oapi.dingtalk.com"),
            ("host", "oapi.dingtalk.com"),
            ("authorization", "Bearer at-1"),
            ("x-dingtalk-verified", "true"),
            ("user-agent", "okhttp/3.3.0"),
            ("x-acs-dingtalk-access-token", "at-1"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            self.with(
                14,
                format!("{name}: {value}"),
                &[(name.clone(), text(value))],
            );
        }
        let proxied = format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n{}", self.body);
        self.refused(14, "a proxy's line", request(proxied, &[]));
    }
}

fn table() -> Table {
    let mut table = Table {
        body: direct("msg1", "caf\u{e9}").to_string(),
        rows: Vec::new(),
        absent: Vec::new(),
    };
    table.headers();
    table.values();
    table.algorithms();
    table.timestamps();
    table.rest();
    table
}

#[test]
fn no_way_around_the_signature_leads_in() {
    let fake = Fake::new();
    assert_eq!(fake.millis(), NOW);
    let channel = fake.channel();
    let table = table();
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for (family, name, request) in &table.rows {
        *counts.entry(*family).or_default() += 1;
        match channel.receive(request, fake.now()) {
            Ok(accepted) => panic!("{family} {name}: {accepted:?}"),
            Err(rejection) => {
                assert_eq!(rejection.status().as_u16(), 401, "{family} {name}");
                assert!(rejection.response().body().is_empty());
            }
        }
    }
    for (family, ..) in &table.absent {
        counts.entry(*family).or_default();
    }
    let families: Vec<_> = counts.keys().copied().collect();
    assert_eq!(families, (1..=14).collect::<Vec<_>>());
    println!(
        "ways around the signature: {} rows, {counts:?}",
        table.rows.len()
    );
    for (family, name, why) in &table.absent {
        println!("{family} {name}: {why}");
    }
    assert!(table.rows.len() >= 100, "{}", table.rows.len());
}

#[test]
fn what_is_right_is_let_in() {
    let fake = Fake::new();
    let channel = fake.channel();
    let body = Bytes::from(direct("msg1", "hi").to_string());
    let near = HOUR - 1000;
    for at in [NOW, NOW - near, NOW + near, NOW - HOUR, NOW + HOUR] {
        let request = signed_at(body.clone(), &at.to_string(), SECRET);
        let accepted = channel.receive(&request, fake.now()).unwrap();
        assert_eq!(accepted.events.len(), 1);
        let message = accepted.events[0].message().unwrap();
        assert_eq!(message.proof(), channel_core::Proof::Asserted);
    }
}

#[test]
fn replays_are_the_same_event() {
    let fake = Fake::new();
    let request = fake.request(&direct("msg1", "hi"));
    let id = |channel: &DingTalk, at: Duration| {
        let accepted = channel.receive(&request, UNIX_EPOCH + at).unwrap();
        accepted.events[0].id.clone()
    };
    let channel = fake.channel();
    let first = id(&channel, Duration::from_millis(NOW));
    assert_eq!(first, id(&channel, Duration::from_millis(NOW + HOUR)));
    assert_eq!(first, id(&fake.channel(), Duration::from_millis(NOW)));
}

#[test]
fn a_secret_of_its_own_replaces_that_of_the_app() {
    let fake = Fake::new();
    let builder = fake
        .builder()
        .mode(Mode::Webhook)
        .robot_secret("another-synthetic-0001");
    let channel = builder.build().unwrap();
    let body = || Bytes::from(direct("msg1", "hi").to_string());
    let by = |secret: &str| channel.receive(&signed_at(body(), &now(), secret), fake.now());
    assert!(by("another-synthetic-0001").is_ok());
    assert_eq!(by(SECRET).unwrap_err().status().as_u16(), 401);
    // A robot of a group's own is that of no app; one of another app is not taken for ours.
    let foreign = |code: &str| {
        let mut message = direct("msg2", "hi");
        message["robotCode"] = json!(code);
        let request = signed_at(message.to_string().into(), &now(), "another-synthetic-0001");
        let accepted = channel.receive(&request, fake.now()).unwrap();
        accepted.events[0].name()
    };
    assert_eq!(
        (foreign("normal"), foreign("ding0002")),
        ("message", "unknown")
    );
}

#[test]
fn in_stream_mode_nothing_comes_by_request() {
    let fake = Fake::new();
    let channel = fake.linked();
    assert!(channel.as_webhook().is_none() && channel.routes().is_empty());
    let request = fake.request(&direct("msg1", "hi"));
    assert_eq!(
        channel
            .receive(&request, fake.now())
            .unwrap_err()
            .status()
            .as_u16(),
        401
    );
}
