//! The control API: what the Rust methods do, for programs in any language.

use axum::extract::{Query, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Dingtalk;
use super::faults::{Fault, Plan};
use super::model::{ActionError, NewApp, NewRobot};
use super::people::Post;
use crate::common::control::{self, Controlled, answer};

pub(super) fn router() -> Router<Dingtalk> {
    control::routes()
        .route("/apps", post(add_app))
        .route("/robots", post(add_robot))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
        .route("/deliveries", get(deliveries))
        .route("/presses", get(presses))
        .route("/connections", get(connections))
        .route("/sent", get(sent))
        .route("/events", get(events))
        .route("/cards", get(cards))
        .route("/history", get(history))
}

/// Something that happens on the platform, as the control API takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Dingtalk::post`], or [`Dingtalk::say`] with `app` in place of `chat`.
    Post {
        /// The app, in the conversation of its robot with the person alone.
        app: Option<String>,
        /// The group.
        chat: Option<String>,
        /// Who writes.
        user: String,
        /// What.
        post: Box<Post>,
    },
    /// [`Dingtalk::press`].
    Press {
        /// The `outTrackId`.
        card: String,
        /// Who.
        user: String,
        /// The id of the action.
        wanted: String,
        /// The params of the action.
        #[serde(default)]
        params: Value,
    },
    /// [`Dingtalk::set_robot`].
    Robot {
        /// The app.
        app: String,
        /// The group.
        chat: String,
        /// Who does it.
        by: String,
        /// Comes or goes.
        inside: bool,
    },
    /// [`Dingtalk::event`].
    Event {
        /// The app.
        app: String,
        /// The `eventType`.
        kind: String,
        /// The data.
        data: Value,
    },
    /// [`Dingtalk::callback`].
    Callback {
        /// The app.
        app: String,
        /// The topic.
        topic: String,
        /// The data.
        data: Value,
    },
    /// [`Dingtalk::set_webhook`].
    Webhook {
        /// The app.
        app: String,
        /// Where messages are posted; stream mode without it.
        url: Option<String>,
    },
    /// [`Dingtalk::limit`].
    Limit {
        /// The person.
        user: String,
        /// On or off.
        on: bool,
    },
    /// [`Dingtalk::cut`].
    Cut {
        /// The app.
        app: String,
    },
    /// [`Dingtalk::close`].
    Close {
        /// The app.
        app: String,
    },
    /// [`Dingtalk::stall`].
    Stall {
        /// The app.
        app: String,
    },
    /// [`Dingtalk::drain`].
    Drain {
        /// The app.
        app: String,
    },
    /// [`Dingtalk::revoke_tokens`].
    Revoke {
        /// The app.
        app: String,
    },
    /// [`Dingtalk::disable`].
    Disable {
        /// The app.
        app: String,
        /// Off or on again.
        disabled: bool,
    },
}

impl Dingtalk {
    /// Does what an [`Action`] says; the answer holds the ids of what it made.
    ///
    /// # Errors
    /// Those of the method behind the action.
    pub fn act(&self, action: Action) -> Result<Value, ActionError> {
        let nothing = |()| json!({});
        let each = |app: &str, act: fn(&Self, &str)| {
            act(self, app);
            Ok(json!({}))
        };
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
            .map(|id| json!({ "message": id })),
            Action::Press {
                card,
                user,
                wanted,
                params,
            } => self
                .press(&card, &user, &wanted, &params)
                .map(|id| json!({ "press": id })),
            Action::Robot {
                app,
                chat,
                by,
                inside,
            } => self.set_robot(&app, &chat, &by, inside).map(nothing),
            Action::Event { app, kind, data } => {
                Ok(json!({"event": self.event(&app, &kind, data)}))
            }
            Action::Callback { app, topic, data } => {
                Ok(json!({"callback": self.callback(&app, &topic, data)}))
            }
            Action::Webhook { app, url } => self.set_webhook(&app, url.as_deref()).map(nothing),
            Action::Limit { user, on } => self.limit(&user, on).map(nothing),
            Action::Cut { app } => each(&app, Self::cut),
            Action::Close { app } => each(&app, Self::close),
            Action::Stall { app } => each(&app, Self::stall),
            Action::Drain { app } => each(&app, Self::drain),
            Action::Revoke { app } => self.revoke_tokens(&app).map(nothing),
            Action::Disable { app, disabled } => self.disable(&app, disabled).map(nothing),
        }
    }
}

/// What can be switched beside the faults of calls.
#[derive(Deserialize)]
pub(crate) struct Switches {
    duplicate_frames: Option<u32>,
    reorder_frames: Option<u32>,
    wrong_signatures: Option<u32>,
    stale_signatures: Option<u32>,
    silent: Option<bool>,
    lossy: Option<bool>,
    unregistered: Option<bool>,
    numbers: Option<bool>,
}

