//! Credentials at rest.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use channel_core::{AccountRef, BindingId, Error, ErrorKind, Random, Result, Secret};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The form of the encrypted text: XChaCha20-Poly1305, a random nonce before it.
const VERSION: &str = "v1:";
const NONCE: usize = 24;
/// The longest credential, in bytes.
const LONGEST: usize = 16 * 1024;

/// Encrypts credentials, each for one binding of one account: moved to another row it does
/// not decrypt.
#[derive(Clone)]
pub struct Sealer {
    /// The first one encrypts, all of them decrypt.
    keys: Vec<XChaCha20Poly1305>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("keys", &self.keys.len())
            .finish()
    }
}

impl Sealer {
    /// Derives the key from a secret of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// `Config` if the secret is shorter.
    pub fn new(secret: &Secret) -> Result<Self> {
        Ok(Self {
            keys: vec![cipher(secret)?],
        })
    }

    /// Still decrypts what an older secret has encrypted.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_old(mut self, secret: &Secret) -> Result<Self> {
        self.keys.push(cipher(secret)?);
        Ok(self)
    }

    /// Encrypts a credential for a binding.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is longer than 16 KiB.
    pub fn seal(
        &self,
        random: &dyn Random,
        binding: &BindingId,
        account: &AccountRef,
        credential: &Secret,
    ) -> Result<String> {
        let too_long = || Error::new(ErrorKind::Invalid, "a credential is 16 KiB at most");
        let plain = credential.expose().as_bytes();
        let key = self.keys.first().filter(|_| plain.len() <= LONGEST);
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: &bound_to(binding, account),
        };
        let sealed = key
            .and_then(|key| key.encrypt(&XNonce::from(nonce), payload).ok())
            .ok_or_else(too_long)?;
        let all = [nonce.as_slice(), &sealed].concat();
        Ok(format!("{VERSION}{}", STANDARD_NO_PAD.encode(all)))
    }

    /// Decrypts; `None` for whatever was not encrypted for this binding with one of the
    /// keys.
    #[must_use]
    pub fn open(&self, binding: &BindingId, account: &AccountRef, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(VERSION)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let aad = bound_to(binding, account);
        let plain = self.keys.iter().find_map(|key| {
            let payload = Payload {
                msg: sealed,
                aad: &aad,
            };
            key.decrypt(&XNonce::from(*nonce), payload).ok()
        })?;
        String::from_utf8(plain).ok().map(Secret::new)
    }
}

fn cipher(secret: &Secret) -> Result<XChaCha20Poly1305> {
    let bytes = secret.expose().as_bytes();
    if bytes.len() < 32 {
        return Err(Error::config(
            "the secret for credentials needs at least 32 bytes",
        ));
    }
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(bytes)
        .map_err(|_| Error::config("the secret for credentials cannot be used"))?;
    mac.update(b"channel-binding credentials v1");
    Ok(XChaCha20Poly1305::new(&mac.finalize().into_bytes()))
}

/// What a credential is bound to: every part with its length, so that no two look alike.
fn bound_to(binding: &BindingId, account: &AccountRef) -> Vec<u8> {
    let workspace = crate::record::workspace_key(account);
    let parts = [
        binding.as_str(),
        account.platform.as_str(),
        workspace,
        account.sender.as_str(),
    ];
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}
