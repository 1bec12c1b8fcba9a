//! End to end over real connections, against the emulator that discord.py and discord.js
//! certify.

use std::collections::BTreeMap;
use std::time::Duration;

use channel_core::{
    Button, Card, Channel, Choice, CommandInfo, Connection, ErrorKind, Event, EventKind,
    Events as _, Message, OutboundMessage, Received, Target, Upload,
};
use channel_discord::{Discord, DiscordBuilder};
use channel_emulator::discord::{
    Ask, Discord as Emulator, DiscordConfig, DiscordServer, Fault, MessageView, Mute, NewBot,
    NewGuild, Post,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::json;

const TOKEN: &str = "synthetic.discord.token";
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    server: DiscordServer,
    bot: u64,
    ada: u64,
    direct: u64,
    guild: u64,
    general: u64,
}

impl World {
    async fn new() -> Self {
        Self::with(DiscordConfig::default()).await
    }

    async fn with(config: DiscordConfig) -> Self {
        let server = Emulator::start(config).await.unwrap();
        let bot = server.add_bot(&NewBot::new(TOKEN, "kitbot")).unwrap();
        let ada = server.user("Ada");
        let (guild, general) = server.guild(&NewGuild::new("Kit", &[bot], &[ada])).unwrap();
        let direct = server.direct(bot, ada).unwrap();
        Self {
            server,
            bot,
            ada,
            direct,
            guild,
            general,
        }
    }

    fn builder(&self) -> DiscordBuilder {
        Discord::builder()
            .bot_token(TOKEN)
            .api_base(self.server.api_base())
    }

    fn channel(&self) -> Discord {
        self.builder().build().unwrap()
    }

    fn last(&self, channel: u64) -> MessageView {
        self.server.history(channel).pop().unwrap()
    }

    fn to(&self, channel: u64, text: &str) -> OutboundMessage {
        OutboundMessage::new(Target::chat(channel.to_string()), text)
    }
}

