//! The content of a message as words, marks and files
//! (<https://open.dingtalk.com/document/orgapp/the-application-robot-in-the-enterprise-sends-group-chat-messages>).

use channel_core::{Attachment, AttachmentKind, FileId, Formatted, Style, StyleMark};

use crate::ids::is_staff;
use crate::limits;
use crate::wire::{Content, Message, RichElement};

/// A content as words.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) formatted: Option<Formatted>,
    pub(crate) attachments: Vec<Attachment>,
}

/// The most files of one message that are told of.
const MAX_FILES: usize = 64;
/// The longest address of a shared document that is shown, in bytes.
const MAX_URL: usize = 2048;

/// Whether a text is the code of a file: it goes into JSON and nowhere else.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=limits::CODE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[derive(Default)]
struct Reader {
    out: Words,
    marks: Vec<StyleMark>,
    /// The length of the text so far, in UTF-16 units.
    units: usize,
}

/// Reads a message.
pub(crate) fn words(message: &Message) -> Words {
    let mut reader = Reader::default();
    let none = Content::default();
    let content = message.content.as_ref().unwrap_or(&none);
    match message.msgtype.as_str() {
        "text" => {
            let text = message.text.as_ref().map(|text| text.content.as_str());
            // The name of the bot was taken out before it, and the space behind it was not.
            reader.push(text.unwrap_or_default().trim_start());
        }
        "richText" => {
            for element in content.rich_text.iter().flatten() {
                reader.element(element);
            }
        }
        kind => reader.content(kind, content),
    }
    reader.out.formatted = Formatted::marks(reader.marks);
    reader.out
}

impl Reader {
    fn push(&mut self, text: &str) {
        self.units += text.chars().map(char::len_utf16).sum::<usize>();
        self.out.text.push_str(text);
    }

    fn push_styled(&mut self, text: &str, style: Style) {
        let start = self.units;
        self.push(text);
        if let (Ok(offset), Ok(length)) = (u32::try_from(start), u32::try_from(self.units - start))
            && length > 0
        {
            self.marks.push(StyleMark::new(offset, length, style));
        }
    }

    /// A file of which no code is told is told of in words.
    fn attach(
        &mut self,
        codes: [&Option<String>; 2],
        kind: AttachmentKind,
        name: Option<&str>,
        word: &str,
    ) {
        let mut codes = codes.into_iter().flatten();
        let Some(code) = codes.find(|code| is_code(code)) else {
            return self.push(&format!("[{word}]"));
        };
        if self.out.attachments.len() < MAX_FILES {
            let mut attachment = Attachment::new(FileId::from(code.as_str()), kind);
            attachment.name = name.map(str::to_owned);
            self.out.attachments.push(attachment);
        }
    }

    fn content(&mut self, kind: &str, content: &Content) {
        let codes = [&content.download_code, &content.picture_download_code];
        let name = content.file_name.as_deref();
        match kind {
            "picture" => self.attach(codes, AttachmentKind::Image, None, kind),
            "file" => self.attach(codes, AttachmentKind::File, name, kind),
            "video" => self.attach(codes, AttachmentKind::Video, name, kind),
            "audio" => {
                self.attach(codes, AttachmentKind::Voice, name, kind);
                let said = content.recognition.clone().unwrap_or_default();
                self.push(&said);
            }
            "chatRecord" => {
                let lines = [&content.title, &content.summary].into_iter().flatten();
                let lines: Vec<_> = lines.map(String::as_str).collect();
                self.push(&format!("[{kind}] {}", lines.join("\n")));
            }
            "interactiveCard" => {
                let url = content.action_url.as_deref().unwrap_or_default();
                let end = url.floor_char_boundary(MAX_URL);
                let text = format!("[{kind}] {}", url.get(..end).unwrap_or_default());
                self.push(text.trim_end());
            }
            // What the text is of other kinds, if it is one, and their names.
            _ => match &content.text {
                Some(text) => self.push(text),
                None => {
                    let end = kind.floor_char_boundary(64);
                    self.push(&format!("[{}]", kind.get(..end).unwrap_or_default()));
                }
            },
        }
    }

