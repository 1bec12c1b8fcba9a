//! `parse_mode=MarkdownV2`. <https://core.telegram.org/bots/api#markdownv2-style>

use serde_json::{Value, json};

use super::legacy::fence;
use super::{Formatted, Output, Scanner, link};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    TextUrl,
    CustomEmoji,
    BlockQuote,
}

impl Kind {
    /// The name in error texts.
    const fn title(self) -> &'static str {
        match self {
            Self::Bold => "Bold",
            Self::Italic => "Italic",
            Self::Underline => "Underline",
            Self::Strikethrough => "Strikethrough",
            Self::Spoiler => "Spoiler",
            Self::TextUrl => "TextUrl",
            Self::CustomEmoji => "CustomEmoji",
            Self::BlockQuote => "BlockQuote",
        }
    }

    /// The entity type; links and emoji find theirs when their address is read.
    const fn entity(self) -> &'static str {
        match self {
            Self::Bold => "bold",
            Self::Italic => "italic",
            Self::Underline => "underline",
            Self::Strikethrough => "strikethrough",
            Self::Spoiler => "spoiler",
            Self::BlockQuote => "blockquote",
            Self::TextUrl | Self::CustomEmoji => "",
        }
    }

    /// What ends it.
    const fn end(self) -> &'static str {
        match self {
            Self::Bold => "*",
            Self::Italic => "_",
            Self::Underline => "__",
            Self::Strikethrough => "~",
            Self::Spoiler => "||",
            Self::TextUrl | Self::CustomEmoji => "]",
            Self::BlockQuote => "\n",
        }
    }
}

struct Open {
    kind: Kind,
    offset: usize,
    begin: usize,
}

const RESERVED: &str = "_*[]()~`>#+-=|{}.!";

struct Parser<'a> {
    input: Scanner<'a>,
    output: Output,
    open: Vec<Open>,
}

pub(super) fn parse(text: &str) -> Result<Formatted, String> {
    let mut parser = Parser {
        input: Scanner::new(text),
        output: Output::default(),
        open: Vec::new(),
    };
    while let Some(c) = parser.input.peek() {
        parser.step(c)?;
    }
    if parser.top() == Some(Kind::BlockQuote) {
        parser.finish_quote("blockquote");
    }
    match parser.open.pop() {
        Some(open) => Err(unfinished(&open)),
        None => Ok(parser.output.finish()),
    }
}

fn unfinished(open: &Open) -> String {
    format!(
        "Can't find end of {} entity at byte offset {}",
        open.kind.title(),
        open.begin
    )
}

