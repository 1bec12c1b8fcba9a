//! What a request says: times, envelopes, receivers, sealed texts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{Clock as _, Secret};
use channel_wechat_crypto::MessageCipher;
use http::{HeaderName, Method};

use super::Table;
use crate::sealing::{CORP, KEY, NONCE, TOKEN, Wrap};

impl Table {
    /// Family 6: signed properly, at the wrong time or written otherwise.
    pub(super) fn times(&mut self) {
        let encrypted = self.encrypted.clone();
        let now: i64 = self.timestamp.parse().unwrap();
        for (offset, passes) in [
            (-299, true),
            (299, true),
            (-301, false),
            (301, false),
            (-86_400, false),
            (86_400, false),
        ] {
            let parts = self.signed(&(now + offset).to_string(), NONCE, &encrypted);
            self.row(6, format!("{offset} s"), parts, passes);
        }
        for written in [
            "0",
            "-1",
            "",
            "1760000000.0",
            "1e9",
            "1e10",
            "9223372036854775808",
            "0x68e77800",
            "abc",
            "%2B1760000000",
            "NaN",
        ] {
            let parts = self.signed(written, NONCE, &encrypted);
            self.refuse(6, format!("timestamp {written:?}"), parts);
        }
        for (name, written) in [
            ("milliseconds", format!("{now}000")),
            ("leading zero", format!("0{now}")),
            ("two zeros", format!("00{now}")),
            ("space before", format!("%20{now}")),
            ("full-width", now.to_string().replace('1', "%EF%BC%91")),
        ] {
            let parts = self.signed(&written, NONCE, &encrypted);
            self.refuse(6, name, parts);
        }
        let (good, signature) = (self.good.clone(), self.signature.clone());
        self.refuse(6, "absent", good.clone().set("timestamp", &[]));
        self.refuse(
            6,
            "twice",
            good.set("timestamp", &[&now.to_string(), &now.to_string()]),
        );
        let other = self.with(&signature, &(now + 1).to_string(), NONCE, &encrypted);
        self.refuse(6, "another than the signed one", other);
        for nonce in ["", "a%20b", "a%00", "%E4%B8%AD", "a%2Bb", "n%3D"] {
            let parts = self.signed(&now.to_string(), nonce, &encrypted);
            self.refuse(6, format!("nonce {nonce:?}"), parts);
        }
    }

