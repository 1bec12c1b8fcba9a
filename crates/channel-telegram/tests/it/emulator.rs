//! End to end over real connections, against the emulator of the workspace.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    AllowEveryone, Attachment, Body, Button, Channel, Connection, ErrorKind, Event, EventKind,
    Events as _, MemberState, Message, OutboundMessage, Policy as _, Received, Target, Upload,
};
use channel_emulator::telegram::{
    BotOptions, Fault, FloodLimits, Group, Place, Post, Telegram as Emulator, TelegramConfig,
    TelegramServer,
};
use channel_telegram::{Telegram, TelegramBuilder};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

const TOKEN: &str = "123456:TEST-TOKEN";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const GROUP: i64 = -1_001_234_567_890;

pub(crate) struct World {
    pub(crate) server: TelegramServer,
    pub(crate) bot: i64,
    pub(crate) ada: i64,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(TelegramConfig::default()).await
    }

    async fn with(config: TelegramConfig) -> Self {
        let server = Emulator::start(config).await.unwrap();
        let options = BotOptions::default().topics();
        let bot = server.add_bot_with(TOKEN, "kit_bot", &options).unwrap();
        let ada = server.user_named(42, "Ada", Some("ada_t"));
        Self { server, bot, ada }
    }

    pub(crate) fn builder(&self) -> TelegramBuilder {
        Telegram::builder()
            .token(TOKEN)
            .api_base(self.server.api_base())
            .poll_timeout(Duration::from_secs(2))
    }

    pub(crate) fn channel(&self) -> Telegram {
        self.builder().build().unwrap()
    }

    fn private(&self) -> Place {
        Place::Private {
            bot: self.bot,
            user: self.ada,
        }
    }

    fn to_ada(&self, body: impl Into<Body>) -> OutboundMessage {
        OutboundMessage::new(Target::chat(self.ada), body)
    }

    /// The last message in the direct chat.
    fn last(&self) -> channel_emulator::telegram::MessageView {
        let place = self.private();
        self.server.look(|view| view.history(place)).pop().unwrap()
    }
}