    fn element(&mut self, element: &RichElement) {
        match element.kind.as_deref() {
            Some("picture") => {
                let codes = [&element.download_code, &element.picture_download_code];
                self.attach(codes, AttachmentKind::Image, None, "picture");
            }
            Some("at") => {
                let id = element.at_user_id.as_deref().filter(|id| is_staff(id));
                let name = element.at_name.as_deref().or(id).unwrap_or_default();
                let name = format!("@{}", name.trim_start_matches('@'));
                self.push_styled(
                    &name,
                    Style::Mention {
                        id: id.map(Into::into),
                    },
                );
            }
            _ => {
                let text = element.text.as_deref().unwrap_or_default();
                let text = if self.units == 0 {
                    text.trim_start()
                } else {
                    text
                };
                self.push(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, content: &str) -> Words {
        let text = format!(
            r#"{{"msgId":"m","conversationId":"c","msgtype":"{kind}","content":{content}}}"#
        );
        words(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn every_kind_is_told_of() {
        for (kind, content, text) in [
            ("markdown", r#"{"text":"**x**"}"#, "**x**"),
            (
                "interactiveCard",
                r#"{"biz_custom_action_url":"https://x.y/?spaceId=1"}"#,
                "[interactiveCard] https://x.y/?spaceId=1",
            ),
            ("interactiveCard", "{}", "[interactiveCard]"),
            (
                "chatRecord",
                r#"{"title":"t","summary":"s","chatRecord":"[]"}"#,
                "[chatRecord] t\ns",
            ),
            ("unknownMsgType", "{}", "[unknownMsgType]"),
            ("picture", "{}", "[picture]"),
            ("picture", r#"{"downloadCode":"a b"}"#, "[picture]"),
            ("file", r#"{"fileName":"a"}"#, "[file]"),
        ] {
            assert_eq!(read(kind, content).text, text, "{kind}");
        }
        for (kind, content, code, of, text) in [
            (
                "picture",
                r#"{"downloadCode":"dc1","pictureDownloadCode":"p"}"#,
                "dc1",
                AttachmentKind::Image,
                "",
            ),
            (
                "picture",
                r#"{"pictureDownloadCode":"p"}"#,
                "p",
                AttachmentKind::Image,
                "",
            ),
            (
                "file",
                r#"{"downloadCode":"dc+/=","fileName":"a.pdf","fileId":1}"#,
                "dc+/=",
                AttachmentKind::File,
                "",
            ),
            (
                "audio",
                r#"{"downloadCode":"dc1","duration":3000,"recognition":"hi"}"#,
                "dc1",
                AttachmentKind::Voice,
                "hi",
            ),
            (
                "video",
                r#"{"downloadCode":"dc1","duration":"5","videoType":"mp4"}"#,
                "dc1",
                AttachmentKind::Video,
                "",
            ),
        ] {
            let words = read(kind, content);
            let attachment = &words.attachments[0];
            assert_eq!((attachment.id.as_str(), attachment.kind), (code, of));
            assert_eq!(words.text, text);
        }
    }

    #[test]
    fn a_rich_text_is_words_pictures_and_mentions() {
        let content = r#"{"richText":[{"text":" a "},{"type":"picture","downloadCode":"dc1"},{"type":"at","atName":"Ada","atUserId":"staff2"},{"text":" b"},{"type":"at","atName":"All"}]}"#;
        let words = read("richText", content);
        assert_eq!(words.text, "a @Ada b@All");
        assert_eq!(words.attachments[0].id.as_str(), "dc1");
        let wanted = Formatted::marks([
            StyleMark::new(
                2,
                4,
                Style::Mention {
                    id: Some("staff2".into()),
                },
            ),
            StyleMark::new(8, 4, Style::Mention { id: None }),
        ]);
        assert_eq!(words.formatted, wanted);
    }
}
