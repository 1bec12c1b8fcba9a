//! What LINE is given to show.

use channel_core::{
    AttachmentKind, Body, Button, Card, Channel as _, Choice, Content, ErrorKind, Inline,
    OutboundMessage, Target, Upload, UploadSource,
};
use serde_json::{Value, json};

use crate::fake::{ADA, Fake, GROUP, labels, words};

fn send(message: &OutboundMessage) -> Vec<Value> {
    send_to(&Fake::new(), message)
}

fn send_to(fake: &Fake, message: &OutboundMessage) -> Vec<Value> {
    let channel = fake.builder().video_preview("https://x.example/film.png");
    fake.run(channel.build().unwrap().send(message)).unwrap();
    fake.sent().into_iter().map(|it| it.message).collect()
}

fn to_ada(body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(ADA), body)
}

fn row(count: usize) -> Vec<Button> {
    (0..count)
        .map(|n| Button::press(format!("b{n}"), format!("v{n}")))
        .collect()
}

#[test]
fn markdown_becomes_plain_text_and_keeps_its_links() {
    let sent = send(&to_ada(Body::markdown(
        "**bold** [docs](https://x.example)\n\n- one",
    )));
    let text = sent[0]["text"].as_str().unwrap();
    assert_eq!(text, "bold docs (https://x.example)\n\n\u{2022} one");
}

#[test]
fn text_is_counted_in_utf16_units() {
    let sent = send(&to_ada("\u{1f34e}".repeat(2501)));
    let lengths: Vec<_> = sent
        .iter()
        .map(|it| it["text"].as_str().unwrap().encode_utf16().count())
        .collect();
    assert_eq!(lengths, [5000, 2]);
}

#[test]
fn few_buttons_stand_in_a_template() {
    let message = to_ada("Choose").buttons([
        Button::press("Yes", "ok:1"),
        Button::open("Docs", "https://x.example"),
    ]);
    let sent = send(&message);
    assert_eq!(
        sent,
        [
            json!({"type": "template", "altText": "Choose", "template": {"type": "buttons", "text": "Choose", "actions": [
            {"type": "postback", "label": "Yes", "data": "ok:1", "displayText": "Yes"},
            {"type": "uri", "label": "Docs", "uri": "https://x.example"}]}})
        ]
    );
}

#[test]
fn more_buttons_are_quick_replies_and_many_a_message_of_their_own() {
    let quick = send(&to_ada("Choose").buttons(row(13)));
    assert_eq!(quick.len(), 1);
    assert_eq!(
        quick[0]["quickReply"]["items"].as_array().unwrap().len(),
        13
    );
    let long = send(&to_ada("word ".repeat(40)).buttons(row(1)));
    assert_eq!(labels(&long[0]["quickReply"]), ["b0"]);
    let many = send(&to_ada("Choose").buttons(row(40)));
    let kinds: Vec<_> = many.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "flex", "flex"]);
    assert_eq!(many.iter().flat_map(labels).count(), 40);
    // Only the last message of all can show quick replies.
    let split = send(&to_ada("word ".repeat(1500)).buttons(row(2)));
    assert!(split[0].get("quickReply").is_none() && split[1].get("quickReply").is_some());
}

#[test]
fn a_label_that_is_too_long_is_said_in_full() {
    let label = "a choice of more than twenty letters";
    let sent = send(&to_ada("Choose").buttons([Button::press(label, "v")]));
    assert!(words(&sent[0]).contains(label));
    assert_eq!(labels(&sent[0]), ["a choice of more\u{2026}"]);
    let card = Card::new("x").actions([Button::press(label, "v")]);
    assert!(words(&send(&to_ada("").card(card))[0]).contains(label));
}

#[test]
fn buttons_that_line_would_refuse_are_refused_before_the_network() {
    let fake = Fake::new();
    let bad = [
        Button::press("", "v"),
        Button::press("a", ""),
        Button::press("a", "v".repeat(301)),
        Button::open("a", "javascript:alert(1)"),
        Button::open("a", "https://x.example/ y"),
        Button::open("a", format!("https://x.example/{}", "a".repeat(1000))),
    ];
    for button in bad {
        let message = to_ada("x").buttons([button]);
        let error = fake.run(fake.channel().send(&message)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!(fake.transport.http.count(), 0);
}

#[test]
fn a_card_is_one_flex_message_with_its_words_above() {
    let card = Card::new("Deploy")
        .text(Body::markdown("**waits**"))
        .choice(Choice::new("Where", [("Live", "to:l")]))
        .actions([Button::press("Go", "go")]);
    let sent = send(
        &to_ada("above")
            .card(card)
            .buttons([Button::press("Later", "l")]),
    );
    let kinds: Vec<_> = sent.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "flex"]);
    assert_eq!(words(&sent[1]), "Deploy\nwaits\nWhere");
    assert_eq!(labels(&sent[1]), ["Live", "Go", "Later"]);
}

