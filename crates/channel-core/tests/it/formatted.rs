//! Marks on words, stored as they came and turned into a tree when asked for.

use channel_core::{Block, Content, Formatted, Inline, SenderId, Style, StyleMark};

fn tree(text: &str, marks: impl IntoIterator<Item = (u32, u32, Style)>) -> Content {
    let marks = marks
        .into_iter()
        .map(|(offset, length, style)| StyleMark::new(offset, length, style));
    let formatted = Formatted::marks(marks).unwrap();
    formatted.to_content(text).into_owned()
}

fn link(url: &str) -> Style {
    Style::Link {
        url: url.to_owned(),
    }
}

/// Every style once, with what it carries.
fn each_style() -> Vec<Style> {
    vec![
        Style::Strong,
        Style::Emphasis,
        Style::Underline,
        Style::Strike,
        Style::Spoiler,
        Style::Code,
        Style::Pre { language: None },
        Style::Pre {
            language: Some("rust".to_owned()),
        },
        Style::Quote,
        link("https://a.example/\"x\"?y=😀"),
        Style::Mention { id: None },
        Style::Mention {
            id: Some(SenderId::from(7)),
        },
        Style::Emoji { id: "5".to_owned() },
    ]
}

#[test]
fn marks_become_a_tree() {
    assert_eq!(
        tree(
            "😀 bold and more",
            [(3, 8, Style::Strong), (8, 3, Style::Emphasis)]
        ),
        Content::paragraph([
            Inline::text("😀 "),
            Inline::Strong(vec![Inline::text("bold "), Inline::emphasis("and")]),
            Inline::text(" more"),
        ])
    );
    let pre = Style::Pre {
        language: Some("rust".to_owned()),
    };
    let text = "one\n \ntwo\nx;\ny;\nquoted\n\nagain\nend";
    assert_eq!(
        tree(
            text,
            [
                (10, 6, pre),
                (16, 13, Style::Quote),
                (16, 1, Style::Underline)
            ]
        )
        .blocks,
        [
            Block::Paragraph(vec![Inline::text("one")]),
            Block::Paragraph(vec![Inline::text("two")]),
            Block::Code {
                language: Some("rust".to_owned()),
                text: "x;\ny;".to_owned()
            },
            Block::Quote(vec![
                Block::Paragraph(vec![
                    Inline::Underline(vec![Inline::text("q")]),
                    Inline::text("uoted")
                ]),
                Block::Paragraph(vec![Inline::text("again")]),
            ]),
            Block::Paragraph(vec![Inline::text("end")]),
        ]
    );
}

#[test]
fn names_and_emoji_stay_whole() {
    let ada = || Style::Mention {
        id: Some(SenderId::from(42)),
    };
    let mention = Inline::Mention {
        id: Some(SenderId::from(42)),
        name: "Ada".to_owned(),
    };
    assert_eq!(
        tree(
            "AdaAda",
            [
                (0, 3, ada()),
                (3, 3, ada()),
                (1, 1, ada()),
                (1, 1, Style::Strong)
            ]
        ),
        Content::paragraph([Inline::Strong(vec![mention.clone()]), mention])
    );
}

#[test]
fn marks_that_cross_are_cut_and_wrong_ones_narrowed() {
    assert_eq!(
        tree(
            "bold both italic",
            [(0, 9, Style::Strong), (5, u32::MAX, Style::Emphasis)]
        ),
        Content::paragraph([
            Inline::Strong(vec![Inline::text("bold "), Inline::emphasis("both")]),
            Inline::emphasis(" italic"),
        ])
    );
    // Half of a character, beyond the end, nothing at all, two links at one place, a link
    // on nothing.
    for (marks, expected) in [
        (
            vec![(1, 1, Style::Strong)],
            vec![Inline::strong("😀"), Inline::text("ab")],
        ),
        (
            vec![(u32::MAX, u32::MAX, Style::Code), (0, 0, Style::Code)],
            vec![Inline::text("😀ab")],
        ),
        (
            vec![(2, 2, link("a")), (3, 9, link("b"))],
            vec![Inline::text("😀"), Inline::link("a", "ab")],
        ),
    ] {
        assert_eq!(tree("😀ab", marks), Content::paragraph(expected));
    }
    assert_eq!(
        tree("a b", [(1, 1, link("x"))]),
        Content::paragraph([Inline::text("a"), Inline::text(" "), Inline::text("b")])
    );
    assert_eq!(tree("", [(0, 9, Style::Quote)]), Content::default());
}

#[test]
fn every_style_is_stored_in_few_bytes_and_comes_back() {
    let marks: Vec<_> = (0..).zip(each_style()).collect();
    let marks = marks
        .iter()
        .map(|(at, style)| StyleMark::new(*at, 1, style.clone()));
    let formatted = Formatted::marks(marks).unwrap();
    let stored = serde_json::to_string(&formatted).unwrap();
    assert!(
        stored.starts_with(r#"{"marks":[{"at":0,"len":1,"is":"strong"},"#),
        "{stored}"
    );
    assert_eq!(
        serde_json::from_str::<Formatted>(&stored).unwrap(),
        formatted
    );

    let content = Formatted::from(Content::plain("a"));
    let stored = serde_json::to_string(&content).unwrap();
    assert_eq!(stored, r#"{"tree":[{"paragraph":[{"text":"a"}]}]}"#);
    assert_eq!(serde_json::from_str::<Formatted>(&stored).unwrap(), content);
}

#[test]
fn what_a_later_version_wrote_costs_no_words() {
    let later = r#"{"marks":[{"at":0,"len":1,"is":"wavy","of":"x","amplitude":3},
        {"at":0,"len":1,"is":"link"},{"at":1,"len":1,"is":"strong","x":[]}],"more":1}"#;
    let formatted: Formatted = serde_json::from_str(later).unwrap();
    assert_eq!(
        *formatted.to_content("ab"),
        Content::paragraph([Inline::text("a"), Inline::strong("b")])
    );
    let other: Formatted = serde_json::from_str(r#"{"html":"<b>ab</b>"}"#).unwrap();
    assert_eq!(*other.to_content("ab"), Content::plain("ab"));
}

#[test]
fn marks_without_end_are_bounded_wherever_they_come_from() {
    let marks = (0..100_000).map(|at| StyleMark::new(at, 50_000, Style::Strong));
    let formatted = Formatted::marks(marks).unwrap();
    let stored = serde_json::to_string(&formatted).unwrap();
    assert_eq!(stored.matches("\"at\"").count(), Formatted::MAX_MARKS);

    let one = r#"{"at":0,"len":1,"is":"code"},"#;
    let many = format!(
        r#"{{"marks":[{}{}]}}"#,
        one.repeat(100_000),
        one.trim_end_matches(',')
    );
    let read: Formatted = serde_json::from_str(&many).unwrap();
    let stored = serde_json::to_string(&read).unwrap();
    assert_eq!(stored.matches("\"at\"").count(), Formatted::MAX_MARKS);
    assert_eq!(Formatted::marks([]), None);
}
