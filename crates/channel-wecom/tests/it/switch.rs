//! A small server of the long connection on virtual time.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use channel_testkit::{Failure, FakePeer, FakeTransport, VirtualClock};
use channel_wecom::{WecomAibotLink, WecomAibotLinkBuilder};
use futures_util::future::{BoxFuture, Either, select};
use serde_json::{Value, json};

pub(crate) const BOT: &str = "aibSYNTHETIC1";
pub(crate) const SECRET: &str = "syntheticSECRETcanary0002";

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) file: Option<(String, Bytes)>,
}

#[derive(Default)]
pub(crate) struct State {
    peers: Vec<Arc<FakePeer>>,
    pub(crate) frames: Vec<Value>,
    pub(crate) sent: Vec<Sent>,
    /// The chat of each callback that can be answered.
    pub(crate) callbacks: HashMap<String, String>,
    pub(crate) failure: Option<(usize, Failure)>,
    /// Codes of the next answers to a command.
    pub(crate) refusals: Vec<(&'static str, i64)>,
    /// Answers no ping.
    pub(crate) is_deaf: bool,
    uploads: HashMap<String, (Value, HashMap<u64, String>)>,
    media: HashMap<String, (String, Bytes)>,
    next: u64,
}

/// The server and the seams to it.
#[derive(Clone)]
pub(crate) struct Switch {
    pub(crate) fake: FakeTransport,
    pub(crate) state: Arc<Mutex<State>>,
}

/// What runs beside a test.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap().push(Box::pin(task));
    }

    /// Runs a future with the tasks beside it.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let tasks = poll_fn(|cx| {
            // A task may add others.
            let mut all = std::mem::take(&mut *self.0.lock().unwrap());
            all.retain_mut(|task| task.as_mut().poll(cx).is_pending());
            let mut added = self.0.lock().unwrap();
            if !added.is_empty() {
                cx.waker().wake_by_ref();
            }
            all.append(&mut added);
            *added = all;
            Poll::<()>::Pending
        });
        match select(Box::pin(work), Box::pin(tasks)).await {
            Either::Left((output, _)) => output,
            Either::Right(_) => unreachable!("tasks have no end"),
        }
    }
}

impl Switch {
    pub(crate) fn new(tasks: &Tasks) -> Self {
        Self::on(VirtualClock::new(), tasks)
    }

    pub(crate) fn on(clock: VirtualClock, tasks: &Tasks) -> Self {
        let switch = Self {
            fake: FakeTransport::with(clock, 0),
            state: Arc::default(),
        };
        let (server, more) = (switch.clone(), tasks.clone());
        tasks.spawn(async move {
            loop {
                let peer = Arc::new(server.fake.sockets.accept().await);
                let server = server.clone();
                more.spawn(async move {
                    while let Some(frame) = peer.receive_json().await {
                        server.answer(&peer, frame);
                    }
                });
            }
        });
        switch
    }

    pub(crate) fn builder(&self) -> WecomAibotLinkBuilder {
        WecomAibotLink::builder()
            .bot_id(BOT)
            .secret(SECRET)
            .transport(self.fake.transport())
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sent.clone()
    }

    pub(crate) fn frames(&self, command: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let of = |frame: &&Value| frame["cmd"] == command;
        state.frames.iter().filter(of).cloned().collect()
    }

    pub(crate) fn refuse(&self, command: &'static str, code: i64) {
        self.state.lock().unwrap().refusals.push((command, code));
    }

    /// Somebody writes or presses; the callback's id.
    pub(crate) fn push(&self, command: &str, body: Value) -> String {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let request = format!("callback-{}", state.next);
        let chat = body["chatid"].as_str().or(body["from"]["userid"].as_str());
        let chat = chat.unwrap_or_default().to_owned();
        state.callbacks.insert(request.clone(), chat);
        let frame = json!({"cmd": command, "headers": {"req_id": request}, "body": body});
        state.peers.last().unwrap().send_json(&frame);
        request
    }

    pub(crate) fn raw(&self, text: &str) {
        self.state
            .lock()
            .unwrap()
            .peers
            .last()
            .unwrap()
            .send_text(text);
    }

    pub(crate) fn cut(&self) {
        self.state.lock().unwrap().peers.last().unwrap().cut();
    }

