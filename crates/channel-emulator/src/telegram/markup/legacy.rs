//! `parse_mode=Markdown`, kept by the platform for old bots. <https://core.telegram.org/bots/api#markdown-style>

use serde_json::{Value, json};

use super::{Formatted, Output, Scanner, link};

pub(super) fn parse(text: &str) -> Result<Formatted, String> {
    let mut input = Scanner::new(text);
    let mut output = Output::default();
    while let Some(c) = input.peek() {
        if c == '\\' && matches!(input.peek_second(), Some('_' | '*' | '`' | '[')) {
            input.next();
            if let Some(escaped) = input.next() {
                output.push(escaped);
            }
            continue;
        }
        let begin = input.at;
        let (kind, end) = match c {
            '_' => ("italic", "_"),
            '*' => ("bold", "*"),
            '`' if input.rest().starts_with("```") => ("pre", "```"),
            '`' => ("code", "`"),
            '[' => ("text_link", "]"),
            _ => {
                input.next();
                output.push(c);
                continue;
            }
        };
        input.at += if kind == "text_link" { 1 } else { end.len() };
        let unfinished = || format!("Can't find end of the entity starting at byte offset {begin}");
        let length = input.rest().find(end).ok_or_else(unfinished)?;
        let mut content = input.rest().get(..length).unwrap_or_default();
        input.at += length + end.len();
        let mut extra = Value::Null;
        if kind == "pre" {
            let (language, code) = fence(content);
            content = code;
            extra = language;
        }
        let offset = output.units;
        content.chars().for_each(|c| output.push(c));
        if kind == "text_link" {
            if !input.eat("(") {
                continue;
            }
            let url = input.take_while(|c| c != ')');
            if !input.eat(")") {
                return Err(unfinished());
            }
            let (kind, extra) = link(url);
            output.mark(kind, offset, extra);
        } else {
            output.mark(kind, offset, extra);
        }
    }
    Ok(output.finish())
}

/// Splits a fenced block into language and code.
pub(super) fn fence(content: &str) -> (Value, &str) {
    let first = content.find(char::is_whitespace).unwrap_or(content.len());
    let (language, rest) = content.split_at(first);
    match rest.strip_prefix('\n') {
        Some(code) if !language.is_empty() => (json!({ "language": language }), code),
        Some(code) => (Value::Null, code),
        None => (Value::Null, content),
    }
}
