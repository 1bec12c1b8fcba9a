//! End to end over real connections, against the emulator of the workspace, which DingTalk's own SDKs certify and which
//! knows nothing of the adapter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{
    Actions as _, Addressed, Body, Button, Channel as _, Connection, Delete as _, Destination,
    ErrorKind, Event, EventKind, Events as _, Intake, Media as _, Message, OutboundMessage, Proof,
    React as _, Received, Refused, Result, Stream as _, Target, Upload,
};
use channel_dingtalk::{DingTalk, DingTalkBuilder, GroupRobot, Mode};
use channel_emulator::dingtalk::{
    Dingtalk as Emulator, DingtalkConfig, DingtalkServer, Fault, MessageView, NewApp, NewRobot,
    Post, Rich, Via,
};
use channel_webhook::{Host, Server};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::json;
use tokio::sync::mpsc;

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

#[tokio::test]
async fn wrong_credentials_and_an_app_that_may_not_stop_at_once() {
    let server = platform(DingtalkConfig::default()).await;
    let stops = async |channel: DingTalk, kind: ErrorKind, remedy: &str| {
        let mut stream = channel.events();
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(remedy), "{error}");
        assert!(stream.next().await.is_none());
    };
    let wrong = || builder(&server).app(APP, "wrong").build().unwrap();
    let remedy = "copy both from the developer console";
    stops(wrong(), ErrorKind::Unauthenticated, remedy).await;
    assert_eq!(
        server.calls()[0].answer.as_ref().unwrap()["code"],
        "authFailed"
    );
    let error = wrong().probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.to_string().contains(remedy), "{error}");
    let right = || builder(&server).build().unwrap();
    server.disable(APP, true).unwrap();
    stops(right(), ErrorKind::Unauthenticated, "in use").await;
    server.disable(APP, false).unwrap();
    server
        .set_webhook(APP, Some("http://127.0.0.1:9/x"))
        .unwrap();
    stops(right(), ErrorKind::Forbidden, "choose the stream mode").await;
    assert_eq!(server.calls().len(), 4, "no retry");
}

