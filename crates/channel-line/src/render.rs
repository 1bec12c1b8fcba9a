//! Words as LINE wants them: plain text, because it has no markup, and mentions.

use channel_core::{Body, SenderId, TextLimit};
use channel_text::{Mark, content_of, spanned_of, split_text, to_plain};
use serde_json::{Map, Value, json};

use crate::limits;

/// Whether there is nothing to show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// A body without formatting; a link is followed by its address.
pub(crate) fn plain(body: &Body) -> String {
    match body {
        Body::Plain(text) => text.clone(),
        _ => to_plain(&content_of(body)),
    }
}

/// The text messages that a text becomes.
pub(crate) fn texts(text: &str, mentions: &[Mention]) -> Vec<Value> {
    let mut waiting = mentions;
    split_text(text, limits::TEXT)
        .into_iter()
        .filter(|part| !is_blank(part))
        .map(|part| text_message(part, &mut waiting))
        .collect()
}

/// Somebody who is to be told that they are mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The words as they stand in the text.
    name: String,
    user: SenderId,
}

/// The people whom a body mentions by an id of LINE's, in order.
pub(crate) fn mentions(body: &Body) -> Vec<Mention> {
    // Only a tree can hold ids.
    let Body::Content(_) = body else {
        return Vec::new();
    };
    let flat = spanned_of(body);
    let of_user = |span: &channel_text::Span| {
        let Mark::Mention { id: Some(user) } = &span.mark else {
            return None;
        };
        let name = flat.text().get(span.range.clone())?;
        (is_user(user) && !name.is_empty()).then(|| Mention {
            name: name.to_owned(),
            user: user.clone(),
        })
    };
    flat.spans().iter().filter_map(of_user).collect()
}

fn is_user(id: &SenderId) -> bool {
    id.as_str().starts_with('U') && crate::files::is_token(id.as_str())
}

/// One text message, with the mentions that are found in it, in order
/// (<https://developers.line.biz/en/reference/messaging-api/#text-message-v2>).
fn text_message(text: &str, waiting: &mut &[Mention]) -> Value {
    let plain = || json!({"type": "text", "text": text});
    let mut out = String::new();
    let mut substitution = Map::new();
    let mut rest = text;
    while let Some((first, others)) = waiting.split_first() {
        let Some((before, after)) = rest.split_once(first.name.as_str()) else {
            break;
        };
        if substitution.len() == limits::MENTIONS {
            break;
        }
        let name = format!("m{}", substitution.len());
        out.push_str(&escaped(before));
        out.push_str(&format!("{{{name}}}"));
        let mentionee = json!({"type": "user", "userId": first.user.as_str()});
        substitution.insert(name, json!({"type": "mention", "mentionee": mentionee}));
        (rest, *waiting) = (after, others);
    }
    if substitution.is_empty() {
        return plain();
    }
    out.push_str(&escaped(rest));
    if !limits::TEXT.fits(&out) {
        return plain();
    }
    json!({"type": "textV2", "text": out, "substitution": substitution})
}

/// Braces stand for themselves when they are doubled.
fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Cuts a text so that it fits, with an ellipsis for what is missing.
pub(crate) fn cut(text: &str, limit: TextLimit) -> String {
    if limit.fits(text) {
        return text.to_owned();
    }
    let room = TextLimit::new(limit.max.saturating_sub(1), limit.unit);
    let head = split_text(text, room).first().copied().unwrap_or_default();
    format!("{}\u{2026}", head.trim_end())
}

/// Whether LINE fetches a picture, film or recording from an address.
pub(crate) fn is_media_url(url: &str) -> bool {
    url.strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty())
        && limits::MEDIA_URL.fits(url)
        && !url
            .chars()
            .any(|char| char.is_whitespace() || char.is_control())
}

#[cfg(test)]
mod tests {
    use channel_core::{Content, Inline, TextUnit};

    use super::*;

    fn mention(id: &str, name: &str) -> Inline {
        Inline::Mention {
            id: Some(SenderId::from(id)),
            name: name.to_owned(),
        }
    }

    #[test]
    fn mentions_are_told_to_line_and_braces_are_kept() {
        let content = Content::paragraph([
            Inline::text("{hi} "),
            mention("U1", "@Ada"),
            Inline::text(" and "),
            mention("U2", "@Ben"),
            Inline::text(" {m0}"),
        ]);
        let body = Body::Content(content);
        let messages = texts(&plain(&body), &mentions(&body));
        let of =
            |user: &str| json!({"type": "mention", "mentionee": {"type": "user", "userId": user}});
        assert_eq!(
            messages,
            [
                json!({"type": "textV2", "text": "{{hi}} {m0} and {m1} {{m0}}",
                "substitution": {"m0": of("U1"), "m1": of("U2")}})
            ]
        );
    }

    #[test]
    fn names_without_an_id_of_line_stay_words() {
        let body = Body::Content(Content::paragraph([
            mention("42", "@Ada"),
            mention("U/..", "@Eve"),
        ]));
        assert_eq!(mentions(&body), []);
        assert_eq!(
            texts("@Ada", &[]),
            [json!({"type": "text", "text": "@Ada"})]
        );
    }

    #[test]
    fn more_mentions_than_line_takes_stay_words() {
        let people: Vec<_> = (0..25).map(|n| mention(&format!("U{n}"), "@x ")).collect();
        let body = Body::Content(Content::paragraph(people));
        let messages = texts(&plain(&body), &mentions(&body));
        let substitution = messages[0]["substitution"].as_object().unwrap();
        assert_eq!(substitution.len(), 20);
        let text = messages[0]["text"].as_str().unwrap();
        assert!(text.trim_end().ends_with("@x @x @x @x @x"), "{text}");
    }

    #[test]
    fn texts_are_cut_to_the_limit_with_a_mark() {
        let limit = TextLimit::new(5, TextUnit::Graphemes);
        assert_eq!(cut("hello", limit), "hello");
        assert_eq!(cut("hello!", limit), "hell\u{2026}");
        assert_eq!(cut("👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", limit), "👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧\u{2026}");
    }

    #[test]
    fn media_comes_from_https_only() {
        assert!(is_media_url("https://x.example/a.png"));
        let long = format!("https://x.example/{}", "a".repeat(2000));
        for bad in ["http://x.example/a", "https://", "x", "https://a b", &long] {
            assert!(!is_media_url(bad), "{bad}");
        }
    }
}
