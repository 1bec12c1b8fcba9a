//! Feishu over bare HTTP and frames, against the rules of the vendor's documentation.

use std::time::Duration;

use channel_emulator::Clock;
use channel_emulator::feishu::{
    ActionError, Fault, Feishu, FeishuConfig, FeishuServer, NewApp, Post,
};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::line_api::{Answered, Hook, PATIENCE, exchange};

const APP: &str = "cli_0000000000000001";
const SECRET: &str = "synthetic_app_secret_0001";

struct World {
    server: FeishuServer,
    ada: String,
    token: String,
}

impl std::ops::Deref for World {
    type Target = Feishu;

    fn deref(&self) -> &Feishu {
        &self.server
    }
}

impl World {
    async fn new() -> Self {
        Self::with(FeishuConfig::default(), NewApp::default()).await
    }

    async fn with(config: FeishuConfig, app: NewApp) -> Self {
        let config = config.clock(Clock::fixed(Duration::from_secs(1_790_000_000)));
        let server = Feishu::start(config).await.unwrap();
        server.add_app(&app).unwrap();
        let ada = server.user("Ada");
        let mut world = Self {
            server,
            ada,
            token: String::new(),
        };
        world.token = world.fresh_token().await;
        world
    }

    async fn fresh_token(&self) -> String {
        let body = json!({"app_id": APP, "app_secret": SECRET});
        let answer = self
            .post("/open-apis/auth/v3/tenant_access_token/internal", body)
            .await;
        answer.json()["tenant_access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Answered {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token.as_str())];
        exchange(&self.server.api_base(), method, path, &headers, body)
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Answered {
        self.call(Method::POST, path, &body.to_string()).await
    }

    async fn send(&self, kind: &str, content: Value) -> Answered {
        let body = json!({
            "receive_id": self.open_id(APP, &self.ada),
            "msg_type": kind,
            "content": content.to_string(),
        });
        self.post("/open-apis/im/v1/messages?receive_id_type=open_id", body)
            .await
    }

    /// Asks for an address and opens the long connection.
    async fn connect(&self) -> WebSocketStream<TcpStream> {
        let body = json!({"AppID": APP, "AppSecret": SECRET});
        let answer = self.post("/callback/ws/endpoint", body).await.json();
        let url = answer["data"]["URL"].as_str().unwrap().replace(
            "api.line.me",
            self.server.api_base().trim_start_matches("http://"),
        );
        let address = self.server.api_base().replace("http://", "");
        let socket = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
        self.wait_for(PATIENCE, |feishu| {
            (feishu.connections(APP) > 0).then_some(())
        })
        .await
        .unwrap();
        socket
    }

    async fn deliveries_reach(&self, count: usize) {
        self.wait_for(PATIENCE, |feishu| {
            (feishu.deliveries().len() >= count).then_some(())
        })
        .await
        .unwrap();
    }
}

fn code(answer: &Answered) -> i64 {
    answer.json()["code"].as_i64().unwrap()
}

/// The next binary frame.
async fn frame(socket: &mut WebSocketStream<TcpStream>) -> Vec<u8> {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        if let Message::Binary(bytes) = message.unwrap().unwrap() {
            return bytes.to_vec();
        }
    }
}

#[tokio::test]
async fn a_token_lives_two_hours_and_is_renewed_before_it_ends() {
    let world = World::new().await;
    assert_eq!(world.fresh_token().await, world.token);
    world.advance(Duration::from_secs(5300));
    assert_eq!(world.fresh_token().await, world.token);
    world.advance(Duration::from_secs(200));
    let next = world.fresh_token().await;
    assert_ne!(next, world.token);
    assert_eq!(
        code(
            &world
                .send("text", json!({"text": "the old one still works"}))
                .await
        ),
        0
    );
    world.advance(Duration::from_secs(1701));
    assert_eq!(
        code(&world.send("text", json!({"text": "x"})).await),
        99_991_663
    );
}

#[tokio::test]
async fn who_has_no_token_or_no_secret_is_refused() {
    let mut world = World::new().await;
    let wrong = json!({"app_id": APP, "app_secret": "wrong"});
    let path = "/open-apis/auth/v3/tenant_access_token/internal";
    assert_eq!(code(&world.post(path, wrong).await), 10_014);
    world.token = "t-wrong".to_owned();
    let refused = world.send("text", json!({"text": "x"})).await;
    assert_eq!((refused.status, code(&refused)), (400, 99_991_663));
    let headers = [("authorization", "")];
    let base = world.server.api_base();
    let path = "/open-apis/bot/v3/info";
    let bare = exchange(&base, Method::GET, path, &headers, "")
        .await
        .unwrap();
    assert_eq!(code(&bare), 99_991_661);
    let secrets = format!("{:?}", world.calls());
    assert!(!secrets.contains(SECRET) && !secrets.contains("\"wrong\""));
}

#[tokio::test]
async fn limits_of_apps_and_chats_are_kept() {
    let world = World::new().await;
    for _ in 0..5 {
        assert_eq!(code(&world.send("text", json!({"text": "x"})).await), 0);
    }
    assert_eq!(
        code(&world.send("text", json!({"text": "x"})).await),
        230_020
    );
    world.advance(Duration::from_secs(1));
    assert_eq!(code(&world.send("text", json!({"text": "x"})).await), 0);
    let mut refused = None;
    for _ in 0..51 {
        refused = Some(world.call(Method::GET, "/open-apis/bot/v3/info", "").await);
    }
    let refused = refused.unwrap();
    assert_eq!((refused.status, code(&refused)), (400, 99_991_400));
}

#[tokio::test]
async fn a_uuid_is_good_for_an_hour() {
    let world = World::new().await;
    let send = async || {
        let body = json!({
            "receive_id": world.open_id(APP, &world.ada),
            "msg_type": "text",
            "content": "{\"text\":\"x\"}",
            "uuid": "u-1",
        });
        let path = "/open-apis/im/v1/messages?receive_id_type=open_id";
        world.post(path, body).await.json()["data"]["message_id"].clone()
    };
    let first = send().await;
    world.advance(Duration::from_secs(3599));
    assert_eq!(send().await, first);
    world.advance(Duration::from_secs(1));
    assert_ne!(send().await, first);
    assert_eq!(world.sent(APP).len(), 2);
}

#[tokio::test]
async fn a_reply_to_what_is_gone_or_elsewhere_is_refused() {
    let world = World::new().await;
    let reply = async |id: &str| {
        let path = format!("/open-apis/im/v1/messages/{id}/reply");
        let body = json!({"msg_type": "text", "content": "{\"text\":\"x\"}"});
        code(&world.post(&path, body).await)
    };
    let message = world.say(APP, &world.ada, "hi").unwrap();
    assert_eq!(reply(&message).await, 0);
    world.recall(&message).unwrap();
    assert_eq!(reply(&message).await, 230_011);
    assert_eq!(reply("om_none").await, 231_003);
    assert_eq!(reply("omt_1").await, 99_992_354);
    let group = world.group("Others", &[], &[&world.ada]).unwrap();
    let there = world.post_in(&group);
    assert_eq!(reply(&there).await, 230_002);
}

impl World {
    fn post_in(&self, chat: &str) -> String {
        self.server.post(chat, &self.ada, "hello").unwrap()
    }
}

#[tokio::test]
async fn a_topic_group_opens_a_topic_per_message() {
    let world = World::new().await;
    let group = world.topic_group("Topics", &[APP], &[&world.ada]).unwrap();
    let (one, two) = (world.post_in(&group), world.post_in(&group));
    let inside = world
        .server
        .post(&group, &world.ada, Post::from("more").in_thread(&one))
        .unwrap();
    let threads: Vec<_> = world
        .history(&group)
        .into_iter()
        .map(|message| (message.id, message.thread.unwrap()))
        .collect();
    let of = |id: &str| &threads.iter().find(|(one, _)| one == id).unwrap().1;
    assert_ne!(of(&one), of(&two));
    assert_eq!(of(&one), of(&inside));
    let event = world.events(APP).pop().unwrap();
    assert_eq!(event["event"]["message"]["thread_id"], *of(&one));
    assert_eq!(event["event"]["message"]["chat_type"], "group");
}

#[tokio::test]
async fn the_long_connection_answers_pings_and_waits_for_answers() {
    let config = FeishuConfig::default().redelivery(&[Duration::from_millis(20)]);
    let world = World::with(config, NewApp::default()).await;
    let mut socket = world.connect().await;
    let ping = hex::decode("08001000180720002a0c0a0474797065120470696e67").unwrap();
    socket.send(Message::Binary(ping.into())).await.unwrap();
    let pong = frame(&mut socket).await;
    let settings = b"\"PingInterval\":120";
    assert!(pong.windows(settings.len()).any(|part| part == settings));
    world.say(APP, &world.ada, "hi").unwrap();
    let event = frame(&mut socket).await;
    // An answer is the frame itself with another payload: here one that says 500, so that it comes again.
    let answered = |code: &str| {
        let payload = format!("{{\"code\":{code}}}");
        let mut frame = event.clone();
        let at = frame.iter().position(|byte| *byte == 0x42).unwrap();
        frame.truncate(at);
        frame.extend([0x42, u8::try_from(payload.len()).unwrap()]);
        frame.extend(payload.as_bytes());
        Message::Binary(frame.into())
    };
    socket.send(answered("500")).await.unwrap();
    world.deliveries_reach(1).await;
    let again = frame(&mut socket).await;
    assert!(again.len() > 100);
    let statuses: Vec<_> = world.deliveries().iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Some(500)]);
}

