//! Files in both directions. <https://core.telegram.org/bots/api#sending-files>

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use channel_emulator::Server;
use channel_emulator::telegram::{FileKind, Group, Post, TelegramConfig};
use http::Method;
use serde_json::{Value, json};

use crate::api::{ADA, BOT, DIRECT, TOKEN, World, exchange, png};

async fn download(world: &World, file_id: &Value) -> (u16, Bytes) {
    let file = world.result("getFile", json!({ "file_id": file_id })).await;
    let path = format!("/file/bot{TOKEN}/{}", file["file_path"].as_str().unwrap());
    exchange(world.address(), Method::GET, &path, "", Bytes::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_photo_comes_in_ascending_sizes_and_only_the_last_is_whole() {
    let world = World::started().await;
    let picture = png(320, 200);
    world
        .post(DIRECT, ADA, Post::photo(picture.clone()).caption("look"))
        .unwrap();
    let update = &world.result("getUpdates", json!({})).await[0];
    let sizes = update["message"]["photo"].as_array().unwrap();
    assert!(sizes[0]["width"].as_i64() < sizes[1]["width"].as_i64());
    assert_eq!(
        (&sizes[1]["width"], &sizes[1]["height"]),
        (&json!(320), &json!(200))
    );
    assert_eq!(update["message"]["caption"], "look");
    assert_eq!(
        download(&world, &sizes[1]["file_id"]).await,
        (200, picture.into())
    );
    assert_ne!(
        download(&world, &sizes[0]["file_id"]).await.1.len(),
        png(320, 200).len()
    );
}

#[tokio::test]
async fn what_was_uploaded_can_be_fetched_and_sent_again_by_its_id() {
    let world = World::started().await;
    let (status, sent) = world
        .upload(
            "sendDocument",
            &[("chat_id", "42")],
            "document",
            "a.txt",
            b"hello",
        )
        .await;
    assert_eq!(status, 200, "{sent}");
    let document = &sent["result"]["document"];
    assert_eq!(
        (&document["file_name"], &document["file_size"]),
        (&json!("a.txt"), &json!(5))
    );
    assert_eq!(download(&world, &document["file_id"]).await.1, "hello");
    let again = world
        .result(
            "sendDocument",
            json!({"chat_id": ADA, "document": document["file_id"]}),
        )
        .await;
    assert_eq!(
        again["document"]["file_unique_id"],
        document["file_unique_id"]
    );
    let as_photo = world
        .refusal(
            "sendPhoto",
            json!({"chat_id": ADA, "photo": document["file_id"]}),
        )
        .await;
    assert_eq!(
        as_photo.1,
        "Bad Request: can't use file of type Document as Photo"
    );
}

#[tokio::test]
async fn a_file_id_belongs_to_one_bot() {
    let world = World::new().await;
    let other = world.add_bot("777:OTHER", "other_bot").unwrap();
    let group = world
        .group(&Group::new(-5, "Kit").admin(BOT).admin(other))
        .unwrap();
    let place = channel_emulator::telegram::Place::Shared(group);
    world
        .post(place, ADA, Post::document("a.txt", "text/plain", "hello"))
        .unwrap();
    let id = |bot: i64| world.updates_pending(bot)[0]["message"]["document"].clone();
    assert_ne!(id(BOT)["file_id"], id(other)["file_id"]);
    assert_eq!(id(BOT)["file_unique_id"], id(other)["file_unique_id"]);
    assert_eq!(
        world
            .refusal("getFile", json!({"file_id": id(other)["file_id"]}))
            .await
            .0,
        400
    );
    world
        .result("getFile", json!({"file_id": id(BOT)["file_id"]}))
        .await;
}

#[tokio::test]
async fn a_link_lives_an_hour_and_needs_the_token() {
    let world = World::started().await;
    world
        .post(DIRECT, ADA, Post::document("a.txt", "text/plain", "hello"))
        .unwrap();
    let id = world.updates_pending(BOT)[0]["message"]["document"]["file_id"].clone();
    let file = world.result("getFile", json!({ "file_id": id })).await;
    let path = file["file_path"].as_str().unwrap().to_owned();
    let get = async |token: &str| {
        exchange(
            world.address(),
            Method::GET,
            &format!("/file/bot{token}/{path}"),
            "",
            Bytes::new(),
        )
        .await
        .unwrap()
        .0
    };
    assert_eq!(get("123456%3ATEST-TOKEN").await, 200);
    assert_eq!(get("123456:WRONG").await, 401);
    world.advance(Duration::from_secs(3599));
    assert_eq!(get(TOKEN).await, 200);
    world.advance(Duration::from_secs(2));
    assert_eq!(get(TOKEN).await, 404);
    assert_eq!(download(&world, &id).await.0, 200, "a new link works again");
}

#[tokio::test]
async fn large_files_are_refused_both_ways() {
    let world = World::with(TelegramConfig::default().file_limits(2000, 1000)).await;
    world.private_text(BOT, ADA, "/start").unwrap();
    world
        .post(
            DIRECT,
            ADA,
            Post::document("a", "text/plain", vec![b'x'; 1001]),
        )
        .unwrap();
    let id = world.updates_pending(BOT)[1]["message"]["document"]["file_id"].clone();
    assert_eq!(
        world.refusal("getFile", json!({ "file_id": id })).await,
        (400, "Bad Request: file is too big".into())
    );
    let fits = world
        .upload(
            "sendDocument",
            &[("chat_id", "42")],
            "document",
            "a",
            &[b'x'; 2000],
        )
        .await;
    assert_eq!(fits.0, 200);
    let over = world
        .upload(
            "sendDocument",
            &[("chat_id", "42")],
            "document",
            "a",
            &[b'x'; 2001],
        )
        .await;
    assert_eq!(
        (over.0, &over.1["description"]),
        (413, &json!("Request Entity Too Large"))
    );
    let body_over = world
        .upload(
            "sendDocument",
            &[("chat_id", "42")],
            "document",
            "a",
            &vec![b'x'; 2_000_000],
        )
        .await;
    assert_eq!(body_over.0, 413);
    assert_eq!(world.sent(BOT).len(), 1);
}

#[tokio::test]
async fn a_photo_is_an_image_of_at_most_ten_megabytes() {
    let world = World::started().await;
    let send = async |content: &[u8]| {
        let (_, answer) = world
            .upload("sendPhoto", &[("chat_id", "42")], "photo", "p.png", content)
            .await;
        answer["description"].clone()
    };
    assert_eq!(send(b"text").await, "Bad Request: IMAGE_PROCESS_FAILED");
    assert_eq!(send(b"").await, "Bad Request: file must be non-empty");
    assert_eq!(send(&png(9, 9)).await, Value::Null);
    let mut large = png(9, 9);
    large.resize(10 * 1024 * 1024 + 1, 0);
    assert_eq!(send(&large).await, "Request Entity Too Large");
    assert_eq!(
        world.refusal("sendPhoto", json!({"chat_id": ADA})).await.1,
        "Bad Request: there is no photo in the request"
    );
}

#[tokio::test]
async fn every_kind_of_file_has_its_field() {
    let world = World::started().await;
    for (method, field) in [
        ("sendAudio", "audio"),
        ("sendVideo", "video"),
        ("sendAnimation", "animation"),
        ("sendVoice", "voice"),
        ("sendVideoNote", "video_note"),
        ("sendSticker", "sticker"),
    ] {
        let (status, answer) = world
            .upload(method, &[("chat_id", "42")], field, "f.bin", b"content")
            .await;
        assert_eq!(status, 200, "{method} {answer}");
        assert_eq!(answer["result"][field]["file_size"], 7, "{method}");
        assert_eq!(
            answer["result"]["document"].is_object(),
            field == "animation"
        );
    }
    world
        .post(
            DIRECT,
            ADA,
            Post::file(FileKind::Voice, None, Some("audio/ogg".into()), "spoken"),
        )
        .unwrap();
    assert_eq!(
        world.updates_pending(BOT)[0]["message"]["voice"]["mime_type"],
        "audio/ogg"
    );
}

#[tokio::test]
async fn captions_hold_1024_units() {
    let world = World::started().await;
    let send = async |caption: &str| {
        world
            .upload(
                "sendDocument",
                &[("chat_id", "42"), ("caption", caption)],
                "document",
                "a",
                b"x",
            )
            .await
    };
    assert_eq!(send(&"😀".repeat(512)).await.0, 200);
    assert_eq!(
        send(&"x".repeat(1025)).await.1["description"],
        "Bad Request: message caption is too long"
    );
}

#[tokio::test]
async fn albums_hold_two_to_ten_files_of_one_sort() {
    let world = World::started().await;
    let album = async |kinds: &[&str]| {
        let media: Vec<_> = kinds
            .iter()
            .map(|kind| json!({"type": kind, "media": "attach://p"}))
            .collect();
        let fields = [
            ("chat_id", "42"),
            ("media", &*Value::from(media).to_string()),
        ];
        world
            .upload("sendMediaGroup", &fields, "p", "p.png", &png(4, 4))
            .await
    };
    let (_, sent) = album(&["photo", "video", "photo"]).await;
    let sent = sent["result"].as_array().unwrap();
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter()
            .all(|message| message["media_group_id"] == sent[0]["media_group_id"])
    );
    assert_eq!(album(&["document"; 10]).await.0, 200);
    assert_eq!(album(&["photo"]).await.0, 400);
    assert_eq!(album(&["photo"; 11]).await.0, 400);
    assert_eq!(album(&["photo", "document"]).await.0, 400);
    let missing =
        json!([{"type": "photo", "media": "attach://q"}, {"type": "photo", "media": "attach://q"}]);
    assert_eq!(
        world
            .refusal("sendMediaGroup", json!({"chat_id": ADA, "media": missing}))
            .await
            .0,
        400
    );
    assert_eq!(
        world.sent(BOT).len(),
        13,
        "a refused album leaves nothing behind"
    );
}

#[tokio::test]
async fn people_send_albums_as_messages_of_one_group() {
    let world = World::started().await;
    let posts = vec![
        Post::photo(png(4, 4)).caption("two"),
        Post::photo(png(5, 5)),
    ];
    world.album(DIRECT, ADA, posts).unwrap();
    let updates = world.updates_pending(BOT);
    assert_eq!(updates.len(), 2);
    assert_eq!(
        updates[0]["message"]["media_group_id"],
        updates[1]["message"]["media_group_id"]
    );
    assert_eq!(updates[1]["message"]["caption"], Value::Null);
}

#[tokio::test]
async fn fetches_files_given_by_an_address_on_this_machine() {
    let world = World::started().await;
    let router = Router::new().fallback(async || png(12, 12));
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), router)
        .await
        .unwrap();
    let url = format!("{}/p.png", server.base_url());
    let sent = world
        .result("sendPhoto", json!({"chat_id": ADA, "photo": url}))
        .await;
    assert_eq!(sent["photo"][1]["width"], 12);
    let media = json!([{"type": "photo", "media": url}, {"type": "document", "media": url}]);
    assert_eq!(
        world
            .refusal("sendMediaGroup", json!({"chat_id": ADA, "media": media}))
            .await
            .0,
        400
    );
    let media = json!([{"type": "photo", "media": url}, {"type": "photo", "media": url}]);
    world
        .result("sendMediaGroup", json!({"chat_id": ADA, "media": media}))
        .await;
}
