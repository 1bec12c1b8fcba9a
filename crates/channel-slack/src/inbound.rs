//! Events of the Events API as events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Addressed, Attachment, AttachmentKind, ChannelId, Chat, ChatKind, Deleted, Event,
    EventId, EventKind, FileId, MemberState, Membership, Message, MessageId, MessageRef, Proof,
    Quoted, Raw, Reaction, ReplyTo, Sender, SenderKind, Target, ThreadId, Unknown,
};
use serde::{Deserialize, Serialize};

use crate::address::{Address, is_direct, is_id, is_ts};
use crate::shared::Me;
use crate::wire::{Envelope, File, Loose};
use crate::{PLATFORM, emoji, limits, read, wire};

/// What a reply address holds besides chat, thread and message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplyContext {
    /// Who asked: Slack wants to know for whom it streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// The workspace of who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
    /// Where an answer can be posted for half an hour, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response: Option<ResponseRight>,
}

/// The right to answer by `response_url`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResponseRight {
    pub(crate) url: String,
    pub(crate) since: SystemTime,
    /// Whether answers take this way first: the bot may not be in the chat.
    pub(crate) command: bool,
}

/// The address holds the right itself.
impl std::fmt::Debug for ResponseRight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseRight(***)")
    }
}

/// How events are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) channel: &'a ChannelId,
    /// Whether chat ids name their workspace.
    pub(crate) many: bool,
    pub(crate) me: Option<&'a Me>,
    pub(crate) proof: Proof,
}

/// An event and all that its envelope says about where it belongs.
struct Scene<'a> {
    reader: Reader<'a>,
    team: &'a str,
    app: &'a str,
    /// Whether the chat is shared with other workspaces.
    is_shared: bool,
    /// The bot's user id in this workspace.
    bot_user: Option<&'a str>,
}

impl Reader<'_> {
    /// Makes an event of one envelope; `None` if it cannot be told apart from others.
    /// What cannot be decoded becomes an unknown event, so that nothing is lost.
    pub(crate) fn event(self, envelope: &Envelope<'_>, raw: Raw) -> Option<Event> {
        let team = envelope.workspace().unwrap_or_default();
        let app = envelope.api_app_id.as_deref().unwrap_or_default();
        let event_id = envelope.event_id.as_deref()?;
        let id = transport_id(app, team, event_id)?;
        let bots = envelope.authorizations.iter();
        let bot_user = bots
            .filter(|it| it.is_bot)
            .find_map(|it| it.user_id.as_deref())
            .or(self.me.and_then(|me| me.user_id.as_deref()));
        let scene = Scene {
            reader: self,
            team,
            app,
            is_shared: envelope.is_ext_shared_channel,
            bot_user,
        };
        let Some(event) = &envelope.event else {
            return Some(self.unknown(id, "event_callback", raw));
        };
        if self.is_foreign(envelope, team) {
            return Some(self.unknown(id, "other_workspace", raw));
        }
        Some(scene.event(event, id, raw))
    }

    /// Makes what can be made of an envelope whose event has another shape.
    pub(crate) fn loose(self, loose: &Loose<'_>, raw: Raw) -> Option<Event> {
        let team = loose.team_id.as_deref().unwrap_or_default();
        let app = loose.api_app_id.as_deref().unwrap_or_default();
        let id = transport_id(app, team, loose.event_id.as_deref()?)?;
        let name = loose
            .event
            .as_ref()
            .map(|event| &*event.kind)
            .unwrap_or_default();
        Some(self.unknown(id, name, raw))
    }

    /// Reads a message of a chat's history, where no envelope is around it.
    pub(crate) fn posted(
        self,
        team: &str,
        channel: &str,
        event: &wire::Event<'_>,
        raw: &Raw,
    ) -> Option<Message> {
        let scene = Scene {
            reader: self,
            team,
            app: "",
            is_shared: true,
            bot_user: self.me.and_then(|me| me.user_id.as_deref()),
        };
        scene.read(event, Some(channel), raw)
    }

    pub(crate) fn unknown(self, id: EventId, name: &str, raw: Raw) -> Event {
        let kind = EventKind::Unknown(Box::new(Unknown::new(name, raw)));
        Event::new(id, self.channel.clone(), kind)
    }

    /// Whether an event is of a workspace that the one token does not serve.
    fn is_foreign(self, envelope: &Envelope<'_>, team: &str) -> bool {
        let is_enterprise = envelope
            .authorizations
            .iter()
            .any(|it| it.is_enterprise_install == Some(true));
        !self.many && !is_enterprise && self.is_other_team(team)
    }

    /// Whether a workspace is known not to be the one of the token.
    pub(crate) fn is_other_team(self, team: &str) -> bool {
        self.me.is_some_and(|me| {
            let known = me.team_id.as_deref();
            !self.many && !me.is_enterprise && known.is_some_and(|known| known != team)
        })
    }

    fn workspace(self, team: &str) -> Option<&str> {
        self.many.then_some(team)
    }

    pub(crate) fn chat(self, team: &str, channel: &str, kind: Option<&str>) -> Chat {
        let kind = match kind {
            Some("im" | "app_home") => ChatKind::Direct,
            Some(_) => ChatKind::Group,
            None if is_direct(channel) => ChatKind::Direct,
            None => ChatKind::Group,
        };
        let workspace = self.many.then_some(team);
        Chat::new(Address::chat(workspace, channel), kind)
    }

    pub(crate) fn sender(self, team: &str, id: &str) -> Sender {
        let account = AccountRef::new(PLATFORM, id.into()).in_workspace(team.into());
        Sender::new(account, self.proof)
    }
}

