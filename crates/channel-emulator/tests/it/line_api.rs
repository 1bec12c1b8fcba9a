//! A bare HTTP client for LINE, a platform with one account and one person, and a webhook that takes notes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::any;
use channel_emulator::line::{Line, LineConfig, LineServer, NewBot};
use channel_emulator::{Clock, Server};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub(crate) const SECRET: &str = "synthetic_channel_secret_0001";
pub(crate) const TOKEN: &str = "synthetic-token";
pub(crate) const KEY: &str = "123e4567-e89b-12d3-a456-426614174000";
/// Long enough for a busy machine; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) server: LineServer,
    pub(crate) bot: String,
    pub(crate) ada: String,
}

impl std::ops::Deref for World {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.server
    }
}

/// An answer: status, headers, JSON body.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or("").to_owned()
    }

    /// The properties that `details` name.
    pub(crate) fn properties(&self) -> Vec<String> {
        let body = self.json();
        let details = body["details"].as_array().cloned().unwrap_or_default();
        let named = details.iter().map(|detail| detail["property"].as_str());
        named.map(|name| name.unwrap().to_owned()).collect()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(LineConfig::default(), NewBot::new(SECRET, TOKEN, "Kit")).await
    }

    pub(crate) async fn with(config: LineConfig, bot: NewBot) -> Self {
        let config = config.clock(Clock::fixed(Duration::from_secs(1_790_000_000)));
        let server = Line::start(config).await.unwrap();
        let bot = server.add_bot(&bot).unwrap();
        let ada = server.user("Ada");
        Self { server, bot, ada }
    }

    /// A platform whose account has this webhook.
    pub(crate) async fn hooked(hook: &Hook, redelivery: bool) -> Self {
        let config = LineConfig::default().webhook_retry(Duration::from_millis(20), 3);
        let mut bot = NewBot::new(SECRET, TOKEN, "Kit").webhook(&hook.url());
        if redelivery {
            bot = bot.redelivery();
        }
        Self::with(config, bot).await
    }

    /// Ada writes; gives the reply token of the event.
    pub(crate) fn token(&self, text: &str) -> String {
        self.say(&self.bot, &self.ada, text).unwrap();
        let event = self.events(&self.bot).pop().unwrap();
        event["replyToken"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answered {
        self.send(Method::POST, path, &[], &body.to_string()).await
    }

    /// Pushes messages to Ada with a retry key.
    pub(crate) async fn push_with(&self, key: &str, text: &str) -> Answered {
        let body = json!({"to": self.ada, "messages": [{"type": "text", "text": text}]});
        let headers = [("x-line-retry-key", key)];
        let body = body.to_string();
        self.send(Method::POST, "/v2/bot/message/push", &headers, &body)
            .await
    }

    /// Pushes one message to Ada.
    pub(crate) async fn push(&self, message: Value) -> Answered {
        let body = json!({"to": self.ada, "messages": [message]});
        self.post("/v2/bot/message/push", body).await
    }

    pub(crate) async fn reply(&self, token: &str, text: &str) -> Answered {
        let body = json!({"replyToken": token, "messages": [{"type": "text", "text": text}]});
        self.post("/v2/bot/message/reply", body).await
    }

    /// A call with the token and JSON as content type, unless `headers` say otherwise.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let base = self.server.api_base();
        exchange(&base, method, path, headers, body).await.unwrap()
    }

    /// A call of the data host.
    pub(crate) async fn data(&self, path: &str) -> Answered {
        let base = self.server.data_api_base();
        exchange(&base, Method::GET, path, &[], "").await.unwrap()
    }
}

pub(crate) async fn exchange(
    base: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answered> {
    let address: SocketAddr = base.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "api.line.me");
    let given = |name: &str| headers.iter().any(|(known, _)| *known == name);
    if !given("authorization") {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    if !given("content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    let (head, body) = response.into_parts();
    Some(Answered {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.collect().await.ok()?.to_bytes(),
    })
}

/// A webhook that notes signature and body of each request, and answers with the next status of its list, then 200.
pub(crate) struct Hook {
    server: Server,
    notes: Arc<Notes>,
}

#[derive(Default)]
struct Notes {
    received: Mutex<Vec<(String, Bytes)>>,
    answers: Mutex<Vec<u16>>,
}

impl Hook {
    pub(crate) async fn new(answers: &[u16]) -> Self {
        let notes = Arc::new(Notes::default());
        notes.answers.lock().unwrap().extend(answers.iter().rev());
        let router = Router::new()
            .fallback(any(note))
            .with_state(Arc::clone(&notes));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(address, router).await.unwrap();
        Self { server, notes }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/line/webhook", self.server.base_url())
    }

    /// Signatures and raw bodies, in order.
    pub(crate) fn raw(&self) -> Vec<(String, Bytes)> {
        self.notes.received.lock().unwrap().clone()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        let parse = |(_, body): &(String, Bytes)| serde_json::from_slice(body).unwrap();
        self.raw().iter().map(parse).collect()
    }
}

async fn note(State(notes): State<Arc<Notes>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers
        .get("x-line-signature")
        .map_or("", |value| value.to_str().unwrap());
    let mut received = notes.received.lock().unwrap();
    received.push((signature.to_owned(), body));
    let status = notes.answers.lock().unwrap().pop().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