#[tokio::test]
async fn a_template_that_is_not_published_is_named_and_costs_no_answer() {
    let world = World::with(DingtalkConfig::default(), |builder| {
        builder.card_template("other.schema")
    })
    .await;
    let buttons = world
        .to_ada("choose")
        .buttons([Button::press("A", "a"), Button::press("B", "b")]);
    let error = world.channel.send(&buttons).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("card_template_id"), "{error}");
    assert!(!error.to_string().contains("permission"), "{error}");
    // The words of an answer do not depend on a card.
    let to = world.to_ada("").to;
    let mut stream = world.channel.stream(&to).await.unwrap();
    let error = stream.show(&"one".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    stream.finish(world.to_ada("one two")).await.unwrap();
    assert_eq!(world.said(), [one("one two", Via::Batch)]);
    // A permission that the app lacks is another matter.
    let world = World::with(DingtalkConfig::default(), |builder| builder).await;
    let app = NewApp::new("ding0002", SECRET, "Other").without("qyapi_robot_sendmsg");
    world.server.add_app(&app).unwrap();
    let channel = builder(&world.server).app("ding0002", SECRET);
    let channel = channel.build().unwrap();
    let error = channel.send(&world.to_ada("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
}

#[tokio::test]
async fn what_comes_twice_late_or_again_is_one_event() {
    let config = DingtalkConfig::default().redelivery(Duration::from_secs(1), 10);
    let mut world = World::with(config, |builder| builder).await;
    world.server.faults().duplicate_frames(1);
    let id = world.server.say(APP, ADA, "twice").unwrap();
    let (first, second) = (world.next().await, world.next().await);
    assert_eq!(first.id, second.id);
    assert_eq!(first.message().unwrap().id.as_str(), id);
    world.server.faults().reorder_frames(1);
    world.server.say(APP, ADA, "one").unwrap();
    world.server.say(APP, ADA, "two").unwrap();
    let texts = [world.message().await, world.message().await];
    assert_eq!(texts.map(|it| it.text.to_string()), ["two", "one"]);
    // What nobody answers for comes again; so does what was refused.
    world.server.say(APP, ADA, "unsafe").unwrap();
    let lost = world.received().await;
    let name = lost.event().unwrap().id.clone();
    drop(lost);
    let mut again = world.received().await;
    assert_eq!(again.take().unwrap().id, name);
    again.ack().await.unwrap();
    let pending = world
        .server
        .wait_for(PATIENCE, |it| (it.pending(APP) == 0).then_some(()));
    pending.await.unwrap();
    let event = world.server.event(APP, "chat_add_member", json!({"x": 1}));
    let later = world.received().await;
    later.nak().await.unwrap();
    let again = world.next().await;
    assert_eq!(again.id.as_str(), format!("event:{event}"));
    let done = world.server.wait_for(PATIENCE, |it| {
        let ended = it.deliveries().into_iter().filter(|one| one.id == event);
        let ended: Vec<_> = ended.map(|one| one.error).collect();
        (ended == [Some("later"), None]).then_some(())
    });
    let done = done.await;
    assert!(done.is_ok(), "{:?}", world.server.deliveries());
}

#[tokio::test]
async fn connections_that_end_are_back_soon_and_lose_no_event() {
    let mut world = World::with(
        DingtalkConfig::default().redelivery(Duration::from_secs(1), 20),
        |builder| builder,
    )
    .await;
    // A notice is no loss: the next connection is there before the old one goes.
    let ends: [(fn(&Emulator, &str), Connection); 3] = [
        (Emulator::cut, Connection::Ready),
        (Emulator::close, Connection::Ready),
        (Emulator::drain, Connection::Alive),
    ];
    for (number, (end, wanted)) in ends.into_iter().enumerate() {
        let opened = world.count("open");
        end(world.server.dingtalk(), APP);
        loop {
            let news = world.news().await;
            let is_lost = matches!(news, Connection::Lost { .. });
            assert!(!is_lost || wanted == Connection::Ready, "{news:?}");
            if news == wanted {
                break;
            }
        }
        let words = number.to_string();
        assert_eq!(world.says(words.as_str()).await.text, words);
        assert_eq!(world.count("open"), opened + 1);
    }
}

/// Where the events of requests end up.
#[derive(Debug)]
struct Inbox(mpsc::UnboundedSender<Event>);

#[async_trait]
impl Intake for Inbox {
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused> {
        for event in events {
            self.0.send(event).map_err(|_| Refused::Stopping)?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn signed_requests_come_in_and_others_do_not() {
    let server = platform(DingtalkConfig::default()).await;
    let channel = builder(&server).mode(Mode::Webhook).build().unwrap();
    let (events, mut inbox) = mpsc::unbounded_channel();
    let transport = channel_http::transport();
    let router = Host::new(Arc::clone(&transport.clock))
        .mount(Arc::new(channel.clone()), Arc::new(Inbox(events)))
        .router();
    let host = Server::bind(([127, 0, 0, 1], 0).into(), router)
        .await
        .unwrap();
    let url = format!("http://{}/dingtalk/webhook", host.address());
    server.set_webhook(APP, Some(&url)).unwrap();
    server.faults().wrong_signatures(1);
    server.say(APP, ADA, "forged").unwrap();
    let refused = |count: usize| {
        server.wait_for(PATIENCE, move |it| {
            let statuses: Vec<_> = it.deliveries().iter().map(|one| one.status).collect();
            (statuses == vec![Some(401); count]).then_some(())
        })
    };
    refused(1).await.unwrap();
    server.faults().stale_signatures(1);
    server.say(APP, ADA, "stale").unwrap();
    refused(2).await.unwrap();
    let group = server.group("Team", &[APP], &[ADA]).unwrap();
    server.say(APP, ADA, "hello").unwrap();
    server.post(&group, ADA, "@Kit hello").unwrap();
    let mut chats = Vec::new();
    for _ in 0..2 {
        let event = tokio::time::timeout(PATIENCE, inbox.recv()).await;
        let event = event.unwrap().unwrap();
        let message = event.message().unwrap().clone();
        assert_eq!(message.text.as_str(), "hello");
        assert_eq!(message.proof(), Proof::Asserted);
        channel.send(&message.reply("echo")).await.unwrap();
        chats.push(message.chat.id.as_str().to_owned());
    }
    assert!(inbox.try_recv().is_err(), "{chats:?}");
    let mut sent: Vec<_> = server.sent(APP).into_iter().map(|it| it.chat).collect();
    sent.sort();
    let mut wanted = vec![group, server.direct_chat(APP, ADA)];
    wanted.sort();
    assert_eq!(sent, wanted);
}

#[tokio::test]
async fn a_custom_robot_signs_what_it_sends_and_learns_of_its_limits() {
    let server = platform(DingtalkConfig::default()).await;
    let group = server.group("Alerts", &[], &[ADA]).unwrap();
    let secret = "SECsynthetic0000000000000000000001";
    for (token, robot) in [
        ("tok1", NewRobot::new("tok1", &group).secret(secret)),
        ("tok2", NewRobot::new("tok2", &group).keyword("alert")),
    ] {
        let url = server.add_robot(&robot).unwrap();
        assert!(url.ends_with(token));
    }
    let channel = builder(&server)
        .group_robot("signed", GroupRobot::new("tok1").signed(secret))
        .group_robot("unsigned", GroupRobot::new("tok1"))
        .group_robot("keyword", GroupRobot::new("tok2"))
        .patience(Duration::from_secs(1))
        .build()
        .unwrap();
    let send = async |robot: &str, words: &str| {
        let to = Target::chat(format!("robot:{robot}"));
        channel.send(&OutboundMessage::new(to, words)).await
    };
    send("signed", "plain").await.unwrap();
    send("keyword", "an alert").await.unwrap();
    for robot in ["unsigned", "keyword"] {
        let error = send(robot, "nothing of note").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    assert_eq!(server.history(&group).len(), 2);
    for _ in 1..20 {
        send("signed", "more").await.unwrap();
    }
    let error = send("signed", "too many").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(server.history(&group).len(), 21);
}
