//! The control API: what the Rust methods do, for programs in any language.
//!
//! Bodies must be `application/json`, so a web page cannot reach it without a preflight, which is never granted.

use std::time::Duration;

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Line;
use super::faults::Fault;
use super::ledger::{Call, Outcome};
use super::model::{ActionError, NewBot};
use super::post::Post;

/// The longest a request may wait for a change, in milliseconds.
const MAX_WAIT_MS: u64 = 30_000;

pub(super) fn router() -> Router<Line> {
    Router::new()
        .route("/bots", post(add_bot))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
        .route("/faults", post(set_faults).delete(clear_faults))
        .route("/clock", post(advance))
        .route("/calls", get(calls))
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

fn answer(result: Result<Value, ActionError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": error.to_string()})),
        )
            .into_response(),
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

#[derive(Deserialize)]
struct NewFaults {
    /// Absent: any endpoint.
    method: Option<String>,
    #[serde(default = "one")]
    count: u32,
    fault: Option<Value>,
    duplicate_deliveries: Option<u32>,
    reorder_events: Option<u32>,
    wrong_signatures: Option<u32>,
}

const fn one() -> u32 {
    1
}

async fn set_faults(Shared(line): Shared<Line>, Json(new): Json<NewFaults>) -> Response {
    let Ok(fault) = new.fault.map(serde_json::from_value::<Fault>).transpose() else {
        let error = Json(json!({"error": "unknown fault"}));
        return (StatusCode::BAD_REQUEST, error).into_response();
    };
    line.with(|state| {
        let faults = &mut state.faults;
        if let Some(fault) = fault {
            faults.add(new.method.as_deref(), new.count, fault);
        }
        faults.duplicate = new.duplicate_deliveries.unwrap_or(faults.duplicate);
        faults.reorder = new.reorder_events.unwrap_or(faults.reorder);
        faults.forge = new.wrong_signatures.unwrap_or(faults.forge);
    });
    Json(json!({})).into_response()
}

async fn clear_faults(Shared(line): Shared<Line>) -> Response {
    line.faults().clear();
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct Step {
    advance_ms: u64,
}

async fn advance(Shared(line): Shared<Line>, Json(step): Json<Step>) -> Response {
    line.advance(Duration::from_millis(step.advance_ms));
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct CallQuery {
    method: Option<String>,
    bot: Option<String>,
    /// Only calls with a higher number.
    #[serde(default)]
    after: u64,
    /// Wait so long for a finished call to show up.
    #[serde(default)]
    wait_ms: u64,
}

/// Finished calls, and with `wait_ms` the first moment at which there are any.
async fn calls(Shared(line): Shared<Line>, Query(query): Query<CallQuery>) -> Response {
    let wanted = |call: &Call| {
        call.number > query.after
            && call.outcome != Outcome::Pending
            && query
                .method
                .as_ref()
                .is_none_or(|method| *method == call.method)
            && query.bot.as_ref().is_none_or(|bot| *bot == call.bot)
    };
    let patience = Duration::from_millis(query.wait_ms.min(MAX_WAIT_MS));
    let found = line
        .wait_for(patience, |line| {
            let mut calls = line.calls();
            calls.retain(wanted);
            Some(calls).filter(|calls| !calls.is_empty())
        })
        .await;
    Json(found.unwrap_or_default()).into_response()
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
