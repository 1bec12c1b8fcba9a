//! A small Feishu on virtual time: enough of it to deliver and to be written to.

mod said;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Clock as _, Frame, HttpErrorKind};
use channel_feishu::{Feishu, FeishuBuilder, Mode};
use channel_testkit::{Failure, FakePeer, FakeTransport, Recorded, Reply, VirtualClock};
use http::{HeaderValue, Request, StatusCode};
use prost::Message as _;
use serde_json::{Value, json};

pub(crate) use said::*;
pub(crate) use wire::Wire;

pub(crate) const APP: &str = "cli_0000000000000001";
pub(crate) const APP_SECRET: &str = "synthetic-app-secret-0001";
pub(crate) const VERIFICATION: &str = "vt-synthetic-0001";
pub(crate) const ENCRYPT: &str = "ek-0123456789abcdef";
pub(crate) const BOT: &str = "ou_bot";
pub(crate) const ADA: &str = "ou_1";
pub(crate) const DIRECT: &str = "oc_1";
pub(crate) const GROUP: &str = "oc_2";
pub(crate) const THREAD: &str = "omt_1";

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) id: String,
    pub(crate) thread: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) kind: String,
    pub(crate) content: Value,
}

/// What the fake does with the frames that come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers pings and sends events.
    #[default]
    Alive,
    /// Says nothing, while the transport goes on answering.
    Silent,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    pub(crate) reactions: Vec<(String, String, String)>,
    /// Files of messages, and uploaded ones: key, name and content.
    pub(crate) files: Vec<(String, String, Bytes)>,
    /// Growing cards: their JSON and the last sequence.
    pub(crate) cards: HashMap<String, (Value, u64)>,
    pub(crate) uuids: HashMap<String, Value>,
    /// Fails calls that send, after so many more.
    pub(crate) failure: Option<(usize, Failure)>,
    /// Answers the next calls of a method and path prefix with a status and a code.
    pub(crate) refusals: VecDeque<(&'static str, u16, i64)>,
    /// Frames that are not answered.
    pub(crate) queue: VecDeque<(String, Wire)>,
    pub(crate) peers: Vec<Arc<FakePeer>>,
    /// The answers to frames: the transport's id and the payload.
    pub(crate) answered: Vec<(String, Value)>,
    pub(crate) pings: usize,
    pub(crate) mood: Mood,
    pub(crate) config: Value,
    pub(crate) tokens: usize,
    next_id: u64,
}

