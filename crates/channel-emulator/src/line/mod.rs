//! The LINE Messaging API. <https://developers.line.biz/en/reference/messaging-api/>

mod answer;
mod check;
mod config;
mod control;
mod engine;
mod faults;
mod http;
mod ledger;
mod look;
mod methods;
mod model;
mod people;
mod post;
mod route;
mod state;
mod webhook;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::Router;
use axum::routing::any;
use serde_json::Value;

pub use config::LineConfig;
pub use control::Action;
pub use engine::Line;
pub use faults::Fault;
pub use ledger::Call;
pub use look::Faults;
pub use model::{ActionError, Author, Delivery, Loading, MessageView, NewBot, Via};
pub use post::{Post, PostKind};

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;

use crate::server::Server;
use model::{Bot, Group, Hidden, User};

/// An emulated LINE behind two ports of its own; dropping it closes them.
#[derive(Debug)]
pub struct LineServer {
    line: Line,
    api: Server,
    data: Server,
}

impl LineServer {
    /// What stands for `https://api.line.me`, without a trailing slash. The control API is at `/_control/line/` here.
    #[must_use]
    pub fn api_base(&self) -> String {
        self.api.base_url()
    }

    /// What stands for `https://api-data.line.me`, without a trailing slash.
    #[must_use]
    pub fn data_api_base(&self) -> String {
        self.data.base_url()
    }

    /// Closes the ports and drops every connection; the state stays readable.
    pub fn stop(&self) {
        self.api.stop();
        self.data.stop();
    }

    /// The platform behind the ports, to keep or to share.
    #[must_use]
    pub const fn line(&self) -> &Line {
        &self.line
    }
}

impl Deref for LineServer {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl Line {
    /// Makes an empty platform and serves it on two free ports of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the ports.
    pub async fn start(config: LineConfig) -> io::Result<LineServer> {
        let line = Self::new(config);
        line.deliver();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let api = Server::start(address, line.router()).await?;
        let data = Server::start(address, line.data_router()).await?;
        Ok(LineServer { line, api, data })
    }

    /// `api.line.me` below `/v2/`, and the control API, for merging into a program that listens itself.
    pub fn router(&self) -> Router {
        self.deliver();
        Router::new()
            .nest("/_control/line", control::router())
            .route("/v2/{*path}", any(http::api))
            .with_state(self.clone())
    }

    /// `api-data.line.me`, for a port of its own: the two hosts have the same paths and do not serve each other's.
    pub fn data_router(&self) -> Router {
        Router::new()
            .route("/v2/{*path}", any(http::data))
            .with_state(self.clone())
    }

    /// Adds an official account; gives its user id.
    ///
    /// # Errors
    /// When the token is taken or the webhook address cannot be one.
    pub fn add_bot(&self, new: &NewBot) -> Result<String, ActionError> {
        let webhook = match &new.webhook {
            Some(url) => Some(address(url)?),
            None => None,
        };
        self.with(|state| {
            if state.bots.values().any(|bot| bot.token.0 == new.token) {
                return Err(ActionError::Invalid("the token is taken"));
            }
            let id = format!("U{}", state.hex());
            let bot = Bot {
                id: id.clone(),
                secret: Hidden(new.secret.clone()),
                token: Hidden(new.token.clone()),
                name: new.name.clone(),
                webhook,
                active: true,
                redelivery: new.redelivery,
                quota: new.quota,
                verified: new.verified,
                chat: new.chat,
                manual_read: new.manual_read,
                friends: BTreeSet::new(),
                blocked_by: BTreeSet::new(),
                usage: (0, 0),
                queue: VecDeque::new(),
                hold: None,
                busy: false,
            };
            state.bots.insert(id.clone(), bot);
            Ok(id)
        })
    }

