//! The emulated platforms, and the phones of the people on them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use channel_emulator::telegram::{Author, Place, TelegramConfig};
use channel_emulator::{Telegram, TelegramServer};
use channel_kit::core::{Error, Platform, Random, Result, Secret};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::login::is_ours;

pub(crate) const TELEGRAM: Platform = Platform::new("telegram");
pub(crate) const STANDARD: Platform = Platform::new("standard");
/// What stands for `https://t.me/<bot>` here.
pub(crate) const LINK: &str = "/phone/telegram";
/// The id of the one client of the standard channel.
pub(crate) const CLIENT: &str = "laptop";

const BOT_NAME: &str = "acme_bot";
const PERSON: i64 = 42;

/// The emulated Telegram, and what the phones have to know.
pub(crate) struct Phones {
    server: TelegramServer,
    shared: Arc<Shared>,
    bot_token: Secret,
}

struct Shared {
    telegram: Telegram,
    bot: i64,
    client_token: Secret,
}

impl Phones {
    pub(crate) async fn start(random: &dyn Random) -> Result<Self> {
        let secret = crate::fresh_secret(random);
        let bot_token = Secret::new(format!("7000000001:{}", secret.expose()));
        let failed =
            |source| Error::config("the emulated platform cannot listen").with_source(source);
        let server: TelegramServer = Telegram::start(TelegramConfig::default())
            .await
            .map_err(|error: std::io::Error| failed(error))?;
        let bot = server
            .add_bot(bot_token.expose(), BOT_NAME)
            .map_err(|error| Error::config(error.to_string()))?;
        server.user(PERSON, "Ada Lovelace");
        let shared = Shared {
            telegram: server.telegram().clone(),
            bot,
            client_token: crate::fresh_secret(random),
        };
        Ok(Self {
            server,
            shared: Arc::new(shared),
            bot_token,
        })
    }

    pub(crate) const fn bot_token(&self) -> &Secret {
        &self.bot_token
    }

    pub(crate) fn client_token(&self) -> &Secret {
        &self.shared.client_token
    }

    pub(crate) fn api_base(&self) -> String {
        self.server.api_base()
    }

    pub(crate) fn stop(&self) {
        self.server.stop();
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route(LINK, get(telegram).post(write))
            .route("/phone/chat", get(chat))
            .with_state(Arc::clone(&self.shared))
    }
}

#[derive(Deserialize)]
struct Start {
    start: Option<String>,
}

/// The person's Telegram: the chat with the bot, and what the link wants to send.
async fn telegram(State(shared): State<Arc<Shared>>, Query(link): Query<Start>) -> Response {
    let place = Place::Private {
        bot: shared.bot,
        user: PERSON,
    };
    let history = shared.telegram.look(|view| view.history(place));
    let lines: String = history
        .iter()
        .map(|message| {
            let who = match message.author {
                Author::Bot(_) => "bot",
                _ => "me",
            };
            let text = message.text.as_deref().unwrap_or_default();
            format!("<li class=\"{who}\">{}</li>", escape(text))
        })
        .collect();
    let prepared = link.start.map(|code| format!("/start {code}"));
    let page = include_str!("pages/telegram.html")
        .replace("{{lines}}", &lines)
        .replace("{{prepared}}", &escape(&prepared.unwrap_or_default()));
    Html(page).into_response()
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

async fn write(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<Text>,
) -> Response {
    if !is_ours(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match shared.telegram.private_text(shared.bot, PERSON, &form.text) {
        Ok(_) => Redirect::to(LINK).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A chat client on the standard channel; it has proven who it is with a token of its own.
async fn chat(State(shared): State<Arc<Shared>>) -> Html<String> {
    Html(
        include_str!("pages/chat.html")
            .replace("{{token}}", shared.client_token.expose())
            .replace("{{client}}", CLIENT),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
