//! What holds for every document, whatever is in it.

use channel_core::{TextLimit, TextUnit};
use channel_text::{
    Mark, Span, Spanned, flatten, parse_markdown, split_text, to_markdown, to_plain,
};
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::generate::{Generator, marked_words};

const UNITS: [TextUnit; 4] = [
    TextUnit::Bytes,
    TextUnit::CodePoints,
    TextUnit::Utf16,
    TextUnit::Graphemes,
];

fn spanned(seed: u64) -> Spanned {
    let mut generator = Generator::new(seed);
    match generator.below(4) {
        0 => flatten(&generator.content()),
        1 => flatten(&parse_markdown(
            &(generator.text(30) + &generator.odd_text()),
        )),
        2 => {
            let text = generator.odd_text() + &generator.text(20);
            let spans = generator.spans(text.len(), 6);
            Spanned::new(text, spans)
        }
        _ => {
            let text = generator.text(60);
            let spans = generator.spans(text.len(), 12);
            Spanned::new(text, spans)
        }
    }
}

fn limit(seed: u64) -> TextLimit {
    let mut generator = Generator::new(!seed);
    let most = generator.pick(&[3, 20, 200]);
    TextLimit::new(generator.below(most) + 1, generator.pick(&UNITS))
}

fn is_blank(text: &str) -> bool {
    let is_space = |c: char| c.is_whitespace() && !"\u{a0}\u{2007}\u{202f}".contains(c);
    text.chars().all(is_space)
}

/// The promises of `Spanned`.
fn assert_in_order(spanned: &Spanned) {
    let mut open: Vec<&Span> = Vec::new();
    let mut start = 0;
    for span in spanned.spans() {
        assert!(span.range.start >= start, "sorted");
        start = span.range.start;
        assert!(span.range.start < span.range.end, "not empty");
        assert!(
            spanned.text().get(span.range.clone()).is_some(),
            "on boundaries"
        );
        while open.pop_if(|outer| outer.range.end <= start).is_some() {}
        if let Some(outer) = open.last() {
            assert!(span.range.end <= outer.range.end, "nested");
            assert!(
                !matches!(outer.mark, Mark::Pre { .. } | Mark::Code),
                "literal"
            );
        }
        let same = |outer: &&Span| {
            std::mem::discriminant(&outer.mark) == std::mem::discriminant(&span.mark)
        };
        assert!(!open.iter().any(same), "once each");
        if matches!(span.mark, Mark::Pre { .. }) {
            assert!(open.iter().all(|outer| outer.mark == Mark::Quote), "alone");
        }
        open.push(span);
    }
}

/// The laws of splitting, given the bytes that each part holds.
fn assert_split(
    source: &Spanned,
    ranges: &[std::ops::Range<usize>],
    parts: &[Spanned],
    fits: impl Fn(&Spanned) -> bool,
) {
    let text = source.text();
    assert_eq!(ranges.len(), parts.len());
    let clusters: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
    // Not one that fits, given an edge inside of it; each is looked at once.
    let mut cut = None;
    let mut position = 0;
    for (range, part) in ranges.iter().zip(parts) {
        assert_eq!(part.text(), &text[range.clone()]);
        assert!(!is_blank(part.text()), "shows something");
        assert!(
            fits(part) || part.text().chars().count() == 1,
            "{part:?} fits"
        );
        assert_in_order(part);
        assert_gap(source, position..range.start, &fits);
        position = range.end;
        for edge in [range.start, range.end] {
            let after = clusters.partition_point(|at| *at < edge);
            let is_inside = edge < text.len() && clusters.get(after) != Some(&edge);
            if is_inside && cut.replace(after) != Some(after) {
                let start = clusters.get(after - 1).copied().unwrap_or_default();
                let end = clusters.get(after).copied().unwrap_or(text.len());
                assert!(!fits(&source.slice(start..end)), "cut at {edge}");
            }
        }
    }
    assert_gap(source, position..text.len(), &fits);
    let words: Vec<_> = parts.iter().flat_map(marked_words).collect();
    assert_eq!(words, marked_words(source), "words and marks");
}

/// What a cut drops is white space, and inside preformatted text one line break, unless
/// there is more white space in a row than fits with the next character.
fn assert_gap(source: &Spanned, gap: std::ops::Range<usize>, fits: &impl Fn(&Spanned) -> bool) {
    let dropped = &source.text()[gap.clone()];
    assert!(is_blank(dropped), "lost {dropped:?}");
    let in_pre = source.spans().iter().any(|span| {
        matches!(span.mark, Mark::Pre { .. })
            && span.range.start < gap.start
            && gap.end < span.range.end
    });
    if in_pre && dropped.graphemes(true).count() > 1 {
        let rest = &source.text()[gap.end..];
        let next = rest.graphemes(true).next().map_or(0, str::len);
        let with_next = source.slice(gap.start..gap.end + next);
        assert!(!fits(&with_next), "lost {dropped:?} of code");
    }
}

