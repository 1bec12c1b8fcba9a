//! Input that nobody should send, signed all the same.

use channel_core::{Event, EventKind, InboundMessage as _, Random as _, Webhook as _};
use channel_slack::{Slack, SlackMessage};
use channel_testkit::SeededRandom;
use serde_json::{Value, json};

use crate::conformance::press;
use crate::fake::{ADA, BOT, Fake, GROUP, ROOT, direct, envelope, grouped, percent};
use crate::inbound::slash;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const TS: &str = "1700000000.000100";

fn with(mut base: Value, fields: Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    base.as_object_mut().unwrap().extend(fields);
    base
}

/// One good payload of each kind that is mapped, and how it is sent.
fn samples() -> Vec<(&'static str, Value)> {
    let file = json!({"id": "F1", "name": "a", "title": "a", "mimetype": "image/png", "filetype": "png", "size": 123,
        "mode": "hosted", "url_private": "https://files.slack.com/a", "url_private_download": "https://files.slack.com/a"});
    let item = json!({"type": "message", "channel": GROUP, "ts": TS});
    let events = [
        direct(TS, "hello"),
        with(
            grouped(
                TS,
                &format!("<@{BOT}|kit> a <https://x.example|b> &lt; <!here> <#C1|g> <!date^1^x|y>"),
            ),
            json!({"thread_ts": ROOT, "parent_user_id": BOT, "user_team": "T2", "client_msg_id": "c"}),
        ),
        with(grouped(TS, "x"), json!({"type": "app_mention"})),
        with(
            direct(TS, ""),
            json!({"subtype": "file_share", "files": [file, file]}),
        ),
        with(
            direct(TS, "x"),
            json!({"subtype": "bot_message", "bot_id": "B1", "app_id": "A2", "username": "u"}),
        ),
        json!({"type": "message", "subtype": "message_changed", "channel": GROUP, "ts": TS,
            "message": with(grouped(TS, "new"), json!({"edited": {"user": ADA, "ts": "2.0"}})),
            "previous_message": grouped(TS, "old")}),
        json!({"type": "message", "subtype": "message_deleted", "channel": GROUP, "ts": TS, "deleted_ts": TS,
            "previous_message": grouped(TS, "old")}),
        json!({"type": "reaction_added", "user": ADA, "reaction": "eyes", "item": item}),
        json!({"type": "member_joined_channel", "user": BOT, "channel": GROUP, "inviter": ADA}),
        json!({"type": "tokens_revoked", "tokens": {"oauth": [ADA], "bot": [BOT]}}),
        json!({"type": "telepathy", "channel": {"id": 1}}),
    ];
    let mut all: Vec<_> = events
        .into_iter()
        .map(|event| (JSON, envelope(1, event)))
        .collect();
    all.push((
        FORM,
        with(
            press("3.0", GROUP, TS, "v"),
            json!({"state": {"values": {"b": {"a": {"value": "x"}}}}}),
        ),
    ));
    all.push((FORM, json!({"type": "view_submission", "team": {"id": "T1"}, "user": {"id": ADA}, "api_app_id": "A1",
        "trigger_id": "1.2", "view": {"id": "V1", "hash": "h", "callback_id": "c", "private_metadata": "p",
        "state": {"values": {"b": {"a": {"selected_options": [{"value": "x"}], "selected_date_time": 1}}}}}})));
    all.push((FORM, json!({"type": "block_suggestion", "team": {"id": "T1"}, "user": {"id": ADA, "team_id": "T1"},
        "api_app_id": "A1", "action_id": "a", "block_id": "b", "value": "v", "channel": {"id": GROUP, "name": "g"},
        "container": {"type": "message", "message_ts": TS, "channel_id": GROUP}, "view": {"callback_id": "c"}})));
    all
}

/// Sends a payload properly signed, and looks at all that comes of it.
fn deliver(slack: &Slack, fake: &Fake, kind: &'static str, payload: &str) -> u16 {
    let body = match kind {
        FORM => format!("payload={}", percent(payload)),
        _ => payload.to_owned(),
    };
    send(slack, fake, kind, body.into())
}

fn send(slack: &Slack, fake: &Fake, kind: &'static str, body: bytes::Bytes) -> u16 {
    let request = fake.signed("/slack/events", kind, body);
    match slack.receive(&request, fake.now()) {
        Ok(accepted) => {
            accepted.events.iter().for_each(look_at);
            200
        }
        Err(rejection) => rejection.status().as_u16(),
    }
}

/// Reads everything that an event offers.
fn look_at(event: &Event) {
    assert!(event.id.as_str().len() < 1024, "{:?}", event.id);
    let _ = format!("{event:?}");
    let _ = (event.sender(), event.conversation(), event.name());
    let stored = serde_json::to_string(event).unwrap();
    assert_eq!(&serde_json::from_str::<Event>(&stored).unwrap(), event);
    let _ = channel_slack::Lifecycle::of(event);
    if let EventKind::Message(message) | EventKind::Edited(message) = &event.kind {
        let _ = (message.content(), message.command());
        let native = message.native::<SlackMessage>().unwrap();
        let _ = (
            native.content(),
            native.attachments(),
            native.addressed(),
            native.blocks(),
        );
    }
}

