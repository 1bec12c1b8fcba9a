//! End to end over real connections, against the emulator of the workspace, which knows
//! nothing of the adapter.

use std::time::{Duration, Instant};

use channel_core::{
    Body, Button, Channel as _, Connection, Delete as _, Edit as _, Event, EventKind, Events as _,
    Media as _, Message, OutboundMessage, React as _, Result, Stream as _, Target, Upload,
};
use channel_emulator::feishu::{
    Fault, Feishu as Emulator, FeishuConfig, FeishuServer, NewApp, Post,
};
use channel_feishu::Feishu;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::json;

use crate::look::look;

const APP: &str = "cli_0000000000000001";
const SECRET: &str = "synthetic_app_secret_0001";
const PATIENCE: Duration = Duration::from_secs(40);

struct World {
    server: FeishuServer,
    ada: String,
    channel: Feishu,
    stream: BoxStream<'static, Result<channel_core::Received>>,
}

impl World {
    async fn new() -> Self {
        // Answers of the server to lost connections: soon, as tests want it.
        Self::with(FeishuConfig::default().connection(120, 1, 1)).await
    }

    async fn with(config: FeishuConfig) -> Self {
        let server = Emulator::start(config).await.unwrap();
        server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
        let ada = server.user("Ada");
        let builder = Feishu::builder().app(APP, SECRET);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        let stream = channel.events();
        let mut world = Self {
            server,
            ada,
            channel,
            stream,
        };
        assert_eq!(world.news().await, Connection::Ready);
        world
    }

    async fn item(&mut self) -> channel_core::Received {
        let item = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        item.unwrap().unwrap().unwrap()
    }

    async fn news(&mut self) -> Connection {
        loop {
            if let EventKind::Connection(news) = self.item().await.event().unwrap().kind.clone() {
                return news;
            }
        }
    }

    /// The next event, acknowledged.
    async fn next(&mut self) -> Event {
        loop {
            let mut received = self.item().await;
            let event = received.take().unwrap();
            received.ack().await.unwrap();
            if !matches!(event.kind, EventKind::Connection(_)) {
                return event;
            }
        }
    }

    async fn message(&mut self) -> Message {
        let event = self.next().await;
        event.message().unwrap().clone()
    }

    fn chat(&self) -> Target {
        Target::chat(self.server.private_chat(APP, &self.ada))
    }

    fn to_ada(&self, body: impl Into<Body>) -> OutboundMessage {
        OutboundMessage::new(self.chat(), body)
    }

    fn shown(&self) -> Vec<String> {
        let sent = self.server.sent(APP).into_iter().filter(|it| !it.recalled);
        sent.map(|sent| {
            let card = sent.card.as_ref().and_then(|card| self.server.card(card));
            let content = card.map_or(sent.content, |card| card.card);
            look(&sent.kind, &content).0
        })
        .collect()
    }
}

#[tokio::test]
async fn what_people_write_is_answered_where_they_wrote_it() {
    let mut world = World::new().await;
    let id = world.server.say(APP, &world.ada, "hello").unwrap();
    let message = world.message().await;
    assert_eq!(
        (message.text.as_str(), message.id.as_str()),
        ("hello", id.as_str())
    );
    world
        .channel
        .send(&message.reply("echo: hello"))
        .await
        .unwrap();
    let sent = world.server.sent(APP);
    assert_eq!(sent[0].content, json!({"text": "echo: hello"}));
    assert_eq!(sent[0].parent.as_deref(), Some(id.as_str()));
    // Long ones come in pieces, in any order, and twice.
    world.server.faults().reorder_fragments(1);
    world.server.faults().duplicate_events(1);
    let long = "long ".repeat(30_000);
    world.server.say(APP, &world.ada, long.as_str()).unwrap();
    assert_eq!(world.message().await.text.len(), long.len());
}

#[tokio::test]
async fn files_edits_reactions_and_recalls_are_what_people_see() {
    let mut world = World::new().await;
    world
        .server
        .say(APP, &world.ada, Post::file("file", "a.bin", "content"))
        .unwrap();
    let message = world.message().await;
    let bytes = world
        .channel
        .download(&message.attachments[0], 100)
        .await
        .unwrap();
    assert_eq!(
        (bytes.as_ref(), message.attachments[0].name.as_deref()),
        (&b"content"[..], Some("a.bin"))
    );
    let file = world.to_ada("").attach(Upload::file("hello.txt", "hello"));
    world.channel.send(&file).await.unwrap();
    assert_eq!(world.server.sent(APP)[0].kind, "file");

    let at = world
        .channel
        .send(&world.to_ada("before"))
        .await
        .unwrap()
        .messages
        .remove(0);
    world
        .channel
        .edit(&at, &world.to_ada(Body::markdown("**after**")))
        .await
        .unwrap();
    assert_eq!(world.shown()[1], "after");
    world
        .channel
        .react(&message.at(), "\u{1f44d}")
        .await
        .unwrap();
    world
        .channel
        .unreact(&message.at(), "\u{1f44d}")
        .await
        .unwrap();
    world.channel.delete(&at).await.unwrap();
    assert_eq!(world.shown().len(), 1);
}