    /// Withdraws an access token: every call with it is answered 401 from now on.
    pub fn revoke_token(&self, bot: &str) {
        self.with(|state| {
            let nonsense = state.hex();
            if let Some(bot) = state.bots.get_mut(bot) {
                bot.token = Hidden(nonsense);
            }
        });
    }

    /// Sets the webhook address, as the console does.
    ///
    /// # Errors
    /// When the account is not known or the address cannot be one.
    pub fn set_webhook(&self, bot: &str, url: &str) -> Result<(), ActionError> {
        let url = address(url)?;
        self.with(|state| {
            let bot = state.bots.get_mut(bot).ok_or(ActionError::UnknownBot)?;
            bot.webhook = Some(url);
            Ok(())
        })
    }

    /// Switches "Use webhook" on or off.
    pub fn use_webhook(&self, bot: &str, active: bool) {
        self.with(|state| {
            if let Some(bot) = state.bots.get_mut(bot) {
                bot.active = active;
            }
        });
    }

    /// Adds a person; gives the user id. Ids are of one provider, which all accounts here belong to.
    #[expect(clippy::must_use_candidate, reason = "adding the person is the point")]
    pub fn user(&self, name: &str) -> String {
        self.with(|state| {
            let id = format!("U{}", state.hex());
            let user = User {
                name: name.to_owned(),
                language: Some("en".to_owned()),
            };
            state.users.insert(id.clone(), user);
            id
        })
    }

    /// Adds a group chat with these people, and the account in it when one is given, without telling anybody.
    ///
    /// # Errors
    /// When a person or the account is not known.
    pub fn group(
        &self,
        name: &str,
        bot: Option<&str>,
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.gather('C', name, bot, members)
    }

    /// Adds a chat of several people without a name, as older clients make them.
    ///
    /// # Errors
    /// When a person or the account is not known.
    pub fn room(&self, bot: Option<&str>, members: &[&str]) -> Result<String, ActionError> {
        self.gather('R', "", bot, members)
    }

    fn gather(
        &self,
        kind: char,
        name: &str,
        bot: Option<&str>,
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.with(|state| {
            if !members.iter().all(|user| state.users.contains_key(*user)) {
                return Err(ActionError::UnknownUser);
            }
            if bot.is_some_and(|bot| !state.bots.contains_key(bot)) {
                return Err(ActionError::UnknownBot);
            }
            let id = format!("{kind}{}", state.hex());
            let group = Group {
                name: name.to_owned(),
                members: members.iter().map(|user| (*user).to_owned()).collect(),
                bot: bot.map(str::to_owned),
            };
            state.groups.insert(id.clone(), group);
            Ok(id)
        })
    }

    /// Lets a person write; gives the message id. `chat` is the person, or a group or room. Who never added the account
    /// becomes its friend quietly.
    ///
    /// # Errors
    /// When the account, person, chat or quoted message is unknown, or the person has blocked the account.
    pub fn post(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        post: impl Into<Post>,
    ) -> Result<String, ActionError> {
        let post = post.into();
        self.with(|state| state.post((bot, chat), user, &post))
    }

    /// Lets a person write to the account; gives the message id.
    ///
    /// # Errors
    /// As [`Line::post`].
    pub fn say(&self, bot: &str, user: &str, post: impl Into<Post>) -> Result<String, ActionError> {
        self.post(bot, user, user, post)
    }

    /// Lets a person take a message back.
    ///
    /// # Errors
    /// When the message is not that person's, or [`Line::post`] would fail.
    pub fn unsend(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        message: &str,
    ) -> Result<(), ActionError> {
        self.with(|state| state.unsend((bot, chat), user, message))
    }

    /// Presses the button of a bot's message that has this postback data, message text or label.
    ///
    /// # Errors
    /// When there is no such message or button, or [`Line::post`] would fail.
    pub fn press(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        message: &str,
        wanted: &str,
    ) -> Result<(), ActionError> {
        self.with(|state| state.press((bot, chat), user, message, wanted, None))
    }

