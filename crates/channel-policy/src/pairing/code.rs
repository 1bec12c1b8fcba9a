//! Codes that people type, and how they are kept.

use std::fmt;

use channel_core::Random;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// 32 symbols that nobody takes for one another: no 0 O 1 I.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// The bytes of salt before a digest.
const SALT: usize = 16;

/// The bits of a symbol.
const SYMBOL_BITS: usize = 5;

/// What a code is for. The kinds differ in length, so that no code is of two kinds.
///
/// Random symbols come first, then symbols that follow from them. Whoever sees a code knows it
/// for one, in any process and without a look at a store; they make no guess easier, because
/// who guesses can work them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `XXXXX-XXXXX-XXXXX`: ten random symbols, five to check them.
    Pairing,
    /// `XXXX-XXXX-XXXX-XXXX`: twelve random symbols, four to check them.
    Invite,
}

impl Kind {
    /// The symbols that somebody would have to guess, five bits each.
    pub(crate) const fn random(self) -> usize {
        match self {
            Self::Pairing => 10,
            Self::Invite => 12,
        }
    }

    /// The symbols that follow from them.
    const fn checks(self) -> usize {
        match self {
            Self::Pairing => 5,
            Self::Invite => 4,
        }
    }

    /// All of them.
    pub(crate) const fn symbols(self) -> usize {
        self.random() + self.checks()
    }

    /// How many stand between two dashes.
    const fn group(self) -> usize {
        match self {
            Self::Pairing => 5,
            Self::Invite => 4,
        }
    }

    /// The lowest bits of a run of symbols.
    const fn low(symbols: usize) -> u128 {
        (1 << (symbols * SYMBOL_BITS)) - 1
    }

    /// Bits that depend on all random ones: the end of `SplitMix64`, a bijection that mixes well.
    const fn check(self, random: u64) -> u64 {
        let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> (64 - self.checks() * SYMBOL_BITS)
    }

    /// Whether the last symbols of a run are such a code.
    fn ends(self, run: u128) -> bool {
        let code = run & Self::low(self.symbols());
        let random = u64::try_from(code >> (self.checks() * SYMBOL_BITS));
        random.is_ok_and(|it| u128::from(self.check(it)) == code & Self::low(self.checks()))
    }

    /// A fresh code, without dashes.
    pub(crate) fn fresh(self, random: &dyn Random) -> String {
        let mut code = generate(random, self.random());
        let values = code.chars().filter_map(value);
        let check = self.check(values.fold(0, |all, value| all << SYMBOL_BITS | value));
        for place in (0..self.checks()).rev() {
            let index = check >> (place * SYMBOL_BITS) & 31;
            let symbol = usize::try_from(index).ok().and_then(|at| ALPHABET.get(at));
            code.extend(symbol.map(|symbol| char::from(*symbol)));
        }
        code
    }

    /// A code as people see it.
    pub(crate) fn show(self, code: &str) -> String {
        let symbols: Vec<char> = code.chars().collect();
        let groups: Vec<String> = symbols
            .chunks(self.group())
            .map(|group| group.iter().collect())
            .collect();
        groups.join("-")
    }

    /// The symbols of a code as people type it, in upper case, if that is what a text is: with
    /// the dashes where they belong, or without any. Whether it is right is not asked.
    pub(crate) fn read(self, text: &str) -> Option<String> {
        let text = text.trim();
        let bare = text.replace('-', "").to_ascii_uppercase();
        let fits = bare.len() == self.symbols()
            && bare.bytes().all(|byte| ALPHABET.contains(&byte))
            && (text.len() == bare.len() || text.eq_ignore_ascii_case(&self.show(&bare)));
        fits.then_some(bare)
    }
}

/// Whether a code stands somewhere in a text, in any case, whatever it is glued to and whatever
/// stands between its symbols that is no letter and no digit. Of other runs of sixteen symbols it
/// takes one in a million for a code, of fifteen one in thirty-three million.
pub(crate) fn holds_code(text: &str) -> bool {
    const KINDS: [Kind; 2] = [Kind::Pairing, Kind::Invite];
    let (mut run, mut length) = (0_u128, 0_usize);
    for c in text.chars() {
        if let Some(value) = value(c) {
            run = run << SYMBOL_BITS | u128::from(value);
            length += 1;
            if KINDS
                .iter()
                .any(|it| length >= it.symbols() && it.ends(run))
            {
                return true;
            }
        } else if c.is_alphanumeric() {
            length = 0;
        }
    }
    false
}

