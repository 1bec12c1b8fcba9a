//! Slash commands as messages
//! (<https://docs.slack.dev/interactivity/implementing-slash-commands/>).

use std::time::SystemTime;

use channel_core::{Addressed, Event, EventKind, Message, MessageId, Raw, ReplyTo, Target};
use serde::Deserialize;

use crate::address::is_id;
use crate::inbound::{Reader, ReplyContext, ResponseRight, transport_id};
use crate::read;
use crate::wire::{Form, Str};

/// The fields that are read, of a form or of a socket's payload.
#[derive(Debug, Deserialize)]
pub(crate) struct Command<'a> {
    #[serde(borrow)]
    command: Option<Str<'a>>,
    #[serde(borrow)]
    text: Option<Str<'a>>,
    #[serde(borrow)]
    team_id: Option<Str<'a>>,
    #[serde(borrow)]
    enterprise_id: Option<Str<'a>>,
    #[serde(borrow)]
    channel_id: Option<Str<'a>>,
    #[serde(borrow)]
    channel_name: Option<Str<'a>>,
    #[serde(borrow)]
    user_id: Option<Str<'a>>,
    #[serde(borrow)]
    user_name: Option<Str<'a>>,
    #[serde(borrow)]
    api_app_id: Option<Str<'a>>,
    #[serde(borrow)]
    trigger_id: Option<Str<'a>>,
    #[serde(borrow)]
    response_url: Option<Str<'a>>,
}

/// One field by its name.
pub(crate) trait Fields {
    fn field(&self, name: &str) -> Option<&str>;
}

impl Fields for Form<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        self.get(name)
    }
}

impl Fields for Command<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let field = match name {
            "command" => &self.command,
            "text" => &self.text,
            "team_id" => &self.team_id,
            "enterprise_id" => &self.enterprise_id,
            "channel_id" => &self.channel_id,
            "channel_name" => &self.channel_name,
            "user_id" => &self.user_id,
            "user_name" => &self.user_name,
            "api_app_id" => &self.api_app_id,
            "trigger_id" => &self.trigger_id,
            "response_url" => &self.response_url,
            _ => &None,
        };
        field.as_deref().filter(|text| !text.is_empty())
    }
}

/// Makes a message of a command; `None` if it lacks what every command has.
pub(crate) fn event(
    reader: Reader<'_>,
    fields: &impl Fields,
    raw: Raw,
    now: SystemTime,
) -> Option<Event> {
    let team = fields.field("team_id").or(fields.field("enterprise_id"))?;
    let app = fields.field("api_app_id").unwrap_or_default();
    let trigger = fields.field("trigger_id")?;
    let id = transport_id(app, team, trigger)?;
    if reader.is_other_team(team) {
        return Some(reader.unknown(id, "other_workspace", raw));
    }
    let channel = fields.field("channel_id").filter(|id| is_id(id))?;
    let user = fields.field("user_id").filter(|id| is_id(id))?;
    let command = fields.field("command").filter(|it| it.starts_with('/'))?;

    let mut sender = reader.sender(team, user);
    sender.name = fields.field("user_name").map(str::to_owned);
    let mut chat = reader.chat(team, channel, None);
    let title = fields
        .field("channel_name")
        .filter(|name| *name != "directmessage");
    chat.title = title.map(str::to_owned);
    let reply = ReplyTo::new(reader.channel.clone(), Target::chat(chat.id.clone()));
    let context = ReplyContext {
        user: Some(user.to_owned()),
        team: Some(team.to_owned()),
        response: fields.field("response_url").map(|url| ResponseRight {
            url: url.to_owned(),
            since: now,
            command: true,
        }),
    };
    // Writing texts as JSON cannot fail.
    let reply = reply.clone().with_context(&context).unwrap_or(reply);
    let id_of_message = MessageId::from(format!("command:{trigger}"));
    let mut message = Message::new(id_of_message, chat, sender, reply);
    // Nothing before it is left out: the command itself says whom it is for.
    let words = read::words(fields.field("text").unwrap_or_default(), None);
    message.text = match words.text.trim() {
        "" => command.to_owned(),
        text => format!("{command} {text}"),
    };
    message.addressed = Addressed::Command;
    message.sent_at = Some(now);
    message.raw = raw;
    let kind = EventKind::Message(Box::new(message));
    Some(Event::new(id, reader.channel.clone(), kind))
}