impl Parser<'_> {
    fn top(&self) -> Option<Kind> {
        self.open.last().map(|open| open.kind)
    }

    fn step(&mut self, c: char) -> Result<(), String> {
        let begin = self.input.at;
        if c == '\\' {
            self.input.next();
            match self
                .input
                .peek()
                .filter(|c| matches!(*c, '\u{1}'..='\u{7e}'))
            {
                Some(escaped) => {
                    self.input.next();
                    self.output.push(escaped);
                }
                None => self.output.push('\\'),
            }
            return Ok(());
        }
        if c == '\n' {
            return self.newline();
        }
        if !RESERVED.contains(c) {
            self.input.next();
            self.output.push(c);
            return Ok(());
        }
        if self.top() == Some(Kind::BlockQuote) && self.expandable_end() {
            return Ok(());
        }
        if let Some(kind) = self.top()
            && self.ends(kind)
        {
            self.input.eat(kind.end());
            return self.close(kind);
        }
        let at_line_start = self.output.text.is_empty() || self.output.text.ends_with('\n');
        let kind = match c {
            '`' => return self.code(),
            '*' => Kind::Bold,
            '_' if self.input.peek_second() == Some('_') => Kind::Underline,
            '_' => Kind::Italic,
            '~' => Kind::Strikethrough,
            '|' if self.input.peek_second() == Some('|') => Kind::Spoiler,
            '[' => Kind::TextUrl,
            '!' if self.input.peek_second() == Some('[') => Kind::CustomEmoji,
            '>' if at_line_start && self.open.is_empty() => Kind::BlockQuote,
            _ => {
                return Err(format!(
                    "Character '{c}' is reserved and must be escaped with the preceding '\\'"
                ));
            }
        };
        self.input.at += match kind {
            Kind::Underline | Kind::Spoiler | Kind::CustomEmoji => 2,
            _ => 1,
        };
        self.open.push(Open {
            kind,
            offset: self.output.units,
            begin,
        });
        Ok(())
    }

    /// Whether the entity ends here. `__` is underline before it is the end of italics.
    fn ends(&self, kind: Kind) -> bool {
        match kind {
            Kind::Italic => {
                self.input.peek_second() != Some('_') && self.input.rest().starts_with('_')
            }
            Kind::BlockQuote => false,
            _ => self.input.rest().starts_with(kind.end()),
        }
    }

    fn close(&mut self, kind: Kind) -> Result<(), String> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        match kind {
            // Without an address the text stands for itself.
            Kind::TextUrl => {
                if let Some(url) = self.address()? {
                    let (kind, extra) = link(&url);
                    self.output.mark(kind, open.offset, extra);
                }
            }
            Kind::CustomEmoji => {
                let address = self.address()?.unwrap_or_default();
                let id = address
                    .strip_prefix("tg://emoji?id=")
                    .filter(|id| id.bytes().all(|b| b.is_ascii_digit()));
                let Some(id) = id else {
                    return Err("Custom emoji URL must have a valid tg://emoji link".to_owned());
                };
                self.output.mark(
                    "custom_emoji",
                    open.offset,
                    json!({ "custom_emoji_id": id }),
                );
            }
            _ => self.output.mark(kind.entity(), open.offset, Value::Null),
        }
        Ok(())
    }

    /// `(address)` behind `]`; only `)` and `\` are escaped in it.
    fn address(&mut self) -> Result<Option<String>, String> {
        let begin = self.input.at;
        if !self.input.eat("(") {
            return Ok(None);
        }
        let mut address = String::new();
        loop {
            match self.input.next() {
                None => return Err(format!("Can't find end of a URL at byte offset {begin}")),
                Some(')') => return Ok(Some(address)),
                Some('\\') => match self
                    .input
                    .peek()
                    .filter(|c| matches!(*c, '\u{1}'..='\u{7e}'))
                {
                    Some(escaped) => {
                        self.input.next();
                        address.push(escaped);
                    }
                    None => address.push('\\'),
                },
                Some(c) => address.push(c),
            }
        }
    }

    /// Inline or fenced code; only `` ` `` and `\` are escaped in it.
    fn code(&mut self) -> Result<(), String> {
        let begin = self.input.at;
        let (end, name) = if self.input.rest().starts_with("```") {
            ("```", "Pre")
        } else {
            ("`", "Code")
        };
        self.input.eat(end);
        let mut content = String::new();
        while !self.input.eat(end) {
            match self.input.next() {
                None => {
                    return Err(format!(
                        "Can't find end of {name} entity at byte offset {begin}"
                    ));
                }
                Some('\\') if matches!(self.input.peek(), Some('\u{1}'..='\u{7e}')) => {
                    content.extend(self.input.next());
                }
                Some('`') => {
                    return Err(
                        "Character '`' is reserved and must be escaped with the preceding '\\'"
                            .to_owned(),
                    );
                }
                Some(c) => content.push(c),
            }
        }
        let offset = self.output.units;
        let (extra, code) = if name == "Pre" {
            fence(&content)
        } else {
            (Value::Null, content.as_str())
        };
        code.chars().for_each(|c| self.output.push(c));
        self.output
            .mark(if name == "Pre" { "pre" } else { "code" }, offset, extra);
        Ok(())
    }

    /// A quote goes on while lines begin with `>`.
    fn newline(&mut self) -> Result<(), String> {
        self.input.next();
        if self.open.iter().any(|open| open.kind == Kind::BlockQuote) {
            if self.input.eat(">") {
                self.output.push('\n');
                return Ok(());
            }
            if let Some(inner) = self
                .open
                .last()
                .filter(|open| open.kind != Kind::BlockQuote)
            {
                return Err(unfinished(inner));
            }
            self.finish_quote("blockquote");
        }
        self.output.push('\n');
        Ok(())
    }

    /// `||` at the end of a quote folds it.
    fn expandable_end(&mut self) -> bool {
        let Some(after) = self.input.rest().strip_prefix("||") else {
            return false;
        };
        let ends_quote = match after.strip_prefix('\n') {
            Some(next_line) => !next_line.starts_with('>'),
            None => after.is_empty(),
        };
        if ends_quote {
            self.input.eat("||");
            self.finish_quote("expandable_blockquote");
        }
        ends_quote
    }

    fn finish_quote(&mut self, kind: &str) {
        if let Some(open) = self.open.pop() {
            self.output.mark(kind, open.offset, Value::Null);
        }
    }
}
