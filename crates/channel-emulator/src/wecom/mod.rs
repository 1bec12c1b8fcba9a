//! WeCom (企业微信): group bots, custom apps and AI bots. <https://developer.work.weixin.qq.com/document/path/90664>

mod answer;
mod callback;
mod card;
mod check;
mod cipher;
mod config;
mod control;
mod engine;
mod faults;
mod http;
mod ledger;
mod limits;
mod link;
mod look;
mod methods;
mod model;
mod passive;
mod people;
mod post;
mod press;
mod state;
mod tell;
mod xml;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::Router;
use axum::routing::{any, get};
use serde_json::Value;
use url::{Host, Url};

pub use config::WecomConfig;
pub use control::Action;
pub use engine::Wecom;
pub use faults::Fault;
pub use ledger::Call;
pub use look::Faults;
pub use model::{ActionError, Author, Delivery, MessageView, NewBot, Product, Via};
pub use post::{Post, PostKind};

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;

use crate::server::Server;
use cipher::Key;
use model::{Bot, Callback, Group, Hidden};

/// Where the long connection is; `wss://openws.work.weixin.qq.com` has nothing else and needs no path.
const LINK: &str = "/wecom/link";

/// An emulated WeCom behind a port of its own; dropping it closes it.
#[derive(Debug)]
pub struct WecomServer {
    wecom: Wecom,
    server: Server,
}

impl WecomServer {
    /// What stands for `https://qyapi.weixin.qq.com`, without a trailing slash. The control API is at
    /// `/_control/wecom/` here.
    #[must_use]
    pub fn api_base(&self) -> String {
        self.server.base_url()
    }

    /// What stands for `wss://openws.work.weixin.qq.com`.
    #[must_use]
    pub fn link_url(&self) -> String {
        format!("ws://{}{LINK}", self.server.address())
    }

    /// Closes the port and drops every connection; the state stays readable.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// The platform behind the port, to keep or to share.
    #[must_use]
    pub const fn wecom(&self) -> &Wecom {
        &self.wecom
    }
}

impl Deref for WecomServer {
    type Target = Wecom;

    fn deref(&self) -> &Wecom {
        &self.wecom
    }
}

impl Wecom {
    /// Makes an empty platform and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the port.
    pub async fn start(config: WecomConfig) -> io::Result<WecomServer> {
        let wecom = Self::new(config);
        wecom.deliver();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(address, wecom.router()).await?;
        if wecom.quietly(|state| state.base.is_empty()) {
            wecom.set_public_base(&server.base_url());
        }
        Ok(WecomServer { wecom, server })
    }

    /// `qyapi.weixin.qq.com`, the hosts of files and of the long connection, and the control API, for merging into a
    /// program that listens itself; it has to say what it is called: [`Wecom::set_public_base`].
    pub fn router(&self) -> Router {
        self.deliver();
        Router::new()
            .nest("/_control/wecom", control::router())
            .route("/cgi-bin/{*path}", any(http::api))
            .route("/media/{id}", get(http::media))
            .route(LINK, get(link::accept))
            .with_state(self.clone())
    }

    /// Adds a bot or app; gives its id.
    ///
    /// # Errors
    /// When the credentials are taken, or the callback's address or key cannot be one.
    pub fn add_bot(&self, new: &NewBot) -> Result<String, ActionError> {
        let callback = match &new.callback {
            Some((url, token, key)) => Some(callback(url, token, key)?),
            None => None,
        };
        self.with(|state| {
            let id = match new.product {
                Product::Group => state.id("bot"),
                Product::App => format!("{}-{}", new.corp, new.agent),
                Product::Ai | Product::Link => new.id.clone(),
            };
            let is_taken = state
                .bots
                .values()
                .any(|bot| bot.id == id || (!new.key.is_empty() && bot.key.0 == new.key));
            if id.is_empty() || is_taken {
                return Err(ActionError::Invalid("the id or key is taken, or missing"));
            }
            let bot = Bot {
                id: id.clone(),
                product: new.product,
                name: new.name.clone(),
                key: Hidden(new.key.clone()),
                corp: new.corp.clone(),
                agent: new.agent,
                secret: Hidden(new.secret.clone()),
                callback,
                token: None,
                old_tokens: VecDeque::new(),
                spoken: BTreeSet::new(),
                tasks: BTreeSet::new(),
                queue: VecDeque::new(),
                busy: false,
            };
            state.bots.insert(id.clone(), bot);
            Ok(id)
        })
    }

