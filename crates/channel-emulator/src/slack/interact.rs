//! Interactions and commands, and what an app answers to them.
//!
//! <https://docs.slack.dev/interactivity/handling-user-interaction/>

use serde::Serialize;
use serde_json::{Value, json};

use super::check;
use super::deliver::{Parcel, Target};
use super::events::set;
use super::model::{ActionError, Message};
use super::state::{State, bound, log};

/// A person's right to be shown something, given to an app.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) app: String,
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) until_ms: i64,
    pub(crate) used: bool,
    /// The view in which it happened.
    pub(crate) view: Option<String>,
}

/// An address at which an app may answer without a token.
#[derive(Debug, Clone)]
pub(crate) struct ResponseUrl {
    app: String,
    team: String,
    channel: String,
    user: String,
    /// The message that it belongs to; absent for commands.
    message: Option<String>,
    thread_ts: Option<String>,
    left: u32,
    until_ms: i64,
}

/// Something that a person did in an app, and what came of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Interaction {
    /// Counts from 1.
    pub number: u64,
    /// The app.
    pub app: String,
    /// `block_actions`, `view_submission`, `slash_command` and so on.
    pub kind: &'static str,
    /// Who did it.
    pub user: String,
    /// The payload as the app got it.
    pub payload: Value,
    /// It was acknowledged, or it failed for good.
    pub settled: bool,
    /// Why the person saw an error.
    pub error: Option<String>,
    /// What came with the acknowledgement; null without.
    pub answer: Value,
}

/// Where and by whom something was done.
pub(crate) struct Doing<'a> {
    pub(crate) app: &'a str,
    pub(crate) team: &'a str,
    pub(crate) user: &'a str,
    pub(crate) channel: Option<&'a str>,
    /// The message or view in which it was done.
    pub(crate) message: Option<&'a Message>,
    pub(crate) view: Option<&'a str>,
}

impl State {
    /// A fresh `trigger_id`.
    fn trigger(&mut self, doing: &Doing<'_>) -> String {
        let secret = self.hex(2);
        let id = format!("{}.{}.{secret}", self.now_ms, self.seconds());
        let life = i64::try_from(self.settings.trigger_life.as_millis()).unwrap_or(i64::MAX);
        let trigger = Trigger {
            app: doing.app.to_owned(),
            team: doing.team.to_owned(),
            user: doing.user.to_owned(),
            until_ms: self.now_ms.saturating_add(life),
            used: false,
            view: doing.view.map(str::to_owned),
        };
        bound(&mut self.triggers);
        self.triggers.insert(id.clone(), trigger);
        id
    }

    /// A fresh `response_url`.
    fn response_url(&mut self, doing: &Doing<'_>, kind: &str) -> String {
        let path = format!("/{kind}/{}/{}", doing.team, self.hex(3));
        let life = i64::try_from(self.settings.response_life.as_millis()).unwrap_or(i64::MAX);
        let right = ResponseUrl {
            app: doing.app.to_owned(),
            team: doing.team.to_owned(),
            channel: doing.channel.unwrap_or_default().to_owned(),
            user: doing.user.to_owned(),
            message: doing.message.map(|message| message.ts.clone()),
            thread_ts: doing.message.and_then(|message| message.thread_ts.clone()),
            left: self.settings.response_uses,
            until_ms: self.now_ms.saturating_add(life),
        };
        bound(&mut self.response_urls);
        self.response_urls.insert(path.clone(), right);
        format!("{}{path}", self.base)
    }

