//! Rich text as Slack wants it: mrkdwn, and Markdown blocks for what mrkdwn lacks
//! (<https://docs.slack.dev/messaging/formatting-message-text/>).

use channel_core::{Block, Body, Content, TextUnit};
use channel_text::{Mark, Spanned, Tag, Visitor, content_of, spanned_of, to_markdown};

use crate::address::is_id;
use crate::limits;

/// One message's worth of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    flat: Spanned,
    /// As it is sent: escaped, and with marks where there are some.
    pub(crate) text: String,
    /// Whether the text has marks. If not, nothing in it is to be taken for one.
    pub(crate) is_marked: bool,
    /// The whole as Markdown, where the marks of mrkdwn do not say it all.
    pub(crate) markdown: Option<String>,
}

impl Words {
    fn of(flat: Spanned) -> Self {
        let is_marked = !flat.spans().is_empty();
        let text = rendered(&flat);
        Self {
            flat,
            text,
            is_marked,
            markdown: None,
        }
    }

    /// Whether Slack would see marks in what are none.
    pub(crate) fn is_misread(&self) -> bool {
        !self.is_marked && has_mark(self.flat.text())
    }

    /// The words in pieces that fit into sections.
    pub(crate) fn sections(&self) -> Vec<String> {
        let pieces = self
            .flat
            .split_by(limits::SECTION.max, |part| measure(&rendered(part)));
        pieces.iter().map(rendered).collect()
    }
}

fn measure(text: &str) -> usize {
    TextUnit::Utf16.measure(text)
}

/// Whether there is nothing to show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Replaces the three characters that control something.
pub(crate) fn escape(text: &str) -> String {
    if !text.contains(['&', '<', '>']) {
        return text.to_owned();
    }
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The messages that a body becomes.
pub(crate) fn words(body: &Body) -> Vec<Words> {
    let flat = spanned_of(body);
    if is_blank(flat.text()) {
        return Vec::new();
    }
    let whole = Words::of(flat);
    if measure(&whole.text) <= limits::TEXT.max {
        let markdown = match body {
            Body::Plain(_) => None,
            Body::Markdown(_) | Body::Content(_) => markdown(&content_of(body), &whole.flat),
            _ => None,
        };
        return vec![Words { markdown, ..whole }];
    }
    let parts = whole
        .flat
        .split_by(limits::TEXT.max, |part| measure(&rendered(part)));
    let parts = parts.into_iter().filter(|part| !is_blank(part.text()));
    parts.map(Words::of).collect()
}

/// The size of a body that has to fit into one message.
pub(crate) fn size(body: &Body) -> usize {
    measure(&rendered(&spanned_of(body)))
}

/// At most so many characters, cut where it has to be.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if measure(text) <= max {
        return text.to_owned();
    }
    let limit = channel_core::TextLimit::new(max.saturating_sub(1), TextUnit::Utf16);
    let first = channel_text::split_text(text, limit).into_iter().next();
    format!("{}\u{2026}", first.unwrap_or_default())
}

fn has_mark(text: &str) -> bool {
    text.contains(['*', '_', '~', '`'])
        || text.lines().any(|line| line.trim_start().starts_with('>'))
}

/// A tree as Markdown, if it holds what mrkdwn has no marks for, or characters that mrkdwn
/// would take for marks; `None` if mrkdwn is the better way.
fn markdown(content: &Content, flat: &Spanned) -> Option<String> {
    let is_code = |mark: &Mark| matches!(mark, Mark::Code | Mark::Pre { .. });
    let literal = || {
        let mut text = flat.text().to_owned();
        for span in flat.spans().iter().rev().filter(|span| is_code(&span.mark)) {
            text.replace_range(span.range.clone(), "");
        }
        has_mark(&text)
    };
    let is_named = |mark: &Mark| matches!(mark, Mark::Mention { .. } | Mark::Emoji { .. });
    let needs = content.blocks.iter().any(has_structure) || literal();
    if !needs || flat.spans().iter().any(|span| is_named(&span.mark)) {
        return None;
    }
    // Whether Slack looks for its own marks inside of Markdown is not documented; nobody is
    // to be called by a text that was made.
    let controls = ["<!", "<@", "<#"];
    if controls.iter().any(|control| flat.text().contains(control)) {
        return None;
    }
    let markdown = to_markdown(content);
    (measure(&markdown) <= limits::MARKDOWN).then_some(markdown)
}

fn has_structure(block: &Block) -> bool {
    match block {
        Block::Heading { .. } | Block::Table(_) | Block::Rule => true,
        Block::Quote(inner) => inner.iter().any(has_structure),
        Block::List { items, .. } => items.iter().any(|item| {
            item.done.is_some()
                || item
                    .blocks
                    .iter()
                    .any(|block| has_structure(block) || matches!(block, Block::List { .. }))
        }),
        _ => false,
    }
}

/// Words with their marks as mrkdwn.
pub(crate) fn rendered(flat: &Spanned) -> String {
    if flat.spans().is_empty() {
        return escape(flat.text());
    }
    let mut out = Mrkdwn::default();
    flat.visit(&mut out);
    out.text
}

/// Writes mrkdwn. Its marks do not reach over the end of a line, so that each line closes
/// and opens them anew.
#[derive(Default)]
struct Mrkdwn {
    text: String,
    /// The marks that are open, from the outside in.
    open: Vec<char>,
    /// How many of them are written on this line.
    written: usize,
    quotes: usize,
    in_pre: bool,
    /// The words of a mention or emoji, which its id replaces.
    hidden: bool,
    /// Whether the last link has an address.
    in_link: bool,
}

