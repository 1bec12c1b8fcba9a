//! Stream mode on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Actions as _, Addressed, Channel as _, Clock as _, Connection, EventKind, Events as _, Proof,
    Received, Result,
};
use channel_dingtalk::DingTalk;
use channel_testkit::FakePeer;
use channel_testkit::drill::leaves_nothing;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, GROUP, MESSAGES, PRESSES, direct, mention, press, with_session};

pub(crate) type Stream = BoxStream<'static, Result<Received>>;

/// The next event, news left out.
pub(crate) async fn next(stream: &mut Stream) -> Received {
    loop {
        let received = stream.next().await.unwrap().unwrap();
        if !matches!(received.event().unwrap().kind, EventKind::Connection(_)) {
            return received;
        }
    }
}

pub(crate) async fn news(stream: &mut Stream) -> Connection {
    let received = stream.next().await.unwrap().unwrap();
    match &received.event().unwrap().kind {
        EventKind::Connection(news) => news.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn ready_with(fake: &Fake, channel: DingTalk) -> (DingTalk, Stream) {
    fake.serve();
    let mut stream = channel.events();
    assert_eq!(news(&mut stream).await, Connection::Ready);
    settle(fake).await;
    (channel, stream)
}

pub(crate) async fn ready(fake: &Fake) -> (DingTalk, Stream) {
    ready_with(fake, fake.linked()).await
}

pub(crate) fn latest(fake: &Fake) -> Arc<FakePeer> {
    Arc::clone(fake.state.lock().unwrap().peers.last().unwrap())
}

/// Lets the fake read what was written.
pub(crate) async fn settle(fake: &Fake) {
    fake.transport.clock.sleep(Duration::from_millis(1)).await;
}

/// The answers to what was delivered, those to pings left out.
fn answers(fake: &Fake) -> Vec<(String, Value)> {
    let mut all = fake.state.lock().unwrap().answered.clone();
    all.retain(|(id, _)| id.starts_with('m'));
    all
}

#[tokio::test]
async fn a_callback_is_answered_after_its_event_is_safe_and_not_before() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready(&fake).await;
            let ends = fake.millis() + 5_400_000;
            let first = fake.say(&with_session(direct("msg1", "hi"), "direct", ends));
            let received = next(&mut stream).await;
            let message = received.message().unwrap();
            assert_eq!(
                (message.proof(), message.chat.id.as_str()),
                (Proof::Asserted, DIRECT)
            );
            assert_eq!(message.sender.account.to_string(), "dingtalk:corp1:staff1");
            settle(&fake).await;
            assert!(answers(&fake).is_empty());
            let answer = message.reply("hello");
            channel.send(&answer).await.unwrap();
            // Nobody polls the stream meanwhile.
            received.ack().await.unwrap();
            settle(&fake).await;
            let taken = json!({"response": {"status": "SUCCESS"}});
            assert_eq!(answers(&fake), [(first, taken)]);
            let sent = fake.sent();
            assert_eq!(
                (sent[0].kind.as_str(), &sent[0].content["content"]),
                ("text", &json!("hello"))
            );
            assert_eq!(
                fake.state.lock().unwrap().tokens,
                0,
                "a session needs no token"
            );

            fake.say(&direct("msg2", "no"));
            next(&mut stream).await.nak().await.unwrap();
            settle(&fake).await;
            assert_eq!(answers(&fake).len(), 1, "what is refused is not answered");
            // DingTalk sends it again, and it is the same event.
            fake.redeliver();
            let again = next(&mut stream).await;
            assert_eq!(again.event().unwrap().id.as_str(), "message:msg2");
        })
        .await;
}

