//! Slack's text as words (<https://docs.slack.dev/messaging/formatting-message-text/>).
//!
//! Slack escapes `&`, `<` and `>` and puts links and mentions between `<` and `>`. The marks
//! that people type (`*bold*`) stay as they are: they cannot be told from the same characters
//! meant literally.

use channel_core::{Formatted, Style, StyleMark};
use memchr::{memchr2, memmem};

/// Text of Slack's as words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) formatted: Option<Formatted>,
    /// Whether the bot is mentioned.
    pub(crate) mentions_me: bool,
    /// Whether anybody is mentioned.
    pub(crate) mentions: bool,
}

/// Reads a text; `me` is the bot's user id, whose mention at the very start is left out: it
/// says whom the message is for and not what it says.
pub(crate) fn words(text: &str, me: Option<&str>) -> Words {
    if memchr2(b'<', b'&', text.as_bytes()).is_none() {
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
    };
    let mut rest = text;
    if let Some(after) = me.and_then(|me| after_mention(text, me)) {
        reader.out.mentions_me = true;
        reader.out.mentions = true;
        rest = after;
    }
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        let (plain, special) = rest.split_at(at);
        reader.push(plain);
        rest = if special.starts_with('&') {
            reader.entity(special)
        } else {
            reader.token(special, me)
        };
    }
    reader.push(rest);
    reader.out.formatted = Formatted::marks(reader.marks);
    reader.out
}

/// The rest of a text that begins with a mention of this user.
fn after_mention<'a>(text: &'a str, me: &str) -> Option<&'a str> {
    let token = text.trim_start().strip_prefix("<@")?.strip_prefix(me)?;
    let rest = match token.strip_prefix('>') {
        Some(rest) => rest,
        None => token.strip_prefix('|')?.split_once('>')?.1,
    };
    Some(
        rest.trim_start_matches([' ', '\t', ':', ','])
            .trim_start_matches([' ', '\t']),
    )
}

/// Whether somebody is mentioned at all.
pub(crate) fn mentions_anybody(text: &str) -> bool {
    memmem::find(text.as_bytes(), b"<@").is_some()
}

struct Reader {
    out: Words,
    marks: Vec<StyleMark>,
    /// The length of the text so far, in UTF-16 units.
    units: usize,
}

impl Reader {
    fn push(&mut self, text: &str) {
        self.units += text.chars().map(char::len_utf16).sum::<usize>();
        self.out.text.push_str(text);
    }

    fn push_styled(&mut self, text: &str, style: Style) {
        let start = self.units;
        self.push(text);
        let (offset, length) = (u32::try_from(start), u32::try_from(self.units - start));
        if let (Ok(offset), Ok(length)) = (offset, length) {
            self.marks.push(StyleMark::new(offset, length, style));
        }
    }

    fn push_unescaped(&mut self, text: &str) {
        self.push(&unescape(text));
    }

    /// One of the three entities, or an ampersand of no meaning.
    fn entity<'a>(&mut self, text: &'a str) -> &'a str {
        for (entity, plain) in ENTITIES {
            if let Some(rest) = text.strip_prefix(entity) {
                self.push(plain);
                return rest;
            }
        }
        self.push("&");
        text.get(1..).unwrap_or_default()
    }

    /// A link or a mention. What is not closed is literal.
    fn token<'a>(&mut self, text: &'a str, me: Option<&str>) -> &'a str {
        let inner = text.get(1..).unwrap_or_default();
        let Some((token, rest)) = inner.split_once('>') else {
            self.push("<");
            return inner;
        };
        let (target, label) = match token.split_once('|') {
            Some((target, label)) => (target, Some(label).filter(|label| !label.is_empty())),
            None => (token, None),
        };
        if let Some(user) = target.strip_prefix('@') {
            self.out.mentions = true;
            self.out.mentions_me |= me == Some(user);
            let name = format!(
                "@{}",
                unescape(label.unwrap_or(user)).trim_start_matches('@')
            );
            self.push_styled(
                &name,
                Style::Mention {
                    id: Some(user.into()),
                },
            );
        } else if let Some(chat) = target.strip_prefix('#') {
            self.push("#");
            self.push_unescaped(label.unwrap_or(chat));
        } else if let Some(special) = target.strip_prefix('!') {
            self.special(special, label);
        } else {
            let url = unescape(target);
            // An address that was not typed as one shows what was typed.
            let shown = label.map_or_else(|| url.clone(), unescape);
            self.push_styled(&shown, Style::Link { url });
        }
        rest
    }

    /// `<!here>`, `<!subteam^S1|@team>`, `<!date^1700000000^{date}|fallback>`
    fn special(&mut self, special: &str, label: Option<&str>) {
        let name = special.split('^').next().unwrap_or_default();
        match (name, label) {
            ("date", Some(label)) => self.push_unescaped(label),
            (_, Some(label)) => {
                self.push("@");
                self.push_unescaped(label.trim_start_matches('@'));
            }
            (name, None) => {
                self.push("@");
                self.push_unescaped(name);
            }
        }
    }
}

const ENTITIES: [(&str, &str); 3] = [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")];

/// Takes the three escapes back.
pub(crate) fn unescape(text: &str) -> String {
    // The ampersand last: what it makes is no escape.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        words(text, Some("UBOT")).text
    }

    #[test]
    fn escapes_links_and_mentions_are_read() {
        let cases = [
            ("hello", "hello"),
            ("a &amp;&lt;b&gt; &amp;amp; & &x;", "a &<b> &amp; & &x;"),
            ("<@U1> and <@U2|ada>", "@U1 and @ada"),
            ("<#C1|general> <#C2>", "#general #C2"),
            (
                "<!here> <!channel|@channel> <!subteam^S1|@team>",
                "@here @channel @team",
            ),
            ("<!date^1700000000^{date}|14 Nov>", "14 Nov"),
            (
                "<https://x.example/?a=1&amp;b=2>",
                "https://x.example/?a=1&b=2",
            ),
            ("<https://x.example|see &lt;this&gt;>", "see <this>"),
            ("a < b <", "a < b <"),
            ("<>", ""),
            ("*bold* _it_ `code`", "*bold* _it_ `code`"),
        ];
        for (raw, wanted) in cases {
            assert_eq!(text(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn a_mention_of_the_bot_at_the_start_is_left_out() {
        for raw in [
            "<@UBOT> /help me",
            "<@UBOT|kit> /help me",
            " <@UBOT>: /help me",
        ] {
            let words = words(raw, Some("UBOT"));
            assert_eq!(
                (words.text.as_str(), words.mentions_me),
                ("/help me", true),
                "{raw}"
            );
        }
        let words = words("ask <@UBOT>", Some("UBOT"));
        assert_eq!(
            (words.text.as_str(), words.mentions_me),
            ("ask @UBOT", true)
        );
        assert!(!super::words("<@UBOTX> hi", Some("UBOT")).mentions_me);
        assert!(!super::words("<@UBOT> hi", None).mentions_me);
    }

    #[test]
    fn links_and_mentions_are_marked_in_utf16_units() {
        let words = words("\u{1f600} <@U1> <https://x.example|x>", None);
        let wanted = Formatted::marks([
            StyleMark::new(
                3,
                3,
                Style::Mention {
                    id: Some("U1".into()),
                },
            ),
            StyleMark::new(
                7,
                1,
                Style::Link {
                    url: "https://x.example".to_owned(),
                },
            ),
        ]);
        assert_eq!(
            (words.text.as_str(), words.formatted),
            ("\u{1f600} @U1 x", wanted)
        );
    }
}
