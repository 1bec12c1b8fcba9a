//! Words as DingTalk wants them: a text, or its subset of Markdown
//! (<https://open.dingtalk.com/document/orgapp/types-of-messages-sent-by-robots>).

use channel_core::{Block, Body, Content, Inline, ListItem, Table, TextLimit};
use channel_text::{Mark, Spanned, content_of, spanned_of, to_plain};
use serde_json::{Value, json};

use crate::ids::is_staff;
use crate::limits;

/// Who sees what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A session or a custom robot, which can mention people by a list beside the words.
    Session,
    /// The robot's own calls, which mention nobody.
    Robot,
    /// An AI card, which has tables.
    Card,
}

/// One message's worth of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(Spanned);

/// Whether there is nothing to show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The size of a part in characters, or as many as its `msgParam` is worth in bytes.
fn measure(part: &Spanned) -> usize {
    let words = Words(part.clone());
    let bytes = words.robot().1.to_string().len();
    let worth = (bytes * limits::TEXT.max).div_ceil(limits::PARAM);
    limits::TEXT.unit.measure(part.text()).max(worth)
}

/// The messages that a body becomes.
pub(crate) fn words(body: &Body) -> Vec<Words> {
    let flat = match body {
        Body::Plain(text) => Spanned::plain(text.as_str()),
        _ => spanned_of(body),
    };
    let parts = if measure(&flat) <= limits::TEXT.max {
        vec![flat]
    } else {
        flat.split_by(limits::TEXT.max, measure)
    };
    let parts = parts.into_iter().filter(|part| !is_blank(part.text()));
    parts.map(Words).collect()
}

impl Words {
    /// Whether nothing in it needs Markdown: a text shows every character as it is.
    fn is_plain(&self) -> bool {
        let mut marks = self.0.spans().iter().map(|span| &span.mark);
        marks.all(|mark| matches!(mark, Mark::Mention { .. } | Mark::Emoji { .. }))
    }

    fn write(&self, dialect: Dialect) -> Writer {
        let mut writer = Writer::new(dialect);
        writer.is_text = dialect != Dialect::Card && self.is_plain();
        writer.out = writer.blocks(&self.0.to_content().blocks);
        writer
    }

    /// What stands over the words where only that is shown.
    pub(crate) fn title(&self) -> String {
        let mut lines = self.0.text().lines().map(str::trim);
        let first = lines.find(|line| !line.is_empty());
        cut(first.unwrap_or("\u{2026}"), limits::TITLE)
    }

    /// The body for a session webhook or a custom robot.
    pub(crate) fn session(&self) -> Value {
        let written = self.write(Dialect::Session);
        let mut body = if written.is_text {
            let text = self.text(&written);
            json!({"msgtype": "text", "text": {"content": text}})
        } else {
            let markdown = json!({"title": self.title(), "text": written.out});
            json!({"msgtype": "markdown", "markdown": markdown})
        };
        mention(&mut body, &written.mentioned);
        body
    }

    /// `msgKey` and `msgParam` for the robot's own calls.
    pub(crate) fn robot(&self) -> (&'static str, Value) {
        let written = self.write(Dialect::Robot);
        if written.is_text {
            return ("sampleText", json!({"content": self.text(&written)}));
        }
        let param = json!({"title": self.title(), "text": written.out});
        ("sampleMarkdown", param)
    }

    /// A text keeps its own line breaks and spaces.
    fn text(&self, written: &Writer) -> String {
        if self.0.spans().is_empty() {
            return self.0.text().to_owned();
        }
        written.out.clone()
    }

    /// The words as Markdown of a card that opens addresses, and who is mentioned in it.
    pub(crate) fn markdown(&self, dialect: Dialect) -> (String, Vec<String>) {
        let mut writer = Writer::new(dialect);
        let out = if self.0.spans().is_empty() {
            writer.lines(self.0.text())
        } else {
            writer.blocks(&self.0.to_content().blocks)
        };
        (out, writer.mentioned)
    }
}

/// Mentions people: they have to be in the words too, or nobody sees it.
pub(crate) fn mention(body: &mut Value, staff: &[String]) {
    if let Some(fields) = body.as_object_mut()
        && !staff.is_empty()
    {
        fields.insert(
            "at".to_owned(),
            json!({"atUserIds": staff, "isAtAll": false}),
        );
    }
}

/// The words of a body as Markdown of an AI card, whole.
pub(crate) fn card(body: &Body) -> String {
    match body {
        Body::Plain(text) => Writer::new(Dialect::Card).lines(text),
        _ => Writer::new(Dialect::Card).blocks(&content_of(body).blocks),
    }
}

/// At most so many characters, cut where it has to be.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let limit = TextLimit::new(max, limits::TEXT.unit);
    if limit.fits(text) {
        return text.to_owned();
    }
    let limit = TextLimit::new(max.saturating_sub(1).max(1), limits::TEXT.unit);
    let first = channel_text::split_text(text, limit).into_iter().next();
    format!("{}\u{2026}", first.unwrap_or_default())
}

