//! Flat text with marks on ranges of it.

use std::ops::Range;

use channel_core::SenderId;

use crate::normalize::normalize;
use crate::offsets::{byte_ranges, utf16_ranges};

/// What a range of text is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mark {
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
    /// Monospaced inside a line.
    Code,
    /// Preformatted lines.
    Pre {
        /// The language, if known.
        language: Option<String>,
    },
    /// A link; the text is what is shown.
    Link {
        /// Where it leads.
        url: String,
    },
    /// A mention of somebody; the text is the name as shown.
    Mention {
        /// Who, where the platform gave an id.
        id: Option<SenderId>,
    },
    /// Quoted lines.
    Quote,
    /// A heading of level 1 to 6.
    Heading(u8),
    /// A platform's own emoji; the text stands in where it is not known.
    Emoji {
        /// The platform's id.
        id: String,
    },
}

impl Mark {
    /// Whether it changes the look of words and nothing else, so that white space at its
    /// edges may be left out of it.
    pub(crate) const fn is_decoration(&self) -> bool {
        matches!(
            self,
            Self::Strong
                | Self::Emphasis
                | Self::Underline
                | Self::Strike
                | Self::Spoiler
                | Self::Link { .. }
        )
    }

    /// Whether it stands for one thing, which must not be joined with its neighbour.
    pub(crate) const fn is_atom(&self) -> bool {
        matches!(self, Self::Mention { .. } | Self::Emoji { .. })
    }
}

/// A mark on a range of text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Span {
    /// The marked bytes.
    pub range: Range<usize>,
    /// What they are.
    pub mark: Mark,
}

impl Span {
    /// Marks a range of bytes.
    #[must_use]
    pub const fn new(range: Range<usize>, mark: Mark) -> Self {
        Self { range, mark }
    }
}

/// A text and the marks on it.
///
/// The spans of a `Spanned` always hold these promises, whatever it was made from:
///
/// - ranges are not empty, lie inside the text and on character boundaries;
/// - they are sorted by start, an outer span before the spans inside it;
/// - they nest: two spans are apart, or one holds the other;
/// - at any place each kind of mark is there at most once, and of [`Mark::Code`],
///   [`Mark::Pre`], [`Mark::Mention`] and [`Mark::Emoji`] at most one;
/// - inside [`Mark::Pre`] there is no other mark, around it at most a [`Mark::Quote`];
/// - equal marks that overlap or touch are one span, except mentions and emoji.
///
/// ```
/// use channel_text::{Mark, Span, Spanned};
///
/// let hostile = Spanned::new("bold both italic", [
///     Span::new(0..9, Mark::Strong),
///     Span::new(5..999, Mark::Emphasis),
/// ]);
/// assert_eq!(hostile.spans(), [
///     Span::new(0..9, Mark::Strong),
///     Span::new(5..9, Mark::Emphasis),
///     Span::new(9..16, Mark::Emphasis),
/// ]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Spanned {
    text: String,
    spans: Vec<Span>,
}

impl Spanned {
    /// A text with marks. Spans may come in any order, overlap or reach beyond the text:
    /// an offset inside a character is moved to its start, equal marks are joined, and of
    /// spans that cross, the one that begins later is cut in two.
    ///
    /// Takes time in proportion to the text and n log n in the number of spans.
    #[must_use]
    pub fn new(text: impl Into<String>, spans: impl IntoIterator<Item = Span>) -> Self {
        let text = text.into();
        let spans = normalize(&text, spans);
        Self { text, spans }
    }

    /// A text without marks.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            spans: Vec::new(),
        }
    }

    /// The same as [`new`](Self::new) for offsets in UTF-16 code units, as many platforms
    /// send them.
    #[must_use]
    pub fn from_utf16(
        text: impl Into<String>,
        spans: impl IntoIterator<Item = (Range<usize>, Mark)>,
    ) -> Self {
        let text = text.into();
        let (ranges, marks): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
        let spans = byte_ranges(&text, &ranges)
            .into_iter()
            .zip(marks)
            .map(|(range, mark)| Span::new(range, mark));
        let spans = normalize(&text, spans);
        Self { text, spans }
    }

    /// Trusts spans that were cut from one that is in order.
    pub(crate) const fn from_ordered(text: String, spans: Vec<Span>) -> Self {
        Self { text, spans }
    }

    /// The words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The marks, in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Gives the words and the marks away.
    #[must_use]
    pub fn into_parts(self) -> (String, Vec<Span>) {
        (self.text, self.spans)
    }

    /// Whether there are no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The marks with offsets in UTF-16 code units.
    #[must_use]
    pub fn utf16_spans(&self) -> Vec<(Range<usize>, &Mark)> {
        let ranges: Vec<_> = self.spans.iter().map(|span| span.range.clone()).collect();
        let marks = self.spans.iter().map(|span| &span.mark);
        utf16_ranges(&self.text, &ranges)
            .into_iter()
            .zip(marks)
            .collect()
    }

    /// The words in a range of bytes, with the marks that reach into it cut to it.
    ///
    /// A range that reaches beyond the text or into a character is narrowed as in
    /// [`new`](Self::new).
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let end = self.text.floor_char_boundary(range.end);
        let start = self.text.floor_char_boundary(range.start).min(end);
        Self::from_ordered(
            self.text.get(start..end).unwrap_or_default().to_owned(),
            Cutter::new(&self.spans).cut(start..end),
        )
    }
}

/// The part of a span that lies in `start..end`, counted from `start`.
fn clip(span: &Span, start: usize, end: usize) -> Option<Span> {
    let from = span.range.start.max(start);
    let until = span.range.end.min(end);
    (from < until).then(|| Span::new(from - start..until - start, span.mark.clone()))
}

/// Cuts the spans of ever later ranges out, without looking at all spans each time.
#[derive(Debug, Clone)]
pub(crate) struct Cutter<'a> {
    /// Spans that began before the last start and may reach beyond it.
    open: Vec<&'a Span>,
    /// Spans that begin later.
    rest: &'a [Span],
}

impl<'a> Cutter<'a> {
    pub(crate) const fn new(spans: &'a [Span]) -> Self {
        Self {
            open: Vec::new(),
            rest: spans,
        }
    }

    /// The spans of a range that begins no earlier than the one before.
    pub(crate) fn cut(&mut self, range: Range<usize>) -> Vec<Span> {
        while let [span, rest @ ..] = self.rest
            && span.range.start < range.start
        {
            self.open.push(span);
            self.rest = rest;
        }
        self.open.retain(|span| span.range.end > range.start);
        let inside = self
            .rest
            .iter()
            .take_while(|span| span.range.start < range.end);
        self.open
            .iter()
            .copied()
            .chain(inside)
            .filter_map(|span| clip(span, range.start, range.end))
            .collect()
    }
}

impl From<String> for Spanned {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

impl From<&str> for Spanned {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}
