//! The signature of requests from Slack
//! (<https://docs.slack.dev/authentication/verifying-requests-from-slack/>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{Error, Result, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::PLATFORM;

const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";
/// The only version of the scheme that there is.
const VERSION: &[u8; 3] = b"v0=";
/// The version and 32 bytes as hex.
const LENGTH: usize = 3 + 64;
/// How far the timestamp may be from our clock, in both directions.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);

/// Checks signatures made with one signing secret.
#[derive(Clone)]
pub(crate) struct Verifier {
    /// Keyed once: preparing the key costs as much as hashing a short body.
    keyed: Hmac<Sha256>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(***)")
    }
}

impl Verifier {
    pub(crate) fn new(secret: &Secret) -> Result<Self> {
        let keyed = Hmac::new_from_slice(secret.expose().as_bytes())
            .map_err(|_| Error::config("signing_secret is no key").on(PLATFORM, "configure"))?;
        Ok(Self { keyed })
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
        let mut mac = self.keyed.clone();
        mac.update(b"v0:");
        mac.update(timestamp);
        mac.update(b":");
        mac.update(body);
        let mut right = [0; LENGTH];
        let (version, digest) = right.split_at_mut(VERSION.len());
        version.copy_from_slice(VERSION);
        // The text is compared, so that each signature has one spelling.
        hex::encode_to_slice(mac.finalize().into_bytes(), digest).is_ok()
            && signature.ct_eq(&right).into()
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
    let is_canonical = (1..=12).contains(&text.len())
        && text.iter().all(u8::is_ascii_digit)
        && (text.len() == 1 || text.first() != Some(&b'0'));
    let text = std::str::from_utf8(text).ok().filter(|_| is_canonical)?;
    text.parse().ok()
}