    fn answer(&self, peer: &Arc<FakePeer>, frame: Value) {
        let mut state = self.state.lock().unwrap();
        let command = frame["cmd"].as_str().unwrap().to_owned();
        let request = frame["headers"]["req_id"].as_str().unwrap().to_owned();
        let body = frame["body"].clone();
        state.frames.push(frame);
        let refused = state.refusals.iter().position(|(cmd, _)| *cmd == command);
        let answer = match refused {
            Some(at) => Some((state.refusals.remove(at).1, Value::Null)),
            None => state.act(peer, &command, &request, &body),
        };
        if let Some((code, body)) = answer {
            let mut ack = json!({"headers": {"req_id": request}, "errcode": code, "errmsg": "words with a canary"});
            if !body.is_null() {
                ack["body"] = body;
            }
            peer.send_json(&ack);
        }
    }
}

type Ack = Option<(i64, Value)>;

impl State {
    fn act(&mut self, peer: &Arc<FakePeer>, command: &str, request: &str, body: &Value) -> Ack {
        let ok = Some((0, Value::Null));
        if command == "aibot_subscribe" {
            if body["bot_id"] != BOT || body["secret"] != SECRET {
                return Some((40_058, Value::Null));
            }
            // One connection lives: the one before is told, and closed.
            if let Some(old) = self.peers.last()
                && !old.client_is_gone()
            {
                let event = json!({"msgid": "d1", "aibotid": BOT, "msgtype": "event", "event": {"eventtype": "disconnected_event"}});
                old.send_json(&json!({"cmd": "aibot_event_callback", "headers": {"req_id": "d"}, "body": event}));
                old.close(1000, "");
            }
            self.peers.push(Arc::clone(peer));
            return ok;
        }
        match command {
            "ping" if self.is_deaf => None,
            "aibot_respond_msg" | "aibot_send_msg" => self.send(command, request, body),
            "aibot_upload_media_init" => {
                self.next += 1;
                let id = format!("upload-{}", self.next);
                self.uploads
                    .insert(id.clone(), (body.clone(), HashMap::new()));
                Some((0, json!({"upload_id": id})))
            }
            "aibot_upload_media_chunk" => {
                let upload = self
                    .uploads
                    .get_mut(body["upload_id"].as_str().unwrap())
                    .unwrap();
                let data = body["base64_data"].as_str().unwrap().to_owned();
                upload.1.insert(body["chunk_index"].as_u64().unwrap(), data);
                ok
            }
            "aibot_upload_media_finish" => {
                let (init, chunks) = self
                    .uploads
                    .remove(body["upload_id"].as_str().unwrap())
                    .unwrap();
                let count = init["total_chunks"].as_u64().unwrap();
                let bytes: Vec<u8> = (0..count)
                    .flat_map(|index| decode(&chunks[&index]))
                    .collect();
                assert_eq!(bytes.len() as u64, init["total_size"].as_u64().unwrap());
                self.next += 1;
                let id = format!("media-{}", self.next);
                let name = init["filename"].as_str().unwrap().to_owned();
                self.media.insert(id.clone(), (name, bytes.into()));
                Some((0, json!({"type": "file", "media_id": id, "created_at": 1})))
            }
            _ => ok,
        }
    }

    fn send(&mut self, command: &str, request: &str, body: &Value) -> Ack {
        let mut lost = false;
        if let Some((calls, failure)) = &mut self.failure {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match *failure {
                    Failure::Unauthorized => return Some((40_014, Value::Null)),
                    Failure::Blocked => return Some((60_011, Value::Null)),
                    Failure::ServerError => return Some((-1, Value::Null)),
                    _ => lost = true,
                }
            }
        }
        let kind = body["msgtype"].as_str().unwrap_or_default();
        let chat = if command == "aibot_send_msg" {
            body["chatid"].as_str().unwrap().to_owned()
        } else {
            match self.callbacks.get(request) {
                Some(chat) => chat.clone(),
                None => return Some((846_605, Value::Null)),
            }
        };
        let id = match kind {
            "stream" => body["stream"]["id"].as_str().unwrap(),
            "template_card" => body["template_card"]["task_id"].as_str().unwrap(),
            _ => request,
        };
        let media = body[kind]["media_id"].as_str();
        let file = media.and_then(|id| self.media.get(id).cloned());
        let sent = Sent {
            chat,
            id: id.to_owned(),
            body: body.clone(),
            file,
        };
        match self
            .sent
            .iter_mut()
            .find(|known| kind == "stream" && known.id == sent.id)
        {
            Some(known) => *known = sent,
            None => self.sent.push(sent),
        }
        (!lost).then_some((0, Value::Null))
    }
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

impl Sent {
    pub(crate) fn markdown(&self) -> &str {
        let kind = self.body["msgtype"].as_str().unwrap();
        self.body[kind]["content"].as_str().unwrap_or_default()
    }
}
