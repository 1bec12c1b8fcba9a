//! Over the same connections: what stops a channel, what comes twice, and the ways beside the stream.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{
    Button, Channel as _, Connection, ErrorKind, Event, Events as _, Intake, OutboundMessage,
    Proof, Refused, Stream as _, Target,
};
use channel_dingtalk::{DingTalk, GroupRobot, Mode};
use channel_emulator::dingtalk::{Dingtalk as Emulator, DingtalkConfig, NewApp, NewRobot, Via};
use channel_webhook::{Host, Server};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::sync::mpsc;

use super::{ADA, APP, PATIENCE, SECRET, World, builder, one, platform};

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
    type End = fn(&Emulator, &str);
    let ends: [(End, Connection); 3] = [
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
