//! Who is let in: the vectors of the official SDK and the table of ways around it.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Answer, Webhook as _};
use channel_slack::Slack;
use http::{HeaderMap, HeaderValue, Method, Request};

use crate::fake::{Fake, SECRET, envelope, grouped, signature, signed_at};

/// Made by slack_sdk 3.47.0 (`slack_sdk.signature.SignatureVerifier`); the first was checked
/// against @slack/bolt 5.1.0.
const VECTORS: [(&str, &str); 4] = [
    (
        r#"{"type":"url_verification","token":"synthetic","challenge":"ch4ll3ng3"}"#,
        "v0=fc568f41733ec85014a66613e4038b3e33930662c7b6b1ad6b4e2db752d1c9d0",
    ),
    (
        "payload=%7B%22type%22%3A%22block_actions%22%7D",
        "v0=8db5c6935539bab0224a57d21ee2f82f5789a9624fd2b92aa4529412fe007e74",
    ),
    (
        "{\"type\":\"event_callback\",\"event\":{\"type\":\"message\",\"text\":\"h\u{e9}llo \u{1f600} <@U0AAAAAAA>\"}}",
        "v0=6a5b8f49f29009e74eb15cca610ee80918371450e5a44bb38d5468cf13f60d97",
    ),
    (
        "",
        "v0=e32114b39f9a22e4b8d8778478b39e6ed0677e5562e5474c3104b4074f1917e2",
    ),
];
const AT: u64 = 1_700_000_000;

fn status(slack: &Slack, request: &Request<Bytes>, now: u64) -> u16 {
    match slack.receive(request, UNIX_EPOCH + Duration::from_secs(now)) {
        Ok(_) => 200,
        Err(rejection) => rejection.status().as_u16(),
    }
}

fn vector(body: &str, signature: &str) -> Request<Bytes> {
    let body = Bytes::from(body.to_owned());
    let mut request = signed_at("/slack/events", "application/json", body, &AT.to_string());
    let signature = HeaderValue::from_str(signature).unwrap();
    request.headers_mut().insert("x-slack-signature", signature);
    request
}