impl Mrkdwn {
    fn mark(tag: &Tag<'_>) -> Option<char> {
        Some(match tag {
            Tag::Strong | Tag::Heading(_) => '*',
            Tag::Emphasis => '_',
            Tag::Strike => '~',
            Tag::Code => '`',
            _ => return None,
        })
    }

    fn words(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        let trimmed = words.trim_start();
        let (space, rest) = words.split_at(words.len() - trimmed.len());
        if self.written < self.open.len() && !rest.is_empty() {
            self.text.push_str(space);
            self.text.extend(self.open.iter().skip(self.written));
            self.written = self.open.len();
            self.text.push_str(&escape(rest));
        } else {
            self.text.push_str(&escape(words));
        }
    }

    fn end_line(&mut self) {
        let written = self.open.iter().take(self.written).rev();
        self.text.extend(written);
        self.written = 0;
        self.text.push('\n');
        if self.quotes > 0 {
            self.text.push_str("> ");
        }
    }

    fn starts_line(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('\n') || self.text.ends_with("\n> ")
    }
}

impl Visitor for Mrkdwn {
    fn open(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Quote => {
                if self.quotes == 0 {
                    if !self.starts_line() {
                        self.text.push('\n');
                    }
                    self.text.push_str("> ");
                }
                self.quotes += 1;
            }
            Tag::CodeBlock { .. } => {
                self.text.push_str("```\n");
                self.in_pre = true;
            }
            Tag::Link { url } if !url.is_empty() => {
                self.words("");
                self.text.extend(self.open.iter().skip(self.written));
                self.written = self.open.len();
                self.text.push('<');
                self.text
                    .push_str(&escape(url).replace('|', "%7C").replace(['\n', '\r'], ""));
                self.text.push('|');
                self.in_link = true;
            }
            Tag::Mention { id: Some(id) } if is_id(id.as_str()) => {
                self.text.push_str(&format!("<@{id}>"));
                self.hidden = true;
            }
            Tag::Emoji { id } => {
                if let Some(name) = crate::emoji::to_name(id) {
                    self.text.push_str(&format!(":{name}:"));
                    self.hidden = true;
                }
            }
            tag => self.open.extend(Self::mark(tag)),
        }
    }

    fn close(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Quote => {
                self.quotes -= 1;
            }
            Tag::CodeBlock { .. } => {
                if !self.text.ends_with('\n') {
                    self.text.push('\n');
                }
                self.text.push_str("```");
                self.in_pre = false;
            }
            Tag::Link { url } if !url.is_empty() => {
                self.text.push('>');
                self.in_link = false;
            }
            Tag::Mention { .. } | Tag::Emoji { .. } => self.hidden = false,
            tag => {
                if Self::mark(tag).is_some()
                    && let Some(mark) = self.open.pop()
                    && self.written > self.open.len()
                {
                    self.text.push(mark);
                    self.written = self.open.len();
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden {
            return;
        }
        if self.in_pre {
            let quoted = if self.quotes > 0 { "\n> " } else { "\n" };
            self.text.push_str(&escape(text).replace('\n', quoted));
            return;
        }
        if self.in_link {
            // A label is one line.
            self.text.push_str(&escape(text).replace('\n', " "));
            return;
        }
        let mut lines = text.split('\n');
        self.words(lines.next().unwrap_or_default());
        for line in lines {
            self.end_line();
            self.words(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mrkdwn(source: &str) -> String {
        rendered(&spanned_of(&Body::markdown(source)))
    }

    #[test]
    fn markdown_becomes_mrkdwn() {
        let cases = [
            ("**b** *i* ~~s~~ `c`", "*b* _i_ ~s~ `c`"),
            ("***both***", "*_both_*"),
            (
                "[see](https://x.example/?a=1&b=2)",
                "<https://x.example/?a=1&amp;b=2|see>",
            ),
            ("a & b \\<!channel>", "a &amp; b &lt;!channel&gt;"),
            ("> one\n> two", "> one\n> two"),
            (
                "```rust\nlet x = 1 < 2;\n```",
                "```\nlet x = 1 &lt; 2;\n```",
            ),
            ("**one\ntwo**", "*one*\n*two*"),
            ("- **a**\n- b", "\u{2022} *a*\n\u{2022} b"),
        ];
        for (source, wanted) in cases {
            assert_eq!(mrkdwn(source), wanted, "{source}");
        }
    }

    #[test]
    fn a_link_cannot_break_out_of_its_brackets() {
        let content = Content::paragraph([channel_core::Inline::link(
            "https://x.example/|<!channel>",
            "a>b<!here>",
        )]);
        let text = rendered(&spanned_of(&Body::Content(content)));
        assert_eq!(
            text,
            "<https://x.example/%7C&lt;!channel&gt;|a&gt;b&lt;!here&gt;>"
        );
    }

    #[test]
    fn what_mrkdwn_lacks_goes_into_a_markdown_block() {
        let one = |source: &str| words(&Body::markdown(source)).remove(0);
        assert!(one("# Head\n\ntext").markdown.is_some());
        assert!(one("| a |\n|---|\n| b |").markdown.is_some());
        assert!(one("2 \\* 3 is **six**").markdown.is_some());
        assert!(one("**bold** and `a_b`").markdown.is_none());
        assert!(one("# Head\n\n\\<!channel>").markdown.is_none());
        assert!(words(&Body::plain("*x*")).remove(0).markdown.is_none());
        assert!(words(&Body::plain("*x*")).remove(0).is_misread());
    }

    #[test]
    fn escapes_count_against_the_limit() {
        let parts = words(&Body::plain("&".repeat(4000)));
        assert_eq!(parts.len(), 5);
        assert!(parts.iter().all(|part| measure(&part.text) <= 4000));
    }
}