    /// Chooses a time in a date picker; `params` is what the platform makes of it, such as `{"date":"2026-01-01"}`.
    ///
    /// # Errors
    /// As [`Line::press`].
    pub fn pick(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        message: &str,
        wanted: &str,
        params: Value,
    ) -> Result<(), ActionError> {
        self.with(|state| state.press((bot, chat), user, message, wanted, Some(params)))
    }

    /// Lets a person add the account as a friend, or unblock it.
    ///
    /// # Errors
    /// When the account or person is unknown.
    pub fn follow(&self, bot: &str, user: &str) -> Result<(), ActionError> {
        self.with(|state| state.follow(bot, user))
    }

    /// Lets a person block the account.
    ///
    /// # Errors
    /// When the account or person is unknown.
    pub fn unfollow(&self, bot: &str, user: &str) -> Result<(), ActionError> {
        self.with(|state| state.unfollow(bot, user))
    }

    /// Invites the account into a group or room.
    ///
    /// # Errors
    /// When one of them is unknown, or another account is inside.
    pub fn join(&self, bot: &str, chat: &str) -> Result<(), ActionError> {
        self.with(|state| state.set_joined(bot, chat, true))
    }

    /// Throws the account out of a group or room.
    ///
    /// # Errors
    /// When it is not inside.
    pub fn leave(&self, bot: &str, chat: &str) -> Result<(), ActionError> {
        self.with(|state| state.set_joined(bot, chat, false))
    }

    /// Lets a person enter (`true`) or leave a group or room.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn set_member(&self, chat: &str, user: &str, inside: bool) -> Result<(), ActionError> {
        self.with(|state| state.set_member(chat, user, inside))
    }

    /// Sends the events with dummy reply tokens that a console's "Verify" sent in the past.
    ///
    /// # Errors
    /// When the account is unknown.
    pub fn verify(&self, bot: &str) -> Result<(), ActionError> {
        self.with(|state| state.verify(bot))
    }

    /// Puts the account on standby in a chat, where another module answers: its events have no reply token.
    pub fn set_standby(&self, bot: &str, chat: &str, standby: bool) {
        self.with(|state| {
            state.standby.retain(|(b, c)| b != bot || c != chat);
            if standby {
                state.standby.push((bot.to_owned(), chat.to_owned()));
            }
        });
    }

    /// Sends an event of any kind from a chat, with the fields that all events have; gives the `webhookEventId`.
    #[expect(clippy::must_use_candidate, reason = "sending the event is the point")]
    pub fn event(
        &self,
        bot: &str,
        chat: &str,
        kind: &str,
        is_repliable: bool,
        fields: Value,
    ) -> String {
        self.with(|state| state.emit((bot, chat), None, kind, is_repliable, fields))
    }

    /// Collects events from now on, until [`Line::release`] sends them in one body.
    pub fn hold(&self, bot: &str) {
        self.with(|state| {
            if let Some(bot) = state.bots.get_mut(bot) {
                bot.hold.get_or_insert_default();
            }
        });
    }

    /// Sends the collected events in one body; gives their number.
    #[expect(clippy::must_use_candidate, reason = "sending the events is the point")]
    pub fn release(&self, bot: &str) -> usize {
        self.with(|state| {
            let held = state.bots.get_mut(bot).and_then(|bot| bot.hold.take());
            let held = held.unwrap_or_default();
            let count = held.len();
            if count > 0 {
                state.send_off(bot, held);
            }
            count
        })
    }

    /// Lets the content of a message expire now: 410 from now on.
    pub fn expire_content(&self, message: &str) {
        self.with(|state| {
            if let Some(content) = state.contents.get_mut(message) {
                content.gone = true;
            }
        });
    }
}

fn address(url: &str) -> Result<url::Url, ActionError> {
    methods::address(url).ok_or(ActionError::Invalid(
        "a webhook address is HTTPS, or HTTP on this machine",
    ))
}
