//! Signed and encrypted messages.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{Error, Result, Secret};
use subtle::{Choice, ConstantTimeEq as _};

use crate::key::{AesKey, PAD, padding};
use crate::query::CallbackQuery;
use crate::{MAX_ENCRYPTED, WINDOW_SECONDS, signature};

/// The random bytes in front of each message.
const RANDOM: usize = 16;
/// The random bytes and the length behind them.
const HEAD: usize = RANDOM + 4;

/// A request that does not come from the platform, or not now, or not for us.
///
/// The sender learns that it was refused and nothing else; [`reason`](Self::reason) is for
/// the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    reason: &'static str,
}

impl Refused {
    const QUERY: Self = Self { reason: "query" };
    const STALE: Self = Self {
        reason: "timestamp",
    };
    const SIGNATURE: Self = Self {
        reason: "signature",
    };
    const SEALED: Self = Self { reason: "sealed" };

    /// What is wrong, for logs and counters only: `query`, `timestamp`, `signature` or
    /// `sealed`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is not from the platform")
    }
}

impl std::error::Error for Refused {}

/// A message that is encrypted and signed, ready for an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// The encrypted message, in base64.
    pub encrypt: String,
    /// The signature, in lower-case hex.
    pub signature: String,
    /// The seconds since 1970.
    pub timestamp: u64,
    /// The nonce.
    pub nonce: String,
}

/// The cipher of one callback address: its token, its key and whom its messages are for.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use channel_core::Secret;
/// use channel_wechat_crypto::{CallbackQuery, MessageCipher};
///
/// let token = Secret::new("synthetic_token_1");
/// let key = Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
/// let cipher = MessageCipher::new(token, &key, "")?;
/// let now = UNIX_EPOCH + Duration::from_secs(1_760_000_000);
///
/// let sealed = cipher.seal(b"ok", now, "nonce42", *b"0123456789abcdef")?;
/// assert_eq!(sealed.signature, "00e3a158a418829e199d1763cd26555c7a1f0053");
///
/// let query = format!("msg_signature={}&timestamp={}&nonce={}", sealed.signature, sealed.timestamp, sealed.nonce);
/// let query = CallbackQuery::parse(&query).unwrap();
/// assert_eq!(cipher.open(&query, &sealed.encrypt, now).unwrap(), b"ok");
/// # Ok::<(), channel_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MessageCipher {
    token: Secret,
    key: AesKey,
    receive_id: String,
}

impl MessageCipher {
    /// A cipher from what the platform's console shows. `receive_id` is the corp id of a
    /// WeCom app, the app id of a WeChat account, and empty for WeCom's bots.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config) if the token is empty, or the
    /// key is not one.
    pub fn new(token: Secret, encoding_aes_key: &Secret, receive_id: &str) -> Result<Self> {
        if token.is_empty() {
            return Err(Error::config("token must not be empty"));
        }
        if receive_id.len() > 128 {
            return Err(Error::config("the receive id is longer than 128 bytes"));
        }
        Ok(Self {
            token,
            key: AesKey::from_encoding_aes_key(encoding_aes_key)?,
            receive_id: receive_id.to_owned(),
        })
    }

    /// The key, for files.
    #[must_use]
    pub const fn key(&self) -> &AesKey {
        &self.key
    }

    /// Checks that a request in the clear is signed and fresh: WeChat's challenge and its
    /// plaintext mode, whose signature covers neither body nor sender.
    ///
    /// # Errors
    ///
    /// [`Refused`] if it is not.
    pub fn check_plain(&self, query: &CallbackQuery<'_>, now: SystemTime) -> Result<(), Refused> {
        let claimed = query.signature.as_deref().ok_or(Refused::QUERY)?;
        let parts = [
            self.token.expose().as_bytes(),
            query.timestamp.as_bytes(),
            query.nonce.as_bytes(),
        ];
        is_fresh(query, now)?;
        if bool::from(signature::is(claimed, parts)) {
            Ok(())
        } else {
            Err(Refused::SIGNATURE)
        }
    }

