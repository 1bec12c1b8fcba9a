//! Writing the XML of answers.

/// Writes a document whose root is `<xml>`.
///
/// ```
/// use channel_wechat_crypto::XmlWriter;
///
/// let mut xml = XmlWriter::new();
/// xml.text("Content", "a ]]> b").number("CreateTime", 7);
/// assert_eq!(
///     xml.finish(),
///     "<xml><Content><![CDATA[a ]]]]><![CDATA[> b]]></Content><CreateTime>7</CreateTime></xml>",
/// );
/// ```
#[derive(Debug, Clone)]
pub struct XmlWriter {
    out: String,
    open: Vec<&'static str>,
}

impl Default for XmlWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl XmlWriter {
    /// Opens the root.
    #[must_use]
    pub fn new() -> Self {
        Self {
            out: "<xml>".to_owned(),
            open: Vec::new(),
        }
    }

    /// Adds a text. Characters that XML cannot hold are left out: the platforms would call
    /// the whole answer broken.
    pub fn text(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.tag("<", name);
        self.out.push_str("<![CDATA[");
        let chars = text.chars().filter(|c| is_xml(*c));
        let mut brackets = 0;
        for char in chars {
            if char == '>' && brackets >= 2 {
                self.out.push_str("]]><![CDATA[");
            }
            brackets = if char == ']' { brackets + 1 } else { 0 };
            self.out.push(char);
        }
        self.out.push_str("]]>");
        self.tag("</", name);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, name: &'static str, number: u64) -> &mut Self {
        self.tag("<", name);
        self.out.push_str(&number.to_string());
        self.tag("</", name);
        self
    }

    /// Opens an element that holds others.
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.tag("<", name);
        self.open.push(name);
        self
    }

    /// Closes the element that was opened last.
    pub fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.tag("</", name);
        }
        self
    }

    /// Closes whatever is open.
    #[must_use]
    pub fn finish(&mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        let mut out = std::mem::take(&mut self.out);
        out.push_str("</xml>");
        out
    }

    fn tag(&mut self, open: &str, name: &str) {
        self.out.push_str(open);
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// The characters of XML 1.0 (<https://www.w3.org/TR/xml/#charsets>).
const fn is_xml(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
