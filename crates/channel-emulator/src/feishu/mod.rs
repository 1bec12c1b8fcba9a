//! Feishu and Lark: the open platform's messages, cards, long connection and webhooks.
//! <https://open.feishu.cn/document/server-docs/im-v1/introduction>

mod answer;
mod check;
mod config;
mod control;
mod crypto;
mod deliver;
mod engine;
mod faults;
mod http;
mod ledger;
mod look;
mod methods;
mod model;
mod people;
mod route;
mod socket;
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::Router;
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use url::Url;

pub use config::FeishuConfig;
pub use control::Action;
pub use engine::Feishu;
pub use faults::Fault;
pub use ledger::Call;
pub use look::Faults;
pub use model::{ActionError, Author, CardView, Delivery, MessageView, NewApp, Press, Reaction};
pub use people::Post;

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;

use crate::server::Server;
use model::{App, Chat, Hidden, User};

/// An emulated Feishu behind a port of its own; dropping it closes the port.
#[derive(Debug)]
pub struct FeishuServer {
    feishu: Feishu,
    server: Server,
}

impl FeishuServer {
    /// What stands for `https://open.feishu.cn`, without a trailing slash. The control API is at `/_control/feishu/`.
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
    pub const fn feishu(&self) -> &Feishu {
        &self.feishu
    }
}

impl Deref for FeishuServer {
    type Target = Feishu;

    fn deref(&self) -> &Feishu {
        &self.feishu
    }
}

impl Feishu {
    /// Makes an empty platform and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the port.
    pub async fn start(config: FeishuConfig) -> io::Result<FeishuServer> {
        let feishu = Self::new(config);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(address, feishu.router()).await?;
        Ok(FeishuServer { feishu, server })
    }

    /// The open platform and the control API, for merging into a program that listens itself.
    pub fn router(&self) -> Router {
        self.deliver();
        Router::new()
            .nest("/_control/feishu", control::router())
            .route("/callback/ws/endpoint", post(socket::endpoint))
            .route("/ws/v2", get(socket::connect))
            .route("/open-apis/{*path}", any(http::api))
            .with_state(self.clone())
    }

    /// Adds an app; gives the `open_id` of its bot.
    ///
    /// # Errors
    /// When the id is taken or an address cannot be one.
    pub fn add_app(&self, new: &NewApp) -> Result<String, ActionError> {
        let events = address(new.events_url.as_deref())?;
        let callbacks = address(new.callbacks_url.as_deref())?;
        let open_id = self.with(|state| {
            if state.apps.contains_key(&new.app_id) {
                return Err(ActionError::Invalid("the app id is taken"));
            }
            let open_id = format!("ou_{}", state.hex());
            let app = App {
                id: new.app_id.clone(),
                secret: Hidden(new.secret.clone()),
                name: new.name.clone(),
                open_id: open_id.clone(),
                verification_token: Hidden(new.verification_token.clone()),
                encrypt_key: new.encrypt_key.clone().map(Hidden),
                events,
                callbacks,
                v1_events: new.v1_events,
                disabled: false,
                tokens: Vec::new(),
                tickets: Vec::new(),
                connections: Vec::new(),
                queue: std::collections::VecDeque::new(),
            };
            state.apps.insert(new.app_id.clone(), app);
            Ok(open_id)
        })?;
        Ok(open_id)
    }

    /// Sets where events and callbacks are posted; none is the long connection.
    ///
    /// # Errors
    /// When the app is not known or an address cannot be one.
    pub fn set_webhook(
        &self,
        app: &str,
        events: Option<&str>,
        callbacks: Option<&str>,
    ) -> Result<(), ActionError> {
        let (events, callbacks) = (address(events)?, address(callbacks)?);
        self.with(|state| {
            let app = state.app(app)?;
            (app.events, app.callbacks) = (events, callbacks);
            Ok(())
        })
    }

