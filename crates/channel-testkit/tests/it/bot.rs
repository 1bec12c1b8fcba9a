use channel_core::{
    Addressed, Button, Channel as _, Connection, Delete as _, Edit as _, ErrorKind, Event,
    EventKind, Events as _, InboundMessage as _, OutboundMessage, Target, Upload,
};
use channel_testkit::{Failure, MemoryChannel, MemoryMessage, VirtualClock};
use futures_util::future::join;
use futures_util::{FutureExt as _, StreamExt as _};

fn run<T>(test: impl Future<Output = T>) -> T {
    VirtualClock::new().block_on(test)
}

/// Acknowledges everything that is there.
async fn events(channel: &MemoryChannel) -> Vec<Event> {
    let mut stream = channel.events();
    let mut events = Vec::new();
    while let Some(Some(received)) = stream.next().now_or_never() {
        let mut received = received.unwrap();
        let event = received.take().unwrap();
        received.ack().await.unwrap();
        if !matches!(event.kind, EventKind::Connection(_)) {
            events.push(event);
        }
    }
    events
}

#[test]
fn everything_that_users_do_becomes_an_event() {
    run(async {
        let channel = MemoryChannel::new();
        let ada = channel.user("ada").in_group("team");
        let asked = ada.says("a question");
        ada.edits(&asked, "a better question");
        ada.reacts(&asked, "\u{1f44d}");
        ada.deletes(&asked);
        ada.presses(&asked, "yes");
        let names: Vec<_> = events(&channel).await.iter().map(Event::name).collect();
        let expected = ["message", "edited", "reaction", "deleted", "action"];
        assert_eq!(names, expected);
        assert_eq!(channel.unacknowledged(), 0);
    });
}

#[test]
fn knows_why_a_message_is_meant_for_the_bot() {
    run(async {
        let channel = MemoryChannel::new();
        let hello = OutboundMessage::new(Target::chat("team"), "hello");
        let at = channel.send(&hello).await.unwrap().messages.remove(0);
        let bob = channel.user("bob");
        bob.says("direct");
        let bob = bob.in_group("team");
        let other = bob.says("not for you");
        bob.mentions_bot("for you");
        bob.replies(&at, "an answer");
        bob.replies(&other, "not for you either");
        let addressed: Vec<_> = events(&channel)
            .await
            .iter()
            .map(|event| event.message().unwrap().addressed)
            .collect();
        let expected = [
            Addressed::Direct,
            Addressed::No,
            Addressed::Mention,
            Addressed::Reply,
            Addressed::No,
        ];
        assert_eq!(addressed, expected);
    });
}

#[test]
fn a_reply_quotes_and_carries_all_that_it_was_given() {
    run(async {
        let channel = MemoryChannel::new();
        let asked = channel.user("ada").in_thread("7").says("a question");
        let event = events(&channel).await.remove(0);
        let reply = event
            .message()
            .unwrap()
            .reply("an answer")
            .attach(Upload::file("a.txt", "content"))
            .buttons([Button::press("Yes", "yes")])
            .silent();
        channel.send(&reply).await.unwrap();
        let [text, file] = channel.sent().try_into().unwrap();
        assert_eq!(text.quoted, Some(asked.id));
        assert_eq!(text.thread.unwrap().as_str(), "7");
        assert!(text.silent && text.buttons.is_empty());
        assert_eq!(file.files[0].name, "a.txt");
        assert_eq!(file.buttons[0].len(), 1);
    });
}

#[test]
fn shows_edits_and_deletions() {
    run(async {
        let channel = MemoryChannel::new();
        let to = Target::chat("ada");
        let send = |text: &str| {
            let message = OutboundMessage::new(to.clone(), text);
            let channel = &channel;
            async move { channel.send(&message).await.unwrap().messages.remove(0) }
        };
        let (first, second) = (send("one").await, send("two").await);
        let other = OutboundMessage::new(to.clone(), "three");
        channel.edit(&second, &other).await.unwrap();
        channel.delete(&first).await.unwrap();
        assert_eq!(channel.texts(), ["three"]);
        let error = channel.edit(&first, &other).await.expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn fails_as_told_and_works_again() {
    run(async {
        let channel = MemoryChannel::new();
        let message = OutboundMessage::new(Target::chat("ada"), "hello");
        channel.fail_after(1, Failure::ServerError);
        assert!(channel.send(&message).await.is_ok());
        let error = channel.send(&message).await.expect_err("broken");
        assert_eq!(
            error.to_string(),
            "memory: send message: the server has failed"
        );
        channel.mend();
        assert!(channel.send(&message).await.is_ok());
        assert_eq!((channel.texts().len(), channel.calls()), (2, 3));
    });
}

#[test]
fn a_test_can_wait_for_what_the_bot_sends() {
    run(async {
        let channel = MemoryChannel::new();
        let message = OutboundMessage::new(Target::chat("ada"), "hello");
        let (sent, receipt) = join(channel.wait_for_sent(1), channel.send(&message)).await;
        assert_eq!(sent[0].at, receipt.unwrap().messages[0]);
    });
}

#[test]
fn a_new_stream_takes_over_from_the_old_one() {
    run(async {
        let channel = MemoryChannel::new();
        let mut old = channel.events();
        let first = old.next().await.unwrap().unwrap();
        assert!(matches!(
            first.event().unwrap().kind,
            EventKind::Connection(Connection::Ready)
        ));
        let mut new = channel.events();
        channel.user("ada").says("hello");
        assert!(old.next().await.is_none());
        new.next().await.unwrap().unwrap().ack().await.unwrap();
        let received = new.next().await.unwrap().unwrap();
        assert_eq!(received.message().unwrap().text, "hello");
    });
}

#[test]
fn the_native_message_reads_like_the_common_one() {
    run(async {
        let channel = MemoryChannel::new();
        channel.user("ada").sends_file("a.txt", "content", "look");
        let event = events(&channel).await.remove(0);
        let message = event.message().unwrap();
        let native = message.native::<MemoryMessage>().unwrap();
        assert_eq!(native.id(), message.id());
        assert_eq!(native.text(), message.text());
        assert_eq!(native.account(), message.account());
        assert_eq!(native.attachments(), message.attachments());
        assert_eq!(native.sent_at(), message.sent_at());
        assert_eq!(native.addressed(), message.addressed());
    });
}
