//! A small Slack on virtual time: enough of it to deliver and to be written to.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Clock as _, Frame, HttpErrorKind};
use channel_slack::{Slack, SlackBuilder};
use channel_testkit::{Failure, FakePeer, FakeTransport, Recorded, Reply, VirtualClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const TOKEN: &str = "xoxb-synthetic-bot-token-0001";
pub(crate) const APP_TOKEN: &str = "xapp-synthetic-app-token-0001";
pub(crate) const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub(crate) const BOT: &str = "UBOT";
pub(crate) const ADA: &str = "U1";
pub(crate) const DIRECT: &str = "D1";
pub(crate) const GROUP: &str = "C1";
pub(crate) const ROOT: &str = "1700000000.000200";

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) ts: String,
    pub(crate) thread: Option<String>,
    pub(crate) files: Vec<(String, Bytes)>,
    pub(crate) fields: Value,
    /// Whether marks in the text are looked for.
    pub(crate) is_marked: bool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    pub(crate) reactions: Vec<(String, String)>,
    pub(crate) responses: Vec<Value>,
    pub(crate) files: Vec<(String, Bytes)>,
    uploads: Vec<(String, String, Bytes)>,
    /// Fails calls that send, after so many more.
    pub(crate) failure: Option<(usize, Failure)>,
    /// Refuses the next calls of a method with a code.
    pub(crate) refusals: VecDeque<(&'static str, &'static str)>,
    /// Envelopes that are not acknowledged.
    pub(crate) queue: Vec<(String, Value)>,
    pub(crate) peers: Vec<Arc<FakePeer>>,
    pub(crate) acked: Vec<String>,
    /// What each of them was acknowledged with.
    pub(crate) payloads: Vec<Value>,
    next_ts: u64,
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
            .post("/api/", move |request| server.answer(request));
        let server = fake.clone();
        fake.transport
            .http
            .post("/upload/", move |request| server.uploaded(request));
        let server = fake.clone();
        fake.transport.http.post("/actions/", move |request| {
            let mut state = server.state.lock().unwrap();
            state
                .responses
                .push(serde_json::from_slice(request.body()).unwrap());
            Reply::bytes(StatusCode::OK, "ok")
        });
        let server = fake.clone();
        fake.transport.http.get("/files-pri/", move |request| {
            let state = server.state.lock().unwrap();
            let path = request.uri().path().rsplit('/').next().unwrap();
            assert_eq!(
                request.headers()["authorization"],
                format!("Bearer {TOKEN}")
            );
            match state.files.iter().find(|(name, _)| name == path) {
                Some((_, bytes)) => Reply::bytes(StatusCode::OK, bytes.clone()),
                None => Reply::status(StatusCode::NOT_FOUND),
            }
        });
        fake
    }

    pub(crate) fn builder(&self) -> SlackBuilder {
        Slack::builder()
            .bot_token(TOKEN)
            .transport(self.transport.transport())
    }

    /// A channel that receives by webhook.
    pub(crate) fn channel(&self) -> Slack {
        self.builder().signing_secret(SECRET).build().unwrap()
    }

    /// Runs a test on virtual time.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.transport.clock.block_on(future)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.transport.clock.now()
    }

    /// How long the fake has been there.
    pub(crate) fn elapsed(&self) -> Duration {
        self.transport.clock.elapsed()
    }

    pub(crate) fn id(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.next_id += 1;
        state.next_id
    }

    /// The next call of a method is refused.
    pub(crate) fn refuse(&self, method: &'static str, code: &'static str) {
        self.state
            .lock()
            .unwrap()
            .refusals
            .push_back((method, code));
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sent.clone()
    }

    /// The calls of a method.
    pub(crate) fn calls(&self, method: &str) -> Vec<Recorded> {
        let path = format!("/api/{method}");
        let mut calls = self.transport.http.requests();
        calls.retain(|call| call.path() == path);
        calls
    }

    /// The fields of the last call of a method.
    pub(crate) fn last(&self, method: &str) -> Value {
        fields(&self.calls(method).pop().unwrap().request)
    }

    /// Signs a body as Slack does, now.
    pub(crate) fn signed(
        &self,
        path: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Request<Bytes> {
        let seconds = self.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        signed_at(path, content_type, body.into(), &seconds.to_string())
    }

    /// An event request.
    pub(crate) fn event(&self, event: Value) -> Request<Bytes> {
        self.signed(
            "/slack/events",
            "application/json",
            envelope(self.id(), event).to_string(),
        )
    }

    /// A form with a payload.
    pub(crate) fn interaction(&self, payload: Value) -> Request<Bytes> {
        let body = format!("payload={}", percent(&payload.to_string()));
        self.signed(
            "/slack/interactions",
            "application/x-www-form-urlencoded",
            body,
        )
    }

    /// Delivers an envelope over the socket.
    pub(crate) fn push(&self, kind: &str, payload: Value) -> String {
        let envelope = format!("e-{}", self.id());
        let frame = json!({"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api"});
        let mut state = self.state.lock().unwrap();
        state.queue.push((envelope.clone(), frame.clone()));
        if let Some(peer) = state.peers.last() {
            peer.send_json(&frame);
        }
        envelope
    }

    /// Serves sockets for as long as the test runs.
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
        peer.send_json(
            &json!({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}}),
        );
        {
            let mut state = self.state.lock().unwrap();
            for (_, frame) in &state.queue {
                peer.send_json(frame);
            }
            state.peers.push(Arc::clone(&peer));
        }
        while let Some(frame) = peer.receive().await {
            match frame {
                Frame::Text(bytes) => {
                    let ack: Value = serde_json::from_slice(&bytes).unwrap();
                    let id = ack["envelope_id"].as_str().unwrap();
                    let mut state = self.state.lock().unwrap();
                    state.queue.retain(|(known, _)| known != id);
                    state.acked.push(id.to_owned());
                    state.payloads.push(ack["payload"].clone());
                }
                Frame::Ping(payload) => peer.send(Frame::Pong(payload)),
                _ => {}
            }
        }
        let mut state = self.state.lock().unwrap();
        state.peers.retain(|known| !Arc::ptr_eq(known, &peer));
    }

    fn uploaded(&self, request: &Request<Bytes>) -> Reply {
        let id = request.uri().path().rsplit('/').next().unwrap();
        let mut state = self.state.lock().unwrap();
        let upload = state.uploads.iter_mut().find(|(known, ..)| known == id);
        upload.unwrap().2 = request.body().clone();
        Reply::bytes(StatusCode::OK, "OK")
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let method = request
            .uri()
            .path()
            .strip_prefix("/api/")
            .unwrap()
            .to_owned();
        let fields = fields(request);
        let mut state = self.state.lock().unwrap();
        let token = if method == "apps.connections.open" {
            APP_TOKEN
        } else {
            TOKEN
        };
        assert_eq!(
            request.headers()["authorization"],
            format!("Bearer {token}")
        );
        if let Some(at) = state.refusals.iter().position(|row| row.0 == method) {
            let (_, code) = state.refusals.remove(at).unwrap();
            return refusal(code);
        }
        let mut lose = false;
        let sends = matches!(
            &*method,
            "chat.postMessage" | "files.completeUploadExternal"
        );
        if sends && let Some((calls, failure)) = &mut state.failure {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match *failure {
                    Failure::Unauthorized => return refusal("invalid_auth"),
                    Failure::Blocked => return refusal("not_in_channel"),
                    Failure::RateLimited(wait) => {
                        let body = json!({"ok": false, "error": "ratelimited"});
                        let wait = HeaderValue::from(wait.as_secs());
                        return Reply::json(StatusCode::TOO_MANY_REQUESTS, &body)
                            .header(http::header::RETRY_AFTER, wait);
                    }
                    Failure::ServerError => {
                        return Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
                    }
                    _ => lose = true,
                }
            }
        }
        let result = state.act(&method, fields);
        if lose {
            return Reply::Sent(HttpErrorKind::Interrupted);
        }
        match result {
            Ok(mut answer) => {
                answer["ok"] = json!(true);
                Reply::ok(&answer)
            }
            Err(code) => refusal(code),
        }
    }
}

