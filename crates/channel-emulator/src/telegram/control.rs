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

use super::BotOptions;
use super::engine::Telegram;
use super::faults::Fault;
use super::model::{Place, Standing};
use super::post::{ActionError, Group, Post};

/// The longest a request may wait for a change, in milliseconds.
const MAX_WAIT_MS: u64 = 30_000;

pub(super) fn router() -> Router<Telegram> {
    Router::new()
        .route("/bots", post(add_bot))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
        .route("/faults", post(set_faults).delete(clear_faults))
        .route("/clock", post(advance))
        .route("/calls", get(calls))
        .route("/callbacks", get(callbacks))
        .route("/chat-actions", get(chat_actions))
        .route("/drafts", get(drafts))
        .route("/deliveries", get(deliveries))
        .route("/bots/{bot}/sent", get(sent))
        .route("/bots/{bot}/pending", get(pending))
        .route("/bots/{bot}/listening", get(listening))
        .route("/bots/{bot}/history/{chat}", get(history))
}

/// Something a person does, as the control API takes it; `bot` says whose private chat is meant when `chat` is a
/// person, and can be left out for groups.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Telegram::post`].
    Post {
        /// The bot, in private chats.
        #[serde(default)]
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// Who writes.
        user: i64,
        /// What.
        post: Post,
    },
    /// [`Telegram::album`].
    Album {
        /// The bot, in private chats.
        #[serde(default)]
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// Who writes.
        user: i64,
        /// The files.
        posts: Vec<Post>,
    },
    /// [`Telegram::edit`].
    Edit {
        /// The bot, in private chats.
        #[serde(default)]
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// The message.
        message_id: i64,
        /// The new text.
        text: String,
    },
    /// [`Telegram::delete`].
    Delete {
        /// The bot, in private chats.
        #[serde(default)]
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// The message.
        message_id: i64,
    },
    /// [`Telegram::press`].
    Press {
        /// The bot, in private chats.
        #[serde(default)]
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// The message with the button.
        message_id: i64,
        /// Who presses.
        user: i64,
        /// The `callback_data`.
        data: String,
    },
    /// [`Telegram::react`].
    React {
        /// The bot, in private chats.
        #[serde(default)]
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// The message.
        message_id: i64,
        /// Who reacts.
        user: i64,
        /// All reactions of that person.
        emoji: Vec<String>,
    },
    /// [`Telegram::stand`].
    Stand {
        /// The bot whose standing changes.
        bot: i64,
        /// The `chat.id`.
        chat: i64,
        /// Who changes it.
        by: i64,
        /// The new standing.
        standing: Standing,
    },
    /// [`Telegram::deactivate`].
    Deactivate {
        /// The person.
        user: i64,
    },
    /// [`Telegram::topic`].
    Topic {
        /// The forum.
        chat: i64,
        /// Who opens it.
        user: i64,
        /// Its name.
        name: String,
    },
    /// [`Telegram::migrate_to_supergroup`].
    Migrate {
        /// The group.
        chat: i64,
        /// Who does it.
        by: i64,
    },
    /// [`Telegram::inject`].
    Inject {
        /// The bot.
        bot: i64,
        /// The update.
        update: Value,
    },
    /// [`Telegram::revoke_token`].
    Revoke {
        /// The bot.
        bot: i64,
    },
}

impl Telegram {
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
            } => self
                .post(Place::new(bot, chat), user, post)
                .map(|id| json!({ "message_id": id })),
            Action::Album {
                bot,
                chat,
                user,
                posts,
            } => self
                .album(Place::new(bot, chat), user, posts)
                .map(|ids| json!({ "message_ids": ids })),
            Action::Edit {
                bot,
                chat,
                message_id,
                text,
            } => self
                .edit(Place::new(bot, chat), message_id, &text)
                .map(|()| json!({})),
            Action::Delete {
                bot,
                chat,
                message_id,
            } => self
                .delete(Place::new(bot, chat), message_id)
                .map(|()| json!({})),
            Action::Press {
                bot,
                chat,
                message_id,
                user,
                data,
            } => self
                .press(Place::new(bot, chat), message_id, user, &data)
                .map(|id| json!({ "callback_query_id": id })),
            Action::React {
                bot,
                chat,
                message_id,
                user,
                emoji,
            } => self
                .with(|state| state.react(Place::new(bot, chat), message_id, user, &emoji))
                .map(|()| json!({})),
            Action::Stand {
                bot,
                chat,
                by,
                standing,
            } => self
                .stand(Place::new(bot, chat), bot, by, standing)
                .map(|()| json!({})),
            Action::Deactivate { user } => {
                self.deactivate(user);
                Ok(json!({}))
            }
            Action::Topic { chat, user, name } => self
                .topic(chat, user, &name)
                .map(|thread| json!({ "message_thread_id": thread })),
            Action::Migrate { chat, by } => self
                .migrate_to_supergroup(chat, by)
                .map(|chat| json!({ "chat": chat })),
            Action::Inject { bot, update } => self
                .inject(bot, update)
                .map(|id| json!({ "update_id": id })),
            Action::Revoke { bot } => {
                self.revoke_token(bot);
                Ok(json!({}))
            }
        }
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

#[derive(Deserialize)]
struct NewBot {
    token: String,
    username: String,
    #[serde(default)]
    reads_all: bool,
    #[serde(default)]
    topics: bool,
}