#[test]
fn every_sample_is_taken() {
    let fake = Fake::new();
    let slack = fake.channel();
    for (kind, sample) in samples() {
        assert_eq!(
            deliver(&slack, &fake, kind, &sample.to_string()),
            200,
            "{sample}"
        );
    }
}

/// What replaces a value: each wrong in a way of its own.
fn wrong_values() -> Vec<String> {
    // Deeper than the decoder goes.
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let deep_map = format!("{}1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
    let long = format!("\"{}\"", "x".repeat(1 << 16));
    let ids = format!("\"{}\"", "U".repeat(65));
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
        "\"\\ud83d\"",
        "\"\\u0000\"",
        "\"\u{feff}x\"",
        "[null]",
        "[{}]",
        "[[]]",
        "{\"id\":null}",
        "\"<@\"",
        "\"<|>&;\"",
        "\"1.\"",
        "\"../T1\"",
        "\"T1/C1\"",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([deep, deep_map, long, ids])
    .collect()
}

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
    let fake = Fake::new();
    let slack = fake.channel();
    let mut tried = 0;
    for (kind, sample) in samples() {
        let mut all = Vec::new();
        paths(&sample, "", &mut all);
        for path in all.iter().filter(|path| !path.is_empty()) {
            for wrong in wrong_values() {
                let mut changed = sample.clone();
                *changed.pointer_mut(path).unwrap() = json!("@wrong@");
                let body = changed.to_string().replace("\"@wrong@\"", &wrong);
                let status = deliver(&slack, &fake, kind, &body);
                assert!(matches!(status, 200 | 400), "{path}: {status}");
                tried += 1;
            }
            // Missing, and twice.
            let (parent, name) = path.rsplit_once('/').unwrap();
            let mut changed = sample.clone();
            if let Some(Value::Object(map)) = changed.pointer_mut(parent) {
                map.remove(name);
                let status = deliver(&slack, &fake, kind, &changed.to_string());
                assert!(matches!(status, 200 | 400), "{path}: {status}");
                tried += 1;
            }
        }
    }
    println!("{tried} bodies with one wrong value");
    assert!(tried > 5000, "{tried}");
}

#[test]
fn ten_thousand_mutations_of_each_sample_do_no_harm() {
    let fake = Fake::new();
    let slack = fake.channel();
    let random = SeededRandom::new(4);
    let mut taken = 0;
    for (kind, sample) in samples() {
        let good = sample.to_string().into_bytes();
        for _ in 0..10_000 {
            let mut body = good.clone();
            let mut dice = [0; 8];
            random.fill(&mut dice);
            for pair in dice.chunks(2).take(1 + usize::from(dice[7] % 4)) {
                let at = usize::from(pair[0]) * 7 % body.len();
                match pair[1] % 3 {
                    0 => body[at] = pair[1],
                    1 => body.truncate(at.max(1)),
                    _ => body.insert(at, pair[1]),
                }
            }
            let body = if kind == FORM {
                let text =
                    percent_encoding::percent_encode(&body, percent_encoding::NON_ALPHANUMERIC);
                format!("payload={text}").into_bytes()
            } else {
                body
            };
            let status = send(&slack, &fake, kind, body.into());
            assert!(matches!(status, 200 | 400), "{status}");
            taken += usize::from(status == 200);
        }
    }
    println!("{taken} mutations were still readable");
}

#[test]
fn bodies_that_are_nothing_are_refused() {
    let fake = Fake::new();
    let slack = fake.channel();
    let bodies = [
        "",
        " ",
        "{",
        "[]",
        "{}",
        "null",
        "\u{feff}{}",
        "{\"type\":\"event_callback\"}",
        "{\"type\":\"event_callback\",\"event_id\":\"\"}",
        "{\"type\":\"url_verification\"}",
        "{\"type\":\"new_outer_type\",\"event_id\":\"Ev1\"}",
        "payload=",
        "payload=%7B%7D",
        "command=%2Fx",
        "payload=%7B%7D&payload=%7B%7D",
        "a=1",
        "payload=%ff",
    ];
    for body in bodies {
        for kind in [JSON, FORM] {
            let status = send(&slack, &fake, kind, body.to_owned().into());
            assert_eq!(status, 400, "{kind} {body:?}");
        }
    }
    let challenge = format!(
        "{{\"type\":\"url_verification\",\"challenge\":\"{}\"}}",
        "x".repeat(2000)
    );
    assert_eq!(send(&slack, &fake, JSON, challenge.into()), 400);
    let long = format!(
        "{{\"type\":\"event_callback\",\"event_id\":\"{}\",\"event\":{{\"type\":\"x\"}}}}",
        "E".repeat(100)
    );
    assert_eq!(send(&slack, &fake, JSON, long.into()), 400);
    let doubled = format!("{}&channel_id=C2", slash("x"));
    assert_eq!(send(&slack, &fake, FORM, doubled.into()), 400);
}
