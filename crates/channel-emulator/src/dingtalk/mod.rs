//! `DingTalk`: stream mode and HTTP mode of a robot, its API, custom robots, cards and files.
//! <https://open.dingtalk.com/document/orgapp/robot-overview>

mod answer;
mod check;
mod config;
mod control;
mod crypto;
mod deliver;
mod engine;
mod faults;
mod gateway;
mod http;
mod ledger;
mod look;
mod methods;
mod model;
mod people;
mod route;
mod shape;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::Router;
use axum::routing::{any, get};
use url::Url;

pub use config::DingtalkConfig;
pub use control::Action;
pub use engine::Dingtalk;
pub use faults::Fault;
pub use ledger::Call;
pub use look::Faults;
pub use model::{
    ActionError, Author, CardView, Delivery, Emotion, MessageView, NewApp, NewRobot, Press, Via,
};
pub use people::{Post, Rich};

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;

use crate::server::Server;
use model::{App, Chat, Hidden, Robot, User};
use state::sender_id;

/// An emulated `DingTalk` behind a port of its own; dropping it closes the port.
#[derive(Debug)]
pub struct DingtalkServer {
    dingtalk: Dingtalk,
    server: Server,
}

impl DingtalkServer {
    /// What stands for `https://api.dingtalk.com` and for `https://oapi.dingtalk.com`, without a trailing slash. The
    /// control API is at `/_control/dingtalk/`.
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
    pub const fn dingtalk(&self) -> &Dingtalk {
        &self.dingtalk
    }
}

impl Deref for DingtalkServer {
    type Target = Dingtalk;

    fn deref(&self) -> &Dingtalk {
        &self.dingtalk
    }
}

impl Dingtalk {
    /// Makes an empty platform and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the port.
    pub async fn start(config: DingtalkConfig) -> io::Result<DingtalkServer> {
        let dingtalk = Self::new(config);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(address, dingtalk.router()).await?;
        dingtalk.set_base(&server.base_url());
        Ok(DingtalkServer { dingtalk, server })
    }

    /// The platform and the control API, for merging into a program that listens itself and calls
    /// [`Dingtalk::set_base`].
    pub fn router(&self) -> Router {
        self.deliver();
        Router::new()
            .nest("/_control/dingtalk", control::router())
            .route("/dingtalk/connect", get(gateway::connect))
            .route("/dingtalk/files/{code}", any(http::api))
            .route("/v1.0/{*path}", any(http::api))
            .route("/gettoken", any(http::api))
            .route("/robot/send", any(http::api))
            .route("/robot/sendBySession", any(http::api))
            .route("/media/upload", any(http::api))
            .with_state(self.clone())
    }

    /// Sets what addresses begin with that the platform gives out: webhooks of sessions and links to files.
    pub fn set_base(&self, base: &str) {
        let base = base.trim_end_matches('/').to_owned();
        self.with(|state| state.base = base);
    }

    /// Adds an app with a robot; gives the robot code.
    ///
    /// # Errors
    /// When the id is taken or an address cannot be one.
    pub fn add_app(&self, new: &NewApp) -> Result<String, ActionError> {
        let webhook = address(new.webhook_url.as_deref())?;
        let code = new.robot_code.clone();
        let code = code.unwrap_or_else(|| new.client_id.clone());
        self.with(|state| {
            let is_taken = |app: &App| app.id == new.client_id || app.robot_code == code;
            if state.apps.values().any(is_taken) {
                return Err(ActionError::Invalid("the client id or robot code is taken"));
            }
            let app = App {
                id: new.client_id.clone(),
                secret: Hidden(new.secret.clone()),
                robot_code: code.clone(),
                name: new.name.clone(),
                corp: new.corp.clone(),
                app_id: state.uuid(),
                bot_id: sender_id(&format!("robot {code}")),
                webhook,
                templates: new.templates.clone(),
                denied: new.denied.clone(),
                disabled: false,
                tokens: Vec::new(),
                tickets: Vec::new(),
                connections: Vec::new(),
                queue: VecDeque::new(),
                held: None,
                waiting: BTreeMap::new(),
            };
            state.apps.insert(new.client_id.clone(), app);
            Ok(code)
        })
    }