/// The server and the seams to it.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) transport: FakeTransport,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self::on(VirtualClock::new())
    }

    pub(crate) fn on(clock: VirtualClock) -> Self {
        let fake = Self {
            transport: FakeTransport::with(clock, 0),
            state: Arc::default(),
        };
        fake.state.lock().unwrap().config = json!({"ReconnectCount": -1,
            "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": 120});
        let server = fake.clone();
        fake.transport
            .http
            .route(None, "/", move |request| server.answer(request));
        fake
    }

    pub(crate) fn builder(&self) -> FeishuBuilder {
        Feishu::builder()
            .app(APP, APP_SECRET)
            .transport(self.transport.transport())
    }

    /// A channel that receives by webhook, signed and sealed.
    pub(crate) fn channel(&self) -> Feishu {
        self.builder()
            .mode(Mode::Webhook)
            .verification_token(VERIFICATION)
            .encrypt_key(ENCRYPT)
            .build()
            .unwrap()
    }

    /// A channel that keeps a connection.
    pub(crate) fn linked(&self) -> Feishu {
        self.builder().build().unwrap()
    }

    /// Runs a test on virtual time.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.transport.clock.block_on(future)
    }

    /// Runs a test on virtual time, with a server.
    pub(crate) fn live<F: Future>(&self, test: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            self.serve();
            self.transport.clock.drive(test).await
        })
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.transport.clock.now()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.transport.clock.elapsed()
    }

    pub(crate) fn id(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.next_id += 1;
        state.next_id
    }

    /// The next call under a path, with its method before it, gets a status and a code.
    pub(crate) fn refuse(&self, call: &'static str, status: u16, code: i64) {
        let row = (call, status, code);
        self.state.lock().unwrap().refusals.push_back(row);
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sent.clone()
    }

    /// The calls of a method under a path.
    pub(crate) fn calls(&self, method: &str, prefix: &str) -> Vec<Recorded> {
        let mut calls = self.transport.http.requests();
        calls.retain(|call| call.request.method() == method && call.path().starts_with(prefix));
        calls
    }

    /// An event request, sealed and signed as Feishu does, now.
    pub(crate) fn event(&self, envelope: &Value) -> Request<Bytes> {
        self.signed("/feishu/events", &envelope.to_string())
    }

    pub(crate) fn signed(&self, path: &str, clear: &str) -> Request<Bytes> {
        let seconds = self.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let body = json!({"encrypt": seal(ENCRYPT, clear)}).to_string();
        signed_at(path, body.into(), &seconds.to_string(), ENCRYPT)
    }

    /// Delivers an event over the connection; the transport's id of it.
    pub(crate) fn push(&self, kind: &str, payload: &Value) -> String {
        let id = format!("m{}", self.id());
        let wire = Wire::data(kind, &id, (1, 0), payload.to_string().as_bytes());
        let mut state = self.state.lock().unwrap();
        state.queue.push_back((id.clone(), wire.clone()));
        if state.mood == Mood::Alive
            && let Some(peer) = state.peers.last()
        {
            peer.send(wire.frame());
        }
        id
    }

    /// Delivers again what is not answered, as Feishu does after a while.
    pub(crate) fn redeliver(&self) {
        let state = self.state.lock().unwrap();
        if state.mood == Mood::Alive
            && let Some(peer) = state.peers.last()
        {
            for (_, wire) in &state.queue {
                peer.send(wire.frame());
            }
        }
    }

    /// Serves connections for as long as the test runs.
    pub(crate) fn serve(&self) {
        let fake = self.clone();
        tokio::spawn(async move {
            loop {
                let peer = Arc::new(fake.transport.sockets.accept().await);
                tokio::spawn(fake.clone().serve_one(peer));
            }
        });
    }

    async fn serve_one(self, peer: Arc<FakePeer>) {
        self.state.lock().unwrap().peers.push(Arc::clone(&peer));
        self.redeliver();
        while let Some(frame) = peer.receive().await {
            match frame {
                Frame::Binary(bytes) => self.heard(&peer, &Wire::decode(bytes).unwrap()),
                Frame::Ping(payload) => peer.send(Frame::Pong(payload)),
                _ => {}
            }
        }
        let mut state = self.state.lock().unwrap();
        state.peers.retain(|known| !Arc::ptr_eq(known, &peer));
    }

    fn heard(&self, peer: &FakePeer, wire: &Wire) {
        let mut state = self.state.lock().unwrap();
        if wire.method == 0 {
            assert_eq!((wire.header("type"), wire.service), (Some("ping"), 7));
            state.pings += 1;
            if state.mood == Mood::Alive {
                let config = state.config.to_string();
                let pong = Wire::new(0, &[("type", "pong")], config.as_bytes());
                peer.send(pong.frame());
            }
            return;
        }
        let id = wire.header("message_id").unwrap().to_owned();
        assert!(wire.header("biz_rt").unwrap().parse::<u64>().is_ok());
        if wire.json()["code"] == json!(200) {
            // Mostly the first.
            if let Some(at) = state.queue.iter().position(|(known, _)| *known == id) {
                state.queue.remove(at);
            }
        }
        state.answered.push((id, wire.json()));
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path().to_owned();
        let method = request.method().as_str().to_owned();
        let mut state = self.state.lock().unwrap();
        let call = format!("{method} {path}");
        if let Some(at) = state
            .refusals
            .iter()
            .position(|row| call.starts_with(row.0))
        {
            let (_, status, code) = state.refusals.remove(at).unwrap();
            return refusal(status, code);
        }
        let fields: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        match path.as_str() {
            "/open-apis/auth/v3/tenant_access_token/internal" => {
                if fields["app_secret"] != APP_SECRET {
                    return refusal(200, 10_014);
                }
                state.tokens += 1;
                let token = format!("t-{}", state.tokens);
                return Reply::ok(
                    &json!({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": 7200}),
                );
            }
            "/callback/ws/endpoint" => {
                assert_eq!(request.headers()["locale"], "zh");
                if fields["AppSecret"] != APP_SECRET || fields["AppID"] != APP {
                    return refusal(200, 514);
                }
                state.next_id += 1;
                let url = format!(
                    "wss://msg.feishu.cn/ws/v2?device_id=1&service_id=7&ticket=secret{}",
                    state.next_id
                );
                return Reply::ok(
                    &json!({"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": state.config}}),
                );
            }
            _ => {}
        }
        let token = format!("Bearer t-{}", state.tokens);
        if request
            .headers()
            .get("authorization")
            .is_none_or(|it| it != token.as_str())
        {
            return refusal(400, 99_991_663);
        }
        let mut lose = false;
        let sends =
            method == "POST" && (path == "/open-apis/im/v1/messages" || path.ends_with("/reply"));
        if sends && let Some((calls, failure)) = &mut state.failure {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match *failure {
                    Failure::Unauthorized => return refusal(400, 99_991_663),
                    Failure::Blocked => return refusal(400, 230_002),
                    Failure::RateLimited(wait) => {
                        let wait = HeaderValue::from(wait.as_secs());
                        let name = http::HeaderName::from_static("x-ogw-ratelimit-reset");
                        return refusal(400, 99_991_400).header(name, wait);
                    }
                    Failure::ServerError => {
                        return Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
                    }
                    _ => lose = true,
                }
            }
        }
        let result = state.act(&method, &path, request, fields);
        match result {
            _ if lose => Reply::Sent(HttpErrorKind::Interrupted),
            Ok(Answer::Json(data)) => {
                Reply::ok(&json!({"code": 0, "msg": "success", "data": data}))
            }
            Ok(Answer::Top(answer)) => Reply::ok(&answer),
            Ok(Answer::File(bytes)) => Reply::bytes(StatusCode::OK, bytes),
            Err(code) => refusal(400, code),
        }
    }
}

