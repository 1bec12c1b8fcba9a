//! What a Telegram message says in the common vocabulary.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    Addressed, Attachment, AttachmentKind, ChatId, ChatKind, FileId, Formatted, MessageId, Quoted,
    SenderKind, Style, StyleMark, ThreadId,
};

use crate::address;
use crate::shared::Me;
use crate::wire::{ChatType, Entity, EntityKind, File, Message};

/// The account behind messages of anonymous administrators.
const ANONYMOUS_ADMIN: i64 = 1_087_968_824;
/// How many entities of one message are looked at; Telegram sends at most 100.
const MAX_ENTITIES: usize = 500;

pub(crate) const fn chat_kind(kind: ChatType) -> ChatKind {
    match kind {
        ChatType::Private => ChatKind::Direct,
        ChatType::Channel => ChatKind::Broadcast,
        ChatType::Group | ChatType::Supergroup | ChatType::Other => ChatKind::Group,
    }
}

impl Message {
    pub(crate) fn chat_id(&self) -> ChatId {
        if let Some(connection) = &self.business_connection_id {
            address::business_chat(connection, self.chat.id)
        } else if let Some(query) = &self.guest_query_id {
            address::guest_chat(query)
        } else {
            self.chat.id.into()
        }
    }

    pub(crate) fn common_id(&self) -> MessageId {
        match self.ephemeral_message_id {
            Some(id) => address::ephemeral_message(id),
            None => self.message_id.into(),
        }
    }

    /// The topic. In groups without topics the number only groups a chain of replies.
    pub(crate) fn thread(&self) -> Option<ThreadId> {
        let thread = self.message_thread_id.filter(|_| self.is_topic_message)?;
        Some(thread.into())
    }

    /// Whether Telegram wrote it.
    pub(crate) const fn is_service(&self) -> bool {
        self.service.is_some()
            || self.migrate_to_chat_id.is_some()
            || self.migrate_from_chat_id.is_some()
            || self.left_chat_member.is_some()
            || !self.new_chat_members.is_empty()
    }

    /// Whether there is nothing in it that the adapter reads: something that a person sent
    /// without words, such as a place, or a notice that is newer than the adapter.
    pub(crate) const fn is_bare(&self) -> bool {
        self.text.is_none()
            && self.caption.is_none()
            && !self.is_service()
            && self.photo.is_empty()
            && self.document.is_none()
            && self.audio.is_none()
            && self.video.is_none()
            && self.animation.is_none()
            && self.voice.is_none()
            && self.video_note.is_none()
            && self.sticker.is_none()
            && self.live_photo.is_none()
            && self.paid_media.is_none()
    }

    /// Who wrote it: an id and what kind of sender that is.
    pub(crate) fn author(&self, me: Option<i64>) -> (i64, SenderKind) {
        let kind = |kind| {
            if self.is_service() {
                SenderKind::System
            } else {
                kind
            }
        };
        if let Some(chat) = &self.sender_chat {
            return (chat.id, kind(SenderKind::Chat));
        }
        match &self.from {
            Some(user) if user.id != ANONYMOUS_ADMIN => {
                let is_bot = user.is_bot || self.is_mine(me);
                let of_user = if is_bot {
                    SenderKind::Bot
                } else {
                    SenderKind::Person
                };
                (user.id, kind(of_user))
            }
            _ => (self.chat.id, kind(SenderKind::Chat)),
        }
    }

    /// Whether it comes from the bot itself, directly or by another's hand.
    fn is_mine(&self, me: Option<i64>) -> bool {
        let is_me = |id: i64| me == Some(id);
        self.from.as_ref().is_some_and(|user| is_me(user.id))
            || self.via_bot.as_ref().is_some_and(|bot| is_me(bot.id))
            || self
                .sender_business_bot
                .as_ref()
                .is_some_and(|bot| is_me(bot.id))
    }

    /// The words and their entities.
    pub(crate) fn words(&self) -> (&str, &[Entity]) {
        let (text, entities) = match &self.text {
            Some(text) => (text.as_str(), &self.entities),
            None => (
                self.caption.as_deref().unwrap_or_default(),
                &self.caption_entities,
            ),
        };
        (text, entities.get(..MAX_ENTITIES).unwrap_or(entities))
    }

    /// Whether and why it is meant for the bot.
    pub(crate) fn addressed(&self, me: &Me) -> Addressed {
        if self.is_service() || self.is_mine(Some(me.id)) {
            return Addressed::No;
        }
        let (text, entities) = self.words();
        let command = entities
            .first()
            .filter(|entity| entity.kind == EntityKind::BotCommand && entity.offset == 0)
            .and_then(|entity| utf16_slice(text, 0, entity.length));
        if let Some((_, name)) = command.and_then(|command| command.split_once('@'))
            && !me.is_called(name)
        {
            return Addressed::No;
        }
        if self.guest_query_id.is_some() {
            return Addressed::Mention;
        }
        if self.chat.kind == ChatType::Private {
            // In a business chat the owner of the account writes too, to the customer.
            let is_customer = self.author(Some(me.id)).0 == self.chat.id;
            return if self.business_connection_id.is_none() || is_customer {
                Addressed::Direct
            } else {
                Addressed::No
            };
        }
        if command.is_some() {
            return Addressed::Command;
        }
        let is_me = |entity: &Entity| match entity.kind {
            EntityKind::Mention => utf16_slice(text, entity.offset, entity.length)
                .and_then(|name| name.strip_prefix('@'))
                .is_some_and(|name| me.is_called(name)),
            EntityKind::TextMention => entity.user.as_ref().is_some_and(|user| user.id == me.id),
            _ => false,
        };
        if entities.iter().any(is_me) {
            Addressed::Mention
        } else if self.quoted(Some(me.id)).is_some_and(|quoted| quoted.mine) {
            Addressed::Reply
        } else {
            Addressed::No
        }
    }

