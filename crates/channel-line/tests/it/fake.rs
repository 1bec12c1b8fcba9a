//! A small Messaging API on virtual time: enough of it to be written to and to deliver.

use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use channel_core::{Clock as _, Event, EventKind, HttpErrorKind, Message, Rejection, Webhook as _};
use channel_line::{Line, LineBuilder};
use channel_testkit::{Failure, FakeTransport, Recorded, Reply, VirtualClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const SECRET: &str = "synthetic_channel_secret_0001";
pub(crate) const TOKEN: &str = "synthetic-access-token/+0001=";
pub(crate) const BOT: &str = "U00000000000000000000000000000000";
pub(crate) const ADA: &str = "U11111111111111111111111111111111";
pub(crate) const GROUP: &str = "C22222222222222222222222222222222";
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-line-signature");

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) id: String,
    pub(crate) message: Value,
    pub(crate) pushed: bool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    /// Reply tokens: chat, when they were given out, and whether they still work.
    tokens: BTreeMap<String, (String, Duration, bool)>,
    /// What has been sent under which retry key.
    keys: BTreeMap<String, Value>,
    pub(crate) loading: usize,
    /// Files: how often they are still being prepared, and their content.
    pub(crate) files: BTreeMap<String, (usize, Bytes)>,
    pub(crate) transcoding: &'static str,
    /// Fails all calls that send.
    pub(crate) failure: Option<Failure>,
    /// Answers the next calls of a path with a status and a message.
    refusals: VecDeque<(&'static str, u16, &'static str)>,
    /// Loses the next answers of a path, after or before it has done what it was asked to.
    losses: VecDeque<(&'static str, bool)>,
    /// The last event, to be delivered again.
    pub(crate) last: Option<Value>,
    next: u64,
}

/// The server and the seams to it.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) transport: FakeTransport,
    pub(crate) state: Arc<Mutex<State>>,
}

/// Signs a body without the code under test.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A request as LINE makes it.
pub(crate) fn request(body: impl Into<Bytes>) -> Request<Bytes> {
    let body = body.into();
    let signature = sign(SECRET, &body);
    let request = Request::post("/line/webhook")
        .header(HEADER, signature)
        .header("content-type", "application/json; charset=utf-8");
    request.body(body).unwrap()
}

