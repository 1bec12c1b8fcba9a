//! Who is let in: the vectors and the table of ways around the signature.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Answer, Webhook as _};
use channel_discord::Discord;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{HeaderValue, Method, Request};

use crate::fake::{DIRECT, Fake, command, signature, signed_at, signing_key};

/// Made by PyNaCl 1.6.2; the first was checked against discord-interactions 4.4.0.
const VECTORS: [(&str, &str); 3] = [
    (
        r#"{"type":1}"#,
        "c1098e97d711377f30225d53d94b89d43537f92e5b3afaddc590781b1f9f9d4b2eeab335d370be3b9a090bc61a85b86448bc140dcd195f1569c2bff181257607",
    ),
    (
        "{\"id\":\"1\",\"type\":2,\"data\":{\"name\":\"ask\",\"options\":[{\"name\":\"q\",\"type\":3,\"value\":\"h\u{e9}llo \u{1f600}\"}]}}",
        "7964c8d88a0f5404941d2812d65f463ab55f8bcf1898ac1e9893a771c23c23f08f465f54575f55b804663869ebbe3b361323276b14e058cf78d9f10863138405",
    ),
    (
        "",
        "5858a421f63ea937e93a24cb9579bd86ef65a2c4291b3936d7763de4e1b266cf2c78ac4f3ccc3ea40712d9d23c7b29e24307b7e399be8596bb784122b9fa600b",
    ),
];
const AT: u64 = 1_700_000_000;
const SIGNATURE: &str = "x-signature-ed25519";
const TIMESTAMP: &str = "x-signature-timestamp";

fn status(discord: &Discord, request: &Request<Bytes>, now: u64) -> u16 {
    match discord.receive(request, UNIX_EPOCH + Duration::from_secs(now)) {
        Ok(_) => 200,
        Err(rejection) => rejection.status().as_u16(),
    }
}

fn with(body: &str, signature: impl AsRef<[u8]>) -> Request<Bytes> {
    let mut request = signed_at(Bytes::from(body.to_owned()), &AT.to_string());
    let signature = HeaderValue::from_bytes(signature.as_ref()).unwrap();
    request.headers_mut().insert(SIGNATURE, signature);
    request
}

