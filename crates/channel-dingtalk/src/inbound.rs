//! From the wire to events, however they came in.

use std::time::{Duration, UNIX_EPOCH};

use channel_core::{
    AccountRef, Action, Addressed, ChannelId, Chat, ChatKind, Event, EventId, EventKind, Message,
    MessageId, Proof, Quoted, Raw, ReplyTo, Sender, SenderId, SenderKind, Target, Unknown,
    WorkspaceId,
};
use serde_json::Value;

use crate::PLATFORM;
use crate::frame::{CARDS, Frame, MESSAGES};
use crate::ids::{card_message, is_id, is_opaque, is_staff, staff_chat, union_sender};
use crate::limits;
use crate::read;
use crate::session::Context;
use crate::shared::Shared;
use crate::wire::{self, PressEvent, Pressed};

/// The most fields that are read beside a press, and the longest value of one, in bytes.
const MAX_FIELDS: usize = 64;
const MAX_FIELD: usize = 8 << 10;
/// The code that robots have in the requests of a group's own, which is that of no app.
const NO_APP: &str = "normal";

/// How events are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) channel: &'a ChannelId,
    /// `None` when a payload is read again.
    pub(crate) shared: Option<&'a Shared>,
    pub(crate) proof: Proof,
}

/// What a message has to be told apart by.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    msg_id: String,
}

fn id(text: &str) -> Option<&str> {
    Some(text).filter(|text| is_id(text))
}

fn workspace(corp: Option<&str>) -> Option<WorkspaceId> {
    corp.filter(|corp| is_id(corp)).map(WorkspaceId::from)
}

