//! Connect codes: how they are made, recognised and kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use channel_core::{Random, Secret};
use sha2::{Digest as _, Sha256};

/// The characters of 16 bytes in URL-safe Base64 without padding.
const LENGTH: usize = 22;

/// A fresh code of 128 bits.
pub(crate) fn generate(random: &dyn Random) -> Secret {
    Secret::new(fresh::<16>(random))
}

fn fresh<const BYTES: usize>(random: &dyn Random) -> String {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use channel_testkit::SeededRandom;

    use super::*;

    /// The chance of a guess is live codes over code space, and nothing better: ten million
    /// guesses at three bytes hit as often as the formula says, within three standard
    /// deviations. The guesser makes guesses the way codes are made: bytes or letters that
    /// came more often than others would raise the rate.
    #[test]
    fn guesses_at_a_shortened_space_hit_as_often_as_the_formula_says() {
        const GUESSES: u32 = 10_000_000;
        const LIVE: u32 = 10_000;
        let random = SeededRandom::new(20_260_105);
        let mut live = HashSet::new();
        while live.len() < 10_000 {
            live.insert(fresh::<3>(&random));
        }
        let guesser = SeededRandom::new(20_260_106);
        let hits = (0..GUESSES)
            .filter(|_| live.contains(&fresh::<3>(&guesser)))
            .count();
        let chance = f64::from(LIVE) / f64::from(1 << 24);
        let expected = f64::from(GUESSES) * chance;
        let sigma = (expected * (1.0 - chance)).sqrt();
        let off = (f64::from(u32::try_from(hits).unwrap()) - expected).abs();
        assert!(off < 3.0 * sigma, "{hits} hits, {expected:.1} expected");
    }

    /// At full length: ten thousand live codes, and a million accounts that guess at once, five
    /// times an hour each.
    #[test]
    fn a_day_of_guessing_succeeds_less_than_once_in_a_million_days() {
        let tries = 1e6 * 24.0 * f64::from(channel_policy::Tries::LIMIT);
        assert!(tries * 1e4 / 2_f64.powi(128) < 1e-6);
        let code = generate(&SeededRandom::new(1));
        assert_eq!(code.expose().len(), LENGTH);
        assert!(is_code(code.expose()));
    }
}
