//! Ways around the signature and the token, row by row: fourteen families of attempts, each
//! of them made as well as an attacker can. What does not apply to Feishu says why.

mod replay;
mod token;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use channel_core::Webhook as _;
use hmac_free::keyed;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::fake::{
    ADA, APP, APP_SECRET, ENCRYPT, Fake, VERIFICATION, direct, envelope, seal, signature,
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-lark-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-lark-request-timestamp");
const NONCE: HeaderName = HeaderName::from_static("x-lark-request-nonce");
const NOW: u64 = 1_767_225_600;

/// Hashes that are made in another way than Feishu's.
mod hmac_free {
    use sha2::{Digest as _, Sha256};

    /// HMAC-SHA256 (RFC 2104).
    pub(crate) fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
        let mut block = [0_u8; 64];
        block[..key.len()].copy_from_slice(key);
        let with = |pad: u8| block.map(|byte| byte ^ pad);
        let inner = Sha256::digest([&with(0x36)[..], text].concat());
        Sha256::digest([&with(0x5c)[..], &inner[..]].concat()).to_vec()
    }
}

struct Table {
    body: String,
    rows: Vec<(u8, String, Request<Bytes>)>,
    /// Rows that Feishu has no place for, and why.
    absent: Vec<(u8, &'static str, &'static str)>,
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap()
}

