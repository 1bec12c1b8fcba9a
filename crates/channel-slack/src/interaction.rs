//! Presses, dialogs and shortcuts as events
//! (<https://docs.slack.dev/interactivity/handling-user-interaction/>).

use std::time::SystemTime;

use channel_core::{
    Action, ActionId, Chat, Event, EventId, EventKind, MessageId, Raw, ReplyTo, Sender, TextLimit,
    TextUnit, ThreadId,
};

use crate::address::{is_id, is_ts};
use crate::inbound::{Reader, ReplyContext, ResponseRight, target, transport_id};
use crate::limits;
use crate::options::OptionQuery;
use crate::wire::{Interaction, PressedAction, Str, Suggestion};

/// What all events of one interaction have in common.
struct Scene<'a> {
    reader: Reader<'a>,
    wire: &'a Interaction<'a>,
    team: &'a str,
    app: &'a str,
    now: SystemTime,
}

/// Makes the events of one interaction: usually one. `None` if it is not from anybody.
pub(crate) fn events(
    reader: Reader<'_>,
    wire: &Interaction<'_>,
    raw: &Raw,
    now: SystemTime,
) -> Option<Vec<Event>> {
    Scene::new(reader, wire, now).events(raw)
}

/// Reads who wants to choose from what; `None` if it is not somebody of this workspace.
pub(crate) fn query(
    reader: Reader<'_>,
    wire: &Interaction<'_>,
    raw: &Raw,
    now: SystemTime,
) -> Option<OptionQuery> {
    let scene = Scene::new(reader, wire, now);
    if reader.is_other_team(scene.team) {
        return None;
    }
    let (user, sender) = scene.user()?;
    let asked: Suggestion<'_> = serde_json::from_slice(raw.as_slice()).ok()?;
    let id = |id: Option<Str<'_>>| {
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        let limit = TextLimit::new(limits::BLOCK_ID, TextUnit::Utf16);
        limit.fits(&id).then_some(id)
    };
    let view = wire.view.as_ref();
    let typed = asked.value.as_deref().unwrap_or_default();
    let typed = typed.get(..typed.floor_char_boundary(limits::TYPED));
    Some(OptionQuery {
        chat: scene.chat(user),
        sender,
        action_id: id(asked.action_id)?,
        block_id: id(asked.block_id)?,
        callback_id: view.and_then(|view| view.callback_id.as_deref().map(str::to_owned)),
        typed: typed.unwrap_or_default().to_owned(),
        raw: raw.clone(),
    })
}

impl<'a> Scene<'a> {
    fn new(reader: Reader<'a>, wire: &'a Interaction<'a>, now: SystemTime) -> Self {
        let id_of = |team: &'a Option<crate::wire::Team<'a>>| team.as_ref()?.id.as_deref();
        Self {
            reader,
            wire,
            team: id_of(&wire.team)
                .or_else(|| id_of(&wire.enterprise))
                .unwrap_or_default(),
            app: wire.api_app_id.as_deref().unwrap_or_default(),
            now,
        }
    }

    fn events(&self, raw: &Raw) -> Option<Vec<Event>> {
        let trigger = self.wire.trigger_id.as_deref();
        let known = match &*self.wire.kind {
            "block_actions" => {
                let pressed = self.wire.actions.iter().take(limits::ROW);
                let events: Option<Vec<_>> = pressed.map(|it| self.pressed(it, raw)).collect();
                events.filter(|events| !events.is_empty())
            }
            "view_submission" => self.submitted(raw).map(|event| vec![event]),
            "shortcut" | "message_action" => self.shortcut(raw).map(|event| vec![event]),
            _ => None,
        };
        if let Some(events) = known
            && !self.reader.is_other_team(self.team)
        {
            return Some(events);
        }
        let view = self.wire.view.as_ref().and_then(|view| view.id.as_deref());
        let id = transport_id(self.app, self.team, trigger.or(view)?)?;
        Some(vec![self.reader.unknown(id, &self.wire.kind, raw.clone())])
    }

    fn user(&self) -> Option<(&str, Sender)> {
        let user = self.wire.user.as_ref()?;
        let id = Some(&*user.id).filter(|id| is_id(id))?;
        // A guest of a shared channel is of another workspace.
        let team = user
            .team_id
            .as_deref()
            .filter(|team| team.starts_with('T') && is_id(team));
        let mut sender = self.reader.sender(team.unwrap_or(self.team), id);
        let name = user.username.as_deref().or(user.name.as_deref());
        sender.name = name.map(str::to_owned);
        Some((id, sender))
    }

