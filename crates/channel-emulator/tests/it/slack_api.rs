//! A bare HTTP client for Slack, a workspace with an app and a person, and request URLs that take notes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use channel_emulator::slack::{Installation, NewApp, Slack, SlackConfig, SlackServer};
use channel_emulator::{Clock, Server};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::line_api::{Answered, exchange};

pub(crate) const SECRET: &str = "synthetic-signing-secret";
pub(crate) const TOKEN: &str = "xoxb-synthetic";
pub(crate) const APP_TOKEN: &str = "xapp-synthetic";
/// Long enough for a busy machine; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) server: SlackServer,
    pub(crate) team: String,
    pub(crate) app: String,
    pub(crate) bot: Installation,
    pub(crate) ada: String,
    /// A public channel with Ada and the bot.
    pub(crate) general: String,
    /// The direct channel of Ada and the bot.
    pub(crate) direct: String,
}

impl std::ops::Deref for World {
    type Target = Slack;

    fn deref(&self) -> &Slack {
        &self.server
    }
}

/// Settings under which nothing waits.
pub(crate) fn quick() -> SlackConfig {
    SlackConfig::default()
        .clock(Clock::fixed(Duration::from_secs(1_700_000_000)))
        .retries(&[
            Duration::ZERO,
            Duration::from_millis(20),
            Duration::from_millis(40),
        ])
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(quick(), NewApp::new("Kit", SECRET)).await
    }

    pub(crate) async fn with(config: SlackConfig, app: NewApp) -> Self {
        let server = Slack::start(config).await.unwrap();
        let team = server.workspace("Kit HQ");
        let app = server.add_app(&app).unwrap();
        let bot = server.install(&app, &team, TOKEN).unwrap();
        let ada = server.user(&team, "Ada").unwrap();
        let general = server
            .channel(&team, "general", &[&ada, &bot.bot_user])
            .unwrap();
        let direct = server.direct(&app, &ada).unwrap();
        Self {
            server,
            team,
            app,
            bot,
            ada,
            general,
            direct,
        }
    }

    /// A world whose app has this request URL for everything.
    pub(crate) async fn hooked(hook: &Hook) -> Self {
        let app = NewApp::new("Kit", SECRET).urls(&hook.url(), &hook.url());
        Self::with(quick(), app).await
    }

    /// Calls a method with a JSON body.
    pub(crate) async fn answered(&self, method: &str, params: Value) -> Answered {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("authorization", bearer.as_str()),
        ];
        self.send(method, &headers, &params.to_string()).await
    }

    /// Calls a method with a form.
    pub(crate) async fn form(&self, method: &str, params: &[(&str, &str)]) -> Value {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", bearer.as_str()),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(params)
            .finish();
        self.send(method, &headers, &body).await.json()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let path = format!("/api/{method}");
        let base = self.server.base_url();
        exchange(&base, Method::POST, &path, headers, body)
            .await
            .unwrap()
    }

    /// The answer of a call that must succeed.
    pub(crate) async fn ok(&self, method: &str, params: Value) -> Value {
        let answer = self.answered(method, params).await.json();
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer
    }

    /// The error of a call that must fail with HTTP 200.
    pub(crate) async fn refusal(&self, method: &str, params: Value) -> String {
        let answered = self.answered(method, params).await;
        let answer = answered.json();
        assert_eq!(
            (answered.status, &answer["ok"]),
            (200, &json!(false)),
            "{method}: {answer}"
        );
        answer["error"].as_str().unwrap().to_owned()
    }

    /// Posts a text; gives the `ts`.
    pub(crate) async fn post(&self, channel: &str, text: &str) -> String {
        let answer = self
            .ok(
                "chat.postMessage",
                json!({"channel": channel, "text": text}),
            )
            .await;
        answer["ts"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of an interaction.
    pub(crate) async fn settled(&self, number: u64) -> channel_emulator::slack::Interaction {
        self.wait_for(PATIENCE, |slack| {
            slack.interaction(number).filter(|one| one.settled)
        })
        .await
        .unwrap()
    }
}

/// What a request URL was sent.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Note {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A form field.
    pub(crate) fn field(&self, wanted: &str) -> String {
        let mut fields = url::form_urlencoded::parse(&self.body);
        let found = fields.find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

/// A request URL that notes each request, and answers with the next of its list, then with an empty 200.
pub(crate) struct Hook {
    server: Server,
    notes: Arc<Notes>,
}

#[derive(Default)]
struct Notes {
    received: Mutex<Vec<Note>>,
    answers: Mutex<VecDeque<(u16, String)>>,
}

impl Hook {
    pub(crate) async fn new() -> Self {
        let notes = Arc::new(Notes::default());
        let router = Router::new()
            .fallback(any(note))
            .with_state(Arc::clone(&notes));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(address, router).await.unwrap();
        Self { server, notes }
    }

    pub(crate) fn answer(&self, status: u16, body: &str) {
        let mut answers = self.notes.answers.lock().unwrap();
        answers.push_back((status, body.to_owned()));
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/slack", self.server.base_url())
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.received.lock().unwrap().clone()
    }
}

async fn note(State(notes): State<Arc<Notes>>, headers: HeaderMap, body: Bytes) -> Response {
    notes.received.lock().unwrap().push(Note { headers, body });
    let next = notes.answers.lock().unwrap().pop_front();
    let (status, body) = next.unwrap_or((200, String::new()));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}
