//! A tree as Markdown source: the first dialect, and the one that can be read back.

use channel_core::{Alignment, Content};

use crate::inline_markdown::{Inlines, Place};
use crate::visit::{Tag, Visitor, visit};

/// Markdown knows no higher number of a list item.
const MAX_NUMBER: u64 = 999_999_999;

/// Writes a tree as Markdown that [`parse_markdown`](crate::parse_markdown) reads back with
/// the same words and marks.
///
/// Underline, spoilers, mentions and platform emoji have no form in Markdown; their words
/// stand alone. White space at the ends of lines may differ, and a task item keeps its box
/// only if it begins with a paragraph.
///
/// ```
/// use channel_text::{parse_markdown, to_markdown};
///
/// let source = "# Title\n\n- **bold**, _italic_ and `code`\n- 1 \\* 2\n\n> [a link](https://example.com)";
/// assert_eq!(to_markdown(&parse_markdown(source)), source);
/// ```
#[must_use]
pub fn to_markdown(content: &Content) -> String {
    let mut writer = Writer {
        levels: vec![Level::default()],
        ..Writer::default()
    };
    visit(content, &mut writer);
    writer.out
}

/// What kind of block came last, where it decides about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Paragraph,
    /// A list of numbers or bullets, with its mark.
    List(bool, char),
    Other,
}

/// The inside of a list or of a block that holds blocks.
#[derive(Debug, Default)]
struct Level {
    last: Option<Last>,
    /// The mark of the items, inside a list.
    mark: char,
    is_item: bool,
    /// The length of the prefix outside of it.
    outer_prefix: usize,
}

#[derive(Debug, Default)]
struct Writer {
    out: String,
    /// What each further line of the block begins with.
    prefix: String,
    levels: Vec<Level>,
    /// Line feeds due before the next block, and the length of the prefix of those lines.
    gap: (usize, usize),
    /// Markers due on the first line of the next block.
    markers: String,
    /// The box of a task item, which only a paragraph can carry.
    task: Option<bool>,
    inlines: Inlines,
    code: Option<String>,
    rows: Vec<Vec<String>>,
}

impl Visitor for Writer {
    fn open(&mut self, tag: &Tag<'_>) {
        match *tag {
            Tag::Paragraph => self.inlines = Inlines::new(Place::Paragraph),
            Tag::Heading(_) => {
                self.begin(Last::Other);
                self.inlines = Inlines::new(Place::Heading);
            }
            Tag::CodeBlock { .. } => {
                self.begin(Last::Other);
                self.code = Some(String::new());
            }
            Tag::Rule | Tag::Table(_) => self.begin(Last::Other),
            Tag::Row { .. } => self.rows.push(Vec::new()),
            Tag::Cell => self.inlines = Inlines::new(Place::Cell),
            Tag::Quote => {
                self.begin(Last::Other);
                self.markers.push_str("> ");
                self.enter("> ");
            }
            Tag::List { start } => self.open_list(start),
            Tag::Item { number, done } => self.open_item(number, done),
            _ => self.inlines.open(tag),
        }
    }

    fn close(&mut self, tag: &Tag<'_>) {
        match *tag {
            Tag::Paragraph => {
                let words = std::mem::take(&mut self.inlines).finish();
                if !words.is_empty() {
                    self.begin(Last::Paragraph);
                    self.markers.push_str(match self.task.take() {
                        Some(true) => "[x] ",
                        Some(false) => "[ ] ",
                        None => "",
                    });
                    self.write(&words);
                }
            }
            Tag::Heading(level) => {
                let words = std::mem::take(&mut self.inlines).finish();
                let marker = "#".repeat(usize::from(level));
                self.write(format!("{marker} {words}").trim_end());
            }
            Tag::CodeBlock { language } => self.write_code(language),
            Tag::Rule => self.write("___"),
            Tag::Cell => {
                let words = std::mem::take(&mut self.inlines).finish();
                if let Some(row) = self.rows.last_mut() {
                    row.push(words);
                }
            }
            Tag::Row { .. } => {}
            Tag::Table(alignments) => self.write_table(alignments),
            Tag::List { .. } => self.leave(),
            Tag::Quote | Tag::Item { .. } => {
                if !self.markers.is_empty() {
                    // An empty item cannot begin a list right below a paragraph.
                    self.gap.0 *= 2;
                    self.write("");
                }
                self.leave();
            }
            _ => self.inlines.close(tag),
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.code {
            Some(code) => code.push_str(text),
            None => self.inlines.text(text),
        }
    }
}

impl Writer {
    /// A block begins: a blank line above, unless it is the first inside another.
    fn begin(&mut self, block: Last) {
        if block != Last::Paragraph {
            self.task = None;
        }
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let last = level.last.replace(block);
        if last.is_none() || !self.markers.is_empty() {
            return;
        }
        let is_tight =
            level.is_item && last == Some(Last::Paragraph) && matches!(block, Last::List(..));
        self.gap = (if is_tight { 1 } else { 2 }, self.prefix.len());
    }

