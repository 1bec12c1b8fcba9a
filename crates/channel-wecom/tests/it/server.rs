//! A small WeCom on virtual time: tokens, messages, files, cards.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use channel_core::HttpErrorKind;
use channel_testkit::{Failure, FakeTransport, Recorded, Reply, VirtualClock};
use channel_wecom::{WecomApp, WecomAppBuilder, WecomBot, WecomBotBuilder};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};

use crate::sealing::{CORP, KEY, Platform, TOKEN, Wrap};

pub(crate) const SECRET: &str = "syntheticSECRETcanary0001";
pub(crate) const AGENT: u64 = 1_000_002;
pub(crate) const HOOK: &str =
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=syntheticKEYcanary0001";

/// A message of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) file: Option<(String, Bytes)>,
    pub(crate) code: String,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    pub(crate) media: Vec<(String, String, Bytes)>,
    pub(crate) updates: Vec<Value>,
    /// Fails calls that send, after so many more.
    pub(crate) failure: Option<(usize, Failure)>,
    /// Answers of the next calls under a path, with a code.
    pub(crate) refusals: Vec<(&'static str, i64)>,
    pub(crate) tokens: u64,
    pub(crate) expires_in: Option<u64>,
    /// Tokens up to this one are no longer taken.
    pub(crate) expired: u64,
    next: u64,
}

/// The server and the seams to it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) fake: FakeTransport,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::on(VirtualClock::new())
    }

    pub(crate) fn on(clock: VirtualClock) -> Self {
        let server = Self {
            fake: FakeTransport::with(clock, 0),
            state: Arc::default(),
        };
        let own = server.clone();
        server
            .fake
            .http
            .route(None, "/cgi-bin/", move |request| own.answer(request));
        server
    }

    pub(crate) fn app(&self) -> WecomAppBuilder {
        WecomApp::builder()
            .corp_id(CORP)
            .corp_secret(SECRET)
            .agent_id(AGENT)
            .callback(TOKEN, KEY)
            .transport(self.fake.transport())
    }

    pub(crate) fn bot(&self) -> WecomBotBuilder {
        WecomBot::builder()
            .webhook_url(HOOK)
            .callback(TOKEN, KEY)
            .transport(self.fake.transport())
    }

    pub(crate) fn app_callbacks(&self) -> Platform {
        Platform::new(
            self.fake.clock.clone(),
            "/webhook/wecom-app",
            Wrap::Xml,
            CORP,
        )
    }

    pub(crate) fn bot_callbacks(&self) -> Platform {
        Platform::new(self.fake.clock.clone(), "/webhook/wecom", Wrap::Xml, "")
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.fake.clock.block_on(future)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sent.clone()
    }

    pub(crate) fn refuse(&self, path: &'static str, code: i64) {
        self.state.lock().unwrap().refusals.push((path, code));
    }

    pub(crate) fn calls(&self, path: &str) -> Vec<Recorded> {
        self.fake.http.requests_to(path)
    }

    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let mut state = self.state.lock().unwrap();
        let path = request.uri().path().to_owned();
        let query: Vec<(String, String)> = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let get = |name: &str| {
            let found = query.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        if let Some(at) = state
            .refusals
            .iter()
            .position(|(start, _)| path.starts_with(start))
        {
            let (_, code) = state.refusals.remove(at);
            return Reply::ok(&json!({"errcode": code, "errmsg": "an errmsg with canary words"}));
        }
        if path == "/cgi-bin/gettoken" {
            return state.token(&get("corpid"), &get("corpsecret"));
        }
        let is_webhook = path.starts_with("/cgi-bin/webhook/");
        if is_webhook && !HOOK.ends_with(&get("key")) {
            return Reply::ok(&json!({"errcode": 93000, "errmsg": "invalid webhook url"}));
        }
        if !is_webhook && !path.contains("/aibot/") && !state.takes(&get("access_token")) {
            return Reply::ok(&json!({"errcode": 42001, "errmsg": "access_token expired"}));
        }
        let body = || serde_json::from_slice::<Value>(request.body()).unwrap();
        match path.as_str() {
            "/cgi-bin/agent/get" => match get("agentid").parse() {
                Ok(AGENT) => Reply::ok(&json!({"errcode": 0, "agentid": AGENT, "name": "Kit"})),
                _ => Reply::ok(&json!({"errcode": 301_002, "errmsg": "x"})),
            },
            "/cgi-bin/media/upload" | "/cgi-bin/webhook/upload_media" => {
                let (name, bytes) = form_file(request.body());
                state.next += 1;
                let id = format!("media-{}", state.next);
                state.media.push((id.clone(), name, bytes));
                Reply::ok(&json!({"errcode": 0, "type": "file", "media_id": id}))
            }
            "/cgi-bin/media/get" => {
                let id = get("media_id");
                let found = state
                    .media
                    .iter()
                    .find(|(known, _, _)| id.replace("%2E", ".").replace("%2D", "-") == *known);
                match found {
                    Some((_, _, bytes)) => Reply::bytes(StatusCode::OK, bytes.clone()).header(
                        CONTENT_TYPE,
                        HeaderValue::from_static("application/octet-stream"),
                    ),
                    None => Reply::ok(&json!({"errcode": 40007, "errmsg": "invalid media_id"})),
                }
            }
            "/cgi-bin/message/update_template_card" => {
                let update = body();
                let code = update["response_code"].as_str().unwrap();
                if let Some(sent) = state.sent.iter_mut().find(|sent| sent.code == code)
                    && update["template_card"].is_object()
                {
                    sent.body["template_card"] = update["template_card"].clone();
                }
                state.updates.push(update);
                Reply::ok(&json!({"errcode": 0, "errmsg": "ok"}))
            }
            "/cgi-bin/message/send" | "/cgi-bin/webhook/send" | "/cgi-bin/aibot/response" => {
                let name = request.headers().get("x-request-id");
                let name = name.map(|name| name.to_str().unwrap().to_owned());
                state.send(body(), name)
            }
            _ => Reply::status(StatusCode::NOT_FOUND),
        }
    }
}