/// The place of a symbol in the alphabet.
fn value(c: char) -> Option<u64> {
    let place = match c.to_ascii_uppercase() {
        c @ 'A'..='H' => c as u64 - 'A' as u64,
        c @ 'J'..='N' => c as u64 - 'J' as u64 + 8,
        c @ 'P'..='Z' => c as u64 - 'P' as u64 + 13,
        c @ '2'..='9' => c as u64 - '2' as u64 + 24,
        _ => return None,
    };
    Some(place)
}

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

    #[test]
    fn the_value_of_a_symbol_is_its_place() {
        for (place, symbol) in ALPHABET.iter().enumerate() {
            assert_eq!(value(char::from(*symbol)), u64::try_from(place).ok());
        }
        for other in "01oOiI-ßéA\u{301}\u{ff21}".chars().filter(|c| *c != 'A') {
            assert_eq!(value(other), None, "{other}");
        }
    }

    #[test]
    fn a_code_is_known_wherever_it_stands_and_however_it_is_written() {
        let random = SeededRandom::new(20_260_103);
        for kind in [Kind::Pairing, Kind::Invite].repeat(1000) {
            let code = kind.fresh(&random);
            assert_eq!(code.len(), kind.symbols());
            let spaced: Vec<String> = code.chars().map(String::from).collect();
            for text in [
                code.clone(),
                code.to_lowercase(),
                kind.show(&code),
                format!("my code is {}, ok?", kind.show(&code).to_lowercase()),
                format!("  {}\n", spaced.join(" ")),
                format!("hello, is {}\u{2013}{} it?", &code[..4], &code[4..]),
                format!("\u{9080}\u{8bf7}\u{7801}{code}\u{5417}"),
                format!("https://acme.example/?invite={code}thanks"),
                format!("X{code}"),
                format!("code{}please", kind.show(&code)),
                format!("{}\n{}", &code[..7], &code[7..]),
            ] {
                assert!(holds_code(&text), "{text}");
            }
            assert!(!holds_code(&code[1..]));
            assert!(!holds_code(&format!("{}0{}", &code[..8], &code[8..])));
        }
    }

    /// What only looks like a code: the symbols that check an invite are twenty bits, those of
    /// a pairing code twenty-five.
    #[test]
    fn what_only_looks_like_a_code_is_taken_for_one_once_in_a_million() {
        let random = SeededRandom::new(20_260_104);
        let kinds = [(Kind::Invite, 1_000_000, 7), (Kind::Pairing, 500_000, 1)];
        for (kind, texts, most) in kinds {
            let taken = (0..texts)
                .filter(|_| holds_code(&generate(&random, kind.symbols())))
                .count();
            assert!(taken <= most, "{taken} of {texts}");
            // A slip of one symbol is another text, as often as not by chance.
            let code = kind.fresh(&random);
            let slips = (0..kind.symbols()).filter(|at| {
                let other = if code[*at..].starts_with('A') {
                    "B"
                } else {
                    "A"
                };
                holds_code(&format!("{}{other}{}", &code[..*at], &code[at + 1..]))
            });
            assert_eq!(slips.count(), 0);
        }
    }

    #[test]
    fn a_code_is_read_with_its_dashes_or_without_any() {
        let random = SeededRandom::new(20_260_105);
        for kind in [Kind::Pairing, Kind::Invite] {
            let code = kind.fresh(&random);
            let shown = kind.show(&code);
            for text in [&code, &shown, &shown.to_lowercase(), &format!(" {shown}\n")] {
                assert_eq!(kind.read(text).as_ref(), Some(&code), "{text}");
            }
            let elsewhere = format!("{}-{}", &code[..1], &code[1..]);
            for text in [
                elsewhere.as_str(),
                &code[1..],
                &shown[1..],
                &format!("{shown}A"),
                &shown.replace('-', "--"),
                &"é".repeat(kind.symbols() / 2),
                "",
            ] {
                assert_eq!(kind.read(text), None, "{text}");
            }
        }
    }

    /// At full length: what a day of guessing is worth, with the lockout.
    #[test]
    fn a_day_of_guessing_succeeds_less_than_once_in_a_million_days() {
        let a_day = f64::from(24 * crate::Tries::LIMIT);
        // The symbols that check the others count for nothing: who guesses works them out.
        let space = |kind: Kind| 32_f64.powi(i32::try_from(kind.random()).unwrap());
        assert!(
            space(Kind::Pairing) >= 2_f64.powi(50),
            "50 bits where people type"
        );
        // Three requests wait, ten invites are out; a hundred actors guess at once.
        let live = 3.0;
        assert!(100.0 * a_day * live / space(Kind::Pairing) < 1e-6);
        let live = 10.0;
        assert!(100.0 * a_day * live / space(Kind::Invite) < 1e-6);
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
