//! Rich text in the dialects that WeCom has.

use channel_core::{Body, Button, ButtonAction, TextLimit, TextUnit};
use channel_text::{Mark, Spanned, Tag, Visitor, spanned_of, split_text, to_markdown};

use crate::limits;

/// One message's worth of words, and how it is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Words {
    Text(String),
    /// The older dialect, with mentions and without lists and tables
    /// (<https://developer.work.weixin.qq.com/document/path/99110>).
    Markdown(String),
    /// The newer dialect, with lists and tables and without mentions.
    MarkdownV2(String),
}

/// Whether there is nothing to show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

fn texts(text: &str) -> Vec<Words> {
    let parts = split_text(text, limits::TEXT).into_iter();
    parts.map(|part| Words::Text(part.to_owned())).collect()
}

/// The messages of an app. Markdown is shown in WeCom and not in WeChat, so it can be
/// turned off.
pub(crate) fn for_app(body: &Body, markdown: bool) -> Vec<Words> {
    if let Body::Plain(text) = body {
        return texts(text);
    }
    let flat = spanned_of(body);
    if flat.spans().is_empty() {
        return texts(flat.text());
    }
    if !markdown {
        return texts(&channel_text::to_plain(&flat.to_content()));
    }
    let parts = flat.split_by(limits::APP_MARKDOWN, |part| v1(part).len());
    parts.iter().map(|part| Words::Markdown(v1(part))).collect()
}

/// The messages of a group bot: in the dialect that has what the text needs.
pub(crate) fn for_bot(body: &Body) -> Vec<Words> {
    if let Body::Plain(text) = body {
        return texts(text);
    }
    let flat = spanned_of(body);
    if flat.spans().is_empty() {
        return texts(flat.text());
    }
    let is_mention = |mark: &Mark| matches!(mark, Mark::Mention { id: Some(_) });
    if flat.spans().iter().any(|span| is_mention(&span.mark)) {
        let parts = flat.split_by(limits::BOT_MARKDOWN, |part| v1(part).len());
        return parts.iter().map(|part| Words::Markdown(v1(part))).collect();
    }
    let v2 = |part: &Spanned| to_markdown(&part.to_content());
    let whole = to_markdown(&channel_text::content_of(body));
    if whole.len() <= limits::BOT_MARKDOWN {
        return vec![Words::MarkdownV2(whole)];
    }
    let parts = flat.split_by(limits::BOT_MARKDOWN, |part| v2(part).len());
    parts
        .iter()
        .map(|part| Words::MarkdownV2(v2(part)))
        .collect()
}

/// The messages of an AI bot, which are always Markdown. Markdown goes out as it is, unless
/// it has to be cut: then it is cut as a tree, so that no mark is left open.
pub(crate) fn for_ai(body: &Body) -> Vec<String> {
    let max = limits::AI_TEXT.max;
    match body {
        Body::Plain(text) => {
            let whole = escape(text);
            if whole.len() <= max {
                return if is_blank(text) {
                    Vec::new()
                } else {
                    vec![whole]
                };
            }
            let parts =
                Spanned::plain(text.as_str()).split_by(max, |part| escape(part.text()).len());
            parts.iter().map(|part| escape(part.text())).collect()
        }
        Body::Markdown(text) if text.len() <= max => {
            if is_blank(text) {
                Vec::new()
            } else {
                vec![text.clone()]
            }
        }
        _ => {
            let whole = to_markdown(&channel_text::content_of(body));
            if is_blank(&whole) {
                return Vec::new();
            }
            if whole.len() <= max {
                return vec![whole];
            }
            let markdown = |part: &Spanned| to_markdown(&part.to_content());
            let parts = spanned_of(body).split_by(max, |part| markdown(part).len());
            parts.iter().map(markdown).collect()
        }
    }
}

/// Literal words as Markdown, line by line: a line break stays one.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let words = line.trim_start();
        let indent = line.len() - words.len();
        out.push_str(line.get(..indent).unwrap_or_default());
        if !words.is_empty() {
            out.push_str(&to_markdown(&channel_core::Content::plain(words)));
        }
    }
    out
}

/// The words of a body without any mark, for places that take nothing else.
pub(crate) fn plain(body: &Body) -> String {
    match body {
        Body::Plain(text) => text.clone(),
        other => channel_text::to_plain(&channel_text::content_of(other)),
    }
}

/// At most so many characters, cut where it has to be.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let limit = TextLimit::new(max, TextUnit::CodePoints);
    if limit.fits(text) {
        return text.to_owned();
    }
    let limit = TextLimit::new(max.saturating_sub(1).max(1), TextUnit::CodePoints);
    let first = split_text(text, limit).into_iter().next();
    format!("{}\u{2026}", first.unwrap_or_default())
}

