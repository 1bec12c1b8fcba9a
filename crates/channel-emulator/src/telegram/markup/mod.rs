//! Formatted text: the three parse modes, explicit entities, and what the platform finds by itself.
//!
//! <https://core.telegram.org/bots/api#formatting-options>

mod detect;
mod html;
mod legacy;
mod markdown;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub(crate) use detect::detect;

use super::params::integer;

/// Length in UTF-16 code units, the unit of offsets and limits.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A stretch of text with a meaning; offset and length in UTF-16 code units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entity {
    pub(crate) kind: String,
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) extra: Map<String, Value>,
}

impl Entity {
    pub(crate) fn new(kind: &str, offset: usize, length: usize) -> Self {
        Self {
            kind: kind.to_owned(),
            offset,
            length,
            extra: Map::new(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut entity = self.extra.clone();
        entity.insert("type".into(), self.kind.as_str().into());
        entity.insert("offset".into(), self.offset.into());
        entity.insert("length".into(), self.length.into());
        entity.into()
    }

    const fn end(&self) -> usize {
        self.offset.saturating_add(self.length)
    }
}

/// Text after parsing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Formatted {
    pub(crate) text: String,
    pub(crate) entities: Vec<Entity>,
}

impl Formatted {
    pub(crate) fn entities_json(&self) -> Value {
        self.entities
            .iter()
            .map(Entity::json)
            .collect::<Vec<_>>()
            .into()
    }

    /// Takes white space off both ends, drops empty entities, and adds the ones the platform finds by itself.
    pub(crate) fn finish(mut self) -> Self {
        let kept = self.text.trim_start();
        let cut = utf16_len(&self.text).saturating_sub(utf16_len(kept));
        let text = kept.trim_end().to_owned();
        let length = utf16_len(&text);
        for entity in &mut self.entities {
            let end = entity.end().saturating_sub(cut).min(length);
            entity.offset = entity.offset.saturating_sub(cut).min(length);
            entity.length = end.saturating_sub(entity.offset);
        }
        self.entities.retain(|entity| entity.length > 0);
        for found in detect(&text) {
            if self
                .entities
                .iter()
                .all(|known| known.end() <= found.offset || found.end() <= known.offset)
            {
                self.entities.push(found);
            }
        }
        self.entities
            .sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
        Self {
            text,
            entities: self.entities,
        }
    }
}

/// Parses `text` by `mode`; the error is the part after `can't parse entities: `, or the whole text for a bad mode.
pub(crate) fn parse(mode: &str, text: &str) -> Result<Formatted, String> {
    let parsed = match mode.to_ascii_lowercase().as_str() {
        "" | "none" => {
            return Ok(Formatted {
                text: text.to_owned(),
                entities: Vec::new(),
            });
        }
        "html" => html::parse(text),
        "markdownv2" => markdown::parse(text),
        "markdown" => legacy::parse(text),
        _ => return Err("unsupported parse_mode".to_owned()),
    };
    parsed.map_err(|error| format!("can't parse entities: {error}"))
}

/// The kinds of entity a bot may set itself; others in `entities` are dropped.
const SETTABLE: [&str; 14] = [
    "bold",
    "italic",
    "underline",
    "strikethrough",
    "spoiler",
    "blockquote",
    "expandable_blockquote",
    "code",
    "pre",
    "text_link",
    "text_mention",
    "custom_emoji",
    "date_time",
    "mention",
];

/// Checks the `entities` array of a call.
pub(crate) fn explicit(text: &str, list: &[Value]) -> Result<Vec<Entity>, String> {
    let mut boundaries = vec![0_usize];
    for c in text.chars() {
        let last = boundaries.last().copied().unwrap_or(0);
        boundaries.push(last + c.len_utf16());
    }
    let length = boundaries.last().copied().unwrap_or(0);
    let mut entities = Vec::new();
    for item in list.iter().take(1000) {
        let kind = item
            .get("type")
            .and_then(Value::as_str)
            .ok_or("can't find field \"type\" in MessageEntity")?;
        let number = |name: &str| {
            item.get(name)
                .and_then(integer)
                .ok_or_else(|| format!("can't find field \"{name}\" in MessageEntity"))
        };
        let (offset, span) = (number("offset")?, number("length")?);
        let (Ok(offset), Ok(span)) = (usize::try_from(offset), usize::try_from(span)) else {
            return Err("entity has a negative offset or length".to_owned());
        };
        if span == 0 || !SETTABLE.contains(&kind) {
            continue;
        }
        let end = offset.saturating_add(span);
        if end > length {
            return Err(format!(
                "entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {length}"
            ));
        }
        if boundaries.binary_search(&offset).is_err() {
            return Err(format!(
                "entity begins in a middle of a UTF-16 symbol at UTF-16 offset {offset}"
            ));
        }
        if boundaries.binary_search(&end).is_err() {
            return Err(format!(
                "entity beginning at UTF-16 offset {offset} ends in a middle of a UTF-16 symbol at UTF-16 offset {end}"
            ));
        }
        let mut entity = Entity::new(kind, offset, span);
        for extra in [
            "url",
            "language",
            "custom_emoji_id",
            "user",
            "unix_time",
            "date_time_format",
        ] {
            if let Some(value) = item.get(extra) {
                entity.extra.insert(extra.to_owned(), value.clone());
            }
        }
        if kind == "text_link" && !entity.extra.contains_key("url") {
            return Err("can't find field \"url\" in MessageEntity".to_owned());
        }
        entities.push(entity);
    }
    Ok(entities)
}

/// Reads characters with their byte offsets.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Steps over `expected` when it comes next.
    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }
}

/// The text that comes out, with its length in UTF-16 code units.
#[derive(Default)]
struct Output {
    text: String,
    units: usize,
    entities: Vec<Entity>,
}

impl Output {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.units += c.len_utf16();
    }

    /// Records an entity from `offset` to here.
    fn mark(&mut self, kind: &str, offset: usize, extra: Value) {
        let mut entity = Entity::new(kind, offset, self.units.saturating_sub(offset));
        if let Value::Object(extra) = extra {
            entity.extra = extra;
        }
        if entity.length > 0 {
            self.entities.push(entity);
        }
    }

    fn finish(self) -> Formatted {
        Formatted {
            text: self.text,
            entities: self.entities,
        }
    }
}

/// The kind and details of a link: `tg://user?id=N` mentions a user.
fn link(url: &str) -> (&'static str, Value) {
    match url
        .strip_prefix("tg://user?id=")
        .and_then(|id| id.parse::<i64>().ok())
    {
        // The account is filled in by the sender of the message, who knows the users.
        Some(id) => ("text_mention", json!({"user": {"id": id}})),
        None => ("text_link", json!({ "url": url })),
    }
}
