//! The control API: what the Rust methods do, for programs in any language. Ids are strings, and numbers are taken too.

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Discord;
use super::faults::Fault;
use super::model::{ActionError, Id, de_id, de_maybe_id};
use super::post::{Ask, NewBot, NewGuild, Post};
use super::sessions::Mute;
use crate::common::control::{Controlled, answer, routes};

pub(super) fn router() -> Router<Discord> {
    Router::new()
        .route("/bots", post(add_bot))
        .route("/users", post(add_user))
        .route("/guilds", post(add_guild))
        .route("/channels", post(add_channel))
        .route("/actions", post(act))
        .route("/connections", get(connections))
        .route("/interactions/{id}", get(interaction))
        .route("/channels/{id}/history", get(history))
        .route("/bots/{id}/sent", get(sent))
        .route("/typing", get(typing))
        .route("/deliveries", get(deliveries))
        .merge(routes())
}

/// Switches beside the faults.
#[derive(Debug, Deserialize)]
pub(crate) struct Switches {
    duplicate_dispatches: Option<u32>,
    reorder_dispatches: Option<u32>,
    wrong_signatures: Option<u32>,
    mute_new: Option<Mute>,
    rate_limits: Option<bool>,
    /// `heartbeat_interval` of connections from now on.
    heartbeat_ms: Option<u64>,
}

impl Controlled for Discord {
    type Fault = Fault;
    type Switches = Switches;

    fn add_fault(&self, method: Option<&str>, count: u32, fault: Fault) {
        self.with(|state| state.faults.add(method, count, fault));
    }

    fn switch(&self, new: Switches) {
        self.with(|state| {
            state.duplicate = new.duplicate_dispatches.unwrap_or(state.duplicate);
            state.reorder = new.reorder_dispatches.unwrap_or(state.reorder);
            state.wrong_signatures = new.wrong_signatures.unwrap_or(state.wrong_signatures);
            state.mute_new = new.mute_new.unwrap_or(state.mute_new);
            state.limits.on = new.rate_limits.unwrap_or(state.limits.on);
            let beat = new.heartbeat_ms.map(std::time::Duration::from_millis);
            state.config.heartbeat = beat.unwrap_or(state.config.heartbeat);
        });
    }

    fn clear_faults(&self) {
        self.faults().clear();
    }
}

