//! A strict reader for the XML that the platforms send.
//!
//! Their documents are lists of named values, with a few nested ones. Everything else that
//! XML has is refused by name: document types, entities of one's own, processing
//! instructions, comments, attributes, namespaces, mixed content.

use std::borrow::Cow;
use std::fmt;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::xml_plain;

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct XmlLimits {
    /// The whole document, in bytes.
    pub bytes: usize,
    /// Levels of elements, the root among them.
    pub depth: usize,
    /// Elements below the root.
    pub elements: usize,
    /// The text of one element, in bytes.
    pub text: usize,
    /// The names that may come more than once below one parent.
    pub repeated: &'static [&'static str],
}

impl XmlLimits {
    /// A message in the clear: 64 KiB, three levels, 30 elements, texts of 40 000 bytes
    /// (10 000 characters), nothing twice but `item`.
    pub const MESSAGE: Self = Self {
        bytes: 64 << 10,
        depth: 3,
        elements: 30,
        text: 40_000,
        repeated: &["item"],
    };

    /// Bounds of one's own.
    #[must_use]
    pub const fn new(
        bytes: usize,
        depth: usize,
        elements: usize,
        text: usize,
        repeated: &'static [&'static str],
    ) -> Self {
        Self {
            bytes,
            depth,
            elements,
            text,
            repeated,
        }
    }
}

/// Why a document was not read; holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlError {
    /// It is not well formed, or not UTF-8.
    Malformed,
    /// It holds something that these documents never hold.
    Forbidden,
    /// It is over a bound.
    TooLarge,
    /// Something is there twice.
    Twice,
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the document is not well-formed xml",
            Self::Forbidden => "the document holds more than elements and text",
            Self::TooLarge => "the document is over a bound",
            Self::Twice => "an element is there twice",
        })
    }
}

impl std::error::Error for XmlError {}

/// An element: a name and either text or elements, borrowed from the document where it says
/// them as they are meant.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Element<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The text, exactly as it was meant.
    pub text: Cow<'a, str>,
    /// The elements inside, in order.
    pub children: Vec<Self>,
}

/// Shows names and no content.
impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("name", &self.name)
            .field("bytes", &self.text.len())
            .field("children", &self.children)
            .finish()
    }
}

impl Element<'_> {
    /// The first child of a name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub fn children_named<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> + 'e {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of a child, unless it is absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let text = &*self.child(name)?.text;
        (!text.is_empty()).then_some(text)
    }

    /// The number in a child.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?.trim();
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?
    }
}

/// Reads a document whose root is `<xml>`.
///
/// # Errors
///
/// [`XmlError`] if it is anything but nested elements and text within the bounds.
pub fn parse_xml<'a>(bytes: &'a [u8], limits: &XmlLimits) -> Result<Element<'a>, XmlError> {
    if bytes.len() > limits.bytes {
        return Err(XmlError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Malformed)?;
    xml_plain::read(text, limits).map_or_else(|| read_any(text, limits), Ok)
}

/// Reads a document however it is written.
pub(crate) fn read_any<'a>(text: &'a str, limits: &XmlLimits) -> Result<Element<'a>, XmlError> {
    if text.starts_with('\u{feff}') {
        return Err(XmlError::Forbidden);
    }
    // Some platforms end their documents with a line feed, none begins with one.
    let mut builder = Builder {
        limits,
        open: Vec::new(),
        root: None,
        elements: 0,
    };
    let mut reader = Reader::from_str(text);
    let mut is_first = true;
    loop {
        let event = reader.read_event().map_err(|_| XmlError::Malformed)?;
        match event {
            Event::Start(start) => builder.start(&start)?,
            Event::Empty(start) => {
                builder.start(&start)?;
                builder.end()?;
            }
            Event::End(_) => builder.end()?,
            Event::Text(text) => builder.text(text.into_inner())?,
            Event::CData(text) => builder.cdata(text.into_inner())?,
            Event::GeneralRef(reference) => builder.reference(&reference)?,
            Event::Decl(declaration) if is_first => {
                let encoding = declaration.encoding();
                let is_utf8 = |name: &str| name.eq_ignore_ascii_case("utf-8");
                if !matches!(&encoding, None | Some(Ok(_)))
                    || matches!(&encoding, Some(Ok(name)) if !is_utf8(name))
                {
                    return Err(XmlError::Forbidden);
                }
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {
                return Err(XmlError::Forbidden);
            }
        }
        is_first = false;
    }
    builder.finish()
}

struct Builder<'a, 'l> {
    limits: &'l XmlLimits,
    open: Vec<Element<'a>>,
    root: Option<Element<'a>>,
    elements: usize,
}

impl<'a> Builder<'a, '_> {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        if !start.attributes_raw().trim().is_empty() {
            return Err(XmlError::Forbidden);
        }
        let name = start.name();
        let name: &str = name.as_ref();
        if !is_name(name) {
            return Err(XmlError::Forbidden);
        }
        let element = Element {
            name: Cow::Owned(name.to_owned()),
            ..Element::default()
        };
        let Some(parent) = self.open.last() else {
            if self.root.is_some() || name != "xml" {
                return Err(XmlError::Forbidden);
            }
            self.open.push(element);
            return Ok(());
        };
        self.elements += 1;
        if self.elements > self.limits.elements || self.open.len() >= self.limits.depth {
            return Err(XmlError::TooLarge);
        }
        if parent.child(name).is_some() && !self.limits.repeated.contains(&name) {
            return Err(XmlError::Twice);
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let mut element = self.open.pop().ok_or(XmlError::Malformed)?;
        if !element.children.is_empty() {
            if !is_blank(&element.text) {
                return Err(XmlError::Forbidden);
            }
            element.text = Cow::default();
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    /// Text outside of CDATA: an unescaped `]]>` in it is an error of whoever wrote it.
    fn text(&mut self, text: Cow<'a, str>) -> Result<(), XmlError> {
        if text.contains("]]>") {
            return Err(XmlError::Malformed);
        }
        self.cdata(text)
    }

    fn cdata(&mut self, text: Cow<'a, str>) -> Result<(), XmlError> {
        let Some(element) = self.open.last_mut() else {
            let outside = is_blank(&text);
            return outside.then_some(()).ok_or(XmlError::Malformed);
        };
        if element.text.len() + text.len() > self.limits.text {
            return Err(XmlError::TooLarge);
        }
        if element.text.is_empty() {
            element.text = text;
        } else {
            element.text.to_mut().push_str(&text);
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlError> {
        let char = match reference.resolve_char_ref() {
            Ok(Some(char)) => char,
            Ok(None) => predefined(reference)?,
            Err(_) => return Err(XmlError::Malformed),
        };
        if self.open.is_empty() {
            return Err(XmlError::Malformed);
        }
        self.cdata(Cow::Owned(char.to_string()))
    }

    fn finish(self) -> Result<Element<'a>, XmlError> {
        if !self.open.is_empty() {
            return Err(XmlError::Malformed);
        }
        self.root.ok_or(XmlError::Malformed)
    }
}

/// One of the five entities that XML has by itself; there are no others.
fn predefined(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    Ok(match &**reference {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return Err(XmlError::Forbidden),
    })
}

/// Whether a name is as the platforms choose theirs, which have no prefixes.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_word)
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}
