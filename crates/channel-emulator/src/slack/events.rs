//! What happens in a workspace, told to the apps that are there. <https://docs.slack.dev/apis/events-api/>

use serde_json::{Value, json};

use super::deliver::{Parcel, Target};
use super::model::Message;
use super::state::{State, log};

impl State {
    /// Puts a message into a channel and tells everybody; gives its id.
    pub(crate) fn write(&mut self, channel: &str, mut message: Message) -> String {
        if message.ts.is_empty() {
            message.ts = self.ts();
        }
        let ts = message.ts.clone();
        let Some(conversation) = self.channels.get_mut(channel) else {
            return ts;
        };
        if conversation.messages.len() >= super::state::MAX_ENTRIES {
            conversation.messages.pop_first();
        }
        for id in &message.files {
            if let Some(file) = self.files.get_mut(id) {
                file.shares.push((channel.to_owned(), ts.clone()));
            }
        }
        conversation.messages.insert(ts.clone(), message.clone());
        // What an app is about to say is said.
        if message.bot.is_some()
            && let Some(root) = &message.thread_ts
        {
            self.statuses.remove(&(channel.to_owned(), root.clone()));
        }
        let mut event = self.message_json(channel, &message);
        if message.subtype == Some("thread_broadcast")
            && let Some(root) = message.thread_ts.as_deref()
            && let Some(root) = self.message(channel, root).cloned()
        {
            let root = self.message_json(channel, &root);
            set(&mut event, "root", root);
        }
        self.tell_mentioned(channel, &message, &event);
        self.tell_channel(channel, event, &ts);
        ts
    }

    /// `app_mention` for the bots that a message names, beside the `message` that they get all the same.
    fn tell_mentioned(&mut self, channel: &str, message: &Message, event: &Value) {
        let Some(conversation) = self.channels.get(channel) else {
            return;
        };
        if conversation.place == super::model::Place::Direct {
            return;
        }
        let team = conversation.team.clone();
        let mentioned: Vec<String> = self
            .apps
            .values()
            .filter(|app| {
                app.installs.get(&team).is_some_and(|install| {
                    install.active
                        && install.bot_user != message.user
                        && conversation.members.contains(&install.bot_user)
                        && message.text.contains(&format!("<@{}>", install.bot_user))
                })
            })
            .map(|app| app.id.clone())
            .collect();
        for app in mentioned {
            let mut event = event.clone();
            set(&mut event, "type", "app_mention".into());
            set(&mut event, "channel", channel.into());
            set(&mut event, "event_ts", message.ts.clone().into());
            if let Some(event) = event.as_object_mut() {
                event.remove("subtype");
            }
            self.emit(&app, &team, channel, "app_mention", &event);
        }
    }

    /// A `message` event for every app whose bot is in the channel.
    pub(crate) fn tell_channel(&mut self, channel: &str, mut event: Value, event_ts: &str) {
        let Some(conversation) = self.channels.get(channel) else {
            return;
        };
        let (team, place) = (conversation.team.clone(), conversation.place);
        set(&mut event, "channel", channel.into());
        set(&mut event, "channel_type", place.kind().into());
        set(&mut event, "event_ts", event_ts.into());
        for app in self.apps_in(channel) {
            self.emit(&app, &team, channel, place.subscription(), &event);
        }
    }

    /// Any other event for every app whose bot is in the channel.
    pub(crate) fn tell_members(&mut self, channel: &str, subscription: &str, event: &Value) {
        let Some(team) = self.channels.get(channel).map(|c| c.team.clone()) else {
            return;
        };
        for app in self.apps_in(channel) {
            self.emit(&app, &team, channel, subscription, event);
        }
    }

    fn apps_in(&self, channel: &str) -> Vec<String> {
        let Some(conversation) = self.channels.get(channel) else {
            return Vec::new();
        };
        let inside = |app: &&super::model::App| {
            app.installs
                .get(&conversation.team)
                .is_some_and(|i| i.active && conversation.members.contains(&i.bot_user))
        };
        let apps = self.apps.values().filter(inside);
        apps.map(|app| app.id.clone()).collect()
    }

    /// A message has changed: `message_changed` with the state before and after.
    pub(crate) fn tell_change(&mut self, channel: &str, before: &Message, after: &Message) {
        let ts = self.ts();
        let event = json!({"type": "message", "subtype": "message_changed", "hidden": true, "ts": ts,
            "message": self.message_json(channel, after), "previous_message": self.message_json(channel, before)});
        self.tell_channel(channel, event, &ts);
    }

    /// Takes a message away and tells everybody.
    pub(crate) fn erase(&mut self, channel: &str, ts: &str) -> Option<Message> {
        let gone = self.channels.get_mut(channel)?.messages.remove(ts)?;
        let now = self.ts();
        let event = json!({"type": "message", "subtype": "message_deleted", "hidden": true, "ts": now,
            "deleted_ts": ts, "previous_message": self.message_json(channel, &gone)});
        self.tell_channel(channel, event, &now);
        Some(gone)
    }

    /// Sends one event to one app, if it is installed and has subscribed; gives the `event_id`.
    pub(crate) fn emit(
        &mut self,
        app: &str,
        team: &str,
        lane: &str,
        subscription: &str,
        event: &Value,
    ) -> Option<String> {
        let known = self.apps.get(app)?;
        let install = known.installs.get(team)?.clone();
        let wanted = known.events.as_ref();
        if wanted.is_some_and(|wanted| !wanted.contains(subscription)) {
            return None;
        }
        let event_id = self.id("Ev");
        let envelope = json!({"token": "verification-token", "team_id": team, "context_team_id": team,
            "context_enterprise_id": null, "api_app_id": app, "event": event, "type": "event_callback",
            "event_id": event_id, "event_time": self.seconds(),
            "authorizations": [{"enterprise_id": null, "team_id": team, "user_id": install.bot_user, "is_bot": true,
                "is_enterprise_install": false}],
            "is_ext_shared_channel": false, "event_context": format!("4-{event_id}")});
        log(&mut self.events, (app.to_owned(), envelope.clone()));
        self.send_off(Parcel {
            app: app.to_owned(),
            target: Target::Events,
            lane: format!("{team}/{lane}"),
            id: event_id.clone(),
            payload: envelope,
            settles: None,
        });
        Some(event_id)
    }
}

/// Sets a field of an object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