enum Answer {
    Json(Value),
    Top(Value),
    File(Bytes),
}

impl State {
    fn act(
        &mut self,
        method: &str,
        path: &str,
        request: &Request<Bytes>,
        fields: Value,
    ) -> Result<Answer, i64> {
        let parts: Vec<_> = path.trim_start_matches("/open-apis/").split('/').collect();
        let query = request.uri().query().unwrap_or_default();
        let json = |value| Ok(Answer::Json(value));
        match (method, parts.as_slice()) {
            ("GET", ["bot", "v3", "info"]) => Ok(Answer::Top(
                json!({"code": 0, "msg": "ok", "bot": {"activate_status": 2, "app_name": "kit", "open_id": BOT}}),
            )),
            ("POST", ["im", "v1", "messages"]) => {
                let to = fields["receive_id"].as_str().unwrap().to_owned();
                let kind = query.strip_prefix("receive_id_type=").unwrap();
                match (kind, to.as_str()) {
                    ("chat_id", to) if to.starts_with("oc_") => {
                        json(self.make(to, None, None, &fields)?)
                    }
                    ("open_id", to) if to.starts_with("ou_") => {
                        json(self.make(DIRECT, None, None, &fields)?)
                    }
                    _ => Err(230_001),
                }
            }
            ("POST", ["im", "v1", "messages", id, "reply"]) => {
                if id.starts_with("omt_") {
                    return Err(99_992_354);
                }
                let (chat, thread) = self.place_of(id);
                let in_thread = fields["reply_in_thread"] == json!(true);
                let thread = thread.or_else(|| in_thread.then(|| THREAD.to_owned()));
                json(self.make(&chat, thread, Some((*id).to_owned()), &fields)?)
            }
            ("PUT", ["im", "v1", "messages", id]) => {
                let sent = self.find(id)?;
                if sent.kind == "interactive" {
                    return Err(230_001);
                }
                sent.kind = fields["msg_type"].as_str().unwrap().to_owned();
                sent.content = content(&fields);
                json(json!({}))
            }
            ("PATCH", ["im", "v1", "messages", id]) => {
                let sent = self.find(id)?;
                if sent.kind != "interactive" {
                    return Err(230_001);
                }
                sent.content = content(&fields);
                json(json!({}))
            }
            ("DELETE", ["im", "v1", "messages", id]) => {
                let at = self.sent.iter().position(|sent| sent.id == *id);
                self.sent.remove(at.ok_or(230_011)?);
                json(json!({}))
            }
            ("GET", ["im", "v1", "messages"]) => json(self.history(query)),
            ("POST", ["im", "v1", "messages", id, "reactions"]) => {
                self.next_id += 1;
                let reaction = format!("r{}", self.next_id);
                let emoji = fields["reaction_type"]["emoji_type"].as_str().unwrap();
                self.reactions
                    .push(((*id).to_owned(), emoji.to_owned(), reaction.clone()));
                json(json!({"reaction_id": reaction, "reaction_type": fields["reaction_type"]}))
            }
            ("GET", ["im", "v1", "messages", id, "reactions"]) => {
                let on = self
                    .reactions
                    .iter()
                    .filter(|row| row.0 == *id && query.contains(&row.1));
                let items: Vec<_> = on
                    .map(|row| json!({"reaction_id": row.2, "operator": {"operator_id": APP, "operator_type": "app"}}))
                    .collect();
                json(json!({"items": items, "has_more": false}))
            }
            ("DELETE", ["im", "v1", "messages", id, "reactions", reaction]) => {
                let before = self.reactions.len();
                self.reactions
                    .retain(|row| row.0 != *id || row.2 != *reaction);
                if self.reactions.len() == before {
                    return Err(231_011);
                }
                json(json!({}))
            }
            ("GET", ["im", "v1", "messages", _, "resources", key])
            | ("GET", ["im", "v1", _, key]) => {
                let found = self.files.iter().find(|(known, ..)| known == key);
                Ok(Answer::File(found.ok_or(234_003)?.2.clone()))
            }
            ("POST", ["im", "v1", kind @ ("images" | "files")]) => {
                let (name, bytes) =
                    uploaded(request, if *kind == "images" { "image" } else { "file" });
                self.next_id += 1;
                let (field, key) = match *kind {
                    "images" => ("image_key", format!("img_{}", self.next_id)),
                    _ => ("file_key", format!("file_{}", self.next_id)),
                };
                self.files.push((key.clone(), name, bytes));
                json(json!({field: key}))
            }
            ("POST", ["cardkit", "v1", "cards"]) => {
                self.next_id += 1;
                let id = format!("70{}", self.next_id);
                let card = serde_json::from_str(fields["data"].as_str().unwrap()).unwrap();
                self.cards.insert(id.clone(), (card, 0));
                json(json!({"card_id": id}))
            }
            ("PUT", ["cardkit", "v1", "cards", id, "elements", element, "content"]) => {
                let (card, last) = self.cards.get_mut(*id).ok_or(200_740)?;
                let sequence = fields["sequence"].as_u64().unwrap();
                if sequence <= *last {
                    return Err(300_317);
                }
                *last = sequence;
                if card["config"]["streaming_mode"] != json!(true) {
                    return Err(300_309);
                }
                let shown = &mut card["body"]["elements"][0];
                assert_eq!(shown["element_id"], *element);
                shown["content"] = fields["content"].clone();
                json(json!({}))
            }
            ("PUT", ["cardkit", "v1", "cards", id]) => {
                let (card, last) = self.cards.get_mut(*id).ok_or(200_740)?;
                let sequence = fields["sequence"].as_u64().unwrap();
                if sequence <= *last {
                    return Err(300_317);
                }
                *last = sequence;
                *card = serde_json::from_str(fields["card"]["data"].as_str().unwrap()).unwrap();
                json(json!({}))
            }
            other => panic!("{other:?}"),
        }
    }