    /// Families 8 and 9: the envelope.
    pub(super) fn bodies(&mut self) {
        let (good, encrypted) = (self.good.clone(), self.encrypted.clone());
        let text = String::from_utf8(good.body.clone()).unwrap();
        let mut bodies: Vec<(&str, Vec<u8>)> = vec![
            ("empty", Vec::new()),
            ("space", b" ".to_vec()),
            ("byte order mark", format!("\u{feff}{text}").into_bytes()),
            (
                "utf-16",
                text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            ),
            ("bytes behind", format!("{text}x").into_bytes()),
            ("twice", format!("{text}{text}").into_bytes()),
            ("cut", text.as_bytes()[..text.len() - 5].to_vec()),
            ("the text alone", encrypted.clone().into_bytes()),
            ("a form", format!("encrypt={encrypted}").into_bytes()),
            ("nul behind", format!("{text}\0").into_bytes()),
            ("not utf-8", [text.as_bytes(), b"\xff"].concat()),
        ];
        match self.wrap {
            Wrap::Xml => bodies.extend([
                ("two texts", format!("<xml><Encrypt>{encrypted}</Encrypt><Encrypt>AAAA</Encrypt></xml>").into_bytes()),
                ("other name", format!("<xml><encrypt>{encrypted}</encrypt></xml>").into_bytes()),
                ("nested", format!("<xml><a><Encrypt>{encrypted}</Encrypt></a></xml>").into_bytes()),
                ("attribute", format!("<xml><Encrypt a=\"b\">{encrypted}</Encrypt></xml>").into_bytes()),
                ("doctype", format!("<!DOCTYPE xml>{text}").into_bytes()),
                ("entity", format!("<!DOCTYPE x [<!ENTITY e \"{encrypted}\">]><xml><Encrypt>&e;</Encrypt></xml>").into_bytes()),
                ("comment", text.replacen("<Encrypt>", "<!-- --><Encrypt>", 1).into_bytes()),
                ("json", format!("{{\"encrypt\":\"{encrypted}\"}}").into_bytes()),
                ("other root", format!("<html><Encrypt>{encrypted}</Encrypt></html>").into_bytes()),
                ("nine fields", format!("<xml><Encrypt>{encrypted}</Encrypt><a/><b/><c/><d/><e/><f/><g/><h/></xml>").into_bytes()),
            ]),
            Wrap::Json => bodies.extend([
                ("two texts", format!("{{\"encrypt\":\"{encrypted}\",\"encrypt\":\"AAAA\"}}").into_bytes()),
                ("other name", format!("{{\"Encrypt\":\"{encrypted}\"}}").into_bytes()),
                ("nested", format!("{{\"a\":{{\"encrypt\":\"{encrypted}\"}}}}").into_bytes()),
                ("a list", format!("[\"{encrypted}\"]").into_bytes()),
                ("a list of objects", format!("[{text}]").into_bytes()),
                ("null", b"{\"encrypt\":null}".to_vec()),
                ("a number", b"{\"encrypt\":5}".to_vec()),
                ("xml", format!("<xml><Encrypt>{encrypted}</Encrypt></xml>").into_bytes()),
                ("lone surrogate", b"{\"encrypt\":\"\\ud800\"}".to_vec()),
                ("deep", "{\"a\":".repeat(100_000).into_bytes()),
            ]),
        }
        for (name, body) in bodies {
            let mut parts = good.clone();
            parts.body = body;
            self.refuse(8, name, parts);
        }
        for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
            let mut parts = good.clone();
            parts
                .headers
                .push((http::header::CONTENT_ENCODING, encoding));
            self.refuse(9, format!("encoded by {encoding}"), parts);
        }
    }

    /// Families 10, 11, 13 and 14.
    pub(super) fn routing(&mut self, plain: &str, receiver: &str) {
        let now = self.platform.clock.now();
        let with = |token: &str, key: &str, receiver: &str, plain: &str| {
            let cipher =
                MessageCipher::new(Secret::new(token), &Secret::new(key), receiver).unwrap();
            cipher.seal(plain.as_bytes(), now, NONCE, [7; 16]).unwrap()
        };
        let other_key = "BQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for (name, token, key, to) in [
            ("another token", "syntheticTOKEN2canary", KEY, receiver),
            ("another key", TOKEN, other_key, receiver),
            ("another receiver", TOKEN, KEY, "wwcorp00000000002"),
            (
                "a receiver too many or too few",
                TOKEN,
                KEY,
                if receiver.is_empty() { CORP } else { "" },
            ),
            ("a receiver cut short", TOKEN, KEY, "wwcorp0000000000"),
        ] {
            let sealed = with(token, key, to, plain);
            let parts = self.with(&sealed.signature, &self.timestamp, NONCE, &sealed.encrypt);
            self.refuse(10, name, parts);
            let mut get = self.with(&sealed.signature, &self.timestamp, NONCE, "");
            get.method = Method::GET;
            get.query.push((
                "echostr".to_owned(),
                sealed
                    .encrypt
                    .replace('+', "%2B")
                    .replace('/', "%2F")
                    .replace('=', "%3D"),
            ));
            self.refuse(11, format!("challenge with {name}"), get);
        }
        for method in [
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::HEAD,
            Method::OPTIONS,
            Method::GET,
        ] {
            let mut parts = self.good.clone();
            parts.method = method.clone();
            self.refuse(10, format!("by {method}"), parts);
        }
        let sealed = with(TOKEN, KEY, receiver, "<script>alert(1)</script>");
        let escape = |text: &str| {
            text.replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
        };
        let mut challenge = self.with(&sealed.signature, &self.timestamp, NONCE, "");
        challenge.method = Method::GET;
        let ask = |values: &[&str]| challenge.clone().set("echostr", values);
        self.pass(11, "challenge as it is", ask(&[&escape(&sealed.encrypt)]));
        for (name, parts) in [
            ("challenge without text", ask(&[])),
            ("challenge with an empty text", ask(&[""])),
            ("challenge in the clear", ask(&["1234567890"])),
            (
                "challenge twice",
                ask(&[&escape(&sealed.encrypt), &escape(&sealed.encrypt)]),
            ),
            (
                "challenge without signature",
                ask(&[&escape(&sealed.encrypt)]).set("msg_signature", &[]),
            ),
            (
                "challenge without timestamp",
                ask(&[&escape(&sealed.encrypt)]).set("timestamp", &[]),
            ),
            (
                "challenge of another text",
                ask(&[&escape(&self.encrypted)]),
            ),
            ("challenge as a list", {
                let mut parts = ask(&[]);
                parts
                    .query
                    .push(("echostr[]".to_owned(), escape(&sealed.encrypt)));
                parts
            }),
        ] {
            self.refuse(11, name, parts);
        }
        for (name, value) in [
            ("x-forwarded-for", "101.91.40.24"),
            ("host", "evil.example"),
            ("forwarded", "for=101.91.40.24"),
            ("x-real-ip", "127.0.0.1"),
        ] {
            let header = HeaderName::from_static(name);
            let mut bad = self.good.clone().set("msg_signature", &[&"0".repeat(40)]);
            bad.headers.push((header.clone(), value));
            self.refuse(14, format!("{name} does not help"), bad);
            let mut good = self.good.clone();
            good.headers.push((header, value));
            self.pass(14, format!("{name} does not hurt"), good);
        }
    }

    /// Family 13: signed properly, and not sealed properly.
    pub(super) fn sealing(&mut self) {
        let timestamp = self.timestamp.clone();
        for (name, encrypted) in [
            ("pad byte 0", "4j/AuRx71kQlxVlzbpsMWIuc7PWRAqjhSYU6jhz32tE="),
            (
                "pad byte 33",
                "4j/AuRx71kQlxVlzbpsMWEJCcUX0hEQ75Dt9sWtHZHk=",
            ),
            (
                "mixed pad bytes",
                "4j/AuRx71kQlxVlzbpsMWJWIaaZaNKnQsrHqsLsRqBw=",
            ),
            (
                "length 9999",
                "4j/AuRx71kQlxVlzbpsMWBXsVRHV2yhT37Diy007de4=",
            ),
            (
                "under 20 bytes",
                "6cPvirI0U+bwdJzWNueojkMg1ROjWZve/z6dQY0MFo8=",
            ),
            ("17 bytes", "eHh4eHh4eHh4eHh4eHh4eHg="),
            ("no byte", ""),
            ("16 bytes", "eHh4eHh4eHh4eHh4eHh4eA=="),
        ] {
            let parts = self.signed(&timestamp, NONCE, encrypted);
            self.refuse(13, name, parts);
        }
        // The oracle's question: does any last byte of a changed block before the last open?
        let sealed = STANDARD.decode(&self.encrypted).unwrap();
        let at = sealed.len() - 17;
        for value in 0..=255_u8 {
            if sealed[at] == value {
                continue;
            }
            let mut changed = sealed.clone();
            changed[at] = value;
            let parts = self.signed(&timestamp, NONCE, &STANDARD.encode(changed));
            self.refuse(13, format!("padding oracle {value}"), parts);
        }
        for blocks in 1..sealed.len() / 16 {
            let shorter = STANDARD.encode(&sealed[..sealed.len() - 16 * blocks]);
            let parts = self.signed(&timestamp, NONCE, &shorter);
            self.refuse(13, format!("{blocks} blocks cut off"), parts);
        }
        let doubled = STANDARD.encode([&sealed[..], &sealed[..]].concat());
        let parts = self.signed(&timestamp, NONCE, &doubled);
        self.refuse(13, "blocks again", parts);
    }
}