    /// Where it happened; a dialog is nowhere, so an answer goes to whoever filled it in.
    fn chat(&self, user: &str) -> Chat {
        let container = self.wire.container.as_ref();
        let room = self.wire.channel.as_ref();
        let id = room
            .map(|room| &*room.id)
            .or_else(|| container.and_then(|it| it.channel_id.as_deref()))
            .filter(|id| is_id(id));
        let Some(id) = id else {
            return self.reader.chat(self.team, user, None);
        };
        let mut chat = self.reader.chat(self.team, id, None);
        let name = room.and_then(|room| room.name.as_deref());
        chat.title = name
            .filter(|name| *name != "directmessage")
            .map(str::to_owned);
        chat
    }

    fn message_ts(&self) -> Option<&str> {
        let carrier = self.wire.message.as_ref().and_then(|it| it.ts.as_deref());
        let container = || {
            self.wire
                .container
                .as_ref()
                .and_then(|it| it.message_ts.as_deref())
        };
        carrier.or_else(container).filter(|ts| is_ts(ts))
    }

    fn thread(&self) -> Option<ThreadId> {
        let carrier = self
            .wire
            .message
            .as_ref()
            .and_then(|it| it.thread_ts.as_deref());
        let container = || {
            self.wire
                .container
                .as_ref()
                .and_then(|it| it.thread_ts.as_deref())
        };
        let thread = carrier.or_else(container).filter(|ts| is_ts(ts))?;
        (Some(thread) != self.message_ts()).then(|| thread.into())
    }

    fn action(&self, id: &str, value: &str, raw: &Raw) -> Option<Action> {
        let (user, sender) = self.user()?;
        let chat = self.chat(user);
        let thread = self.thread();
        let message = self.message_ts().map(MessageId::from);
        let mut reply = ReplyTo::new(self.reader.channel.clone(), target(&chat, thread.as_ref()));
        if let Some(message) = &message {
            reply = reply.quoting(message.clone());
        }
        let is_ephemeral = self
            .wire
            .container
            .as_ref()
            .is_some_and(|it| it.is_ephemeral);
        let context = ReplyContext {
            user: Some(user.to_owned()),
            team: Some(self.team.to_owned()),
            response: self.wire.response_url.as_deref().map(|url| ResponseRight {
                url: url.to_owned(),
                since: self.now,
                command: is_ephemeral,
            }),
        };
        // Writing texts as JSON cannot fail.
        let reply = reply.clone().with_context(&context).unwrap_or(reply);
        let mut action = Action::new(ActionId::from(id), sender, value, chat, reply, raw.clone());
        action.thread = thread;
        action.message = message;
        Some(action)
    }

    fn event(&self, id: EventId, action: Action) -> Event {
        let kind = EventKind::Action(Box::new(action));
        Event::new(id, self.reader.channel.clone(), kind)
    }

    /// A press has no id of its own: its moment, its element and its person are one.
    fn pressed(&self, pressed: &PressedAction<'_>, raw: &Raw) -> Option<Event> {
        let at = pressed.action_ts.as_deref().filter(|ts| is_ts(ts))?;
        let element = pressed.action_id.as_deref().unwrap_or_default();
        let user = &*self.wire.user.as_ref()?.id;
        let element_key = element
            .get(..element.floor_char_boundary(255))
            .unwrap_or_default();
        let id = format!("{}:{}:{at}:{user}:{element_key}", self.app, self.team);
        let is_plain = [self.app, self.team, user]
            .iter()
            .all(|id| id.len() <= limits::ID);
        if !is_plain {
            return None;
        }
        let mut action = self.action(&format!("{at}:{element_key}"), &pressed.value(), raw)?;
        action.fields = self
            .wire
            .state
            .as_ref()
            .map(crate::wire::State::fields)
            .unwrap_or_default();
        Some(self.event(EventId::from(id), action))
    }

    fn submitted(&self, raw: &Raw) -> Option<Event> {
        let view = self.wire.view.as_ref()?;
        let trigger = self.wire.trigger_id.as_deref().or(view.hash.as_deref())?;
        let id = transport_id(self.app, self.team, trigger)?;
        let name = view.callback_id.as_deref().unwrap_or_default();
        let mut action = self.action(trigger, name, raw)?;
        action.fields = view
            .state
            .as_ref()
            .map(crate::wire::State::fields)
            .unwrap_or_default();
        if let Some(kept) = view
            .private_metadata
            .as_deref()
            .filter(|kept| !kept.is_empty())
        {
            action
                .fields
                .push(("private_metadata".to_owned(), kept.to_owned()));
        }
        Some(self.event(id, action))
    }

    fn shortcut(&self, raw: &Raw) -> Option<Event> {
        let trigger = self
            .wire
            .trigger_id
            .as_deref()
            .or(self.wire.action_ts.as_deref())?;
        let id = transport_id(self.app, self.team, trigger)?;
        let name = self.wire.callback_id.as_deref().unwrap_or_default();
        let action = self.action(trigger, name, raw)?;
        Some(self.event(id, action))
    }
}
