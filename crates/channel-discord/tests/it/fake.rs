//! A small Discord on virtual time: enough of it to deliver and to be written to.

mod calls;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Clock as _, Frame, HttpErrorKind};
use channel_discord::{Discord, DiscordBuilder};
use channel_testkit::{Failure, FakePeer, FakeTransport, Recorded, Reply, VirtualClock};
use ed25519_dalek::{Signer as _, SigningKey};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};

pub(crate) use calls::fields;
use calls::refusal;

pub(crate) use crate::samples::{command, direct, grouped, look, press};

pub(crate) const TOKEN: &str = "synthetic-bot-token.aaaa.bbbbbbbbbbbbbbbbbbbbbbbbbb";
pub(crate) const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
pub(crate) const ME: &str = "9001";
pub(crate) const APP: &str = "9001";
pub(crate) const ADA: &str = "42";
pub(crate) const DIRECT: &str = "700";
pub(crate) const GROUP: &str = "701";
pub(crate) const THREAD: &str = "702";
pub(crate) const GUILD: &str = "900";

/// The key of which `KEY` is the public half.
pub(crate) fn signing_key() -> SigningKey {
    let mut seed = [0; 32];
    for (byte, value) in seed.iter_mut().zip(0..) {
        *byte = value;
    }
    SigningKey::from_bytes(&seed)
}

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) id: String,
    pub(crate) files: Vec<(String, Bytes)>,
    pub(crate) fields: Value,
}

