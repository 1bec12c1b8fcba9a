//! The AES key and what it encrypts.

use std::fmt;
use std::sync::Arc;

use aes::{Aes256Dec, Aes256Enc};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, InnerIvInit as _, KeyInit as _};
use channel_core::{Error, Result, Secret};
use subtle::{Choice, ConstantTimeEq as _, ConstantTimeGreater as _};
use zeroize::Zeroizing;

/// The padding goes to a multiple of this, in bytes, and not to the 16 of the cipher
/// (<https://developer.work.weixin.qq.com/document/path/90968>).
pub(crate) const PAD: usize = 32;
/// The same as a byte of padding.
const PAD_BYTE: u8 = 32;
/// The block of the cipher, in bytes.
const BLOCK: usize = 16;
/// The longest text that is taken for a key, and the bytes that it could hold.
const MAX_TEXT: usize = 64;
const MAX_KEY: usize = MAX_TEXT / 4 * 3;

/// Reads keys as the platforms write them: without padding, and with whatever bits a random
/// generator left in the last character.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An AES-256 key whose first half is also the initialisation vector, as both platforms
/// use it (<https://developer.work.weixin.qq.com/document/path/90968>).
///
/// Expanded once; clones share it, and the last of them wipes it.
#[derive(Clone)]
pub struct AesKey(Arc<Expanded>);

struct Expanded {
    encrypt: Aes256Enc,
    decrypt: Aes256Dec,
    iv: Zeroizing<[u8; BLOCK]>,
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(***)")
    }
}

impl AesKey {
    /// Reads an `EncodingAESKey`: 43 characters of base64 without padding.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config) if it is anything else.
    pub fn from_encoding_aes_key(key: &Secret) -> Result<Self> {
        if key.expose().len() != 43 || key.expose().contains('=') {
            return Err(Error::config(
                "encoding_aes_key has to be the 43 letters and digits that the console shows",
            ));
        }
        Self::checked(key)
    }

    /// Reads the key of a file, which comes with or without padding.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config) if it does not hold 32 bytes.
    pub fn from_base64(key: &Secret) -> Result<Self> {
        if key.expose().len() > MAX_TEXT {
            return Err(bad_key());
        }
        Self::checked(key)
    }

    fn checked(key: &Secret) -> Result<Self> {
        Self::expand(key).ok_or_else(bad_key)
    }

    fn expand(key: &Secret) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; MAX_KEY]);
        let length = LENIENT.decode_slice(key.expose(), bytes.as_mut()).ok()?;
        let bytes = bytes.get(..length)?;
        Some(Self(Arc::new(Expanded {
            encrypt: Aes256Enc::new_from_slice(bytes).ok()?,
            decrypt: Aes256Dec::new_from_slice(bytes).ok()?,
            iv: Zeroizing::new(*bytes.first_chunk()?),
        })))
    }

    fn iv(&self) -> &[u8] {
        self.0.iv.as_slice()
    }

    /// Encrypts and pads; the padding is 1 to 32 bytes.
    pub(crate) fn encrypt(&self, mut plain: Vec<u8>) -> Option<Vec<u8>> {
        let pad = PAD - plain.len() % PAD;
        plain.resize(plain.len() + pad, u8::try_from(pad).ok()?);
        let length = plain.len();
        cbc::Encryptor::inner_iv_slice_init(&self.0.encrypt, self.iv())
            .ok()?
            .encrypt_padded::<NoPadding>(&mut plain, length)
            .ok()?;
        Some(plain)
    }

    /// Decrypts in place and leaves the padding where it is.
    pub(crate) fn decrypt(&self, encrypted: &mut [u8]) -> Option<()> {
        cbc::Decryptor::inner_iv_slice_init(&self.0.decrypt, self.iv())
            .ok()?
            .decrypt_padded::<NoPadding>(encrypted)
            .ok()?;
        Some(())
    }

    /// Decrypts a file that came with a message
    /// (<https://developer.work.weixin.qq.com/document/path/100719>).
    ///
    /// `None` if it is not a file that this key has encrypted.
    #[must_use]
    pub fn open_file(&self, encrypted: &[u8]) -> Option<Vec<u8>> {
        if encrypted.is_empty() || !encrypted.len().is_multiple_of(BLOCK) {
            return None;
        }
        let mut plain = encrypted.to_vec();
        self.decrypt(&mut plain)?;
        let (valid, pad) = padding(&plain);
        if !bool::from(valid) {
            return None;
        }
        plain.truncate(plain.len().checked_sub(pad)?);
        Some(plain)
    }

    /// Encrypts a file as the platform does; for fakes and emulators.
    #[must_use]
    pub fn seal_file(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.encrypt(plain.to_vec())
    }
}

fn bad_key() -> Error {
    Error::config("the key has to hold 32 bytes")
}

/// Judges the padding without telling by the time it takes what is wrong with it, and
/// gives its length, which means something only if it is valid.
pub(crate) fn padding(plain: &[u8]) -> (Choice, usize) {
    let last = plain.last().copied().unwrap_or_default();
    let mut valid = !last.ct_eq(&0) & !last.ct_gt(&PAD_BYTE);
    // Masks instead of branches; one comparison at the end.
    let mut wrong = 0;
    for (back, byte) in (0_u16..).zip(plain.iter().rev().take(PAD)) {
        // All ones if the byte belongs to the padding, else none.
        let [mask, _] = back.wrapping_sub(u16::from(last)).to_be_bytes();
        wrong |= mask & (byte ^ last);
    }
    valid &= wrong.ct_eq(&0);
    let length = usize::from(last);
    valid &= Choice::from(u8::from(length <= plain.len()));
    (valid, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_one_to_thirty_two_equal_bytes() {
        for pad in 1..=PAD_BYTE {
            let length = usize::from(pad);
            let mut plain = vec![0xee; 64 - length];
            plain.resize(64, pad);
            assert_eq!(padding(&plain).1, length);
            assert!(bool::from(padding(&plain).0), "{length}");
            if length > 1 {
                let first = plain.len() - length;
                plain[first] ^= 1;
                assert!(!bool::from(padding(&plain).0), "{length}");
            }
        }
        for bad in [0, 33, 64, 255] {
            assert!(!bool::from(padding(&[bad; 64]).0), "{bad}");
        }
        assert!(!bool::from(padding(&[]).0));
        assert!(!bool::from(padding(&[20; 16]).0));
    }
}
