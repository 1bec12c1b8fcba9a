//! Connect codes: how they are made, recognised and kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use channel_core::{Random, Secret};
use sha2::{Digest as _, Sha256};

/// The characters of 16 bytes in URL-safe Base64 without padding.
const LENGTH: usize = 22;

/// A fresh code of 128 bits.
pub(crate) fn generate(random: &dyn Random) -> Secret {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether a word has the form of a code. What has bits set that no code has is refused: each
/// code has one spelling.
pub(crate) fn is_code(word: &str) -> bool {
    word.len() == LENGTH && URL_SAFE_NO_PAD.decode(word).is_ok()
}

/// What is kept of a connect code: enough to recognise it, not to send it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodeHash(String);

impl CodeHash {
    /// Hashes what somebody typed; `None` if it cannot be a code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        is_code(code).then(|| Self(hex::encode(Sha256::digest(code))))
    }

    /// 64 hex digits: the SHA-256 of the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
