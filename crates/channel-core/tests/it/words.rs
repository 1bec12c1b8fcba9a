use channel_core::{Block, Command, Content, Inline, ListItem, MessageId};

#[test]
fn a_command_is_a_word_behind_a_slash_at_the_start() {
    let parse = |text| Command::parse(text).map(|it| (it.name, it.arguments));
    assert_eq!(parse("/start abc"), Some(("start", "abc")));
    assert_eq!(
        parse("/start@kit_bot  abc def "),
        Some(("start", "abc def"))
    );
    assert_eq!(parse("  /HELP"), Some(("HELP", "")));
    assert_eq!(parse("/sleep\n5"), Some(("sleep", "5")));
    assert_eq!(parse("/помощь да"), Some(("помощь", "да")));
    for text in [
        "",
        "/",
        "start",
        "x /start",
        "//start",
        "/ start",
        "/a/b",
        "/@bot",
        "/st\u{200b}art",
        "/\u{202e}trats",
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

#[test]
fn ids_are_what_the_platform_wrote() {
    for id in [i64::MIN, -1, 0, 1 << 53, i64::MAX] {
        assert_eq!(MessageId::from(id).as_str(), id.to_string());
        assert_eq!(MessageId::from(id).as_i64(), Some(id));
    }
    let long = "x".repeat(1000);
    assert_eq!(MessageId::new(&long).as_str(), long);
    assert_eq!(MessageId::new("007").as_str(), "007");
    assert_eq!(MessageId::new("x").as_i64(), None);
    assert_eq!(
        serde_json::to_string(&MessageId::new("a")).unwrap(),
        "\"a\""
    );
}

#[test]
fn the_words_of_a_tree_are_all_there() {
    let item = |text: &str| ListItem::new(vec![Block::Paragraph(vec![Inline::text(text)])]);
    let content = Content::new(vec![
        Block::Heading {
            level: 1,
            content: vec![Inline::text("Title")],
        },
        Block::Paragraph(vec![
            Inline::strong("bold"),
            Inline::Break,
            Inline::link("https://example.com", "link"),
            Inline::code("code"),
        ]),
        Block::List {
            start: None,
            items: vec![item("one"), item("two")],
        },
        Block::Quote(vec![Block::Code {
            language: None,
            text: "let x;".into(),
        }]),
    ]);
    assert_eq!(
        content.to_plain(),
        "Title\nbold\nlinkcode\none\ntwo\nlet x;"
    );
    assert!(Content::plain("").is_empty());
    let stored = serde_json::to_string(&content).unwrap();
    assert_eq!(serde_json::from_str::<Content>(&stored).unwrap(), content);
}
