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

/// Whether something of the form of a code stands in a text as a word of its own: in a command
/// or a link, in quotes, or among other words. Such a code may still hold.
///
/// The form has no room for symbols that check the others. Every code is found, and one in
/// sixteen of other words of 22 of its characters: of those that end in `A`, `Q`, `g` or `w`.
pub(crate) fn holds_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_plain = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    // A link inside a link: `%3D` before a code is no part of it.
    let is_escape = |at: usize| at >= 3 && bytes.get(at - 3) == Some(&b'%');
    (0..(bytes.len() + 1).saturating_sub(LENGTH)).any(|at| {
        let end = at + LENGTH;
        matches!(bytes.get(end - 1), Some(b'A' | b'Q' | b'g' | b'w'))
            && !is_plain(end)
            && (at == 0 || !is_plain(at - 1) || is_escape(at))
            && text.get(at..end).is_some_and(is_code)
    })
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

    #[test]
    fn a_code_is_found_as_a_word_of_its_own_wherever_it_stands() {
        let random = SeededRandom::new(20_260_107);
        for _ in 0..2_000 {
            let code = generate(&random);
            let code = code.expose();
            for text in [
                code.to_owned(),
                format!("/connect {code} please"),
                format!("job {code} is done"),
                format!("my code is \"{code}\"."),
                format!("it says https://t.me/kit?start={code}, what now"),
                format!("https://acme.example/?to=t.me%2Fkit%3Fstart%3D{code}"),
                format!("_{code}_ or -{code}-"),
                format!("\u{6211}\u{7684}{code}\u{5417}"),
            ] {
                assert!(holds_code(&text), "{text}");
            }
            for text in [
                code[1..].to_owned(),
                format!("x{code}"),
                format!("{code}x"),
                format!("{}.{}", &code[..11], &code[11..]),
            ] {
                assert!(!holds_code(&text), "{text}");
            }
        }
        for text in [
            "",
            "a",
            "é",
            &"é".repeat(30),
            &"-".repeat(22),
            &"w ".repeat(40),
        ] {
            assert!(!holds_code(text), "{text}");
        }
    }

    /// As the documentation says: one in sixteen, where the words are made of random characters.
    #[test]
    fn what_only_looks_like_a_code_is_taken_for_one_as_often_as_is_said() {
        const WORDS: u32 = 64_000;
        let random = SeededRandom::new(20_260_108);
        let taken = (0..WORDS).filter(|_| {
            // Four characters for three bytes: no bit of the last one is left out.
            let word = fresh::<18>(&random);
            holds_code(&word[2..])
        });
        let taken = u32::try_from(taken.count()).unwrap();
        // Some of them begin after a dash of their own, and are none.
        assert!(taken.abs_diff(WORDS / 16) < 250, "{taken} of {WORDS}");
        let prose = "the quick brown fox jumps over the lazy dog, 100 of them, well-thought-out \
                     https://acme.example/a/path/that-goes-on/for-a-while?and=more&so=on#there \
                     8f14e45f-ceea-467f-a0e6-d4b5a1c2e3f4 da39a3ee5e6b4b0d3255bfef95601890afd80709";
        assert!(!holds_code(prose));
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
