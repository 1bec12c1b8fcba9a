//! A small Bot API on virtual time: enough of it to be polled and written to.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{Clock as _, HttpErrorKind};
use channel_telegram::{Telegram, TelegramBuilder};
use channel_testkit::{Failure, FakeTransport, Recorded, Reply, VirtualClock};
use http::{Request, StatusCode};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "4242:SYNTHETIC-TOKEN_1";
pub(crate) const BOT: i64 = 4242;
pub(crate) const ADA: i64 = 42;

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) chat: i64,
    pub(crate) id: i64,
    pub(crate) thread: Option<i64>,
    pub(crate) text: String,
    pub(crate) files: Vec<(String, Bytes)>,
    pub(crate) fields: Value,
}

#[derive(Default)]
pub(crate) struct State {
    /// Updates that are not confirmed, as they are sent.
    pub(crate) queue: Vec<(i64, String)>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) reactions: Vec<(i64, Vec<String>)>,
    pub(crate) typing: usize,
    pub(crate) answered: usize,
    pub(crate) commands: Vec<String>,
    pub(crate) files: Vec<(String, Bytes)>,
    /// Fails calls that send, after so many more.
    pub(crate) failure: Option<(usize, Failure)>,
    /// Cuts the next answer to a poll.
    pub(crate) cut: bool,
    /// Refuses the next calls of a method with a code, a description and parameters.
    pub(crate) refusals: VecDeque<(&'static str, u16, &'static str, Value)>,
    next_update: i64,
    next_message: i64,
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
        let state = State {
            next_update: 500,
            next_message: 1000,
            ..State::default()
        };
        let fake = Self {
            transport: FakeTransport::with(clock, 0),
            state: Arc::new(Mutex::new(state)),
        };
        let server = fake.clone();
        fake.transport
            .http
            .post("/bot", move |request| server.answer(request));
        let server = fake.clone();
        fake.transport.http.get("/file/bot", move |request| {
            let state = server.state.lock().unwrap();
            let path = request.uri().path().rsplit('/').next().unwrap();
            match state.files.iter().find(|(name, _)| name == path) {
                Some((_, bytes)) => Reply::bytes(StatusCode::OK, bytes.clone()),
                None => Reply::status(StatusCode::NOT_FOUND),
            }
        });
        fake
    }

    pub(crate) fn builder(&self) -> TelegramBuilder {
        Telegram::builder()
            .token(TOKEN)
            .transport(self.transport.transport())
    }

    pub(crate) fn channel(&self) -> Telegram {
        self.builder().build().unwrap()
    }

    /// Runs a test on virtual time.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.transport.clock.block_on(future)
    }

    pub(crate) fn now(&self) -> Duration {
        self.transport.clock.elapsed()
    }

    /// Queues an update; its id is put in.
    pub(crate) fn push(&self, update: Value) -> i64 {
        let mut state = self.state.lock().unwrap();
        let id = state.next_update;
        state.next_update += 1;
        let mut full = json!({"update_id": id});
        full.as_object_mut()
            .unwrap()
            .extend(update.as_object().unwrap().clone());
        state.queue.push((id, full.to_string()));
        id
    }

    /// Queues an update to the letter.
    pub(crate) fn push_raw(&self, rest: &str) -> i64 {
        let mut state = self.state.lock().unwrap();
        let id = state.next_update;
        state.next_update += 1;
        let raw = format!(r#"{{"update_id":{id},{rest}}}"#);
        state.queue.push((id, raw));
        id
    }

    /// Ada writes to the bot.
    pub(crate) fn text(&self, text: &str) -> i64 {
        let id = self.state.lock().unwrap().next_update;
        self.push(json!({"message": private(id, text)}))
    }

    /// The next call of a method is refused.
    pub(crate) fn refuse(&self, method: &'static str, code: u16, description: &'static str) {
        self.refuse_with(method, code, description, json!({}));
    }

    pub(crate) fn refuse_with(
        &self,
        method: &'static str,
        code: u16,
        description: &'static str,
        parameters: Value,
    ) {
        let mut state = self.state.lock().unwrap();
        state
            .refusals
            .push_back((method, code, description, parameters));
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sent.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.text).collect()
    }

    /// The calls of a method.
    pub(crate) fn calls(&self, method: &str) -> Vec<Recorded> {
        let path = format!("/bot{TOKEN}/{method}");
        let mut calls = self.transport.http.requests();
        calls.retain(|call| call.path() == path);
        calls
    }

    /// The fields of the last call of a method.
    pub(crate) fn last(&self, method: &str) -> Value {
        fields(&self.calls(method).pop().unwrap().request).0
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let (fields, files) = fields(request);
        if method == "getUpdates" {
            let fake = self.clone();
            return Reply::later(async move { fake.updates(&fields).await });
        }
        let mut state = self.state.lock().unwrap();
        if let Some(at) = state.refusals.iter().position(|row| row.0 == method) {
            let (_, code, description, parameters) = state.refusals.remove(at).unwrap();
            return refusal(code, description, &parameters);
        }
        let sends =
            method.starts_with("send") && method != "sendChatAction" || method.starts_with("edit");
        let mut lose = false;
        if sends && let Some((calls, failure)) = &mut state.failure {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match failure {
                    Failure::Unauthorized => return refusal(401, "Unauthorized", &json!({})),
                    Failure::Blocked => {
                        let text = "Forbidden: bot was blocked by the user";
                        return refusal(403, text, &json!({}));
                    }
                    Failure::RateLimited(wait) => {
                        let text = "Too Many Requests: retry after 5";
                        return refusal(429, text, &json!({"retry_after": wait.as_secs()}));
                    }
                    Failure::ServerError => {
                        return refusal(500, "Internal Server Error", &json!({}));
                    }
                    _ => lose = true,
                }
            }
        }
        let result = state.act(&method, fields, files);
        if lose {
            return Reply::Sent(HttpErrorKind::Interrupted);
        }
        match result {
            Ok(result) => Reply::ok(&json!({"ok": true, "result": result})),
            Err(description) => refusal(400, description, &json!({})),
        }
    }

    async fn updates(&self, fields: &Value) -> Reply {
        let offset = fields["offset"].as_i64();
        let wait = Duration::from_secs(fields["timeout"].as_u64().unwrap());
        let until = self.now() + wait;
        loop {
            {
                let mut state = self.state.lock().unwrap();
                if let Some(at) = state.refusals.iter().position(|row| row.0 == "getUpdates") {
                    let (_, code, description, parameters) = state.refusals.remove(at).unwrap();
                    return refusal(code, description, &parameters);
                }
                if std::mem::take(&mut state.cut) {
                    return Reply::Sent(HttpErrorKind::Interrupted);
                }
                if let Some(offset) = offset {
                    state.queue.retain(|(id, _)| *id >= offset);
                }
                if !state.queue.is_empty() || self.now() >= until {
                    let limit = usize::try_from(fields["limit"].as_u64().unwrap()).unwrap();
                    let updates: Vec<_> = state
                        .queue
                        .iter()
                        .take(limit)
                        .map(|(_, raw)| raw.as_str())
                        .collect();
                    let body = format!(r#"{{"ok":true,"result":[{}]}}"#, updates.join(","));
                    return Reply::bytes(StatusCode::OK, body);
                }
            }
            self.transport.clock.sleep(Duration::from_millis(100)).await;
        }
    }
}

