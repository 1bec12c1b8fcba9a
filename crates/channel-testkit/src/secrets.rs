//! Secrets that are easy to find again.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::random::SeededRandom;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A secret of 32 letters and digits that occurs nowhere else: no two calls, and no two
/// runs, give the same.
#[must_use]
pub fn canary() -> String {
    let random = SeededRandom::new(RandomState::new().build_hasher().finish());
    (0..32)
        .filter_map(|_| {
            let index = usize::try_from(random.next_u64() % 62).ok()?;
            ALPHABET.get(index).copied().map(char::from)
        })
        .collect()
}

/// Looks for a secret in a text, in clear and encoded; names the encoding that was found.
///
/// Knows: plain; hex, both cases; Base64 and URL-safe Base64, at each of the three
/// alignments inside a longer text, padded or not; percent-encoding, of what needs it or
/// of all; JSON, with what needs it or all escaped; a list of byte values.
#[must_use]
pub fn find_secret(secret: &str, haystack: &str) -> Option<&'static str> {
    if secret.is_empty() {
        return None;
    }
    encodings(secret)
        .into_iter()
        .find_map(|(name, needle)| haystack.contains(&needle).then_some(name))
}

/// Fails if a secret is in a text in any of the encodings that [`find_secret`] knows.
///
/// # Panics
///
/// If it is; the message names the encoding and not the secret.
#[track_caller]
pub fn assert_absent(secret: &str, haystack: &str) {
    let found = find_secret(secret, haystack);
    assert!(
        found.is_none(),
        "a secret was found, encoded as {}",
        found.unwrap_or_default()
    );
}

fn encodings(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let each = |write: &dyn Fn(&mut String, u8)| {
        bytes.iter().fold(String::new(), |mut out, byte| {
            write(&mut out, *byte);
            out
        })
    };
    // Writing to a String cannot fail.
    let mut all = vec![
        ("plain text", secret.to_owned()),
        ("hex", hex::encode(bytes)),
        ("upper-case hex", hex::encode_upper(bytes)),
        (
            "percent-encoding",
            each(&|out, byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    let _ = write!(out, "%{byte:02X}");
                }
            }),
        ),
        (
            "full percent-encoding",
            each(&|out, byte| {
                let _ = write!(out, "%{byte:02X}");
            }),
        ),
        (
            "full percent-encoding",
            each(&|out, byte| {
                let _ = write!(out, "%{byte:02x}");
            }),
        ),
        ("JSON", secret.escape_debug().to_string()),
        (
            "escaped JSON",
            secret.encode_utf16().fold(String::new(), |mut out, unit| {
                let _ = write!(out, "\\u{unit:04x}");
                out
            }),
        ),
        (
            "escaped JSON",
            secret.encode_utf16().fold(String::new(), |mut out, unit| {
                let _ = write!(out, "\\u{unit:04X}");
                out
            }),
        ),
        ("a list of bytes", join(bytes, ", ")),
        ("a list of bytes", join(bytes, ",")),
    ];
    for shift in 0..3 {
        all.push(("Base64", aligned(&STANDARD_NO_PAD, bytes, shift)));
        all.push(("URL-safe Base64", aligned(&URL_SAFE_NO_PAD, bytes, shift)));
    }
    all
}

fn join(bytes: &[u8], separator: &str) -> String {
    let values: Vec<_> = bytes.iter().map(u8::to_string).collect();
    values.join(separator)
}

/// The part of the Base64 text that does not depend on what is before and after the
/// secret, which begins `shift` bytes after a multiple of three.
fn aligned(engine: &impl base64::Engine, secret: &[u8], shift: usize) -> String {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(secret);
    let text = engine.encode(&bytes);
    let start = (shift * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    text.get(start..end).unwrap_or_default().to_owned()
}
