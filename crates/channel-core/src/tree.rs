//! Builds the tree that marks on a text describe.
//!
//! The text is cut at every edge of a mark; each piece knows which marks lie on it. Pieces
//! in a row with the same quote are a block, with the same bold a bold run, and so on
//! inwards. Marks that cross are so cut by themselves, and the depth is bounded by the
//! number of styles however many marks come in.

use std::cmp::Reverse;
use std::ops::Range;

use crate::content::{Block, Content, Inline};
use crate::formatted::{Style, StyleMark};

/// Styles of one lane exclude each other.
const LANES: usize = 8;
const QUOTE: usize = 0;
/// The lane of styles whose words are taken as they are; always the innermost.
const LITERAL: usize = 7;

const fn lane_of(style: &Style) -> usize {
    match style {
        Style::Quote => QUOTE,
        Style::Link { .. } => 1,
        Style::Strong => 2,
        Style::Emphasis => 3,
        Style::Underline => 4,
        Style::Strike => 5,
        Style::Spoiler => 6,
        Style::Code | Style::Pre { .. } | Style::Mention { .. } | Style::Emoji { .. } => LITERAL,
    }
}

/// A style on a range of bytes.
#[derive(Debug, Clone)]
struct Laid<'a> {
    range: Range<usize>,
    style: &'a Style,
}

type Lanes<'a> = [Vec<Laid<'a>>; LANES];

/// Words between two edges, and what lies on them in each lane.
#[derive(Debug, Clone)]
struct Piece<'a> {
    range: Range<usize>,
    laid: [Option<&'a Laid<'a>>; LANES],
}

impl<'a> Piece<'a> {
    fn at(&self, lane: usize) -> Option<&'a Laid<'a>> {
        self.laid.get(lane).copied().flatten()
    }

    fn preformatted(&self) -> Option<&'a Laid<'a>> {
        self.at(LITERAL)
            .filter(|laid| matches!(laid.style, Style::Pre { .. }))
    }

    /// Of the styles around the words the one that reaches farthest, without those of
    /// lanes in `used`.
    fn outermost(&self, used: u8) -> Option<(usize, &'a Laid<'a>)> {
        (QUOTE + 1..LITERAL)
            .filter(|lane| used & (1 << lane) == 0)
            .filter_map(|lane| Some((lane, self.at(lane)?)))
            .max_by_key(|(lane, laid)| (laid.range.end, Reverse(*lane)))
    }
}

fn same(a: Option<&Laid<'_>>, b: Option<&Laid<'_>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Builds the tree.
pub(crate) fn content(text: &str, marks: &[StyleMark]) -> Content {
    let lanes = lanes(text, marks);
    let pieces = pieces(text.len(), &lanes);
    let mut blocks = Vec::new();
    for run in pieces.chunk_by(|a, b| same(a.at(QUOTE), b.at(QUOTE))) {
        let inside = unquoted(text, run);
        match run.first().and_then(|piece| piece.at(QUOTE)) {
            Some(_) => blocks.push(Block::Quote(inside)),
            None => blocks.extend(inside),
        }
    }
    Content::new(blocks)
}

/// Sorts the marks into lanes in which no two overlap.
fn lanes<'a>(text: &str, marks: &'a [StyleMark]) -> Lanes<'a> {
    let mut lanes = Lanes::default();
    for (range, mark) in byte_ranges(text, marks).into_iter().zip(marks) {
        if !range.is_empty()
            && let Some(lane) = lanes.get_mut(lane_of(&mark.style))
        {
            let style = &mark.style;
            lane.push(Laid { range, style });
        }
    }
    let [outer @ .., literal] = &mut lanes;
    *literal = disjoint(std::mem::take(literal));
    for lane in outer {
        for laid in lane.iter_mut() {
            laid.range = widen(&laid.range, literal);
        }
        *lane = disjoint(std::mem::take(lane));
    }
    lanes
}