#[tokio::test]
async fn events_of_the_organisation_are_answered_or_asked_for_later() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let opened = fake.calls("POST", "/v1.0/gateway")[0].json();
            let wanted =
                json!([{"type": "CALLBACK", "topic": MESSAGES}, {"type": "EVENT", "topic": "*"}]);
            assert_eq!(opened["subscriptions"], wanted);
            let payload = json!({"EventType": "chat_add_member", "ChatId": "c"});
            let id = fake.push("EVENT", "*", &payload);
            let received = next(&mut stream).await;
            let event = received.event().unwrap().clone();
            let EventKind::Unknown(unknown) = &event.kind else {
                panic!("{event:?}");
            };
            assert_eq!(unknown.name, "chat_add_member");
            received.nak().await.unwrap();
            settle(&fake).await;
            assert_eq!(answers(&fake), [(id.clone(), json!({"status": "LATER"}))]);
            fake.redeliver();
            let again = next(&mut stream).await;
            assert_eq!(again.event().unwrap().id, event.id);
            again.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(answers(&fake)[1].1["status"], "SUCCESS");
        })
        .await;
}

#[tokio::test]
async fn unknown_topics_and_undecodable_data_are_kept_and_answered() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            fake.push("CALLBACK", "/v1.0/graph/api/invoke", &json!({}));
            fake.say(&json!("not a message"));
            fake.say(&json!({"msgId": "msg1", "text": 5}));
            fake.push("RIDDLE", "x", &json!({}));
            let mut ids = Vec::new();
            for _ in 0..4 {
                let received = next(&mut stream).await;
                let event = received.event().unwrap();
                assert_eq!(event.name(), "unknown");
                ids.push(event.id.clone());
                received.ack().await.unwrap();
            }
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 4);
            settle(&fake).await;
            assert_eq!(answers(&fake).len(), 4);
            // What is no frame at all does no harm.
            let peer = latest(&fake);
            for text in [
                "",
                "{",
                "[]",
                "null",
                "{\"type\":5}",
                "{\"headers\":[]}",
                "{}",
            ] {
                peer.send_text(text);
            }
            peer.send_binary(vec![0xff]);
            fake.say(&direct("msg2", "after"));
            assert_eq!(next(&mut stream).await.message().unwrap().text, "after");
        })
        .await;
}

#[tokio::test]
async fn pings_are_answered_with_what_they_carry() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            for _ in 0..4 {
                assert_eq!(news(&mut stream).await, Connection::Alive);
            }
            settle(&fake).await;
            // The fake looks at each answer itself.
            let answered = fake.state.lock().unwrap().answered.clone();
            assert_eq!(answered.len(), 4, "{answered:?}");
        })
        .await;
}

#[tokio::test]
async fn a_notice_of_the_end_is_answered_by_a_new_connection_before_the_old_one_goes() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let old = latest(&fake);
            fake.say(&direct("msg1", "before"));
            let before = next(&mut stream).await;
            let began = fake.elapsed();
            fake.drain();
            assert_eq!(news(&mut stream).await, Connection::Alive);
            assert_eq!(fake.elapsed(), began, "at once");
            assert_eq!(fake.transport.sockets.attempts(), 2);
            assert!(!old.client_is_gone());
            // Meanwhile it comes once more by the new one, and is the same event.
            let again = next(&mut stream).await;
            assert_eq!(again.event().unwrap().id, before.event().unwrap().id);
            drop(again);
            // What came by the old one is answered there.
            before.ack().await.unwrap();
            settle(&fake).await;
            assert_eq!(answers(&fake).len(), 1);
            fake.say(&direct("msg2", "after"));
            assert_eq!(next(&mut stream).await.message().unwrap().text, "after");
            fake.say(&direct("msg3", "more"));
            let mut more = next(&mut stream).await;
            while fake.elapsed() < began + Duration::from_secs(20) {
                more = next_within(&fake, &mut stream).await.unwrap_or(more);
            }
            assert!(old.client_is_gone());
            drop(more);
        })
        .await;
}

async fn next_within(fake: &Fake, stream: &mut Stream) -> Option<Received> {
    let clock = &fake.transport.clock;
    channel_core::timeout(clock, Duration::from_secs(1), next(stream))
        .await
        .ok()
}

