//! How the signature and the text are written, and what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderName;
use md5::{Digest as _, Md5};
use sha1::Sha1;

use super::{Table, hmac_sha1, sign};
use crate::sealing::{KEY, NONCE, TOKEN};

impl Table {
    /// Families 1 to 4: where the signature stands, and how it is written.
    pub(super) fn writing(&mut self) {
        let (good, signature) = (self.good.clone(), self.signature.clone());
        let bad = sign(&["another", &self.timestamp, NONCE, &self.encrypted]);
        let set = |values: &[&str]| good.clone().set("msg_signature", values);
        let digest = hex::decode(&signature).unwrap();
        self.pass(1, "as it is", good.clone());
        for (name, values) in [
            ("absent", vec![]),
            ("empty", vec![""]),
            ("good and bad", vec![&*signature, &*bad]),
            ("bad and good", vec![&*bad, &*signature]),
            ("bad and bad", vec![&*bad, &*bad]),
            ("good twice", vec![&*signature, &*signature]),
            ("wrong", vec![&*bad]),
        ] {
            self.refuse(1, name, set(&values));
        }
        for (name, written) in [
            ("joined by comma", format!("{signature},{bad}")),
            ("trailing comma", format!("{signature},")),
            ("leading space", format!("%20{signature}")),
            ("trailing space", format!("{signature}%20")),
            ("tab", format!("%09{signature}")),
            ("nul", format!("{signature}%00")),
            ("folded", format!("{signature}%0D%0A%20")),
            ("line feed", format!("{signature}%0A")),
        ] {
            self.refuse(1, name, set(&[&written]));
        }
        for other in [
            "msg_signature%5B%5D",
            "msg_signature[]",
            "MSG_SIGNATURE",
            "msgsignature",
            "signature",
            "msg_signature%20",
            "%20msg_signature",
        ] {
            let mut parts = set(&[]);
            parts.query.push((other.to_owned(), signature.clone()));
            self.refuse(1, format!("as {other}"), parts);
        }
        let mut twice = good.clone();
        twice
            .query
            .push(("msg%5Fsignature".to_owned(), bad.clone()));
        self.refuse(1, "twice, once escaped", twice);
        let mut header = set(&[]);
        header
            .headers
            .push((HeaderName::from_static("msg_signature"), "x"));
        self.refuse(1, "in a header", header);
        let mixed: String = signature
            .char_indices()
            .map(|(i, c)| {
                if i % 2 == 0 {
                    c.to_ascii_uppercase()
                } else {
                    c
                }
            })
            .collect();
        let many = vec![&*signature; 1000];
        for (name, written) in [
            ("upper case", signature.to_uppercase()),
            ("mixed case", mixed),
            ("sha1 prefix", format!("sha1={signature}")),
            ("v0 prefix", format!("v0={signature}")),
            ("hex prefix", format!("0x{signature}")),
            ("doubled prefix", format!("sha1=sha1={signature}")),
            ("junk behind", format!("{signature}=junk")),
            ("a thousand candidates", many.join(",")),
            ("a list", format!("[%22{signature}%22]")),
            ("quoted", format!("%22{signature}%22")),
        ] {
            self.refuse(2, name, set(&[&written]));
        }
        self.refuse(2, "a thousand times", set(&many));
        for length in [0, 1, 20, 39] {
            self.refuse(3, format!("{length} digits"), set(&[&signature[..length]]));
        }
        for (name, written) in [
            ("one digit more", format!("{signature}0")),
            ("one digit before", format!("0{signature}")),
            ("doubled", format!("{signature}{signature}")),
            ("all zero", "0".repeat(40)),
            ("all f", "f".repeat(40)),
            ("zero bytes", "%00".repeat(40)),
            ("twenty zero bytes", "%00".repeat(20)),
            ("32 KiB", "a".repeat(1 << 15)),
        ] {
            self.refuse(3, name, set(&[&written]));
        }
        for (name, written) in [
            (
                "base64",
                STANDARD
                    .encode(&digest)
                    .replace('+', "%2B")
                    .replace('=', "%3D"),
            ),
            ("base64url", URL_SAFE_NO_PAD.encode(&digest)),
            (
                "raw bytes",
                digest.iter().map(|byte| format!("%{byte:02x}")).collect(),
            ),
            (
                "full-width digits",
                signature
                    .replace('1', "%EF%BC%91")
                    .replace('0', "%EF%BC%90"),
            ),
            (
                "arabic digits",
                signature.replace('1', "%D9%A1").replace('0', "%D9%A0"),
            ),
            (
                "homoglyphs",
                signature
                    .replace('a', "%D0%B0")
                    .replace('e', "%D0%B5")
                    .replace('c', "%D1%81"),
            ),
            ("invalid utf-8", format!("%FF{}", &signature[2..])),
            ("half an escape", format!("{}%a", &signature[..38])),
            (
                "twice escaped",
                signature
                    .chars()
                    .map(|c| format!("%25{:02x}", u32::from(c)))
                    .collect(),
            ),
        ] {
            self.refuse(4, name, set(&[&written]));
        }
    }