/// The ranges in bytes, in one pass over the text. What lies beyond the text counts as its
/// end, what lies inside a character as the start of that character.
fn byte_ranges(text: &str, marks: &[StyleMark]) -> Vec<Range<usize>> {
    let edges_of = |mark: &StyleMark| {
        let start = u64::from(mark.offset);
        [start, start + u64::from(mark.length)]
    };
    let mut edges: Vec<u64> = marks.iter().flat_map(edges_of).collect();
    edges.sort_unstable();
    edges.dedup();

    let mut found = Vec::with_capacity(edges.len());
    let mut chars = text.chars();
    let mut ahead = chars.next();
    let (mut units, mut bytes) = (0_u64, 0);
    for edge in &edges {
        while let Some(char) = ahead
            && units + char.len_utf16() as u64 <= *edge
        {
            units += char.len_utf16() as u64;
            bytes += char.len_utf8();
            ahead = chars.next();
        }
        found.push(bytes);
    }
    let look_up = |edge: u64| {
        let index = edges.partition_point(|known| *known < edge);
        found.get(index).copied().unwrap_or(bytes)
    };
    let range_of = |mark| {
        let [start, end] = edges_of(mark);
        look_up(start)..look_up(end)
    };
    marks.iter().map(range_of).collect()
}

/// Joins equal styles and cuts the others, so that no two of a lane overlap. A mention and
/// an emoji stand for one thing each and are neither joined nor cut.
fn disjoint(mut lane: Vec<Laid<'_>>) -> Vec<Laid<'_>> {
    lane.sort_by_key(|laid| (laid.range.start, Reverse(laid.range.end)));
    let mut out: Vec<Laid<'_>> = Vec::with_capacity(lane.len());
    for mut laid in lane {
        if let Some(last) = out.last_mut() {
            let end = last.range.end;
            if matches!(laid.style, Style::Mention { .. } | Style::Emoji { .. }) {
                if laid.range.start < end {
                    continue;
                }
            } else if laid.style == last.style && laid.range.start <= end {
                last.range.end = end.max(laid.range.end);
                continue;
            }
            laid.range.start = laid.range.start.max(end);
        }
        if !laid.range.is_empty() {
            out.push(laid);
        }
    }
    out
}

/// Moves an edge that lies inside literal words out to their edge: code, mentions and
/// emoji are marked whole or not at all.
fn widen(range: &Range<usize>, literal: &[Laid<'_>]) -> Range<usize> {
    let around = |offset: usize| {
        let index = literal.partition_point(|laid| laid.range.end <= offset);
        let laid = literal.get(index).filter(|laid| laid.range.start < offset);
        laid.map(|laid| &laid.range)
    };
    let start = around(range.start).map_or(range.start, |range| range.start);
    let end = around(range.end).map_or(range.end, |range| range.end);
    start..end
}

/// Cuts the text at every edge.
fn pieces<'a>(end: usize, lanes: &'a Lanes<'a>) -> Vec<Piece<'a>> {
    let marked = lanes.iter().flatten();
    let mut edges: Vec<usize> = marked
        .flat_map(|laid| [laid.range.start, laid.range.end])
        .chain([0, end])
        .collect();
    edges.sort_unstable();
    edges.dedup();

    let mut next = [0; LANES];
    edges
        .iter()
        .zip(edges.iter().skip(1))
        .map(|(&start, &end)| {
            let mut laid = [None; LANES];
            for ((lane, next), laid) in lanes.iter().zip(&mut next).zip(&mut laid) {
                while lane.get(*next).is_some_and(|laid| laid.range.end <= start) {
                    *next += 1;
                }
                *laid = lane.get(*next).filter(|laid| laid.range.start <= start);
            }
            let range = start..end;
            Piece { range, laid }
        })
        .collect()
}

/// The text that pieces in a row cover.
fn extent(pieces: &[Piece<'_>]) -> Range<usize> {
    match (pieces.first(), pieces.last()) {
        (Some(first), Some(last)) => first.range.start..last.range.end,
        _ => 0..0,
    }
}

fn words(text: &str, range: Range<usize>) -> String {
    text.get(range).unwrap_or_default().to_owned()
}

/// The blocks of pieces that share a quote, or none.
fn unquoted(text: &str, pieces: &[Piece<'_>]) -> Vec<Block> {
    let mut out = Vec::new();
    for run in pieces.chunk_by(|a, b| same(a.preformatted(), b.preformatted())) {
        let laid = run.first().and_then(Piece::preformatted);
        let Some(Style::Pre { language }) = laid.map(|laid| laid.style) else {
            paragraphs(text, run, &mut out);
            continue;
        };
        let mut text = words(text, extent(run));
        if text.ends_with('\n') {
            text.pop();
        }
        let language = language.clone();
        out.push(Block::Code { language, text });
    }
    out
}

/// A paragraph for each run of lines that are not blank.
fn paragraphs(text: &str, pieces: &[Piece<'_>], out: &mut Vec<Block>) {
    let range = extent(pieces);
    let mut push = |range: Range<usize>| {
        let from = pieces.partition_point(|piece| piece.range.end <= range.start);
        let inside: Vec<_> = pieces
            .iter()
            .skip(from)
            .take_while(|piece| piece.range.start < range.end)
            .map(|piece| Piece {
                range: piece.range.start.max(range.start)..piece.range.end.min(range.end),
                ..piece.clone()
            })
            .collect();
        out.push(Block::Paragraph(inlines(text, &inside, 0)));
    };
    let mut begun = None;
    let mut position = range.start;
    let mut end_of_last = position;
    for line in text.get(range).unwrap_or_default().split_inclusive('\n') {
        if line.trim().is_empty() {
            if let Some(start) = begun.take() {
                push(start..end_of_last);
            }
        } else {
            begun.get_or_insert(position);
            end_of_last = position + line.trim_end_matches(['\n', '\r']).len();
        }
        position += line.len();
    }
    if let Some(start) = begun {
        push(start..end_of_last);
    }
}

/// The inlines of some pieces; each level takes the styles of one lane, so the recursion
/// is no deeper than there are lanes.
fn inlines(text: &str, pieces: &[Piece<'_>], used: u8) -> Vec<Inline> {
    let mut out = Vec::new();
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let Some((lane, laid)) = first.outermost(used) else {
            let belongs = |piece: &&Piece<'_>| {
                piece.outermost(used).is_none() && same(piece.at(LITERAL), first.at(LITERAL))
            };
            let (run, after) = rest.split_at(rest.iter().take_while(belongs).count());
            out.push(literal(words(text, extent(run)), first.at(LITERAL)));
            rest = after;
            continue;
        };
        let belongs = |piece: &&Piece<'_>| same(piece.at(lane), Some(laid));
        let (run, after) = rest.split_at(rest.iter().take_while(belongs).count());
        let inner = inlines(text, run, used | 1 << lane);
        let is_blank = || words(text, extent(run)).trim().is_empty();
        match laid.style {
            Style::Strong => out.push(Inline::Strong(inner)),
            Style::Emphasis => out.push(Inline::Emphasis(inner)),
            Style::Underline => out.push(Inline::Underline(inner)),
            Style::Strike => out.push(Inline::Strike(inner)),
            Style::Spoiler => out.push(Inline::Spoiler(inner)),
            // Nothing to click on.
            Style::Link { url } if !is_blank() => out.push(Inline::Link {
                url: url.clone(),
                content: inner,
            }),
            _ => out.extend(inner),
        }
        rest = after;
    }
    out
}

fn literal(words: String, laid: Option<&Laid<'_>>) -> Inline {
    match laid.map(|laid| laid.style) {
        Some(Style::Code) => Inline::Code(words),
        Some(Style::Mention { id }) => Inline::Mention {
            id: id.clone(),
            name: words,
        },
        Some(Style::Emoji { id }) => Inline::Emoji {
            id: id.clone(),
            fallback: words,
        },
        _ => Inline::Text(words),
    }
}
