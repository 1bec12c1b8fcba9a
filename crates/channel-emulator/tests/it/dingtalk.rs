//! A bare client of the emulated DingTalk, and what is true of tokens and of the control API.

use std::time::Duration;

use channel_emulator::Clock;
use channel_emulator::dingtalk::{Dingtalk, DingtalkConfig, DingtalkServer, NewApp};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::line_api::{Answered, PATIENCE, exchange};

pub(crate) const APP: &str = "ding0001";
pub(crate) const SECRET: &str = "appSecret-synthetic-0001";
pub(crate) const ADA: &str = "staff1";
pub(crate) const NOW: u64 = 1_790_000_000;
pub(crate) const MESSAGES: &str = "/v1.0/im/bot/messages/get";
pub(crate) const PRESSES: &str = "/v1.0/card/instances/callback";

/// A platform with one app and the people Ada and Bob.
pub(crate) struct World {
    pub(crate) server: DingtalkServer,
    pub(crate) token: String,
}

impl std::ops::Deref for World {
    type Target = Dingtalk;

    fn deref(&self) -> &Dingtalk {
        &self.server
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(DingtalkConfig::default(), NewApp::default()).await
    }

    pub(crate) async fn with(config: DingtalkConfig, app: NewApp) -> Self {
        let config = config.clock(Clock::fixed(Duration::from_secs(NOW)));
        let server = Dingtalk::start(config).await.unwrap();
        server.add_app(&app).unwrap();
        server.user(ADA, "Ada");
        server.user("staff2", "Bob");
        let mut world = Self {
            server,
            token: String::new(),
        };
        world.token = world.fresh_token().await;
        world
    }

