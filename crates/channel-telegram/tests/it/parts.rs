//! Messages sent part by part, and cards.

use channel_core::{
    Body, Button, Card, Channel as _, Edit as _, ErrorKind, OutboundMessage, Parts as _,
    Redelivery, Repeat, ReplyTo, Target, Upload,
};
use channel_telegram::Pacing;
use channel_testkit::Failure;
use serde_json::Value;

use crate::fake::{ADA, Fake};
use crate::outbound::{at, to_ada};

fn reply(body: impl Into<Body>) -> OutboundMessage {
    let to = ReplyTo::new("telegram".into(), Target::chat(ADA)).quoting("9".into());
    OutboundMessage::new(to, body)
}

fn picture(name: &'static str) -> Upload {
    Upload::image(name, name)
}

/// What went out: the fields of each message made, and how many calls made them.
fn calls(fake: &Fake) -> (usize, Vec<Value>) {
    let fields = fake.sent().into_iter().map(|sent| sent.fields);
    (fake.transport.http.count(), fields.collect())
}

#[test]
fn parts_are_what_the_whole_is() {
    let long = "word ".repeat(2000);
    let button = || [Button::press("A", "a")];
    let shapes = [
        (0, reply("")),
        (0, reply(" \n")),
        (1, reply("short")),
        (1, reply(Body::markdown("**short**")).buttons(button())),
        (3, reply(long.clone()).buttons(button()).silent()),
        (1, reply("caption").attach(Upload::file("f", "f"))),
        (
            4,
            reply(long.clone())
                .attach(Upload::file("f", "f"))
                .buttons(button()),
        ),
        (1, reply("").attach(Upload::file("f", "f"))),
        // An album is one call, and so one part.
        (1, reply("album").attach(picture("a")).attach(picture("b"))),
        (
            3,
            reply("first")
                .attach(picture("a"))
                .attach(picture("b"))
                .attach(Upload::file("f", "f"))
                .attach(picture("c")),
        ),
        (
            2,
            reply("words carry them")
                .attach(picture("a"))
                .attach(picture("b"))
                .buttons(button()),
        ),
    ];
    for (expected, message) in shapes {
        let (whole, split) = (Fake::new(), Fake::new());
        let count = split.run(async {
            let channel = split.builder().pacing(Pacing::off()).build().unwrap();
            let count = channel.parts(&message).unwrap();
            for part in 0..count {
                let receipt = channel.send_part(&message, part).await.unwrap();
                assert!(!receipt.messages.is_empty());
            }
            let error = channel.send_part(&message, count).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            count
        });
        whole.run(async {
            let channel = whole.builder().pacing(Pacing::off()).build().unwrap();
            channel.send(&message).await.unwrap();
        });
        assert_eq!(count, expected);
        assert_eq!(calls(&split), calls(&whole));
    }
}

#[test]
fn what_has_no_parts_is_refused_when_they_are_counted() {
    let channel = Fake::new().channel();
    let nowhere = OutboundMessage::new(Target::chat("general"), "x");
    let two = OutboundMessage::new(Target::chat("guest:q"), "word ".repeat(2000));
    let album = to_ada("").attach(picture("a")).attach(picture("b"));
    let album = album.buttons([Button::press("A", "a")]);
    let button = to_ada("x").buttons([Button::press("A", "a".repeat(65))]);
    for message in [nowhere, two, album, button] {
        let error = channel.parts(&message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[test]
fn a_part_that_fails_is_tried_once_and_says_so_itself() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let message = reply("word ".repeat(2000));
        channel.send_part(&message, 0).await.unwrap();
        fake.state.lock().unwrap().failure = Some((0, Failure::ServerError));
        let before = (fake.now(), fake.transport.http.count());
        let error = channel.send_part(&message, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.delivered().is_none());
        assert_eq!(
            (fake.now(), fake.transport.http.count()),
            (before.0, before.1 + 1)
        );
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        let error = channel.send_part(&message, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
    });
}

#[test]
fn the_guarantees_are_those_of_telegram() {
    let channel = Fake::new().channel();
    let guarantees = &channel.info().guarantees;
    assert_eq!(guarantees.send(), Repeat::Doubles);
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(guarantees.redelivery(), Redelivery::For(day));
    let others = guarantees.calls().skip(1);
    assert!(
        others
            .map(|(_, repeat)| repeat)
            .all(|repeat| repeat == Repeat::Idempotent)
    );
}

#[test]
fn a_card_is_words_and_buttons_wherever_it_goes() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let card = || Card::new("Deployment").actions([Button::press("Go", "go")]);
        let message = reply(Body::markdown("**Look**:")).card(card());
        assert_eq!(channel.parts(&message).unwrap(), 1);
        channel.send(&message).await.unwrap();
        let sent = fake.last("sendMessage");
        let text = sent["text"].as_str().unwrap();
        assert!(
            text.starts_with("Look:") && text.contains("Deployment"),
            "{text}"
        );
        assert_eq!(
            sent["entities"][0]["length"], 4,
            "the words keep their look"
        );
        assert!(sent["reply_markup"].to_string().contains("Go"));

        channel
            .edit(&at(1000), &to_ada("").card(card()))
            .await
            .unwrap();
        let edited = fake.last("editMessageText");
        assert_eq!(edited["text"], "Deployment");
        assert!(edited["reply_markup"].is_object());

        let streams = channel.as_stream().unwrap();
        let mut stream = streams.stream(&to_ada("").to).await.unwrap();
        stream.show(&Body::plain("wait")).await.unwrap();
        stream.finish(to_ada("done").card(card())).await.unwrap();
        assert!(fake.texts().last().unwrap().ends_with("Deployment"));
        assert!(fake.last("editMessageText")["reply_markup"].is_object());
    });
}