/// Takes characters for themselves, where they would be taken for a mark.
fn escape(text: &str, out: &mut String) {
    let mut before = out.chars().next_back().filter(|c| *c != '\n');
    let mut chars = text.chars().peekable();
    // So far nothing but digits and spaces stands in the line.
    let mut is_start = before.is_none();
    while let Some(c) = chars.next() {
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_mark = match c {
            '*' | '`' | '[' | ']' | '<' | '\\' | '|' => true,
            // Inside of a word it is one.
            '_' => !(is_word(before) && is_word(chars.peek().copied())),
            '~' => chars.peek() == Some(&'~') || before == Some('~'),
            '#' | '-' | '+' | '>' | '=' => is_start,
            '.' | ')' => is_start && before.is_some_and(|c| c.is_ascii_digit()),
            '!' => chars.peek() == Some(&'['),
            _ => false,
        };
        is_start = c == '\n' || (is_start && (c == ' ' || c.is_ascii_digit()));
        if is_mark {
            out.push('\\');
        }
        out.push(c);
        before = (c != '\n').then_some(c);
    }
}

struct Writer {
    dialect: Dialect,
    /// Whether the words go out as a text, in which nothing is a mark.
    is_text: bool,
    mentioned: Vec<String>,
    out: String,
}

impl Writer {
    const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            is_text: false,
            mentioned: Vec::new(),
            out: String::new(),
        }
    }

    /// Where a line ends: one line feed is a space in Markdown.
    const fn line_break(&self) -> &'static str {
        if self.is_text { "\n" } else { "\n\n" }
    }

    /// Literal lines.
    fn lines(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 8);
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                out.push_str(self.line_break());
            }
            let mut escaped = String::new();
            escape(line, &mut escaped);
            out.push_str(&escaped);
        }
        out
    }

    fn blocks(&mut self, all: &[Block]) -> String {
        let mut out = Vec::with_capacity(all.len());
        for block in all {
            out.push(self.block(block));
        }
        out.join(if self.is_text { "\n" } else { "\n\n" })
    }

    fn block(&mut self, block: &Block) -> String {
        match block {
            Block::Paragraph(inlines) => self.inline(inlines),
            Block::Heading { level, content } => {
                let marks = "#".repeat(usize::from((*level).clamp(1, 6)));
                let words = self.inline(content);
                format!("{marks} {}", words.replace('\n', " "))
            }
            Block::Quote(inner) => {
                let inner = self.blocks(inner);
                format!("> {}", inner.replace('\n', "\n> "))
            }
            Block::Code { language, text } => fenced(language.as_deref().unwrap_or_default(), text),
            Block::List { start, items } => self.list(*start, items),
            Block::Table(table) if self.dialect == Dialect::Card => self.rows(table),
            // Only cards have tables.
            Block::Table(table) => {
                let content = Content::new(vec![Block::Table(table.clone())]);
                fenced("", &to_plain(&content))
            }
            Block::Rule => "---".to_owned(),
            other => to_plain(&Content::new(vec![other.clone()])),
        }
    }

    fn list(&mut self, start: Option<u64>, items: &[ListItem]) -> String {
        let mut lines = Vec::new();
        for (index, item) in (0_u64..).zip(items) {
            let mark = match start {
                Some(first) => format!("{}.", first.saturating_add(index)),
                None => "-".to_owned(),
            };
            let done = match item.done {
                Some(true) => "\u{2611} ",
                Some(false) => "\u{2610} ",
                None => "",
            };
            let inner = self.blocks(&item.blocks).replace("\n\n", "\n");
            lines.push(format!("{mark} {done}{}", inner.replace('\n', "\n    ")));
        }
        lines.join("\n")
    }

    fn rows(&mut self, table: &Table) -> String {
        let mut row = |cells: &[Vec<Inline>]| {
            let cells: Vec<_> = cells
                .iter()
                .map(|cell| self.inline(cell).replace('\n', " "))
                .collect();
            format!("| {} |", cells.join(" | "))
        };
        let mut lines = vec![row(&table.header)];
        lines.push(format!("|{}", " --- |".repeat(table.header.len())));
        lines.extend(table.rows.iter().map(|cells| row(cells)));
        lines.join("\n")
    }

    fn inline(&mut self, all: &[Inline]) -> String {
        let mut out = String::new();
        for it in all {
            self.one(it, &mut out);
        }
        out
    }

    fn literal(&self, text: &str, out: &mut String) {
        if self.is_text {
            out.push_str(text);
            return;
        }
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                out.push_str(self.line_break());
            }
            escape(line, out);
        }
    }

    fn marked(&mut self, mark: &str, inner: &[Inline], out: &mut String) {
        let inner = self.inline(inner);
        if is_blank(&inner) {
            out.push_str(&inner);
        } else {
            out.push_str(&format!("{mark}{inner}{mark}"));
        }
    }

    fn one(&mut self, it: &Inline, out: &mut String) {
        match it {
            Inline::Text(text) => self.literal(text, out),
            Inline::Strong(inner) => self.marked("**", inner, out),
            Inline::Emphasis(inner) => self.marked("*", inner, out),
            // The subset has no mark for them: the words stand alone.
            Inline::Strike(inner) | Inline::Underline(inner) | Inline::Spoiler(inner) => {
                let inner = self.inline(inner);
                out.push_str(&inner);
            }
            Inline::Code(code) if code.contains('`') => self.literal(code, out),
            Inline::Code(code) => out.push_str(&format!("`{code}`")),
            Inline::Link { url, content } => {
                // Nothing in it is to end the link.
                let url = url
                    .replace(' ', "%20")
                    .replace('(', "%28")
                    .replace(')', "%29");
                let url = url.replace(['\n', '<', '>'], "");
                let shown = self.inline(content);
                out.push_str(&format!("[{shown}]({url})"));
            }
            Inline::Mention { id: Some(id), .. }
                if self.dialect == Dialect::Session && is_staff(id.as_str()) =>
            {
                out.push('@');
                out.push_str(id.as_str());
                if self.mentioned.iter().all(|known| known != id.as_str()) {
                    self.mentioned.push(id.as_str().to_owned());
                }
            }
            Inline::Mention { name, .. } => self.literal(name, out),
            Inline::Emoji { fallback, .. } => self.literal(fallback, out),
            Inline::Break => out.push_str(self.line_break()),
            other => {
                let plain = to_plain(&Content::paragraph([other.clone()]));
                self.literal(&plain, out);
            }
        }
    }
}

