//! The signature: SHA-1 over sorted parts
//! (<https://developer.work.weixin.qq.com/document/path/90968>).

use sha1::{Digest as _, Sha1};
use subtle::{Choice, ConstantTimeEq as _};

/// How long a signature is: 20 bytes in lower-case hex.
pub(crate) const LENGTH: usize = 40;

/// Signs parts: sorted by their bytes, put together, hashed, in lower-case hex.
pub(crate) fn sign<const N: usize>(mut parts: [&[u8]; N]) -> [u8; LENGTH] {
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hex(&hash.finalize().into())
}

fn hex(bytes: &[u8; LENGTH / 2]) -> [u8; LENGTH] {
    let digit = |value: u8| {
        if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        }
    };
    let mut out = [0; LENGTH];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    out
}

/// Compares in constant time; anything but 40 characters is no signature.
pub(crate) fn is<const N: usize>(claimed: &str, parts: [&[u8]; N]) -> Choice {
    sign(parts).as_slice().ct_eq(claimed.as_bytes())
}
