//! Codes that do not stand as words of their own: in pieces, or glued to words.
//!
//! Nothing but the look of them tells here: their length, their last character, and that they
//! change between small letters, capitals and digits as random characters do and words do not.

use crate::code::{LENGTH, is_code};

/// How often characters of a code change their kind at least.
const CHANGES: u32 = 5;
/// The same where nothing else speaks for a code: names in programs change less often.
const MANY_CHANGES: u32 = 7;
/// In how many pieces a code is known.
const PIECES: usize = 4;
/// How many bytes that are no white space may stand between two of them.
const GAP: usize = 4;
/// How many letters a word has that a code is glued to: fewer could be anything.
const GLUE: std::ops::RangeInclusive<usize> = 3..=16;

/// What may stand between the pieces of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    /// White space: a line that was broken.
    Space,
    /// Also up to four bytes of something else, where the pieces look random enough.
    Anything,
}

/// Whether a code stands in a text in pieces, two to four of them.
///
/// Pieces have no length of their own to be known by, so this looks at what they make together:
/// as many characters as a code has, which change their kind often. With white space between it
/// finds all but two in a thousand codes in two pieces and all but two in a hundred in four, with
/// something else all but two in a hundred. Of 2.3 million lines of manuals, change logs and web
/// pages (334 MB) it took five for one with white space and 472 with something else, nearly all of
/// these in tables of encoded host names.
pub(crate) fn holds_pieces(text: &str, between: Between) -> bool {
    if changes(text.as_bytes()) < CHANGES {
        return false;
    }
    let mut pieces = Pieces::default();
    let (mut piece, mut gap) = (Piece::default(), Gap::default());
    for byte in text.bytes() {
        if is_of_codes(byte) {
            piece.add(byte);
            continue;
        }
        if piece.length > 0 {
            if pieces.end_with(&std::mem::take(&mut piece), gap, between) {
                return true;
            }
            gap = Gap::default();
        }
        gap.add(byte);
    }
    piece.length > 0 && pieces.end_with(&piece, gap, between)
}

/// Whether a code stands in a text with nothing between it and a word of letters, before or
/// behind it or both: a space that was forgotten. It finds all but two in a hundred; of the lines
/// that [`holds_pieces`] was tried with it took 82 for one, nearly all in encoded links.
pub(crate) fn holds_glued(text: &str) -> bool {
    let runs = text.as_bytes().split(|byte| !is_of_codes(*byte));
    runs.filter(|run| run.len() > LENGTH).any(is_glued)
}

/// Whether a run of characters that codes are made of is a code and words.
fn is_glued(run: &[u8]) -> bool {
    let more = run.len() - LENGTH;
    if more > 2 * GLUE.end() {
        return false;
    }
    (0..=more).any(|at| {
        let (before, rest) = run.split_at(at);
        let (code, after) = rest.split_at(LENGTH);
        is_glue(before)
            && is_glue(after)
            && Piece::of(code).looks_random()
            && std::str::from_utf8(code).is_ok_and(is_code)
    })
}

/// Whether it is a word in small letters or in capitals, or begins with one; or nothing.
fn is_glue(word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else {
        return true;
    };
    let is_small = rest.iter().all(u8::is_ascii_lowercase);
    let is_large = first.is_ascii_uppercase() && rest.iter().all(u8::is_ascii_uppercase);
    GLUE.contains(&word.len()) && first.is_ascii_alphabetic() && (is_small || is_large)
}