    fn find(&mut self, id: &str) -> Result<&mut Sent, i64> {
        let found = self.sent.iter_mut().find(|sent| sent.id == id);
        found.ok_or(230_011)
    }

    fn place_of(&self, id: &str) -> (String, Option<String>) {
        let own = self.sent.iter().find(|sent| sent.id == id);
        match own {
            Some(sent) => (sent.chat.clone(), sent.thread.clone()),
            None if id.contains("thread") => (GROUP.to_owned(), Some(THREAD.to_owned())),
            None if id.contains("group") => (GROUP.to_owned(), None),
            None => (DIRECT.to_owned(), None),
        }
    }

    /// The content of a message as people see it: that of a growing card is kept apart.
    pub(crate) fn seen(&self, sent: &Sent) -> Value {
        let card = sent.content["data"]["card_id"].as_str();
        match card.and_then(|card| self.cards.get(card)) {
            Some((card, _)) => card.clone(),
            None => sent.content.clone(),
        }
    }

    fn history(&self, query: &str) -> Value {
        let field = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let id = field("container_id").unwrap();
        let is_thread = field("container_id_type") == Some("thread");
        let mut all: Vec<_> = self
            .sent
            .iter()
            .filter(|sent| if is_thread { sent.thread.as_deref() == Some(id) } else { sent.chat == id })
            .map(|sent| json!({"message_id": sent.id, "chat_id": sent.chat, "msg_type": sent.kind,
                "create_time": "1767225600000", "deleted": false, "thread_id": sent.thread,
                "sender": {"id": APP, "id_type": "app_id", "sender_type": "app", "tenant_key": "tk0001"},
                "body": {"content": sent.content.to_string()}}))
            .collect();
        if is_thread && all.is_empty() {
            all.push(json!({"message_id": "om_thread_root", "chat_id": GROUP, "msg_type": "text", "body": {"content": "{}"}}));
        }
        if field("sort_type") == Some("ByCreateTimeDesc") {
            all.reverse();
        }
        let skip: usize = field("page_token").map_or(0, |token| token.parse().unwrap());
        let size: usize = field("page_size").unwrap().parse().unwrap();
        let items: Vec<_> = all.iter().skip(skip).take(size).cloned().collect();
        let next = skip + items.len();
        json!({"items": items, "has_more": next < all.len(), "page_token": next.to_string()})
    }

