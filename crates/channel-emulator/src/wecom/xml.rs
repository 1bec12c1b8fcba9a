//! XML as callbacks and passive replies have it. <https://developer.work.weixin.qq.com/document/path/90930>

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Levels of nesting that are read.
const MAX_DEPTH: usize = 8;
/// Elements that are read.
const MAX_ELEMENTS: usize = 512;

/// An element: text, or other elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
    /// The text is written as it is, without CDATA.
    is_plain: bool,
}

impl Element {
    /// Text in CDATA.
    pub(crate) fn text(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// A number, which the platform writes without CDATA.
    pub(crate) fn number(name: &str, number: impl std::fmt::Display + Copy) -> Self {
        Self {
            is_plain: true,
            ..Self::text(name, &number.to_string())
        }
    }

    pub(crate) fn node(name: &str, children: Vec<Self>) -> Self {
        Self {
            name: name.to_owned(),
            children,
            ..Self::default()
        }
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        let name = &self.name;
        out.push_str(&format!("<{name}>"));
        if !self.children.is_empty() {
            self.children.iter().for_each(|child| child.write_to(out));
        } else if self.is_plain {
            out.push_str(&self.text);
        } else {
            // A CDATA section ends at the first `]]>`, so the text goes on in another one.
            let text = self.text.replace("]]>", "]]]]><![CDATA[>");
            out.push_str(&format!("<![CDATA[{text}]]>"));
        }
        out.push_str(&format!("</{name}>"));
    }

    /// Elements as objects, siblings of one name as a list: how the logs show a passive reply.
    pub(crate) fn to_json(&self) -> Value {
        if self.children.is_empty() {
            return Value::from(self.text.as_str());
        }
        let mut object = Map::new();
        for child in &self.children {
            let value = child.to_json();
            match object.get_mut(&child.name) {
                None => {
                    object.insert(child.name.clone(), value);
                }
                Some(Value::Array(list)) => list.push(value),
                Some(first) => {
                    let list = vec![first.take(), value];
                    *first = list.into();
                }
            }
        }
        object.into()
    }
}

/// Reads a document; none when it is none, or has what no WeCom document has.
pub(crate) fn parse(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                elements += 1;
                if open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    return None;
                }
                open.push(Element::node(start.name().as_ref(), Vec::new()));
            }
            Event::Empty(start) => {
                elements += 1;
                let parent = open.last_mut().filter(|_| elements <= MAX_ELEMENTS)?;
                let child = Element::node(start.name().as_ref(), Vec::new());
                parent.children.push(child);
            }
            Event::End(_) => {
                let mut done = open.pop()?;
                if !done.children.is_empty() {
                    done.text.clear();
                }
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Some(done),
                }
            }
            Event::Text(part) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&part);
                }
            }
            Event::CData(part) => {
                let element = open.last_mut()?;
                element.text.push_str(&part);
            }
            Event::GeneralRef(part) => {
                let text = format!("&{};", &*part);
                let element = open.last_mut()?;
                element.text.push_str(&unescape(&text).ok()?);
            }
            Event::Decl(_) => {}
            Event::DocType(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Element, parse};

    #[test]
    fn reads_what_it_writes() {
        let document = Element::node(
            "xml",
            vec![
                Element::text("Content", "a < b ]]> & c"),
                Element::number("CreateTime", 1_760_000_000),
                Element::node(
                    "List",
                    vec![Element::text("Item", "1"), Element::text("Item", "2")],
                ),
            ],
        );
        let read = parse(&document.write()).unwrap();
        assert_eq!(read.child("Content").unwrap().text, "a < b ]]> & c");
        assert_eq!(
            read.to_json()["List"],
            serde_json::json!({"Item": ["1", "2"]})
        );
    }

    #[test]
    fn reads_entities_and_spaces_in_tags() {
        let read = parse("<xml>\n <A>1 &lt; 2</A >\n<B/></xml>").unwrap();
        assert_eq!(read.child("A").unwrap().text, "1 < 2");
        assert_eq!(read.child("B").unwrap().text, "");
    }

    #[test]
    fn refuses_documents_with_a_type() {
        assert!(parse("<!DOCTYPE xml [<!ENTITY a 'b'>]><xml/>").is_none());
        assert!(parse(&"<a>".repeat(100)).is_none());
        assert!(parse("<xml><a></xml>").is_none());
    }
}