    /// Adds a custom robot to a group; gives its address without signature.
    ///
    /// # Errors
    /// When the token is taken or the group is not known.
    pub fn add_robot(&self, new: &NewRobot) -> Result<String, ActionError> {
        self.with(|state| {
            if state.robots.contains_key(&new.token) {
                return Err(ActionError::Invalid("the token is taken"));
            }
            if !state.chats.contains_key(&new.group) {
                return Err(ActionError::UnknownChat);
            }
            let robot = Robot {
                secret: new.secret.clone().map(Hidden),
                keyword: new.keyword.clone(),
                group: new.group.clone(),
                blocked_until: 0,
            };
            state.robots.insert(new.token.clone(), robot);
            Ok(format!(
                "{}/robot/send?access_token={}",
                state.base, new.token
            ))
        })
    }

    /// Sets where HTTP mode posts messages to; none is stream mode.
    ///
    /// # Errors
    /// When the app is not known or the address cannot be one.
    pub fn set_webhook(&self, app: &str, url: Option<&str>) -> Result<(), ActionError> {
        let url = address(url)?;
        self.with(|state| {
            state.app(app)?.webhook = url;
            Ok(())
        })
    }

    /// Switches an app off, or on again. While it is off it gets neither token nor ticket, and its connections go.
    ///
    /// # Errors
    /// When the app is not known.
    pub fn disable(&self, app: &str, disabled: bool) -> Result<(), ActionError> {
        self.with(|state| {
            let app = state.app(app)?;
            app.disabled = disabled;
            if disabled {
                app.tokens.clear();
                for connection in app.connections.drain(..) {
                    connection.socket.cut();
                }
            }
            Ok(())
        })
    }

    /// Lets all tokens of an app end now: calls with them are answered 401.
    ///
    /// # Errors
    /// When the app is not known.
    pub fn revoke_tokens(&self, app: &str) -> Result<(), ActionError> {
        self.with(|state| {
            state.app(app)?.tokens.clear();
            Ok(())
        })
    }

    /// Adds a person of the organisation, by staff id.
    pub fn user(&self, staff_id: &str, name: &str) {
        let user = User {
            name: name.to_owned(),
            staff_id: Some(staff_id.to_owned()),
            sender_id: sender_id(staff_id),
            is_limited: false,
        };
        self.with(|state| state.users.insert(staff_id.to_owned(), user));
    }

    /// Adds a person outside the organisation, who has no staff id; gives the sender id.
    #[expect(clippy::must_use_candidate, reason = "adding the person is the point")]
    pub fn outsider(&self, name: &str) -> String {
        self.with(|state| {
            let id = sender_id(&format!("{name} {}", state.hex()));
            let user = User {
                name: name.to_owned(),
                staff_id: None,
                sender_id: id.clone(),
                is_limited: false,
            };
            state.users.insert(id.clone(), user);
            id
        })
    }

    /// Keeps batch sends from reaching a person, or lets them: the flow control of the platform.
    ///
    /// # Errors
    /// When the person is not known.
    pub fn limit(&self, user: &str, on: bool) -> Result<(), ActionError> {
        self.with(|state| {
            let user = state.users.get_mut(user);
            user.ok_or(ActionError::UnknownUser)?.is_limited = on;
            Ok(())
        })
    }

    /// Adds a group with these people, and the robots of these apps, without telling anybody; gives the
    /// `openConversationId`.
    ///
    /// # Errors
    /// When a person or an app is not known.
    pub fn group(
        &self,
        title: &str,
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
            let chat = Chat {
                title: Some(title.to_owned()),
                members: members.iter().map(|user| (*user).to_owned()).collect(),
                apps: apps.iter().map(|app| (*app).to_owned()).collect(),
            };
            Ok(state.add_chat(chat))
        })
    }
}

fn address(url: Option<&str>) -> Result<Option<Url>, ActionError> {
    url.map(Url::parse)
        .transpose()
        .map_err(|_| ActionError::Invalid("not an address"))
}
