//! Codes that people type, and how they are kept.

use channel_core::Random;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// 32 symbols that nobody takes for one another: no 0 O 1 I.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A fresh code of so many symbols, five bits each.
pub(crate) fn generate(random: &dyn Random, symbols: usize) -> String {
    let mut bytes = vec![0; symbols];
    random.fill(&mut bytes);
    bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
        .map(|symbol| char::from(*symbol))
        .collect()
}

/// So many symbols in upper case, if that is what somebody typed.
pub(crate) fn read(text: &str, symbols: usize) -> Option<String> {
    let text = text.trim();
    let fits = text.len() == symbols
        && text
            .bytes()
            .all(|byte| ALPHABET.contains(&byte.to_ascii_uppercase()));
    fits.then(|| text.to_ascii_uppercase())
}

/// A code as it is kept: it can be recognised and not read.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SaltedHash {
    salt: [u8; 16],
    digest: [u8; 32],
}

impl SaltedHash {
    pub(crate) fn new(random: &dyn Random, code: &str) -> Self {
        let mut salt = [0; 16];
        random.fill(&mut salt);
        let digest = digest(&salt, code);
        Self { salt, digest }
    }

    pub(crate) fn is_of(&self, code: &str) -> bool {
        digest(&self.salt, code).ct_eq(&self.digest).into()
    }
}

fn digest(salt: &[u8; 16], code: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(code)
        .finalize()
        .into()
}
