//! The formatting of words that came in, kept as it came.
//!
//! Most platforms send words and marks on ranges of them. Building a tree of that costs
//! more than decoding the message, and few programs look at it, so a [`Message`] keeps the
//! marks and the tree is built when [`InboundMessage::content`] is called.
//!
//! [`Message`]: crate::Message
//! [`InboundMessage::content`]: crate::InboundMessage::content

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::id::SenderId;
use crate::tree;

/// What a range of words is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Style {
    /// Bold.
    Strong,
    /// Italic.
    Emphasis,
    /// Underlined.
    Underline,
    /// Struck through.
    Strike,
    /// Hidden until clicked.
    Spoiler,
    /// Monospaced inside a line.
    Code,
    /// Preformatted lines.
    Pre {
        /// The language, if known.
        language: Option<String>,
    },
    /// Quoted lines.
    Quote,
    /// A link; the words are what is shown.
    Link {
        /// Where it leads.
        url: String,
    },
    /// A mention of somebody; the words are the name as shown.
    Mention {
        /// Who, where the platform gave an id.
        id: Option<SenderId>,
    },
    /// A platform's own emoji; the words stand in where it is not known.
    Emoji {
        /// The platform's id.
        id: String,
    },
}

/// A style on a range of words.
///
/// Offset and length are in UTF-16 code units, as most platforms count. They may come from
/// outside and be wrong: beyond the words, inside a character or across another mark.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StyleMark {
    /// Where it begins, in UTF-16 code units.
    pub offset: u32,
    /// How long it is, in UTF-16 code units.
    pub length: u32,
    /// What the words are.
    pub style: Style,
}

impl StyleMark {
    /// Marks a range, in UTF-16 code units.
    #[must_use]
    pub const fn new(offset: u32, length: u32, style: Style) -> Self {
        Self {
            offset,
            length,
            style,
        }
    }
}

/// How words are formatted, in the form in which they came: marks, or a tree.
///
/// ```
/// use channel_core::{Formatted, Style, StyleMark};
///
/// let bold = Formatted::marks([StyleMark::new(6, 5, Style::Strong)]).unwrap();
/// let content = bold.to_content("hello world");
/// assert_eq!(content.to_plain(), "hello world");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formatted(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Tree(Content),
    Marks(Vec<StyleMark>),
}

impl Formatted {
    /// The most marks that are kept; words behind them stay plain. The strictest platform
    /// sends a hundred.
    pub const MAX_MARKS: usize = 512;

    /// Keeps the first [`MAX_MARKS`](Self::MAX_MARKS) marks; `None` without any.
    #[must_use]
    pub fn marks(marks: impl IntoIterator<Item = StyleMark>) -> Option<Self> {
        let marks: Vec<_> = marks.into_iter().take(Self::MAX_MARKS).collect();
        (!marks.is_empty()).then_some(Self(Form::Marks(marks)))
    }

    /// The words as a tree; `text` is what the marks were made for.
    ///
    /// Of marks it is built anew each time, in time in proportion to the words and n log n
    /// in the marks. Quotes and preformatted text become blocks, the words between them
    /// paragraphs, parted at blank lines. No word is lost, whatever the marks say.
    #[must_use]
    pub fn to_content(&self, text: &str) -> Cow<'_, Content> {
        match &self.0 {
            Form::Tree(content) => Cow::Borrowed(content),
            Form::Marks(marks) => Cow::Owned(tree::content(text, marks)),
        }
    }
}

impl From<Content> for Formatted {
    fn from(content: Content) -> Self {
        Self(Form::Tree(content))
    }
}

/// A mark as it is stored: flat, so that it is decoded once and a style of a later version
/// costs no more than its own mark.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    at: u32,
    len: u32,
    #[serde(rename = "is")]
    name: Name,
    /// The language, address or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Cow<'a, str>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Strong,
    Emphasis,
    Underline,
    Strike,
    Spoiler,
    Code,
    Pre,
    Quote,
    Link,
    Mention,
    Emoji,
    #[serde(other)]
    Later,
}

impl<'a> Stored<'a> {
    fn of(mark: &'a StyleMark) -> Self {
        let (name, of) = match &mark.style {
            Style::Strong => (Name::Strong, None),
            Style::Emphasis => (Name::Emphasis, None),
            Style::Underline => (Name::Underline, None),
            Style::Strike => (Name::Strike, None),
            Style::Spoiler => (Name::Spoiler, None),
            Style::Code => (Name::Code, None),
            Style::Pre { language } => (Name::Pre, language.as_deref()),
            Style::Quote => (Name::Quote, None),
            Style::Link { url } => (Name::Link, Some(url.as_str())),
            Style::Mention { id } => (Name::Mention, id.as_ref().map(SenderId::as_str)),
            Style::Emoji { id } => (Name::Emoji, Some(id.as_str())),
        };
        Self {
            at: mark.offset,
            len: mark.length,
            name,
            of: of.map(Cow::Borrowed),
        }
    }

    /// `None` for styles of later versions and for what lacks its address or id.
    fn into_mark(self) -> Option<StyleMark> {
        let of = self.of.map(Cow::into_owned);
        let style = match self.name {
            Name::Strong => Style::Strong,
            Name::Emphasis => Style::Emphasis,
            Name::Underline => Style::Underline,
            Name::Strike => Style::Strike,
            Name::Spoiler => Style::Spoiler,
            Name::Code => Style::Code,
            Name::Pre => Style::Pre { language: of },
            Name::Quote => Style::Quote,
            Name::Link => Style::Link { url: of? },
            Name::Mention => Style::Mention {
                id: of.map(|id| SenderId::from(id.as_str())),
            },
            Name::Emoji => Style::Emoji { id: of? },
            Name::Later => return None,
        };
        Some(StyleMark::new(self.at, self.len, style))
    }
}

impl Serialize for Formatted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Kept<'a> {
            Tree(&'a Content),
            Marks(Vec<Stored<'a>>),
        }
        match &self.0 {
            Form::Tree(content) => Kept::Tree(content),
            Form::Marks(marks) => Kept::Marks(marks.iter().map(Stored::of).collect()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Formatted {
    /// Reads no more than [`MAX_MARKS`](Self::MAX_MARKS) marks and passes over what a later
    /// version may have written.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kept {
            tree: Option<Content>,
            #[serde(default)]
            marks: Marks,
        }
        let kept = Kept::deserialize(deserializer)?;
        Ok(Self(match kept.tree {
            Some(content) => Form::Tree(content),
            None => Form::Marks(kept.marks.0),
        }))
    }
}

#[derive(Default)]
struct Marks(Vec<StyleMark>);

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MarksVisitor)
    }
}

struct MarksVisitor;

impl<'de> Visitor<'de> for MarksVisitor {
    type Value = Marks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("marks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Marks, A::Error> {
        let mut marks = Vec::new();
        while let Some(stored) = seq.next_element::<Stored<'_>>()? {
            if marks.len() < Formatted::MAX_MARKS {
                marks.extend(stored.into_mark());
            }
        }
        Ok(Marks(marks))
    }
}