#[test]
fn a_card_that_is_too_large_for_flex_is_said_in_words() {
    let card = Card::new("Deploy")
        .text(Body::markdown(format!("**x** {}", "word ".repeat(7000))))
        .actions([Button::press("Go", "go")]);
    let sent = send(&to_ada("above").card(card));
    assert!(sent.iter().all(|it| it["type"] == "text"));
    let all: String = sent.iter().map(words).collect();
    assert!(all.starts_with("above") && all.contains("Deploy") && !all.contains("**"));
    assert_eq!(labels(sent.last().unwrap()), ["Go"]);
}

#[test]
fn files_go_by_their_address_or_are_named_but_never_dropped() {
    let url = |path: &str| UploadSource::Url(format!("https://x.example/{path}"));
    let upload = |kind, name: &str, source| Upload::new(kind, name, source);
    let message = to_ada("files")
        .attach(upload(AttachmentKind::Image, "a.png", url("a.png")))
        .attach(upload(AttachmentKind::Video, "a.mp4", url("a.mp4")))
        .attach(upload(AttachmentKind::Voice, "a.m4a", url("a.m4a")))
        .attach(upload(
            AttachmentKind::Sticker,
            "",
            UploadSource::Existing("sticker:446/1988".into()),
        ))
        .attach(upload(AttachmentKind::File, "a.pdf", url("a.pdf")))
        .attach(upload(
            AttachmentKind::Image,
            "b.png",
            UploadSource::Url("http://x.example/b.png".to_owned()),
        ))
        .attach(Upload::image("c.png", vec![0; 7]))
        .attach(Upload::file("hello.txt", "hello"));
    let sent = send(&message);
    assert_eq!(
        sent[1],
        json!({"type": "image", "originalContentUrl": "https://x.example/a.png", "previewImageUrl": "https://x.example/a.png"})
    );
    assert_eq!(sent[2]["previewImageUrl"], "https://x.example/film.png");
    assert_eq!(
        (&sent[3]["type"], &sent[3]["duration"]),
        (&json!("audio"), &json!(60_000))
    );
    assert_eq!(
        sent[4],
        json!({"type": "sticker", "packageId": "446", "stickerId": "1988"})
    );
    let rest: Vec<_> = sent[5..].iter().map(words).collect();
    assert_eq!(
        rest,
        [
            "a.pdf\nhttps://x.example/a.pdf",
            "b.png\nhttp://x.example/b.png",
            "[c.png, 7 bytes]",
            "[hello.txt, 5 bytes]"
        ]
    );
}

#[test]
fn a_film_without_a_preview_is_a_link() {
    let fake = Fake::new();
    let source = UploadSource::Url("https://x.example/a.mp4".to_owned());
    let message = to_ada("").attach(Upload::new(AttachmentKind::Video, "a.mp4", source));
    fake.run(fake.channel().send(&message)).unwrap();
    assert_eq!(fake.texts(), ["a.mp4\nhttps://x.example/a.mp4"]);
}

#[test]
fn mentions_reach_people_in_groups() {
    let mention = Inline::Mention {
        id: Some(ADA.into()),
        name: "@Ada".to_owned(),
    };
    let content = Content::paragraph([Inline::text("{x} "), mention]);
    let in_group = send(&OutboundMessage::new(Target::chat(GROUP), content.clone()));
    assert_eq!(in_group[0]["text"], "{{x}} {m0}");
    assert_eq!(
        in_group[0]["substitution"]["m0"]["mentionee"]["userId"],
        ADA
    );
    let alone = send(&to_ada(content));
    assert_eq!(alone[0], json!({"type": "text", "text": "{x} @Ada"}));
}

#[test]
fn an_answer_quotes_unless_it_is_told_not_to() {
    let fake = Fake::new();
    let channel = fake.channel();
    let question = fake.deliver_message(&channel, fake.text("?"));
    let quiet = OutboundMessage::new(question.return_address.clone().without_quote(), "b");
    let sent = send_to(&fake, &question.reply("a"));
    assert_eq!(sent[0]["quoteToken"], "qt-1");
    assert!(send_to(&fake, &quiet)[1].get("quoteToken").is_none());
}