impl State {
    fn act(&mut self, method: &str, fields: Value) -> Result<Value, &'static str> {
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        let chat = text("channel");
        let ts = text("ts").or(text("timestamp"));
        let found = self
            .sent
            .iter()
            .position(|sent| Some(&sent.chat) == chat.as_ref() && Some(&sent.ts) == ts.as_ref());
        match method {
            "auth.test" => Ok(
                json!({"user": "kitbot", "user_id": BOT, "bot_id": "BBOT", "team_id": "T1", "team": "Kit"}),
            ),
            "apps.connections.open" => {
                self.next_id += 1;
                Ok(
                    json!({"url": format!("wss://wss-primary.slack.com/link/?ticket={}", self.next_id)}),
                )
            }
            "conversations.open" => Ok(json!({"channel": {"id": DIRECT}})),
            "chat.postMessage" | "chat.startStream" => {
                let is_marked = fields["mrkdwn"] != json!(false);
                let chat = chat.unwrap();
                let chat = if chat.starts_with('U') {
                    DIRECT.to_owned()
                } else {
                    chat
                };
                Ok(self.make(chat, text("thread_ts"), Vec::new(), fields, is_marked))
            }
            "chat.update" => {
                let sent = &mut self.sent[found.ok_or("message_not_found")?];
                sent.fields = fields;
                sent.is_marked = true;
                Ok(json!({"channel": sent.chat, "ts": sent.ts}))
            }
            "chat.appendStream" | "chat.stopStream" => {
                let sent = &mut self.sent[found.ok_or("message_not_found")?];
                if sent.fields["stopped"] == json!(true) {
                    return Err("message_not_in_streaming_state");
                }
                let more = fields["markdown_text"].as_str().unwrap_or_default();
                let all = format!("{}{more}", sent.fields["markdown_text"].as_str().unwrap());
                sent.fields["markdown_text"] = json!(all);
                sent.fields["stopped"] = json!(method == "chat.stopStream");
                Ok(json!({"channel": sent.chat, "ts": sent.ts}))
            }
            "chat.delete" => {
                self.sent.remove(found.ok_or("message_not_found")?);
                Ok(json!({}))
            }
            "reactions.add" => {
                self.reactions.push((ts.unwrap(), text("name").unwrap()));
                Ok(json!({}))
            }
            "reactions.remove" => {
                let (ts, name) = (ts.unwrap(), text("name").unwrap());
                self.reactions
                    .retain(|row| *row != (ts.clone(), name.clone()));
                Ok(json!({}))
            }
            "files.getUploadURLExternal" => {
                self.next_id += 1;
                let id = format!("F{}", self.next_id);
                self.uploads
                    .push((id.clone(), text("filename").unwrap(), Bytes::new()));
                Ok(
                    json!({"file_id": id, "upload_url": format!("https://files.slack.com/upload/{id}")}),
                )
            }
            "files.completeUploadExternal" => {
                let files: Value = serde_json::from_str(fields["files"].as_str().unwrap()).unwrap();
                let id = files[0]["id"].as_str().unwrap();
                let (_, name, bytes) = self
                    .uploads
                    .iter()
                    .find(|(known, ..)| known == id)
                    .unwrap()
                    .clone();
                let chat = text("channel_id").unwrap();
                let fields = json!({"file": id, "text": ""});
                self.make(chat, text("thread_ts"), vec![(name, bytes)], fields, false);
                Ok(json!({"files": files}))
            }
            "files.info" => {
                let id = text("file").unwrap();
                let sent = self
                    .sent
                    .iter()
                    .find(|sent| sent.fields["file"] == json!(id));
                let sent = sent.ok_or("file_not_found")?;
                let shares = json!({"private": {&sent.chat: [{"ts": sent.ts}]}});
                Ok(json!({"file": {"id": id, "shares": shares}}))
            }
            "conversations.history" | "conversations.replies" => Ok(self.history(method, &fields)),
            "views.open" => Ok(json!({"view": {"id": "V1"}})),
            "chat.scheduleMessage" => Ok(json!({"scheduled_message_id": "Q1"})),
            "chat.postEphemeral"
            | "chat.deleteScheduledMessage"
            | "assistant.threads.setStatus"
            | "views.update"
            | "views.publish"
            | "files.delete" => Ok(json!({"message_ts": "1.1"})),
            _ => Err("unknown_method"),
        }
    }

    fn history(&self, method: &str, fields: &Value) -> Value {
        let is_thread = method == "conversations.replies";
        let latest = fields["latest"].as_str();
        let limit: usize = fields["limit"].as_str().unwrap().parse().unwrap();
        let mut all: Vec<_> = self
            .sent
            .iter()
            .filter(|sent| Some(sent.chat.as_str()) == fields["channel"].as_str())
            .filter(|sent| !is_thread || sent.thread.as_deref() == fields["ts"].as_str())
            .filter(|sent| latest.is_none_or(|latest| sent.ts.as_str() < latest))
            .map(|sent| {
                let mut message = json!({"type": "message", "user": BOT, "bot_id": "BBOT", "ts": sent.ts, "text": sent.fields["text"]});
                if fields["include_all_metadata"] == json!("true") {
                    message["metadata"] = sent.fields["metadata"].clone();
                }
                message
            })
            .collect();
        if !is_thread {
            all.reverse();
        }
        let skip: usize = fields["cursor"]
            .as_str()
            .map_or(0, |cursor| cursor.parse().unwrap());
        let page: Vec<_> = all.iter().skip(skip).take(limit).cloned().collect();
        let next = skip + page.len();
        let more = next < all.len();
        let cursor = if more {
            next.to_string()
        } else {
            String::new()
        };
        json!({"messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}})
    }

    fn make(
        &mut self,
        chat: String,
        thread: Option<String>,
        files: Vec<(String, Bytes)>,
        fields: Value,
        is_marked: bool,
    ) -> Value {
        self.next_ts += 1;
        let ts = format!("1767225600.{:06}", self.next_ts);
        self.sent.push(Sent {
            chat: chat.clone(),
            ts: ts.clone(),
            thread,
            files,
            fields,
            is_marked,
        });
        json!({"channel": chat, "ts": ts})
    }
}

fn refusal(code: &str) -> Reply {
    Reply::ok(&json!({"ok": false, "error": code}))
}

/// The fields of a request, JSON or form.
pub(crate) fn fields(request: &Request<Bytes>) -> Value {
    let content_type = request.headers()["content-type"].to_str().unwrap();
    if content_type.starts_with("application/json") {
        return serde_json::from_slice(request.body()).unwrap();
    }
    let body = std::str::from_utf8(request.body()).unwrap();
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (decode(name), json!(decode(value)))
    });
    Value::Object(pairs.collect())
}

