//! Codes in what an event says and brings along.

use std::borrow::Cow;
use std::sync::Arc;

use channel_core::{ChatKind, Event, EventKind, Raw};

use super::Gate;
use crate::identity::Identities;
use crate::pairing::Pairing;

impl Gate {
    /// Whether an event shows a code, in its own words or in what it brings along.
    pub(super) fn shows_code(&self, event: &Event) -> bool {
        // A code holds until somebody uses it, whoever shows it and wherever. Platforms bring
        // words along that were said before: those that a reply quotes, such as ours with the
        // code in them, and those that were changed or deleted.
        let has_pairing = self.pairing.is_some();
        let (message, brings_more) = match &event.kind {
            // Without words of its own it may be nothing but what somebody else said, passed on.
            EventKind::Message(message) => (
                message,
                message.reply_to.is_some() || message.quotes || message.text.is_empty(),
            ),
            EventKind::Edited(message) => (message, true),
            EventKind::Deleted(deleted) => return self.brings_code(&deleted.raw),
            EventKind::Action(action) => return self.brings_code(&action.raw),
            EventKind::Unknown(unknown) => return self.brings_code(&unknown.raw),
            _ => return false,
        };
        let connects = |identities: &Arc<dyn Identities>| identities.is_secret(message);
        if self.identities.as_ref().is_some_and(connects) {
            return true;
        }
        // Strangers who were given a code write about it, and mistype it; what they say is
        // refused anyway.
        let has_code = || self.asked.knows(&message.sender.account);
        has_pairing
            && (Pairing::holds_code(&message.text)
                || message.chat.kind == ChatKind::Direct && has_code())
            || brings_more && self.brings_code(&message.raw)
    }

    /// Whether a payload shows a code of any kind, in whatever part of it.
    fn brings_code(&self, raw: &Raw) -> bool {
        if self.pairing.is_none() && self.identities.is_none() {
            return false;
        }
        let text = words(raw);
        let connects = |identities: &Arc<dyn Identities>| identities.shows_code(&text);
        self.pairing.is_some() && Pairing::holds_code(&text)
            || self.identities.as_ref().is_some_and(connects)
    }
}

/// A payload as text in which words stand as people wrote them. What a format writes in place of
/// a line break, or before a quotation mark, looks like letters beside a word: `\n` and `%0A` are
/// a space here, `\"` is the mark alone. A payload inside a payload has more backslashes.
///
/// For whoever looks for words. It is no longer of its format.
fn words(raw: &Raw) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(raw.as_slice());
    if !text.contains(['\\', '%']) {
        return text;
    }
    let mut words = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find(['\\', '%']) {
        let (before, escape) = rest.split_at(at);
        words.push_str(before);
        rest = if escape.starts_with('%') {
            percent(escape, &mut words)
        } else {
            backslash(escape, &mut words)
        };
    }
    words.push_str(rest);
    Cow::Owned(words)
}

/// Goes past `%` and two digits of a link inside the payload, or `%` alone.
fn percent<'a>(escape: &'a str, words: &mut String) -> &'a str {
    let after = escape.get(1..).unwrap_or_default();
    match hex(after, 2) {
        Some((code, rest)) => {
            words.push(sign(code));
            rest
        }
        None => {
            words.push('%');
            after
        }
    }
}

/// Goes past a run of backslashes and what they stand before.
fn backslash<'a>(escape: &'a str, words: &mut String) -> &'a str {
    let after = escape.trim_start_matches('\\');
    if let Some(rest) = after.strip_prefix(['n', 'r', 't', 'b', 'f']) {
        words.push(' ');
        return rest;
    }
    if let Some((code, rest)) = after.strip_prefix('u').and_then(|after| hex(after, 4)) {
        words.push(sign(code));
        return rest;
    }
    words.push('\\');
    after
}

fn hex(text: &str, digits: usize) -> Option<(u32, &str)> {
    let number = text.get(..digits)?;
    let is_hex = number.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(number, 16).ok().filter(|_| is_hex)?;
    Some((code, text.get(digits..)?))
}

/// The character of a number, or what is neither letter nor digit where it is half of one.
fn sign(code: u32) -> char {
    match char::from_u32(code) {
        Some(c) if c.is_whitespace() => ' ',
        Some(c) => c,
        None => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_apart_as_they_did_when_they_were_written() {
        for (payload, wanted) in [
            ("plain", "plain"),
            (r#"{"text":"one\ntwo"}"#, r#"{"text":"one two"}"#),
            (
                r#"{"text":"{\\\"t\\\":\\\"one\\\\ntwo\\\"}"}"#,
                "{\"text\":\"{\\\"t\\\":\\\"one two\\\"}\"}",
            ),
            (r"one\u000atwo \u0041\ud83d!", "one two A\u{fffd}!"),
            ("to=a%3Db%0Ac%2", "to=a=b c%2"),
            (r"C:\Users %é \", "C:\\Users %é \\"),
            (r"\u00", "\\u00"),
        ] {
            let raw = Raw::new(payload.to_owned().into_bytes().into());
            assert_eq!(words(&raw), wanted, "{payload}");
        }
        let raw = Raw::new(vec![b'a', 0xff, b'b'].into());
        assert_eq!(words(&raw), "a\u{fffd}b");
    }
}