impl Reader<'_> {
    pub(crate) fn unknown(self, event_id: &str, name: &str, raw: &Raw) -> Event {
        let kind = EventKind::Unknown(Box::new(Unknown::new(name, raw.clone())));
        Event::new(EventId::from(event_id), self.channel.clone(), kind)
    }

    fn account(self, sender: SenderId, corp: Option<&str>) -> AccountRef {
        let account = AccountRef::new(PLATFORM, sender);
        // Staff ids are unique in one organisation and not beyond.
        match workspace(corp) {
            Some(workspace) => account.in_workspace(workspace),
            None => account,
        }
    }

    /// Whether a message is meant for another robot.
    fn is_foreign(self, message: &wire::Message) -> bool {
        let Some(shared) = self.shared else {
            return false;
        };
        let code = message.robot_code.as_deref().unwrap_or(NO_APP);
        code != NO_APP
            && !code.is_empty()
            && code != shared.config.robot_code()
            && code != shared.config.client_id
    }

    /// Makes an event of a message; `None` if it cannot be told apart from others. One message
    /// is one event, whichever way and however often it is told of. What cannot be decoded
    /// becomes an unknown event, so that nothing is lost.
    pub(crate) fn message(self, payload: &[u8], raw: &Raw) -> Option<Event> {
        let named = |msg_id: &str| Some(format!("message:{}", id(msg_id)?));
        let Ok(said) = serde_json::from_slice::<wire::Message>(payload) else {
            let Named { msg_id } = serde_json::from_slice(payload).ok()?;
            return Some(self.unknown(&named(&msg_id)?, "message", raw));
        };
        let event_id = named(&said.msg_id)?;
        if self.is_foreign(&said) {
            tracing::warn!(channel = %self.channel, "a message is for another robot: check robot_code");
            return Some(self.unknown(&event_id, "other_robot", raw));
        }
        let Some(message) = self.said(&said, raw) else {
            return Some(self.unknown(&event_id, "message", raw));
        };
        let kind = EventKind::Message(Box::new(message));
        Some(Event::new(event_id.into(), self.channel.clone(), kind))
    }

    pub(crate) fn said(self, said: &wire::Message, raw: &Raw) -> Option<Message> {
        let message_id = MessageId::from(id(&said.msg_id)?);
        let conversation = id(&said.conversation_id)?;
        let kind = if said.conversation_type.as_str() == "1" {
            ChatKind::Direct
        } else {
            ChatKind::Group
        };
        let staff = said.sender_staff_id.as_deref().filter(|id| is_staff(id));
        let opaque = said.sender_id.as_deref().filter(|id| is_opaque(id));
        let me = said.chatbot_user_id.as_deref().filter(|id| is_opaque(id));
        let is_own = me.is_some() && opaque == me;
        let own = self.shared.filter(|_| is_own);
        let own = own.map(|shared| shared.config.robot_code());
        let corp = said.sender_corp_id.as_deref();
        let corp = corp.filter(|corp| !corp.is_empty());
        let account = self.account(
            own.or(staff).or(opaque)?.into(),
            corp.or(said.chatbot_corp_id.as_deref()),
        );
        let mut sender = Sender::new(account, self.proof);
        sender.name.clone_from(&said.sender_nick);
        if is_own {
            sender.kind = SenderKind::Bot;
        }
        let staff = staff.filter(|_| kind == ChatKind::Direct && !is_own);
        if let (Some(staff), Some(shared)) = (staff, self.shared) {
            shared.memory.talked(staff, conversation);
        }
        let mut chat = Chat::new(staff.map_or_else(|| conversation.into(), staff_chat), kind);
        chat.title.clone_from(&said.conversation_title);
        let quoted = self.quoted(said, me);
        let words = read::words(said);
        let reply = self
            .reply(&chat, Some(conversation), said)
            .quoting(message_id.clone());
        let mut message = Message::new(message_id, chat, sender, reply);
        message.addressed = addressed(said, kind, is_own, me, quoted.as_ref());
        message.text = words.text;
        message.formatted = words.formatted;
        message.attachments = words.attachments;
        message.quotes = said.msgtype == "chatRecord" || quoted.is_none() && said.quotes();
        message.reply_to = quoted;
        message.sent_at = said
            .create_at
            .number()
            .and_then(|at| UNIX_EPOCH.checked_add(Duration::from_millis(at)));
        message.raw = raw.clone();
        Some(message)
    }

    fn reply(self, chat: &Chat, conversation: Option<&str>, said: &wire::Message) -> ReplyTo {
        let mut context = Context::new(
            chat.kind == ChatKind::Direct,
            conversation.map(str::to_owned),
        );
        let session = said.session_webhook.as_ref();
        if let (Some(url), Some(shared)) = (session, self.shared) {
            // Nothing is ever sent to an address that anybody could have written.
            if shared.client.is_ours(url) && url.len() <= 2048 {
                let ends = said.session_webhook_expired_time.number();
                context = context.with_session(url.clone(), ends.unwrap_or_default());
            } else {
                tracing::warn!(channel = %self.channel, "a session webhook is not one of dingtalk");
            }
        }
        self.reply_with(chat, &context)
    }

    fn reply_with(self, chat: &Chat, context: &Context) -> ReplyTo {
        let reply = ReplyTo::new(self.channel.clone(), Target::chat(chat.id.clone()));
        // Writing texts and numbers as JSON cannot fail.
        reply.clone().with_context(context).unwrap_or(reply)
    }

    /// The message that is answered. One of the bot's is told by the key that it was sent with.
    fn quoted(self, said: &wire::Message, me: Option<&str>) -> Option<Quoted> {
        let replied = said.text.as_ref().and_then(|it| it.replied_msg.as_ref());
        let key = said.original_process_query_key.as_deref().and_then(id);
        if let Some(key) = key
            && self.shared.is_some_and(|it| it.memory.is_mine(key))
        {
            return Some(Quoted::new(key.into(), true));
        }
        let quote = said.quote_message.as_ref();
        let found = [
            replied.and_then(|it| it.msg_id.as_deref()),
            said.original_msg_id.as_deref(),
            quote.and_then(|it| it.msg_id.as_deref()),
        ];
        let found = found.into_iter().flatten().find_map(id)?;
        let is_mine = me.is_some() && replied.and_then(|it| it.sender_id.as_deref()) == me;
        Some(Quoted::new(found.into(), is_mine))
    }

    /// Makes an event of a press. Nothing in it tells one press of a button from the next, so
    /// the frame that brought it first gives it its name.
    pub(crate) fn press(self, frame: &str, payload: &[u8], raw: &Raw) -> Option<Event> {
        let press: PressEvent = serde_json::from_slice(payload).ok()?;
        let card = id(&press.out_track_id)?;
        let is_union = press.user_id_type.as_str() == "2";
        let user = press.user_id.as_str();
        let sender = match is_union {
            true => union_sender(id(user)?),
            false if is_opaque(user) => user.into(),
            false => Some(user).filter(|user| is_staff(user))?.into(),
        };
        let space = press.space_id.as_deref().and_then(id);
        let is_group = press.space_type.as_deref() == Some("IM_GROUP");
        let chat = match (is_group, space) {
            (true, Some(space)) => Chat::new(space.into(), ChatKind::Group),
            (true, None) => return None,
            (false, _) if !is_union && is_staff(user) => {
                Chat::new(staff_chat(user), ChatKind::Direct)
            }
            (false, space) => Chat::new(space?.into(), ChatKind::Direct),
        };
        let content = press.content.as_deref().or(press.value.as_deref());
        let pressed: Pressed = content
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let private = pressed.card_private_data;
        let value = private.action_ids.into_iter().next().unwrap_or_default();
        let end = value.floor_char_boundary(MAX_FIELD);
        let context = Context::new(
            chat.kind == ChatKind::Direct,
            space.filter(|_| is_group).map(str::to_owned),
        );
        let reply = self.reply_with(&chat, &context);
        let account = self.account(sender, press.corp_id.as_deref());
        let sender = Sender::new(account, self.proof);
        let value = value.get(..end).unwrap_or_default();
        let mut action = Action::new(frame.into(), sender, value, chat, reply, raw.clone());
        action.message = Some(card_message(card));
        action.fields = private
            .params
            .into_iter()
            .filter_map(|(name, value)| {
                let value = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (value.len() <= MAX_FIELD && name.len() <= MAX_FIELD).then_some((name, value))
            })
            .take(MAX_FIELDS)
            .collect();
        let kind = EventKind::Action(Box::new(action));
        let event_id = EventId::from(format!("press:{frame}"));
        Some(Event::new(event_id, self.channel.clone(), kind))
    }

    /// Makes an event of a frame of this name. What cannot be decoded is kept as an unknown event,
    /// and so are the events of the organisation; `None` if it has no name to be answered by.
    pub(crate) fn framed(self, frame: &Frame<'_>, name: Option<&str>, raw: &Raw) -> Option<Event> {
        let made = match (frame.kind.as_deref(), frame.topic()) {
            (Some("CALLBACK"), MESSAGES) => self.message(raw.as_slice(), raw),
            (Some("CALLBACK"), CARDS) => {
                name.and_then(|name| self.press(name, raw.as_slice(), raw))
            }
            (Some("EVENT"), _) => {
                let id = frame.headers.event_id.as_deref();
                let id = id.filter(|id| (1..=limits::ID).contains(&id.len()));
                let kind = frame.headers.event_type.as_deref().unwrap_or("event");
                id.map(|id| self.unknown(&format!("event:{id}"), kind, raw))
            }
            _ => None,
        };
        made.or_else(|| Some(self.unknown(&format!("frame:{}", name?), frame.topic(), raw)))
    }
}

/// Why a message is meant for the bot. A robot gets what mentions it, and everything only if
/// its app may.
fn addressed(
    said: &wire::Message,
    kind: ChatKind,
    is_own: bool,
    me: Option<&str>,
    quoted: Option<&Quoted>,
) -> Addressed {
    if is_own {
        return Addressed::No;
    }
    if kind == ChatKind::Direct {
        return Addressed::Direct;
    }
    let at_me = || {
        let mut users = said.at_users.iter().flatten().take(limits::ID);
        me.is_some() && users.any(|user| user.dingtalk_id.as_deref() == me)
    };
    if said.is_in_at_list.unwrap_or_else(at_me) {
        Addressed::Mention
    } else if quoted.is_some_and(|quoted| quoted.mine) {
        Addressed::Reply
    } else {
        Addressed::No
    }
}