pub(crate) fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The signature of a body.
pub(crate) fn signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) fn signed_at(
    path: &str,
    content_type: &'static str,
    body: Bytes,
    timestamp: &str,
) -> Request<Bytes> {
    let signature = signature(SECRET, timestamp, &body);
    Request::post(path)
        .header("content-type", content_type)
        .header("x-slack-request-timestamp", timestamp)
        .header("x-slack-signature", signature)
        .body(body)
        .unwrap()
}

/// An event as it is delivered.
pub(crate) fn envelope(id: u64, event: Value) -> Value {
    json!({
        "token": "x", "team_id": "T1", "api_app_id": "A1", "type": "event_callback",
        "event_id": format!("Ev{id}"), "event_time": 1_700_000_000,
        "authorizations": [{"enterprise_id": null, "team_id": "T1", "user_id": BOT, "is_bot": true, "is_enterprise_install": false}],
        "event": event,
    })
}

/// A message of Ada's in the direct chat.
pub(crate) fn direct(ts: &str, text: &str) -> Value {
    json!({"type": "message", "channel": DIRECT, "channel_type": "im", "user": ADA,
        "text": escape(text), "ts": ts, "event_ts": ts, "team": "T1"})
}

/// A message of Ada's in a group.
pub(crate) fn grouped(ts: &str, text: &str) -> Value {
    json!({"type": "message", "channel": GROUP, "channel_type": "channel", "user": ADA,
        "text": text, "ts": ts, "event_ts": ts, "team": "T1"})
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
