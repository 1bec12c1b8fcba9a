//! Where to cut.
//!
//! A part costs one look at its own text and, at most, as much again: a cut is never taken
//! from the first half of what fits, so no text is looked at over and over.

use std::ops::Range;

use crate::measure::{Measure, Start, chars};
use crate::span::{Mark, Span};

/// A line break this near to the limit, in characters, is preferred to any space.
const LINE_WINDOW: usize = 200;

/// A range of text with rules of its own.
struct Region {
    range: Range<usize>,
    /// Whether white space counts here; otherwise the range is one thing, not to be cut.
    is_pre: bool,
}

/// A place to cut: where the part ends, and where the next one begins.
#[derive(Clone, Copy)]
struct Cut {
    end: usize,
    /// `None`: after the white space that follows.
    next: Option<usize>,
    /// How many clusters of the part come before it.
    clusters: usize,
}

/// The last place of each kind.
#[derive(Clone, Copy, Default)]
struct Cuts {
    paragraph: Option<Cut>,
    line: Option<Cut>,
    word: Option<Cut>,
}

impl Cuts {
    /// The best place for a part that could end at `end` after so many clusters.
    fn best(&self, start: usize, end: usize, clusters: usize) -> Option<Cut> {
        let middle = start.midpoint(end);
        let within = |cut: Option<Cut>, window: usize| {
            cut.filter(|cut| clusters - cut.clusters <= window && cut.end >= middle)
        };
        within(self.paragraph, LINE_WINDOW)
            .or_else(|| within(self.line, LINE_WINDOW))
            .or_else(|| {
                [self.paragraph, self.line, self.word]
                    .into_iter()
                    .filter_map(|cut| within(cut, usize::MAX))
                    .max_by_key(|cut| cut.end)
            })
    }
}

/// A look at the text from the start of a part on.
struct Scan {
    cuts: Cuts,
    clusters: usize,
    /// The end of the last cluster taken.
    end: usize,
    /// The same without the white space there, outside of preformatted text.
    words_end: usize,
    /// Whether there was nothing but white space.
    is_blank: bool,
    /// Whether the white space at the end holds a line break.
    after_line: bool,
}

/// The state before something that should stay whole.
struct Held {
    range: Range<usize>,
    cuts: Cuts,
    clusters: usize,
    words_end: usize,
}

/// What one look decided.
enum Found {
    /// The rest fits.
    Rest,
    /// White space only, and more of it than fits.
    Blank,
    /// Not even one cluster fits; this is the first one.
    Cluster(Range<usize>),
    Cut(Cut),
}

pub(crate) struct Splitter<'a> {
    text: &'a str,
    regions: Vec<Region>,
    /// The first region that ends after the start of the part.
    region: usize,
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(text: &'a str, spans: &[Span]) -> Self {
        let regions = spans
            .iter()
            .filter_map(|span| {
                let is_pre = match span.mark {
                    Mark::Pre { .. } => true,
                    Mark::Code | Mark::Mention { .. } | Mark::Emoji { .. } => false,
                    _ => return None,
                };
                let range = span.range.clone();
                Some(Region { range, is_pre })
            })
            .collect();
        Self {
            text,
            regions,
            region: 0,
        }
    }

    /// The ranges of the parts.
    pub(crate) fn run(mut self, mut measure: impl Measure) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = Start::at(0);
        while start.at < self.text.len() {
            self.region = self.region_at(self.region, start.at);
            measure.begin(start);
            let (end, next) = match self.scan(start, &mut measure) {
                Found::Rest => (self.text.len(), Start::at(self.text.len())),
                Found::Blank => (start.at, Start::at(self.after_blank(start.at))),
                Found::Cluster(cluster) => {
                    let boundary = cluster.end;
                    let at = self.piece(cluster, &mut measure);
                    (at, Start { at, boundary })
                }
                Found::Cut(cut) => {
                    let end = measure.confirm(start, cut.end);
                    let next = cut.next.filter(|_| end == cut.end);
                    let next = next.unwrap_or_else(|| self.after_space(end));
                    (end, Start::at(next))
                }
            };
            let part = start.at..end;
            if !self.text.get(part.clone()).is_none_or(is_blank) {
                parts.push(part);
            }
            start = next;
        }
        parts
    }

    /// Takes clusters until one does not fit, and notes every place to cut on the way.
    fn scan(&self, start: Start, measure: &mut impl Measure) -> Found {
        let mut scan = Scan {
            cuts: Cuts::default(),
            clusters: 0,
            end: start.at,
            words_end: start.at,
            is_blank: true,
            after_line: false,
        };
        let mut held: Option<Held> = None;
        let mut region = self.region;
        for range in start.clusters(self.text) {
            region = self.region_at(region, range.start);
            if let Some(left) = held.take_if(|held| held.range.end <= range.start) {
                scan.cuts = left.cuts;
            }
            let inside = self
                .regions
                .get(region)
                .filter(|inside| inside.range.start <= range.start);
            let in_pre = inside.is_some_and(|inside| inside.is_pre);
            if let Some(inside) = inside
                && !in_pre
                && inside.range.start == range.start
                && !scan.is_blank
            {
                held = Some(Held {
                    range: inside.range.clone(),
                    cuts: scan.cuts,
                    clusters: scan.clusters,
                    words_end: scan.words_end,
                });
            }
            let kind = Kind::of(self.text.get(range.clone()).unwrap_or_default());
            scan.before(&range, kind, in_pre);
            if !measure.takes(range.clone()) {
                if range.start == start.at {
                    return Found::Cluster(range);
                }
                if scan.is_blank {
                    return Found::Blank;
                }
                return Found::Cut(scan.cut(start.at, in_pre, held, measure));
            }
            scan.after(&range, kind, in_pre);
        }
        Found::Rest
    }

    /// The end of as many code points of a cluster as fit, at least one.
    fn piece(&self, cluster: Range<usize>, measure: &mut impl Measure) -> usize {
        let start = cluster.start;
        let mut end = start;
        for char in chars(self.text, cluster) {
            let fits = measure.takes(char.clone());
            if fits || end == start {
                end = char.end;
            }
            if !fits {
                break;
            }
        }
        end
    }

    /// The first region, from `region` on, that ends after a place.
    fn region_at(&self, mut region: usize, at: usize) -> usize {
        while self
            .regions
            .get(region)
            .is_some_and(|region| region.range.end <= at)
        {
            region += 1;
        }
        region
    }

    /// Where words go on after a cut: behind the white space, but before the indentation
    /// of a line and not inside preformatted text.
    fn after_space(&self, from: usize) -> usize {
        let mut region = self.region;
        let mut at = from;
        let mut line = None;
        for range in Start::at(from).clusters(self.text) {
            region = self.region_at(region, range.start);
            let in_pre = self
                .regions
                .get(region)
                .is_some_and(|inside| inside.is_pre && inside.range.start <= range.start);
            let kind = Kind::of(self.text.get(range.clone()).unwrap_or_default());
            if in_pre || !kind.is_blank() {
                return line.unwrap_or(at);
            }
            at = range.end;
            if kind == Kind::Line {
                line = Some(at);
            }
        }
        at
    }

    /// Where the next words are.
    fn after_blank(&self, from: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        from + rest.find(|char| !is_space(char)).unwrap_or(rest.len())
    }
}

