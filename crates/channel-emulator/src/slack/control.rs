//! The control API: what the Rust methods do, for programs in any language.

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Slack;
use super::faults::Fault;
use super::model::{ActionError, NewApp};
use super::people::Post;
use super::world::Disconnect;
use crate::common::control::{self, Controlled, answer};

pub(super) fn router() -> Router<Slack> {
    control::routes()
        .route("/apps", post(add_app))
        .route("/workspaces", post(add_workspace))
        .route("/users", post(add_user))
        .route("/channels", post(add_channel))
        .route("/actions", post(act))
        .route("/deliveries", get(deliveries))
        .route("/interactions", get(interactions))
        .route("/channels/{channel}/history", get(history))
        .route("/channels/{channel}/ephemerals", get(ephemerals))
        .route("/apps/{app}/sent", get(sent))
        .route("/apps/{app}/events", get(events))
        .route("/apps/{app}/sockets", get(sockets))
        .route("/users/{user}/views", get(views))
}

/// Something that happens on the platform, as the control API takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Slack::install`].
    Install {
        /// The app.
        app: String,
        /// The workspace.
        team: String,
        /// The bot token.
        token: String,
    },
    /// [`Slack::uninstall`].
    Uninstall {
        /// The app.
        app: String,
        /// The workspace.
        team: String,
    },
    /// [`Slack::revoke`].
    Revoke {
        /// The app.
        app: String,
        /// The workspace.
        team: String,
    },
    /// [`Slack::set_urls`].
    Urls {
        /// The app.
        app: String,
        /// Of the Events API.
        events: String,
        /// Of everything else.
        interactions: String,
    },
    /// [`Slack::direct`].
    Direct {
        /// The app.
        app: String,
        /// The person.
        user: String,
    },
    /// [`Slack::invite`].
    Invite {
        /// The channel.
        channel: String,
        /// Who enters.
        user: String,
        /// Who has invited.
        inviter: String,
    },
    /// [`Slack::kick`].
    Kick {
        /// The channel.
        channel: String,
        /// Who leaves.
        user: String,
    },
    /// [`Slack::say`].
    Say {
        /// The channel.
        channel: String,
        /// Who writes.
        user: String,
        /// What.
        post: Box<Post>,
    },
    /// [`Slack::edit`].
    Edit {
        /// The channel.
        channel: String,
        /// Whose message it is.
        user: String,
        /// The message.
        ts: String,
        /// The new text.
        text: String,
    },
    /// [`Slack::unsay`].
    Unsay {
        /// The channel.
        channel: String,
        /// Whose message it is.
        user: String,
        /// The message.
        ts: String,
    },
    /// [`Slack::react`].
    React {
        /// The channel.
        channel: String,
        /// Who reacts.
        user: String,
        /// The message.
        ts: String,
        /// The name, without colons.
        name: String,
        /// Take it away instead.
        #[serde(default)]
        remove: bool,
    },
    /// [`Slack::press`], or [`Slack::press_in_view`].
    Press {
        /// The channel of the message.
        channel: Option<String>,
        /// Who presses.
        user: String,
        /// The message.
        ts: Option<String>,
        /// In place of a message.
        view: Option<String>,
        /// `action_id`, value or text.
        wanted: String,
    },
    /// [`Slack::submit`].
    Submit {
        /// The view.
        view: String,
        /// What was filled in.
        values: Value,
    },
    /// [`Slack::suggest`], or [`Slack::suggest_in_view`].
    Suggest {
        /// The channel of the message.
        channel: Option<String>,
        /// Who types.
        user: String,
        /// The message.
        ts: Option<String>,
        /// In place of a message.
        view: Option<String>,
        /// The menu.
        action_id: String,
        /// What is typed.
        #[serde(default)]
        typed: String,
    },
    /// [`Slack::dismiss`].
    Dismiss {
        /// The view.
        view: String,
    },
    /// [`Slack::command`].
    Command {
        /// The app.
        app: String,
        /// Where.
        channel: String,
        /// Who.
        user: String,
        /// With its slash.
        command: String,
        /// What follows.
        #[serde(default)]
        text: String,
    },
    /// [`Slack::shortcut`], or with a message [`Slack::message_shortcut`].
    Shortcut {
        /// The app.
        app: String,
        /// Who.
        user: String,
        /// The shortcut.
        callback_id: String,
        /// The channel of the message.
        channel: Option<String>,
        /// The message.
        ts: Option<String>,
    },
    /// [`Slack::open_home`].
    Home {
        /// The app.
        app: String,
        /// Who.
        user: String,
    },
    /// [`Slack::event`].
    Event {
        /// The app.
        app: String,
        /// The workspace.
        team: String,
        /// The inner event.
        event: Value,
    },
    /// [`Slack::resend`].
    Resend {
        /// The app.
        app: String,
        /// The event.
        event_id: String,
    },
    /// [`Slack::disconnect`].
    Disconnect {
        /// The app.
        app: String,
        /// Why.
        reason: Disconnect,
    },
    /// [`Slack::cut_sockets`].
    CutSockets {
        /// The app.
        app: String,
    },
    /// [`Slack::stall_sockets`].
    StallSockets {
        /// The app.
        app: String,
    },
}

