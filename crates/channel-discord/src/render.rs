//! Rich text as Discord's Markdown
//! (<https://docs.discord.com/developers/reference#message-formatting>).

use channel_core::{Body, TextUnit};
use channel_text::{Spanned, Tag, Visitor, spanned_of};

use crate::address::is_id;
use crate::limits;

pub(crate) fn measure(text: &str) -> usize {
    TextUnit::CodePoints.measure(text)
}

/// Whether there is nothing to show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The texts that a body becomes, each short enough for one message.
pub(crate) fn words(body: &Body) -> Vec<String> {
    pieces(body, limits::TEXT.max)
}

/// The texts that a body becomes, each of at most so many code points.
pub(crate) fn pieces(body: &Body, max: usize) -> Vec<String> {
    let flat = spanned_of(body);
    if is_blank(flat.text()) {
        return Vec::new();
    }
    let whole = rendered(&flat);
    if measure(&whole) <= max {
        return vec![whole];
    }
    let parts = flat.split_by(max, |part| measure(&rendered(part)));
    let parts = parts.into_iter().filter(|part| !is_blank(part.text()));
    parts.map(|part| rendered(&part)).collect()
}

/// Plain text to the letter.
pub(crate) fn escape(text: &str) -> String {
    let mut out = Markdown::default();
    out.literal(text);
    out.text
}

/// At most so many characters, cut where it has to be.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if measure(text) <= max {
        return text.to_owned();
    }
    let limit = channel_core::TextLimit::new(max.saturating_sub(1), TextUnit::CodePoints);
    let first = channel_text::split_text(text, limit).into_iter().next();
    format!("{}\u{2026}", first.unwrap_or_default())
}

/// Words with their marks.
pub(crate) fn rendered(flat: &Spanned) -> String {
    let mut out = Markdown::default();
    flat.visit(&mut out);
    out.text
}

/// Writes Discord's Markdown. Marks are closed at the end of each line and opened anew, so
/// that a quote or a list between them cannot break them.
#[derive(Default)]
struct Markdown {
    text: String,
    /// The marks that are open, from the outside in.
    open: Vec<&'static str>,
    /// How many of them are written on this line.
    written: usize,
    quotes: usize,
    in_pre: bool,
    in_code: bool,
    /// The words of a mention or emoji, which its id replaces.
    hidden: bool,
    /// The address that follows the label.
    link: Option<String>,
    /// The line has begun with digits only, which a dot would make a list.
    is_number: bool,
}