impl State {
    fn act(
        &mut self,
        method: &str,
        fields: Value,
        files: Vec<(String, Bytes)>,
    ) -> Result<Value, &'static str> {
        let chat = fields["chat_id"].as_i64();
        let named = fields["message_id"].as_i64();
        let found = self
            .sent
            .iter()
            .position(|sent| Some(sent.chat) == chat && Some(sent.id) == named);
        match method {
            "getMe" => {
                Ok(json!({"id": BOT, "is_bot": true, "first_name": "Kit", "username": "kit_bot"}))
            }
            "sendChatAction" => {
                self.typing += 1;
                Ok(json!(true))
            }
            "answerCallbackQuery" => {
                self.answered += 1;
                Ok(json!(true))
            }
            "setMyCommands" => {
                let commands = fields["commands"].as_array().unwrap().iter();
                self.commands = commands
                    .map(|command| command["command"].as_str().unwrap().to_owned())
                    .collect();
                Ok(json!(true))
            }
            "setMessageReaction" => {
                let emoji = fields["reaction"].as_array().unwrap().iter();
                let emoji = emoji
                    .map(|reaction| reaction["emoji"].as_str().unwrap_or("?").to_owned())
                    .collect();
                let id = named.unwrap();
                self.reactions.retain(|(message, _)| *message != id);
                self.reactions.push((id, emoji));
                Ok(json!(true))
            }
            "deleteMessage" => {
                self.sent
                    .remove(found.ok_or("Bad Request: message to delete not found")?);
                Ok(json!(true))
            }
            "editMessageText" => {
                let at = found.ok_or("Bad Request: message to edit not found")?;
                let sent = &mut self.sent[at];
                let text = fields["text"].as_str().unwrap();
                if sent.text == text && fields["reply_markup"].is_null() {
                    return Err("Bad Request: message is not modified: it is the same");
                }
                text.clone_into(&mut sent.text);
                Ok(json!({"message_id": sent.id, "chat": {"id": sent.chat}}))
            }
            "editMessageReplyMarkup" | "editMessageCaption" => Ok(json!(true)),
            "getFile" => {
                let name = fields["file_id"].as_str().unwrap();
                let file = self.files.iter().find(|(known, _)| known == name);
                let (name, bytes) = file.ok_or("Bad Request: wrong file_id")?;
                Ok(json!({
                    "file_id": name, "file_size": bytes.len(), "file_path": format!("documents/{name}"),
                }))
            }
            "sendMediaGroup" => {
                let media: Value = serde_json::from_str(fields["media"].as_str().unwrap()).unwrap();
                let media = media.as_array().unwrap();
                let mut made = Vec::new();
                for (index, item) in media.iter().enumerate() {
                    let text = item["caption"].as_str().unwrap_or_default();
                    let file = files.get(index).cloned();
                    made.push(self.make(chat, text, file.into_iter().collect(), &fields));
                }
                Ok(Value::Array(made))
            }
            "setWebhook" | "deleteWebhook" | "sendMessageDraft" => Ok(json!(true)),
            _ if method.starts_with("send") => {
                let text = fields["text"].as_str().or(fields["caption"].as_str());
                Ok(self.make(chat, text.unwrap_or_default(), files, &fields))
            }
            _ => Err("Bad Request: not in this fake"),
        }
    }

    fn make(
        &mut self,
        chat: Option<i64>,
        text: &str,
        files: Vec<(String, Bytes)>,
        fields: &Value,
    ) -> Value {
        let id = self.next_message;
        self.next_message += 1;
        let chat = chat.unwrap();
        self.sent.push(Sent {
            chat,
            id,
            thread: fields["message_thread_id"].as_i64(),
            text: text.to_owned(),
            files,
            fields: fields.clone(),
        });
        json!({"message_id": id, "date": 1_700_000_000, "chat": {"id": chat, "type": "private"}})
    }
}

