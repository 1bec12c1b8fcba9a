//! Discord's text as words (<https://docs.discord.com/developers/reference#message-formatting>).
//!
//! Mentions and emoji of a server stand between `<` and `>`. Markdown that people type
//! stays as it is.

use channel_core::{Formatted, Style, StyleMark};
use memchr::memchr;

use crate::address::is_id;
use crate::wire::Mention;

/// Text of Discord's as words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) formatted: Option<Formatted>,
    /// Whether the bot is mentioned.
    pub(crate) mentions_me: bool,
}

/// Reads a text; `me` is the bot's id, whose mention at the very start is left out: it says
/// whom the message is for and not what it says.
pub(crate) fn words(text: &str, me: Option<&str>, mentioned: &[Mention<'_>]) -> Words {
    if memchr(b'<', text.as_bytes()).is_none() {
        return Words {
            text: text.to_owned(),
            ..Words::default()
        };
    }
    let mut reader = Reader {
        out: Words {
            text: String::with_capacity(text.len()),
            ..Words::default()
        },
        marks: Vec::new(),
        units: 0,
        mentioned,
    };
    let mut rest = text;
    if let Some(after) = me.and_then(|me| after_mention(text, me)) {
        reader.out.mentions_me = true;
        rest = after;
    }
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        let (plain, special) = rest.split_at(at);
        reader.push(plain);
        rest = reader.token(special, me);
    }
    reader.push(rest);
    reader.out.formatted = Formatted::marks(reader.marks);
    reader.out
}

/// The id of a mentioned user: `@1` or, in old clients, `@!1`.
fn user(inner: &str) -> Option<&str> {
    let id = inner.strip_prefix('@')?;
    Some(id.strip_prefix('!').unwrap_or(id)).filter(|id| is_id(id))
}

/// The rest of a text that begins with a mention of this user.
fn after_mention<'a>(text: &'a str, me: &str) -> Option<&'a str> {
    let (inner, rest) = text.trim_start().strip_prefix('<')?.split_once('>')?;
    if user(inner) != Some(me) {
        return None;
    }
    Some(rest.trim_start_matches([' ', '\t', ':', ',']))
}

struct Reader<'a> {
    out: Words,
    marks: Vec<StyleMark>,
    /// The length of the text so far, in UTF-16 units.
    units: usize,
    mentioned: &'a [Mention<'a>],
}

impl Reader<'_> {
    fn push(&mut self, text: &str) {
        self.units += text.chars().map(char::len_utf16).sum::<usize>();
        self.out.text.push_str(text);
    }

    /// A mention or an emoji. What is neither is literal.
    fn token<'a>(&mut self, text: &'a str, me: Option<&str>) -> &'a str {
        let inner = text.get(1..).unwrap_or_default();
        let token = inner.split_once('>');
        if let Some((token, rest)) = token {
            if let Some(id) = user(token) {
                self.mention(id, me);
                return rest;
            }
            if let Some(name) = emoji(token) {
                self.push(":");
                self.push(name);
                self.push(":");
                return rest;
            }
        }
        self.push("<");
        inner
    }

    fn mention(&mut self, id: &str, me: Option<&str>) {
        self.out.mentions_me |= me == Some(id);
        let known = self.mentioned.iter().find(|it| &*it.id == id);
        let name = known.and_then(|it| it.global_name.as_deref().or(it.username.as_deref()));
        let start = self.units;
        self.push("@");
        self.push(name.unwrap_or(id));
        let (offset, length) = (u32::try_from(start), u32::try_from(self.units - start));
        if let (Ok(offset), Ok(length)) = (offset, length) {
            let style = Style::Mention {
                id: Some(id.into()),
            };
            self.marks.push(StyleMark::new(offset, length, style));
        }
    }
}

/// The name of an emoji: `:name:1` or `a:name:1`.
fn emoji(token: &str) -> Option<&str> {
    let rest = token.strip_prefix('a').unwrap_or(token);
    let (name, id) = rest.strip_prefix(':')?.split_once(':')?;
    let is_name = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (is_name && is_id(id)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Words {
        let mentioned = r#"[{"id":"42","username":"ada","global_name":"Ada"}]"#;
        let mentioned: Vec<Mention<'_>> = serde_json::from_str(mentioned).unwrap();
        words(text, Some("9001"), &mentioned)
    }

    #[test]
    fn mentions_and_emoji_are_read_and_all_else_is_literal() {
        let cases = [
            ("hello", "hello"),
            ("hi <@42>, <@!42> and <@7>", "hi @Ada, @Ada and @7"),
            ("<:party:1> <a:dance:2>", ":party: :dance:"),
            ("<@&5> <#6> <t:1:R> </ask:7>", "<@&5> <#6> <t:1:R> </ask:7>"),
            ("a < b <", "a < b <"),
            ("<@> <@x> <::1> <>", "<@> <@x> <::1> <>"),
            ("**bold** `code`", "**bold** `code`"),
        ];
        for (raw, wanted) in cases {
            assert_eq!(read(raw).text, wanted, "{raw}");
        }
    }

    #[test]
    fn a_mention_of_the_bot_at_the_start_is_left_out() {
        for raw in ["<@9001> /help me", " <@!9001>: /help me"] {
            let words = read(raw);
            assert_eq!((words.text.as_str(), words.mentions_me), ("/help me", true));
        }
        let words = read("ask <@9001>");
        assert_eq!(
            (words.text.as_str(), words.mentions_me),
            ("ask @9001", true)
        );
        assert!(!read("<@90011> hi").mentions_me);
        assert!(!super::words("<@9001> hi", None, &[]).mentions_me);
    }

    #[test]
    fn mentions_are_marked_in_utf16_units() {
        let style = Style::Mention {
            id: Some("42".into()),
        };
        let wanted = Formatted::marks([StyleMark::new(3, 4, style)]);
        assert_eq!(read("\u{1f600} <@42>").formatted, wanted);
    }
}
