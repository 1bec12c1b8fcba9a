//! Dispatches of the gateway as events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Addressed, Attachment, AttachmentKind, ChannelId, Chat, ChatKind, Deleted, Event,
    EventId, EventKind, FileId, Message, MessageId, MessageRef, Proof, Quoted, Raw, Reaction,
    ReplyTo, Sender, SenderKind, Target, Unknown,
};

use crate::wire::{self, Emoji, Id};
use crate::{PLATFORM, read};

/// The first millisecond of Discord
/// (<https://docs.discord.com/developers/reference#snowflakes>).
const EPOCH_MS: u64 = 1_420_070_400_000;
/// A voice message
/// (<https://docs.discord.com/developers/resources/message#message-object-message-flags>).
const IS_VOICE: u64 = 1 << 13;

/// How dispatches are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) channel: &'a ChannelId,
    pub(crate) me: Option<&'a str>,
    pub(crate) proof: Proof,
}

/// When a snowflake was made.
pub(crate) fn time(id: &str) -> Option<SystemTime> {
    let id: u64 = id.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis((id >> 22) + EPOCH_MS))
}

impl Reader<'_> {
    pub(crate) fn event(self, id: impl Into<EventId>, kind: EventKind) -> Event {
        Event::new(id.into(), self.channel.clone(), kind)
    }

    pub(crate) fn unknown(self, id: impl Into<EventId>, name: &str, raw: Raw) -> Event {
        self.event(id, EventKind::Unknown(Box::new(Unknown::new(name, raw))))
    }

    /// Whether the bot itself wrote it. Its answers to interactions name a webhook beside it,
    /// whose id is the application's.
    pub(crate) fn is_own(self, message: &wire::Message<'_>) -> bool {
        let author = message.author.as_ref().map(|author| &*author.id);
        self.me.is_some() && author == self.me
    }

    pub(crate) fn chat(self, channel: &str, is_guild: bool, kind: Option<u64>) -> Chat {
        // 1 is a direct chat, 3 one of several people
        // (https://docs.discord.com/developers/resources/channel#channel-object-channel-types).
        let kind = match kind {
            Some(3) => ChatKind::Group,
            _ if is_guild => ChatKind::Group,
            _ => ChatKind::Direct,
        };
        Chat::new(channel.into(), kind)
    }

    pub(crate) fn sender(self, user: &wire::User<'_>, nick: Option<&str>) -> Sender {
        let account = AccountRef::new(PLATFORM, (&*user.id).into());
        let mut sender = Sender::new(account, self.proof);
        if user.bot {
            sender.kind = SenderKind::Bot;
        }
        let name = nick
            .or(user.global_name.as_deref())
            .or(user.username.as_deref());
        sender.name = name.map(str::to_owned);
        sender
    }

    /// Reads a message; `None` if it is of a kind that nobody has written, such as "somebody
    /// joined", or lacks what makes one.
    pub(crate) fn message(self, wire: &wire::Message<'_>, raw: &Raw) -> Option<Message> {
        // Ordinary, reply, command and command of a menu
        // (https://docs.discord.com/developers/resources/message#message-object-message-types).
        if !matches!(wire.kind, 0 | 19 | 20 | 23) {
            return None;
        }
        if !wire.id.is_one() || !wire.channel_id.is_one() {
            return None;
        }
        let author = wire.author.as_ref()?;
        let nick = wire.member.as_ref().and_then(|it| it.nick.as_deref());
        let mut sender = self.sender(author, nick);
        if wire.webhook_id.is_some() {
            sender.kind = SenderKind::Bot;
        }
        let chat = self.chat(&wire.channel_id, wire.guild_id.is_some(), wire.channel_type);
        let content = wire.content.as_deref().unwrap_or_default();
        let words = read::words(content, self.me, &wire.mentions);
        let reply_to = self.reply_to(wire);
        let is_mentioned = words.mentions_me
            || self
                .me
                .is_some_and(|me| wire.mentions.iter().any(|it| &*it.id == me));
        let addressed = if self.is_own(wire) {
            Addressed::No
        } else if chat.kind == ChatKind::Direct {
            Addressed::Direct
        } else if reply_to.as_ref().is_some_and(|quoted| quoted.mine) && !words.mentions_me {
            Addressed::Reply
        } else if is_mentioned {
            Addressed::Mention
        } else {
            Addressed::No
        };
        let id = MessageId::new(&*wire.id);
        let target = Target::chat(chat.id.clone());
        let reply = ReplyTo::new(self.channel.clone(), target).quoting(id.clone());
        let mut message = Message::new(id, chat, sender, reply);
        message.text = words.text;
        message.formatted = words.formatted;
        message.addressed = addressed;
        message.reply_to = reply_to;
        message.quotes = !wire.message_snapshots.is_empty();
        message.sent_at = time(&wire.id);
        self.add_files(&mut message, wire);
        message.raw = raw.clone();
        Some(message)
    }

    fn reply_to(self, wire: &wire::Message<'_>) -> Option<Quoted> {
        let reference = wire.message_reference.as_ref()?;
        // 1 is a forward, which answers nothing.
        if reference.kind.unwrap_or_default() != 0 || wire.kind != 19 {
            return None;
        }
        let id = reference.message_id.as_ref().filter(|id| id.is_one())?;
        let author = wire
            .referenced_message
            .as_ref()
            .and_then(|it| it.author.as_ref());
        let mine = self.me.is_some() && author.map(|it| &*it.id) == self.me;
        Some(Quoted::new(MessageId::new(&**id), mine))
    }

    fn add_files(self, message: &mut Message, wire: &wire::Message<'_>) {
        let is_voice = wire.flags.unwrap_or_default() & IS_VOICE != 0;
        let own = wire
            .attachments
            .iter()
            .filter_map(|it| attachment(it, is_voice));
        message.attachments.extend(own);
        let stickers = wire.sticker_items.iter().filter_map(sticker);
        message.attachments.extend(stickers);
        for forwarded in wire
            .message_snapshots
            .iter()
            .filter_map(|it| it.message.as_ref())
        {
            if message.text.is_empty() {
                let content = forwarded.content.as_deref().unwrap_or_default();
                message.text = content.to_owned();
            }
            let files = forwarded.attachments.iter();
            message
                .attachments
                .extend(files.filter_map(|it| attachment(it, false)));
        }
    }

    /// An edit; `None` where nothing that was written has changed: previews and pins come
    /// the same way.
    pub(crate) fn edited(self, wire: &wire::Message<'_>, raw: &Raw) -> Option<Event> {
        let edited_at = wire.edited_timestamp.as_deref()?;
        let message = self.message(wire, raw)?;
        let at = edited_at.get(..edited_at.floor_char_boundary(40))?;
        let id = format!("{}:{at}", message.id);
        Some(self.event(id, EventKind::Edited(Box::new(message))))
    }

    pub(crate) fn deleted(self, wire: &wire::Deletion<'_>, raw: Raw) -> Option<Event> {
        let at = at(&wire.channel_id, &wire.id)?;
        let deleted = Deleted::new(vec![at], raw);
        let id = format!("deleted:{}", &*wire.id);
        Some(self.event(id, EventKind::Deleted(Box::new(deleted))))
    }

    pub(crate) fn deleted_many(
        self,
        id: EventId,
        wire: &wire::BulkDelete<'_>,
        raw: Raw,
    ) -> Option<Event> {
        let all: Option<Vec<_>> = wire.ids.iter().map(|id| at(&wire.channel_id, id)).collect();
        let all = all.filter(|all| !all.is_empty())?;
        let kind = EventKind::Deleted(Box::new(Deleted::new(all, raw)));
        Some(self.event(id, kind))
    }

    pub(crate) fn reaction(
        self,
        id: EventId,
        wire: &wire::Reaction<'_>,
        added: bool,
        raw: Raw,
    ) -> Option<Event> {
        let at = at(&wire.channel_id, &wire.message_id)?;
        if !wire.user_id.is_one() {
            return None;
        }
        let account = AccountRef::new(PLATFORM, (&*wire.user_id).into());
        let mut sender = Sender::new(account, self.proof);
        if self.me == Some(&*wire.user_id) {
            sender.kind = SenderKind::Bot;
        }
        let target = Target::chat(at.chat.clone());
        let reply = ReplyTo::new(self.channel.clone(), target).quoting(at.id.clone());
        let mut reaction = Reaction::new(at, sender, reply, raw);
        let name = vec![emoji(&wire.emoji)?];
        if added {
            reaction.added = name;
        } else {
            reaction.removed = name;
        }
        Some(self.event(id, EventKind::Reaction(Box::new(reaction))))
    }
}

