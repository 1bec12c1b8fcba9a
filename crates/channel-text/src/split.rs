//! Cutting a text into parts that fit a platform's limit.

use std::ops::Range;

use channel_core::TextLimit;

use crate::cut::{Splitter, is_blank};
use crate::measure::{ByMeasure, ByUnit};
use crate::span::{Cutter, Spanned};

/// Cuts a plain text into parts that fit the limit, without copying.
///
/// The rule is that of [`Spanned::split`].
///
/// ```
/// use channel_core::{TextLimit, TextUnit};
/// use channel_text::split_text;
///
/// let limit = TextLimit::new(11, TextUnit::Utf16);
/// assert_eq!(split_text("hello brave new world", limit), ["hello brave", "new world"]);
/// ```
#[must_use]
pub fn split_text(text: &str, limit: TextLimit) -> Vec<&str> {
    if limit.fits(text) {
        return if is_blank(text) {
            Vec::new()
        } else {
            vec![text]
        };
    }
    Splitter::new(text, &[])
        .run(ByUnit::new(text, limit))
        .into_iter()
        .filter_map(|range| text.get(range))
        .collect()
}

impl Spanned {
    /// Cuts the text into parts that fit the limit; marks that are cut are closed in one
    /// part and opened again in the next.
    ///
    /// A part ends in the second half of what fits; in order of preference, at a blank line
    /// or else at a line break within the last 200 characters, at the last space, line
    /// break or ideographic punctuation mark, or where the limit is. It never ends inside a
    /// grapheme cluster, and inside
    /// [`Mark::Code`](crate::Mark::Code), [`Mark::Mention`](crate::Mark::Mention) or
    /// [`Mark::Emoji`](crate::Mark::Emoji) only if that alone is beyond the limit. A
    /// cluster that is beyond the limit is cut between its code points, and a part is over
    /// the limit only if it is a single code point; a limit of 0 counts as 1.
    ///
    /// Nothing is lost but white space at a cut: outside of preformatted text the run of
    /// white space around it (the indentation of the next line stays), inside the one line
    /// break. Parts of white space alone are left out, so a blank text has no parts.
    #[must_use]
    pub fn split(&self, limit: TextLimit) -> Vec<Self> {
        if limit.fits(self.text()) {
            return if is_blank(self.text()) {
                Vec::new()
            } else {
                vec![self.clone()]
            };
        }
        self.cut(self.split_ranges(limit))
    }

    /// The bytes of the text that each part of [`split`](Self::split) holds.
    #[must_use]
    pub fn split_ranges(&self, limit: TextLimit) -> Vec<Range<usize>> {
        Splitter::new(self.text(), self.spans()).run(ByUnit::new(self.text(), limit))
    }

    /// Cuts the text into parts none of which `measure` finds larger than `max`, for
    /// dialects in which the rendered text counts.
    ///
    /// The rule is that of [`split`](Self::split). `measure` should not shrink when text
    /// is added; where it does, parts may be smaller than they could be, but never too
    /// large. It is called some ten times for each part, with texts not much longer than
    /// the part. A part is over `max` only if it is a single code point.
    #[must_use]
    pub fn split_by(&self, max: usize, measure: impl FnMut(&Self) -> usize) -> Vec<Self> {
        let measure = ByMeasure::new(self.text(), self.spans(), max, measure);
        self.cut(Splitter::new(self.text(), self.spans()).run(measure))
    }

    fn cut(&self, ranges: Vec<Range<usize>>) -> Vec<Self> {
        let mut cutter = Cutter::new(self.spans());
        ranges
            .into_iter()
            .map(|range| {
                let text = self.text().get(range.clone()).unwrap_or_default();
                Self::from_ordered(text.to_owned(), cutter.cut(range))
            })
            .collect()
    }
}