#[tokio::test]
async fn an_address_opens_one_connection_and_refusals_say_why() {
    let world = World::new().await;
    let body = json!({"AppID": APP, "AppSecret": "wrong"});
    assert_eq!(code(&world.post("/callback/ws/endpoint", body).await), 514);
    world.disable(APP, true).unwrap();
    let right = json!({"AppID": APP, "AppSecret": SECRET});
    let off = world.post("/callback/ws/endpoint", right.clone()).await;
    assert_eq!(code(&off), 403);
    world.disable(APP, false).unwrap();
    let answer = world.post("/callback/ws/endpoint", right).await.json();
    let path = answer["data"]["URL"].as_str().unwrap();
    let path = path.split_once("api.line.me").unwrap().1;
    world.faults().next(
        "ws_upgrade",
        1,
        Fault::Refuse {
            status: 514,
            code: 1_000_040_350,
            message: "exceed".to_owned(),
        },
    );
    let refused = world.call(Method::GET, path, "").await;
    assert_eq!(refused.headers["handshake-autherrcode"], "1000040350");
    assert_eq!(refused.headers["handshake-status"], "514");
    let used = world.call(Method::GET, path, "").await;
    assert_eq!(used.headers["handshake-status"], "403");
}

#[tokio::test]
async fn webhooks_come_again_until_they_are_taken() {
    let hook = Hook::new(&[500, 503]).await;
    let config = FeishuConfig::default().redelivery(&[Duration::from_millis(10); 4]);
    let app = NewApp::default().webhook(&hook.url(), &hook.url());
    let world = World::with(config, app).await;
    world.say(APP, &world.ada, "hi").unwrap();
    world.deliveries_reach(3).await;
    let bodies = hook.bodies();
    assert_eq!(bodies.len(), 3);
    assert!(
        bodies
            .iter()
            .all(|body| body["header"] == bodies[0]["header"])
    );
    assert_eq!(bodies[0]["header"]["token"], "vt-synthetic-0001");
    let tries: Vec<_> = world
        .deliveries()
        .iter()
        .map(|one| (one.attempt, one.status))
        .collect();
    assert_eq!(tries, [(1, Some(500)), (2, Some(503)), (3, Some(200))]);
}

