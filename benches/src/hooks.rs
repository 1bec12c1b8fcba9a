//! Webhooks: signed requests, and their way from the request to the events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::Webhook;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use sha2::Sha256;

/// How many requests one round brings.
pub const BATCH: usize = 20;
/// When they come, in seconds since 1970.
pub const NOW: u64 = 1_763_640_000;
/// The secret that they are signed with.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The same as a moment.
#[must_use]
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Lets a channel read requests; says how many messages they brought.
pub fn receive(webhook: &dyn Webhook, requests: &[Request<Bytes>]) -> usize {
    let read = |request| {
        let accepted = webhook.receive(std::hint::black_box(request), now()).ok()?;
        let events = std::hint::black_box(accepted.events);
        events.first()?.message().map(drop)
    };
    requests.iter().filter_map(read).count()
}

/// HMAC-SHA256 with the secret, keyed.
#[must_use]
pub fn keyed() -> Hmac<Sha256> {
    Hmac::new_from_slice(SECRET.as_bytes()).expect("every length is a key")
}

/// The HMAC of parts put together.
#[must_use]
pub fn signature(parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A header as bytes; empty if it is not there.
#[must_use]
pub fn header<'a>(request: &'a Request<Bytes>, name: &str) -> &'a [u8] {
    request
        .headers()
        .get(name)
        .map_or(&[][..], |value| value.as_bytes())
}