    /// Sends an interaction to its app, with the fields that all of them have; gives its number.
    pub(crate) fn interact(
        &mut self,
        kind: &'static str,
        doing: &Doing<'_>,
        fields: Value,
    ) -> Result<u64, ActionError> {
        if self.install(doing.app, doing.team).is_none() {
            return Err(ActionError::UnknownApp);
        }
        let team = self.teams.get(doing.team).ok_or(ActionError::UnknownTeam)?;
        let domain = team.domain.clone();
        let user = self.users.get(doing.user).ok_or(ActionError::UnknownUser)?;
        let name = user.name.to_lowercase();
        let mut payload = json!({"type": kind, "team": {"id": doing.team, "domain": domain},
            "user": {"id": doing.user, "username": name, "name": name, "team_id": doing.team},
            "api_app_id": doing.app, "token": "verification-token", "enterprise": null,
            "is_enterprise_install": false});
        if kind != "view_closed" && kind != "block_suggestion" {
            set(&mut payload, "trigger_id", self.trigger(doing).into());
        }
        if let Some(channel) = doing.channel {
            let name = self
                .channels
                .get(channel)
                .map(|channel| channel.name.clone());
            set(
                &mut payload,
                "channel",
                json!({"id": channel, "name": name}),
            );
        }
        if let (Some(channel), Some(message)) = (doing.channel, doing.message)
            && kind != "block_suggestion"
        {
            set(&mut payload, "message", self.message_json(channel, message));
            set(
                &mut payload,
                "response_url",
                self.response_url(doing, "actions").into(),
            );
        }
        if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, fields) {
            payload.extend(fields);
        }
        let target = match kind {
            "block_suggestion" => Target::Options,
            _ => Target::Interactions,
        };
        Ok(self.hand_over(kind, target, doing, payload))
    }

    /// Sends a slash command; gives the number of the interaction.
    pub(crate) fn command(
        &mut self,
        doing: &Doing<'_>,
        command: &str,
        text: &str,
    ) -> Result<u64, ActionError> {
        if self.install(doing.app, doing.team).is_none() {
            return Err(ActionError::UnknownApp);
        }
        let channel = doing.channel.ok_or(ActionError::UnknownChannel)?;
        let place = self
            .channels
            .get(channel)
            .ok_or(ActionError::UnknownChannel)?;
        let channel_name = match place.place {
            super::model::Place::Direct => "directmessage".to_owned(),
            super::model::Place::Private => "privategroup".to_owned(),
            _ => place.name.clone(),
        };
        let domain = self.teams.get(doing.team).map(|team| team.domain.clone());
        let user = self.users.get(doing.user).ok_or(ActionError::UnknownUser)?;
        let payload = json!({"token": "verification-token", "team_id": doing.team, "team_domain": domain,
            "channel_id": channel, "channel_name": channel_name, "user_id": doing.user,
            "user_name": user.name.to_lowercase(), "command": command, "text": text, "api_app_id": doing.app,
            "is_enterprise_install": "false", "response_url": self.response_url(doing, "commands"),
            "trigger_id": self.trigger(doing)});
        Ok(self.hand_over("slash_command", Target::Commands, doing, payload))
    }

    fn hand_over(
        &mut self,
        kind: &'static str,
        target: Target,
        doing: &Doing<'_>,
        payload: Value,
    ) -> u64 {
        let number = self.interactions.back().map_or(0, |last| last.number) + 1;
        let interaction = Interaction {
            number,
            app: doing.app.to_owned(),
            kind,
            user: doing.user.to_owned(),
            payload: payload.clone(),
            settled: false,
            error: None,
            answer: Value::Null,
        };
        log(&mut self.interactions, interaction);
        self.send_off(Parcel {
            app: doing.app.to_owned(),
            target,
            // A person's next press does not wait for the last one.
            lane: format!("interaction/{number}"),
            id: number.to_string(),
            payload,
            settles: Some(number),
        });
        number
    }

    /// Notes how an interaction ended, and does what the answer says.
    pub(crate) fn settle(&mut self, number: u64, outcome: Result<Value, String>) {
        let mut newest = self.interactions.iter_mut().rev();
        let Some(interaction) = newest.find(|one| one.number == number && !one.settled) else {
            return;
        };
        interaction.settled = true;
        match outcome {
            Err(error) => interaction.error = Some(error),
            Ok(answer) => {
                interaction.answer = answer.clone();
                let interaction = interaction.clone();
                let done = match interaction.kind {
                    "slash_command" => self.command_answered(&interaction, &answer),
                    "view_submission" => self.submission_answered(&interaction, &answer),
                    "block_suggestion" => check::offer(&answer).map_err(|_| "invalid_options"),
                    _ => Ok(()),
                };
                if let Err(error) = done
                    && let Some(interaction) = self
                        .interactions
                        .iter_mut()
                        .rev()
                        .find(|one| one.number == number)
                {
                    interaction.error = Some(error.to_owned());
                }
            }
        }
    }

    /// <https://docs.slack.dev/interactivity/implementing-slash-commands/#responding_to_commands>
    fn command_answered(&mut self, done: &Interaction, answer: &Value) -> Result<(), &'static str> {
        let body = match answer {
            Value::String(text) if !text.is_empty() => json!({"text": text}),
            Value::Object(body) if !body.is_empty() => answer.clone(),
            _ => return Ok(()),
        };
        let text = |name: &str| {
            done.payload
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let right = ResponseUrl {
            app: done.app.clone(),
            team: text("team_id").to_owned(),
            channel: text("channel_id").to_owned(),
            user: done.user.clone(),
            message: None,
            thread_ts: None,
            left: 1,
            until_ms: self.now_ms,
        };
        self.say_as(&right, &body, "command")
    }

    /// <https://docs.slack.dev/surfaces/modals/#modifying>
    fn submission_answered(
        &mut self,
        done: &Interaction,
        answer: &Value,
    ) -> Result<(), &'static str> {
        let view = done.payload.get("view").cloned().unwrap_or_default();
        let id = view.get("id").and_then(Value::as_str).unwrap_or_default();
        let Some(known) = self.views.get(id).cloned() else {
            return Ok(());
        };
        let action = answer.get("response_action").and_then(Value::as_str);
        let next = answer.get("view");
        match (action, next) {
            (None, _) => self.close(id),
            (Some("clear"), _) => {
                let root = known.text("root_view_id");
                for view in self.views.values_mut() {
                    view.open &= view.text("root_view_id") != root;
                }
            }
            (Some("errors"), _) => {
                let errors = answer.get("errors").and_then(Value::as_object);
                let inputs = check::inputs(&view);
                let is_shown = |(block, text): (&String, &Value)| {
                    inputs.contains(block.as_str())
                        && text.as_str().is_some_and(|it| !it.is_empty())
                };
                if errors.is_none_or(|errors| errors.is_empty() || !errors.iter().all(is_shown)) {
                    return Err("invalid_response_action");
                }
            }
            (Some("update"), Some(next)) => {
                check::view(next, "modal").map_err(|_| "invalid_view")?;
                self.redraw(id, next);
            }
            (Some("push"), Some(next)) => {
                check::view(next, "modal").map_err(|_| "invalid_view")?;
                let root = known.text("root_view_id");
                if self.stacked(&root) >= super::methods::views::MAX_STACK {
                    return Err("push_limit_reached");
                }
                self.show(
                    (&known.app, &known.team),
                    &known.user,
                    next.clone(),
                    Some(id),
                );
            }
            _ => return Err("invalid_response_action"),
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, view: &str) {
        if let Some(view) = self.views.get_mut(view) {
            view.open = false;
        }
    }

    /// Takes what an app posts to a `response_url`; the error is the platform's word for it.
    pub(crate) fn respond(&mut self, path: &str, body: &Value) -> Result<(), (u16, &'static str)> {
        let now = self.now_ms;
        let right = self
            .response_urls
            .get_mut(path)
            .ok_or((404, "invalid_url"))?;
        if now > right.until_ms {
            return Err((404, "expired_url"));
        }
        if right.left == 0 {
            return Err((404, "used_url"));
        }
        right.left -= 1;
        let right = right.clone();
        let flag = |name: &str| body.get(name).and_then(Value::as_bool) == Some(true);
        match (
            &right.message,
            flag("delete_original"),
            flag("replace_original"),
        ) {
            (Some(ts), true, _) => {
                if self.erase(&right.channel, ts).is_none() {
                    self.ephemerals.retain(|(_, message)| message.ts != *ts);
                }
                Ok(())
            }
            (Some(ts), false, true) => self.replace(&right, ts, body).map_err(|error| (400, error)),
            _ => self
                .say_as(&right, body, "response_url")
                .map_err(|error| (400, error)),
        }
    }

    fn replace(&mut self, right: &ResponseUrl, ts: &str, body: &Value) -> Result<(), &'static str> {
        let blocks = body
            .get("blocks")
            .filter(|blocks| !blocks.is_null())
            .cloned();
        if let Some(blocks) = &blocks {
            check::blocks(blocks, check::MAX_BLOCKS).map_err(|_| "invalid_blocks")?;
        }
        let text = body.get("text").and_then(Value::as_str).map(str::to_owned);
        if text.is_none() && blocks.is_none() {
            return Err("no_text");
        }
        let change = |message: &mut Message| {
            message.text = text.clone().unwrap_or_default();
            message.blocks.clone_from(&blocks);
        };
        if let Some(before) = self.message(&right.channel, ts).cloned() {
            let mut after = before.clone();
            change(&mut after);
            after.edited = Some((before.user.clone(), self.ts()));
            if let Some(message) = self.message_mut(&right.channel, ts) {
                *message = after.clone();
            }
            self.tell_change(&right.channel, &before, &after);
            return Ok(());
        }
        let mut own = self.ephemerals.iter_mut().map(|(_, message)| message);
        let message = own
            .find(|message| message.ts == ts)
            .ok_or("message_not_found")?;
        change(message);
        Ok(())
    }

    /// Posts an app's answer, for one person or for all.
    fn say_as(
        &mut self,
        right: &ResponseUrl,
        body: &Value,
        via: &'static str,
    ) -> Result<(), &'static str> {
        let blocks = body
            .get("blocks")
            .filter(|blocks| !blocks.is_null())
            .cloned();
        if let Some(blocks) = &blocks {
            check::blocks(blocks, check::MAX_BLOCKS).map_err(|_| "invalid_blocks")?;
        }
        let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() && blocks.is_none() && body.get("attachments").is_none() {
            return Err("no_text");
        }
        let install = self
            .install(&right.app, &right.team)
            .ok_or("account_inactive")?
            .clone();
        let is_public = body.get("response_type").and_then(Value::as_str) == Some("in_channel");
        let thread = body
            .get("thread_ts")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut message = Message {
            user: install.bot_user,
            bot: Some((right.app.clone(), install.bot_id)),
            text: text.to_owned(),
            blocks,
            attachments: body.get("attachments").cloned(),
            thread_ts: thread.or_else(|| right.thread_ts.clone()),
            via,
            ..Message::default()
        };
        if is_public {
            self.write(&right.channel, message);
        } else {
            message.ts = self.ts();
            message.only_for = Some(right.user.clone());
            log(&mut self.ephemerals, (right.channel.clone(), message));
        }
        Ok(())
    }
}