impl Controlled for Dingtalk {
    type Fault = Fault;
    type Switches = Switches;

    fn add_fault(&self, method: Option<&str>, count: u32, fault: Fault) {
        self.with(|state| state.faults.rules.add(method, count, fault));
    }
    fn switch(&self, switches: Switches) {
        self.with(|state| {
            let faults: &mut Plan = &mut state.faults;
            faults.duplicate = switches.duplicate_frames.unwrap_or(faults.duplicate);
            faults.reorder = switches.reorder_frames.unwrap_or(faults.reorder);
            faults.forge = switches.wrong_signatures.unwrap_or(faults.forge);
            faults.stale = switches.stale_signatures.unwrap_or(faults.stale);
            faults.silent = switches.silent.unwrap_or(faults.silent);
            faults.lossy = switches.lossy.unwrap_or(faults.lossy);
            faults.unregistered = switches.unregistered.unwrap_or(faults.unregistered);
            faults.numbers = switches.numbers.unwrap_or(faults.numbers);
        });
    }
    fn clear_faults(&self) {
        self.faults().clear();
    }
}

async fn add_app(Shared(dingtalk): Shared<Dingtalk>, Json(app): Json<NewApp>) -> Response {
    answer(
        dingtalk
            .add_app(&app)
            .map(|robot| json!({"app": app.client_id, "robot": robot})),
    )
}

async fn add_robot(Shared(dingtalk): Shared<Dingtalk>, Json(robot): Json<NewRobot>) -> Response {
    answer(dingtalk.add_robot(&robot).map(|url| json!({ "url": url })))
}

#[derive(Deserialize)]
struct NewUser {
    /// The staff id; absent for somebody outside the organisation.
    id: Option<String>,
    name: String,
}

async fn add_user(Shared(dingtalk): Shared<Dingtalk>, Json(new): Json<NewUser>) -> Response {
    let user = match new.id {
        Some(id) => {
            dingtalk.user(&id, &new.name);
            id
        }
        None => dingtalk.outsider(&new.name),
    };
    Json(json!({ "user": user })).into_response()
}

#[derive(Deserialize)]
struct NewGroup {
    title: String,
    #[serde(default)]
    apps: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
}

async fn add_group(Shared(dingtalk): Shared<Dingtalk>, Json(new): Json<NewGroup>) -> Response {
    let apps: Vec<&str> = new.apps.iter().map(String::as_str).collect();
    let members: Vec<&str> = new.members.iter().map(String::as_str).collect();
    let made = dingtalk.group(&new.title, &apps, &members);
    answer(made.map(|id| json!({ "chat": id })))
}

async fn act(Shared(dingtalk): Shared<Dingtalk>, Json(action): Json<Action>) -> Response {
    answer(dingtalk.act(action))
}

/// What is looked at. Ids of this platform hold slashes, so they are parameters.
#[derive(Deserialize)]
struct Of {
    #[serde(default)]
    app: String,
    #[serde(default)]
    chat: String,
}

async fn deliveries(Shared(dingtalk): Shared<Dingtalk>, Query(of): Query<Of>) -> Response {
    let mut all = dingtalk.deliveries();
    all.retain(|delivery| of.app.is_empty() || delivery.app == of.app);
    Json(all).into_response()
}

async fn presses(Shared(dingtalk): Shared<Dingtalk>) -> Response {
    Json(dingtalk.presses()).into_response()
}

async fn connections(Shared(dingtalk): Shared<Dingtalk>, Query(of): Query<Of>) -> Response {
    let (open, pongs) = (dingtalk.connections(&of.app), dingtalk.pongs(&of.app));
    let pending = dingtalk.pending(&of.app);
    Json(json!({"open": open, "pongs": pongs, "pending": pending})).into_response()
}

async fn sent(Shared(dingtalk): Shared<Dingtalk>, Query(of): Query<Of>) -> Response {
    Json(dingtalk.sent(&of.app)).into_response()
}

async fn events(Shared(dingtalk): Shared<Dingtalk>, Query(of): Query<Of>) -> Response {
    Json(dingtalk.events(&of.app)).into_response()
}

async fn cards(Shared(dingtalk): Shared<Dingtalk>, Query(of): Query<Of>) -> Response {
    Json(dingtalk.cards(&of.app)).into_response()
}

async fn history(Shared(dingtalk): Shared<Dingtalk>, Query(of): Query<Of>) -> Response {
    Json(dingtalk.history(&of.chat)).into_response()
}