impl Slack {
    /// Does what an [`Action`] says; the answer holds the ids of what it made.
    ///
    /// # Errors
    /// Those of the method behind the action.
    pub fn act(&self, action: Action) -> Result<Value, ActionError> {
        Ok(match action {
            Action::Install { app, team, token } => json!(self.install(&app, &team, &token)?),
            Action::Direct { app, user } => json!({"channel": self.direct(&app, &user)?}),
            Action::Say {
                channel,
                user,
                post,
            } => json!({"ts": self.say(&channel, &user, *post)?}),
            Action::Event { app, team, event } => {
                json!({"event_id": self.event(&app, &team, &event)})
            }
            Action::Resend { app, event_id } => json!({"known": self.resend(&app, &event_id)}),
            Action::Press { .. }
            | Action::Submit { .. }
            | Action::Suggest { .. }
            | Action::Command { .. }
            | Action::Shortcut { .. } => json!({"interaction": self.interact(action)?}),
            other => {
                self.arrange(other)?;
                json!({})
            }
        })
    }

    /// The actions to which an app answers.
    fn interact(&self, action: Action) -> Result<u64, ActionError> {
        match action {
            Action::Press {
                channel,
                user,
                ts,
                view,
                wanted,
            } => match (view, channel, ts) {
                (Some(view), ..) => self.press_in_view(&view, &wanted),
                (None, Some(channel), Some(ts)) => self.press(&channel, &user, &ts, &wanted),
                _ => Err(ActionError::UnknownMessage),
            },
            Action::Submit { view, values } => self.submit(&view, &values),
            Action::Suggest {
                channel,
                user,
                ts,
                view,
                action_id,
                typed,
            } => match (view, channel, ts) {
                (Some(view), ..) => self.suggest_in_view(&view, &action_id, &typed),
                (None, Some(channel), Some(ts)) => {
                    self.suggest(&channel, &user, &ts, &action_id, &typed)
                }
                _ => Err(ActionError::UnknownMessage),
            },
            Action::Command {
                app,
                channel,
                user,
                command,
                text,
            } => self.command(&app, &channel, &user, &command, &text),
            Action::Shortcut {
                app,
                user,
                callback_id,
                channel,
                ts,
            } => match (channel, ts) {
                (Some(channel), Some(ts)) => {
                    self.message_shortcut(&app, &channel, &user, &ts, &callback_id)
                }
                _ => self.shortcut(&app, &user, &callback_id),
            },
            _ => Err(ActionError::NoSuchAction),
        }
    }

    /// The actions that give nothing back.
    fn arrange(&self, action: Action) -> Result<(), ActionError> {
        match action {
            Action::Uninstall { app, team } => self.uninstall(&app, &team),
            Action::Revoke { app, team } => self.revoke(&app, &team),
            Action::Urls {
                app,
                events,
                interactions,
            } => self.set_urls(&app, &events, &interactions)?,
            Action::Invite {
                channel,
                user,
                inviter,
            } => self.invite(&channel, &user, &inviter)?,
            Action::Kick { channel, user } => self.kick(&channel, &user)?,
            Action::Edit {
                channel,
                user,
                ts,
                text,
            } => self.edit(&channel, &user, &ts, &text)?,
            Action::Unsay { channel, user, ts } => self.unsay(&channel, &user, &ts)?,
            Action::React {
                channel,
                user,
                ts,
                name,
                remove,
            } => self.react(&channel, &user, &ts, &name, !remove)?,
            Action::Dismiss { view } => self.dismiss(&view)?,
            Action::Home { app, user } => self.open_home(&app, &user)?,
            Action::Disconnect { app, reason } => self.disconnect(&app, reason),
            Action::CutSockets { app } => self.cut_sockets(&app),
            Action::StallSockets { app } => self.stall_sockets(&app),
            _ => {}
        }
        Ok(())
    }
}

