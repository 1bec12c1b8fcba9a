//! What a LINE message says in the common vocabulary.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    Addressed, Attachment, AttachmentKind, ChatKind, Command, FileId, Formatted, SenderId, Style,
    StyleMark,
};

use crate::files;
use crate::wire::{Event, Mentionee, Message, MessageKind};

/// What is written beside the words of a text: how many are looked at.
const MAX_MARKS: usize = 100;

/// A moment in milliseconds.
pub(crate) fn moment(milliseconds: i64) -> Option<SystemTime> {
    let milliseconds = u64::try_from(milliseconds).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

impl Event {
    pub(crate) fn sent_at(&self) -> Option<SystemTime> {
        moment(self.timestamp)
    }
}

impl Message {
    /// The words. A place has none of its own, so what it says is put into words.
    pub(crate) fn words(&self) -> String {
        match self.kind {
            MessageKind::Location => self.place(),
            _ => self.text.clone().unwrap_or_default(),
        }
    }

    /// The same, taken out of the message.
    pub(crate) fn take_words(&mut self) -> String {
        match self.kind {
            MessageKind::Location => self.place(),
            _ => self.text.take().unwrap_or_default(),
        }
    }

    /// Title, address and position, a line each.
    fn place(&self) -> String {
        let mut lines: Vec<String> = [&self.title, &self.address]
            .into_iter()
            .flatten()
            .filter(|line| !line.is_empty())
            .cloned()
            .collect();
        if let (Some(latitude), Some(longitude)) = (self.latitude, self.longitude) {
            lines.push(format!("{latitude}, {longitude}"));
        }
        lines.join("\n")
    }

    /// Whether a mention is of the bot.
    fn mentions(&self, me: Option<&str>) -> bool {
        let is_me = |mentionee: &Mentionee| {
            mentionee.is_self
                || (me.is_some() && mentionee.user_id.as_ref().map(SenderId::as_str) == me)
        };
        let mention = self.mention.iter().flat_map(|it| &it.mentionees);
        mention.take(MAX_MARKS).any(is_me)
    }

    /// Whether and why it is meant for the bot. A group has one official account at most
    /// (<https://developers.line.biz/en/docs/messaging-api/group-chats/>), so a command in
    /// it is meant for nobody else.
    pub(crate) fn addressed(&self, chat: ChatKind, me: Option<&str>, quotes_me: bool) -> Addressed {
        if chat == ChatKind::Direct {
            Addressed::Direct
        } else if self.mentions(me) {
            Addressed::Mention
        } else if quotes_me {
            Addressed::Reply
        } else if self.kind == MessageKind::Text
            && self.text.as_deref().and_then(Command::parse).is_some()
        {
            Addressed::Command
        } else {
            Addressed::No
        }
    }

    /// The formatting of the words: emojis of LINE's own, and mentions.
    pub(crate) fn formatted(&self) -> Option<Formatted> {
        let text = self.text.as_deref()?;
        let emojis = self.emojis.iter().filter_map(|emoji| {
            let id = format!("{}/{}", emoji.product_id, emoji.emoji_id);
            let (index, length) = utf16_range(text, emoji.index, emoji.length, '(')?;
            Some(StyleMark::new(index, length, Style::Emoji { id }))
        });
        let mentionees = self.mention.iter().flat_map(|it| &it.mentionees);
        let mentions = mentionees.filter_map(|mentionee| {
            let (index, length) = utf16_range(text, mentionee.index, mentionee.length, '@')?;
            let id = mentionee.user_id.clone();
            Some(StyleMark::new(index, length, Style::Mention { id }))
        });
        Formatted::marks(emojis.take(MAX_MARKS).chain(mentions.take(MAX_MARKS)))
    }

    /// The file that it is.
    pub(crate) fn attachment(&self) -> Option<Attachment> {
        let kind = match self.kind {
            MessageKind::Image => AttachmentKind::Image,
            MessageKind::Video => AttachmentKind::Video,
            MessageKind::Audio => AttachmentKind::Audio,
            MessageKind::File => AttachmentKind::File,
            MessageKind::Sticker => AttachmentKind::Sticker,
            MessageKind::Text | MessageKind::Location | MessageKind::Other => return None,
        };
        let mut attachment = Attachment::new(self.file_id()?, kind);
        attachment.name.clone_from(&self.file_name);
        attachment.bytes = self.file_size;
        Some(attachment)
    }

    fn file_id(&self) -> Option<FileId> {
        if self.kind == MessageKind::Sticker {
            let (package, sticker) = (self.package_id.as_ref()?, self.sticker_id.as_ref()?);
            return Some(files::sticker_id(package, sticker));
        }
        let provider = self.content_provider.as_ref();
        let external = provider.filter(|provider| provider.kind == "external");
        match external.and_then(|provider| provider.original_content_url.as_deref()) {
            Some(url) => Some(FileId::from(url)),
            None => Some(FileId::new(&self.id)),
        }
    }
}

/// A range in UTF-16 code units. LINE does not say what it counts: UTF-16 is tried first,
/// then whole characters; a range that does not begin with `mark` is of neither.
fn utf16_range(text: &str, index: u64, length: u64, mark: char) -> Option<(u32, u32)> {
    let (index, length) = (u32::try_from(index).ok()?, u32::try_from(length).ok()?);
    let mut units = 0_u32;
    let mut by_characters = None;
    for (position, char) in (0_u32..).zip(text.chars()) {
        if units == index && char == mark {
            return Some((index, length));
        }
        if position == index && char == mark {
            let rest = text.chars().skip(position as usize);
            let width = rest
                .take(length as usize)
                .map(char::len_utf16)
                .sum::<usize>();
            by_characters = Some((units, u32::try_from(width).ok()?));
        }
        units = units.checked_add(u32::try_from(char.len_utf16()).ok()?)?;
        if units > index && position >= index {
            break;
        }
    }
    by_characters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_whatever_line_counts() {
        assert_eq!(utf16_range("@Bot hi", 0, 4, '@'), Some((0, 4)));
        // By UTF-16, by characters, and by neither.
        assert_eq!(utf16_range("🍎🍎 @Bot", 5, 4, '@'), Some((5, 4)));
        assert_eq!(utf16_range("🍎🍎 @Bot", 3, 4, '@'), Some((5, 4)));
        assert_eq!(utf16_range("🍎🍎 @Bot", 4, 4, '@'), None);
        assert_eq!(utf16_range("x", u64::MAX, 1, '@'), None);
        assert_eq!(utf16_range("", 0, 1, '@'), None);
        assert_eq!(utf16_range("🍎 @🍏 x", 2, 2, '@'), Some((3, 3)));
    }

    #[test]
    fn moments_before_1970_and_beyond_time_are_none() {
        assert_eq!(moment(-1), None);
        assert!(moment(1_760_000_000_000).is_some());
        let _ = moment(i64::MAX);
    }
}
