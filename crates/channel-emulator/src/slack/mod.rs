//! Slack: Web API, Events API, Socket Mode, interactivity and OAuth. <https://docs.slack.dev/>

mod answer;
mod check;
mod config;
mod control;
mod deliver;
mod engine;
mod events;
mod faults;
mod http;
mod interact;
mod ledger;
mod look;
mod methods;
mod model;
mod params;
mod people;
mod serve;
mod sockets;
mod state;
mod suggest;
mod view;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::Router;
use axum::routing::{any, get, post};

pub use config::SlackConfig;
pub use control::Action;
pub use deliver::{Delivery, Target};
pub use engine::Slack;
pub use faults::Fault;
pub use interact::Interaction;
pub use ledger::Call;
pub use look::Faults;
pub use model::{ActionError, Installation, MessageView, NewApp};
pub use people::{Post, PostFile};
pub use world::Disconnect;

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;

use crate::server::Server;

/// An emulated Slack behind a port of its own; dropping it closes the port.
#[derive(Debug)]
pub struct SlackServer {
    slack: Slack,
    server: Server,
}

impl SlackServer {
    /// What stands for `https://slack.com/api`, without a trailing slash.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("{}/api", self.server.base_url())
    }

    /// What stands for `https://slack.com`, without a trailing slash. The control API is at `/_control/slack/` here.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Closes the port and drops every connection; the state stays readable.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// The platform behind the port, to keep or to share.
    #[must_use]
    pub const fn slack(&self) -> &Slack {
        &self.slack
    }
}

impl Deref for SlackServer {
    type Target = Slack;

    fn deref(&self) -> &Slack {
        &self.slack
    }
}

impl Slack {
    /// Makes an empty platform and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the port.
    pub async fn start(config: SlackConfig) -> io::Result<SlackServer> {
        let slack = Self::new(config);
        slack.deliver();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(address, slack.router()).await?;
        slack.set_base(&server.base_url());
        Ok(SlackServer { slack, server })
    }

    /// Where the platform is reached, for the addresses that it gives out; without a trailing slash.
    pub fn set_base(&self, url: &str) {
        self.with(|state| url.clone_into(&mut state.base));
    }

    /// The platform for merging into a program that listens itself, which then calls [`Slack::set_base`].
    pub fn router(&self) -> Router {
        self.deliver();
        Router::new()
            .nest("/_control/slack", control::router())
            .route("/api/{method}", any(http::api))
            .route("/upload/v1/{id}", post(serve::upload))
            .route("/files-pri/{*path}", get(serve::download))
            .route("/actions/{team}/{secret}", post(serve::response_url))
            .route("/commands/{team}/{secret}", post(serve::response_url))
            .route("/link/", get(serve::link))
            .route("/oauth/v2/authorize", get(serve::authorize))
            .with_state(self.clone())
    }
}
