//! End to end over real connections, against the emulator of the workspace, which DingTalk's own SDKs certify and which
//! knows nothing of the adapter.

mod edges;

use std::time::Duration;

use channel_core::{
    Actions as _, Addressed, Body, Button, Channel as _, Connection, Delete as _, Destination,
    ErrorKind, Event, EventKind, Events as _, Media as _, Message, OutboundMessage, React as _,
    Received, Result, Stream as _, Target, Upload,
};
use channel_dingtalk::{DingTalk, DingTalkBuilder};
use channel_emulator::dingtalk::{
    Dingtalk as Emulator, DingtalkConfig, DingtalkServer, Fault, MessageView, NewApp, Post, Rich,
    Via,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::json;

pub(crate) const APP: &str = "ding0001";
pub(crate) const SECRET: &str = "appSecret-synthetic-0001";
const TEMPLATE: &str = "tpl-0001.schema";
const ADA: &str = "staff1";
/// Long enough for a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);
const HOURS: Duration = Duration::from_secs(2 * 3600);

struct World {
    server: DingtalkServer,
    channel: DingTalk,
    stream: BoxStream<'static, Result<Received>>,
}

fn app() -> NewApp {
    let variables = ["msgContent", "sys_full_json_obj", "flowStatus", "notice"];
    NewApp::new(APP, SECRET, "Kit").template(TEMPLATE, &variables)
}

async fn platform(config: DingtalkConfig) -> DingtalkServer {
    let server = Emulator::start(config).await.unwrap();
    server.add_app(&app()).unwrap();
    server.user(ADA, "Ada");
    server
}

fn builder(server: &DingtalkServer) -> DingTalkBuilder {
    DingTalk::builder()
        .app(APP, SECRET)
        .api_base(server.api_base())
}

impl World {
    async fn new() -> Self {
        Self::with(DingtalkConfig::default(), |builder| {
            builder.card_template(TEMPLATE)
        })
        .await
    }

    async fn with(
        config: DingtalkConfig,
        more: impl FnOnce(DingTalkBuilder) -> DingTalkBuilder,
    ) -> Self {
        let server = platform(config).await;
        let channel = more(builder(&server)).build().unwrap();
        let stream = channel.events();
        let mut world = Self {
            server,
            channel,
            stream,
        };
        assert_eq!(world.news().await, Connection::Ready);
        world
    }

    async fn item(&mut self) -> Received {
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

    /// The next event of somebody, not acknowledged yet.
    async fn received(&mut self) -> Received {
        loop {
            let received = self.item().await;
            let kind = &received.event().unwrap().kind;
            if !matches!(kind, EventKind::Connection(_)) {
                return received;
            }
        }
    }

    /// The next event of somebody, acknowledged.
    async fn next(&mut self) -> Event {
        let mut received = self.received().await;
        let event = received.take().unwrap();
        received.ack().await.unwrap();
        event
    }

    async fn message(&mut self) -> Message {
        let event = self.next().await;
        event.message().unwrap().clone()
    }

    /// What Ada says to the robot alone, as it arrives.
    async fn says(&mut self, post: impl Into<Post>) -> Message {
        self.server.say(APP, ADA, post).unwrap();
        self.message().await
    }

    fn to_ada(&self, body: impl Into<Body>) -> OutboundMessage {
        OutboundMessage::new(Target::chat(format!("staff:{ADA}")), body)
    }

    fn sent(&self) -> Vec<MessageView> {
        self.server.sent(APP)
    }

    /// The words and the way of everything that the robot said, and that stands.
    fn said(&self) -> Vec<(String, Via)> {
        let standing = self.sent().into_iter().filter(|sent| !sent.recalled);
        standing
            .map(|sent| {
                let words = match &sent.card {
                    Some(card) => self.server.card(card).unwrap().variables["msgContent"].clone(),
                    None => ["content", "text"]
                        .into_iter()
                        .find_map(|name| sent.content[name].as_str())
                        .unwrap_or_default()
                        .to_owned(),
                };
                (words, sent.via)
            })
            .collect()
    }

    /// How often an endpoint was called.
    fn count(&self, method: &str) -> usize {
        let calls = self.server.calls();
        calls.iter().filter(|call| call.method == method).count()
    }
}

fn one(words: &str, via: Via) -> (String, Via) {
    (words.to_owned(), via)
}

#[tokio::test]
async fn what_people_write_is_answered_where_they_wrote_it() {
    let mut world = World::new().await;
    let id = world.server.say(APP, ADA, "hello").unwrap();
    let message = world.message().await;
    assert_eq!(message.id.as_str(), id);
    assert_eq!(message.text.as_str(), "hello");
    assert_eq!(message.addressed, Addressed::Direct);
    assert_eq!(message.sender.account.sender.as_str(), ADA);
    assert_eq!(message.chat.id.as_str(), format!("staff:{ADA}"));
    world
        .channel
        .send(&message.reply("echo: hello"))
        .await
        .unwrap();
    let direct = world.server.direct_chat(APP, ADA);
    assert_eq!(world.sent()[0].chat, direct);

    // The kind of a conversation may come as a number.
    world.server.faults().numbers(true);
    world.server.user("staff2", "Bob");
    let group = world
        .server
        .group("Team", &[APP], &[ADA, "staff2"])
        .unwrap();
    world.server.post(&group, ADA, "among us").unwrap();
    world
        .server
        .post(&group, ADA, "@Kit ask @Bob please")
        .unwrap();
    let message = world.message().await;
    assert_eq!(message.text.as_str(), "ask @Bob please");
    assert_eq!(message.addressed, Addressed::Mention);
    assert_eq!(message.chat.title.as_deref(), Some("Team"));
    let answer = Body::markdown("**yes**, line\nby line");
    world.channel.send(&message.reply(answer)).await.unwrap();
    let sent = world.sent().pop().unwrap();
    assert_eq!(
        (sent.chat, sent.kind.as_str(), sent.via),
        (group.clone(), "markdown", Via::Session)
    );
    assert_eq!(sent.content["text"], "**yes**, line\n\nby line");
    // No token was needed for any of it.
    assert_eq!(world.count("token"), 0);

    // On our own account, the other way.
    let own = OutboundMessage::new(Target::chat(group.as_str()), "news");
    world.channel.send(&own).await.unwrap();
    assert_eq!(world.said()[2], one("news", Via::Group));
}

#[tokio::test]
async fn an_answer_after_the_session_goes_by_the_robots_own_call() {
    let mut world = World::new().await;
    let group = world.server.group("Team", &[APP], &[ADA]).unwrap();
    world.server.post(&group, ADA, "@Kit later").unwrap();
    let in_group = world.message().await;
    let direct = world.says("later").await;
    let to = direct.reply("x").to;
    assert!(world.channel.explain_way(&to).contains("session webhook"));
    // The platform alone knows that the sessions are over, and the token too.
    world.channel.send(&world.to_ada("now")).await.unwrap();
    world.server.advance(HOURS);
    world.channel.send(&direct.reply("one")).await.unwrap();
    world.channel.send(&in_group.reply("two")).await.unwrap();
    let said = [
        one("now", Via::Batch),
        one("one", Via::Batch),
        one("two", Via::Group),
    ];
    assert_eq!(world.said(), said);
    assert_eq!((world.count("session_send"), world.count("token")), (2, 2));
    // It is not tried a second time.
    world.channel.send(&direct.reply("three")).await.unwrap();
    assert_eq!(world.count("session_send"), 2);

    // Shortly before its end it is not used any more.
    let mut config = DingtalkConfig::default();
    config.session_life = Duration::from_secs(29);
    let mut world = World::with(config, |builder| builder).await;
    let message = world.says("soon over").await;
    world.channel.send(&message.reply("robot")).await.unwrap();
    assert_eq!(world.said(), [one("robot", Via::Batch)]);
    assert_eq!(world.count("session_send"), 0);
}

#[tokio::test]
async fn somebody_outside_of_the_organisation_is_answered_while_the_session_lasts() {
    let mut world = World::new().await;
    let guest = world.server.outsider("Guest");
    world.server.say(APP, &guest, "hello").unwrap();
    let message = world.message().await;
    assert_eq!(message.sender.account.sender.as_str(), guest);
    world.channel.send(&message.reply("hi")).await.unwrap();
    assert_eq!(world.said(), [one("hi", Via::Session)]);
    world.server.advance(HOURS);
    let error = world.channel.send(&message.reply("late")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(world.said().len(), 1);
}

#[tokio::test]
async fn files_go_both_ways() {
    let mut world = World::new().await;
    for (kind, name) in [
        ("file", Some("a.bin")),
        ("picture", None),
        ("audio", None),
        ("video", None),
    ] {
        let message = world.says(Post::file(kind, "a.bin", "content")).await;
        let attachment = &message.attachments[0];
        assert_eq!(attachment.name.as_deref(), name, "{kind}");
        let bytes = world.channel.download(attachment, 100).await.unwrap();
        assert_eq!(bytes.as_ref(), b"content", "{kind}");
        let error = world.channel.download(attachment, 6).await;
        assert!(error.is_err(), "{kind}: more than was asked for");
    }
    let rich = Post::rich(vec![
        Rich::Text("look".into()),
        Rich::Picture("png".into()),
        Rich::At(ADA.into()),
    ]);
    let message = world.says(rich).await;
    assert!(message.text.starts_with("look"), "{:?}", message.text);
    let bytes = world.channel.download(&message.attachments[0], 100).await;
    assert_eq!(bytes.unwrap().as_ref(), b"png");

    let file = world.to_ada("").attach(Upload::file("hello.txt", "hello"));
    world.channel.send(&file).await.unwrap();
    let picture = Upload::new(
        channel_core::AttachmentKind::Image,
        "a.png",
        channel_core::UploadSource::Bytes("png".into()),
    );
    // The session takes no files: they go the other way, beside the words.
    let answer = message.reply("both").attach(picture);
    world.channel.send(&answer).await.unwrap();
    let kinds: Vec<_> = world.sent().into_iter().map(|sent| sent.kind).collect();
    assert_eq!(kinds, ["sampleFile", "text", "sampleImageMsg"]);
    assert_eq!(world.sent()[0].content["fileName"], "hello.txt");
    assert_eq!(world.sent()[0].content["fileType"], "txt");
}

#[tokio::test]
async fn a_quote_names_its_message_and_says_whose_it_is() {
    let mut world = World::new().await;
    let first = world.server.say(APP, ADA, "first").unwrap();
    let message = world.message().await;
    let again = world.says(Post::from("again").quote(&first)).await;
    let quoted = again.reply_to.unwrap();
    assert_eq!((quoted.id.as_str(), quoted.mine), (first.as_str(), false));
    // What the robot has sent on its own is told by its key, what went by a session by its author.
    let receipt = world.channel.send(&world.to_ada("own")).await.unwrap();
    world.channel.send(&message.reply("answer")).await.unwrap();
    let sent = world.sent();
    let about = world.says(Post::from("re own").quote(&sent[0].id)).await;
    let quoted = about.reply_to.unwrap();
    assert!(quoted.mine);
    assert_eq!(quoted.id, receipt.messages[0].id);
    let about = world.says(Post::from("re answer").quote(&sent[1].id)).await;
    assert!(about.reply_to.unwrap().mine);
}

#[tokio::test]
async fn a_streamed_answer_grows_in_one_card_to_its_end() {
    let mut world = World::new().await;
    let group = world.server.group("Team", &[APP], &[ADA]).unwrap();
    world.server.post(&group, ADA, "@Kit write").unwrap();
    let in_group = world.message().await.reply("").to;
    let direct = Destination::from(Target::chat(format!("staff:{ADA}")));
    for (number, to) in [in_group, direct].into_iter().enumerate() {
        let mut stream = world.channel.stream(&to).await.unwrap();
        for text in ["one", "one two", "one two three"] {
            stream.show(&text.into()).await.unwrap();
            assert_eq!(world.said()[number], one(text, Via::Card));
            tokio::time::sleep(Duration::from_millis(550)).await;
        }
        let end = OutboundMessage::new(to, "one two three four");
        stream.finish(end).await.unwrap();
        assert_eq!(world.said()[number], one("one two three four", Via::Card));
        let cards = world.server.cards(APP);
        assert_eq!(cards.len(), number + 1);
        let card = world
            .server
            .card(world.sent()[number].card.as_ref().unwrap());
        let card = card.unwrap();
        assert!(card.is_final && !card.is_error);
        assert_eq!(card.variables["flowStatus"], "3");
    }
}

#[tokio::test]
async fn a_press_comes_with_its_value_and_gets_its_notice() {
    let mut world = World::new().await;
    let group = world.server.group("Team", &[APP], &[ADA]).unwrap();
    for chat in [format!("staff:{ADA}"), group] {
        let target = Target::chat(chat.as_str());
        let buttons = OutboundMessage::new(target, "choose")
            .buttons([Button::press("A", "a:1"), Button::press("B", "b:2")]);
        let sent = world.channel.send(&buttons).await.unwrap();
        let card = world.sent().pop().unwrap().card.unwrap();
        let press = world
            .server
            .press(&card, ADA, "b:2", &json!({"k": "v"}))
            .unwrap();
        let EventKind::Action(action) = world.next().await.kind else {
            panic!("not a press");
        };
        assert_eq!(action.value.as_str(), "b:2");
        assert_eq!(action.message.as_ref(), Some(&sent.messages[0].id));
        assert_eq!(action.chat.id.as_str(), chat);
        assert_eq!(action.sender.account.sender.as_str(), ADA);
        world
            .channel
            .answer_action(&action, Some("noted"))
            .await
            .unwrap();
        let answer = world.server.wait_for(PATIENCE, |dingtalk| {
            let presses = dingtalk.presses();
            let press = presses.into_iter().find(|one| one.id == press)?;
            assert!(!press.failed);
            press.answer
        });
        let answer = answer.await.unwrap();
        let notice = &answer["userPrivateData"]["cardParamMap"]["notice"];
        assert_eq!(notice, "noted");
        let card = world.server.card(&card).unwrap();
        assert_eq!(card.variables["msgContent"], "choose");
        assert!(card.private.contains_key(ADA));
    }
}

#[tokio::test]
async fn recalls_and_reactions_are_what_people_see() {
    let mut world = World::new().await;
    let group = world.server.group("Team", &[APP], &[ADA]).unwrap();
    let question = world.says("question").await;
    for target in [
        Target::chat(format!("staff:{ADA}")),
        Target::chat(group.as_str()),
    ] {
        let message = OutboundMessage::new(target, "wrong");
        let sent = world.channel.send(&message).await.unwrap();
        assert_eq!(world.said().len(), 1);
        world.channel.delete(&sent.messages[0]).await.unwrap();
        assert_eq!(world.said(), []);
    }
    // What went by the session has no key to take it back by.
    let sent = world.channel.send(&question.reply("answer")).await.unwrap();
    let error = world.channel.delete(&sent.messages[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    let emotions = |world: &World| {
        let seen = world.server.message(question.id.as_str()).unwrap();
        let names = seen.emotions.into_iter().map(|one| one.name);
        names.collect::<Vec<_>>()
    };
    let at = question.at();
    world.channel.react(&at, "\u{1f44d}").await.unwrap();
    assert_eq!(emotions(&world), ["\u{1f44d}"]);
    world.channel.unreact(&at, "\u{1f44d}").await.unwrap();
    assert!(emotions(&world).is_empty());
    // The sign of writing goes with the answer.
    use channel_core::Typing as _;
    let answer = question.reply("second answer");
    world.channel.start_typing(&answer.to).await.unwrap();
    assert_eq!(emotions(&world).len(), 1);
    world.channel.send(&answer).await.unwrap();
    assert!(emotions(&world).is_empty());
}

#[tokio::test]
async fn a_lost_answer_a_dead_token_and_a_limit_double_nothing() {
    let mut world = World::new().await;
    let question = world.says("question").await;
    // Robot, session: nothing takes a key, so the answer is uncertain and the message is there once.
    world
        .server
        .faults()
        .next("batch_send", 1, Fault::LoseAnswer);
    let error = world.channel.send(&world.to_ada("one")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    world
        .server
        .faults()
        .next("session_send", 1, Fault::LoseAnswer);
    let error = world
        .channel
        .send(&question.reply("two"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    let both = [one("one", Via::Batch), one("two", Via::Session)];
    assert_eq!(world.said(), both);
    // A card is made again under its name, which is the same card.
    world
        .server
        .faults()
        .next("create_and_deliver", 1, Fault::LoseAnswer);
    let card = world
        .to_ada("three")
        .buttons([Button::press("A", "a"), Button::press("B", "b")]);
    world.channel.send(&card).await.unwrap();
    assert_eq!(
        (world.count("create_and_deliver"), world.said().len()),
        (2, 3)
    );
    // What was not executed is executed once.
    for fault in [
        Fault::RateLimited,
        Fault::TooManyRequests { retry_after: 1 },
    ] {
        world.server.faults().next("batch_send", 1, fault);
        world.channel.send(&world.to_ada("four")).await.unwrap();
    }
    assert_eq!(world.said().len(), 5);
    // Tokens end before their time: those of calls, and those of uploads.
    let file = world.to_ada("").attach(Upload::file("a.txt", "a"));
    world.channel.send(&file).await.unwrap();
    world.server.revoke_tokens(APP).unwrap();
    world.channel.send(&world.to_ada("six")).await.unwrap();
    world.channel.send(&file).await.unwrap();
    assert_eq!(world.said().len(), 8);
    let refused = world.server.calls().into_iter().filter(|call| {
        let answer = call.answer.clone().unwrap_or_default();
        call.status == Some(401) || answer["errcode"] == 40_014
    });
    let refused: Vec<_> = refused.map(|call| call.method).collect();
    assert_eq!(refused, ["batch_send", "upload"]);
    // Nobody was reached, with status 200.
    world.server.limit(ADA, true).unwrap();
    let error = world
        .channel
        .send(&world.to_ada("seven"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let stranger = OutboundMessage::new(Target::chat("staff:nobody"), "x");
    let error = world.channel.send(&stranger).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(world.said().len(), 8);
}
