//! What the bot sends.

use bytes::Bytes;
use channel_core::{
    Attachment, AttachmentKind, Body, Button, Channel as _, ChannelId, Content, Delete as _,
    Edit as _, ErrorKind, Inline, Media as _, MessageId, MessageRef, OutboundMessage, Parts as _,
    Purpose, Redelivery, Repeat, ReplyTo, Target, Typing as _, Upload, UploadSource, Webhook as _,
};
use channel_standard::AckAfter;
use channel_testkit::Reply;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::world::{TOKEN, World, message, now, types};

fn to_ada(body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat("web-1/default"), body)
}

#[test]
fn bodies_keep_their_formatting() {
    let mut world = World::new();
    let ada = world.join("web-1");
    world.send(&to_ada("plain *text*"));
    world.send(&to_ada(Body::markdown("some **bold**")));
    let tree = Content::paragraph([Inline::text("a "), Inline::strong("b")]);
    world.send(&to_ada(tree));
    let frames = ada.frames();
    let shown: Vec<_> = frames
        .iter()
        .map(|it| (&it["text"], &it["format"]))
        .collect();
    assert_eq!(shown[0], (&json!("plain *text*"), &json!("plain")));
    assert_eq!(shown[1], (&json!("some **bold**"), &json!("markdown")));
    assert_eq!(shown[2].1, "markdown");
    let text = shown[2].0.as_str().unwrap();
    assert_eq!(channel_text::parse_markdown(text).to_plain(), "a b");
    assert!(text.contains("**b**"), "{text}");
}

#[test]
fn long_texts_are_split_and_every_part_is_in_the_receipt() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let text = "wörd ".repeat(20_000);
    for body in [Body::plain(&text), Body::markdown(format!("**{text}**"))] {
        let ids = world.send(&to_ada(body));
        let frames = ada.frames();
        assert!(ids.len() >= 4);
        assert_eq!(ids.len(), frames.len());
        for frame in &frames {
            assert!(frame["text"].as_str().unwrap().chars().count() <= 32_768);
        }
        let words: usize = frames
            .iter()
            .map(|it| it["text"].as_str().unwrap().matches("wörd").count())
            .sum();
        assert_eq!(words, 20_000);
    }
}

#[test]
fn an_empty_message_sends_nothing() {
    let mut world = World::new();
    let ada = world.join("web-1");
    for body in [
        Body::plain(""),
        Body::markdown("  \n"),
        Body::Content(Content::default()),
    ] {
        assert!(world.send(&to_ada(body)).is_empty());
    }
    assert!(ada.frames().is_empty());
}

#[test]
fn the_same_key_sends_once() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let once = to_ada("hi").key("k-1");
    let first = world.send(&once);
    assert_eq!(world.send(&once), first);
    assert_ne!(world.send(&to_ada("hi").key("k-2")), first);
    assert_eq!(ada.frames().len(), 2);
}

#[test]
fn a_chat_that_does_not_exist_is_not_found() {
    let world = World::new();
    for chat in [
        "web-1",
        "",
        "/",
        "a/b/c",
        "web-1/room:x",
        "room:none",
        "a b/default",
    ] {
        let error = now(world
            .channel
            .send(&OutboundMessage::new(Target::chat(chat), "hi")))
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{chat}");
    }
}

