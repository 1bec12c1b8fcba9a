//! Known examples of the splitting rule.

use channel_core::{TextLimit, TextUnit};
use channel_text::{Mark, Span, Spanned, flatten, parse_markdown, split_text};

const fn utf16(max: usize) -> TextLimit {
    TextLimit::new(max, TextUnit::Utf16)
}

fn texts(parts: &[Spanned]) -> Vec<&str> {
    parts.iter().map(Spanned::text).collect()
}

#[test]
fn text_that_fits_is_one_part_to_the_letter() {
    assert_eq!(split_text(" a \n", utf16(4)), [" a \n"]);
    assert_eq!(
        Spanned::plain(" a \n").split(utf16(4)),
        [Spanned::plain(" a \n")]
    );
}

#[test]
fn blank_text_has_no_parts() {
    for text in ["", " \n\t ", "\r\n\r\n\r\n"] {
        assert!(split_text(text, utf16(2)).is_empty());
        assert!(Spanned::plain(text).split(utf16(100)).is_empty());
        assert!(
            Spanned::plain(text)
                .split_by(1, |part| part.text().len())
                .is_empty()
        );
    }
}

#[test]
fn prefers_a_blank_line_then_a_line_then_a_word() {
    let text = format!("{}\n\nbb\ncc dd", "a".repeat(300));
    assert_eq!(split_text(&text, utf16(308))[1], "bb\ncc dd");
    let text = format!("{}\nbb cc dd", "a".repeat(300));
    assert_eq!(split_text(&text, utf16(308))[1], "bb cc dd");
    let text = format!("{} bb cc", "a".repeat(300));
    assert_eq!(split_text(&text, utf16(304))[1], "cc");
}

#[test]
fn a_line_break_within_two_hundred_goes_before_a_nearer_space() {
    let text = format!(
        "{}\n{} {}",
        "a".repeat(500),
        "b".repeat(250),
        "c".repeat(90)
    );
    assert_eq!(split_text(&text, utf16(800))[1], "c".repeat(90));
    let text = format!(
        "{}\n{} {}",
        "a".repeat(500),
        "b".repeat(100),
        "c".repeat(190)
    );
    assert_eq!(split_text(&text, utf16(690))[1].len(), 291);
    // Neither is near, so the last one of the second half is taken.
    let text = format!(
        "{}\n{} {}",
        "a".repeat(500),
        "b".repeat(100),
        "c".repeat(390)
    );
    assert_eq!(split_text(&text, utf16(900))[1], "c".repeat(390));
}

#[test]
fn keeps_the_indentation_of_the_next_line() {
    assert_eq!(split_text("• one\n  • two", utf16(8)), ["• one", "  • two"]);
}

#[test]
fn ideographic_text_breaks_after_its_punctuation() {
    assert_eq!(
        split_text("你好世界。今天天气好", utf16(8)),
        ["你好世界。", "今天天气好"]
    );
}

#[test]
fn never_cuts_a_grapheme_cluster_that_fits() {
    let family = "👨‍👩‍👧‍👦";
    assert_eq!(family.len(), 25);
    assert_eq!(
        split_text(&family.repeat(3), TextLimit::new(60, TextUnit::Bytes)),
        [family.repeat(2).as_str(), family]
    );
    // Beyond the limit it is cut between code points, and goes on from there.
    let parts = split_text(family, TextLimit::new(10, TextUnit::Bytes));
    assert_eq!(parts.concat(), family);
    assert!(parts.iter().all(|part| part.len() <= 10));
    let flags = "🇩🇪🇫🇷🇬🇧";
    assert_eq!(split_text(flags, utf16(7)), ["🇩🇪", "🇫🇷", "🇬🇧"]);
}

#[test]
fn a_code_point_over_the_limit_stands_alone() {
    assert_eq!(
        split_text("a€b", TextLimit::new(1, TextUnit::Bytes)),
        ["a", "€", "b"]
    );
    assert_eq!(
        split_text("ab", TextLimit::new(0, TextUnit::Bytes)),
        ["a", "b"]
    );
}

