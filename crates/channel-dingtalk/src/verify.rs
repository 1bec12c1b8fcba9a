//! Signatures, of requests that come in and of those that a custom robot sends
//! (<https://open.dingtalk.com/document/robots/customize-robot-security-settings>,
//! <https://open.dingtalk.com/document/orgapp/receive-message>).
//!
//! Both sign the time and nothing else: the body of a request is not covered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

pub(crate) const TIMESTAMP: &str = "timestamp";
pub(crate) const SIGN: &str = "sign";
/// How far the timestamp may be from our clock, in both directions, as DingTalk documents.
const WINDOW: Duration = Duration::from_secs(3600);

/// The signature of a moment in milliseconds, as Base64.
pub(crate) fn sign(secret: &Secret, timestamp: &str) -> String {
    let key = secret.expose().as_bytes();
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(timestamp.as_bytes());
    mac.update(b"\n");
    mac.update(key);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Whether a request carries one timestamp within an hour of `now` and one signature made for
/// it. The text is compared, so that each signature has one spelling.
pub(crate) fn accepts(secret: &Secret, headers: &HeaderMap, now: SystemTime) -> bool {
    let (Some(timestamp), Some(signature)) = (only(headers, TIMESTAMP), only(headers, SIGN)) else {
        return false;
    };
    let Some(sent_at) = milliseconds(timestamp) else {
        return false;
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    if now.abs_diff(sent_at) > WINDOW {
        return false;
    }
    let Ok(timestamp) = std::str::from_utf8(timestamp) else {
        return false;
    };
    let right = sign(secret, timestamp);
    !right.is_empty() && bool::from(signature.ct_eq(right.as_bytes()))
}

/// A header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Milliseconds in their one spelling: thirteen digits, which they are until the year 2286.
fn milliseconds(text: &[u8]) -> Option<Duration> {
    let is_canonical =
        text.len() == 13 && text.iter().all(u8::is_ascii_digit) && text.first() != Some(&b'0');
    let text = std::str::from_utf8(text).ok().filter(|_| is_canonical)?;
    text.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_700_000_000_000;

    /// Computed by the official documentation's recipe, and the same as the package
    /// `DingtalkChatbot` writes into its address.
    #[test]
    fn a_custom_robot_signs_as_the_vectors_do() {
        let secret = Secret::new("SECsynthetic0000000000000000000001");
        assert_eq!(
            sign(&secret, "1700000000000"),
            "MT8Q052uDT/jtZ4avbtef+FFlff1MAepZAUjGzCFtRg="
        );
    }

    #[test]
    fn a_request_that_is_signed_as_the_vector_is_let_in_for_an_hour() {
        let secret = Secret::new("appSecret-synthetic-0001");
        let good = "4h6AH54VVOffpjg5bl+w93EgXe97FXGyw4cgThUubcE=";
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP, "1700000000000".parse().unwrap());
        headers.insert(SIGN, good.parse().unwrap());
        let hour = 3_600_000;
        for (at, wanted) in [
            (AT, true),
            (AT + hour, true),
            (AT - hour, true),
            (AT + hour + 1, false),
            (AT - hour - 1, false),
            (0, false),
        ] {
            let now = UNIX_EPOCH + Duration::from_millis(at);
            assert_eq!(accepts(&secret, &headers, now), wanted, "{at}");
        }
        let now = UNIX_EPOCH + Duration::from_millis(AT);
        let other = Secret::new("appSecret-synthetic-0002");
        assert!(!accepts(&other, &headers, now));
        headers.append(SIGN, good.parse().unwrap());
        assert!(!accepts(&secret, &headers, now), "twice is once too often");
    }

    #[test]
    fn a_timestamp_has_one_spelling() {
        for text in [
            "",
            "0",
            "1700000000",
            "17000000000000",
            "0700000000000",
            "+700000000000",
            "1.70000000e12",
            "170000000000 ",
            "-700000000000",
            "0x18BCFE56800",
        ] {
            assert_eq!(milliseconds(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            milliseconds(b"1700000000000"),
            Some(Duration::from_millis(AT))
        );
    }
}