const fn is_of_codes(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// How often letters and digits change their kind inside the words of a text: prose hardly does.
fn changes(text: &[u8]) -> u32 {
    let (mut changes, mut before) = (0, 0);
    for byte in text {
        let kind = match byte {
            b'a'..=b'z' => 1_u8,
            b'A'..=b'Z' => 2,
            b'0'..=b'9' => 3,
            b'-' | b'_' => continue,
            _ => 0,
        };
        changes += u32::from(kind != before && kind != 0 && before != 0);
        before = kind;
    }
    changes
}

/// What stands before a piece.
#[derive(Debug, Clone, Copy)]
struct Gap {
    bytes: usize,
    is_space: bool,
}

impl Default for Gap {
    fn default() -> Self {
        Self {
            bytes: 0,
            is_space: true,
        }
    }
}

impl Gap {
    fn add(&mut self, byte: u8) {
        self.bytes += 1;
        self.is_space &= byte.is_ascii_whitespace();
    }

    fn may_be(self, between: Between) -> bool {
        self.is_space || between == Between::Anything && self.bytes <= GAP
    }
}

/// The last pieces of a text, the newest first.
#[derive(Debug, Default)]
struct Pieces([Piece; PIECES]);

impl Pieces {
    /// Takes one more; says whether it is the end of a code.
    fn end_with(&mut self, piece: &Piece, gap: Gap, between: Between) -> bool {
        if !gap.may_be(between) {
            self.0 = Default::default();
        }
        self.0.rotate_right(1);
        let [newest, older @ ..] = &mut self.0;
        *newest = Piece {
            is_after_space: gap.is_space,
            ..*piece
        };
        if !matches!(newest.last, b'A' | b'Q' | b'g' | b'w') {
            return false;
        }
        let mut whole = *newest;
        for before in older {
            if before.length == 0 || whole.length >= LENGTH {
                return false;
            }
            whole.put_behind(before);
            if whole.length == LENGTH && whole.is_likely() {
                return true;
            }
        }
        false
    }
}

/// A run of characters that codes are made of.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    length: usize,
    last: u8,
    /// The last letter or digit.
    before: u8,
    changes: u32,
    has_small: bool,
    has_capital: bool,
    /// A digit or a dash.
    has_other: bool,
    /// Whether there is nothing but white space in front of it.
    is_after_space: bool,
    /// Whether something else stands between pieces that it is made of.
    is_broken: bool,
}

impl Piece {
    fn of(run: &[u8]) -> Self {
        let mut piece = Self::default();
        run.iter().for_each(|byte| piece.add(*byte));
        piece
    }

    fn add(&mut self, byte: u8) {
        let is_small = byte.is_ascii_lowercase();
        let is_capital = byte.is_ascii_uppercase();
        self.length += 1;
        self.last = byte;
        self.has_small |= is_small;
        self.has_capital |= is_capital;
        self.has_other |= !is_small && !is_capital;
        if is_small || is_capital || byte.is_ascii_digit() {
            let is_same = is_small == self.before.is_ascii_lowercase()
                && is_capital == self.before.is_ascii_uppercase();
            self.changes += u32::from(self.before != 0 && !is_same);
            self.before = byte;
        }
    }

    /// Becomes one with the piece that stands before it.
    fn put_behind(&mut self, before: &Self) {
        self.is_broken |= !self.is_after_space;
        self.is_after_space = before.is_after_space;
        self.has_other |= before.has_other;
        self.length += before.length;
        self.changes += before.changes;
        self.has_small |= before.has_small;
        self.has_capital |= before.has_capital;
    }

    /// Whether pieces of the right length are a code.
    const fn is_likely(&self) -> bool {
        let is_plain = self.changes >= CHANGES && self.has_small && self.has_capital;
        is_plain && !self.is_broken || self.looks_random()
    }

    const fn looks_random(&self) -> bool {
        self.changes >= MANY_CHANGES && self.has_small && self.has_capital && self.has_other
    }
}

#[cfg(test)]
mod tests {
    use channel_testkit::SeededRandom;

    use super::*;
    use crate::code::generate;

    /// Texts in which no code is.
    const PROSE: [&str; 16] = [
        "",
        " ",
        "understanding surveying",
        "The interesting programming",
        "State-of-the-art living",
        "McDonalds YouTube filming",
        "the quick brown fox jumps over the lazy dog, 100 of them, well-thought-out",
        "getElementsByClassNameAndTagg or XMLHttpRequestBuilderForTestings",
        "https://acme.example/Users/Ada/Project2/src/Main.java?Page=3&View=AllOfThemA",
        "see RFC 9110, section 4.2.3 (MUST NOT), and ISO-8601: 2026-11-30T16:45:13Z",
        "8f14e45f-ceea-467f-a0e6-d4b5a1c2e3f4 da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "XKCD-1234-ABCD-5678-EFGQ, XK12-QW34-ER56-TY78-UIOQ",
        "call +49 30 1234567, room B12, Ms. Q, at 3 p.m., iPhone 15 Pro, iOS 26.1, macOS 26",
        "Ag, Cu, NaCl, H2SO4, KMnO4, Fe2O3, C6H12O6, NaHCO3, CH3COOH; pH 7.4 and mRNA, tRNA, LaTeX, TeXw",
        "import{useState,useEffect,useCallback}from'react';constApp=()=>{return(<AppBar2/>);};",
        "const MAX_LEN: usize = 22; fn isCodeOf2(a: u8) -> bool { MatchesA1b2(a) } // 3 of 4: okayg",
    ];