    /// The message that it replies to. The first message of a topic does not reply to the
    /// notice that the topic was made, though Telegram says so.
    pub(crate) fn quoted(&self, me: Option<i64>) -> Option<Quoted> {
        let replied = self.reply_to_message.as_ref()?;
        if replied.forum_topic_created.is_some() {
            return None;
        }
        let mine = me.is_some() && replied.from.as_ref().map(|user| user.id) == me;
        Some(Quoted::new(replied.message_id.into(), mine))
    }

    pub(crate) fn sent_at(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.date).ok().filter(|date| *date > 0)?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// The formatting of the words, if there is any. A name with `@` alone is none: the
    /// words say it all.
    pub(crate) fn formatted(&self) -> Option<Formatted> {
        let (_, entities) = self.words();
        let changes_the_look = |entity: &Entity| {
            !matches!(
                entity.kind,
                EntityKind::Mention | EntityKind::BotCommand | EntityKind::Other
            )
        };
        if !entities.iter().any(changes_the_look) {
            return None;
        }
        Formatted::marks(entities.iter().filter_map(mark))
    }

    /// The files; an animation is a document too, and counts once.
    pub(crate) fn attachments(&self) -> Vec<Attachment> {
        let mut found = Vec::new();
        let mut add = |file: Option<&File>, kind| {
            if let Some(file) = file {
                found.push(attachment(file, kind));
            }
        };
        add(largest(&self.photo), AttachmentKind::Image);
        add(self.live_photo.as_deref(), AttachmentKind::Video);
        add(self.animation.as_deref(), AttachmentKind::Animation);
        if self.animation.is_none() {
            add(self.document.as_deref(), AttachmentKind::File);
        }
        add(self.audio.as_deref(), AttachmentKind::Audio);
        add(self.video.as_deref(), AttachmentKind::Video);
        add(self.voice.as_deref(), AttachmentKind::Voice);
        add(self.video_note.as_deref(), AttachmentKind::Video);
        add(self.sticker.as_deref(), AttachmentKind::Sticker);
        for item in self.paid_media.iter().flat_map(|paid| &paid.paid_media) {
            add(largest(&item.photo), AttachmentKind::Image);
            add(item.video.as_ref(), AttachmentKind::Video);
        }
        found
    }
}

/// The largest of the sizes of one picture.
fn largest(sizes: &[File]) -> Option<&File> {
    // Of equals the last: Telegram sorts by size.
    sizes
        .iter()
        .max_by_key(|size| size.width.saturating_mul(size.height))
}

fn attachment(file: &File, kind: AttachmentKind) -> Attachment {
    let mut attachment = Attachment::new(FileId::from(file.file_id.as_str()), kind);
    attachment.name.clone_from(&file.file_name);
    attachment.mime.clone_from(&file.mime_type);
    if kind == AttachmentKind::Image {
        // Telegram turns every photo into JPEG and does not say so.
        attachment
            .mime
            .get_or_insert_with(|| "image/jpeg".to_owned());
    }
    attachment.bytes = file.file_size;
    attachment
}

fn mark(entity: &Entity) -> Option<StyleMark> {
    let style = match entity.kind {
        EntityKind::Bold => Style::Strong,
        EntityKind::Italic => Style::Emphasis,
        EntityKind::Underline => Style::Underline,
        EntityKind::Strikethrough => Style::Strike,
        EntityKind::Spoiler => Style::Spoiler,
        EntityKind::Code => Style::Code,
        EntityKind::Pre => Style::Pre {
            language: entity.language.clone(),
        },
        EntityKind::Blockquote | EntityKind::ExpandableBlockquote => Style::Quote,
        EntityKind::TextLink => Style::Link {
            url: entity.url.clone()?,
        },
        EntityKind::Mention => Style::Mention { id: None },
        EntityKind::TextMention => Style::Mention {
            id: Some(entity.user.as_ref()?.id.into()),
        },
        EntityKind::CustomEmoji => Style::Emoji {
            id: entity.custom_emoji_id.clone()?,
        },
        EntityKind::BotCommand | EntityKind::Other => return None,
    };
    let number = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
    let (offset, length) = (number(entity.offset), number(entity.length));
    Some(StyleMark::new(offset, length, style))
}

/// A piece of a text by UTF-16 offsets; `None` where they do not fit.
fn utf16_slice(text: &str, offset: u64, length: u64) -> Option<&str> {
    let end = offset.checked_add(length)?;
    let (mut from, mut until) = (None, None);
    let mut units = 0_u64;
    for (at, char) in text.char_indices() {
        if units == offset {
            from = Some(at);
        }
        if units == end {
            until = Some(at);
            break;
        }
        units += char.len_utf16() as u64;
    }
    if units == end && until.is_none() {
        until = Some(text.len());
    }
    text.get(from?..until?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_utf16_and_hostile_ones_find_nothing() {
        assert_eq!(utf16_slice("😀@kit_bot x", 2, 8), Some("@kit_bot"));
        assert_eq!(utf16_slice("ab", 0, 2), Some("ab"));
        assert_eq!(utf16_slice("ab", 0, 3), None);
        assert_eq!(utf16_slice("😀", 1, 1), None);
        assert_eq!(utf16_slice("ab", u64::MAX, 2), None);
        assert_eq!(utf16_slice("", 0, 0), None);
    }
}