/// Runs a check for seeds in a row and names the seed that fails.
fn for_seeds(count: u64, check: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in 0..count {
        if let Err(panic) = std::panic::catch_unwind(|| check(seed)) {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn pain_32_every_document_splits_into_parts_that_fit_and_lose_nothing() {
    for_seeds(10_000, |seed| {
        let source = spanned(seed);
        let limit = limit(seed);
        assert_in_order(&source);
        let parts = source.split(limit);
        let ranges = source.split_ranges(limit);
        assert_split(&source, &ranges, &parts, |part| limit.fits(part.text()));
        if seed.is_multiple_of(4) {
            let plain = Spanned::plain(source.text()).split_ranges(limit);
            let plain: Vec<_> = plain.into_iter().map(|part| &source.text()[part]).collect();
            assert_eq!(split_text(source.text(), limit), plain);
        }
    });
}

#[test]
fn pain_32_parts_fit_by_the_measure_of_the_caller() {
    for_seeds(2_000, |seed| {
        let source = spanned(seed);
        let max = limit(seed).max;
        let measure = |part: &Spanned| part.text().len() + 4 * part.spans().len();
        let parts = source.split_by(max, measure);
        let mut position = 0;
        for part in &parts {
            assert!(measure(part) <= max || part.text().chars().count() == 1);
            assert_in_order(part);
            let rest = &source.text()[position..];
            let skipped = rest.find(part.text()).unwrap();
            assert!(is_blank(&rest[..skipped]));
            position += skipped + part.text().len();
        }
        assert!(is_blank(&source.text()[position..]));
    });
}

#[test]
fn marks_survive_the_way_to_a_tree_and_back() {
    for_seeds(3_000, |seed| {
        let source = spanned(seed);
        let back = flatten(&source.to_content());
        assert_in_order(&back);
        assert_eq!(marked_words(&back), marked_words(&source));
    });
}

#[test]
fn pain_33_written_markdown_reads_back_with_its_words_and_marks() {
    for_seeds(2_500, |seed| {
        let content = Generator::new(seed).content();
        let written = to_markdown(&content);
        let expected = flatten(&content);
        let back = flatten(&parse_markdown(&written));
        let (back, expected) = (expressible(&back), expressible(&expected));
        let same = back
            .iter()
            .zip(&expected)
            .take_while(|(a, b)| a == b)
            .count();
        let around = |words: &[_]| {
            format!(
                "{:?}",
                &words[same.min(words.len())..][..5.min(words.len() - same)]
            )
        };
        assert!(
            back == expected,
            "{written}\n{}\n{}",
            around(&back),
            around(&expected)
        );
    });
}

/// Words with the marks that Markdown has, without what depends on the width of a column.
fn expressible(spanned: &Spanned) -> Vec<(char, Vec<&Mark>)> {
    let mut words = marked_words(spanned);
    for (_, marks) in &mut words {
        marks.retain(|mark| !matches!(mark, Mark::Underline | Mark::Mention { .. }));
    }
    let is_layout = |char: char, marks: &[&Mark]| match char {
        '-' => marks.contains(&&Mark::Pre { language: None }),
        // Each blank line of a quote in a quote begins with one.
        '>' => marks.contains(&&Mark::Quote),
        _ => false,
    };
    words.retain(|(char, marks)| !is_layout(*char, marks));
    words
}

proptest! {
    #[test]
    fn any_markdown_is_read_and_no_word_of_it_lost(source in "(\\PC|[ *_~`>#|\\[\\]()!<&\\\\\n\r\t-]){0,120}") {
        let content = parse_markdown(&source);
        let flat = flatten(&content);
        assert_in_order(&flat);
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric() && !c.is_ascii_digit()).count();
        // Entities and link targets are the only words that do not show.
        if !source.contains(['&', '(', '<', '`', '[', '~']) {
            prop_assert_eq!(letters(flat.text()), letters(&source));
        }
        prop_assert!(letters(&to_plain(&content)) >= letters(flat.text()));
    }

    #[test]
    fn any_text_with_any_spans_splits(
        text in "\\PC{0,60}",
        edges in prop::collection::vec((0_usize..300, 0_usize..300, 0_u64..1000), 0..8),
        max in 1_usize..40,
        unit in prop::sample::select(UNITS.to_vec()),
    ) {
        let spans = edges.into_iter().map(|(start, end, seed)| {
            let mark = Generator::new(seed).spans(1, 40).pop().map_or(Mark::Strong, |span| span.mark);
            Span::new(start..end, mark)
        });
        let source = Spanned::new(text, spans);
        let limit = TextLimit::new(max, unit);
        assert_in_order(&source);
        assert_split(&source, &source.split_ranges(limit), &source.split(limit), |part| limit.fits(part.text()));
    }

    #[test]
    fn putting_spans_in_order_twice_changes_nothing(seed: u64) {
        let once = spanned(seed);
        let (text, spans) = once.clone().into_parts();
        prop_assert_eq!(Spanned::new(text, spans), once);
    }
}
