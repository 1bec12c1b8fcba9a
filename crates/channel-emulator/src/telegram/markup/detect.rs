//! Entities nobody marked: mentions, commands, hashtags and links.

use super::{Entity, utf16_len};

/// Finds them in plain text.
pub(crate) fn detect(text: &str) -> Vec<Entity> {
    let mut entities = Vec::new();
    let mut offset = 0;
    let mut previous = ' ';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at_word_start = !previous.is_alphanumeric() && previous != '_';
        let found = if !at_word_start {
            None
        } else if c == '@' {
            word(rest, 3, 32).map(|length| ("mention", length))
        } else if c == '/' && previous != '/' {
            command(rest).map(|length| ("bot_command", length))
        } else if c == '#' {
            word(rest, 1, 256).map(|length| ("hashtag", length))
        } else if rest.starts_with("http://") || rest.starts_with("https://") {
            url(rest).map(|length| ("url", length))
        } else {
            None
        };
        let taken = if let Some((kind, length)) = found {
            let piece = rest.get(..length).unwrap_or_default();
            entities.push(Entity::new(kind, offset, utf16_len(piece)));
            piece
        } else {
            rest.get(..c.len_utf8()).unwrap_or_default()
        };
        offset += utf16_len(taken);
        previous = taken.chars().next_back().unwrap_or(' ');
        rest = rest.get(taken.len()..).unwrap_or_default();
    }
    entities
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A sign followed by `least` to `most` letters: how many bytes in all.
fn word(text: &str, least: usize, most: usize) -> Option<usize> {
    let name = text.get(1..)?;
    let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
    let count = name.get(..end)?.chars().count();
    (least..=most).contains(&count).then_some(end + 1)
}

/// `/name` or `/name@bot`.
fn command(text: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = text.get(1..)?;
    let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
    if end == 0 || end > 64 {
        return None;
    }
    let after = name.get(end..)?;
    let bot = after.strip_prefix('@').map_or(0, |bot| {
        let length = bot.find(|c| !is_name(c)).unwrap_or(bot.len());
        if length >= 3 { length + 1 } else { 0 }
    });
    match after.get(bot..)?.chars().next() {
        Some('/') => None,
        _ => Some(1 + end + bot),
    }
}

fn url(text: &str) -> Option<usize> {
    let end = text
        .find(|c: char| c.is_whitespace() || c == '<' || c == '>' || c == '"')
        .unwrap_or(text.len());
    let url = text
        .get(..end)?
        .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']);
    let host = url.split_once("://")?.1;
    (!host.is_empty()).then_some(url.len())
}
