//! The ways that answers take out, and files in.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Channel as _, Clock as _, Destination, ErrorKind, Target};
use channel_testkit::Reply;
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, GROUP, grouped};
use crate::inbound::event;
use crate::outbound::asked;

#[test]
fn the_way_of_an_answer_is_told_and_why() {
    let fake = Fake::new();
    let slack = fake.channel();
    let command = asked(&fake, &slack);
    let to = command.reply("").to;
    let way = || slack.explain(&to);
    fake.run(async {
        assert_eq!(way(), "response_url, the first choice");
        assert_eq!(
            way(),
            "response_url, the first choice",
            "it uses nothing up"
        );
        for _ in 0..5 {
            slack.send(&command.reply("answer")).await.unwrap();
        }
        let used = "chat.postMessage, because for response_url it is used up";
        assert_eq!(way(), used);
        fake.transport.clock.sleep(Duration::from_secs(1800)).await;
        let fresh = fake.channel();
        let why = fresh.explain(&to);
        assert!(why.contains("its window has passed"), "{why}");
        assert!(!why.contains("hooks.slack.com"), "{why}");
    });
    let posted = slack.explain(&Target::chat(DIRECT).into());
    assert_eq!(
        posted,
        "chat.postMessage, because it answers no slash command"
    );
    let nowhere: Destination = Target::chat("#general").into();
    let why = slack.explain(&nowhere);
    assert!(
        why.starts_with("none, because a chat id looks like"),
        "{why}"
    );
}

/// In a chat that is shared between workspaces Slack tells the id of a file only
/// (<https://docs.slack.dev/reference/objects/file-object/>).
#[test]
fn a_file_that_is_told_by_its_id_is_asked_for_and_its_size_is_known_before_it_is_fetched() {
    let fake = Fake::new();
    let slack = fake.channel();
    let file = ("a.bin".to_owned(), Bytes::from_static(b"content"));
    fake.state.lock().unwrap().files.push(file);
    let mut message = grouped("1700000000.000100", "see");
    message["subtype"] = json!("file_share");
    message["files"] =
        json!([{"id": "F7", "mode": "file_access", "file_access": "check_file_info"}]);
    let event = event(message);
    let message = event.message().unwrap();
    assert_eq!(message.chat.id.as_str(), GROUP);
    let [attachment] = message.attachments.as_slice() else {
        panic!("{message:?}");
    };
    let info = |fields: Value| {
        let reply = Reply::ok(&json!({"ok": true, "file": fields}));
        fake.transport.http.once("/api/files.info", reply);
    };
    let url = "https://files.slack.com/files-pri/T1-F7/a.bin";
    let fetched = || {
        let all = fake.transport.http.requests().into_iter();
        all.filter(|call| call.path().starts_with("/files-pri/"))
            .count()
    };
    let media = slack.as_media().unwrap();
    fake.run(async {
        info(json!({"id": "F7", "size": 7, "url_private_download": url}));
        let bytes = media.download(attachment, 7).await.unwrap();
        assert_eq!(&bytes[..], b"content");
        assert_eq!(fake.last("files.info")["file"], "F7");
        for (fields, kind) in [
            (
                json!({"id": "F7", "size": 8, "url_private": url}),
                ErrorKind::Invalid,
            ),
            (json!({"id": "F7", "size": 7}), ErrorKind::NotFound),
            (
                json!({"id": "F7", "url_private": "https://evil.example/a.bin"}),
                ErrorKind::Unsupported,
            ),
        ] {
            info(fields);
            let error = media.download(attachment, 7).await.unwrap_err();
            assert_eq!((error.kind(), fetched()), (kind, 1), "{error}");
        }
    });
}
