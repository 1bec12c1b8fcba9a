//! The control API: what the Rust methods do, for programs in any language.

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Feishu;
use super::faults::{Fault, Plan};
use super::model::{ActionError, NewApp};
use super::people::Post;
use crate::common::control::{self, Controlled, answer};

pub(super) fn router() -> Router<Feishu> {
    control::routes()
        .route("/apps", post(add_app))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
        .route("/verify", post(verify))
        .route("/deliveries", get(deliveries))
        .route("/presses", get(presses))
        .route("/apps/{app}/connections", get(connections))
        .route("/apps/{app}/sent", get(sent))
        .route("/apps/{app}/events", get(events))
        .route("/apps/{app}/cards", get(cards))
        .route("/chats/{chat}/history", get(history))
}

/// Something that happens on the platform, as the control API takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Feishu::post`], or [`Feishu::say`] with `app` in place of `chat`.
    Post {
        /// The app, in its chat with the person alone.
        app: Option<String>,
        /// The group.
        chat: Option<String>,
        /// Who writes.
        user: String,
        /// What.
        post: Box<Post>,
    },
    /// [`Feishu::recall`].
    Recall {
        /// The message.
        message: String,
    },
    /// [`Feishu::react`].
    React {
        /// The message.
        message: String,
        /// Who.
        user: String,
        /// With which emoji.
        emoji: String,
        /// Put on or taken off.
        on: bool,
    },
    /// [`Feishu::press`].
    Press {
        /// The message.
        message: String,
        /// Who.
        user: String,
        /// Label, name or value of the button.
        wanted: String,
    },
    /// [`Feishu::set_bot`].
    Bot {
        /// The app.
        app: String,
        /// The group.
        chat: String,
        /// Who does it.
        by: String,
        /// Comes or goes.
        inside: bool,
    },
    /// [`Feishu::event`].
    Event {
        /// The app.
        app: String,
        /// The `event_type`.
        kind: String,
        /// The `event`.
        event: Value,
    },
    /// [`Feishu::set_webhook`].
    Webhook {
        /// The app.
        app: String,
        /// For events.
        events: Option<String>,
        /// For callbacks.
        callbacks: Option<String>,
    },
    /// [`Feishu::cut`].
    Cut {
        /// The app.
        app: String,
    },
    /// [`Feishu::stall`].
    Stall {
        /// The app.
        app: String,
    },
    /// [`Feishu::drain`].
    Drain {
        /// The app.
        app: String,
    },
    /// [`Feishu::revoke_tokens`].
    Revoke {
        /// The app.
        app: String,
    },
    /// [`Feishu::disable`].
    Disable {
        /// The app.
        app: String,
        /// Off or on again.
        disabled: bool,
    },
}

impl Feishu {
    /// Does what an [`Action`] says; the answer holds the ids of what it made.
    ///
    /// # Errors
    /// Those of the method behind the action.
    pub fn act(&self, action: Action) -> Result<Value, ActionError> {
        let nothing = |()| json!({});
        match action {
            Action::Post {
                app,
                chat,
                user,
                post,
            } => match (app, chat) {
                (Some(app), None) => self.say(&app, &user, *post),
                (_, Some(chat)) => self.post(&chat, &user, *post),
                (None, None) => Err(ActionError::UnknownChat),
            }
            .map(|id| json!({ "message_id": id })),
            Action::Recall { message } => self.recall(&message).map(nothing),
            Action::React {
                message,
                user,
                emoji,
                on,
            } => self.react(&message, &user, &emoji, on).map(nothing),
            Action::Press {
                message,
                user,
                wanted,
            } => self
                .press(&message, &user, &wanted)
                .map(|token| json!({ "token": token })),
            Action::Bot {
                app,
                chat,
                by,
                inside,
            } => self.set_bot(&app, &chat, &by, inside).map(nothing),
            Action::Event { app, kind, event } => {
                Ok(json!({"event_id": self.event(&app, &kind, event)}))
            }
            Action::Webhook {
                app,
                events,
                callbacks,
            } => self
                .set_webhook(&app, events.as_deref(), callbacks.as_deref())
                .map(nothing),
            Action::Cut { app } => {
                self.cut(&app);
                Ok(json!({}))
            }
            Action::Stall { app } => {
                self.stall(&app);
                Ok(json!({}))
            }
            Action::Drain { app } => {
                self.drain(&app);
                Ok(json!({}))
            }
            Action::Revoke { app } => self.revoke_tokens(&app).map(nothing),
            Action::Disable { app, disabled } => self.disable(&app, disabled).map(nothing),
        }
    }
}