impl State {
    fn token(&mut self, corp: &str, secret: &str) -> Reply {
        if let Some((0, Failure::Unauthorized)) = self.failure {
            return Reply::ok(&json!({"errcode": 40001, "errmsg": "invalid credential"}));
        }
        if (corp, secret) != (CORP, SECRET) {
            return Reply::ok(&json!({"errcode": 40001, "errmsg": "invalid credential"}));
        }
        self.tokens += 1;
        let expires_in = self.expires_in.unwrap_or(7200);
        let token = format!("syntheticTOKENcanary{}", self.tokens);
        Reply::ok(&json!({"errcode": 0, "access_token": token, "expires_in": expires_in}))
    }

    fn takes(&self, token: &str) -> bool {
        let number = token.strip_prefix("syntheticTOKENcanary");
        let number: Option<u64> = number.and_then(|number| number.parse().ok());
        number.is_some_and(|number| number > self.expired && number == self.tokens)
            && !matches!(self.failure, Some((0, Failure::Unauthorized)))
    }

    fn send(&mut self, body: Value, name: Option<String>) -> Reply {
        let mut lost = false;
        if let Some((calls, failure)) = &mut self.failure {
            if *calls > 0 {
                *calls -= 1;
            } else {
                match *failure {
                    Failure::Unauthorized => {
                        return Reply::ok(&json!({"errcode": 93000, "errmsg": "x"}));
                    }
                    Failure::Blocked => {
                        return Reply::ok(&json!({"errcode": 60011, "errmsg": "no privilege"}));
                    }
                    Failure::RateLimited(wait) => {
                        let wait = HeaderValue::from(wait.as_secs());
                        return Reply::status(StatusCode::TOO_MANY_REQUESTS)
                            .header(RETRY_AFTER, wait);
                    }
                    Failure::ServerError => {
                        return Reply::status(StatusCode::INTERNAL_SERVER_ERROR);
                    }
                    _ => lost = true,
                }
            }
        }
        let kind = body["msgtype"].as_str().unwrap_or_default().to_owned();
        let media = body[&kind]["media_id"].as_str().map(str::to_owned);
        let file = media.and_then(|id| {
            let found = self.media.iter().find(|(known, _, _)| *known == id);
            found.map(|(_, name, bytes)| (name.clone(), bytes.clone()))
        });
        if let Some(text) = body["text"]["content"].as_str()
            && text.len() > 2048
        {
            return Reply::ok(&json!({"errcode": 45002, "errmsg": "x"}));
        }
        self.next += 1;
        let id = name.unwrap_or_else(|| format!("msg-{}", self.next));
        self.sent.push(Sent {
            id: id.clone(),
            body,
            file,
            code: format!("RC{}", self.next),
        });
        if lost {
            return Reply::Sent(HttpErrorKind::Interrupted);
        }
        let code = format!("RC{}", self.next);
        Reply::ok(&json!({"errcode": 0, "errmsg": "ok", "msgid": id, "response_code": code}))
    }
}

/// The only file of a form.
fn form_file(body: &[u8]) -> (String, Bytes) {
    let find = |needle: &[u8]| {
        body.windows(needle.len())
            .position(|window| window == needle)
            .unwrap()
    };
    let name = find(b"filename=\"") + 10;
    let name: Vec<u8> = body[name..]
        .iter()
        .copied()
        .take_while(|byte| *byte != b'"')
        .collect();
    let start = find(b"\r\n\r\n") + 4;
    let boundary: Vec<u8> = body
        .iter()
        .copied()
        .take_while(|byte| *byte != b'\r')
        .collect();
    let end = [b"\r\n", boundary.as_slice(), b"--"].concat();
    let end = find(&end);
    let bytes = Bytes::copy_from_slice(&body[start..end]);
    (String::from_utf8(name).unwrap(), bytes)
}

impl Sent {
    /// The words as people see them.
    pub(crate) fn words(&self) -> String {
        if let Some(text) = self.body["text"]["content"].as_str() {
            return text.to_owned();
        }
        let kind = self.body["msgtype"].as_str().unwrap_or_default();
        if let Some(text) = self.body[kind]["content"].as_str() {
            return channel_text::flatten(&channel_text::parse_markdown(text))
                .text()
                .to_owned();
        }
        let mut words = Vec::new();
        texts(&self.body["template_card"], &mut words);
        words.join("\n")
    }

    /// The labels of a card.
    pub(crate) fn labels(&self) -> Vec<String> {
        let card = &self.body["template_card"];
        let lists = [&card["button_list"], &card["checkbox"]["option_list"]];
        let items = lists.into_iter().filter_map(Value::as_array).flatten();
        items
            .map(|item| item["text"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, out)),
        Value::Object(map) => map.values().for_each(|value| texts(value, out)),
        _ => {}
    }
}