/// A request that carries these events.
pub(crate) fn callback(events: &[Value]) -> Request<Bytes> {
    request(json!({"destination": BOT, "events": events}).to_string())
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self::on(VirtualClock::new())
    }

    pub(crate) fn on(clock: VirtualClock) -> Self {
        let state = State {
            next: 1000,
            transcoding: "processing",
            ..State::default()
        };
        let fake = Self {
            transport: FakeTransport::with(clock, 0),
            state: Arc::new(Mutex::new(state)),
        };
        let server = fake.clone();
        fake.transport.http.route(None, "/v2/bot", move |request| {
            record(request);
            server.answer(request)
        });
        fake
    }

    pub(crate) fn builder(&self) -> LineBuilder {
        Line::builder()
            .channel_secret(SECRET)
            .channel_access_token(TOKEN)
            .transport(self.transport.transport())
    }

    pub(crate) fn channel(&self) -> Line {
        self.builder().build().unwrap()
    }

    /// Runs a test on virtual time.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.transport.clock.block_on(future)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.transport.clock.advance(Duration::from_secs(seconds));
    }

    /// The wall clock, in milliseconds.
    pub(crate) fn milliseconds(&self) -> u64 {
        let now = self.transport.clock.now().duration_since(UNIX_EPOCH);
        u64::try_from(now.unwrap().as_millis()).unwrap()
    }

    fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        state.next
    }

    /// An event that just happened, with a reply token that works for a minute.
    pub(crate) fn event(&self, source: Value, fields: Value) -> Value {
        let number = self.next();
        let token = format!("{number:032}");
        let chat = ["groupId", "roomId", "userId"]
            .iter()
            .find_map(|key| source[*key].as_str());
        let mut event = json!({"mode": "active", "timestamp": self.milliseconds(), "source": source,
            "webhookEventId": format!("01K7000000000000000{number:07}"),
            "deliveryContext": {"isRedelivery": false}, "replyToken": token});
        event
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let mut state = self.state.lock().unwrap();
        if let Some(chat) = chat {
            let now = self.transport.clock.elapsed();
            state.tokens.insert(token, (chat.to_owned(), now, true));
        }
        state.last = Some(event.clone());
        event
    }

    /// Ada writes to the bot.
    pub(crate) fn text(&self, text: &str) -> Value {
        self.message(
            person(),
            json!({"type": "text", "quoteToken": "qt-1", "text": text}),
        )
    }

    /// Somebody sends a message of any kind.
    pub(crate) fn message(&self, source: Value, mut message: Value) -> Value {
        message["id"] = json!(format!("53000000000{:07}", self.next()));
        self.event(source, json!({"type": "message", "message": message}))
    }

    /// Hands an event over and takes the one that comes of it.
    pub(crate) fn deliver(&self, channel: &Line, event: Value) -> Event {
        let events = self.receive(channel, &callback(&[event])).unwrap();
        let [event] = <[Event; 1]>::try_from(events).unwrap();
        event
    }

    /// Hands a message over and takes it as it comes.
    pub(crate) fn deliver_message(&self, channel: &Line, event: Value) -> Message {
        match self.deliver(channel, event).kind {
            EventKind::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn receive(
        &self,
        channel: &Line,
        request: &Request<Bytes>,
    ) -> Result<Vec<Event>, Rejection> {
        let accepted = channel.receive(request, self.transport.clock.now())?;
        Ok(accepted.events)
    }

    /// The next call of a path is refused.
    pub(crate) fn refuse(&self, path: &'static str, status: u16, message: &'static str) {
        let mut state = self.state.lock().unwrap();
        state.refusals.push_back((path, status, message));
    }

    /// The answer to the next call of a path is lost; `done` if it did what it was asked to.
    pub(crate) fn lose(&self, path: &'static str, done: bool) {
        self.state.lock().unwrap().losses.push_back((path, done));
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sent.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.sent()
            .iter()
            .map(|sent| words(&sent.message))
            .collect()
    }

    /// The calls of a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Recorded> {
        let mut calls = self.transport.http.requests();
        calls.retain(|call| call.path().ends_with(path));
        calls
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path();
        let bearer = format!("Bearer {TOKEN}");
        if request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|it| it.to_str().ok())
            != Some(&bearer)
        {
            return refusal(401, "Authentication failed");
        }
        let mut state = self.state.lock().unwrap();
        if let Some(at) = state.refusals.iter().position(|row| path.ends_with(row.0)) {
            let (_, status, message) = state.refusals.remove(at).unwrap();
            return refusal(status, message);
        }
        if path.ends_with("/message/push") || path.ends_with("/message/reply") {
            return self.send(&mut state, request);
        }
        if path.contains("/message/") && path.contains("/content") {
            return content(&mut state, path);
        }
        match path {
            "/v2/bot/info" => Reply::ok(&json!({"userId": BOT, "basicId": "@123abcde",
                "displayName": "Kit", "chatMode": "bot", "markAsReadMode": "manual"})),
            "/v2/bot/chat/loading/start" => {
                state.loading += 1;
                Reply::json(StatusCode::ACCEPTED, &json!({}))
            }
            "/v2/bot/message/quota" => Reply::ok(&json!({"type": "limited", "value": 500})),
            "/v2/bot/message/quota/consumption" => Reply::ok(&json!({"totalUsage": 42})),
            "/v2/bot/chat/markAsRead" | "/v2/bot/channel/webhook/endpoint" => Reply::ok(&json!({})),
            _ if path.contains("/member/") || path.contains("/profile/") => {
                Reply::ok(&json!({"displayName": "Ada", "userId": ADA, "language": "en"}))
            }
            _ => refusal(404, "Not found"),
        }
    }

    fn send(&self, state: &mut State, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path();
        let loss = state.losses.iter().position(|row| path.ends_with(row.0));
        let loss = loss.and_then(|at| state.losses.remove(at)).map(|row| row.1);
        let lost = Reply::Sent(HttpErrorKind::Timeout);
        let failure = state.failure;
        match failure {
            _ if loss == Some(false) => return lost,
            Some(Failure::Unauthorized) => return refusal(401, "Authentication failed"),
            Some(Failure::Blocked) => return refusal(403, "Forbidden"),
            Some(Failure::ServerError) => return refusal(500, "Internal server error"),
            Some(Failure::RateLimited(wait)) => {
                let seconds = HeaderValue::from_str(&wait.as_secs().to_string()).unwrap();
                return refusal(429, "The API rate limit has been exceeded")
                    .header(RETRY_AFTER, seconds);
            }
            _ => {}
        }
        let answer = self.accept(state, request);
        if loss == Some(true) || failure == Some(Failure::LostAnswer) {
            return lost;
        }
        answer
    }

    fn accept(&self, state: &mut State, request: &Request<Bytes>) -> Reply {
        let fields: Value = serde_json::from_slice(request.body()).unwrap();
        let messages = fields["messages"].as_array().unwrap();
        assert!(
            (1..=5).contains(&messages.len()),
            "{} messages",
            messages.len()
        );
        let key = request.headers().get("x-line-retry-key");
        let (chat, pushed) = if let Some(token) = fields["replyToken"].as_str() {
            assert!(key.is_none(), "a reply takes no retry key");
            let now = self.transport.clock.elapsed();
            let Some((chat, given, works)) = state.tokens.get_mut(token) else {
                return refusal(400, "Invalid reply token");
            };
            if !*works || now.saturating_sub(*given) > Duration::from_secs(60) {
                return refusal(400, "Invalid reply token");
            }
            *works = false;
            (chat.clone(), false)
        } else {
            let key = key.unwrap().to_str().unwrap();
            if let Some(sent) = state.keys.get(key) {
                let body =
                    json!({"message": "The retry key is already accepted", "sentMessages": sent});
                return Reply::json(StatusCode::CONFLICT, &body);
            }
            (fields["to"].as_str().unwrap().to_owned(), true)
        };
        let mut made = Vec::new();
        for message in messages {
            state.next += 1;
            let id = format!("46000000000{:07}", state.next);
            made.push(json!({"id": id, "quoteToken": format!("q{}", state.next)}));
            let (chat, message) = (chat.clone(), message.clone());
            state.sent.push(Sent {
                chat,
                id,
                message,
                pushed,
            });
        }
        if let Some(key) = key {
            let key = key.to_str().unwrap().to_owned();
            state.keys.insert(key, json!(made));
        }
        Reply::ok(&json!({"sentMessages": made}))
    }
}

