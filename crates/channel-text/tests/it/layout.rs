//! Markdown as a tree, a tree as flat text, flat text as a tree.

use std::ops::Range;

use channel_core::{Block, Body, Content, Inline};
use channel_text::{
    Mark, Span, Spanned, byte_ranges, content_of, flatten, parse_markdown, spanned_of, to_plain,
    utf16_ranges,
};

fn flat(source: &str) -> Spanned {
    flatten(&parse_markdown(source))
}

/// The text with each mark written around its range.
fn marked(spanned: &Spanned) -> Vec<(&str, &Mark)> {
    spanned
        .spans()
        .iter()
        .map(|span| (&spanned.text()[span.range.clone()], &span.mark))
        .collect()
}

#[test]
fn sets_blocks_apart_by_a_blank_line() {
    assert_eq!(
        flat("# Title\nfirst\nsecond\n\nthird\n\n---\nfourth").text(),
        "Title\n\nfirst\nsecond\n\nthird\n\n──────────\n\nfourth"
    );
}

#[test]
fn lays_lists_out_with_bullets_numbers_and_boxes() {
    let source = "- one\n  more\n- two\n  1. inner\n  2. last\n- [x] done\n- [ ] open\n\n\n9. nine\n10. ten\n    under ten";
    assert_eq!(
        flat(source).text(),
        "• one\n  more\n• two\n  1. inner\n  2. last\n☑ done\n☐ open\n\n9. nine\n10. ten\n    under ten",
    );
}

#[test]
fn keeps_code_in_a_list_free_of_indentation() {
    let flat = flat("1. run\n   ```sh\n   a\n     b\n   ```\n2. ```\n   c\n   ```");
    assert_eq!(flat.text(), "1. run\na\n  b\n2. \nc");
    let sh = Mark::Pre {
        language: Some("sh".to_owned()),
    };
    assert_eq!(
        marked(&flat),
        [("a\n  b", &sh), ("c", &Mark::Pre { language: None })]
    );
}

#[test]
fn aligns_tables_by_width_on_screen() {
    let flat = flat("| name | n |\n|:--|--:|\n| 你好 | 1 |\n| x [y](z) | 23 |\n| only |");
    assert_eq!(
        flat.text(),
        "name    |  n\n--------+---\n你好    |  1\nx y (z) | 23\nonly",
    );
    assert_eq!(marked(&flat).len(), 1);
}

#[test]
fn one_long_cell_does_not_pad_every_row() {
    let long = "x".repeat(100_000);
    let source = format!("|a|b|\n|-|-|\n|{long}|b|\n{}", "|a|b|\n".repeat(1000));
    let text = flat(&source).text().len();
    assert!(text < source.len() + 1000 * 60, "{text} bytes");
}

#[test]
fn shows_where_a_link_without_words_leads() {
    let flat = flat("[](https://a.example) ![](https://b.example/c.png)");
    assert_eq!(flat.text(), "https://a.example https://b.example/c.png");
}

#[test]
fn raw_html_is_literal_text() {
    assert_eq!(
        flat("a <b>c</b>\n\n<div>\n<script>x</script>\n</div>\n\nd").text(),
        "a <b>c</b>\n\n<div>\n<script>x</script>\n</div>\n\nd"
    );
}

#[test]
fn plain_text_shows_quotes_and_link_targets() {
    let content = parse_markdown(
        "> said\n> > before\n\n[here](https://x.example) <https://y.example> <a@b.example>\n- 1\n\n      code",
    );
    assert_eq!(
        to_plain(&content),
        "> said\n>\n> > before\n\nhere (https://x.example) https://y.example a@b.example\n\n• 1\n  code",
    );
}

#[test]
fn quotes_inside_of_quotes_stay_visible() {
    let flat = flat("> a\n>\n> > b\n> > c\n\nd");
    assert_eq!(flat.text(), "a\n\n> b\n> c\n\nd");
    assert_eq!(marked(&flat), [("a\n\n> b\n> c", &Mark::Quote)]);
}

#[test]
fn a_plain_body_is_taken_to_the_letter() {
    let text = "  *a* \r\n\r\n\r\n- b\0 <c>\t";
    assert_eq!(spanned_of(&Body::plain(text)), Spanned::plain(text));
    assert_eq!(
        flatten(&content_of(&Body::plain(text))),
        Spanned::plain(text)
    );
    let content = Content::plain("x");
    assert!(matches!(
        content_of(&Body::Content(content)),
        std::borrow::Cow::Borrowed(_)
    ));
}

#[test]
fn joins_marks_that_touch_and_drops_empty_ones() {
    let content = Content::paragraph([
        Inline::strong("a"),
        Inline::strong(""),
        Inline::strong("b"),
        Inline::Emphasis(vec![]),
        Inline::Strong(vec![Inline::strong("c")]),
        Inline::Emoji {
            id: "1".into(),
            fallback: "👍".into(),
        },
        Inline::Emoji {
            id: "1".into(),
            fallback: "👍".into(),
        },
    ]);
    let emoji = Mark::Emoji { id: "1".into() };
    assert_eq!(
        marked(&flatten(&content)),
        [("abc", &Mark::Strong), ("👍", &emoji), ("👍", &emoji)],
    );
}

