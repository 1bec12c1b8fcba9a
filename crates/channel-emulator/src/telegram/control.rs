//! The control API: what the Rust methods do, for programs in any language.
//!
//! Bodies must be `application/json`, so a web page cannot reach it without a preflight, which is never granted.

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::BotOptions;
use super::engine::Telegram;
use super::faults::Fault;
use super::model::{Place, Standing};
use super::post::{ActionError, Group, Post};
use crate::common::control::{self, Controlled, answer};

pub(super) fn router() -> Router<Telegram> {
    control::routes()
        .route("/bots", post(add_bot))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
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

/// What can be switched beside the faults of calls.
#[derive(Deserialize)]
pub(crate) struct Switches {
    hold_polls: Option<bool>,
    duplicate_updates: Option<u32>,
    reorder_updates: Option<u32>,
    flood_control: Option<bool>,
}

impl Controlled for Telegram {
    type Fault = Fault;
    type Switches = Switches;

    fn add_fault(&self, method: Option<&str>, count: u32, fault: Fault) {
        self.with(|state| state.faults.rules.add(method, count, fault));
    }
    fn switch(&self, switches: Switches) {
        self.with(|state| {
            let faults = &mut state.faults;
            faults.hold_polls = switches.hold_polls.unwrap_or(faults.hold_polls);
            faults.duplicate = switches.duplicate_updates.unwrap_or(faults.duplicate);
            faults.reorder = switches.reorder_updates.unwrap_or(faults.reorder);
            state.flood.on = switches.flood_control.unwrap_or(state.flood.on);
        });
    }
    fn clear_faults(&self) {
        self.faults().clear();
    }
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
