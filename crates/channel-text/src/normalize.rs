//! Puts spans in order: joined, cut and nested.

use std::cmp::Reverse;
use std::ops::Range;

use crate::span::{Mark, Span};

/// Marks of one lane exclude each other, so the depth of nesting is bounded by this
/// number however many spans come in.
const LANES: usize = 9;
/// The lane of marks whose text is taken as it is; always the innermost.
const LITERAL: usize = 8;

/// A lane for each kind; a smaller number goes outside where nothing else decides.
const fn lane_of(mark: &Mark) -> usize {
    match mark {
        Mark::Quote => 0,
        Mark::Heading(_) => 1,
        Mark::Link { .. } => 2,
        Mark::Strong => 3,
        Mark::Emphasis => 4,
        Mark::Underline => 5,
        Mark::Strike => 6,
        Mark::Spoiler => 7,
        Mark::Code | Mark::Pre { .. } | Mark::Mention { .. } | Mark::Emoji { .. } => LITERAL,
    }
}

/// Quotes hold headings, headings hold inline marks.
const fn depth_of(lane: usize) -> usize {
    match lane {
        0 => 0,
        1 => 1,
        LITERAL => 3,
        _ => 2,
    }
}

/// Turns any spans into spans that keep the promises of `Spanned`.
pub(crate) fn normalize(text: &str, spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut lanes: [Vec<Span>; LANES] = Default::default();
    for mut span in spans {
        span.range =
            text.floor_char_boundary(span.range.start)..text.floor_char_boundary(span.range.end);
        if let Mark::Heading(level) = &mut span.mark {
            *level = (*level).clamp(1, 6);
        }
        if !span.range.is_empty()
            && let Some(lane) = lanes.get_mut(lane_of(&span.mark))
        {
            lane.push(span);
        }
    }
    let [outer @ .., literal] = &mut lanes;
    *literal = disjoint(std::mem::take(literal));
    for (index, lane) in outer.iter_mut().enumerate() {
        for span in lane.iter_mut() {
            span.range = widen(&span.range, literal);
        }
        *lane = disjoint(std::mem::take(lane));
        if index > 0 {
            *lane = without_pre(std::mem::take(lane), literal);
        }
    }
    nest(&lanes)
}

/// Joins equal spans and cuts the others, so that no two of a lane overlap.
fn disjoint(mut lane: Vec<Span>) -> Vec<Span> {
    lane.sort_by_key(|span| (span.range.start, Reverse(span.range.end)));
    let mut out: Vec<Span> = Vec::with_capacity(lane.len());
    for mut span in lane {
        if let Some(last) = out.last_mut() {
            let end = last.range.end;
            if span.mark.is_atom() {
                if span.range.start < end {
                    continue;
                }
            } else if span.mark == last.mark && span.range.start <= end {
                last.range.end = end.max(span.range.end);
                continue;
            }
            span.range.start = span.range.start.max(end);
        }
        if !span.range.is_empty() {
            out.push(span);
        }
    }
    out
}

/// Moves an edge that lies inside a literal span out to the edge of that span: code,
/// mentions and emoji are marked whole or not at all.
fn widen(range: &Range<usize>, literal: &[Span]) -> Range<usize> {
    let around = |offset: usize| {
        let index = literal.partition_point(|span| span.range.end <= offset);
        literal
            .get(index)
            .filter(|span| span.range.start < offset)
            .map(|span| &span.range)
    };
    let start = around(range.start).map_or(range.start, |span| span.start);
    let end = around(range.end).map_or(range.end, |span| span.end);
    start..end
}

/// Takes preformatted text out of the spans of a lane.
fn without_pre(lane: Vec<Span>, literal: &[Span]) -> Vec<Span> {
    let mut pre = literal
        .iter()
        .filter(|span| matches!(span.mark, Mark::Pre { .. }))
        .map(|span| &span.range)
        .peekable();
    if pre.peek().is_none() {
        return lane;
    }
    let mut out = Vec::with_capacity(lane.len());
    for mut span in lane {
        while let Some(hole) = pre.peek() {
            if hole.start >= span.range.end {
                break;
            }
            if hole.start > span.range.start {
                out.push(Span::new(span.range.start..hole.start, span.mark.clone()));
            }
            span.range.start = span.range.start.max(hole.end);
            if hole.end > span.range.end {
                break;
            }
            pre.next();
        }
        if !span.range.is_empty() {
            out.push(span);
        }
    }
    out
}

/// An open span: its lane, its index there, and its place in the result.
struct Open {
    lane: usize,
    index: usize,
    slot: usize,
}

/// Sweeps over all edges and keeps a stack of what is open.
///
/// What ends below the top of the stack takes along what lies on it; that is opened again
/// at once.
fn nest(lanes: &[Vec<Span>; LANES]) -> Vec<Span> {
    let mut edges: Vec<usize> = lanes
        .iter()
        .flatten()
        .flat_map(|span| [span.range.start, span.range.end])
        .collect();
    edges.sort_unstable();
    edges.dedup();

    let mut out: Vec<Span> = Vec::with_capacity(edges.len());
    let mut stack: Vec<Open> = Vec::with_capacity(LANES);
    let mut next = [0; LANES];
    for edge in edges {
        let mut active = [None; LANES];
        for ((lane, next), active) in lanes.iter().zip(&mut next).zip(&mut active) {
            while lane.get(*next).is_some_and(|span| span.range.end <= edge) {
                *next += 1;
            }
            *active = lane
                .get(*next)
                .filter(|span| span.range.start <= edge)
                .map(|span| (*next, span));
        }
        let is_active = |open: &Open| {
            active
                .get(open.lane)
                .copied()
                .flatten()
                .map(|(index, _)| index)
                == Some(open.index)
        };
        let mut keep = stack.iter().take_while(|open| is_active(open)).count();
        let begins = |lane: usize, stack: &[Open]| !stack.iter().any(|open| open.lane == lane);
        for (lane, _) in active.iter().enumerate().filter(|(_, span)| span.is_some()) {
            if begins(lane, stack.get(..keep).unwrap_or_default()) {
                let below = stack
                    .iter()
                    .take_while(|open| depth_of(open.lane) <= depth_of(lane))
                    .count();
                keep = keep.min(below);
            }
        }
        for closed in stack.drain(keep..) {
            if let Some(span) = out.get_mut(closed.slot) {
                span.range.end = edge;
            }
        }
        let mut opened: Vec<(usize, usize, &Span)> = active
            .iter()
            .enumerate()
            .filter_map(|(lane, active)| active.map(|(index, span)| (lane, index, span)))
            .filter(|(lane, ..)| begins(*lane, &stack))
            .collect();
        opened.sort_by_key(|(lane, _, span)| (depth_of(*lane), Reverse(span.range.end), *lane));
        for (lane, index, span) in opened {
            let slot = out.len();
            out.push(Span::new(edge..edge, span.mark.clone()));
            stack.push(Open { lane, index, slot });
        }
    }
    out
}