    fn open_list(&mut self, start: Option<u64>) {
        let is_numbered = start.is_some();
        // A list right after one of its kind needs another mark to be a list of its own, and
        // three equal bullets on one line would be a rule.
        let last = self.levels.last().and_then(|level| level.last);
        let mark = match (is_numbered, last) {
            (true, Some(Last::List(true, '.'))) => ')',
            (true, _) => '.',
            (false, Some(Last::List(false, '-'))) => '*',
            (false, _) if self.markers.ends_with("- ") => '*',
            (false, _) => '-',
        };
        self.begin(Last::List(is_numbered, mark));
        // Only a list that starts with 1 may follow a paragraph at once.
        if start.is_some_and(|start| start != 1) && self.gap.0 == 1 {
            self.gap.0 = 2;
        }
        self.enter("");
        if let Some(list) = self.levels.last_mut() {
            list.mark = mark;
        }
    }

    fn open_item(&mut self, number: Option<u64>, done: Option<bool>) {
        let Some(list) = self.levels.last_mut() else {
            return;
        };
        let mark = list.mark;
        if list.last.replace(Last::Other).is_some() {
            self.gap = (1, self.prefix.len());
        }
        let marker = match number {
            Some(number) => format!("{}{mark} ", number.min(MAX_NUMBER)),
            None => format!("{mark} "),
        };
        self.markers.push_str(&marker);
        self.enter(&" ".repeat(marker.len()));
        self.task = done;
        if let Some(item) = self.levels.last_mut() {
            item.is_item = true;
        }
    }

    fn write_code(&mut self, language: Option<&str>) {
        let text = self.code.take().unwrap_or_default();
        let longest = text.split(|c| c != '`').map(str::len).max();
        let fence = "`".repeat(longest.unwrap_or_default().max(2) + 1);
        let info: String = language
            .and_then(|language| language.split_whitespace().next())
            .unwrap_or_default()
            .chars()
            .filter(|c| *c != '`')
            .flat_map(|c| {
                matches!(c, '\\' | '&')
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        // A lone carriage return ends a line in Markdown, so it needs the prefix too.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let line_feed = if text.is_empty() { "" } else { "\n" };
        self.write(&format!("{fence}{info}\n{text}{line_feed}{fence}"));
    }

    fn write_table(&mut self, alignments: &[Alignment]) {
        let rows = std::mem::take(&mut self.rows);
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        if columns == 0 {
            return;
        }
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            for column in 0..columns {
                text.push_str("| ");
                text.push_str(row.get(column).map_or("", String::as_str));
                text.push(' ');
            }
            text.push('|');
            if index == 0 {
                text.push_str("\n|");
                for column in 0..columns {
                    text.push_str(match alignments.get(column).copied() {
                        Some(Alignment::Left) => " :-- |",
                        Some(Alignment::Center) => " :-: |",
                        Some(Alignment::Right) => " --: |",
                        _ => " --- |",
                    });
                }
            }
            if index + 1 < rows.len() {
                text.push('\n');
            }
        }
        self.write(&text);
    }

    /// Writes lines, behind the gap and the markers that are due.
    fn write(&mut self, lines: &str) {
        let (gap, prefix) = std::mem::take(&mut self.gap);
        if !self.out.is_empty() {
            let prefix = self.prefix.get(..prefix).unwrap_or_default();
            for left in (0..gap).rev() {
                self.out.push('\n');
                self.out
                    .push_str(if left > 0 { prefix.trim_end() } else { prefix });
            }
        }
        let markers = std::mem::take(&mut self.markers);
        let mut lines = lines.split('\n');
        let first = lines.next().unwrap_or_default();
        self.out.push_str(if first.is_empty() {
            markers.trim_end()
        } else {
            &markers
        });
        self.out.push_str(first);
        for line in lines {
            self.out.push('\n');
            let prefix = if line.is_empty() {
                self.prefix.trim_end()
            } else {
                &self.prefix
            };
            self.out.push_str(prefix);
            self.out.push_str(line);
        }
    }

    fn enter(&mut self, prefix: &str) {
        let outer_prefix = self.prefix.len();
        self.prefix.push_str(prefix);
        self.levels.push(Level {
            outer_prefix,
            ..Level::default()
        });
    }

    fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.prefix.truncate(level.outer_prefix);
        }
    }
}