fn request(body: impl Into<Bytes>, headers: &[(HeaderName, HeaderValue)]) -> Request<Bytes> {
    let mut request = Request::post("/feishu/events").body(body.into()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    request
}

fn event() -> Value {
    envelope(1, "im.message.receive_v1", direct("om_1", "caf\u{e9}"))
}

impl Table {
    fn good(&self) -> String {
        signature(&NOW.to_string(), "nonce0001", ENCRYPT, self.body.as_bytes())
    }

    fn signed(&self, body: impl Into<Bytes>, parts: [&str; 3]) -> Request<Bytes> {
        let [timestamp, nonce, signature] = parts;
        request(
            body,
            &[
                (TIMESTAMP, text(timestamp)),
                (NONCE, text(nonce)),
                (SIGNATURE, text(signature)),
            ],
        )
    }

    fn refused(&mut self, family: u8, name: impl Into<String>, request: Request<Bytes>) {
        self.rows.push((family, name.into(), request));
    }

    /// The good body with another signature.
    fn value(&mut self, family: u8, name: impl Into<String>, value: impl AsRef<[u8]>) {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        let headers = [
            (TIMESTAMP, text(&NOW.to_string())),
            (NONCE, text("nonce0001")),
            (SIGNATURE, value),
        ];
        let request = request(self.body.clone(), &headers);
        self.refused(family, name, request);
    }

    /// The good signature with another body.
    fn body(&mut self, family: u8, name: &str, body: impl Into<Bytes>) {
        let request = self.signed(body, [&NOW.to_string(), "nonce0001", &self.good()]);
        self.refused(family, name, request);
    }

    /// A clear text that is sealed with the right key by somebody who has no signature.
    fn unsigned(&mut self, family: u8, name: &str, body: impl Into<Bytes>) {
        let request = request(body, &[]);
        self.refused(family, name, request);
    }

    fn headers(&mut self) {
        let now = NOW.to_string();
        let good = self.good();
        let bad = signature(&now, "nonce0001", "another key", self.body.as_bytes());
        let all = [
            (TIMESTAMP, text(&now)),
            (NONCE, text("nonce0001")),
            (SIGNATURE, text(&good)),
        ];
        for missing in 0..3 {
            let mut some = all.to_vec();
            let (name, _) = some.remove(missing);
            let row = request(self.body.clone(), &some);
            self.refused(1, format!("without {name}"), row);
            let mut empty = all.to_vec();
            empty[missing].1 = text("");
            let row = request(self.body.clone(), &empty);
            self.refused(1, format!("empty {name}"), row);
            let mut twice = all.to_vec();
            twice.push(all[missing].clone());
            let row = request(self.body.clone(), &twice);
            self.refused(1, format!("twice {name}"), row);
        }
        for (name, first, second) in [
            ("good, bad", &good, &bad),
            ("bad, good", &bad, &good),
            ("bad, bad", &bad, &bad),
        ] {
            let headers = [
                all[0].clone(),
                all[1].clone(),
                (SIGNATURE, text(first)),
                (SIGNATURE, text(second)),
            ];
            let row = request(self.body.clone(), &headers);
            self.refused(1, format!("two signatures: {name}"), row);
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
        for other in [
            "x-feishu-signature",
            "lark-signature",
            "x-lark-signature-256",
            "x-slack-signature",
        ] {
            let name = HeaderName::from_bytes(other.as_bytes()).unwrap();
            let headers = [all[0].clone(), all[1].clone(), (name, text(&good))];
            let row = request(self.body.clone(), &headers);
            self.refused(1, format!("in the header {other}"), row);
        }
        let why = "no head with one is read, and no header value can hold one";
        self.absent.push((1, "NUL in the value, folded line", why));
    }

    fn values(&mut self) {
        let good = self.good();
        self.value(2, "upper case", good.to_uppercase());
        for prefix in ["sha256=", "v0=", "v1=", "v1,", "0x", "Bearer "] {
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
        for position in [0, 1, 31, 32, 62, 63] {
            let mut changed = good.clone().into_bytes();
            changed[position] = if changed[position] == b'a' {
                b'b'
            } else {
                b'a'
            };
            self.value(2, format!("another digit at {position}"), changed);
        }
        // 3: lengths
        self.value(3, "one byte", &good[..2]);
        self.value(3, "half", &good[..32]);
        self.value(3, "one byte short", &good[..62]);
        self.value(3, "one digit short", &good[..63]);
        self.value(3, "one byte long", format!("{good}00"));
        self.value(3, "all zero", "0".repeat(64));
        self.value(3, "all ones", "f".repeat(64));
        self.value(3, "a kilobyte", "a".repeat(1024));
        // 4: encodings
        let raw = hex::decode(&good).unwrap();
        self.value(4, "base64", STANDARD.encode(&raw));
        self.value(4, "base64 of hex", STANDARD.encode(&good));
        self.value(4, "hex of hex", hex::encode(&good));
        self.value(4, "mixed case", good.replace('a', "A").replace('f', "F"));
        self.value(
            4,
            "escaped",
            good.replacen(&good[..1], &format!("%{:02X}", good.as_bytes()[0]), 1),
        );
        self.value(
            4,
            "full-width digit",
            good.replacen(&good[..1], "\u{ff11}", 1),
        );
        self.value(
            4,
            "zero-width space",
            good.replacen(&good[..1], "\u{200b}", 1),
        );
        self.value(4, "in quotes", format!("\"{good}\""));
        self.value(
            4,
            "invalid UTF-8",
            [&[0xff, 0xfe], &good.as_bytes()[2..]].concat(),
        );
    }

    fn algorithms(&mut self) {
        let now = NOW.to_string();
        let body = self.body.clone();
        let joined = |key: &str| format!("{now}nonce0001{key}{body}");
        self.value(5, "SHA-1", hex::encode(Sha1::digest(joined(ENCRYPT))));
        self.value(
            5,
            "SHA-512, cut",
            hex::encode(&Sha512::digest(joined(ENCRYPT))[..32]),
        );
        self.value(5, "without a key", hex::encode(Sha256::digest(joined(""))));
        let hmac = keyed(
            ENCRYPT.as_bytes(),
            format!("{now}nonce0001{body}").as_bytes(),
        );
        self.value(5, "HMAC instead", hex::encode(hmac));
        self.value(5, "of the body alone", hex::encode(Sha256::digest(&body)));
        self.value(
            5,
            "key first",
            hex::encode(Sha256::digest(format!("{ENCRYPT}{now}nonce0001{body}"))),
        );
        self.value(
            5,
            "key last",
            hex::encode(Sha256::digest(format!("{now}nonce0001{body}{ENCRYPT}"))),
        );
        for (name, key) in [
            ("the app id", APP.to_owned()),
            ("the app secret", APP_SECRET.to_owned()),
            ("the verification token", VERIFICATION.to_owned()),
            ("the sender's id", ADA.to_owned()),
            ("the key and a line feed", format!("{ENCRYPT}\n")),
            ("the key in upper case", ENCRYPT.to_uppercase()),
            ("the hash of the key", hex::encode(Sha256::digest(ENCRYPT))),
            ("the start of the key", ENCRYPT[..8].to_owned()),
        ] {
            let value = signature(&now, "nonce0001", &key, body.as_bytes());
            self.value(5, format!("the key is {name}"), value);
        }
        let why = "the signature is a hash with a secret: there are no public keys";
        self.absent.push((5, "Ed25519 and public keys", why));
    }

    fn timestamps(&mut self) {
        let body = self.body.clone();
        let row = |timestamp: &str| {
            let value = signature(timestamp, "nonce0001", ENCRYPT, body.as_bytes());
            [timestamp.to_owned(), "nonce0001".to_owned(), value]
        };
        for timestamp in [
            "0",
            "-1",
            "1767225600.0",
            "0x6955b900",
            "1e9",
            "10000000000",
            "9223372036854775808",
            "1767225600000",
            "1767225299",
            "1767225901",
            "01767225600",
            "+1767225600",
            "1767225600 ",
            "\u{661}767225600",
            "NaN",
            "176722560",
            "now",
        ] {
            let [a, b, c] = row(timestamp);
            let request = self.signed(body.clone(), [&a, &b, &c]);
            self.refused(6, format!("timestamp {timestamp}"), request);
        }
        let request = self.signed(body, ["1767225601", "nonce0001", &self.good()]);
        self.refused(6, "another than the signed one", request);
        // 12: where one part ends and the next begins
        let good = self.good();
        for (name, timestamp, nonce) in [
            ("a digit given to the nonce", "176722560", "0nonce0001"),
            ("a letter taken from the nonce", "1767225600n", "once0001"),
            ("everything in the timestamp", "1767225600nonce0001", ""),
            ("everything in the nonce", "", "1767225600nonce0001"),
        ] {
            let request = self.signed(self.body.clone(), [timestamp, nonce, &good]);
            self.refused(12, name, request);
        }
        let moved = format!("{ENCRYPT}{}", self.body);
        self.body(12, "the key moved into the body", moved);
        let request = self.signed(
            self.body[1..].to_owned(),
            [&NOW.to_string(), "nonce0001{", &good],
        );
        self.refused(12, "the body's first byte moved into the nonce", request);
        let request = self.signed(self.body.clone(), [&NOW.to_string(), "nonce0002", &good]);
        self.refused(12, "another nonce", request);
        let long = "n".repeat(129);
        let value = signature(&NOW.to_string(), &long, ENCRYPT, self.body.as_bytes());
        let request = self.signed(self.body.clone(), [&NOW.to_string(), &long, &value]);
        self.refused(12, "a nonce without end", request);
    }

    fn bodies(&mut self) {
        let body = self.body.clone();
        let other = |change: &dyn Fn(&mut Value)| {
            let mut event = event();
            change(&mut event);
            json!({"encrypt": seal(ENCRYPT, &event.to_string())}).to_string()
        };
        self.body(
            7,
            "same body, another event id",
            other(&|it| it["header"]["event_id"] = json!("ev2")),
        );
        self.body(
            7,
            "same event id, another text",
            other(&|it| it["event"]["message"]["content"] = json!("{}")),
        );
        self.body(
            7,
            "a fresher event",
            other(&|it| it["header"]["create_time"] = json!("1767225700000")),
        );
        let why = "every copy has the same id, which the inbox knows: replays_are_the_same_event";
        self.absent.push((
            7,
            "the same request again, after a restart, in two instances",
            why,
        ));
        for (name, changed) in [
            ("a space after the colon", body.replacen(':', ": ", 1)),
            (
                "a letter escaped",
                body.replacen("encrypt", "encryp\\u0074", 1),
            ),
            ("byte order mark", format!("\u{feff}{body}")),
            ("trailing line feed", format!("{body}\n")),
            ("trailing CRLF", format!("{body}\r\n")),
            ("trailing space", format!("{body} ")),
            ("leading space", format!(" {body}")),
            ("trailing NUL", format!("{body}\0")),
            ("empty", String::new()),
            ("cut", body[..body.len() - 1].to_owned()),
            ("doubled", format!("{body}{body}")),
            (
                "a second key of the same name",
                body.replacen('{', "{\"encrypt\":\"\",", 1),
            ),
            ("another field beside", body.replacen('{', "{\"a\":1,", 1)),
            ("in the clear instead", event().to_string()),
        ] {
            self.body(8, name, changed);
        }
        let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.body(8, "UTF-16", utf16);
        for at in [0, body.len() / 2, body.len() - 1] {
            let mut changed = body.as_bytes().to_vec();
            changed[at] ^= 1;
            self.body(8, &format!("one bit changed at {at}"), changed);
        }
        let host = "the host reads a request as one body; channel-webhook proves it";
        self.absent.push((
            9,
            "chunked, extensions, trailers, wrong length, HTTP/1.0, HTTP/2",
            host,
        ));
        for encoding in ["gzip", "deflate", "identity, gzip"] {
            let mut request =
                self.signed(body.clone(), [&NOW.to_string(), "nonce0001", &self.good()]);
            request
                .headers_mut()
                .insert("content-encoding", text(encoding));
            self.refused(9, format!("encoding {encoding}"), request);
        }
    }

    fn routes(&mut self) {
        let good = self.good();
        let now = NOW.to_string();
        for (name, key) in [
            ("another app of ours", "ek-of-another-app"),
            ("a test app", "test"),
            ("an old key", "ek-0123456789abcdee"),
        ] {
            let value = signature(&now, "nonce0001", key, self.body.as_bytes());
            self.value(10, format!("signed for {name}"), value);
        }
        let mut foreign = event();
        foreign["header"]["app_id"] = json!("cli_0000000000000002");
        let body = json!({"encrypt": seal(ENCRYPT, &foreign.to_string())}).to_string();
        let value = signature(&now, "nonce0001", ENCRYPT, body.as_bytes());
        let request = self.signed(body, [&now, "nonce0001", &value]);
        self.refused(10, "an event of another app", request);
        let mut token = event();
        token["header"]["token"] = json!("vt-synthetic-0002");
        let body = json!({"encrypt": seal(ENCRYPT, &token.to_string())}).to_string();
        let value = signature(&now, "nonce0001", ENCRYPT, body.as_bytes());
        let request = self.signed(body, [&now, "nonce0001", &value]);
        self.refused(10, "an event with another token", request);
        // 11: challenges
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS] {
            let mut request = self.signed(self.body.clone(), [&now, "nonce0001", &good]);
            *request.method_mut() = method.clone();
            self.refused(11, format!("by {method}"), request);
        }
        for (name, token) in [
            ("without a token", None),
            ("with an empty token", Some(json!(""))),
            (
                "with a wrong token of the same length",
                Some(json!("vt-synthetic-0002")),
            ),
            ("with a list of tokens", Some(json!([VERIFICATION]))),
            ("with a token in an object", Some(json!({"$ne": ""}))),
            ("with the app's secret", Some(json!(APP_SECRET))),
            ("with no token at all", Some(Value::Null)),
        ] {
            let mut challenge =
                json!({"type": "url_verification", "challenge": "<script>alert(1)</script>"});
            if let Some(token) = token {
                challenge["token"] = token;
            }
            self.unsigned(11, &format!("challenge {name}"), challenge.to_string());
            let sealed = json!({"encrypt": seal(ENCRYPT, &challenge.to_string())});
            self.unsigned(11, &format!("sealed challenge {name}"), sealed.to_string());
        }
        let hybrid = json!({"type": "url_verification", "challenge": "x", "token": VERIFICATION, "header": {"token": "wrong"}});
        self.unsigned(11, "a challenge with two tokens", hybrid.to_string());
    }

    fn seals(&mut self) {
        let clear = event().to_string();
        let now = NOW.to_string();
        let sealed = seal(ENCRYPT, &clear);
        let blob = STANDARD.decode(&sealed).unwrap();
        let mut rows = vec![
            ("another key", seal("another key", &clear)),
            ("nothing", String::new()),
            ("no base64", "\u{4e2d}\u{6587}".to_owned()),
            ("a vector alone", STANDARD.encode(&blob[..16])),
            ("half a block", STANDARD.encode(&blob[..24])),
            ("url-safe", sealed.replace('+', "-").replace('/', "_")),
            (
                "reversed blocks",
                STANDARD.encode(blob.rchunks(16).flatten().copied().collect::<Vec<_>>()),
            ),
            (
                "a block twice",
                STANDARD.encode([&blob[..32], &blob[16..]].concat()),
            ),
        ];
        // What a padding oracle would ask.
        for byte in [0, 1, 2, 15, 16, 17, 128, 255] {
            let mut changed = blob.clone();
            let at = changed.len() - 17;
            changed[at] ^= byte;
            if byte != 0 {
                rows.push(("a changed end", STANDARD.encode(changed)));
            }
        }
        for (name, encrypted) in rows {
            let body = json!({"encrypt": encrypted}).to_string();
            self.unsigned(13, &format!("{name}, not signed"), body.clone());
            let value = signature(&now, "nonce0001", "another key", body.as_bytes());
            let request = self.signed(body, [&now, "nonce0001", &value]);
            self.refused(13, format!("{name}, signed by another"), request);
        }
        self.unsigned(
            13,
            "an event sealed with the key, not signed",
            json!({"encrypt": sealed}).to_string(),
        );
        // 14: who it says it is
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "101.36.0.1"),
            ("forwarded", "for=open.feishu.cn"),
            ("host", "open.feishu.cn"),
            ("authorization", "Bearer t-1"),
            ("x-lark-verified", "true"),
            ("user-agent", "Go-http-client/1.1"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let row = request(self.body.clone(), &[(name.clone(), text(value))]);
            self.refused(14, format!("{name}: {value}"), row);
        }
        let proxied = format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n{}", self.body);
        self.body(14, "a proxy's line", proxied);
    }
}

fn table() -> Table {
    let body = json!({"encrypt": seal(ENCRYPT, &event().to_string())}).to_string();
    let mut table = Table {
        body,
        rows: Vec::new(),
        absent: Vec::new(),
    };
    table.headers();
    table.values();
    table.algorithms();
    table.timestamps();
    table.bodies();
    table.routes();
    table.seals();
    table
}

#[test]
fn no_way_around_the_signature_leads_in() {
    let fake = Fake::new();
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
    assert!(table.rows.len() >= 150, "{}", table.rows.len());
}

#[test]
fn what_is_right_is_let_in() {
    let fake = Fake::new();
    let channel = fake.channel();
    let table = table();
    for timestamp in [NOW, NOW - 299, NOW + 299, NOW - 300, NOW + 300] {
        let timestamp = timestamp.to_string();
        let value = signature(&timestamp, "nonce0001", ENCRYPT, table.body.as_bytes());
        let request = table.signed(table.body.clone(), [&timestamp, "nonce0001", &value]);
        assert_eq!(
            channel.receive(&request, fake.now()).unwrap().events.len(),
            1
        );
    }
}
