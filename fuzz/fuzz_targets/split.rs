//! Any text with any marks is cut to any limit.
//!
//! The first bytes are the limit, its unit and the marks; the rest is the text.
#![no_main]

use channel_core::{TextLimit, TextUnit};
use channel_text::{Mark, Span, Spanned, split_text};
use libfuzzer_sys::fuzz_target;

const UNITS: [TextUnit; 4] = [
    TextUnit::Bytes,
    TextUnit::CodePoints,
    TextUnit::Utf16,
    TextUnit::Graphemes,
];

fn mark(number: u8) -> Mark {
    match number % 8 {
        0 => Mark::Strong,
        1 => Mark::Emphasis,
        2 => Mark::Code,
        3 => Mark::Pre { language: None },
        4 => Mark::Link {
            url: number.to_string(),
        },
        5 => Mark::Mention { id: None },
        6 => Mark::Quote,
        _ => Mark::Emoji {
            id: number.to_string(),
        },
    }
}

fuzz_target!(|input: (u16, u8, Vec<(u16, u16, u8)>, &str)| {
    let (max, unit, spans, text) = input;
    let limit = TextLimit::new(
        usize::from(max).max(1),
        UNITS[usize::from(unit) % UNITS.len()],
    );
    let spans = spans
        .into_iter()
        .map(|(start, end, number)| Span::new(usize::from(start)..usize::from(end), mark(number)));
    let source = Spanned::new(text, spans);

    let parts = source.split(limit);
    check(&source, &parts, |part| limit.fits(part.text()));
    let length = |part: &Spanned| part.text().len() + 3 * part.spans().len();
    check(&source, &source.split_by(limit.max, length), |part| {
        length(part) <= limit.max
    });
    let plain: String = split_text(text, limit).concat();
    assert_eq!(words(&plain), words(text));
});

fn check(source: &Spanned, parts: &[Spanned], fits: impl Fn(&Spanned) -> bool) {
    let mut joined = String::new();
    for part in parts {
        assert!(fits(part) || part.text().chars().count() == 1);
        assert!(!part.text().is_empty());
        joined.push_str(part.text());
    }
    assert_eq!(words(&joined), words(source.text()));
}

fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
