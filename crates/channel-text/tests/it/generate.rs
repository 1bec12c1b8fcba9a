//! Documents made from a seed.

use channel_core::{Alignment, Block, Content, Inline, ListItem, Table};
use channel_text::{Mark, Span, Spanned};

/// SplitMix64, so that a seed means the same everywhere.
pub(crate) struct Generator(u64);

const PIECES: &[&str] = &[
    "a",
    "word",
    "longer-word",
    "don't",
    "snake_case",
    "2 * 3",
    "x\u{301}\u{302}",
    "é",
    "ß",
    "你好",
    "世界。",
    "，",
    "שלום",
    "مرحبا",
    "\u{202e}rtl\u{202c}",
    "😀",
    "👨‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "👍🏽",
    "❤️",
    "क्षि",
    "*",
    "**",
    "_",
    "__",
    "~",
    "~~",
    "`",
    "```",
    "#",
    ">",
    "-",
    "+",
    "=",
    "---",
    "1.",
    "2)",
    "[",
    "]",
    "](",
    "(",
    ")",
    "!",
    "!\u{5b}",
    "<",
    "<b>",
    "&",
    "&amp;",
    "&#65;",
    "|",
    "\\",
    ":",
    ":-",
    ".",
    ",",
    "\"",
    "http://a.example/b_c?d=e&f",
    "\u{feff}",
    "\u{200b}",
    "\u{1}",
];
const SPACES: &[&str] = &[" ", " ", " ", " ", "  ", "\t", "\u{a0}", "\u{3000}", ""];
const BREAKS: &[&str] = &[
    "\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\n \n", "\n  ", "\u{2028}",
];

