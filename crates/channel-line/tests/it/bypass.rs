//! Ways around the signature, row by row: fourteen families of attempts, each of them signed
//! as well as an attacker can. What does not apply to LINE says why.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use bytes::Bytes;
use channel_core::Webhook as _;
use channel_line::Line;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue, Method, Request};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::fake::{ADA, BOT, Fake, HEADER, SECRET, TOKEN, sign};

const BODY: &str = r#"{"destination":"U00000000000000000000000000000000","events":[{"type":"message","mode":"active","timestamp":1767225600000,"source":{"type":"user","userId":"U11111111111111111111111111111111"},"webhookEventId":"01K70000000000000000000000","deliveryContext":{"isRedelivery":false},"replyToken":"00000000000000000000000000000001","message":{"id":"530000000000000019","type":"text","text":"caf\u00e9"}}]}"#;

/// What has to become of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Wanted {
    /// 401, with the same empty answer as any other.
    Refused,
    /// Signed as it should be, and refused for what it carries (415).
    Unsupported,
}

struct Row {
    family: u8,
    name: String,
    wanted: Wanted,
    request: Request<Bytes>,
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    /// Rows that LINE has no place for, and why.
    absent: Vec<(u8, &'static str, &'static str)>,
}

fn with_headers(body: impl Into<Bytes>, headers: &[(HeaderName, HeaderValue)]) -> Request<Bytes> {
    let mut request = Request::post("/line/webhook").body(body.into()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    request
}

fn good() -> String {
    sign(SECRET, BODY.as_bytes())
}

fn raw() -> Vec<u8> {
    STANDARD.decode(good()).unwrap()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap()
}

impl Table {
    fn refused(&mut self, family: u8, name: &str, request: Request<Bytes>) {
        self.rows.push(Row {
            family,
            name: name.to_owned(),
            wanted: Wanted::Refused,
            request,
        });
    }

    /// The good body with another value of the signature.
    fn value(&mut self, family: u8, name: &str, value: impl AsRef<[u8]>) {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.refused(family, name, with_headers(BODY, &[(HEADER, value)]));
    }

    /// The good signature with another body.
    fn body(&mut self, family: u8, name: &str, body: impl Into<Bytes>) {
        let request = with_headers(body, &[(HEADER, text(&good()))]);
        self.refused(family, name, request);
    }

    fn absent(&mut self, family: u8, name: &'static str, why: &'static str) {
        self.absent.push((family, name, why));
    }

    fn headers(&mut self) {
        let (good, bad) = (good(), sign("other", BODY.as_bytes()));
        let pair = |a: &str, b: &str| with_headers(BODY, &[(HEADER, text(a)), (HEADER, text(b))]);
        self.refused(1, "absent", with_headers(BODY, &[]));
        self.value(1, "empty", "");
        self.refused(1, "twice: good, bad", pair(&good, &bad));
        self.refused(1, "twice: bad, good", pair(&bad, &good));
        self.refused(1, "twice: bad, bad", pair(&bad, &bad));
        self.refused(1, "twice: good, good", pair(&good, &good));
        self.value(1, "joined: good, bad", format!("{good},{bad}"));
        self.value(1, "joined: bad, good", format!("{bad}, {good}"));
        self.value(1, "trailing comma", format!("{good},"));
        self.value(1, "leading comma", format!(",{good}"));
        self.value(1, "leading space", format!(" {good}"));
        self.value(1, "trailing space", format!("{good} "));
        self.value(1, "leading tab", format!("\t{good}"));
        self.value(1, "trailing tab", format!("{good}\t"));
        for name in [
            "line-signature",
            "x-line-signature-256",
            "x_line_signature",
            "signature",
            "x-hub-signature-256",
        ] {
            let header = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let request = with_headers(BODY, &[(header, text(&good))]);
            self.refused(1, &format!("in the header {name}"), request);
        }
        let why = "no head with one is read, and no header value can hold one";
        self.absent(1, "NUL in the value", why);
        self.absent(1, "folded line", why);
    }

    fn values(&mut self) {
        let good = good();
        let swapped: String = good
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        self.value(2, "upper case", good.to_uppercase());
        self.value(2, "lower case", good.to_lowercase());
        self.value(2, "case swapped", swapped);
        for prefix in [
            "sha256=",
            "v0=",
            "v1=",
            "v1,",
            "hmac-sha256 ",
            "Bearer ",
            "base64:",
        ] {
            self.value(2, &format!("prefix {prefix}"), format!("{prefix}{good}"));
        }
        self.value(2, "doubled", format!("{good}{good}"));
        for junk in ["=junk", "junk", ";v=1", "&x=1", "#", "\u{7e}"] {
            self.value(2, &format!("followed by {junk}"), format!("{good}{junk}"));
        }
        self.value(
            2,
            "a thousand candidates",
            vec![good.as_str(); 1000].join(","),
        );
        let many = vec![(HEADER, text(&good)); 1000];
        self.refused(2, "a thousand headers", with_headers(BODY, &many));
        for position in [0, 1, 10, 21, 32, 41, 42] {
            let mut changed = good.clone().into_bytes();
            changed[position] = if changed[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            self.value(2, &format!("another character at {position}"), changed);
        }
    }

    fn lengths(&mut self) {
        let raw = raw();
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        self.value(3, "one byte", encode(&raw[..1]));
        self.value(3, "half", encode(&raw[..16]));
        self.value(3, "one byte short", encode(&raw[..31]));
        self.value(3, "one byte long", encode(&[&raw[..], &[0]].concat()));
        self.value(3, "twice as long", encode(&[&raw[..], &raw].concat()));
        self.value(3, "zero bytes", encode(&[0; 32]));
        self.value(3, "all ones", encode(&[0xff; 32]));
        self.value(3, "only padding", "=".repeat(44));
        self.value(3, "one character short", &good()[..43]);
        self.value(3, "the last characters", &good()[1..]);
    }

    fn encodings(&mut self) {
        let (good, raw) = (good(), raw());
        assert!(
            good.contains('+') && good.contains('/'),
            "the row says something"
        );
        self.value(4, "base64url", URL_SAFE.encode(&raw));
        self.value(4, "without padding", STANDARD_NO_PAD.encode(&raw));
        self.value(4, "padding doubled", format!("{good}="));
        self.value(4, "padding escaped", good.replace('=', "%3D"));
        self.value(4, "hex", hex::encode(&raw));
        self.value(4, "upper-case hex", hex::encode_upper(&raw));
        self.value(4, "base64 of hex", STANDARD.encode(hex::encode(&raw)));
        self.value(4, "base64 of base64", STANDARD.encode(&good));
        self.value(
            4,
            "raw bytes, as far as a header takes them",
            raw.iter().map(|b| b | 0x80).collect::<Vec<_>>(),
        );
        self.value(4, "in quotes", format!("\"{good}\""));
        // The last character before the padding carries two bits that mean nothing.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let last = good.as_bytes()[42];
        let at = alphabet.iter().position(|c| *c == last).unwrap();
        for bits in 1..4 {
            let mut spelled = good.clone().into_bytes();
            spelled[42] = alphabet[at ^ bits];
            self.value(4, &format!("non-canonical last character {bits}"), spelled);
        }
        let first = good.chars().next().unwrap();
        let others = [
            ("full-width letter", '\u{ff21}'),
            ("cyrillic letter", '\u{430}'),
            ("arabic digit", '\u{661}'),
            ("zero-width space", '\u{200b}'),
        ];
        for (name, other) in others {
            self.value(4, name, good.replacen(first, &other.to_string(), 1));
        }
        self.value(
            4,
            "invalid UTF-8",
            [&[0xff, 0xfe], &good.as_bytes()[2..]].concat(),
        );
    }

    fn algorithms(&mut self) {
        let body = BODY.as_bytes();
        let mut sha1 = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        sha1.update(body);
        self.value(
            5,
            "HMAC-SHA1",
            STANDARD.encode(sha1.finalize().into_bytes()),
        );
        let mut sha512 = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
        sha512.update(body);
        self.value(
            5,
            "HMAC-SHA512, cut",
            STANDARD.encode(&sha512.finalize().into_bytes()[..32]),
        );
        let plain = |parts: &[&[u8]]| STANDARD.encode(Sha256::digest(parts.concat()));
        self.value(5, "SHA-256 without a key", plain(&[body]));
        self.value(
            5,
            "SHA-256 of key and body",
            plain(&[SECRET.as_bytes(), body]),
        );
        self.value(
            5,
            "SHA-256 of body and key",
            plain(&[body, SECRET.as_bytes()]),
        );
        let keys = [
            ("empty", String::new()),
            ("the bot's id", BOT.to_owned()),
            ("the sender's id", ADA.to_owned()),
            ("the access token", TOKEN.to_owned()),
            ("the secret and a line feed", format!("{SECRET}\n")),
            ("the secret and a NUL", format!("{SECRET}x")),
            ("the secret in upper case", SECRET.to_uppercase()),
            ("the secret reversed", SECRET.chars().rev().collect()),
            ("the secret in base64", STANDARD.encode(SECRET)),
            ("the secret in hex", hex::encode(SECRET)),
            (
                "the hash of the secret",
                hex::encode(Sha256::digest(SECRET)),
            ),
            ("the start of the secret", SECRET[..16].to_owned()),
        ];
        for (name, key) in keys {
            self.value(5, &format!("the key is {name}"), sign(&key, body));
        }
        let no_keys = "the signature is an HMAC: there are no public keys and no points";
        self.absent(
            5,
            "Ed25519 small-order key, s >= L, R and S swapped",
            no_keys,
        );
        self.absent(5, "HMAC with the public key's bytes", no_keys);
    }

    fn replays(&mut self) {
        let other_id = BODY.replace("01K70000000000000000000000", "01K70000000000000000000001");
        self.body(7, "same body, another event id", other_id);
        self.body(7, "same event id, another text", BODY.replace("caf", "tea"));
        self.body(
            7,
            "declared to be a redelivery",
            BODY.replace("isRedelivery\":false", "isRedelivery\":true"),
        );
        let later = BODY.replace("1767225600000", "1767225900000");
        self.body(7, "a fresher timestamp", later);
        let why = "every copy of an event has the same id, which the inbox knows: replays_are_the_same_event";
        self.absent(
            7,
            "same request twice, after a restart, in two instances",
            why,
        );
    }

    fn bodies(&mut self) {
        let parsed: serde_json::Value = serde_json::from_str(BODY).unwrap();
        self.body(
            8,
            "serialised again",
            serde_json::to_string(&parsed).unwrap(),
        );
        self.body(
            8,
            "serialised prettily",
            serde_json::to_string_pretty(&parsed).unwrap(),
        );
        let swapped = BODY.replace(
            r#""type":"message","mode":"active""#,
            r#""mode":"active","type":"message""#,
        );
        self.body(8, "keys in another order", swapped);
        self.body(8, "a space after a colon", BODY.replacen(':', ": ", 1));
        self.body(
            8,
            "a letter escaped",
            BODY.replace("message\"", "messag\\u0065\""),
        );
        self.body(
            8,
            "an escape written out",
            BODY.replace("\\u00e9", "\u{e9}"),
        );
        self.body(8, "decomposed", BODY.replace("\\u00e9", "e\u{301}"));
        self.body(8, "byte order mark", format!("\u{feff}{BODY}"));
        self.body(8, "trailing line feed", format!("{BODY}\n"));
        self.body(8, "trailing CRLF", format!("{BODY}\r\n"));
        self.body(8, "trailing space", format!("{BODY} "));
        self.body(8, "leading space", format!(" {BODY}"));
        self.body(8, "trailing NUL", format!("{BODY}\0"));
        self.body(8, "empty", "");
        self.body(8, "cut", &BODY.as_bytes()[..BODY.len() - 1]);
        self.body(8, "doubled", format!("{BODY}{BODY}"));
        self.body(
            8,
            "a second key of the same name",
            BODY.replacen('{', r#"{"events":[],"#, 1),
        );
        self.body(8, "another sender", BODY.replace(ADA, BOT));
        self.body(
            8,
            "another reply token",
            BODY.replace("0001\",\"message", "0002\",\"message"),
        );
        self.body(
            8,
            "without events",
            format!(r#"{{"destination":"{BOT}","events":[]}}"#),
        );
        let utf16: Vec<u8> = BODY.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.body(8, "UTF-16", utf16);
        for at in [0, BODY.len() / 2, BODY.len() - 1] {
            let mut changed = BODY.as_bytes().to_vec();
            changed[at] ^= 1;
            self.body(8, &format!("one bit changed at {at}"), changed);
        }
        let host = "the host reads a request as one body; channel-webhook proves it";
        self.absent(8, "CRLF for LF", "the body holds no line feed");
        self.absent(
            9,
            "chunked, chunk extensions, trailers, wrong length, HTTP/1.0, HTTP/2",
            host,
        );
    }

    fn transfers(&mut self) {
        // The bytes need not be gzip: they are never unpacked.
        let packed = [&[0x1f, 0x8b, 8, 0][..], BODY.as_bytes()].concat();
        let encoding = HeaderName::from_static("content-encoding");
        for (name, signed, value) in [
            ("gzip, signed plain", false, "gzip"),
            ("gzip, signed packed", true, "gzip"),
            ("deflate, signed packed", true, "deflate"),
            ("identity and gzip, signed packed", true, "identity, gzip"),
        ] {
            let signature = if signed {
                sign(SECRET, &packed)
            } else {
                good()
            };
            let headers = [(HEADER, text(&signature)), (encoding.clone(), text(value))];
            self.rows.push(Row {
                family: 9,
                name: name.to_owned(),
                wanted: if signed {
                    Wanted::Unsupported
                } else {
                    Wanted::Refused
                },
                request: with_headers(packed.clone(), &headers),
            });
        }
    }

    fn routes(&mut self) {
        let body = BODY.as_bytes();
        self.value(
            10,
            "signed by another account of ours",
            sign("synthetic_channel_secret_0002", body),
        );
        self.value(
            10,
            "signed with the secret of a test account",
            sign("test", body),
        );
        self.value(
            10,
            "signed with an old secret",
            sign("synthetic_channel_secret_0000", body),
        );
        let slack = [b"v0:1767225600:".as_slice(), body].concat();
        self.value(10, "signed as Slack signs", sign(SECRET, &slack));
        let path = [b"/line/webhook".as_slice(), body].concat();
        self.value(10, "signed with the path", sign(SECRET, &path));
        let other = BODY.replacen(BOT, ADA, 1);
        self.body(10, "sent to another account", other);
        self.absent(
            10,
            "another path",
            "LINE does not sign the path, and the host serves one",
        );
    }

    fn challenges(&mut self) {
        let mut get = with_headers("", &[]);
        *get.method_mut() = Method::GET;
        *get.uri_mut() = "/line/webhook?challenge=%3Cscript%3E".parse().unwrap();
        self.refused(11, "a GET with a challenge", get);
        let mut query = with_headers(BODY, &[]);
        *query.uri_mut() = format!(
            "/line/webhook?x-line-signature={}",
            good().replace('+', "%2B")
        )
        .parse()
        .unwrap();
        self.refused(11, "the signature in the query", query);
        let why = "LINE has no challenge: it verifies with an empty list of events";
        self.absent(11, "wrong token, array parameters, reflected echo", why);
    }

    fn identities(&mut self) {
        let names = [
            "x-forwarded-for",
            "x-real-ip",
            "forwarded",
            "host",
            "user-agent",
            "authorization",
            "x-line-request-id",
        ];
        for name in names {
            let value = match name {
                "host" => "api.line.me",
                "user-agent" => "LineBotWebhook/2.0",
                "authorization" => "Bearer synthetic-access-token/+0001=",
                _ => "147.92.128.1",
            };
            let header = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let request = with_headers(BODY, &[(header, text(value))]);
            self.refused(14, &format!("{name} instead of a signature"), request);
        }
        let inside = BODY.replacen('{', &format!(r#"{{"x-line-signature":"{}","#, good()), 1);
        self.refused(14, "the signature in the body", with_headers(inside, &[]));
        self.absent(14, "proxy protocol junk", "the host reads no such thing");
    }

    fn all() -> Self {
        let mut table = Self::default();
        table.headers();
        table.values();
        table.lengths();
        table.encodings();
        table.algorithms();
        let why = "LINE signs no timestamp; that of each event is judged alone, see `inbound`";
        table.absent(6, "missing, zero, negative, stale, ahead", why);
        table.replays();
        table.bodies();
        table.transfers();
        table.routes();
        table.challenges();
        table.absent(12, "bytes moved between parts", "only the body is signed");
        table.absent(13, "padding oracle, wrong receiver", "nothing is encrypted");
        table.identities();
        table
    }
}

fn channel() -> (Fake, Line) {
    let fake = Fake::new();
    let channel = fake.channel();
    (fake, channel)
}

/// How many attempts there are; the README says it.
pub(crate) fn count() -> usize {
    Table::all().rows.len()
}

#[test]
fn no_way_leads_around_the_signature() {
    let (fake, channel) = channel();
    let now = channel_core::Clock::now(&fake.transport.clock);
    // The request that all of them are made of is good.
    let signed = with_headers(BODY, &[(HEADER, text(&good()))]);
    assert_eq!(channel.receive(&signed, now).unwrap().events.len(), 1);
    let table = Table::all();
    let mut families: BTreeMap<u8, usize> = BTreeMap::new();
    for row in &table.rows {
        let context = format!("family {}: {}", row.family, row.name);
        let Err(rejection) = channel.receive(&row.request, now) else {
            panic!("{context} was let in")
        };
        let answer = rejection.response();
        let status = match row.wanted {
            Wanted::Refused => 401,
            Wanted::Unsupported => 415,
        };
        assert_eq!(answer.status().as_u16(), status, "{context}");
        assert!(
            answer.body().is_empty() && answer.headers().is_empty(),
            "{context}"
        );
        *families.entry(row.family).or_default() += 1;
    }
    println!(
        "signature bypass: {} rows, {families:?} by family",
        table.rows.len()
    );
    for (family, name, why) in &table.absent {
        println!("family {family}: {name}: {why}");
    }
    let covered = |family: u8| {
        families.contains_key(&family) || table.absent.iter().any(|(it, _, _)| *it == family)
    };
    assert!((1..=14).all(covered));
    assert!(table.rows.len() >= 100, "{} rows", table.rows.len());
    assert_eq!(fake.transport.http.count(), 0, "nothing was asked or told");
}

#[test]
fn replays_are_the_same_event() {
    let (fake, channel) = channel();
    let (_, restarted) = self::channel();
    let now = channel_core::Clock::now(&fake.transport.clock);
    let signed = with_headers(BODY, &[(HEADER, text(&good()))]);
    let ids: Vec<_> = [&channel, &channel, &restarted]
        .iter()
        .map(|it| it.receive(&signed, now).unwrap().events[0].id.clone())
        .collect();
    assert!(
        ids.iter()
            .all(|id| id.as_str() == "01K70000000000000000000000")
    );
}