impl Scan {
    /// Notes the places to cut before a cluster.
    fn before(&mut self, range: &Range<usize>, kind: Kind, in_pre: bool) {
        if self.is_blank {
            return;
        }
        let clusters = self.clusters;
        match kind {
            Kind::Line => {
                let cut = if in_pre {
                    Cut {
                        end: range.start,
                        next: Some(range.end),
                        clusters,
                    }
                } else {
                    Cut {
                        end: self.words_end,
                        next: None,
                        clusters,
                    }
                };
                if self.after_line {
                    self.cuts.paragraph = Some(cut);
                } else {
                    self.cuts.line = Some(cut);
                }
            }
            Kind::Space if !in_pre => {
                self.cuts.word = Some(Cut {
                    end: self.words_end,
                    next: None,
                    clusters,
                });
            }
            _ => {}
        }
    }

    /// Notes that a cluster belongs to the part, and the places to cut after it.
    fn after(&mut self, range: &Range<usize>, kind: Kind, in_pre: bool) {
        self.clusters += 1;
        self.end = range.end;
        self.is_blank &= kind.is_blank();
        self.after_line = kind == Kind::Line || (self.after_line && kind == Kind::Space);
        if in_pre || !kind.is_blank() {
            self.words_end = range.end;
        }
        let ends_word = kind == Kind::Stop || (kind == Kind::Space && in_pre && !self.is_blank);
        if ends_word {
            self.cuts.word = Some(Cut {
                end: range.end,
                next: in_pre.then_some(range.end),
                clusters: self.clusters,
            });
        }
    }

    /// Chooses where to cut before the cluster that does not fit.
    fn cut(
        mut self,
        start: usize,
        in_pre: bool,
        held: Option<Held>,
        measure: &mut impl Measure,
    ) -> Cut {
        let mut next = in_pre.then_some(self.end);
        if let Some(held) = held
            && measure.fits(held.range.clone())
        {
            self.cuts = held.cuts;
            self.clusters = held.clusters;
            self.end = held.range.start;
            self.words_end = held.words_end;
            next = None;
        }
        self.cuts
            .best(start, self.end, self.clusters)
            .unwrap_or(Cut {
                end: self.words_end,
                next,
                clusters: self.clusters,
            })
    }
}

/// What a cluster means for cutting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    Space,
    /// Punctuation after which ideographic text may break.
    Stop,
    Word,
}

impl Kind {
    fn of(cluster: &str) -> Self {
        match cluster {
            "\n" | "\r\n" | "\r" | "\u{85}" | "\u{2028}" | "\u{2029}" => Self::Line,
            "。" | "，" | "、" | "；" | "：" | "！" | "？" | "．" => Self::Stop,
            cluster if is_blank(cluster) => Self::Space,
            _ => Self::Word,
        }
    }

    fn is_blank(self) -> bool {
        matches!(self, Self::Line | Self::Space)
    }
}

/// Whether there is nothing to see in a text.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// White space, except spaces that forbid a break.
fn is_space(char: char) -> bool {
    char.is_whitespace() && !matches!(char, '\u{a0}' | '\u{2007}' | '\u{202f}')
}
