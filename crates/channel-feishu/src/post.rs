//! Rich text as a `post`: lines of elements whose words are taken literally, so that nothing
//! in them is read as a mark or calls anybody
//! (<https://open.feishu.cn/document/server-docs/im-v1/message-content-description/create_json>).

use channel_text::{Spanned, Tag, Visitor};
use serde_json::{Value, json};

use crate::wire::is_id;

/// The languages that Feishu colours; it refuses others.
const LANGUAGES: [&str; 20] = [
    "PYTHON",
    "C",
    "CPP",
    "GO",
    "JAVA",
    "KOTLIN",
    "SWIFT",
    "PHP",
    "RUBY",
    "RUST",
    "JAVASCRIPT",
    "TYPESCRIPT",
    "BASH",
    "SHELL",
    "SQL",
    "JSON",
    "XML",
    "YAML",
    "HTML",
    "THRIFT",
];

/// The content of a `post`.
pub(crate) fn content(words: &Spanned) -> String {
    let mut lines = Lines::default();
    words.visit(&mut lines);
    let mut content = lines.done;
    content.push(lines.line);
    json!({"zh_cn": {"title": "", "content": content}}).to_string()
}

/// Lines that are being written.
#[derive(Default)]
struct Lines {
    done: Vec<Vec<Value>>,
    line: Vec<Value>,
    bold: usize,
    italic: usize,
    underline: usize,
    strike: usize,
    quote: usize,
    code: usize,
    links: Vec<String>,
    /// An open mention or emoji, which Feishu writes itself.
    hidden: usize,
    /// The language and the lines of preformatted text.
    pre: Option<(String, String)>,
}

impl Lines {
    fn end_line(&mut self) {
        self.done.push(std::mem::take(&mut self.line));
    }

    /// Preformatted text has a line of its own.
    fn end_line_if(&mut self, is_shared: impl Fn(&Value) -> bool) {
        if self.line.last().is_some_and(is_shared) {
            self.end_line();
        }
    }

    fn words(&mut self, words: &str) {
        if self.quote > 0 && self.line.is_empty() {
            self.line.push(json!({"tag": "text", "text": "> "}));
        }
        if words.is_empty() {
            return;
        }
        self.end_line_if(|it| it["tag"] == "code_block");
        let words = if self.code > 0 {
            format!("`{words}`")
        } else {
            words.to_owned()
        };
        let styles = [
            (self.bold, "bold"),
            (self.italic, "italic"),
            (self.underline, "underline"),
            (self.strike, "lineThrough"),
        ];
        let styles: Vec<_> = styles
            .into_iter()
            .filter_map(|(count, name)| (count > 0).then_some(name))
            .collect();
        let mut element = match self.links.last() {
            Some(url) => json!({"tag": "a", "text": words, "href": url}),
            None => json!({"tag": "text", "text": words}),
        };
        if let Some(fields) = element.as_object_mut().filter(|_| !styles.is_empty()) {
            fields.insert("style".to_owned(), json!(styles));
        }
        self.line.push(element);
    }
}