pub(crate) struct Inbox(BoxStream<'static, channel_core::Result<Received>>);

impl Inbox {
    pub(crate) async fn open(channel: &Telegram) -> Self {
        let mut inbox = Self(channel.events());
        assert_eq!(inbox.news().await, Connection::Ready);
        inbox
    }

    async fn item(&mut self) -> Received {
        let next = tokio::time::timeout(PATIENCE, self.0.next());
        next.await.unwrap().unwrap().unwrap()
    }

    async fn news(&mut self) -> Connection {
        let received = self.item().await;
        match &received.event().unwrap().kind {
            EventKind::Connection(news) => news.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The next event, acknowledged.
    async fn event(&mut self) -> Event {
        loop {
            let mut received = self.item().await;
            let event = received.take().unwrap();
            received.ack().await.unwrap();
            if !matches!(event.kind, EventKind::Connection(_)) {
                return event;
            }
        }
    }

    pub(crate) async fn message(&mut self) -> Message {
        match self.event().await.kind {
            EventKind::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn logs_in_and_answers_a_text_in_place() {
    let world = World::new().await;
    let channel = world.channel();
    let identity = channel.probe().await.unwrap();
    assert_eq!(identity.username.as_deref(), Some("kit_bot"));
    assert_eq!(identity.id, world.bot.to_string());
    let mut inbox = Inbox::open(&channel).await;
    let asked = world
        .server
        .private_text(world.bot, world.ada, "hello")
        .unwrap();
    let message = inbox.message().await;
    assert_eq!(
        (message.text.as_str(), message.id.as_i64()),
        ("hello", Some(asked))
    );
    assert!(
        AllowEveryone
            .judge(&Event::new(
                "1".into(),
                "c".into(),
                EventKind::Message(Box::new(message.clone()))
            ))
            .await
            .reason()
            == "everyone"
    );
    let receipt = channel
        .send(&message.reply(Body::markdown("**hi** `there`")))
        .await
        .unwrap();
    let answer = world.last();
    assert_eq!(answer.text.as_deref(), Some("hi there"));
    assert_eq!(answer.reply_to, Some(asked));
    assert_eq!(receipt.messages[0].id.as_i64(), Some(answer.message_id));
    assert_eq!(answer.content["entities"][0]["type"], "bold");

    drop(inbox);
    channel.close().await.unwrap();
    assert!(world.server.updates_pending(world.bot).is_empty());
}

#[tokio::test]
async fn a_picture_comes_in_and_is_downloaded() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let picture = Bytes::from_static(b"\xff\xd8\xff\xe0 a small picture");
    let post = Post::photo(picture.clone()).caption("look");
    world.server.post(world.private(), world.ada, post).unwrap();
    let message = inbox.message().await;
    assert_eq!(message.text, "look");
    let attachment: &Attachment = &message.attachments[0];
    let media = channel.as_media().unwrap();
    assert_eq!(media.download(attachment, 1 << 20).await.unwrap(), picture);
    let error = media.download(attachment, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let post = Post::document("notes.txt", "text/plain", "notes");
    world.server.post(world.private(), world.ada, post).unwrap();
    let message = inbox.message().await;
    assert_eq!(message.attachments[0].name.as_deref(), Some("notes.txt"));
    let bytes = media
        .download(&message.attachments[0], 1 << 20)
        .await
        .unwrap();
    assert_eq!(bytes, "notes");
    world.server.advance(Duration::from_secs(2 * 3600));
    assert_eq!(
        media
            .download(&message.attachments[0], 1 << 20)
            .await
            .unwrap(),
        "notes",
        "the link is renewed"
    );
}

#[tokio::test]
async fn files_go_out_alone_and_as_albums() {
    let world = World::new().await;
    let channel = world.channel();
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    let file = Upload::file("hello.txt", "hello");
    let receipt = channel
        .send(&world.to_ada("take this").attach(file))
        .await
        .unwrap();
    assert_eq!(receipt.messages.len(), 1);
    let sent = world.last();
    assert_eq!(sent.content["document"]["file_name"], "hello.txt");
    assert_eq!(sent.content["caption"], "take this");
    let png = |n: u8| {
        Upload::image(
            format!("{n}.png"),
            [b"\x89PNG\r\n\x1a\n", &[n; 100][..]].concat(),
        )
    };
    let album = world
        .to_ada("three")
        .attach(png(1))
        .attach(png(2))
        .attach(png(3));
    let receipt = channel.send(&album).await.unwrap();
    assert_eq!(receipt.messages.len(), 3);
    let large = Upload::file("large.bin", vec![7; 3_000_000]);
    channel.send(&world.to_ada("").attach(large)).await.unwrap();
    assert_eq!(world.last().content["document"]["file_size"], 3_000_000);
}

#[tokio::test]
async fn buttons_are_pressed_and_answered() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    inbox.message().await;
    let offer = world
        .to_ada("choose")
        .buttons([Button::press("A", "a"), Button::press("B", "b")]);
    let receipt = channel.send(&offer).await.unwrap();
    let id = receipt.messages[0].id.as_i64().unwrap();
    let query = world
        .server
        .press(world.private(), id, world.ada, "b")
        .unwrap();
    let EventKind::Action(action) = inbox.event().await.kind else {
        panic!("expected an action");
    };
    assert_eq!(
        (action.value.as_str(), action.id.as_str()),
        ("b", query.as_str())
    );
    let actions = channel.as_actions().unwrap();
    actions.answer_action(&action, Some("done")).await.unwrap();
    let answered = world
        .server
        .look(|view| view.callback(&query).unwrap().answer.clone());
    assert_eq!(answered.unwrap()["text"], "done");
    let error = actions.answer_action(&action, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "answered already");
    channel
        .send(&OutboundMessage::new(
            action.return_address.clone(),
            "pressed b",
        ))
        .await
        .unwrap();
    assert_eq!(world.last().text.as_deref(), Some("pressed b"));
}

#[tokio::test]
async fn messages_are_edited_reacted_to_and_deleted() {
    let world = World::new().await;
    let channel = world.channel();
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    let receipt = channel.send(&world.to_ada("one")).await.unwrap();
    let target = receipt.first().unwrap();
    let edit = channel.as_edit().unwrap();
    edit.edit(target, &world.to_ada(Body::markdown("*two*")))
        .await
        .unwrap();
    edit.edit(target, &world.to_ada(Body::markdown("*two*")))
        .await
        .unwrap();
    assert_eq!(world.last().text.as_deref(), Some("two"));
    let captioned = world.to_ada("old").attach(Upload::file("f.txt", "f"));
    let captioned = channel.send(&captioned).await.unwrap();
    edit.edit(captioned.first().unwrap(), &world.to_ada("new"))
        .await
        .unwrap();
    assert_eq!(world.last().content["caption"], "new");

    channel
        .as_react()
        .unwrap()
        .react(target, "❤\u{fe0f}")
        .await
        .unwrap();
    let id = target.id.as_i64().unwrap();
    let place = world.private();
    let reactions = world
        .server
        .look(|view| view.message(place, id).unwrap().reactions);
    assert_eq!(reactions[&world.bot], ["❤"]);
    let error = channel
        .as_react()
        .unwrap()
        .react(target, "🦖")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    channel
        .as_typing()
        .unwrap()
        .start_typing(&world.to_ada("").to)
        .await
        .unwrap();
    assert_eq!(world.server.look(|view| view.chat_actions().count()), 1);
    let delete = channel.as_delete().unwrap();
    delete.delete(target).await.unwrap();
    assert_eq!(
        delete.delete(target).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = edit.edit(target, &world.to_ada("three")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn groups_topics_mentions_and_reactions() {
    let world = World::new().await;
    let group = Group::new(GROUP, "Kit")
        .forum()
        .bot(world.bot)
        .admin(world.bot);
    world.server.group(&group).unwrap();
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let topic = world.server.topic(GROUP, world.ada, "T").unwrap();
    let post = Post::text("@kit_bot hello").in_topic(topic);
    let asked = world
        .server
        .post(Place::Shared(GROUP), world.ada, post)
        .unwrap();
    let message = loop {
        if let EventKind::Message(message) = inbox.event().await.kind
            && message.text == "@kit_bot hello"
        {
            break *message;
        }
    };
    assert_eq!(message.addressed, channel_core::Addressed::Mention);
    assert_eq!(message.thread.as_ref().unwrap().as_i64(), Some(topic));
    assert_eq!(message.reply_to, None);
    let receipt = channel.send(&message.reply("in the topic")).await.unwrap();
    let id = receipt.messages[0].id.as_i64().unwrap();
    let answer = world
        .server
        .look(|view| view.message(Place::Shared(GROUP), id))
        .unwrap();
    assert_eq!((answer.thread, answer.reply_to), (Some(topic), Some(asked)));
    world
        .server
        .react(Place::Shared(GROUP), id, world.ada, &["👍"])
        .unwrap();
    let EventKind::Reaction(reaction) = inbox.event().await.kind else {
        panic!("expected a reaction");
    };
    assert_eq!(reaction.added, ["👍"]);
    assert_eq!(reaction.message.id.as_i64(), Some(id));
    world
        .server
        .edit(Place::Shared(GROUP), asked, "@kit_bot hello 2")
        .unwrap();
    let EventKind::Edited(edited) = inbox.event().await.kind else {
        panic!("expected an edit");
    };
    assert_eq!(edited.text, "@kit_bot hello 2");
}

#[tokio::test]
async fn a_group_becomes_a_supergroup_on_the_way() {
    let world = World::new().await;
    world
        .server
        .group(&Group::new(-77, "Old").bot(world.bot))
        .unwrap();
    let channel = world.channel();
    let new = world.server.migrate_to_supergroup(-77, world.ada).unwrap();
    let message = OutboundMessage::new(Target::chat("-77"), "found you");
    let receipt = channel.send(&message).await.unwrap();
    assert_eq!(receipt.messages[0].chat.as_i64(), Some(new));
    let mut inbox = Inbox::open(&channel).await;
    let moved = loop {
        if let EventKind::Moved(moved) = inbox.event().await.kind {
            break moved;
        }
    };
    assert_eq!(
        (moved.from.as_i64(), moved.to.as_i64()),
        (Some(-77), Some(new))
    );
}

#[tokio::test]
async fn blocking_is_an_event_and_an_error() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let error = channel.send(&world.to_ada("too early")).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound),
        "{error}"
    );
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    inbox.message().await;
    channel.send(&world.to_ada("welcome")).await.unwrap();
    world.server.block(world.bot, world.ada).unwrap();
    let EventKind::Membership(change) = inbox.event().await.kind else {
        panic!("expected a change of membership");
    };
    assert_eq!(change.state, MemberState::Removed);
    let error = channel.send(&world.to_ada("hello?")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    world.server.unblock(world.bot, world.ada).unwrap();
    let EventKind::Membership(change) = inbox.event().await.kind else {
        panic!("expected a change of membership");
    };
    assert_eq!(change.state, MemberState::Joined);
    channel.send(&world.to_ada("welcome back")).await.unwrap();
}

#[tokio::test]
async fn faults_are_sorted_and_survived() {
    let world = World::new().await;
    let channel = world.channel();
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    let faults = world.server.faults();
    faults.next("sendMessage", 1, Fault::TooManyRequests { retry_after: 1 });
    channel.send(&world.to_ada("patient")).await.unwrap();
    faults.next("sendMessage", 1, Fault::TooManyRequests { retry_after: 60 });
    let other = world.channel();
    let error = other.send(&world.to_ada("impatient")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    faults.next("sendMessage", 1, Fault::ServerError { status: 500 });
    let error = channel.send(&world.to_ada("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let before = world.server.sent(world.bot).len();
    faults.next("sendMessage", 1, Fault::LoseAnswer);
    let error = channel
        .send(&world.to_ada("lost answer"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    assert_eq!(
        world.server.sent(world.bot).len(),
        before + 1,
        "and not sent twice"
    );
    faults.next("getUpdates", 1, Fault::ServerError { status: 502 });
    let mut inbox = Inbox(channel.events());
    assert!(matches!(inbox.news().await, Connection::Lost { .. }));
    assert_eq!(inbox.news().await, Connection::Ready);
    assert_eq!(inbox.message().await.text, "/start");
}

#[tokio::test]
async fn documented_pacing_keeps_clear_of_flood_control() {
    let config = TelegramConfig::default().flood_control(FloodLimits::default());
    let world = World::with(config).await;
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    let channel = world.channel();
    for n in 0..4 {
        channel.send(&world.to_ada(format!("{n}"))).await.unwrap();
    }
    let texts: Vec<_> = world
        .server
        .sent(world.bot)
        .into_iter()
        .filter_map(|sent| sent.text)
        .collect();
    assert_eq!(
        texts,
        ["0", "1", "2", "3"],
        "whatever the server demanded, in order and once"
    );
}

#[tokio::test]
async fn duplicates_and_disorder_cost_nothing() {
    let world = World::new().await;
    let channel = world.channel();
    let faults = world.server.faults();
    for n in 0..10 {
        world
            .server
            .private_text(world.bot, world.ada, &format!("{n}"))
            .unwrap();
    }
    faults.duplicate_updates(3);
    faults.reorder_updates(3);
    let mut inbox = Inbox::open(&channel).await;
    let mut seen = Vec::new();
    while seen.len() < 10 {
        seen.push(inbox.message().await.text);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10, "each once");
}

#[tokio::test]
async fn two_pollers_hand_over() {
    let world = World::new().await;
    let first = world
        .builder()
        .poll_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let mut old = Inbox::open(&first).await;
    let waiting = tokio::spawn(async move {
        let news = old.news().await;
        (old, news)
    });
    world
        .server
        .wait_for(PATIENCE, |view| view.is_listening(world.bot).then_some(()))
        .await
        .unwrap();
    let mut new = Inbox::open(&world.channel()).await;
    let (old, _) = waiting.await.unwrap();
    drop(old);
    world
        .server
        .private_text(world.bot, world.ada, "to the new one")
        .unwrap();
    assert_eq!(new.message().await.text, "to the new one");
}

#[tokio::test]
async fn a_stream_grows_in_one_message() {
    let world = World::new().await;
    let channel = world.channel();
    world
        .server
        .private_text(world.bot, world.ada, "/start")
        .unwrap();
    let to = world.to_ada("").to;
    let mut stream = channel.as_stream().unwrap().stream(&to).await.unwrap();
    let mut text = String::new();
    for n in 0..200 {
        text.push_str(&format!("{n} "));
        stream.show(&Body::plain(text.clone())).await.unwrap();
    }
    stream.finish(world.to_ada(text.trim())).await.unwrap();
    let sent = world.server.sent(world.bot);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].text.as_deref(), Some(text.trim()));
}

#[tokio::test]
async fn a_revoked_token_ends_everything_at_once() {
    let world = World::new().await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    world.server.revoke_token(world.bot);
    let error = loop {
        match tokio::time::timeout(PATIENCE, inbox.0.next())
            .await
            .unwrap()
            .unwrap()
        {
            Err(error) => break error,
            Ok(received) => drop(received),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(
        channel.probe().await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}