#[test]
fn marks_are_closed_and_opened_again() {
    let parts = flatten(&parse_markdown("**one *two three* four**")).split(utf16(8));
    assert_eq!(texts(&parts), ["one two", "three", "four"]);
    assert_eq!(
        parts[1].spans(),
        [
            Span::new(0..5, Mark::Strong),
            Span::new(0..5, Mark::Emphasis)
        ],
    );
}

#[test]
fn pain_32_code_is_cut_at_lines_and_keeps_its_language() {
    let code: String = (0..100).map(|i| format!("  line {i}\n\n")).collect();
    let flat = flatten(&parse_markdown(&format!(
        "intro\n\n```rust\n{code}```\n\nend"
    )));
    let parts = flat.split(utf16(200));
    assert!(parts.len() > 5);
    let rust = Mark::Pre {
        language: Some("rust".to_owned()),
    };
    let mut lines = Vec::new();
    for part in &parts {
        assert!(part.text().len() <= 200);
        for span in part.spans() {
            assert_eq!(span.mark, rust);
            lines.push(&part.text()[span.range.clone()]);
        }
    }
    assert_eq!(format!("{}\n", lines.join("\n")), code);
}

#[test]
fn pain_32_one_long_fenced_line_does_not_hang_and_loses_nothing() {
    let line = "x".repeat(100_000);
    let flat = flatten(&parse_markdown(&format!("```\n{line}\n```")));
    let parts = flat.split(utf16(4096));
    assert_eq!(texts(&parts).concat(), line);
    assert_eq!(parts.len(), 100_000_usize.div_ceil(4096));
    assert!(parts.iter().all(|part| part.spans().len() == 1));
}

#[test]
fn pain_32_a_tiny_limit_on_a_long_word_is_fast() {
    let word = "x".repeat(100_000);
    assert_eq!(split_text(&word, utf16(10)).len(), 10_000);
    let accents = format!("e{}", "\u{301}".repeat(50_000));
    assert_eq!(split_text(&accents, utf16(10)).len(), 5_001);
    let parts = Spanned::plain(word.as_str()).split_by(10, |part| part.text().len());
    assert_eq!(parts.len(), 10_000);
    let parts = Spanned::plain(accents.as_str()).split_by(10, |part| part.text().len());
    assert_eq!(
        parts.iter().map(|part| part.text()).collect::<String>(),
        accents
    );
}

#[test]
fn inline_code_is_not_cut_if_it_fits() {
    let flat = flatten(&parse_markdown("some words `let x = 1;` more"));
    assert_eq!(
        texts(&flat.split(utf16(18))),
        ["some words", "let x = 1; more"]
    );
    let flat = flatten(&parse_markdown("some`let x = 1; let y = 2;`"));
    assert_eq!(
        texts(&flat.split(utf16(12))),
        ["somelet x =", "1; let y =", "2;"]
    );
}

#[test]
fn the_rendered_length_counts_where_the_caller_says_so() {
    // Every mark costs two characters on each side here.
    let measure = |part: &Spanned| part.text().len() + 4 * part.spans().len();
    let flat = flatten(&parse_markdown("**one two three four five**"));
    let parts = flat.split_by(12, measure);
    assert_eq!(texts(&parts), ["one two", "three", "four", "five"]);
    assert!(parts.iter().all(|part| measure(part) <= 12));
}

#[test]
fn a_measure_that_shrinks_gets_parts_that_fit() {
    let odd = |part: &Spanned| {
        let n = part.text().len();
        if n.is_multiple_of(3) { n } else { n + 7 }
    };
    let text = "ab cde f ghij klmno p qrs tuv wxyz".repeat(20);
    for part in Spanned::plain(text.as_str()).split_by(20, odd) {
        assert!(odd(&part) <= 20, "{part:?}");
    }
}
