use super::{Entity, Formatted, explicit, parse, utf16_len};

/// The text with its entities as `kind:offset+length`.
fn shown(mode: &str, text: &str) -> Result<(String, Vec<String>), String> {
    let parsed = parse(mode, text)?.finish();
    let entities = parsed
        .entities
        .iter()
        .map(|entity| format!("{}:{}+{}", entity.kind, entity.offset, entity.length))
        .collect();
    Ok((parsed.text, entities))
}

fn reads(mode: &str, text: &str, plain: &str, entities: &[&str]) {
    let (text, found) = shown(mode, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(
        (text.as_str(), found),
        (plain, entities.iter().map(|e| (*e).to_owned()).collect())
    );
}

fn fails(mode: &str, text: &str, words: &str) {
    let error = shown(mode, text).expect_err(text);
    assert_eq!(error, format!("can't parse entities: {words}"), "{text}");
}

#[test]
fn reads_the_html_of_the_documentation() {
    let html = |text, plain, entities| reads("HTML", text, plain, entities);
    html(
        "<b>bold</b>, <strong>bold</strong>",
        "bold, bold",
        &["bold:0+4", "bold:6+4"],
    );
    html("<i>a</i><em>b</em>", "ab", &["italic:0+1", "italic:1+1"]);
    html(
        "<u>a</u> <ins>b</ins>",
        "a b",
        &["underline:0+1", "underline:2+1"],
    );
    html(
        "<s>a</s><strike>b</strike><del>c</del>",
        "abc",
        &[
            "strikethrough:0+1",
            "strikethrough:1+1",
            "strikethrough:2+1",
        ],
    );
    html(
        "<span class=\"tg-spoiler\">a</span><tg-spoiler>b</tg-spoiler>",
        "ab",
        &["spoiler:0+1", "spoiler:1+1"],
    );
    html(
        "<b>a <i>b <s>c</s></i> d</b>",
        "a b c d",
        &["bold:0+7", "italic:2+3", "strikethrough:4+1"],
    );
    html(
        "<a href=\"http://www.example.com/\">in</a>",
        "in",
        &["text_link:0+2"],
    );
    html(
        "<a href=\"tg://user?id=42\">in</a>",
        "in",
        &["text_mention:0+2"],
    );
    html(
        "<code>x</code> <pre>y</pre>",
        "x y",
        &["code:0+1", "pre:2+1"],
    );
    html(
        "<pre><code class=\"language-python\">z</code></pre>",
        "z",
        &["pre:0+1"],
    );
    html("<blockquote>q</blockquote>", "q", &["blockquote:0+1"]);
    html(
        "<blockquote expandable>q</blockquote>",
        "q",
        &["expandable_blockquote:0+1"],
    );
    html(
        "<tg-emoji emoji-id=\"5368324170671202286\">👍</tg-emoji>",
        "👍",
        &["custom_emoji:0+2"],
    );
    html(
        "&lt;b&gt; &amp;amp; &quot; &#65;&#x42; &nbsp;",
        "<b> &amp; \" AB &nbsp;",
        &[],
    );
    html("<B>x</b>", "x", &["bold:0+1"]);
    let pre = parse("html", "<pre><code class=\"language-rust\">x</code></pre>").unwrap();
    assert_eq!(pre.entities[0].extra["language"], "rust");
}

#[test]
fn says_where_html_is_wrong() {
    fails(
        "HTML",
        "äb<b>open",
        "Can't find end tag corresponding to start tag \"b\" at byte offset 3",
    );
    fails("HTML", "x</b>", "Unexpected end tag at byte offset 1");
    fails(
        "HTML",
        "<b>x</i>",
        "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"",
    );
    fails(
        "HTML",
        "<br>",
        "Unsupported start tag \"br\" at byte offset 0",
    );
    fails(
        "HTML",
        "1 < 2",
        "Unsupported start tag \"\" at byte offset 2",
    );
    fails("HTML", "a <b", "Unclosed start tag at byte offset 2");
    fails("HTML", "<b>x</b", "Unclosed end tag at byte offset 4");
    fails(
        "HTML",
        "<span>x</span>",
        "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0",
    );
}

#[test]
fn reads_the_markdown_of_the_documentation() {
    let markdown = |text, plain, entities| reads("MarkdownV2", text, plain, entities);
    markdown("*bold \\*text*", "bold *text", &["bold:0+10"]);
    markdown(
        "_it_ __un__ ~st~ ||sp||",
        "it un st sp",
        &[
            "italic:0+2",
            "underline:3+2",
            "strikethrough:6+2",
            "spoiler:9+2",
        ],
    );
    markdown(
        "*a _b ~c ||d||~ __e___ f*",
        "a b c d e f",
        &[
            "bold:0+11",
            "italic:2+7",
            "strikethrough:4+3",
            "spoiler:6+1",
            "underline:8+1",
        ],
    );
    markdown("[in](http://www.example.com/)", "in", &["text_link:0+2"]);
    markdown("[a](http://x.test/b\\)c)", "a", &["text_link:0+1"]);
    markdown("[in](tg://user?id=42)", "in", &["text_mention:0+2"]);
    markdown(
        "![👍](tg://emoji?id=5368324170671202286)",
        "👍",
        &["custom_emoji:0+2"],
    );
    markdown("`code *x*`", "code *x*", &["code:0+8"]);
    markdown("```\nblock\n```", "block", &["pre:0+5"]);
    markdown("```python\nx = 1\n```", "x = 1", &["pre:0+5"]);
    markdown(">one\n>two\nthree", "one\ntwo\nthree", &["blockquote:0+7"]);
    markdown(
        ">one\n**>two",
        "one\ntwo",
        &["blockquote:0+3", "blockquote:4+3"],
    );
    markdown("**>one\n>two||", "one\ntwo", &["expandable_blockquote:0+7"]);
    markdown(">*b* x\ny", "b x\ny", &["blockquote:0+3", "bold:0+1"]);
    markdown("_a **__b___", "a b", &["italic:0+3", "underline:2+1"]);
    markdown("😀 *b*", "😀 b", &["bold:3+1"]);
    let link = parse("markdownv2", "[a](http://x.test/b\\)c)").unwrap();
    assert_eq!(link.entities[0].extra["url"], "http://x.test/b)c");
}

#[test]
fn says_where_markdown_is_wrong() {
    for reserved in "_*[]()~`>#+-=|{}.!".chars() {
        let text = format!("a{reserved}b");
        assert!(
            shown("MarkdownV2", &text).is_err(),
            "{reserved} must be escaped"
        );
        let escaped = format!("a\\{reserved}b");
        reads("MarkdownV2", &escaped, &format!("a{reserved}b"), &[]);
    }
    fails(
        "MarkdownV2",
        "1.5",
        "Character '.' is reserved and must be escaped with the preceding '\\'",
    );
    fails(
        "MarkdownV2",
        "ä*b",
        "Can't find end of Bold entity at byte offset 2",
    );
    fails(
        "MarkdownV2",
        "*a _b*",
        "Can't find end of Bold entity at byte offset 5",
    );
    fails(
        "MarkdownV2",
        "`a",
        "Can't find end of Code entity at byte offset 0",
    );
    fails(
        "MarkdownV2",
        "x ```a",
        "Can't find end of Pre entity at byte offset 2",
    );
    fails(
        "MarkdownV2",
        "[a](b",
        "Can't find end of a URL at byte offset 3",
    );
}

#[test]
fn reads_legacy_markdown() {
    let legacy = |text, plain, entities| reads("Markdown", text, plain, entities);
    legacy(
        "*b* _i_ `c` [l](http://x.test)",
        "b i c l",
        &["bold:0+1", "italic:2+1", "code:4+1", "text_link:6+1"],
    );
    legacy("```rust\nlet x;\n```", "let x;", &["pre:0+6"]);
    legacy("1.5 - (fine) \\_x\\_", "1.5 - (fine) _x_", &[]);
    fails(
        "Markdown",
        "ä *x",
        "Can't find end of the entity starting at byte offset 3",
    );
    fails(
        "Markdown",
        "snake_case",
        "Can't find end of the entity starting at byte offset 5",
    );
}

#[test]
fn knows_no_other_mode() {
    assert_eq!(shown("rtf", "x"), Err("unsupported parse_mode".to_owned()));
}

#[test]
fn trimming_moves_entities_along() {
    let text = "  ab \n".to_owned();
    let entities = vec![
        Entity::new("bold", 0, 4),
        Entity::new("italic", 3, 3),
        Entity::new("code", 0, 2),
    ];
    let finished = Formatted { text, entities }.finish();
    assert_eq!(finished.text, "ab");
    assert_eq!(
        finished.entities,
        [Entity::new("bold", 0, 2), Entity::new("italic", 1, 1)]
    );
}

/// Whatever comes in, entities that come out lie inside the text and cut no character.
#[test]
fn survives_any_mixture_of_signs() {
    let pieces = [
        "*",
        "_",
        "__",
        "~",
        "||",
        "`",
        "```",
        "[",
        "]",
        "(",
        ")",
        "!",
        ">",
        "\n",
        "\\",
        "<b>",
        "</b>",
        "<a href=\"",
        "\">",
        "</",
        "&lt;",
        "&#",
        ";",
        "<pre>",
        "<code class='language-",
        "'>",
        "</code>",
        "</pre>",
        "ä",
        "😀",
        "x",
        " ",
        "**>",
        "@abc",
        "/go",
        "#t",
        "http://x",
        ".",
        "\u{0}",
        "\u{301}",
    ];
    let mut seed = 7_u64;
    let mut draw = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap_or(0) % below
    };
    let mut parsed = 0;
    for _ in 0..30_000 {
        let text: String = (0..draw(14)).map(|_| pieces[draw(pieces.len())]).collect();
        for mode in ["", "HTML", "MarkdownV2", "Markdown"] {
            let Ok(formatted) = parse(mode, &text) else {
                continue;
            };
            let formatted = formatted.finish();
            parsed += 1;
            let length = utf16_len(&formatted.text);
            let units: Vec<u16> = formatted.text.encode_utf16().collect();
            for entity in &formatted.entities {
                assert!(
                    entity.length > 0 && entity.end() <= length,
                    "{mode} {text:?} {entity:?}"
                );
                let piece = &units[entity.offset..entity.end()];
                assert!(
                    String::from_utf16(piece).is_ok(),
                    "{mode} {text:?} {entity:?}"
                );
            }
            let list: Vec<_> = formatted.entities.iter().map(Entity::json).collect();
            assert!(explicit(&formatted.text, &list).is_ok(), "{mode} {text:?}");
        }
    }
    assert!(parsed > 30_000);
}
