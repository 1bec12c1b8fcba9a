//! A small DingTalk on virtual time: enough of it to deliver and to be written to.

mod calls;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use channel_core::{Clock as _, Frame, HttpErrorKind};
use channel_dingtalk::{DingTalk, DingTalkBuilder, GroupRobot, Mode};
use channel_testkit::{Failure, FakePeer, FakeTransport, Recorded, Reply, VirtualClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const APP: &str = "ding0001";
pub(crate) const SECRET: &str = "appSecret-synthetic-0001";
pub(crate) const ROBOT_TOKEN: &str = "robottokensynthetic0001";
pub(crate) const ROBOT_SECRET: &str = "SECsynthetic0000000000000000000001";
pub(crate) const CORP: &str = "corp1";
pub(crate) const ADA: &str = "staff1";
pub(crate) const DIRECT: &str = "staff:staff1";
pub(crate) const GROUP: &str = "cid2";
pub(crate) const ME: &str = "$:LWCP_v1:$bot";
pub(crate) const TEMPLATE: &str = "tpl.schema";
/// How often the platform says something by itself.
pub(crate) const BEAT: Duration = Duration::from_secs(25);

pub(crate) const MESSAGES: &str = "/v1.0/im/bot/messages/get";
pub(crate) const PRESSES: &str = "/v1.0/card/instances/callback";

pub(crate) use crate::samples::{direct, frame, mention, message, press, with_session};

/// A message of the bot, however it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) id: String,
    /// `msgtype`, `msgKey` or `card`.
    pub(crate) kind: String,
    pub(crate) content: Value,
    /// The list of who is mentioned.
    pub(crate) at: Value,
}

