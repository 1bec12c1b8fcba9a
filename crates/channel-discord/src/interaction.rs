//! Interactions as events: commands, presses, choices and dialogs
//! (<https://docs.discord.com/developers/interactions/receiving-and-responding>).

use std::time::SystemTime;

use channel_core::{
    Action, ActionId, Addressed, Attachment, Event, EventId, EventKind, Message, MessageId, Quoted,
    Raw, ReplyTo, Sender, Target,
};
use serde::{Deserialize, Serialize};

use crate::deferral::Deferral;
use crate::inbound::{self, Reader};
use crate::wire::{Component, Data, Interaction, Option_};

/// The deepest dialog that is read; Discord's have three levels.
const DEPTH: usize = 8;
/// The longest token that is believed.
const TOKEN: usize = 512;

/// What a reply address holds besides chat and message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplyContext {
    pub(crate) right: Right,
}

/// The right to answer an interaction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Right {
    pub(crate) app: String,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) since: SystemTime,
    /// Whether a message of its own was announced; if not, something was pressed.
    pub(crate) command: bool,
    /// Whether the bot is in the chat too.
    pub(crate) member: bool,
}

/// The token is the right itself.
impl std::fmt::Debug for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Right")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether a token may stand in an address.
pub(crate) fn is_token(token: &str) -> bool {
    (1..=TOKEN).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'~'))
}

/// What Discord is told first.
pub(crate) fn deferral(wire: &Interaction<'_>, ephemeral: bool) -> Deferral {
    match wire.kind {
        3 => Deferral::Update,
        4 => Deferral::Nothing,
        5 if wire.message.is_some() => Deferral::Update,
        _ => Deferral::Message { ephemeral },
    }
}

/// Makes an event of an interaction; what cannot be read is an unknown one. `None` if it
/// cannot be told apart from others.
pub(crate) fn event(
    reader: Reader<'_>,
    wire: &Interaction<'_>,
    raw: Raw,
    now: SystemTime,
) -> Option<Event> {
    if !wire.id.is_one() || !wire.application_id.is_one() || !is_token(&wire.token) {
        return None;
    }
    let id = EventId::from(format!("interaction:{}", &*wire.id));
    let scene = Scene { reader, wire, now };
    let kind = match wire.kind {
        2 => scene
            .command(&raw)
            .map(|message| EventKind::Message(Box::new(message))),
        3 => scene
            .pressed(&raw)
            .map(|action| EventKind::Action(Box::new(action))),
        5 => scene
            .submitted(&raw)
            .map(|action| EventKind::Action(Box::new(action))),
        _ => None,
    };
    Some(match kind {
        Some(kind) => reader.event(id, kind),
        None => reader.unknown(id, &format!("INTERACTION_{}", wire.kind), raw),
    })
}

struct Scene<'a> {
    reader: Reader<'a>,
    wire: &'a Interaction<'a>,
    now: SystemTime,
}

