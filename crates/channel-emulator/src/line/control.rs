//! The control API: what the Rust methods do, for programs in any language.
//!
//! Bodies must be `application/json`, so a web page cannot reach it without a preflight, which is never granted.

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Line;
use super::faults::Fault;
use super::model::{ActionError, NewBot};
use super::post::Post;
use crate::common::control::{self, Controlled, answer};

pub(super) fn router() -> Router<Line> {
    control::routes()
        .route("/bots", post(add_bot))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
        .route("/deliveries", get(deliveries))
        .route("/bots/{bot}/sent", get(sent))
        .route("/bots/{bot}/events", get(events))
        .route("/bots/{bot}/loadings", get(loadings))
        .route("/bots/{bot}/history/{chat}", get(history))
}

/// Something that happens on the platform, as the control API takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Line::post`]; without `chat` to the account itself.
    Post {
        /// The account.
        bot: String,
        /// The group or room.
        chat: Option<String>,
        /// Who writes.
        user: String,
        /// What.
        post: Box<Post>,
    },
    /// [`Line::unsend`].
    Unsend {
        /// The account.
        bot: String,
        /// The group or room.
        chat: Option<String>,
        /// Whose message it is.
        user: String,
        /// The message.
        message: String,
    },
    /// [`Line::press`], or [`Line::pick`] with `params`.
    Press {
        /// The account.
        bot: String,
        /// The group or room.
        chat: Option<String>,
        /// Who presses.
        user: String,
        /// The message of the bot.
        message: String,
        /// Postback data, text or label.
        wanted: String,
        /// What was chosen.
        params: Option<Value>,
    },
    /// [`Line::follow`].
    Follow {
        /// The account.
        bot: String,
        /// The person.
        user: String,
    },
    /// [`Line::unfollow`].
    Unfollow {
        /// The account.
        bot: String,
        /// The person.
        user: String,
    },
    /// [`Line::join`].
    Join {
        /// The account.
        bot: String,
        /// The group or room.
        chat: String,
    },
    /// [`Line::leave`].
    Leave {
        /// The account.
        bot: String,
        /// The group or room.
        chat: String,
    },
    /// [`Line::set_member`].
    Member {
        /// The group or room.
        chat: String,
        /// The person.
        user: String,
        /// Enters or leaves.
        inside: bool,
    },
    /// [`Line::set_standby`].
    Standby {
        /// The account.
        bot: String,
        /// The person, group or room.
        chat: String,
        /// On or off.
        standby: bool,
    },
    /// [`Line::set_webhook`] and [`Line::use_webhook`].
    Webhook {
        /// The account.
        bot: String,
        /// The address.
        url: Option<String>,
        /// "Use webhook".
        active: Option<bool>,
    },
    /// [`Line::event`].
    Event {
        /// The account.
        bot: String,
        /// The person, group or room.
        chat: String,
        /// The `type`.
        kind: String,
        /// It has a reply token.
        #[serde(default)]
        repliable: bool,
        /// What else it has.
        fields: Value,
    },
    /// [`Line::verify`].
    Verify {
        /// The account.
        bot: String,
    },
    /// [`Line::hold`].
    Hold {
        /// The account.
        bot: String,
    },
    /// [`Line::release`].
    Release {
        /// The account.
        bot: String,
    },
    /// [`Line::revoke_token`].
    Revoke {
        /// The account.
        bot: String,
    },
    /// [`Line::expire_content`].
    ExpireContent {
        /// The message.
        message: String,
    },
}

impl Line {
    /// Does what an [`Action`] says; the answer holds the ids of what it made.
    ///
    /// # Errors
    /// Those of the method behind the action.
    pub fn act(&self, action: Action) -> Result<Value, ActionError> {
        match action {
            Action::Post {
                bot,
                chat,
                user,
                post,
            } => {
                let id = self.post(&bot, chat.as_deref().unwrap_or(&user), &user, *post)?;
                return Ok(json!({"message": id}));
            }
            Action::Unsend {
                bot,
                chat,
                user,
                message,
            } => self.unsend(&bot, chat.as_deref().unwrap_or(&user), &user, &message)?,
            Action::Press {
                bot,
                chat,
                user,
                message,
                wanted,
                params,
            } => {
                let at = (bot.as_str(), chat.as_deref().unwrap_or(&user));
                self.with(|state| state.press(at, &user, &message, &wanted, params))?;
            }
            Action::Event {
                bot,
                chat,
                kind,
                repliable,
                fields,
            } => {
                let id = self.event(&bot, &chat, &kind, repliable, fields);
                return Ok(json!({"event": id}));
            }
            Action::Release { bot } => return Ok(json!({"events": self.release(&bot)})),
            other => self.arrange(other)?,
        }
        Ok(json!({}))
    }

