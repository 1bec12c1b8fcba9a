//! Signatures and ciphers of the callbacks and of media.
//!
//! <https://developer.work.weixin.qq.com/document/path/90968>, and for media
//! <https://developer.work.weixin.qq.com/document/path/101463>

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest as _, Sha1};

/// The padding fills up to a multiple of this, in bytes.
const BLOCK: usize = 32;
/// Random bytes and the length before a message, in bytes.
const HEAD: usize = 20;

/// Keys are made by generators of any kind: their last character may have bits that no byte needs.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key of 32 bytes; kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Why a passive reply cannot be read, by the numbers of the vendor's sample code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Signature,
    ReceiveId,
    Decrypt,
    Buffer,
    Base64,
    Envelope,
}

impl Refusal {
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Signature => -40001,
            Self::Envelope => -40002,
            Self::ReceiveId => -40005,
            Self::Decrypt => -40007,
            Self::Buffer => -40008,
            Self::Base64 => -40010,
        }
    }
}

impl Key {
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The `EncodingAESKey` of a console: 43 characters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        LENIENT.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// As it stands beside the address of an encrypted file.
    pub(crate) fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    fn iv(&self) -> &[u8] {
        self.0.get(..16).unwrap_or(&[])
    }

    /// AES-256-CBC with the padding that both messages and media have.
    pub(crate) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let pad = BLOCK - plain.len() % BLOCK;
        let mut padded = plain.to_vec();
        padded.resize(plain.len() + pad, u8::try_from(pad).unwrap_or(0));
        cbc::Encryptor::<Aes256>::new_from_slices(&self.0, self.iv())
            .map(|cipher| cipher.encrypt_padded_vec::<NoPadding>(&padded))
            .unwrap_or_default()
    }

    fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Refusal> {
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(&self.0, self.iv())
            .map_err(|_| Refusal::Decrypt)?;
        let mut plain = cipher
            .decrypt_padded_vec::<NoPadding>(sealed)
            .map_err(|_| Refusal::Decrypt)?;
        let pad = usize::from(plain.last().copied().unwrap_or(0));
        let kept = plain.len().checked_sub(pad).ok_or(Refusal::Buffer)?;
        let is_even = plain
            .get(kept..)
            .is_some_and(|tail| tail.iter().all(|byte| usize::from(*byte) == pad));
        if !(1..=BLOCK).contains(&pad) || !is_even {
            return Err(Refusal::Buffer);
        }
        plain.truncate(kept);
        Ok(plain)
    }

    /// Encrypts a message for `receive_id` behind 16 bytes that look random.
    pub(crate) fn encrypt(&self, random: [u8; 16], message: &[u8], receive_id: &str) -> String {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut plain = random.to_vec();
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(message);
        plain.extend_from_slice(receive_id.as_bytes());
        STANDARD.encode(self.seal(&plain))
    }

    /// The message of a ciphertext that was made for `receive_id`.
    pub(crate) fn decrypt(&self, encrypted: &str, receive_id: &str) -> Result<Vec<u8>, Refusal> {
        let sealed = STANDARD.decode(encrypted).map_err(|_| Refusal::Base64)?;
        let plain = self.open(&sealed)?;
        let (head, rest) = plain.split_at_checked(HEAD).ok_or(Refusal::Buffer)?;
        let length = head
            .get(16..)
            .and_then(|length| length.try_into().ok())
            .map(u32::from_be_bytes)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(Refusal::Buffer)?;
        let (message, tail) = rest.split_at_checked(length).ok_or(Refusal::Buffer)?;
        if tail != receive_id.as_bytes() {
            return Err(Refusal::ReceiveId);
        }
        Ok(message.to_vec())
    }
}

