//! What a robot is told of what people write, over the stream and by HTTP mode.

use std::time::Duration;

use channel_emulator::dingtalk::{ActionError, Author, Post, Rich, Via};
use http::Method;
use serde_json::{Value, json};

use crate::dingtalk::{ADA, APP, NOW, World, errcode, refusal};
use crate::line_api::{Hook, exchange};

/// What was made for the app last.
fn last(world: &World) -> Value {
    world.events(APP).pop().unwrap()
}

#[tokio::test]
async fn a_message_to_the_robot_alone_names_everything_that_an_answer_needs() {
    let world = World::new().await;
    let id = world.say(APP, ADA, "hi").unwrap();
    let message = last(&world);
    assert_eq!(message["msgId"], json!(id));
    assert_eq!(message["conversationType"], "1");
    assert_eq!(message["msgtype"], "text");
    assert_eq!(message["text"], json!({"content": "hi"}));
    assert_eq!(message["senderStaffId"], ADA);
    assert_eq!(message["senderNick"], "Ada");
    assert_eq!(message["robotCode"], APP);
    assert_eq!(message["chatbotCorpId"], "corp1");
    let now = i64::try_from(NOW * 1000).unwrap();
    assert_eq!(message["createAt"], json!(now));
    let ends = json!(now + 90 * 60 * 1000);
    assert_eq!(message["sessionWebhookExpiredTime"], ends);
    for name in ["senderId", "chatbotUserId"] {
        let id = message[name].as_str().unwrap();
        assert!(id.starts_with("$:LWCP_v1:$"), "{id}");
    }
    for name in ["conversationTitle", "isInAtList", "atUsers"] {
        assert!(message.get(name).is_none(), "{name}");
    }
    let chat = message["conversationId"].as_str().unwrap();
    assert_eq!(world.direct_chat(APP, ADA), chat);
    world.say(APP, ADA, "again").unwrap();
    assert_eq!(last(&world)["conversationId"], json!(chat));
    assert_ne!(last(&world)["sessionWebhook"], message["sessionWebhook"]);
}

#[tokio::test]
async fn in_a_group_the_robot_learns_of_what_mentions_it() {
    let world = World::new().await;
    let group = world.group("Team", &[APP], &[ADA, "staff2"]).unwrap();
    world.post(&group, ADA, "not for the robot").unwrap();
    assert!(world.events(APP).is_empty());
    let id = world.post(&group, ADA, "@Kit ask @Bob please").unwrap();
    let message = last(&world);
    assert_eq!(message["conversationType"], "2");
    assert_eq!(message["conversationTitle"], "Team");
    assert_eq!(message["conversationId"], json!(group));
    assert_eq!(message["isInAtList"], true);
    assert_eq!(message["text"]["content"], " ask @Bob please");
    let at = message["atUsers"].as_array().unwrap();
    assert_eq!(at[0], json!({"dingtalkId": message["chatbotUserId"]}));
    assert_eq!(at[1]["staffId"], "staff2");
    assert_eq!(world.history(&group).len(), 2);
    assert_eq!(world.message(&id).unwrap().mentions, ["staff2"]);
    world.faults().numbers(true);
    world.post(&group, ADA, "@Kit again").unwrap();
    assert_eq!(last(&world)["conversationType"], 2);
}

#[tokio::test]
async fn who_is_outside_has_no_staff_id() {
    let world = World::new().await;
    let eve = world.outsider("Eve");
    let group = world.group("Team", &[APP], &[&eve]).unwrap();
    world.post(&group, &eve, "@Kit hi").unwrap();
    let message = last(&world);
    assert_eq!(message["senderId"], json!(eve));
    assert!(message.get("senderStaffId").is_none());
    let body = json!({
        "robotCode": APP,
        "userIds": [eve],
        "msgKey": "sampleText",
        "msgParam": "{\"content\":\"x\"}",
    });
    let path = "/v1.0/robot/oToMessages/batchSend";
    let answer = world.post_api(path, &body).await;
    assert_eq!(answer["invalidStaffIdList"], json!([eve]));
}

#[tokio::test]
async fn a_reply_shows_what_it_replies_to() {
    let world = World::new().await;
    let first = world.say(APP, ADA, "old").unwrap();
    world
        .say(APP, ADA, Post::from("new").quote(&first))
        .unwrap();
    let message = last(&world);
    assert_eq!(message["originalMsgId"], json!(first));
    assert_eq!(message["text"]["isReplyMsg"], true);
    let replied = &message["text"]["repliedMsg"];
    assert_eq!(replied["msgType"], "text");
    assert_eq!(replied["content"], json!({"text": "old"}));
    assert_eq!(replied["msgId"], json!(first));
    let file = world
        .say(APP, ADA, Post::file("file", "a.pdf", "x"))
        .unwrap();
    world
        .say(APP, ADA, Post::from("this").quote(&file))
        .unwrap();
    let replied = last(&world)["text"]["repliedMsg"].clone();
    assert_eq!(replied["content"], json!({"fileName": "a.pdf"}));
    // A message of the robot is known by its key too.
    let body = json!({
        "robotCode": APP,
        "userIds": [ADA],
        "msgKey": "sampleText",
        "msgParam": "{\"content\":\"mine\"}",
    });
    let path = "/v1.0/robot/oToMessages/batchSend";
    let key = world.post_api(path, &body).await["processQueryKey"].clone();
    let mine = world.sent(APP).pop().unwrap();
    world
        .say(APP, ADA, Post::from("yours").quote(&mine.id))
        .unwrap();
    assert_eq!(last(&world)["originalProcessQueryKey"], key);
    let unknown = world.say(APP, ADA, Post::from("x").quote("none"));
    assert_eq!(unknown, Err(ActionError::UnknownMessage));
}