fn fenced(language: &str, text: &str) -> String {
    // Longer than anything inside of it.
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let language: String = language
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-'))
        .collect();
    format!("{fence}{language}\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(body: &Body) -> Words {
        let mut words = words(body);
        assert_eq!(words.len(), 1);
        words.remove(0)
    }

    #[test]
    fn plain_words_are_a_text_to_the_letter_and_marks_are_markdown() {
        let plain = only(&Body::plain("*a*\n  [b](c) _d_ 1. e"));
        let text = "*a*\n  [b](c) _d_ 1. e";
        assert_eq!(plain.robot(), ("sampleText", json!({"content": text})));
        assert_eq!(
            plain.session(),
            json!({"msgtype": "text", "text": {"content": text}})
        );
        let marked = only(&Body::markdown("**b** snake_case a*b"));
        let param = json!({"title": "b snake_case a*b", "text": "**b** snake_case a\\*b"});
        assert_eq!(marked.robot(), ("sampleMarkdown", param));
        assert!(words(&Body::plain(" \n")).is_empty());
    }

    #[test]
    fn a_mention_is_in_the_words_and_in_the_list() {
        let mention = Inline::Mention {
            id: Some("staff1".into()),
            name: "@Ada".to_owned(),
        };
        let content = Content::paragraph([mention.clone(), Inline::text(" look, "), mention]);
        let words = only(&content.into());
        let wanted = json!({"msgtype": "text", "text": {"content": "@staff1 look, @staff1"},
            "at": {"atUserIds": ["staff1"], "isAtAll": false}});
        assert_eq!(words.session(), wanted);
        let robot = json!({"content": "@Ada look, @Ada"});
        assert_eq!(
            words.robot(),
            ("sampleText", robot),
            "the robot's calls mention nobody"
        );
    }

    #[test]
    fn the_subset_is_written_and_nothing_beyond_it() {
        let source = "## T\n\n**b** *i* ~~s~~ `c` [l](https://e.x/a_(b)) a*b\n\none\\\ntwo\n\n- x\n- [x] y\n\n1. z\n\n> q\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn\n```\n\n---";
        let body = Body::markdown(source);
        let head = "## T\n\n**b** *i* s `c` [l](https://e.x/a_%28b%29) a\\*b\n\none\n\ntwo\n\n- x\n- \u{2611} y\n\n1. z\n\n> q\n\n";
        let tail = "\n\n```rust\nfn\n```\n\n---";
        let card = card(&body);
        assert_eq!(
            card,
            format!("{head}| a | b |\n| --- | --- |\n| 1 | 2 |{tail}")
        );
        let (_, param) = only(&body).robot();
        let text = param["text"].as_str().unwrap();
        assert!(!text.contains("| --- |") && !text.contains("~~"), "{text}");
        let literal = super::card(&Body::plain("a\n# b\n- c\n1. d\n<x>"));
        assert_eq!(literal, "a\n\n\\# b\n\n\\- c\n\n1\\. d\n\n\\<x>");
    }

    #[test]
    fn no_part_is_over_a_limit() {
        let marked = "**\u{4e2d}\u{6587}** `x` [y](https://z.example) \n\n".repeat(2000);
        let emoji = "\u{1f469}\u{200d}\u{1f680} ".repeat(4000);
        let odd = "\"\\\u{1}".repeat(20_000);
        for body in [Body::markdown(marked), Body::plain(emoji), Body::plain(odd)] {
            let parts = words(&body);
            assert!(parts.len() > 1);
            for part in parts {
                assert!(part.robot().1.to_string().len() <= limits::PARAM);
                assert!(limits::TEXT.fits(part.0.text()));
            }
        }
    }
}
