//! Markdown to flat text, and long texts to parts.

use channel_core::{TextLimit, TextUnit};
use channel_text::{Spanned, flatten, parse_markdown, split_text};
use pulldown_cmark::{Event, Options, Parser};
use unicode_segmentation::UnicodeSegmentation as _;

/// What a language model answers: a heading, words, a list, code, a quote and a table.
const ANSWER: &str = "## Why the build is red\n\n\
The **linker** cannot find `libfoo`, because the *search path* was changed in \
[this commit](https://example.invalid/c/1f2e3d). Two ways out:\n\n\
1. Set `FOO_DIR` before you build:\n\n\
   ```sh\n   export FOO_DIR=/opt/foo\n   cargo build --release\n   ```\n\n\
2. Or take the library out:\n   - drop the feature `foo`\n   - ~~delete the cache~~ not needed\n\n\
> Both were tried on Linux and macOS.\n\n\
| way | time | risk |\n|---|---:|:-:|\n| variable | 2 min | low |\n| feature | 10 min | *none* |\n\n\
Schöne Grüße — and tell me if it is still red \u{1F642}\n\n";

/// Ten such answers, about 7 kB.
#[must_use]
pub fn markdown() -> String {
    ANSWER.repeat(10)
}

/// Words in English, about 100 kB.
#[must_use]
pub fn english() -> String {
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.\n".repeat(1300)
}

/// Words of which each takes several code points or bytes, about 100 kB.
#[must_use]
pub fn mixed() -> String {
    "早上好，世界。 नमस्ते दुनिया! \u{1F469}\u{200D}\u{1F4BB} schreibt früh am Tag.\n".repeat(1100)
}

/// The limit of a Telegram message.
pub const LIMIT: TextLimit = TextLimit::new(4096, TextUnit::Utf16);

/// Parses and lays out.
#[must_use]
pub fn lay_out(source: &str) -> Spanned {
    flatten(&parse_markdown(source))
}

/// The floor of [`lay_out`]: the parser alone, its words put together.
#[must_use]
pub fn lay_out_floor(source: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut words = String::new();
    for event in Parser::new_ext(source, options) {
        if let Event::Text(text) | Event::Code(text) = event {
            words.push_str(&text);
        }
    }
    words
}

/// Cuts a text; says into how many parts.
#[must_use]
pub fn split(text: &str) -> usize {
    split_text(text, LIMIT).len()
}

/// The floor of [`split`]: each grapheme cluster measured once.
#[must_use]
pub fn split_floor(text: &str) -> usize {
    text.graphemes(true)
        .map(|cluster| LIMIT.unit.measure(cluster))
        .sum()
}