impl Visitor for Lines {
    fn open(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong | Tag::Heading(_) => self.bold += 1,
            Tag::Emphasis => self.italic += 1,
            Tag::Underline => self.underline += 1,
            Tag::Strike => self.strike += 1,
            Tag::Quote => self.quote += 1,
            Tag::Code => self.code += 1,
            Tag::Link { url } => self.links.push((*url).to_owned()),
            Tag::CodeBlock { language } => {
                self.end_line_if(|_| true);
                let language = language.unwrap_or_default().to_ascii_uppercase();
                self.pre = Some((language, String::new()));
            }
            Tag::Mention { id: Some(id) } if is_id(id.as_str()) => {
                self.hidden += 1;
                self.line.push(json!({"tag": "at", "user_id": id.as_str()}));
            }
            Tag::Emoji { id } if is_id(id) => {
                self.hidden += 1;
                self.line.push(json!({"tag": "emotion", "emoji_type": id}));
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: &Tag<'_>) {
        let less = |count: &mut usize| *count = count.saturating_sub(1);
        match tag {
            Tag::Strong | Tag::Heading(_) => less(&mut self.bold),
            Tag::Emphasis => less(&mut self.italic),
            Tag::Underline => less(&mut self.underline),
            Tag::Strike => less(&mut self.strike),
            Tag::Quote => less(&mut self.quote),
            Tag::Code => less(&mut self.code),
            Tag::Link { .. } => {
                self.links.pop();
            }
            Tag::CodeBlock { .. } => {
                let Some((language, text)) = self.pre.take() else {
                    return;
                };
                let mut block = json!({"tag": "code_block", "text": text});
                if LANGUAGES.contains(&language.as_str())
                    && let Some(fields) = block.as_object_mut()
                {
                    fields.insert("language".to_owned(), json!(language));
                }
                self.line.push(block);
            }
            Tag::Mention { id: Some(id) } if is_id(id.as_str()) => less(&mut self.hidden),
            Tag::Emoji { id } if is_id(id) => less(&mut self.hidden),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden > 0 {
            return;
        }
        if let Some((_, pre)) = &mut self.pre {
            pre.push_str(text);
            return;
        }
        for (index, words) in text.split('\n').enumerate() {
            if index > 0 {
                self.end_line();
            }
            self.words(words);
        }
    }
}

#[cfg(test)]
mod tests {
    use channel_core::{Body, Content, Inline};
    use channel_text::spanned_of;

    use super::*;

    fn lines(body: &Body) -> Value {
        let content: Value = serde_json::from_str(&content(&spanned_of(body))).unwrap();
        content["zh_cn"]["content"].clone()
    }

    #[test]
    fn marks_become_styles_and_words_stay_words() {
        let source = "# Title\n\n**b** *i* ~~s~~ `c` [l](https://e.x) <at user_id=\"all\">\n\n```rust\nfn x() {}\n```\n\nend";
        let wanted = json!([
            [{"tag": "text", "text": "Title", "style": ["bold"]}],
            [],
            [{"tag": "text", "text": "b", "style": ["bold"]}, {"tag": "text", "text": " "},
             {"tag": "text", "text": "i", "style": ["italic"]}, {"tag": "text", "text": " "},
             {"tag": "text", "text": "s", "style": ["lineThrough"]}, {"tag": "text", "text": " "},
             {"tag": "text", "text": "`c`"}, {"tag": "text", "text": " "},
             {"tag": "a", "text": "l", "href": "https://e.x"},
             {"tag": "text", "text": " <at user_id=\"all\">"}],
            [],
            [{"tag": "code_block", "text": "fn x() {}", "language": "RUST"}],
            [],
            [{"tag": "text", "text": "end"}],
        ]);
        assert_eq!(lines(&Body::markdown(source)), wanted);
    }

    #[test]
    fn people_are_mentioned_by_id_alone() {
        let body = Body::Content(Content::paragraph([
            Inline::Mention {
                id: Some("ou_1".into()),
                name: "@Ada".to_owned(),
            },
            Inline::text(" hi "),
            Inline::Mention {
                id: None,
                name: "@Ben".to_owned(),
            },
        ]));
        let wanted = json!([[{"tag": "at", "user_id": "ou_1"}, {"tag": "text", "text": " hi "},
            {"tag": "text", "text": "@Ben"}]]);
        assert_eq!(lines(&body), wanted);
    }

    #[test]
    fn quotes_are_marked_line_by_line() {
        let wanted = json!([[{"tag": "text", "text": "> "}, {"tag": "text", "text": "a"}],
            [{"tag": "text", "text": "> "}, {"tag": "text", "text": "b"}]]);
        assert_eq!(lines(&Body::markdown("> a\n> b")), wanted);
    }
}
