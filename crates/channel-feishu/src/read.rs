//! The content of a message as words, marks and files
//! (<https://open.feishu.cn/document/server-docs/im-v1/message-content-description/message_content>).

use std::collections::HashMap;

use channel_core::{Attachment, AttachmentKind, FileId, Formatted, Style, StyleMark};

use crate::media;
use crate::wire::{Element, Fields, Mention, Post, is_id};

/// A content as words.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) formatted: Option<Formatted>,
    pub(crate) attachments: Vec<Attachment>,
    /// Whether the bot is mentioned.
    pub(crate) mentions_me: bool,
}

/// The most files of one message that are told of.
const MAX_FILES: usize = 64;

/// Reads a content of a kind. `me` is the open id of the bot, whose mention at the very start
/// is left out: it says whom the message is for and not what it says.
pub(crate) fn words(
    message: &str,
    kind: &str,
    content: &str,
    mentions: &[Mention],
    me: Option<&str>,
) -> Words {
    let mut reader = Reader {
        out: Words::default(),
        marks: Vec::new(),
        units: 0,
        message,
        mentions,
        me,
    };
    match kind {
        "post" | "interactive" => match post(content) {
            Some(post) => reader.post(post),
            None => reader.push(&format!("[{kind}]")),
        },
        _ => reader.fields(kind, &serde_json::from_str(content).unwrap_or_default()),
    }
    reader.out.formatted = Formatted::marks(reader.marks);
    reader.out
}

/// A `post` comes without its language; some say it all the same.
fn post(content: &str) -> Option<Post> {
    let plain: Post = serde_json::from_str(content).ok()?;
    if plain.content.is_some() || plain.title.is_some() {
        return Some(plain);
    }
    let localised: HashMap<String, Post> = serde_json::from_str(content).ok()?;
    localised.into_values().find(|post| post.content.is_some())
}

struct Reader<'a> {
    out: Words,
    marks: Vec<StyleMark>,
    /// The length of the text so far, in UTF-16 units.
    units: usize,
    message: &'a str,
    mentions: &'a [Mention],
    me: Option<&'a str>,
}