    /// The actions that only change who is where and what is on.
    fn arrange(&self, action: Action) -> Result<(), ActionError> {
        match action {
            Action::Follow { bot, user } => self.follow(&bot, &user)?,
            Action::Unfollow { bot, user } => self.unfollow(&bot, &user)?,
            Action::Join { bot, chat } => self.join(&bot, &chat)?,
            Action::Leave { bot, chat } => self.leave(&bot, &chat)?,
            Action::Member { chat, user, inside } => self.set_member(&chat, &user, inside)?,
            Action::Standby { bot, chat, standby } => self.set_standby(&bot, &chat, standby),
            Action::Webhook { bot, url, active } => {
                if let Some(url) = url {
                    self.set_webhook(&bot, &url)?;
                }
                if let Some(active) = active {
                    self.use_webhook(&bot, active);
                }
            }
            Action::Verify { bot } => self.verify(&bot)?,
            Action::Hold { bot } => self.hold(&bot),
            Action::Revoke { bot } => self.revoke_token(&bot),
            Action::ExpireContent { message } => self.expire_content(&message),
            _ => {}
        }
        Ok(())
    }
}

async fn add_bot(Shared(line): Shared<Line>, Json(bot): Json<NewBot>) -> Response {
    answer(line.add_bot(&bot).map(|id| json!({"bot": id})))
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
}

async fn add_user(Shared(line): Shared<Line>, Json(user): Json<NewUser>) -> Response {
    Json(json!({"user": line.user(&user.name)})).into_response()
}

#[derive(Deserialize)]
struct NewGroup {
    /// Absent: a room.
    name: Option<String>,
    bot: Option<String>,
    #[serde(default)]
    members: Vec<String>,
}

async fn add_group(Shared(line): Shared<Line>, Json(new): Json<NewGroup>) -> Response {
    let members: Vec<&str> = new.members.iter().map(String::as_str).collect();
    let bot = new.bot.as_deref();
    let made = match &new.name {
        Some(name) => line.group(name, bot, &members),
        None => line.room(bot, &members),
    };
    answer(made.map(|id| json!({"chat": id})))
}

async fn act(Shared(line): Shared<Line>, Json(action): Json<Action>) -> Response {
    answer(line.act(action))
}

/// What can be switched beside the faults of calls.
#[derive(Deserialize)]
pub(crate) struct Switches {
    duplicate_deliveries: Option<u32>,
    reorder_events: Option<u32>,
    wrong_signatures: Option<u32>,
}

impl Controlled for Line {
    type Fault = Fault;
    type Switches = Switches;

    fn add_fault(&self, method: Option<&str>, count: u32, fault: Fault) {
        self.with(|state| state.faults.rules.add(method, count, fault));
    }
    fn switch(&self, switches: Switches) {
        self.with(|state| {
            let faults = &mut state.faults;
            faults.duplicate = switches.duplicate_deliveries.unwrap_or(faults.duplicate);
            faults.reorder = switches.reorder_events.unwrap_or(faults.reorder);
            faults.forge = switches.wrong_signatures.unwrap_or(faults.forge);
        });
    }
    fn clear_faults(&self) {
        self.faults().clear();
    }
}

async fn deliveries(Shared(line): Shared<Line>) -> Response {
    Json(line.deliveries()).into_response()
}

async fn sent(Shared(line): Shared<Line>, Path(bot): Path<String>) -> Response {
    Json(line.sent(&bot)).into_response()
}

async fn events(Shared(line): Shared<Line>, Path(bot): Path<String>) -> Response {
    Json(line.events(&bot)).into_response()
}

async fn loadings(Shared(line): Shared<Line>, Path(bot): Path<String>) -> Response {
    Json(line.loadings(&bot)).into_response()
}

async fn history(
    Shared(line): Shared<Line>,
    Path((bot, chat)): Path<(String, String)>,
) -> Response {
    Json(line.history(&bot, &chat)).into_response()
}