/// Buttons as words, where there are none to press: nobody loses what they offer.
pub(crate) fn buttons_as_words(rows: &[Vec<Button>]) -> String {
    let lines = rows.iter().flatten().map(|button| match &button.action {
        ButtonAction::Open(url) => format!("{}: {url}", button.label),
        _ => format!("\u{b7} {}", button.label),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes the older dialect. It has no escapes, so words go out as they are.
fn v1(part: &Spanned) -> String {
    let mut writer = V1::default();
    part.visit(&mut writer);
    writer.out
}

#[derive(Default)]
struct V1 {
    out: String,
    quotes: usize,
    /// The name of an open mention, which the platform writes itself.
    mention: bool,
    links: Vec<String>,
}

impl Visitor for V1 {
    fn open(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong => self.out.push_str("**"),
            Tag::Code => self.out.push('`'),
            Tag::Heading(level) => {
                for _ in 0..*level {
                    self.out.push('#');
                }
                self.out.push(' ');
            }
            Tag::Quote => {
                if self.quotes == 0 {
                    self.out.push_str("> ");
                }
                self.quotes += 1;
            }
            Tag::Link { url } => {
                self.links.push((*url).to_owned());
                self.out.push('[');
            }
            Tag::Mention { id: Some(id) } => {
                self.mention = true;
                self.out.push_str("<@");
                self.out.push_str(id.as_str());
                self.out.push('>');
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong => self.out.push_str("**"),
            Tag::Code => self.out.push('`'),
            Tag::Quote => self.quotes = self.quotes.saturating_sub(1),
            Tag::Link { .. } => {
                let url = self.links.pop().unwrap_or_default();
                self.out.push_str("](");
                self.out.push_str(&url);
                self.out.push(')');
            }
            Tag::Mention { .. } => self.mention = false,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.mention {
            return;
        }
        if self.quotes > 0 {
            self.out.push_str(&text.replace('\n', "\n> "));
        } else {
            self.out.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_goes_in_the_dialect_that_has_what_it_needs() {
        let markdown = Body::markdown;
        assert_eq!(
            for_bot(&Body::plain("*a*")),
            [Words::Text("*a*".to_owned())]
        );
        assert_eq!(
            for_bot(&markdown("just words")),
            [Words::Text("just words".to_owned())]
        );
        let table = "| a | b |\n| --- | --- |\n| 1 | 2 |";
        assert!(
            matches!(&for_bot(&markdown(table))[..], [Words::MarkdownV2(text)] if text.contains("| 1"))
        );
        let mention = channel_core::Content::paragraph([
            channel_core::Inline::Mention {
                id: Some("zhangsan".into()),
                name: "@Zhang".to_owned(),
            },
            channel_core::Inline::text(" look"),
        ]);
        let words = for_bot(&Body::Content(mention));
        assert_eq!(words, [Words::Markdown("<@zhangsan> look".to_owned())]);
        let rich = "## Title\n\n**bold** `code` [link](https://x.example)\n\n> quoted\n> lines";
        let Words::Markdown(text) = &for_app(&markdown(rich), true)[0] else {
            panic!("not markdown")
        };
        assert_eq!(
            text,
            "## Title\n\n**bold** `code` [link](https://x.example)\n\n> quoted\n> lines"
        );
        assert!(matches!(
            &for_app(&markdown(rich), false)[..],
            [Words::Text(_)]
        ));
    }

    #[test]
    fn literal_words_of_an_ai_bot_stay_literal() {
        let text = "a*b*\n# c\n  - d\n\n1. e_f_";
        let out = for_ai(&Body::plain(text));
        assert_eq!(out.len(), 1);
        assert_eq!(out[0], "a\\*b\\*\n\\# c\n  \\- d\n\n1\\. e\\_f\\_");
        assert_eq!(for_ai(&Body::markdown("**x**")), ["**x**"]);
        assert!(for_ai(&Body::plain(" \n")).is_empty());
    }

    #[test]
    fn no_part_is_over_its_limit() {
        let long = "**\u{4e2d}\u{6587}** `x` [y](https://z.example) \n\n".repeat(2000);
        let size = |words: &Words| match words {
            Words::Text(text) | Words::Markdown(text) | Words::MarkdownV2(text) => text.len(),
        };
        for words in for_app(&Body::markdown(long.as_str()), true) {
            assert!(size(&words) <= 2048);
        }
        for words in for_bot(&Body::markdown(long.as_str())) {
            assert!(size(&words) <= 4096);
        }
        for body in [Body::markdown(long.as_str()), Body::plain(long.as_str())] {
            let parts = for_ai(&body);
            assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= 20_480));
        }
    }
}
