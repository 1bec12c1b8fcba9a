//! A tree as flat text with marks.

use channel_core::{Alignment, Content};

use crate::builder::Builder;
use crate::span::{Mark, Spanned};
use crate::table;
use crate::visit::Tag;
use crate::walk::{Step, Walk};

/// How a horizontal rule looks in flat text.
const RULE: &str = "──────────";
/// Indentation stops here: a tree as deep as that is no text to read.
const MAX_PREFIX: usize = 128;

/// Lays a tree out as text with marks.
///
/// Blocks are set apart by a blank line. A list item begins with `•`, its number, `☑` or
/// `☐`, and its further lines are indented; a quote inside a quote begins its lines with
/// `>`; a table becomes aligned columns of preformatted text, a rule a line of dashes.
/// A link without words shows its address.
///
/// ```
/// use channel_text::{Mark, Span, flatten, parse_markdown};
///
/// let flat = flatten(&parse_markdown("- **one**\n- two"));
/// assert_eq!(flat.text(), "• one\n• two");
/// assert_eq!(flat.spans(), [Span::new(4..7, Mark::Strong)]);
/// ```
#[must_use]
pub fn flatten(content: &Content) -> Spanned {
    Flattener::new(false).run(content).finish()
}

/// Lays a tree out as text for readers without formatting.
///
/// As [`flatten`], but quoted lines begin with `>` and a link is followed by its address
/// in parentheses, unless its words are the address.
#[must_use]
pub fn to_plain(content: &Content) -> String {
    Flattener::new(true).run(content).into_text()
}

/// What kind of block came last, where it decides about the gap to the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Pre,
    Other,
}

/// The inside of a block that holds blocks.
struct Level {
    is_item: bool,
    last: Option<Kind>,
    /// The length of the prefix outside of it.
    outer_prefix: usize,
}

/// A table whose cells are being read.
struct Grid<'a> {
    alignments: &'a [Alignment],
    rows: Vec<Vec<String>>,
    /// Where the words of the open link begin in the last cell.
    link: usize,
}

struct Flattener<'a> {
    out: Builder,
    plain: bool,
    /// How many lines the gap before the next words goes down.
    lines: usize,
    /// What each line begins with.
    prefix: String,
    levels: Vec<Level>,
    quotes: usize,
    in_pre: bool,
    grid: Option<Grid<'a>>,
}

impl<'a> Flattener<'a> {
    fn new(plain: bool) -> Self {
        let mut new = Self {
            out: Builder::default(),
            plain,
            lines: 0,
            prefix: String::new(),
            levels: Vec::new(),
            quotes: 0,
            in_pre: false,
            grid: None,
        };
        new.enter(false, "");
        new
    }

    fn run(mut self, content: &'a Content) -> Builder {
        for step in Walk::new(content) {
            match (step, &mut self.grid) {
                (Step::Close(Tag::Table(_)), _) => self.close_table(),
                (step, Some(grid)) => grid.step(step),
                (Step::Open(tag), None) => self.open(tag),
                (Step::Close(tag), None) => self.close(tag),
                (Step::Text(text), None) => self.words(text),
            }
        }
        self.out
    }

    fn open(&mut self, tag: Tag<'a>) {
        match tag {
            Tag::Paragraph => self.begin(Kind::Paragraph),
            Tag::Heading(_) => self.begin(Kind::Other),
            Tag::CodeBlock { .. } => {
                self.begin(Kind::Pre);
                self.in_pre = true;
            }
            Tag::Rule => {
                self.begin(Kind::Other);
                self.words(RULE);
            }
            Tag::Table(alignments) => {
                self.begin(Kind::Pre);
                self.grid = Some(Grid {
                    alignments,
                    rows: Vec::new(),
                    link: 0,
                });
            }
            Tag::Quote => self.begin(Kind::Other),
            Tag::List { .. } => {
                self.begin(Kind::Other);
                self.enter(false, "");
            }
            Tag::Item { number, done } => self.item(number, done),
            _ => {}
        }
        if let Some(mark) = tag.mark() {
            self.out.open(mark);
        }
        if tag == Tag::Quote {
            let marked = self.plain || self.quotes > 0;
            let prefix = if marked { "> " } else { "" };
            self.out.push(prefix);
            self.enter(false, prefix);
            self.quotes += 1;
        }
    }