fn refusal(code: u16, description: &str, parameters: &Value) -> Reply {
    let body = json!({
        "ok": false, "error_code": code, "description": description, "parameters": parameters,
    });
    Reply::json(StatusCode::from_u16(code).unwrap(), &body)
}

/// The fields of a request, JSON or form, and its files.
fn fields(request: &Request<Bytes>) -> (Value, Vec<(String, Bytes)>) {
    let content_type = request.headers()["content-type"].to_str().unwrap();
    let Some(boundary) = content_type.strip_prefix("multipart/form-data; boundary=") else {
        assert_eq!(content_type, "application/json");
        return (serde_json::from_slice(request.body()).unwrap(), Vec::new());
    };
    let mut fields = json!({});
    let mut files = Vec::new();
    let delimiter = format!("--{boundary}");
    let mut rest = request.body().clone();
    while let Some(at) = find(&rest, delimiter.as_bytes()) {
        let part = rest.split_to(at);
        let _ = rest.split_to(delimiter.len());
        let Some(end) = find(&part, b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&part[..end]).unwrap();
        let value = part.slice(end + 4..part.len() - 2);
        let quoted = |name: &str| {
            let (_, rest) = head.split_once(&format!("{name}=\""))?;
            Some(rest.split('"').next().unwrap().to_owned())
        };
        match quoted("; filename") {
            Some(name) => files.push((name, value)),
            None => {
                let name = quoted("; name").unwrap();
                let text = std::str::from_utf8(&value).unwrap();
                fields[name] = match text.parse::<i64>() {
                    Ok(number) => json!(number),
                    Err(_) => json!(text),
                };
            }
        }
    }
    (fields, files)
}

/// A message of Ada's in the direct chat.
pub(crate) fn private(id: i64, text: &str) -> Value {
    json!({
        "message_id": id, "date": 1_700_000_000,
        "chat": {"id": ADA, "type": "private", "first_name": "Ada"},
        "from": {"id": ADA, "is_bot": false, "first_name": "Ada", "username": "ada_t"},
        "text": text,
    })
}

/// A message of Ada's in a group.
pub(crate) fn grouped(text: &str) -> Value {
    json!({
        "message_id": 9, "date": 1_700_000_001,
        "chat": {"id": -1_001_234_567_890_i64, "type": "supergroup", "title": "Kit"},
        "from": {"id": ADA, "is_bot": false, "first_name": "Ada"},
        "text": text,
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
