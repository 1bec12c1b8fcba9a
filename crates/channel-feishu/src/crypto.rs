//! The encryption of bodies
//! (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case>).

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use channel_core::Secret;
use sha2::{Digest as _, Sha256};
use subtle::{ConstantTimeEq as _, ConstantTimeGreater as _, ConstantTimeLess as _};

/// The block of AES, and so the longest padding.
const BLOCK: usize = 16;
const BLOCK_BYTE: u8 = 16;

/// Opens bodies that were sealed with one Encrypt Key. Keeps the text, which is wiped on
/// drop, and no copy of the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Cipher(Secret);

impl Cipher {
    pub(crate) const fn new(encrypt_key: Secret) -> Self {
        Self(encrypt_key)
    }

    /// The key is the SHA-256 of the Encrypt Key.
    fn key(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose().as_bytes()).into()
    }

    /// Opens the Base64 text of an `encrypt` field: the initialisation vector and AES-256-CBC
    /// with PKCS#7. Whatever is wrong with it, there is one answer, and all of the padding
    /// is looked at before it is given.
    pub(crate) fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        let blob = STANDARD.decode(sealed).ok()?;
        let (iv, body) = blob.split_first_chunk::<BLOCK>()?;
        if body.is_empty() || !body.len().is_multiple_of(BLOCK) {
            return None;
        }
        let cipher = cbc::Decryptor::<Aes256>::new(&self.key().into(), iv.into());
        let mut plain = cipher.decrypt_padded_vec::<NoPadding>(body).ok()?;
        plain.truncate(unpadded(&plain)?);
        Some(plain)
    }
}

/// The length without the padding, which is 1 to 16 times its own length.
fn unpadded(plain: &[u8]) -> Option<usize> {
    let last = *plain.last()?;
    let mut is_good = !last.ct_eq(&0) & !last.ct_gt(&BLOCK_BYTE);
    for (back, byte) in (0_u8..).zip(plain.iter().rev().take(BLOCK)) {
        let is_padding = back.ct_lt(&last);
        is_good &= !is_padding | byte.ct_eq(&last);
    }
    if bool::from(is_good) {
        plain.len().checked_sub(usize::from(last))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: &str = "AAECAwQFBgcICQoLDA0OD6oRSW79wpcl20n/nx/Wym4R2q6uEcM8jpZr6KJ6Unt7U/PutRMvfFOtES9FvYabyZ5RoaqukQBBmip+8YTJCQBqaS7aaM7jkln3jfEdWEHiX1oCBrvq5lfFhLHJyWc5Yw==";
    const CLEAR: &[u8] =
        br#"{"challenge":"c0ffee-0001","token":"vt-synthetic-0001","type":"url_verification"}"#;

    fn cipher() -> Cipher {
        Cipher::new(Secret::new("ek-0123456789abcdef"))
    }

    #[test]
    fn opens_what_both_official_sdks_sealed() {
        assert_eq!(
            hex::encode(cipher().key()),
            "ba1071845eb911eae55e2495c0faba8859404455e1664fb63ef87514bb02ca55"
        );
        assert_eq!(cipher().open(SEALED).as_deref(), Some(CLEAR));
    }

    #[test]
    fn opens_nothing_that_is_broken() {
        let blob = STANDARD.decode(SEALED).unwrap();
        assert!(Cipher::new(Secret::new("another")).open(SEALED).is_none());
        for end in 0..blob.len() {
            let cut = STANDARD.encode(blob.get(..end).unwrap_or_default());
            // A block less ends in a byte of text, which is no padding here.
            assert!(cipher().open(&cut).is_none(), "{end}");
        }
        for text in ["", "=", "not base64!", "AAEC", "\u{4e2d}"] {
            assert!(cipher().open(text).is_none(), "{text}");
        }
    }

    #[test]
    fn every_byte_of_the_padding_is_looked_at() {
        let mut block = [3_u8; 16];
        assert_eq!(unpadded(&block), Some(13));
        for (length, wanted) in [(0, None), (17, None), (255, None), (1, Some(15))] {
            block[15] = length;
            assert_eq!(unpadded(&block), wanted, "{length}");
        }
        for wrong in 13..15 {
            let mut block = [3_u8; 16];
            block[wrong] ^= 1;
            assert_eq!(unpadded(&block), None, "{wrong}");
        }
        assert_eq!(unpadded(&[16; 16]), Some(0));
        assert_eq!(unpadded(&[]), None);
    }
}