    /// Takes an app off the platform, as before it is published or after it is switched off.
    ///
    /// # Errors
    /// When the app is not known.
    pub fn disable(&self, app: &str, disabled: bool) -> Result<(), ActionError> {
        self.with(|state| {
            let app = state.app(app)?;
            app.disabled = disabled;
            if disabled {
                app.tokens.clear();
                for connection in &app.connections {
                    connection.socket.cut();
                }
            }
            Ok(())
        })
    }

    /// Lets all tokens of an app end now: calls with them are answered 99991663.
    ///
    /// # Errors
    /// When the app is not known.
    pub fn revoke_tokens(&self, app: &str) -> Result<(), ActionError> {
        self.with(|state| {
            state.app(app)?.tokens.clear();
            Ok(())
        })
    }

    /// Posts the question that the console asks when an address is set; gives status and answer.
    ///
    /// # Errors
    /// When the app or its address is not known.
    pub async fn verify_url(
        &self,
        app: &str,
        challenge: &str,
    ) -> Result<(Option<i64>, Value), ActionError> {
        let (url, headers, body) = self.with(|state| {
            let iv = std::array::from_fn(|_| state.random().to_le_bytes()[0]);
            let nonce = state.hex();
            let now = state.now_ms.div_euclid(1000).to_string();
            let app = state.app(app)?;
            let url = app
                .events
                .clone()
                .ok_or(ActionError::Invalid("no address is set"))?;
            let body = json!({
                "challenge": challenge,
                "token": app.verification_token.0,
                "type": "url_verification",
            });
            let key = app.encrypt_key.clone();
            Ok::<_, ActionError>((url, (key, iv, now, nonce), body))
        })?;
        let (key, iv, now, nonce) = headers;
        let (headers, body) = deliver::sealed(self, key.as_ref(), iv, &now, &nonce, &body);
        let (status, answer) = deliver::post(self, &url, headers, body).await;
        Ok((status.ok(), answer))
    }

    /// Adds a person; gives the `union_id`. An app sees an `open_id` of its own: [`Feishu::open_id`].
    #[expect(clippy::must_use_candidate, reason = "adding the person is the point")]
    pub fn user(&self, name: &str) -> String {
        self.with(|state| {
            let id = format!("on_{}", state.hex());
            let user = User {
                name: name.to_owned(),
            };
            state.users.insert(id.clone(), user);
            id
        })
    }

    /// How an app calls a person.
    #[must_use]
    pub fn open_id(&self, app: &str, user: &str) -> String {
        state::State::open_id(app, user)
    }

    /// Adds a group with these people, and the bots of these apps, without telling anybody; gives the `chat_id`.
    ///
    /// # Errors
    /// When a person or an app is not known.
    pub fn group(
        &self,
        name: &str,
        apps: &[&str],
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.gather("group", name, apps, members)
    }

    /// Adds a group in which every message opens a topic; gives the `chat_id`.
    ///
    /// # Errors
    /// As [`Feishu::group`].
    pub fn topic_group(
        &self,
        name: &str,
        apps: &[&str],
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.gather("topic", name, apps, members)
    }

    fn gather(
        &self,
        kind: &'static str,
        name: &str,
        apps: &[&str],
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.with(|state| {
            if !members.iter().all(|user| state.users.contains_key(*user)) {
                return Err(ActionError::UnknownUser);
            }
            if !apps.iter().all(|app| state.apps.contains_key(*app)) {
                return Err(ActionError::UnknownApp);
            }
            let id = format!("oc_{}", state.hex());
            let chat = Chat {
                kind,
                name: name.to_owned(),
                members: members.iter().map(|user| (*user).to_owned()).collect(),
                bots: apps.iter().map(|app| (*app).to_owned()).collect(),
            };
            state.chats.insert(id.clone(), chat);
            Ok(id)
        })
    }
}

fn address(url: Option<&str>) -> Result<Option<Url>, ActionError> {
    url.map(Url::parse)
        .transpose()
        .map_err(|_| ActionError::Invalid("not an address"))
}