    fn close(&mut self, tag: Tag<'a>) {
        match tag {
            Tag::Quote => {
                self.quotes -= 1;
                self.leave();
            }
            Tag::List { .. } | Tag::Item { .. } => self.leave(),
            Tag::CodeBlock { .. } => self.in_pre = false,
            Tag::Link { url } if self.plain => {
                if let Some(target) = target(self.out.since_open(), url) {
                    self.out.push(&target);
                }
            }
            _ => {}
        }
        if tag.mark().is_some() {
            self.out.close();
        }
    }

    /// A block begins: says how far it stays from what came before.
    fn begin(&mut self, kind: Kind) {
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let lines = match level.last {
            None => usize::from(level.is_item && kind == Kind::Pre),
            Some(last) if level.is_item && (last, kind) != (Kind::Paragraph, Kind::Paragraph) => 1,
            Some(_) => 2,
        };
        level.last = Some(kind);
        self.gap(lines, kind == Kind::Pre);
    }

    /// An item begins: a line of its own, unless it is the first.
    fn item(&mut self, number: Option<u64>, done: Option<bool>) {
        if let Some(list) = self.levels.last_mut()
            && list.last.replace(Kind::Other).is_some()
        {
            self.gap(1, false);
        }
        let mut marker = number.map_or_else(String::new, |number| format!("{number}. "));
        marker.push_str(match (done, number) {
            (Some(true), _) => "☑ ",
            (Some(false), _) => "☐ ",
            (None, None) => "• ",
            (None, Some(_)) => "",
        });
        self.out.push(&marker);
        let indent = " ".repeat(marker.chars().count());
        self.enter(true, &indent);
    }

    /// Sets the gap before the next words. Preformatted lines stay free of the prefix, so
    /// that they can be copied, unless the marks on the line are all there is.
    fn gap(&mut self, lines: usize, is_pre: bool) {
        let gap = self.out.gap();
        if gap.is_empty() {
            self.lines = 0;
        }
        self.lines = self.lines.max(lines);
        gap.clear();
        for left in (0..self.lines).rev() {
            gap.push('\n');
            if !is_pre || self.plain {
                let blank = left > 0;
                gap.push_str(if blank {
                    self.prefix.trim_end()
                } else {
                    &self.prefix
                });
            }
        }
    }

    fn words(&mut self, text: &str) {
        if self.prefix.is_empty() || (self.in_pre && !self.plain) {
            self.out.push(text);
            return;
        }
        let mut lines = text.split('\n');
        self.out.push(lines.next().unwrap_or_default());
        for line in lines {
            self.out.push("\n");
            self.out.push(&self.prefix);
            self.out.push(line);
        }
    }

    fn enter(&mut self, is_item: bool, prefix: &str) {
        let outer_prefix = self.prefix.len();
        if outer_prefix < MAX_PREFIX {
            self.prefix.push_str(prefix);
        }
        self.levels.push(Level {
            is_item,
            last: None,
            outer_prefix,
        });
    }

    fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.prefix.truncate(level.outer_prefix);
        }
    }

    fn close_table(&mut self) {
        if let Some(grid) = self.grid.take() {
            let text = table::align(grid.alignments, &grid.rows);
            self.out.open(Mark::Pre { language: None });
            self.in_pre = true;
            self.words(&text);
            self.in_pre = false;
            self.out.close();
        }
    }
}

impl<'a> Grid<'a> {
    fn step(&mut self, step: Step<'a>) {
        match (step, self.rows.last_mut()) {
            (Step::Open(Tag::Row { .. }), _) => self.rows.push(Vec::new()),
            (Step::Open(Tag::Cell), Some(row)) => row.push(String::new()),
            (step, Some(row)) => {
                if let Some(cell) = row.last_mut() {
                    self.link = in_cell(step, cell, self.link);
                }
            }
            (_, None) => {}
        }
    }
}

/// Marks do not show in a table, but where its links lead does.
fn in_cell(step: Step<'_>, cell: &mut String, link: usize) -> usize {
    match step {
        Step::Open(Tag::Link { .. }) => return cell.len(),
        Step::Close(Tag::Link { url }) => {
            let text = cell.get(link..).unwrap_or_default();
            let shown = if text.trim().is_empty() {
                Some(url.to_owned())
            } else {
                target(text, url)
            };
            cell.push_str(&shown.unwrap_or_default());
        }
        Step::Close(Tag::Cell) => *cell = cell.trim().to_owned(),
        Step::Text(text) => cell.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c })),
        _ => {}
    }
    link
}

/// What tells a reader without links where one leads; nothing if its words do.
fn target(text: &str, url: &str) -> Option<String> {
    let is_said = text == url || url.strip_prefix("mailto:") == Some(text);
    let said = text.trim().is_empty() || url.is_empty() || is_said;
    (!said).then(|| format!(" ({url})"))
}