/// Something that people or the platform do, as the control API takes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// [`Discord::direct`].
    Direct {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// The person.
        #[serde(deserialize_with = "de_id")]
        user: u64,
    },
    /// [`Discord::post`].
    Post {
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// Who writes.
        #[serde(deserialize_with = "de_id")]
        user: u64,
        /// What.
        post: Post,
    },
    /// [`Discord::edit`].
    Edit {
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// The message.
        #[serde(deserialize_with = "de_id")]
        message: u64,
        /// The new text.
        text: String,
    },
    /// [`Discord::delete`].
    Delete {
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// The message.
        #[serde(deserialize_with = "de_id")]
        message: u64,
    },
    /// [`Discord::react`].
    React {
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// The message.
        #[serde(deserialize_with = "de_id")]
        message: u64,
        /// Who reacts.
        #[serde(deserialize_with = "de_id")]
        user: u64,
        /// The emoji.
        emoji: String,
        /// `false` takes it away.
        #[serde(default = "yes")]
        on: bool,
    },
    /// [`Discord::typing`].
    Typing {
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// Who types.
        #[serde(deserialize_with = "de_id")]
        user: u64,
    },
    /// [`Discord::thread`].
    Thread {
        /// The channel.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// Who opens it.
        #[serde(deserialize_with = "de_id")]
        user: u64,
        /// The message it starts from.
        #[serde(default, deserialize_with = "de_maybe_id")]
        message: Option<u64>,
        /// Its name.
        name: String,
    },
    /// [`Discord::archive`].
    Archive {
        /// The thread.
        #[serde(deserialize_with = "de_id")]
        thread: u64,
    },
    /// [`Discord::pin`].
    Pin {
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// The message.
        #[serde(deserialize_with = "de_id")]
        message: u64,
    },
    /// [`Discord::ask`].
    Ask {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// Who asks.
        #[serde(deserialize_with = "de_id")]
        user: u64,
        /// What.
        #[serde(flatten)]
        ask: Ask,
    },
    /// [`Discord::deny`].
    Deny {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// Where.
        #[serde(deserialize_with = "de_id")]
        channel: u64,
        /// Bits of permissions that are taken away.
        permissions: u64,
    },
    /// [`Discord::close_directs`].
    CloseDirects {
        /// The person.
        #[serde(deserialize_with = "de_id")]
        user: u64,
    },
    /// [`Discord::join`] and [`Discord::leave`].
    Member {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// The guild.
        #[serde(deserialize_with = "de_id")]
        guild: u64,
        /// Whether it is inside.
        inside: bool,
    },
    /// [`Discord::endpoint`].
    Endpoint {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// The address; absent: none.
        url: Option<String>,
    },
    /// [`Discord::events`].
    Events {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// The address; absent: none.
        url: Option<String>,
    },
    /// [`Discord::webhook_event`].
    WebhookEvent {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// Its `type`.
        event: String,
        /// Its `data`.
        data: Value,
    },
    /// [`Discord::outage`].
    Outage {
        /// The guild.
        #[serde(deserialize_with = "de_id")]
        guild: u64,
        /// Whether it is over.
        #[serde(default)]
        over: bool,
    },
    /// [`Discord::revoke_token`].
    Revoke {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
    },
    /// [`Discord::privileged`].
    Privileged {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// Bits of the privileged intents that are on.
        intents: u64,
    },
    /// [`Discord::reconnect`].
    Reconnect {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
    },
    /// [`Discord::ask_for_heartbeat`].
    Heartbeat {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
    },
    /// [`Discord::invalidate`].
    Invalidate {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// Whether the session may be resumed.
        resumable: bool,
    },
    /// [`Discord::close`].
    Close {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// The close code.
        code: u16,
    },
    /// [`Discord::cut`].
    Cut {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
    },
    /// [`Discord::mute`].
    Mute {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// How.
        mute: Mute,
    },
    /// [`Discord::drain`].
    Drain,
    /// [`Discord::inject`].
    Inject {
        /// The bot.
        #[serde(deserialize_with = "de_id")]
        bot: u64,
        /// The guild whose shard hears of it.
        #[serde(default, deserialize_with = "de_maybe_id")]
        guild: Option<u64>,
        /// `t`.
        event: String,
        /// `d`.
        data: Value,
    },
}

const fn yes() -> bool {
    true
}

impl Discord {
    /// Does what an [`Action`] says; the answer holds the ids of what it made.
    ///
    /// # Errors
    /// Those of the method behind the action.
    pub fn act(&self, action: Action) -> Result<Value, ActionError> {
        let made = |name: &str, id: Id| json!({ name: id.to_string() });
        let done = |()| json!({});
        match action {
            Action::Direct { bot, user } => self.direct(bot, user).map(|id| made("channel", id)),
            Action::Post {
                channel,
                user,
                post,
            } => self.post(channel, user, post).map(|id| made("message", id)),
            Action::Edit {
                channel,
                message,
                text,
            } => self.edit(channel, message, &text).map(done),
            Action::Delete { channel, message } => self.delete(channel, message).map(done),
            Action::React {
                channel,
                message,
                user,
                emoji,
                on,
            } => self
                .with(|state| state.react((channel, message), user, &emoji, on))
                .map(done),
            Action::Typing { channel, user } => self.typing(channel, user).map(done),
            Action::Thread {
                channel,
                user,
                message,
                name,
            } => self
                .thread(channel, user, message, &name)
                .map(|id| made("thread", id)),
            Action::Archive { thread } => self.archive(thread).map(done),
            Action::Pin { channel, message } => self.pin(channel, message).map(done),
            Action::Ask {
                bot,
                channel,
                user,
                ask,
            } => self
                .ask(bot, channel, user, ask)
                .map(|id| made("interaction", id)),
            Action::Deny {
                bot,
                channel,
                permissions,
            } => self.deny(bot, channel, permissions).map(done),
            Action::CloseDirects { user } => self.close_directs(user).map(done),
            Action::Member {
                bot,
                guild,
                inside: true,
            } => self.join(bot, guild).map(done),
            Action::Member {
                bot,
                guild,
                inside: false,
            } => self.leave(bot, guild).map(done),
            Action::Endpoint { bot, url } => self.endpoint(bot, url.as_deref()).map(done),
            Action::Events { bot, url } => self.events(bot, url.as_deref()).map(done),
            Action::WebhookEvent { bot, event, data } => {
                self.webhook_event(bot, &event, &data).map(done)
            }
            Action::Outage { guild, over } => self.outage(guild, over).map(done),
            Action::Revoke { bot } => self.revoke_token(bot).map(done),
            Action::Privileged { bot, intents } => self.privileged(bot, intents).map(done),
            Action::Reconnect { bot } => Ok(json!({ "connections": self.reconnect(bot) })),
            Action::Heartbeat { bot } => Ok(json!({ "connections": self.ask_for_heartbeat(bot) })),
            Action::Invalidate { bot, resumable } => {
                Ok(json!({ "connections": self.invalidate(bot, resumable) }))
            }
            Action::Close { bot, code } => Ok(json!({ "connections": self.close(bot, code) })),
            Action::Cut { bot } => Ok(json!({ "connections": self.cut(bot) })),
            Action::Mute { bot, mute } => Ok(json!({ "connections": self.mute(bot, mute) })),
            Action::Drain => Ok(json!({ "connections": self.drain() })),
            Action::Inject {
                bot,
                guild,
                event,
                data,
            } => {
                self.inject(bot, guild, &event, &data);
                Ok(json!({}))
            }
        }
    }
}

