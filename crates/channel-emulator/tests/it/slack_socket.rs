//! Socket Mode: tickets, envelopes, acknowledgements and goodbyes.

use std::time::Duration;

use channel_emulator::slack::{Disconnect, NewApp, SlackConfig};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::slack_api::{APP_TOKEN, PATIENCE, SECRET, World, quick};

struct Client(WebSocketStream<TcpStream>);

async fn world(config: SlackConfig) -> World {
    World::with(config, NewApp::new("Kit", SECRET).socket_mode(APP_TOKEN)).await
}

async fn address(world: &World) -> String {
    let bearer = format!("Bearer {APP_TOKEN}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = world
        .send("apps.connections.open", &headers, "")
        .await
        .json();
    assert_eq!(answer["ok"], true, "{answer}");
    answer["url"].as_str().unwrap().to_owned()
}

async fn dial(url: &str) -> Option<Client> {
    let host = url
        .strip_prefix("ws://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let (client, _) = tokio_tungstenite::client_async(url, stream).await.ok()?;
    Some(Client(client))
}

impl Client {
    async fn open(world: &World) -> Self {
        let mut client = dial(&address(world).await).await.unwrap();
        assert_eq!(client.next().await.unwrap()["type"], "hello");
        client
    }

    /// The next frame of JSON; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let read = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).ok(),
                    Some(Ok(Message::Ping(_))) => {}
                    _ => return None,
                }
            }
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    async fn ack(&mut self, envelope: &Value, payload: Option<Value>) {
        let mut frame = json!({"envelope_id": envelope["envelope_id"]});
        if let Some(payload) = payload {
            frame["payload"] = payload;
        }
        self.0.send(frame.to_string().into()).await.unwrap();
    }
}

#[tokio::test]
async fn a_ticket_works_once_and_needs_the_app_level_token() {
    let world = world(quick()).await;
    assert_eq!(
        world.refusal("apps.connections.open", json!({})).await,
        "not_allowed_token_type"
    );
    let url = address(&world).await;
    let mut client = dial(&url).await.unwrap();
    let hello = client.next().await.unwrap();
    assert_eq!(hello["num_connections"], 1);
    assert_eq!(hello["connection_info"]["app_id"], world.app);
    assert!(dial(&url).await.is_none());
    assert_eq!(world.sockets(&world.app), 1);
    drop(client);
    let gone = world.wait_for(PATIENCE, |slack| {
        (slack.sockets(&world.app) == 0).then_some(())
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn an_event_waits_for_a_socket_and_is_acknowledged_once() {
    let world = world(quick()).await;
    world.say(&world.direct, &world.ada, "early").unwrap();
    let mut client = Client::open(&world).await;
    let envelope = client.next().await.unwrap();
    assert_eq!(envelope["type"], "events_api");
    assert_eq!(envelope["payload"]["event"]["text"], "early");
    assert_eq!(
        (
            &envelope["retry_attempt"],
            &envelope["accepts_response_payload"]
        ),
        (&json!(0), &json!(false))
    );
    client.ack(&envelope, None).await;
    let acked = world.wait_for(PATIENCE, |slack| {
        (slack.acknowledged(&world.app) == 1).then_some(())
    });
    acked.await.unwrap();
    assert_eq!(world.pending(&world.app), 0);
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_three_times() {
    let world = world(quick().ack_timeout(Duration::from_millis(30))).await;
    let mut client = Client::open(&world).await;
    world.say(&world.direct, &world.ada, "hello").unwrap();
    let mut envelopes = Vec::new();
    for attempt in 0..4 {
        let envelope = client.next().await.unwrap();
        assert_eq!(envelope["retry_attempt"], attempt);
        envelopes.push(envelope);
    }
    assert_eq!(envelopes[1]["retry_reason"], "timeout");
    assert_eq!(envelopes[0]["payload"], envelopes[3]["payload"]);
    let given_up = world.wait_for(PATIENCE, |slack| slack.deliveries().pop());
    assert_eq!(given_up.await.unwrap().error.as_deref(), Some("timeout"));
}

#[tokio::test]
async fn a_lost_socket_hands_its_envelopes_to_the_next() {
    let world = world(quick()).await;
    let mut first = Client::open(&world).await;
    world.say(&world.direct, &world.ada, "hello").unwrap();
    let envelope = first.next().await.unwrap();
    world.cut_sockets(&world.app);
    assert_eq!(first.next().await, None);
    let mut second = Client::open(&world).await;
    let again = second.next().await.unwrap();
    assert_eq!(again["retry_attempt"], 1);
    assert_eq!(again["payload"], envelope["payload"]);
}

#[tokio::test]
async fn a_refresh_asks_to_leave_before_it_closes() {
    let world = world(quick().refresh_grace(Duration::from_millis(50))).await;
    let mut old = Client::open(&world).await;
    world.disconnect(&world.app, Disconnect::RefreshRequested);
    assert_eq!(old.next().await.unwrap()["reason"], "refresh_requested");
    let mut new = Client::open(&world).await;
    assert_eq!(old.next().await, None);
    world.say(&world.direct, &world.ada, "hello").unwrap();
    assert_eq!(
        new.next().await.unwrap()["payload"]["event"]["text"],
        "hello"
    );
    world.disconnect(&world.app, Disconnect::LinkDisabled);
    assert_eq!(new.next().await.unwrap()["reason"], "link_disabled");
}

#[tokio::test]
async fn each_envelope_goes_to_one_of_ten_sockets() {
    let world = world(quick()).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        // Opening is limited to once a minute.
        world.advance(Duration::from_secs(60));
        clients.push(Client::open(&world).await);
    }
    world.advance(Duration::from_secs(60));
    let mut eleventh = dial(&address(&world).await).await.unwrap();
    assert_eq!(
        eleventh.next().await.unwrap()["reason"],
        "too_many_websockets"
    );
    for text in ["one", "two", "three"] {
        world.say(&world.direct, &world.ada, text).unwrap();
    }
    let mut seen = 0;
    for client in &mut clients {
        if let Ok(Some(Ok(Message::Text(_)))) =
            timeout(Duration::from_millis(50), client.0.next()).await
        {
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn a_command_is_answered_in_its_acknowledgement() {
    let world = world(quick()).await;
    let nobody = world
        .command(&world.app, &world.general, &world.ada, "/kit", "x")
        .unwrap();
    assert_eq!(
        world.settled(nobody).await.error.as_deref(),
        Some("no_connection")
    );
    let mut client = Client::open(&world).await;
    let number = world
        .command(&world.app, &world.general, &world.ada, "/kit", "hey")
        .unwrap();
    let envelope = client.next().await.unwrap();
    assert_eq!(envelope["type"], "slash_commands");
    assert_eq!(envelope["payload"]["command"], "/kit");
    assert_eq!(envelope["accepts_response_payload"], true);
    client.ack(&envelope, Some(json!({"text": "hello"}))).await;
    assert_eq!(world.settled(number).await.answer["text"], "hello");
    assert_eq!(world.ephemerals(&world.general)[0].text, "hello");
}
