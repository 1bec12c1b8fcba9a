//! Rich text and buttons as Telegram wants them.
//!
//! Text always travels with `entities` and never with a `parse_mode`: there is no markup
//! to escape, so none that Telegram could fail to parse.

use channel_core::{Body, Button, ButtonAction, Error, TextUnit};
use channel_text::{Mark, Spanned};
use serde::Serialize;
use serde::ser::SerializeStruct as _;

use crate::error::invalid;
use crate::limits;

/// One message's worth of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) entities: Vec<Entity>,
}

/// <https://core.telegram.org/bots/api#messageentity>, outgoing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entity {
    offset: usize,
    length: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Plain(&'static str),
    Pre(Option<String>),
    Link(String),
    Mention(i64),
    Emoji(String),
}

impl Serialize for Entity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct User {
            id: i64,
            is_bot: bool,
            first_name: &'static str,
        }
        let mut entity = serializer.serialize_struct("Entity", 4)?;
        entity.serialize_field("offset", &self.offset)?;
        entity.serialize_field("length", &self.length)?;
        match &self.kind {
            Kind::Plain(name) => entity.serialize_field("type", name)?,
            Kind::Pre(language) => {
                entity.serialize_field("type", "pre")?;
                if let Some(language) = language {
                    entity.serialize_field("language", language)?;
                }
            }
            Kind::Link(url) => {
                entity.serialize_field("type", "text_link")?;
                entity.serialize_field("url", url)?;
            }
            Kind::Mention(id) => {
                entity.serialize_field("type", "text_mention")?;
                let user = User {
                    id: *id,
                    is_bot: false,
                    first_name: "",
                };
                entity.serialize_field("user", &user)?;
            }
            Kind::Emoji(id) => {
                entity.serialize_field("type", "custom_emoji")?;
                entity.serialize_field("custom_emoji_id", id)?;
            }
        }
        entity.end()
    }
}

impl Words {
    pub(crate) fn of(spanned: Spanned) -> Self {
        let entities = spanned
            .utf16_spans()
            .into_iter()
            .filter_map(|(range, mark)| {
                Some(Entity {
                    offset: range.start,
                    length: range.len(),
                    kind: kind(mark)?,
                })
            })
            .collect();
        Self {
            text: spanned.into_parts().0,
            entities,
        }
    }
}

fn kind(mark: &Mark) -> Option<Kind> {
    Some(match mark {
        // There are no headings; bold is how people write them.
        Mark::Strong | Mark::Heading(_) => Kind::Plain("bold"),
        Mark::Emphasis => Kind::Plain("italic"),
        Mark::Underline => Kind::Plain("underline"),
        Mark::Strike => Kind::Plain("strikethrough"),
        Mark::Spoiler => Kind::Plain("spoiler"),
        Mark::Code => Kind::Plain("code"),
        Mark::Quote => Kind::Plain("blockquote"),
        Mark::Pre { language } => Kind::Pre(language.clone()),
        Mark::Link { url } => Kind::Link(url.clone()),
        Mark::Emoji { id } => Kind::Emoji(id.clone()),
        // A name with `@` is found by Telegram itself.
        Mark::Mention { id } => Kind::Mention(id.as_ref()?.as_i64()?),
        // Marks that later versions add: the words stay.
        _ => return None,
    })
}

/// The text of a body that can be sent as it is, in one message: plain and short.
pub(crate) fn short_plain(body: &Body) -> Option<&str> {
    match body {
        Body::Plain(text) if limits::TEXT.fits(text) => Some(text),
        _ => None,
    }
}

/// Whether there is nothing that Telegram would show.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Lays a body out as flat text with marks.
pub(crate) fn flat(body: &Body) -> Spanned {
    channel_text::spanned_of(body)
}

/// Cuts a text into messages.
pub(crate) fn parts(flat: &Spanned) -> Vec<Words> {
    if is_blank(flat.text()) {
        return Vec::new();
    }
    let parts = flat.split(limits::TEXT).into_iter();
    parts
        .filter(|part| !is_blank(part.text()))
        .map(Words::of)
        .collect()
}

/// The one message that an edit may fill.
pub(crate) fn whole(flat: Spanned, operation: &'static str) -> Result<Words, Error> {
    if !limits::TEXT.fits(flat.text()) {
        let length = TextUnit::Utf16.measure(flat.text());
        return Err(invalid(
            format!(
                "text is {length} UTF-16 units, limit is {}",
                limits::TEXT.max
            ),
            operation,
        ));
    }
    Ok(Words::of(flat))
}

/// <https://core.telegram.org/bots/api#inlinekeyboardmarkup>
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Keyboard<'a> {
    inline_keyboard: Vec<Vec<Key<'a>>>,
}

#[derive(Debug, Clone, Serialize)]
struct Key<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

/// The keyboard of a message; `None` without buttons.
pub(crate) fn keyboard<'a>(
    rows: &'a [Vec<Button>],
    operation: &'static str,
) -> Result<Option<Keyboard<'a>>, Error> {
    let mut inline_keyboard = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| !row.is_empty()) {
        let keys: Result<Vec<_>, _> = row.iter().map(|button| key(button, operation)).collect();
        inline_keyboard.push(keys?);
    }
    Ok((!inline_keyboard.is_empty()).then_some(Keyboard { inline_keyboard }))
}

fn key<'a>(button: &'a Button, operation: &'static str) -> Result<Key<'a>, Error> {
    if is_blank(&button.label) {
        return Err(invalid("a button needs a label", operation));
    }
    let mut key = Key {
        text: &button.label,
        callback_data: None,
        url: None,
    };
    match &button.action {
        ButtonAction::Press(value) => {
            if value.is_empty() || value.len() > limits::ACTION_BYTES {
                return Err(invalid(
                    format!(
                        "a button's value is {} bytes, it has to be 1 to {}",
                        value.len(),
                        limits::ACTION_BYTES
                    ),
                    operation,
                ));
            }
            key.callback_data = Some(value);
        }
        ButtonAction::Open(url) => {
            let known = ["https://", "http://", "tg://"];
            if !known.iter().any(|scheme| url.starts_with(scheme)) {
                return Err(invalid(
                    "a button opens an address that starts with https://, http:// or tg://",
                    operation,
                ));
            }
            key.url = Some(url);
        }
        _ => return Err(invalid("telegram has no such button", operation)),
    }
    Ok(key)
}