#[tokio::test]
async fn the_older_form_of_events_has_a_uuid() {
    let mut app = NewApp::default();
    app.v1_events = true;
    let world = World::with(FeishuConfig::default(), app).await;
    world.say(APP, &world.ada, "hi").unwrap();
    let event = world.events(APP).pop().unwrap();
    assert_eq!(event["type"], "event_callback");
    assert_eq!(event["event"]["type"], "im.message.receive_v1");
    assert_eq!(event["uuid"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn cards_have_limits() {
    let world = World::new().await;
    let tables = "| a |\n|---|\n| b |\n\n".repeat(4);
    let card = |content: &str| json!({"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": content}]}});
    let refused = world.send("interactive", card(&tables)).await;
    assert_eq!(code(&refused), 230_099);
    assert!(
        refused.json()["msg"]
            .as_str()
            .unwrap()
            .contains("ErrCode: 11310")
    );
    let long = "x".repeat(31 * 1024);
    assert_eq!(code(&world.send("interactive", card(&long)).await), 230_025);
    let mut exclusive = card("x");
    exclusive["config"] = json!({"update_multi": false});
    assert_eq!(code(&world.send("interactive", exclusive).await), 230_099);
    assert_eq!(code(&world.send("interactive", card("fine")).await), 0);
    let (message, user) = (world.sent(APP).pop().unwrap().id, &world.ada);
    assert_eq!(
        world.press(&message, user, "no such button"),
        Err(ActionError::UnknownAction)
    );
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_the_next_call_works() {
    let world = World::new().await;
    let path = "/open-apis/im/v1/messages?receive_id_type=open_id";
    let deep = "[".repeat(100_000);
    let nested = format!(
        "{{\"receive_id\":\"x\",\"msg_type\":\"post\",\"content\":\"{}\"}}",
        "[".repeat(50_000)
    );
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "{\"receive_id\":1}",
        "\u{feff}{}",
        &deep,
        &nested,
    ] {
        let answer = world.call(Method::POST, path, body).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    let card = json!({"type": "card_json", "data": "{\"schema\":\"2.0\",\"config\":\"x\",\"body\":{\"elements\":[{\"tag\":\"markdown\",\"element_id\":\"md\",\"content\":\"\"}]}}"});
    let made = world.post("/open-apis/cardkit/v1/cards", card).await.json();
    let id = made["data"]["card_id"].as_str().unwrap();
    let path = format!("/open-apis/cardkit/v1/cards/{id}/settings");
    let body = json!({"settings": "{\"config\":{\"streaming_mode\":true}}", "sequence": 1});
    world.call(Method::PATCH, &path, &body.to_string()).await;
    assert_eq!(
        code(&world.send("text", json!({"text": "still here"})).await),
        0
    );
}

#[tokio::test]
async fn a_lost_answer_is_a_call_that_was_made() {
    let world = World::new().await;
    world.faults().next("send", 1, Fault::LoseAnswer);
    let token = format!("Bearer {}", world.token);
    let body = json!({
        "receive_id": world.open_id(APP, &world.ada),
        "msg_type": "text",
        "content": "{\"text\":\"x\"}",
    });
    let answer = exchange(
        &world.server.api_base(),
        Method::POST,
        "/open-apis/im/v1/messages?receive_id_type=open_id",
        &[("authorization", &token)],
        &body.to_string(),
    )
    .await;
    assert!(answer.is_none());
    assert_eq!(world.sent(APP).len(), 1);
}