#[tokio::test]
async fn a_press_is_answered_with_a_notice_or_in_time_with_nothing() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready_with(&fake, fake.carded()).await;
            let opened = fake.calls("POST", "/v1.0/gateway")[0].json();
            assert_eq!(opened["subscriptions"][1]["topic"], PRESSES);
            let id = fake.push("CALLBACK", PRESSES, &press("track1", Some(GROUP), "yes"));
            let received = next(&mut stream).await;
            let EventKind::Action(action) = received.event().unwrap().kind.clone() else {
                panic!("{received:?}");
            };
            assert_eq!(
                (action.value.as_str(), action.chat.id.as_str()),
                ("yes", GROUP)
            );
            assert_eq!(action.fields, [("k".to_owned(), "v".to_owned())]);
            assert_eq!(action.message.as_ref().unwrap().as_str(), "card:track1");
            assert_eq!(action.sender.account.to_string(), "dingtalk:corp1:staff1");
            received.ack().await.unwrap();
            settle(&fake).await;
            assert!(
                answers(&fake).is_empty(),
                "it waits for what is said about it"
            );
            channel.answer_action(&action, Some("noted")).await.unwrap();
            settle(&fake).await;
            let (known, data) = answers(&fake).pop().unwrap();
            assert_eq!(known, id);
            let private = &data["response"]["userPrivateData"]["cardParamMap"];
            assert_eq!(private, &json!({"notice": "noted"}));
            assert!(channel.answer_action(&action, Some("late")).await.is_err());
            // A press that nobody says anything about is answered in time, and an answer that
            // was there before the event was safe goes out with it.
            fake.push("CALLBACK", PRESSES, &press("track1", None, "no"));
            let before = fake.elapsed();
            let received = next(&mut stream).await;
            received.ack().await.unwrap();
            let poll = async {
                loop {
                    let _ = stream.next().await;
                }
            };
            let answered = async {
                while answers(&fake).len() < 2 {
                    fake.transport.clock.sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! { () = poll => {}, () = answered => {} }
            assert!(fake.elapsed() - before < Duration::from_secs(3));
            assert_eq!(answers(&fake)[1].1, json!({"response": {}}));
        })
        .await;
}

/// The id of the next press, which is acknowledged.
async fn pressed(stream: &mut Stream) -> String {
    let received = next(stream).await;
    let id = received.event().unwrap().id.to_string();
    assert!(id.starts_with("press:"), "{id}");
    received.ack().await.unwrap();
    id
}

/// Runs the stream for so long.
async fn run_for(fake: &Fake, stream: &mut Stream, span: Duration) {
    let until = fake.transport.clock.sleep(span);
    let poll = async { while stream.next().await.is_some() {} };
    tokio::select! { () = poll => {}, () = until => {} }
}

/// DingTalk pushes again under another name, and nothing in a press tells one from the next.
#[tokio::test]
async fn a_press_that_comes_again_is_one_event_and_a_second_press_is_another() {
    let fake = Fake::new();
    let seconds = Duration::from_secs;
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready_with(&fake, fake.carded()).await;
            let yes = press("track1", Some(GROUP), "yes");
            let push = |press: &Value| fake.push("CALLBACK", PRESSES, press);
            // Nobody took it: it comes again.
            push(&yes);
            let received = next(&mut stream).await;
            let first = received.event().unwrap().id.to_string();
            received.nak().await.unwrap();
            run_for(&fake, &mut stream, seconds(60)).await;
            push(&yes);
            assert_eq!(pressed(&mut stream).await, first);
            // It waits for its answer, and comes once more: both frames are answered alike.
            push(&yes);
            let received = next(&mut stream).await;
            let EventKind::Action(action) = received.event().unwrap().kind.clone() else {
                panic!("{received:?}");
            };
            assert_eq!(received.event().unwrap().id.as_str(), first);
            received.ack().await.unwrap();
            channel.answer_action(&action, Some("noted")).await.unwrap();
            settle(&fake).await;
            let said = answers(&fake);
            assert_eq!(said.len(), 2);
            assert_eq!(said[0].1, said[1].1);
            // It was answered: this is the next one. So are another button, card and person.
            run_for(&fake, &mut stream, seconds(10)).await;
            push(&yes);
            let second = pressed(&mut stream).await;
            let mut other = yes.clone();
            other["userId"] = json!("staff2");
            let mut ids = vec![first, second.clone()];
            for another in [
                press("track1", Some(GROUP), "no"),
                press("track2", Some(GROUP), "yes"),
                other,
            ] {
                push(&another);
                ids.push(pressed(&mut stream).await);
            }
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{ids:?}");
            // The answer may have been lost with its connection.
            run_for(&fake, &mut stream, seconds(10)).await;
            push(&yes);
            let third = pressed(&mut stream).await;
            assert_ne!(third, second);
            run_for(&fake, &mut stream, seconds(3)).await;
            latest(&fake).cut();
            run_for(&fake, &mut stream, seconds(30)).await;
            push(&yes);
            assert_eq!(pressed(&mut stream).await, third);
            // It is long since over.
            run_for(&fake, &mut stream, seconds(80)).await;
            push(&yes);
            assert_ne!(pressed(&mut stream).await, third);
        })
        .await;
}