#[tokio::test]
async fn a_streamed_answer_grows_in_one_card() {
    let world = World::new().await;
    let mut stream = world.channel.stream(&world.chat().into()).await.unwrap();
    for text in ["one", "one two", "one two three"] {
        stream.show(&text.into()).await.unwrap();
        assert_eq!(world.shown(), [text]);
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    stream
        .finish(world.to_ada("one two three four"))
        .await
        .unwrap();
    assert_eq!(world.shown(), ["one two three four"]);
    let cards = world.server.cards(APP);
    assert_eq!(cards.len(), 1);
    assert!(!cards[0].is_streaming());
}

#[tokio::test]
async fn a_press_comes_with_its_value_and_gets_its_notice() {
    let mut world = World::new().await;
    for is_card in [false, true] {
        world.server.faults().card_frames(is_card);
        let buttons = world
            .to_ada("choose")
            .buttons([Button::press("A", "a:1"), Button::press("B", "b:2")]);
        let at = world
            .channel
            .send(&buttons)
            .await
            .unwrap()
            .messages
            .remove(0);
        let token = world.server.press(at.id.as_str(), &world.ada, "B").unwrap();
        let EventKind::Action(action) = world.next().await.kind else {
            panic!("not a press");
        };
        assert_eq!(
            (action.value.as_str(), action.id.as_str()),
            ("b:2", token.as_str())
        );
        use channel_core::Actions as _;
        world
            .channel
            .answer_action(&action, Some("noted"))
            .await
            .unwrap();
        let answer = world.server.wait_for(PATIENCE, |feishu| {
            let press = feishu
                .presses()
                .into_iter()
                .find(|press| press.token == token)?;
            press.answer
        });
        assert_eq!(answer.await.unwrap()["toast"]["content"], "noted");
    }
}

#[tokio::test]
async fn a_lost_answer_a_dead_token_and_a_limit_double_nothing() {
    let world = World::new().await;
    let method = |world: &World| {
        let calls = world.server.calls();
        calls.last().unwrap().method.clone()
    };
    world.channel.send(&world.to_ada("zero")).await.unwrap();
    let send = method(&world);
    for fault in [
        Fault::LoseAnswer,
        Fault::RateLimited,
        Fault::ServerError { status: 502 },
    ] {
        world.server.faults().next(&send, 1, fault);
        world.channel.send(&world.to_ada("one")).await.unwrap();
    }
    world.server.revoke_tokens(APP).unwrap();
    world.channel.send(&world.to_ada("two")).await.unwrap();
    assert_eq!(world.shown(), ["zero", "one", "one", "one", "two"]);
}

#[tokio::test]
async fn connections_that_end_are_back_soon_and_lose_no_event() {
    let mut world = World::new().await;
    for (number, end) in [Emulator::cut, Emulator::drain].into_iter().enumerate() {
        let began = Instant::now();
        end(world.server.feishu(), APP);
        while !matches!(world.news().await, Connection::Ready) {}
        assert!(began.elapsed() < Duration::from_secs(30));
        let words = number.to_string();
        world.server.say(APP, &world.ada, words.as_str()).unwrap();
        assert_eq!(world.message().await.text, words);
    }
}

#[tokio::test]
async fn a_wrong_secret_and_an_unpublished_app_stop_at_once() {
    let server = Emulator::start(FeishuConfig::default()).await.unwrap();
    server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
    let base = server.api_base();
    let wrong = Feishu::builder()
        .app(APP, "wrong")
        .api_base(base.clone())
        .build()
        .unwrap();
    let error = wrong.events().next().await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("copy both from the console"),
        "{error}"
    );
    server.disable(APP, true).unwrap();
    let right = Feishu::builder()
        .app(APP, SECRET)
        .api_base(base)
        .build()
        .unwrap();
    let mut stream = right.events();
    assert!(stream.next().await.unwrap().is_err());
    assert!(stream.next().await.is_none());
    assert!(server.calls().len() < 5, "no retry");
}