impl Generator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Pieces, spaces and line breaks in any order.
    pub(crate) fn text(&mut self, pieces: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.below(pieces + 1) {
            text.push_str(self.pick(PIECES));
            match self.below(10) {
                0 => text.push_str(self.pick(BREAKS)),
                1..=6 => text.push_str(self.pick(SPACES)),
                _ => {}
            }
        }
        text
    }

    /// Text with something that is seldom thought of.
    pub(crate) fn odd_text(&mut self) -> String {
        match self.below(12) {
            0 => self.pick(PIECES).repeat(self.below(300)),
            1 => "👨‍👩‍👧‍👦".repeat(self.below(60)),
            2 => "🇩🇪".repeat(self.below(60)),
            3 => "\u{301}".repeat(self.below(200)),
            4 => self.pick(BREAKS).repeat(self.below(100)),
            5 => self.pick(SPACES).repeat(self.below(200)) + "a",
            6 => "\0".repeat(self.below(50)),
            7 => format!(
                "{}\n{}",
                "```".repeat(self.below(5)),
                "> ```\n".repeat(self.below(20))
            ),
            8 => char::from(self.pick(b"*_~`>#-+|[]()<&!\\")).to_string(),
            9 => "\r\n".repeat(self.below(20)) + "\r",
            10 => (0..self.below(80)).map(|_| self.any_char()).collect(),
            _ => "a\u{600}b ".repeat(self.below(60)),
        }
    }

    fn any_char(&mut self) -> char {
        let bits = self.pick(&[7, 8, 11, 16, 21]);
        let number = u32::try_from(self.next() % (1 << bits)).ok();
        number.and_then(char::from_u32).unwrap_or('\u{fffd}')
    }

    /// Spans without any order, some beyond the text.
    pub(crate) fn spans(&mut self, len: usize, count: usize) -> Vec<Span> {
        (0..self.below(count + 1))
            .map(|_| {
                let start = self.below(len + 3);
                let end = start + self.below(len / 2 + 4);
                let range = if self.one_in(30) {
                    end..start
                } else {
                    start..end
                };
                Span::new(range, self.mark())
            })
            .collect()
    }

    fn mark(&mut self) -> Mark {
        match self.below(13) {
            0 => Mark::Strong,
            1 => Mark::Emphasis,
            2 => Mark::Underline,
            3 => Mark::Strike,
            4 => Mark::Spoiler,
            5 => Mark::Code,
            6 => Mark::Pre { language: None },
            7 => Mark::Pre {
                language: Some("rust".into()),
            },
            8 => Mark::Link {
                url: self.pick(&["a", "b"]).into(),
            },
            9 => Mark::Mention {
                id: self.one_in(2).then(|| "7".into()),
            },
            10 => Mark::Quote,
            11 => Mark::Heading(2),
            _ => Mark::Emoji { id: "9".into() },
        }
    }

    /// A tree of what Markdown can say.
    pub(crate) fn content(&mut self) -> Content {
        Content::new(self.blocks(0))
    }

    fn blocks(&mut self, depth: usize) -> Vec<Block> {
        let count = self.below(4) + usize::from(depth == 0);
        (0..count).map(|_| self.block(depth)).collect()
    }

    fn block(&mut self, depth: usize) -> Block {
        match self.below(if depth < 4 { 14 } else { 9 }) {
            0..=3 => Block::Paragraph(self.inlines(0)),
            4 => Block::Heading {
                level: self.pick(&[1, 2, 3, 4, 5, 6]),
                content: self.inlines(0),
            },
            5 | 6 => Block::Code {
                language: self
                    .one_in(2)
                    .then(|| self.pick(&["rust", "c++", "a&b;\\*"]).into()),
                text: self.text(6),
            },
            7 => self.table(),
            8 => Block::Rule,
            9 | 10 => Block::Quote(self.blocks(depth + 1)),
            _ => Block::List {
                start: self
                    .one_in(2)
                    .then(|| self.pick(&[0, 1, 1, 7, 998, 999_999_998])),
                items: (0..=self.below(3)).map(|_| self.item(depth)).collect(),
            },
        }
    }

    /// Never an empty item: after one that ends a loose list in a quote, the parser takes
    /// a following block for one outside of the list.
    fn item(&mut self, depth: usize) -> ListItem {
        let mut blocks = self.blocks(depth + 1);
        let is_task = self.one_in(3);
        if is_task
            || matches!(
                blocks.first(),
                None | Some(Block::Paragraph(_) | Block::Quote(_))
            )
        {
            let words = [vec![Inline::text("item ")], self.inlines(0)].concat();
            blocks.insert(0, Block::Paragraph(words));
        }
        let item = ListItem::new(blocks);
        if is_task {
            item.with_done(self.one_in(2))
        } else {
            item
        }
    }

    fn table(&mut self) -> Block {
        let columns = self.below(4) + 1;
        let alignments = (0..columns)
            .map(|_| {
                self.pick(&[
                    Alignment::None,
                    Alignment::Left,
                    Alignment::Center,
                    Alignment::Right,
                ])
            })
            .collect();
        let mut table = Table::new(alignments, (0..columns).map(|_| self.inlines(11)).collect());
        for _ in 0..self.below(4) {
            let row = (0..=self.below(columns))
                .map(|_| self.inlines(11))
                .collect();
            table.rows.push(row);
        }
        Block::Table(table)
    }

    /// Text and marks; a depth of 10 or more stands for a place that links must not be in.
    fn inlines(&mut self, depth: usize) -> Vec<Inline> {
        (0..self.below(5)).map(|_| self.inline(depth)).collect()
    }

    fn inline(&mut self, depth: usize) -> Inline {
        match self.below(if depth % 10 < 4 { 16 } else { 8 }) {
            0..=5 => Inline::text(self.text(3)),
            6 => Inline::Code(self.text(3)),
            7 => Inline::Break,
            8 | 9 => Inline::Strong(self.inlines(depth + 1)),
            10 | 11 => Inline::Emphasis(self.inlines(depth + 1)),
            12 => Inline::Strike(self.inlines(depth + 1)),
            13 if depth < 10 => Inline::Link {
                url: self
                    .pick(&["https://a.example/b_c", "a(b", "<c> d", "e|f", "&amp;\\*`"])
                    .into(),
                content: [vec![Inline::text("link")], self.inlines(depth + 11)].concat(),
            },
            13 | 14 => Inline::Underline(self.inlines(depth + 1)),
            _ => Inline::Mention {
                id: None,
                name: self.text(1),
            },
        }
    }
}

/// The marks on each character that is not white space.
pub(crate) fn marked_words(spanned: &Spanned) -> Vec<(char, Vec<&Mark>)> {
    let text = spanned.text();
    let mut spans = spanned.spans().iter().peekable();
    let mut open: Vec<&Span> = Vec::new();
    let mut words = Vec::new();
    for (at, char) in text.char_indices() {
        while let Some(span) = spans.next_if(|span| span.range.start <= at) {
            open.push(span);
        }
        open.retain(|span| span.range.end > at);
        if !char.is_whitespace() {
            let mut marks: Vec<&Mark> = open.iter().map(|span| &span.mark).collect();
            // Which one is outside does not matter.
            marks.sort_unstable_by_key(|mark| kind(mark));
            words.push((char, marks));
        }
    }
    words
}

fn kind(mark: &Mark) -> u8 {
    match mark {
        Mark::Strong => 0,
        Mark::Emphasis => 1,
        Mark::Underline => 2,
        Mark::Strike => 3,
        Mark::Spoiler => 4,
        Mark::Link { .. } => 5,
        Mark::Quote => 6,
        Mark::Heading(_) => 7,
        // Never two of these at one place.
        _ => 8,
    }
}