    /// Sets where the callbacks of a bot go, as the console does, without the URL check: that is [`Wecom::check`].
    ///
    /// # Errors
    /// When the bot is not known, or the address or key cannot be one.
    pub fn set_callback(
        &self,
        bot: &str,
        url: &str,
        token: &str,
        aes_key: &str,
    ) -> Result<(), ActionError> {
        let callback = callback(url, token, aes_key)?;
        self.with(|state| {
            let bot = state.bots.get_mut(bot).ok_or(ActionError::UnknownBot)?;
            bot.callback = Some(callback);
            Ok(())
        })
    }

    /// Adds a person with this userid.
    pub fn user(&self, id: &str, name: &str) {
        self.with(|state| state.users.insert(id.to_owned(), name.to_owned()));
    }

    /// Adds a group with these people and bots, without telling anybody; gives its chatid.
    ///
    /// # Errors
    /// When a person or bot is not known.
    pub fn group(
        &self,
        name: &str,
        bots: &[&str],
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.with(|state| {
            if !members.iter().all(|user| state.users.contains_key(*user)) {
                return Err(ActionError::UnknownUser);
            }
            if !bots.iter().all(|bot| state.bots.contains_key(*bot)) {
                return Err(ActionError::UnknownBot);
            }
            let id = state.id("wrK");
            let own = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
            let group = Group {
                name: name.to_owned(),
                members: own(members),
                bots: own(bots),
            };
            state.groups.insert(id.clone(), group);
            Ok(id)
        })
    }

    /// Lets a person write; gives the message id. `chat` is the person, or a group.
    ///
    /// # Errors
    /// When the bot, person or chat is unknown, or the product does not hear this.
    pub fn post(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        post: impl Into<Post>,
    ) -> Result<String, ActionError> {
        let post = post.into();
        let on_link = self.config().link_response_url;
        self.with(|state| {
            let with_url = on_link || state.bot(bot).is_some_and(|b| b.product == Product::Ai);
            state.post((bot, chat), user, &post, with_url)
        })
    }

    /// Lets a person write to the bot alone; gives the message id.
    ///
    /// # Errors
    /// As [`Wecom::post`].
    pub fn say(&self, bot: &str, user: &str, post: impl Into<Post>) -> Result<String, ActionError> {
        self.post(bot, user, user, post)
    }

    /// Lets a person open the chat with a bot: `enter_chat`, or `enter_agent` of an app.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn open(&self, bot: &str, user: &str) -> Result<(), ActionError> {
        let is_app = self.quietly(|state| {
            state
                .bot(bot)
                .is_some_and(|bot| bot.product == Product::App)
        });
        let name = if is_app { "enter_agent" } else { "enter_chat" };
        let fields = if is_app {
            serde_json::json!({"EventKey": ""})
        } else {
            Value::Null
        };
        self.event(bot, user, user, name, fields).map(drop)
    }

    /// Presses the button of a card that has this key, or of a group bot's markdown that has this name or value.
    /// `chosen` has questions with their options.
    ///
    /// # Errors
    /// When there is no such message or button.
    pub fn press(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        message: &str,
        key: &str,
        chosen: &[(String, Vec<String>)],
    ) -> Result<(), ActionError> {
        self.with(|state| state.press((bot, chat), user, message, key, chosen))
    }

    /// Sends an event of any kind. `fields` are those of its own: elements of an app's XML, or the object named as the
    /// event. Gives an id that deliveries have.
    ///
    /// # Errors
    /// When the bot, person or chat is unknown.
    pub fn event(
        &self,
        bot: &str,
        chat: &str,
        user: &str,
        name: &str,
        fields: Value,
    ) -> Result<String, ActionError> {
        self.with(|state| state.event((bot, chat), user, name, fields))
    }
}

/// A callback is HTTP or HTTPS with a host; the emulator reaches this machine only.
fn callback(url: &str, token: &str, aes_key: &str) -> Result<Callback, ActionError> {
    let invalid = ActionError::Invalid("a callback has an HTTP address and a key of 43 characters");
    let url = Url::parse(url).map_err(|_| invalid)?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let has_host = matches!(
        url.host(),
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_))
    );
    let key = Key::parse(aes_key).ok_or(invalid)?;
    if !is_web || !has_host || token.is_empty() {
        return Err(invalid);
    }
    Ok(Callback {
        url,
        token: Hidden(token.to_owned()),
        key,
    })
}