struct Inbox(BoxStream<'static, channel_core::Result<Received>>);

impl Inbox {
    async fn open(channel: &Discord) -> Self {
        let mut inbox = Self(channel.events());
        loop {
            if let EventKind::Connection(news) = inbox.any().await.kind {
                assert_eq!(news, Connection::Ready);
                return inbox;
            }
        }
    }

    async fn any(&mut self) -> Event {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
        let mut received = next.unwrap().unwrap().unwrap();
        let event = received.take().unwrap();
        received.ack().await.unwrap();
        event
    }

    async fn event(&mut self) -> Event {
        loop {
            let event = self.any().await;
            if !matches!(event.kind, EventKind::Connection(_)) {
                return event;
            }
        }
    }

    async fn message(&mut self) -> Message {
        match self.event().await.kind {
            EventKind::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_direct_chat_works_in_both_directions() {
    let world = World::new().await;
    let discord = world.channel();
    let mut inbox = Inbox::open(&discord).await;
    let id = world.server.post(world.direct, world.ada, "hello").unwrap();
    let message = inbox.message().await;
    assert_eq!(
        (message.text.as_str(), message.id.as_str()),
        ("hello", id.to_string().as_str())
    );
    discord
        .as_typing()
        .unwrap()
        .start_typing(&message.return_address.clone().into())
        .await
        .unwrap();
    assert_eq!(world.server.typings().len(), 1);
    let answer = message.reply("*hi* <@1> @everyone");
    let receipt = discord.send(&answer).await.unwrap();
    let shown = world.last(world.direct);
    assert_eq!(shown.reply_to, Some(id));
    assert!(shown.pings.is_empty() && !shown.pings_everyone);
    let at = receipt.first().unwrap();
    let edit = discord.as_edit().unwrap();
    edit.edit(at, &message.reply("changed")).await.unwrap();
    assert_eq!(world.last(world.direct).text, "changed");
    let react = discord.as_react().unwrap();
    react.react(&message.at(), "\u{1f44d}").await.unwrap();
    let mine = |world: &World| world.server.history(world.direct)[0].reactions.len();
    assert_eq!(mine(&world), 1);
    react.unreact(&message.at(), "\u{1f44d}").await.unwrap();
    assert_eq!(mine(&world), 0);
    discord.as_delete().unwrap().delete(at).await.unwrap();
    let gone = discord.as_delete().unwrap().delete(at).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let history = discord.as_history().unwrap();
    let to = Target::chat(world.direct.to_string());
    let read = history.history(&to, None, 10).await.unwrap();
    assert_eq!(
        read.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(),
        ["hello"]
    );
}

#[tokio::test]
async fn mentions_threads_edits_and_reactions_are_heard_in_a_server() {
    let world = World::new().await;
    let discord = world.channel();
    let mut inbox = Inbox::open(&discord).await;
    let mention = format!("<@{}> hi", world.bot);
    let id = world
        .server
        .post(world.general, world.ada, mention.as_str())
        .unwrap();
    let message = inbox.message().await;
    assert_eq!(message.text, "hi");
    assert!(message.addressed.is_to_me());
    let thread = discord.start_thread(&message.at(), "talk").await.unwrap();
    discord
        .send(&OutboundMessage::new(
            Target::chat(thread.clone()),
            "in here",
        ))
        .await
        .unwrap();
    let thread: u64 = thread.as_str().parse().unwrap();
    assert_eq!(world.last(thread).text, "in here");
    world.server.post(thread, world.ada, "there").unwrap();
    let inside = inbox.message().await;
    assert_eq!(inside.chat.id.as_str(), thread.to_string());
    world.server.archive(thread).unwrap();
    discord.send(&inside.reply("still here")).await.unwrap();
    world.server.edit(world.general, id, "hi there").unwrap();
    assert!(matches!(inbox.event().await.kind, EventKind::Edited(it) if it.text == "hi there"));
    world
        .server
        .react(world.general, id, world.ada, "\u{1f525}")
        .unwrap();
    assert!(
        matches!(inbox.event().await.kind, EventKind::Reaction(it) if it.added == ["\u{1f525}"])
    );
    world.server.delete(world.general, id).unwrap();
    assert!(matches!(inbox.event().await.kind, EventKind::Deleted(_)));
    assert_ne!(world.guild, 0);
}

#[tokio::test]
async fn files_go_both_ways() {
    let world = World::new().await;
    let discord = world.channel();
    let mut inbox = Inbox::open(&discord).await;
    let post = Post::text("see").file("a.bin", vec![7_u8; 100_000]);
    world.server.post(world.direct, world.ada, post).unwrap();
    let message = inbox.message().await;
    let media = discord.as_media().unwrap();
    let bytes = media
        .download(&message.attachments[0], 1 << 20)
        .await
        .unwrap();
    assert_eq!(bytes.len(), 100_000);
    let refused = media
        .download(&message.attachments[0], 1000)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let answer = message
        .reply("back")
        .attach(Upload::file("b.bin", bytes))
        .attach(Upload::file("c", "c"));
    discord.send(&answer).await.unwrap();
    let shown = world.last(world.direct);
    let sizes: Vec<_> = shown
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.size))
        .collect();
    assert_eq!(sizes, [("b.bin", 100_000), ("c", 1)]);
}

#[tokio::test]
async fn long_texts_cards_and_streams_are_taken_by_the_platform() {
    let world = World::new().await;
    let discord = world.channel();
    let text = "word *star* `code` ".repeat(400);
    let receipt = discord.send(&world.to(world.direct, &text)).await.unwrap();
    assert!(receipt.messages.len() > 3);
    let card = Card::new("Deploy")
        .text("waits")
        .field("Branch", "main")
        .note("small")
        .choice(Choice::new("Where", [("Staging", "s"), ("Live", "l")]))
        .actions([
            Button::press("Go", "go"),
            Button::open("See", "https://x.example"),
        ]);
    let receipt = discord
        .send(&world.to(world.direct, "").card(card))
        .await
        .unwrap();
    let shown = world.last(world.direct);
    assert_eq!((shown.embeds.len(), shown.components.len()), (1, 2));
    let done = Card::new("Done");
    discord
        .as_cards()
        .unwrap()
        .update_card(receipt.first().unwrap(), &done)
        .await
        .unwrap();
    assert!(world.last(world.direct).components.is_empty());
    let to = Target::chat(world.direct.to_string());
    let mut stream = discord
        .as_stream()
        .unwrap()
        .stream(&to.clone().into())
        .await
        .unwrap();
    stream.show(&"one".into()).await.unwrap();
    stream.show(&"one two".into()).await.unwrap();
    stream
        .finish(OutboundMessage::new(to, "one two three"))
        .await
        .unwrap();
    let shown = world.last(world.direct);
    assert_eq!((shown.text.as_str(), shown.edited), ("one two three", true));
}

#[tokio::test]
async fn an_answer_that_is_lost_doubles_nothing() {
    let world = World::new().await;
    let discord = world.channel();
    let faults = world.server.faults();
    faults.next("POST /channels/{channel}/messages", 1, Fault::LoseAnswer);
    let message = world.to(world.direct, "once").key("key-1");
    let receipt = discord.send(&message).await.unwrap();
    let again = discord.send(&message).await.unwrap();
    assert_eq!(receipt, again);
    assert_eq!(world.server.history(world.direct).len(), 1);
}

#[tokio::test]
async fn limits_of_the_server_are_kept_and_not_run_into() {
    let world = World::new().await;
    let discord = world.channel();
    for number in 0..12 {
        discord
            .send(&world.to(world.direct, &number.to_string()))
            .await
            .unwrap();
    }
    let shown: Vec<_> = world
        .server
        .history(world.direct)
        .into_iter()
        .map(|it| it.text)
        .collect();
    assert_eq!(shown, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(world.server.invalid_requests(), 0, "no call was refused");
    let fault = Fault::TooManyRequests {
        retry_after_ms: 300,
        global: true,
        shared: false,
    };
    world.server.faults().next_any(1, fault);
    discord
        .send(&world.to(world.direct, "after a pause"))
        .await
        .unwrap();
}

#[tokio::test]
async fn events_that_come_twice_or_overtake_each_other_come_once() {
    let world = World::new().await;
    let discord = world.channel();
    let mut inbox = Inbox::open(&discord).await;
    let faults = world.server.faults();
    faults.duplicate_dispatches(1);
    let mut texts = Vec::new();
    for (number, text) in ["twice", "second", "first"].into_iter().enumerate() {
        if number == 1 {
            faults.reorder_dispatches(1);
        }
        world.server.post(world.direct, world.ada, text).unwrap();
        if number != 1 {
            texts.push(inbox.message().await.text);
        }
    }
    texts.push(inbox.message().await.text);
    assert_eq!(texts, ["twice", "first", "second"]);
    world.server.post(world.direct, world.ada, "last").unwrap();
    assert_eq!(inbox.message().await.text, "last");
}

/// Drains, cuts, half-open connections and closes while numbered messages come.
#[tokio::test]
async fn whatever_happens_to_the_connection_every_message_comes_once() {
    let mut config = DiscordConfig::default();
    config.heartbeat = Duration::from_millis(400);
    let world = World::with(config).await;
    for compress in [false, true] {
        let discord = world.builder().compress(compress).build().unwrap();
        let mut inbox = Inbox::open(&discord).await;
        let mut told = 0;
        for fault in 0..6 {
            match fault {
                0 => world.server.reconnect(world.bot),
                1 => world.server.cut(world.bot),
                2 => world.server.close(world.bot, 4008),
                3 => world.server.mute(world.bot, Mute::HalfOpen),
                4 => world.server.ask_for_heartbeat(world.bot),
                _ => world.server.invalidate(world.bot, true),
            };
            for _ in 0..50 {
                world
                    .server
                    .post(world.direct, world.ada, told.to_string().as_str())
                    .unwrap();
                told += 1;
            }
            for number in told - 50..told {
                assert_eq!(
                    inbox.message().await.text,
                    number.to_string(),
                    "fault {fault}"
                );
            }
        }
        let connections = world.server.connections();
        let compressed = connections
            .iter()
            .any(|it| it.compress.as_deref() == Some("zlib-stream"));
        assert_eq!(compressed, compress);
    }
    let identifies = world
        .server
        .connections()
        .into_iter()
        .filter(|it| it.how == Some("identify"));
    assert_eq!(identifies.count(), 2, "one for each channel");
}

#[tokio::test]
async fn a_session_that_is_gone_leaves_a_gap() {
    let world = World::new().await;
    let discord = world.channel();
    let mut inbox = Inbox::open(&discord).await;
    world.server.forget_sessions(world.bot);
    world.server.cut(world.bot);
    world
        .server
        .post(world.direct, world.ada, "missed")
        .unwrap();
    loop {
        if let EventKind::Connection(Connection::Gap { .. }) = inbox.any().await.kind {
            break;
        }
    }
    world.server.post(world.direct, world.ada, "heard").unwrap();
    assert_eq!(inbox.message().await.text, "heard");
}

#[tokio::test]
async fn a_missing_intent_and_a_revoked_token_end_with_the_remedy() {
    let world = World::new().await;
    world.server.privileged(world.bot, 0).unwrap();
    let mut events = world.channel().events();
    let mut fatal = async || loop {
        match tokio::time::timeout(PATIENCE, events.next()).await.unwrap() {
            Some(Err(error)) => return error,
            Some(Ok(_)) => {}
            None => panic!("it ended without a word"),
        }
    };
    let error = fatal().await;
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Config, Some("4014"))
    );
    assert!(error.to_string().contains("Message Content"), "{error}");
    world.server.revoke_token(world.bot).unwrap();
    let error = world.channel().probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn commands_and_presses_are_answered_over_the_gateway() {
    let world = World::new().await;
    let discord = world.channel();
    let mut inbox = Inbox::open(&discord).await;
    let commands = [CommandInfo::new("ask", "Asks")];
    discord
        .as_commands()
        .unwrap()
        .publish_commands(&commands)
        .await
        .unwrap();
    let ask = Ask::Command {
        name: "ask".to_owned(),
        options: BTreeMap::from([("text".to_owned(), json!("why"))]),
    };
    let id = world
        .server
        .ask(world.bot, world.general, world.ada, ask)
        .unwrap();
    let message = inbox.message().await;
    assert_eq!(message.text, "/ask why");
    let row = [Button::press("A", "pick:a"), Button::press("B", "pick:b")];
    let receipt = discord
        .send(&message.reply("because").buttons(row))
        .await
        .unwrap();
    discord.send(&message.reply("and so on")).await.unwrap();
    let view = world.server.interaction(id).unwrap();
    assert_eq!(view.answered, Some(5));
    let shown: u64 = receipt.first().unwrap().id.as_str().parse().unwrap();
    assert_eq!(view.message, Some(shown));
    let ask = Ask::Component {
        message: shown,
        custom_id: "pick:b".to_owned(),
        values: Vec::new(),
    };
    let id = world
        .server
        .ask(world.bot, world.general, world.ada, ask)
        .unwrap();
    let EventKind::Action(action) = inbox.event().await.kind else {
        panic!()
    };
    assert_eq!(action.value, "pick:b");
    discord
        .as_actions()
        .unwrap()
        .answer_action(&action, Some("noted"))
        .await
        .unwrap();
    assert_eq!(world.server.interaction(id).unwrap().answered, Some(6));
    let notice = world.last(world.general);
    assert_eq!(
        (notice.text.as_str(), notice.only_for),
        ("noted", Some(world.ada))
    );
    discord
        .as_edit()
        .unwrap()
        .edit(receipt.first().unwrap(), &message.reply("edited"))
        .await
        .unwrap();
    assert!(
        world
            .server
            .history(world.general)
            .iter()
            .any(|it| it.text == "edited")
    );
}