#[test]
fn messages_of_ours_are_edited_and_deleted() {
    let mut world = World::new();
    let ada = world.join("web-1");
    ada.send(&message("m-01", "hi"));
    let event = world.event().unwrap();
    let theirs = event.message().unwrap().at();
    let id = world.send(&to_ada("one")).remove(0);
    ada.frames();
    let at = MessageRef::new("web-1/default".into(), id.as_str().into());
    now(world.channel.edit(&at, &to_ada("two"))).unwrap();
    now(world.channel.edit(&at, &to_ada("two"))).unwrap();
    now(world.channel.delete(&at)).unwrap();
    world.settle();
    let frames = ada.frames();
    assert_eq!(types(&frames), ["edit", "edit", "delete"]);
    assert_eq!(
        (&frames[0]["rev"], &frames[1]["rev"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&frames[0]["text"], &frames[0]["final"]),
        (&json!("two"), &json!(true))
    );
    assert_eq!(frames[2]["id"], id.as_str());
    let long = to_ada("x".repeat(32_769));
    for error in [
        now(world.channel.delete(&at)).unwrap_err(),
        now(world.channel.edit(&at, &to_ada("x"))).unwrap_err(),
        now(world.channel.delete(&theirs)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let id = world.send(&to_ada("three")).remove(0);
    let at = MessageRef::new("web-1/default".into(), id.as_str().into());
    assert_eq!(
        now(world.channel.edit(&at, &long)).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn typing_is_shown_and_not_stored() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let to = Target::chat("web-1/default").into();
    now(world.channel.start_typing(&to)).unwrap();
    world.settle();
    assert_eq!(
        ada.frames(),
        [json!({
            "v":1,"type":"typing","conversation":"default","state":"start","ttl":10,
            "from":{"id":"bot","name":"Bot","kind":"bot"},
        })]
    );
    assert_eq!(world.channel.lasts().as_secs(), 10);
    let (_again, frames) = world.rejoin("web-1", "");
    assert_eq!(types(&frames), ["welcome", "ack"]);
}

#[test]
fn the_purpose_of_a_message_is_told() {
    let mut world = World::new();
    let ada = world.join("web-1");
    world.send(&to_ada("hm").purpose(Purpose::Reasoning));
    assert_eq!(ada.frames()[0]["purpose"], "reasoning");
}

#[test]
fn the_bot_knows_who_it_is() {
    let world = World::new();
    let identity = now(world.channel.probe()).unwrap();
    assert_eq!(
        (identity.id.as_str(), identity.name.as_str()),
        ("bot", "Bot")
    );
}

#[test]
fn files_go_inline_by_id_or_by_address() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let large = Bytes::from(vec![7; (256 << 10) + 1]);
    let message = to_ada("see")
        .attach(Upload::file("a.txt", "hello").with_mime("text/plain"))
        .attach(Upload::image("b.png", large.clone()))
        .attach(Upload::new(
            AttachmentKind::File,
            "c.pdf",
            UploadSource::Url("https://e.x/c.pdf".to_owned()),
        ));
    assert_eq!(world.send(&message).len(), 1, "files go with the words");
    let frame = ada.frames().remove(0);
    assert_eq!(frame["text"], "see");
    let files = &frame["attachments"];
    assert_eq!(
        files[0],
        json!({"kind":"file","name":"a.txt","mime":"text/plain","size":5,"data":"aGVsbG8="})
    );
    assert_eq!(files[2]["url"], "https://e.x/c.pdf");
    let id = files[1]["media_id"].as_str().unwrap();
    let response = http(
        &world,
        Method::GET,
        &format!("/standard/media?id={id}"),
        TOKEN,
        "",
    );
    assert_eq!(response.status(), 200);
    assert_eq!(response.body(), &large);
    assert_eq!(
        response.headers()["content-type"],
        "application/octet-stream"
    );
    assert_eq!(response.headers()["content-disposition"], "attachment");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let stranger = http(
        &world,
        Method::GET,
        &format!("/standard/media?id={id}"),
        "no",
        "",
    );
    assert_eq!(stranger.status(), 401);
    let huge = to_ada("").attach(Upload::file("x", vec![0; (10 << 20) + 1]));
    assert_eq!(
        now(world.channel.send(&huge)).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn more_files_than_one_frame_holds_become_several() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let mut message = to_ada("");
    for _ in 0..17 {
        message = message.attach(Upload::file("a", "x"));
    }
    assert_eq!(world.send(&message).len(), 2);
    let counts: Vec<_> = ada
        .frames()
        .iter()
        .map(|it| it["attachments"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [16, 1]);
}

#[test]
fn files_of_clients_can_be_downloaded_and_are_not_in_the_payload() {
    let mut world = World::new();
    let (ada, phone) = (world.join("web-1"), world.join("web-1"));
    ada.send(&json!({
        "v":1,"type":"message","id":"m-1","text":"","attachments":[
            {"kind":"image","name":"a.png","mime":"image/png","size":999,"data":"aGVsbG8="},
            {"kind":"file","name":"b.pdf","size":9,"url":"https://e.x/b.pdf"},
        ],
    }));
    let event = world.event().unwrap();
    let it = event.message().unwrap();
    let [image, pdf] = it.attachments.as_slice() else {
        panic!("two files")
    };
    assert_eq!((image.kind, image.bytes), (AttachmentKind::Image, Some(5)));
    assert_eq!(image.name.as_deref(), Some("a.png"));
    let raw = String::from_utf8(it.raw.as_slice().to_vec()).unwrap();
    assert!(!raw.contains("aGVsbG8="), "{raw}");
    let native: channel_standard::StandardMessage = it.native().unwrap();
    assert_eq!(
        *channel_core::InboundMessage::attachments(&native),
        it.attachments
    );
    assert!(phone.frames()[0]["attachments"][0]["media_id"].is_string());

    let channel = &world.channel;
    assert_eq!(now(channel.download(image, 5)).unwrap(), "hello");
    assert_eq!(
        now(channel.download(image, 4)).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    world
        .fake
        .http
        .once("/b.pdf", Reply::bytes(StatusCode::OK, "a pdf"));
    let clock = world.fake.clock.clone();
    assert_eq!(clock.block_on(channel.download(pdf, 100)).unwrap(), "a pdf");
    assert!(world.fake.http.requests()[0].guarded);
    for id in ["media:never", "not an address", "data:text/plain,x"] {
        let file = Attachment::new(id.into(), AttachmentKind::File);
        assert!(
            clock.block_on(channel.download(&file, 100)).is_err(),
            "{id}"
        );
    }
    world.advance(std::time::Duration::from_secs(3601));
    let (image, channel) = (&event.message().unwrap().attachments[0], &world.channel);
    assert_eq!(
        now(channel.download(image, 5)).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn an_upload_becomes_part_of_a_message() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let response = http(
        &world,
        Method::POST,
        "/standard/media",
        TOKEN,
        "a large file",
    );
    assert_eq!(response.status(), 201);
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(answer["size"], 12);
    let file = json!({"kind":"file","name":"big","media_id":answer["media_id"]});
    ada.send(&json!({"v":1,"type":"message","id":"m-1","attachments":[file]}));
    let event = world.event().unwrap();
    let attachment = &event.message().unwrap().attachments[0];
    assert_eq!(attachment.bytes, Some(12));
    assert_eq!(
        now(world.channel.download(attachment, 100)).unwrap(),
        "a large file"
    );
    for (token, body, status) in [("no", "x", 401), (TOKEN, "", 400)] {
        let response = http(&world, Method::POST, "/standard/media", token, body);
        assert_eq!(response.status(), status);
    }
}

#[test]
fn browsers_learn_from_info_what_an_upgrade_would_get() {
    let world = World::with(|builder| {
        builder
            .allow_origin("https://app.example")
            .configure(|config| config.max_connections = 1)
    });
    let ask = |method: Method, token: &str, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/standard/info")
            .header("authorization", format!("Bearer {token}"))
            .header("origin", origin)
            .body(Bytes::new())
            .unwrap();
        receive(&world, &request)
    };
    let app = "https://app.example";
    let good = ask(Method::GET, TOKEN, app);
    assert_eq!(good.status(), 200);
    assert_eq!(good.body(), r#"{"protocol":"channel-kit.v1","ok":true}"#);
    assert_eq!(good.headers()["access-control-allow-origin"], app);
    assert_eq!(good.headers()["vary"], "Origin");
    let wrong = ask(Method::GET, "wrong", app);
    assert_eq!(wrong.status(), 401);
    assert_eq!(
        wrong.headers()["access-control-allow-origin"],
        app,
        "readable"
    );
    let evil = ask(Method::GET, TOKEN, "https://evil.example");
    assert_eq!(evil.status(), 403);
    assert!(!evil.headers().contains_key("access-control-allow-origin"));
    let preflight = ask(Method::OPTIONS, "", app);
    assert_eq!(preflight.status(), 204);
    let allowed = preflight.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("Authorization"));
    let _slot = world.upgrade(&crate::world::bearer(TOKEN)).unwrap();
    assert_eq!(ask(Method::GET, TOKEN, app).status(), 503);
}

fn http(
    world: &World,
    method: Method,
    uri: &str,
    token: &str,
    body: &str,
) -> http::Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", format!("Bearer {token}"))
        .body(Bytes::from(body.to_owned()))
        .unwrap();
    receive(world, &request)
}

fn receive(world: &World, request: &Request<Bytes>) -> http::Response<Bytes> {
    let now = std::time::UNIX_EPOCH;
    let accepted = world.channel.receive(request, now).unwrap();
    let channel_core::Answer::Now(response) = accepted.answer else {
        panic!("not answered at once");
    };
    assert!(accepted.events.is_empty());
    response
}

#[test]
fn the_parts_one_by_one_are_what_the_whole_would_be() {
    let words = "a word or two ".repeat(5000);
    let files = (0..20).map(|number| Upload::file(format!("{number}.txt"), "x"));
    let target = Target::chat("web-1/default");
    let to = ReplyTo::new(ChannelId::new("standard"), target).quoting(MessageId::new("m-1"));
    let mut message = OutboundMessage::new(to, Body::Plain(words));
    message.attachments = files.collect();
    message.buttons = vec![vec![Button::press("Yes", "y")]];
    let whole = |frames: Vec<Value>| -> Vec<Value> {
        let without_numbers = |mut frame: Value| {
            for name in ["id", "seq", "cursor"] {
                frame[name] = Value::Null;
            }
            frame
        };
        frames.into_iter().map(without_numbers).collect()
    };

    let mut world = World::new();
    let ada = world.join("web-1");
    world.send(&message);
    let expected = whole(ada.frames());
    // Three texts, the last with sixteen files, then four files with the buttons.
    assert_eq!(expected.len(), 4);
    let each = |what: fn(&Value) -> usize| expected.iter().map(what).collect::<Vec<_>>();
    let count = |name: &'static str| {
        let of = move |frame: &Value| frame[name].as_array().map_or(0, Vec::len);
        expected.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(count("attachments"), [0, 0, 16, 4]);
    assert_eq!(count("buttons"), [0, 0, 0, 1]);
    assert_eq!(
        each(|it| usize::from(it["in_reply_to"] == "m-1")),
        [1, 0, 0, 0]
    );
    assert_eq!(world.channel.parts(&message).unwrap(), 4);
    for part in 0..4 {
        now(world.channel.send_part(&message, part)).unwrap();
    }
    world.settle();
    assert_eq!(whole(ada.frames()), expected);

    // Each part has a key of its own, and is sent once.
    let keyed = message.key("part-2");
    let first = now(world.channel.send_part(&keyed, 2)).unwrap();
    let again = now(world.channel.send_part(&keyed, 2)).unwrap();
    assert_eq!(first, again);
    world.settle();
    assert_eq!(ada.frames().len(), 1);
}

#[test]
fn what_is_promised_depends_on_when_clients_are_told() {
    let promised = |ack_after| {
        let world = World::with(|it| it.configure(|config| config.ack_after = ack_after));
        world.channel.info().guarantees.clone()
    };
    let stored = promised(AckAfter::Stored);
    assert_eq!(stored.redelivery(), Redelivery::UntilAcknowledged);
    assert_eq!(stored.send(), Repeat::Doubles);
    let others = stored.calls().skip(1);
    assert!(others.into_iter().all(|(_, it)| it == Repeat::Idempotent));
    let delivered = promised(AckAfter::Delivered);
    assert_eq!(delivered.redelivery(), Redelivery::Never);
    assert!(include_str!("../../README.md").contains(&stored.to_markdown()));
}
