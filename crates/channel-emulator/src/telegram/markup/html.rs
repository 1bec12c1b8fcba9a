//! `parse_mode=HTML`. <https://core.telegram.org/bots/api#html-style>

use serde_json::{Value, json};

use super::{Formatted, Output, Scanner, link};

const TAGS: [&str; 17] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "tg-spoiler",
    "span",
    "a",
    "pre",
    "code",
    "blockquote",
    "tg-emoji",
    "tg-time",
];

struct Open {
    tag: String,
    offset: usize,
    begin: usize,
    kind: &'static str,
    extra: Value,
}

pub(super) fn parse(text: &str) -> Result<Formatted, String> {
    let mut input = Scanner::new(text);
    let mut output = Output::default();
    let mut open: Vec<Open> = Vec::new();
    while let Some(c) = input.peek() {
        let begin = input.at;
        if c == '&' {
            let (c, length) = character(input.rest()).unwrap_or(('&', 1));
            input.at += length;
            output.push(c);
        } else if c != '<' {
            input.next();
            output.push(c);
        } else if input.eat("</") {
            let name = input
                .take_while(|c| c != '>' && !c.is_whitespace())
                .to_ascii_lowercase();
            input.take_while(char::is_whitespace);
            if !input.eat(">") {
                return Err(format!("Unclosed end tag at byte offset {begin}"));
            }
            close(&mut open, &mut output, &name, begin)?;
        } else {
            input.next();
            open.push(start(&mut input, begin, output.units)?);
        }
    }
    match open.pop() {
        Some(Open { tag, begin, .. }) => Err(format!(
            "Can't find end tag corresponding to start tag \"{tag}\" at byte offset {begin}"
        )),
        None => Ok(output.finish()),
    }
}

/// Reads a start tag from behind its `<`.
fn start(input: &mut Scanner<'_>, begin: usize, offset: usize) -> Result<Open, String> {
    let unclosed = || format!("Unclosed start tag at byte offset {begin}");
    let tag = input
        .take_while(|c| c.is_ascii_alphanumeric() || c == '-')
        .to_ascii_lowercase();
    if input.peek().is_none() {
        return Err(unclosed());
    }
    if !TAGS.contains(&tag.as_str()) {
        return Err(format!(
            "Unsupported start tag \"{tag}\" at byte offset {begin}"
        ));
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    loop {
        input.take_while(char::is_whitespace);
        match input.peek() {
            None => return Err(unclosed()),
            Some('>') => {
                input.next();
                break;
            }
            Some(_) => {}
        }
        let name = input
            .take_while(|c| !c.is_whitespace() && c != '=' && c != '>')
            .to_ascii_lowercase();
        if name.is_empty() {
            return Err(format!(
                "Empty attribute name in the tag \"{tag}\" at byte offset {begin}"
            ));
        }
        input.take_while(char::is_whitespace);
        let value = if input.eat("=") {
            value(input).ok_or_else(unclosed)?
        } else {
            String::new()
        };
        attributes.push((name, value));
    }
    let attribute = |wanted: &str| {
        attributes
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let (kind, extra) = match tag.as_str() {
        "b" | "strong" => ("bold", Value::Null),
        "i" | "em" => ("italic", Value::Null),
        "u" | "ins" => ("underline", Value::Null),
        "s" | "strike" | "del" => ("strikethrough", Value::Null),
        "tg-spoiler" => ("spoiler", Value::Null),
        "span" if attribute("class") == Some("tg-spoiler") => ("spoiler", Value::Null),
        "span" => {
            return Err(format!(
                "Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"
            ));
        }
        "a" => attribute("href")
            .filter(|url| !url.is_empty())
            .map_or(("", Value::Null), link),
        "pre" => ("pre", Value::Null),
        "code" => (
            "code",
            attribute("class")
                .and_then(|class| class.strip_prefix("language-"))
                .map_or(Value::Null, |language| json!({ "language": language })),
        ),
        "blockquote" if attribute("expandable").is_some() => ("expandable_blockquote", Value::Null),
        "blockquote" => ("blockquote", Value::Null),
        "tg-emoji" => match attribute("emoji-id") {
            Some(id) => ("custom_emoji", json!({ "custom_emoji_id": id })),
            None => {
                return Err(format!(
                    "Custom emoji identifier is not specified at byte offset {begin}"
                ));
            }
        },
        // `tg-time`, the last of the tags.
        _ => match attribute("unix").and_then(|unix| unix.parse::<i64>().ok()) {
            Some(unix) => ("date_time", json!({ "unix_time": unix })),
            None => return Err(format!("Time is not specified at byte offset {begin}")),
        },
    };
    Ok(Open {
        tag,
        offset,
        begin,
        kind,
        extra,
    })
}

/// An attribute value, quoted or bare.
fn value(input: &mut Scanner<'_>) -> Option<String> {
    input.take_while(char::is_whitespace);
    let quote = input.peek().filter(|c| matches!(c, '"' | '\''));
    if quote.is_some() {
        input.next();
    }
    let raw = match quote {
        Some(quote) => input.take_while(|c| c != quote),
        None => input.take_while(|c| !c.is_whitespace() && c != '>'),
    };
    if quote.is_some() {
        input.next()?;
    }
    let mut value = String::new();
    let mut raw = Scanner::new(raw);
    while let Some(c) = raw.peek() {
        let (c, length) = character(raw.rest()).unwrap_or((c, c.len_utf8()));
        raw.at += length;
        value.push(c);
    }
    Some(value)
}

fn close(
    open: &mut Vec<Open>,
    output: &mut Output,
    name: &str,
    begin: usize,
) -> Result<(), String> {
    let Some(Open {
        tag,
        offset,
        kind,
        extra,
        ..
    }) = open.pop()
    else {
        return Err(format!("Unexpected end tag at byte offset {begin}"));
    };
    if !name.is_empty() && name != tag {
        return Err(format!(
            "Unmatched end tag at byte offset {begin}, expected \"</{tag}>\", found \"</{name}>\""
        ));
    }
    match (kind, open.last_mut()) {
        ("", _) => {}
        // <pre><code class="language-x"> is one entity.
        (
            "code",
            Some(Open {
                kind: "pre",
                extra: language,
                ..
            }),
        ) if !extra.is_null() => *language = extra,
        ("code", _) => output.mark("code", offset, Value::Null),
        _ => output.mark(kind, offset, extra),
    }
    Ok(())
}

/// A character reference: the four named ones and numbers. Gives the character and the bytes it took.
fn character(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.strip_prefix('&')?.split_once(';')?;
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| *c != '\0')?
        }
    };
    Some((c, name.len() + 2))
}
