//! Any text is read as Markdown, laid out, written and read again.
#![no_main]

use channel_text::{Spanned, flatten, parse_markdown, to_markdown, to_plain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    let content = parse_markdown(source);
    let flat = flatten(&content);
    let (text, spans) = flat.clone().into_parts();
    assert_eq!(Spanned::new(text, spans), flat, "marks are in order");
    let utf16 = flat.utf16_spans();
    let utf16 = utf16.into_iter().map(|(range, mark)| (range, mark.clone()));
    assert_eq!(Spanned::from_utf16(flat.text(), utf16), flat);

    let _ = flat.to_content();
    let _ = to_plain(&content);
    let written = to_markdown(&content);
    // Markdown cannot say everything, and what it cannot is gone after one round: words
    // stay the same from there on.
    let words = |source: &str| -> String {
        let flat = flatten(&parse_markdown(source));
        flat.text().chars().filter(|c| c.is_alphabetic()).collect()
    };
    assert_eq!(
        words(&to_markdown(&parse_markdown(&written))),
        words(&written)
    );
});