async fn add_bot(Shared(discord): Shared<Discord>, Json(bot): Json<NewBot>) -> Response {
    answer(
        discord
            .add_bot(&bot)
            .map(|id| json!({ "bot": id.to_string() })),
    )
}

#[derive(Deserialize)]
struct NewUser {
    #[serde(default, deserialize_with = "de_maybe_id")]
    id: Option<Id>,
    name: String,
}

async fn add_user(Shared(discord): Shared<Discord>, Json(user): Json<NewUser>) -> Response {
    let id = discord.user_with_id(user.id, &user.name);
    Json(json!({ "user": id.to_string() })).into_response()
}

async fn add_guild(Shared(discord): Shared<Discord>, Json(guild): Json<NewGuild>) -> Response {
    answer(discord.guild(&guild).map(
        |(guild, channel)| json!({ "guild": guild.to_string(), "channel": channel.to_string() }),
    ))
}

#[derive(Deserialize)]
struct NewChannel {
    #[serde(deserialize_with = "de_id")]
    guild: Id,
    name: String,
    #[serde(default)]
    kind: u64,
}

async fn add_channel(Shared(discord): Shared<Discord>, Json(new): Json<NewChannel>) -> Response {
    let made = discord.channel(new.guild, &new.name, new.kind);
    answer(made.map(|id| json!({ "channel": id.to_string() })))
}

async fn act(Shared(discord): Shared<Discord>, Json(action): Json<Action>) -> Response {
    answer(discord.act(action))
}

#[derive(Deserialize)]
struct Which {
    #[serde(default, deserialize_with = "de_maybe_id")]
    bot: Option<Id>,
}

async fn connections(Shared(discord): Shared<Discord>, Query(which): Query<Which>) -> Response {
    let mut connections = discord.connections();
    connections.retain(|connection| which.bot.is_none() || connection.bot == which.bot);
    Json(connections).into_response()
}

async fn interaction(Shared(discord): Shared<Discord>, Path(id): Path<Id>) -> Response {
    Json(discord.interaction(id)).into_response()
}

async fn history(Shared(discord): Shared<Discord>, Path(channel): Path<Id>) -> Response {
    Json(discord.history(channel)).into_response()
}

async fn sent(Shared(discord): Shared<Discord>, Path(bot): Path<Id>) -> Response {
    Json(discord.sent(bot)).into_response()
}

async fn typing(Shared(discord): Shared<Discord>) -> Response {
    Json(discord.typings()).into_response()
}

async fn deliveries(Shared(discord): Shared<Discord>) -> Response {
    Json(discord.deliveries()).into_response()
}