impl Markdown {
    fn mark(tag: &Tag<'_>) -> Option<&'static str> {
        Some(match tag {
            Tag::Strong => "**",
            Tag::Emphasis => "*",
            Tag::Underline => "__",
            Tag::Strike => "~~",
            Tag::Spoiler => "||",
            // Discord has three levels; below them a heading is bold.
            Tag::Heading(level) if *level > 3 => "**",
            _ => return None,
        })
    }

    fn starts_line(&self) -> bool {
        self.text.is_empty()
            || self.text.ends_with('\n')
            || self.text.ends_with("\n> ")
            || self.text == "> "
    }

    /// Opens the marks that are due.
    fn settle(&mut self) {
        for mark in self.open.iter().skip(self.written) {
            // Two marks of stars in a row are read as one of three.
            self.text.push_str(mark);
        }
        self.written = self.open.len();
    }

    fn words(&mut self, words: &str) {
        let trimmed = words.trim_start();
        let (space, rest) = words.split_at(words.len() - trimmed.len());
        self.text.push_str(space);
        if !rest.is_empty() {
            if self.written < self.open.len() {
                self.settle();
            }
            self.literal(rest);
        }
    }

    /// Text in which nothing is a mark.
    fn literal(&mut self, text: &str) {
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            // Inside an address a backslash would be a part of it.
            if rest.starts_with("http://") || rest.starts_with("https://") {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, '<' | '|' | '*' | '`'))
                    .unwrap_or(rest.len());
                let (address, after) = rest.split_at(end);
                self.text.push_str(address);
                self.is_number = false;
                rest = after;
                continue;
            }
            let at_start = self.starts_line();
            let is_special = match char {
                '\\' | '*' | '_' | '~' | '|' | '`' | '<' | '[' | ']' => true,
                '#' | '-' | '+' | '>' => at_start,
                '.' => self.is_number,
                // `@everyone` calls nobody, and does not look as if it did.
                '@' => rest.starts_with("@everyone") || rest.starts_with("@here"),
                _ => false,
            };
            self.is_number = char.is_ascii_digit() && (at_start || self.is_number);
            if is_special {
                if char == '@' {
                    // Discord knows no escape for it.
                    self.text.push_str("@\u{200b}");
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                self.text.push('\\');
            }
            self.text.push(char);
            rest = rest.get(char.len_utf8()..).unwrap_or_default();
        }
    }

    fn end_line(&mut self) {
        for mark in self.open.iter().take(self.written).rev() {
            self.text.push_str(mark);
        }
        self.written = 0;
        self.is_number = false;
        self.text.push('\n');
        if self.quotes > 0 {
            self.text.push_str("> ");
        }
    }

    /// What is inside of code is taken literally, so that a fence in it cannot be written.
    fn pre(&mut self, text: &str) {
        let safe = text.replace("```", "`\u{200b}``");
        let quoted = if self.quotes > 0 { "\n> " } else { "\n" };
        self.text.push_str(&safe.replace('\n', quoted));
    }
}