/// What can be switched beside the faults of calls.
#[derive(Deserialize)]
pub(crate) struct Switches {
    duplicate_events: Option<u32>,
    reorder_fragments: Option<u32>,
    wrong_signatures: Option<u32>,
    card_frames: Option<bool>,
    silent: Option<bool>,
}

impl Controlled for Feishu {
    type Fault = Fault;
    type Switches = Switches;

    fn add_fault(&self, method: Option<&str>, count: u32, fault: Fault) {
        self.with(|state| state.faults.rules.add(method, count, fault));
    }
    fn switch(&self, switches: Switches) {
        self.with(|state| {
            let faults: &mut Plan = &mut state.faults;
            faults.duplicate = switches.duplicate_events.unwrap_or(faults.duplicate);
            faults.reorder = switches.reorder_fragments.unwrap_or(faults.reorder);
            faults.forge = switches.wrong_signatures.unwrap_or(faults.forge);
            faults.card_frames = switches.card_frames.unwrap_or(faults.card_frames);
            faults.silent = switches.silent.unwrap_or(faults.silent);
        });
    }
    fn clear_faults(&self) {
        self.faults().clear();
    }
}

async fn add_app(Shared(feishu): Shared<Feishu>, Json(app): Json<NewApp>) -> Response {
    answer(
        feishu
            .add_app(&app)
            .map(|open_id| json!({"app": app.app_id, "open_id": open_id})),
    )
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    /// The app whose `open_id` of the person is wanted too.
    app: Option<String>,
}

async fn add_user(Shared(feishu): Shared<Feishu>, Json(new): Json<NewUser>) -> Response {
    let user = feishu.user(&new.name);
    let open_id = new.app.map(|app| feishu.open_id(&app, &user));
    Json(json!({"user": user, "open_id": open_id})).into_response()
}

#[derive(Deserialize)]
struct NewGroup {
    name: String,
    #[serde(default)]
    apps: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    topics: bool,
}

async fn add_group(Shared(feishu): Shared<Feishu>, Json(new): Json<NewGroup>) -> Response {
    let apps: Vec<&str> = new.apps.iter().map(String::as_str).collect();
    let members: Vec<&str> = new.members.iter().map(String::as_str).collect();
    let made = if new.topics {
        feishu.topic_group(&new.name, &apps, &members)
    } else {
        feishu.group(&new.name, &apps, &members)
    };
    answer(made.map(|id| json!({ "chat": id })))
}

async fn act(Shared(feishu): Shared<Feishu>, Json(action): Json<Action>) -> Response {
    answer(feishu.act(action))
}

#[derive(Deserialize)]
struct Verify {
    app: String,
    challenge: String,
}

async fn verify(Shared(feishu): Shared<Feishu>, Json(wanted): Json<Verify>) -> Response {
    let result = feishu.verify_url(&wanted.app, &wanted.challenge).await;
    answer(result.map(|(status, body)| json!({"status": status, "answer": body})))
}

async fn deliveries(Shared(feishu): Shared<Feishu>) -> Response {
    Json(feishu.deliveries()).into_response()
}

async fn presses(Shared(feishu): Shared<Feishu>) -> Response {
    Json(feishu.presses()).into_response()
}

async fn connections(Shared(feishu): Shared<Feishu>, Path(app): Path<String>) -> Response {
    Json(feishu.connections(&app)).into_response()
}

async fn sent(Shared(feishu): Shared<Feishu>, Path(app): Path<String>) -> Response {
    Json(feishu.sent(&app)).into_response()
}

async fn events(Shared(feishu): Shared<Feishu>, Path(app): Path<String>) -> Response {
    Json(feishu.events(&app)).into_response()
}

async fn cards(Shared(feishu): Shared<Feishu>, Path(app): Path<String>) -> Response {
    Json(feishu.cards(&app)).into_response()
}

async fn history(Shared(feishu): Shared<Feishu>, Path(chat): Path<String>) -> Response {
    Json(feishu.history(&chat)).into_response()
}