async fn add_bot(Shared(telegram): Shared<Telegram>, Json(bot): Json<NewBot>) -> Response {
    let options = BotOptions {
        privacy: !bot.reads_all,
        topics: bot.topics,
    };
    answer(
        telegram
            .add_bot_with(&bot.token, &bot.username, &options)
            .map(|id| json!({ "bot": id })),
    )
}

#[derive(Deserialize)]
struct NewUser {
    id: i64,
    first_name: String,
    username: Option<String>,
}

async fn add_user(Shared(telegram): Shared<Telegram>, Json(user): Json<NewUser>) -> Response {
    telegram.user_named(user.id, &user.first_name, user.username.as_deref());
    Json(json!({"user": user.id})).into_response()
}

async fn add_group(Shared(telegram): Shared<Telegram>, Json(group): Json<Group>) -> Response {
    answer(telegram.group(&group).map(|id| json!({ "chat": id })))
}

async fn act(Shared(telegram): Shared<Telegram>, Json(action): Json<Action>) -> Response {
    answer(telegram.act(action))
}

#[derive(Deserialize)]
struct NewFaults {
    /// Absent: any method.
    method: Option<String>,
    #[serde(default = "one")]
    count: u32,
    fault: Option<Value>,
    hold_polls: Option<bool>,
    duplicate_updates: Option<u32>,
    reorder_updates: Option<u32>,
    flood_control: Option<bool>,
}

const fn one() -> u32 {
    1
}

async fn set_faults(Shared(telegram): Shared<Telegram>, Json(new): Json<NewFaults>) -> Response {
    let Ok(fault) = new.fault.map(serde_json::from_value::<Fault>).transpose() else {
        let error = Json(json!({"error": "unknown fault"}));
        return (StatusCode::BAD_REQUEST, error).into_response();
    };
    telegram.with(|state| {
        if let Some(fault) = fault {
            state.faults.add(new.method.as_deref(), new.count, fault);
        }
        state.faults.hold_polls = new.hold_polls.unwrap_or(state.faults.hold_polls);
        state.faults.duplicate = new.duplicate_updates.unwrap_or(state.faults.duplicate);
        state.faults.reorder = new.reorder_updates.unwrap_or(state.faults.reorder);
        state.flood.on = new.flood_control.unwrap_or(state.flood.on);
    });
    Json(json!({})).into_response()
}

async fn clear_faults(Shared(telegram): Shared<Telegram>) -> Response {
    telegram.faults().clear();
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct Step {
    advance_ms: u64,
}

async fn advance(Shared(telegram): Shared<Telegram>, Json(step): Json<Step>) -> Response {
    telegram.advance(Duration::from_millis(step.advance_ms));
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct CallQuery {
    method: Option<String>,
    /// Only calls with a higher number.
    #[serde(default)]
    after: u64,
    /// Wait so long for a finished call to show up.
    #[serde(default)]
    wait_ms: u64,
}

/// Finished calls, and with `wait_ms` the first moment at which there are any.
async fn calls(Shared(telegram): Shared<Telegram>, Query(query): Query<CallQuery>) -> Response {
    let select = |view: super::View<'_>| {
        let wanted = |call: &&super::Call| {
            call.number > query.after
                && call.outcome != super::Outcome::Pending
                && query
                    .method
                    .as_deref()
                    .is_none_or(|method| call.method.eq_ignore_ascii_case(method))
        };
        view.calls().filter(wanted).cloned().collect::<Vec<_>>()
    };
    let patience = Duration::from_millis(query.wait_ms.min(MAX_WAIT_MS));
    let found = telegram
        .wait_for(patience, |view| {
            Some(select(view)).filter(|calls| !calls.is_empty())
        })
        .await;
    Json(found.unwrap_or_default()).into_response()
}

async fn callbacks(Shared(telegram): Shared<Telegram>) -> Response {
    Json(telegram.look(|view| view.callbacks().cloned().collect::<Vec<_>>())).into_response()
}

async fn chat_actions(Shared(telegram): Shared<Telegram>) -> Response {
    Json(telegram.look(|view| view.chat_actions().cloned().collect::<Vec<_>>())).into_response()
}

async fn drafts(Shared(telegram): Shared<Telegram>) -> Response {
    Json(telegram.look(|view| view.drafts().cloned().collect::<Vec<_>>())).into_response()
}

async fn deliveries(Shared(telegram): Shared<Telegram>) -> Response {
    Json(telegram.look(|view| view.deliveries().cloned().collect::<Vec<_>>())).into_response()
}

async fn sent(Shared(telegram): Shared<Telegram>, Path(bot): Path<i64>) -> Response {
    Json(telegram.sent(bot)).into_response()
}

async fn pending(Shared(telegram): Shared<Telegram>, Path(bot): Path<i64>) -> Response {
    Json(telegram.updates_pending(bot)).into_response()
}

async fn listening(Shared(telegram): Shared<Telegram>, Path(bot): Path<i64>) -> Response {
    Json(telegram.look(|view| view.is_listening(bot))).into_response()
}

async fn history(
    Shared(telegram): Shared<Telegram>,
    Path((bot, chat)): Path<(i64, i64)>,
) -> Response {
    let history = telegram.look(|view| view.history(Place::new(bot, chat)));
    Json::<Vec<_>>(history).into_response()
}