/// Appends a request to the file in `CHANNEL_TEST_RECORD`, a line of JSON each: `certify/run line` holds what all
/// these tests send against LINE's own models.
fn record(request: &Request<Bytes>) {
    let Some(path) = std::env::var_os("CHANNEL_TEST_RECORD") else {
        return;
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers: BTreeMap<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), text(value.as_bytes())))
        .collect();
    let uri = request.uri();
    let line = json!({"method": request.method().as_str(), "host": uri.host(), "path": uri.path(),
        "query": uri.query(), "headers": headers, "body": text(request.body())});
    let file = OpenOptions::new().create(true).append(true).open(path);
    // In one piece, because tests run side by side.
    file.unwrap()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

pub(crate) fn refusal(status: u16, message: &str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply::json(status, &json!({"message": message}))
}

fn content(state: &mut State, path: &str) -> Reply {
    let id = path.split('/').nth(4).unwrap();
    if path.ends_with("/transcoding") {
        return Reply::ok(&json!({"status": state.transcoding}));
    }
    match state.files.get_mut(id) {
        None => refusal(404, "Not found"),
        Some((0, bytes)) => Reply::bytes(StatusCode::OK, bytes.clone()),
        Some((waits, _)) => {
            *waits -= 1;
            Reply::status(StatusCode::ACCEPTED)
        }
    }
}

/// Ada, in her own chat.
pub(crate) fn person() -> Value {
    json!({"type": "user", "userId": ADA})
}

/// Ada, in a group.
pub(crate) fn group() -> Value {
    json!({"type": "group", "groupId": GROUP, "userId": ADA})
}

fn collect<'a>(value: &'a Value, found: &mut dyn FnMut(&'a Value)) {
    found(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// What a message says, whatever its form.
pub(crate) fn words(message: &Value) -> String {
    if message["type"] == "template" {
        return message["template"]["text"].as_str().unwrap().to_owned();
    }
    let mut texts = Vec::new();
    let root = if message["type"] == "flex" {
        &message["contents"]
    } else {
        message
    };
    collect(root, &mut |value| {
        let kind = value["type"].as_str().unwrap_or_default();
        if matches!(kind, "text" | "textV2") {
            texts.push(value["text"].as_str().unwrap().to_owned());
        }
    });
    texts.join("\n")
}

/// The labels of the buttons of a message, whatever its form.
pub(crate) fn labels(message: &Value) -> Vec<String> {
    let mut labels = Vec::new();
    collect(message, &mut |value| {
        labels.extend(value["label"].as_str().map(str::to_owned));
    });
    labels
}
