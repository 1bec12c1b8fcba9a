//! Credentials at rest.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
/// not decrypt. Clones share their keys.
#[derive(Clone)]
pub struct Sealer(Arc<RwLock<Keys>>);

#[derive(Clone)]
struct Key {
    cipher: Arc<XChaCha20Poly1305>,
    /// Held by everybody who writes what was encrypted with it: a rotation waits for them.
    writers: Arc<()>,
}

struct Keys {
    /// Encrypts, and decrypts first.
    current: Key,
    /// Only decrypt.
    old: Vec<Key>,
}

/// The keys at one moment, for somebody who reads.
pub(crate) struct Hold {
    current: Arc<XChaCha20Poly1305>,
    old: Vec<Arc<XChaCha20Poly1305>>,
}

/// An encrypted credential: to be held until it is written.
pub(crate) struct Sealed {
    pub(crate) text: String,
    _writer: Arc<()>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("keys", &(self.keys().old.len() + 1))
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
        Ok(Self(Arc::new(RwLock::new(Keys {
            current: Key::new(secret)?,
            old: Vec::new(),
        }))))
    }

    /// Still decrypts what an older secret has encrypted.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_old(self, secret: &Secret) -> Result<Self> {
        let key = Key::new(secret)?;
        self.keys_mut().old.push(key);
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
        let sealed = self.seal_held(random, binding, account, credential)?;
        Ok(sealed.text)
    }

    /// Decrypts; `None` for whatever was not encrypted for this binding with one of the
    /// keys.
    #[must_use]
    pub fn open(&self, binding: &BindingId, account: &AccountRef, sealed: &str) -> Option<Secret> {
        self.hold().open(binding, account, sealed)
    }

    pub(crate) fn seal_held(
        &self,
        random: &dyn Random,
        binding: &BindingId,
        account: &AccountRef,
        credential: &Secret,
    ) -> Result<Sealed> {
        let too_long = || Error::new(ErrorKind::Invalid, "a credential is 16 KiB at most");
        let plain = credential.expose().as_bytes();
        if plain.len() > LONGEST {
            return Err(too_long());
        }
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: &bound_to(binding, account),
        };
        let key = self.keys().current.clone();
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let all = [nonce.as_slice(), &sealed.map_err(|_| too_long())?].concat();
        Ok(Sealed {
            text: format!("{VERSION}{}", STANDARD_NO_PAD.encode(all)),
            _writer: key.writers,
        })
    }

    pub(crate) fn hold(&self) -> Hold {
        let keys = self.keys();
        Hold {
            current: Arc::clone(&keys.current.cipher),
            old: keys.old.iter().map(|key| key.cipher.clone()).collect(),
        }
    }

    /// Encrypts with another secret from now on; the ones before still decrypt.
    pub(crate) fn begin_rotation(&self, secret: &Secret) -> Result<()> {
        let next = Key::new(secret)?;
        let mut keys = self.keys_mut();
        let before = std::mem::replace(&mut keys.current, next);
        keys.old.push(before);
        Ok(())
    }

    /// Whether nobody writes with an old key any more.
    pub(crate) fn old_keys_are_idle(&self) -> bool {
        let is_idle = |key: &Key| Arc::strong_count(&key.writers) == 1;
        self.keys().old.iter().all(is_idle)
    }

    /// Forgets the old keys.
    pub(crate) fn end_rotation(&self) {
        self.keys_mut().old.clear();
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys_mut(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    pub(crate) fn open(
        &self,
        binding: &BindingId,
        account: &AccountRef,
        sealed: &str,
    ) -> Option<Secret> {
        let keys = std::iter::once(&self.current).chain(&self.old);
        open_with(keys, binding, account, sealed)
    }

    /// Whether it was encrypted with the key that encrypts now.
    pub(crate) fn is_current(
        &self,
        binding: &BindingId,
        account: &AccountRef,
        sealed: &str,
    ) -> bool {
        open_with([&self.current], binding, account, sealed).is_some()
    }

    /// Whether the keys are still the same.
    pub(crate) fn is_of(&self, sealer: &Sealer) -> bool {
        Arc::ptr_eq(&self.current, &sealer.keys().current.cipher)
    }
}

fn open_with<'a>(
    keys: impl IntoIterator<Item = &'a Arc<XChaCha20Poly1305>>,
    binding: &BindingId,
    account: &AccountRef,
    sealed: &str,
) -> Option<Secret> {
    let bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(VERSION)?).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
    let aad = bound_to(binding, account);
    let plain = keys.into_iter().find_map(|key| {
        let payload = Payload {
            msg: sealed,
            aad: &aad,
        };
        key.decrypt(&XNonce::from(*nonce), payload).ok()
    })?;
    String::from_utf8(plain).ok().map(Secret::new)
}

impl Key {
    fn new(secret: &Secret) -> Result<Self> {
        Ok(Self {
            cipher: Arc::new(cipher(secret)?),
            writers: Arc::new(()),
        })
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
