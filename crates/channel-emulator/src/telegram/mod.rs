//! The Telegram Bot API. <https://core.telegram.org/bots/api>

mod answer;
mod config;
mod control;
mod engine;
mod faults;
mod files;
mod flood;
mod http;
mod ledger;
mod markup;
mod methods;
mod model;
mod params;
mod people;
mod post;
mod queue;
mod state;
mod view;
mod webhook;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;

use axum::Router;
use serde_json::Value;

pub use config::TelegramConfig;
pub use control::Action;
pub use engine::Telegram;
pub use faults::Fault;
pub use files::FileKind;
pub use flood::FloodLimits;
pub use ledger::Call;
pub use model::{Author, Place, Standing};
pub use post::{ActionError, Group, Post, PostFile};
pub use view::{Callback, ChatAction, Delivery, Draft, MessageView, View};

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;

use crate::common::shared::Platform as _;
use crate::server::Server;
use model::{Bot, Token, User, Wanted};
use queue::Queue;

/// An emulated Telegram behind a port of its own; dropping it closes the port.
#[derive(Debug)]
pub struct TelegramServer {
    telegram: Telegram,
    server: Server,
}

impl TelegramServer {
    /// The base address for clients, such as `http://127.0.0.1:40123`: methods are at `/bot<TOKEN>/<method>`
    /// below it, files at `/file/bot<TOKEN>/<path>`, the control API at `/_control/telegram/`.
    #[must_use]
    pub fn api_base(&self) -> String {
        self.server.base_url()
    }

    /// Closes the port and drops every connection; the state stays readable.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// The platform behind the port, to keep or to share.
    #[must_use]
    pub const fn telegram(&self) -> &Telegram {
        &self.telegram
    }
}

impl Deref for TelegramServer {
    type Target = Telegram;

    fn deref(&self) -> &Telegram {
        &self.telegram
    }
}

/// What of a bot account can be chosen when it is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BotOptions {
    /// In groups it sees only what is meant for it, unless it is an administrator.
    pub privacy: bool,
    /// Its private chats have topics.
    pub topics: bool,
}

impl Default for BotOptions {
    fn default() -> Self {
        Self {
            privacy: true,
            topics: false,
        }
    }
}

impl BotOptions {
    /// Lets the bot read everything in groups.
    #[must_use]
    pub const fn reads_all(mut self) -> Self {
        self.privacy = false;
        self
    }

    /// Gives its private chats topics.
    #[must_use]
    pub const fn topics(mut self) -> Self {
        self.topics = true;
        self
    }
}