#[test]
fn every_vector_of_the_sdk_is_accepted_and_its_neighbours_are_not() {
    let slack = Fake::new().channel();
    for (body, signature) in VECTORS {
        // Past the signature the bodies fail on their own: with 400, never 401.
        assert_ne!(status(&slack, &vector(body, signature), AT), 401, "{body}");
        let longer = format!("{body} ");
        assert_eq!(status(&slack, &vector(&longer, signature), AT), 401);
        let upper = signature.to_uppercase().replace("V0", "v0");
        assert_eq!(status(&slack, &vector(body, &upper), AT), 401);
    }
    let (body, signature) = VECTORS[0];
    let challenge = slack
        .receive(
            &vector(body, signature),
            UNIX_EPOCH + Duration::from_secs(AT),
        )
        .unwrap();
    let Answer::Now(response) = challenge.answer else {
        panic!("a challenge is answered at once");
    };
    assert_eq!(response.body(), "ch4ll3ng3");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[test]
fn a_request_is_good_for_five_minutes_in_both_directions() {
    let slack = Fake::new().channel();
    let (body, signature) = VECTORS[0];
    let request = vector(body, signature);
    for now in [AT - 300, AT - 299, AT, AT + 299, AT + 300] {
        assert_eq!(status(&slack, &request, now), 200, "{now}");
    }
    for now in [AT - 301, AT + 301, 0, u64::from(u32::MAX) * 100] {
        assert_eq!(status(&slack, &request, now), 401, "{now}");
    }
}

/// A way around the signature: its family, its name and the request.
struct Row(u8, String, Request<Bytes>);

struct Table {
    good: Request<Bytes>,
    signature: String,
    rows: Vec<Row>,
}

impl Table {
    fn add(
        &mut self,
        family: u8,
        name: impl Into<String>,
        change: impl FnOnce(&mut Request<Bytes>),
    ) {
        let mut request = self.good.clone();
        change(&mut request);
        self.rows.push(Row(family, name.into(), request));
    }

    /// Replaces a header by these values, as they are.
    fn header(&mut self, family: u8, name: &str, header: &'static str, values: &[&[u8]]) {
        self.add(family, format!("{header}: {name}"), |request| {
            set(request.headers_mut(), header, values);
        });
    }

    fn signature(&mut self, family: u8, name: &str, value: impl AsRef<[u8]>) {
        self.header(family, name, SIGNATURE, &[value.as_ref()]);
    }

    /// Signs a body or timestamp of one's own choice properly, but sends another.
    fn timestamp(&mut self, name: &str, value: &str) {
        let body = self.good.body().clone();
        let signed = signature(SECRET, value, &body);
        self.add(6, name, |request| {
            set(request.headers_mut(), TIMESTAMP, &[value.as_bytes()]);
            set(request.headers_mut(), SIGNATURE, &[signed.as_bytes()]);
        });
    }

    fn body(&mut self, name: &str, body: impl Into<Bytes>) {
        let body = body.into();
        self.add(8, name, |request| *request.body_mut() = body);
    }
}

const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";

fn set(headers: &mut HeaderMap, name: &'static str, values: &[&[u8]]) {
    headers.remove(name);
    for value in values {
        // What HTTP itself cannot carry, such as a line feed, never gets this far.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
}

fn table() -> Table {
    let body = envelope(
        1,
        grouped("1700000000.000100", "h\u{e9}llo <@UBOT> \u{1f680}"),
    )
    .to_string();
    let good = signed_at(
        "/slack/events",
        "application/json",
        body.into(),
        &AT.to_string(),
    );
    let signature = good.headers()[SIGNATURE].to_str().unwrap().to_owned();
    let mut table = Table {
        good,
        signature,
        rows: Vec::new(),
    };
    headers(&mut table);
    values(&mut table);
    algorithms(&mut table);
    timestamps(&mut table);
    bodies(&mut table);
    routing(&mut table);
    table
}

/// Families 1 to 3: which headers, how often, in which form.
fn headers(table: &mut Table) {
    let good = table.signature.clone();
    let bad = good.replace(['0', '1', '2'], "f");
    let (good, bad) = (good.as_bytes(), bad.as_bytes());
    let at = AT.to_string();
    let at = at.as_bytes();
    for (header, right) in [(SIGNATURE, good), (TIMESTAMP, at)] {
        let wrong = if header == SIGNATURE {
            bad
        } else {
            b"1700000001"
        };
        table.header(1, "absent", header, &[]);
        table.header(1, "empty", header, &[b""]);
        table.header(1, "good and bad", header, &[right, wrong]);
        table.header(1, "bad and good", header, &[wrong, right]);
        table.header(1, "twice good", header, &[right, right]);
        table.header(1, "twice bad", header, &[wrong, wrong]);
        table.header(
            1,
            "joined by a comma",
            header,
            &[&[right, b",", right].concat()],
        );
        table.header(1, "comma at the end", header, &[&[right, b","].concat()]);
        table.header(1, "space before", header, &[&[b" ", right].concat()]);
        table.header(1, "space behind", header, &[&[right, b" "].concat()]);
        table.header(1, "tab behind", header, &[&[right, b"\t"].concat()]);
        table.header(1, "not UTF-8", header, &[&[right, b"\xff"].concat()]);
        table.header(
            1,
            "full-width digit",
            header,
            &["\u{ff11}700000000".as_bytes()],
        );
    }
}

fn values(table: &mut Table) {
    let good = table.signature.clone();
    let hex = good.strip_prefix("v0=").unwrap().to_owned();
    let raw = hex::decode(&hex).unwrap();
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&raw);
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&raw);
    let mixed: String = hex
        .char_indices()
        .map(|(at, c)| {
            if at % 2 == 0 {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect();
    table.signature(2, "upper case", good.to_uppercase());
    table.signature(2, "upper case digits", format!("v0={}", hex.to_uppercase()));
    table.signature(2, "mixed case", format!("v0={mixed}"));
    table.signature(2, "upper case version", format!("V0={hex}"));
    table.signature(2, "no version", hex.clone());
    table.signature(2, "half a version", format!("={hex}"));
    table.signature(2, "another version", format!("v1={hex}"));
    table.signature(2, "longer version", format!("v00={hex}"));
    table.signature(2, "version twice", format!("v0=v0={hex}"));
    table.signature(2, "something behind", format!("{good}=junk"));
    table.signature(2, "another one behind", format!("{good},v0={hex}"));
    table.signature(2, "versions in a row", format!("v1={hex},{good}"));
    table.signature(
        2,
        "a thousand candidates",
        vec![good.as_str(); 1000].join(","),
    );
    table.signature(2, "space inside", format!("v0= {hex}"));
    table.signature(2, "colon for equals", format!("v0:{hex}"));
    table.signature(2, "quoted", format!("\"{good}\""));
    table.signature(3, "empty digest", "v0=");
    table.signature(3, "one digit", format!("v0={}", &hex[..1]));
    table.signature(3, "one byte", format!("v0={}", &hex[..2]));
    table.signature(3, "half", format!("v0={}", &hex[..32]));
    table.signature(3, "one byte short", format!("v0={}", &hex[..62]));
    table.signature(3, "one digit short", format!("v0={}", &hex[..63]));
    table.signature(3, "one byte long", format!("{good}00"));
    table.signature(3, "twice as long", format!("{good}{hex}"));
    table.signature(3, "zeros", format!("v0={}", "0".repeat(64)));
    table.signature(3, "all ones", format!("v0={}", "f".repeat(64)));
    table.signature(4, "base64", format!("v0={base64}"));
    table.signature(4, "url-safe base64", format!("v0={url_safe}"));
    table.signature(4, "bytes", [b"v0=", raw.as_slice()].concat());
    table.signature(4, "percent encoded", format!("v0%3D{hex}"));
    table.signature(4, "0x", format!("v0=0x{hex}"));
    table.signature(
        4,
        "homoglyph",
        good.replace('a', "\u{430}").replace('0', "\u{41e}"),
    );
    table.signature(
        4,
        "full-width letters",
        good.replace('f', "\u{ff46}").replace('0', "\u{ff10}"),
    );
    for at in [0, 31, 63] {
        let mut changed = raw.clone();
        changed[at / 2] ^= 1;
        let changed = format!("v0={}", hex::encode(changed));
        table.signature(4, &format!("bit {at}"), changed);
    }
}

/// Family 5: another algorithm, or another key.
fn algorithms(table: &mut Table) {
    use sha2::Digest as _;
    let body = table.good.body().clone();
    let base = [format!("v0:{AT}:").as_bytes(), &body].concat();
    table.signature(
        5,
        "hash without a key",
        format!("v0={}", hex::encode(sha2::Sha256::digest(&base))),
    );
    let keyed = [SECRET.as_bytes(), &base].concat();
    table.signature(
        5,
        "hash of key and text",
        format!("v0={}", hex::encode(sha2::Sha256::digest(&keyed))),
    );
    let long = hex::encode(sha2::Sha512::digest(&base));
    table.signature(5, "SHA-512", format!("v0={long}"));
    table.signature(5, "SHA-512, cut", format!("v0={}", &long[..64]));
    let at = AT.to_string();
    for (name, key) in [
        ("empty key", ""),
        ("the app's id", "A1"),
        ("the workspace's id", "T1"),
        ("the old token", "x"),
        ("the key in capitals", &SECRET.to_uppercase()),
        ("the key with a line feed", &format!("{SECRET}\n")),
    ] {
        table.signature(5, name, signature(key, &at, &body));
    }
    table.signature(5, "the body alone", signature(SECRET, "", &body));
}

/// Family 6: properly signed by whoever has the key, and yet not to be taken.
fn timestamps(table: &mut Table) {
    for (name, value) in [
        ("zero", "0"),
        ("negative", "-1700000000"),
        ("plus", "+1700000000"),
        ("float", "1700000000.0"),
        ("exponent", "17e8"),
        ("hex", "0x6553f100"),
        ("far away", "10000000000"),
        ("beyond i64", "9223372036854775808"),
        ("beyond u64", "18446744073709551616"),
        ("milliseconds", "1700000000000"),
        ("301 s old", "1699999699"),
        ("301 s ahead", "1700000301"),
        ("leading zero", "01700000000"),
        ("leading zeros to the limit", "001700000000"),
        ("space before", " 1700000000"),
        ("underscores", "1_700_000_000"),
        ("words", "now"),
        ("a list", "1700000000,1700000000"),
        ("empty", ""),
    ] {
        table.timestamp(name, value);
    }
    table.header(
        6,
        "another than the signed one",
        TIMESTAMP,
        &[b"1700000001"],
    );
    table.header(
        12,
        "a digit moved from timestamp to body",
        TIMESTAMP,
        &[b"170000000"],
    );
    let body = table.good.body().clone();
    table.add(12, "the colon moved into the body", |request| {
        set(request.headers_mut(), TIMESTAMP, &[b"1700000000:"]);
        *request.body_mut() = body.slice(1..);
    });
    let body = table.good.body().clone();
    table.add(
        12,
        "the body's first byte moved into the timestamp",
        |request| {
            set(request.headers_mut(), TIMESTAMP, &[b"1700000000:{"]);
            *request.body_mut() = body.slice(1..);
        },
    );
}

/// Family 8, and what of 9 is left once the server has put the body together.
fn bodies(table: &mut Table) {
    let body = String::from_utf8(table.good.body().to_vec()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    table.body("pretty", serde_json::to_string_pretty(&value).unwrap());
    table.body("space between", body.replacen(':', ": ", 1));
    let inner = body.get(1..body.len() - 1).unwrap();
    table.body("a key first", format!("{{\"a\":1,{inner}}}"));
    table.body("a key last", format!("{{{inner},\"a\":1}}"));
    table.body("a key twice", format!("{{{inner},\"team_id\":\"T2\"}}"));
    table.body("escaped", body.replace('\u{e9}', "\\u00e9"));
    table.body("decomposed", body.replace('\u{e9}', "e\u{301}"));
    table.body("byte order mark", format!("\u{feff}{body}"));
    table.body("CR LF behind", format!("{body}\r\n"));
    table.body("LF behind", format!("{body}\n"));
    table.body("space before", format!(" {body}"));
    table.body("NUL behind", format!("{body}\0"));
    table.body("empty", "");
    table.body("cut", body.get(..body.len() - 1).unwrap().to_owned());
    table.body("twice", format!("{body}{body}"));
    table.body("another workspace", body.replace("\"T1\"", "\"T2\""));
    table.body("another app", body.replace("\"A1\"", "\"A2\""));
    table.body("another person", body.replace("\"U1\"", "\"U2\""));
    table.body("another event", body.replace("\"Ev1\"", "\"Ev2\""));
    let latin: Vec<u8> = body
        .chars()
        .filter_map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    table.body("Latin-1", latin);
    table.body(
        "as a form",
        format!("payload={}", crate::fake::percent(&body)),
    );
}

/// Families 10 and 11: what was signed for another, or for nothing.
fn routing(table: &mut Table) {
    let body = table.good.body().clone();
    let at = AT.to_string();
    let other = "0123456789abcdef0123456789abcdef";
    table.signature(10, "another app's secret", signature(other, &at, &body));
    table.add(10, "GET", |request| *request.method_mut() = Method::GET);
    table.add(10, "PUT", |request| *request.method_mut() = Method::PUT);
    table.add(11, "a challenge without signature", |request| {
        *request.body_mut() = VECTORS[0].0.into();
        set(request.headers_mut(), SIGNATURE, &[]);
    });
    table.add(11, "a challenge with a foreign signature", |request| {
        *request.body_mut() = VECTORS[0].0.into();
    });
    table.add(11, "a challenge in the query", |request| {
        *request.method_mut() = Method::GET;
        *request.uri_mut() = "/slack/events?challenge=x".parse().unwrap();
        set(request.headers_mut(), SIGNATURE, &[]);
    });
    table.add(
        11,
        "the probe of the certificate without signature",
        |request| {
            *request.body_mut() = "ssl_check=1".into();
            set(request.headers_mut(), SIGNATURE, &[]);
        },
    );
    for (name, header, value) in [
        ("from Slack, it says", "x-forwarded-for", "52.0.0.1"),
        ("another host", "host", "slack.com"),
        (
            "Slack's agent",
            "user-agent",
            "Slackbot 1.0 (+https://api.slack.com/robots)",
        ),
        ("a retry", "x-slack-retry-num", "1"),
        (
            "a certificate, it says",
            "x-client-certificate-san",
            "platform-tls-client.slack.com",
        ),
    ] {
        table.add(14, name, |request| {
            set(request.headers_mut(), SIGNATURE, &[]);
            request
                .headers_mut()
                .insert(header, HeaderValue::from_static(value));
        });
    }
}

/// The families that cannot be rows here, and why.
const ELSEWHERE: [&str; 3] = [
    "7 replay: a repeated request is the same event by its id, which is tested in inbound",
    "9 transfer: chunks, lengths and versions end at the server (channel-webhook); encodings below",
    "13 decryption: nothing is encrypted",
];

#[test]
fn every_way_around_the_signature_is_refused_alike() {
    let slack = Fake::new().channel();
    let table = table();
    assert_eq!(status(&slack, &table.good, AT), 200, "the good one is good");
    let now = UNIX_EPOCH + Duration::from_secs(AT);
    let mut answers = Vec::new();
    for Row(family, name, request) in &table.rows {
        assert!(
            request != &table.good_again(),
            "{family} {name} changes nothing"
        );
        let Err(rejection) = slack.receive(request, now) else {
            panic!("{family} {name} was let in");
        };
        let response = rejection.response();
        answers.push((response.status().as_u16(), response.body().clone()));
    }
    assert!(answers.iter().all(|answer| *answer == (401, Bytes::new())));
    let count = table.rows.len();
    println!("signature bypass table: {count} rows refused; elsewhere: {ELSEWHERE:?}");
    // The number that the README states.
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&format!("{count} ways around the signature")),
        "{count} rows"
    );
}

impl Table {
    fn good_again(&self) -> RequestKey {
        RequestKey::of(&self.good)
    }
}

/// A request as far as rows differ.
#[derive(PartialEq)]
struct RequestKey(Method, String, Vec<(String, Vec<u8>)>, Bytes);

impl RequestKey {
    fn of(request: &Request<Bytes>) -> Self {
        let headers = request.headers().iter();
        Self(
            request.method().clone(),
            request.uri().to_string(),
            headers
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            request.body().clone(),
        )
    }
}

impl PartialEq<RequestKey> for Request<Bytes> {
    fn eq(&self, other: &RequestKey) -> bool {
        RequestKey::of(self) == *other
    }
}

#[test]
fn compressed_and_strange_bodies_are_refused_after_the_signature() {
    let slack = Fake::new().channel();
    for (header, value, wanted) in [
        ("content-encoding", "gzip", 415),
        ("content-encoding", "identity", 200),
        ("content-type", "text/plain", 415),
        ("content-type", "application/json; charset=utf-8", 200),
    ] {
        let mut request = table().good;
        request
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
        assert_eq!(status(&slack, &request, AT), wanted, "{header}: {value}");
        request.headers_mut().remove(SIGNATURE);
        assert_eq!(status(&slack, &request, AT), 401);
    }
    let large = Bytes::from(vec![b' '; (1 << 20) + 1]);
    let request = signed_at("/slack/events", "application/json", large, &AT.to_string());
    assert_eq!(status(&slack, &request, AT), 413);
}
