//! What fits into a part.

use std::ops::Range;

use channel_core::{TextLimit, TextUnit};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::span::{Cutter, Span, Spanned};

/// Where a part begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) at: usize,
    /// The end of the cluster that `at` lies in, or `at` if it is a boundary itself.
    pub(crate) boundary: usize,
}

impl Start {
    pub(crate) const fn at(at: usize) -> Self {
        Self { at, boundary: at }
    }

    /// The grapheme clusters from here on; the first may be what is left of one.
    pub(crate) fn clusters(self, text: &str) -> impl Iterator<Item = Range<usize>> {
        let piece = (self.at < self.boundary).then_some(self.at..self.boundary);
        let rest = text.get(self.boundary..).unwrap_or_default();
        let whole = rest.grapheme_indices(true).map(move |(offset, cluster)| {
            let at = self.boundary + offset;
            at..at + cluster.len()
        });
        piece.into_iter().chain(whole)
    }
}

/// The code points of a range.
pub(crate) fn chars(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let start = range.start;
    let text = text.get(range).unwrap_or_default();
    text.char_indices().map(move |(offset, char)| {
        let at = start + offset;
        at..at + char.len_utf8()
    })
}

/// Decides how much text a part may hold.
pub(crate) trait Measure {
    /// A new part begins.
    fn begin(&mut self, start: Start);
    /// Whether the next piece of the part still fits.
    fn takes(&mut self, piece: Range<usize>) -> bool;
    /// Whether a range fits into a part of its own.
    fn fits(&mut self, range: Range<usize>) -> bool;
    /// The end of a part that fits, given the end that was chosen for it.
    fn confirm(&mut self, start: Start, end: usize) -> usize;
}

/// Counts a unit of text, once over.
pub(crate) struct ByUnit<'a> {
    text: &'a str,
    limit: TextLimit,
    room: usize,
}

impl<'a> ByUnit<'a> {
    pub(crate) fn new(text: &'a str, limit: TextLimit) -> Self {
        let limit = TextLimit::new(limit.max.max(1), limit.unit);
        let room = limit.max;
        Self { text, limit, room }
    }

    fn width(&self, range: Range<usize>, room: usize) -> Option<usize> {
        width_within(self.limit.unit, self.text.get(range)?, room)
    }
}

/// The width of a text, if it is no more than `room`; looks no further than needed.
fn width_within(unit: TextUnit, text: &str, room: usize) -> Option<usize> {
    match unit {
        TextUnit::Bytes => (text.len() <= room).then_some(text.len()),
        TextUnit::CodePoints => sum_within(text.chars().map(|_| 1), room),
        TextUnit::Utf16 => sum_within(text.chars().map(char::len_utf16), room),
        _ => sum_within(text.graphemes(true).map(|piece| unit.measure(piece)), room),
    }
}

fn sum_within(mut widths: impl Iterator<Item = usize>, room: usize) -> Option<usize> {
    widths.try_fold(0, |sum, width| Some(sum + width).filter(|sum| *sum <= room))
}

impl Measure for ByUnit<'_> {
    fn begin(&mut self, _start: Start) {
        self.room = self.limit.max;
    }

    fn takes(&mut self, piece: Range<usize>) -> bool {
        match self.width(piece, self.room) {
            Some(width) => {
                self.room -= width;
                true
            }
            None => false,
        }
    }

    fn fits(&mut self, range: Range<usize>) -> bool {
        self.width(range, self.limit.max).is_some()
    }

    fn confirm(&mut self, _start: Start, end: usize) -> usize {
        end
    }
}

/// Asks the caller, by halving, with texts at most about twice as long as what fits.
pub(crate) struct ByMeasure<'a, F> {
    text: &'a str,
    cutter: Cutter<'a>,
    max: usize,
    measure: F,
    /// The end of what fits into the part.
    end: usize,
}

impl<'a, F: FnMut(&Spanned) -> usize> ByMeasure<'a, F> {
    pub(crate) const fn new(text: &'a str, spans: &'a [Span], max: usize, measure: F) -> Self {
        Self {
            text,
            cutter: Cutter::new(spans),
            max,
            measure,
            end: 0,
        }
    }

    fn fits_now(&mut self, range: Range<usize>) -> bool {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let part = Spanned::from_ordered(text, self.cutter.cut(range));
        (self.measure)(&part) <= self.max
    }

    /// The last of these ends, found by halving, up to which the part fits.
    fn longest(&mut self, start: usize, ends: impl Iterator<Item = usize>) -> Option<usize> {
        let mut ends = ends.fuse();
        let mut known = Vec::new();
        let mut fitting = 0;
        let mut guess = self.max.max(1);
        let mut beyond = loop {
            known.extend(ends.by_ref().take(guess - known.len()));
            match known.last() {
                Some(end) if known.len() > fitting && self.fits_now(start..*end) => {
                    fitting = known.len();
                    guess = guess.saturating_mul(2);
                }
                _ => break known.len(),
            }
        };
        // `known[..fitting]` fits, `known[..beyond]` does not, or is the same.
        while beyond - fitting > 1 {
            let middle = fitting.midpoint(beyond);
            let end = known.get(middle - 1).copied().unwrap_or(start);
            if self.fits_now(start..end) {
                fitting = middle;
            } else {
                beyond = middle;
            }
        }
        known.get(fitting.checked_sub(1)?).copied()
    }
}

impl<F: FnMut(&Spanned) -> usize> Measure for ByMeasure<'_, F> {
    fn begin(&mut self, start: Start) {
        let text = self.text;
        let ends = start.clusters(text).map(|cluster| cluster.end);
        self.end = self.longest(start.at, ends).unwrap_or_else(|| {
            let first = start.clusters(text).next().unwrap_or_default();
            let ends = chars(text, first).map(|char| char.end);
            self.longest(start.at, ends).unwrap_or(start.at)
        });
    }

    fn takes(&mut self, piece: Range<usize>) -> bool {
        piece.end <= self.end
    }

    fn fits(&mut self, range: Range<usize>) -> bool {
        let later = self.cutter.clone();
        let now = std::mem::replace(&mut self.cutter, later);
        let fits = self.fits_now(range);
        self.cutter = now;
        fits
    }

    fn confirm(&mut self, start: Start, end: usize) -> usize {
        if end == self.end || self.fits_now(start.at..end) {
            return end;
        }
        let text = self.text;
        let ends = start
            .clusters(text)
            .map(|cluster| cluster.end)
            .take_while(|shorter| *shorter < end);
        self.longest(start.at, ends).unwrap_or(self.end)
    }
}