impl Telegram {
    /// Makes an empty platform and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the port.
    pub async fn start(config: TelegramConfig) -> io::Result<TelegramServer> {
        Self::start_at(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Like [`Telegram::start`], on an address of choice.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn start_at(
        config: TelegramConfig,
        address: SocketAddr,
    ) -> io::Result<TelegramServer> {
        let telegram = Self::new(config);
        let server = Server::start(address, telegram.router()).await?;
        Ok(TelegramServer { telegram, server })
    }

    /// The Bot API and the control API, for mounting into a program that listens itself.
    pub fn router(&self) -> Router {
        Router::new()
            .nest("/_control/telegram", control::router())
            .fallback(http::serve)
            .with_state(self.clone())
    }

    /// Adds a bot with privacy mode on, as BotFather makes them.
    ///
    /// # Errors
    /// When the token does not begin with a positive number and a colon.
    pub fn add_bot(&self, token: &str, username: &str) -> Result<i64, ActionError> {
        self.add_bot_with(token, username, &BotOptions::default())
    }

    /// Adds a bot; its id is the number the token begins with.
    ///
    /// # Errors
    /// When the token does not begin with a positive number and a colon.
    pub fn add_bot_with(
        &self,
        token: &str,
        username: &str,
        options: &BotOptions,
    ) -> Result<i64, ActionError> {
        let id = token
            .split_once(':')
            .and_then(|(id, _)| id.parse::<i64>().ok())
            .filter(|id| *id > 0);
        let id = id.ok_or(ActionError::Invalid(
            "a bot token begins with a number and a colon",
        ))?;
        self.with(|state| {
            let first_update = state.random_id();
            let bot = Bot {
                id,
                token: Token(token.to_owned()),
                username: username.to_owned(),
                privacy: options.privacy,
                topics: options.topics,
                revoked: false,
                logged_out_until: 0,
                since: state.now(),
                wanted: Wanted::Default,
                queue: Queue::new(first_update),
                webhook: None,
                commands: std::collections::BTreeMap::new(),
            };
            state.bots.insert(id, bot);
        });
        Ok(id)
    }

    /// Withdraws a bot's token: every call is answered 401 from now on.
    pub fn revoke_token(&self, bot: i64) {
        self.with(|state| {
            if let Some(bot) = state.bots.get_mut(&bot) {
                bot.revoked = true;
            }
        });
    }

    /// Adds a person; the username is made from the name. Gives back the id.
    #[expect(clippy::must_use_candidate, reason = "adding the person is the point")]
    pub fn user(&self, id: i64, first_name: &str) -> i64 {
        let username = format!(
            "{}_t",
            first_name
                .to_lowercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        );
        self.user_named(id, first_name, Some(&username))
    }

    /// Adds a person with or without a username. Gives back the id.
    pub fn user_named(&self, id: i64, first_name: &str, username: Option<&str>) -> i64 {
        let user = User {
            id,
            first_name: first_name.to_owned(),
            username: username.map(str::to_owned),
            language: Some("en".to_owned()),
            deactivated: false,
        };
        self.with(|state| state.users.insert(id, user));
        id
    }

    /// Adds a group, supergroup or channel as it is, without telling the bots in it.
    ///
    /// # Errors
    /// When the id is not negative.
    pub fn group(&self, group: &Group) -> Result<i64, ActionError> {
        self.with(|state| state.add_group(group)).map(|()| group.id)
    }

    /// Lets a person write; gives the message id. The first message to a bot starts the private chat.
    ///
    /// # Errors
    /// When the person, chat, topic or answered message is unknown, or the person has blocked the bot.
    pub fn post(&self, place: Place, user: i64, post: impl Into<Post>) -> Result<i64, ActionError> {
        let post = post.into();
        self.with(|state| state.post(place, user, post))
    }

    /// Lets a person write to a bot; gives the message id.
    ///
    /// # Errors
    /// As [`Telegram::post`].
    pub fn private_text(&self, bot: i64, user: i64, text: &str) -> Result<i64, ActionError> {
        self.post(Place::Private { bot, user }, user, text)
    }

    /// Lets a person write in a group; mentions and commands are marked by the platform.
    ///
    /// # Errors
    /// As [`Telegram::post`].
    pub fn group_text(&self, chat: i64, user: i64, text: &str) -> Result<i64, ActionError> {
        self.post(Place::Shared(chat), user, text)
    }

    /// Lets a person send several files as an album.
    ///
    /// # Errors
    /// As [`Telegram::post`].
    pub fn album(
        &self,
        place: Place,
        user: i64,
        posts: Vec<Post>,
    ) -> Result<Vec<i64>, ActionError> {
        self.with(|state| state.album(place, user, posts))
    }

    /// Changes the text or caption of a person's message.
    ///
    /// # Errors
    /// When there is no such message of a person.
    pub fn edit(&self, place: Place, message_id: i64, text: &str) -> Result<(), ActionError> {
        self.with(|state| state.edit(place, message_id, text))
    }

    /// Deletes any message by hand; bots are not told, as on the platform.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn delete(&self, place: Place, message_id: i64) -> Result<(), ActionError> {
        self.with(|state| state.remove(place, message_id))
    }

    /// Presses the button with this `callback_data` under a bot's message; gives the id of the query.
    ///
    /// # Errors
    /// When there is no such message or button.
    pub fn press(
        &self,
        place: Place,
        message_id: i64,
        user: i64,
        data: &str,
    ) -> Result<String, ActionError> {
        self.with(|state| state.press(place, message_id, user, data))
    }

    /// Sets all reactions of a person to a message. Bots hear of it when they asked for it and, in groups, are
    /// administrators.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn react(
        &self,
        place: Place,
        message_id: i64,
        user: i64,
        emoji: &[&str],
    ) -> Result<(), ActionError> {
        let emoji: Vec<String> = emoji.iter().map(|emoji| (*emoji).to_owned()).collect();
        self.with(|state| state.react(place, message_id, user, &emoji))
    }

    /// Changes a bot's standing in a chat, by the hand of `by`: [`Standing::Kicked`] in a private chat blocks the
    /// bot and [`Standing::Member`] unblocks it; in groups it is added, promoted or thrown out.
    ///
    /// # Errors
    /// When the bot, the person or the chat is unknown.
    pub fn stand(
        &self,
        place: Place,
        bot: i64,
        by: i64,
        standing: Standing,
    ) -> Result<(), ActionError> {
        self.with(|state| state.stand(place, bot, by, standing))
    }

