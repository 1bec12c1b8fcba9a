//! Connect codes: how they are made, recognised and kept.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use channel_core::{Random, Secret};
use sha2::{Digest as _, Sha256};

/// The characters of 16 bytes in URL-safe Base64 without padding.
pub(crate) const LENGTH: usize = 22;

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

/// The codes that this process has made of late: it knows them exactly, however they are shown.
///
/// Only a keyed hash of each is kept, for as long as it holds and as long again at most.
#[derive(Debug)]
pub(crate) struct Made {
    key: RandomState,
    state: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    young: HashSet<u64>,
    old: HashSet<u64>,
    turned_at: Duration,
    /// Marks of them all, and of those that have gone while there was another one.
    marks: [u64; 64],
}

/// How many codes a generation has room for; where more are made the oldest are forgotten.
const MOST_MADE: usize = 10_000;

impl Made {
    pub(crate) fn new() -> Self {
        Self {
            key: RandomState::new(),
            state: Mutex::new(Generations {
                young: HashSet::new(),
                old: HashSet::new(),
                turned_at: Duration::ZERO,
                marks: [0; 64],
            }),
        }
    }

    /// Remembers a code for `ttl`. `now` is monotonic time.
    pub(crate) fn note(&self, code: &str, ttl: Duration, now: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn(ttl, now);
        if state.young.len() >= MOST_MADE {
            state.old = std::mem::take(&mut state.young);
            state.turned_at = now;
        }
        state.young.insert(self.key.hash_one(code.as_bytes()));
        let (place, bit) = mark(code.as_bytes());
        if let Some(marks) = state.marks.get_mut(place) {
            *marks |= bit;
        }
    }

    /// Whether one of them stands in a text, whatever it is glued to and whatever stands between
    /// its characters that no code has.
    pub(crate) fn are_in(&self, text: &str, ttl: Duration, now: Duration) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn(ttl, now);
        if state.young.is_empty() && state.old.is_empty() {
            return false;
        }
        let is_of_codes = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let characters: Vec<u8> = text.bytes().filter(is_of_codes).collect();
        characters.windows(LENGTH).any(|window| {
            matches!(window.last(), Some(b'A' | b'Q' | b'g' | b'w'))
                && state.is_marked(window)
                && state.has(self.key.hash_one(window))
        })
    }
}

/// Where the end of a code is marked: a look that is cheaper than its hash.
fn mark(code: &[u8]) -> (usize, u64) {
    let end = code.last_chunk().map_or(0, |end| u32::from_le_bytes(*end));
    let mixed = end.wrapping_mul(0x9e37_79b1) >> 20;
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

impl Generations {
    fn is_marked(&self, code: &[u8]) -> bool {
        let (place, bit) = mark(code);
        self.marks.get(place).is_some_and(|marks| marks & bit != 0)
    }

    fn has(&self, hash: u64) -> bool {
        self.young.contains(&hash) || self.old.contains(&hash)
    }

    fn turn(&mut self, ttl: Duration, now: Duration) {
        if now.saturating_sub(self.turned_at) >= ttl {
            // After two of them nothing is left that holds.
            let is_long = now.saturating_sub(self.turned_at) >= ttl * 2;
            self.old = std::mem::take(&mut self.young);
            if is_long {
                self.old.clear();
            }
            if self.old.is_empty() {
                self.marks = [0; 64];
            }
            self.turned_at = now;
        }
    }
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

    #[test]
    fn a_code_of_ours_is_known_however_it_is_shown_and_for_as_long_as_it_holds() {
        const TTL: Duration = Duration::from_secs(600);
        let random = SeededRandom::new(20_260_110);
        let made = Made::new();
        let (code, other) = (generate(&random), generate(&random));
        let glued = format!("abc{}def", code.expose());
        assert!(!made.are_in(&glued, TTL, Duration::ZERO));
        // At the end of a generation.
        let at = Duration::from_secs(599);
        made.note(other.expose(), TTL, Duration::ZERO);
        made.note(code.expose(), TTL, at);
        for later in [0, 1, 300, 600] {
            assert!(made.are_in(&glued, TTL, at + Duration::from_secs(later)));
        }
        assert!(!made.are_in(&glued[..24], TTL, at), "not all of it");
        assert!(!made.are_in(&glued, TTL, at + 2 * TTL));
        for n in 0..3 * MOST_MADE {
            made.note(&n.to_string(), TTL, 9 * TTL);
        }
        let state = made.state.lock().unwrap();
        assert!(state.young.len() + state.old.len() <= 2 * MOST_MADE);
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
