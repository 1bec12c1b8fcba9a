//! The seam for markup dialects.

use std::ops::Range;

use channel_core::{Alignment, Content, SenderId};

use crate::builder::Builder;
use crate::span::{Mark, Span, Spanned};
use crate::walk::{Step, Walk};

/// A block or a mark that a [`Visitor`] sees open and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tag<'a> {
    /// Running text.
    Paragraph,
    /// A heading of level 1 to 6.
    Heading(u8),
    /// Quoted blocks, or quoted lines of a [`Spanned`].
    Quote,
    /// Preformatted text, taken literally.
    CodeBlock {
        /// The language, if known.
        language: Option<&'a str>,
    },
    /// A list.
    List {
        /// The number of its first item; `None` for bullets.
        start: Option<u64>,
    },
    /// An item of a list.
    Item {
        /// Its number; `None` in a list of bullets.
        number: Option<u64>,
        /// Whether a task item is done; `None` for an ordinary item.
        done: Option<bool>,
    },
    /// A table, with the alignment of each column.
    Table(&'a [Alignment]),
    /// A row of a table.
    Row {
        /// Whether it is the first row, which names the columns.
        header: bool,
    },
    /// A cell of a row.
    Cell,
    /// A horizontal rule; it holds no text.
    Rule,
    /// Bold.
    Strong,
    /// Italic.
    Emphasis,
    /// Underlined.
    Underline,
    /// Struck through.
    Strike,
    /// Hidden until clicked.
    Spoiler,
    /// Monospaced inside a line, taken literally.
    Code,
    /// A link; its text is what is shown.
    Link {
        /// Where it leads.
        url: &'a str,
    },
    /// A mention of somebody; its text is the name as shown.
    Mention {
        /// Who, where known.
        id: Option<&'a SenderId>,
    },
    /// A platform's own emoji; its text stands in where it is not known.
    Emoji {
        /// The platform's id.
        id: &'a str,
    },
}

impl Tag<'_> {
    /// The mark that stands for it in a [`Spanned`]; `None` for what only a tree has.
    #[must_use]
    pub fn mark(self) -> Option<Mark> {
        Some(match self {
            Self::Heading(level) => Mark::Heading(level),
            Self::Quote => Mark::Quote,
            Self::CodeBlock { language } => Mark::Pre {
                language: language.map(str::to_owned),
            },
            Self::Strong => Mark::Strong,
            Self::Emphasis => Mark::Emphasis,
            Self::Underline => Mark::Underline,
            Self::Strike => Mark::Strike,
            Self::Spoiler => Mark::Spoiler,
            Self::Code => Mark::Code,
            Self::Link { url } => Mark::Link {
                url: url.to_owned(),
            },
            Self::Mention { id } => Mark::Mention { id: id.cloned() },
            Self::Emoji { id } => Mark::Emoji { id: id.to_owned() },
            Self::Paragraph
            | Self::List { .. }
            | Self::Item { .. }
            | Self::Table(_)
            | Self::Row { .. }
            | Self::Cell
            | Self::Rule => return None,
        })
    }

    /// Whether it marks text inside a block.
    #[must_use]
    pub const fn is_inline(self) -> bool {
        matches!(
            self,
            Self::Strong
                | Self::Emphasis
                | Self::Underline
                | Self::Strike
                | Self::Spoiler
                | Self::Code
                | Self::Link { .. }
                | Self::Mention { .. }
                | Self::Emoji { .. }
        )
    }
}

impl<'a> From<&'a Mark> for Tag<'a> {
    fn from(mark: &'a Mark) -> Self {
        match mark {
            Mark::Strong => Self::Strong,
            Mark::Emphasis => Self::Emphasis,
            Mark::Underline => Self::Underline,
            Mark::Strike => Self::Strike,
            Mark::Spoiler => Self::Spoiler,
            Mark::Code => Self::Code,
            Mark::Pre { language } => Self::CodeBlock {
                language: language.as_deref(),
            },
            Mark::Link { url } => Self::Link { url },
            Mark::Mention { id } => Self::Mention { id: id.as_ref() },
            Mark::Quote => Self::Quote,
            Mark::Heading(level) => Self::Heading(*level),
            Mark::Emoji { id } => Self::Emoji { id },
        }
    }
}