fn at(channel: &Id<'_>, message: &Id<'_>) -> Option<MessageRef> {
    let is_one = channel.is_one() && message.is_one();
    is_one.then(|| MessageRef::new((&**channel).into(), (&**message).into()))
}

/// What a reaction shows: an emoji, or `name:id` of one that a server has made.
fn emoji(emoji: &Emoji<'_>) -> Option<String> {
    let name = emoji.name.as_deref().unwrap_or_default();
    match &emoji.id {
        Some(id) if id.is_one() => Some(format!("{name}:{}", &**id)),
        Some(_) => None,
        None => (!name.is_empty()).then(|| name.to_owned()),
    }
}

/// A file; its id is the signed address that it is fetched from.
pub(crate) fn attachment(wire: &wire::Attachment<'_>, is_voice: bool) -> Option<Attachment> {
    let url = wire.url.as_deref()?;
    let mime = wire.content_type.as_deref().unwrap_or_default();
    let kind = match mime.split('/').next() {
        _ if is_voice || wire.waveform.is_some() => AttachmentKind::Voice,
        Some("image") => AttachmentKind::Image,
        Some("audio") => AttachmentKind::Audio,
        Some("video") => AttachmentKind::Video,
        _ => AttachmentKind::File,
    };
    let mut attachment = Attachment::new(FileId::new(url), kind);
    attachment.name = wire.filename.as_deref().map(str::to_owned);
    attachment.mime = (!mime.is_empty()).then(|| mime.to_owned());
    attachment.bytes = wire.size;
    Some(attachment)
}

/// <https://docs.discord.com/developers/reference#image-formatting>
fn sticker(wire: &wire::Sticker<'_>) -> Option<Attachment> {
    if !wire.id.is_one() {
        return None;
    }
    // 3 is Lottie, 4 is GIF, all others are PNG
    // (https://docs.discord.com/developers/resources/sticker#sticker-object-sticker-format-types).
    let (end, mime) = match wire.format_type {
        3 => ("json", "application/json"),
        4 => ("gif", "image/gif"),
        _ => ("png", "image/png"),
    };
    // GIFs are served by the other host only.
    let host = if wire.format_type == 4 {
        "media.discordapp.net"
    } else {
        "cdn.discordapp.com"
    };
    let url = format!("https://{host}/stickers/{}.{end}", &*wire.id);
    let mut attachment = Attachment::new(FileId::from(url), AttachmentKind::Sticker);
    attachment.name = wire.name.as_deref().map(str::to_owned);
    attachment.mime = Some(mime.to_owned());
    Some(attachment)
}