/// A union id is another name of the same person, and no staff id: nobody is taken for a member of
/// the staff by the looks of an id.
#[tokio::test]
async fn who_presses_by_a_union_id_is_no_member_of_the_staff() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready_with(&fake, fake.carded()).await;
            for (kind, account) in [(json!(1), "staff1"), (json!("2"), "union:staff1")] {
                let mut press = press("track1", Some(GROUP), "yes");
                press["userIdType"] = kind;
                fake.push("CALLBACK", PRESSES, &press);
                let received = next(&mut stream).await;
                let EventKind::Action(action) = &received.event().unwrap().kind else {
                    panic!("{received:?}");
                };
                let sender = action.sender.account.to_string();
                assert_eq!(sender, format!("dingtalk:corp1:{account}"));
            }
        })
        .await;
}

/// Another process knows nothing of what came before but what is stored, and that goes by the id.
#[tokio::test]
async fn a_press_that_comes_again_by_its_name_is_the_same_event_to_another_process() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready_with(&fake, fake.carded()).await;
            fake.push("CALLBACK", PRESSES, &press("track1", None, "yes"));
            let first = next(&mut stream).await.event().unwrap().id.clone();
            latest(&fake).cut();
            drop((stream, channel));
            // What is not answered comes again on the next connection.
            let again = fake.carded();
            let mut stream = again.events();
            let received = next(&mut stream).await;
            assert_eq!(received.event().unwrap().id, first);
        })
        .await;
}

#[tokio::test]
async fn a_group_says_whom_it_means_whatever_type_its_kind_has() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            for (number, kind) in [json!("2"), json!(2)].into_iter().enumerate() {
                let mut message = mention(&format!("msg{number}"), "hi");
                message["conversationType"] = kind;
                fake.say(&message);
                let received = next(&mut stream).await;
                let message = received.message().unwrap();
                assert_eq!(
                    (message.text.as_str(), message.addressed),
                    ("hi", Addressed::Mention)
                );
                assert_eq!(message.chat.title.as_deref(), Some("Team"));
            }
            let mut aside = mention("msg9", "not you");
            aside["isInAtList"] = json!(false);
            fake.say(&aside);
            let received = next(&mut stream).await;
            assert_eq!(received.message().unwrap().addressed, Addressed::No);
            let mut foreign = direct("msg10", "x");
            foreign["robotCode"] = json!("ding0002");
            fake.say(&foreign);
            assert_eq!(next(&mut stream).await.event().unwrap().name(), "unknown");
        })
        .await;
}

#[tokio::test]
async fn a_second_stream_takes_over_and_close_leaves_nothing_unsaid() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (channel, mut stream) = ready(&fake).await;
            fake.say(&direct("msg1", "hi"));
            let received = next(&mut stream).await;
            drop(stream);
            received.ack().await.unwrap();
            channel.as_events().unwrap().close().await.unwrap();
            settle(&fake).await;
            assert!(fake.state.lock().unwrap().queue.is_empty());
            let mut first = channel.events();
            assert_eq!(news(&mut first).await, Connection::Ready);
            let mut second = channel.events();
            assert_eq!(news(&mut second).await, Connection::Ready);
            assert!(first.next().await.is_none());
        })
        .await;
}

#[tokio::test]
async fn a_dropped_channel_leaves_no_connection() {
    let fake = Fake::new();
    let crowd = &fake.transport.crowd;
    let drill = leaves_nothing(crowd, 1, || ready(&fake), || latest(&fake).cut());
    fake.transport.clock.drive(drill).await;
}