#[tokio::test]
async fn every_kind_of_message_has_its_content() {
    let world = World::new().await;
    let content = |post: Post| {
        world.say(APP, ADA, post).unwrap();
        let message = last(&world);
        (message["msgtype"].clone(), message["content"].clone())
    };
    let (kind, picture) = content(Post::file("picture", "", "png"));
    assert_eq!(kind, "picture");
    assert!(picture["downloadCode"].is_string());
    let (kind, audio) = content(Post::file("audio", "", "amr"));
    assert_eq!(
        (kind, audio["duration"].clone()),
        (json!("audio"), json!(0))
    );
    let (_, video) = content(Post::file("video", "", "mp4"));
    assert_eq!(video["duration"], "0");
    let (_, file) = content(Post::file("file", "a.pdf", "pdf"));
    assert_eq!(file["fileName"], "a.pdf");
    let parts = vec![
        Rich::Text("a".to_owned()),
        Rich::Picture("png".into()),
        Rich::At("staff2".to_owned()),
    ];
    let (kind, rich) = content(Post::rich(parts));
    assert_eq!(kind, "richText");
    let parts = rich["richText"].as_array().unwrap();
    assert_eq!(parts[0], json!({"text": "a"}));
    assert_eq!(parts[1]["type"], "picture");
    assert_eq!(parts[2]["atUserId"], "staff2");
    let record = json!({"title": "t", "summary": "s", "chatRecord": "[]"});
    let (kind, shown) = content(Post::content("chatRecord", record.clone()));
    assert_eq!((kind, shown), (json!("chatRecord"), record));
    let (_, nothing) = content(Post::content("unknownMsgType", json!({})));
    assert_eq!(nothing, Value::Null);
    let group = world.group("Team", &[APP], &[ADA]).unwrap();
    let file = Post::file("file", "a.pdf", "x").to_robots();
    assert!(world.post(&group, ADA, file).is_err());
    let picture = Post::file("picture", "", "x").to_robots();
    world.post(&group, ADA, picture).unwrap();
    assert_eq!(last(&world)["msgtype"], "picture");
}

#[tokio::test]
async fn a_download_address_works_for_a_while_and_for_the_right_robot() {
    let world = World::new().await;
    world
        .say(APP, ADA, Post::file("file", "a.txt", "the file"))
        .unwrap();
    let code = last(&world)["content"]["downloadCode"].clone();
    let path = "/v1.0/robot/messageFiles/download";
    let body = json!({"robotCode": APP, "downloadCode": code});
    let url = world.post_api(path, &body).await["downloadUrl"].clone();
    let url = world.path(url.as_str().unwrap()).to_owned();
    assert_eq!(&world.get(&url).await.body[..], b"the file");
    let forged = url.replace("Signature=", "Signature=x");
    assert_eq!(world.get(&forged).await.status, 403);
    world.advance(Duration::from_secs(600));
    assert_eq!(world.get(&url).await.status, 403);
    let other = json!({"robotCode": "other", "downloadCode": code});
    let refused = world.send(path, &other).await;
    let auth = "invalidParameter.robotCode.auth".to_owned();
    assert_eq!(refusal(&refused), (400, auth));
    let empty = world.send(path, &json!({"downloadCode": code})).await;
    let code = "invalidParameter.robotCode.empty".to_owned();
    assert_eq!(refusal(&empty), (400, code));
    let none = json!({"robotCode": APP, "downloadCode": "none"});
    assert_eq!(world.send(path, &none).await.status, 400);
}

#[tokio::test]
async fn robots_come_and_go_with_an_event() {
    let world = World::new().await;
    let group = world.group("Team", &[], &[ADA]).unwrap();
    world.set_robot(APP, &group, ADA, true).unwrap();
    assert_eq!(last(&world)["openConversationId"], json!(group));
    world.post(&group, ADA, "@Kit hi").unwrap();
    assert_eq!(last(&world)["msgtype"], "text");
    world.set_robot(APP, &group, ADA, false).unwrap();
    world.post(&group, ADA, "@Kit hi").unwrap();
    assert_eq!(world.events(APP).len(), 3);
}