/// A session of the gateway and all that was sent in it.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) frames: Vec<Value>,
    peer: Option<Arc<FakePeer>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    pub(crate) reactions: Vec<(String, String)>,
    pub(crate) typing: usize,
    pub(crate) commands: Vec<String>,
    pub(crate) callbacks: Vec<(String, Value)>,
    pub(crate) notices: usize,
    pub(crate) files: Vec<(String, Bytes)>,
    /// Fails calls that send, after so many more.
    pub(crate) failure: Option<(usize, Failure)>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) identifies: Vec<(Duration, Value)>,
    pub(crate) resumes: Vec<(Duration, Value)>,
    /// The close code with which a greeting is refused.
    pub(crate) refuses: Option<u16>,
    /// Whether sessions are forgotten.
    pub(crate) amnesia: bool,
    /// Whether heartbeats are left unanswered.
    pub(crate) mute: bool,
    /// Whether nothing at all is said, on whatever connection.
    silent: bool,
    /// How long a new connection waits for its greeting.
    pub(crate) pause: Duration,
    /// How often it was asked for an event, and whether that is left without one.
    pub(crate) questions: usize,
    pub(crate) ignorant: bool,
    pub(crate) beats: Vec<(Duration, Value)>,
    pub(crate) handshakes: Vec<String>,
    pub(crate) shards: u32,
    pub(crate) remaining: u32,
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
            state: Arc::new(Mutex::new(State {
                shards: 1,
                remaining: 1000,
                ..State::default()
            })),
        };
        let server = fake.clone();
        fake.transport
            .http
            .route(None, "/api/v10/", move |request| server.answer(request));
        let server = fake.clone();
        fake.transport.http.get("/attachments/", move |request| {
            assert!(!request.headers().contains_key("authorization"));
            let state = server.state.lock().unwrap();
            let path = request.uri().path().rsplit('/').next().unwrap();
            match state.files.iter().find(|(name, _)| name == path) {
                Some((_, bytes)) => Reply::bytes(StatusCode::OK, bytes.clone()),
                None => Reply::status(StatusCode::NOT_FOUND),
            }
        });
        fake
    }

    pub(crate) fn builder(&self) -> DiscordBuilder {
        Discord::builder()
            .bot_token(TOKEN)
            .transport(self.transport.transport())
    }

    pub(crate) fn channel(&self) -> Discord {
        self.builder().build().unwrap()
    }

    /// A channel that serves the interactions endpoint alone.
    pub(crate) fn endpoint(&self) -> Discord {
        self.builder()
            .public_key(KEY)
            .application_id(APP)
            .gateway(false)
            .build()
            .unwrap()
    }

    /// Runs a test on virtual time.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.transport.clock.block_on(future)
    }

    /// Runs a test on virtual time, with a server.
    pub(crate) fn live<F: Future>(&self, test: F) -> F::Output {
        use futures_util::future::{Either, select};
        self.run(async {
            let server = std::pin::pin!(self.clone().serve());
            match select(std::pin::pin!(test), server).await {
                Either::Left((output, _)) => output,
                Either::Right(_) => panic!("the server has ended"),
            }
        })
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.transport.clock.now()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.transport.clock.elapsed()
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub(crate) fn id(&self) -> u64 {
        self.with(State::id)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.with(|state| state.sent.clone())
    }

    pub(crate) fn calls(&self, method: &Method, part: &str) -> Vec<Recorded> {
        let mut calls = self.transport.http.requests();
        calls.retain(|call| call.request.method() == method && call.path().contains(part));
        calls
    }

    /// Signs a body as Discord does, now.
    pub(crate) fn signed(&self, body: impl Into<Bytes>) -> Request<Bytes> {
        let seconds = self.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        signed_at(body.into(), &seconds.to_string())
    }

    /// Sends an event to every session.
    pub(crate) fn dispatch(&self, name: &str, data: Value) {
        self.with(|state| {
            for session in state.sessions.values_mut() {
                session.push(name, &data);
            }
        });
    }

    /// The open connections.
    pub(crate) fn peers(&self) -> Vec<Arc<FakePeer>> {
        self.with(|state| {
            let peers = state.sessions.values().filter_map(|it| it.peer.clone());
            peers.collect()
        })
    }

    /// Says nothing any more while the transport goes on, or again. What is told meanwhile is
    /// kept for the session.
    pub(crate) fn silence(&self, on: bool) {
        self.with(|state| {
            (state.mute, state.silent) = (on, on);
            for session in state.sessions.values_mut() {
                session.peer = None;
            }
        });
    }

    /// Delivers no event any more on the present connections, and answers heartbeats.
    pub(crate) fn withhold(&self) {
        self.with(|state| {
            for session in state.sessions.values_mut() {
                session.peer = None;
            }
        });
    }

    /// Accepts connections for as long as the future runs.
    pub(crate) async fn serve(self) {
        let mut open = futures_util::stream::FuturesUnordered::new();
        loop {
            use futures_util::StreamExt as _;
            let accept = std::pin::pin!(self.transport.sockets.accept());
            if open.is_empty() {
                let peer = accept.await;
                open.push(self.clone().converse(Arc::new(peer)));
                continue;
            }
            match futures_util::future::select(accept, open.next()).await {
                futures_util::future::Either::Left((peer, _)) => {
                    open.push(self.clone().converse(Arc::new(peer)));
                }
                futures_util::future::Either::Right(_) => {}
            }
        }
    }

    async fn converse(self, peer: Arc<FakePeer>) {
        let (silent, pause) = self.with(|state| {
            state.handshakes.push(peer.request().uri().to_string());
            (state.silent, state.pause)
        });
        self.transport.clock.sleep(pause).await;
        if silent {
            peer.gone().await;
            return;
        }
        let hello = json!({"t": null, "s": null, "op": 10, "d": {"heartbeat_interval": 41_250}});
        peer.send_json(&hello);
        let mut name = None;
        while let Some(frame) = peer.receive().await {
            let Frame::Text(bytes) = frame else {
                continue;
            };
            let said: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(bytes.len() <= 4096);
            let now = self.elapsed();
            match said["op"].as_u64().unwrap() {
                1 => {
                    let mute = self.with(|state| {
                        state.beats.push((now, said["d"].clone()));
                        state.mute
                    });
                    if !mute {
                        peer.send_json(&json!({"t": null, "s": null, "op": 11, "d": null}));
                    }
                }
                2 => {
                    assert_eq!(said["d"]["token"], TOKEN);
                    let refuses = self.with(|state| {
                        state.identifies.push((now, said["d"].clone()));
                        state.refuses
                    });
                    if let Some(code) = refuses {
                        peer.close(code, "no");
                        continue;
                    }
                    name = Some(self.with(|state| state.begin(&peer, &said)));
                }
                6 => {
                    assert_eq!(said["d"]["token"], TOKEN);
                    name = self.with(|state| state.resume(&peer, &said, now));
                }
                8 => {
                    assert_eq!(said["d"]["user_ids"], json!([ME]));
                    let chunk = json!({"guild_id": said["d"]["guild_id"], "members": [],
                        "chunk_index": 0, "chunk_count": 1, "nonce": said["d"]["nonce"]});
                    self.with(|state| {
                        state.questions += 1;
                        let session = name.as_ref().and_then(|it| state.sessions.get_mut(it));
                        if let Some(session) = session
                            && !state.ignorant
                        {
                            session.push("GUILD_MEMBERS_CHUNK", &chunk);
                        }
                    });
                }
                op => panic!("opcode {op}"),
            }
        }
        self.with(|state| {
            let session = name.and_then(|name| state.sessions.get_mut(&name));
            if let Some(session) = session
                && session
                    .peer
                    .as_ref()
                    .is_some_and(|known| Arc::ptr_eq(known, &peer))
            {
                session.peer = None;
            }
        });
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path().strip_prefix("/api/v10").unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let by_token = matches!(parts[0], "interactions" | "webhooks");
        let token = request.headers().get("authorization");
        if by_token {
            assert_eq!(token, None);
        } else {
            assert_eq!(token.unwrap(), &format!("Bot {TOKEN}"));
        }
        let agent = request.headers()["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("DiscordBot ("));
        let (fields, files) = fields(request);
        let mut state = self.state.lock().unwrap();
        let sends = *request.method() == Method::POST && parts.last() == Some(&"messages");
        let mut lose = false;
        if sends && let Some((calls, failure)) = &mut state.failure {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match *failure {
                    Failure::Unauthorized => return refusal(401, 0),
                    Failure::Blocked => return refusal(403, 50_007),
                    Failure::RateLimited(wait) => {
                        let body = json!({"message": "x", "retry_after": wait.as_secs_f64(), "global": false});
                        return Reply::json(StatusCode::TOO_MANY_REQUESTS, &body)
                            .header(http::header::VIA, HeaderValue::from_static("1.1 google"));
                    }
                    Failure::ServerError => {
                        return Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
                    }
                    _ => lose = true,
                }
            }
        }
        let result = state.act(request, &parts, fields, files);
        if lose {
            return Reply::Sent(HttpErrorKind::Interrupted);
        }
        match result {
            Ok(Value::Null) => Reply::status(StatusCode::NO_CONTENT),
            Ok(answer) => limited(Reply::ok(&answer)),
            Err((status, code)) => refusal(status, code),
        }
    }
}

/// Says what is left in the bucket of a call.
fn limited(reply: Reply) -> Reply {
    let pairs = [
        ("x-ratelimit-limit", "50"),
        ("x-ratelimit-remaining", "49"),
        ("x-ratelimit-reset-after", "1.000"),
        ("x-ratelimit-bucket", "0123456789abcdef"),
    ];
    pairs.into_iter().fold(reply, |reply, (name, value)| {
        reply.header(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    })
}

impl Session {
    pub(crate) fn push(&mut self, name: &str, data: &Value) {
        let seq = self.frames.len() + 1;
        let frame = json!({"t": name, "s": seq, "op": 0, "d": data});
        if let Some(peer) = &self.peer {
            peer.send_json(&frame);
        }
        self.frames.push(frame);
    }
}

impl State {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id + 1_300_000_000_000_000_000
    }

    fn begin(&mut self, peer: &Arc<FakePeer>, _said: &Value) -> String {
        let name = format!("session-{}", self.id());
        let mut session = Session {
            peer: Some(Arc::clone(peer)),
            frames: Vec::new(),
        };
        let ready = json!({
            "v": 10, "session_id": name, "resume_gateway_url": "wss://resume.discord.example",
            "user": {"id": ME, "username": "kitbot", "bot": true}, "application": {"id": APP, "flags": 0},
            "guilds": [{"id": GUILD, "unavailable": true}],
        });
        session.push("READY", &ready);
        session.push("GUILD_CREATE", &json!({"id": GUILD, "name": "Kit"}));
        self.sessions.insert(name.clone(), session);
        name
    }

    fn resume(&mut self, peer: &Arc<FakePeer>, said: &Value, now: Duration) -> Option<String> {
        self.resumes.push((now, said["d"].clone()));
        let name = said["d"]["session_id"].as_str().unwrap().to_owned();
        let seq = usize::try_from(said["d"]["seq"].as_u64().unwrap()).unwrap();
        let session = self.sessions.get_mut(&name).filter(|_| !self.amnesia);
        let Some(session) = session else {
            peer.send_json(&json!({"t": null, "s": null, "op": 9, "d": false}));
            return None;
        };
        session.peer = Some(Arc::clone(peer));
        for frame in session.frames.iter().skip(seq) {
            peer.send_json(frame);
        }
        session.push("RESUMED", &json!({}));
        Some(name)
    }
}

pub(crate) fn signature(timestamp: &str, body: &[u8]) -> String {
    let signed = [timestamp.as_bytes(), body].concat();
    hex::encode(signing_key().sign(&signed).to_bytes())
}

pub(crate) fn signed_at(body: Bytes, timestamp: &str) -> Request<Bytes> {
    Request::post("/discord/interactions")
        .header("content-type", "application/json")
        .header("x-signature-timestamp", timestamp)
        .header("x-signature-ed25519", signature(timestamp, &body))
        .body(body)
        .unwrap()
}