/// Writes one markup dialect: it is told what opens, what closes and the words between.
///
/// [`visit`] shows it a tree, [`Spanned::visit`] a flat text. Both promise that tags nest,
/// that no inline mark stands inside its like, that marks which touch are joined, and that
/// marks other than code neither begin nor end with white space, because few dialects
/// close a mark after a space.
pub trait Visitor {
    /// A block or mark begins.
    fn open(&mut self, tag: &Tag<'_>);
    /// A block or mark ends.
    fn close(&mut self, tag: &Tag<'_>);
    /// Literal words, to be escaped as the dialect needs it here; a line feed is a line
    /// break.
    fn text(&mut self, text: &str);
}

/// Shows a tree to a dialect, from top to bottom.
pub fn visit(content: &Content, visitor: &mut impl Visitor) {
    let mut inlines = Builder::default();
    for step in Walk::new(content) {
        match step {
            Step::Open(tag) if tag.is_inline() => {
                if let Some(mark) = tag.mark() {
                    inlines.open(mark);
                }
            }
            Step::Close(tag) if tag.is_inline() => inlines.close(),
            Step::Text(text) => inlines.push(text),
            Step::Open(tag) => {
                visitor.open(&tag);
            }
            Step::Close(tag) => {
                std::mem::take(&mut inlines).finish().visit(visitor);
                visitor.close(&tag);
            }
        }
    }
}

impl Spanned {
    /// Shows the text and its marks to a dialect.
    ///
    /// Only tags that are marks occur; line breaks are line feeds in the text.
    pub fn visit(&self, visitor: &mut impl Visitor) {
        let text = self.text();
        let mut position = 0;
        let mut open: Vec<(usize, &Mark)> = Vec::new();
        let is_code = |span: &&Span| span.mark == Mark::Code;
        let code: Vec<_> = self
            .spans()
            .iter()
            .filter(is_code)
            .map(|span| &span.range)
            .collect();
        for span in self.spans() {
            let Some(Range { start, end }) = tight(text, span, &code) else {
                continue;
            };
            close_until(text, start, &mut open, &mut position, visitor);
            show(text, start, &mut position, visitor);
            visitor.open(&Tag::from(&span.mark));
            open.push((end, &span.mark));
        }
        close_until(text, text.len(), &mut open, &mut position, visitor);
        show(text, text.len(), &mut position, visitor);
    }
}

/// Closes every mark that ends at or before `until`.
fn close_until(
    text: &str,
    until: usize,
    open: &mut Vec<(usize, &Mark)>,
    position: &mut usize,
    visitor: &mut impl Visitor,
) {
    while let Some((end, mark)) = open.pop_if(|(end, _)| *end <= until) {
        show(text, end, position, visitor);
        visitor.close(&Tag::from(mark));
    }
}

fn show(text: &str, until: usize, position: &mut usize, visitor: &mut impl Visitor) {
    if let Some(piece) = text.get(*position..until)
        && !piece.is_empty()
    {
        visitor.text(piece);
        *position = until;
    }
}

/// The range of a span without the white space at its edges, unless that is code, where
/// it counts; `None` if nothing else is in it.
///
/// Shrinking every span by the same rule keeps them nested.
fn tight(text: &str, span: &Span, code: &[&Range<usize>]) -> Option<Range<usize>> {
    let Range { start, end } = span.range;
    if !(span.mark.is_decoration() || span.mark.is_atom()) {
        return Some(start..end);
    }
    let piece = text.get(start..end)?;
    let words_start = end - piece.trim_start().len();
    let words_end = start + piece.trim_end().len();
    let first = code.get(code.partition_point(|code| code.end <= start));
    let last = code.partition_point(|code| code.start < end).checked_sub(1);
    let last = last.and_then(|last| code.get(last));
    let start = first.map_or(words_start, |code| words_start.min(code.start.max(start)));
    let end = last.map_or(words_end, |code| words_end.max(code.end.min(end)));
    (start < end).then_some(start..end)
}
