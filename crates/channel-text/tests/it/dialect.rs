//! Markdown written from a tree, and the seam that it is written through.

use channel_core::{Block, Content, Inline, ListItem};
use channel_text::{Mark, Span, Spanned, Tag, Visitor, parse_markdown, to_markdown, visit};

fn rewritten(source: &str) -> String {
    to_markdown(&parse_markdown(source))
}

#[test]
fn ordinary_markdown_stays_as_it_is() {
    for source in [
        "# Title\n\nSome **bold**, _italic_, ~~gone~~ and `code`. It's 50% off!",
        "- one\n- two\n  - inner\n\n  more\n- [x] done\n- [ ] open",
        "3. three\n4. four",
        "> quoted\n>\n> > deeper\n\n___",
        "```rust\nfn main() {}\n\n// end\n```",
        "| a | b |\n| --- | --: |\n| 1 | **2** |",
        "a [link](https://example.com/a_b?c=1) and\\\na break",
    ] {
        assert_eq!(rewritten(source), source);
    }
}

#[test]
fn words_that_look_like_marks_are_escaped_where_they_would_act() {
    let text = "# no\n- no\n1. no\n> no\na-b 1.5 c>d x|y #z\n*no* <b> &amp; AT&T [no](x) ![no]";
    let written = to_markdown(&Content::plain(text));
    assert_eq!(
        written,
        "\\# no\\\n\\- no\\\n1\\. no\\\n\\> no\\\na-b 1.5 c>d x|y #z\\\n\\*no\\* \\<b> \\&amp; AT&T \\[no\\](x) !\\[no\\]",
    );
}

#[test]
fn pain_33_marks_beside_words_and_punctuation_are_not_shown_raw() {
    let strong = |text: &str| Inline::strong(text);
    for (inlines, source) in [
        (
            vec![Inline::text("un"), strong("believ"), Inline::text("able")],
            "un**believ**able",
        ),
        (
            vec![strong("note:"), Inline::text("yes")],
            "**note:**&#121;es",
        ),
        (
            vec![strong("你好。"), Inline::text("世界")],
            "**你好。**&#19990;界",
        ),
        (
            vec![strong(" a "), Inline::text("b")],
            " **a** b".trim_start(),
        ),
        (vec![Inline::text("a"), Inline::emphasis("b")], "&#97;_b_"),
        (vec![strong("a"), strong("b")], "**ab**"),
        (vec![Inline::text("!"), Inline::link("u", "t")], "\\![t](u)"),
    ] {
        let content = Content::paragraph(inlines);
        let written = to_markdown(&content);
        assert!(written.ends_with(source), "{written}");
        assert_eq!(to_markdown(&parse_markdown(&written)), written);
    }
}

#[test]
fn lists_side_by_side_stay_two() {
    let list = |start| Block::List {
        start,
        items: vec![ListItem::new(vec![Block::Paragraph(vec![Inline::text(
            "x",
        )])])],
    };
    let content = Content::new(vec![list(None), list(None), list(Some(1)), list(Some(1))]);
    let written = to_markdown(&content);
    assert_eq!(written, "- x\n\n* x\n\n1. x\n\n1) x");
    assert_eq!(parse_markdown(&written), content);
}

#[test]
fn nested_empty_items_are_no_rule() {
    assert_eq!(rewritten("- * -"), "- * -");
}

#[test]
fn a_fence_is_longer_than_any_in_the_code() {
    let content = Content::new(vec![Block::Code {
        language: Some("md".into()),
        text: "````\nx\n````".into(),
    }]);
    assert_eq!(parse_markdown(&to_markdown(&content)), content);
}

/// A dialect with brackets: enough to see what a visitor is told.
#[derive(Default)]
struct Brackets(String);

impl Visitor for Brackets {
    fn open(&mut self, tag: &Tag<'_>) {
        self.0.push_str(&format!("<{tag:?} "));
    }
    fn close(&mut self, _tag: &Tag<'_>) {
        self.0.push('>');
    }
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

#[test]
fn a_visitor_sees_joined_marks_without_white_space_at_their_edges() {
    let content = Content::paragraph([
        Inline::strong(" a"),
        Inline::Strong(vec![Inline::strong("b "), Inline::emphasis(" ")]),
        Inline::Strong(vec![Inline::code(" c ")]),
    ]);
    let mut brackets = Brackets::default();
    visit(&content, &mut brackets);
    assert_eq!(brackets.0, "<Paragraph  <Strong ab  <Code  c >>>");
}

#[test]
fn a_visitor_sees_the_marks_of_a_part() {
    let spanned = Spanned::new(
        "q pre",
        [
            Span::new(0..5, Mark::Quote),
            Span::new(
                2..5,
                Mark::Pre {
                    language: Some("x".into()),
                },
            ),
        ],
    );
    let mut brackets = Brackets::default();
    spanned.visit(&mut brackets);
    assert_eq!(
        brackets.0,
        "<Quote q <CodeBlock { language: Some(\"x\") } pre>>"
    );
}