    /// Family 4: the same bytes written otherwise, signed as written.
    pub(super) fn encodings(&mut self) {
        let (encrypted, timestamp) = (self.encrypted.clone(), self.timestamp.clone());
        for (name, written) in [
            (
                "without padding",
                encrypted.trim_end_matches('=').to_owned() + "A",
            ),
            ("doubled padding", format!("{encrypted}====")),
            (
                "url alphabet",
                encrypted.replace('+', "-").replace('/', "_") + "-_==",
            ),
            (
                "space inside",
                format!("{} {}", &encrypted[..10], &encrypted[10..]),
            ),
            (
                "line feed inside",
                format!("{}\n{}", &encrypted[..10], &encrypted[10..]),
            ),
            ("space before", format!(" {encrypted}")),
            ("line feed behind", format!("{encrypted}\n")),
            ("not base64", "not base64 !!".to_owned()),
            ("only padding", "====".to_owned()),
            (
                "full-width letters",
                encrypted.replace('A', "\u{ff21}") + "\u{ff21}",
            ),
        ] {
            let parts = self.signed(&timestamp, NONCE, &written);
            self.refuse(4, format!("text {name}"), parts);
        }
        // The last character holds bits that mean nothing: another one is another text.
        if encrypted.ends_with('=') {
            let at = encrypted.trim_end_matches('=').len() - 1;
            let next = char::from(encrypted.as_bytes()[at] + 1);
            let other = format!("{}{next}{}", &encrypted[..at], &encrypted[at + 1..]);
            let parts = self.signed(&timestamp, NONCE, &other);
            self.refuse(4, "text with other spare bits", parts);
        }
    }

    /// Families 5 and 12: other algorithms, and bytes moved between the parts.
    pub(super) fn algorithms(&mut self) {
        let (encrypted, timestamp) = (self.encrypted.clone(), self.timestamp.clone());
        let unsorted = |parts: [&str; 4]| hex::encode(Sha1::digest(parts.concat()));
        let all = [TOKEN, &timestamp, NONCE, &encrypted].concat();
        let other = |parts: &[&str]| sign(parts);
        for (name, written) in [
            ("md5", hex::encode(Md5::digest(&all)) + "00000000"),
            ("without the token", other(&[&timestamp, NONCE, &encrypted])),
            ("empty token", other(&["", &timestamp, NONCE, &encrypted])),
            (
                "the key as token",
                other(&[KEY, &timestamp, NONCE, &encrypted]),
            ),
            (
                "the nonce as token",
                other(&[NONCE, &timestamp, NONCE, &encrypted]),
            ),
            ("without the text", other(&[TOKEN, &timestamp, NONCE])),
            (
                "of the plain text",
                other(&[TOKEN, &timestamp, NONCE, "plain"]),
            ),
            (
                "hmac",
                hmac_sha1(
                    TOKEN.as_bytes(),
                    [&*timestamp, NONCE, &encrypted].concat().as_bytes(),
                ),
            ),
            ("unsorted", unsorted([&encrypted, NONCE, &timestamp, TOKEN])),
            (
                "another order",
                unsorted([NONCE, TOKEN, &encrypted, &timestamp]),
            ),
            (
                "joined by line feeds",
                hex::encode(Sha1::digest(
                    [TOKEN, &timestamp, NONCE, &encrypted].join("\n"),
                )),
            ),
            (
                "token in another case",
                other(&[&TOKEN.to_uppercase(), &timestamp, NONCE, &encrypted]),
            ),
            (
                "token with a space",
                other(&[&format!("{TOKEN} "), &timestamp, NONCE, &encrypted]),
            ),
        ] {
            let parts = self.with(&written, &timestamp, NONCE, &encrypted);
            self.refuse(5, name, parts);
        }
        // The same signature, because the concatenation is the same.
        let mut sorted = [TOKEN, &timestamp, NONCE, &encrypted];
        sorted.sort_unstable();
        let whole = sorted.concat();
        let mut cuts = 0;
        for shift in 1..=96 {
            for (timestamp, nonce, encrypted) in [
                (
                    timestamp.clone(),
                    [NONCE, &encrypted[..shift]].concat(),
                    encrypted[shift..].to_owned(),
                ),
                (
                    timestamp.clone(),
                    [&encrypted[encrypted.len() - shift..], NONCE].concat(),
                    encrypted[..encrypted.len() - shift].to_owned(),
                ),
                (
                    [&timestamp, &encrypted[..shift]].concat(),
                    NONCE.to_owned(),
                    encrypted[shift..].to_owned(),
                ),
                (
                    timestamp[..timestamp.len().saturating_sub(shift)].to_owned(),
                    [&timestamp[timestamp.len().saturating_sub(shift)..], NONCE].concat(),
                    encrypted.clone(),
                ),
                (
                    [&timestamp, &NONCE[..shift.min(NONCE.len())]].concat(),
                    NONCE[shift.min(NONCE.len())..].to_owned(),
                    encrypted.clone(),
                ),
                (
                    NONCE[..NONCE.len().saturating_sub(shift)].to_owned(),
                    [&NONCE[NONCE.len().saturating_sub(shift)..], &timestamp].concat(),
                    encrypted.clone(),
                ),
            ] {
                let mut again = [TOKEN, &timestamp, &nonce, &encrypted];
                again.sort_unstable();
                if again.concat() == whole {
                    cuts += 1;
                    let escaped = nonce
                        .replace('+', "%2B")
                        .replace('/', "%2F")
                        .replace('=', "%3D");
                    let signature = self.signature.clone();
                    let parts = self.with(&signature, &timestamp, &escaped, &encrypted);
                    self.refuse(12, format!("moved {shift} bytes ({cuts})"), parts);
                }
            }
        }
        assert!(cuts > 0);
        let signature = self.signature.clone();
        let swapped = self.with(&signature, NONCE, &timestamp, &encrypted);
        self.refuse(12, "timestamp and nonce swapped", swapped);
    }
}