#[test]
fn hostile_nesting_neither_overflows_nor_takes_long() {
    let n = 100_000;
    for source in [
        "> ".repeat(n) + "end",
        "- ".repeat(n) + "end",
        "1. ".repeat(n) + "end",
        "> - ".repeat(n) + "end",
        "*".repeat(n) + "end" + &"*".repeat(n),
        "**a ".repeat(n) + "end" + &"**".repeat(n),
        "~~a *b ".repeat(n) + "end",
        "[".repeat(n) + "end" + &"](x)".repeat(n),
        "![".repeat(n) + "end" + &"](x)".repeat(n),
        "- ".repeat(n / 2) + "end" + &"\na".repeat(n / 2),
        "> - ".repeat(n / 2) + "end" + &"\na".repeat(n / 2),
    ] {
        let content = parse_markdown(&source);
        assert!(flatten(&content).text().contains("end"));
        assert!(to_plain(&content).contains("end"));
        drop(content.clone());
    }
}

#[test]
fn words_beyond_the_depth_keep_their_order() {
    let deep = "> ".repeat(40);
    let content = parse_markdown(&format!(
        "{deep}a\n>\n{deep}b **c** `d`\n>\n{deep}- e\n{deep}- f\n\n{deep}|g|\n{deep}|-|\n{deep}|h|\n\ni"
    ));
    let words: String = to_plain(&content)
        .chars()
        .filter(char::is_ascii_lowercase)
        .collect();
    assert_eq!(words, "abcdefghi");
}

#[test]
fn a_tree_comes_back_from_its_marks() {
    for source in [
        "a **b *c* ~~d~~** `e` [f](g)",
        "a\n\n> b\n> **c**\n>\n> d\n\n```rust\ne\n\nf\n```\n\n# g *h*\n\ni",
        "> ```\n> a\n> ```",
    ] {
        let content = parse_markdown(source);
        let flat = flatten(&content);
        assert_eq!(flatten(&flat.to_content()), flat, "{source}");
    }
    let content = parse_markdown("a\n\n> b\n\n```rust\ne\n```\n\n## g");
    assert_eq!(flatten(&content).to_content(), content);
}

#[test]
fn paragraphs_are_parted_at_blank_lines() {
    let spanned = Spanned::new("a\r\nb\n \n\nc d\n", [Span::new(3..9, Mark::Strong)]);
    assert_eq!(
        spanned.to_content().blocks,
        [
            Block::Paragraph(vec![Inline::text("a\r\n"), Inline::strong("b")]),
            Block::Paragraph(vec![Inline::strong("c"), Inline::text(" d")]),
        ]
    );
}

#[test]
fn hostile_spans_are_put_in_order() {
    let reversed = Range { start: 5, end: 2 };
    let spans = [
        Span::new(usize::MAX - 1..usize::MAX, Mark::Strong),
        Span::new(reversed, Mark::Strong),
        Span::new(4..8, Mark::Link { url: "b".into() }),
        Span::new(0..6, Mark::Link { url: "a".into() }),
        Span::new(1..99, Mark::Emphasis),
        Span::new(0..3, Mark::Heading(0)),
        Span::new(2..3, Mark::Quote),
        Span::new(2..3, Mark::Code),
        Span::new(2..4, Mark::Code),
        Span::new(6..7, Mark::Pre { language: None }),
    ];
    let spanned = Spanned::new("aé€😀", spans);
    assert_eq!(spanned.text().len(), 10);
    // a 0..1, é 1..3, € 3..6, 😀 6..10: an end inside the emoji is its start.
    assert_eq!(
        spanned.spans(),
        [
            Span::new(0..1, Mark::Heading(1)),
            Span::new(0..1, Mark::Link { url: "a".into() }),
            Span::new(1..3, Mark::Quote),
            Span::new(1..3, Mark::Heading(1)),
            Span::new(1..3, Mark::Emphasis),
            Span::new(1..3, Mark::Link { url: "a".into() }),
            Span::new(1..3, Mark::Code),
            Span::new(3..10, Mark::Emphasis),
            Span::new(3..6, Mark::Link { url: "a".into() }),
        ],
    );
}

#[test]
fn many_crossing_spans_take_no_more_than_their_share() {
    let n = 50_000;
    let text = "x".repeat(2 * n);
    let spans = (0..n).map(|i| {
        let mark = match i % 3 {
            0 => Mark::Strong,
            1 => Mark::Link { url: i.to_string() },
            _ => Mark::Quote,
        };
        Span::new(i..i + n, mark)
    });
    assert!(Spanned::new(text, spans).spans().len() < 3 * n);
}

#[test]
fn offsets_convert_both_ways() {
    let text = "a😀é\u{1f1e9}\u{1f1ea}z";
    let bytes: Vec<_> = text
        .char_indices()
        .map(|(at, c)| at..at + c.len_utf8())
        .collect();
    let units = utf16_ranges(text, &bytes);
    assert_eq!(units.last().unwrap(), &(8..9));
    assert_eq!(byte_ranges(text, &units), bytes);
    assert_eq!(
        byte_ranges(text, &[2..99, Range { start: 5, end: 3 }]),
        [1..text.len(), 5..5]
    );
    let spanned = Spanned::from_utf16(text, [(1..3, Mark::Strong), (3..4, Mark::Code)]);
    assert_eq!(
        marked(&spanned),
        [("😀", &Mark::Strong), ("é", &Mark::Code)]
    );
    assert_eq!(
        spanned.utf16_spans(),
        [(1..3, &Mark::Strong), (3..4, &Mark::Code)]
    );
}