/// What can be switched beside the faults of calls.
#[derive(Deserialize)]
pub(crate) struct Switches {
    duplicate_deliveries: Option<u32>,
    wrong_signatures: Option<u32>,
}

impl Controlled for Slack {
    type Fault = Fault;
    type Switches = Switches;

    fn add_fault(&self, method: Option<&str>, count: u32, fault: Fault) {
        self.with(|state| state.faults.rules.add(method, count, fault));
    }
    fn switch(&self, switches: Switches) {
        self.with(|state| {
            let faults = &mut state.faults;
            faults.duplicate = switches.duplicate_deliveries.unwrap_or(faults.duplicate);
            faults.forge = switches.wrong_signatures.unwrap_or(faults.forge);
        });
    }
    fn clear_faults(&self) {
        self.faults().clear();
    }
}

async fn add_app(Shared(slack): Shared<Slack>, Json(app): Json<NewApp>) -> Response {
    answer(slack.add_app(&app).map(|id| json!({"app": id})))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn add_workspace(Shared(slack): Shared<Slack>, Json(new): Json<Named>) -> Response {
    Json(json!({"team": slack.workspace(&new.name)})).into_response()
}

#[derive(Deserialize)]
struct NewUser {
    team: String,
    name: String,
}

async fn add_user(Shared(slack): Shared<Slack>, Json(new): Json<NewUser>) -> Response {
    answer(
        slack
            .user(&new.team, &new.name)
            .map(|id| json!({"user": id})),
    )
}

#[derive(Deserialize)]
struct NewChannel {
    team: String,
    name: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    members: Vec<String>,
}

async fn add_channel(Shared(slack): Shared<Slack>, Json(new): Json<NewChannel>) -> Response {
    let members: Vec<&str> = new.members.iter().map(String::as_str).collect();
    let made = if new.private {
        slack.private_channel(&new.team, &new.name, &members)
    } else {
        slack.channel(&new.team, &new.name, &members)
    };
    answer(made.map(|id| json!({"channel": id})))
}

async fn act(Shared(slack): Shared<Slack>, Json(action): Json<Action>) -> Response {
    answer(slack.act(action))
}

async fn deliveries(Shared(slack): Shared<Slack>) -> Response {
    Json(slack.deliveries()).into_response()
}

#[derive(Deserialize)]
struct One {
    number: Option<u64>,
}

/// All interactions, or with `number` one of them.
async fn interactions(Shared(slack): Shared<Slack>, Query(one): Query<One>) -> Response {
    match one.number {
        Some(number) => Json(slack.interaction(number)).into_response(),
        None => Json(slack.interactions()).into_response(),
    }
}

async fn history(Shared(slack): Shared<Slack>, Path(channel): Path<String>) -> Response {
    Json(slack.history(&channel)).into_response()
}

async fn ephemerals(Shared(slack): Shared<Slack>, Path(channel): Path<String>) -> Response {
    Json(slack.ephemerals(&channel)).into_response()
}

async fn sent(Shared(slack): Shared<Slack>, Path(app): Path<String>) -> Response {
    Json(slack.sent(&app)).into_response()
}

async fn events(Shared(slack): Shared<Slack>, Path(app): Path<String>) -> Response {
    Json(slack.events(&app)).into_response()
}

async fn sockets(Shared(slack): Shared<Slack>, Path(app): Path<String>) -> Response {
    Json(json!({"open": slack.sockets(&app), "pending": slack.pending(&app)})).into_response()
}

async fn views(Shared(slack): Shared<Slack>, Path(user): Path<String>) -> Response {
    Json(slack.views(&user)).into_response()
}
