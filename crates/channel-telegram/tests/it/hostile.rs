//! Input that nobody should send.

use channel_core::{Event, EventKind, Events as _, InboundMessage as _, Random as _};
use channel_telegram::TelegramMessage;
use channel_testkit::SeededRandom;
use serde_json::{Value, json};

use crate::cursor::next;
use crate::fake::{ADA, BOT, Fake, grouped, private};
use crate::webhook::deliver;

/// One good update of each kind that is mapped.
fn samples() -> Vec<Value> {
    let person = json!({"id": ADA, "is_bot": false, "first_name": "Ada", "last_name": "L", "username": "ada_t"});
    let chat = json!({"id": -1_001_234_567_890_i64, "type": "supergroup", "title": "Kit"});
    let with = |mut base: Value, fields: Value| {
        base.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        base
    };
    let file = json!({"file_id": "F", "file_unique_id": "u", "file_name": "n", "mime_type": "a/b", "file_size": 5});
    let rich = json!({"entities": [{"type": "mention", "offset": 0, "length": 8}, {"type": "bold", "offset": 2, "length": 3},
        {"type": "text_link", "offset": 1, "length": 4, "url": "https://x.example"},
        {"type": "text_mention", "offset": 1, "length": 2, "user": person}, {"type": "pre", "offset": 0, "length": 3, "language": "c"}],
        "reply_to_message": {"message_id": 8, "from": {"id": BOT}}, "message_thread_id": 7, "is_topic_message": true});
    let files = json!({"photo": [{"file_id": "S", "width": 1, "height": 1}, {"file_id": "L", "width": 9, "height": 9}],
        "document": file, "audio": file, "video": file, "voice": file, "sticker": file, "animation": file,
        "caption": "c", "caption_entities": [{"type": "italic", "offset": 0, "length": 1}], "media_group_id": "1",
        "paid_media": {"paid_media": [{"type": "video", "video": file}]}});
    let member = json!({"chat": chat, "from": person, "date": 1, "old_chat_member": {"status": "left", "user": person},
        "new_chat_member": {"status": "restricted", "is_member": true, "user": person}});
    let all = [
        json!({"message": private(5, "hello")}),
        json!({"message": with(grouped("@kit_bot 😀 hi"), rich)}),
        json!({"message": with(private(6, ""), files)}),
        json!({"edited_message": private(5, "hello 2")}),
        json!({"channel_post": with(grouped("news"), json!({"sender_chat": chat}))}),
        json!({"message": with(grouped(""), json!({"new_chat_members": [person]}))}),
        json!({"message": with(grouped(""), json!({"left_chat_member": person}))}),
        json!({"message": with(grouped(""), json!({"migrate_to_chat_id": -1_000_000_000_005_i64}))}),
        json!({"message": with(grouped(""), json!({"pinned_message": {"message_id": 1}}))}),
        json!({"business_message": with(private(5, "x"), json!({"business_connection_id": "b"}))}),
        json!({"deleted_business_messages": {"business_connection_id": "b", "chat": chat, "message_ids": [1]}}),
        json!({"guest_message": with(grouped("x"), json!({"guest_query_id": "g"}))}),
        json!({"message": with(grouped("x"), json!({"message_id": 0, "ephemeral_message_id": 4}))}),
        json!({"callback_query": {"id": "1", "from": person, "chat_instance": "2", "data": "d", "message": grouped("x")}}),
        json!({"callback_query": {"id": "1", "from": person, "chat_instance": "2", "data": "d", "inline_message_id": "I"}}),
        json!({"message_reaction": {"chat": chat, "message_id": 1, "user": person, "date": 1,
            "old_reaction": [], "new_reaction": [{"type": "emoji", "emoji": "👍"}]}}),
        json!({"my_chat_member": member}),
        json!({"chat_member": member}),
        json!({"poll": {"id": "1", "options": []}}),
    ];
    all.into_iter()
        .map(|update| with(json!({"update_id": 500}), update))
        .collect()
}

/// Reads everything that an event offers.
fn look_at(event: &Event) {
    let _ = format!("{event:?}");
    let _ = (event.sender(), event.conversation(), event.name());
    let stored = serde_json::to_string(event).unwrap();
    assert_eq!(&serde_json::from_str::<Event>(&stored).unwrap(), event);
    if let EventKind::Message(message) | EventKind::Edited(message) = &event.kind {
        let _ = (message.content(), message.command());
        if let Ok(native) = message.native::<TelegramMessage>() {
            let _ = (native.content(), native.attachments(), native.addressed());
            let _ = (native.sender_name(), native.reply_to(), native.account());
            assert_eq!(native.text(), message.text);
        }
    }
}

#[test]
fn every_sample_is_what_it_says() {
    for sample in samples() {
        let event = deliver(&sample.to_string()).unwrap();
        let unknown = matches!(event.kind, EventKind::Unknown(_));
        assert_eq!(unknown, sample.get("poll").is_some(), "{sample}");
        look_at(&event);
    }
}

/// What replaces a value: each wrong in a way of its own.
fn wrong_values() -> Vec<String> {
    // Deeper than the decoder goes.
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let deep_map = format!("{}1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
    let long = format!("\"{}\"", "x".repeat(1 << 16));
    [
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "0",
        "-1",
        "1.5",
        "1e400",
        "99999999999999999999999",
        "-9223372036854775808",
        "18446744073709551615",
        "\"\\ud83d\"",
        "\"\\u0000\"",
        "\"\u{feff}x\"",
        "[null]",
        "[{}]",
        "[[]]",
        "{\"id\":null}",
        "\"9007199254740993\"",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([deep, deep_map, long])
    .collect()
}

/// All paths to a value inside a sample.
fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(k, v)| paths(v, &format!("{at}/{k}"), out)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, v)| paths(v, &format!("{at}/{i}"), out)),
        _ => {}
    }
}

