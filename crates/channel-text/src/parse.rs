//! Markdown source as a tree.

use std::borrow::Cow;

use channel_core::{Alignment, Block, Body, Content, Inline, ListItem, Table};
use pulldown_cmark as cmark;
use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser};

use crate::flatten::flatten;
use crate::span::Spanned;

/// Quotes, lists and tables nest to this depth, and as deep again the marks inside them;
/// what is deeper loses its frame and keeps its words. Trees are dropped,
/// compared and stored by recursion, so their depth must not be the sender's choice.
const MAX_DEPTH: usize = 32;

/// List markers that may open lists on one line. The parser takes time in proportion to
/// the depth of lists for every further line, so thousands of them would cost seconds.
const MAX_MARKERS: usize = 500;

/// Reads CommonMark with tables, strikethrough and task lists.
///
/// Raw HTML is literal text. A line break in the source is a line break in the content,
/// as writers in chats mean it. An image becomes a link that shows its description.
/// Nesting deeper than 32 levels is flattened. Any text is valid Markdown; the time is
/// linear in its length.
///
/// ```
/// use channel_core::{Content, Inline};
/// use channel_text::parse_markdown;
///
/// assert_eq!(
///     parse_markdown("hello **world**"),
///     Content::paragraph([Inline::text("hello "), Inline::strong("world")]),
/// );
/// ```
#[must_use]
pub fn parse_markdown(source: &str) -> Content {
    let source = bound_markers(source);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(&source, options) {
        reader.event(event);
    }
    reader.finish()
}

/// The content of a body: plain text to the letter, Markdown parsed, a tree as it is.
#[must_use]
pub fn content_of(body: &Body) -> Cow<'_, Content> {
    match body {
        Body::Content(content) => Cow::Borrowed(content),
        Body::Markdown(source) => Cow::Owned(parse_markdown(source)),
        Body::Plain(text) => Cow::Owned(Content::plain(text.as_str())),
        _ => Cow::Owned(Content::default()),
    }
}

/// The flat text of a body: plain text to the letter and without a look at it, anything
/// else through [`flatten`].
#[must_use]
pub fn spanned_of(body: &Body) -> Spanned {
    match body {
        Body::Plain(text) => Spanned::plain(text.as_str()),
        body => flatten(&content_of(body)),
    }
}

