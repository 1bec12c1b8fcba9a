//! The tree as a flat sequence of events, without recursion.

use std::slice;

use channel_core::{Block, Content, Inline, ListItem, Table};

use crate::visit::Tag;

/// One step through a tree, exactly as the tree has it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Open(Tag<'a>),
    Close(Tag<'a>),
    Text(&'a str),
}

/// What is still to be walked, innermost last.
#[derive(Debug)]
enum Frame<'a> {
    Blocks(slice::Iter<'a, Block>),
    Items(slice::Iter<'a, ListItem>, Option<u64>),
    Header(&'a Table),
    Rows(slice::Iter<'a, Vec<Vec<Inline>>>),
    Cells(slice::Iter<'a, Vec<Inline>>),
    Inlines(slice::Iter<'a, Inline>),
    Text(&'a str),
    Close(Tag<'a>),
}

/// Walks a tree of any depth with a stack of its own.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    stack: Vec<Frame<'a>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(content: &'a Content) -> Self {
        Self {
            stack: vec![Frame::Blocks(content.blocks.iter())],
        }
    }

    fn enter(&mut self, tag: Tag<'a>, inner: Frame<'a>) -> Step<'a> {
        self.stack.push(Frame::Close(tag));
        self.stack.push(inner);
        Step::Open(tag)
    }

    fn block(&mut self, block: &'a Block) -> Option<Step<'a>> {
        Some(match block {
            Block::Paragraph(inlines) => self.enter(Tag::Paragraph, Frame::Inlines(inlines.iter())),
            Block::Heading { level, content } => self.enter(
                Tag::Heading((*level).clamp(1, 6)),
                Frame::Inlines(content.iter()),
            ),
            Block::Quote(blocks) => self.enter(Tag::Quote, Frame::Blocks(blocks.iter())),
            Block::Code { language, text } => {
                let language = language.as_deref();
                self.enter(Tag::CodeBlock { language }, Frame::Text(text))
            }
            Block::List { start, items } => {
                let start = *start;
                self.enter(Tag::List { start }, Frame::Items(items.iter(), start))
            }
            Block::Table(table) => self.enter(Tag::Table(&table.alignments), Frame::Header(table)),
            Block::Rule => self.enter(Tag::Rule, Frame::Text("")),
            _ => return None,
        })
    }

    fn inline(&mut self, inline: &'a Inline) -> Option<Step<'a>> {
        let (tag, inner) = match inline {
            Inline::Text(text) => return Some(Step::Text(text)),
            Inline::Break => return Some(Step::Text("\n")),
            Inline::Code(text) => (Tag::Code, Frame::Text(text)),
            Inline::Mention { id, name } => (Tag::Mention { id: id.as_ref() }, Frame::Text(name)),
            Inline::Emoji { id, fallback } => (Tag::Emoji { id }, Frame::Text(fallback)),
            Inline::Strong(inner) => (Tag::Strong, Frame::Inlines(inner.iter())),
            Inline::Emphasis(inner) => (Tag::Emphasis, Frame::Inlines(inner.iter())),
            Inline::Underline(inner) => (Tag::Underline, Frame::Inlines(inner.iter())),
            Inline::Strike(inner) => (Tag::Strike, Frame::Inlines(inner.iter())),
            Inline::Spoiler(inner) => (Tag::Spoiler, Frame::Inlines(inner.iter())),
            Inline::Link { url, content } => (Tag::Link { url }, Frame::Inlines(content.iter())),
            _ => return None,
        };
        Some(self.enter(tag, inner))
    }

    fn item(&mut self, item: &'a ListItem, number: Option<u64>) -> Step<'a> {
        let done = item.done;
        self.enter(
            Tag::Item { number, done },
            Frame::Blocks(item.blocks.iter()),
        )
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        loop {
            let step = match self.stack.last_mut()? {
                Frame::Blocks(blocks) => match blocks.next() {
                    Some(block) => self.block(block),
                    None => self.leave(),
                },
                Frame::Items(items, number) => match items.next() {
                    Some(item) => {
                        let this = *number;
                        *number = this.map(|number| number.saturating_add(1));
                        Some(self.item(item, this))
                    }
                    None => self.leave(),
                },
                Frame::Header(table) => {
                    let table = *table;
                    self.stack.pop();
                    self.stack.push(Frame::Rows(table.rows.iter()));
                    let cells = Frame::Cells(table.header.iter());
                    Some(self.enter(Tag::Row { header: true }, cells))
                }
                Frame::Rows(rows) => match rows.next() {
                    Some(row) => {
                        let cells = Frame::Cells(row.iter());
                        Some(self.enter(Tag::Row { header: false }, cells))
                    }
                    None => self.leave(),
                },
                Frame::Cells(cells) => match cells.next() {
                    Some(cell) => Some(self.enter(Tag::Cell, Frame::Inlines(cell.iter()))),
                    None => self.leave(),
                },
                Frame::Inlines(inlines) => match inlines.next() {
                    Some(inline) => self.inline(inline),
                    None => self.leave(),
                },
                Frame::Text(text) => {
                    let text = *text;
                    self.stack.pop();
                    Some(Step::Text(text))
                }
                Frame::Close(tag) => {
                    let tag = *tag;
                    self.stack.pop();
                    Some(Step::Close(tag))
                }
            };
            if step.is_some() {
                return step;
            }
        }
    }
}

impl Walk<'_> {
    fn leave<T>(&mut self) -> Option<T> {
        self.stack.pop();
        None
    }
}
