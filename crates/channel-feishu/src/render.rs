//! Words as Feishu wants them: a `text`, a `post`, or the Markdown of a card.

use channel_core::{Block, Body, Content, Inline, ListItem, Table, TextLimit};
use channel_text::{Spanned, content_of, spanned_of, split_text, to_plain};
use serde_json::json;

use crate::wire::is_id;
use crate::{limits, post};

/// A message as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// `text`, `post`, `interactive`, or the kind of a file.
    pub(crate) kind: &'static str,
    /// JSON, as text.
    pub(crate) content: String,
}

impl Outgoing {
    pub(crate) const fn is_card(&self) -> bool {
        matches!(self.kind.as_bytes(), b"interactive")
    }
}

/// One message's worth of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(Spanned);

/// Whether there is nothing to show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether Feishu shows every character of a `text` as it is: it reads tags such as `<at>` and
/// `<b>`, and links in square brackets
/// (<https://open.feishu.cn/document/server-docs/im-v1/message-content-description/create_json>).
fn is_literal(text: &str) -> bool {
    !text.contains(['<', '[']) && !text.contains("@_")
}

/// The size of a part in characters, or as many as its content is worth in bytes.
fn measure(part: &Spanned) -> usize {
    let bytes = post::content(part).len();
    let worth = (bytes * limits::TEXT.max).div_ceil(limits::CONTENT);
    limits::TEXT.unit.measure(part.text()).max(worth)
}

/// The messages that a body becomes.
pub(crate) fn words(body: &Body) -> Vec<Words> {
    let flat = spanned_of(body);
    let parts = if flat.spans().is_empty() && is_literal(flat.text()) {
        let parts = split_text(flat.text(), limits::TEXT).into_iter();
        parts.map(Spanned::plain).collect()
    } else if measure(&flat) <= limits::TEXT.max {
        vec![flat]
    } else {
        flat.split_by(limits::TEXT.max, measure)
    };
    let parts = parts.into_iter().filter(|part| !is_blank(part.text()));
    parts.map(Words).collect()
}

impl Words {
    /// The words as a message of their own: the simplest that shows them as they are.
    pub(crate) fn message(&self) -> Outgoing {
        let text = self.0.text();
        if self.0.spans().is_empty() && is_literal(text) {
            let content = json!({ "text": text }).to_string();
            if content.len() <= limits::TEXT_CONTENT {
                return Outgoing {
                    kind: "text",
                    content,
                };
            }
        }
        Outgoing {
            kind: "post",
            content: post::content(&self.0),
        }
    }

    /// The words as an element of a card.
    pub(crate) fn element(&self) -> serde_json::Value {
        if self.0.spans().is_empty() {
            return json!({"tag": "div", "text": {"tag": "plain_text", "content": self.0.text()}});
        }
        json!({"tag": "markdown", "content": markdown(&self.0.to_content())})
    }

    /// The words as Markdown of a card.
    pub(crate) fn markdown(&self) -> String {
        if self.0.spans().is_empty() {
            escape(self.0.text())
        } else {
            markdown(&self.0.to_content())
        }
    }
}

/// The elements of running text inside of a card.
pub(crate) fn elements(body: &Body) -> Vec<serde_json::Value> {
    match body {
        Body::Plain(text) if is_blank(text) => Vec::new(),
        Body::Plain(text) => {
            vec![json!({"tag": "div", "text": {"tag": "plain_text", "content": text}})]
        }
        _ => {
            let content = content_of(body);
            if content.is_empty() {
                return Vec::new();
            }
            vec![json!({"tag": "markdown", "content": markdown(&content)})]
        }
    }
}

/// At most so many characters, cut where it has to be.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let limit = TextLimit::new(max, limits::TEXT.unit);
    if limit.fits(text) {
        return text.to_owned();
    }
    let limit = TextLimit::new(max.saturating_sub(1).max(1), limits::TEXT.unit);
    let first = split_text(text, limit).into_iter().next();
    format!("{}\u{2026}", first.unwrap_or_default())
}