    fn make(
        &mut self,
        chat: &str,
        thread: Option<String>,
        parent: Option<String>,
        fields: &Value,
    ) -> Result<Value, i64> {
        let uuid = fields["uuid"].as_str().unwrap();
        assert!((1..=50).contains(&uuid.len()));
        if let Some(known) = self.uuids.get(uuid) {
            return Ok(known.clone());
        }
        let kind = fields["msg_type"].as_str().unwrap().to_owned();
        let limit = if kind == "text" { 150_000 } else { 30_000 };
        if fields.to_string().len() > limit {
            return Err(230_025);
        }
        self.next_id += 1;
        let id = format!("om_out{}", self.next_id);
        self.sent.push(Sent {
            chat: chat.to_owned(),
            id: id.clone(),
            thread: thread.clone(),
            parent,
            kind,
            content: content(fields),
        });
        let answer = json!({"message_id": id, "chat_id": chat, "thread_id": thread});
        self.uuids.insert(uuid.to_owned(), answer.clone());
        Ok(answer)
    }
}

fn content(fields: &Value) -> Value {
    serde_json::from_str(fields["content"].as_str().unwrap()).unwrap()
}

/// The file of a form.
fn uploaded(request: &Request<Bytes>, field: &str) -> (String, Bytes) {
    let body = request.body();
    let find = |text: &[u8], from: usize| {
        let at = body[from..].windows(text.len()).position(|it| it == text);
        from + at.unwrap()
    };
    let part = find(format!("name=\"{field}\"; filename=\"").as_bytes(), 0);
    let start = find(b"filename=\"", part) + b"filename=\"".len();
    let name = &body[start..find(b"\"\r\n", start)];
    let content = find(b"\r\n\r\n", start) + 4;
    let end = find(b"\r\n--form-", content);
    let name = String::from_utf8(name.to_vec()).unwrap();
    (name, body.slice(content..end))
}

fn refusal(status: u16, code: i64) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply::json(status, &json!({"code": code, "msg": "refused"}))
}
