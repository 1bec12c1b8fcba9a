#![doc = include_str!("README.md")]

mod answer;
mod asks;
mod body;
mod cdn;
mod check;
mod components;
mod compress;
mod config;
mod control;
mod endpoint;
mod engine;
mod faults;
mod gateway;
mod http;
mod ledger;
mod limits;
mod mentions;
mod model;
mod people;
mod platform;
mod post;
mod protocol;
mod routes;
mod sessions;
mod shape;
mod state;
mod switches;
mod view;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::Router;
use axum::routing::{any, get};

pub use config::DiscordConfig;
pub use control::Action;
pub use engine::Discord;
pub use faults::Fault;
pub use ledger::Call;
pub use model::{ActionError, Delivery};
pub use post::{Ask, NewBot, NewGuild, Post, PostFile};
pub use sessions::{Closed, ConnectionView, Mute};
pub use switches::Faults;
pub use view::{FileView, InteractionView, MessageView, ReactionView, Typing};

pub use crate::common::ledger::Outcome;
pub use crate::common::shared::WaitError;
use crate::server::Server;

/// An emulated Discord behind a port of its own; dropping it closes the port.
#[derive(Debug)]
pub struct DiscordServer {
    discord: Discord,
    server: Server,
}

impl DiscordServer {
    /// What stands for `https://discord.com/api`, without a trailing slash: REST is at `/v10` below it. The gateway's
    /// address is in the answer of `GET /gateway/bot`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("{}/api", self.server.base_url())
    }

    /// Where the gateway is, without a query.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        format!("ws://{}/gateway", self.server.address())
    }

    /// `http://` and the address: the control API is at `/_control/discord/` below it, attachments at `/attachments/`.
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
    pub const fn discord(&self) -> &Discord {
        &self.discord
    }
}

impl Deref for DiscordServer {
    type Target = Discord;

    fn deref(&self) -> &Discord {
        &self.discord
    }
}

impl Discord {
    /// Makes an empty platform and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding the port.
    pub async fn start(config: DiscordConfig) -> io::Result<DiscordServer> {
        Self::start_at(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Like [`Discord::start`], on an address of choice.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn start_at(config: DiscordConfig, address: SocketAddr) -> io::Result<DiscordServer> {
        let discord = Self::new(config);
        Self::on(discord, address).await
    }

    /// Serves a platform that exists already, as after [`DiscordServer::stop`]: its sessions can be resumed.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn on(discord: Self, address: SocketAddr) -> io::Result<DiscordServer> {
        let server = Server::start(address, discord.router()).await?;
        let authority = server.address().to_string();
        discord.with(|state| (state.authority, state.has_port) = (authority, true));
        Ok(DiscordServer { discord, server })
    }

    /// REST below `/api/v10/`, the gateway at `/gateway`, attachments and the control API, for merging into a program
    /// that listens itself.
    pub fn router(&self) -> Router {
        self.deliver();
        Router::new()
            .nest("/_control/discord", control::router())
            .route("/gateway", get(gateway::connect))
            .route("/gateway/", get(gateway::connect))
            .route("/gateway/resume", get(gateway::connect))
            .route("/gateway/resume/", get(gateway::connect))
            .route(
                "/attachments/{channel}/{attachment}/{name}",
                get(cdn::attachment),
            )
            .route("/api/{version}/{*path}", any(http::serve))
            .with_state(self.clone())
    }
}