    /// How many of so many codes are found, shown like this.
    fn found(codes: u32, seed: u64, shown: impl Fn(&str) -> bool) -> u32 {
        let random = SeededRandom::new(seed);
        let is_found = |_: &u32| shown(generate(&random).expose());
        u32::try_from((0..codes).filter(is_found).count()).unwrap()
    }

    #[test]
    fn a_code_in_pieces_is_known_nearly_always_and_prose_is_not_taken_for_one() {
        let random = SeededRandom::new(20_260_109);
        let (mut found, mut of_four) = (0, 0);
        let holds = |text: &str| holds_pieces(text, Between::Space);
        for n in 0..10_000 {
            let code = generate(&random);
            let code = code.expose();
            let at = 1 + n % (LENGTH - 1);
            let two = format!("my code is: {}\n  {}, ok?", &code[..at], &code[at..]);
            found += u32::from(holds(&two));
            let four = [&code[..5], &code[5..10], &code[10..16], &code[16..]].join(" ");
            of_four += u32::from(holds(&four));
            for text in [
                code.to_owned(),
                format!("{} {}", &code[..at], &code[at + 1..]),
                format!("x{} {}", &code[..at], &code[at..]),
                format!("{}. {}", &code[..at], &code[at..]),
            ] {
                assert!(!holds(&text), "{text}");
            }
        }
        assert!(found >= 9_970, "{found} of 10,000 in two pieces");
        assert!(of_four >= 9_800, "{of_four} of 10,000 in four");
        for text in PROSE {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn a_code_that_is_broken_by_something_is_known_nearly_always() {
        for between in [".", ", ", "/", "\"+\"", "\u{2026}", " \u{2013}", "\u{3000}"] {
            let found = found(1_000, 20_260_111, |code| {
                let text = format!("it is {}{between}{}!", &code[..9], &code[9..]);
                let at_once = holds_pieces(&text, Between::Anything);
                assert!(!holds_pieces(&text, Between::Space));
                at_once
            });
            assert!(found >= 975, "{found} of 1,000 with {between:?}");
        }
        let far = found(1_000, 20_260_112, |code| {
            let text = format!("{} ... {}", &code[..9], &code[9..]);
            holds_pieces(&text, Between::Anything)
        });
        assert_eq!(far, 0, "five bytes are too many");
        // White space alone is still enough, however much of it.
        let spaced = found(1_000, 20_260_113, |code| {
            let text = format!("{}\n\n   {}", &code[..9], &code[9..]);
            holds_pieces(&text, Between::Anything)
        });
        assert!(spaced >= 995, "{spaced} of 1,000");
        for text in PROSE {
            assert!(!holds_pieces(text, Between::Anything), "{text}");
        }
    }

    #[test]
    fn a_code_that_is_glued_to_words_is_known_nearly_always() {
        for (before, after) in [
            ("connect", ""),
            ("/Connect", ""),
            ("", "please"),
            ("code", "thanks"),
            ("say CODE", "\n"),
            ("abc", "abc,"),
        ] {
            let found = found(1_000, 20_260_114, |code| {
                holds_glued(&format!("{before}{code}{after}"))
            });
            assert!(found >= 975, "{found} of 1,000 with {before} and {after}");
        }
        // Too little to be a word, too much, or none: found by chance at best.
        let long = "x".repeat(17);
        for glue in ["x", "xy", "a1b", "aBc", "ab-", long.as_str()] {
            let found = found(1_000, 20_260_115, |code| {
                holds_glued(&format!("{glue}{code}"))
            });
            assert!(found <= 50, "{found} of 1,000 with {glue}");
        }
        for text in PROSE {
            assert!(!holds_glued(text), "{text}");
        }
    }
}