/// Takes characters for themselves: cards read HTML's numbers for them
/// (<https://open.feishu.cn/document/feishu-cards/card-json-v2-components/content-components/rich-text>).
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut chars = text.chars().peekable();
    // So far nothing but digits and spaces stands in the line.
    let mut is_start = true;
    while let Some(c) = chars.next() {
        let is_mark = match c {
            '*' | '_' | '~' | '`' | '[' | ']' | '<' | '>' | '&' | '\\' | '|' | '$' => true,
            '#' | '-' | '+' | '.' | '=' => is_start,
            // `:OK:` is an emoji.
            ':' => chars.peek().is_some_and(char::is_ascii_alphabetic),
            _ => false,
        };
        is_start = c == '\n' || (is_start && (c == ' ' || c.is_ascii_digit()));
        if is_mark {
            out.push_str(&format!("&#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// A tree as the Markdown of a card.
pub(crate) fn markdown(content: &Content) -> String {
    let mut tables = 0;
    blocks(&content.blocks, &mut tables)
}

fn blocks(all: &[Block], tables: &mut usize) -> String {
    let all: Vec<_> = all.iter().map(|it| block(it, tables)).collect();
    all.join("\n\n")
}

fn block(block: &Block, tables: &mut usize) -> String {
    match block {
        Block::Paragraph(inlines) => inline(inlines),
        Block::Heading { level, content } => {
            let marks = "#".repeat(usize::from((*level).clamp(1, 6)));
            format!("{marks} {}", inline(content).replace('\n', " "))
        }
        Block::Quote(inner) => {
            let inner = blocks(inner, tables);
            format!("> {}", inner.replace('\n', "\n> "))
        }
        Block::Code { language, text } => fenced(language.as_deref().unwrap_or_default(), text),
        Block::List { start, items } => list(*start, items, tables),
        Block::Table(table) => {
            *tables += 1;
            if *tables > limits::TABLES {
                let content = Content::new(vec![Block::Table(table.clone())]);
                return fenced("", &to_plain(&content));
            }
            rows(table)
        }
        Block::Rule => "---".to_owned(),
        other => to_plain(&Content::new(vec![other.clone()])),
    }
}

fn fenced(language: &str, text: &str) -> String {
    // Longer than anything inside of it.
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let language: String = language
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-'))
        .collect();
    format!("{fence}{language}\n{text}\n{fence}")
}

fn list(start: Option<u64>, items: &[ListItem], tables: &mut usize) -> String {
    let mut lines = Vec::new();
    for (index, item) in (0_u64..).zip(items) {
        let mark = match start {
            Some(first) => format!("{}.", first.saturating_add(index)),
            None => "-".to_owned(),
        };
        let done = match item.done {
            Some(true) => "\u{2611} ",
            Some(false) => "\u{2610} ",
            None => "",
        };
        let inner = blocks(&item.blocks, tables).replace("\n\n", "\n");
        lines.push(format!("{mark} {done}{}", inner.replace('\n', "\n    ")));
    }
    lines.join("\n")
}

fn rows(table: &Table) -> String {
    let row = |cells: &[Vec<Inline>]| {
        let cells = cells.iter().map(|cell| inline(cell).replace('\n', " "));
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut lines = vec![row(&table.header)];
    lines.push(format!("|{}", " --- |".repeat(table.header.len())));
    lines.extend(table.rows.iter().map(|cells| row(cells)));
    lines.join("\n")
}

fn inline(all: &[Inline]) -> String {
    all.iter().map(one).collect()
}

fn marked(mark: &str, inner: &[Inline]) -> String {
    let inner = inline(inner);
    if is_blank(&inner) {
        return inner;
    }
    format!("{mark}{inner}{mark}")
}

fn one(it: &Inline) -> String {
    match it {
        Inline::Text(text) => escape(text),
        Inline::Strong(inner) => marked("**", inner),
        Inline::Emphasis(inner) => marked("*", inner),
        Inline::Strike(inner) => marked("~~", inner),
        Inline::Underline(inner) | Inline::Spoiler(inner) => inline(inner),
        Inline::Code(code) if code.contains('`') => escape(code),
        Inline::Code(code) => format!("`{code}`"),
        Inline::Link { url, content } => {
            // Nothing in it is to end the link.
            let url = url
                .replace(' ', "%20")
                .replace('(', "%28")
                .replace(')', "%29");
            let url = url.replace(['\n', '<', '>'], "");
            format!("[{}]({url})", inline(content))
        }
        Inline::Mention { id: Some(id), .. } if is_id(id.as_str()) => format!("<at id={id}></at>"),
        Inline::Mention { name, .. } => escape(name),
        Inline::Emoji { id, .. } if is_id(id) => format!(":{id}:"),
        Inline::Emoji { fallback, .. } => escape(fallback),
        Inline::Break => "\n".to_owned(),
        other => escape(&to_plain(&Content::paragraph([other.clone()]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(body: &Body) -> Outgoing {
        let words = words(body);
        assert_eq!(words.len(), 1);
        words[0].message()
    }

    #[test]
    fn words_go_out_in_the_simplest_form_that_shows_them() {
        let plain = only(&Body::plain("echo: hi & *so* on"));
        assert_eq!(
            (plain.kind, plain.content.as_str()),
            ("text", r#"{"text":"echo: hi & *so* on"}"#)
        );
        for odd in ["<at user_id=\"all\">x</at>", "[a](b)", "@_all", "<b>x</b>"] {
            assert_eq!(only(&Body::plain(odd)).kind, "post", "{odd}");
        }
        assert_eq!(only(&Body::markdown("just words")).kind, "text");
        assert_eq!(only(&Body::markdown("**bold**")).kind, "post");
        assert!(words(&Body::plain(" \n")).is_empty());
    }

    #[test]
    fn no_part_is_over_a_limit() {
        let source = "**\u{4e2d}\u{6587}** `x` [y](https://z.example) \n\n".repeat(2000);
        let parts = words(&Body::markdown(source.as_str()));
        assert!(parts.len() > 1);
        for part in parts {
            assert!(part.message().content.len() <= limits::CONTENT);
            assert!(limits::TEXT.fits(part.0.text()));
        }
        let quotes = "\"\\\u{1}".repeat(20_000);
        for part in words(&Body::plain(quotes.as_str())) {
            assert!(part.message().content.len() <= limits::TEXT_CONTENT);
        }
    }

    #[test]
    fn a_card_reads_marks_where_they_are_meant_and_nowhere_else() {
        let source = "## T\n\n**b** *i* ~~s~~ `c` [l](https://e.x/a_(b)) a*b\n\n- x\n- [x] y\n\n1. z\n\n> q\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn\n```\n\n---\n\n<at id=all></at>";
        let wanted = "## T\n\n**b** *i* ~~s~~ `c` [l](https://e.x/a_%28b%29) a&#42;b\n\n- x\n- \u{2611} y\n\n1. z\n\n> q\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```rust\nfn\n```\n\n---\n\n&#60;at id=all&#62;&#60;/at&#62;";
        assert_eq!(markdown(&content_of(&Body::markdown(source))), wanted);
        let table = "| a |\n|---|\n| 1 |\n\n";
        let many = markdown(&content_of(&Body::markdown(table.repeat(5))));
        assert_eq!(many.matches("| --- |").count(), 3, "{many}");
    }

    #[test]
    fn longer_fences_hold_what_looks_like_one() {
        assert_eq!(fenced("c++ x`", "a\n```\nb"), "````c++x\na\n```\nb\n````");
    }
}