/// Takes the meaning from list markers beyond the bound on any line.
fn bound_markers(source: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut line_start = 0;
    for line in source.split_inclusive(['\n', '\r']) {
        if let Some(offset) = excess_marker(line) {
            let until = line_start + offset;
            out.push_str(source.get(copied..until).unwrap_or_default());
            out.push('\\');
            copied = until;
        }
        line_start += line.len();
    }
    if copied == 0 {
        return Cow::Borrowed(source);
    }
    out.push_str(source.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where to put a backslash so that a line opens no more than the allowed lists.
fn excess_marker(line: &str) -> Option<usize> {
    let mut markers = 0;
    let mut digits = false;
    for (offset, byte) in line.bytes().enumerate() {
        match byte {
            b' ' | b'\t' | b'>' => digits = false,
            b'0'..=b'9' => digits = true,
            b'-' | b'+' | b'*' => markers += 1,
            b'.' | b')' if digits => markers += 1,
            _ => return None,
        }
        if markers > MAX_MARKERS {
            return Some(offset);
        }
    }
    None
}

/// A block or mark under construction.
#[derive(Debug)]
enum Frame {
    Quote(Vec<Block>),
    List(Option<u64>, Vec<ListItem>),
    Item(ListItem),
    Table(Table),
    Row(Vec<Vec<Inline>>),
    Cell(Vec<Inline>),
    /// A paragraph; implicit ones hold inlines that stand in a block without one.
    Paragraph(Vec<Inline>),
    Heading(u8, Vec<Inline>),
    Code(Option<String>, String),
    Strong(Vec<Inline>),
    Emphasis(Vec<Inline>),
    Strike(Vec<Inline>),
    Link(String, Vec<Inline>),
}

#[derive(Debug, Default)]
struct Reader {
    blocks: Vec<Block>,
    stack: Vec<Frame>,
    /// Whether the frame on top is a paragraph that the source does not close.
    is_implicit: bool,
    depth: usize,
    marks: usize,
    /// Open containers and marks that are beyond the depth and have no frame.
    flat: usize,
    flat_marks: usize,
    in_link: bool,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(code) => self.push(Inline::Code(code.into_string())),
            Event::SoftBreak | Event::HardBreak => self.push(Inline::Break),
            Event::Rule => {
                self.end_implicit();
                self.push_block(Block::Rule);
            }
            Event::TaskListMarker(done) => {
                let item = self.stack.iter_mut().rev().find_map(|frame| match frame {
                    Frame::Item(item) => Some(item),
                    _ => None,
                });
                if let Some(item) = item
                    && self.flat == 0
                {
                    item.done = Some(done);
                }
            }
            // Not enabled.
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) => {}
        }
    }

    fn start(&mut self, tag: cmark::Tag<'_>) {
        if is_mark(&tag) {
            self.start_mark(tag);
            return;
        }
        self.end_implicit();
        let frame = match tag {
            cmark::Tag::Paragraph | cmark::Tag::HtmlBlock => Frame::Paragraph(Vec::new()),
            cmark::Tag::Heading { level, .. } => Frame::Heading(level as u8, Vec::new()),
            cmark::Tag::CodeBlock(kind) => Frame::Code(language(kind), String::new()),
            container => {
                let is_part = matches!(
                    container,
                    cmark::Tag::Item
                        | cmark::Tag::TableHead
                        | cmark::Tag::TableRow
                        | cmark::Tag::TableCell
                );
                if self.flat > 0 || (!is_part && self.depth >= MAX_DEPTH) {
                    self.flat += 1;
                    return;
                }
                self.depth += usize::from(!is_part);
                match container {
                    cmark::Tag::List(start) => Frame::List(start, Vec::new()),
                    cmark::Tag::Item => Frame::Item(ListItem::default()),
                    cmark::Tag::Table(alignments) => {
                        let alignments = alignments.into_iter().map(alignment).collect();
                        Frame::Table(Table::new(alignments, Vec::new()))
                    }
                    cmark::Tag::TableHead | cmark::Tag::TableRow => Frame::Row(Vec::new()),
                    cmark::Tag::TableCell => Frame::Cell(Vec::new()),
                    _ => Frame::Quote(Vec::new()),
                }
            }
        };
        self.stack.push(frame);
    }

    fn start_mark(&mut self, tag: cmark::Tag<'_>) {
        let is_link = matches!(tag, cmark::Tag::Link { .. } | cmark::Tag::Image { .. });
        if self.flat_marks > 0 || self.marks >= MAX_DEPTH || (is_link && self.in_link) {
            self.flat_marks += 1;
            return;
        }
        self.begin_implicit();
        self.marks += 1;
        self.stack.push(match tag {
            cmark::Tag::Strong => Frame::Strong(Vec::new()),
            cmark::Tag::Strikethrough => Frame::Strike(Vec::new()),
            cmark::Tag::Link {
                link_type: LinkType::Email,
                dest_url,
                ..
            } => Frame::Link(format!("mailto:{dest_url}"), Vec::new()),
            cmark::Tag::Link { dest_url, .. } | cmark::Tag::Image { dest_url, .. } => {
                Frame::Link(dest_url.into_string(), Vec::new())
            }
            _ => Frame::Emphasis(Vec::new()),
        });
        self.in_link |= is_link;
    }

    fn end(&mut self, tag: cmark::TagEnd) {
        match tag {
            cmark::TagEnd::Emphasis
            | cmark::TagEnd::Strong
            | cmark::TagEnd::Strikethrough
            | cmark::TagEnd::Link
            | cmark::TagEnd::Image => {
                if self.flat_marks > 0 {
                    self.flat_marks -= 1;
                } else {
                    self.marks -= 1;
                    self.close();
                }
            }
            cmark::TagEnd::Paragraph
            | cmark::TagEnd::HtmlBlock
            | cmark::TagEnd::Heading(_)
            | cmark::TagEnd::CodeBlock => self.close(),
            part_or_container => {
                self.end_implicit();
                if self.flat > 0 {
                    self.flat -= 1;
                    return;
                }
                let is_container = matches!(
                    part_or_container,
                    cmark::TagEnd::BlockQuote(_) | cmark::TagEnd::List(_) | cmark::TagEnd::Table
                );
                self.depth -= usize::from(is_container);
                self.close();
            }
        }
    }

    /// Ends the innermost frame and puts it into the one around it.
    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        match frame {
            Frame::Quote(blocks) => self.push_block(Block::Quote(blocks)),
            Frame::List(start, items) => self.push_block(Block::List { start, items }),
            Frame::Item(item) => match self.stack.last_mut() {
                Some(Frame::List(_, items)) => items.push(item),
                _ => self.push_block(Block::List {
                    start: None,
                    items: vec![item],
                }),
            },
            Frame::Table(table) => self.push_block(Block::Table(table)),
            Frame::Row(cells) => {
                if let Some(Frame::Table(table)) = self.stack.last_mut() {
                    if table.header.is_empty() {
                        table.header = cells;
                    } else {
                        table.rows.push(cells);
                    }
                }
            }
            Frame::Cell(inlines) => {
                if let Some(Frame::Row(cells)) = self.stack.last_mut() {
                    cells.push(inlines);
                }
            }
            Frame::Paragraph(mut inlines) => {
                trim_end(&mut inlines);
                if !inlines.is_empty() {
                    self.push_block(Block::Paragraph(inlines));
                }
            }
            Frame::Heading(level, content) => self.push_block(Block::Heading { level, content }),
            Frame::Code(language, mut text) => {
                if text.ends_with('\n') {
                    text.pop();
                }
                self.push_block(Block::Code { language, text });
            }
            Frame::Strong(inner) => self.push(Inline::Strong(inner)),
            Frame::Emphasis(inner) => self.push(Inline::Emphasis(inner)),
            Frame::Strike(inner) => self.push(Inline::Strike(inner)),
            Frame::Link(url, content) => {
                self.in_link = false;
                self.push(Inline::Link { url, content });
            }
        }
    }

    fn push_block(&mut self, block: Block) {
        match self.stack.last_mut() {
            Some(Frame::Quote(blocks)) => blocks.push(block),
            Some(Frame::Item(item)) => item.blocks.push(block),
            _ => self.blocks.push(block),
        }
    }

    /// The inlines that further words go to, inside a paragraph of their own if need be.
    fn inlines(&mut self) -> Option<&mut Vec<Inline>> {
        self.begin_implicit();
        match self.stack.last_mut()? {
            Frame::Cell(inlines)
            | Frame::Paragraph(inlines)
            | Frame::Heading(_, inlines)
            | Frame::Strong(inlines)
            | Frame::Emphasis(inlines)
            | Frame::Strike(inlines)
            | Frame::Link(_, inlines) => Some(inlines),
            _ => None,
        }
    }

    fn push(&mut self, inline: Inline) {
        if let Some(inlines) = self.inlines() {
            inlines.push(inline);
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(Frame::Code(_, code)) = self.stack.last_mut() {
            code.push_str(text);
            return;
        }
        if let Some(inlines) = self.inlines() {
            if let Some(Inline::Text(last)) = inlines.last_mut() {
                last.push_str(text);
            } else {
                inlines.push(Inline::text(text));
            }
        }
    }

    fn begin_implicit(&mut self) {
        if matches!(
            self.stack.last(),
            None | Some(Frame::Quote(_) | Frame::Item(_))
        ) {
            self.stack.push(Frame::Paragraph(Vec::new()));
            self.is_implicit = true;
        }
    }

    fn end_implicit(&mut self) {
        if std::mem::take(&mut self.is_implicit) {
            self.close();
        }
    }

    fn finish(mut self) -> Content {
        self.end_implicit();
        Content::new(self.blocks)
    }
}

const fn is_mark(tag: &cmark::Tag<'_>) -> bool {
    matches!(
        tag,
        cmark::Tag::Emphasis
            | cmark::Tag::Strong
            | cmark::Tag::Strikethrough
            | cmark::Tag::Link { .. }
            | cmark::Tag::Image { .. }
    )
}

/// The first word of the fence's header line.
fn language(kind: CodeBlockKind<'_>) -> Option<String> {
    match kind {
        CodeBlockKind::Fenced(info) => info.split_whitespace().next().map(str::to_owned),
        CodeBlockKind::Indented => None,
    }
}

const fn alignment(alignment: cmark::Alignment) -> Alignment {
    match alignment {
        cmark::Alignment::None => Alignment::None,
        cmark::Alignment::Left => Alignment::Left,
        cmark::Alignment::Center => Alignment::Center,
        cmark::Alignment::Right => Alignment::Right,
    }
}

/// Takes off the line feed in which raw HTML ends.
fn trim_end(inlines: &mut Vec<Inline>) {
    if let Some(Inline::Text(text)) = inlines.last_mut() {
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        if text.is_empty() {
            inlines.pop();
        }
    }
}