    /// Verifies and decrypts.
    ///
    /// # Errors
    ///
    /// [`Refused`], the same for every cause.
    pub fn open(
        &self,
        query: &CallbackQuery<'_>,
        encrypted: &str,
        now: SystemTime,
    ) -> Result<Vec<u8>, Refused> {
        let claimed = query.msg_signature.as_deref().ok_or(Refused::QUERY)?;
        if encrypted.len() > MAX_ENCRYPTED {
            return Err(Refused::SEALED);
        }
        let parts = [
            self.token.expose().as_bytes(),
            query.timestamp.as_bytes(),
            query.nonce.as_bytes(),
            encrypted.as_bytes(),
        ];
        is_fresh(query, now)?;
        if !bool::from(signature::is(claimed, parts)) {
            return Err(Refused::SIGNATURE);
        }
        self.decrypt(encrypted).ok_or(Refused::SEALED)
    }

    /// Decrypts a text whose signature has been checked.
    ///
    /// What the text itself shows (its alphabet and its length) may end it early; what only
    /// the key shows is judged as a whole, so that nobody learns which part was wrong.
    fn decrypt(&self, encrypted: &str) -> Option<Vec<u8>> {
        let mut plain = STANDARD.decode(encrypted).ok()?;
        if plain.is_empty() || !plain.len().is_multiple_of(PAD) {
            return None;
        }
        self.key.decrypt(&mut plain)?;
        let (mut valid, pad) = padding(&plain);
        let claimed = plain
            .get(RANDOM..HEAD)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())?;
        let claimed = u64::from(u32::from_be_bytes(claimed));
        let receiver = self.receive_id.as_bytes();
        // Nothing is left over: a length that is too small would hide bytes behind it.
        let whole = HEAD as u64 + claimed + receiver.len() as u64 + pad as u64;
        valid &= whole.ct_eq(&(plain.len() as u64));
        let end = plain.len().saturating_sub(pad);
        let start = end.saturating_sub(receiver.len());
        valid &= plain
            .get(start..end)
            .map_or(Choice::from(0), |bytes| bytes.ct_eq(receiver));
        if !bool::from(valid) {
            return None;
        }
        plain.truncate(start);
        plain.drain(..HEAD);
        Some(plain)
    }

    /// Encrypts and signs an answer. `random` must be 16 bytes that nobody can foresee.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](channel_core::ErrorKind::Invalid) if the message is over 3 MB.
    pub fn seal(
        &self,
        message: &[u8],
        now: SystemTime,
        nonce: &str,
        random: [u8; 16],
    ) -> Result<Sealed> {
        let too_long = || {
            Error::new(
                channel_core::ErrorKind::Invalid,
                "the answer is too long to be encrypted",
            )
        };
        if message.len() > 3_000_000 {
            return Err(too_long());
        }
        let length = u32::try_from(message.len()).map_err(|_| too_long())?;
        let mut plain = Vec::with_capacity(HEAD + message.len() + self.receive_id.len() + PAD);
        plain.extend_from_slice(&random);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(message);
        plain.extend_from_slice(self.receive_id.as_bytes());
        let encrypt = STANDARD.encode(self.key.encrypt(plain).ok_or_else(too_long)?);
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let written = timestamp.to_string();
        let parts = [
            self.token.expose().as_bytes(),
            written.as_bytes(),
            nonce.as_bytes(),
            encrypt.as_bytes(),
        ];
        let signature = signature::sign(parts);
        Ok(Sealed {
            signature: String::from_utf8_lossy(&signature).into_owned(),
            encrypt,
            timestamp,
            nonce: nonce.to_owned(),
        })
    }

    /// Signs a request in the clear; for fakes and emulators of the platform.
    #[must_use]
    pub fn sign_plain(&self, timestamp: &str, nonce: &str) -> String {
        let parts = [
            self.token.expose().as_bytes(),
            timestamp.as_bytes(),
            nonce.as_bytes(),
        ];
        String::from_utf8_lossy(&signature::sign(parts)).into_owned()
    }
}

fn is_fresh(query: &CallbackQuery<'_>, now: SystemTime) -> Result<(), Refused> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(query.seconds()) > WINDOW_SECONDS {
        return Err(Refused::STALE);
    }
    Ok(())
}