#[test]
fn each_field_of_each_sample_may_be_wrong_in_each_way() {
    let mut tried = 0;
    for sample in samples() {
        let mut all = Vec::new();
        paths(&sample, "", &mut all);
        for path in all.iter().filter(|path| !path.is_empty()) {
            for wrong in wrong_values() {
                let mut changed = sample.clone();
                *changed.pointer_mut(path).unwrap() = json!("@wrong@");
                let body = changed.to_string().replace("\"@wrong@\"", &wrong);
                match deliver(&body) {
                    Ok(event) => look_at(&event),
                    Err(rejection) => assert_eq!(rejection.status().as_u16(), 400, "{body}"),
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 200, "{tried}");
}

#[test]
fn a_megabyte_of_text_or_brackets_costs_no_more_than_its_bytes() {
    let text = "x".repeat(900_000);
    let event =
        deliver(&json!({"update_id": 1, "message": private(1, &text)}).to_string()).unwrap();
    assert_eq!(event.message().unwrap().text.len(), text.len());
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let n = 900_000 / (open.len() + close.len());
        let body = format!(
            r#"{{"update_id":1,"poll":{}1{}}}"#,
            open.repeat(n),
            close.repeat(n)
        );
        assert!(
            deliver(&body).is_err_and(|rejection| rejection.status().as_u16() == 400)
                || deliver(&body).is_ok()
        );
    }
}

#[test]
fn ten_thousand_mutations_of_each_sample_do_no_harm() {
    let random = SeededRandom::new(0x7e1e_6a4d);
    let pick = |below: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    };
    for sample in samples() {
        let good = sample.to_string().into_bytes();
        for _ in 0..10_000 {
            let mut bytes = good.clone();
            for _ in 0..=pick(4) {
                if bytes.is_empty() {
                    break;
                }
                let at = pick(bytes.len());
                match pick(6) {
                    0 => bytes[at] = u8::try_from(pick(256)).unwrap(),
                    1 => bytes[at] ^= 1 << pick(8),
                    2 => drop(bytes.remove(at)),
                    3 => bytes.insert(at, b"{}[]\",:\\0-e\0\xff"[pick(13)]),
                    4 => bytes.truncate(at.max(1)),
                    _ => {
                        let piece = bytes[at..(at + pick(20)).min(bytes.len())].to_vec();
                        let to = pick(bytes.len() + 1);
                        bytes.splice(to..to, piece);
                    }
                }
            }
            let request = crate::webhook::request(bytes);
            match crate::webhook::deliver_request(&request) {
                Ok(event) => drop(format!("{event:?}")),
                Err(rejection) => assert_eq!(rejection.status().as_u16(), 400),
            }
        }
    }
}

#[test]
fn one_bad_update_in_a_batch_loses_no_other_and_does_not_wedge_the_poll() {
    let bad = [
        r#""message":{"message_id":"x"}"#,
        r#""message":null"#,
        r#""message":[]"#,
        r#""message":{"text":"\ud83d"}"#,
        r#""message":{"text":"a NUL and a line feed"}"#,
        r#""message":{"message_id":1e999}"#,
        r#""message":{"message_id":1},"message":{"message_id":2}"#,
        r#""message":tru"#,
        r#""message":{"a":1 "b":2}"#,
        r#""message":{"a":nope}"#,
        r#""poll":{}"#,
    ];
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        for (n, bad) in bad.into_iter().enumerate() {
            fake.text(&format!("before {n}"));
            let id = if n == 4 {
                fake.push_raw("\"message\":{\"text\":\"\u{0}\n\"}")
            } else {
                fake.push_raw(bad)
            };
            fake.text(&format!("after {n}"));
            let received = next(&mut stream).await;
            assert_eq!(received.message().unwrap().text, format!("before {n}"));
            received.ack().await.unwrap();
            let received = next(&mut stream).await;
            let event = received.event().unwrap();
            assert_eq!(event.name(), "unknown", "{bad}");
            assert_eq!(event.id.as_i64(), Some(id));
            received.ack().await.unwrap();
            let received = next(&mut stream).await;
            assert_eq!(received.message().unwrap().text, format!("after {n}"));
            received.ack().await.unwrap();
        }
    });
}

#[test]
fn an_answer_that_is_no_batch_is_tried_again_and_not_in_a_hurry() {
    let bodies: [&[u8]; 7] = [
        b"",
        b"<html>",
        b"{\"ok\":true}",
        b"{\"ok\":true,\"result\":7}",
        b"{\"ok\":true,\"result\":[{\"x\":1}]}",
        b"{\"ok\":true,\"result\":[{\"update_id\":1]}",
        b"\xff\xfe",
    ];
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(
            crate::cursor::news(&mut stream).await,
            channel_core::Connection::Ready
        );
        for body in bodies {
            let path = format!("/bot{}/getUpdates", crate::fake::TOKEN);
            let reply = channel_testkit::Reply::bytes(http::StatusCode::OK, body);
            fake.transport.http.once(&path, reply);
            let calls = fake.calls("getUpdates").len();
            let lost = crate::cursor::news(&mut stream).await;
            assert!(
                matches!(lost, channel_core::Connection::Lost { .. }),
                "{lost:?}"
            );
            assert_eq!(fake.calls("getUpdates").len(), calls + 1);
            assert_eq!(
                crate::cursor::news(&mut stream).await,
                channel_core::Connection::Ready
            );
        }
        fake.text("still here");
        assert_eq!(
            next(&mut stream).await.message().unwrap().text,
            "still here"
        );
    });
}