impl Reader<'_> {
    fn push(&mut self, text: &str) {
        self.units += text.chars().map(char::len_utf16).sum::<usize>();
        self.out.text.push_str(text);
    }

    fn push_styled(&mut self, text: &str, style: Style) {
        let start = self.units;
        self.push(text);
        self.mark(start, style);
    }

    fn mark(&mut self, start: usize, style: Style) {
        let length = self.units - start;
        if let (Ok(offset), Ok(length)) = (u32::try_from(start), u32::try_from(length))
            && length > 0
        {
            self.marks.push(StyleMark::new(offset, length, style));
        }
    }

    fn fields(&mut self, kind: &str, fields: &Fields) {
        let name = fields.file_name.as_deref();
        let place = |key: &Option<String>, way: &str| {
            let key = key.as_deref().filter(|key| is_id(key))?;
            Some(media::id(self.message, key, way))
        };
        match kind {
            "text" => {
                let text = fields.text.clone().unwrap_or_default();
                self.text(&text, true);
            }
            "image" => {
                let id = place(&fields.image_key, media::IMAGE);
                self.attach(id, AttachmentKind::Image, None, kind);
            }
            "file" | "folder" => {
                let id = place(&fields.file_key, media::FILE);
                self.attach(id, AttachmentKind::File, name, kind);
            }
            "audio" => {
                let id = place(&fields.file_key, media::FILE);
                self.attach(id, AttachmentKind::Voice, name, kind);
            }
            "media" | "video" => {
                let id = place(&fields.file_key, media::FILE);
                self.attach(id, AttachmentKind::Video, name, kind);
            }
            "sticker" => {
                let id = place(&fields.file_key, media::STICKER);
                self.attach(id, AttachmentKind::Sticker, None, kind);
            }
            "share_chat" | "share_user" => {
                let who = fields.chat_id.as_deref().or(fields.user_id.as_deref());
                let who = who.filter(|id| is_id(id)).unwrap_or_default();
                self.push(&format!("[{kind}] {who}"));
            }
            "location" => {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                let (latitude, longitude) = (part(&fields.latitude), part(&fields.longitude));
                self.push(&format!("{} ({latitude}, {longitude})", part(&fields.name)));
            }
            // What the text is of other kinds, if it is one, and their names.
            _ => match &fields.text {
                Some(text) => self.text(&text.clone(), false),
                None => {
                    let end = kind.floor_char_boundary(64);
                    self.push(&format!("[{}]", kind.get(..end).unwrap_or_default()));
                }
            },
        }
    }

    /// A file of which no key is told is told of in words.
    fn attach(&mut self, id: Option<FileId>, kind: AttachmentKind, name: Option<&str>, word: &str) {
        let Some(id) = id else {
            return self.push(&format!("[{word}]"));
        };
        if self.out.attachments.len() < MAX_FILES {
            let mut attachment = Attachment::new(id, kind);
            attachment.name = name.map(str::to_owned);
            self.out.attachments.push(attachment);
        }
    }

    /// A text with keys such as `@_user_1` in it, which stand for names.
    fn text(&mut self, text: &str, is_start: bool) {
        let mut rest = text;
        if is_start {
            let trimmed = rest.trim_start();
            if let Some((mention, after)) = self.mention(trimmed)
                && self.is_me(&mention)
            {
                self.out.mentions_me = true;
                rest = after.trim_start();
            }
        }
        while let Some(at) = rest.find("@_") {
            let (before, special) = rest.split_at(at);
            self.push(before);
            rest = match self.mention(special) {
                Some((mention, after)) => {
                    self.named(&mention.name, mention.open_id.as_deref());
                    after
                }
                None => match special.strip_prefix("@_all") {
                    Some(after) => {
                        self.push("@all");
                        after
                    }
                    None => {
                        self.push("@_");
                        special.get(2..).unwrap_or_default()
                    }
                },
            };
        }
        self.push(rest);
    }

    fn is_me(&self, mention: &Mention) -> bool {
        self.me.is_some() && mention.open_id.as_deref() == self.me
    }

    /// The mention whose key a text begins with: `@_user_1` is not the start of `@_user_12`.
    fn mention<'t>(&self, text: &'t str) -> Option<(Mention, &'t str)> {
        let digits = text.strip_prefix("@_user_")?;
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let (key, after) = text.split_at_checked("@_user_".len() + end)?;
        let found = self.mentions.iter().find(|mention| mention.key == key)?;
        Some((found.clone(), after))
    }

    fn named(&mut self, name: &str, open_id: Option<&str>) {
        if open_id.is_some() && open_id == self.me {
            self.out.mentions_me = true;
        }
        let id = open_id.filter(|id| is_id(id)).map(Into::into);
        self.push_styled(
            &format!("@{}", name.trim_start_matches('@')),
            Style::Mention { id },
        );
    }

    fn post(&mut self, post: Post) {
        if let Some(title) = post.title.filter(|title| !title.is_empty()) {
            self.push_styled(&title, Style::Strong);
            self.push("\n");
        }
        let mut is_start = self.units == 0;
        for (index, line) in post.content.unwrap_or_default().into_iter().enumerate() {
            if index > 0 {
                self.push("\n");
            }
            for element in line {
                is_start = self.element(element, is_start);
            }
        }
        let kept = self.out.text.trim_end().len();
        self.out.text.truncate(kept);
    }

    /// Adds an element; whether what follows still stands at the very start.
    fn element(&mut self, element: Element, is_start: bool) -> bool {
        let text = element.text.unwrap_or_default();
        match element.tag.as_str() {
            "a" => {
                let url = element.href.unwrap_or_default();
                let shown = if text.is_empty() { url.clone() } else { text };
                self.push_styled(&shown, Style::Link { url });
            }
            "at" => {
                let key = element.user_id.unwrap_or_default();
                let found = self.mentions.iter().find(|mention| mention.key == key);
                let (name, id) = match found.cloned() {
                    Some(mention) => (mention.name, mention.open_id),
                    None if matches!(key.as_str(), "@_all" | "all") => ("all".to_owned(), None),
                    None => (element.user_name.unwrap_or_default(), Some(key)),
                };
                if is_start && id.is_some() && id.as_deref() == self.me {
                    self.out.mentions_me = true;
                    return true;
                }
                self.named(&name, id.as_deref());
            }
            "img" => {
                let key = element.image_key.filter(|key| is_id(key));
                let id = key.map(|key| media::id(self.message, &key, media::IMAGE));
                self.attach(id, AttachmentKind::Image, None, "image");
                return is_start;
            }
            "media" => {
                let key = element.file_key.filter(|key| is_id(key));
                let id = key.map(|key| media::id(self.message, &key, media::FILE));
                self.attach(id, AttachmentKind::Video, None, "media");
                return is_start;
            }
            "emotion" => {
                let name = element.emoji_type.unwrap_or_default();
                let shown = crate::emoji::from_name(&name);
                self.push_styled(&shown, Style::Emoji { id: name });
            }
            "code_block" => {
                let language = element.language.filter(|it| !it.is_empty());
                let language = language.map(|it| it.to_lowercase());
                self.push_styled(text.trim_end_matches('\n'), Style::Pre { language });
            }
            "hr" => self.push("---"),
            _ => {
                let text = if is_start && self.out.mentions_me {
                    text.trim_start()
                } else {
                    text.as_str()
                };
                let start = self.units;
                self.text(text, false);
                self.styles(start, &element.style);
                return is_start && self.units == 0;
            }
        }
        false
    }

    fn styles(&mut self, start: usize, styles: &[String]) {
        for style in styles.iter().take(8) {
            let style = match style.as_str() {
                "bold" => Style::Strong,
                "italic" => Style::Emphasis,
                "underline" => Style::Underline,
                "lineThrough" => Style::Strike,
                "codeInline" => Style::Code,
                _ => continue,
            };
            self.mark(start, style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(n: usize, id: &str, name: &str) -> Mention {
        Mention {
            key: format!("@_user_{n}"),
            open_id: Some(id.to_owned()),
            name: name.to_owned(),
        }
    }

    fn read(kind: &str, content: &str) -> Words {
        let mentions = [mention(1, "ou_bot", "kit"), mention(12, "ou_2", "Ada")];
        words("om_1", kind, content, &mentions, Some("ou_bot"))
    }

    #[test]
    fn keys_become_names_and_the_bot_at_the_start_is_left_out() {
        let text = |text: &str| {
            let content = serde_json::json!({ "text": text }).to_string();
            let words = read("text", &content);
            (words.text, words.mentions_me)
        };
        for (raw, wanted, me) in [
            ("hi", "hi", false),
            ("@_user_1 /help me", "/help me", true),
            (" @_user_1  hi", "hi", true),
            ("ask @_user_1 now", "ask @kit now", true),
            ("@_user_12 hi", "@Ada hi", false),
            ("@_user_123 @_user_ @_", "@_user_123 @_user_ @_", false),
            ("@_all hi", "@all hi", false),
            ("a@_b", "a@_b", false),
        ] {
            assert_eq!(text(raw), (wanted.to_owned(), me), "{raw}");
        }
    }

    #[test]
    fn a_post_is_words_marks_and_files() {
        let content = r#"{"title":"t","content":[[{"tag":"text","text":"a","style":["bold"]},{"tag":"a","text":"l","href":"https://e.x"},{"tag":"at","user_id":"@_user_12","user_name":"n"},{"tag":"img","image_key":"img_1"},{"tag":"media","file_key":"file_1","image_key":"img_2"},{"tag":"emotion","emoji_type":"SMILE"}],[{"tag":"code_block","language":"RUST","text":"fn x() {}"}],[{"tag":"md","text":"m"},{"tag":"hr"}]]}"#;
        let localised = format!(r#"{{"zh_cn":{content}}}"#);
        for content in [content, localised.as_str()] {
            let words = read("post", content);
            assert_eq!(words.text, "t\nal@Ada\u{1f604}\nfn x() {}\nm---");
            let ids: Vec<_> = words.attachments.iter().map(|it| it.id.as_str()).collect();
            assert_eq!(ids, ["om_1/img_1/image", "om_1/file_1/file"]);
            let wanted = Formatted::marks([
                StyleMark::new(0, 1, Style::Strong),
                StyleMark::new(2, 1, Style::Strong),
                StyleMark::new(
                    3,
                    1,
                    Style::Link {
                        url: "https://e.x".to_owned(),
                    },
                ),
                StyleMark::new(
                    4,
                    4,
                    Style::Mention {
                        id: Some("ou_2".into()),
                    },
                ),
                StyleMark::new(
                    8,
                    2,
                    Style::Emoji {
                        id: "SMILE".to_owned(),
                    },
                ),
                StyleMark::new(
                    11,
                    9,
                    Style::Pre {
                        language: Some("rust".to_owned()),
                    },
                ),
            ]);
            assert_eq!(words.formatted, wanted);
        }
        let addressed = read(
            "post",
            r#"{"content":[[{"tag":"at","user_id":"@_user_1"},{"tag":"text","text":" /help"}]]}"#,
        );
        assert_eq!(
            (addressed.text.as_str(), addressed.mentions_me),
            ("/help", true)
        );
    }

    #[test]
    fn every_kind_is_told_of() {
        for (kind, content, text) in [
            ("share_chat", r#"{"chat_id":"oc_1"}"#, "[share_chat] oc_1"),
            ("share_user", r#"{"user_id":"ou_1"}"#, "[share_user] ou_1"),
            (
                "location",
                r#"{"name":"here","longitude":"1","latitude":"2"}"#,
                "here (2, 1)",
            ),
            ("hongbao", "{}", "[hongbao]"),
            ("merge_forward", "\"Merged\"", "[merge_forward]"),
            (
                "interactive",
                r#"{"title":"T","elements":[[{"tag":"text","text":"x"}]]}"#,
                "T\nx",
            ),
            ("interactive", "not json", "[interactive]"),
            ("image", "{}", "[image]"),
            ("image", r#"{"image_key":"../x"}"#, "[image]"),
            ("text", "null", ""),
        ] {
            assert_eq!(read(kind, content).text, text, "{kind}");
        }
        for (kind, content, id, of) in [
            (
                "image",
                r#"{"image_key":"img_1"}"#,
                "om_1/img_1/image",
                AttachmentKind::Image,
            ),
            (
                "file",
                r#"{"file_key":"f","file_name":"a.pdf"}"#,
                "om_1/f/file",
                AttachmentKind::File,
            ),
            (
                "audio",
                r#"{"file_key":"f","duration":2000}"#,
                "om_1/f/file",
                AttachmentKind::Voice,
            ),
            (
                "media",
                r#"{"file_key":"f","image_key":"c"}"#,
                "om_1/f/file",
                AttachmentKind::Video,
            ),
            (
                "sticker",
                r#"{"file_key":"f"}"#,
                "om_1/f/sticker",
                AttachmentKind::Sticker,
            ),
        ] {
            let words = read(kind, content);
            let attachment = &words.attachments[0];
            assert_eq!((attachment.id.as_str(), attachment.kind), (id, of));
            assert_eq!(words.text, "");
        }
    }
}