/// The id of an event by its delivery: unique inside one app and one workspace. The same
/// `event_id` may go to two apps.
pub(crate) fn transport_id(app: &str, team: &str, event_id: &str) -> Option<EventId> {
    let fits = |text: &str| text.len() <= limits::ID && text.bytes().all(|b| b.is_ascii_graphic());
    let is_one = !event_id.is_empty() && [app, team, event_id].into_iter().all(fits);
    is_one.then(|| EventId::from([app, team, event_id].join(":")))
}

/// When something was written, by its timestamp.
pub(crate) fn time(ts: &str) -> Option<SystemTime> {
    let (seconds, fraction) = ts.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let micros: u64 = fraction
        .get(..6)
        .unwrap_or(fraction)
        .parse()
        .unwrap_or_default();
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_micros(micros))
}

pub(crate) fn target(chat: &Chat, thread: Option<&ThreadId>) -> Target {
    let target = Target::chat(chat.id.clone());
    match thread {
        Some(thread) => target.thread(thread.clone()),
        None => target,
    }
}

impl Scene<'_> {
    fn event(&self, event: &wire::Event<'_>, id: EventId, raw: Raw) -> Event {
        let channel = self.reader.channel.clone();
        let subtype = event.subtype.as_deref();
        let made = match (&*event.kind, subtype) {
            (
                "message" | "app_mention",
                None | Some("file_share" | "thread_broadcast" | "me_message" | "bot_message"),
            ) => {
                return self.message(event, id, raw);
            }
            ("message", Some("message_changed")) => self.changed(event, &raw),
            ("message", Some("message_deleted")) => self.deleted(event, &raw),
            ("reaction_added", _) => self.reaction(event, true, &raw),
            ("reaction_removed", _) => self.reaction(event, false, &raw),
            ("member_joined_channel", _) => self.membership(event, MemberState::Joined, &raw),
            ("member_left_channel", _) => self.membership(event, MemberState::Left, &raw),
            _ => None,
        };
        let kind = made.unwrap_or_else(|| {
            let name = match subtype {
                Some(subtype) => format!("{}.{subtype}", &*event.kind),
                None => event.kind.to_string(),
            };
            EventKind::Unknown(Box::new(Unknown::new(&name, raw)))
        });
        Event::new(id, channel, kind)
    }

    /// A new message. A post that mentions the bot comes twice, as a message and as a
    /// mention, and is one event: its id is made of the post.
    fn message(&self, event: &wire::Event<'_>, id: EventId, raw: Raw) -> Event {
        let channel = self.reader.channel.clone();
        let Some(message) = self.read(event, event.channel.as_deref(), &raw) else {
            return self.reader.unknown(id, &event.kind, raw);
        };
        let is_mention = &*event.kind == "app_mention";
        // Who is meant cannot be told: if it is the bot, the mention comes too, and this
        // one must not take its place.
        let is_unsure = self.bot_user.is_none()
            && !is_mention
            && message.chat.kind != ChatKind::Direct
            && event.text.as_deref().is_some_and(read::mentions_anybody);
        let ts = message.id.as_str();
        let post = event.channel.as_deref().unwrap_or_default();
        let mut id = [self.app, self.team, post, ts].join(":");
        if is_unsure {
            id.push_str(":unsure");
        }
        Event::new(
            EventId::from(id),
            channel,
            EventKind::Message(Box::new(message)),
        )
    }

    /// Reads a message, of whatever event it is a part.
    fn read(&self, event: &wire::Event<'_>, channel: Option<&str>, raw: &Raw) -> Option<Message> {
        let channel = channel.filter(|id| is_id(id))?;
        let ts = event.ts.as_deref().filter(|ts| is_ts(ts))?;
        let sender = self.sender(event)?;
        let is_own = sender.kind == SenderKind::Bot && self.is_own(event);
        let reader = self.reader;
        let chat = reader.chat(self.team, channel, event.channel_type.as_deref());
        let thread = event
            .thread_ts
            .as_deref()
            .filter(|thread| is_ts(thread) && *thread != ts)
            .map(ThreadId::from);
        let words = read::words(event.text.as_deref().unwrap_or_default(), self.bot_user);
        let parent_is_me = self
            .bot_user
            .is_some_and(|me| event.parent_user_id.as_deref() == Some(me));
        let addressed = if is_own {
            Addressed::No
        } else if chat.kind == ChatKind::Direct {
            Addressed::Direct
        } else if &*event.kind == "app_mention" || words.mentions_me {
            Addressed::Mention
        } else if thread.is_some() && parent_is_me {
            Addressed::Reply
        } else {
            Addressed::No
        };
        let id = MessageId::from(ts);
        let mut reply = ReplyTo::new(reader.channel.clone(), target(&chat, thread.as_ref()))
            .quoting(id.clone());
        if thread.is_some() {
            let context = ReplyContext {
                user: event.user.as_deref().map(str::to_owned),
                team: Some(self.team_of(event).to_owned()),
                response: None,
            };
            // Writing texts as JSON cannot fail.
            reply = reply.clone().with_context(&context).unwrap_or(reply);
        }
        let mut message = Message::new(id, chat, sender, reply);
        message.reply_to = thread
            .as_ref()
            .map(|root| Quoted::new(MessageId::from(root.as_str()), parent_is_me));
        message.thread = thread;
        message.quotes = event.attachments.is_some();
        message.text = words.text;
        message.formatted = words.formatted;
        message.attachments = self.attachments(&event.files);
        message.addressed = addressed;
        message.sent_at = time(ts);
        message.raw = raw.clone();
        Some(message)
    }

    /// Whether the bot itself wrote it: by its ids, or as the app that the event is for.
    fn is_own(&self, event: &wire::Event<'_>) -> bool {
        let user = event.user.as_deref();
        let bot = event.bot_id.as_deref();
        let is_me = self.reader.me.is_some_and(|me| me.is(user, bot));
        let is_bot_user = user.is_some() && user == self.bot_user;
        let app = event.app_id.as_deref();
        is_me || is_bot_user || (bot.is_some() && app.is_some_and(|app| app == self.app))
    }

    fn sender(&self, event: &wire::Event<'_>) -> Option<Sender> {
        let is_own = self.is_own(event);
        let user = event.user.as_deref();
        let own = self.bot_user.filter(|_| is_own);
        let id = own
            .or(user)
            .or(event.bot_id.as_deref())
            .filter(|id| is_id(id))?;
        let mut sender = self.reader.sender(self.team_of(event), id);
        let is_bot = event.bot_id.is_some() || event.subtype.as_deref() == Some("bot_message");
        if is_own || is_bot {
            sender.kind = SenderKind::Bot;
        }
        sender.name = event.username.as_deref().map(str::to_owned);
        Some(sender)
    }

    /// The workspace of a sender, who may be a guest from another one.
    fn team_of<'e>(&'e self, event: &'e wire::Event<'_>) -> &'e str {
        let guest = event.user_team.as_deref().filter(|team| is_id(team));
        guest.filter(|_| self.is_shared).unwrap_or(self.team)
    }

    fn attachments(&self, files: &[File<'_>]) -> Vec<Attachment> {
        let workspace = self.reader.many.then_some(self.team);
        files
            .iter()
            .map(|file| attachment(file, workspace))
            .collect()
    }

    /// An edit. The same event also tells of previews of links and counts of replies, which
    /// change nothing that was written.
    fn changed(&self, event: &wire::Event<'_>, raw: &Raw) -> Option<EventKind> {
        let new = event.message.as_deref()?;
        if new.subtype.as_deref() == Some("tombstone") {
            let at = self.at(event.channel.as_deref(), new.ts.as_deref())?;
            return Some(EventKind::Deleted(Box::new(Deleted::new(
                vec![at],
                raw.clone(),
            ))));
        }
        let old = event.previous_message.as_deref();
        let is_edit = new.edited.is_some() && old.is_none_or(|old| old.edited != new.edited);
        if !is_edit {
            return None;
        }
        let mut message = self.read(new, event.channel.as_deref(), raw)?;
        let kind = event.channel_type.as_deref();
        message.chat = self.reader.chat(self.team, event.channel.as_deref()?, kind);
        Some(EventKind::Edited(Box::new(message)))
    }

    fn deleted(&self, event: &wire::Event<'_>, raw: &Raw) -> Option<EventKind> {
        let at = self.at(event.channel.as_deref(), event.deleted_ts.as_deref())?;
        let mut deleted = Deleted::new(vec![at], raw.clone());
        let old = event.previous_message.as_deref();
        let thread = old.and_then(|old| old.thread_ts.as_deref());
        deleted.thread = thread
            .filter(|thread| is_ts(thread) && Some(*thread) != event.deleted_ts.as_deref())
            .map(ThreadId::from);
        Some(EventKind::Deleted(Box::new(deleted)))
    }

    fn at(&self, channel: Option<&str>, ts: Option<&str>) -> Option<MessageRef> {
        let channel = channel.filter(|id| is_id(id))?;
        let ts = ts.filter(|ts| is_ts(ts))?;
        let chat = Address::chat(self.reader.workspace(self.team), channel);
        Some(MessageRef::new(chat, ts.into()))
    }

    fn reaction(&self, event: &wire::Event<'_>, added: bool, raw: &Raw) -> Option<EventKind> {
        let item = event.item.as_ref()?;
        let at = self.at(item.channel.as_deref(), item.ts.as_deref())?;
        let sender = self.sender(event)?;
        let target = Target::chat(at.chat.clone());
        let reply = ReplyTo::new(self.reader.channel.clone(), target).quoting(at.id.clone());
        let mut reaction = Reaction::new(at, sender, reply, raw.clone());
        let name = vec![emoji::from_name(event.reaction.as_deref()?)];
        if added {
            reaction.added = name;
        } else {
            reaction.removed = name;
        }
        Some(EventKind::Reaction(Box::new(reaction)))
    }

    fn membership(
        &self,
        event: &wire::Event<'_>,
        state: MemberState,
        raw: &Raw,
    ) -> Option<EventKind> {
        let channel = event.channel.as_deref().filter(|id| is_id(id))?;
        let member = self.sender(event)?;
        // The type is a letter here.
        let chat = self.reader.chat(self.team, channel, None);
        let reply = ReplyTo::new(self.reader.channel.clone(), Target::chat(chat.id.clone()));
        let is_me = self.is_own(event);
        let change = Membership::new(chat, member, state, reply, raw.clone());
        Some(EventKind::Membership(Box::new(if is_me {
            change.of_me()
        } else {
            change
        })))
    }
}

/// A file; its id says how it is fetched: by an address, or first by asking for one.
pub(crate) fn attachment(file: &File<'_>, workspace: Option<&str>) -> Attachment {
    let mime = file.mimetype.as_deref().unwrap_or_default();
    let kind = match mime.split('/').next() {
        _ if file.subtype.as_deref() == Some("slack_audio") => AttachmentKind::Voice,
        Some("image") => AttachmentKind::Image,
        Some("audio") => AttachmentKind::Audio,
        Some("video") => AttachmentKind::Video,
        _ => AttachmentKind::File,
    };
    let url = file
        .url_private_download
        .as_deref()
        .or(file.url_private.as_deref());
    let place = url.unwrap_or(&file.id);
    let id = match workspace {
        Some(workspace) => FileId::from(format!("{workspace}/{place}")),
        None => FileId::from(place),
    };
    let mut attachment = Attachment::new(id, kind);
    let name = file.name.as_deref().or(file.title.as_deref());
    attachment.name = name.map(str::to_owned);
    attachment.mime = (!mime.is_empty()).then(|| mime.to_owned());
    attachment.bytes = file.size;
    attachment
}
