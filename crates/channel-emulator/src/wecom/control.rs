//! The control API: what the Rust methods do, for programs in any language.
//!
//! Bodies must be `application/json`, so a web page cannot reach it without a preflight, which is never granted.

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Wecom;
use super::faults::Fault;
use super::model::{ActionError, NewBot};
use super::post::Post;
use crate::common::control::{self, Controlled, answer};

pub(super) fn router() -> Router<Wecom> {
    control::routes()
        .route("/bots", post(add_bot))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/actions", post(act))
        .route("/deliveries", get(deliveries))
        .route("/media/{id}", get(media))
        .route("/bots/{bot}/check", post(check))
        .route("/bots/{bot}/connected", get(connected))
        .route("/bots/{bot}/sent", get(sent))
        .route("/bots/{bot}/events", get(events))
        .route("/bots/{bot}/history/{chat}", get(history))
}

/// Something that happens on the platform, as the control API takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Wecom::post`]; without `chat` to the bot alone.
    Post {
        /// The bot.
        bot: String,
        /// The group.
        chat: Option<String>,
        /// Who writes.
        user: String,
        /// What.
        post: Box<Post>,
    },
    /// [`Wecom::open`].
    Open {
        /// The bot.
        bot: String,
        /// The person.
        user: String,
    },
    /// [`Wecom::press`].
    Press {
        /// The bot.
        bot: String,
        /// The group.
        chat: Option<String>,
        /// Who presses.
        user: String,
        /// The message of the bot.
        message: String,
        /// The key of the button.
        key: String,
        /// Questions with their options.
        #[serde(default)]
        chosen: Vec<(String, Vec<String>)>,
    },
    /// [`Wecom::event`].
    Event {
        /// The bot.
        bot: String,
        /// The group.
        chat: Option<String>,
        /// The person.
        user: String,
        /// Its name.
        name: String,
        /// What else it has.
        #[serde(default)]
        fields: Value,
    },
    /// [`Wecom::set_callback`].
    Callback {
        /// The bot.
        bot: String,
        /// The address.
        url: String,
        /// The token.
        token: String,
        /// The EncodingAESKey.
        aes_key: String,
    },
    /// [`Wecom::expire_token`].
    ExpireToken {
        /// The app.
        bot: String,
    },
    /// [`Wecom::revoke_token`].
    RevokeToken {
        /// The app.
        bot: String,
    },
    /// [`Wecom::drop_link`].
    DropLink {
        /// The bot.
        bot: String,
    },
    /// [`Wecom::disconnect_link`].
    DisconnectLink {
        /// The bot.
        bot: String,
    },
}

impl Wecom {
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
            Action::Open { bot, user } => self.open(&bot, &user)?,
            Action::Press {
                bot,
                chat,
                user,
                message,
                key,
                chosen,
            } => {
                let chat = chat.as_deref().unwrap_or(&user);
                self.press(&bot, chat, &user, &message, &key, &chosen)?;
            }
            Action::Event {
                bot,
                chat,
                user,
                name,
                fields,
            } => {
                let chat = chat.as_deref().unwrap_or(&user);
                let id = self.event(&bot, chat, &user, &name, fields)?;
                return Ok(json!({"event": id}));
            }
            Action::Callback {
                bot,
                url,
                token,
                aes_key,
            } => self.set_callback(&bot, &url, &token, &aes_key)?,
            Action::ExpireToken { bot } => self.expire_token(&bot),
            Action::RevokeToken { bot } => self.revoke_token(&bot),
            Action::DropLink { bot } => self.drop_link(&bot),
            Action::DisconnectLink { bot } => self.disconnect_link(&bot),
        }
        Ok(json!({}))
    }
}

async fn add_bot(Shared(wecom): Shared<Wecom>, Json(bot): Json<NewBot>) -> Response {
    answer(wecom.add_bot(&bot).map(|id| json!({"bot": id})))
}

#[derive(Deserialize)]
struct NewUser {
    id: String,
    name: String,
}

async fn add_user(Shared(wecom): Shared<Wecom>, Json(user): Json<NewUser>) -> Response {
    wecom.user(&user.id, &user.name);
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct NewGroup {
    name: String,
    #[serde(default)]
    bots: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
}

async fn add_group(Shared(wecom): Shared<Wecom>, Json(new): Json<NewGroup>) -> Response {
    let texts = |list: &[String]| {
        list.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let (bots, members) = (texts(&new.bots), texts(&new.members));
    let bots: Vec<&str> = bots.lines().collect();
    let members: Vec<&str> = members.lines().collect();
    answer(
        wecom
            .group(&new.name, &bots, &members)
            .map(|id| json!({"chat": id})),
    )
}

async fn act(Shared(wecom): Shared<Wecom>, Json(action): Json<Action>) -> Response {
    answer(wecom.act(action))
}

async fn check(Shared(wecom): Shared<Wecom>, Path(bot): Path<String>) -> Response {
    answer(wecom.check(&bot).await.map(|right| json!({"right": right})))
}

/// What can be switched beside the faults of calls.
#[derive(Deserialize)]
pub(crate) struct Switches {
    duplicate_deliveries: Option<u32>,
    wrong_signatures: Option<u32>,
    stale_signatures: Option<u32>,
    noisy_frames: Option<u32>,
}

impl Controlled for Wecom {
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
            faults.stale = switches.stale_signatures.unwrap_or(faults.stale);
            faults.noise = switches.noisy_frames.unwrap_or(faults.noise);
        });
    }
    fn clear_faults(&self) {
        self.faults().clear();
    }
}

async fn deliveries(Shared(wecom): Shared<Wecom>) -> Response {
    Json(wecom.deliveries()).into_response()
}

async fn media(Shared(wecom): Shared<Wecom>, Path(id): Path<String>) -> Response {
    match wecom.media(&id) {
        Some((kind, name, bytes)) => {
            let bytes = STANDARD.encode(bytes);
            Json(json!({"type": kind, "name": name, "base64": bytes})).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn connected(Shared(wecom): Shared<Wecom>, Path(bot): Path<String>) -> Response {
    Json(json!({"connected": wecom.is_connected(&bot)})).into_response()
}

async fn sent(Shared(wecom): Shared<Wecom>, Path(bot): Path<String>) -> Response {
    Json(wecom.sent(&bot)).into_response()
}

async fn events(Shared(wecom): Shared<Wecom>, Path(bot): Path<String>) -> Response {
    Json(wecom.events(&bot)).into_response()
}

async fn history(
    Shared(wecom): Shared<Wecom>,
    Path((bot, chat)): Path<(String, String)>,
) -> Response {
    Json(wecom.history(&bot, &chat)).into_response()
}
