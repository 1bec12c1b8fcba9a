//! Codes that people type, and how they are kept.

use std::fmt;

use channel_core::Random;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// 32 symbols that nobody takes for one another: no 0 O 1 I.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// The bytes of salt before a digest.
const SALT: usize = 16;

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
#[derive(Clone)]
pub struct SaltedHash {
    salt: [u8; SALT],
    digest: [u8; 32],
}

impl fmt::Debug for SaltedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedHash")
    }
}

impl SaltedHash {
    pub(crate) fn new(random: &dyn Random, code: &str) -> Self {
        let mut salt = [0; SALT];
        random.fill(&mut salt);
        let digest = digest(&salt, code);
        Self { salt, digest }
    }

    pub(crate) fn is_of(&self, code: &str) -> bool {
        digest(&self.salt, code).ct_eq(&self.digest).into()
    }

    /// 96 hex digits, for a store.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode([self.salt.as_slice(), &self.digest].concat())
    }

    /// What a store has kept; `None` if it is no such thing.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = hex::decode(text).ok()?;
        let (salt, digest) = bytes.split_first_chunk::<SALT>()?;
        Some(Self {
            salt: *salt,
            digest: digest.try_into().ok()?,
        })
    }
}

fn digest(salt: &[u8; SALT], code: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(code)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use channel_testkit::SeededRandom;

    use super::*;

    /// The chance of a guess is live codes over code space, and nothing better: ten million
    /// guesses at four symbols (20 bits) hit as often as the formula says, within three
    /// standard deviations. The guesser makes guesses the way codes are made: symbols that
    /// came more often than others would raise the rate.
    #[test]
    fn guesses_at_a_shortened_space_hit_as_often_as_the_formula_says() {
        const SYMBOLS: usize = 4;
        const GUESSES: u32 = 10_000_000;
        let random = SeededRandom::new(20_260_101);
        let mut live = HashSet::new();
        while live.len() < 100 {
            live.insert(generate(&random, SYMBOLS));
        }
        let guesser = SeededRandom::new(20_260_102);
        let hits = (0..GUESSES)
            .filter(|_| live.contains(&generate(&guesser, SYMBOLS)))
            .count();
        let chance = 100.0 / f64::from(1 << 20);
        let expected = f64::from(GUESSES) * chance;
        let sigma = (expected * (1.0 - chance)).sqrt();
        let off = (f64::from(u32::try_from(hits).unwrap()) - expected).abs();
        assert!(off < 3.0 * sigma, "{hits} hits, {expected:.1} expected");
    }

    /// At full length: what a day of guessing is worth, with the lockout.
    #[test]
    fn a_day_of_guessing_succeeds_less_than_once_in_a_million_days() {
        let a_day = f64::from(24 * crate::Tries::LIMIT);
        let space = |symbols: usize| 32_f64.powi(i32::try_from(symbols).unwrap());
        // Three requests wait, ten invites are out; a hundred actors guess at once.
        let live = 3.0;
        assert!(100.0 * a_day * live / space(super::super::CODE_SYMBOLS) < 1e-6);
        let live = 10.0;
        assert!(100.0 * a_day * live / space(super::super::INVITE_SYMBOLS) < 1e-6);
    }

    #[test]
    fn a_hash_is_read_back_and_nothing_else_is() {
        let hash = SaltedHash::new(&SeededRandom::new(1), "CODE");
        let text = hash.to_hex();
        assert_eq!(text.len(), 96);
        assert!(SaltedHash::from_hex(&text).unwrap().is_of("CODE"));
        assert!(!SaltedHash::from_hex(&text).unwrap().is_of("EDOC"));
        for bad in ["", "00", &text[2..], &format!("{text}00"), "zz"] {
            assert!(SaltedHash::from_hex(bad).is_none(), "{bad}");
        }
    }
}
