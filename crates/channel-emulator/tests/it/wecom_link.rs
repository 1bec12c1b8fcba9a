//! WeCom's long connection, in bare frames. The official SDK certifies the rest.

use channel_emulator::wecom::Fault;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::wecom_api::{ADA, LINK, PATIENCE, World};

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(world: &World) -> Self {
        let url = world.server.link_url();
        let address = url.split('/').nth(2).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, _) = tokio_tungstenite::client_async(&url, stream).await.unwrap();
        Self(client)
    }

    async fn subscribed(world: &World) -> Self {
        let mut client = Self::open(world).await;
        let body = json!({"bot_id": LINK, "secret": "link-secret"});
        assert_eq!(
            client.ask("aibot_subscribe", "q1", body).await["errcode"],
            0
        );
        client
    }

    async fn send(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next frame; null at the end of the connection.
    async fn next(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            _ => Value::Null,
        }
    }

    async fn ask(&mut self, command: &str, request: &str, body: Value) -> Value {
        let frame = json!({"cmd": command, "headers": {"req_id": request}, "body": body});
        self.send(frame.to_string()).await;
        self.next().await
    }
}

#[tokio::test]
async fn nothing_is_done_before_the_subscription() {
    let world = World::new().await;
    let mut client = Client::open(&world).await;
    let ack = client.ask("ping", "q0", Value::Null).await;
    assert_eq!(
        (&ack["errcode"], &ack["headers"]["req_id"]),
        (&json!(846_609), &json!("q0"))
    );
    assert_eq!(ack["cmd"], Value::Null);
    let wrong = json!({"bot_id": LINK, "secret": "nonsense"});
    assert_eq!(
        client.ask("aibot_subscribe", "q1", wrong).await["errcode"],
        853_000
    );
    let nobody = json!({"bot_id": "nobody", "secret": "link-secret"});
    assert_eq!(
        client.ask("aibot_subscribe", "q2", nobody).await["errcode"],
        93_019
    );
    assert!(!world.is_connected(LINK));
    let recorded = serde_json::to_string(&world.calls()).unwrap();
    assert!(!recorded.contains("link-secret") && !recorded.contains("nonsense"));
}

#[tokio::test]
async fn the_second_subscription_ends_the_first_connection() {
    let world = World::new().await;
    let mut first = Client::subscribed(&world).await;
    let mut second = Client::subscribed(&world).await;
    let told = first.next().await;
    assert_eq!(told["cmd"], "aibot_event_callback");
    assert_eq!(told["body"]["event"]["eventtype"], "disconnected_event");
    assert_eq!(first.next().await, Value::Null);
    world.say(LINK, ADA, "who hears?").unwrap();
    let heard = second.next().await;
    assert_eq!(heard["body"]["text"]["content"], "who hears?");
}

#[tokio::test]
async fn a_request_can_be_answered_on_its_own_connection_only() {
    let world = World::new().await;
    let mut client = Client::subscribed(&world).await;
    world.say(LINK, ADA, "hello").unwrap();
    let request = client.next().await["headers"]["req_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let stream = |text: &str| json!({"msgtype": "stream", "stream": {"id": "s", "finish": true, "content": text}});
    world.drop_link(LINK);
    assert_eq!(client.next().await, Value::Null);
    let mut client = Client::subscribed(&world).await;
    let late = client
        .ask("aibot_respond_msg", &request, stream("late"))
        .await;
    assert_eq!(late["errcode"], 846_605);
    assert!(world.sent(LINK).is_empty());
}

#[tokio::test]
async fn frames_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let mut client = Client::subscribed(&world).await;
    client.send("{".to_owned()).await;
    assert_eq!(client.next().await["errcode"], 47001);
    client.send("[]".to_owned()).await;
    assert_eq!(client.next().await["errcode"], 40066);
    assert_eq!(
        client.ask("aibot_dance", "q", json!({})).await["errcode"],
        40066
    );
    let index = json!({"upload_id": "nonsense", "chunk_index": -1, "base64_data": "AA=="});
    assert_eq!(
        client.ask("aibot_upload_media_chunk", "q", index).await["errcode"],
        40058
    );
    assert_eq!(client.ask("ping", "q", Value::Null).await["errcode"], 0);
}

#[tokio::test]
async fn commands_can_stay_unanswered() {
    let world = World::new().await;
    let mut client = Client::subscribed(&world).await;
    world.faults().next("ping", 1, Fault::Hang);
    let frame = json!({"cmd": "ping", "headers": {"req_id": "lost"}});
    client.send(frame.to_string()).await;
    let answered = client.ask("ping", "found", Value::Null).await;
    assert_eq!(answered["headers"]["req_id"], "found");
    world.faults().next("ping", 1, Fault::DropBefore);
    assert_eq!(client.ask("ping", "q", Value::Null).await, Value::Null);
    assert!(!world.is_connected(LINK));
}
