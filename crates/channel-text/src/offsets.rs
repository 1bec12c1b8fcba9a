//! Offsets in bytes and in UTF-16 code units.

use std::ops::Range;

/// Converts ranges of bytes into ranges of UTF-16 code units, in one pass over the text.
///
/// An offset beyond the text counts as its end, one inside a character as the start of
/// that character; a range whose end lies before its start becomes empty.
///
/// ```
/// use channel_text::{byte_ranges, utf16_ranges};
///
/// assert_eq!(utf16_ranges("a😀b", &[1..5, 5..6]), [1..3, 3..4]);
/// assert_eq!(byte_ranges("a😀b", &[1..3, 3..4]), [1..5, 5..6]);
/// ```
#[must_use]
pub fn utf16_ranges(text: &str, ranges: &[Range<usize>]) -> Vec<Range<usize>> {
    convert(text, ranges, char::len_utf8, char::len_utf16)
}

/// Converts ranges of UTF-16 code units into ranges of bytes, in one pass over the text.
///
/// Offsets are narrowed as in [`utf16_ranges`]; the result is always on character
/// boundaries.
#[must_use]
pub fn byte_ranges(text: &str, ranges: &[Range<usize>]) -> Vec<Range<usize>> {
    convert(text, ranges, char::len_utf16, char::len_utf8)
}

fn convert(
    text: &str,
    ranges: &[Range<usize>],
    from: fn(char) -> usize,
    to: fn(char) -> usize,
) -> Vec<Range<usize>> {
    let mut edges: Vec<usize> = ranges
        .iter()
        .flat_map(|range| [range.start, range.end])
        .collect();
    edges.sort_unstable();
    edges.dedup();

    let mut converted = Vec::with_capacity(edges.len());
    let mut chars = text.chars();
    let (mut source, mut target) = (0, 0);
    let mut ahead = chars.next();
    for edge in &edges {
        while let Some(char) = ahead {
            if source + from(char) > *edge {
                break;
            }
            source += from(char);
            target += to(char);
            ahead = chars.next();
        }
        converted.push(target);
    }
    let look_up = |offset: usize| {
        let index = edges.partition_point(|edge| *edge < offset);
        converted.get(index).copied().unwrap_or(target)
    };
    ranges
        .iter()
        .map(|range| {
            let end = look_up(range.end);
            look_up(range.start).min(end)..end
        })
        .collect()
}
