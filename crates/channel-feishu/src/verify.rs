//! The signatures of requests
//! (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/choose-a-subscription-mode/send-notifications-to-developers-server>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::Secret;
use http::HeaderMap;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

const TIMESTAMP: &str = "x-lark-request-timestamp";
const NONCE: &str = "x-lark-request-nonce";
pub(crate) const SIGNATURE: &str = "x-lark-signature";
/// How far the timestamp may be from our clock, in both directions. Feishu itself names no
/// number, and its SDKs check none.
const WINDOW: Duration = Duration::from_secs(300);
/// The longest nonce, in bytes.
const MAX_NONCE: usize = 128;

/// What a signature is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme<'a> {
    /// Events: SHA-256 with the Encrypt Key.
    Event(&'a Secret),
    /// Cards of version 1: SHA-1 with the Verification Token.
    OldCard(&'a Secret),
}

/// Whether a request carries one timestamp within five minutes of `now`, one nonce, and one
/// signature made for these and these very bytes.
pub(crate) fn accepts(
    scheme: Scheme<'_>,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> bool {
    let (Some(timestamp), Some(nonce), Some(signature)) = (
        only(headers, TIMESTAMP),
        only(headers, NONCE),
        only(headers, SIGNATURE),
    ) else {
        return false;
    };
    let is_nonce = (1..=MAX_NONCE).contains(&nonce.len()) && nonce.iter().all(u8::is_ascii_graphic);
    // The parts are joined without a mark between them: a timestamp of another length than
    // ten could lend digits to the nonce.
    let Some(sent_at) = seconds(timestamp).filter(|_| is_nonce) else {
        return false;
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(sent_at) > WINDOW.as_secs() {
        return false;
    }
    match scheme {
        Scheme::Event(key) => fits::<Sha256>(key, [timestamp, nonce, body], signature),
        Scheme::OldCard(token) => fits::<Sha1>(token, [timestamp, nonce, body], signature),
    }
}

/// The text is compared, so that each signature has one spelling.
fn fits<D: Digest>(
    secret: &Secret,
    [timestamp, nonce, body]: [&[u8]; 3],
    signature: &[u8],
) -> bool {
    let mut hash = D::new();
    hash.update(timestamp);
    hash.update(nonce);
    hash.update(secret.expose().as_bytes());
    hash.update(body);
    let right = hex::encode(hash.finalize());
    signature.ct_eq(right.as_bytes()).into()
}

/// A header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Seconds in their one spelling: ten digits, which they are until the year 2286.
fn seconds(text: &[u8]) -> Option<u64> {
    let is_canonical =
        text.len() == 10 && text.iter().all(u8::is_ascii_digit) && text.first() != Some(&b'0');
    let text = std::str::from_utf8(text).ok().filter(|_| is_canonical)?;
    text.parse().ok()
}

/// Whether two texts are the same, in a time that does not depend on where they differ.
pub(crate) fn same(secret: &Secret, said: &str) -> bool {
    secret.expose().as_bytes().ct_eq(said.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_700_000_000;
    const SEALED: &str = r#"{"encrypt":"AAECAwQFBgcICQoLDA0OD6oRSW79wpcl20n/nx/Wym4R2q6uEcM8jpZr6KJ6Unt7U/PutRMvfFOtES9FvYabyZ5RoaqukQBBmip+8YTJCQBqaS7aaM7jkln3jfEdWEHiX1oCBrvq5lfFhLHJyWc5Yw=="}"#;

    fn headers(timestamp: &str, nonce: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (TIMESTAMP, timestamp),
            (NONCE, nonce),
            (SIGNATURE, signature),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_signatures_of_both_official_sdks_are_accepted() {
        let key = Secret::new("ek-0123456789abcdef");
        for (body, signature) in [
            (
                SEALED,
                "8d1f3559c79769b9054c58ece629d32ac0c11b516d7762abde0a82c06a40c595",
            ),
            (
                r#"{"hello":"world"}"#,
                "72e6915c2e9f132c58e9194e80351325b77b60f29ef30987c296166a4380de13",
            ),
        ] {
            let headers = headers("1700000000", "nonce0001", signature);
            let accepted = |at| accepts(Scheme::Event(&key), &headers, body.as_bytes(), at);
            assert!(accepted(at(AT)));
            for (skew, wanted) in [(299, true), (300, true), (301, false)] {
                assert_eq!(accepted(at(AT + skew)), wanted, "{skew}");
                assert_eq!(accepted(at(AT - skew)), wanted, "-{skew}");
            }
            let other = Secret::new("ek-0123456789abcdeg");
            assert!(!accepts(
                Scheme::Event(&other),
                &headers,
                body.as_bytes(),
                at(AT)
            ));
        }
    }

    #[test]
    fn the_signature_of_an_old_card_is_accepted() {
        let token = Secret::new("vt-synthetic-0001");
        let headers = headers(
            "1700000000",
            "nonce0001",
            "ab6612f6ce5ce44951afa5ab6270b5c8786f8a28",
        );
        let body = br#"{"hello":"world"}"#;
        assert!(accepts(Scheme::OldCard(&token), &headers, body, at(AT)));
        assert!(!accepts(Scheme::Event(&token), &headers, body, at(AT)));
        assert!(!accepts(Scheme::OldCard(&token), &headers, b"{}", at(AT)));
    }

    #[test]
    fn a_timestamp_has_one_spelling() {
        for text in [
            "",
            "0",
            "1e9",
            "-1700000000",
            "+700000000",
            "0170000000",
            "17000000000",
            "1700000000000",
            "170000000",
            " 170000000",
            "1700000000.0",
            "0x6553f100",
        ] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
        assert_eq!(seconds(b"1700000000"), Some(AT));
    }
}
