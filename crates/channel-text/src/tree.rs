//! Flat text with marks as a tree.

use std::ops::Range;

use channel_core::{Block, Content, Inline};

use crate::span::{Cutter, Mark, Span, Spanned};

impl Spanned {
    /// Builds the tree that the marks describe, for text that a platform sent with its
    /// formatting.
    ///
    /// Quotes, headings and preformatted text become blocks, the text between them
    /// paragraphs, parted at blank lines; line feeds between blocks are left out. Bullets
    /// and numbers stay text. Every word keeps its marks.
    #[must_use]
    pub fn to_content(&self) -> Content {
        Content::new(blocks(self.text(), 0..self.text().len(), self.spans()))
    }
}

/// The blocks of a range; recursion ends after a quote, since quotes do not nest here.
fn blocks(text: &str, range: Range<usize>, spans: &[Span]) -> Vec<Block> {
    let mut out = Vec::new();
    let mut position = range.start;
    let mut before = spans;
    let mut rest = spans;
    while let [span, after @ ..] = rest {
        if !matches!(span.mark, Mark::Quote | Mark::Heading(_) | Mark::Pre { .. }) {
            rest = after;
            continue;
        }
        paragraphs(text, position..span.range.start, before, &mut out);
        let (inside, after) = split_at(after, span.range.end);
        let words = text.get(span.range.clone()).unwrap_or_default();
        out.push(match &span.mark {
            Mark::Quote => Block::Quote(blocks(text, span.range.clone(), inside)),
            Mark::Heading(level) => Block::Heading {
                level: *level,
                content: inlines(text, span.range.clone(), inside),
            },
            Mark::Pre { language } => Block::Code {
                language: language.clone(),
                text: words.strip_suffix('\n').unwrap_or(words).to_owned(),
            },
            _ => continue,
        });
        position = span.range.end;
        before = after;
        rest = after;
    }
    paragraphs(text, position..range.end, before, &mut out);
    out
}

/// Parts the spans into those that begin before `end` and the others.
fn split_at(spans: &[Span], end: usize) -> (&[Span], &[Span]) {
    spans.split_at(spans.partition_point(|span| span.range.start < end))
}

/// A paragraph for each run of lines that are not blank.
fn paragraphs(text: &str, range: Range<usize>, spans: &[Span], out: &mut Vec<Block>) {
    let mut cutter = Cutter::new(spans);
    let mut begun: Option<usize> = None;
    let mut position = range.start;
    let mut end_of_last = position;
    let mut push = |range: Range<usize>| {
        if let Some(words) = text.get(range.clone()) {
            let spans = cutter.cut(range);
            out.push(Block::Paragraph(inlines(words, 0..words.len(), &spans)));
        }
    };
    for line in text.get(range).unwrap_or_default().split_inclusive('\n') {
        let end = position + line.trim_end_matches(['\n', '\r']).len();
        if line.trim().is_empty() {
            if let Some(start) = begun.take() {
                push(start..end_of_last);
            }
        } else {
            begun.get_or_insert(position);
            end_of_last = end;
        }
        position += line.len();
    }
    if let Some(start) = begun {
        push(start..end_of_last);
    }
}

/// The inlines of a range; recursion is as deep as spans nest, which is bounded.
fn inlines(text: &str, range: Range<usize>, spans: &[Span]) -> Vec<Inline> {
    let mut out = Vec::new();
    let mut position = range.start;
    let mut rest = spans;
    let words = |range: Range<usize>| text.get(range).unwrap_or_default().to_owned();
    while let [span, after @ ..] = rest {
        if position < span.range.start {
            out.push(Inline::Text(words(position..span.range.start)));
        }
        let (inside, after) = split_at(after, span.range.end);
        let inner = || inlines(text, span.range.clone(), inside);
        match &span.mark {
            Mark::Strong => out.push(Inline::Strong(inner())),
            Mark::Emphasis => out.push(Inline::Emphasis(inner())),
            Mark::Underline => out.push(Inline::Underline(inner())),
            Mark::Strike => out.push(Inline::Strike(inner())),
            Mark::Spoiler => out.push(Inline::Spoiler(inner())),
            Mark::Code => out.push(Inline::Code(words(span.range.clone()))),
            Mark::Link { .. } if words(span.range.clone()).trim().is_empty() => out.extend(inner()),
            Mark::Link { url } => out.push(Inline::Link {
                url: url.clone(),
                content: inner(),
            }),
            Mark::Mention { id } => out.push(Inline::Mention {
                id: id.clone(),
                name: words(span.range.clone()),
            }),
            Mark::Emoji { id } => out.push(Inline::Emoji {
                id: id.clone(),
                fallback: words(span.range.clone()),
            }),
            Mark::Quote | Mark::Heading(_) | Mark::Pre { .. } => out.extend(inner()),
        }
        position = span.range.end;
        rest = after;
    }
    if position < range.end {
        out.push(Inline::Text(words(position..range.end)));
    }
    out
}
