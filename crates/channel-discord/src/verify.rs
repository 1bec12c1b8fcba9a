//! The signature of requests from Discord
//! (<https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint-validating-security-request-headers>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::Result;
use ed25519_dalek::{Signature, VerifyingKey};
use http::HeaderMap;

use crate::error::bad;

const SIGNATURE: &str = "x-signature-ed25519";
const TIMESTAMP: &str = "x-signature-timestamp";
/// How far the timestamp may be from our clock, in both directions. Discord prescribes none.
const WINDOW: Duration = Duration::from_secs(300);
/// The longest timestamp that is signed: ten digits for some centuries to come.
const LONGEST_TIMESTAMP: usize = 12;

/// Checks signatures made for one application.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    key: VerifyingKey,
}

impl Verifier {
    /// Takes the public key of the application's page "General Information".
    pub(crate) fn new(public_key: &str) -> Result<Self> {
        let wrong =
            || bad("public_key has to be the 64 hexadecimal digits of the application's page");
        let mut bytes = [0; 32];
        hex::decode_to_slice(public_key.trim(), &mut bytes).map_err(|_| wrong())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        // With such a key anybody could sign.
        if key.is_weak() {
            return Err(wrong());
        }
        Ok(Self { key })
    }

    /// Whether a request carries one timestamp within five minutes of `now`, and one
    /// signature made for that timestamp and these very bytes.
    pub(crate) fn accepts(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> bool {
        let (Some(timestamp), Some(signature)) =
            (only(headers, TIMESTAMP), only(headers, SIGNATURE))
        else {
            return false;
        };
        let Some(sent_at) = seconds(timestamp) else {
            return false;
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(sent_at) > WINDOW.as_secs() {
            return false;
        }
        let Some(signature) = signature_of(signature) else {
            return false;
        };
        let mut signed = Vec::with_capacity(timestamp.len() + body.len());
        signed.extend_from_slice(timestamp);
        signed.extend_from_slice(body);
        self.key.verify_strict(&signed, &signature).is_ok()
    }
}

/// A header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Seconds in their one spelling: digits without sign, space or leading zeros.
fn seconds(text: &[u8]) -> Option<u64> {
    let is_canonical = (1..=LONGEST_TIMESTAMP).contains(&text.len())
        && text.iter().all(u8::is_ascii_digit)
        && (text.len() == 1 || text.first() != Some(&b'0'));
    let text = std::str::from_utf8(text).ok().filter(|_| is_canonical)?;
    text.parse().ok()
}

/// A signature in its one spelling: 128 digits in lower case.
fn signature_of(text: &[u8]) -> Option<Signature> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(Signature::from_bytes(&bytes))
}