#[tokio::test]
async fn http_mode_posts_signed_messages_and_takes_an_answer() {
    let world = World::new().await;
    let hook = Robot::new(&[
        r#"{"msgtype":"text","text":{"content":"answer"}}"#,
        "{}",
        "{",
    ])
    .await;
    world.set_webhook(APP, Some(&hook.url)).unwrap();
    let id = world.say(APP, ADA, "hi").unwrap();
    world.deliveries_reach(1).await;
    let (timestamp, sign, body) = hook.received(0);
    assert_eq!(timestamp, (NOW * 1000).to_string());
    // Taken with Python's hmac over the same words.
    assert_eq!(sign, SIGN_OF_NOW);
    assert_eq!(body["msgId"], json!(id));
    let answer = world.sent(APP).pop().unwrap();
    assert_eq!(
        (answer.via, answer.author),
        (Via::Answer, Author::App(APP.to_owned()))
    );
    assert_eq!(answer.content, json!({"content": "answer"}));
    world.faults().wrong_signatures(1);
    world.say(APP, ADA, "forged").unwrap();
    world.deliveries_reach(2).await;
    assert_ne!(hook.received(1).1, SIGN_OF_NOW);
    world.faults().stale_signatures(1);
    world.say(APP, ADA, "stale").unwrap();
    world.deliveries_reach(3).await;
    let stale = (NOW - 61 * 60) * 1000;
    assert_eq!(hook.received(2).0, stale.to_string());
    world.set_webhook(APP, Some("http://127.0.0.1:9/")).unwrap();
    world.say(APP, ADA, "nobody there").unwrap();
    world.deliveries_reach(4).await;
    let errors: Vec<_> = world.deliveries().iter().map(|one| one.error).collect();
    assert_eq!(errors, [None, None, None, Some("could_not_connect")]);
}

#[tokio::test]
async fn a_hook_that_refuses_is_written_down() {
    let world = World::new().await;
    let hook = Hook::new(&[500]).await;
    world.set_webhook(APP, Some(&hook.url())).unwrap();
    world.say(APP, ADA, "hi").unwrap();
    world.deliveries_reach(1).await;
    let delivery = world.deliveries().pop().unwrap();
    assert_eq!(delivery.status, Some(500));
    assert_eq!(delivery.error, Some("refused"));
}

#[tokio::test]
async fn a_session_can_be_answered_for_ninety_minutes() {
    let world = World::new().await;
    world.say(APP, ADA, "hi").unwrap();
    let url = last(&world)["sessionWebhook"].clone();
    let path = world.path(url.as_str().unwrap()).to_owned();
    let text = json!({"msgtype": "text", "text": {"content": "hello"}});
    // Without any token: the address is the credential.
    let base = world.server.api_base();
    let answer = exchange(&base, Method::POST, &path, &[], &text.to_string()).await;
    assert_eq!(errcode(&answer.unwrap()), 0);
    world.advance(Duration::from_secs(90 * 60 - 1));
    assert_eq!(errcode(&world.send(&path, &text).await), 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(errcode(&world.send(&path, &text).await), 300_001);
    let none = "/robot/sendBySession?session=none";
    assert_eq!(errcode(&world.send(none, &text).await), 300_001);
    let sent = world.sent(APP);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].chat, world.direct_chat(APP, ADA));
    assert_eq!(sent[0].key, None);
}

const SIGN_OF_NOW: &str = "1WiBhJHuSmD8o2P32w5NAAxfPp6rx+SCu6iVrwR9UNc=";

/// A robot in HTTP mode that gives these answers, one after the other.
struct Robot {
    url: String,
    _server: channel_emulator::Server,
    received: std::sync::Arc<std::sync::Mutex<Vec<(String, String, Value)>>>,
}

impl Robot {
    async fn new(answers: &[&'static str]) -> Self {
        let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = std::sync::Arc::clone(&received);
        let answers: Vec<&'static str> = answers.to_vec();
        let answer = move |headers: http::HeaderMap, body: bytes::Bytes| async move {
            let header = |name| {
                let value = headers.get(name).map(|value| value.to_str().unwrap());
                value.unwrap_or_default().to_owned()
            };
            let mut notes = notes.lock().unwrap();
            let body = serde_json::from_slice(&body).unwrap();
            notes.push((header("timestamp"), header("sign"), body));
            answers.get(notes.len() - 1).copied().unwrap_or("{}")
        };
        let router = axum::Router::new().fallback(axum::routing::any(answer));
        let server = channel_emulator::Server::start(([127, 0, 0, 1], 0).into(), router)
            .await
            .unwrap();
        Self {
            url: format!("{}/dingtalk/webhook", server.base_url()),
            _server: server,
            received,
        }
    }

    /// Timestamp, signature and body of the n-th post.
    fn received(&self, nth: usize) -> (String, String, Value) {
        self.received.lock().unwrap()[nth].clone()
    }
}
