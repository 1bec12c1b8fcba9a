//! Words and inline marks as Markdown source.
//!
//! Whether `**` opens or closes depends on the characters beside it. Where those are in
//! the way, the outer one is written as a character reference, which reads back the same
//! and counts as punctuation.

use crate::visit::Tag;

/// Where the words stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    Paragraph,
    Heading,
    Cell,
}

/// What comes between the words so far and the next ones.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Open(Delimiter),
    Close(Delimiter),
    Break,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Delimiter {
    Strong,
    Emphasis,
    Strike,
    Link(String),
}

impl Delimiter {
    fn of(tag: &Tag<'_>) -> Option<Self> {
        Some(match tag {
            Tag::Strong => Self::Strong,
            Tag::Emphasis => Self::Emphasis,
            Tag::Strike => Self::Strike,
            Tag::Link { url } => Self::Link((*url).to_owned()),
            _ => return None,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inlines {
    out: String,
    place: Place,
    due: Vec<Due>,
    in_code: bool,
    /// The last character of the words so far, if it stands in the output as it is.
    last: Option<char>,
    /// Whether the line holds nothing yet, or nothing but digits.
    line: Line,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    Digits,
    Words,
}

impl Inlines {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    pub(crate) fn open(&mut self, tag: &Tag<'_>) {
        self.in_code |= *tag == Tag::Code;
        if let Some(delimiter) = Delimiter::of(tag) {
            // A mark that goes on behind one that Markdown lacks was never closed.
            if self.due.last() == Some(&Due::Close(delimiter.clone())) {
                self.due.pop();
            } else {
                self.due.push(Due::Open(delimiter));
            }
        }
    }

    pub(crate) fn close(&mut self, tag: &Tag<'_>) {
        self.in_code &= *tag != Tag::Code;
        if let Some(delimiter) = Delimiter::of(tag) {
            self.due.push(Due::Close(delimiter));
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        if self.in_code {
            self.code(text);
            return;
        }
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\n' => self.due.push(Due::Break),
                '\r' if chars.peek() == Some(&'\n') => {}
                '\r' => self.due.push(Due::Break),
                _ => self.char(char, chars.clone()),
            }
        }
    }

    pub(crate) fn finish(mut self) -> String {
        // Line breaks at the end would be read as backslashes.
        self.due.retain(|due| *due != Due::Break);
        self.settle(None);
        self.out
    }

    fn char(&mut self, char: char, rest: impl Iterator<Item = char>) {
        let reference = self.settle(Some(char));
        let at_start = self.line == Line::Empty;
        if reference || (at_start && matches!(char, ' ' | '\t')) {
            self.reference(char);
            self.last = None;
            self.line = Line::Words;
            return;
        }
        let is_special = match char {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '~' => true,
            '#' => at_start || self.place == Place::Heading,
            '-' | '+' | '=' | '>' | ':' => at_start,
            '|' => at_start || self.place == Place::Cell,
            '.' | ')' => self.line == Line::Digits,
            '&' => may_be_reference(rest),
            _ => false,
        };
        if is_special {
            self.out.push('\\');
        }
        self.out.push(char);
        self.last = Some(char);
        self.line = match self.line {
            Line::Empty if char.is_whitespace() => Line::Empty,
            Line::Empty | Line::Digits if char.is_ascii_digit() => Line::Digits,
            _ => Line::Words,
        };
    }

    fn code(&mut self, text: &str) {
        let text = text.replace("\r\n", " ").replace(['\r', '\n'], " ");
        if text.is_empty() {
            return;
        }
        self.settle(Some('`'));
        let is_run = |fence: &str| text.split(|c| c != '`').any(|run| run == fence);
        let mut fence = String::from("`");
        while is_run(&fence) {
            fence.push('`');
        }
        let is_edge = |c: char| c == '`' || c == ' ';
        let pad = if text.starts_with(is_edge) || text.ends_with(is_edge) {
            " "
        } else {
            ""
        };
        let text = match self.place {
            Place::Cell => text.replace('|', "\\|"),
            _ => text,
        };
        for piece in [fence.as_str(), pad, &text, pad, &fence] {
            self.out.push_str(piece);
        }
        self.last = None;
        self.line = Line::Words;
    }

    /// Writes what is due before the next character; says whether that character has to
    /// be written as a reference.
    fn settle(&mut self, next: Option<char>) -> bool {
        if self.due.is_empty() {
            return false;
        }
        let mut due = std::mem::take(&mut self.due);
        if self.out.is_empty() {
            due.retain(|due| *due != Due::Break);
        }
        let before = self.last;
        if matches!(due.first(), Some(Due::Open(_))) && needs_reference(before, &due, next) {
            // What stands before a delimiter that opens is in the way.
            if let Some(char) = before {
                self.out.pop();
                self.reference(char);
            }
        } else if before == Some('!') && matches!(due.first(), Some(Due::Open(Delimiter::Link(_))))
        {
            self.out.pop();
            self.out.push_str("\\!");
        }
        let in_the_way =
            matches!(due.last(), Some(Due::Close(_))) && needs_reference(next, &due, before);
        for due in due {
            match due {
                Due::Break if self.place == Place::Paragraph => {
                    self.out.push_str("\\\n");
                    self.line = Line::Empty;
                }
                Due::Break => self.out.push(' '),
                Due::Open(Delimiter::Link(_)) => self.out.push('['),
                Due::Close(Delimiter::Link(url)) => self.target(&url),
                Due::Open(Delimiter::Strong) | Due::Close(Delimiter::Strong) => {
                    self.out.push_str("**");
                }
                Due::Open(Delimiter::Emphasis) | Due::Close(Delimiter::Emphasis) => {
                    self.out.push('_');
                }
                Due::Open(Delimiter::Strike) | Due::Close(Delimiter::Strike) => {
                    self.out.push_str("~~");
                }
            }
        }
        self.last = None;
        in_the_way
    }

    fn reference(&mut self, char: char) {
        self.out.push_str(&format!("&#{};", u32::from(char)));
    }

    /// Where a link leads.
    fn target(&mut self, url: &str) {
        let is_bare = !url.is_empty()
            && !url
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '(' | ')' | '<' | '>'));
        self.out.push_str(if is_bare { "](" } else { "](<" });
        for char in url.chars() {
            match char {
                '\n' => self.out.push_str("%0A"),
                '\r' => self.out.push_str("%0D"),
                '\\' | '&' | '<' | '>' | '`' => self.out.extend(['\\', char]),
                '|' if self.place == Place::Cell => self.out.push_str("\\|"),
                char => self.out.push(char),
            }
        }
        self.out.push_str(if is_bare { ")" } else { ">)" });
    }
}

/// Whether the character outside of a delimiter keeps it from opening or closing.
fn needs_reference(outside: Option<char>, due: &[Due], inside: Option<char>) -> bool {
    let Some(outside) = outside else {
        return false;
    };
    if outside.is_whitespace() || outside.is_ascii_punctuation() {
        return false;
    }
    let is_simple = inside.is_some_and(char::is_alphanumeric);
    match due {
        [Due::Open(Delimiter::Link(_)) | Due::Close(Delimiter::Link(_))] => false,
        [Due::Open(one) | Due::Close(one)] => !is_simple || *one == Delimiter::Emphasis,
        _ => true,
    }
}

/// Whether what follows an ampersand may make it a character reference.
fn may_be_reference(rest: impl Iterator<Item = char>) -> bool {
    let mut rest = rest.skip_while(|c| c.is_ascii_alphanumeric() || *c == '#');
    rest.next().is_none_or(|c| c == ';')
}