#[test]
fn every_vector_is_accepted_and_its_neighbours_are_not() {
    let discord = Fake::new().endpoint();
    for (body, made) in VECTORS {
        assert_eq!(signature(&AT.to_string(), body.as_bytes()), made);
        // Past the signature the bodies fail on their own: with 400, never 401.
        assert_ne!(status(&discord, &with(body, made), AT), 401, "{body}");
        assert_eq!(status(&discord, &with(&format!("{body} "), made), AT), 401);
        let mut later = with(body, made);
        later
            .headers_mut()
            .insert(TIMESTAMP, HeaderValue::from_static("1700000001"));
        assert_eq!(status(&discord, &later, AT), 401);
    }
    assert_eq!(
        status(&discord, &with(r#"{"type":2}"#, VECTORS[0].1), AT),
        401
    );
    let now = UNIX_EPOCH + Duration::from_secs(AT);
    let ping = discord.receive(&with(VECTORS[0].0, VECTORS[0].1), now);
    let Answer::Now(response) = ping.unwrap().answer else {
        panic!("a ping is answered at once");
    };
    assert_eq!(response.body(), r#"{"type":1}"#);
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[test]
fn a_request_is_good_for_five_minutes_in_both_directions() {
    let discord = Fake::new().endpoint();
    let request = with(VECTORS[0].0, VECTORS[0].1);
    for now in [AT - 300, AT - 299, AT, AT + 299, AT + 300] {
        assert_eq!(status(&discord, &request, now), 200, "{now}");
    }
    for now in [AT - 301, AT + 301, 0, u64::from(u32::MAX) * 100] {
        assert_eq!(status(&discord, &request, now), 401, "{now}");
    }
}

type Change = Box<dyn FnOnce(&mut Request<Bytes>)>;

/// The good request, and changes of it that must not be let in.
struct Table {
    body: String,
    good: String,
    rows: Vec<(u8, String, Change)>,
}

impl Table {
    fn add(
        &mut self,
        family: u8,
        name: impl Into<String>,
        change: impl FnOnce(&mut Request<Bytes>) + 'static,
    ) {
        self.rows.push((family, name.into(), Box::new(change)));
    }

    /// Replaces a header by these values, as they are.
    fn header(&mut self, family: u8, name: &str, header: &'static str, values: &[&[u8]]) {
        let values: Vec<Vec<u8>> = values.iter().map(|value| value.to_vec()).collect();
        self.add(family, format!("{header}: {name}"), move |request| {
            request.headers_mut().remove(header);
            for value in values {
                // What HTTP itself cannot carry never gets this far.
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    request.headers_mut().append(header, value);
                }
            }
        });
    }

    fn sign(&mut self, family: u8, name: &str, value: impl AsRef<[u8]>) {
        self.header(family, name, SIGNATURE, &[value.as_ref()]);
    }

    fn body(&mut self, name: &str, body: impl Into<Bytes>) {
        let body = body.into();
        self.add(8, name, move |request| *request.body_mut() = body);
    }

    /// Properly signed by whoever has the key.
    fn timestamp(&mut self, name: &str, value: &'static str) {
        let signed = signature(value, self.body.as_bytes());
        self.add(6, name, move |request| {
            let headers = request.headers_mut();
            headers.remove(TIMESTAMP);
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(TIMESTAMP, value);
            }
            headers.insert(SIGNATURE, HeaderValue::from_str(&signed).unwrap());
        });
    }

    fn request(&self) -> Request<Bytes> {
        with(&self.body, &self.good)
    }
}

fn table() -> Table {
    let body = command(1302, DIRECT, "ask", "h\u{e9}llo \u{1f680}").to_string();
    let good = signature(&AT.to_string(), body.as_bytes());
    let mut table = Table {
        body,
        good,
        rows: Vec::new(),
    };
    headers(&mut table);
    forms(&mut table);
    algorithms(&mut table);
    timestamps(&mut table);
    bodies(&mut table);
    routing(&mut table);
    table
}

/// Family 1: which headers, and how often.
fn headers(table: &mut Table) {
    let good = table.good.clone();
    let bad = good.replace(['0', '1', '2'], "f");
    for (header, right, wrong) in [
        (SIGNATURE, good.as_str(), bad.as_str()),
        (TIMESTAMP, "1700000000", "1700000001"),
    ] {
        let (right, wrong) = (right.as_bytes(), wrong.as_bytes());
        for (name, values) in [
            ("absent", vec![]),
            ("empty", vec![b"".to_vec()]),
            ("good and bad", vec![right.to_vec(), wrong.to_vec()]),
            ("bad and good", vec![wrong.to_vec(), right.to_vec()]),
            ("twice good", vec![right.to_vec(); 2]),
            ("twice bad", vec![wrong.to_vec(); 2]),
            ("joined by a comma", vec![[right, b",", right].concat()]),
            ("comma at the end", vec![[right, b","].concat()]),
            ("space before", vec![[b" ", right].concat()]),
            ("space behind", vec![[right, b" "].concat()]),
            ("tab behind", vec![[right, b"\t"].concat()]),
            ("not UTF-8", vec![[right, b"\xff"].concat()]),
        ] {
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            table.header(1, name, header, &values);
        }
    }
}

/// Families 2 to 4: prefixes, lengths and spellings.
fn forms(table: &mut Table) {
    let hex = table.good.clone();
    let raw = hex::decode(&hex).unwrap();
    let alternating = |(at, c): (usize, char)| {
        if at % 2 == 0 {
            c.to_ascii_uppercase()
        } else {
            c
        }
    };
    let mixed: String = hex.char_indices().map(alternating).collect();
    for (name, value) in [
        ("upper case", hex.to_uppercase()),
        ("mixed case", mixed),
        ("a version", format!("v0={hex}")),
        ("an algorithm", format!("ed25519={hex}")),
        ("0x", format!("0x{hex}")),
        ("something behind", format!("{hex}=junk")),
        ("a second one behind", format!("{hex},{hex}")),
        ("a thousand candidates", vec![hex.as_str(); 1000].join(",")),
        ("quoted", format!("\"{hex}\"")),
        ("space inside", format!("{} {}", &hex[..64], &hex[64..])),
    ] {
        table.sign(2, name, value);
    }
    for (name, value) in [
        ("one digit", hex[..1].to_owned()),
        ("one byte", hex[..2].to_owned()),
        ("half", hex[..64].to_owned()),
        ("one byte short", hex[..126].to_owned()),
        ("one digit short", hex[..127].to_owned()),
        ("one byte long", format!("{hex}00")),
        ("twice as long", format!("{hex}{hex}")),
        ("zeros", "0".repeat(128)),
        ("all ones", "f".repeat(128)),
    ] {
        table.sign(3, name, value);
    }
    table.sign(4, "bytes", &raw);
    table.sign(
        4,
        "homoglyph",
        hex.replace('a', "\u{430}").replace('0', "\u{41e}"),
    );
    table.sign(4, "full-width digits", hex.replace('0', "\u{ff10}"));
    table.sign(4, "percent encoded", hex.replace('a', "%61"));
    for bit in [0, 1, 255, 256, 511] {
        let mut changed = raw.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        table.sign(4, &format!("bit {bit}"), hex::encode(changed));
    }
}

/// Family 5: another key, and what the curve itself would let pass.
fn algorithms(table: &mut Table) {
    let at = AT.to_string();
    let raw = hex::decode(&table.good).unwrap();
    let message = [at.as_bytes(), table.body.as_bytes()].concat();
    let other = SigningKey::from_bytes(&[7; 32]).sign(&message);
    table.sign(5, "another key", hex::encode(other.to_bytes()));
    let empty = SigningKey::from_bytes(&[0; 32]).sign(&message);
    table.sign(5, "a key of zeros", hex::encode(empty.to_bytes()));
    let public = SigningKey::from_bytes(&signing_key().verifying_key().to_bytes()).sign(&message);
    table.sign(
        5,
        "the public key as the secret one",
        hex::encode(public.to_bytes()),
    );
    let (r, s) = raw.split_at(32);
    table.sign(5, "halves swapped", hex::encode([s, r].concat()));
    // The same signature plus the order of the group, which a lax check takes too.
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0_u16;
    let sum = s.iter().zip(&order).map(|(a, b)| {
        carry += u16::from(*a) + u16::from(*b);
        let byte = carry.to_le_bytes()[0];
        carry >>= 8;
        byte
    });
    let beyond: Vec<u8> = sum.collect();
    table.sign(5, "s beyond the order", hex::encode([r, &beyond].concat()));
    for (name, point) in [
        (
            "the neutral point",
            "0100000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "a point of order 2",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ),
        (
            "a point of order 4",
            "0000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "a point of order 8",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        ),
        (
            "a point that is none",
            "0200000000000000000000000000000000000000000000000000000000000000",
        ),
    ] {
        table.sign(
            5,
            &format!("{name} and s = 0"),
            format!("{point}{}", "0".repeat(64)),
        );
        table.sign(
            5,
            &format!("{name} and the right s"),
            format!("{point}{}", hex::encode(s)),
        );
    }
    table.sign(
        5,
        "the body alone",
        signature("", table.body.clone().as_bytes()),
    );
    let swapped = [table.body.as_bytes(), at.as_bytes()].concat();
    table.sign(
        5,
        "body before timestamp",
        hex::encode(signing_key().sign(&swapped).to_bytes()),
    );
}

/// Family 6, and 12: signed by whoever has the key, and yet not to be taken.
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
    table.header(12, "a digit cut off", TIMESTAMP, &[b"170000000"]);
    let body = table.body.clone();
    table.add(12, "a digit moved into the body", move |request| {
        let moved = HeaderValue::from_static("170000000");
        request.headers_mut().insert(TIMESTAMP, moved);
        *request.body_mut() = format!("0{body}").into();
    });
    let body = table.body.clone();
    table.add(
        12,
        "the body's first byte moved into the timestamp",
        move |request| {
            let moved = HeaderValue::from_static("1700000000{");
            request.headers_mut().insert(TIMESTAMP, moved);
            *request.body_mut() = body[1..].to_owned().into();
        },
    );
}

/// Family 8, and what of 9 is left once the server has put the body together.
fn bodies(table: &mut Table) {
    let body = table.body.clone();
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let inner = &body[1..body.len() - 1];
    for (name, changed) in [
        ("pretty", serde_json::to_string_pretty(&value).unwrap()),
        ("space between", body.replacen(':', ": ", 1)),
        ("a key first", format!("{{\"a\":1,{inner}}}")),
        ("a key last", format!("{{{inner},\"a\":1}}")),
        ("a key twice", format!("{{{inner},\"type\":3}}")),
        ("escaped", body.replace('\u{e9}', "\\u00e9")),
        ("decomposed", body.replace('\u{e9}', "e\u{301}")),
        ("byte order mark", format!("\u{feff}{body}")),
        ("CR LF behind", format!("{body}\r\n")),
        ("LF behind", format!("{body}\n")),
        ("space before", format!(" {body}")),
        ("NUL behind", format!("{body}\0")),
        ("empty", String::new()),
        ("cut", body[..body.len() - 1].to_owned()),
        ("twice", format!("{body}{body}")),
        ("another application", body.replace("\"9001\"", "\"9002\"")),
        ("another person", body.replace("\"42\"", "\"43\"")),
        ("another interaction", body.replace("\"1302\"", "\"1303\"")),
        ("another token", body.replace("TOKEN", "TAKEN")),
        ("a ping", VECTORS[0].0.to_owned()),
    ] {
        table.body(name, changed);
    }
    let latin: Vec<u8> = body
        .chars()
        .filter_map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    table.body("Latin-1", latin);
}

/// Families 10, 11 and 14: what was signed for another, or for nothing.
fn routing(table: &mut Table) {
    table.add(10, "GET", |request| *request.method_mut() = Method::GET);
    table.add(10, "PUT", |request| *request.method_mut() = Method::PUT);
    let foreign = table.body.replace("\"9001\"", "\"9002\"");
    table.add(10, "signed for another application", move |request| {
        *request = signed_at(foreign.into(), &AT.to_string());
    });
    table.add(11, "a ping without signature", |request| {
        *request.body_mut() = VECTORS[0].0.into();
        request.headers_mut().remove(SIGNATURE);
    });
    table.add(11, "a ping with a foreign signature", |request| {
        *request.body_mut() = VECTORS[0].0.into();
    });
    table.add(11, "a ping in the query", |request| {
        *request.method_mut() = Method::GET;
        *request.uri_mut() = "/discord/interactions?type=1".parse().unwrap();
        request.headers_mut().remove(SIGNATURE);
    });
    for (name, header, value) in [
        ("from Discord, it says", "x-forwarded-for", "35.237.4.214"),
        ("another host", "host", "discord.com"),
        (
            "Discord's agent",
            "user-agent",
            "Discord-Interactions/1.0 (+https://discord.com)",
        ),
        ("a bot's token", "authorization", "Bot x"),
    ] {
        table.add(14, name, move |request| {
            request.headers_mut().remove(SIGNATURE);
            request
                .headers_mut()
                .insert(header, HeaderValue::from_static(value));
        });
    }
}

/// The families that cannot be rows here, and why.
const ELSEWHERE: [&str; 3] = [
    "7 replay: a repeated request is the same event by its id, which is tested in interactions",
    "9 transfer: chunks, lengths and versions end at the server (channel-webhook); encodings below",
    "13 decryption: nothing is encrypted",
];

#[test]
fn every_way_around_the_signature_is_refused_alike() {
    let discord = Fake::new().endpoint();
    let mut table = table();
    let good = table.request();
    assert_eq!(status(&discord, &good, AT), 200, "the good one is good");
    let now = UNIX_EPOCH + Duration::from_secs(AT);
    let count = table.rows.len();
    for (family, name, change) in std::mem::take(&mut table.rows) {
        let mut request = table.request();
        change(&mut request);
        let is_same = request.body() == good.body()
            && request.headers() == good.headers()
            && request.method() == good.method();
        assert!(!is_same, "{family} {name} changes nothing");
        let Err(rejection) = discord.receive(&request, now) else {
            panic!("{family} {name} was let in");
        };
        let response = rejection.response();
        assert_eq!(response.status(), 401, "{family} {name}");
        assert!(response.body().is_empty(), "{family} {name}");
    }
    println!("signature bypass table: {count} rows refused; elsewhere: {ELSEWHERE:?}");
    assert!(count >= 110, "{count} rows");
}

#[test]
fn compressed_and_large_bodies_are_refused() {
    let discord = Fake::new().endpoint();
    for (value, wanted) in [("gzip", 415), ("identity", 200)] {
        let mut request = table().request();
        let headers = request.headers_mut();
        headers.insert("content-encoding", HeaderValue::from_static(value));
        assert_eq!(status(&discord, &request, AT), wanted, "{value}");
        request.headers_mut().remove(SIGNATURE);
        assert_eq!(status(&discord, &request, AT), 401);
    }
    let large = Bytes::from(vec![b' '; (1 << 20) + 1]);
    assert_eq!(
        status(&discord, &signed_at(large, &AT.to_string()), AT),
        413
    );
}

#[test]
fn without_a_key_nothing_is_taken() {
    let discord = Fake::new().channel();
    assert_eq!(status(&discord, &table().request(), AT), 401);
}
