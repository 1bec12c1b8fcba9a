//! The short way through a document that is written as the platforms write theirs: start
//! tag, CDATA or text or elements, end tag, and nothing that would need a parser.
//!
//! It gives up at whatever else there is, which the reader of [`crate::xml`] then reads or
//! refuses. What it does read, that reader would read the same.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use crate::xml::{Element, XmlLimits, is_blank, is_name};

/// Levels of elements that are gone through here, whatever the limits say: each takes room
/// on the stack.
const DEPTH: usize = 16;

/// Elements that nearly all documents have in one another, so that there is room at once.
const FIELDS: usize = 8;

/// Reads a document; `None` says nothing about it but that it has to be read the long way.
pub(crate) fn read<'a>(text: &'a str, limits: &XmlLimits) -> Option<Element<'a>> {
    let mut scanner = Scanner {
        rest: text.strip_prefix("<xml>")?,
        limits,
        elements: 0,
    };
    let root = scanner.element("xml", 1)?;
    is_blank(scanner.rest).then_some(root)
}

struct Scanner<'a, 'l> {
    rest: &'a str,
    limits: &'l XmlLimits,
    elements: usize,
}

impl<'a> Scanner<'a, '_> {
    /// An element whose start tag has been read, to the end of its end tag; `depth` counts
    /// it.
    fn element(&mut self, name: &'a str, depth: usize) -> Option<Element<'a>> {
        let (text, children) = match self.rest.strip_prefix("<![CDATA[") {
            Some(inside) => (self.cdata(inside)?, Vec::new()),
            None => self.inside(depth)?,
        };
        self.rest = self
            .rest
            .strip_prefix("</")?
            .strip_prefix(name)?
            .strip_prefix('>')?;
        Some(Element {
            name: Cow::Borrowed(name),
            text: Cow::Borrowed(text),
            children,
        })
    }

    fn cdata(&mut self, inside: &'a str) -> Option<&'a str> {
        let ends = |at: &usize| inside.get(*at..).is_some_and(|it| it.starts_with("]]>"));
        let end = memchr_iter(b']', inside.as_bytes()).find(ends)?;
        let (text, rest) = inside.split_at_checked(end)?;
        self.rest = rest.strip_prefix("]]>")?;
        (text.len() <= self.limits.text).then_some(text)
    }

    /// Text, or elements with nothing but space between them, up to the end tag.
    fn inside(&mut self, depth: usize) -> Option<(&'a str, Vec<Element<'a>>)> {
        let mut children: Vec<Element<'a>> = Vec::new();
        let mut length = 0;
        loop {
            let start = memchr(b'<', self.rest.as_bytes())?;
            let (text, rest) = self.rest.split_at_checked(start)?;
            length += text.len();
            if length > self.limits.text {
                return None;
            }
            if rest.starts_with("</") {
                self.rest = rest;
                if children.is_empty() {
                    let is_plain = memchr2(b'&', b']', text.as_bytes()).is_none()
                        || !text.contains('&') && !text.contains("]]>");
                    return is_plain.then_some((text, children));
                }
                return is_blank(text).then_some(("", children));
            }
            self.elements += 1;
            let has_room =
                self.elements <= self.limits.elements && depth < self.limits.depth.min(DEPTH);
            let rest = rest.get(1..)?;
            let (name, rest) = rest.split_at_checked(memchr(b'>', rest.as_bytes())?)?;
            let is_again = children.iter().any(|child| child.name == name);
            if !has_room
                || !is_blank(text)
                || !is_name(name)
                || is_again && !self.limits.repeated.contains(&name)
            {
                return None;
            }
            self.rest = rest.get(1..)?;
            if children.is_empty() {
                children.reserve(FIELDS);
            }
            children.push(self.element(name, depth + 1)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use channel_testkit::SeededRandom;

    use super::*;
    use crate::xml::read_any;

    const DOCUMENTS: [&str; 4] = [
        "<xml><ToUserName><![CDATA[ww1]]></ToUserName><Encrypt><![CDATA[YWJj]]></Encrypt><AgentID><![CDATA[7]]></AgentID></xml>",
        "<xml><a><![CDATA[x ]] ]> <b> & \u{4e2d}]]></a><At>1760000000</At>\n <Pics><item>1</item>\r\n<item><![CDATA[]]></item></Pics><e></e></xml>\n",
        "<xml> text > \u{4e2d}\u{6587} </xml>",
        "<xml>\t<a>\n<b><item> 1 </item></b> </a><b>]]</b> </xml> ",
    ];

    fn limits() -> XmlLimits {
        XmlLimits::new(1 << 10, 4, 9, 24, &["item"])
    }

    #[test]
    fn what_platforms_write_goes_the_short_way() {
        for document in DOCUMENTS {
            let read = read(document, &limits()).expect(document);
            assert_eq!(read_any(document, &limits()), Ok(read), "{document}");
        }
    }

    #[test]
    fn whatever_goes_the_short_way_reads_the_same_the_long_way() {
        let random = SeededRandom::new(11);
        let below = |end: usize| usize::try_from(random.next_u64() % end as u64).unwrap();
        let pieces = [
            "<",
            ">",
            "/",
            "</",
            "&",
            "&amp;",
            "]",
            "]]>",
            "<![CDATA[",
            "<a>",
            "</a>",
            "<e/>",
            "<!--",
            "<?",
            " ",
            "\n",
            "a",
            "item",
            "xml",
            "\u{4e2d}",
            "<item>1</item>",
            "xxxxxxxxxxxx",
            "<a><a><a>",
            "=",
            "\"",
        ];
        let mut short = 0;
        for round in 0..60_000 {
            let mut text = DOCUMENTS[round % DOCUMENTS.len()].to_owned();
            for _ in 0..1 + below(3) {
                let at = text.floor_char_boundary(below(text.len()));
                let end = text.floor_char_boundary((at + below(12)).min(text.len()));
                let end = if below(2) == 0 { at } else { end.max(at) };
                text.replace_range(at..end, pieces[below(pieces.len())]);
            }
            if let Some(read) = read(&text, &limits()) {
                short += 1;
                assert_eq!(read_any(&text, &limits()), Ok(read), "{text}");
            }
        }
        assert!(short > 1000 && short < 60_000, "{short}");
    }
}