/// What the fake does on its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Sends signs of life.
    #[default]
    Alive,
    /// Sends no signs of life, while the transport goes on answering.
    Silent,
    /// Sends no events either.
    Deaf,
    /// Sends events, while the transport answers nothing.
    Mute,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    /// Message, conversation and name of each reaction.
    pub(crate) reactions: Vec<(String, String, String)>,
    /// Files by code or media id: name and content.
    pub(crate) files: HashMap<String, (String, Bytes)>,
    /// Fails calls that send, after so many more.
    pub(crate) failure: Option<(usize, Failure)>,
    /// Answers the next calls of a method and path prefix with a status and a body.
    pub(crate) refusals: VecDeque<(&'static str, u16, Value)>,
    /// Whether every call of a method and path prefix is refused.
    pub(crate) down: Option<(&'static str, u16, Value)>,
    /// Frames that are not answered.
    pub(crate) queue: VecDeque<(String, Value)>,
    pub(crate) peers: Vec<Arc<FakePeer>>,
    /// The answers to frames: the name of the frame and the whole answer.
    pub(crate) answered: Vec<(String, Value)>,
    pub(crate) mood: Mood,
    pub(crate) tokens: usize,
    pub(crate) old_tokens: usize,
    pub(crate) tickets: usize,
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
        let server = fake.clone();
        fake.transport
            .http
            .route(None, "/", move |request| server.answer(request));
        fake
    }

    pub(crate) fn builder(&self) -> DingTalkBuilder {
        DingTalk::builder()
            .app(APP, SECRET)
            .group_robot("alerts", GroupRobot::new(ROBOT_TOKEN).signed(ROBOT_SECRET))
            .transport(self.transport.transport())
    }

    /// A channel that receives by signed requests.
    pub(crate) fn channel(&self) -> DingTalk {
        self.builder().mode(Mode::Webhook).build().unwrap()
    }

    /// A channel that keeps a stream.
    pub(crate) fn linked(&self) -> DingTalk {
        self.builder().build().unwrap()
    }

    /// A channel that keeps a stream and has cards.
    pub(crate) fn carded(&self) -> DingTalk {
        self.builder().card_template(TEMPLATE).build().unwrap()
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

    pub(crate) fn millis(&self) -> u64 {
        let now = self.now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.transport.clock.elapsed()
    }

    pub(crate) fn id(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.next_id += 1;
        state.next_id
    }

    pub(crate) fn mood(&self) -> Mood {
        self.state.lock().unwrap().mood
    }

    pub(crate) fn feels(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// The next call under a path, with its method before it, gets a status and a body.
    pub(crate) fn refuse(&self, call: &'static str, status: u16, body: Value) {
        let row = (call, status, body);
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

    /// A request as DingTalk signs it, now.
    pub(crate) fn request(&self, body: &Value) -> Request<Bytes> {
        let body = Bytes::from(body.to_string());
        signed_at(body, &self.millis().to_string(), SECRET)
    }

    /// Delivers something over the stream; the name of its frame.
    pub(crate) fn push(&self, kind: &str, topic: &str, payload: &Value) -> String {
        let id = format!("m{}", self.id());
        let mut frame = frame(kind, topic, &id, payload);
        if kind == "EVENT" {
            frame["headers"]["eventId"] = json!(format!("ev{id}"));
            frame["headers"]["eventType"] = payload["EventType"].clone();
        }
        let mut state = self.state.lock().unwrap();
        state.queue.push_back((id.clone(), frame.clone()));
        if state.mood != Mood::Deaf
            && let Some(peer) = state.peers.last()
        {
            peer.send_json(&frame);
        }
        id
    }

    pub(crate) fn say(&self, message: &Value) -> String {
        self.push("CALLBACK", MESSAGES, message)
    }

    /// Delivers again what is not answered, as DingTalk does after a while.
    pub(crate) fn redeliver(&self) {
        let state = self.state.lock().unwrap();
        if state.mood != Mood::Deaf
            && let Some(peer) = state.peers.last()
        {
            for (_, frame) in &state.queue {
                peer.send_json(frame);
            }
        }
    }

    /// Says that the present connection is going to be closed, and delivers nothing on it from
    /// then on.
    pub(crate) fn drain(&self) {
        let id = format!("s{}", self.id());
        if let Some(peer) = self.state.lock().unwrap().peers.pop() {
            let reason = json!({"reason": "going away"});
            peer.send_json(&frame("SYSTEM", "disconnect", &id, &reason));
        }
    }

    /// Serves connections for as long as the test runs.
    pub(crate) fn serve(&self) {
        let fake = self.clone();
        tokio::spawn(async move {
            loop {
                let peer = Arc::new(fake.transport.sockets.accept().await);
                let query = peer.request().uri().query().unwrap().to_owned();
                // What has no letter or digit is encoded.
                assert!(query.starts_with("ticket=t%2Fsecret"), "{query}");
                fake.state.lock().unwrap().peers.push(Arc::clone(&peer));
                fake.redeliver();
                tokio::spawn(fake.clone().beat(Arc::clone(&peer)));
                tokio::spawn(fake.clone().serve_one(peer));
            }
        });
    }

    async fn beat(self, peer: Arc<FakePeer>) {
        while !peer.client_is_gone() {
            self.transport.clock.sleep(BEAT).await;
            if self.mood() == Mood::Alive {
                let id = format!("p{}", self.id());
                peer.send_json(&frame("SYSTEM", "ping", &id, &json!({"opaque": id})));
            }
        }
    }

    async fn serve_one(self, peer: Arc<FakePeer>) {
        while let Some(frame) = peer.receive().await {
            match frame {
                Frame::Text(text) => self.heard(&serde_json::from_slice(&text).unwrap()),
                Frame::Ping(payload) if self.mood() != Mood::Mute => {
                    peer.send(Frame::Pong(payload));
                }
                _ => {}
            }
        }
        let mut state = self.state.lock().unwrap();
        state.peers.retain(|known| !Arc::ptr_eq(known, &peer));
    }

    fn heard(&self, answer: &Value) {
        let id = answer["headers"]["messageId"].as_str().unwrap().to_owned();
        assert_eq!(answer["code"], 200);
        assert_eq!(answer["headers"]["contentType"], "application/json");
        let data: Value = serde_json::from_str(answer["data"].as_str().unwrap()).unwrap();
        let mut state = self.state.lock().unwrap();
        if id.starts_with('p') {
            assert_eq!(data, json!({"opaque": id}));
        }
        if data["status"] != "LATER" {
            // Mostly the first.
            if let Some(at) = state.queue.iter().position(|(known, _)| *known == id) {
                state.queue.remove(at);
            }
        }
        state.answered.push((id, data));
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path().to_owned();
        let call = format!("{} {path}", request.method());
        let now = self.millis();
        let mut state = self.state.lock().unwrap();
        if let Some((prefix, status, body)) = &state.down
            && call.starts_with(prefix)
        {
            return refusal(*status, body);
        }
        let wanted = |row: &(&'static str, u16, Value)| call.starts_with(row.0);
        if let Some(at) = state.refusals.iter().position(wanted) {
            let (_, status, body) = state.refusals.remove(at).unwrap();
            return refusal(status, &body);
        }
        let host = request.uri().host().unwrap();
        let fields: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        match call.as_str() {
            "POST /v1.0/oauth2/accessToken" => {
                assert_eq!(host, "api.dingtalk.com");
                if fields["appKey"] != APP || fields["appSecret"] != SECRET {
                    return refusal(400, &json!({"code": "invalidClientIdOrSecret"}));
                }
                state.tokens += 1;
                let token = format!("at-{}", state.tokens);
                return Reply::ok(&json!({"accessToken": token, "expireIn": 7200}));
            }
            "GET /gettoken" => {
                assert_eq!(host, "oapi.dingtalk.com");
                state.old_tokens += 1;
                let token = format!("old-{}", state.old_tokens);
                return Reply::ok(
                    &json!({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": 7200}),
                );
            }
            "POST /v1.0/gateway/connections/open" => {
                assert_eq!(request.headers()["accept"], "application/json");
                if fields["clientId"] != APP || fields["clientSecret"] != SECRET {
                    return refusal(401, &json!({"code": "invalidAuthentication"}));
                }
                state.tickets += 1;
                let ticket = format!("t/secret{}", state.tickets);
                return Reply::ok(
                    &json!({"endpoint": "wss://wss.example/connect", "ticket": ticket}),
                );
            }
            _ => {}
        }
        if path.starts_with("/v1.0/") {
            let token = format!("at-{}", state.tokens);
            let said = request.headers().get("x-acs-dingtalk-access-token");
            if said.is_none_or(|it| it != token.as_str()) {
                return refusal(
                    401,
                    &json!({"code": "InvalidAuthentication", "message": "no"}),
                );
            }
        }
        let mut lose = false;
        let sends = [
            "POST /v1.0/robot/oToMessages",
            "POST /v1.0/robot/groupMessages/send",
            "POST /v1.0/card/instances/createAndDeliver",
            "POST /robot/send",
        ];
        if sends.iter().any(|prefix| call.starts_with(prefix))
            && let Some((calls, failure)) = &mut state.failure
        {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match *failure {
                    Failure::Unauthorized => {
                        return refusal(401, &json!({"code": "InvalidAuthentication"}));
                    }
                    Failure::Blocked => {
                        return refusal(403, &json!({"code": "Forbidden.AccessDenied.X"}));
                    }
                    Failure::RateLimited(wait) => {
                        let body = json!({"code": "Forbidden.AccessDenied.QpsLimitForApi"});
                        let wait = HeaderValue::from(wait.as_secs());
                        return refusal(403, &body).header(http::header::RETRY_AFTER, wait);
                    }
                    Failure::ServerError => {
                        return Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
                    }
                    _ => lose = true,
                }
            }
        }
        let reply = state.act(&call, request, &fields, now);
        if lose {
            return Reply::Sent(HttpErrorKind::Interrupted);
        }
        reply
    }
}

pub(crate) fn refusal(status: u16, body: &Value) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply::json(status, body)
}

/// The signature, written down once more: the fake is not to share the adapter's mistakes.
pub(crate) fn sign(secret: &str, timestamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

pub(crate) fn signed_at(body: Bytes, timestamp: &str, secret: &str) -> Request<Bytes> {
    Request::post("/dingtalk/webhook")
        .header("content-type", "application/json; charset=utf-8")
        .header("timestamp", timestamp)
        .header("sign", sign(secret, timestamp))
        .body(body)
        .unwrap()
}