    pub(crate) async fn fresh_token(&self) -> String {
        let body = json!({"appKey": APP, "appSecret": SECRET});
        let answer = self.send("/v1.0/oauth2/accessToken", &body).await.json();
        answer["accessToken"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: &str) -> Answered {
        let headers = [
            ("x-acs-dingtalk-access-token", self.token.as_str()),
            ("accept", "application/json"),
        ];
        exchange(&self.server.api_base(), method, path, &headers, body)
            .await
            .unwrap()
    }

    pub(crate) async fn send(&self, path: &str, body: &Value) -> Answered {
        self.call(Method::POST, path, &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answered {
        self.call(Method::PUT, path, &body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.call(Method::GET, path, "").await
    }

    /// Path and query of an address that the platform has given out.
    pub(crate) fn path<'a>(&self, url: &'a str) -> &'a str {
        url.strip_prefix(&self.server.api_base()).unwrap()
    }

    pub(crate) async fn ticket(&self, topics: &[(&str, &str)]) -> Answered {
        let topics: Vec<Value> = topics
            .iter()
            .map(|(kind, topic)| json!({"type": kind, "topic": topic}))
            .collect();
        let body = json!({"clientId": APP, "clientSecret": SECRET, "subscriptions": topics});
        self.send("/v1.0/gateway/connections/open", &body).await
    }

    /// Dials an endpoint with a ticket; the error is the status of the refusal.
    pub(crate) async fn dial(&self, opened: &Value) -> Result<Stream, u16> {
        let base = self.server.api_base().replace("http://", "");
        let endpoint = opened["endpoint"].as_str().unwrap();
        let endpoint = endpoint.replace("api.line.me", &base);
        let url = format!("{endpoint}?ticket={}", opened["ticket"].as_str().unwrap());
        let socket = TcpStream::connect(base).await.unwrap();
        match tokio_tungstenite::client_async(url, socket).await {
            Ok((socket, _)) => Ok(Stream(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                Err(response.status().as_u16())
            }
            Err(_) => Err(0),
        }
    }

    /// A connection that takes everything, past its greeting.
    pub(crate) async fn connect(&self) -> Stream {
        let topics = [
            ("EVENT", "*"),
            ("CALLBACK", MESSAGES),
            ("CALLBACK", PRESSES),
        ];
        let opened = self.ticket(&topics).await.json();
        let mut stream = self.dial(&opened).await.unwrap();
        for topic in ["CONNECTED", "REGISTERED"] {
            assert_eq!(stream.any().await.unwrap()["headers"]["topic"], topic);
        }
        stream
    }

    pub(crate) async fn deliveries_reach(&self, count: usize) {
        self.wait_for(PATIENCE, |dingtalk| {
            (dingtalk.deliveries().len() >= count).then_some(())
        })
        .await
        .unwrap();
    }
}

/// The client's end of a stream connection.
pub(crate) struct Stream(WebSocketStream<TcpStream>);

impl Stream {
    /// The next frame of any kind; `None` at the end of the connection.
    pub(crate) async fn any(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap();
            match message {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame that is no SYSTEM frame.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let frame = self.any().await?;
            if frame["type"] != "SYSTEM" {
                return Some(frame);
            }
        }
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        let text = frame.to_string();
        // A connection that has ended shows in what comes, or does not.
        let _ = self.0.send(Message::text(text)).await;
    }

    pub(crate) async fn ack(&mut self, frame: &Value, code: u16, data: &Value) {
        let id = &frame["headers"]["messageId"];
        let ack = json!({
            "code": code,
            "headers": {"contentType": "application/json", "messageId": id},
            "message": "OK",
            "data": data.to_string(),
        });
        self.send(&ack).await;
    }

    pub(crate) async fn fine(&mut self, frame: &Value) {
        self.ack(frame, 200, &json!({"response": {"status": "SUCCESS"}}))
            .await;
    }
}

/// The parsed data of a frame.
pub(crate) fn data(frame: &Value) -> Value {
    serde_json::from_str(frame["data"].as_str().unwrap()).unwrap()
}

/// Status and code of a refusal, whose body has to have the platform's form.
pub(crate) fn refusal(answer: &Answered) -> (u16, String) {
    let body = answer.json();
    assert!(body["message"].is_string(), "{body}");
    assert!(body["requestid"].is_string(), "{body}");
    (answer.status, body["code"].as_str().unwrap().to_owned())
}

/// The `errcode` of a legacy endpoint, which always answers with 200.
pub(crate) fn errcode(answer: &Answered) -> i64 {
    assert_eq!(answer.status, 200);
    answer.json()["errcode"].as_i64().unwrap()
}

#[tokio::test]
async fn a_token_is_the_same_until_it_ends_and_on_both_endpoints() {
    let world = World::new().await;
    assert_eq!(world.fresh_token().await, world.token);
    let path = format!("/gettoken?appkey={APP}&appsecret={SECRET}");
    let old = world.get(&path).await;
    assert_eq!(errcode(&old), 0);
    assert_eq!(old.json()["expires_in"], 7200);
    world.advance(Duration::from_secs(7199));
    assert_eq!(world.fresh_token().await, world.token);
    world.advance(Duration::from_secs(1));
    let path = "/v1.0/robot/messageFiles/download";
    let ended = world.send(path, &json!({})).await;
    assert_eq!(refusal(&ended), (401, "InvalidAuthentication".to_owned()));
    assert_ne!(world.fresh_token().await, world.token);
}

#[tokio::test]
async fn wrong_credentials_get_no_token_and_are_not_written_down() {
    let world = World::new().await;
    let wrong = json!({"appKey": APP, "appSecret": "wrong-1"});
    let answer = world.send("/v1.0/oauth2/accessToken", &wrong).await;
    let code = "invalidClientIdOrSecret".to_owned();
    assert_eq!(refusal(&answer), (400, code));
    let path = format!("/gettoken?appkey={APP}&appsecret=wrong-2");
    assert_eq!(errcode(&world.get(&path).await), 40_089);
    world.revoke_tokens(APP).unwrap();
    let refused = world.send("/v1.0/card/instances", &json!({})).await;
    assert_eq!(refused.status, 401);
    world.disable(APP, true).unwrap();
    let right = json!({"appKey": APP, "appSecret": SECRET});
    let answer = world.send("/v1.0/oauth2/accessToken", &right).await;
    assert_eq!(answer.status, 400);
    let seen = format!("{:?}", world.calls());
    for secret in [SECRET, "wrong-1", "wrong-2", world.token.as_str()] {
        assert!(!seen.contains(secret), "{secret} is in the ledger");
    }
    assert_eq!(world.calls().last().unwrap().bot, APP);
}

#[tokio::test]
async fn bodies_that_are_no_json_object_and_unknown_paths_are_refused() {
    let world = World::new().await;
    let path = "/v1.0/robot/groupMessages/send";
    let broken = world.call(Method::POST, path, "{").await;
    let invalid = "invalidParameter.param.invalid".to_owned();
    assert_eq!(refusal(&broken), (400, invalid.clone()));
    let list = world.call(Method::POST, path, "[]").await;
    assert_eq!(refusal(&list), (400, invalid));
    assert_eq!(world.send("/v1.0/unknown", &json!({})).await.status, 404);
    assert_eq!(world.get(path).await.status, 404);
    let headers = [("content-type", "text/plain")];
    let base = world.server.api_base();
    let plain = exchange(&base, Method::POST, "/robot/send", &headers, "{}").await;
    assert_eq!(errcode(&plain.unwrap()), 43_004);
    let large = json!({"x": "x".repeat(2 * 1024 * 1024)});
    assert_eq!(world.send(path, &large).await.status, 413);
}

#[tokio::test]
async fn the_control_api_does_what_the_methods_do() {
    let world = World::new().await;
    let control = async |method, path: &str, body: Value| {
        let path = format!("/_control/dingtalk/{path}");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = world.call(method, &path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        answer.json()
    };
    let app = json!({"client_id": "ding2", "secret": "s", "robot_code": "robot2", "corp": "c2"});
    let made = control(Method::POST, "apps", app).await;
    assert_eq!(made, json!({"app": "ding2", "robot": "robot2"}));
    control(Method::POST, "users", json!({"id": "u9", "name": "Eve"})).await;
    let stranger = control(Method::POST, "users", json!({"name": "Mallory"})).await;
    assert!(stranger["user"].as_str().unwrap().starts_with("$:LWCP"));
    let group = json!({"title": "Team", "apps": ["ding2"], "members": ["u9"]});
    let chat = control(Method::POST, "groups", group).await["chat"].clone();
    let robot = json!({"token": "T", "group": chat});
    let robot = control(Method::POST, "robots", robot).await;
    assert!(robot["url"].as_str().unwrap().ends_with("access_token=T"));
    let say = json!({"action": "post", "app": "ding2", "user": "u9", "post": {"text": "hi"}});
    control(Method::POST, "actions", say).await;
    let events = control(Method::GET, "events?app=ding2", Value::Null).await;
    assert_eq!(events[0]["robotCode"], "robot2");
    assert_eq!(events[0]["chatbotCorpId"], "c2");
    let open = control(Method::GET, "connections?app=ding2", Value::Null).await;
    assert_eq!(open, json!({"open": 0, "pongs": 0, "pending": 1}));
    let fault = json!({"method": "open", "fault": {"fault": "too_many_requests"}});
    control(Method::POST, "faults", fault).await;
    assert_eq!(world.ticket(&[("EVENT", "*")]).await.status, 429);
    assert_eq!(world.ticket(&[("EVENT", "*")]).await.status, 200);
    let calls = control(Method::GET, "calls?method=open", Value::Null).await;
    assert_eq!(calls.as_array().unwrap().len(), 2);
    let path = "/_control/dingtalk/actions";
    let wrong = json!({"action": "press", "card": "none", "user": "u9", "wanted": "x"});
    assert_eq!(world.send(path, &wrong).await.status, 400);
}
