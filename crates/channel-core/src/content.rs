//! Platform-neutral rich text: a small tree.
//!
//! `channel-text` makes it from Markdown and renders it to each dialect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::SenderId;

/// A rich text: a list of blocks.
///
/// ```
/// use channel_core::{Content, Inline};
///
/// let content = Content::paragraph([Inline::text("hello "), Inline::strong("world")]);
/// assert_eq!(content.to_plain(), "hello world");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Content {
    /// The blocks, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A block of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Block {
    /// Running text.
    Paragraph(Vec<Inline>),
    /// A heading of level 1 to 6.
    Heading {
        /// 1 is the highest.
        level: u8,
        /// The words.
        content: Vec<Inline>,
    },
    /// Quoted blocks.
    Quote(Vec<Self>),
    /// Preformatted text.
    Code {
        /// The language of the fence, if it named one.
        language: Option<String>,
        /// The lines, without a trailing line feed.
        text: String,
    },
    /// A list.
    List {
        /// The number of the first item; `None` for bullets.
        start: Option<u64>,
        /// The items.
        items: Vec<ListItem>,
    },
    /// A table.
    Table(Table),
    /// A horizontal rule.
    Rule,
}

/// One item of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListItem {
    /// Whether a task item is done; `None` for an ordinary item.
    pub done: Option<bool>,
    /// What the item holds.
    pub blocks: Vec<Block>,
}

impl ListItem {
    /// An ordinary item.
    #[must_use]
    pub const fn new(blocks: Vec<Block>) -> Self {
        Self { done: None, blocks }
    }

    /// Makes it a task item, done or still open.
    #[must_use]
    pub const fn with_done(mut self, done: bool) -> Self {
        self.done = Some(done);
        self
    }
}

/// A table: a header row and body rows of equal width.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Table {
    /// How each column is aligned.
    pub alignments: Vec<Alignment>,
    /// The header cells.
    pub header: Vec<Vec<Inline>>,
    /// The body rows.
    pub rows: Vec<Vec<Vec<Inline>>>,
}

impl Table {
    /// A table of these columns without rows.
    #[must_use]
    pub const fn new(alignments: Vec<Alignment>, header: Vec<Vec<Inline>>) -> Self {
        Self {
            alignments,
            header,
            rows: Vec::new(),
        }
    }
}

/// How a column is aligned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alignment {
    /// Not said.
    #[default]
    None,
    /// To the left.
    Left,
    /// In the middle.
    Center,
    /// To the right.
    Right,
}

/// A piece of text inside a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Inline {
    /// Literal text; a line feed in it is a line break.
    Text(String),
    /// Bold.
    Strong(Vec<Self>),
    /// Italic.
    Emphasis(Vec<Self>),
    /// Underlined.
    Underline(Vec<Self>),
    /// Struck through.
    Strike(Vec<Self>),
    /// Hidden until clicked.
    Spoiler(Vec<Self>),
    /// Monospaced, taken literally.
    Code(String),
    /// A link.
    Link {
        /// Where it leads.
        url: String,
        /// What is shown.
        content: Vec<Self>,
    },
    /// A mention of somebody.
    Mention {
        /// Who, where the platform gave an id.
        id: Option<SenderId>,
        /// The name as shown, with its mark: `@ada`.
        name: String,
    },
    /// A platform's own emoji.
    Emoji {
        /// The platform's id.
        id: String,
        /// A plain emoji or word to show where the platform's own is not known.
        fallback: String,
    },
    /// A line break.
    Break,
}

impl Inline {
    /// Literal text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Bold text.
    #[must_use]
    pub fn strong(text: impl Into<String>) -> Self {
        Self::Strong(vec![Self::text(text)])
    }

    /// Italic text.
    #[must_use]
    pub fn emphasis(text: impl Into<String>) -> Self {
        Self::Emphasis(vec![Self::text(text)])
    }

    /// Monospaced text.
    #[must_use]
    pub fn code(text: impl Into<String>) -> Self {
        Self::Code(text.into())
    }

    /// A link that shows `text`.
    #[must_use]
    pub fn link(url: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Link {
            url: url.into(),
            content: vec![Self::text(text)],
        }
    }

    fn write_plain(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Code(text) => out.write_str(text),
            Self::Mention { name, .. } => out.write_str(name),
            Self::Emoji { fallback, .. } => out.write_str(fallback),
            Self::Break => out.write_char('\n'),
            Self::Strong(inner)
            | Self::Emphasis(inner)
            | Self::Underline(inner)
            | Self::Strike(inner)
            | Self::Spoiler(inner)
            | Self::Link { content: inner, .. } => write_inlines(inner, out),
        }
    }
}

fn write_inlines(inlines: &[Inline], out: &mut impl fmt::Write) -> fmt::Result {
    inlines
        .iter()
        .try_for_each(|inline| inline.write_plain(out))
}

impl Content {
    /// One paragraph of literal text; line feeds stay line breaks.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            return Self::default();
        }
        Self::paragraph([Inline::Text(text)])
    }

    /// Blocks, from top to bottom.
    #[must_use]
    pub const fn new(blocks: Vec<Block>) -> Self {
        Self { blocks }
    }

    /// One paragraph.
    #[must_use]
    pub fn paragraph(inlines: impl IntoIterator<Item = Inline>) -> Self {
        Self {
            blocks: vec![Block::Paragraph(inlines.into_iter().collect())],
        }
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The words alone, without any mark: for search, logs of one's own and previews.
    ///
    /// What is sent to a platform is rendered by `channel-text`, which also keeps list
    /// numbers, quotes and link targets.
    #[must_use]
    pub fn to_plain(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write_blocks(&self.blocks, &mut out);
        out
    }
}

fn write_blocks(blocks: &[Block], out: &mut String) -> fmt::Result {
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match block {
            Block::Paragraph(inlines)
            | Block::Heading {
                content: inlines, ..
            } => {
                write_inlines(inlines, out)?;
            }
            Block::Quote(inner) => write_blocks(inner, out)?,
            Block::Code { text, .. } => out.push_str(text),
            Block::List { items, .. } => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push('\n');
                    }
                    write_blocks(&item.blocks, out)?;
                }
            }
            Block::Table(table) => {
                for (index, row) in std::iter::once(&table.header)
                    .chain(&table.rows)
                    .enumerate()
                {
                    if index > 0 {
                        out.push('\n');
                    }
                    for (index, cell) in row.iter().enumerate() {
                        if index > 0 {
                            out.push('\t');
                        }
                        write_inlines(cell, out)?;
                    }
                }
            }
            Block::Rule => {}
        }
    }
    Ok(())
}

/// What a message says, in the form in which the application has it.
///
/// A plain body is sent to the letter: nothing in it is taken for a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// Literal text.
    Plain(String),
    /// CommonMark with tables, strikethrough and task lists; raw HTML is literal text.
    Markdown(String),
    /// A tree.
    Content(Content),
}

impl Body {
    /// Literal text.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain(text.into())
    }

    /// Markdown source.
    #[must_use]
    pub fn markdown(source: impl Into<String>) -> Self {
        Self::Markdown(source.into())
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Plain(text) | Self::Markdown(text) => text.is_empty(),
            Self::Content(content) => content.is_empty(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        Self::Content(content)
    }
}
