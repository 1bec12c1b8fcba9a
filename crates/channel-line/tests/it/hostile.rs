//! Input that nobody should send, properly signed.

use channel_core::{Event, EventKind, InboundMessage as _, Random as _};
use channel_line::{Line, LineMessage};
use channel_testkit::SeededRandom;
use serde_json::{Value, json};

use crate::fake::{BOT, Fake, group, person, request};

/// One good event of each kind that is mapped.
fn samples(fake: &Fake) -> Vec<Value> {
    let content = json!({"type": "line"});
    let messages = [
        json!({"type": "text", "quoteToken": "q", "quotedMessageId": "52", "markAsReadToken": "m", "text": "@Bot 🍎 (love)",
            "emojis": [{"index": 8, "length": 6, "productId": "5ac", "emojiId": "001"}],
            "mention": {"mentionees": [{"index": 0, "length": 4, "type": "user", "userId": BOT, "isSelf": true}, {"index": 5, "length": 2, "type": "all"}]}}),
        json!({"type": "image", "contentProvider": content, "imageSet": {"id": "S", "index": 1, "total": 2}}),
        json!({"type": "video", "duration": 60000, "contentProvider": content}),
        json!({"type": "audio", "duration": 60000, "contentProvider": {"type": "external", "originalContentUrl": "https://x.example/a"}}),
        json!({"type": "file", "fileName": "a.txt", "fileSize": 2138}),
        json!({"type": "location", "title": "t", "address": "a", "latitude": 35.68, "longitude": 139.7}),
        json!({"type": "sticker", "packageId": "446", "stickerId": "1988", "stickerResourceType": "STATIC", "keywords": ["ok"], "text": "x"}),
    ];
    let members = json!({"members": [{"type": "user", "userId": "U7"}]});
    let events = [
        json!({"type": "follow", "follow": {"isUnblocked": false}}),
        json!({"type": "unfollow"}),
        json!({"type": "postback", "postback": {"data": "a=1", "params": {"datetime": "2026-01-01T10:00"}}}),
        json!({"type": "unsend", "unsend": {"messageId": "53"}}),
    ];
    let in_groups = [
        json!({"type": "join"}),
        json!({"type": "leave"}),
        json!({"type": "memberJoined", "joined": members}),
        json!({"type": "memberLeft", "left": members}),
    ];
    let messages = messages.into_iter().map(|it| fake.message(group(), it));
    let events = events.into_iter().map(|it| fake.event(person(), it));
    let in_groups = in_groups.into_iter().map(|it| fake.event(group(), it));
    messages.chain(events).chain(in_groups).collect()
}

/// Reads everything that an event offers.
fn look_at(event: &Event) {
    let _ = format!("{event:?}");
    let _ = (event.sender(), event.conversation(), event.name());
    let stored = serde_json::to_string(event).unwrap();
    assert_eq!(&serde_json::from_str::<Event>(&stored).unwrap(), event);
    if let EventKind::Message(message) = &event.kind {
        let _ = (message.content(), message.command());
        let native = message.native::<LineMessage>().unwrap();
        let _ = (native.content(), native.attachments(), native.addressed());
        let _ = (native.sticker(), native.location(), native.reply_to());
        assert_eq!(native.text(), message.text);
        assert_eq!(native.account(), message.sender.account);
    }
}

fn body(event: &str) -> String {
    format!(r#"{{"destination":"{BOT}","events":[{event}]}}"#)
}

fn deliver(fake: &Fake, channel: &Line, body: impl Into<bytes::Bytes>) {
    match fake.receive(channel, &request(body)) {
        Ok(events) => events.iter().for_each(look_at),
        Err(rejection) => assert_eq!(rejection.status().as_u16(), 400),
    }
}

#[test]
fn every_sample_is_what_it_says() {
    let fake = Fake::new();
    let channel = fake.channel();
    for sample in samples(&fake) {
        let event = fake.deliver(&channel, sample.clone());
        assert_ne!(event.name(), "unknown", "{sample}");
        look_at(&event);
    }
}

/// What replaces a value: each wrong in a way of its own.
fn wrong_values() -> Vec<String> {
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
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(i, v)| paths(v, &format!("{at}/{i}"), out));
        }
        _ => {}
    }
}

#[test]
fn each_field_of_each_sample_may_be_wrong_in_each_way() {
    let fake = Fake::new();
    let channel = fake.channel();
    let mut tried = 0;
    for sample in samples(&fake) {
        let mut all = Vec::new();
        paths(&sample, "", &mut all);
        for path in all.iter().filter(|path| !path.is_empty()) {
            for wrong in wrong_values() {
                let mut changed = sample.clone();
                *changed.pointer_mut(path).unwrap() = json!("@wrong@");
                let event = changed.to_string().replace("\"@wrong@\"", &wrong);
                deliver(&fake, &channel, body(&event));
                tried += 1;
            }
            // Gone, and twice.
            let (parent, key) = path.rsplit_once('/').unwrap();
            let mut changed = sample.clone();
            if let Some(map) = changed.pointer_mut(parent).unwrap().as_object_mut() {
                map.remove(key);
                deliver(&fake, &channel, body(&changed.to_string()));
                let twice = sample.to_string().replacen(
                    &format!("\"{key}\":"),
                    &format!("\"{key}\":null,\"{key}\":"),
                    1,
                );
                deliver(&fake, &channel, body(&twice));
                tried += 2;
            }
        }
    }
    println!("malformed corpus: {tried} bodies");
    assert!(tried >= 200, "{tried}");
}

#[test]
fn a_megabyte_of_text_or_brackets_costs_no_more_than_its_bytes() {
    let fake = Fake::new();
    let channel = fake.channel();
    let text = fake.text(&"x".repeat(1_000_000));
    assert_eq!(fake.deliver(&channel, text).name(), "unknown");
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let n = 900_000 / (open.len() + close.len());
        let nested = format!("{}1{}", open.repeat(n), close.repeat(n));
        deliver(&fake, &channel, body(&nested));
        deliver(
            &fake,
            &channel,
            body(&format!(r#"{{"type":"x","a":{nested}}}"#)),
        );
        deliver(&fake, &channel, body(&open.repeat(n)));
    }
    deliver(
        &fake,
        &channel,
        format!(r#"{{"events":[{}1]}}"#, "{},".repeat(300_000)),
    );
}

#[test]
fn ten_thousand_mutations_of_each_sample_do_no_harm() {
    let fake = Fake::new();
    let channel = fake.channel();
    let random = SeededRandom::new(0x11ae_6a4d);
    let pick = |below: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    };
    for sample in samples(&fake) {
        let good = body(&sample.to_string()).into_bytes();
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
            match fake.receive(&channel, &request(bytes)) {
                Ok(events) => drop(format!("{events:?}")),
                Err(rejection) => assert_eq!(rejection.status().as_u16(), 400),
            }
        }
    }
}