impl Scene<'_> {
    fn sender(&self) -> Option<Sender> {
        let member = self.wire.member.as_ref();
        let user = self
            .wire
            .user
            .as_ref()
            .or(member.and_then(|it| it.user.as_ref()))?;
        let nick = member.and_then(|it| it.nick.as_deref());
        user.id.is_one().then(|| self.reader.sender(user, nick))
    }

    fn chat(&self) -> Option<channel_core::Chat> {
        let room = self.wire.channel.as_ref();
        let id = self
            .wire
            .channel_id
            .as_ref()
            .or(room.and_then(|it| it.id.as_ref()))
            .filter(|id| id.is_one())?;
        let is_guild = self.wire.guild_id.is_some();
        let kind = room.and_then(|it| it.kind);
        // 2 is a chat of others, which need not be one of two.
        let kind = if self.wire.context == Some(2) {
            Some(3)
        } else {
            kind
        };
        Some(self.reader.chat(id, is_guild, kind))
    }

    fn reply(&self, target: Target, command: bool) -> ReplyTo {
        let wire = self.wire;
        let owners = &wire.authorizing_integration_owners;
        let is_installed = owners.is_empty() || owners.keys().any(|kind| &**kind == "0");
        let context = ReplyContext {
            right: Right {
                app: wire.application_id.to_string(),
                id: wire.id.to_string(),
                token: wire.token.to_string(),
                since: self.now,
                command,
                member: is_installed && wire.context != Some(2),
            },
        };
        let reply = ReplyTo::new(self.reader.channel.clone(), target);
        // Writing texts as JSON cannot fail.
        reply.clone().with_context(&context).unwrap_or(reply)
    }

    /// A command is what somebody says to the bot: `/name` and its values.
    fn command(&self, raw: &Raw) -> Option<Message> {
        let data = self.wire.data.as_ref()?;
        let chat = self.chat()?;
        let mut text = format!("/{}", data.name.as_deref()?);
        let mut files = Vec::new();
        spell(&data.options, data, &mut text, &mut files, DEPTH);
        // 2 and 3 are commands of the menus of users and of messages.
        let target = data.target_id.as_ref().filter(|id| id.is_one());
        if data.kind == Some(2)
            && let Some(id) = target
        {
            text.push_str(&format!(" <@{}>", &**id));
        }
        let id = MessageId::new(&*self.wire.id);
        let reply = self.reply(Target::chat(chat.id.clone()), true);
        let mut message = Message::new(id, chat, self.sender()?, reply);
        message.text = text;
        message.attachments = files;
        message.addressed = Addressed::Command;
        message.sent_at = inbound::time(&self.wire.id);
        if data.kind == Some(3) {
            message.reply_to = target.map(|id| Quoted::new(MessageId::new(&**id), false));
        }
        message.raw = raw.clone();
        Some(message)
    }

    fn action(&self, value: &str, raw: &Raw) -> Option<Action> {
        let chat = self.chat()?;
        let carrier = self.wire.message.as_ref().filter(|it| it.id.is_one());
        let is_command = self.wire.kind == 5 && self.wire.message.is_none();
        let mut reply = self.reply(Target::chat(chat.id.clone()), is_command);
        let message = carrier.map(|it| MessageId::new(&*it.id));
        if let Some(message) = &message {
            reply = reply.quoting(message.clone());
        }
        let id = ActionId::new(&*self.wire.id);
        let mut action = Action::new(id, self.sender()?, value, chat, reply, raw.clone());
        action.message = message;
        Some(action)
    }

    fn pressed(&self, raw: &Raw) -> Option<Action> {
        let data = self.wire.data.as_ref()?;
        let id = data.custom_id.as_deref()?;
        let chosen = data.values.first().map(|value| &**value);
        let mut action = self.action(chosen.unwrap_or(id), raw)?;
        let values = data.values.iter();
        action
            .fields
            .extend(values.map(|value| (id.to_owned(), value.to_string())));
        Some(action)
    }

    fn submitted(&self, raw: &Raw) -> Option<Action> {
        let data = self.wire.data.as_ref()?;
        let mut action = self.action(data.custom_id.as_deref()?, raw)?;
        fields(&data.components, &mut action.fields, DEPTH);
        Some(action)
    }
}

/// Writes the values of options one after the other, subcommands by their names.
fn spell(
    options: &[Option_<'_>],
    data: &Data<'_>,
    text: &mut String,
    files: &mut Vec<Attachment>,
    depth: usize,
) {
    if depth == 0 {
        return;
    }
    for option in options {
        match (option.kind, &option.value) {
            (1 | 2, _) => {
                text.push(' ');
                text.push_str(&option.name);
                spell(&option.options, data, text, files, depth - 1);
            }
            // A file is named by an id that is resolved beside the options.
            (11, Some(serde_json::Value::String(id))) => {
                let resolved = data.resolved.as_ref();
                let found = resolved.and_then(|it| {
                    let mut all = it.attachments.iter();
                    all.find(|(known, _)| ***known == *id)
                });
                files.extend(found.and_then(|(_, file)| inbound::attachment(file, false)));
            }
            (_, Some(serde_json::Value::String(value))) => {
                text.push(' ');
                text.push_str(value);
            }
            (_, Some(value)) => {
                text.push(' ');
                text.push_str(&value.to_string());
            }
            (_, None) => {}
        }
    }
}

fn fields(components: &[Component<'_>], out: &mut Vec<(String, String)>, depth: usize) {
    if depth == 0 {
        return;
    }
    for component in components {
        if let Some(id) = component.custom_id.as_deref() {
            let values = component.values.iter().map(|value| &**value);
            let all = component.value.as_deref().into_iter().chain(values);
            out.extend(all.map(|value| (id.to_owned(), value.to_owned())));
        }
        fields(&component.components, out, depth - 1);
        if let Some(inner) = &component.component {
            fields(std::slice::from_ref(inner), out, depth - 1);
        }
    }
}