impl Visitor for Markdown {
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
            Tag::CodeBlock { language } => {
                self.text.push_str("```");
                let is_word = |it: &&str| {
                    it.len() <= 32
                        && it.bytes().all(|b| {
                            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'_' | b'#')
                        })
                };
                if let Some(language) = language.filter(|it| is_word(it)) {
                    self.text.push_str(language);
                }
                self.text
                    .push_str(if self.quotes > 0 { "\n> " } else { "\n" });
                self.in_pre = true;
            }
            Tag::Heading(level) if *level <= 3 && self.starts_line() => {
                self.text
                    .extend(std::iter::repeat_n('#', usize::from(*level).max(1)));
                self.text.push(' ');
            }
            Tag::Code => {
                self.settle();
                self.in_code = true;
            }
            Tag::Link { url } if is_address(url) => {
                self.settle();
                self.text.push('[');
                // An address in brackets shows no preview, and ends where it ends.
                self.link = Some(
                    url.replace('>', "%3E")
                        .replace('<', "%3C")
                        .replace(')', "%29"),
                );
            }
            Tag::Mention { id: Some(id) } if is_id(id.as_str()) => {
                self.settle();
                self.text.push_str(&format!("<@{id}>"));
                self.hidden = true;
            }
            Tag::Emoji { id } => {
                if let Some((name, id)) = id.split_once(':').filter(|(_, id)| is_id(id)) {
                    let name: String = name
                        .chars()
                        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                        .collect();
                    self.settle();
                    self.text.push_str(&format!("<:{name}:{id}>"));
                    self.hidden = true;
                }
            }
            tag => self.open.extend(Self::mark(tag)),
        }
    }

    fn close(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Quote => self.quotes -= 1,
            Tag::CodeBlock { .. } => {
                if !self.text.ends_with('\n') && !self.text.ends_with("\n> ") {
                    self.text
                        .push_str(if self.quotes > 0 { "\n> " } else { "\n" });
                }
                self.text.push_str("```");
                self.in_pre = false;
            }
            Tag::Code => self.in_code = false,
            Tag::Link { url } if is_address(url) => {
                if let Some(url) = self.link.take() {
                    self.text.push_str(&format!("](<{url}>)"));
                }
            }
            Tag::Mention { .. } | Tag::Emoji { .. } => self.hidden = false,
            tag => {
                if Self::mark(tag).is_some()
                    && let Some(mark) = self.open.pop()
                    && self.written > self.open.len()
                {
                    self.text.push_str(mark);
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
            self.pre(text);
            return;
        }
        if self.in_code {
            // Two marks around it let a single one stand inside.
            let line = text.replace('\n', " ");
            if line.contains('`') {
                let line = line.replace("``", "`\u{200b}`");
                self.text.push_str(&format!("`` {line} ``"));
            } else {
                self.text.push_str(&format!("`{line}`"));
            }
            return;
        }
        if self.link.is_some() {
            // A label is one line.
            let line = text.replace('\n', " ");
            self.literal(&line);
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

/// Discord links these only; anything else would show its brackets.
fn is_address(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    is_web && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use channel_core::{Content, Inline};

    fn markdown(source: &str) -> String {
        rendered(&spanned_of(&Body::markdown(source)))
    }

    #[test]
    fn markdown_becomes_discords() {
        let cases = [
            ("**b** *i* ~~s~~ `c`", "**b** *i* ~~s~~ `c`"),
            (
                "[see](https://x.example/?a=1&b=2)",
                "[see](<https://x.example/?a=1&b=2>)",
            ),
            ("# Head\n\ntext", "# Head\n\ntext"),
            ("##### Deep", "**Deep**"),
            ("> one\n> two", "> one\n> two"),
            (
                "```rust\nlet x = 1 < 2;\n```",
                "```rust\nlet x = 1 < 2;\n```",
            ),
            ("**one\ntwo**", "**one**\n**two**"),
            (
                "see https://x.example/a_b_c now",
                "see https://x.example/a_b_c now",
            ),
            ("2 \\* 3", "2 \\* 3"),
        ];
        for (source, wanted) in cases {
            assert_eq!(markdown(source), wanted, "{source}");
        }
    }

    #[test]
    fn plain_text_shows_to_the_letter() {
        let cases = [
            (
                "*a* _b_ ~~c~~ ||d|| `e` \\",
                "\\*a\\* \\_b\\_ \\~\\~c\\~\\~ \\|\\|d\\|\\| \\`e\\` \\\\",
            ),
            (
                "# a\n> b\n- c\n1. d\n2.5",
                "\\# a\n\\> b\n\\- c\n1\\. d\n2\\.5",
            ),
            ("a # b > c - d 1. e", "a # b > c - d 1. e"),
            ("<@42> <#7> <:x:1>", "\\<@42> \\<#7> \\<:x:1>"),
            ("[a](https://x)", "\\[a\\](https://x)"),
        ];
        for (source, wanted) in cases {
            assert_eq!(escape(source), wanted, "{source}");
        }
        assert!(!escape("@everyone @here").contains("@everyone"));
    }

    #[test]
    fn nothing_breaks_out_of_code_or_of_a_link() {
        let content = Content::paragraph([Inline::link("https://x.example/>)(<@1>", "a](b")]);
        let text = rendered(&spanned_of(&Body::Content(content)));
        assert_eq!(text, "[a\\](b](<https://x.example/%3E%29(%3C@1%3E>)");
        let text = markdown("`` a`b ``");
        assert_eq!(text, "`` a`b ``");
        let flat = Spanned::new(
            "x\n```\n@everyone",
            [channel_text::Span::new(
                0..16,
                channel_text::Mark::Pre { language: None },
            )],
        );
        assert_eq!(rendered(&flat).matches("```").count(), 2);
    }

    #[test]
    fn escapes_count_against_the_limit() {
        let parts = words(&Body::plain("*".repeat(2000)));
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| measure(part) <= 2000));
        let emoji = words(&Body::plain("\u{1f600}".repeat(2000)));
        assert_eq!(emoji.len(), 1, "code points are counted, not UTF-16 units");
    }
}