    /// Blocks a bot.
    ///
    /// # Errors
    /// When the bot or the person is unknown.
    pub fn block(&self, bot: i64, user: i64) -> Result<(), ActionError> {
        self.stand(Place::Private { bot, user }, bot, user, Standing::Kicked)
    }

    /// Unblocks a bot.
    ///
    /// # Errors
    /// When the bot or the person is unknown.
    pub fn unblock(&self, bot: i64, user: i64) -> Result<(), ActionError> {
        self.stand(Place::Private { bot, user }, bot, user, Standing::Member)
    }

    /// Deletes a person's account.
    pub fn deactivate(&self, user: i64) {
        self.with(|state| {
            if let Some(user) = state.users.get_mut(&user) {
                user.deactivated = true;
            }
        });
    }

    /// Opens a topic in a forum; gives its `message_thread_id`.
    ///
    /// # Errors
    /// When the chat has no topics.
    pub fn topic(&self, chat: i64, user: i64, name: &str) -> Result<i64, ActionError> {
        self.with(|state| state.open_topic(Place::Shared(chat), Author::User(user), name))
    }

    /// Makes a supergroup of a group; gives the new id.
    ///
    /// # Errors
    /// When there is no such basic group.
    pub fn migrate_to_supergroup(&self, chat: i64, by: i64) -> Result<i64, ActionError> {
        self.with(|state| state.migrate(chat, by))
    }

    /// Queues an update as it is, of whatever kind; gives its `update_id`.
    ///
    /// # Errors
    /// When the bot is unknown or does not want this kind, or `update` has no field besides `update_id`.
    pub fn inject(&self, bot: i64, update: Value) -> Result<i64, ActionError> {
        self.with(|state| state.inject(bot, model::fields(update)))
    }

    /// Looks at the platform, which is locked meanwhile: `look` reads from the view only.
    pub fn look<R>(&self, look: impl FnOnce(View<'_>) -> R) -> R {
        self.quietly(|state| look(View::new(state)))
    }

    /// Looks at the platform after each change until `look` finds something. The platform is locked meanwhile:
    /// `look` reads from the view only.
    ///
    /// # Errors
    /// When it finds nothing within `patience`.
    pub async fn wait_for<R>(
        &self,
        patience: Duration,
        mut look: impl FnMut(View<'_>) -> Option<R>,
    ) -> Result<R, WaitError> {
        self.shared()
            .wait_for(patience, || self.look(&mut look))
            .await
    }

    /// Everything a bot has sent.
    #[must_use]
    pub fn sent(&self, bot: i64) -> Vec<MessageView> {
        self.look(|view| view.sent(bot))
    }

    /// The updates a bot has not confirmed.
    #[must_use]
    pub fn updates_pending(&self, bot: i64) -> Vec<Value> {
        self.look(|view| view.pending(bot))
    }

    /// The ledger: every call, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.look(|view| view.calls().cloned().collect())
    }

    /// The switches for faults.
    #[must_use]
    pub const fn faults(&self) -> Faults<'_> {
        Faults(self)
    }
}

/// Makes things go wrong; see [`Fault`].
#[derive(Debug, Clone, Copy)]
pub struct Faults<'a>(&'a Telegram);

impl Faults<'_> {
    /// The next `count` calls of `method` meet this fault.
    pub fn next(&self, method: &str, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(Some(method), count, fault));
    }

    /// The next `count` calls of any method meet this fault.
    pub fn next_any(&self, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(None, count, fault));
    }

    /// While set, long polls are never answered, and those that were caught stay silent for ever: the connection
    /// is half-open.
    pub fn hold_polls(&self, hold: bool) {
        self.0.with(|state| state.faults.hold_polls = hold);
    }

    /// The next `count` updates are delivered twice.
    pub fn duplicate_updates(&self, count: u32) {
        self.0.with(|state| state.faults.duplicate = count);
    }

    /// The next `count` batches of several updates are delivered in reverse order.
    pub fn reorder_updates(&self, count: u32) {
        self.0.with(|state| state.faults.reorder = count);
    }

    /// Switches flood control.
    pub fn flood_control(&self, on: bool) {
        self.0.with(|state| state.flood.on = on);
    }

    /// Takes all faults back; flood control stays as it is.
    pub fn clear(&self) {
        self.0.with(|state| state.faults = faults::Plan::default());
    }
}