/// Token, time, nonce and ciphertext, sorted and joined: SHA-1 in lower-case hexadecimal digits.
pub(crate) fn sign(token: &str, timestamp: &str, nonce: &str, encrypted: &str) -> String {
    let mut parts = [token, timestamp, nonce, encrypted];
    parts.sort_unstable();
    let mut digest = Sha1::new();
    parts.iter().for_each(|part| digest.update(part));
    hex(&digest.finalize())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Key, Refusal, sign};

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const TOKEN: &str = "synthetic_token_1";
    const CORP: &str = "wwcorp00000000001";
    const V1: &str = "4j/AuRx71kQlxVlzbpsMWFM3FLIlE7+Rr0vpqUk+32s=";
    const V2: &str = "4j/AuRx71kQlxVlzbpsMWDEYgTHNhlPesqHoUCIQ50pe8mPvCQvzCyvKXNQzFxuKKnQPGhatAKxEfJszfiTtwrePeoPysqL/5qQA+AmmyqiJHZCmcQg44m4LQvTN6KFv";
    const V3: &str =
        "4j/AuRx71kQlxVlzbpsMWCmisfbiha2lA5RT3f6lwz2DgF9vh0Ojaxb2qOkuPe/0VcWBoQ5jRVVY90ilaz1IGQ==";

    fn key() -> Key {
        Key::parse(KEY).unwrap()
    }

    /// Made by wechatpy 1.8.18; the official Node SDK and the vendor's sample code read them.
    #[test]
    fn encrypts_and_signs_as_other_libraries_do() {
        let long = "a".repeat(44);
        let cases = [
            ("ok", "", V1, "00e3a158a418829e199d1763cd26555c7a1f0053"),
            (&long, "", V2, "055c54b72e897ba8436d9ed269f1490cc7b58660"),
            (
                "1234567890123456",
                CORP,
                V3,
                "6b17a89bc79a67ed0611ce6771bae39fc0737af6",
            ),
        ];
        for (message, receive_id, encrypted, signature) in cases {
            let prefix = *b"0123456789abcdef";
            assert_eq!(
                key().encrypt(prefix, message.as_bytes(), receive_id),
                encrypted
            );
            assert_eq!(
                key().decrypt(encrypted, receive_id).unwrap(),
                message.as_bytes()
            );
            assert_eq!(sign(TOKEN, "1760000000", "nonce42", encrypted), signature);
        }
    }

    /// The official Node SDK made this one, behind a random prefix of its own.
    #[test]
    fn reads_what_the_official_sdk_wrote() {
        let encrypted = "l8nOgyl+bBolGQ4OQZ1BPuIJJDFda9Hmc0wAW3N+6FEr1N7J4lfuEz8nkKq9aP1yLSwl9jE5rGt5KY2CtMH2LixqX7WyIZ2Tc3uSt4iXJbifYNfyqYBo6tOFfwesAsxM5VTb3pDQtKLQK8vsehjwmi+qfFF8Fr3B5/DZ3yglTf3PUd2KmZWhaF5uxyYVHjw1DWZqmZyE+jbq6t36ILwDTw==";
        let message = key().decrypt(encrypted, "").unwrap();
        assert!(message.starts_with(br#"{"msgid":"m1","aibotid":"aib1""#));
    }

    #[test]
    fn refuses_what_is_not_quite_a_ciphertext() {
        let cases = [
            (V3, "wwcorp00000000002", Refusal::ReceiveId),
            (V3, "", Refusal::ReceiveId),
            (
                "4j/AuRx71kQlxVlzbpsMWIuc7PWRAqjhSYU6jhz32tE=",
                "",
                Refusal::Buffer,
            ),
            (
                "4j/AuRx71kQlxVlzbpsMWEJCcUX0hEQ75Dt9sWtHZHk=",
                "",
                Refusal::Buffer,
            ),
            (
                "4j/AuRx71kQlxVlzbpsMWJWIaaZaNKnQsrHqsLsRqBw=",
                "",
                Refusal::Buffer,
            ),
            (
                "4j/AuRx71kQlxVlzbpsMWBXsVRHV2yhT37Diy007de4=",
                "",
                Refusal::Buffer,
            ),
            (
                "6cPvirI0U+bwdJzWNueojkMg1ROjWZve/z6dQY0MFo8=",
                "",
                Refusal::Buffer,
            ),
            ("eHh4eHh4eHh4eHh4eHh4eHg=", "", Refusal::Decrypt),
            ("not base64 !!", "", Refusal::Base64),
        ];
        for (encrypted, receive_id, refusal) in cases {
            assert_eq!(
                key().decrypt(encrypted, receive_id),
                Err(refusal),
                "{encrypted}"
            );
        }
    }
}
